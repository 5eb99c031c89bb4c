//! Messages that the calendar sends: reminders before workouts, the week's summary, the month's receipt.
//!
//! Each job goes by its event's own scheduled time and puts pages on the `plan-users` queue; a message's id follows from what it
//! is about, so a replayed event, a repeated page or a second worker writes it once.
//!
//! What a job costs grows with what it sends. Reminders stand in an index by the minute of their workout, receipts in one by
//! month; whoever has neither is not looked at. The summary goes to everybody who is written to, when it becomes Sunday, 18:00
//! where they live: every quarter of an hour, since clocks are whole quarters off UTC, so nobody gets it before.

use std::time::Duration;

use ivy_domain::{
    MessageId, UserId, WorkoutId, Zone, days,
    message::{Notice, Via},
    user::UserStatus,
    workout::{Workout, WorkoutStatus},
};
use ivy_store::{Me, StoreError, keys};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time, Weekday},
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Ivy,
    completions::Ledger,
    messages::{self, Outgoing},
    outbox::json,
    planning::{self, PlanJob},
    ports::{Queue, Queues},
    retrying::{contended, until_settled},
};

/// Reminders go out for workouts of so long from the event's time on.
const REMINDED_AHEAD: SignedDuration = SignedDuration::from_mins(60);
/// Who plans for a moment ahead needs no reminder.
const SHORTEST_NOTICE: SignedDuration = SignedDuration::from_mins(10);
/// Workouts, or users, of one job.
const PAGE: u32 = 25;
/// The local time at which the week's summary goes out.
const SUMMARY_AT: Time = Time::constant(18, 0, 0, 0);
/// From one run of the summaries to the next.
const QUARTER: SignedDuration = SignedDuration::from_mins(15);
/// A summary or a receipt that could not be sent by then would only puzzle.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// A workout to be reminded of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToRemind {
    pub user_id: UserId,
    pub workout_id: WorkoutId,
}

/// `send-reminders`: finds the workouts of the next hour that nobody was reminded of.
///
/// # Errors
/// When the table or the queue fails; the event is delivered again and repeats the same jobs.
pub async fn send_reminders(ivy: &Ivy, scheduled: Timestamp, queues: &dyn Queues) -> Result<usize, Error> {
    let mut found = 0;
    for shard in 0..keys::SHARDS {
        let workouts = ivy.store.workouts_to_remind(shard, scheduled, scheduled + REMINDED_AHEAD).await?;
        found += workouts.len();
        let job = |page: &[(UserId, WorkoutId)]| {
            let items =
                page.iter().map(|(user_id, workout_id)| ToRemind { user_id: *user_id, workout_id: *workout_id });
            json(&PlanJob::Remind { items: items.collect() })
        };
        let jobs = workouts.chunks(PAGE as usize).map(job).collect::<Result<_, _>>()?;
        queues.send_all(Queue::PlanUsers, jobs, Duration::ZERO).await?;
    }
    Ok(found)
}

