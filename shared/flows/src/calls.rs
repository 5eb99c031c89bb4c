//! Calls as their owners and the jobs handle them: scheduling, cancelling, and writing a transition with its effects.

use ivy_domain::{
    AdminId, CallId, Text, UserId,
    call::{self, Call, CallEffect, CallEvent, CallPolicy, CallState, CallType, CallWindow, Outcome, TransitionError},
    days,
    message::{Notice, Via},
    user::Window,
};
use ivy_store::{Line, Me, StoredCall, Transaction};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, FieldError, Ivy,
    audit::{self, Reason},
    idempotency::Once,
    messages::{self, Outgoing},
    outbox::{self, Effect},
    retrying::{contended, until_settled},
};

/// How long after its time a call may still start when nothing else is said.
const DEFAULT_WINDOW: SignedDuration = SignedDuration::from_mins(30);
/// A call has at least so long to start.
const SHORTEST_WINDOW: SignedDuration = SignedDuration::from_mins(5);
/// For how long a call that was asked for at once may start.
const AT_ONCE: SignedDuration = SignedDuration::from_mins(15);
/// How long the line is kept for a call that was asked for at once, until its first attempt takes it.
const RESERVED: SignedDuration = SignedDuration::from_secs(60);
/// How far ahead a call may be scheduled; for one that is moved, counted from its creation, so that a query over the ids of the
/// last weeks finds every call that waits.
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
/// onboarded, paused, or with a phone that nobody has proven.
pub async fn schedule_call(ivy: &Ivy, user: UserId, new: NewCall, once: Option<&Once<Call>>) -> Result<Call, Error> {
    let new = &new;
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = ivy.me(user).await?;
        if !me.user().may_be_called() {
            return Err(not_allowed());
        }
        let window = window_of(&me, new, now, now)?;
        let stored = new_call(&me, CallId::generate(now), new.call_type, new.scheduled_time, window, now);
        add_call(ivy, ivy.store.transaction(), stored, once, now).await
    })
    .await
}

/// Calls a user who asks for it, now. The user's own word stands, quiet hours or not.
///
/// It takes the user's line at once, as a reservation that its first attempt takes over: of two who ask at once one gets a call.
///
/// # Errors
/// A conflict `calls-not-allowed` as for [`schedule_call`], and `call-under-way` while another call of theirs rings, is talked
/// on, or was asked for a moment ago.
pub async fn initiate_call(
    ivy: &Ivy,
    user: UserId,
    call_type: CallType,
    once: Option<&Once<Call>>,
) -> Result<Call, Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = ivy.me(user).await?;
        if !me.user().may_be_called() {
            return Err(not_allowed());
        }
        if line_is_busy(ivy, user, now).await? {
            let detail = "Ivy is calling, or talking with you. Wait for the end of that call.".to_owned();
            return Err(Error::Conflict { slug: "call-under-way", detail });
        }
        let window = CallWindow { opens_at: now, closes_at: now + AT_ONCE };
        let id = CallId::generate(now);
        let stored = new_call(&me, id, call_type, now, (window, false), now);
        let line = Line { call_id: id, attempt_id: id.to_string(), lease_until: now + RESERVED };
        let mut transaction = ivy.store.transaction();
        transaction.take_line(user, &line, now);
        add_call(ivy, transaction, stored, once, now).await
    })
    .await
}

fn new_call(
    me: &Me,
    id: CallId,
    call_type: CallType,
    due_at: Timestamp,
    (window, own_window): (CallWindow, bool),
    now: Timestamp,
) -> StoredCall {
    let call = Call::scheduled(id, me.id(), call_type, due_at, window, me.user().timezone.clone(), now);
    StoredCall::new(Call { own_window, ..call })
}

/// Adds a call that waits, with the effect that wakes it.
fn add_waiting(transaction: &mut Transaction<'_>, stored: &StoredCall, now: Timestamp) -> Result<(), Error> {
    let call = &stored.call;
    transaction.call(stored);
    let wake = Effect::SetCallTimer { user_id: call.user_id, call_id: call.id, due_at: call.due_at };
    outbox::add(transaction, &wake, now)
}

/// Writes a new call.
async fn add_call(
    ivy: &Ivy,
    mut transaction: Transaction<'_>,
    stored: StoredCall,
    once: Option<&Once<Call>>,
    now: Timestamp,
) -> Result<Call, Error> {
    let call = &stored.call;
    add_waiting(&mut transaction, &stored, now)?;
    if let Some(once) = once {
        once.keep(&mut transaction, &ivy.store, call, now);
    }
    transaction.commit().await.map_err(contended)?;
    Ok(Call { version: 1, ..stored.call })
}

/// Whether another call rings the user, is talked on, or was asked for a moment ago. A line whose attempt is over is freed:
/// whoever ended it could not.
pub(crate) async fn line_is_busy(ivy: &Ivy, user: UserId, now: Timestamp) -> Result<bool, Error> {
    let Some(line) = ivy.store.line(user).await?.filter(|line| line.lease_until >= now) else { return Ok(false) };
    let holder = ivy.store.call(user, line.call_id).await?;
    let held = holder.is_some_and(|stored| holds(&stored.call, &line));
    if !held {
        ivy.store.release_line(user, &line.attempt_id).await?;
    }
    Ok(held)
}

