//! A day by WhatsApp: a reminder, "later" with a time, "did it", the confirmation, STOP, and silence.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::time::{Duration, Instant};

use ivy_stack::{Person, Stack, day_zone, now, until};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PHONE: &str = "+447700900350";
const WAIT: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_reminder_is_answered_the_plan_moves_is_kept_and_stop_is_silence() {
    let stack = Stack::running();
    let zone = day_zone(now());
    let ann = Person::sign_up(&stack, &json!({"phone": PHONE, "first_name": "Ann", "timezone": zone})).await;
    ann.onboard(json!({"communication_preference": "async"})).await;
    let planned_time = now() + SignedDuration::from_mins(40);
    let plan = json!({"planned_activity": "yoga", "planned_time": planned_time});
    let workout = ann.client.post("/api/workouts", &plan, 201).await;
    let workout = format!("/api/workouts/{}", workout["id"].as_str().unwrap());

    stack.run_job("send-reminders", now()).await;
    arrives(&ann, "the reminder", |message| message["template"] == "workout_reminder").await;
    stack.run_job("send-reminders", now()).await;

    let local = zone.time_zone().to_datetime(now() + SignedDuration::from_hours(2));
    ann.handset.reply(&format!("later, at {}", local.strftime("%H:%M"))).await;
    let later: Timestamp =
        zone.time_zone().to_timestamp(local.with().second(0).subsec_nanosecond(0).build().unwrap()).unwrap();
    until("the plan to be moved", WAIT, async || {
        let time = ann.get(&workout).await["planned_time"].as_str().unwrap().parse::<Timestamp>().unwrap();
        (time == later).then_some(())
    })
    .await;

    ann.handset.reply("did it 💪").await;
    let replied = Instant::now();
    arrives(&ann, "the confirmation", |message| text(message).contains("£1.00 goes to Mind")).await;
    let confirmed_in = replied.elapsed();
    assert_eq!(ann.get(&workout).await["status"], "completed");

    ann.handset.reply("STOP").await;
    until("the consent to be withdrawn", WAIT, async || {
        let user = ann.get("/api/users/me").await;
        (user["consents"]["messages_whatsapp"]["granted"] == json!(false)).then_some(())
    })
    .await;
    let last = arrives(&ann, "the word that it is over", |message| text(message).contains("START")).await;
    let another = json!({"planned_activity": "a walk", "planned_time": now() + SignedDuration::from_mins(40)});
    let another = ann.client.post("/api/workouts", &another, 201).await;
    let path = format!("/api/workouts/{}", another["id"].as_str().unwrap());
    stack.run_job("send-reminders", now()).await;
    ann.client.patch(&path, &json!({"status": "completed"}), 200).await;
    // Of what does not come there is no sign to wait for: twice as long as the first confirmation took.
    tokio::time::sleep(confirmed_in * 2 + Duration::from_secs(5)).await;
    let arrived = ann.handset.arrived().await;
    assert_eq!(arrived.last(), Some(&last), "nothing comes after STOP");
    let reminders = arrived.iter().filter(|message| message["template"] == "workout_reminder").count();
    assert_eq!(reminders, 1, "{arrived:?}");
}

fn text(message: &Value) -> &str {
    message["text"].as_str().unwrap()
}

/// The newest message of a kind, as soon as it has arrived.
async fn arrives(person: &Person, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    until(what, WAIT, async || person.handset.arrived().await.into_iter().rev().find(|message| is(message))).await
}
