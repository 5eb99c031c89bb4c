//! Completions: one effect whoever reports them and however often, the caps, the bonuses, and money that adds up.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use ivy_domain::{CompanyId, Pence, Tier, company::Company};
use ivy_flows::ports::Queue;
use ivy_store::Profile;
use ivy_world::{Person, World, at, talks, without_ids};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PHONE: &str = "+447700900150";

async fn noon(tier: &str) -> (World, Person) {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let mara = Box::pin(world.person(PHONE).tier(tier).without_planned_calls().join(&world)).await;
    (world, mara)
}

async fn pro() -> (World, Person) {
    noon("b2c_pro").await
}

/// Plans a workout in a minute and completes it; the answer to the report.
async fn completes(world: &World, mara: &Person) -> Value {
    let workout = mara.plan("Run", world.now() + SignedDuration::from_mins(1)).await;
    mara.log(&workout, "completed").await
}

/// What must hold whatever happened: the donations of the period are what the wallet says, and no cap is exceeded.
async fn check_the_money(world: &World, mara: &Person) {
    let wallet = mara.wallet().await;
    let pence = |name: &str| (wallet[name].as_f64().unwrap() * 100.0).round() as i64;
    let donated: i64 = world.donations().await.iter().sum();
    assert_eq!(pence("amount_used"), donated);
    assert_eq!(pence("lifetime_donated"), donated);
    assert!(pence("amount_used") <= pence("monthly_cap"));
    assert_eq!(pence("monthly_remaining"), pence("monthly_cap") - donated);
    let total: i64 = world
        .items("charity_total")
        .await
        .iter()
        .map(|item| item["donated"].as_n().unwrap().parse::<i64>().unwrap())
        .sum();
    assert_eq!(total, donated, "the charity's months");
}

/// Makes somebody the employee of a company. Companies have no endpoints yet, so the table is written directly.
async fn employed_by(world: &World, mara: &Person, limit: Option<Pence>) -> Company {
    let id = CompanyId::generate(world.now());
    let company = Company { id, name: "Brightworks".to_owned(), monthly_wallet_per_employee: limit };
    Box::pin(world.ivy.store.put_company(&company)).await.unwrap();
    let Profile { mut user, cipher } = Box::pin(world.ivy.store.me(mara.id)).await.unwrap().unwrap().profile;
    (user.subscription_type, user.company_id) = (Tier::B2bSponsor, Some(id));
    let mut transaction = world.ivy.store.transaction();
    transaction.user(&Profile { user, cipher });
    Box::pin(transaction.commit()).await.unwrap();
    company
}

#[tokio::test]
async fn a_companys_own_limit_caps_its_employees() {
    let (world, mara) = pro().await;
    let company = employed_by(&world, &mara, Some(Pence(250))).await;
    assert_eq!(mara.wallet().await["monthly_cap"], 2.5);
    for _ in 0..2 {
        completes(&world, &mara).await;
    }
    // A lower limit takes nothing back, and nothing more is given. It holds a minute later.
    Box::pin(
        world.ivy.store.put_company(&Company { monthly_wallet_per_employee: Some(Pence(150)), ..company.clone() }),
    )
    .await
    .unwrap();
    world.advance(SignedDuration::from_mins(2)).await;
    let capped = completes(&world, &mara).await;
    assert_eq!((&capped["status"], &capped["donation"]), (&json!("completed"), &Value::Null));
    assert_eq!(world.donations().await, [100, 100]);
    assert_eq!(mara.wallet().await["monthly_remaining"], 0.0);
    Box::pin(world.ivy.store.put_company(&Company { monthly_wallet_per_employee: None, ..company })).await.unwrap();
    world.advance(SignedDuration::from_mins(2)).await;
    completes(&world, &mara).await;
    assert_eq!(world.donations().await, [100, 100, 100]);
    assert_eq!(mara.wallet().await["monthly_cap"], 20.0);
    check_the_money(&world, &mara).await;
}

