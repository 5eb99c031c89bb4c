//! What a test asks of the world besides the API. Effects are counted where they happen: phones that rang, messages that
//! arrived on a handset, donations in the table.

use ivy_flows::ports::Queue;
use ivy_simulators::{CallScript, HandsetMessage, Persona};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Person, PersonBuilder, QueuedMessage, World};

/// A time on the world's usual Monday, 23 November 2026, in UTC, which is London's time as well: `at("13:00")`.
///
/// # Panics
/// When it is no time.
#[must_use]
pub fn at(time: &str) -> Timestamp {
    format!("2026-11-23T{time}:00Z").parse().unwrap()
}

/// Somebody who answers, talks for two minutes, and says what the analysis will hold.
#[must_use]
pub fn talks(analysis: Value) -> Persona {
    Persona::Answers(talk(analysis))
}

/// Two minutes of talk.
#[must_use]
pub fn talk(analysis: Value) -> CallScript {
    CallScript {
        duration_seconds: 120,
        user_spoke: true,
        analysis,
        user_sentiment: None,
        transcript: "Agent: Hello, this is Ivy, an AI.\nUser: Hello!".to_owned(),
    }
}

/// A body as a queue delivers it.
#[must_use]
pub fn delivery(queue: Queue, body: &str, now: Timestamp) -> QueuedMessage {
    QueuedMessage {
        id: uuid::Uuid::new_v4().to_string(),
        queue,
        body: body.to_owned(),
        visible_at: now,
        receive_count: 1,
    }
}

/// The same JSON without what differs from world to world: ids.
#[must_use]
pub fn without_ids(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "id" | "user_id" | "call_id"))
            .map(|(name, value)| (name.clone(), without_ids(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(values) => values.iter().map(without_ids).collect(),
        plain => plain.clone(),
    }
}

impl PersonBuilder {
    /// Planning writes to them in place of calls, so that only calls ring that the test schedules.
    #[must_use]
    pub fn without_planned_calls(self) -> Self {
        self.onboarding("morning_window", Value::Null).onboarding("evening_window", Value::Null)
    }
}

impl Person {
    /// Schedules a call with a window of its own and answers its id.
    pub async fn schedule_until(&self, call_type: &str, time: Timestamp, window_end: Timestamp) -> String {
        let body = json!({"call_type": call_type, "scheduled_time": time, "window_end": window_end});
        self.client.post("/api/calls", body, 201).await["id"].as_str().unwrap().to_owned()
    }

    /// All calls, newest first.
    pub async fn calls(&self) -> Vec<Value> {
        self.get("/api/users/me/calls").await["items"].as_array().unwrap().clone()
    }

    /// The workouts of today.
    pub async fn today(&self) -> Vec<Value> {
        self.get("/api/users/me/workouts/today").await["items"].as_array().unwrap().clone()
    }

    /// The messages to this person, newest first.
    pub async fn messages_out(&self) -> Vec<Value> {
        let mut messages = self.get("/api/users/me/messages?limit=100").await["items"].as_array().unwrap().clone();
        messages.retain(|message| message["direction"] == "out");
        messages
    }

    /// The messages to this person that a template or a free text of this kind carries: by `template` in the list.
    pub async fn messages_of(&self, template: &str) -> Vec<Value> {
        let mut messages = self.messages_out().await;
        messages.retain(|message| message["template"] == template);
        messages
    }
}

impl World {
    /// When phones rang, as `HH:MM` in UTC.
    #[must_use]
    pub fn ring_times(&self) -> Vec<String> {
        self.simulators.rings().iter().map(|ring| ring.at.strftime("%H:%M").to_string()).collect()
    }

    /// What arrived on the person's phone that says this, whatever way it came.
    #[must_use]
    pub fn arrived(&self, person: &Person, words: &str) -> Vec<HandsetMessage> {
        self.simulators.handset(&person.phone).into_iter().filter(|message| message.text.contains(words)).collect()
    }

    /// The amounts of all donations in pence, smallest first.
    pub async fn donations(&self) -> Vec<i64> {
        let items = self.items("donation").await;
        let mut amounts: Vec<i64> = items.iter().map(|item| item["amount"].as_n().unwrap().parse().unwrap()).collect();
        amounts.sort_unstable();
        amounts
    }

    /// The person writes on WhatsApp, and what follows happens.
    pub async fn writes(&self, person: &Person, text: &str) {
        self.simulators.reply(&person.phone, text);
        self.settle().await;
    }
}
