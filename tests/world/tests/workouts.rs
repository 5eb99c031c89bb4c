//! Workouts one by one and as a list: reading, filtering, paging, and deleting with what deleting undoes and what it leaves.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::collections::BTreeSet;

use axum::{body::Body, http::Method};
use ivy_store::Item;
use ivy_world::{Person, Reply, World, at, talks};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PHONE: &str = "+447700900160";

async fn noon() -> (World, Person) {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").without_planned_calls().join(&world)).await;
    (world, mara)
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

async fn delete(mara: &Person, workout: &str) -> Reply {
    mara.client.send(Method::DELETE, &format!("/api/workouts/{workout}"), &[], Body::empty()).await
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// All pages of a list, of so many items each.
async fn all(mara: &Person, filter: &str, limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = mara.get(&format!("/api/users/me/workouts?limit={limit}{filter}{cursor}")).await;
        let (ids, next) = (ids(&page), page["next_cursor"].as_str());
        assert!(ids.len() <= limit);
        // Every page but the last is full, and the last one says that it is.
        assert!(next.is_none() || ids.len() == limit, "{page}");
        assert!(!ids.is_empty() || cursor.is_empty(), "a last page with nothing on it");
        found.extend(ids);
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn text(item: &Item, name: &str) -> String {
    item[name].as_s().unwrap().clone()
}

/// What a list should hold, from the raw items: the latest day first.
async fn naive(world: &World, wanted: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut items: Vec<(String, String, String)> = world
        .items("workout")
        .await
        .iter()
        .map(|item| (text(item, "date"), text(item, "id"), text(item, "status")))
        .filter(|(date, _, status)| wanted(date, status))
        .collect();
    items.sort();
    items.into_iter().rev().map(|(_, id, _)| id).collect()
}

/// Two weeks with every status, a moved and a deleted workout.
async fn a_fortnight(world: &World, mara: &Person) {
    let statuses = ["completed", "partial", "skipped", "rest_day", "completed"];
    for day in 0..10 {
        let workout = mara.plan("Run", world.now() + SignedDuration::from_mins(5)).await;
        mara.log(&workout, statuses[day % statuses.len()]).await;
        if day % 3 == 0 {
            mara.plan("Yoga", world.now() + SignedDuration::from_mins(30)).await;
        }
        world.advance(days(1)).await;
    }
    for (from, to) in [(1, 3), (2, 5)] {
        let moved = mara.plan("Swim", world.now() + days(from)).await;
        let path = format!("/api/workouts/{moved}");
        mara.client.patch(&path, json!({"planned_time": world.now() + days(to)}), 200).await;
        if from == 2 {
            delete(mara, &moved).await.expect(204);
        }
    }
    let gone = mara.plan("Row", world.now() + days(1)).await;
    delete(mara, &gone).await.expect(204);
}

#[tokio::test]
async fn the_list_is_what_the_items_say_whatever_the_filter_and_the_page() {
    let (world, mara) = noon().await;
    let other = Box::pin(world.person("+447700900161").join(&world)).await;
    other.plan("Chess", world.now() + days(1)).await;
    assert_eq!(mara.get("/api/users/me/workouts").await, json!({"items": [], "next_cursor": null}));
    a_fortnight(&world, &mara).await;
    let mine = |status: &'static str, from: &'static str, to: &'static str| {
        move |date: &str, has: &str| {
            (status.is_empty() || has == status) && (from.is_empty() || date >= from) && (to.is_empty() || date <= to)
        }
    };
    for (status, from, to) in [
        ("", "", ""),
        ("completed", "", ""),
        ("planned", "", ""),
        ("rest_day", "2026-11-26", ""),
        ("", "2026-11-24", "2026-11-29"),
        ("", "", "2026-11-23"),
        ("", "2026-12-03", ""),
        ("partial", "2026-11-24", "2026-11-24"),
        ("", "2027-01-01", ""),
    ] {
        let chess = ids(&other.get("/api/users/me/workouts").await);
        let mut expected = naive(&world, mine(status, from, to)).await;
        expected.retain(|id| !chess.contains(id));
        let part = |name: &str, value: &str| if value.is_empty() { String::new() } else { format!("&{name}={value}") };
        let filter = format!("{}{}{}", part("status", status), part("from", from), part("to", to));
        for limit in [1, 2, 3, 5, expected.len().max(1), 100] {
            assert_eq!(all(&mara, &filter, limit).await, expected, "{filter} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_page_that_a_filter_empties_goes_on() {
    let (world, mara) = noon().await;
    let first = mara.plan("Run", at("12:30")).await;
    mara.log(&first, "skipped").await;
    // More workouts than one query of a filtered list looks at; 60 plans may be open at once.
    for batch in 0..3 {
        for _ in 0..50 {
            let workout = mara.plan("Walk", world.now()).await;
            mara.log(&workout, "rest_day").await;
        }
        world.advance(days(1)).await;
        assert!(batch < 3);
    }
    assert_eq!(all(&mara, "&status=skipped", 1).await, std::slice::from_ref(&first));
    assert_eq!(all(&mara, "&status=skipped", 20).await, [first]);
    assert_eq!(all(&mara, "&status=rest_day", 100).await.len(), 150);
    assert!(all(&mara, "&status=planned", 20).await.is_empty());
}

#[tokio::test]
async fn wrong_filters_are_refused_and_a_cursor_belongs_to_its_filter() {
    let (_, mara) = noon().await;
    for minute in ["12:30", "12:31", "12:32"] {
        mara.plan("Run", at(minute)).await;
    }
    for (query, fields) in [
        ("from=2026-11-24&to=2026-11-23", vec!["from"]),
        ("from=tomorrow&to=2026-13-01&status=done", vec!["from", "to", "status"]),
        ("status=", vec!["status"]),
    ] {
        let reply = mara.client.try_get(&format!("/api/users/me/workouts?{query}")).await;
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), fields, "{query}");
    }
    let page = mara.get("/api/users/me/workouts?limit=1&from=2026-11-01").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    for query in ["from=2026-11-02", "to=2026-11-30", "from=2026-11-01&status=planned", ""] {
        let reply = mara.client.try_get(&format!("/api/users/me/workouts?{query}&cursor={cursor}")).await;
        assert_eq!(reply.problem(422, "invalid-input")["errors"][0]["field"], "cursor", "{query}");
    }
    // Another limit is the same list.
    assert_eq!(
        ids(&mara.get(&format!("/api/users/me/workouts?from=2026-11-01&limit=9&cursor={cursor}")).await).len(),
        2
    );
}

#[tokio::test]
async fn a_workout_is_read_by_its_id_also_after_it_moved() {
    let (_, mara) = noon().await;
    let workout = mara.plan("Run", at("15:00")).await;
    let path = format!("/api/workouts/{workout}");
    let read = mara.get(&path).await;
    assert_eq!((&read["planned_activity"], &read["status"]), (&json!("Run"), &json!("planned")));
    let moved = mara.client.patch(&path, json!({"planned_time": "2026-11-25T15:00:00Z"}), 200).await;
    let read = mara.get(&path).await;
    assert_eq!((&read["date"], &read["planned_time"]), (&moved["date"], &moved["planned_time"]));
    assert_eq!(read["date"], "2026-11-25");
}

#[tokio::test]
async fn a_deleted_plan_is_gone_and_its_day_is_no_commitment_by_it() {
    let (world, mara) = noon().await;
    // Only Sundays are days of hers; a plan makes Monday one.
    mara.client.patch("/api/users/me", json!({"preferred_days": ["sun"]}), 200).await;
    let before = world.snapshot().await;
    let run = mara.plan("Run", at("18:00")).await;
    assert_eq!(mara.get("/api/users/me/stats/streak").await["commitment_today"], true);
    let reply = delete(&mara, &run).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (204, ""));
    assert_eq!(mara.get("/api/users/me/stats/streak").await["commitment_today"], false);
    assert!(mara.today().await.is_empty());
    assert!(ids(&mara.get("/api/users/me/workouts").await).is_empty());
    // Nothing of it is left: only the progress was written, and stands as it stood.
    let after = world.snapshot().await;
    let differs: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(differs.len() == 1 && differs[0].contains("ME#PROGRESS"), "{differs:?}");
    let path = format!("/api/workouts/{run}");
    for _ in 0..2 {
        delete(&mara, &run).await.problem(404, "not-found");
        mara.client.try_get(&path).await.problem(404, "not-found");
        mara.client.patch(&path, json!({"status": "completed"}), 404).await;
    }
    // "done" is not about what is gone: it is a workout of its own.
    world.writes(&mara, "done").await;
    let today = mara.today().await;
    assert_eq!(today.len(), 1);
    assert_ne!(today[0]["id"], run.as_str());
}

#[tokio::test]
async fn a_moved_plan_is_deleted_with_the_stub_that_led_to_it() {
    let (world, mara) = noon().await;
    let workout = mara.plan("Run", at("15:00")).await;
    let path = format!("/api/workouts/{workout}");
    mara.client.patch(&path, json!({"planned_time": "2026-11-25T15:00:00Z"}), 200).await;
    assert_eq!(world.items("moved").await.len(), 1);
    delete(&mara, &workout).await.expect(204);
    assert!(world.items("moved").await.is_empty() && world.items("workout").await.is_empty());
    delete(&mara, &workout).await.problem(404, "not-found");
}

#[tokio::test]
async fn deleting_what_was_done_undoes_it_and_donations_stay() {
    let (world, mara) = noon().await;
    let kept = mara.plan("Run", at("12:30")).await;
    mara.log(&kept, "completed").await;
    world.advance(days(1)).await;
    let workout = mara.plan("Run", world.now()).await;
    mara.log(&workout, "completed").await;
    assert_eq!(mara.stats().await["current_streak"], 2);
    let money =
        (mara.wallet().await, mara.get("/api/users/me/donations").await, mara.get("/api/users/me/impact").await);
    delete(&mara, &workout).await.expect(204);
    let stats = mara.stats().await;
    assert_eq!((&stats["current_streak"], &stats["total_workouts"]), (&json!(1), &json!(1)));
    assert_eq!(stats["longest_streak"], 2, "what was shown as the longest stays");
    let after =
        (mara.wallet().await, mara.get("/api/users/me/donations").await, mara.get("/api/users/me/impact").await);
    assert_eq!(after, money);
    assert_eq!(world.donations().await, [150, 150]);
    // The trace names the donation and nothing of what the workout was.
    let traces = world.items("deleted_workout").await;
    assert_eq!(traces.len(), 1);
    let names: BTreeSet<&str> = traces[0].keys().map(String::as_str).collect();
    assert_eq!(names, ["pk", "sk", "entity", "donation_id", "deleted_at", "version"].into());
    assert_eq!(after.1["items"][0]["workout_id"], workout.as_str());
    assert_eq!(ids(&mara.get("/api/users/me/workouts").await), [kept]);
    delete(&mara, &workout).await.problem(404, "not-found");
    mara.client.try_get(&format!("/api/workouts/{workout}")).await.problem(404, "not-found");
    mara.client.patch(&format!("/api/workouts/{workout}"), json!({"status": "completed"}), 404).await;
}

#[tokio::test]
async fn a_rest_day_is_deleted_like_anything_else() {
    let (_, mara) = noon().await;
    let workout = mara.plan("Run", at("12:30")).await;
    mara.log(&workout, "rest_day").await;
    assert_eq!(mara.get("/api/users/me/stats/streak").await["rest_days_left_this_week"], 1);
    delete(&mara, &workout).await.expect(204);
    assert_eq!(mara.get("/api/users/me/stats/streak").await["rest_days_left_this_week"], 2);
}

#[tokio::test]
async fn after_seven_days_what_was_logged_stays() {
    let (world, mara) = noon().await;
    let logged = mara.plan("Run", at("12:30")).await;
    mara.log(&logged, "skipped").await;
    let open = mara.plan("Yoga", at("12:40")).await;
    world.advance(days(7) + SignedDuration::from_secs(1)).await;
    mara.today().await;
    let before = world.snapshot().await;
    let refused = delete(&mara, &logged).await;
    assert!(refused.problem(409, "too-late-to-change")["detail"].as_str().unwrap().contains("7 days"));
    world.assert_nothing_written(&before).await;
    delete(&mara, &open).await.expect(204);
}

/// A miss is not undone by deleting the plan that was missed; that would buy back streaks and their bonuses.
#[tokio::test]
async fn a_plan_of_a_day_that_is_over_was_a_commitment() {
    let (world, mara) = noon().await;
    mara.client.patch("/api/users/me", json!({"preferred_days": ["sun"]}), 200).await;
    let done = mara.plan("Run", at("12:30")).await;
    mara.log(&done, "completed").await;
    world.advance(days(1)).await;
    let missed = mara.plan("Run", world.now() + SignedDuration::from_mins(1)).await;
    world.advance(days(1)).await;
    assert_eq!(mara.stats().await["current_streak"], 0);
    delete(&mara, &missed).await.expect(204);
    let streak = mara.get("/api/users/me/stats/streak").await;
    assert_eq!((&streak["current_streak"], &streak["previous_streak"]), (&json!(0), &json!(1)));
    assert_eq!(streak["days"].as_array().unwrap()[28], json!({"date": "2026-11-24", "state": "missed"}));
}

// At once

#[tokio::test]
async fn of_two_deletions_at_once_one_finds_it() {
    let (world, mara) = noon().await;
    for status in ["planned", "completed"] {
        let workout = mara.plan("Run", at("12:30")).await;
        if status == "completed" {
            mara.log(&workout, status).await;
        }
        let (one, other) = tokio::join!(Box::pin(delete(&mara, &workout)), Box::pin(delete(&mara, &workout)));
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 404], "{status}: {} {}", one.text, other.text);
        assert!(world.items("workout").await.is_empty());
        let stats = mara.stats().await;
        assert_eq!((&stats["total_workouts"], &stats["current_streak"]), (&json!(0), &json!(0)));
    }
    assert_eq!(world.donations().await, [150]);
}

