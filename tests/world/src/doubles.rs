//! Doubles of the ports, as unkind as the real ones: a queue may deliver twice and in another order, and comes again until
//! its message was dealt with or its dead-letter queue takes it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ivy_flows::{
    Clock,
    ports::{Mail, Mailer, PortError, Queue, Queues, Timer, Timers},
};
use ivy_providers::ProviderError;
use jiff::{SignedDuration, Timestamp};

use crate::{
    TestClock,
    gate::{Gate, Party, Passage, Ruling, Told},
};

/// Does a port's work as the gate rules; whether an answer came.
async fn pass(gate: &dyn Gate, party: Party, operation: &str, about: &str, work: impl FnOnce() + Send) -> bool {
    let entities = vec![about.to_owned()];
    let passage = Passage { party, operation: operation.to_owned(), entities, writes: true };
    let ruling = gate.enter(&passage).await;
    if matches!(ruling, Ruling::Pass | Ruling::LostAfter | Ruling::CrashAfter) {
        work();
        gate.told(&passage, Told::Taken);
    }
    if ruling == Ruling::CrashAfter {
        gate.end().await;
    }
    ruling == Ruling::Pass
}

fn no_answer(port: &'static str) -> PortError {
    PortError { port, reason: "no_answer".to_owned() }
}

/// A message on a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    pub id: String,
    pub queue: Queue,
    pub body: String,
    pub visible_at: Timestamp,
    pub receive_count: u32,
}

/// Deliveries before a message goes to the dead letters.
const MOST_DELIVERIES: u32 = 5;
/// How long a failed message stays invisible.
const VISIBILITY: SignedDuration = SignedDuration::from_secs(60);

#[derive(Debug)]
pub struct TestQueues {
    clock: Arc<TestClock>,
    gate: Arc<dyn Gate>,
    messages: Mutex<Vec<QueuedMessage>>,
    dead: Mutex<Vec<QueuedMessage>>,
    /// Every message is delivered twice.
    pub twice: AtomicBool,
    /// The newest message is delivered first.
    pub reversed: AtomicBool,
}

impl TestQueues {
    pub(crate) fn new(clock: Arc<TestClock>, gate: Arc<dyn Gate>) -> Self {
        Self {
            clock,
            gate,
            messages: Mutex::default(),
            dead: Mutex::default(),
            twice: AtomicBool::default(),
            reversed: AtomicBool::default(),
        }
    }

    fn messages(&self) -> std::sync::MutexGuard<'_, Vec<QueuedMessage>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits on the queues, also what is not visible yet.
    pub fn waiting(&self) -> Vec<QueuedMessage> {
        self.messages().clone()
    }

    /// What ended in the dead-letter queues.
    pub fn dead_letters(&self) -> Vec<QueuedMessage> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn next_visible_at(&self) -> Option<Timestamp> {
        self.messages().iter().map(|message| message.visible_at).min()
    }

    /// Takes one visible message off.
    pub fn take(&self) -> Option<QueuedMessage> {
        let now = self.clock.now();
        let mut messages = self.messages();
        let visible = |message: &QueuedMessage| message.visible_at <= now;
        let index = if self.reversed.load(Ordering::Relaxed) {
            messages.iter().rposition(visible)
        } else {
            messages.iter().position(visible)
        }?;
        let mut message = messages.remove(index);
        message.receive_count += 1;
        Some(message)
    }

    /// Puts a message back that was not dealt with.
    pub fn give_back(&self, mut message: QueuedMessage) {
        let aside = matches!(message.queue, Queue::OutboxDead | Queue::MessagesDead);
        if message.receive_count >= MOST_DELIVERIES || aside {
            self.dead.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        } else {
            message.visible_at = self.clock.now() + VISIBILITY;
            self.messages().push(message);
        }
    }

    /// Sends the dead letters of messages back to their queue, as `start-message-move-task` does; how many there were.
    pub fn send_messages_back(&self) -> usize {
        let (back, kept) = {
            let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
            let of_messages = |message: &QueuedMessage| matches!(message.queue, Queue::Messages | Queue::MessagesDead);
            std::mem::take(&mut *dead).into_iter().partition::<Vec<_>, _>(of_messages)
        };
        *self.dead.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        let count = back.len();
        for message in back {
            self.put(Queue::Messages, message.body, self.clock.now());
        }
        count
    }

