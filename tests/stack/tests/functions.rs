//! Every event of `events/`, by Lambda's own door, on the function that it is for.
//!
//! The table says what comes of each. In the events stand a few words for what cannot be fixed in a file; the test puts a real value
//! in: `ACCESS_TOKEN`, `OPERATOR_TOKEN`, `USER_ID`, `IN_AN_HOUR` (a time), `NOW_SECONDS`, `RETELL_SIGNATURE` and `WHATSAPP_SIGNATURE` (of the
//! event's own body), and what earlier events of the table made: `CALL_ID`, `WORKOUT_ID`, `MESSAGE_ID`, `RECEIPT_ID`, `REFRESH_TOKEN`, and
//! `SIX_DIGITS`, the code that arrived at the phone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what broke by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ivy_simulators::{Provider, Simulators};
use ivy_stack::{Event, Invocation, Person, Stack, day_zone, event_files, functions_of_the_template, now, until};
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
const TABLE: [(&str, &str, Expected); 180] = [
    ("health", "get", Status(200)),
    ("api-docs", "document", Status(200)),
    ("api-docs", "page", Status(200)),
    ("answer-preflight", "known-origin", Status(204)),
    ("answer-preflight", "foreign-origin", Status(204)),
    ("answer-preflight", "no-preflight", Status(405)),
    ("answer-preflight", "wrong-method", Status(405)),
    ("create-user", "all-fields", Status(201)),
    ("create-user", "required-fields", Status(201)),
    ("create-user", "unknown-field", Status(422)),
    ("create-user", "many-wrong-fields", Status(422)),
    ("create-user", "malformed-json", Status(400)),
    ("create-user", "sponsored-plan", Status(422)),
    ("request-magic-link", "unknown-contact", Status(202)),
    ("request-magic-link", "both-contacts", Status(422)),
    ("request-magic-link", "body-in-base64", Status(202)),
    ("request-magic-link", "own-phone", Status(202)),
    ("verify-magic-link", "own-code", Status(200)),
    ("verify-magic-link", "wrong-code", Status(401)),
    ("verify-magic-link", "neither-token-nor-code", Status(422)),
    ("refresh-session", "own", Status(200)),
    ("refresh-session", "not-a-token", Status(401)),
    ("refresh-session", "no-body", Status(400)),
    ("end-session", "not-signed-in", Status(401)),
    ("end-session", "everywhere-as-text", Status(422)),
    ("end-session", "no-body", Status(204)),
    ("admin-login", "operator", Status(200)),
    ("admin-login", "no-such-account", Status(401)),
    ("admin-login", "empty-object", Status(422)),
    ("onboard-user", "not-signed-in", Status(401)),
    ("onboard-user", "no-data-processing", Status(422)),
    ("onboard-user", "all-fields", Status(200)),
    ("get-user", "own", Status(200)),
    ("get-user", "another-person", Status(404)),
    ("get-user", "not-signed-in", Status(401)),
    ("get-user", "token-of-another-service", Status(401)),
    ("update-user", "new-goal", Status(200)),
    ("update-user", "null-first-name", Status(422)),
    ("update-user", "code-of-nothing", Status(422)),
    ("update-user", "another-email", Status(200)),
    ("pause-user", "until-a-date", Status(200)),
    ("pause-user", "active-is-no-reason", Status(422)),
    ("resume-user", "own", Status(200)),
    ("resume-user", "not-signed-in", Status(401)),
    // While the person takes messages.
    ("send-message", "celebration", Status(202)),
    ("send-message", "sign-in-link", Status(422)),
    ("send-message", "text-out-of-the-blue", Status(409)),
    ("set-consents", "no-messages", Status(200)),
    ("set-consents", "one-purpose-missing", Status(422)),
    ("export-user", "own", Status(200)),
    ("export-user", "foreign-cursor", Status(422)),
    ("delete-user", "another-person", Status(404)),
    ("delete-user", "not-signed-in", Status(401)),
    ("create-workout", "in-an-hour", Status(201)),
    ("create-workout", "last-year", Status(422)),
    ("create-workout", "plain-text", Status(415)),
    ("todays-workouts", "own", Status(200)),
    ("todays-workouts", "not-signed-in", Status(401)),
    ("update-workout", "zero-minutes", Status(422)),
    ("update-workout", "completed", Status(200)),
    ("update-workout", "unknown-workout", Status(404)),
    ("get-workout", "own", Status(200)),
    ("get-workout", "unknown-workout", Status(404)),
    ("list-workouts", "one-month", Status(200)),
    ("list-workouts", "ends-before-it-begins", Status(422)),
    ("schedule-call", "in-an-hour", Status(201)),
    ("schedule-call", "in-the-past", Status(422)),
    ("schedule-call", "unknown-call-type", Status(422)),
    ("get-call", "own", Status(200)),
    ("get-call", "unknown-call", Status(404)),
    ("get-call", "no-uuid", Status(404)),
    ("list-calls", "own", Status(200)),
    ("list-calls", "limit-given-twice", Status(422)),
    ("list-calls", "foreign-cursor", Status(422)),
    ("initiate-call", "now", Status(201)),
    ("initiate-call", "with-a-time", Status(422)),
    ("reschedule-call", "own", Status(200)),
    ("reschedule-call", "unknown-call", Status(404)),
    ("upcoming-calls", "by-an-operator", Status(200)),
    ("upcoming-calls", "by-a-user", Status(401)),
    ("record-outcome", "not-over", Status(409)),
    ("record-outcome", "call-of-nobody", Status(404)),
    ("record-outcome", "by-a-user", Status(401)),
    ("cancel-call", "own", Status(200)),
    ("cancel-call", "unknown-call", Status(404)),
    ("list-messages", "own", Status(200)),
    ("list-messages", "limit-too-large", Status(422)),
    ("get-wallet", "own", Status(200)),
    ("get-wallet", "another-person", Status(404)),
    ("list-donations", "own", Status(200)),
    ("list-donations", "no-such-day", Status(422)),
    ("get-impact", "own", Status(200)),
    ("get-impact", "another-person", Status(404)),
    ("list-receipts", "own", Status(200)),
    ("list-receipts", "thirteenth-month", Status(422)),
    ("list-charities", "all", Status(200)),
    ("list-charities", "not-signed-in", Status(401)),
    ("log-donation", "two-pounds", Status(201)),
    ("log-donation", "without-a-key", Status(422)),
    ("log-donation", "more-than-was-given", Status(409)),
    ("get-stats", "own", Status(200)),
    ("get-stats", "not-signed-in", Status(401)),
    ("get-streak", "own", Status(200)),
    ("get-streak", "not-signed-in", Status(401)),
    ("get-activity", "by-week", Status(200)),
    ("get-activity", "by-year", Status(422)),
    ("record-score", "all-three", Status(201)),
    ("record-score", "eleven-of-ten", Status(422)),
    ("record-marker", "own", Status(201)),
    ("record-marker", "no-words", Status(422)),
    ("get-transformation", "own", Status(200)),
    ("get-transformation", "another-person", Status(404)),
    ("delete-scores", "another-person", Status(404)),
    ("delete-scores", "own", Status(204)),
    ("get-call-stats", "own", Status(200)),
    ("get-call-stats", "a-whole-year", Status(422)),
    // The workout that was logged is not needed any more.
    ("delete-workout", "unknown-workout", Status(404)),
    ("delete-workout", "own", Status(204)),
    ("delete-workout", "deleted-before", Status(404)),
    ("retell-webhook", "call-of-nobody", Status(204)),
    ("retell-webhook", "attempt-that-is-none", Status(204)),
    ("retell-webhook", "bad-signature", Status(401)),
    ("retell-webhook", "no-signature", Status(401)),
    ("retell-webhook", "malformed-signature", Status(401)),
    ("retell-webhook", "empty-body", Status(401)),
    ("retell-inbound", "a-stranger", Status(200)),
    ("retell-inbound", "number-withheld", Status(200)),
    ("retell-inbound", "bad-signature", Status(401)),
    // What is wrong with a tool's use is a sentence for the agent, never a status.
    ("retell-function", "call-of-nobody", Status(200)),
    ("retell-function", "unknown-tool", Status(200)),
    ("retell-function", "score-of-eleven", Status(200)),
    ("retell-function", "bad-signature", Status(401)),
    ("twilio-status", "bad-signature", Status(401)),
    ("twilio-status", "no-signature", Status(401)),
    ("twilio-sms", "bad-signature", Status(401)),
    ("twilio-sms", "signature-of-sha256", Status(401)),
    ("whatsapp-webhook", "text-from-a-user", Status(204)),
    ("whatsapp-webhook", "bad-signature", Status(401)),
    ("whatsapp-webhook", "sha1-signature-only", Status(401)),
    ("whatsapp-webhook", "escaped-unicode", Status(401)),
    ("whatsapp-verify", "subscribe", Status(200)),
    ("whatsapp-verify", "wrong-token", Status(403)),
    ("whatsapp-verify", "no-question", Status(403)),
    ("plan-day", "half-hour-zones", Done),
    ("plan-day", "fired-late", Done),
    ("plan-day", "without-time", Failed),
    ("reset-wallets", "new-month-in-kiribati", Done),
    ("reset-wallets", "without-time", Failed),
    ("send-reminders", "quarter-past", Done),
    ("send-reminders", "without-time", Failed),
    ("weekly-summaries", "sunday-evening-in-london", Done),
    ("weekly-summaries", "without-time", Failed),
    ("monthly-receipts", "first-of-december", Done),
    ("monthly-receipts", "without-time", Failed),
    ("sweep-calls", "tick", Done),
    ("sweep-calls", "time-no-rfc3339", Failed),
    ("place-call", "another-due-time", Again(&[])),
    ("place-call", "gone-call", Again(&[])),
    ("place-call", "not-json", Again(&[0])),
    ("place-call", "one-unreadable-of-three", Again(&[1])),
    ("place-call", "from-the-scheduler-console", Again(&[0])),
    ("place-call", "test-event-of-the-console", Failed),
    ("plan-users", "empty-shard", Again(&[])),
    ("plan-users", "wallets-of-an-empty-shard", Again(&[])),
    ("plan-users", "own-day", Again(&[])),
    ("plan-users", "gone-user", Again(&[])),
    ("plan-users", "zone-that-is-none", Again(&[0])),
    ("plan-users", "unknown-kind", Again(&[0])),
    ("send-message-worker", "sent-before", Again(&[])),
    ("send-message-worker", "gone-message", Again(&[])),
    ("send-message-worker", "not-json", Again(&[0])),
    ("publish-outbox", "message-of-nobody", Again(&[])),
    ("publish-outbox", "call-timer-set-and-cleared", Again(&[])),
    ("publish-outbox", "timer-that-is-gone", Again(&[])),
    ("publish-outbox", "other-entities", Again(&[])),
    // The second goes to the outbox's dead letters at once; the third does not wait for it.
    ("publish-outbox", "unknown-effect-between-others", Again(&[])),
    ("erase-user", "gone-user", Again(&[])),
    ("erase-user", "without-receipt", Again(&[0])),
    // Last: the person of all these events is gone afterwards.
    ("delete-user", "own", Status(202)),
    ("erase-user", "own", Again(&[])),
];

