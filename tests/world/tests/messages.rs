//! Messages: template or free text, quiet hours, one message at the handset whatever goes wrong, and what users may say.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use ivy_flows::ports::Queue;
use ivy_simulators::{Fault, HandsetMessage, MessageStatus, Provider, Via};
use ivy_world::{Person, World, at, delivery};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PHONE: &str = "+447700900150";
const LOGGED: &str = "Logged, well done";

async fn elite_at(now: &str) -> (World, Person) {
    let world = World::at(now).await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").without_planned_calls().join(&world)).await;
    (world, mara)
}

async fn noon() -> (World, Person) {
    elite_at("2026-11-23T12:00:00Z").await
}

/// Plans and logs a workout by API; its confirmation is the message that the tests follow.
async fn completes(world: &World, mara: &Person) {
    let workout = mara.plan("Run", world.now() + SignedDuration::from_mins(5)).await;
    mara.log(&workout, "completed").await;
    world.settle().await;
}

async fn confirmation(mara: &Person) -> Value {
    let messages = mara.messages_of("completion_confirmation").await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages[0].clone()
}

fn confirmations(world: &World, mara: &Person) -> Vec<HandsetMessage> {
    world.arrived(mara, LOGGED)
}

fn next_day(time: &str) -> Timestamp {
    at(time) + SignedDuration::from_hours(24)
}

// Template or free text

#[tokio::test]
async fn a_template_outside_the_24_hours_and_free_text_inside() {
    let (world, mara) = noon().await;
    completes(&world, &mara).await;
    world.writes(&mara, "hello").await;
    world.advance_to(at("14:00")).await;
    completes(&world, &mara).await;
    world.advance_to(next_day("11:59")).await;
    completes(&world, &mara).await;
    world.advance_to(next_day("12:00")).await;
    completes(&world, &mara).await;
    let carried: Vec<_> = confirmations(&world, &mara).into_iter().map(|message| message.template).collect();
    let template = Some("completion_confirmation".to_owned());
    assert_eq!(carried, [template.clone(), None, None, template]);
}

#[tokio::test]
async fn the_cap_is_named_whatever_carries_the_confirmation() {
    let (world, mara) = noon().await;
    for _ in 0..4 {
        completes(&world, &mara).await;
    }
    let texts: Vec<_> = confirmations(&world, &mara).into_iter().map(|message| message.text).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(texts[3].contains("cap is reached") && !texts[3].contains("£0.00"), "{}", texts[3]);
}

// Quiet hours

#[tokio::test]
async fn a_confirmation_waits_for_the_end_of_the_quiet_hours() {
    let (world, mara) = elite_at("2026-11-23T22:00:00Z").await;
    completes(&world, &mara).await;
    assert_eq!(confirmation(&mara).await["status"], "queued");
    world.republish_outbox().await;
    world.advance_to(next_day("06:59")).await;
    assert!(confirmations(&world, &mara).is_empty());
    world.advance_to(next_day("09:00")).await;
    let arrived = confirmations(&world, &mara);
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].at, next_day("07:00"));
}

#[tokio::test]
async fn an_answer_to_the_user_is_not_held_by_quiet_hours() {
    let (world, mara) = elite_at("2026-11-23T22:00:00Z").await;
    world.writes(&mara, "done").await;
    assert_eq!(confirmations(&world, &mara).len(), 1);
}

#[tokio::test]
async fn an_answer_that_comes_ten_minutes_late_waits_as_well() {
    let (world, mara) = elite_at("2026-11-23T22:00:00Z").await;
    world.stop_outbox(true);
    world.writes(&mara, "done").await;
    world.advance(SignedDuration::from_mins(11)).await;
    world.stop_outbox(false);
    world.advance_to(next_day("06:59")).await;
    assert!(confirmations(&world, &mara).is_empty());
    world.advance_to(next_day("07:00")).await;
    assert_eq!(confirmations(&world, &mara).len(), 1);
}

