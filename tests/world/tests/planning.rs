//! Planning: which calls a day gets, once, and what becomes of them when the user changes.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::sync::Arc;

use ivy_flows::{planning::PlanJob, ports::Queue};
use ivy_simulators::{Fault, Persona, Provider};
use ivy_store::keys;
use ivy_world::{Person, Setup, World, at, delivery, gate::HoldsOne, talks};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde_json::{Value, json};

const PHONE: &str = "+447700900150";

const TUESDAY: Date = Date::constant(2026, 11, 24);
const WEDNESDAY: Date = Date::constant(2026, 11, 25);

fn time(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

/// Somebody in a zone whose first talk is behind them.
async fn known_in(zone: &str, now: &str) -> (World, Person) {
    let world = World::at(now).await;
    let joining = world.person(PHONE).tier("b2c_elite").signing_up("timezone", json!(zone));
    let mara = Box::pin(joining.join(&world)).await;
    world.simulators.set_persona(PHONE, talks(json!({})));
    mara.schedule("rescue", world.now() + SignedDuration::from_mins(5)).await;
    world.advance(SignedDuration::from_mins(20)).await;
    for call in mara.calls().await {
        let _ = mara
            .client
            .send("DELETE".parse().unwrap(), &format!("/api/calls/{}", call["id"].as_str().unwrap()), &[], "")
            .await;
    }
    (world, mara)
}

/// The calls of a day that wait: type and window.
async fn waiting_on(mara: &Person, date: Date) -> Vec<String> {
    let mut waiting = calls(mara).await;
    let of_day = date.strftime(" %m-%dT").to_string();
    waiting.retain(|line| line.contains(" scheduled ") && line.contains(&of_day));
    waiting
}

async fn moves_to(world: &World, mara: &Person, zone: &str) {
    mara.client.patch("/api/users/me", json!({"timezone": zone}), 200).await;
    world.settle().await;
}

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
    plan(world, "Europe/London", date).await;
}