#[tokio::test]
async fn deleted_and_completed_at_once_is_one_after_the_other() {
    let (world, mara) = noon().await;
    for round in 0..3 {
        let workout = mara.plan("Run", at("12:30")).await;
        let path = format!("/api/workouts/{workout}");
        let headers = [("content-type", "application/json")];
        let body = json!({"status": "completed"}).to_string();
        let (deleted, done) = tokio::join!(
            Box::pin(delete(&mara, &workout)),
            Box::pin(mara.client.send(Method::PATCH, &path, &headers, body))
        );
        assert_eq!(deleted.status, 204, "{}", deleted.text);
        assert!(matches!(done.status.as_u16(), 200 | 404), "{}", done.text);
        // Either it was completed first, and its donation left a trace, or it never was.
        let donated = world.items("deleted_workout").await.len();
        assert_eq!(world.donations().await.len(), donated, "round {round}");
        assert_eq!(mara.stats().await["total_workouts"], 0);
        mara.client.try_get(&path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_deleted_workout_is_no_activity_and_its_donation_still_is() {
    let (world, mara) = noon().await;
    let at_noon: Timestamp = world.now();
    let workout = mara.plan("Run", at_noon).await;
    mara.log(&workout, "completed").await;
    delete(&mara, &workout).await.expect(204);
    let activity = mara.get("/api/users/me/stats/activity?from=2026-11-23&to=2026-11-23").await;
    let day = &activity["items"][0];
    assert_eq!((&day["completed"], &day["minutes"], &day["donated"]), (&json!(0), &json!(0), &json!(1.5)));
}

/// Each change began the week anew, so a completion could be undone for ever.
#[tokio::test]
async fn a_workout_can_be_changed_for_a_week_from_when_it_was_logged_first() {
    let (world, mara) = noon().await;
    let run = mara.plan("Run", world.now()).await;
    mara.log(&run, "completed").await;
    world.advance(days(6)).await;
    mara.log(&run, "partial").await;
    world.advance(days(6)).await;
    let path = format!("/api/workouts/{run}");
    let late = mara.client.patch(&path, json!({"status": "skipped"}), 409).await;
    assert_eq!(late["type"], "/problems/too-late-to-change");
    delete(&mara, &run).await.problem(409, "too-late-to-change");
}

/// Minutes are what was logged as much as the status is: they could be changed for ever.
#[tokio::test]
async fn minutes_are_changed_as_long_as_the_rest_of_what_was_logged() {
    let (world, mara) = noon().await;
    let run = mara.plan("Run", world.now()).await;
    let path = format!("/api/workouts/{run}");
    let early = mara.client.patch(&path, json!({"actual_duration_minutes": 30}), 422).await;
    assert_eq!(early["errors"][0]["field"], "actual_duration_minutes");
    let planned = mara.client.patch(&path, json!({"status": "planned", "actual_duration_minutes": 30}), 422).await;
    assert_eq!(planned["errors"], early["errors"]);
    mara.client.patch(&path, json!({"status": "completed", "actual_duration_minutes": 30}), 200).await;
    world.advance(days(7)).await;
    mara.client.patch(&path, json!({"actual_duration_minutes": 40}), 200).await;
    world.advance(SignedDuration::from_secs(1)).await;
    let late = mara.client.patch(&path, json!({"actual_duration_minutes": 50}), 409).await;
    assert_eq!(late["type"], "/problems/too-late-to-change");
    let late = mara.client.patch(&path, json!({"status": "completed", "actual_duration_minutes": 50}), 409).await;
    assert_eq!(late["type"], "/problems/too-late-to-change");
    // What changes nothing is no change.
    let same = mara.client.patch(&path, json!({"status": "completed", "actual_duration_minutes": 40}), 200).await;
    assert_eq!(same["actual_duration_minutes"], 40);
}

/// A call agreed on something for today, without a time. Deleted, it went on to be a commitment that was missed.
#[tokio::test]
async fn a_plan_of_a_call_without_a_time_is_no_commitment_once_it_is_deleted() {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let joining = world.person(PHONE).tier("b2c_elite").onboarding("preferred_days", json!(["mon"]));
    let mara = Box::pin(joining.without_planned_calls().join(&world)).await;
    let run = mara.plan("Run", world.now()).await;
    mara.log(&run, "completed").await;
    world.advance(days(1)).await;
    world.simulators.set_persona(PHONE, talks(json!({"planned_activity": "Swim"})));
    mara.schedule("follow_up", world.now() + SignedDuration::from_mins(5)).await;
    world.advance(SignedDuration::from_mins(30)).await;
    let today = mara.today().await;
    assert_eq!((&today[0]["planned_activity"], &today[0]["planned_time"]), (&json!("Swim"), &json!(null)));
    delete(&mara, today[0]["id"].as_str().unwrap()).await.expect(204);
    world.advance(days(2)).await;
    assert_eq!(mara.stats().await["current_streak"], 1);
}

/// What a day has given is known for 40 days back from the newest day that gave; an older one gives nothing, and says why.
#[tokio::test]
async fn a_plan_that_is_logged_after_more_than_40_days_counts_and_donates_nothing() {
    let (world, mara) = noon().await;
    let old = mara.plan("Run", world.now()).await;
    for part in [21, 20] {
        // A session lives for 30 days without use.
        world.advance(days(part)).await;
        mara.stats().await;
    }
    let new = mara.plan("Swim", world.now()).await;
    assert_eq!(mara.log(&new, "completed").await["donated"], 1.5);
    world.settle().await;
    let told = mara.messages_out().await.len();
    let logged = mara.log(&old, "completed").await;
    assert_eq!((&logged["donated"], &logged["cap_reached"]), (&json!(0.0), &json!("too_old")));
    world.settle().await;
    assert_eq!(mara.messages_out().await.len(), told, "no cap was reached, so nobody is told that one was");
    assert_eq!(mara.stats().await["total_workouts"], 2);
}
