//! A rescue from the handset page: somebody about to give up calls Ivy, the agent uses its tools in the middle of the talk, and
//! the smallest version of the plan is done before they hang up. The analysis that follows says otherwise, and changes nothing.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::time::Duration;

use ivy_stack::{Person, Stack, day_zone, now, until};
use jiff::SignedDuration;
use serde_json::json;

const PHONE: &str = "+447700900351";
const WAIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn somebody_about_to_give_up_calls_and_does_the_smallest_version() {
    let stack = Stack::running();
    let zone = day_zone(now());
    let sam = Person::sign_up(&stack, &json!({"phone": PHONE, "first_name": "Sam", "timezone": zone})).await;
    sam.onboard(json!({"communication_preference": "async"})).await;
    let planned_time = now() + SignedDuration::from_mins(50);
    let plan = json!({"planned_activity": "30 minute run", "planned_time": planned_time});
    let workout = sam.client.post("/api/workouts", &plan, 201).await;

    let provider_call = sam.handset.call().await;
    let call = until("the call to be known", WAIT, async || {
        sam.calls().await.into_iter().find(|call| call["call_type"] == "rescue")
    })
    .await;
    let today = sam.handset.tool("get_today", &json!({})).await;
    assert_eq!(today["ok"], json!(true), "{today}");
    assert!(today["say"].as_str().unwrap().contains("30 minute run"), "{today}");
    let done = json!({"status": "completed", "activity": "30 minute run", "duration_minutes": 5});
    let logged = sam.handset.tool("log_workout", &done).await;
    assert_eq!(logged["ok"], json!(true), "{logged}");
    assert!(logged["say"].as_str().unwrap().contains("£1.00 goes to Mind"), "{logged}");
    let unknown = sam.handset.tool("order_pizza", &json!({})).await;
    assert_eq!(unknown["ok"], json!(false), "{unknown}");
    let analysis = json!({"workout_status": "skipped", "energy": 6});
    sam.handset.hang_up(&analysis, "Agent: Hi Sam, it's Ivy, the AI.\nUser: I did the five minutes.\n").await;

    let id = call["id"].as_str().unwrap();
    let ended = until("the call's outcome", WAIT, async || {
        let call = sam.call(id).await;
        (call["state"] == "completed" && !call["transcript"].is_null()).then_some(call)
    })
    .await;
    assert_eq!(ended["outcome"], "rescue_success", "{ended}");
    assert!(ended["transcript"].as_str().unwrap().contains("five minutes"), "{ended}");
    let known = sam.handset.provider_call(&stack.file.secrets.retell_api_key, &provider_call).await;
    assert_eq!(known["metadata"]["call_id"], json!(id), "{known}");
    let kept = sam.get(&format!("/api/workouts/{}", workout["id"].as_str().unwrap())).await;
    assert_eq!(kept["status"], "completed", "what a tool did stands, whatever the analysis takes it for");
    assert_eq!(sam.get("/api/users/me/wallet").await["lifetime_donated"], json!(1.0));
    let messages = sam.messages_delivered().await;
    let confirmations = messages.iter().filter(|message| message["template"] == "completion_confirmation").count();
    assert_eq!(confirmations, 1, "{messages:?}");
    assert!(sam.handset.rings().await.is_empty(), "they rang us");
}

#[tokio::test]
async fn a_number_that_nobody_signed_up_with_learns_nothing() {
    let stack = Stack::running();
    let stranger = stack.handset("+447700900349");
    let provider_call = stranger.call().await;
    let known = stranger.provider_call(&stack.file.secrets.retell_api_key, &provider_call).await;
    assert_eq!(known["agent_id"], "agent_welcome", "{known}");
    assert!(known["retell_llm_dynamic_variables"].is_null(), "nothing about anybody: {known}");
    let answer = stranger.tool("get_today", &json!({})).await;
    assert_eq!(answer["ok"], json!(false), "{answer}");
    stranger.hang_up(&json!({}), "").await;
}
