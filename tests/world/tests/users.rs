//! Pausing and resuming, consents and their history. What is counted are effects: calls that rang, messages that arrived.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::sync::Arc;

use ivy_flows::ports::Queue;
use ivy_world::{Person, Setup, World, at, delivery, gate::HoldsOne, talks};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PHONE: &str = "+447700900160";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn joined() -> (World, Person) {
    let world = World::new().await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").join(&world)).await;
    world.simulators.set_persona(PHONE, talks(json!({})));
    (world, mara)
}

async fn pause(mara: &Person, body: Value) -> Value {
    mara.client.post("/api/users/me/pause", body, 200).await
}

async fn resume(mara: &Person) -> Value {
    mara.client.post("/api/users/me/resume", json!({}), 200).await
}

async fn consents(mara: &Person, calls: bool, messages: bool, data_processing: bool) -> Value {
    let body = json!({"calls": calls, "messages": messages, "data_processing": data_processing});
    mara.client.put("/api/users/me/consents", body, 200).await
}

/// Type and state of all calls, by time.
async fn calls(mara: &Person) -> Vec<String> {
    let mut calls = mara.calls().await;
    calls.sort_by_key(|call| call["scheduled_time"].as_str().unwrap().to_owned());
    calls
        .iter()
        .map(|call| format!("{} {}", call["call_type"].as_str().unwrap(), call["state"].as_str().unwrap()))
        .collect()
}

async fn completes(world: &World, mara: &Person) {
    let workout = mara.plan("Run", world.now() + SignedDuration::from_mins(1)).await;
    mara.log(&workout, "completed").await;
}

/// When pauses are to end by themselves.
fn ends_of_pauses(world: &World) -> Vec<Timestamp> {
    let timers = world.timers.set_timers();
    timers.iter().filter(|timer| timer.name.starts_with("resume-")).map(|timer| timer.at).collect()
}

async fn streak(mara: &Person) -> i64 {
    mara.stats().await["current_streak"].as_i64().unwrap()
}

#[tokio::test]
async fn a_pause_cancels_what_waits_and_resuming_plans_it_again() {
    let (world, mara) = joined().await;
    let asked_for = mara.schedule("follow_up", at("12:00")).await;
    world.settle().await;
    assert_eq!(world.timers.set_timers().len(), 3);
    let paused = pause(&mara, json!({"reason": "sick"})).await;
    assert_eq!((&paused["status"], &paused["resumes_at"]), (&json!("sick"), &Value::Null));
    // In the request's own transaction: nobody has to wait for a job.
    assert_eq!(calls(&mara).await, ["onboarding cancelled", "follow_up cancelled", "evening_review cancelled"]);
    assert_eq!(mara.call(&asked_for).await["cause"], "paused");
    world.settle().await;
    assert!(world.timers.set_timers().is_empty());
    mara.client
        .try_post("/api/calls", &json!({"call_type": "follow_up", "scheduled_time": at("13:00")}))
        .await
        .problem(409, "calls-not-allowed");
    world.advance_to(at("17:00")).await;
    world.sweep().await;
    assert!(world.simulators.rings().is_empty());
    let active = resume(&mara).await;
    assert_eq!(active["status"], "active");
    world.settle().await;
    let mut planned = calls(&mara).await;
    planned.sort();
    assert_eq!(
        planned,
        ["evening_review cancelled", "follow_up cancelled", "onboarding scheduled"],
        "the morning is over, so the first talk takes the evening; what was asked for by hand does not come back"
    );
    world.advance_to(at("21:00")).await;
    assert_eq!(world.simulators.rings().len(), 1);
}

#[tokio::test]
async fn a_call_that_is_about_to_be_claimed_does_not_ring_after_the_answer() {
    for forbids in ["pause", "consents", "delete"] {
        let gate = Arc::new(HoldsOne::of(|passage| {
            passage.operation == "TransactWriteItems" && passage.entities.iter().any(|entity| entity == "slot")
        }));
        let setup = Setup { gate: Some(gate.clone()), ..Setup::default() };
        let world = World::with("2026-11-23T06:00:00Z", setup).await;
        let mara = Box::pin(world.person(PHONE).tier("b2c_elite").join(&world)).await;
        world.simulators.set_persona(PHONE, talks(json!({})));
        let timer = world.timers.set_timers()[0].clone();
        world.clock.set(timer.at);
        world.simulators.set_time(timer.at);
        gate.arm();
        let claiming = async {
            let message = delivery(Queue::DueCalls, &timer.body, timer.at);
            assert!(Box::pin(world.deliver_message(&message)).await);
        };
        let forbidding = async {
            gate.held().await;
            match forbids {
                "pause" => drop(pause(&mara, json!({"reason": "paused"})).await),
                "consents" => drop(consents(&mara, false, true, true).await),
                _ => drop(mara.client.delete("/api/users/me", 202).await),
            }
            gate.let_go();
        };
        tokio::join!(claiming, forbidding);
        world.settle().await;
        assert!(world.simulators.rings().is_empty(), "{forbids}");
    }
}

