//! The demo: one person's first day with Ivy, through the public API and the handset only.
//!
//! Sign-up, sign-in by the code that arrives, onboarding, a planning call in which the simulated person commits to a run, an
//! evening call in which they say it is done, and what follows from it: streak, donation, confirmation. Each wait is for
//! something that can be seen from outside and has a bound, and each step says what happened.
//!
//! The person lives in a zone where it is day now, because Ivy holds messages back at night.

use std::time::{Duration, Instant};

use ivy_simulators::{CallScript, Persona};
use jiff::{SignedDuration, Timestamp, Unit, Zoned};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{console::Console, failure::Failure, stack::Running};

/// The person's phone, of the range kept for fiction.
const PHONE: &str = "+447700900123";
const ZONES: [&str; 8] = [
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Pacific/Auckland",
    "Australia/Sydney",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Dubai",
];
/// A first request to each function starts it; a call takes its timer, a ring, a talk and three webhooks.
const WAIT: Duration = Duration::from_secs(60);
/// From asking for a call to its time: enough for the outbox to set the timer first.
const CALL_IN: SignedDuration = SignedDuration::from_secs(8);

pub(crate) async fn play(console: &Console, running: &Running) -> Result<(), Failure> {
    let mut person = Person::new(console, running);
    console.line("");
    console.line("The demo: a first day with Ivy");
    let now = now();
    let zone = zone_by_day(now);
    person.sign_up(&zone).await?;
    person.sign_in().await?;
    person.onboard().await?;
    person.plan(&zone).await?;
    person.review().await?;
    person.results().await
}

/// The demo's person, and the API as they use it.
struct Person<'a> {
    console: &'a Console,
    running: &'a Running,
    client: Client,
    token: Option<String>,
}

impl<'a> Person<'a> {
    fn new(console: &'a Console, running: &'a Running) -> Self {
        Self { console, running, client: Client::new(), token: None }
    }

    async fn sign_up(&self, zone: &Zoned) -> Result<(), Failure> {
        let name = zone.time_zone().iana_name().unwrap_or("Europe/London");
        let body = json!({ "phone": PHONE, "first_name": "Sam", "timezone": name });
        let user = self.post("/api/users", &body).await?;
        self.says("sign up", &format!("user {}, living in {name}", text(&user, "/id")));
        Ok(())
    }

    async fn sign_in(&mut self) -> Result<(), Failure> {
        let code = self.until("the sign-in code", async || Ok(self.sign_in_code().await?)).await?;
        let session = self.post("/api/auth/verify", &json!({ "phone": PHONE, "code": code })).await?;
        let token = text(&session, "/access_token");
        if token.is_empty() {
            return Err(self.surprised("Signing in gave no access token", &session));
        }
        self.token = Some(token);
        self.says("sign in", "the code arrived on the phone and was accepted");
        Ok(())
    }

    /// The six digits of the newest message, or of the newest e-mail.
    async fn sign_in_code(&self) -> Result<Option<String>, Failure> {
        let messages = self.running.simulators.handset(PHONE);
        if let Some(code) = messages.iter().rev().find_map(|message| six_digits(&message.text)) {
            return Ok(Some(code));
        }
        let mails = self.running.emulator.aws.mails().await?;
        Ok(six_digits(&text_of_all(&mails)))
    }

    async fn onboard(&self) -> Result<(), Failure> {
        let body = json!({
            "track": "fitness",
            "weekly_goal": 3,
            "morning_window": { "start": "07:00", "end": "09:00" },
            "evening_window": { "start": "18:00", "end": "20:00" },
            "preferred_days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            "minimum_action": "a five minute walk",
            "gift_frame": "energy for the children",
            "why_started": "to keep up with them",
            "obstacles": ["late meetings"],
            "charity_id": self.running.file.default_charity_id,
            "consents": { "calls": true, "messages": true, "data_processing": true },
        });
        self.post("/api/users/me/onboard", &body).await?;
        self.says("onboard", "fitness, three times a week, calls and messages allowed, for Mind");
        Ok(())
    }

    async fn plan(&self, zone: &Zoned) -> Result<(), Failure> {
        let planned = now().checked_add(SignedDuration::from_mins(5)).unwrap_or(zone.timestamp());
        let script = CallScript {
            duration_seconds: 95,
            user_spoke: true,
            analysis: json!({
                "planned_activity": "30 minute run", "planned_time": planned.to_string(),
                "planned_duration_minutes": 30, "energy": 6,
            }),
            user_sentiment: None,
            transcript: "Agent: What is the plan today?\nUser: A 30 minute run.\n".to_owned(),
        };
        self.call("morning_planning", script, "workout_planned").await?;
        let today = self.get("/api/users/me/workouts/today").await?;
        self.says("today", &format!("planned: {}", text_of(&today, "planned_activity")));
        Ok(())
    }

    async fn review(&self) -> Result<(), Failure> {
        let script = CallScript {
            duration_seconds: 80,
            user_spoke: true,
            analysis: json!({ "workout_status": "completed", "actual_duration_minutes": 30, "energy": 7, "mood": 8 }),
            user_sentiment: None,
            transcript: "Agent: Did the run happen?\nUser: Yes, all thirty minutes.\n".to_owned(),
        };
        self.call("evening_review", script, "workout_logged").await
    }