// Once

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_not_sent_again() {
    for (fault, arrives) in [(Fault::TimeoutAfterDoingTheWork, 1), (Fault::TimeoutBefore, 0)] {
        let (world, mara) = noon().await;
        world.hold_webhooks(true);
        world.simulators.faults().next(Provider::WhatsApp, fault);
        completes(&world, &mara).await;
        let unknown = confirmation(&mara).await;
        assert_eq!((&unknown["status"], &unknown["failure"]), (&json!("unknown"), &json!("answer_lost")));
        world.republish_outbox().await;
        world.advance(SignedDuration::from_hours(23)).await;
        assert_eq!(confirmations(&world, &mara).len(), arrives);
        // What did arrive is settled by its statuses, which carry our id.
        world.hold_webhooks(false);
        world.settle().await;
        let settled = confirmation(&mara).await;
        assert_eq!(settled["status"], if arrives == 1 { "delivered" } else { "unknown" });
        world.advance(SignedDuration::from_hours(3)).await;
        assert_eq!(confirmations(&world, &mara).len(), arrives);
        assert!(world.queues.dead_letters().is_empty());
    }
}

#[tokio::test]
async fn a_busy_or_failing_provider_gets_the_message_once_later() {
    for faults in [vec![429], vec![429, 429, 500], vec![503], vec![401]] {
        let (world, mara) = noon().await;
        for status in &faults {
            world.simulators.faults().next(Provider::WhatsApp, Fault::Status(*status));
        }
        completes(&world, &mara).await;
        assert!(confirmations(&world, &mara).is_empty());
        assert_eq!(confirmation(&mara).await["status"], "queued");
        world.advance(SignedDuration::from_hours(1)).await;
        assert_eq!(confirmations(&world, &mara).len(), 1, "{faults:?}");
        assert_eq!(confirmation(&mara).await["status"], "delivered");
    }
}

#[tokio::test]
async fn a_message_that_no_provider_takes_for_a_day_becomes_a_dead_letter() {
    let (world, mara) = noon().await;
    for _ in 0..200 {
        world.simulators.faults().next(Provider::WhatsApp, Fault::Status(429));
    }
    world.writes(&mara, "status").await;
    world.advance(SignedDuration::from_hours(26)).await;
    let answer = mara.messages_out().await.into_iter().find(|m| m["via"] == "whatsapp").unwrap();
    assert_eq!(
        (&answer["status"], &answer["failure"]),
        (&json!("failed"), &json!("given_up")),
        "{answer} {}",
        world.simulators.faults().pending()
    );
    assert_eq!(world.queues.dead_letters().len(), 1);
    assert!(world.queues.waiting().is_empty());
}

#[tokio::test]
async fn a_number_without_whatsapp_gets_one_sms() {
    for (twice, reversed) in [(false, false), (true, false), (true, true)] {
        let (world, mara) = noon().await;
        world.simulators.set_on_whatsapp(PHONE, false);
        world.simulators.faults().duplicate_webhooks(twice);
        world.simulators.faults().reverse_webhooks(reversed);
        completes(&world, &mara).await;
        let arrived = confirmations(&world, &mara);
        assert_eq!(arrived.len(), 1, "{arrived:?}");
        assert_eq!(arrived[0].via, Via::Sms);
        let sent = confirmation(&mara).await;
        assert_eq!((&sent["via"], &sent["failure"]), (&json!("sms"), &json!(null)));
        assert!(sent["status"] == "sent" || sent["status"] == "delivered", "{sent}");
    }
}

#[tokio::test]
async fn a_late_failure_on_whatsapp_does_not_fail_the_sms_that_took_its_place() {
    let (world, mara) = noon().await;
    world.simulators.set_on_whatsapp(PHONE, false);
    world.hold_webhooks(true);
    completes(&world, &mara).await;
    let failed = world.simulators.take_webhooks();
    assert_eq!(failed.len(), 1);
    world.hold_webhooks(false);
    for _ in 0..3 {
        world.deliver(&failed[0]).await;
        world.settle().await;
    }
    assert_eq!(confirmations(&world, &mara).len(), 1);
    let sent = confirmation(&mara).await;
    assert!(sent["status"] == "sent" || sent["status"] == "delivered", "{sent}");
}

#[tokio::test]
async fn a_closed_conversation_falls_back_to_sms_once() {
    let (world, mara) = noon().await;
    world.simulators.faults().next(Provider::WhatsApp, Fault::Error { status: 400, code: 131_047 });
    completes(&world, &mara).await;
    world.advance(SignedDuration::from_hours(2)).await;
    let arrived = confirmations(&world, &mara);
    assert_eq!(arrived.iter().map(|message| message.via).collect::<Vec<_>>(), [Via::Sms]);
}