/// Works a page of reminders off.
pub(crate) async fn remind(ivy: &Ivy, items: &[ToRemind]) -> Result<(), Error> {
    let mut failure = None;
    for item in items {
        // One that cannot be reminded of must not keep the others from it.
        if let Err(error) = until_settled(ivy, || remind_of(ivy, item)).await {
            tracing::error!(event = "not_reminded", user_id = %item.user_id, error = error.name());
            failure = Some(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn remind_of(ivy: &Ivy, item: &ToRemind) -> Result<(), Error> {
    let now = ivy.now();
    let (Some(me), Some(workout)) = ivy.store.me_and_workout(item.user_id, item.workout_id).await? else {
        return Ok(());
    };
    let me = me.at(now);
    let Some(time) = workout.planned_time.filter(|time| *time > now) else { return Ok(()) };
    if workout.status != WorkoutStatus::Planned || workout.reminded {
        return Ok(());
    }
    let reminded = Workout { reminded: true, updated_at: now, ..workout.clone() };
    let mut ledger = Ledger::open(ivy, &me, now).await?;
    ledger.change(reminded);
    let mut transaction = ivy.store.transaction();
    ledger.write(&mut transaction)?;
    let wanted = me.user().status == UserStatus::Active && time.duration_since(workout.updated_at) >= SHORTEST_NOTICE;
    if wanted {
        let notice = Notice::WorkoutReminder {
            name: me.user().first_name.clone(),
            time: me.user().timezone.time_zone().to_datetime(time).time(),
            activity: workout.planned_activity.clone(),
        };
        // Moved away and back, a workout is reminded of again: each of its versions has one reminder.
        let id = MessageId::derive(workout.date, &[&workout.id.to_string(), "reminder", &workout.version.to_string()]);
        let outgoing = Outgoing {
            id: Some(id),
            workout_id: Some(workout.id),
            not_after: Some(time),
            ..Outgoing::new(Via::Whatsapp, notice)
        };
        messages::add_if_allowed(&mut transaction, &me, outgoing, now)?;
    }
    transaction.commit().await.map_err(contended)
}

/// `weekly-summaries`: a job for each shard of each zone in which it becomes Sunday, 18:00 in the quarter of an hour from
/// `quarter` on.
///
/// # Errors
/// When the queue does not take a job; the event is delivered again and repeats the same jobs.
pub async fn weekly_summaries(quarter: Timestamp, queues: &dyn Queues) -> Result<usize, Error> {
    let mut zones = days::zones_that_show(SUMMARY_AT, quarter, quarter + QUARTER);
    zones.retain(|(_, date)| date.weekday() == Weekday::Sunday);
    planning::begin_pages(queues, zones, |zone, shard, date| PlanJob::Weekly { zone, shard, date, after: None }).await
}

/// Works a page of a zone's users off.
pub(crate) async fn summarise_page(
    ivy: &Ivy,
    queues: &dyn Queues,
    (zone, shard, date): (&Zone, u64, Date),
    after: Option<UserId>,
) -> Result<(), Error> {
    let page = ivy.store.users_of_zone(zone.as_str(), shard, PAGE, after).await?;
    let behind = |last| PlanJob::Weekly { zone: zone.clone(), shard, date, after: Some(last) };
    planning::next_page(queues, &page, behind).await?;
    let mut failure = None;
    for user in page.items {
        if let Err(error) = summarise(ivy, user, zone, date).await {
            tracing::error!(event = "week_not_summarised", user_id = %user, error = error.name());
            failure = Some(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn summarise(ivy: &Ivy, user: UserId, zone: &Zone, date: Date) -> Result<(), Error> {
    let now = ivy.now();
    let Some(me) = ivy.store.me(user).await?.map(|me| me.at(now)) else { return Ok(()) };
    // The index may be behind a move to another zone.
    if me.user().timezone != *zone || me.user().status != UserStatus::Active {
        return Ok(());
    }
    let monday = days::monday_of(date);
    let wallet = me.wallet(now);
    let donated = wallet.daily.range(monday..=date).map(|(_, amount)| *amount).sum();
    let notice = Notice::WeeklySummary {
        done: me.counters.workouts_in_week_of(date),
        goal: me.user().weekly_goal.get(),
        donated,
        energy: me.counters.scores.energy.as_ref().and_then(|track| i64::from(track.current).try_into().ok()),
    };
    let id = MessageId::derive(date, &[&user.to_string(), "weekly_summary"]);
    send_once(ivy, &me, id, notice, now).await
}

/// `monthly-receipts`: a job for each shard of the month before the event's.
///
/// # Errors
/// When the queue does not take a job; the event is delivered again and repeats the same jobs.
pub async fn monthly_receipts(scheduled: Timestamp, queues: &dyn Queues) -> Result<usize, Error> {
    // The event comes at noon UTC on the first, when it is the first everywhere.
    let today = scheduled.to_zoned(jiff::tz::TimeZone::UTC).date();
    let month = days::month(days::plus_days(today.first_of_month(), -1));
    let job = |shard| json(&PlanJob::Receipts { month: month.clone(), shard, after: None });
    let jobs: Vec<String> = (0..keys::SHARDS).map(job).collect::<Result<_, _>>()?;
    let count = jobs.len();
    queues.send_all(Queue::PlanUsers, jobs, Duration::ZERO).await?;
    Ok(count)
}

/// Works a page of the receipts of a month off.
pub(crate) async fn receipts_page(
    ivy: &Ivy,
    queues: &dyn Queues,
    month: &str,
    shard: u64,
    after: Option<UserId>,
) -> Result<(), Error> {
    let page = ivy.store.users_with_receipts(month, shard, PAGE, after).await?;
    let behind = |last| PlanJob::Receipts { month: month.to_owned(), shard, after: Some(last) };
    planning::next_page(queues, &page, behind).await?;
    let mut failure = None;
    for user in page.items {
        if let Err(error) = send_receipt(ivy, user, month).await {
            tracing::error!(event = "receipt_not_sent", user_id = %user, error = error.name());
            failure = Some(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn send_receipt(ivy: &Ivy, user: UserId, month: &str) -> Result<(), Error> {
    let now = ivy.now();
    let (Some(me), Some(receipt)) = (ivy.store.me(user).await?, ivy.store.receipt_of(user, month).await?) else {
        return Ok(());
    };
    let first: Option<Date> = format!("{month}-01").parse().ok();
    let Some(first) = first else { return Err(Error::Impossible("a receipt has no month".to_owned())) };
    let notice = Notice::MonthlyReceipt {
        month: first.strftime("%B %Y").to_string(),
        donated: receipt.donated(),
        donations: receipt.donations(),
    };
    let id = MessageId::derive(first, &[&user.to_string(), "monthly_receipt"]);
    send_once(ivy, &me.at(now), id, notice, now).await
}

/// Queues a message that has its id from what it is about, unless it was queued before.
async fn send_once(ivy: &Ivy, me: &Me, id: MessageId, notice: Notice, now: Timestamp) -> Result<(), Error> {
    let mut transaction = ivy.store.transaction();
    let outgoing = Outgoing { id: Some(id), not_after: Some(now + GOOD_FOR), ..Outgoing::new(Via::Whatsapp, notice) };
    messages::add_if_allowed(&mut transaction, me, outgoing, now)?;
    if transaction.is_empty() {
        return Ok(());
    }
    match transaction.commit().await {
        Ok(()) | Err(StoreError::ConditionFailed(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