#[tokio::test]
async fn a_pause_with_an_end_ends_by_itself_and_once() {
    for timer_is_lost in [false, true] {
        let (world, mara) = joined().await;
        completes(&world, &mara).await;
        let paused = pause(&mara, json!({"reason": "traveling", "until": "2026-11-26"})).await;
        assert_eq!(paused["resumes_at"], "2026-11-26T03:00:00Z");
        world.settle().await;
        assert_eq!(ends_of_pauses(&world), [time("2026-11-26T03:00:00Z")]);
        if timer_is_lost {
            world.timers.lose_all();
        }
        for day in ["2026-11-24", "2026-11-25"] {
            world.advance_to(time(&format!("{day}T03:00:00Z"))).await;
            world.plan_day(world.now()).await;
        }
        world.advance_to(time("2026-11-26T02:59:59Z")).await;
        assert_eq!(mara.get("/api/users/me").await["status"], "traveling");
        assert!(world.simulators.rings().is_empty());
        world.advance_to(time("2026-11-26T03:00:00Z")).await;
        world.plan_day(world.now()).await;
        world.republish_outbox().await;
        world.settle().await;
        let active = mara.get("/api/users/me").await;
        assert_eq!((&active["status"], &active["resumes_at"]), (&json!("active"), &Value::Null));
        assert_eq!(streak(&mara).await, 1, "the days of the pause ended no run, and today is not over");
        world.advance_to(time("2026-11-26T21:00:00Z")).await;
        assert_eq!(world.simulators.rings().len(), 2, "timer lost: {timer_is_lost}");
        world.advance_to(time("2026-11-27T12:00:00Z")).await;
        assert_eq!(streak(&mara).await, 0, "Thursday counted again");
    }
}

#[tokio::test]
async fn a_pause_that_is_over_is_over_for_whoever_looks_first() {
    let (world, mara) = joined().await;
    pause(&mara, json!({"reason": "traveling", "until": "2026-11-23T14:00"})).await;
    world.settle().await;
    world.timers.lose_all();
    world.advance_to(at("14:00")).await;
    assert_eq!(mara.get("/api/users/me").await["status"], "active");
    mara.schedule("follow_up", at("15:00")).await;
    world.advance_to(at("15:30")).await;
    assert_eq!(world.ring_times(), ["15:00"], "the claim sees it as well");
    // The first change writes it down, and brings the evening's call back.
    mara.client.patch("/api/users/me", json!({"weekly_goal": 5}), 200).await;
    world.settle().await;
    world.advance_to(at("21:00")).await;
    assert_eq!(world.simulators.rings().len(), 2);
}

#[tokio::test]
async fn a_pause_changes_its_reason_and_end_and_keeps_its_first_day() {
    let (world, mara) = joined().await;
    completes(&world, &mara).await;
    pause(&mara, json!({"reason": "paused", "until": "2026-11-25"})).await;
    world.settle().await;
    world.advance_to(time("2026-11-24T12:00:00Z")).await;
    let longer = pause(&mara, json!({"reason": "sick", "until": "2026-11-27T09:00:00+02:00"})).await;
    assert_eq!((&longer["status"], &longer["resumes_at"]), (&json!("sick"), &json!("2026-11-27T07:00:00Z")));
    world.settle().await;
    assert_eq!(ends_of_pauses(&world), [time("2026-11-27T07:00:00Z")]);
    world.advance_to(time("2026-11-26T12:00:00Z")).await;
    assert_eq!(streak(&mara).await, 1);
    // Without an end it lasts until the user says so.
    pause(&mara, json!({"reason": "sick"})).await;
    world.settle().await;
    assert!(ends_of_pauses(&world).is_empty());
    world.advance_to(time("2026-12-10T12:00:00Z")).await;
    assert_eq!(streak(&mara).await, 1);
    resume(&mara).await;
    completes(&world, &mara).await;
    assert_eq!(streak(&mara).await, 2);
}

#[tokio::test]
async fn a_day_that_was_kept_stays_kept_and_resuming_the_same_day_freezes_nothing() {
    let (world, mara) = joined().await;
    completes(&world, &mara).await;
    pause(&mara, json!({"reason": "paused"})).await;
    assert_eq!(streak(&mara).await, 1);
    completes(&world, &mara).await;
    assert_eq!(world.donations().await, [150, 150], "who pauses may keep a day all the same");
    resume(&mara).await;
    world.advance_to(time("2026-11-25T12:00:00Z")).await;
    assert_eq!(streak(&mara).await, 0, "Tuesday was missed");
}