#[tokio::test]
async fn a_refused_message_fails_and_is_not_repeated() {
    let (world, mara) = noon().await;
    world.simulators.faults().next(Provider::WhatsApp, Fault::Error { status: 400, code: 131_050 });
    completes(&world, &mara).await;
    world.advance(SignedDuration::from_hours(2)).await;
    let refused = confirmation(&mara).await;
    assert_eq!((&refused["status"], &refused["failure"]), (&json!("failed"), &json!("opted_out")));
    assert!(confirmations(&world, &mara).is_empty());
}

#[tokio::test]
async fn workers_at_once_send_once() {
    let (world, mara) = noon().await;
    world.stop_outbox(true);
    completes(&world, &mara).await;
    let message = confirmation(&mara).await["id"].clone();
    let body = json!({"user_id": mara.id.to_string(), "message_id": message}).to_string();
    let job = || delivery(Queue::Messages, &body, world.now());
    let (a, b, c) = (job(), job(), job());
    let done = tokio::join!(
        Box::pin(world.deliver_message(&a)),
        Box::pin(world.deliver_message(&b)),
        Box::pin(world.deliver_message(&c))
    );
    // Who finds the message in another's hands is not done with it, and comes again.
    assert!(done.0 || done.1 || done.2, "{done:?}");
    world.queues.twice.store(true, std::sync::atomic::Ordering::Relaxed);
    world.stop_outbox(false);
    world.settle().await;
    assert_eq!(confirmations(&world, &mara).len(), 1);
    assert_eq!(confirmation(&mara).await["status"], "delivered");
}

// Statuses

#[tokio::test]
async fn statuses_only_move_forward() {
    let (world, mara) = noon().await;
    world.simulators.faults().reverse_webhooks(true);
    completes(&world, &mara).await;
    assert_eq!(confirmation(&mara).await["status"], "delivered");
    world.hold_webhooks(true);
    world.simulators.look(PHONE);
    let read = world.simulators.take_webhooks();
    world.deliver(&read[0]).await;
    assert_eq!(confirmation(&mara).await["status"], "read");
    for late in ["sent", "delivered", "failed"] {
        let mut body: Value = serde_json::from_slice(&read[0].body).unwrap();
        body["entry"][0]["changes"][0]["value"]["statuses"][0]["status"] = json!(late);
        let late = world.simulators.sign(Provider::WhatsApp, &read[0].path, body.to_string().into_bytes());
        assert_eq!(world.deliver(&late).await.as_u16(), 204);
        assert_eq!(confirmation(&mara).await["status"], "read");
    }
}

#[tokio::test]
async fn a_status_that_comes_before_the_answer_was_written_down_is_not_lost() {
    let (world, mara) = noon().await;
    world.stop_outbox(true);
    completes(&world, &mara).await;
    let message = confirmation(&mara).await["id"].as_str().unwrap().to_owned();
    // As Meta posts it while the worker still holds the claim: our id in it, and an id of Meta's that nobody knows yet.
    let status = json!({"id": "wamid.early", "status": "delivered", "timestamp": "1795000000",
        "recipient_id": "447700900150", "biz_opaque_callback_data": format!("{}.{message}", mara.id)});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
        {"field": "messages", "value": {"messaging_product": "whatsapp", "statuses": [status]}}]}]});
    let webhook = world.simulators.sign(Provider::WhatsApp, "/webhooks/whatsapp", body.to_string().into_bytes());
    assert_eq!(world.deliver(&webhook).await.as_u16(), 204);
    assert_eq!(confirmation(&mara).await["status"], "delivered");
}

// What users say

#[tokio::test]
async fn stop_ends_messages_at_once_and_start_brings_them_back() {
    let (world, mara) = noon().await;
    world.writes(&mara, "STOP").await;
    world.writes(&mara, "stop").await;
    assert_eq!(world.arrived(&mara, "no more messages").len(), 1);
    let before = world.simulators.handset(PHONE).len();
    completes(&world, &mara).await;
    world.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(world.simulators.handset(PHONE).len(), before);
    assert_eq!(world.donations().await, [150], "the workout counts all the same");
    world.writes(&mara, "START").await;
    assert_eq!(world.arrived(&mara, "hear from me here again").len(), 1);
    completes(&world, &mara).await;
    assert_eq!(confirmations(&world, &mara).len(), 1);
}

