//! Progress in numbers: the streak's days, activity over time, scores and life markers, calls. Each against a count of its own.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use ivy_simulators::Persona;
use ivy_world::{
    Person, Setup, World, at,
    gate::{Gate, Party, Passage, Ruling, Told},
    talks,
};
use jiff::{SignedDuration, civil::Date};
use serde_json::{Value, json};

const PHONE: &str = "+447700900180";

async fn noon() -> (World, Person) {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").without_planned_calls().join(&world)).await;
    (world, mara)
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

async fn logs(world: &World, mara: &Person, status: &str) -> Value {
    let workout = mara.plan("Run", world.now()).await;
    mara.log(&workout, status).await
}

async fn streak(mara: &Person) -> Value {
    mara.get("/api/users/me/stats/streak").await
}

// Streak

#[tokio::test]
async fn the_streak_shows_its_days_and_what_is_open() {
    let (world, mara) = noon().await;
    let fresh = streak(&mara).await;
    assert_eq!((&fresh["date"], &fresh["user_id"]), (&json!("2026-11-23"), &json!(mara.id.to_string())));
    assert_eq!(
        (&fresh["current_streak"], &fresh["commitment_today"], &fresh["at_risk"]),
        (&json!(0), &json!(true), &json!(false))
    );
    assert_eq!(fresh["next_milestone"], json!({"kept_days": 7, "days_to_go": 7, "bonus": 3.0}));
    for status in ["completed", "partial", "rest_day", "rest_day", "completed"] {
        logs(&world, &mara, status).await;
        world.advance(days(1)).await;
    }
    // Saturday, before anything: four days since Monday were kept or rested, and both rests of the week are used up.
    let saturday = streak(&mara).await;
    assert_eq!(
        (&saturday["current_streak"], &saturday["at_risk"], &saturday["kept_today"]),
        (&json!(3), &json!(true), &json!(false))
    );
    assert_eq!(saturday["rest_days_left_this_week"], 0);
    logs(&world, &mara, "rest_day").await;
    assert_eq!(streak(&mara).await["at_risk"], true, "a third rest day protects nothing");
    world.advance(days(1)).await;
    let sunday = streak(&mara).await;
    assert_eq!(
        (&sunday["current_streak"], &sunday["previous_streak"], &sunday["longest_streak"]),
        (&json!(0), &json!(3), &json!(3))
    );
    mara.client.post("/api/users/me/pause", json!({"reason": "sick"}), 200).await;
    world.advance(days(1)).await;
    let monday = streak(&mara).await;
    assert_eq!((&monday["commitment_today"], &monday["rest_days_left_this_week"]), (&json!(false), &json!(2)));
    let shown = monday["days"].as_array().unwrap();
    let states: Vec<&str> = shown.iter().map(|day| day["state"].as_str().unwrap()).collect();
    assert_eq!(shown.len(), 30);
    assert!(states[..22].iter().all(|state| *state == "no_commitment"), "{states:?}");
    assert_eq!(states[22..], ["kept", "kept", "rested", "rested", "kept", "missed", "frozen", "frozen"]);
    assert_eq!((&shown[0]["date"], &shown[29]["date"]), (&json!("2026-11-01"), &json!("2026-11-30")));
}

#[tokio::test]
async fn a_kept_day_is_not_at_risk() {
    let (world, mara) = noon().await;
    logs(&world, &mara, "completed").await;
    world.advance(days(1)).await;
    assert_eq!(streak(&mara).await["at_risk"], true);
    logs(&world, &mara, "partial").await;
    let kept = streak(&mara).await;
    assert_eq!(
        (&kept["at_risk"], &kept["kept_today"], &kept["current_streak"]),
        (&json!(false), &json!(true), &json!(2))
    );
    assert_eq!(kept["next_milestone"]["days_to_go"], 5);
    assert_eq!(kept["days"][29]["state"], "kept");
}

// Activity

/// A generator of our own, so that the history is the same every time.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// What happened, counted from the raw items, by day.
async fn by_day(world: &World) -> BTreeMap<Date, BTreeMap<&'static str, i64>> {
    let mut found: BTreeMap<Date, BTreeMap<&'static str, i64>> = BTreeMap::new();
    for item in world.items("workout").await {
        let text = |name: &str| item[name].as_s().unwrap().clone();
        let number = |name: &str| item.get(name).and_then(|value| value.as_n().ok()).and_then(|n| n.parse().ok());
        let day = found.entry(text("date").parse().unwrap()).or_default();
        let (what, minutes) = match text("status").as_str() {
            "completed" => ("completed", number("actual_duration_minutes").or(number("planned_duration_minutes"))),
            "partial" => ("partial", number("actual_duration_minutes")),
            "skipped" => ("skipped", None),
            "rest_day" => ("rested", None),
            _ => ("planned", None),
        };
        *day.entry(what).or_default() += 1;
        *day.entry("minutes").or_default() += minutes.unwrap_or(0);
    }
    for item in world.items("donation").await {
        // Every donation here was made at noon in London.
        let made: Date = item["created_at"].as_s().unwrap()[..10].parse().unwrap();
        let amount: i64 = item["amount"].as_n().unwrap().parse().unwrap();
        *found.entry(made).or_default().entry("donated").or_default() += amount;
    }
    found
}