    /// Puts a message back as it is, for a test that counts deliveries itself.
    pub fn put_back(&self, message: QueuedMessage) {
        self.messages().push(message);
    }

    pub fn put(&self, queue: Queue, body: String, visible_at: Timestamp) {
        let id = uuid::Uuid::new_v4().to_string();
        self.messages().push(QueuedMessage { id, queue, body, visible_at, receive_count: 0 });
    }
}

#[async_trait]
impl Queues for TestQueues {
    async fn send_all(&self, queue: Queue, bodies: Vec<String>, delay: Duration) -> Result<(), PortError> {
        assert!(delay <= Duration::from_secs(900), "SQS delays a message for at most 15 minutes, not {delay:?}");
        let visible_at = self.clock.now() + SignedDuration::try_from(delay).unwrap();
        // Each passes the gate by itself: of a batch any may be taken and the others not.
        let mut refused = false;
        for body in bodies {
            let work = || {
                for _ in 0..=u8::from(self.twice.load(Ordering::Relaxed)) {
                    self.put(queue, body.clone(), visible_at);
                }
            };
            let about = format!("{queue:?}");
            refused |= !pass(self.gate.as_ref(), Party::Queue, "send", &about, work).await;
        }
        if refused { Err(no_answer("sqs")) } else { Ok(()) }
    }
}

#[derive(Debug)]
pub struct TestTimers {
    /// In the order in which they were set: names hold random ids, which must not decide what comes first.
    timers: Mutex<Vec<Timer>>,
    gate: Arc<dyn Gate>,
}

impl TestTimers {
    pub(crate) fn new(gate: Arc<dyn Gate>) -> Self {
        Self { timers: Mutex::default(), gate }
    }

    fn timers(&self) -> std::sync::MutexGuard<'_, Vec<Timer>> {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The timers that are set, earliest first.
    pub fn set_timers(&self) -> Vec<Timer> {
        let mut timers: Vec<Timer> = self.timers().clone();
        timers.sort_by_key(|timer| timer.at);
        timers
    }

    /// Forgets the timers of calls.
    pub fn lose_calls(&self) {
        self.timers().retain(|timer| timer.queue != Queue::DueCalls);
    }

    /// Forgets every timer, as if the scheduler had lost them.
    pub fn lose_all(&self) {
        self.timers().clear();
    }

    pub fn take_due(&self, now: Timestamp) -> Vec<Timer> {
        self.timers().extract_if(.., |timer| timer.at <= now).collect()
    }
}

#[async_trait]
impl Timers for TestTimers {
    async fn set(&self, timer: Timer) -> Result<(), PortError> {
        assert!(timer.name.len() <= 64, "EventBridge names have at most 64 characters: {}", timer.name);
        let about = format!("{:?}", timer.queue);
        let work = || {
            let mut timers = self.timers();
            if timers.iter().all(|known| known.name != timer.name) {
                timers.push(timer);
            }
        };
        let passed = pass(self.gate.as_ref(), Party::Timers, "set", &about, work).await;
        passed.then_some(()).ok_or_else(|| no_answer("scheduler"))
    }

    async fn clear(&self, name: &str) -> Result<(), PortError> {
        let work = || {
            self.timers().retain(|timer| timer.name != name);
        };
        let passed = pass(self.gate.as_ref(), Party::Timers, "clear", "", work).await;
        passed.then_some(()).ok_or_else(|| no_answer("scheduler"))
    }
}

#[derive(Debug)]
pub struct TestMailer {
    sent: Mutex<Vec<Mail>>,
    gate: Arc<dyn Gate>,
}

impl TestMailer {
    pub(crate) fn new(gate: Arc<dyn Gate>) -> Self {
        Self { sent: Mutex::default(), gate }
    }

    pub fn sent(&self) -> Vec<Mail> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Mailer for TestMailer {
    async fn send(&self, mail: Mail) -> Result<String, ProviderError> {
        let mut id = String::new();
        let work = || {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.push(mail);
            id = format!("mail-{}", sent.len());
        };
        // SES tells nobody whether a mail without an answer was taken.
        let passed = pass(self.gate.as_ref(), Party::Mail, "send", "", work).await;
        if passed { Ok(id) } else { Err(ProviderError::Unknown) }
    }
}
