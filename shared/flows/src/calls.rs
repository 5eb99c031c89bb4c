//! Calls as their owners and the jobs handle them: scheduling, cancelling, and writing a transition with its effects.

use ivy_domain::{
    CallId, Text, UserId,
    call::{self, Call, CallEffect, CallEvent, CallPolicy, CallState, CallType, CallWindow, TransitionError},
    days,
    message::{Notice, Via},
    user::Window,
};
use ivy_store::{Me, StoredCall, Transaction};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, FieldError, Ivy,
    idempotency::Once,
    messages::{self, Outgoing},
    outbox::{self, Effect},
    retrying::{contended, until_settled},
};

/// How long after its time a call may still start when nothing else is said.
const DEFAULT_WINDOW: SignedDuration = SignedDuration::from_mins(30);
/// How far ahead a call may be scheduled.
const FURTHEST: SignedDuration = SignedDuration::from_hours(31 * 24);
/// After a missed call the message waits this long for a sign of life.
const FOLLOW_UP_DELAY: SignedDuration = SignedDuration::from_mins(call::FOLLOW_UP_DELAY_MINUTES as i64);
/// A follow-up that could not be sent by then would only puzzle.
const FOLLOW_UP_GOOD_FOR: SignedDuration = SignedDuration::from_hours(12);

/// A call that a user asks for.
#[derive(Debug, Clone)]
pub struct NewCall {
    pub call_type: CallType,
    pub scheduled_time: Timestamp,
    pub window_start: Option<Timestamp>,
    pub window_end: Option<Timestamp>,
}

/// Schedules a call at the exact time that its user chose.
///
/// # Errors
/// [`Error::Invalid`] for a time or window that cannot be; a conflict `calls-not-allowed` for a user without consent, not
/// onboarded, or paused.
pub async fn schedule_call(ivy: &Ivy, user: UserId, new: NewCall, once: Option<&Once<Call>>) -> Result<Call, Error> {
    let new = &new;
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = ivy.me(user).await?;
        if !me.user().may_be_called() {
            let detail = "Ivy may not call this user: finish onboarding, give consent to calls, or resume.".to_owned();
            return Err(Error::Conflict { slug: "calls-not-allowed", detail });
        }
        let window = window_of(&me, new, now)?;
        let zone = me.user().timezone.clone();
        let id = CallId::generate(now);
        let stored = StoredCall::new(Call::scheduled(id, user, new.call_type, new.scheduled_time, window, zone, now));
        let mut transaction = ivy.store.transaction();
        transaction.call(&stored);
        let effect = Effect::SetCallTimer { user_id: user, call_id: id, due_at: new.scheduled_time };
        outbox::add(&mut transaction, &effect, now)?;
        if let Some(once) = once {
            once.keep(&mut transaction, &ivy.store, &stored.call, now);
        }
        transaction.commit().await.map_err(contended)?;
        Ok(Call { version: 1, ..stored.call })
    })
    .await
}

fn window_of(me: &Me, new: &NewCall, now: Timestamp) -> Result<CallWindow, Error> {
    let mut wrong = Vec::new();
    if new.scheduled_time <= now {
        wrong.push(FieldError::new("scheduled_time", "must lie in the future"));
    } else if new.scheduled_time.duration_since(now) > FURTHEST {
        wrong.push(FieldError::new("scheduled_time", "must lie within 31 days"));
    }
    let opens_at = new.window_start.unwrap_or(new.scheduled_time);
    let closes_at = new.window_end.unwrap_or_else(|| usual_window_end(me, new.scheduled_time));
    if opens_at > new.scheduled_time {
        wrong.push(FieldError::new("window_start", "must not lie after scheduled_time"));
    }
    if closes_at <= new.scheduled_time {
        wrong.push(FieldError::new("window_end", "must lie after scheduled_time"));
    } else if closes_at.duration_since(opens_at) > SignedDuration::from_hours(24) {
        wrong.push(FieldError::new("window_end", "must lie within 24 hours of the window's start"));
    }
    if wrong.is_empty() { Ok(CallWindow { opens_at, closes_at }) } else { Err(Error::Invalid(wrong)) }
}

/// The end of the user's own window that the time lies in, else half an hour later.
fn usual_window_end(me: &Me, time: Timestamp) -> Timestamp {
    let zone = &me.user().timezone;
    let date = days::local_date(time, zone);
    let contains = |window: &Window| {
        let (opens, closes) = (days::instant(date, window.start(), zone), days::instant(date, window.end(), zone));
        (opens <= time && time < closes).then_some(closes)
    };
    [me.user().morning_window, me.user().evening_window]
        .iter()
        .flatten()
        .find_map(contains)
        .unwrap_or(time + DEFAULT_WINDOW)
        .max(time + SignedDuration::from_mins(5))
}

