//! Planning: which calls a day gets, once, and what becomes of them when the user changes.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use ivy_flows::{planning::PlanJob, ports::Queue};
use ivy_simulators::{Fault, Persona, Provider};
use ivy_store::keys;
use ivy_world::{Person, World, at, delivery, talks};
use jiff::{SignedDuration, civil::Date};
use serde_json::{Value, json};

const PHONE: &str = "+447700900150";

async fn joined_at(now: &str, tier: &str) -> (World, Person) {
    let world = World::at(now).await;
    let mara = Box::pin(world.person(PHONE).tier(tier).join(&world)).await;
    (world, mara)
}

/// The day's calls in the order of their times: type, state, window.
async fn calls(mara: &Person) -> Vec<String> {
    let mut calls = mara.calls().await;
    calls.sort_by_key(|call| call["scheduled_time"].as_str().unwrap().to_owned());
    let text = |call: &Value, name: &str| call[name].as_str().unwrap().to_owned();
    let line = |call: &Value| {
        let window = (text(call, "window_start"), text(call, "window_end"));
        format!("{} {} {}-{}", text(call, "call_type"), text(call, "state"), &window.0[5..16], &window.1[11..16])
    };
    calls.iter().map(line).collect()
}

/// Works the pages of a London day off, as `plan-day` asks for them.
async fn plan_london(world: &World, date: Date) {
    for shard in 0..keys::SHARDS {
        let job = PlanJob::Page { zone: "Europe/London".parse().unwrap(), shard, date, after: None };
        let body = serde_json::to_string(&job).unwrap();
        assert!(Box::pin(world.deliver_message(&delivery(Queue::PlanUsers, &body, world.now()))).await);
    }
    world.settle().await;
}

#[tokio::test]
async fn onboarding_plans_what_remains_of_the_day() {
    let (_, early) = joined_at("2026-11-23T06:00:00Z", "b2c_elite").await;
    assert_eq!(
        calls(&early).await,
        ["onboarding scheduled 11-23T07:30-09:00", "evening_review scheduled 11-23T18:00-20:00"]
    );
    let (_, noon) = joined_at("2026-11-23T12:00:00Z", "b2c_elite").await;
    assert_eq!(calls(&noon).await, ["onboarding scheduled 11-23T18:00-20:00"]);
    let (_, late) = joined_at("2026-11-23T20:30:00Z", "b2c_elite").await;
    assert!(calls(&late).await.is_empty());
    let (_, pro) = joined_at("2026-11-23T06:00:00Z", "b2c_pro").await;
    assert_eq!(
        calls(&pro).await,
        ["onboarding scheduled 11-23T07:30-09:00"],
        "Pro's review is on the middle day, Thursday"
    );
}

#[tokio::test]
async fn planned_calls_ring_in_the_first_half_of_their_windows() {
    let (world, mara) = joined_at("2026-11-23T06:00:00Z", "b2c_elite").await;
    world.simulators.set_persona(PHONE, talks(json!({})));
    world.advance_to(at("21:00")).await;
    let rings: Vec<_> = world.simulators.rings().into_iter().map(|ring| ring.at).collect();
    assert_eq!(rings.len(), 2);
    assert!((at("07:30")..at("08:15")).contains(&rings[0]), "{}", rings[0]);
    assert!((at("18:00")..at("19:00")).contains(&rings[1]), "{}", rings[1]);
    assert!(mara.calls().await.iter().all(|call| call["state"] == "completed"));
}

#[tokio::test]
async fn a_day_planned_twice_has_its_calls_once() {
    let (world, mara) = joined_at("2026-11-23T20:30:00Z", "b2c_elite").await;
    world.advance_to("2026-11-24T03:00:00Z".parse().unwrap()).await;
    let tuesday = Date::constant(2026, 11, 24);
    plan_london(&world, tuesday).await;
    let planned = ["onboarding scheduled 11-24T07:30-09:00", "evening_review scheduled 11-24T18:00-20:00"];
    assert_eq!(calls(&mara).await, planned);
    let timers = world.timers.set_timers();
    assert_eq!(timers.len(), 2);
    let before = world.snapshot().await;
    plan_london(&world, tuesday).await;
    assert_eq!(world.snapshot().await, before);
    world.advance(SignedDuration::from_hours(1)).await;
    plan_london(&world, tuesday).await;
    world.republish_outbox().await;
    assert_eq!(calls(&mara).await, planned);
    assert_eq!(world.timers.set_timers(), timers);
}

