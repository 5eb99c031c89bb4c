//! The event that each function is measured with: a file of `events/`, with what cannot stand in a file put in.
//!
//! Every function of the template has a row; a test says so. Where the plain event of a function would end at once (a signature
//! that a file cannot hold, a call that is gone), the words that make it a real one are put in, and the row says which.

use std::fs;

use ivy_simulators::{Provider, Simulators};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::people::Person;
use crate::failure::{Because as _, Failure};

/// What a person of an event has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) onboarded: bool,
    pub(crate) workout: bool,
    pub(crate) call: bool,
    /// A call that is due now.
    pub(crate) due_call: bool,
    pub(crate) message: bool,
}

const NOBODY: Needs = Needs { onboarded: false, workout: false, call: false, due_call: false, message: false };
const NEWCOMER: Needs = NOBODY;
const PERSON: Needs = Needs { onboarded: true, ..NOBODY };
const WITH_WORKOUT: Needs = Needs { workout: true, ..PERSON };
const WITH_CALL: Needs = Needs { call: true, ..PERSON };
const WITH_DUE_CALL: Needs = Needs { due_call: true, ..PERSON };
const WITH_MESSAGE: Needs = Needs { message: true, ..PERSON };

/// What makes the file's event a real one, beyond the words of `events/README.md`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    None,
    /// Another body of the queue's message.
    Body(fn(&Person) -> Value),
    /// Signed, and about the person: their call, or their number that calls us.
    Retell,
    WhatsApp,
    Twilio,
}

/// What a good answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Status(u16),
    /// Nothing comes again.
    Batch,
    Done,
}
use Expected::{Batch, Done, Status};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) function: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) needs: Needs,
    pub(crate) change: Change,
    pub(crate) expected: Expected,
    /// Requests that are enough; some take hundreds of messages each.
    pub(crate) most_requests: usize,
}

const fn case(function: &'static str, scenario: &'static str, needs: Needs, expected: Expected) -> Case {
    Case { function, scenario, needs, change: Change::None, expected, most_requests: usize::MAX }
}

const fn queue(function: &'static str, scenario: &'static str, needs: Needs, body: fn(&Person) -> Value) -> Case {
    Case { change: Change::Body(body), ..case(function, scenario, needs, Batch) }
}