#[tokio::test]
async fn another_tier_in_mid_period_brings_its_caps_and_no_new_money() {
    let (world, mara) = noon("b2c_concierge").await;
    for _ in 0..2 {
        completes(&world, &mara).await;
    }
    assert_eq!(world.donations().await, [200, 200]);
    let me = Box::pin(world.ivy.store.me(mara.id)).await.unwrap().unwrap();
    let mut user = me.profile.user.clone();
    user.subscription_type = Tier::B2cPro;
    let mut transaction = world.ivy.store.transaction();
    transaction.user(&Profile { user, cipher: me.profile.cipher });
    Box::pin(transaction.commit()).await.unwrap();
    // Pro's daily cap of £3.00 is used up by today's £4.00; tomorrow Pro's pound is donated in the same period.
    assert_eq!(completes(&world, &mara).await["donation"], Value::Null);
    world.advance(SignedDuration::from_hours(24)).await;
    completes(&world, &mara).await;
    assert_eq!(world.donations().await, [100, 200, 200]);
    check_the_money(&world, &mara).await;
}

#[tokio::test]
async fn api_call_and_whatsapp_have_the_same_effect() {
    let mut ends = Vec::new();
    for way in ["api", "call", "whatsapp"] {
        let (world, mara) = pro().await;
        let workout = mara.plan("Run", at("12:30")).await;
        match way {
            "api" => {
                mara.log(&workout, "completed").await;
            }
            "call" => {
                world.simulators.set_persona(PHONE, talks(json!({"workout_status": "completed"})));
                mara.schedule("evening_review", at("13:00")).await;
            }
            _ => world.writes(&mara, "I did it! ✅").await,
        }
        world.advance_to(at("14:00")).await;
        let today = mara.today().await;
        assert_eq!(today.len(), 1);
        assert_eq!((&today[0]["id"], &today[0]["status"]), (&json!(workout), &json!("completed")), "{way}");
        assert_eq!(world.arrived(&mara, "Logged, well done").len(), 1, "{way}");
        check_the_money(&world, &mara).await;
        ends.push(json!([
            without_ids(&mara.stats().await),
            without_ids(&mara.wallet().await),
            world.donations().await
        ]));
    }
    assert_eq!(ends[0][2], json!([100]));
    assert_eq!(ends[1], ends[0]);
    assert_eq!(ends[2], ends[0]);
}

#[tokio::test]
async fn the_same_workout_told_on_every_way_counts_once() {
    let (world, mara) = pro().await;
    let workout = mara.plan("Run", at("12:30")).await;
    world.simulators.set_persona(PHONE, talks(json!({"workout_status": "completed"})));
    mara.schedule("evening_review", at("13:00")).await;
    world.advance_to(at("12:50")).await;
    world.writes(&mara, "done").await;
    world.advance_to(at("14:00")).await;
    let again = mara.log(&workout, "completed").await;
    assert_eq!((&again["donated"], &again["status"]), (&json!(0.0), &json!("completed")));
    assert_eq!(mara.today().await.len(), 1);
    assert_eq!(mara.stats().await["total_workouts"], 1);
    assert_eq!(world.donations().await, [100]);
}

#[tokio::test]
async fn undone_and_done_again_donates_once() {
    let (world, mara) = pro().await;
    let workout = mara.plan("Run", at("12:30")).await;
    assert_eq!(mara.log(&workout, "completed").await["donated"], 1.0);
    mara.log(&workout, "skipped").await;
    let undone = mara.stats().await;
    assert_eq!((&undone["current_streak"], &undone["total_workouts"]), (&json!(0), &json!(0)));
    let again = mara.log(&workout, "completed").await;
    assert_eq!((&again["donated"], &again["cap_reached"]), (&json!(0.0), &json!(null)));
    assert_eq!(mara.log(&workout, "partial").await["donated"], 0.0);
    assert_eq!(world.donations().await, [100]);
    assert_eq!(mara.stats().await["current_streak"], 1);
    check_the_money(&world, &mara).await;
    world.settle().await;
    assert_eq!(world.arrived(&mara, "Logged, well done").len(), 1);

    world.advance(SignedDuration::from_hours(7 * 24 + 1)).await;
    let late = mara.client.patch(&format!("/api/workouts/{workout}"), json!({"status": "skipped"}), 409).await;
    assert_eq!(late["type"], "/problems/too-late-to-change");
}

