//! The gate: the one place through which every request of a function leaves its process.
//!
//! Requests to the table, to providers, to queues, timers and mail stop at the world's gate before they go out. An open gate
//! lets all pass at once. Another one may hold a request until it is its turn, refuse it, lose its answer, or end the
//! function that made it; so the tests decide between which two steps something goes wrong, and nothing is left to the speed
//! of the machine. Everything that passes is also told to the gate, with what it wrote.
//!
//! It lies above the table's SDK client as an HTTP connector, so the SDK's own retries come by as requests of their own.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    Table,
    Retell,
    WhatsApp,
    Twilio,
    Queue,
    Timers,
    Mail,
}

/// A request at the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    pub party: Party,
    /// `TransactWriteItems`, `POST create-phone-call`, `send`.
    pub operation: String,
    /// The entities that it names, in its order.
    pub entities: Vec<String>,
    /// Whether it changes anything.
    pub writes: bool,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ruling {
    Pass,
    /// Another transaction is at the same items; nothing is done (table only).
    Conflict,
    /// The table throttles; nothing is done (table only).
    Throttled,
    /// An error of the other side, with nothing done.
    Internal,
    /// A part of the keys is not read (batch reads only).
    Unprocessed,
    /// A refusal with this HTTP status (providers only).
    Status(u16),
    /// No answer comes, and nothing was done.
    LostBefore,
    /// No answer comes, and the work was done.
    LostAfter,
    /// The function ends before the request leaves.
    CrashBefore,
    /// The function ends after the work was done.
    CrashAfter,
}

/// A change that took place in the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub pk: String,
    pub sk: String,
    /// The item as it was put, as plain JSON; none for an update in place.
    pub item: Option<Value>,
    pub deleted: bool,
}

/// What came of a request that passed.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Read,
    Written(Vec<Written>),
    /// A condition did not hold.
    ConditionFailed,
    Failed,
    /// A provider's answer: what was asked, and the status.
    Answered {
        request: Value,
        status: u16,
    },
    /// A port took it.
    Taken,
}

#[async_trait]
pub trait Gate: Debug + Send + Sync {
    /// Waits for the request's turn and says what becomes of it. Never answers when the function is to end here.
    async fn enter(&self, passage: &Passage) -> Ruling;
    /// What came of a request.
    fn told(&self, _: &Passage, _: Told) {}
    /// Ends the function whose request passed last; never answers. Only a gate that rules a crash is asked.
    async fn end(&self) {
        std::future::pending().await
    }
    /// Whether it wants to know what the table's requests consume.
    fn meters(&self) -> bool {
        false
    }
    /// The capacity units that a request to the table consumed, read or written.
    fn consumed(&self, _: &Passage, _: f64) {}
}

/// Lets everything pass; others that wait for their turn come first, as they do while a real request is under way.
#[derive(Debug, Default)]
pub struct OpenGate;

#[async_trait]
impl Gate for OpenGate {
    async fn enter(&self, _: &Passage) -> Ruling {
        tokio::task::yield_now().await;
        Ruling::Pass
    }
}

/// Holds one request, of those that it is made for, once it is armed: between what its function read and what it writes.
#[derive(Debug)]
pub struct HoldsOne {
    which: fn(&Passage) -> bool,
    armed: AtomicBool,
    held: Notify,
    free: Notify,
}

impl HoldsOne {
    #[must_use]
    pub fn of(which: fn(&Passage) -> bool) -> Self {
        Self { which, armed: AtomicBool::new(false), held: Notify::new(), free: Notify::new() }
    }

    /// Holds the next such request.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Waits until the request is held.
    pub async fn held(&self) {
        self.held.notified().await;
    }

    /// Lets it go.
    pub fn let_go(&self) {
        self.free.notify_one();
    }
}

#[async_trait]
impl Gate for HoldsOne {
    async fn enter(&self, passage: &Passage) -> Ruling {
        if (self.which)(passage) && self.armed.swap(false, Ordering::SeqCst) {
            self.held.notify_one();
            self.free.notified().await;
        }
        Ruling::Pass
    }
}