#[tokio::test]
async fn what_cannot_be_a_pause_is_refused() {
    let (world, mara) = joined().await;
    let before = world.snapshot().await;
    for (body, fields) in [
        (json!({}), vec!["reason"]),
        (json!({"reason": "active"}), vec!["reason"]),
        (json!({"reason": "sick", "until": "tomorrow"}), vec!["until"]),
        (json!({"reason": "sick", "until": "2026-11-24T09:00[Europe/London]"}), vec!["until"]),
        (json!({"reason": "sick", "until": "2026-11-23"}), vec!["until"]),
        (json!({"reason": "sick", "until": "2026-11-23T05:59"}), vec!["until"]),
        (json!({"reason": "sick", "until": "2027-12-01"}), vec!["until"]),
        (json!({"reason": 1, "until": 2, "forever": true}), vec!["reason", "until", "forever"]),
    ] {
        let refused = mara.client.try_post("/api/users/me/pause", &body).await;
        refused.problem(422, "invalid-input");
        assert_eq!(refused.wrong_fields(), fields, "{body}");
    }
    // Who is active resumes into nothing new.
    assert_eq!(resume(&mara).await, mara.get("/api/users/me").await);
    world.assert_nothing_written(&before).await;
    let nobody = world.person("+447700900161").not_onboarded().join(&world).await;
    nobody.client.try_post("/api/users/me/pause", &json!({"reason": "sick"})).await.problem(409, "not-onboarded");
}

#[tokio::test]
async fn two_pauses_at_once_are_one_pause() {
    let (world, mara) = joined().await;
    let (one, other) = tokio::join!(
        pause(&mara, json!({"reason": "sick", "until": "2026-11-25"})),
        pause(&mara, json!({"reason": "sick", "until": "2026-11-25"})),
    );
    assert_eq!((&one["status"], &one["resumes_at"]), (&other["status"], &other["resumes_at"]));
    world.settle().await;
    assert_eq!(ends_of_pauses(&world).len(), 1);
}

#[tokio::test]
async fn every_word_on_a_consent_is_kept_whoever_took_it() {
    let (world, mara) = joined().await;
    world.advance(SignedDuration::from_mins(1)).await;
    let said = consents(&mara, true, false, true).await;
    assert_eq!((&said["messages"]["granted"], &said["messages"]["source"]), (&json!(false), &json!("api")));
    assert_eq!(said["calls"]["source"], "onboarding", "what is said again stands as it was said first");
    let before = world.snapshot().await;
    assert_eq!(consents(&mara, true, false, true).await, said);
    world.assert_nothing_written(&before).await;
    world.advance(SignedDuration::from_mins(1)).await;
    world.writes(&mara, "START").await;
    world.advance(SignedDuration::from_mins(1)).await;
    world.writes(&mara, "STOP").await;
    let export = mara.get("/api/users/me/export").await;
    let history: Vec<String> = export["consent_history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|word| word["purpose"].as_str().unwrap().starts_with("messages"))
        .map(|word| {
            format!("{} {} {}", word["source"].as_str().unwrap(), word["purpose"].as_str().unwrap(), word["granted"])
        })
        .collect();
    let expected = [
        "onboarding messages true",
        "api messages false",
        "whatsapp messages true",
        "whatsapp messages_whatsapp true",
        "whatsapp messages_whatsapp false",
    ];
    assert_eq!(history, expected);
    assert_eq!(export["consent_history"].as_array().unwrap().len(), 7);
    assert!(export["consent_history"].as_array().unwrap().iter().all(|word| word["wording_version"].is_string()));
}

#[tokio::test]
async fn without_consent_nothing_rings_and_with_it_the_day_is_planned_again() {
    for (calls_too, data_too) in [(false, true), (true, false)] {
        let (world, mara) = joined().await;
        consents(&mara, calls_too, true, data_too).await;
        assert_eq!(calls(&mara).await, ["onboarding cancelled", "evening_review cancelled"]);
        world.advance_to(at("12:00")).await;
        world.sweep().await;
        assert!(world.simulators.rings().is_empty() && world.timers.set_timers().is_empty());
        consents(&mara, true, true, true).await;
        world.advance_to(at("21:00")).await;
        assert_eq!(world.simulators.rings().len(), 1, "the evening");
    }
}

#[tokio::test]
async fn a_queued_message_is_suppressed_when_its_consent_is_gone_by_then() {
    for (messages, data_processing) in [(false, true), (true, false)] {
        let (world, mara) = joined().await;
        world.stop_outbox(true);
        completes(&world, &mara).await;
        consents(&mara, true, messages, data_processing).await;
        let before = world.simulators.handset(PHONE).len();
        world.stop_outbox(false);
        world.settle().await;
        assert_eq!(world.simulators.handset(PHONE).len(), before);
        let confirmations = mara.messages_of("completion_confirmation").await;
        assert_eq!(
            (&confirmations[0]["status"], &confirmations[0]["failure"]),
            (&json!("suppressed"), &json!("no_consent"))
        );
    }
}