#[tokio::test]
async fn skips_and_rest_days_donate_nothing_and_half_donates_all() {
    let (world, mara) = pro().await;
    for (status, donated) in [("skipped", 0.0), ("rest_day", 0.0), ("partial", 1.0)] {
        let workout = mara.plan("Run", world.now() + SignedDuration::from_mins(1)).await;
        assert_eq!(mara.log(&workout, status).await["donated"], donated, "{status}");
    }
    assert_eq!(world.donations().await, [100]);
}

#[tokio::test]
async fn the_daily_cap_cuts_the_fourth_completion_and_says_so() {
    for (tier, amounts) in [("b2c_pro", [1.0, 1.0, 1.0, 0.0]), ("b2c_elite", [1.5, 1.5, 1.0, 0.0])] {
        let (world, mara) = noon(tier).await;
        world.writes(&mara, "hello").await;
        let mut donated = Vec::new();
        let mut last = json!(null);
        for _ in 0..4 {
            last = completes(&world, &mara).await;
            donated.push(last["donated"].as_f64().unwrap());
        }
        assert_eq!(donated, amounts, "{tier}");
        assert_eq!((&last["cap_reached"], &last["status"]), (&json!("daily"), &json!("completed")));
        world.settle().await;
        assert_eq!(mara.wallet().await["daily_remaining"], 0.0);
        assert_eq!(mara.stats().await["total_workouts"], 4);
        check_the_money(&world, &mara).await;
        let said = world.arrived(&mara, "cap is reached");
        assert_eq!(said.len(), if tier == "b2c_pro" { 1 } else { 2 }, "{said:?}");
        // A new day has a cap of its own; a capped workout of the old one gains nothing by being told again.
        let capped = last["id"].as_str().unwrap().to_owned();
        world.advance(SignedDuration::from_hours(24)).await;
        assert_eq!(mara.log(&capped, "partial").await["donated"], 0.0);
        assert_eq!(completes(&world, &mara).await["donated"], amounts[0]);
        check_the_money(&world, &mara).await;
    }
}

#[tokio::test]
async fn the_seventh_day_brings_its_bonus_once() {
    let (world, mara) = noon("b2c_elite").await;
    let mut bonuses = Vec::new();
    let mut last = json!(null);
    for day in 0..8 {
        last = completes(&world, &mara).await;
        bonuses.push(last["bonus"].as_f64().unwrap());
        assert_eq!(mara.stats().await["current_streak"], day + 1);
        if day == 6 {
            let workout = last["id"].as_str().unwrap();
            assert_eq!(mara.log(workout, "skipped").await["bonus"], 0.0);
            assert_eq!(mara.log(workout, "completed").await["bonus"], 0.0);
        }
        world.advance(SignedDuration::from_hours(24)).await;
    }
    assert_eq!(bonuses, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0]);
    let mut expected = vec![150; 8];
    expected.push(300);
    assert_eq!(world.donations().await, expected);
    assert_eq!(world.arrived(&mara, "7 days kept").len(), 1);
    assert_eq!(last["donated"], 1.5);
}

