//! The outbox: effects written with the change that causes them, carried out by `publish-outbox` from the table's stream.
//!
//! Delivery is at least once and in no promised order, so every effect is safe to repeat: timers have deterministic names,
//! messages and calls are claimed by a conditional write before anything leaves. Effects hold ids only, never words or numbers.

use std::time::Duration;

use ivy_domain::{CallId, MessageId, UserId};
use ivy_store::Transaction;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Error, metrics,
    ports::{Queue, Queues, Timer, Timers},
};

/// The longest delay of a queue; anything later is a timer.
const LONGEST_QUEUE_DELAY_SECONDS: i64 = 900;

/// A call that is due sooner than this is woken by its queue.
const SOONEST_TIMER_SECONDS: u64 = 60;

/// What is to be done after a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// Send a message, not before a time.
    SendMessage { user_id: UserId, message_id: MessageId, not_before: Timestamp },
    /// Wake a call when it is due.
    SetCallTimer { user_id: UserId, call_id: CallId, due_at: Timestamp },
    /// Put the job of a message that was given up among the dead letters, from where people send it back.
    PutMessageAside { user_id: UserId, message_id: MessageId, given_up_at: Timestamp },
    /// The call's timer is not needed any more.
    ClearCallTimer { call_id: CallId, due_at: Timestamp },
    /// Plan what remains of a user's day again, after a change of what the plan follows from.
    PlanUser { user_id: UserId, dates: Vec<Date>, from: Timestamp },
    /// End a user's pause at a time.
    SetResumeTimer { user_id: UserId, at: Timestamp },
    /// The pause ends otherwise.
    ClearResumeTimer { user_id: UserId, at: Timestamp },
    /// Pause a user who asked for it in a call.
    PauseAfterCall { user_id: UserId, call_id: CallId },
    /// Call a user no more who told the voice provider so.
    StopCallsAfterCall { user_id: UserId, said_at: Timestamp },
    /// Have a person look at a call.
    Review { user_id: UserId, call_id: CallId, reason: ReviewReason },
    /// Erase a person whose account was closed.
    EraseUser { user_id: UserId, receipt_id: String },
}

/// Why a person should look at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewReason {
    /// Somebody may be in danger. For every tier, at once.
    Safety,
    /// The user was unhappy with the call, or gave up in it. For tiers with human review.
    Unhappy,
}

/// A call to be looked at: the body on the `reviews` queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub user_id: UserId,
    pub call_id: CallId,
    pub reason: ReviewReason,
}

/// A call that is due: the body on the `due-calls` queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueCall {
    pub user_id: UserId,
    pub call_id: CallId,
    /// The due time that this wake-up belongs to; a wake-up for another time is out of date.
    pub due_at: Timestamp,
}

/// A message to send: the body on the `messages` queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageToSend {
    pub user_id: UserId,
    pub message_id: MessageId,
    /// When it was given up, in a job that was put among the dead letters: whoever sends that back has it tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up_at: Option<Timestamp>,
}

impl MessageToSend {
    #[must_use]
    pub const fn new(user_id: UserId, message_id: MessageId) -> Self {
        Self { user_id, message_id, given_up_at: None }
    }
}

pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::Impossible(e.to_string()))
}

/// Adds an effect to the transaction that causes it.
pub(crate) fn add(transaction: &mut Transaction<'_>, effect: &Effect, now: Timestamp) -> Result<(), Error> {
    transaction.outbox(&Uuid::new_v4().to_string(), &json(effect)?, now);
    Ok(())
}

/// Puts an outbox item that nobody can read where a person finds it. Effects hold ids only, so it goes there whole.
///
/// # Errors
/// When the queue does not take it; the stream delivers it again.
pub async fn put_aside(item: &serde_json::Value, queues: &dyn Queues) -> Result<(), Error> {
    tracing::error!(event = "outbox_effect_unreadable");
    metrics::count("poison_message", &[]);
    Ok(queues.send(Queue::OutboxDead, item.to_string(), Duration::ZERO).await?)
}

fn resume_timer_name(user: UserId, at: Timestamp) -> String {
    format!("resume-{user}-{}", at.as_second())
}

fn call_timer_name(call: CallId, due_at: Timestamp) -> String {
    format!("call-{call}-{}", due_at.as_second())
}

