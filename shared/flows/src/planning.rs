//! Planning days: which calls are made for whom, written ahead with their timers.
//!
//! `plan-day` finds the zones whose local day begins in the hour of its event and puts one job per zone and shard on a queue;
//! `plan-users` works a page of users off and puts the next page on the queue. A call's id follows from user, date and type, so
//! planning a day twice, from a replayed event or a repeated page, creates nothing new. A user whose zone, windows or
//! preferences changed is planned again for what remains of the day: calls that still wait, for their first attempt or for
//! another, are moved or cancelled, so that the phone never rings in a window that the user took back. A call that is under way
//! may come to wait again; the job looks once more when it has ended, well before a retry is due. A day that was planned in one
//! zone and withdrawn by a move comes again in the other: its calls, under their old ids, come back then.

use std::time::Duration;

use ivy_domain::{
    CallId, MessageId, User, UserId, Zone,
    call::{Call, CallEvent, CallState, CallType, CallWindow},
    days,
    message::{Notice, Via},
    planning::{CallHistory, Channel, PlannedCall, call_id, calls_for},
    user::CommunicationPreference,
};
use ivy_store::{Contact, Me, PageOf, Profile, StoreError, StoredCall, Transaction, keys};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Ivy, accounts, calls, digests,
    messages::{self, Outgoing},
    outbox::{self, Effect, json},
    ports::{Queue, Queues},
    retrying::{contended, until_settled},
    wallets,
};

/// Users planned by one job.
const PAGE: u32 = 25;
/// The cause of a call that a change of the user withdrew.
const REPLANNED: &str = "replanned";
/// Causes of calls that something withdrew which can be taken back: then the calls come back.
const WITHDRAWN: [&str; 3] = [REPLANNED, accounts::PAUSED, accounts::CONSENT_WITHDRAWN];
/// For so many days back it is asked whether an onboarding call rang: every week has calls.
const TRIED_DAYS: i32 = 7;
/// When a user is looked at again because one of their calls was under way; retries come half an hour after an attempt.
const UNDER_WAY: Duration = Duration::from_secs(120);

/// The body on the `plan-users` queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlanJob {
    /// A page of the users of a zone's shard.
    Page { zone: Zone, shard: u64, date: Date, after: Option<UserId> },
    /// One user again, for calls from a moment on.
    User { user_id: UserId, dates: Vec<Date>, from: Timestamp },
    /// Begin the wallet periods that are due in a page of the users of a zone's shard.
    Wallets { zone: Zone, shard: u64, after: Option<UserId> },
    /// End a user's pause if its time is over.
    Resume { user_id: UserId },
    /// Pause a user who asked for it in a call.
    PauseAfterCall { user_id: UserId, call_id: CallId },
    /// Call a user no more who told the voice provider so.
    StopCallsAfterCall { user_id: UserId, said_at: Timestamp },
    /// Remind users of workouts.
    Remind { items: Vec<digests::ToRemind> },
    /// Write the week's summary to a page of the users of a zone's shard, on a Sunday.
    Weekly { zone: Zone, shard: u64, date: Date, after: Option<UserId> },
    /// Send a page of the receipts of a month's shard.
    Receipts { month: String, shard: u64, after: Option<UserId> },
}

/// Puts a job on the queue for each shard of each zone whose local day begins in the hour from `hour` on.
///
/// # Errors
/// When the queue does not take a job; the event is delivered again and repeats the same jobs.
pub async fn plan_day(hour: Timestamp, queues: &dyn Queues) -> Result<usize, Error> {
    let zones = days::zones_whose_day_begins(hour, hour + SignedDuration::from_hours(1));
    begin_pages(queues, zones, |zone, shard, date| PlanJob::Page { zone, shard, date, after: None }).await
}

/// Puts a job on the queue for the first page of each shard of these zones; how many there were.
pub(crate) async fn begin_pages(
    queues: &dyn Queues,
    zones: impl IntoIterator<Item = (Zone, Date)> + Send,
    job: impl Fn(Zone, u64, Date) -> PlanJob + Send,
) -> Result<usize, Error> {
    let mut jobs = Vec::new();
    for (zone, date) in zones {
        for shard in 0..keys::SHARDS {
            jobs.push(json(&job(zone.clone(), shard, date))?);
        }
    }
    let count = jobs.len();
    queues.send_all(Queue::PlanUsers, jobs, Duration::ZERO).await?;
    Ok(count)
}