#[tokio::test]
async fn the_streak_ends_when_a_day_passed_without_anything() {
    let (world, mara) = pro().await;
    completes(&world, &mara).await;
    world.advance(SignedDuration::from_hours(24)).await;
    completes(&world, &mara).await;
    assert_eq!(mara.stats().await["current_streak"], 2);
    world.advance(SignedDuration::from_hours(24)).await;
    assert_eq!(mara.stats().await["current_streak"], 2, "today is not over");
    world.advance(SignedDuration::from_hours(24)).await;
    let stats = mara.stats().await;
    assert_eq!((&stats["current_streak"], &stats["longest_streak"]), (&json!(0), &json!(2)));
}

// At once

async fn patch(mara: &Person, workout: &str, status: &str) -> u16 {
    let reply = mara
        .client
        .send(
            axum::http::Method::PATCH,
            &format!("/api/workouts/{workout}"),
            &[("content-type", "application/json")],
            json!({"status": status}).to_string(),
        )
        .await;
    reply.status.as_u16()
}

#[tokio::test]
async fn two_reports_of_one_workout_at_once_donate_once() {
    let (world, mara) = pro().await;
    let workout = mara.plan("Run", at("12:30")).await;
    let done = tokio::join!(
        Box::pin(patch(&mara, &workout, "completed")),
        Box::pin(patch(&mara, &workout, "completed")),
        Box::pin(patch(&mara, &workout, "completed"))
    );
    assert_eq!(done, (200, 200, 200));
    world.settle().await;
    assert_eq!(world.donations().await, [100]);
    assert_eq!(world.arrived(&mara, "Logged, well done").len(), 1);
    check_the_money(&world, &mara).await;
}

#[tokio::test]
async fn api_and_whatsapp_at_once_donate_once() {
    let (world, mara) = pro().await;
    let workout = mara.plan("Run", at("12:30")).await;
    world.hold_webhooks(true);
    world.simulators.reply(PHONE, "done");
    let webhook = world.simulators.take_webhooks().remove(0);
    world.hold_webhooks(false);
    let (api, whatsapp) =
        tokio::join!(Box::pin(patch(&mara, &workout, "completed")), Box::pin(world.deliver(&webhook)));
    assert_eq!((api, whatsapp.as_u16()), (200, 204));
    world.settle().await;
    assert_eq!(world.donations().await, [100]);
    assert_eq!(mara.today().await.len(), 1);
    check_the_money(&world, &mara).await;
}

#[tokio::test]
async fn reports_at_once_never_exceed_a_cap() {
    let (world, mara) = pro().await;
    let mut workouts = Vec::new();
    for _ in 0..4 {
        workouts.push(mara.plan("Run", at("12:30")).await);
    }
    let done = tokio::join!(
        Box::pin(patch(&mara, &workouts[0], "completed")),
        Box::pin(patch(&mara, &workouts[1], "completed")),
        Box::pin(patch(&mara, &workouts[2], "completed")),
        Box::pin(patch(&mara, &workouts[3], "completed"))
    );
    assert_eq!(done, (200, 200, 200, 200));
    assert_eq!(world.donations().await, [100, 100, 100]);
    assert_eq!(mara.stats().await["total_workouts"], 4);
    check_the_money(&world, &mara).await;
}

// Moved workouts

#[tokio::test]
async fn a_moved_workout_keeps_its_id_and_is_listed_on_its_new_day() {
    let (world, mara) = pro().await;
    let workout = mara.plan("Run", at("15:00")).await;
    let tomorrow: Timestamp = "2026-11-24T15:00:00Z".parse().unwrap();
    let path = format!("/api/workouts/{workout}");
    let moved = mara.client.patch(&path, json!({"planned_time": tomorrow}), 200).await;
    assert_eq!((&moved["id"], &moved["date"]), (&json!(workout), &json!("2026-11-24")));
    assert!(mara.today().await.is_empty());
    world.advance(SignedDuration::from_hours(24)).await;
    let today = mara.today().await;
    assert_eq!(today.len(), 1);
    assert_eq!(today[0]["id"], workout.as_str());
    assert_eq!(mara.log(&workout, "completed").await["donated"], 1.0);
    assert_eq!(mara.today().await[0]["status"], "completed");
    assert_eq!(mara.stats().await["current_streak"], 1);

    let other = mara.plan("Yoga", "2026-11-25T09:00:00Z".parse().unwrap()).await;
    let path = format!("/api/workouts/{other}");
    mara.client.patch(&path, json!({"planned_time": "2026-11-26T09:00:00Z"}), 200).await;
    mara.client.patch(&path, json!({"planned_time": "2026-11-24T18:00:00Z"}), 200).await;
    assert_eq!(mara.today().await.len(), 2, "moved twice, and back to today");
    world.writes(&mara, "done").await;
    let statuses: Vec<_> = mara.today().await.iter().map(|workout| workout["status"].clone()).collect();
    assert_eq!(statuses, ["completed", "completed"]);
}

