//! The meter: a gate that lets everything pass and writes down what a piece of work asked of the table, in its order.
//!
//! Requests are counted where they leave the SDK, so its retries count as well. Those that are made at once are one round trip: the
//! meter lets nothing pass before all that the work has to ask by then stand at the gate. Consumed units are the table's own answer
//! to `ReturnConsumedCapacity`: reads by 4 kB (half for eventually consistent ones), writes by 1 kB and index, transactions
//! double. What else went out (providers, queues, timers) stands in brackets between the table's requests, for the order
//! matters: a claim comes before the dialling.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use ivy_world::gate::{Gate, Party, Passage, Ruling, Told};

/// What a piece of work cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Cost {
    passages: Vec<Passage>,
    /// Of each passage, which round trip to the table it is part of, or comes after.
    trips: Vec<usize>,
    trip: usize,
    /// Requests to the table that are not answered yet.
    open: usize,
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
}

impl Cost {
    fn of_the_table(&self) -> impl Iterator<Item = &Passage> {
        self.passages.iter().filter(|passage| passage.party == Party::Table)
    }

    pub(crate) const fn round_trips(&self) -> usize {
        self.trip
    }

    fn enters(&mut self, passage: &Passage) {
        if passage.party == Party::Table {
            self.trip += usize::from(self.open == 0);
            self.open += 1;
        }
        self.passages.push(passage.clone());
        self.trips.push(self.trip);
    }

    /// Round trips in which something is written, or would be if its condition held.
    pub(crate) fn writing_trips(&self) -> usize {
        let mut trips: Vec<usize> = self
            .passages
            .iter()
            .zip(&self.trips)
            .filter(|(passage, _)| passage.party == Party::Table && passage.writes)
            .map(|(_, trip)| *trip)
            .collect();
        trips.dedup();
        trips.len()
    }

    /// Requests that write, or would if their condition held.
    pub(crate) fn writes(&self) -> usize {
        self.of_the_table().filter(|passage| passage.writes).count()
    }

    pub(crate) fn count(&self, operation: &str) -> usize {
        self.of_the_table().filter(|passage| passage.operation == operation).count()
    }

    /// Queries of a kind of partition: `tz`, `due`.
    pub(crate) fn queries_of(&self, partition: &str) -> usize {
        let about =
            |passage: &&Passage| passage.operation == "Query" && passage.entities.iter().any(|e| e == partition);
        self.of_the_table().filter(about).count()
    }

    pub(crate) fn asked(&self, party: Party) -> bool {
        self.passages.iter().any(|passage| passage.party == party)
    }

    /// What the table's owner must allow for this: the actions of its requests, and of each part of a transaction. The counting of
    /// requests stands apart, as `UpdateItem of rates`.
    pub(crate) fn actions(&self) -> BTreeSet<&'static str> {
        let mut actions = BTreeSet::new();
        for passage in self.of_the_table() {
            match passage.operation.as_str() {
                "TransactWriteItems" => {
                    actions.extend(passage.entities.iter().map(|entity| match entity.as_bytes()[0] {
                        b'-' => "DeleteItem",
                        b'+' => "UpdateItem",
                        b'?' => "ConditionCheckItem",
                        _ => "PutItem",
                    }))
                }
                "UpdateItem" if passage.entities == ["rate"] => {
                    actions.insert(RATES);
                }
                "GetItem" => drop(actions.insert("GetItem")),
                "BatchGetItem" => drop(actions.insert("BatchGetItem")),
                "Query" => drop(actions.insert("Query")),
                "PutItem" => drop(actions.insert("PutItem")),
                "UpdateItem" => drop(actions.insert("UpdateItem")),
                "DeleteItem" => drop(actions.insert("DeleteItem")),
                other => panic!("{other} is an action that no role knows"),
            }
        }
        actions
    }

    /// Writes before this party was asked first.
    pub(crate) fn writes_before(&self, party: Party) -> usize {
        let before = self.passages.iter().take_while(|passage| passage.party != party);
        before.filter(|passage| passage.party == Party::Table && passage.writes).count()
    }

    /// The requests in their order, in words; the same several times over is said once. `∥` stands between what is asked at once.
    pub(crate) fn operations(&self) -> String {
        let word = |passage: &Passage| match passage.party {
            Party::Table => format!("{} {}", passage.operation, passage.entities.join("+")).trim_end().to_owned(),
            Party::Queue | Party::Timers => {
                format!("[{:?} {} {}]", passage.party, passage.operation, passage.entities.join("+"))
            }
            Party::Retell | Party::WhatsApp | Party::Twilio | Party::Mail => {
                format!("[{:?} {}]", passage.party, passage.operation)
            }
        };
        let words: Vec<String> = self.passages.iter().map(word).collect();
        let (mut said, mut at) = (String::new(), 0);
        for run in words.chunk_by(|one, next| one == next) {
            let table = |index: usize| self.passages[index].party == Party::Table;
            let at_once = at > 0 && self.trips[at] == self.trips[at - 1] && table(at) && table(at - 1);
            said += if at == 0 {
                ""
            } else if at_once {
                " ∥ "
            } else {
                ", "
            };
            said += &if run.len() == 1 { run[0].clone() } else { format!("{} × {}", run.len(), run[0]) };
            at += run.len();
        }
        said
    }
}

/// Counting requests is an update that nearly every function makes, and that may be all it updates.
pub(crate) const RATES: &str = "UpdateItem of rates";

/// How often a request steps back for others that are made at the same time.
const AT_ONCE: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// What is measured at the moment.
    running: Mutex<Option<Cost>>,
}

impl Meter {
    fn running(&self) -> MutexGuard<'_, Option<Cost>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work, and says what it cost.
    pub(crate) async fn measure<T>(self: &Arc<Self>, work: impl Future<Output = T>) -> (T, Cost) {
        *self.running() = Some(Cost::default());
        let done = work.await;
        let cost = self.running().take().unwrap();
        (done, cost)
    }
}

#[async_trait]
impl Gate for Meter {
    async fn enter(&self, passage: &Passage) -> Ruling {
        if let Some(cost) = self.running().as_mut() {
            cost.enters(passage);
        }
        for _ in 0..AT_ONCE {
            tokio::task::yield_now().await;
        }
        Ruling::Pass
    }

    fn told(&self, passage: &Passage, _: Told) {
        if let Some(cost) = self.running().as_mut()
            && passage.party == Party::Table
        {
            cost.open = cost.open.saturating_sub(1);
        }
    }

    async fn end(&self) {
        std::future::pending().await
    }

    fn meters(&self) -> bool {
        true
    }

    fn consumed(&self, passage: &Passage, units: f64) {
        if let Some(cost) = self.running().as_mut() {
            *(if passage.writes { &mut cost.write_units } else { &mut cost.read_units }) += units;
        }
    }
}
