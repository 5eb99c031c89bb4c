//! The journey: signed up, called, planned, called again, logged, donated, confirmed.

use ivy_simulators::{CallScript, Persona};
use ivy_world::World;
use jiff::SignedDuration;
use serde_json::json;

const PHONE: &str = "+447700900150";

fn script(analysis: serde_json::Value) -> Persona {
    Persona::Answers(CallScript {
        duration_seconds: 120,
        user_spoke: true,
        analysis,
        user_sentiment: None,
        transcript: "Agent: Hello, this is Ivy.\nUser: Hello!".to_owned(),
    })
}

#[tokio::test]
async fn a_day_with_ivy() {
    let world = World::new().await;
    let mara = world.person(PHONE).onboarding("preferred_days", json!(["mon"])).join(&world).await;

    // The first call is planned for the first window after onboarding, with a timer of its own.
    let timers = world.timers.set_timers();
    assert_eq!(timers.len(), 2, "onboarding this morning and the review this evening: {timers:?}");
    world.simulators.set_persona(
        PHONE,
        script(json!({"planned_activity": "30 minute run", "planned_time": "2026-11-23T17:00:00Z", "planned_duration_minutes": 30, "energy": 4})),
    );
    world.advance_to("2026-11-23T09:00:00Z".parse().unwrap()).await;
    let calls = mara.get("/api/users/me/calls").await;
    let morning = calls["items"].as_array().unwrap().iter().find(|c| c["call_type"] == "onboarding").unwrap().clone();
    assert_eq!(morning["state"], "completed");
    assert_eq!(morning["outcome"], "workout_planned");
    assert_eq!(morning["attempts"], 1);
    let today = mara.get("/api/users/me/workouts/today").await;
    assert_eq!(today["items"][0]["planned_activity"], "30 minute run");
    assert_eq!(today["items"][0]["status"], "planned");

    world.simulators.set_persona(
        PHONE,
        script(json!({"workout_status": "completed", "actual_duration_minutes": 32, "energy": 7, "mood": 8})),
    );
    world.advance_to("2026-11-23T20:00:00Z".parse().unwrap()).await;
    let today = mara.get("/api/users/me/workouts/today").await;
    assert_eq!(today["items"].as_array().unwrap().len(), 1);
    assert_eq!(today["items"][0]["status"], "completed");
    assert_eq!(today["items"][0]["actual_duration_minutes"], 32);

    assert_eq!(
        mara.stats().await,
        json!({
            "user_id": mara.id.to_string(),
            "current_streak": 1,
            "longest_streak": 1,
            "workouts_this_week": 1,
            "workouts_this_month": 1,
            "total_workouts": 1,
            "weekly_goal": 3,
            "goal_completion_rate": 0.0,
            "impact": {"total_donated": 1.0, "charity": "Mind", "impact_equivalent": "2 helpline calls"},
            "transformation": {
                "energy": {"start": 4, "current": 7, "change": "+75%"},
                "mood": {"start": 8, "current": 8, "change": "0%"},
                "confidence": null,
            },
        })
    );
    let wallet = mara.wallet().await;
    assert_eq!(wallet["amount_used"], 1.0);
    assert_eq!(wallet["daily_remaining"], 2.0);
    assert_eq!(wallet["monthly_remaining"], 19.0);

    let confirmations: Vec<_> = world
        .simulators
        .handset(PHONE)
        .into_iter()
        .filter(|message| message.template.as_deref() == Some("completion_confirmation"))
        .collect();
    assert_eq!(confirmations.len(), 1, "one confirmation on WhatsApp");
    assert!(
        confirmations[0].text.contains("£1.00") && confirmations[0].text.contains("Mind"),
        "{}",
        confirmations[0].text
    );
    let messages = mara.get("/api/users/me/messages").await;
    let confirmation =
        messages["items"].as_array().unwrap().iter().find(|m| m["template"] == "completion_confirmation").unwrap();
    assert!(confirmation["status"] == "delivered" || confirmation["status"] == "read", "{confirmation}");
    assert_eq!(world.simulators.rings().len(), 2);
    assert!(world.queues.dead_letters().is_empty());
}

#[tokio::test]
async fn the_morning_after_is_planned_by_plan_day() {
    let world = World::at("2026-11-23T20:30:00Z").await;
    let mara = world.person(PHONE).tier("b2c_elite").onboarding("preferred_days", json!(["tue"])).join(&world).await;
    assert!(world.timers.set_timers().is_empty(), "the windows of Monday are over");
    world.advance_to("2026-11-24T03:00:00Z".parse().unwrap()).await;
    world.plan_day(world.now()).await;
    world.plan_day(world.now()).await;
    let calls = mara.get("/api/users/me/calls").await;
    let types: Vec<_> = calls["items"].as_array().unwrap().iter().map(|c| c["call_type"].as_str().unwrap()).collect();
    assert_eq!(types.len(), 2, "{types:?}");
    assert!(types.contains(&"onboarding") && types.contains(&"evening_review"), "{types:?}");
    let timers = world.timers.set_timers();
    assert_eq!(timers.len(), 2, "{timers:?}");
    world.simulators.set_persona(PHONE, script(json!({})));
    world.advance(SignedDuration::from_hours(20)).await;
    assert_eq!(world.simulators.rings().len(), 2);
}