/// Puts the job of the page behind this one on the queue, if there is one. Before this one is worked off: what goes wrong here
/// must not keep the others from it.
pub(crate) async fn next_page(
    queues: &dyn Queues,
    page: &PageOf<UserId>,
    job: impl FnOnce(UserId) -> PlanJob + Send,
) -> Result<(), Error> {
    let Some(last) = page.items.last().filter(|_| page.next.is_some()) else { return Ok(()) };
    queues.send(Queue::PlanUsers, json(&job(*last))?, Duration::ZERO).await?;
    Ok(())
}

/// Works one job off.
///
/// # Errors
/// When the table or the queue fails; the job is delivered again.
pub async fn plan_users(ivy: &Ivy, queues: &dyn Queues, job: &PlanJob) -> Result<(), Error> {
    match job {
        PlanJob::Page { zone, shard, date, after } => {
            let page = ivy.store.users_of_zone(zone.as_str(), *shard, PAGE, *after).await?;
            let behind = |last| PlanJob::Page { zone: zone.clone(), shard: *shard, date: *date, after: Some(last) };
            next_page(queues, &page, behind).await?;
            let mut failure = None;
            for (profile, contact) in ivy.store.profiles_and_contacts(&page.items).await? {
                // The index may be behind a move to another zone, which planned the user by itself.
                if profile.user.timezone == *zone
                    && let Err(error) = plan_page_user(ivy, &profile, &contact, *date).await
                {
                    tracing::error!(event = "user_not_planned", user_id = %profile.user.id, error = error.name());
                    failure = Some(error);
                }
            }
            failure.map_or(Ok(()), Err)
        }
        PlanJob::User { user_id, dates, from } => match replan_user(ivy, *user_id, dates, *from).await {
            Ok(true) => Ok(queues.send(Queue::PlanUsers, json(job)?, UNDER_WAY).await?),
            Ok(false) => Ok(()),
            Err(Error::NotFound("user")) => {
                tracing::info!(event = "user_gone", user_id = %user_id);
                Ok(())
            }
            Err(other) => Err(other),
        },
        PlanJob::Wallets { zone, shard, after } => wallets::reset_page(ivy, queues, zone, *shard, *after).await,
        PlanJob::Resume { user_id } => accounts::resume_when_due(ivy, *user_id).await,
        PlanJob::PauseAfterCall { user_id, call_id } => accounts::pause_after_call(ivy, *user_id, *call_id).await,
        PlanJob::StopCallsAfterCall { user_id, said_at } => {
            accounts::stop_calls_after_call(ivy, *user_id, *said_at).await
        }
        PlanJob::Remind { items } => digests::remind(ivy, items).await,
        PlanJob::Weekly { zone, shard, date, after } => {
            digests::summarise_page(ivy, queues, (zone, *shard, *date), *after).await
        }
        PlanJob::Receipts { month, shard, after } => digests::receipts_page(ivy, queues, month, *shard, *after).await,
    }
}

/// Plans a user of a page, whose pause may be over without its timer having said so.
async fn plan_page_user(ivy: &Ivy, profile: &Profile, contact: &Contact, date: Date) -> Result<(), Error> {
    let mut profile = profile.clone();
    if profile.user.resume_if_due(ivy.now()) {
        tracing::warn!(event = "pause_ended_by_planning", user_id = %profile.user.id);
        accounts::resume_when_due(ivy, profile.user.id).await?;
    }
    plan_user(ivy, &profile, contact, date).await
}

/// The calls of a day that ring, and those that are written.
fn rung_and_written(user: &User, date: Date, history: &CallHistory) -> (Vec<PlannedCall>, Vec<PlannedCall>) {
    calls_for(user, date, history).into_iter().partition(|planned| planned.channel == Channel::Voice)
}