#[tokio::test]
async fn every_event_has_the_outcome_that_the_table_names() {
    let stack = Stack::running();
    let events: BTreeMap<_, _> =
        event_files().into_iter().map(|e| ((e.function.clone(), e.scenario.clone()), e)).collect();
    // Where an hour from now is still today.
    let answers = json!({"phone": "+447700900347", "first_name": "Ilse", "timezone": day_zone(now())});
    let person = Person::sign_up(&stack, &answers).await;
    let token = person.client.token.clone().unwrap();
    let hour = (now() + SignedDuration::from_hours(1)).round(Unit::Second).unwrap().to_string();
    let mut words = BTreeMap::from([("ACCESS_TOKEN", token), ("IN_AN_HOUR", hour)]);
    words.insert("OPERATOR_PASSWORD", stack.file.operator_password.clone());
    words.insert("USER_ID", person.id.clone());
    words.insert("NOW_SECONDS", now().as_second().to_string());
    let signer = stack.signer(stack.file.secrets.clone()).await;
    let mut wrong = Vec::new();
    for (function, scenario, expected) in TABLE {
        let event = &events[&(function.to_owned(), scenario.to_owned())];
        let text = words.iter().fold(event.text.clone(), |text, (word, value)| text.replace(word, value));
        let answer = stack.invoke(function, signed(&signer, &text)).await;
        if !comes_out(event, expected, &answer) {
            wrong.push(format!("{function}/{scenario}: {expected:?}, but {answer:?}"));
        }
        match (function, scenario) {
            ("create-workout", "in-an-hour") => words.insert("WORKOUT_ID", id_in(&answer)),
            ("schedule-call", "in-an-hour") => words.insert("CALL_ID", id_in(&answer)),
            ("request-magic-link", "own-phone") => words.insert("SIX_DIGITS", second_code(&person).await),
            ("verify-magic-link", "own-code") => words.insert("REFRESH_TOKEN", text_in(&answer, "refresh_token")),
            ("send-message", "celebration") => words.insert("MESSAGE_ID", id_in(&answer)),
            ("delete-user", "own") => words.insert("RECEIPT_ID", text_in(&answer, "receipt_id")),
            ("admin-login", "operator") => {
                let token = text_in(&answer, "access_token");
                may_ask(&stack, &token).await;
                words.insert("OPERATOR_TOKEN", token)
            }
            _ => None,
        };
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let aside = stack.take_dead_letter("OutboxDeadQueueUrl").await;
    assert!(aside["effect"]["S"].as_str().unwrap().contains("send_flowers"), "{aside}");
}

/// Puts the signature of its body into an event that asks for one.
fn signed(signer: &Simulators, text: &str) -> String {
    let words = [("RETELL_SIGNATURE", Provider::Retell), ("WHATSAPP_SIGNATURE", Provider::WhatsApp)];
    let Some((word, provider)) = words.into_iter().find(|(word, _)| text.contains(word)) else {
        return text.to_owned();
    };
    let event: Value = serde_json::from_str(text).unwrap();
    let body = event["body"].as_str().unwrap().as_bytes().to_vec();
    let webhook = signer.sign(provider, event["path"].as_str().unwrap(), body);
    let (_, signature) =
        webhook.headers.iter().find(|(name, _)| name.to_lowercase().contains("signature")).expect("it is signed");
    text.replace(word, signature)
}

/// The code of the second link that arrives: the first one signed the person in.
async fn second_code(person: &Person) -> String {
    until("the second code", Duration::from_secs(60), async || {
        let arrived = person.handset.arrived().await;
        let codes = arrived.iter().filter_map(|message| {
            let words = message["text"].as_str()?.split(|c: char| !c.is_ascii_alphanumeric());
            words.filter(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned).next()
        });
        codes.collect::<Vec<_>>().into_iter().nth(1)
    })
    .await
}

/// The operator is the same one in all tests; another may have used up the account's requests of this minute.
async fn may_ask(stack: &Stack, token: &str) {
    let mut client = stack.client();
    client.token = Some(token.to_owned());
    until("the operator's next minute", Duration::from_secs(75), async || {
        let status = client.try_get("/api/calls/upcoming").await.status;
        (status != 429).then_some(())
    })
    .await;
}

fn id_in(answer: &Invocation) -> String {
    text_in(answer, "id")
}

fn text_in(answer: &Invocation, field: &str) -> String {
    let body: Value = serde_json::from_str(answer.payload["body"].as_str().unwrap_or_default()).unwrap_or_default();
    body[field].as_str().unwrap_or_default().to_owned()
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