/// Cancels a call that has not begun.
///
/// # Errors
/// Not found; a conflict `call-not-cancellable` that names the state it is in.
pub async fn cancel_call(ivy: &Ivy, user: UserId, id: CallId) -> Result<Call, Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let (me, stored, _) = ivy.store.me_and_call(user, id, None).await?;
        let me = me.ok_or(Error::NotFound("user"))?;
        let stored = stored.ok_or(Error::NotFound("call"))?;
        if stored.call.state == CallState::Cancelled {
            return Ok(stored.call);
        }
        let event = CallEvent::Cancelled { by: "user".to_owned() };
        let mut transaction = ivy.store.transaction();
        let moved = apply(&mut transaction, &me, &stored, &event, now)?.map_err(|error| Error::Conflict {
            slug: "call-not-cancellable",
            detail: format!("A call can be cancelled before it begins; this one is {}.", error.from.name()),
        })?;
        transaction.call(&moved);
        transaction.commit().await.map_err(contended)?;
        Ok(moved.call)
    })
    .await
}

/// Applies an event to a call and adds the effects to the transaction; the caller adds the call itself, after whatever else
/// it changes about it.
pub(crate) fn apply(
    transaction: &mut Transaction<'_>,
    me: &Me,
    stored: &StoredCall,
    event: &CallEvent,
    now: Timestamp,
) -> Result<Result<StoredCall, TransitionError>, Error> {
    let policy = CallPolicy::for_tier(me.user().subscription_type);
    let (call, effects) = match call::transition(&stored.call, event, now, &policy) {
        Ok(done) => done,
        Err(error) => return Ok(Err(error)),
    };
    for effect in &effects {
        add_effect(transaction, me, &stored.call, &call, *effect, now)?;
    }
    tracing::info!(
        event = "call_transition",
        call_id = %call.id,
        user_id = %call.user_id,
        from = stored.call.state.name(),
        to = call.state.name(),
        cause = call.cause.as_deref().unwrap_or_default(),
        attempt = call.attempts,
    );
    Ok(Ok(StoredCall { call, ..stored.clone() }))
}

fn waits(state: CallState) -> bool {
    matches!(state, CallState::Scheduled | CallState::Retry)
}

fn add_effect(
    transaction: &mut Transaction<'_>,
    me: &Me,
    before: &Call,
    after: &Call,
    effect: CallEffect,
    now: Timestamp,
) -> Result<(), Error> {
    match effect {
        // A lease is the sweep's business; only a waiting call needs a timer of its own.
        CallEffect::SetTimer { due_at } if waits(after.state) => {
            let effect = Effect::SetCallTimer { user_id: after.user_id, call_id: after.id, due_at };
            outbox::add(transaction, &effect, now)
        }
        CallEffect::ClearTimer if waits(before.state) => {
            outbox::add(transaction, &Effect::ClearCallTimer { call_id: before.id, due_at: before.due_at }, now)
        }
        CallEffect::SetTimer { .. } | CallEffect::ClearTimer => Ok(()),
        CallEffect::QueueFollowUp => {
            let notice = Notice::MissedCallFollowUp { name: me.user().first_name.clone() };
            let outgoing = Outgoing {
                call_id: Some(after.id),
                not_before: Some(now + FOLLOW_UP_DELAY),
                not_after: Some(now + FOLLOW_UP_GOOD_FOR),
                unless_heard_since: Some(before.attempt.as_ref().map_or(now, |attempt| attempt.claimed_at)),
                ..Outgoing::new(Via::Whatsapp, notice)
            };
            messages::add_if_allowed(transaction, me, outgoing, now)
        }
        CallEffect::OfferText => {
            let Ok(text) = "No problem, not a good moment. Reply here whenever it suits you.".parse::<Text<4096>>()
            else {
                return Ok(());
            };
            let outgoing = Outgoing {
                call_id: Some(after.id),
                not_after: Some(now + FOLLOW_UP_GOOD_FOR),
                ..Outgoing::new(Via::Whatsapp, Notice::Reply { text })
            };
            messages::add_if_allowed(transaction, me, outgoing, now)
        }
    }
}

/// Gives the slot of an ended attempt back. Best effort: a slot is a lease and frees itself.
pub(crate) async fn release_slot(ivy: &Ivy, stored: &StoredCall) {
    let (Some(slot), Some(attempt)) = (stored.slot, &stored.call.attempt) else { return };
    if let Err(error) = ivy.store.release_slot(slot, &attempt.id).await {
        tracing::warn!(event = "slot_not_released", slot, call_id = %stored.call.id, %error);
    }
}
