//! A user's days: where they begin, and what travel does to them. No day ends early, and no date is lived twice.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use ivy_world::{Person, World};
use jiff::Timestamp;
use serde_json::{Value, json};

const PHONE: &str = "+447700900150";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn living_in(zone: &str, now: &str) -> (World, Person) {
    let world = World::at(now).await;
    let person = world.person(PHONE).tier("b2c_elite").signing_up("timezone", json!(zone)).without_planned_calls();
    let mara = Box::pin(person.join(&world)).await;
    (world, mara)
}

async fn completes(world: &World, mara: &Person) -> Value {
    let workout = mara.plan("Run", world.now()).await;
    mara.log(&workout, "completed").await
}

async fn moves_to(mara: &Person, zone: &str) {
    mara.client.patch("/api/users/me", json!({"timezone": zone}), 200).await;
}

async fn streak(mara: &Person) -> i64 {
    mara.stats().await["current_streak"].as_i64().unwrap()
}

#[tokio::test]
async fn travel_westward_lives_no_date_twice() {
    // 23:00 on Tuesday in Tokyo. In Los Angeles it is 06:00 on Tuesday.
    let (world, mara) = living_in("Asia/Tokyo", "2026-11-24T14:00:00Z").await;
    let before = completes(&world, &mara).await;
    moves_to(&mara, "America/Los_Angeles").await;
    world.advance_to(time("2026-11-25T04:00:00Z")).await;
    // 20:00 on Tuesday in Los Angeles: the same Tuesday, so the same cap and the same day of the streak.
    let after = completes(&world, &mara).await;
    assert_eq!((&before["date"], &after["date"]), (&json!("2026-11-24"), &json!("2026-11-24")));
    completes(&world, &mara).await;
    completes(&world, &mara).await;
    assert_eq!(world.donations().await, [100, 150, 150], "£4.00 is the day's cap");
    assert_eq!(streak(&mara).await, 1);
    world.advance_to(time("2026-11-25T20:00:00Z")).await;
    assert_eq!(completes(&world, &mara).await["date"], "2026-11-25");
    assert_eq!(streak(&mara).await, 2);
}

#[tokio::test]
async fn travel_eastward_ends_no_day_early_and_no_streak() {
    // 20:00 on Monday in New York is 10:00 on Tuesday in Tokyo.
    let (world, mara) = living_in("America/New_York", "2026-11-23T20:00:00Z").await;
    completes(&world, &mara).await;
    world.advance_to(time("2026-11-25T01:00:00Z")).await;
    moves_to(&mara, "Asia/Tokyo").await;
    assert_eq!(streak(&mara).await, 1, "Tuesday is not over in New York");
    world.advance_to(time("2026-11-25T07:00:00Z")).await;
    let late = completes(&world, &mara).await;
    assert_eq!(late["date"], "2026-11-24", "02:00 in New York still counts for Tuesday");
    assert_eq!(streak(&mara).await, 2);
    // Ten hours are left of Wednesday in Tokyo; nobody has to keep so short a day.
    world.advance_to(time("2026-11-26T01:00:00Z")).await;
    assert_eq!(completes(&world, &mara).await["date"], "2026-11-26");
    assert_eq!(streak(&mara).await, 3);
}

#[tokio::test]
async fn a_plan_made_before_the_flight_keeps_its_day() {
    let (world, mara) = living_in("America/New_York", "2026-11-23T20:00:00Z").await;
    let planned = mara.plan("Run", time("2026-11-24T23:00:00Z")).await;
    moves_to(&mara, "Asia/Tokyo").await;
    let workout = mara.get("/api/users/me/workouts/today").await;
    assert!(workout["items"].as_array().unwrap().is_empty(), "it is still Monday");
    world.advance_to(time("2026-11-24T09:00:00Z")).await;
    let today = mara.today().await;
    assert_eq!((&today[0]["id"], &today[0]["date"]), (&json!(planned), &json!("2026-11-24")));
    assert_eq!(today[0]["timezone"], "America/New_York");
}

#[tokio::test]
async fn a_day_begins_when_its_user_says() {
    let (world, mara) = living_in("Europe/London", "2026-11-23T22:00:00Z").await;
    assert_eq!(mara.get("/api/users/me").await["day_start"], "03:00");
    let changed = mara.client.patch("/api/users/me", json!({"day_start": "05:30"}), 200).await;
    assert_eq!(changed["day_start"], "05:30");
    world.advance_to(time("2026-11-24T05:29:00Z")).await;
    assert_eq!(completes(&world, &mara).await["date"], "2026-11-23");
    world.advance_to(time("2026-11-24T05:30:00Z")).await;
    assert_eq!(completes(&world, &mara).await["date"], "2026-11-24");
    // An earlier day start does not end the day that is in progress.
    mara.client.patch("/api/users/me", json!({"day_start": "00:00"}), 200).await;
    world.advance_to(time("2026-11-25T00:10:00Z")).await;
    assert_eq!(completes(&world, &mara).await["date"], "2026-11-24");
    world.advance_to(time("2026-11-26T00:10:00Z")).await;
    assert_eq!(completes(&world, &mara).await["date"], "2026-11-26");
}

#[tokio::test]
async fn a_day_cannot_begin_at_noon() {
    let (_, mara) = living_in("Europe/London", "2026-11-23T22:00:00Z").await;
    let refused = mara.client.patch("/api/users/me", json!({"day_start": "12:00"}), 422).await;
    assert_eq!(refused["errors"][0]["field"], "day_start");
    assert_eq!(mara.get("/api/users/me").await["day_start"], "03:00");
}

/// To Tokyo in the evening and back an hour later: the next day was excused for good, and so was the one after it.
#[tokio::test]
async fn a_flight_that_is_taken_back_excuses_nothing() {
    let (world, mara) = living_in("America/New_York", "2026-11-23T20:00:00Z").await;
    completes(&world, &mara).await;
    for evening in ["2026-11-24T01:00:00Z", "2026-11-25T01:00:00Z", "2026-11-26T01:00:00Z"] {
        world.advance_to(time(evening)).await;
        moves_to(&mara, "Asia/Tokyo").await;
        world.advance_to(time(evening) + jiff::SignedDuration::from_hours(1)).await;
        moves_to(&mara, "America/New_York").await;
    }
    assert_eq!(streak(&mara).await, 0, "nothing was done on Tuesday");
}
