//! Messages: template or free text, quiet hours, one message at the handset whatever goes wrong, and what users may say.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use ivy_flows::{Settings, ports::Queue};
use ivy_simulators::{Fault, HandsetMessage, MessageStatus, Provider, Via, Webhook};
use ivy_world::{Job, Person, Setup, World, at, delivery};
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

/// A message as Meta posts it, with what is told of it in `fields`.
fn written(world: &World, id: &str, text: &str, at: Timestamp, fields: &Value) -> Webhook {
    let mut message = json!({"id": id, "type": "text", "timestamp": at.as_second().to_string(), "text": {"body": text},
        "from": PHONE.trim_start_matches('+')});
    for (name, value) in fields.as_object().into_iter().flatten() {
        message[name] = value.clone();
    }
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
        {"field": "messages", "value": {"messaging_product": "whatsapp", "messages": [message]}}]}]});
    world.simulators.sign(Provider::WhatsApp, "/webhooks/whatsapp", body.to_string().into_bytes())
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
    provider_fails(&world, Provider::Twilio, 429, 200);
    world.simulators.reply_sms(PHONE, "status");
    world.advance(SignedDuration::from_hours(26)).await;
    // The link by which she signed in went out in the same moment.
    let is_answer = |message: &Value| message["template"] != "sign_in_link";
    let answer = || async { mara.messages_out().await.into_iter().find(is_answer).unwrap() };
    let given_up = answer().await;
    assert_eq!((&given_up["status"], &given_up["failure"]), (&json!("failed"), &json!("given_up")), "{given_up}");
    let dead = world.queues.dead_letters();
    assert_eq!(dead.iter().map(|message| message.queue).collect::<Vec<_>>(), [Queue::MessagesDead]);
    assert!(world.queues.waiting().is_empty());
    // The job that failed, delivered once more, is not the one that was put aside.
    let body = json!({"user_id": mara.id.to_string(), "message_id": given_up["id"]}).to_string();
    assert!(Box::pin(world.deliver_message(&delivery(Queue::Messages, &body, world.now()))).await);
    assert_eq!(answer().await, given_up);
    // Sent back while the provider still fails, it has another day.
    assert_eq!(world.queues.send_messages_back(), 1);
    world.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(answer().await["status"], "queued");
    world.simulators.faults().clear();
    world.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(world.arrived(&mara, "Streak:").len(), 1);
    assert_eq!((&answer().await["failure"], world.queues.dead_letters().len()), (&json!(null), 0));
}