/// Works the pages of a zone's day off.
async fn plan(world: &World, zone: &str, date: Date) {
    for shard in 0..keys::SHARDS {
        let job = PlanJob::Page { zone: zone.parse().unwrap(), shard, date, after: None };
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

/// A person whose call was missed once, in the evening window from 18:00 to 20:00, and waits for its retry.
async fn missed_once() -> (World, Person, Timestamp) {
    let (world, mara) = joined_at("2026-11-23T12:00:00Z", "b2c_elite").await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    world.advance_to(world.timers.set_timers()[0].at + SignedDuration::from_mins(2)).await;
    assert_eq!(calls(&mara).await, ["onboarding retry 11-23T18:00-20:00"]);
    let retry = world.timers.set_timers().into_iter().find(|timer| timer.queue == Queue::DueCalls).unwrap().at;
    (world, mara, retry)
}

fn rings(world: &World) -> Vec<Timestamp> {
    world.simulators.rings().into_iter().map(|ring| ring.at).collect()
}

#[tokio::test]
async fn a_retry_moves_into_the_window_that_replaces_its_own() {
    let (world, mara, retry) = missed_once().await;
    mara.client.patch("/api/users/me", json!({"evening_window": {"start": "20:30", "end": "21:15"}}), 200).await;
    world.settle().await;
    assert_eq!(calls(&mara).await, ["onboarding retry 11-23T20:30-21:15"]);
    world.advance_to(at("20:29")).await;
    assert_eq!(rings(&world).len(), 1, "it was to ring at {retry}, in the window that was taken back");
    world.advance_to(at("22:30")).await;
    let later = rings(&world)[1..].to_vec();
    assert!(!later.is_empty() && later.len() <= 2, "attempts that were made count: {later:?}");
    assert!(later.iter().all(|ring| (at("20:30")..at("21:45")).contains(ring)), "{later:?}");
}

#[tokio::test]
async fn a_retry_stays_while_it_fits_the_window() {
    for (window, shown) in [("18:00-20:00", "18:00-20:00"), ("18:00-21:00", "18:00-21:00")] {
        let (world, mara, retry) = missed_once().await;
        let (start, end) = window.split_once('-').unwrap();
        // Another window changes in any case, so that the day is planned again.
        let body = json!({"evening_window": {"start": start, "end": end}, "morning_window": {"start": "06:00", "end": "07:00"}});
        mara.client.patch("/api/users/me", body, 200).await;
        world.settle().await;
        assert_eq!(calls(&mara).await, [format!("onboarding retry 11-23T{shown}")]);
        world.advance_to(retry + SignedDuration::from_mins(1)).await;
        assert_eq!(rings(&world).len(), 2, "{window}");
    }
}

#[tokio::test]
async fn a_retry_without_a_window_is_cancelled() {
    for body in [
        json!({"evening_window": null}),
        json!({"evening_window": {"start": "10:00", "end": "11:30"}}),
        json!({"timezone": "Asia/Tokyo"}),
        json!({"communication_preference": "async"}),
    ] {
        let (world, mara, _) = missed_once().await;
        mara.client.patch("/api/users/me", body.clone(), 200).await;
        world.settle().await;
        assert_eq!(calls(&mara).await[0], "onboarding cancelled 11-23T18:00-20:00", "{body}");
        let all = mara.calls().await;
        assert!(all.iter().any(|call| call["cause"] == "replanned" && call["attempts"] == 1), "{body}");
        world.advance_to(at("21:00")).await;
        world.sweep().await;
        assert_eq!(rings(&world).len(), 1, "{body}");
    }
}

#[tokio::test]
async fn a_call_under_way_when_its_window_changes_is_not_tried_again_in_the_old_one() {
    let (world, mara) = joined_at("2026-11-23T12:00:00Z", "b2c_elite").await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    world.advance_to(world.timers.set_timers()[0].at).await;
    assert_eq!(rings(&world).len(), 1);
    mara.client.patch("/api/users/me", json!({"evening_window": null}), 200).await;
    world.settle().await;
    // Nobody answers this one either.
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    for _ in 0..6 {
        world.advance(SignedDuration::from_mins(5)).await;
        world.sweep().await;
    }
    world.advance_to(at("21:00")).await;
    assert_eq!(rings(&world).len(), 1);
}

#[tokio::test]
async fn a_ladder_that_is_taken_back_and_given_again_goes_on_where_it_was() {
    let (world, mara, _) = missed_once().await;
    mara.client.patch("/api/users/me", json!({"evening_window": null}), 200).await;
    world.settle().await;
    mara.client.patch("/api/users/me", json!({"evening_window": {"start": "20:15", "end": "21:15"}}), 200).await;
    world.settle().await;
    assert_eq!(calls(&mara).await, ["onboarding retry 11-23T20:15-21:15"]);
    world.advance_to(at("22:30")).await;
    assert!(rings(&world).len() <= 3, "three attempts are all that a call has: {:?}", rings(&world));
}

/// The move cancelled Tuesday's calls, and when Tuesday began in New York their ids were found: no calls all day.
#[tokio::test]
async fn a_day_that_a_move_westward_lives_again_has_its_calls() {
    let (world, mara) = known_in("Europe/London", "2026-11-23T21:00:00Z").await;
    world.advance_to(time("2026-11-24T03:00:00Z")).await;
    plan_london(&world, TUESDAY).await;
    assert_eq!(waiting_on(&mara, TUESDAY).await.len(), 2);
    world.advance_to(time("2026-11-24T04:00:00Z")).await;
    moves_to(&world, &mara, "America/New_York").await;
    assert!(waiting_on(&mara, TUESDAY).await.is_empty(), "23:00 on Monday in New York");
    world.advance_to(time("2026-11-24T08:00:00Z")).await;
    plan(&world, "America/New_York", TUESDAY).await;
    let planned = ["morning_planning scheduled 11-24T12:30-14:00", "evening_review scheduled 11-24T23:00-01:00"];
    assert_eq!(waiting_on(&mara, TUESDAY).await, planned);
    let timers = world.timers.set_timers();
    assert_eq!(timers.len(), 2);
    plan(&world, "America/New_York", TUESDAY).await;
    assert_eq!(
        (waiting_on(&mara, TUESDAY).await, world.timers.set_timers()),
        (planned.map(str::to_owned).to_vec(), timers)
    );
    world.advance_to(time("2026-11-25T03:00:00Z")).await;
    assert_eq!(world.simulators.rings().len(), 3, "the first talk, and Tuesday's two");
}

#[tokio::test]
async fn there_and_back_over_the_date_line_leaves_the_next_day_its_calls() {
    let (world, mara) = known_in("America/Los_Angeles", "2026-11-24T02:00:00Z").await;
    // 20:00 on Monday is 13:00 on Tuesday in Tokyo.
    world.advance_to(time("2026-11-24T04:00:00Z")).await;
    moves_to(&world, &mara, "Asia/Tokyo").await;
    world.advance_to(time("2026-11-24T18:00:00Z")).await;
    plan(&world, "Asia/Tokyo", WEDNESDAY).await;
    assert_eq!(waiting_on(&mara, WEDNESDAY).await.len(), 1, "the morning; the evening lies on Wednesday in UTC too");
    world.advance_to(time("2026-11-24T19:00:00Z")).await;
    moves_to(&world, &mara, "America/Los_Angeles").await;
    world.advance_to(time("2026-11-25T11:00:00Z")).await;
    plan(&world, "America/Los_Angeles", WEDNESDAY).await;
    let mut planned = calls(&mara).await;
    planned.retain(|line| line.contains("scheduled"));
    assert_eq!(planned, ["morning_planning scheduled 11-25T15:30-17:00", "evening_review scheduled 11-26T02:00-04:00"]);
}

/// India's 03:00 is half past nine in UTC: its day is planned at 02:30, and what changed until 03:00 was planned for yesterday only.
#[tokio::test]
async fn a_change_between_the_planning_of_a_day_and_its_beginning_is_not_lost() {
    let (world, mara) = known_in("Asia/Kolkata", "2026-11-23T15:00:00Z").await;
    world.advance_to(time("2026-11-23T21:00:00Z")).await;
    plan(&world, "Asia/Kolkata", TUESDAY).await;
    let evening = |line: &str| format!("evening_review scheduled 11-24T{line}");
    assert_eq!(waiting_on(&mara, TUESDAY).await[1], evening("12:30-14:30"));
    world.advance_to(time("2026-11-23T21:10:00Z")).await;
    mara.client.patch("/api/users/me", json!({"evening_window": {"start": "19:00", "end": "20:00"}}), 200).await;
    world.settle().await;
    let planned = waiting_on(&mara, TUESDAY).await;
    assert_eq!(planned[1], evening("13:30-14:30"));
    mara.client.post("/api/users/me/pause", json!({"reason": "sick"}), 200).await;
    world.settle().await;
    assert!(waiting_on(&mara, TUESDAY).await.is_empty());
    world.advance_to(time("2026-11-23T21:20:00Z")).await;
    mara.client.post("/api/users/me/resume", json!({}), 200).await;
    world.settle().await;
    assert_eq!(waiting_on(&mara, TUESDAY).await, planned);
}

#[tokio::test]
async fn the_onboarding_call_waits_for_consent_for_windows_and_for_an_answer() {
    let world = World::new().await;
    let refused = json!({"calls": false, "messages": true, "data_processing": true});
    let joining =
        world.person(PHONE).tier("b2c_pro").onboarding("evening_window", json!(null)).onboarding("consents", refused);
    let mara = Box::pin(joining.onboarding("communication_preference", json!("mixed")).join(&world)).await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    assert!(calls(&mara).await.is_empty());
    world.advance_to(at("12:00")).await;
    let consents = json!({"calls": true, "messages": true, "data_processing": true});
    mara.client
        .send(
            "PUT".parse().unwrap(),
            "/api/users/me/consents",
            &[("content-type", "application/json")],
            consents.to_string(),
        )
        .await
        .expect(200);
    world.settle().await;
    assert!(calls(&mara).await.is_empty(), "the morning is over");
    let evening = json!({"evening_window": {"start": "18:00", "end": "20:00"}});
    mara.client.patch("/api/users/me", evening, 200).await;
    world.settle().await;
    assert_eq!(
        calls(&mara).await,
        ["onboarding scheduled 11-23T18:00-20:00"],
        "in place of the morning that has passed"
    );
    world.advance_to(at("21:30")).await;
    assert_eq!(
        (calls(&mara).await, world.simulators.rings().len()),
        (vec!["onboarding failed 11-23T18:00-20:00".to_owned()], 3)
    );
    // Nobody answered: it comes on the days that have calls, and those are Thursday and Sunday for Pro.
    for (day, count) in [(24, 0), (25, 0), (26, 1)] {
        world.advance_to(time(&format!("2026-11-{day}T03:00:00Z"))).await;
        plan_london(&world, Date::constant(2026, 11, day)).await;
        assert_eq!(waiting_on(&mara, Date::constant(2026, 11, day)).await.len(), count, "{day}");
    }
    world.simulators.set_persona(PHONE, talks(json!({})));
    world.advance_to(time("2026-11-26T21:00:00Z")).await;
    assert_eq!(calls(&mara).await.pop().unwrap(), "onboarding completed 11-26T18:00-20:00");
    world.advance_to(time("2026-11-29T03:00:00Z")).await;
    plan_london(&world, Date::constant(2026, 11, 29)).await;
    assert_eq!(calls(&mara).await.pop().unwrap(), "weekly_planning scheduled 11-29T18:00-20:00");
}

#[tokio::test]
async fn a_window_that_is_taken_back_while_its_day_is_planned_gets_no_call() {
    let gate = Arc::new(HoldsOne::of(|passage| {
        passage.operation == "TransactWriteItems" && passage.entities.iter().any(|entity| entity == "call")
    }));
    let setup = Setup { gate: Some(gate.clone()), ..Setup::default() };
    let world = Box::pin(World::with("2026-11-23T12:00:00Z", setup)).await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").join(&world)).await;
    world.settle().await;
    gate.arm();
    let changes = async {
        gate.held().await;
        let windows = json!({
            "morning_window": {"start": "10:00", "end": "11:00"}, "evening_window": {"start": "20:00", "end": "21:00"},
        });
        mara.client.patch("/api/users/me", windows, 200).await;
        gate.let_go();
    };
    tokio::join!(plan_london(&world, TUESDAY), changes);
    world.settle().await;
    let planned = waiting_on(&mara, TUESDAY).await;
    assert!(!planned.is_empty(), "the day is planned all the same");
    for call in planned {
        assert!(call.ends_with("T10:00-11:00") || call.ends_with("T20:00-21:00"), "{call}");
    }
}