#[tokio::test]
async fn a_day_planned_again_brings_no_cancelled_call_back() {
    let (world, mara) = joined_at("2026-11-23T06:00:00Z", "b2c_elite").await;
    let evening = mara.calls().await.into_iter().find(|call| call["call_type"] == "evening_review").unwrap();
    mara.client.delete(&format!("/api/calls/{}", evening["id"].as_str().unwrap()), 200).await;
    plan_london(&world, Date::constant(2026, 11, 23)).await;
    assert_eq!(calls(&mara).await[1], "evening_review cancelled 11-23T18:00-20:00");
}

#[tokio::test]
async fn a_changed_window_moves_the_waiting_call() {
    let (world, mara) = joined_at("2026-11-23T12:00:00Z", "b2c_elite").await;
    world.simulators.set_persona(PHONE, talks(json!({})));
    let stale = world.timers.set_timers()[0].clone();
    let body = json!({"evening_window": {"start": "20:00", "end": "21:00"}});
    mara.client.patch("/api/users/me", body, 200).await;
    world.settle().await;
    assert_eq!(calls(&mara).await, ["onboarding scheduled 11-23T20:00-21:00"]);
    assert_eq!(world.timers.set_timers().len(), 1);
    // The old timer fires all the same.
    world.advance_to(stale.at).await;
    assert!(Box::pin(world.deliver_message(&delivery(Queue::DueCalls, &stale.body, world.now()))).await);
    world.advance_to(at("19:59")).await;
    assert!(world.simulators.rings().is_empty());
    world.advance_to(at("21:00")).await;
    assert_eq!(world.simulators.rings().len(), 1);
}

#[tokio::test]
async fn a_window_that_is_taken_away_or_over_cancels_the_call() {
    for window in [json!(null), json!({"start": "10:00", "end": "11:30"})] {
        let (world, mara) = joined_at("2026-11-23T12:00:00Z", "b2c_elite").await;
        mara.client.patch("/api/users/me", json!({"evening_window": window}), 200).await;
        world.settle().await;
        assert_eq!(calls(&mara).await, ["onboarding cancelled 11-23T18:00-20:00"], "{window}");
        assert!(world.timers.set_timers().is_empty());
        world.advance_to(at("21:00")).await;
        world.sweep().await;
        assert!(world.simulators.rings().is_empty());
    }
}

#[tokio::test]
async fn another_zone_moves_todays_calls() {
    let (world, mara) = joined_at("2026-11-23T11:00:00Z", "b2c_elite").await;
    mara.client.patch("/api/users/me", json!({"timezone": "America/New_York"}), 200).await;
    world.settle().await;
    let mut planned = calls(&mara).await;
    planned.sort();
    assert_eq!(
        planned,
        ["evening_review scheduled 11-23T23:00-01:00", "onboarding scheduled 11-23T12:30-14:00"],
        "06:00 in New York: both windows are still to come"
    );
    assert_eq!(world.timers.set_timers().len(), 2);

    let (world, mara) = joined_at("2026-11-23T17:00:00Z", "b2c_elite").await;
    mara.client.patch("/api/users/me", json!({"timezone": "Asia/Tokyo"}), 200).await;
    world.settle().await;
    assert_eq!(calls(&mara).await, ["onboarding cancelled 11-23T18:00-20:00"], "02:00 in Tokyo: the evening is over");
}

#[tokio::test]
async fn a_zone_whose_day_is_another_gets_that_days_calls() {
    let world = World::at("2026-11-23T19:00:00Z").await;
    let evening = json!({"start": "20:00", "end": "21:00"});
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").onboarding("evening_window", evening).join(&world)).await;
    mara.client.patch("/api/users/me", json!({"timezone": "Asia/Tokyo"}), 200).await;
    world.settle().await;
    assert_eq!(
        calls(&mara).await,
        [
            "onboarding cancelled 11-23T20:00-21:00",
            "onboarding scheduled 11-23T22:30-00:00",
            "evening_review scheduled 11-24T11:00-12:00",
        ],
        "04:00 on Tuesday in Tokyo"
    );
}

