//! Nobody answers: the call waits for its next attempt, the tier decides about a message, and a word on WhatsApp still counts.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::time::Duration;

use ivy_simulators::Persona;
use ivy_stack::{Person, Stack, day_zone, now, until};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(60);
const CALL: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_missed_call_of_an_elite_user_is_followed_by_a_message() {
    let stack = Stack::running();
    let (mara, call) = missed(&stack, "+447700900342", "b2c_elite").await;
    let messages = mara.messages().await;
    let follow_ups: Vec<_> = messages.iter().filter(|m| m["template"] == "missed_call_follow_up").collect();
    assert_eq!(follow_ups.len(), 1, "{messages:?}");
    assert_eq!(follow_ups[0]["status"], "queued", "it waits for a sign of life");
    assert_eq!(follow_ups[0]["call_id"], call["id"]);
    done_by_whatsapp(&mara, 1.5).await;
}

#[tokio::test]
async fn a_missed_call_of_a_pro_user_is_not() {
    let stack = Stack::running();
    let (ben, _) = missed(&stack, "+447700900343", "b2c_pro").await;
    let messages = ben.messages().await;
    assert!(messages.iter().all(|m| m["template"] != "missed_call_follow_up"), "{messages:?}");
    done_by_whatsapp(&ben, 1.0).await;
}

/// A person whose call nobody answered, and the call as it then waits.
async fn missed(stack: &Stack, phone: &str, tier: &str) -> (Person, Value) {
    let zone = day_zone(now());
    let sign_up = json!({"phone": phone, "first_name": "Mara", "timezone": zone, "subscription_type": tier});
    let person = Person::sign_up(stack, &sign_up).await;
    person.onboard(json!({})).await;
    person.handset.set_persona(&Persona::NeverAnswers).await;
    let at = now() + SignedDuration::from_secs(10);
    let id = person.schedule("evening_review", at, at + SignedDuration::from_hours(3)).await;
    let call = person.call_in_state(&id, "retry", CALL).await;

    assert_eq!((&call["attempts"], &call["cause"], &call["outcome"]), (&json!(1), &json!("no_answer"), &Value::Null));
    let history = call["history"].as_array().unwrap();
    let steps: Vec<_> = history.iter().map(|s| (s["to"].as_str().unwrap(), s["cause"].as_str().unwrap())).collect();
    assert_eq!(steps, [("initiating", "claimed"), ("missed", "no_answer"), ("retry", "no_answer")]);
    let next = time(&call["next_attempt_at"]);
    let pause = next.duration_since(time(&call["ended_at"]));
    assert_eq!(pause, SignedDuration::from_mins(30), "the first retry follows half an hour after the miss");
    let schedule = format!("call-{id}-{}", next.as_second());
    until("the retry's schedule", WAIT, async || (stack.schedules(&schedule).await.len() == 1).then_some(())).await;
    assert_eq!(person.handset.rings().await.len(), 1);
    (person, call)
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Writes "done", twice: it is logged once, and the second time is answered with words.
async fn done_by_whatsapp(person: &Person, pounds: f64) {
    person.handset.reply("Done ✅").await;
    let logged = until("the workout to be logged", WAIT, async || {
        let today = person.workouts_today().await;
        (!today.is_empty()).then_some(today)
    })
    .await;
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!((&logged[0]["status"], &logged[0]["source"]), (&json!("completed"), &json!("whatsapp")));
    assert_eq!(logged[0]["planned_activity"], "put on the shoes");
    confirmation(person, 1).await;

    person.handset.reply("done").await;
    let in_the_book = until("an answer", WAIT, async || {
        let arrived = person.handset.arrived().await;
        arrived.into_iter().find(|m| m["text"].as_str().unwrap().contains("in the book already"))
    })
    .await;
    assert_eq!(in_the_book["via"], "whatsapp");
    assert_eq!(person.workouts_today().await.len(), 1);
    let stats = person.get("/api/users/me/stats").await;
    assert_eq!((&stats["total_workouts"], &stats["current_streak"]), (&json!(1), &json!(1)));
    assert_eq!(stats["impact"]["total_donated"], pounds);
    confirmation(person, 1).await;
}

/// So many confirmations of a donation have arrived. Inside the 24 hours after a message they are free text, not a template.
async fn confirmation(person: &Person, count: usize) {
    until("the confirmation", WAIT, async || {
        let arrived = person.handset.arrived().await;
        let confirmations = arrived.iter().filter(|m| m["text"].as_str().unwrap().contains("Mind")).count();
        assert!(confirmations <= count, "{arrived:?}");
        (confirmations == count).then_some(())
    })
    .await;
}
