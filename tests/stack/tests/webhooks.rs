//! Webhooks by the public door: what comes twice or in the wrong order changes nothing, and what is not signed is not read.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::time::Duration;

use ivy_simulators::{CallScript, Persona, Provider, Secrets, Webhook};
use ivy_stack::{Person, Stack, day_zone, now, until};
use jiff::SignedDuration;
use serde_json::{Value, json};

const CALL: Duration = Duration::from_secs(90);
const WAIT: Duration = Duration::from_secs(60);

async fn onboarded(stack: &Stack, phone: &str) -> Person {
    let zone = day_zone(now());
    let person = Person::sign_up(stack, &json!({"phone": phone, "first_name": "Noor", "timezone": zone})).await;
    person.onboard(json!({})).await;
    person
}

fn whatsapp_body(value: &Value) -> Vec<u8> {
    let change = json!({"field": "messages", "value": value});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]})
        .to_string()
        .into_bytes()
}

fn message(phone: &str, id: &str, text: &str) -> Vec<u8> {
    let digits = phone.trim_start_matches('+');
    whatsapp_body(&json!({
        "messaging_product": "whatsapp",
        "contacts": [{"profile": {"name": "Noor"}, "wa_id": digits}],
        "messages": [{"from": digits, "id": id, "timestamp": now().as_second().to_string(), "type": "text", "text": {"body": text}}],
    }))
}

#[tokio::test]
async fn events_of_a_call_that_come_again_change_nothing() {
    let stack = Stack::running();
    let noor = onboarded(&stack, "+447700900354").await;
    let analysis = json!({"workout_status": "completed", "actual_duration_minutes": 20, "energy": 6});
    let transcript = "Agent: Did it happen?\nUser: Yes.\n".to_owned();
    let script = CallScript { duration_seconds: 60, user_spoke: true, analysis, user_sentiment: None, transcript };
    noor.handset.set_persona(&Persona::Answers(script)).await;
    let at = now() + SignedDuration::from_secs(10);
    let id = noor.schedule("evening_review", at, at + SignedDuration::from_hours(1)).await;
    until("the call to be analysed", CALL, async || {
        let call = noor.call(&id).await;
        (call["outcome"] == "workout_logged").then_some(())
    })
    .await;
    noor.messages_delivered().await;

    let before = stack.partition(&noor.id).await;
    let rings = noor.handset.rings().await;
    let provider_id = rings[0]["call_id"].as_str().unwrap();
    let call = noor.handset.provider_call(&stack.file.secrets.retell_api_key, provider_id).await;
    let retell = stack.signer(stack.file.secrets.clone()).await;
    for event in ["call_analyzed", "call_ended", "call_started", "call_started", "call_ended", "call_analyzed"] {
        let body = json!({"event": event, "call": call}).to_string().into_bytes();
        let webhook = retell.sign(Provider::Retell, "/webhooks/retell", body);
        assert_eq!(stack.post_webhook(&webhook).await.status.as_u16(), 204, "{event}");
    }
    before.assert_same(&stack.partition(&noor.id).await);
    assert_eq!(noor.handset.rings().await.len(), 1);
}