/// A row for each function.
pub(crate) const CASES: [Case; 65] = [
    case("health", "get", NOBODY, Status(200)),
    case("api-docs", "document", NOBODY, Status(200)),
    case("answer-preflight", "known-origin", NOBODY, Status(204)),
    case("create-user", "required-fields", NOBODY, Status(201)),
    case("request-magic-link", "unknown-contact", NOBODY, Status(202)),
    case("verify-magic-link", "wrong-code", NOBODY, Status(401)),
    case("refresh-session", "not-a-token", NOBODY, Status(401)),
    case("end-session", "no-body", NEWCOMER, Status(204)),
    // Argon2 is the work, for an account that is not there as well; each address may try five times only.
    Case { most_requests: 10, ..case("admin-login", "no-such-account", NOBODY, Status(401)) },
    case("onboard-user", "all-fields", NEWCOMER, Status(200)),
    case("get-user", "own", PERSON, Status(200)),
    case("update-user", "new-goal", PERSON, Status(200)),
    case("pause-user", "until-a-date", PERSON, Status(200)),
    case("resume-user", "own", PERSON, Status(200)),
    case("send-message", "celebration", PERSON, Status(202)),
    case("set-consents", "no-messages", PERSON, Status(200)),
    case("export-user", "own", PERSON, Status(200)),
    case("delete-user", "own", PERSON, Status(202)),
    case("create-workout", "in-an-hour", PERSON, Status(201)),
    case("todays-workouts", "own", WITH_WORKOUT, Status(200)),
    case("update-workout", "completed", WITH_WORKOUT, Status(200)),
    case("get-workout", "own", WITH_WORKOUT, Status(200)),
    case("list-workouts", "one-month", WITH_WORKOUT, Status(200)),
    case("delete-workout", "own", WITH_WORKOUT, Status(204)),
    case("schedule-call", "in-an-hour", PERSON, Status(201)),
    case("get-call", "own", WITH_CALL, Status(200)),
    case("list-calls", "own", WITH_CALL, Status(200)),
    case("initiate-call", "now", PERSON, Status(201)),
    case("reschedule-call", "own", WITH_CALL, Status(200)),
    case("upcoming-calls", "by-an-operator", WITH_CALL, Status(200)),
    // A call that is over takes the simulators a conversation; the refusal reads the same items.
    case("record-outcome", "not-over", WITH_CALL, Status(409)),
    case("cancel-call", "own", WITH_CALL, Status(200)),
    case("list-messages", "own", PERSON, Status(200)),
    case("get-wallet", "own", PERSON, Status(200)),
    case("list-donations", "own", PERSON, Status(200)),
    case("get-impact", "own", PERSON, Status(200)),
    case("list-receipts", "own", PERSON, Status(200)),
    case("list-charities", "all", PERSON, Status(200)),
    case("log-donation", "two-pounds", PERSON, Status(201)),
    case("get-stats", "own", PERSON, Status(200)),
    case("get-streak", "own", PERSON, Status(200)),
    case("get-activity", "by-week", PERSON, Status(200)),
    case("record-score", "all-three", PERSON, Status(201)),
    case("record-marker", "own", PERSON, Status(201)),
    case("delete-scores", "own", PERSON, Status(204)),
    case("get-transformation", "own", PERSON, Status(200)),
    case("get-call-stats", "own", PERSON, Status(200)),
    // Signed; of a call whose attempt is over, so everything is read and nothing written.
    Case { change: Change::Retell, ..case("retell-webhook", "bad-signature", WITH_CALL, Status(204)) },
    // A tool of a talk that is over for us: refused after the same reads.
    Case { change: Change::Retell, ..case("retell-function", "call-of-nobody", WITH_CALL, Status(200)) },
    // A call of somebody whom we know, with the whole context.
    Case { change: Change::Retell, ..case("retell-inbound", "a-stranger", WITH_WORKOUT, Status(200)) },
    // "Done" by SMS, as by WhatsApp below.
    Case { change: Change::Twilio, ..case("twilio-sms", "signature-of-sha256", WITH_WORKOUT, Status(200)) },
    // Of a message that nobody knows.
    Case { change: Change::Twilio, ..case("twilio-status", "no-signature", NOBODY, Status(204)) },
    // Signed; "done" of a person who is known, whose plan it completes.
    Case { change: Change::WhatsApp, ..case("whatsapp-webhook", "escaped-unicode", WITH_WORKOUT, Status(204)) },
    case("whatsapp-verify", "subscribe", NOBODY, Status(200)),
    Case { most_requests: 10, ..case("plan-day", "half-hour-zones", NOBODY, Done) },
    Case { most_requests: 10, ..case("reset-wallets", "new-month-in-kiribati", NOBODY, Done) },
    Case { most_requests: 10, ..case("send-reminders", "quarter-past", NOBODY, Done) },
    Case { most_requests: 10, ..case("weekly-summaries", "sunday-evening-in-london", NOBODY, Done) },
    Case { most_requests: 10, ..case("monthly-receipts", "first-of-december", NOBODY, Done) },
    case("sweep-calls", "tick", NOBODY, Done),
    // A call that is due: claimed and dialled.
    queue("place-call", "gone-call", WITH_DUE_CALL, |person| {
        let (call_id, due_at) = person.call.unzip();
        json!({"user_id": person.id, "call_id": call_id, "due_at": due_at})
    }),
    // A person whose day is planned.
    queue("plan-users", "gone-user", PERSON, |person| {
        let now = ivy_flows::Clock::now(&ivy_flows::SystemClock);
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        json!({"kind": "user", "user_id": person.id, "dates": [today], "from": now})
    }),
    // The message of the sign-up, by SMS.
    queue(
        "send-message-worker",
        "gone-message",
        WITH_MESSAGE,
        |person| json!({"user_id": person.id, "message_id": person.message}),
    ),
    case("publish-outbox", "call-timer-set-and-cleared", NOBODY, Batch),
    case("erase-user", "gone-user", NOBODY, Batch),
];

