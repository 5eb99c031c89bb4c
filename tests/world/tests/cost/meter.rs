//! The meter: a gate that lets everything pass and writes down what a piece of work asked of the table, in its order.
//!
//! Round trips are counted where requests leave the SDK, so its retries count as well. Consumed units are the table's own answer
//! to `ReturnConsumedCapacity`: reads by 4 kB (half for eventually consistent ones), writes by 1 kB and index, transactions
//! double. What else went out (providers, queues, timers) stands in brackets between the table's requests, for the order
//! matters: a claim comes before the dialling.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use ivy_world::gate::{Gate, Party, Passage, Ruling, Told};

/// What a piece of work cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Cost {
    passages: Vec<Passage>,
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
}

impl Cost {
    fn of_the_table(&self) -> impl Iterator<Item = &Passage> {
        self.passages.iter().filter(|passage| passage.party == Party::Table)
    }

    pub(crate) fn round_trips(&self) -> usize {
        self.of_the_table().count()
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

    /// Writes before this party was asked first.
    pub(crate) fn writes_before(&self, party: Party) -> usize {
        let before = self.passages.iter().take_while(|passage| passage.party != party);
        before.filter(|passage| passage.party == Party::Table && passage.writes).count()
    }

    /// The requests in their order, in words; the same several times over is said once.
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
        let runs = words.chunk_by(|one, next| one == next);
        let said = runs.map(|run| if run.len() == 1 { run[0].clone() } else { format!("{} × {}", run.len(), run[0]) });
        said.collect::<Vec<_>>().join(", ")
    }
}

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
            cost.passages.push(passage.clone());
        }
        Ruling::Pass
    }

    fn told(&self, _: &Passage, _: Told) {}

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