#[tokio::test]
async fn a_message_that_comes_again_changes_nothing() {
    let stack = Stack::running();
    let noor = onboarded(&stack, "+447700900355").await;
    // A first message by the phone itself, so that WhatsApp too knows of the conversation.
    noor.handset.reply("hello").await;
    until("an answer", WAIT, async || {
        let arrived = noor.handset.arrived().await;
        arrived.iter().any(|m| m["via"] == "whatsapp").then_some(())
    })
    .await;
    let meta = stack.signer(stack.file.secrets.clone()).await;
    let id = format!("wamid.{}", uuid::Uuid::new_v4().simple());
    let sign = |body: Vec<u8>| meta.sign(Provider::WhatsApp, "/webhooks/whatsapp", body);
    let webhook = sign(message(&noor.phone, &id, "finished"));
    assert_eq!(stack.post_webhook(&webhook).await.status.as_u16(), 204);
    assert_eq!(noor.workouts_today().await.len(), 1, "its effects are written before it is acknowledged");
    noor.messages_delivered().await;

    let before = stack.partition(&noor.id).await;
    assert_eq!(stack.post_webhook(&webhook).await.status.as_u16(), 204);
    // The same message in another notification, beside a status that is older than the one we know.
    let arrived = noor.handset.arrived().await;
    let confirmation = arrived.last().unwrap();
    assert_eq!(confirmation["via"], "whatsapp");
    assert!(confirmation["text"].as_str().unwrap().contains("£1.00"), "{arrived:?}");
    let status = json!({"id": confirmation["id"], "status": "sent", "timestamp": now().as_second().to_string(),
        "recipient_id": noor.phone.trim_start_matches('+')});
    assert_eq!(stack.post_webhook(&sign(whatsapp_body(&json!({"statuses": [status]})))).await.status.as_u16(), 204);
    assert_eq!(stack.post_webhook(&sign(message(&noor.phone, &id, "finished"))).await.status.as_u16(), 204);
    before.assert_same(&stack.partition(&noor.id).await);
}

#[tokio::test]
async fn what_is_not_signed_by_the_provider_is_not_read() {
    let stack = Stack::running();
    let noor = onboarded(&stack, "+447700900356").await;
    until("the day to be planned", WAIT, async || (stack.queued("PlanUsersQueueUrl").await == 0).then_some(())).await;
    noor.messages_delivered().await;
    let before = stack.partition(&noor.id).await;

    let secrets = stack.file.secrets.clone();
    let ours = stack.signer(secrets.clone()).await;
    let other_keys = Secrets {
        retell_api_key: "key_of_somebody_else".to_owned(),
        whatsapp_app_secret: "secret-of-somebody-else".to_owned(),
        ..secrets.clone()
    };
    let strangers = stack.signer(other_keys).await;
    let late = stack.signer(secrets).await;
    late.set_time(now() - SignedDuration::from_mins(6));

    let call = json!({
        "call_id": "call_of_nobody", "call_status": "ended", "disconnection_reason": "user_hangup", "duration_ms": 60_000,
        "metadata": {"call_id": noor.id, "user_id": noor.id, "call_type": "evening_review", "attempt_id": "1"},
    });
    let event = json!({"event": "call_ended", "call": call}).to_string().into_bytes();
    let inbound = message(&noor.phone, "wamid.not-signed", "done");
    let retell = |signer: &ivy_simulators::Simulators| signer.sign(Provider::Retell, "/webhooks/retell", event.clone());
    let meta =
        |signer: &ivy_simulators::Simulators| signer.sign(Provider::WhatsApp, "/webhooks/whatsapp", inbound.clone());
    let refused = [
        ("retell, other key", retell(&strangers)),
        ("retell, six minutes late", retell(&late)),
        ("retell, altered", altered(retell(&ours))),
        ("retell, unsigned", unsigned(retell(&ours))),
        ("whatsapp, other key", meta(&strangers)),
        ("whatsapp, altered", altered(meta(&ours))),
        ("whatsapp, unsigned", unsigned(meta(&ours))),
    ];
    for (what, webhook) in refused {
        let reply = stack.post_webhook(&webhook).await;
        assert_eq!((what, reply.status.as_u16()), (what, 401), "{}", reply.text);
        reply.problem(401, "unauthorized");
    }
    // Signed well, but about a call that is none of ours: acknowledged, so that the provider does not repeat it.
    assert_eq!(stack.post_webhook(&retell(&ours)).await.status.as_u16(), 204);
    before.assert_same(&stack.partition(&noor.id).await);
}

fn altered(mut webhook: Webhook) -> Webhook {
    webhook.body.push(b' ');
    webhook
}

fn unsigned(mut webhook: Webhook) -> Webhook {
    webhook.headers.retain(|(name, _)| name == "Content-Type");
    webhook
}
