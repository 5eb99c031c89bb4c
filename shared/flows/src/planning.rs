//! Planning days: which calls are made for whom, written ahead with their timers.
//!
//! `plan-day` finds the zones whose local day begins in the hour of its event and puts one job per zone and shard on a queue;
//! `plan-users` works a page of users off and puts the next page on the queue. A call's id follows from user, date and type, so
//! planning a day twice, from a replayed event or a repeated page, creates nothing new. A user whose zone, windows or
//! preferences changed is planned again for what remains of the day: calls that still wait are moved or cancelled.

use std::time::Duration;

use ivy_domain::{
    User, UserId, Zone,
    call::{Call, CallEvent, CallState, CallType},
    days,
    planning::{CallHistory, Channel, PlannedCall, call_id, calls_for},
};
use ivy_store::{Me, StoreError, StoredCall, keys};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Ivy, accounts, calls,
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
/// For so long after onboarding the first call may still be outstanding.
const ONBOARDING_DAYS: i32 = 15;

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
}

/// Puts a job on the queue for each shard of each zone whose local day begins in the hour from `hour` on.
///
/// # Errors
/// When the queue does not take a job; the event is delivered again and repeats the same jobs.
pub async fn plan_day(hour: Timestamp, queues: &dyn Queues) -> Result<usize, Error> {
    let zones = days::zones_whose_day_begins(hour, hour + SignedDuration::from_hours(1));
    let mut jobs = 0;
    for (zone, date) in zones {
        for shard in 0..keys::SHARDS {
            let job = PlanJob::Page { zone: zone.clone(), shard, date, after: None };
            queues.send(Queue::PlanUsers, json(&job)?, Duration::ZERO).await?;
            jobs += 1;
        }
    }
    Ok(jobs)
}

/// Works one job off.
///
/// # Errors
/// When the table or the queue fails; the job is delivered again.
pub async fn plan_users(ivy: &Ivy, queues: &dyn Queues, job: &PlanJob) -> Result<(), Error> {
    match job {
        PlanJob::Page { zone, shard, date, after } => {
            let page = ivy.store.users_of_zone(zone.as_str(), *shard, PAGE, *after).await?;
            // First the pages behind this one: what goes wrong here must not keep them from their day.
            if page.next.is_some()
                && let Some(last) = page.items.last()
            {
                let next = PlanJob::Page { zone: zone.clone(), shard: *shard, date: *date, after: Some(*last) };
                queues.send(Queue::PlanUsers, json(&next)?, Duration::ZERO).await?;
            }
            let mut failure = None;
            for profile in ivy.store.profiles(&page.items).await? {
                // The index may be behind a move to another zone, which planned the user by itself.
                if profile.user.timezone == *zone
                    && let Err(error) = plan_page_user(ivy, &profile.user, *date).await
                {
                    tracing::error!(event = "user_not_planned", user_id = %profile.user.id, error = error.name());
                    failure = Some(error);
                }
            }
            failure.map_or(Ok(()), Err)
        }
        PlanJob::User { user_id, dates, from } => match ivy.me(*user_id).await {
            Ok(_) => replan_user(ivy, *user_id, dates, *from).await,
            Err(Error::NotFound(_)) => {
                tracing::info!(event = "user_gone", user_id = %user_id);
                Ok(())
            }
            Err(other) => Err(other),
        },
        PlanJob::Wallets { zone, shard, after } => wallets::reset_page(ivy, queues, zone, *shard, *after).await,
        PlanJob::Resume { user_id } => accounts::resume_when_due(ivy, *user_id).await,
    }
}

/// Plans a user of a page, whose pause may be over without its timer having said so.
async fn plan_page_user(ivy: &Ivy, user: &User, date: Date) -> Result<(), Error> {
    let mut user = user.clone();
    if user.resume_if_due(ivy.now()) {
        tracing::warn!(event = "pause_ended_by_planning", user_id = %user.id);
        accounts::resume_when_due(ivy, user.id).await?;
    }
    plan_user(ivy, &user, date).await
}

fn voice_calls(user: &User, date: Date, history: &CallHistory) -> Vec<PlannedCall> {
    calls_for(user, date, history).into_iter().filter(|planned| planned.channel == Channel::Voice).collect()
}

fn new_call(user: &User, planned: &PlannedCall, now: Timestamp) -> StoredCall {
    let id = call_id(user.id, planned.date, planned.call_type);
    let zone = user.timezone.clone();
    StoredCall::new(Call::scheduled(id, user.id, planned.call_type, planned.due_at, planned.window, zone, now))
}