const COUNTS: [&str; 7] = ["completed", "partial", "skipped", "rested", "planned", "minutes", "donated"];

fn counted(bucket: &Value, name: &str) -> i64 {
    match name {
        "donated" => (bucket[name].as_f64().unwrap() * 100.0).round() as i64,
        _ => bucket[name].as_i64().unwrap(),
    }
}

#[tokio::test]
async fn activity_is_what_the_items_say_by_day_week_and_month() {
    let (world, mara) = noon().await;
    let mut seed = 7;
    for _ in 0..45 {
        for _ in 0..next(&mut seed) % 3 {
            let workout = mara.plan("Run", world.now()).await;
            let status = ["completed", "partial", "skipped", "rest_day", "planned"][(next(&mut seed) % 5) as usize];
            if status == "planned" {
                continue;
            }
            let mut report = json!({"status": status});
            if next(&mut seed).is_multiple_of(2) {
                report["actual_duration_minutes"] = json!(next(&mut seed) % 60 + 1);
            }
            mara.client.patch(&format!("/api/workouts/{workout}"), report, 200).await;
        }
        world.advance(days(1)).await;
    }
    let naive = by_day(&world).await;
    for (from, to) in [
        ("2026-11-23", "2027-01-06"),
        ("2026-11-25", "2026-12-02"),
        ("2026-01-20", "2027-01-20"),
        ("2026-12-06", "2026-12-07"),
    ] {
        for by in ["day", "week", "month"] {
            let path = format!("/api/users/me/stats/activity?by={by}&from={from}&to={to}");
            let answer = mara.get(&path).await;
            assert_eq!((&answer["by"], &answer["from"], &answer["to"]), (&json!(by), &json!(from), &json!(to)));
            let buckets = answer["items"].as_array().unwrap();
            let mut day: Date = from.parse().unwrap();
            for bucket in buckets {
                let date = |name: &str| bucket[name].as_str().unwrap().parse::<Date>().unwrap();
                assert_eq!(date("from"), day, "{path}: the buckets follow each other");
                for name in COUNTS {
                    let expected: i64 = naive
                        .range(date("from")..=date("to"))
                        .map(|(_, counts)| counts.get(name).copied().unwrap_or(0))
                        .sum();
                    assert_eq!(counted(bucket, name), expected, "{path}: {name} of {}", bucket["period"]);
                }
                day = date("to").tomorrow().unwrap();
            }
            assert_eq!(day, to.parse::<Date>().unwrap().tomorrow().unwrap(), "{path}");
            let cut = |name: &str| buckets[0][name].as_str().unwrap().to_owned();
            let first = match by {
                "day" => from.to_owned(),
                "week" => from.parse::<Date>().unwrap().strftime("%G-W%V").to_string(),
                _ => from[..7].to_owned(),
            };
            assert_eq!(cut("period"), first);
        }
    }
    let usual = mara.get("/api/users/me/stats/activity").await;
    assert_eq!((&usual["by"], usual["items"].as_array().unwrap().len()), (&json!("day"), 30));
    assert_eq!(mara.get("/api/users/me/stats/activity?by=week").await["items"].as_array().unwrap().len(), 13);
}

