//! Every event of `events/`, by Lambda's own door, on the function that it is for.
//!
//! The table says what comes of each. In the events stand a few words for what cannot be fixed in a file; the test puts a real value
//! in: `ACCESS_TOKEN`, `IN_AN_HOUR` (a time), and `CALL_ID` and `WORKOUT_ID`, which earlier events of the table made.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use ivy_stack::{Event, Invocation, Person, Stack, event_files, functions_of_the_template, now};
use jiff::{SignedDuration, Unit};
use serde_json::{Value, json};

/// What comes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// A function behind the API answers with this status.
    Status(u16),
    /// A batch: the records with these numbers come again, the others were dealt with.
    Again(&'static [usize]),
    /// A job runs through.
    Done,
    /// The function fails as a whole, for the event is none that its trigger could send. Lambda tries again, then gives up.
    Failed,
}
use Expected::{Again, Done, Failed, Status};

/// In the order in which they run: what is made first is used later.
const TABLE: [(&str, &str, Expected); 81] = [
    ("health", "get", Status(200)),
    ("api-docs", "document", Status(200)),
    ("api-docs", "page", Status(200)),
    ("create-user", "all-fields", Status(201)),
    ("create-user", "required-fields", Status(201)),
    ("create-user", "unknown-field", Status(422)),
    ("create-user", "many-wrong-fields", Status(422)),
    ("create-user", "malformed-json", Status(400)),
    ("create-user", "sponsored-plan", Status(422)),
    ("request-magic-link", "unknown-contact", Status(202)),
    ("request-magic-link", "both-contacts", Status(422)),
    ("request-magic-link", "body-in-base64", Status(202)),
    ("verify-magic-link", "wrong-code", Status(401)),
    ("verify-magic-link", "neither-token-nor-code", Status(422)),
    ("refresh-session", "not-a-token", Status(401)),
    ("refresh-session", "no-body", Status(400)),
    ("onboard-user", "not-signed-in", Status(401)),
    ("onboard-user", "no-data-processing", Status(422)),
    ("onboard-user", "all-fields", Status(200)),
    ("get-user", "own", Status(200)),
    ("get-user", "another-person", Status(404)),
    ("get-user", "not-signed-in", Status(401)),
    ("get-user", "token-of-another-service", Status(401)),
    ("update-user", "new-goal", Status(200)),
    ("update-user", "null-first-name", Status(422)),
    ("create-workout", "in-an-hour", Status(201)),
    ("create-workout", "last-year", Status(422)),
    ("create-workout", "plain-text", Status(415)),
    ("todays-workouts", "own", Status(200)),
    ("todays-workouts", "not-signed-in", Status(401)),
    ("update-workout", "zero-minutes", Status(422)),
    ("update-workout", "completed", Status(200)),
    ("update-workout", "unknown-workout", Status(404)),
    ("schedule-call", "in-an-hour", Status(201)),
    ("schedule-call", "in-the-past", Status(422)),
    ("schedule-call", "unknown-call-type", Status(422)),
    ("get-call", "own", Status(200)),
    ("get-call", "unknown-call", Status(404)),
    ("get-call", "no-uuid", Status(404)),
    ("list-calls", "own", Status(200)),
    ("list-calls", "limit-given-twice", Status(422)),
    ("list-calls", "foreign-cursor", Status(422)),
    ("cancel-call", "own", Status(200)),
    ("cancel-call", "unknown-call", Status(404)),
    ("list-messages", "own", Status(200)),
    ("list-messages", "limit-too-large", Status(422)),
    ("get-wallet", "own", Status(200)),
    ("get-wallet", "another-person", Status(404)),
    ("get-stats", "own", Status(200)),
    ("get-stats", "not-signed-in", Status(401)),
    ("retell-webhook", "bad-signature", Status(401)),
    ("retell-webhook", "no-signature", Status(401)),
    ("retell-webhook", "malformed-signature", Status(401)),
    ("retell-webhook", "empty-body", Status(401)),
    ("whatsapp-webhook", "bad-signature", Status(401)),
    ("whatsapp-webhook", "sha1-signature-only", Status(401)),
    ("whatsapp-webhook", "escaped-unicode", Status(401)),
    ("whatsapp-verify", "subscribe", Status(200)),
    ("whatsapp-verify", "wrong-token", Status(403)),
    ("whatsapp-verify", "no-question", Status(403)),
    ("plan-day", "half-hour-zones", Done),
    ("plan-day", "fired-late", Done),
    ("plan-day", "without-time", Failed),
    ("sweep-calls", "tick", Done),
    ("sweep-calls", "time-no-rfc3339", Failed),
    ("place-call", "gone-call", Again(&[])),
    ("place-call", "not-json", Again(&[0])),
    ("place-call", "one-unreadable-of-three", Again(&[1])),
    ("place-call", "from-the-scheduler-console", Again(&[0])),
    ("place-call", "test-event-of-the-console", Failed),
    ("plan-users", "empty-shard", Again(&[])),
    ("plan-users", "gone-user", Again(&[])),
    ("plan-users", "zone-that-is-none", Again(&[0])),
    ("plan-users", "unknown-kind", Again(&[0])),
    ("send-message-worker", "gone-message", Again(&[])),
    ("send-message-worker", "not-json", Again(&[0])),
    ("publish-outbox", "message-of-nobody", Again(&[])),
    ("publish-outbox", "call-timer-set-and-cleared", Again(&[])),
    ("publish-outbox", "timer-that-is-gone", Again(&[])),
    ("publish-outbox", "other-entities", Again(&[])),
    // The second goes to the outbox's dead letters at once; the third does not wait for it.
    ("publish-outbox", "unknown-effect-between-others", Again(&[])),
];