#[tokio::test]
async fn what_was_written_last_counts_and_not_what_arrived_last() {
    let (world, mara) = noon().await;
    let says = |words: &str, at: Timestamp| {
        let message = json!({"from": "447700900150", "id": format!("wamid.{words}"), "type": "text",
            "timestamp": at.as_second().to_string(), "text": {"body": words}});
        let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
            {"field": "messages", "value": {"messaging_product": "whatsapp", "messages": [message]}}]}]});
        world.simulators.sign(Provider::WhatsApp, "/webhooks/whatsapp", body.to_string().into_bytes())
    };
    let (first, last) = (world.now(), world.now() + SignedDuration::from_secs(60));
    world.advance(SignedDuration::from_mins(5)).await;
    for (words, at) in [("STOP", last), ("START", first)] {
        assert_eq!(world.deliver(&says(words, at)).await.as_u16(), 204);
    }
    let user = mara.get("/api/users/me").await;
    assert_eq!(user["consents"]["messages_whatsapp"]["granted"], false);
    assert_eq!(user["consents"]["messages"]["granted"], true, "STOP speaks of the channel");
}

#[tokio::test]
async fn stop_also_holds_what_was_queued_before_it() {
    let (world, mara) = elite_at("2026-11-23T22:00:00Z").await;
    completes(&world, &mara).await;
    world.writes(&mara, "STOP").await;
    world.advance_to(next_day("09:00")).await;
    assert!(confirmations(&world, &mara).is_empty());
    let held = confirmation(&mara).await;
    assert_eq!((&held["status"], &held["failure"]), (&json!("suppressed"), &json!("no_consent")));
}

#[tokio::test]
async fn strangers_get_one_answer_a_day_and_nothing_is_stored_of_them() {
    let (world, _) = noon().await;
    let before = world.snapshot().await;
    let heard = || world.simulators.handset("+447700900777");
    world.simulators.reply("+447700900777", "STOP");
    world.settle().await;
    assert!(heard().is_empty(), "who wants nothing gets nothing");
    for text in ["done", "who are you?", "hello"] {
        world.simulators.reply("+447700900777", text);
        world.settle().await;
    }
    assert_eq!(heard().len(), 1);
    assert!(heard()[0].text.contains("Ivy") && !heard()[0].text.contains("Mara"));
    assert_eq!(world.snapshot().await, before, "but the count of the day, which is a hash");
    world.advance(SignedDuration::from_hours(25)).await;
    world.simulators.reply("+447700900777", "hello again");
    world.settle().await;
    assert_eq!(heard().len(), 2);
}

#[tokio::test]
async fn what_is_not_understood_is_acknowledged_once_in_twelve_hours() {
    let (world, mara) = noon().await;
    for _ in 0..3 {
        world.writes(&mara, "the weather is fine").await;
    }
    assert_eq!(world.arrived(&mara, "I understand").len(), 1);
    world.advance(SignedDuration::from_hours(20)).await;
    world.writes(&mara, "still fine").await;
    assert_eq!(world.arrived(&mara, "I understand").len(), 2);
}

#[tokio::test]
async fn two_machines_never_talk_for_ever() {
    let (world, mara) = noon().await;
    for _ in 0..25 {
        world.writes(&mara, "status").await;
    }
    assert_eq!(world.arrived(&mara, "Streak:").len(), 20);
}

#[tokio::test]
async fn a_message_delivered_twice_is_taken_once() {
    let (world, mara) = noon().await;
    world.simulators.faults().duplicate_webhooks(true);
    world.writes(&mara, "done").await;
    world.writes(&mara, "status").await;
    assert_eq!(confirmations(&world, &mara).len(), 1);
    assert_eq!(world.arrived(&mara, "Streak:").len(), 1);
    let inbound = mara.get("/api/users/me/messages").await["items"].as_array().unwrap().clone();
    assert_eq!(inbound.iter().filter(|message| message["direction"] == "in").count(), 2);
    assert_eq!(world.donations().await, [150]);
    let delivered = world.simulators.thread(PHONE).into_iter().filter(|entry| entry.from_ivy);
    assert!(delivered.into_iter().all(|entry| entry.status != MessageStatus::Failed));
}