/// Whether a line is still its call's: for the attempt that runs, or reserved for the first.
fn holds(call: &Call, line: &Line) -> bool {
    match call.state {
        CallState::Initiating | CallState::InProgress => call.is_current_attempt(Some(&line.attempt_id), None),
        CallState::Scheduled => line.attempt_id == call.id.to_string(),
        CallState::Completed | CallState::Missed | CallState::Retry | CallState::Failed | CallState::Cancelled => false,
    }
}

fn not_allowed() -> Error {
    let detail = "Ivy may not call this user: finish onboarding, give consent to calls, or resume.".to_owned();
    Error::Conflict { slug: "calls-not-allowed", detail }
}

/// Another time for a call.
#[derive(Debug, Clone, Copy)]
pub struct NewTime {
    pub scheduled_time: Timestamp,
    pub window_start: Option<Timestamp>,
    pub window_end: Option<Timestamp>,
}

/// Moves a call that has not begun, or that waits for its next attempt.
///
/// # Errors
/// Not found; [`Error::Invalid`] as for [`schedule_call`]; a conflict `calls-not-allowed` as there, or
/// `call-not-reschedulable` that names the state it is in.
pub async fn reschedule_call(
    ivy: &Ivy,
    user: UserId,
    id: CallId,
    time: NewTime,
    once: Option<&Once<Call>>,
) -> Result<Call, Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let (me, stored, _) = ivy.store.me_and_call(user, id, None).await?;
        let me = me.ok_or(Error::NotFound("user"))?.at(now);
        let stored = stored.ok_or(Error::NotFound("call"))?;
        if !me.user().may_be_called() {
            return Err(not_allowed());
        }
        let call_type = stored.call.call_type;
        let NewTime { scheduled_time, window_start, window_end } = time;
        let window = window_of(
            &me,
            &NewCall { call_type, scheduled_time, window_start, window_end },
            stored.call.created_at,
            now,
        )?;
        let mut transaction = ivy.store.transaction();
        let moved = add_moved(&mut transaction, &me, &stored, scheduled_time, window, now)?.ok_or_else(|| {
            let state = stored.call.state.name();
            let detail = format!("A call can be moved while it waits; this one is {state}. Schedule a new one.");
            Error::Conflict { slug: "call-not-reschedulable", detail }
        })?;
        if let Some(once) = once {
            once.keep(&mut transaction, &ivy.store, &moved, now);
        }
        transaction.commit().await.map_err(contended)?;
        Ok(moved)
    })
    .await
}

/// Adds a waiting call at another time, with its timers; nothing when it does not wait any more.
fn add_moved(
    transaction: &mut Transaction<'_>,
    me: &Me,
    stored: &StoredCall,
    time: Timestamp,
    window: (CallWindow, bool),
    now: Timestamp,
) -> Result<Option<Call>, Error> {
    let Some(call) = call::rescheduled(&stored.call, time, window, &me.user().timezone, now) else { return Ok(None) };
    let moved = StoredCall { call, ..stored.clone() };
    // Timers are named by the second, and effects come in no promised order: the new timer must not be cleared as the old.
    if stored.call.due_at.as_second() != time.as_second() {
        let clear = Effect::ClearCallTimer { call_id: stored.call.id, due_at: stored.call.due_at };
        outbox::add(transaction, &clear, now)?;
    }
    add_waiting(transaction, &moved, now)?;
    Ok(Some(Call { version: stored.call.version + 1, ..moved.call }))
}

/// The call back that was agreed on in a call. A call has one, whoever tells of it and how often: its id follows from the call.
#[must_use]
pub(crate) fn follow_up_id(of: &Call) -> CallId {
    CallId::derive(of.id.date(), &[&of.user_id.to_string(), &of.id.to_string(), "follow_up"])
}

/// Adds the call back that was agreed on in a call, or moves the one that was agreed on before. Nothing when it cannot be had:
/// the time lies behind or too far ahead, Ivy may not call, or the call back has begun.
pub(crate) fn add_follow_up(
    transaction: &mut Transaction<'_>,
    me: &Me,
    (of, agreed): (&Call, Option<&StoredCall>),
    time: Timestamp,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    if !me.user().may_be_called() {
        return Ok(None);
    }
    let new = NewCall { call_type: CallType::FollowUp, scheduled_time: time, window_start: None, window_end: None };
    let created_at = agreed.map_or(now, |stored| stored.call.created_at);
    let Ok(window) = window_of(me, &new, created_at, now) else { return Ok(None) };
    match agreed {
        None => {
            let stored = new_call(me, follow_up_id(of), new.call_type, time, window, now);
            add_waiting(transaction, &stored, now)?;
            Ok(Some(time))
        }
        Some(stored) if stored.call.scheduled_time == time => Ok(Some(time)),
        Some(stored) => Ok(add_moved(transaction, me, stored, time, window, now)?.map(|_| time)),
    }
}