fn provider_fails(world: &World, provider: Provider, status: u16, times: usize) {
    for _ in 0..times {
        world.simulators.faults().next(provider, Fault::Status(status));
    }
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

/// What Meta tells of a message, changed into a refusal of its template.
fn refused(world: &World, told: &[Webhook]) -> Webhook {
    let told = told.iter().find(|webhook| webhook.provider == Provider::WhatsApp).unwrap();
    let mut body: Value = serde_json::from_slice(&told.body).unwrap();
    let status = &mut body["entry"][0]["changes"][0]["value"]["statuses"][0];
    status["status"] = json!("failed");
    status["errors"] = json!([{"code": 132_015, "title": "Template is paused"}]);
    world.simulators.sign(Provider::WhatsApp, &told.path, body.to_string().into_bytes())
}

#[tokio::test]
async fn a_template_that_is_refused_late_falls_back_to_sms_once() {
    let (world, mara) = noon().await;
    world.hold_webhooks(true);
    completes(&world, &mara).await;
    let refusal = refused(&world, &world.simulators.take_webhooks());
    for _ in 0..2 {
        assert_eq!(world.deliver(&refusal).await.as_u16(), 204);
        world.settle().await;
    }
    let by_sms = confirmations(&world, &mara).into_iter().filter(|message| message.via == Via::Sms);
    assert_eq!(by_sms.count(), 1);
}

#[tokio::test]
async fn a_template_that_is_refused_after_it_lost_its_point_only_fails() {
    let (world, mara) = noon().await;
    world.hold_webhooks(true);
    completes(&world, &mara).await;
    let refusal = refused(&world, &world.simulators.take_webhooks());
    world.advance(SignedDuration::from_hours(25)).await;
    assert_eq!(world.deliver(&refusal).await.as_u16(), 204);
    world.settle().await;
    let late = confirmation(&mara).await;
    assert_eq!((&late["status"], &late["failure"]), (&json!("failed"), &json!("template")));
    assert!(world.queues.dead_letters().is_empty());
}

#[tokio::test]
async fn free_text_does_not_try_a_closed_conversation() {
    let (world, mara) = noon().await;
    world.stop_outbox(true);
    world.writes(&mara, "status").await;
    world.advance_to(next_day("13:00")).await;
    world.stop_outbox(false);
    world.settle().await;
    let arrived = world.arrived(&mara, "Streak:");
    assert_eq!(arrived.iter().map(|message| message.via).collect::<Vec<_>>(), [Via::Sms]);
    let refused = world.simulators.thread(PHONE).into_iter().filter(|entry| entry.status == MessageStatus::Failed);
    assert_eq!(refused.count(), 0);
}

#[tokio::test]
async fn the_status_tells_the_next_plan() {
    let (world, mara) = noon().await;
    mara.plan("Swim", at("18:30") + SignedDuration::from_hours(24)).await;
    world.writes(&mara, "when's my next workout").await;
    mara.plan("Run", at("18:00")).await;
    world.writes(&mara, "streak").await;
    let texts: Vec<_> = world.arrived(&mara, "Streak:").into_iter().map(|message| message.text).collect();
    assert_eq!(
        texts,
        [
            "Streak: 0 days. This week: 0 of 3. Donated so far: £0.00. Next: Swim at 6:30pm tomorrow.",
            "Streak: 0 days. This week: 0 of 3. Donated so far: £0.00. Next: Run at 6pm.",
        ]
    );
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

// Unknown texts

/// Asks for an answer by SMS whose sending meets a fault; what Twilio tells of it is held.
async fn asks_by_sms(world: &World, fault: Fault) {
    world.stop_outbox(true);
    world.simulators.reply_sms(PHONE, "status");
    world.settle().await;
    world.hold_webhooks(true);
    world.simulators.faults().next(Provider::Twilio, fault);
    world.stop_outbox(false);
    world.settle().await;
}

async fn answer_by_sms(mara: &Person) -> Value {
    let mut answers = mara.messages_out().await;
    answers.retain(|message| message["content"].as_str().is_some_and(|text| text.contains("Streak:")));
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

#[tokio::test]
async fn a_text_whose_answer_was_lost_is_found_in_twilios_list() {
    let (world, mara) = noon().await;
    asks_by_sms(&world, Fault::TimeoutAfterDoingTheWork).await;
    assert_eq!(answer_by_sms(&mara).await["status"], "unknown");
    world.advance(SignedDuration::from_secs(121)).await;
    assert_eq!(answer_by_sms(&mara).await["status"], "sent");
    world.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(world.arrived(&mara, "Streak:").len(), 1);
}

#[tokio::test]
async fn a_text_whose_answer_was_lost_is_settled_by_the_callback_that_has_our_id() {
    let (world, mara) = noon().await;
    asks_by_sms(&world, Fault::TimeoutAfterDoingTheWork).await;
    assert_eq!(answer_by_sms(&mara).await["status"], "unknown");
    world.hold_webhooks(false);
    world.settle().await;
    assert_eq!(answer_by_sms(&mara).await["status"], "delivered", "before the list was ever asked");
    world.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(world.arrived(&mara, "Streak:").len(), 1);
}

#[tokio::test]
async fn a_text_that_twilio_never_listed_is_left_unsent() {
    let (world, mara) = noon().await;
    asks_by_sms(&world, Fault::TimeoutBefore).await;
    world.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(answer_by_sms(&mara).await["status"], "unknown");
    assert!(world.arrived(&mara, "Streak:").is_empty());
    assert!(world.queues.waiting().is_empty() && world.queues.dead_letters().is_empty());
}

// Pacing

async fn paced(settings: Settings) -> World {
    Box::pin(World::with("2026-11-23T12:00:00Z", Setup { settings, ..Setup::default() })).await
}

fn all_differ(mut moments: Vec<i64>) -> bool {
    let count = moments.len();
    moments.sort_unstable();
    moments.dedup();
    moments.len() == count
}

#[tokio::test]
async fn a_person_gets_one_whatsapp_message_in_six_seconds() {
    let world = paced(Settings { whatsapp_pair_seconds: 6, ..Settings::for_testing() }).await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").without_planned_calls().join(&world)).await;
    for _ in 0..3 {
        world.simulators.reply(PHONE, "status");
    }
    world.advance(SignedDuration::from_secs(30)).await;
    let arrived = world.arrived(&mara, "Streak:");
    assert_eq!(arrived.len(), 3);
    assert!(all_differ(arrived.iter().map(|message| message.at.as_second() / 6).collect()), "{arrived:?}");
}

#[tokio::test]
async fn our_number_sends_one_sms_in_a_second() {
    let world = paced(Settings { sms_per_second: 1, ..Settings::for_testing() }).await;
    let mut people = Vec::new();
    for phone in [PHONE, "+447700900151", "+447700900152", "+447700900153"] {
        people.push(Box::pin(world.person(phone).tier("b2c_elite").without_planned_calls().join(&world)).await);
        world.advance(SignedDuration::from_mins(1)).await;
    }
    for person in &people {
        world.simulators.reply_sms(&person.phone, "status");
    }
    world.advance(SignedDuration::from_mins(5)).await;
    let arrived: Vec<_> = people.iter().flat_map(|person| world.arrived(person, "Streak:")).collect();
    assert_eq!(arrived.len(), 4);
    assert!(all_differ(arrived.iter().map(|message| message.at.as_second()).collect()), "{arrived:?}");
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
async fn an_answer_does_not_survive_the_stop_that_was_said_after_its_question() {
    let (world, mara) = noon().await;
    world.stop_outbox(true);
    world.writes(&mara, "status").await;
    world.advance(SignedDuration::from_mins(1)).await;
    world.writes(&mara, "STOP").await;
    world.advance(SignedDuration::from_mins(1)).await;
    world.stop_outbox(false);
    world.settle().await;
    assert!(world.arrived(&mara, "Streak:").is_empty());
    assert_eq!(world.arrived(&mara, "no more messages").len(), 1, "the confirmation answers the STOP itself");
    let held = mara.messages_out().await.into_iter().find(|message| message["status"] == "suppressed").unwrap();
    assert_eq!(held["failure"], "no_consent");
    // Who writes afterwards is answered.
    world.writes(&mara, "status").await;
    assert_eq!(world.arrived(&mara, "Streak:").len(), 1);
}

#[tokio::test]
async fn who_hides_their_number_is_known_by_what_became_of_our_messages() {
    let (world, mara) = noon().await;
    completes(&world, &mara).await;
    world.simulators.set_number_hidden(PHONE, true);
    world.writes(&mara, "status").await;
    assert_eq!(world.arrived(&mara, "Streak:").len(), 1);
}

#[tokio::test]
async fn who_hides_their_number_is_known_by_the_message_that_they_reply_to() {
    let world = World::at("2026-11-23T06:00:00Z").await;
    world.hold_webhooks(true);
    world.simulators.set_number_hidden(PHONE, true);
    let person = world.person(PHONE).tier("b2c_elite").onboarding("communication_preference", json!("async"));
    let mara = Box::pin(person.join(&world)).await;
    world.advance_to(at("21:00")).await;
    let asked = world.simulators.handset(PHONE).into_iter().rfind(|message| message.template.is_some()).unwrap();
    // What became of it was never told.
    world.simulators.take_webhooks();
    world.hold_webhooks(false);
    world.simulators.tap(PHONE, &asked.id, "done");
    world.settle().await;
    assert_eq!(mara.stats().await["total_workouts"], 1);
    world.writes(&mara, "status").await;
    assert_eq!(world.arrived(&mara, "Streak:").len(), 1, "from then on by the id");
    // A reply to nobody's message is a stranger's.
    let fields = json!({"from": null, "from_user_id": "GB.9000", "context": {"id": "wamid.nobodys"}});
    let stranger = written(&world, "wamid.stranger", "done", world.now(), &fields);
    assert_eq!(world.deliver(&stranger).await.as_u16(), 204);
    assert_eq!(mara.stats().await["total_workouts"], 1);
}

// Which plan is meant

/// A morning with Yoga at 09:00 and a run at 12:30, both reminded of and neither logged.
async fn reminded_of_two() -> (World, Person, String, String) {
    let (world, mara) = elite_at("2026-11-23T08:00:00Z").await;
    let yoga = mara.plan("Yoga", at("09:00")).await;
    let run = mara.plan("Run", at("12:30")).await;
    for time in ["08:15", "11:45"] {
        world.advance_to(at(time)).await;
        world.run_job(Job::SendReminders, at(time)).await;
    }
    (world, mara, yoga, run)
}

async fn workout(mara: &Person, id: &str) -> Value {
    mara.get(&format!("/api/workouts/{id}")).await
}

fn reminder_of(world: &World, mara: &Person, activity: &str) -> String {
    let mut reminders = world.arrived(mara, activity);
    reminders.retain(|message| message.template.as_deref() == Some("workout_reminder"));
    reminders.pop().unwrap().id
}

#[tokio::test]
async fn a_word_is_about_the_plan_that_was_reminded_of_last() {
    let (world, mara, yoga, run) = reminded_of_two().await;
    world.writes(&mara, "later").await;
    world.writes(&mara, "3pm").await;
    assert_eq!(workout(&mara, &run).await["planned_time"], "2026-11-23T15:00:00Z");
    assert_eq!(workout(&mara, &yoga).await["planned_time"], "2026-11-23T09:00:00Z");
    world.advance_to(at("14:15")).await;
    world.run_job(Job::SendReminders, at("14:15")).await;
    world.writes(&mara, "done").await;
    assert_eq!(workout(&mara, &run).await["status"], "completed");
    assert_eq!(workout(&mara, &yoga).await["status"], "planned");
}

#[tokio::test]
async fn a_reply_is_about_the_plan_of_the_message_it_replies_to() {
    let (world, mara, yoga, run) = reminded_of_two().await;
    let context = json!({"context": {"id": reminder_of(&world, &mara, "Yoga")}});
    let says = async |id: &str, text: &str, fields: &Value| {
        assert_eq!(world.deliver(&written(&world, id, text, world.now(), fields)).await.as_u16(), 204);
        world.settle().await;
    };
    says("wamid.1", "later", &context).await;
    says("wamid.2", "5pm", &json!({})).await;
    assert_eq!(workout(&mara, &yoga).await["planned_time"], "2026-11-23T17:00:00Z", "the question was about it");
    assert_eq!(workout(&mara, &run).await["planned_time"], "2026-11-23T12:30:00Z");
    says("wamid.3", "done", &context).await;
    says("wamid.4", "done", &context).await;
    assert_eq!(workout(&mara, &yoga).await["status"], "completed");
    assert_eq!(workout(&mara, &run).await["status"], "planned", "the same word once more is not about another plan");
    assert_eq!(world.arrived(&mara, "in the book already").len(), 1);
}

// Words in another order

#[tokio::test]
async fn an_older_word_that_comes_later_undoes_nothing() {
    let (world, mara) = noon().await;
    let (first, last) = (world.now(), world.now() + SignedDuration::from_secs(60));
    let run = mara.plan("Run", at("15:00")).await;
    world.advance(SignedDuration::from_mins(5)).await;
    for (words, at) in [("resume", last), ("pause", first), ("at 7pm", last), ("at 6pm", first), ("later", first)] {
        let webhook = written(&world, &format!("wamid.{words}"), words, at, &json!({}));
        assert_eq!(world.deliver(&webhook).await.as_u16(), 204);
        world.settle().await;
    }
    assert_eq!(mara.get("/api/users/me").await["status"], "active");
    assert_eq!(workout(&mara, &run).await["planned_time"], "2026-11-23T19:00:00Z");
    assert!(world.arrived(&mara, "What time suits you").is_empty());
    // A newer word still counts.
    world.writes(&mara, "pause").await;
    assert_eq!(mara.get("/api/users/me").await["status"], "paused");
}

#[tokio::test]
async fn a_voice_note_is_answered_each_time_and_within_the_days_limit() {
    let (world, mara) = noon().await;
    world.writes(&mara, "the weather is fine").await;
    for _ in 0..25 {
        world.simulators.voice_note(PHONE);
        world.settle().await;
    }
    assert_eq!(world.arrived(&mara, "I understand").len(), 1);
    assert_eq!(world.arrived(&mara, "cannot listen").len(), 19, "twenty answers a day, whatever they say");
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