#[tokio::test]
async fn spans_have_an_order_and_a_longest() {
    let (_, mara) = noon().await;
    for (path, query, fields) in [
        ("activity", "from=2026-11-24&to=2026-11-23", vec!["from"]),
        ("activity", "from=2025-11-22", vec!["from"]),
        ("activity", "by=year&from=x&to=2026-02-30&until=2026-11-23", vec!["by", "from", "to", "until"]),
        ("calls", "from=2026-11-24", vec!["from"]),
        ("calls", "from=2026-08-23&to=2026-11-23", vec!["from"]),
        ("calls", "by=day", vec!["by"]),
    ] {
        let reply = mara.client.try_get(&format!("/api/users/me/stats/{path}?{query}")).await;
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), fields, "{path}?{query}");
    }
    mara.get("/api/users/me/stats/activity?from=2025-11-23").await;
    mara.get("/api/users/me/stats/calls?from=2026-08-24").await;
    // A span that lies ahead is empty, and no error: plans may lie in it.
    mara.plan("Run", at("12:00") + days(3)).await;
    let ahead = mara.get("/api/users/me/stats/activity?from=2026-11-24&to=2026-11-27").await;
    assert_eq!((&ahead["items"][2]["planned"], &ahead["items"][1]["planned"]), (&json!(1), &json!(0)));
}

// Scores and life markers

async fn transformation(mara: &Person) -> Value {
    mara.get("/api/users/me/transformation").await
}

async fn scores(mara: &Person, body: Value) -> Value {
    mara.client.post("/api/users/me/transformation", body, 201).await
}

#[tokio::test]
async fn scores_are_shown_from_the_first_to_the_last_whatever_the_order_of_telling() {
    let (world, mara) = noon().await;
    let nothing = transformation(&mara).await;
    assert_eq!((&nothing["energy"], &nothing["life_markers"]), (&Value::Null, &json!([])));
    let told = scores(&mara, json!({"energy": 6, "mood": 5})).await;
    assert_eq!(
        (&told["energy"], &told["confidence"], &told["recorded_on"]),
        (&json!(6), &Value::Null, &json!("2026-11-23"))
    );
    // Last week is filled in; today's score stays the last, and the first one is older now.
    scores(&mara, json!({"energy": 4, "recorded_on": "2026-11-16"})).await;
    scores(&mara, json!({"energy": 9, "recorded_on": "2026-11-20"})).await;
    world.advance(days(1)).await;
    scores(&mara, json!({"energy": 7})).await;
    let shown = transformation(&mara).await;
    let energy = &shown["energy"];
    assert_eq!(
        (&energy["start"], &energy["current"], &energy["change"], &energy["trend"]),
        (&json!(4), &json!(7), &json!("+75%"), &json!("up"))
    );
    let history: Vec<(&str, i64)> = energy["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["recorded_on"].as_str().unwrap(), entry["score"].as_i64().unwrap()))
        .collect();
    assert_eq!(history, [("2026-11-16", 4), ("2026-11-20", 9), ("2026-11-23", 6), ("2026-11-24", 7)]);
    assert_eq!(
        (&shown["mood"]["current"], &shown["mood"]["trend"], &shown["confidence"]),
        (&json!(5), &json!("flat"), &Value::Null)
    );
    let stats = mara.stats().await;
    assert_eq!(stats["transformation"]["energy"], json!({"start": 4, "current": 7, "change": "+75%"}));
}

#[tokio::test]
async fn the_history_goes_back_ninety_records() {
    let (world, mara) = noon().await;
    let first: Date = "2026-06-01".parse().unwrap();
    for day in 0..100 {
        let on = ivy_domain::days::plus_days(first, day);
        scores(&mara, json!({"mood": day % 10 + 1, "recorded_on": on})).await;
        if day % 50 == 0 {
            world.advance(SignedDuration::from_mins(10)).await;
        }
    }
    let mood = transformation(&mara).await["mood"].clone();
    let history = mood["history"].as_array().unwrap();
    assert_eq!((history.len(), &history[0]["recorded_on"]), (90, &json!("2026-06-11")));
    assert_eq!((&mood["start"], &mood["current"]), (&json!(1), &json!(10)));
    assert_eq!(world.items("score").await.len(), 100);
}

#[tokio::test]
async fn what_a_call_heard_and_what_was_recorded_are_one_history() {
    let (world, mara) = noon().await;
    scores(&mara, json!({"energy": 4, "confidence": 3})).await;
    world.simulators.set_persona(PHONE, talks(json!({"energy": 8, "life_marker": "ran to the top of the hill"})));
    mara.schedule("evening_review", at("18:30")).await;
    world.advance_to(at("19:00")).await;
    let marker = mara.client.post("/api/users/me/life-markers", json!({"text": "slept all night"}), 201).await;
    let shown = transformation(&mara).await;
    assert_eq!((&shown["energy"]["start"], &shown["energy"]["current"]), (&json!(4), &json!(8)));
    assert_eq!(shown["energy"]["history"].as_array().unwrap().len(), 2);
    let markers = shown["life_markers"].as_array().unwrap();
    assert_eq!(markers[0], marker);
    assert_eq!((markers.len(), &markers[1]["text"]), (2, &json!("ran to the top of the hill")));
    // The words lie sealed, in the history and among the last ones.
    for line in world.snapshot().await {
        assert!(!line.contains("slept all night") && !line.contains("top of the hill"), "{line}");
    }
}

#[tokio::test]
async fn no_score_or_a_day_that_cannot_be_is_refused() {
    let (world, mara) = noon().await;
    let before = world.snapshot().await;
    for (body, fields) in [
        (json!({}), vec!["energy", "mood", "confidence"]),
        (json!({"energy": null, "recorded_on": "2026-11-24"}), vec!["energy", "mood", "confidence", "recorded_on"]),
        (json!({"energy": 0, "mood": 11, "confidence": 5.5}), vec!["energy", "mood", "confidence"]),
        (json!({"energy": 5, "recorded_on": "2026-11-24"}), vec!["recorded_on"]),
        (json!({"energy": 5, "recorded_on": "2025-11-21"}), vec!["recorded_on"]),
        (json!({"energy": 5, "weight": 70}), vec!["weight"]),
    ] {
        let reply = mara.client.try_post("/api/users/me/transformation", &body).await;
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), fields, "{body}");
    }
    for body in [json!({}), json!({"text": ""}), json!({"text": "x".repeat(201)}), json!({"text": "a", "at": "b"})] {
        mara.client.try_post("/api/users/me/life-markers", &body).await.problem(422, "invalid-input");
    }
    world.assert_nothing_written(&before).await;
    scores(&mara, json!({"energy": 5, "recorded_on": "2025-11-22"})).await;
}

