//! The schedule: which function runs, up to which request, and what goes wrong there.
//!
//! The functions of a burst run as tasks of one thread, and only the one that holds the baton runs: up to its next request,
//! where it stops at the gate until the schedule, by the seed, hands it the baton again. Between two requests a function
//! touches nothing that others see, so stopping before each request yields every order that could matter; a stop after
//! the reply would only double the steps. What a task awaits otherwise (the relay's socket, a pause) it awaits with the
//! baton in hand. So a seed fixes the order of all requests, and with it everything that follows.
//!
//! When no burst runs (setting up, checking) the gate is open and nothing is recorded but what was written.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use ivy_world::gate::{Gate, Party, Passage, Ruling, Told, Written};
use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::chance::Chance;

/// What a task of a burst came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// A request was answered with this status and body.
    Answered(u16, Value),
    /// A job of a queue, of the stream or of the clock was dealt with, or a part of it.
    Did(usize),
}

pub(crate) type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One function to run in a burst.
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) work: Work,
}

/// How a task ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Nothing when it crashed.
    pub(crate) outcome: Option<Outcome>,
    /// Whether something was made to go wrong in it.
    pub(crate) disturbed: bool,
}

/// What happened, in order: the invariants are checked against it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    /// The task's number in the whole run; none outside of bursts.
    pub(crate) task: Option<usize>,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Read(String),
    Wrote(Vec<Written>),
    Asked { party: Party, request: Value, status: u16 },
}

/// Counts for the report.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) tasks: u64,
    pub(crate) bursts: u64,
    pub(crate) conflicts: u64,
    pub(crate) crashes: u64,
    pub(crate) faults: BTreeMap<String, u64>,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.tasks += other.tasks;
        self.bursts += other.bursts;
        self.conflicts += other.conflicts;
        self.crashes += other.crashes;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
    }
}

enum Event {
    Parked,
    Finished(usize),
    Crashed(usize),
}

struct State {
    chance: Chance,
    /// Faults in a thousand requests.
    per_mille: u32,
    /// Faults that may still be injected.
    budget: u32,
    /// The function that makes this request, counted from the beginning of its story, crashes before or after it.
    crash: Option<(u64, Ruling)>,
    /// Which requests change something outside.
    telling: Vec<u64>,
    now: Timestamp,
    running: Option<usize>,
    waiting: BTreeMap<usize, oneshot::Sender<()>>,
    names: BTreeMap<usize, String>,
    handles: BTreeMap<usize, JoinHandle<Outcome>>,
    disturbed: BTreeMap<usize, bool>,
    started: usize,
    trace: Vec<String>,
    journal: Vec<Entry>,
    counts: Counts,
}

pub(crate) struct Schedule {
    state: Mutex<State>,
    events: mpsc::UnboundedSender<Event>,
    heard: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schedule")
    }
}