/// The window of a call that was created at a time, and whether it is the user's own word; or everything that is wrong with the
/// times that were asked for.
fn window_of(me: &Me, new: &NewCall, created_at: Timestamp, now: Timestamp) -> Result<(CallWindow, bool), Error> {
    let mut wrong = Vec::new();
    if new.scheduled_time <= now {
        wrong.push(FieldError::new("scheduled_time", "must lie in the future"));
    } else if new.scheduled_time.duration_since(now) > FURTHEST {
        wrong.push(FieldError::new("scheduled_time", "must lie within 31 days"));
    } else if new.scheduled_time.duration_since(created_at) > FURTHEST {
        wrong.push(FieldError::new("scheduled_time", "must lie within 31 days of when the call was created"));
    }
    let opens_at = new.window_start.unwrap_or(new.scheduled_time);
    let own = new.window_end.or_else(|| own_window_end(me, new.scheduled_time));
    // The time is the caller's, and may be the last of all.
    let later = |by: SignedDuration| new.scheduled_time.checked_add(by).unwrap_or(Timestamp::MAX);
    let closes_at = match (new.window_end, own) {
        (Some(said), _) => said,
        (None, Some(own)) => own.max(later(SHORTEST_WINDOW)),
        (None, None) => later(DEFAULT_WINDOW),
    };
    if opens_at > new.scheduled_time {
        wrong.push(FieldError::new("window_start", "must not lie after scheduled_time"));
    }
    if closes_at <= new.scheduled_time {
        wrong.push(FieldError::new("window_end", "must lie after scheduled_time"));
    } else if closes_at.duration_since(opens_at) > SignedDuration::from_hours(24) {
        wrong.push(FieldError::new("window_end", "must lie within 24 hours of the window's start"));
    }
    if wrong.is_empty() { Ok((CallWindow { opens_at, closes_at }, own.is_some())) } else { Err(Error::Invalid(wrong)) }
}

/// The end of the user's own window that the time lies in.
fn own_window_end(me: &Me, time: Timestamp) -> Option<Timestamp> {
    let zone = &me.user().timezone;
    let date = days::local_date(time, zone);
    let contains = |window: &Window| {
        let (opens, closes) = (days::instant(date, window.start(), zone), days::instant(date, window.end(), zone));
        (opens <= time && time < closes).then_some(closes)
    };
    [me.user().morning_window, me.user().evening_window].iter().flatten().find_map(contains)
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

/// What an operator says that a call achieved.
#[derive(Debug, Clone)]
pub struct Correction {
    pub outcome: Outcome,
    pub reason: Reason,
}

/// Sets what a call that is over achieved, on an operator's word. It changes what is shown and counted of the call, and nothing
/// that was logged or donated.
///
/// # Errors
/// Not found; a conflict `call-not-over` that names the state it is in.
pub async fn record_outcome(
    ivy: &Ivy,
    by: AdminId,
    user: UserId,
    id: CallId,
    correction: &Correction,
    once: Option<&Once<Call>>,
) -> Result<Call, Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let (me, stored, _) = ivy.store.me_and_call(user, id, None).await?;
        let (Some(me), Some(mut stored)) = (me, stored) else { return Err(Error::NotFound("call")) };
        if !stored.call.state.is_terminal() {
            let state = stored.call.state.name();
            let detail =
                format!("An outcome is recorded once the call is over; this one is {state}. Wait, or cancel it.");
            return Err(Error::Conflict { slug: "call-not-over", detail });
        }
        (stored.call.outcome, stored.outcome_recorded) = (Some(correction.outcome), true);
        stored.call.updated_at = now;
        let mut transaction = ivy.store.transaction();
        transaction.call(&stored);
        audit::note(&mut transaction, &me.profile, by, "record-outcome", id, Some(&correction.reason), now);
        stored.call.version += 1;
        if let Some(once) = once {
            once.keep(&mut transaction, &ivy.store, &stored.call, now);
        }
        transaction.commit().await.map_err(contended)?;
        Ok(stored.call)
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
        CallEffect::SetTimer { due_at } if after.state.waits() => {
            let effect = Effect::SetCallTimer { user_id: after.user_id, call_id: after.id, due_at };
            outbox::add(transaction, &effect, now)
        }
        CallEffect::ClearTimer if before.state.waits() => {
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

/// Gives the slot and the line of an ended attempt back. Best effort: a slot is a lease and frees itself; a line that is
/// held by an attempt that is over is freed by the next call that wants it.
pub(crate) async fn release(ivy: &Ivy, stored: &StoredCall) {
    let Some(attempt) = &stored.call.attempt else { return };
    // Somebody who called us may have come without a slot.
    if let Some(slot) = stored.slot
        && let Err(error) = ivy.store.release_slot(slot, &attempt.id).await
    {
        tracing::warn!(event = "slot_not_released", slot, call_id = %stored.call.id, %error);
    }
    if let Err(error) = ivy.store.release_line(stored.call.user_id, &attempt.id).await {
        tracing::warn!(event = "line_not_released", call_id = %stored.call.id, %error);
    }
}
