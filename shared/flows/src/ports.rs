//! Narrow ports to what surrounds the functions: queues, timers, mail. The AWS ends live in `ivy-runtime`, the tests'
//! doubles in `tests/world`; the doubles are as unkind as the real ones (at least once, in any order).

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;

/// The queues that flows write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    DueCalls,
    Messages,
    /// Messages that were given up, for people to look at and to send back; no function consumes it.
    MessagesDead,
    PlanUsers,
    EraseUsers,
    /// Calls that a person should look at; people consume it.
    Reviews,
    /// Effects that nobody can read, for a person to look at; no function consumes it.
    OutboxDead,
}

/// Why a port did not do its work. All are worth another try.
#[derive(Debug, thiserror::Error)]
#[error("{port} failed: {reason}")]
pub struct PortError {
    pub port: &'static str,
    pub reason: String,
}

#[async_trait]
pub trait Queues: Debug + Send + Sync {
    /// Puts JSON bodies on a queue, each delivered at least once after `delay` (at most 15 minutes). After an error any of them
    /// may be on it.
    async fn send_all(&self, queue: Queue, bodies: Vec<String>, delay: Duration) -> Result<(), PortError>;

    /// Puts one on it.
    async fn send(&self, queue: Queue, body: String, delay: Duration) -> Result<(), PortError> {
        self.send_all(queue, vec![body], delay).await
    }
}

/// A one-time schedule: at `at` (UTC, whole seconds) `body` goes to `queue`; it deletes itself afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Unique and deterministic, at most 64 characters of `[0-9A-Za-z-_.]`: setting it twice sets it once.
    pub name: String,
    pub at: Timestamp,
    pub queue: Queue,
    pub body: String,
}

#[async_trait]
pub trait Timers: Debug + Send + Sync {
    /// Sets a timer. One of the same name that is still waiting stays as it is.
    async fn set(&self, timer: Timer) -> Result<(), PortError>;
    /// Removes a timer; one that is not there is no error.
    async fn clear(&self, name: &str) -> Result<(), PortError>;
}

/// An e-mail of ours.
#[derive(Clone)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    /// Our message's id, as a tag.
    pub message_id: String,
}

impl Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}

#[async_trait]
pub trait Mailer: Debug + Send + Sync {
    /// Sends a mail and answers the service's id for it.
    async fn send(&self, mail: Mail) -> Result<String, ivy_providers::ProviderError>;
}