/// Carries out one effect.
///
/// # Errors
/// When a queue or the scheduler does not take it; the stream delivers it again.
pub async fn publish(effect: &Effect, now: Timestamp, queues: &dyn Queues, timers: &dyn Timers) -> Result<(), Error> {
    match effect {
        Effect::SendMessage { user_id, message_id, not_before } => {
            let body = json(&MessageToSend::new(*user_id, *message_id))?;
            let name = format!("message-{message_id}-{}", not_before.as_second());
            wake(queues, timers, Queue::Messages, name, *not_before, now, body).await
        }
        Effect::SetCallTimer { user_id, call_id, due_at } => {
            let body = json(&DueCall { user_id: *user_id, call_id: *call_id, due_at: *due_at })?;
            // The scheduler keeps time to the minute; what is due sooner goes by the queue, which keeps it to the second.
            let seconds = due_at.duration_since(now).as_secs().max(0).unsigned_abs();
            if seconds < SOONEST_TIMER_SECONDS {
                return Ok(queues.send(Queue::DueCalls, body, Duration::from_secs(seconds)).await?);
            }
            let timer = Timer { name: call_timer_name(*call_id, *due_at), at: *due_at, queue: Queue::DueCalls, body };
            Ok(timers.set(timer).await?)
        }
        Effect::PutMessageAside { user_id, message_id, given_up_at } => {
            let job = MessageToSend { given_up_at: Some(*given_up_at), ..MessageToSend::new(*user_id, *message_id) };
            Ok(queues.send(Queue::MessagesDead, json(&job)?, Duration::ZERO).await?)
        }
        Effect::ClearCallTimer { call_id, due_at } => Ok(timers.clear(&call_timer_name(*call_id, *due_at)).await?),
        Effect::PlanUser { user_id, dates, from } => {
            let job = crate::planning::PlanJob::User { user_id: *user_id, dates: dates.clone(), from: *from };
            Ok(queues.send(Queue::PlanUsers, json(&job)?, Duration::ZERO).await?)
        }
        Effect::SetResumeTimer { user_id, at } => {
            let body = json(&crate::planning::PlanJob::Resume { user_id: *user_id })?;
            let timer = Timer { name: resume_timer_name(*user_id, *at), at: *at, queue: Queue::PlanUsers, body };
            Ok(timers.set(timer).await?)
        }
        Effect::ClearResumeTimer { user_id, at } => Ok(timers.clear(&resume_timer_name(*user_id, *at)).await?),
        Effect::PauseAfterCall { user_id, call_id } => {
            let job = crate::planning::PlanJob::PauseAfterCall { user_id: *user_id, call_id: *call_id };
            Ok(queues.send(Queue::PlanUsers, json(&job)?, Duration::ZERO).await?)
        }
        Effect::StopCallsAfterCall { user_id, said_at } => {
            let job = crate::planning::PlanJob::StopCallsAfterCall { user_id: *user_id, said_at: *said_at };
            Ok(queues.send(Queue::PlanUsers, json(&job)?, Duration::ZERO).await?)
        }
        Effect::Review { user_id, call_id, reason } => {
            let review = Review { user_id: *user_id, call_id: *call_id, reason: *reason };
            Ok(queues.send(Queue::Reviews, json(&review)?, Duration::ZERO).await?)
        }
        Effect::EraseUser { user_id, receipt_id } => {
            let job = crate::erasure::EraseJob { user_id: *user_id, receipt_id: receipt_id.clone() };
            Ok(queues.send(Queue::EraseUsers, json(&job)?, crate::erasure::GRACE).await?)
        }
    }
}

/// Puts a body on a queue at a time: by the queue's own delay when that is long enough, else by a timer.
pub(crate) async fn wake(
    queues: &dyn Queues,
    timers: &dyn Timers,
    queue: Queue,
    name: String,
    at: Timestamp,
    now: Timestamp,
    body: String,
) -> Result<(), Error> {
    let seconds = at.duration_since(now).as_secs().max(0);
    if seconds <= LONGEST_QUEUE_DELAY_SECONDS {
        let delay = Duration::from_secs(seconds.unsigned_abs());
        return Ok(queues.send(queue, body, delay).await?);
    }
    Ok(timers.set(Timer { name, at, queue, body }).await?)
}
