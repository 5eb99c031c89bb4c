//! A day with Ivy on the deployed stack: planned, called, planned with, called again, logged, donated, confirmed.
//!
//! Onboarding plans what remains of the day by itself, through the outbox and the `plan-users` queue. To see `plan-day` make
//! calls as well, the test takes away what onboarding made (the call items and their schedules, as if the user had been onboarded
//! on an earlier day) and runs `plan-day` for the hour in which the user's local day began. Its jobs bring the same calls back,
//! with the same ids and times, because both follow from user and date; those are the calls that ring. A second run
//! brings nothing.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::time::Duration;

use ivy_domain::{Zone, days};
use ivy_simulators::{CallScript, Persona};
use ivy_stack::{Person, Planned, Stack, day_zone, now, plan_for, until};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::{Value, json};

const PHONE: &str = "+447700900341";
const WAIT: Duration = Duration::from_secs(60);
const CALL: Duration = Duration::from_secs(150);

#[tokio::test]
async fn a_day_with_ivy() {
    let stack = Stack::running();
    let zone = day_zone(now());
    let began = now();
    let sam = Person::sign_up(&stack, &json!({"phone": PHONE, "first_name": "Sam", "timezone": zone})).await;
    // Far enough for schedules: what is due within a minute goes by the queue.
    let planned = plan_for(&sam.id, &zone, now(), 90);
    sam.onboard(planned.answers.clone()).await;
    let calls = calls_as_planned(&sam, &planned).await;

    forget_the_plan(&stack, &sam, &calls).await;
    plan_day(&stack, &zone).await;
    let again = calls_as_planned(&sam, &planned).await;
    assert_eq!(ids(&again), ids(&calls), "planning is a function of user and date");
    plan_day(&stack, &zone).await;
    until("the planning jobs to be done", WAIT, async || (stack.queued("PlanUsersQueueUrl").await == 0).then_some(()))
        .await;
    assert_eq!(sam.calls().await, again, "a second run plans nothing new");

    let [first, second] = &again[..] else { panic!("{again:?}") };
    morning(&sam, first).await;
    evening(&sam, second).await;
    results(&stack, &sam, began).await;
}

fn ids(calls: &[Value]) -> Vec<&str> {
    calls.iter().map(|call| call["id"].as_str().unwrap()).collect()
}