/// Plans a whole day of a user. Calls that exist stay as they are.
async fn plan_user(ivy: &Ivy, user: &User, date: Date) -> Result<(), Error> {
    let recently = user
        .onboarded_at
        .is_some_and(|at| days::days_between(days::local_date(at, &user.timezone), date) <= ONBOARDING_DAYS);
    let onboarding_call_done =
        if recently { ivy.store.me(user.id).await?.is_none_or(|me| me.contact.onboarding_call_done) } else { true };
    for planned in voice_calls(user, date, &CallHistory { onboarding_call_done }) {
        create_call(ivy, user, &planned).await?;
    }
    Ok(())
}

/// Writes a planned call with its timer, unless it is there already.
async fn create_call(ivy: &Ivy, user: &User, planned: &PlannedCall) -> Result<(), Error> {
    let now = ivy.now();
    let stored = new_call(user, planned, now);
    let effect = Effect::SetCallTimer { user_id: user.id, call_id: stored.call.id, due_at: planned.due_at };
    let mut transaction = ivy.store.transaction();
    transaction.call(&stored);
    outbox::add(&mut transaction, &effect, now)?;
    match transaction.commit().await {
        Ok(()) => {
            let call_type = planned.call_type.name();
            tracing::info!(event = "call_scheduled", call_id = %stored.call.id, user_id = %user.id, call_type);
            Ok(())
        }
        Err(StoreError::ConditionFailed(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Brings the planned calls of some days in line with the user as they are now, from a moment on. Days other than today in
/// the user's zone keep nothing that still waits: they were planned under another zone.
async fn replan_user(ivy: &Ivy, user: UserId, dates: &[Date], from: Timestamp) -> Result<(), Error> {
    for date in dates {
        until_settled(ivy, || async move {
            let me = ivy.me(user).await?;
            let history = CallHistory { onboarding_call_done: me.contact.onboarding_call_done };
            let mut wanted = Vec::new();
            if *date == days::local_date(from, &me.user().timezone) {
                wanted = voice_calls(me.user(), *date, &history);
            }
            let ids: Vec<_> = CallType::ALL.iter().map(|call_type| call_id(user, *date, *call_type)).collect();
            for stored in ivy.store.calls(user, &ids).await? {
                // A time that the user chose stays, whatever the plan says now.
                if stored.call.state == CallState::Scheduled && stored.call.was_rescheduled() {
                    wanted.retain(|planned| planned.call_type != stored.call.call_type);
                    continue;
                }
                let planned = wanted.iter().find(|planned| planned.call_type == stored.call.call_type);
                // A call that is overdue waits for a slot or for the provider: in the same window it stays as it is.
                let waits = stored.call.state == CallState::Scheduled;
                let same_window = planned.is_some_and(|planned| planned.window == stored.call.window);
                if !(waits && same_window) {
                    realign(ivy, &me, &stored, planned.filter(|planned| planned.due_at >= from)).await?;
                }
                wanted.retain(|planned| planned.call_type != stored.call.call_type);
            }
            for planned in wanted.iter().filter(|planned| planned.due_at >= from) {
                create_call(ivy, me.user(), planned).await?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Moves, cancels or brings back a call that has not begun and is planned differently now.
async fn realign(ivy: &Ivy, me: &Me, stored: &StoredCall, planned: Option<&PlannedCall>) -> Result<(), Error> {
    let now = ivy.now();
    let call = &stored.call;
    let withdrawn =
        call.state == CallState::Cancelled && call.cause.as_deref().is_some_and(|cause| WITHDRAWN.contains(&cause));
    if call.state != CallState::Scheduled && !withdrawn {
        return Ok(());
    }
    let mut transaction = ivy.store.transaction();
    match planned {
        // The change that withdrew it was taken back: the call begins anew, under the id that it always has.
        Some(planned) if withdrawn => {
            let mut again = new_call(me.user(), planned, now);
            again.call.history.clone_from(&call.history);
            again.call.created_at = call.created_at;
            again.call.version = call.version;
            transaction.call(&again);
            let effect = Effect::SetCallTimer { user_id: call.user_id, call_id: call.id, due_at: planned.due_at };
            outbox::add(&mut transaction, &effect, now)?;
        }
        None if withdrawn => return Ok(()),
        Some(planned) => {
            let mut moved = stored.clone();
            moved.call.due_at = planned.due_at;
            moved.call.scheduled_time = planned.due_at;
            moved.call.window = planned.window;
            moved.call.timezone = me.user().timezone.clone();
            moved.call.updated_at = now;
            transaction.call(&moved);
            outbox::add(&mut transaction, &Effect::ClearCallTimer { call_id: call.id, due_at: call.due_at }, now)?;
            let effect = Effect::SetCallTimer { user_id: call.user_id, call_id: call.id, due_at: planned.due_at };
            outbox::add(&mut transaction, &effect, now)?;
        }
        None => {
            let event = CallEvent::Cancelled { by: REPLANNED.to_owned() };
            let Ok(cancelled) = calls::apply(&mut transaction, me, stored, &event, now)? else { return Ok(()) };
            transaction.call(&cancelled);
        }
    }
    transaction.commit().await.map_err(contended)
}