// The outbox

#[tokio::test]
async fn a_stopped_outbox_loses_nothing_and_catches_up() {
    let (world, mara) = noon("b2c_elite").await;
    world.stop_outbox(true);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    completes(&world, &mara).await;
    world.writes(&mara, "status").await;
    world.advance_to(at("12:30")).await;
    assert!(world.timers.set_timers().is_empty());
    assert!(world.arrived(&mara, "Logged, well done").is_empty());
    assert_eq!(world.donations().await, [150], "the change itself does not wait");
    world.simulators.set_persona(PHONE, talks(json!({})));
    world.stop_outbox(false);
    world.advance_to(at("14:00")).await;
    assert_eq!(world.arrived(&mara, "Logged, well done").len(), 1);
    assert_eq!(world.arrived(&mara, "Streak:").len(), 1);
    assert_eq!(world.ring_times(), ["13:00"]);
    assert_eq!(mara.call(&call).await["state"], "completed");
}

#[tokio::test]
async fn an_effect_that_nobody_can_read_is_put_aside_and_holds_nothing_up() {
    let (world, mara) = noon("b2c_elite").await;
    let mut transaction = world.ivy.store.transaction();
    transaction.outbox("unreadable", r#"{"kind": "send_flowers"}"#, world.now());
    Box::pin(transaction.commit()).await.unwrap();
    completes(&world, &mara).await;
    world.advance_to(at("12:30")).await;
    assert_eq!(world.arrived(&mara, "Logged, well done").len(), 1);
    let dead = world.queues.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].queue, Queue::OutboxDead);
    assert!(dead[0].body.contains("send_flowers"), "{}", dead[0].body);
}

#[tokio::test]
async fn an_outbox_delivered_again_changes_nothing() {
    let (world, mara) = noon("b2c_elite").await;
    world.simulators.set_persona(PHONE, talks(json!({"workout_status": "completed"})));
    mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    completes(&world, &mara).await;
    world.republish_outbox().await;
    world.advance_to(at("14:00")).await;
    world.writes(&mara, "status").await;
    let before = (world.snapshot().await, world.simulators.handset(PHONE), world.simulators.rings().len());
    world.republish_outbox().await;
    world.advance(SignedDuration::from_mins(20)).await;
    let after = (world.snapshot().await, world.simulators.handset(PHONE), world.simulators.rings().len());
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_day_to_come_cannot_be_completed() {
    let (world, mara) = pro().await;
    let workout = mara.plan("Run", world.now() + SignedDuration::from_hours(30)).await;
    let path = format!("/api/workouts/{workout}");
    let refused = mara.client.patch(&path, json!({"status": "completed"}), 409).await;
    assert_eq!(refused["type"], "/problems/workout-lies-ahead");
    assert!(world.donations().await.is_empty());
    let today = world.now() + SignedDuration::from_hours(1);
    mara.client.patch(&path, json!({"planned_time": today}), 200).await;
    mara.log(&workout, "completed").await;
    assert_eq!(world.donations().await, [100]);
    check_the_money(&world, &mara).await;
}
