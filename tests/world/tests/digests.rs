//! Messages that the calendar sends, and messages in place of calls: each once, whoever comes twice, and only where it has a point.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::sync::Arc;

use ivy_flows::{planning::PlanJob, ports::Queue};
use ivy_simulators::Persona;
use ivy_world::{Job, Person, Setup, World, delivery, gate::HoldsOne};
use jiff::{SignedDuration, Timestamp, civil::date};
use serde_json::{Value, json};

const PHONE: &str = "+447700900155";

async fn mara(world: &World) -> Person {
    let person = world.person(PHONE).tier("b2c_elite");
    person.onboarding("morning_window", Value::Null).onboarding("evening_window", Value::Null).join(world).await
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn templates(world: &World) -> Vec<String> {
    world.simulators.handset(PHONE).iter().filter_map(|message| message.template.clone()).collect()
}

#[tokio::test]
async fn a_workout_of_the_next_hour_is_reminded_of_once() {
    let world = World::at("2026-11-23T08:00:00Z").await;
    let person = mara(&world).await;
    let workout = person.plan("Run", at("2026-11-23T12:30:00Z")).await;
    person.plan("Swim", at("2026-11-23T18:00:00Z")).await;
    world.advance_to(at("2026-11-23T11:45:00Z")).await;
    let event = at("2026-11-23T11:45:00Z");
    world.run_job(Job::SendReminders, event).await;
    world.run_job(Job::SendReminders, event).await;
    world.advance(SignedDuration::from_mins(15)).await;
    world.run_job(Job::SendReminders, at("2026-11-23T12:00:00Z")).await;
    assert_eq!(templates(&world), ["workout_reminder"], "of the run alone, and once");
    let text = world.simulators.handset(PHONE).pop().unwrap().text;
    assert!(text.contains("Mara") && text.contains("12:30pm") && text.contains("Run"), "{text}");
    // Moved, it is reminded of again.
    let body = json!({"planned_time": "2026-11-23T15:00:00Z"});
    person.client.patch(&format!("/api/workouts/{workout}"), body, 200).await;
    world.advance_to(at("2026-11-23T14:15:00Z")).await;
    world.run_job(Job::SendReminders, at("2026-11-23T14:15:00Z")).await;
    assert_eq!(templates(&world).len(), 2);
}

#[tokio::test]
async fn nobody_is_reminded_of_what_is_done_deleted_paused_or_unwanted() {
    let world = World::at("2026-11-23T08:00:00Z").await;
    let person = mara(&world).await;
    let time = at("2026-11-23T12:30:00Z");
    let done = person.plan("Run", time).await;
    let deleted = person.plan("Swim", time).await;
    person.log(&done, "completed").await;
    world.settle().await;
    let before = templates(&world).len();
    person.client.delete(&format!("/api/workouts/{deleted}"), 204).await;
    world.advance_to(at("2026-11-23T11:45:00Z")).await;
    world.run_job(Job::SendReminders, world.now()).await;
    assert_eq!(templates(&world).len(), before);
    person.plan("Yoga", time).await;
    world.advance(SignedDuration::from_mins(15)).await;
    person.client.post("/api/users/me/pause", json!({"reason": "sick"}), 200).await;
    world.run_job(Job::SendReminders, world.now()).await;
    assert_eq!(templates(&world).len(), before, "who is sick is left in peace");
}

#[tokio::test]
async fn the_week_is_summarised_on_sunday_at_six_where_the_person_lives_and_once() {
    let world = World::at("2026-11-23T08:00:00Z").await;
    let person = mara(&world).await;
    for day in ["2026-11-24", "2026-11-26"] {
        world.advance_to(at(&format!("{day}T10:00:00Z"))).await;
        let workout = person.plan("Run", world.now()).await;
        person.log(&workout, "completed").await;
    }
    world.advance_to(at("2026-11-29T17:00:00Z")).await;
    world.run_job(Job::WeeklySummaries, at("2026-11-29T17:00:03Z")).await;
    assert!(!templates(&world).contains(&"weekly_summary".to_owned()), "it is five o'clock");
    world.advance_to(at("2026-11-29T18:00:00Z")).await;
    for _ in 0..2 {
        world.run_job(Job::WeeklySummaries, at("2026-11-29T18:00:02Z")).await;
    }
    let summaries: Vec<_> = world
        .simulators
        .handset(PHONE)
        .into_iter()
        .filter(|message| message.template.as_deref() == Some("weekly_summary"))
        .collect();
    assert_eq!(summaries.len(), 1);
    assert!(summaries[0].text.contains("2 of 3") && summaries[0].text.contains("£3.00"), "{}", summaries[0].text);
    world.run_job(Job::WeeklySummaries, at("2026-11-28T18:00:02Z")).await;
    assert_eq!(templates(&world).iter().filter(|name| *name == "weekly_summary").count(), 1, "Saturday is no Sunday");
}

#[tokio::test]
async fn the_week_is_never_summarised_before_six_where_clocks_are_part_of_an_hour_off() {
    let world = World::at("2026-11-23T08:00:00Z").await;
    let zones = [
        ("Pacific/Chatham", "2026-11-29T04:15:00Z"),
        ("Australia/Lord_Howe", "2026-11-29T07:00:00Z"),
        ("Asia/Kathmandu", "2026-11-29T12:15:00Z"),
        ("Asia/Kolkata", "2026-11-29T12:30:00Z"),
    ];
    let mut people = Vec::new();
    for (number, (zone, _)) in zones.iter().enumerate() {
        let person = world.person(&format!("+44770090026{number}")).tier("b2c_elite").without_planned_calls();
        people.push(person.signing_up("timezone", json!(zone)).join(&world).await);
    }
    for ((zone, six), person) in zones.iter().zip(&people) {
        let summaries = || {
            let arrived = world.simulators.handset(&person.phone).into_iter();
            arrived.filter(|message| message.template.as_deref() == Some("weekly_summary")).count()
        };
        world.advance_to(at(six) - SignedDuration::from_mins(15)).await;
        world.run_job(Job::WeeklySummaries, world.now()).await;
        assert_eq!(summaries(), 0, "{zone}, before six");
        world.advance_to(at(six)).await;
        for seconds in [1, 2] {
            world.run_job(Job::WeeklySummaries, at(six) + SignedDuration::from_secs(seconds)).await;
        }
        assert_eq!(summaries(), 1, "{zone}");
    }
}

#[tokio::test]
async fn receipts_go_to_those_who_gave_and_once() {
    let world = World::at("2026-11-20T08:00:00Z").await;
    let person = mara(&world).await;
    let other = world.person("+447700900255").join(&world).await;
    let workout = person.plan("Run", world.now()).await;
    person.log(&workout, "completed").await;
    world.advance_to(at("2026-12-01T12:00:00Z")).await;
    for _ in 0..2 {
        world.run_job(Job::MonthlyReceipts, at("2026-12-01T12:00:04Z")).await;
    }
    let receipt = world.simulators.handset(PHONE).pop().unwrap();
    assert_eq!(receipt.template.as_deref(), Some("monthly_receipt"));
    assert!(receipt.text.contains("November 2026") && receipt.text.contains("£1.50"), "{}", receipt.text);
    assert_eq!(templates(&world).iter().filter(|name| *name == "monthly_receipt").count(), 1);
    let theirs = world.simulators.handset(&other.phone);
    assert!(theirs.iter().all(|message| message.template.as_deref() != Some("monthly_receipt")), "they gave nothing");
}

async fn written_to(world: &World, preference: &str) -> Person {
    let person = world.person(PHONE).tier("b2c_elite").onboarding("communication_preference", json!(preference));
    person.join(world).await
}

#[tokio::test]
async fn who_wants_messages_gets_them_in_place_of_calls() {
    let world = World::at("2026-11-23T06:00:00Z").await;
    let person = written_to(&world, "async").await;
    world.advance_to(at("2026-11-24T03:00:00Z")).await;
    let before = templates(&world).len();
    world.plan_day(at("2026-11-24T03:00:00Z")).await;
    world.plan_day(at("2026-11-24T03:00:00Z")).await;
    world.advance_to(at("2026-11-24T09:00:00Z")).await;
    assert_eq!(templates(&world)[before..], ["morning_plan"], "once, though the day was planned twice");
    world.simulators.reply(PHONE, "run at 6pm");
    world.settle().await;
    let plans = person.get("/api/users/me/workouts?status=planned").await;
    assert_eq!(plans["items"][0]["planned_activity"], "run", "{plans}");
    assert_eq!(plans["items"][0]["planned_time"], "2026-11-24T18:00:00Z");
    world.advance_to(at("2026-11-24T21:00:00Z")).await;
    let asked = world.simulators.handset(PHONE).into_iter().any(|message| message.text.contains("how did it go"));
    assert!(asked);
    assert!(world.simulators.rings().is_empty(), "nothing rings");
}

#[tokio::test]
async fn who_takes_messages_and_no_calls_gets_messages() {
    let world = World::at("2026-11-23T06:00:00Z").await;
    let consents = |messages| json!({"calls": false, "messages": messages, "data_processing": true});
    let person = world.person(PHONE).tier("b2c_elite").onboarding("communication_preference", json!("async"));
    let person = person.onboarding("consents", consents(true)).join(&world).await;
    world.advance_to(at("2026-11-24T03:00:00Z")).await;
    let before = templates(&world).len();
    world.plan_day(at("2026-11-24T03:00:00Z")).await;
    world.advance_to(at("2026-11-24T09:00:00Z")).await;
    assert_eq!(templates(&world)[before..], ["morning_plan"]);
    person.client.put("/api/users/me/consents", consents(false), 200).await;
    world.advance_to(at("2026-11-24T21:00:00Z")).await;
    assert_eq!(templates(&world)[before..], ["morning_plan"], "withdrawn");
    world.advance_to(at("2026-11-25T03:00:00Z")).await;
    world.plan_day(at("2026-11-25T03:00:00Z")).await;
    world.advance_to(at("2026-11-25T12:00:00Z")).await;
    assert_eq!(templates(&world)[before..], ["morning_plan"], "nor on a day that is planned without it");
    person.client.put("/api/users/me/consents", consents(true), 200).await;
    world.advance_to(at("2026-11-25T21:00:00Z")).await;
    assert_eq!(templates(&world)[before..], ["morning_plan", "evening_check"], "given back in time for the evening");
    assert!(world.simulators.rings().is_empty(), "nothing rings");
}

#[tokio::test]
async fn who_takes_messages_and_no_calls_has_them_again_after_a_pause() {
    let world = World::at("2026-11-23T06:00:00Z").await;
    let consents = json!({"calls": false, "messages": true, "data_processing": true});
    let person = world.person(PHONE).tier("b2c_elite").onboarding("communication_preference", json!("async"));
    let person = person.onboarding("consents", consents).join(&world).await;
    world.advance_to(at("2026-11-23T21:00:00Z")).await;
    person.client.post("/api/users/me/pause", json!({"reason": "sick"}), 200).await;
    world.advance_to(at("2026-11-24T03:00:00Z")).await;
    let before = templates(&world).len();
    world.plan_day(at("2026-11-24T03:00:00Z")).await;
    world.advance_to(at("2026-11-24T12:00:00Z")).await;
    assert_eq!(templates(&world)[before..], [""; 0], "paused");
    person.client.post("/api/users/me/resume", json!({}), 200).await;
    world.advance_to(at("2026-11-24T21:00:00Z")).await;
    assert_eq!(templates(&world)[before..], ["evening_check"]);
}

/// Be it by the page of their zone or by the job of a change of theirs.
#[tokio::test]
async fn who_closes_the_account_while_the_day_is_planned_is_written_nothing() {
    let gate = Arc::new(HoldsOne::of(|passage| {
        passage.operation == "TransactWriteItems" && passage.entities.iter().any(|entity| entity == "message")
    }));
    for of_a_change in [false, true] {
        let setup = Setup { gate: Some(gate.clone()), ..Setup::default() };
        let world = Box::pin(World::with("2026-11-23T06:00:00Z", setup)).await;
        let person = written_to(&world, "async").await;
        let hour = at("2026-11-24T03:00:00Z");
        world.advance_to(hour).await;
        let job = PlanJob::User { user_id: person.id, dates: vec![date(2026, 11, 24)], from: hour };
        let job = delivery(Queue::PlanUsers, &serde_json::to_string(&job).unwrap(), hour);
        let plans = async {
            if of_a_change {
                assert!(world.deliver_message(&job).await, "who is gone is no fault");
            } else {
                world.plan_day(hour).await;
            }
        };
        let closes = async {
            gate.held().await;
            person.client.delete("/api/users/me", 202).await;
            world.advance(SignedDuration::from_mins(10)).await;
            gate.let_go();
        };
        gate.arm();
        tokio::join!(plans, closes);
        world.advance_to(at("2026-11-24T21:00:00Z")).await;
        let rows = world.items("message").await;
        assert!(rows.is_empty(), "erasure does not come past again: {rows:?}");
    }
}

/// Who takes calls in the evening only, and has no evening, was rung and written to at the same moment.
#[tokio::test]
async fn who_is_rung_for_the_onboarding_call_is_not_written_to_at_the_same_moment() {
    let world = World::at("2026-11-23T06:00:00Z").await;
    let person = world.person(PHONE).tier("b2c_elite").onboarding("communication_preference", json!("mixed"));
    person.onboarding("evening_window", json!(null)).join(&world).await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    world.advance_to(at("2026-11-24T03:00:00Z")).await;
    let (before, rung) = (templates(&world).len(), world.simulators.rings().len());
    world.plan_day(at("2026-11-24T03:00:00Z")).await;
    world.advance_to(at("2026-11-24T09:00:00Z")).await;
    assert!(world.simulators.rings().len() > rung, "the onboarding call rings");
    assert!(!templates(&world)[before..].iter().any(|name| name == "morning_plan"));
}

#[tokio::test]
async fn a_message_in_place_of_a_call_comes_in_the_persons_own_window_also_before_seven() {
    let world = World::at("2026-11-23T04:00:00Z").await;
    let person = world.person(PHONE).tier("b2c_elite").onboarding("communication_preference", json!("async"));
    let early = person.onboarding("morning_window", json!({"start": "05:30", "end": "06:30"}));
    early.onboarding("evening_window", json!({"start": "22:00", "end": "23:00"})).join(&world).await;
    world.advance_to(at("2026-11-24T03:00:00Z")).await;
    let before = templates(&world).len();
    world.plan_day(at("2026-11-24T03:00:00Z")).await;
    world.advance_to(at("2026-11-24T06:30:00Z")).await;
    assert_eq!(templates(&world)[before..], ["morning_plan"]);
    world.advance_to(at("2026-11-24T23:00:00Z")).await;
    assert_eq!(templates(&world)[before..], ["morning_plan", "evening_check"]);
}

#[tokio::test]
async fn an_evening_check_that_has_lost_its_point_is_not_sent() {
    let world = World::at("2026-11-23T06:00:00Z").await;
    let person = written_to(&world, "async").await;
    world.advance_to(at("2026-11-24T03:00:00Z")).await;
    world.plan_day(at("2026-11-24T03:00:00Z")).await;
    world.advance_to(at("2026-11-24T12:00:00Z")).await;
    let workout = person.plan("Run", world.now()).await;
    person.log(&workout, "completed").await;
    let noon = world.now();
    world.advance_to(at("2026-11-24T21:00:00Z")).await;
    let since = world.simulators.handset(PHONE).into_iter().filter(|message| message.at >= noon);
    assert!(since.into_iter().all(|message| !message.text.contains("how did it go")), "the day is kept");
}