/// Writes the messages that a day has in place of calls, each with its moment. A message that is planned otherwise by then is
/// suppressed when it would be sent, so that nothing has to find it before. Contended if the user is not as they were read any
/// more: they may have closed their account, and erasure would not come past again.
async fn plan_messages(ivy: &Ivy, profile: &Profile, written: &[PlannedCall], from: Timestamp) -> Result<(), Error> {
    let (user, now) = (&profile.user, ivy.now());
    for planned in written.iter().filter(|planned| planned.due_at >= from) {
        let (name, due_at) = (user.first_name.clone(), planned.due_at);
        let notice = match planned.call_type {
            CallType::MorningPlanning => Notice::MorningPlan { name, due_at },
            _ => Notice::EveningCheck { name, due_at },
        };
        let words = [&user.id.to_string(), planned.call_type.name(), &due_at.to_string()];
        let outgoing = Outgoing {
            id: Some(MessageId::derive(planned.date, &words)),
            not_before: Some(due_at),
            not_after: Some(planned.window.closes_at),
            ..Outgoing::new(Via::Whatsapp, notice)
        };
        let mut transaction = ivy.store.transaction();
        messages::add(transaction.user_unchanged(user), profile, outgoing, now)?;
        match transaction.commit().await {
            Err(error) if error.failed("changed") => return Err(contended(error)),
            Ok(()) | Err(StoreError::ConditionFailed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Why a message in place of a call has lost its point: the day is planned otherwise by now, or its commitment is kept.
pub(crate) fn no_longer_planned(me: &Me, due_at: Timestamp, now: Timestamp) -> Option<&'static str> {
    let user = me.user();
    let date = days::local_date(due_at, &user.timezone);
    let planned = calls_for(user, date, &CallHistory::DONE);
    if !planned.iter().any(|planned| planned.channel == Channel::Message && planned.due_at == due_at) {
        return Some("planned_otherwise");
    }
    me.progress().streak.standing(me.date_at(now)).kept_today.then_some("kept_already")
}

fn new_call(user: &User, planned: &PlannedCall, now: Timestamp) -> StoredCall {
    let id = call_id(user.id, planned.date, planned.call_type);
    let zone = user.timezone.clone();
    StoredCall::new(Call::scheduled(id, user.id, planned.call_type, planned.due_at, planned.window, zone, now))
}

/// What planning a day needs to know of earlier ones.
async fn history(ivy: &Ivy, user: &User, contact: &Contact, date: Date) -> Result<CallHistory, Error> {
    let onboarding_call_done = contact.onboarding_call_done;
    // Nobody rings who only writes.
    if onboarding_call_done || user.communication_preference == CommunicationPreference::Async {
        return Ok(CallHistory { onboarding_call_done, ..CallHistory::default() });
    }
    let earlier = (1..=TRIED_DAYS).map(|back| call_id(user.id, days::plus_days(date, -back), CallType::Onboarding));
    let calls = ivy.store.calls(user.id, &earlier.collect::<Vec<_>>()).await?;
    let onboarding_call_tried = calls.iter().any(|stored| stored.call.attempts > 0);
    Ok(CallHistory { onboarding_call_tried, ..CallHistory::default() })
}

/// Plans a whole day of a user as a page read them, or as they are by now if they changed since.
async fn plan_user(ivy: &Ivy, profile: &Profile, contact: &Contact, date: Date) -> Result<(), Error> {
    match plan_as_read(ivy, profile, contact, date).await {
        Err(Error::Contended) => {}
        planned => return planned,
    }
    let user = &profile.user;
    let planned = until_settled(ivy, || async move {
        let me = ivy.me(user.id).await?;
        // Whoever moved meanwhile was planned by the move.
        if me.user().timezone != user.timezone {
            return Ok(());
        }
        plan_as_read(ivy, &me.profile, &me.contact, date).await
    });
    match planned.await {
        Err(Error::NotFound(_)) => Ok(()),
        planned => planned,
    }
}

/// Plans a whole day of a user; contended if they changed since they were read. Calls that exist stay as they are, but for those
/// that were planned for another zone's day of this date: a move withdrew them, or has yet to.
async fn plan_as_read(ivy: &Ivy, profile: &Profile, contact: &Contact, date: Date) -> Result<(), Error> {
    let user = &profile.user;
    let history = history(ivy, user, contact, date).await?;
    let (rung, written) = rung_and_written(user, date, &history);
    for planned in rung {
        if !create_call(ivy, user, &planned).await? {
            until_settled(ivy, || plan_again(ivy, user, &planned)).await?;
        }
    }
    plan_messages(ivy, profile, &written, ivy.now()).await
}

/// Brings a call that exists in line with the plan of its day, if it waits or was withdrawn.
async fn plan_again(ivy: &Ivy, user: &User, planned: &PlannedCall) -> Result<(), Error> {
    let now = ivy.now();
    let (me, stored, _) =
        ivy.store.me_and_call(user.id, call_id(user.id, planned.date, planned.call_type), None).await?;
    let (Some(me), Some(stored)) = (me.map(|me| me.at(now)), stored) else { return Ok(()) };
    // Since the page was read the user may have changed; whoever moved meanwhile was planned by the move.
    let history = history(ivy, me.user(), &me.contact, planned.date).await?;
    let (wanted, _) = rung_and_written(me.user(), planned.date, &history);
    let planned = wanted.iter().find(|wanted| wanted.call_type == planned.call_type && wanted.due_at >= now);
    let Some(planned) = planned.filter(|_| me.user().timezone == user.timezone) else { return Ok(()) };
    let call = &stored.call;
    if call.state == CallState::Scheduled && (call.window == planned.window || call.was_rescheduled()) {
        return Ok(());
    }
    realign(ivy, &me, &stored, Some(planned)).await
}

/// Writes a planned call with its timer; whether it was not there before. Contended if the user is not as they were read any
/// more: the call would ring in a window that they took back.
async fn create_call(ivy: &Ivy, user: &User, planned: &PlannedCall) -> Result<bool, Error> {
    let now = ivy.now();
    let stored = new_call(user, planned, now);
    let effect = Effect::SetCallTimer { user_id: user.id, call_id: stored.call.id, due_at: planned.due_at };
    let mut transaction = ivy.store.transaction();
    transaction.user_unchanged(user).call(&stored);
    outbox::add(&mut transaction, &effect, now)?;
    match transaction.commit().await {
        Ok(()) => {
            let call_type = planned.call_type.name();
            tracing::info!(event = "call_scheduled", call_id = %stored.call.id, user_id = %user.id, call_type);
            Ok(true)
        }
        Err(error) if error.failed("call") => Ok(false),
        Err(error) => Err(contended(error)),
    }
}

/// Brings the planned calls of some days in line with the user as they are now, from a moment on. Days that are not planned
/// yet in the user's zone, or are over there, keep nothing that still waits: they were planned under another zone. Answers whether
/// a call is under way that may come to wait in a window which is none any more.
async fn replan_user(ivy: &Ivy, user: UserId, dates: &[Date], from: Timestamp) -> Result<bool, Error> {
    let mut under_way = false;
    for date in dates {
        under_way |= until_settled(ivy, || replan_day(ivy, user, *date, from)).await?;
    }
    Ok(under_way)
}

async fn replan_day(ivy: &Ivy, user: UserId, date: Date, from: Timestamp) -> Result<bool, Error> {
    let me = ivy.me(user).await?;
    let ids: Vec<_> = CallType::ALL.iter().map(|call_type| call_id(user, date, *call_type)).collect();
    let calls = ivy.store.calls(user, &ids).await?;
    let (mut wanted, written) = if days::days_planned_at(from, &me.user().timezone).contains(&date) {
        let mut history = history(ivy, me.user(), &me.contact, date).await?;
        let to_come = |call: &Call| call.state == CallState::Scheduled && call.scheduled_time >= from;
        match calls.iter().find(|stored| stored.call.call_type == CallType::Onboarding) {
            Some(stored) if !is_withdrawn(&stored.call) && !to_come(&stored.call) => {
                // The day has had it, whatever came of it, or has it now: the other window has the usual call.
                history.onboarding_call_at = Some(stored.call.scheduled_time);
                history.onboarding_call_done |= stored.call.state != CallState::Scheduled;
            }
            _ => history.onboarding_not_before = Some(from),
        }
        rung_and_written(me.user(), date, &history)
    } else {
        (Vec::new(), Vec::new())
    };
    let mut under_way = false;
    for stored in calls {
        let call = &stored.call;
        let planned = wanted.iter().find(|planned| planned.call_type == call.call_type);
        let same_window = planned.is_some_and(|planned| planned.window == call.window);
        // A time that the user chose stays, whatever the plan says now; and in the same window a call that waits stays as it
        // is, be it for its retry or, overdue, for a slot or the provider.
        if !call.was_rescheduled() && !same_window {
            match call.state {
                CallState::Retry => realign_retry(ivy, &me, &stored, planned).await?,
                CallState::Initiating | CallState::InProgress => under_way = true,
                _ => realign(ivy, &me, &stored, planned.filter(|planned| planned.due_at >= from)).await?,
            }
        } else if !call.state.waits() {
            realign(ivy, &me, &stored, planned.filter(|planned| planned.due_at >= from)).await?;
        }
        wanted.retain(|planned| planned.call_type != stored.call.call_type);
    }
    for planned in wanted.iter().filter(|planned| planned.due_at >= from) {
        create_call(ivy, me.user(), planned).await?;
    }
    plan_messages(ivy, &me.profile, &written, from).await?;
    Ok(under_way)
}

/// When a call that waits for another attempt is due in the window that its user has now: at its time if that lies in it, at the
/// plan's if the window is still to come, else not at all.
fn retry_in(call: &Call, planned: &PlannedCall, now: Timestamp) -> Option<Timestamp> {
    let window = planned.window;
    if (window.opens_at..window.closes_at).contains(&call.due_at) {
        return Some(call.due_at);
    }
    (window.opens_at > now).then_some(planned.due_at)
}

/// Moves a call that waits for another attempt into the user's present window, or cancels it. Attempts that were made stay made.
async fn realign_retry(ivy: &Ivy, me: &Me, stored: &StoredCall, planned: Option<&PlannedCall>) -> Result<(), Error> {
    let now = ivy.now();
    let due = planned.and_then(|planned| Some((retry_in(&stored.call, planned, now)?, planned.window)));
    let mut transaction = ivy.store.transaction();
    match due {
        Some((due_at, window)) => move_call(&mut transaction, me, stored, due_at, window, now)?,
        None => {
            let event = CallEvent::Cancelled { by: REPLANNED.to_owned() };
            let Ok(cancelled) = calls::apply(&mut transaction, me, stored, &event, now)? else { return Ok(()) };
            transaction.call(&cancelled);
        }
    }
    transaction.commit().await.map_err(contended)
}

/// Writes a call that waits at another time, with the timers that follow.
fn move_call(
    transaction: &mut Transaction<'_>,
    me: &Me,
    stored: &StoredCall,
    due_at: Timestamp,
    window: CallWindow,
    now: Timestamp,
) -> Result<(), Error> {
    let call = &stored.call;
    let mut moved = stored.clone();
    moved.call.due_at = due_at;
    if call.state == CallState::Scheduled {
        moved.call.scheduled_time = due_at;
    }
    moved.call.window = window;
    moved.call.timezone = me.user().timezone.clone();
    moved.call.updated_at = now;
    transaction.call(&moved);
    if due_at == call.due_at {
        return Ok(());
    }
    outbox::add(transaction, &Effect::ClearCallTimer { call_id: call.id, due_at: call.due_at }, now)?;
    outbox::add(transaction, &Effect::SetCallTimer { user_id: call.user_id, call_id: call.id, due_at }, now)
}

/// Whether something withdrew a call that can be taken back.
fn is_withdrawn(call: &Call) -> bool {
    call.state == CallState::Cancelled && call.cause.as_deref().is_some_and(|cause| WITHDRAWN.contains(&cause))
}

/// Whether a plan may move a call, or bring it back.
fn may_change(call: &Call) -> bool {
    call.state == CallState::Scheduled || is_withdrawn(call)
}

/// Moves, cancels or brings back a call that has not begun and is planned differently now.
async fn realign(ivy: &Ivy, me: &Me, stored: &StoredCall, planned: Option<&PlannedCall>) -> Result<(), Error> {
    let now = ivy.now();
    let call = &stored.call;
    if !may_change(call) {
        return Ok(());
    }
    let withdrawn = is_withdrawn(call);
    let mut transaction = ivy.store.transaction();
    match planned {
        // The change that withdrew it was taken back: the call begins anew, under the id that it always has.
        Some(planned) if withdrawn => {
            let mut again = new_call(me.user(), planned, now);
            again.call.history.clone_from(&call.history);
            again.call.created_at = call.created_at;
            again.call.version = call.version;
            if call.attempts > 0 {
                // Its ladder goes on where it was: attempts that were made stay made.
                again.call.state = CallState::Retry;
                again.call.attempts = call.attempts;
                again.call.attempt.clone_from(&call.attempt);
                again.call.follow_up_queued = call.follow_up_queued;
                again.call.rang = call.rang;
            }
            transaction.call(&again);
            let effect = Effect::SetCallTimer { user_id: call.user_id, call_id: call.id, due_at: planned.due_at };
            outbox::add(&mut transaction, &effect, now)?;
        }
        None if withdrawn => return Ok(()),
        Some(planned) => move_call(&mut transaction, me, stored, planned.due_at, planned.window, now)?,
        None => {
            let event = CallEvent::Cancelled { by: REPLANNED.to_owned() };
            let Ok(cancelled) = calls::apply(&mut transaction, me, stored, &event, now)? else { return Ok(()) };
            transaction.call(&cancelled);
        }
    }
    transaction.commit().await.map_err(contended)
}
