//! What the functions log holds nothing of what people are called, say, or hold: no phone number, name, text, transcript, token.
//!
//! A person whose every word is marked goes through the flows that touch words, refused requests included; then all logs of
//! all functions, those of the tests before this one too, are searched for the marks. That the person's id is found shows
//! that the search sees anything at all.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::time::Duration;

use ivy_simulators::{CallScript, Persona};
use ivy_stack::{Person, Stack, day_zone, now, until};
use jiff::SignedDuration;
use serde_json::json;

const PHONE: &str = "+447700900348";
const CALL: Duration = Duration::from_secs(90);
const WAIT: Duration = Duration::from_secs(60);

/// Words that occur nowhere but in what this test's person says.
const MARKS: [&str; 14] = [
    "quillbert",
    "zandersloot",
    "kwillbird",
    "marmot-juggling",
    "gooseberry",
    "trombone",
    "huckleberry",
    "porcupine",
    "walrus",
    "dandelion",
    "bassoon",
    "turnip",
    "kumquat",
    "rhubarb",
];

#[tokio::test]
async fn nothing_personal_is_logged() {
    let stack = Stack::running();
    let zone = day_zone(now());
    let sign_up = json!({
        "phone": PHONE, "first_name": "Quillbert", "last_name": "Zandersloot", "name_pronunciation": "kwillbird", "timezone": zone,
    });
    let person = Person::sign_up(&stack, &sign_up).await;
    person
        .onboard(json!({
            "minimum_action": "five minutes of marmot-juggling", "gift_frame": "more gooseberry", "why_started": "the trombone",
            "obstacles": ["huckleberry"],
        }))
        .await;
    let refused_text = refused(&stack, &person).await;
    called(&person).await;
    written(&person).await;

    let mut searched: Vec<String> = MARKS.iter().map(|mark| (*mark).to_owned()).collect();
    // The phone numbers of all tests: both ranges that are kept for fiction, with and without the plus.
    searched.extend(["7700900".to_owned(), "1500555".to_owned(), refused_text]);
    for token in ["access_token", "refresh_token"] {
        searched.push(person.session[token].as_str().unwrap().to_lowercase());
    }
    let lines = until("the person's id in the logs", WAIT, async || {
        let lines = stack.logs().await;
        lines.iter().any(|line| line.contains(&person.id) && line.contains("call_transition")).then_some(lines)
    })
    .await;
    let found: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            let lower = line.to_lowercase();
            let mark = searched.iter().find(|mark| lower.contains(mark.as_str()))?;
            Some(format!("{mark}: {line}"))
        })
        .collect();
    assert!(found.is_empty(), "{} of {} lines:\n{}", found.len(), lines.len(), found.join("\n"));
}

/// Requests that are refused, each with a marked value in the wrong place.
async fn refused(stack: &Stack, person: &Person) -> String {
    let client = &person.client;
    client
        .post_text("/api/workouts", r#"{"planned_activity": "porcupine", "planned_time": "#)
        .await
        .problem(400, "malformed-body");
    client.post_text("/api/workouts", r#"{"porcupine": 1}"#).await.problem(422, "invalid-input");
    client.patch("/api/users/me", &json!({"timezone": "Europe/Walrus"}), 422).await;
    let stranger = stack.client();
    stranger.post("/api/users", &json!({"phone": PHONE, "first_name": "Quillbert"}), 201).await;
    stranger.post("/api/auth/verify", &json!({"phone": PHONE, "code": "dandelion"}), 401).await;
    stranger.post("/api/auth/magic-link", &json!({"email": "dandelion@ivy.example"}), 202).await;
    let mut guesser = stack.client();
    let guess = format!("guess{}", uuid::Uuid::new_v4().simple());
    guesser.token = Some(guess.clone());
    guesser.try_get("/api/users/me").await.problem(401, "unauthorized");
    guess
}

/// A call in which a plan, a report and a life marker are made.
async fn called(person: &Person) {
    let script = CallScript {
        duration_seconds: 70,
        user_spoke: true,
        analysis: json!({
            "planned_activity": "a walk with the bassoon", "planned_duration_minutes": 15, "life_marker": "planted a turnip",
            "energy": 3, "safety_flag": true,
        }),
        user_sentiment: None,
        transcript: "Agent: How are you?\nUser: Like a kumquat.\n".to_owned(),
    };
    person.handset.set_persona(&Persona::Answers(script)).await;
    let at = now() + SignedDuration::from_secs(10);
    let id = person.schedule("morning_planning", at, at + SignedDuration::from_hours(1)).await;
    let call = until("the call to be analysed", CALL, async || {
        let call = person.call(&id).await;
        (!call["outcome"].is_null()).then_some(call)
    })
    .await;
    assert!(call["transcript"].as_str().unwrap().contains("kumquat"));
}

/// Messages that are understood and that are not.
async fn written(person: &Person) {
    for text in ["rhubarb, rhubarb", "done"] {
        person.handset.reply(text).await;
    }
    until("both messages to be stored", WAIT, async || {
        let messages = person.messages().await;
        (messages.iter().filter(|m| m["direction"] == "in").count() == 2).then_some(())
    })
    .await;
    person.messages_delivered().await;
}