#[tokio::test]
async fn every_event_has_the_outcome_that_the_table_names() {
    let stack = Stack::running();
    let events: BTreeMap<_, _> =
        event_files().into_iter().map(|e| ((e.function.clone(), e.scenario.clone()), e)).collect();
    let person = Person::sign_up(&stack, &json!({"phone": "+447700900347", "first_name": "Ilse"})).await;
    let token = person.client.token.clone().unwrap();
    let hour = (now() + SignedDuration::from_hours(1)).round(Unit::Second).unwrap().to_string();
    let mut words = BTreeMap::from([("ACCESS_TOKEN", token), ("IN_AN_HOUR", hour)]);
    let mut wrong = Vec::new();
    for (function, scenario, expected) in TABLE {
        let event = &events[&(function.to_owned(), scenario.to_owned())];
        let text = words.iter().fold(event.text.clone(), |text, (word, value)| text.replace(word, value));
        let answer = stack.invoke(function, text).await;
        if !comes_out(event, expected, &answer) {
            wrong.push(format!("{function}/{scenario}: {expected:?}, but {answer:?}"));
        }
        match (function, scenario) {
            ("create-workout", "in-an-hour") => words.insert("WORKOUT_ID", id_in(&answer)),
            ("schedule-call", "in-an-hour") => words.insert("CALL_ID", id_in(&answer)),
            _ => None,
        };
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let aside = stack.take_dead_letter("OutboxDeadQueueUrl").await;
    assert!(aside["effect"]["S"].as_str().unwrap().contains("send_flowers"), "{aside}");
}

fn id_in(answer: &Invocation) -> String {
    let body: Value = serde_json::from_str(answer.payload["body"].as_str().unwrap_or_default()).unwrap_or_default();
    body["id"].as_str().unwrap_or_default().to_owned()
}

fn comes_out(event: &Event, expected: Expected, answer: &Invocation) -> bool {
    let payload = &answer.payload;
    match expected {
        Status(status) => {
            let problem = payload["headers"]["content-type"] == "application/problem+json"
                || payload["multiValueHeaders"]["content-type"][0] == "application/problem+json";
            !answer.failed && payload["statusCode"] == status && problem == (status >= 400)
        }
        Again(records) => {
            let event: Value = serde_json::from_str(&event.text).unwrap();
            let name = |index: &usize| {
                let record = &event["Records"][*index];
                let id = if record["messageId"].is_null() {
                    &record["dynamodb"]["SequenceNumber"]
                } else {
                    &record["messageId"]
                };
                json!({"itemIdentifier": id})
            };
            !answer.failed && payload["batchItemFailures"] == json!(records.iter().map(name).collect::<Vec<_>>())
        }
        Done => !answer.failed && payload.is_null(),
        Failed => answer.failed,
    }
}

#[test]
fn every_function_has_events_and_every_event_its_row() {
    let rows: BTreeSet<_> =
        TABLE.iter().map(|(function, scenario, _)| ((*function).to_owned(), (*scenario).to_owned())).collect();
    let files: BTreeSet<_> = event_files().into_iter().map(|event| (event.function, event.scenario)).collect();
    assert_eq!(rows, files);
    let functions: BTreeSet<_> = files.into_iter().map(|(function, _)| function).collect();
    assert_eq!(functions, functions_of_the_template());
}