/// Where the words of an event come from.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    pub(crate) simulators: &'a Simulators,
    pub(crate) operator_token: &'a str,
    /// Of all requests of this run, so that addresses and keys differ.
    pub(crate) number: u32,
}

impl Case {
    /// The file's text.
    pub(crate) fn text(&self) -> Result<String, Failure> {
        let path = crate::repository("events").join(self.function).join(format!("{}.json", self.scenario));
        fs::read_to_string(&path).because(&format!("{} cannot be read", path.display()))
    }

    /// The event of a request, about this person.
    pub(crate) fn event(&self, text: &str, person: &Person, words: &Words<'_>) -> Result<String, Failure> {
        let now = ivy_flows::Clock::now(&ivy_flows::SystemClock);
        let in_an_hour = (now + SignedDuration::from_hours(1)).round(jiff::Unit::Second).because("a time")?;
        let mut text = text
            .replace("ACCESS_TOKEN", &person.token)
            .replace("OPERATOR_TOKEN", words.operator_token)
            .replace("USER_ID", &person.id.to_string())
            .replace("IN_AN_HOUR", &in_an_hour.to_string());
        if let Some(workout) = person.workout {
            text = text.replace("WORKOUT_ID", &workout.to_string());
        }
        if let Some((call, _)) = person.call {
            text = text.replace("CALL_ID", &call.to_string());
        }
        let mut event: Value = serde_json::from_str(&text).because("an event is no JSON")?;
        self.make_unique(&mut event, words.number);
        match self.change {
            Change::None => {}
            Change::Body(body) => event["Records"][0]["body"] = json!(body(person).to_string()),
            Change::Retell => {
                let mut body: Value = parsed(&event["body"])?;
                if let Some(inbound) = body.get_mut("call_inbound") {
                    inbound["from_number"] = json!(person.phone);
                } else {
                    let call = person.call.map(|(call, _)| call);
                    body["call"]["metadata"]["user_id"] = json!(person.id);
                    body["call"]["metadata"]["call_id"] = json!(call);
                }
                sign(&mut event, words.simulators, Provider::Retell, body.to_string());
            }
            Change::WhatsApp => {
                let mut body: Value = parsed(&event["body"])?;
                let value = &mut body["entry"][0]["changes"][0]["value"];
                let number = person.phone.trim_start_matches('+');
                value["contacts"][0]["wa_id"] = json!(number);
                value["messages"][0]["from"] = json!(number);
                value["messages"][0]["id"] = json!(format!("wamid.BENCH{}", words.number));
                value["messages"][0]["timestamp"] = json!(now.as_second().to_string());
                sign(&mut event, words.simulators, Provider::WhatsApp, body.to_string());
            }
            Change::Twilio => {
                let phone = format!("From=%2B{}&", person.phone.trim_start_matches('+'));
                let body = event["body"].as_str().unwrap_or_default().replace("From=%2B447700900888&", &phone);
                let body = body.replace("SM000000000000000000000000", &format!("SM{:024}", words.number));
                // The simulator signs as Twilio does without settings; the event says that it was signed otherwise.
                for headers in ["headers", "multiValueHeaders"] {
                    if let Some(headers) = event[headers].as_object_mut() {
                        headers.retain(|name, _| !name.eq_ignore_ascii_case("x-twilio-webhooks-signature-settings"));
                    }
                }
                sign(&mut event, words.simulators, Provider::Twilio, body);
            }
        }
        Ok(event.to_string())
    }