#[tokio::test]
async fn a_change_that_is_taken_back_brings_the_calls_back() {
    let (world, mara) = joined_at("2026-11-23T17:00:00Z", "b2c_elite").await;
    world.simulators.set_persona(PHONE, talks(json!({})));
    let planned = calls(&mara).await;
    let timers = world.timers.set_timers();
    mara.client.patch("/api/users/me", json!({"timezone": "Asia/Tokyo"}), 200).await;
    world.settle().await;
    assert!(world.timers.set_timers().is_empty());
    world.advance(SignedDuration::from_mins(1)).await;
    mara.client.patch("/api/users/me", json!({"timezone": "Europe/London"}), 200).await;
    world.settle().await;
    assert_eq!(calls(&mara).await, planned);
    assert_eq!(world.timers.set_timers(), timers);
    world.advance_to(at("21:00")).await;
    assert_eq!(world.simulators.rings().len(), 1);
}

#[tokio::test]
async fn a_call_that_the_user_cancelled_stays_cancelled_whatever_changes() {
    let (world, mara) = joined_at("2026-11-23T12:00:00Z", "b2c_elite").await;
    let id = mara.calls().await[0]["id"].as_str().unwrap().to_owned();
    mara.client.delete(&format!("/api/calls/{id}"), 200).await;
    mara.client.patch("/api/users/me", json!({"evening_window": {"start": "20:00", "end": "21:00"}}), 200).await;
    world.advance_to(at("21:30")).await;
    assert_eq!(calls(&mara).await, ["onboarding cancelled 11-23T18:00-20:00"]);
    assert!(world.simulators.rings().is_empty());
}

#[tokio::test]
async fn a_change_of_something_else_leaves_the_plan_alone() {
    let (world, mara) = joined_at("2026-11-23T06:00:00Z", "b2c_elite").await;
    let before = (mara.calls().await, world.timers.set_timers());
    mara.client.patch("/api/users/me", json!({"first_name": "Mary", "weekly_goal": 4}), 200).await;
    mara.client.patch("/api/users/me", json!({"morning_window": {"start": "07:30", "end": "09:00"}}), 200).await;
    world.settle().await;
    assert_eq!((mara.calls().await, world.timers.set_timers()), before);
}

#[tokio::test]
async fn an_overdue_call_that_waits_for_the_provider_survives_a_change_of_the_other_window() {
    let (world, mara) = joined_at("2026-11-23T06:00:00Z", "b2c_elite").await;
    world.simulators.set_persona(PHONE, talks(json!({})));
    let due = world.timers.set_timers()[0].at;
    world.simulators.faults().next(Provider::Retell, Fault::Status(402));
    world.advance_to(due + SignedDuration::from_secs(5)).await;
    let body = json!({"evening_window": {"start": "20:00", "end": "21:00"}});
    mara.client.patch("/api/users/me", body, 200).await;
    world.settle().await;
    assert_eq!(
        calls(&mara).await,
        ["onboarding scheduled 11-23T07:30-09:00", "evening_review scheduled 11-23T20:00-21:00"]
    );
    world.advance_to(at("09:00")).await;
    assert_eq!(world.simulators.rings().len(), 1);
}

#[tokio::test]
async fn a_ladder_that_began_goes_on_in_its_own_window() {
    let (world, mara) = joined_at("2026-11-23T12:00:00Z", "b2c_elite").await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    world.advance_to(world.timers.set_timers()[0].at + SignedDuration::from_mins(1)).await;
    mara.client.patch("/api/users/me", json!({"evening_window": {"start": "20:00", "end": "21:00"}}), 200).await;
    world.advance_to(at("21:15")).await;
    assert_eq!(calls(&mara).await, ["onboarding failed 11-23T18:00-20:00"]);
    assert_eq!(world.simulators.rings().len(), 3);
}