/// The two calls of the day, in the order of their time, as soon as both are there.
async fn calls_as_planned(sam: &Person, planned: &Planned) -> Vec<Value> {
    let calls = until("the day's calls", WAIT, async || {
        let calls = sam.calls().await;
        (calls.len() >= 2).then_some(calls)
    })
    .await;
    assert_eq!(calls.len(), 2, "{calls:?}");
    for (call, expected) in calls.iter().zip(&planned.calls) {
        assert_eq!(call["call_type"], expected.call_type.name());
        assert_eq!(time(&call["scheduled_time"]), expected.due_at);
        assert_eq!(time(&call["window_start"]), expected.window.opens_at);
        assert_eq!(time(&call["window_end"]), expected.window.closes_at);
        assert_eq!((&call["state"], &call["attempts"]), (&json!("scheduled"), &json!(0)));
    }
    calls
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

fn schedule_of(call: &Value) -> String {
    format!("call-{}-{}", call["id"].as_str().unwrap(), time(&call["next_attempt_at"]).as_second())
}

/// Takes away what onboarding planned: the schedules and the calls.
async fn forget_the_plan(stack: &Stack, sam: &Person, calls: &[Value]) {
    for call in calls {
        let schedule = schedule_of(call);
        until("the call's schedule", WAIT, async || (stack.schedules(&schedule).await.len() == 1).then_some(())).await;
        stack.delete_schedule(&schedule).await;
    }
    assert_eq!(stack.delete_items(&sam.id, "CALL#").await, 2);
    assert!(sam.calls().await.is_empty());
}

/// Runs `plan-day` with the event of the hour in which the zone's local day began.
async fn plan_day(stack: &Stack, zone: &Zone) {
    let begins = days::day_start(days::local_date(now(), zone), zone).as_second();
    let hour = Timestamp::from_second(begins - begins.rem_euclid(3600)).unwrap();
    stack.run_job("plan-day", hour).await;
}

fn answers(analysis: Value) -> Persona {
    let transcript = "Agent: Hello, this is Ivy, an AI.\nUser: Hello!\n".to_owned();
    Persona::Answers(CallScript { duration_seconds: 95, user_spoke: true, analysis, user_sentiment: None, transcript })
}

/// The onboarding call: a run is planned for later today.
async fn morning(sam: &Person, call: &Value) {
    let planned_time = now() + SignedDuration::from_mins(20);
    sam.handset
        .set_persona(&answers(json!({
            "planned_activity": "30 minute run", "planned_time": planned_time.to_string(), "planned_duration_minutes": 30, "energy": 4,
        })))
        .await;
    let done = ended(sam, call, "workout_planned").await;
    assert_eq!(done["call_type"], "onboarding");
    let today = sam.workouts_today().await;
    assert_eq!(today.len(), 1, "{today:?}");
    assert_eq!(today[0]["planned_activity"], "30 minute run");
    assert_eq!(today[0]["planned_duration_minutes"], 30);
    assert_eq!(time(&today[0]["planned_time"]), planned_time);
    assert_eq!((&today[0]["status"], &today[0]["source"]), (&json!("planned"), &json!("call")));
}

/// The evening's call: the run is done.
async fn evening(sam: &Person, call: &Value) {
    let analysis = json!({"workout_status": "completed", "actual_duration_minutes": 32, "energy": 7, "mood": 8});
    sam.handset.set_persona(&answers(analysis)).await;
    ended(sam, call, "workout_logged").await;
    let today = sam.workouts_today().await;
    assert_eq!(today.len(), 1, "{today:?}");
    assert_eq!((&today[0]["status"], &today[0]["actual_duration_minutes"]), (&json!("completed"), &json!(32)));
}

/// The call once it is completed and analysed, with everything that a completed call shows.
async fn ended(sam: &Person, call: &Value, outcome: &str) -> Value {
    let id = call["id"].as_str().unwrap();
    let done = until(&format!("a call with {outcome}"), CALL, async || {
        let call = sam.call(id).await;
        assert!(call["state"] != "failed" && call["state"] != "cancelled" && call["state"] != "retry", "{call}");
        (call["state"] == "completed" && !call["outcome"].is_null()).then_some(call)
    })
    .await;
    assert_eq!(done["outcome"], outcome, "{done}");
    assert_eq!((&done["attempts"], &done["duration_seconds"]), (&json!(1), &json!(95)));
    assert_eq!(done["next_attempt_at"], Value::Null);
    assert!(done["transcript"].as_str().unwrap().contains("User: Hello!"));
    let history = done["history"].as_array().unwrap();
    let states: Vec<&str> = history.iter().map(|step| step["to"].as_str().unwrap()).collect();
    assert_eq!(states, ["initiating", "in_progress", "completed"]);
    // A minute: its schedule woke the call, for the sweep only looks at calls that are two minutes late.
    let late = time(&history[0]["at"]).duration_since(time(&call["scheduled_time"]));
    assert!(!late.is_negative() && late < SignedDuration::from_mins(1), "called {late} after the time");
    done
}

async fn results(stack: &Stack, sam: &Person, began: Timestamp) {
    let stats = sam.get("/api/users/me/stats").await;
    let expected = json!({
        "user_id": sam.id,
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
    });
    assert_eq!(stats, expected);

    let mut wallet = sam.get("/api/users/me/wallet").await;
    let period = wallet.as_object_mut().unwrap();
    let (start, end) = (period.remove("period_start").unwrap(), period.remove("period_end").unwrap());
    assert!(time(&start) >= began && time(&start) <= now(), "a billing period begins with the first use: {start}");
    let length =
        time(&end).in_tz("UTC").unwrap().checked_sub(1.month()).unwrap().timestamp().duration_since(time(&start));
    assert!(length.abs() <= SignedDuration::from_hours(3 * 24), "a month from {start} to {end}");
    let expected = json!({
        "user_id": sam.id,
        "donation_per_completion": 1.0,
        "daily_cap": 3.0,
        "daily_remaining": 2.0,
        "monthly_cap": 20.0,
        "amount_used": 1.0,
        "monthly_remaining": 19.0,
        "lifetime_donated": 1.0,
        "charity": {"id": stack.file.default_charity_id, "name": "Mind"},
    });
    assert_eq!(wallet, expected);

    let messages = sam.messages_delivered().await;
    let confirmations: Vec<_> = messages.iter().filter(|m| m["template"] == "completion_confirmation").collect();
    assert_eq!(confirmations.len(), 1, "{messages:?}");
    assert_eq!((&confirmations[0]["status"], &confirmations[0]["via"]), (&json!("delivered"), &json!("whatsapp")));
    let arrived = sam.handset.arrived().await;
    let shown: Vec<_> = arrived.iter().filter(|m| m["template"] == "completion_confirmation").collect();
    assert_eq!(shown.len(), 1, "{arrived:?}");
    let text = shown[0]["text"].as_str().unwrap();
    assert!(text.contains("£1.00") && text.contains("Mind"), "{text}");

    let rings = sam.handset.rings().await;
    assert_eq!(rings.len(), 2, "each call rang once: {rings:?}");
    assert!(rings.iter().all(|ring| ring["variables"]["user_name"] == "Sam"), "{rings:?}");
    let first: Vec<_> = rings.iter().map(|ring| ring["variables"]["is_first_call"].as_str().unwrap()).collect();
    assert_eq!(first, ["true", "false"]);
    for queue in ["DueCallsDeadQueueUrl", "MessagesDeadQueueUrl", "PlanUsersDeadQueueUrl", "OutboxDeadQueueUrl"] {
        assert_eq!(stack.queued(queue).await, 0, "{queue}");
    }
}
