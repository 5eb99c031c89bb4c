//! What the driver knows of the table without asking it: the newest form of every item that was put, from the journal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::schedule::{Schedule, What};

#[derive(Debug, Default)]
pub(crate) struct Book {
    read: usize,
    items: BTreeMap<(String, String), Value>,
}

impl Book {
    /// Reads what happened since the last time.
    pub(crate) fn follow(&mut self, schedule: &Schedule) {
        let news = schedule.journal(self.read);
        self.read += news.len();
        for entry in news {
            let What::Wrote(changes) = entry.what else { continue };
            for change in changes {
                let key = (change.pk, change.sk);
                match change.item {
                    Some(item) => drop(self.items.insert(key, item)),
                    None if change.deleted => drop(self.items.remove(&key)),
                    None => {}
                }
            }
        }
    }

    pub(crate) fn of<'a>(&'a self, entity: &'a str) -> impl Iterator<Item = &'a Value> {
        self.items.values().filter(move |item| item["entity"] == entity)
    }

    /// A user's items of a kind, in a stable order that does not follow from their ids.
    pub(crate) fn of_user(&self, user: &str, entity: &str) -> Vec<Value> {
        let mut items: Vec<Value> = self.of(entity).filter(|item| item["user_id"] == user).cloned().collect();
        items.sort_by_key(|item| {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            (text("created_at"), text("planned_time"), text("planned_activity"), text("scheduled_time"))
        });
        items
    }

    /// When the first call needs attention that has no end yet.
    pub(crate) fn attention(&self) -> Option<Timestamp> {
        self.of("call").filter_map(|call| call["gsi1sk"].as_str()).map(|at| at.parse().unwrap()).min()
    }
}