    /// Asks for a call in some seconds and waits until it is over: schedule, queue, dialling, webhooks.
    async fn call(&self, call_type: &str, script: CallScript, outcome: &str) -> Result<(), Failure> {
        self.running.simulators.set_persona(PHONE, Persona::Answers(script));
        let at = now().checked_add(CALL_IN).and_then(|at| at.round(Unit::Second)).unwrap_or(Timestamp::UNIX_EPOCH);
        let asked = json!({ "call_type": call_type, "scheduled_time": at.to_string() });
        let call = self.post("/api/calls", &asked).await?;
        let id = text(&call, "/id");
        self.says(call_type, &format!("asked for at {at}"));
        let rings = self.running.simulators.rings().len();
        self.until("the phone to ring", async || Ok((self.running.simulators.rings().len() > rings).then_some(())))
            .await?;
        self.says("", "the phone rang and was answered");
        let path = format!("/api/calls/{id}");
        let ended = self
            .until("the call to be completed", async || {
                let call = self.get(&path).await?;
                let done = ["/status", "/state"].iter().any(|at| text(&call, at) == "completed");
                Ok((done && !text(&call, "/outcome").is_empty()).then_some(call))
            })
            .await?;
        if text(&ended, "/outcome") != outcome {
            return Err(self.surprised(&format!("The call should have ended with {outcome}"), &ended));
        }
        self.says("", &format!("completed, outcome {outcome}"));
        Ok(())
    }

    async fn results(&self) -> Result<(), Failure> {
        let stats = self
            .until("the streak to begin", async || {
                let stats = self.get("/api/users/me/stats").await?;
                Ok((stats["current_streak"] == 1).then_some(stats))
            })
            .await?;
        self.says(
            "stats",
            &format!("streak {}, {}", stats["current_streak"], text(&stats, "/impact/impact_equivalent")),
        );
        let wallet = self.get("/api/users/me/wallet").await?;
        let pounds = |name: &str| format!("£{:.2}", wallet[name].as_f64().unwrap_or_default());
        self.says(
            "wallet",
            &format!(
                "{} of {} donated in this period, for {}",
                pounds("amount_used"),
                pounds("monthly_cap"),
                text(&wallet, "/charity/name")
            ),
        );
        if stats["impact"]["total_donated"].as_f64() != Some(1.0) {
            return Err(self.surprised("One completion should have given £1.00", &stats));
        }
        let confirmation = self
            .until("the confirmation on the handset", async || {
                let messages = self.running.simulators.handset(PHONE);
                Ok(messages.into_iter().find(|message| message.template.as_deref().is_some_and(confirms)))
            })
            .await?;
        self.says("WhatsApp", &confirmation.text.replace('\n', " "));
        Ok(())
    }

    fn says(&self, what: &str, text: &str) {
        self.console.line(&format!("  {what:<17} {text}"));
    }

    /// Asks again until there is an answer, for a bounded time.
    async fn until<T>(
        &self,
        what: &str,
        mut ask: impl AsyncFnMut() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        while started.elapsed() < WAIT {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            // An account may ask 120 times a minute.
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        Err(Failure::new(format!("The demo waited {} seconds for {what} in vain.", WAIT.as_secs())))
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.request(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.request(Method::POST, path, Some(body)).await
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let what = format!("{method} {path}");
        let mut request = self.client.request(method, format!("{}{path}", self.running.file.api_url)).timeout(WAIT);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body).header("idempotency-key", uuid::Uuid::new_v4().to_string());
        }
        let failed = |reason: String| Failure::new(format!("The demo's {what} failed: {reason}."));
        let answer = request.send().await.map_err(|error| failed(error.to_string()))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| failed(error.to_string()))?;
        if !status.is_success() {
            return Err(failed(status.to_string()).with_details([text]));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn surprised(&self, sentence: &str, answer: &Value) -> Failure {
        Failure::new(format!("{sentence}.")).with_details([answer.to_string()])
    }
}

/// The template of a message that a completed workout brings.
fn confirms(template: &str) -> bool {
    template.contains("confirmation")
}

#[expect(clippy::disallowed_methods, reason = "the demo lives in real time, beside the functions and their clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// The first zone in which it is day, and stays so for the demo's minutes.
fn zone_by_day(now: Timestamp) -> Zoned {
    ZONES
        .iter()
        .filter_map(|zone| now.in_tz(zone).ok())
        .find(|local| (9..=18).contains(&local.hour()))
        .unwrap_or_else(|| now.to_zoned(jiff::tz::TimeZone::UTC))
}

/// The string at a JSON pointer, or nothing.
fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The first string under this name, however deep.
fn text_of(value: &Value, name: &str) -> String {
    match value {
        Value::Object(fields) => match fields.get(name).and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            None => fields.values().map(|value| text_of(value, name)).find(|text| !text.is_empty()).unwrap_or_default(),
        },
        Value::Array(items) => {
            items.iter().map(|value| text_of(value, name)).find(|text| !text.is_empty()).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => String::new(),
    }
}

/// Every string in it, joined by spaces.
fn text_of_all(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of_all).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => fields.values().map(text_of_all).collect::<Vec<_>>().join(" "),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

/// A group of exactly six digits.
fn six_digits(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '+')
        .find(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_told_from_other_numbers() {
        assert_eq!(six_digits("Your code is 123456. It works for 15 minutes.").as_deref(), Some("123456"));
        assert_eq!(six_digits("https://app.ivy.test/l/123456abc or +447700"), None);
        assert_eq!(six_digits("1234567"), None);
    }

    #[test]
    fn there_is_always_a_zone_where_it_is_day() {
        for hour in 0..24 {
            let now: Timestamp = format!("2026-11-21T{hour:02}:30:00Z").parse().unwrap();
            let local = zone_by_day(now);
            assert!((9..=18).contains(&local.hour()), "{now} is {local}");
        }
    }
}