impl Schedule {
    pub(crate) fn new(seed: u64, now: Timestamp) -> Self {
        let (events, heard) = mpsc::unbounded_channel();
        let state = State {
            chance: Chance::new(seed, 1),
            per_mille: 0,
            budget: 0,
            crash: None,
            telling: Vec::new(),
            now,
            running: None,
            waiting: BTreeMap::new(),
            names: BTreeMap::new(),
            handles: BTreeMap::new(),
            disturbed: BTreeMap::new(),
            started: 0,
            trace: Vec::new(),
            journal: Vec::new(),
            counts: Counts::default(),
        };
        Self { state: Mutex::new(state), events, heard: tokio::sync::Mutex::new(heard) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on so many requests in a thousand go wrong, `budget` of them at most.
    pub(crate) fn disturb(&self, per_mille: u32, budget: u32) {
        let mut state = self.state();
        (state.per_mille, state.budget) = (per_mille, budget);
    }

    /// Lets the function crash that makes one request, counted from the story's first.
    pub(crate) fn crash_at(&self, request: u64, ruling: Ruling) {
        self.state().crash = Some((request, ruling));
    }

    /// The requests that changed something, or sent something.
    pub(crate) fn telling(&self) -> Vec<u64> {
        self.state().telling.clone()
    }

    pub(crate) fn set_time(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Adds a line of the story to the trace.
    pub(crate) fn note(&self, line: impl Into<String>) {
        let mut state = self.state();
        let line = format!("{} {}", state.now.strftime("%m-%d %H:%M:%S"), line.into());
        state.trace.push(line);
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// What happened from a position on.
    pub(crate) fn journal(&self, from: usize) -> Vec<Entry> {
        self.state().journal[from..].to_vec()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    /// Adds tasks to those that run; answers their numbers.
    pub(crate) fn begin(&self, tasks: Vec<Task>) -> Vec<usize> {
        let mut numbers = Vec::new();
        for task in tasks {
            let (number, turn) = self.enrol(task.name);
            let events = self.events.clone();
            let work = task.work;
            let handle = tokio::spawn(async move {
                turn.await.unwrap();
                let outcome = work.await;
                events.send(Event::Finished(number)).unwrap();
                outcome
            });
            self.state().handles.insert(number, handle);
            numbers.push(number);
        }
        numbers
    }

    /// Runs the tasks that have begun, in an order of their requests that the seed chooses, until no more than so many are left,
    /// each before its beginning or one of its requests. Answers those that have ended.
    pub(crate) async fn burst(&self, left: usize) -> BTreeMap<usize, Ended> {
        let mut heard = self.heard.lock().await;
        let mut ended: BTreeMap<usize, Option<Outcome>> = BTreeMap::new();
        self.state().counts.bursts += 1;
        while self.state().handles.len() > left {
            self.hand_over();
            let event = tokio::time::timeout(std::time::Duration::from_secs(60), heard.recv()).await;
            match event.expect("a task stopped without a word").unwrap() {
                Event::Parked => {}
                Event::Finished(number) => {
                    let outcome = self.take(number).await.unwrap();
                    ended.insert(number, Some(outcome));
                }
                Event::Crashed(number) => {
                    let handle = self.take(number);
                    handle.abort();
                    assert!(handle.await.is_err_and(|error| error.is_cancelled()), "a crashed task is gone");
                    ended.insert(number, None);
                }
            }
        }
        let state = self.state();
        let disturbed = |number: &usize| state.disturbed.get(number).copied().unwrap_or_default();
        let ended = ended.into_iter();
        ended.map(|(number, outcome)| (number, Ended { disturbed: disturbed(&number), outcome })).collect()
    }

    /// Takes the task that holds the baton out of those that run.
    fn take(&self, number: usize) -> JoinHandle<Outcome> {
        let mut state = self.state();
        state.running = None;
        state.handles.remove(&number).unwrap()
    }

    fn enrol(&self, name: String) -> (usize, oneshot::Receiver<()>) {
        let mut state = self.state();
        let number = state.started;
        state.started += 1;
        state.counts.tasks += 1;
        state.names.insert(number, name);
        let (release, turn) = oneshot::channel();
        state.waiting.insert(number, release);
        (number, turn)
    }

    /// Gives the baton to one of those that wait.
    fn hand_over(&self) {
        let mut state = self.state();
        let waiting: Vec<usize> = state.waiting.keys().copied().collect();
        let next = state.chance.pick(&waiting);
        state.running = Some(next);
        let release = state.waiting.remove(&next).unwrap();
        release.send(()).unwrap();
    }

    /// What becomes of the request of the task that runs.
    fn rule(&self, task: usize, passage: &Passage) -> Ruling {
        let mut state = self.state();
        state.counts.requests += 1;
        // Providers are asked ten times less often than the table.
        let rarely = matches!(passage.party, Party::Retell | Party::WhatsApp | Party::Twilio);
        let (per_mille, budget) = (state.per_mille * if rarely { 5 } else { 1 }, state.budget);
        let mut ruling = Ruling::Pass;
        if budget > 0 && state.chance.happens(per_mille) {
            let choices = faults(passage);
            ruling = state.chance.pick(&choices);
            state.budget -= 1;
            state.disturbed.insert(task, true);
            if matches!(ruling, Ruling::CrashBefore | Ruling::CrashAfter) {
                state.counts.crashes += 1;
            }
            *state.counts.faults.entry(format!("{:?} {ruling:?}", passage.party)).or_default() += 1;
        }
        let number = state.counts.requests;
        if passage.writes {
            state.telling.push(number);
        }
        if let Some((_, crash)) = state.crash.filter(|(request, _)| *request == number) {
            ruling = crash;
            state.disturbed.insert(task, true);
            state.counts.crashes += 1;
            *state.counts.faults.entry(format!("{:?} {ruling:?}", passage.party)).or_default() += 1;
        }
        let mut line = format!("    {}: {:?} {}", state.names[&task], passage.party, passage.operation);
        if !passage.entities.is_empty() {
            let _ = write!(line, " [{}]", passage.entities.join(" "));
        }
        if ruling != Ruling::Pass {
            let _ = write!(line, " !! {ruling:?}");
        }
        state.trace.push(line);
        ruling
    }
}

/// What may go wrong with a request. What leaves in doubt whether it was done comes twice as often.
fn faults(passage: &Passage) -> Vec<Ruling> {
    use Ruling::{Conflict, CrashAfter, CrashBefore, Internal, LostAfter, LostBefore, Status, Throttled, Unprocessed};
    let doubtful = [LostAfter, LostAfter, CrashAfter, CrashAfter, LostBefore, CrashBefore];
    let mut choices = match passage.party {
        Party::Table if passage.writes => vec![Conflict, Conflict, Throttled, Internal],
        Party::Table if passage.operation == "BatchGetItem" => {
            return vec![Unprocessed, Throttled, Internal, LostBefore, CrashBefore, CrashBefore];
        }
        Party::Table => return vec![Throttled, Internal, LostBefore, CrashBefore],
        Party::Retell if !passage.writes => return vec![Status(429), Status(500), LostBefore, CrashBefore],
        Party::Retell => vec![Status(429), Status(500), Status(402)],
        Party::WhatsApp | Party::Twilio if !passage.writes => {
            return vec![Status(429), Status(500), LostBefore, CrashBefore];
        }
        Party::WhatsApp | Party::Twilio => vec![Status(429), Status(500)],
        Party::Queue | Party::Timers | Party::Mail => Vec::new(),
    };
    choices.extend(doubtful);
    choices
}

#[async_trait]
impl Gate for Schedule {
    async fn enter(&self, passage: &Passage) -> Ruling {
        let (task, turn) = {
            let mut state = self.state();
            let Some(task) = state.running.take() else { return Ruling::Pass };
            let (release, turn) = oneshot::channel();
            state.waiting.insert(task, release);
            (task, turn)
        };
        self.events.send(Event::Parked).unwrap();
        turn.await.unwrap();
        let ruling = self.rule(task, passage);
        if ruling == Ruling::CrashBefore {
            self.end().await;
        }
        ruling
    }

    fn told(&self, passage: &Passage, told: Told) {
        let mut state = self.state();
        let what = match told {
            Told::Read => What::Read(passage.operation.clone()),
            Told::Written(changes) => What::Wrote(changes),
            Told::Answered { request, status } => What::Asked { party: passage.party, request, status },
            Told::ConditionFailed => {
                state.counts.conflicts += 1;
                return;
            }
            Told::Failed | Told::Taken => return,
        };
        let entry = Entry { at: state.now, task: state.running, what };
        state.journal.push(entry);
    }

    async fn end(&self) {
        let running = self.state().running;
        self.events.send(Event::Crashed(running.unwrap())).unwrap();
        std::future::pending().await
    }
}