    /// Addresses, keys, contacts and records that differ from request to request: limits and records of keys are per subject.
    fn make_unique(&self, event: &mut Value, number: u32) {
        let identity = &mut event["requestContext"]["identity"];
        if identity.is_object() {
            identity["sourceIp"] = json!(format!("203.{}.{}.{}", number / 65_536, number / 256 % 256, number % 256));
        }
        for (headers, single) in [("headers", true), ("multiValueHeaders", false)] {
            for (name, value) in event[headers].as_object_mut().into_iter().flatten() {
                if name.eq_ignore_ascii_case("idempotency-key") {
                    let key = format!("bench-key-{number:08}");
                    *value = if single { json!(key) } else { json!([key]) };
                }
            }
        }
        if let Some(body) = event["body"].as_str() {
            let phone = format!("+1555{number:07}");
            let body = body.replace("+15005550101", &phone).replace("+447700900707", &phone);
            let body = body.replace("nobody@ivy.example", &format!("nobody{number}@ivy.example"));
            let body = body.replace("nobody@ivy.test", &format!("nobody{number}@ivy.test"));
            event["body"] = json!(body);
        }
    }

    /// Whether an answer is the one that the row names.
    pub(crate) fn is_good(&self, answer: &[u8]) -> bool {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        match self.expected {
            Status(status) => answer["statusCode"] == status,
            Batch => answer["batchItemFailures"] == json!([]),
            Done => answer.is_null(),
        }
    }
}

fn parsed(body: &Value) -> Result<Value, Failure> {
    serde_json::from_str(body.as_str().unwrap_or_default()).because("a webhook's body is no JSON")
}

/// Puts a body and the signature of its provider into a webhook's event.
fn sign(event: &mut Value, simulators: &Simulators, provider: Provider, body: String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // Twilio signs the address that it asks.
    let base = format!("https://{}/{}", text(&event["headers"]["Host"]), text(&event["requestContext"]["stage"]));
    if let Ok(base) = base.parse() {
        simulators.set_public_url(base);
    }
    let signed = simulators.sign(provider, &text(&event["path"]), body.into_bytes());
    event["body"] = json!(String::from_utf8_lossy(&signed.body));
    for (name, value) in &signed.headers {
        for (headers, single) in [("headers", true), ("multiValueHeaders", false)] {
            let Some(headers) = event[headers].as_object_mut() else { continue };
            headers.retain(|known, _| !known.eq_ignore_ascii_case(name));
            headers.insert(name.clone(), if single { json!(value) } else { json!([value]) });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::functions::template::Template;

    #[test]
    fn every_function_of_the_template_is_measured_with_an_event_that_exists() {
        let template = Template::read(&crate::repository("template.yaml")).unwrap();
        let deployed: BTreeSet<_> = template.functions.iter().map(|function| function.name.as_str()).collect();
        let measured: BTreeSet<_> = CASES.iter().map(|case| case.function).collect();
        assert_eq!(deployed, measured);
        for case in CASES {
            let event: Value = serde_json::from_str(&case.text().unwrap()).unwrap();
            assert!(event.is_object(), "{}", case.function);
        }
    }

    #[test]
    fn answers_are_judged() {
        let case = |expected| Case { expected, ..CASES[0] };
        assert!(case(Status(200)).is_good(br#"{"statusCode":200}"#));
        assert!(!case(Status(200)).is_good(br#"{"statusCode":500}"#));
        assert!(case(Batch).is_good(br#"{"batchItemFailures":[]}"#));
        assert!(!case(Batch).is_good(br#"{"batchItemFailures":[{"itemIdentifier":"1"}]}"#));
        assert!(case(Done).is_good(b"null") && !case(Done).is_good(b"{}"));
    }
}