#[tokio::test]
async fn scores_and_markers_told_at_once_are_all_kept() {
    let (world, mara) = noon().await;
    let score = |energy: i64| Box::pin(scores(&mara, json!({"energy": energy})));
    let mark =
        |text: &'static str| Box::pin(mara.client.post("/api/users/me/life-markers", json!({"text": text}), 201));
    tokio::join!(score(4), score(5), score(6), mark("one"), mark("two"));
    let shown = transformation(&mara).await;
    assert_eq!(shown["energy"]["history"].as_array().unwrap().len(), 3);
    assert_eq!(shown["life_markers"].as_array().unwrap().len(), 2);
    assert_eq!(world.items("score").await.len(), 3);
    let me = Box::pin(world.ivy.store.me(mara.id)).await.unwrap().unwrap();
    assert_eq!(me.counters.markers.len(), 2);
}

// Calls

#[tokio::test]
async fn calls_are_counted_by_what_became_of_them() {
    let (world, mara) = noon().await;
    let empty = mara.get("/api/users/me/stats/calls").await;
    assert_eq!(
        (&empty["total"], &empty["pickup_rate"], &empty["average_duration_seconds"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
    let mut expected_seconds = 0;
    for (hour, persona) in [
        ("12:30", talks(json!({"workout_status": "completed"}))),
        ("14:45", Persona::Voicemail),
        ("17:00", Persona::NeverAnswers),
        ("19:15", talks(json!({}))),
    ] {
        if matches!(persona, Persona::Answers(_)) {
            expected_seconds += 120;
        }
        world.simulators.set_persona(PHONE, persona);
        mara.schedule("follow_up", at(hour)).await;
        // All retries are behind us before the next one.
        world.advance_to(at(hour) + SignedDuration::from_mins(130)).await;
    }
    let cancelled = mara.schedule("rescue", at("23:00")).await;
    mara.client.delete(&format!("/api/calls/{cancelled}"), 200).await;
    // Asked for today, to ring in 20 days: it counts then.
    mara.schedule("follow_up", at("12:00") + days(20)).await;
    let stats = mara.get("/api/users/me/stats/calls?from=2026-11-23&to=2026-11-23").await;
    let calls: Vec<Value> =
        mara.calls().await.into_iter().filter(|call| call["scheduled_time"].as_str().unwrap() < "2026-11-24").collect();
    assert_eq!(stats["total"], calls.len());
    for (field, map) in [("state", "by_state"), ("outcome", "by_outcome"), ("call_type", "by_type")] {
        for (name, count) in stats[map].as_object().unwrap() {
            let naive = calls.iter().filter(|call| call[field] == name.as_str()).count();
            assert_eq!(count, naive, "{map}: {name}");
        }
    }
    assert_eq!((&stats["by_state"]["cancelled"], &stats["by_type"]["rescue"]), (&json!(1), &json!(1)));
    assert_eq!((&stats["attempted"], &stats["answered"], &stats["pickup_rate"]), (&json!(4), &json!(2), &json!(0.5)));
    assert_eq!(stats["average_duration_seconds"], 120);
    assert_eq!(stats["total_minutes"].as_f64().unwrap() * 60.0, f64::from(expected_seconds));
    let later = mara.get("/api/users/me/stats/calls?from=2026-12-01&to=2026-12-31").await;
    assert_eq!((&later["total"], &later["by_state"]["scheduled"]), (&json!(1), &json!(1)));
    assert_eq!(mara.get("/api/users/me/stats/calls?to=2026-11-22").await["total"], 0);
}

#[tokio::test]
async fn planned_calls_count_on_the_day_that_they_were_planned_for() {
    // The hour in which each one's day begins.
    for (zone, hour) in [("Pacific/Kiritimati", 13), ("Pacific/Pago_Pago", 14)] {
        let world = World::at("2026-11-23T00:00:00Z").await;
        let mara = world.person(PHONE).tier("b2c_elite").signing_up("timezone", json!(zone));
        let mara = Box::pin(mara.join(&world)).await;
        for day in 0..3 {
            world
                .advance_to(
                    "2026-11-23T00:00:00Z".parse::<jiff::Timestamp>().unwrap()
                        + days(day)
                        + SignedDuration::from_hours(hour),
                )
                .await;
            world.plan_day(world.now()).await;
        }
        world.advance(days(1)).await;
        let local: jiff::tz::TimeZone = jiff::tz::TimeZone::get(zone).unwrap();
        let mut by_date: BTreeMap<Date, usize> = BTreeMap::new();
        for call in mara.calls().await {
            let at: jiff::Timestamp = call["scheduled_time"].as_str().unwrap().parse().unwrap();
            *by_date.entry(local.to_datetime(at).date()).or_default() += 1;
        }
        assert!(by_date.len() >= 3, "{zone}: {by_date:?}");
        for (date, count) in by_date {
            let stats = mara.get(&format!("/api/users/me/stats/calls?from={date}&to={date}")).await;
            assert_eq!(stats["total"], count, "{zone}: {date}");
        }
    }
}

// Cost

/// Counts the round trips of reads: what is asked at once is one. Now and then a request is also written down against the user's limit.
#[derive(Debug, Default)]
struct Rounds {
    trips: AtomicUsize,
    open: AtomicUsize,
}

#[async_trait]
impl Gate for Rounds {
    async fn enter(&self, passage: &Passage) -> Ruling {
        if passage.party == Party::Table && !passage.writes {
            if self.open.fetch_add(1, Ordering::Relaxed) == 0 {
                self.trips.fetch_add(1, Ordering::Relaxed);
            }
            // Others that are asked at the same time come as well.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        }
        Ruling::Pass
    }

    fn told(&self, passage: &Passage, _: Told) {
        if passage.party == Party::Table && !passage.writes {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    async fn end(&self) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn no_answer_costs_more_round_trips_than_it_says() {
    let rounds = Arc::new(Rounds::default());
    let setup = Setup { gate: Some(rounds.clone()), ..Setup::default() };
    let world = Box::pin(World::with("2026-11-23T12:00:00Z", setup)).await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").without_planned_calls().join(&world)).await;
    let mut last = Value::Null;
    for _ in 0..30 {
        last = logs(&world, &mara, "completed").await;
        world.advance(SignedDuration::from_hours(24)).await;
    }
    let me = "/api/users/me";
    let workout = last["id"].as_str().unwrap();
    for (path, expected) in [
        (format!("/api/workouts/{workout}"), 1),
        (format!("{me}/workouts"), 1),
        (format!("{me}/workouts?from=2026-11-25&to=2026-12-10"), 1),
        (format!("{me}/workouts?status=skipped"), 1),
        (format!("{me}/donations"), 1),
        (format!("{me}/donations?from=2026-11-25"), 2),
        (format!("{me}/impact"), 1),
        (format!("{me}/receipts"), 1),
        ("/api/charities".to_owned(), 0),
        (format!("{me}/stats/streak"), 1),
        (format!("{me}/stats/activity?by=month"), 2),
        (format!("{me}/stats/calls"), 2),
        (format!("{me}/transformation"), 2),
    ] {
        // Once to fill the process's copies, as in a warm function.
        mara.get(&path).await;
        rounds.trips.store(0, Ordering::Relaxed);
        mara.get(&path).await;
        assert_eq!(rounds.trips.load(Ordering::Relaxed), expected, "{path}");
    }
}

#[tokio::test]
async fn scores_can_be_deleted_alone() {
    let world = World::new().await;
    let mara = world.person("+447700900477").join(&world).await;
    let other = world.person("+447700900478").join(&world).await;
    for person in [&mara, &other] {
        for day in 1..=23 {
            for _ in 0..5 {
                let body = json!({"energy": 6, "mood": 7, "confidence": 5, "recorded_on": format!("2026-11-{day:02}")});
                world.clock.set(world.now() + SignedDuration::from_secs(1));
                person.client.post("/api/users/me/transformation", body, 201).await;
            }
        }
        person.client.post("/api/users/me/life-markers", json!({"text": "took the stairs"}), 201).await;
    }
    let workout = mara.plan("a run", world.now() + SignedDuration::from_hours(1)).await;
    let others = world.items("score").await.len() / 2;
    assert_eq!(others, 115, "more than one transaction holds");

    for _ in 0..2 {
        mara.client.delete("/api/users/me/transformation", 204).await;
    }
    let after = mara.get("/api/users/me/transformation").await;
    assert_eq!((&after["energy"], &after["mood"], &after["confidence"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(after["life_markers"][0]["text"], "took the stairs");
    assert_eq!(world.items("score").await.len(), others, "the other person's stay");
    assert_eq!(mara.get(&format!("/api/workouts/{workout}")).await["status"], "planned");
    let stats = mara.stats().await;
    assert!(stats["transformation"]["energy"].is_null(), "{}", stats["transformation"]);
    let export = mara.get("/api/users/me/export").await;
    assert_eq!((&export["scores"], &export["present"]["counters"]["scores"]), (&json!([]), &json!({})));
    // And a new beginning is one.
    mara.client.post("/api/users/me/transformation", json!({"energy": 3}), 201).await;
    assert_eq!(mara.get("/api/users/me/transformation").await["energy"]["start"], 3);
}

#[tokio::test]
async fn without_consent_to_the_processing_of_data_nothing_new_is_recorded() {
    let world = World::new().await;
    let mara = world.person("+447700900479").join(&world).await;
    let consents = |granted: bool| json!({"calls": granted, "messages": granted, "data_processing": granted});
    let set = async |granted: bool| {
        mara.client.put("/api/users/me/consents", consents(granted), 200).await;
    };
    let plan = json!({"planned_activity": "a run", "planned_time": world.now() + SignedDuration::from_hours(1)});
    let attempts = [
        ("/api/users/me/transformation", json!({"energy": 6})),
        ("/api/users/me/life-markers", json!({"text": "took the stairs"})),
        ("/api/workouts", plan),
    ];
    let planned = mara.plan("a walk", world.now() + SignedDuration::from_mins(30)).await;
    let logs = async || {
        let path = format!("/api/workouts/{planned}");
        let headers = [("content-type", "application/json")];
        mara.client.send(axum::http::Method::PATCH, &path, &headers, r#"{"status": "completed"}"#).await
    };
    set(false).await;
    let before = world.snapshot().await;
    for (path, body) in &attempts {
        mara.client.try_post(path, body).await.problem(409, "consent-withdrawn");
    }
    logs().await.problem(409, "consent-withdrawn");
    world.assert_nothing_written(&before).await;
    // What is theirs they can still see and delete.
    mara.get("/api/users/me/transformation").await;
    mara.client.delete("/api/users/me/transformation", 204).await;
    set(true).await;
    for (path, body) in &attempts {
        mara.client.try_post(path, body).await.expect(201);
    }
    logs().await.expect(200);
}
