//! The simulators through their public doors: shapes, signatures recomputed by hand, personas, idempotency, faults.

use std::{collections::BTreeMap, time::Duration};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ivy_simulators::{
    CallScript, CallStatus, Delivery, Fault, MessageStatus, Persona, Provider, Secrets, Simulators, Via, Webhook,
};
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

const PHONE: &str = "+447700900123";

fn noon() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().expect("a time")
}

struct World {
    simulators: Simulators,
    http: Client,
    secrets: Secrets,
}

impl World {
    async fn new() -> Self {
        let secrets = Secrets::for_testing();
        let listen = ([127, 0, 0, 1], 0).into();
        let simulators = Simulators::start(secrets.clone(), listen, Delivery::Manual).await.expect("a free port");
        simulators.set_time(noon());
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().expect("a client");
        Self { simulators, http, secrets }
    }

    async fn retell(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.simulators.retell_url());
        let request = self.http.post(url).bearer_auth(&self.secrets.retell_api_key).json(body);
        answer(request.send().await.expect("an answer")).await
    }

    async fn call(&self, to: &str, extra: Value) -> (u16, Value) {
        self.retell("/v2/create-phone-call", &new_call(to, extra)).await
    }

    async fn whatsapp(&self, body: &Value) -> (u16, Value) {
        let url = format!("{}/{}/messages", self.simulators.whatsapp_url(), self.secrets.whatsapp_phone_number_id);
        answer(
            self.http.post(url).bearer_auth(&self.secrets.whatsapp_token).json(body).send().await.expect("an answer"),
        )
        .await
    }

    /// The person does something on the handset page.
    async fn act(&self, action: &str, body: Value) -> (u16, Value) {
        let url = format!("{}/simulator/handset/{PHONE}/{action}", self.simulators.url());
        answer(self.http.post(url).json(&body).send().await.expect("an answer")).await
    }

    async fn text(&self, to: &str, text: &str) -> (u16, Value) {
        self.whatsapp(&json!({"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": text},
                              "biz_opaque_callback_data": "our-id"}))
            .await
    }

    async fn sms(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let sid = &self.secrets.twilio_account_sid;
        let url = format!("{}/Accounts/{sid}/Messages.json", self.simulators.twilio_url());
        let request = self.http.post(url).basic_auth(sid, Some(&self.secrets.twilio_auth_token)).form(form);
        answer(request.send().await.expect("an answer")).await
    }

    fn events(&self) -> Vec<String> {
        self.simulators
            .take_webhooks()
            .iter()
            // The carrier has its own word about every end.
            .filter(|hook| hook.provider == Provider::Retell)
            .map(|hook| parsed(hook)["event"].as_str().expect("a name").to_owned())
            .collect()
    }
}

async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let bytes = response.bytes().await.expect("a body");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn new_call(to: &str, extra: Value) -> Value {
    let mut body = json!({
        "from_number": "+447700900991", "to_number": to, "override_agent_id": "agent_a",
        "metadata": {"call_id": "c1", "attempt_id": "a1", "call_type": "morning_planning"},
        "retell_llm_dynamic_variables": {"user_name": "Mara"},
    });
    for (name, value) in extra.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn parsed(webhook: &Webhook) -> Value {
    serde_json::from_slice(&webhook.body).expect("JSON")
}

fn header<'a>(webhook: &'a Webhook, name: &str) -> &'a str {
    &webhook.headers.iter().find(|(own, _)| own == name).expect("the header").1
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_call_that_is_answered_brings_three_signed_events() {
    let world = World::new().await;
    let script = CallScript::plan("Yoga", "07:30", 20);
    world.simulators.set_persona(PHONE, Persona::Answers(script));
    let (status, created) = world.call(PHONE, json!({})).await;
    assert_eq!(status, 201);
    assert_eq!(created["call_status"], "registered");
    let mut hooks = world.simulators.take_webhooks();
    assert!(hooks.iter().any(|hook| hook.path == "/webhooks/twilio"), "the carrier tells of the end too");
    hooks.retain(|hook| hook.provider == Provider::Retell);
    let bodies: Vec<Value> = hooks.iter().map(parsed).collect();
    let events: Vec<&str> = bodies.iter().filter_map(|body| body["event"].as_str()).collect();
    assert_eq!(events, ["call_started", "call_ended", "call_analyzed"]);
    assert!(bodies[1]["call"].get("call_analysis").is_none());
    let call = &bodies[2]["call"];
    assert_eq!(call["call_id"], created["call_id"]);
    assert_eq!(call["metadata"]["attempt_id"], "a1");
    assert_eq!(call["retell_llm_dynamic_variables"]["user_name"], "Mara");
    assert_eq!(call["start_timestamp"], noon().as_millisecond());
    assert_eq!(call["end_timestamp"], noon().as_millisecond() + 120_000);
    assert_eq!(call["duration_ms"], 120_000);
    assert_eq!(call["disconnection_reason"], "user_hangup");
    assert_eq!(call["call_analysis"]["custom_analysis_data"]["planned_activity"], "Yoga");
    for hook in &hooks {
        assert_eq!(hook.path, "/webhooks/retell");
        let signed = [hook.body.as_slice(), noon().as_millisecond().to_string().as_bytes()].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, world.secrets.retell_api_key.as_bytes());
        let digest = hex(hmac::sign(&key, &signed).as_ref());
        assert_eq!(header(hook, "X-Retell-Signature"), format!("v={},d={digest}", noon().as_millisecond()));
    }
    assert!(world.simulators.take_webhooks().is_empty());
}

#[tokio::test]
async fn personas_by_the_last_digits() {
    let world = World::new().await;
    let all = ["call_started", "call_ended", "call_analyzed"].as_slice();
    let unconnected = &all[1..];
    for (digits, events, reason) in [
        ("01", all, "user_hangup"),
        ("02", unconnected, "dial_no_answer"),
        ("03", all, "voicemail_reached"),
        ("04", unconnected, "user_declined"),
        ("05", unconnected, "dial_busy"),
        ("06", all, "user_hangup"),
        ("08", unconnected, "invalid_destination"),
    ] {
        let (status, _) = world.call(&format!("+4477009001{digits}"), json!({})).await;
        assert_eq!(status, 201, "{digits}");
        assert_eq!(world.events(), events, "{digits}");
        let call = world.simulators.calls().pop().expect("the call");
        assert_eq!(call.disconnection_reason.as_deref(), Some(reason), "{digits}");
        assert_eq!(call.status, if events.len() == 3 { CallStatus::Ended } else { CallStatus::NotConnected });
        assert_eq!(call.object()["call_analysis"]["in_voicemail"], digits == "03");
        assert_eq!(call.object()["call_analysis"]["call_successful"], digits == "01");
    }
    assert_eq!(world.simulators.rings().len(), 7);
    assert_eq!(world.call("+447700900107", json!({})).await.0, 400);
    assert_eq!(world.simulators.rings().len(), 7, "a refused number does not ring");
}

#[tokio::test]
async fn a_handset_rings_until_somebody_acts_or_30_seconds() {
    let world = World::new().await;
    let ring = |created: &Value| created["call_id"].as_str().expect("an id").to_owned();
    let first = ring(&world.call(PHONE, json!({})).await.1);
    assert!(world.events().is_empty());
    world.simulators.answer(&first, CallScript::log("completed", 30));
    assert_eq!(world.events(), ["call_started", "call_ended", "call_analyzed"]);
    let second = ring(&world.call(PHONE, json!({})).await.1);
    world.simulators.decline(&second);
    assert_eq!(world.events(), ["call_ended", "call_analyzed"]);
    let third = ring(&world.call(PHONE, json!({})).await.1);
    world.simulators.pick_up(&third);
    assert_eq!(world.events(), ["call_started"]);
    world.simulators.hang_up(&third, CallScript::nothing());
    assert_eq!(world.events(), ["call_ended", "call_analyzed"]);
    world.call(PHONE, json!({})).await;
    world.simulators.set_time(noon() + SignedDuration::from_secs(29));
    assert!(world.events().is_empty());
    world.simulators.set_time(noon() + SignedDuration::from_secs(30));
    assert_eq!(world.events(), ["call_ended", "call_analyzed"]);
    let last = world.simulators.calls().pop().expect("the call");
    assert_eq!(last.disconnection_reason.as_deref(), Some("dial_no_answer"));
    assert_eq!(world.simulators.rings().len(), 4);
}

#[tokio::test]
async fn an_idempotency_key_rings_once_an_hour() {
    let world = World::new().await;
    let key = json!({"idempotency_key": "k1"});
    let (_, first) = world.call("+447700900102", key.clone()).await;
    world.simulators.set_time(noon() + SignedDuration::from_mins(59));
    let (status, second) = world.call("+447700900102", key.clone()).await;
    assert_eq!((status, &second["call_id"]), (201, &first["call_id"]));
    assert_eq!(world.simulators.rings().len(), 1);
    assert_eq!(world.simulators.rings()[0].idempotency_key.as_deref(), Some("k1"));
    world.simulators.set_time(noon() + SignedDuration::from_mins(60));
    let (_, third) = world.call("+447700900102", key).await;
    assert_ne!(third["call_id"], first["call_id"]);
    assert_eq!(world.simulators.rings().len(), 2);
}

#[tokio::test]
async fn retell_checks_what_it_is_asked() {
    let world = World::new().await;
    for wrong in [
        json!({"to_number": "07700900123"}),
        json!({"from_number": null}),
        json!({"retell_llm_dynamic_variables": {"streak": 3}}),
        json!({"metadata": "text"}),
    ] {
        let (status, body) = world.call(PHONE, wrong.clone()).await;
        assert_eq!((status, &body["status"]), (400, &json!("error")), "{wrong}");
    }
    let url = format!("{}/v2/create-phone-call", world.simulators.retell_url());
    let unauthorised = world.http.post(url).json(&new_call(PHONE, json!({}))).send().await.expect("an answer");
    assert_eq!(unauthorised.status(), 401);
    assert!(world.simulators.rings().is_empty());
}

#[tokio::test]
async fn calls_are_found_by_metadata_in_pages() {
    let world = World::new().await;
    for attempt in ["a1", "a2", "a2", "a2"] {
        world.call("+447700900102", json!({"metadata": {"attempt_id": attempt}})).await;
    }
    for filter in
        [json!({"attempt_id": "a2"}), json!([{"key": "attempt_id", "type": "string", "op": "eq", "value": "a2"}])]
    {
        let mut body = json!({"filter_criteria": {"metadata": filter}, "limit": 2, "sort_order": "descending"});
        let (status, page) = world.retell("/v3/list-calls", &body).await;
        assert_eq!((status, page["items"].as_array().map(Vec::len), &page["has_more"]), (200, Some(2), &json!(true)));
        body["pagination_key"] = page["pagination_key"].clone();
        let (_, page) = world.retell("/v3/list-calls", &body).await;
        assert_eq!((page["items"].as_array().map(Vec::len), &page["has_more"]), (Some(1), &json!(false)));
    }
    let call_id = world.simulators.calls()[0].call_id.clone();
    let get = |path: String| {
        world
            .http
            .get(format!("{}{path}", world.simulators.retell_url()))
            .bearer_auth(&world.secrets.retell_api_key)
            .send()
    };
    let (status, call) = answer(get(format!("/v2/get-call/{call_id}")).await.expect("an answer")).await;
    assert_eq!((status, &call["disconnection_reason"]), (200, &json!("dial_no_answer")));
    assert_eq!(get("/v2/get-call/call_none".to_owned()).await.expect("an answer").status(), 404);
}

#[tokio::test]
async fn the_21st_call_at_once_is_refused() {
    let world = World::new().await;
    for _ in 0..20 {
        assert_eq!(world.call(PHONE, json!({})).await.0, 201);
    }
    assert_eq!(world.call(PHONE, json!({})).await.0, 429);
    let call_id = world.simulators.rings()[0].call_id.clone();
    assert_eq!(world.retell(&format!("/v2/stop-call/{call_id}"), &json!({})).await.0, 204);
    let url = format!("{}/get-concurrency", world.simulators.retell_url());
    let (_, concurrency) =
        answer(world.http.get(url).bearer_auth(&world.secrets.retell_api_key).send().await.expect("an answer")).await;
    assert_eq!((&concurrency["current_concurrency"], &concurrency["concurrency_limit"]), (&json!(19), &json!(20)));
    assert_eq!(world.call(PHONE, json!({})).await.0, 201);
}

#[tokio::test]
async fn a_call_is_deleted_when_it_is_over_and_a_customer_once() {
    let world = World::new().await;
    let call_id = world.call(PHONE, json!({})).await.1["call_id"].as_str().expect("an id").to_owned();
    let delete = |url: String, key: &str| world.http.delete(url).bearer_auth(key).send();
    let call = format!("{}/v2/delete-call/{call_id}", world.simulators.retell_url());
    let key = &world.secrets.retell_api_key;
    assert_eq!(delete(call.clone(), "another").await.expect("an answer").status(), 401);
    assert_eq!(delete(call.clone(), key).await.expect("an answer").status(), 400, "it still rings");
    assert_eq!(world.retell(&format!("/v2/stop-call/{call_id}"), &json!({})).await.0, 204);
    assert_eq!(delete(call.clone(), key).await.expect("an answer").status(), 204);
    assert_eq!(delete(call, key).await.expect("an answer").status(), 404);
    assert!(world.simulators.calls().is_empty());

    world.simulators.add_customer("cus_1", "mara@example.com");
    let customer = format!("{}/customers/cus_1", world.simulators.stripe_url());
    let key = &world.secrets.stripe_secret_key;
    assert_eq!(delete(customer.clone(), "another").await.expect("an answer").status(), 401);
    let (status, deleted) = answer(delete(customer.clone(), key).await.expect("an answer")).await;
    assert_eq!((status, deleted), (200, json!({"id": "cus_1", "object": "customer", "deleted": true})));
    let (status, missing) = answer(delete(customer, key).await.expect("an answer")).await;
    assert_eq!((status, &missing["error"]["code"]), (404, &json!("resource_missing")));
}

#[tokio::test]
async fn free_text_needs_an_open_window() {
    let world = World::new().await;
    let statuses = || -> Vec<Value> {
        let hooks = world.simulators.take_webhooks();
        hooks.iter().map(|hook| parsed(hook)["entry"][0]["changes"][0]["value"]["statuses"][0].clone()).collect()
    };
    let (status, sent) = world.text(PHONE, "hello").await;
    assert_eq!((status, &sent["messages"][0]["message_status"]), (200, &json!("accepted")));
    assert_eq!(sent["contacts"][0]["wa_id"], "447700900123");
    let failed = statuses();
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0]["status"], &failed[0]["errors"][0]["code"]), (&json!("failed"), &json!(131_047)));
    assert_eq!(failed[0]["biz_opaque_callback_data"], "our-id");
    assert!(world.simulators.handset(PHONE).is_empty());

    world.simulators.reply(PHONE, "did it ✅");
    let inbound = world.simulators.take_webhooks().remove(0);
    let message = parsed(&inbound)["entry"][0]["changes"][0]["value"]["messages"][0].clone();
    assert_eq!(message["text"]["body"], "did it ✅");
    assert_eq!(message["from"], "447700900123");
    assert_eq!(message["timestamp"], noon().as_second().to_string());
    assert!(inbound.body.is_ascii(), "escaped as Meta does");
    let key = hmac::Key::new(hmac::HMAC_SHA256, world.secrets.whatsapp_app_secret.as_bytes());
    let digest = hex(hmac::sign(&key, &inbound.body).as_ref());
    assert_eq!(header(&inbound, "X-Hub-Signature-256"), format!("sha256={digest}"));

    world.text(PHONE, "well done").await;
    let names: Vec<Value> = statuses().iter().map(|status| status["status"].clone()).collect();
    assert_eq!(names, ["sent", "delivered"]);
    world.simulators.look(PHONE);
    assert_eq!(statuses()[0]["status"], "read");
    assert_eq!(world.simulators.handset(PHONE)[0].text, "well done");

    world.simulators.set_time(noon() + SignedDuration::from_hours(24));
    world.text(PHONE, "too late").await;
    assert_eq!(world.simulators.thread(PHONE).pop().expect("an entry").status, MessageStatus::Failed);
    world.simulators.set_on_whatsapp(PHONE, false);
    world.text(PHONE, "no app").await;
    assert_eq!(world.simulators.thread(PHONE).pop().expect("an entry").error, Some(131_026));
}

#[tokio::test]
async fn buttons_can_be_tapped() {
    let world = World::new().await;
    world.simulators.reply(PHONE, "hi");
    let buttons = json!([{"type": "reply", "reply": {"id": "done:1", "title": "Done"}}, {"type": "reply", "reply": {"id": "skip:1", "title": "Skip"}}]);
    let body = |buttons: &Value| {
        json!({"messaging_product": "whatsapp", "to": PHONE, "type": "interactive",
            "interactive": {"type": "button", "body": {"text": "How did it go?"}, "action": {"buttons": buttons}}})
    };
    assert_eq!(world.whatsapp(&body(&buttons)).await.0, 200);
    let four: Vec<Value> =
        (0..4).map(|n| json!({"type": "reply", "reply": {"id": n.to_string(), "title": n.to_string()}})).collect();
    let (status, refused) = world.whatsapp(&body(&json!(four))).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!(100)));
    let message = world.simulators.handset(PHONE).remove(0);
    assert_eq!(message.buttons.len(), 2);
    world.simulators.take_webhooks();
    world.simulators.tap(PHONE, &message.id, "Done");
    let hook = parsed(&world.simulators.take_webhooks()[0]);
    let reply = &hook["entry"][0]["changes"][0]["value"]["messages"][0];
    assert_eq!(reply["context"]["id"], message.id);
    assert_eq!(reply["interactive"]["button_reply"], json!({"id": "done:1", "title": "Done"}));
    let answer = world.simulators.thread(PHONE).pop().expect("the person's answer");
    assert_eq!((answer.message.text.as_str(), answer.answers), ("Done", Some(message.id)));
}

#[tokio::test]
async fn a_message_is_answered_by_one_tap_that_names_it() {
    let world = World::new().await;
    let template = json!({"name": "completion_check", "language": {"code": "en_GB"}, "components": [
        {"type": "body", "parameters": [{"type": "text", "text": "Mara"}, {"type": "text", "text": "a run"}]}]});
    let body = json!({"messaging_product": "whatsapp", "to": PHONE, "type": "template", "template": template});
    assert_eq!(world.whatsapp(&body).await.0, 200);
    let message = world.simulators.handset(PHONE).remove(0);
    world.simulators.take_webhooks();

    let tap = |id: &str, button: &str| world.act("tap", json!({"message_id": id, "button": button}));
    assert_eq!(tap("wamid.none", "Done").await.0, 404);
    assert_eq!(
        tap(&message.id, "Perhaps").await,
        (404, json!({"message": "no message with this button arrived here"}))
    );
    assert_eq!(tap(&message.id, "Done").await.0, 204);
    let (status, refused) = tap(&message.id, "Skip").await;
    assert_eq!((status, &refused["message"]), (409, &json!("this message was answered by a button already")));
    assert_eq!(tap(&message.id, "Done").await.0, 409);

    let hooks = world.simulators.take_webhooks();
    assert_eq!(hooks.len(), 1, "one answer is told");
    let reply = parsed(&hooks[0])["entry"][0]["changes"][0]["value"]["messages"][0].clone();
    assert_eq!((&reply["type"], &reply["button"]["text"]), (&json!("button"), &json!("Done")));
    assert_eq!(reply["context"]["id"], message.id);
    let thread = world.simulators.thread(PHONE);
    assert_eq!((thread[0].tapped.as_deref(), thread.len()), (Some("Done"), 2));
    assert_eq!(thread[1].answers.as_ref(), Some(&message.id));
}

#[tokio::test]
async fn a_phone_without_whatsapp_writes_by_sms_only() {
    let world = World::new().await;
    world.simulators.set_on_whatsapp(PHONE, false);
    for (action, body) in [("reply", json!({"text": "hi"})), ("voice", json!({}))] {
        let (status, refused) = world.act(action, body).await;
        assert_eq!((status, &refused["message"]), (409, &json!("this phone has no WhatsApp")), "{action}");
    }
    assert!(world.simulators.take_webhooks().is_empty());
    assert!(world.simulators.thread(PHONE).is_empty());
    assert_eq!(world.act("sms", json!({"text": "hi"})).await.0, 204);
    assert_eq!(world.simulators.thread(PHONE)[0].message.via, Via::Sms);
    assert_eq!(world.act("sms", json!({"text": "  "})).await.0, 400);
    assert_eq!(world.act("dance", json!({})).await.0, 404);
    world.simulators.set_on_whatsapp(PHONE, true);
    assert_eq!(world.act("voice", json!({})).await.0, 204);
    assert!(world.simulators.thread(PHONE)[1].message.voice);
}

#[tokio::test]
async fn a_message_of_the_person_is_read_when_ivy_says_so() {
    let world = World::new().await;
    world.simulators.reply(PHONE, "one");
    world.simulators.reply(PHONE, "two");
    world.simulators.reply(PHONE, "three");
    let second = world.simulators.thread(PHONE)[1].message.id.clone();
    let body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": second});
    assert_eq!(world.whatsapp(&body).await, (200, json!({"success": true})));
    let statuses: Vec<MessageStatus> = world.simulators.thread(PHONE).iter().map(|entry| entry.status).collect();
    assert_eq!(statuses, [MessageStatus::Read, MessageStatus::Read, MessageStatus::Delivered]);
}

#[tokio::test]
async fn every_template_is_shown_with_its_samples() {
    let world = World::new().await;
    let get = |path: &str| world.http.get(format!("{}{path}", world.simulators.url())).send();
    let (status, shown) = answer(get("/simulator/templates").await.expect("an answer")).await;
    assert_eq!(status, 200);
    let file: Value =
        serde_json::from_str(include_str!("../../../infra/whatsapp/templates.json")).expect("the templates");
    let shown = shown["templates"].as_array().expect("a list");
    let names = |list: &[Value]| list.iter().map(|template| template["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(shown), names(file.as_array().expect("a list")));
    for template in shown {
        let text = template["text"].as_str().expect("a text");
        assert!(!text.contains("{{"), "{text}");
    }
    let check = shown.iter().find(|template| template["name"] == "completion_check").expect("a known template");
    assert_eq!(check["text"], "Hi Mara, how did it go with a run in the park today?");
    assert_eq!(check["buttons"], json!([{"id": "Done", "title": "Done"}, {"id": "Skip", "title": "Skip"}]));
    let page = get("/templates").await.expect("an answer");
    assert!(page.text().await.expect("a page").contains("<title>Handset"));
}

#[tokio::test]
async fn an_sms_with_a_signed_status_callback() {
    let world = World::new().await;
    let callback = "https://api.ivy.example/prod/webhooks/twilio?message=7#rc=3";
    let from = world.secrets.twilio_from.clone();
    let form = [("To", PHONE), ("From", from.as_str()), ("Body", "Ivy here & now"), ("StatusCallback", callback)];
    let (status, sent) = world.sms(&form).await;
    assert_eq!((status, &sent["status"], &sent["num_segments"]), (201, &json!("queued"), &json!("1")));
    assert_eq!(sent["date_created"], "Sat, 21 Nov 2026 12:00:00 +0000");
    let hooks = world.simulators.take_webhooks();
    let mut seen = Vec::new();
    for hook in &hooks {
        assert_eq!(hook.path, "/prod/webhooks/twilio?message=7");
        let form: BTreeMap<String, String> = form_urlencoded::parse(&hook.body).into_owned().collect();
        let joined: String = form.iter().map(|(name, value)| format!("{name}{value}")).collect();
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, world.secrets.twilio_auth_token.as_bytes());
        let message = format!("https://api.ivy.example/prod/webhooks/twilio?message=7{joined}");
        assert_eq!(header(hook, "X-Twilio-Signature"), STANDARD.encode(hmac::sign(&key, message.as_bytes())));
        assert_eq!(Value::from(form["MessageSid"].clone()), sent["sid"]);
        seen.push(form["MessageStatus"].clone());
    }
    assert_eq!(seen, ["sent", "delivered"]);
    assert_eq!(world.simulators.handset(PHONE)[0].via, Via::Sms);

    world.simulators.reply_sms(PHONE, "STOP");
    let inbound = world.simulators.take_webhooks().remove(0);
    assert_eq!(inbound.url, "http://localhost/webhooks/twilio/sms");
    let (status, refused) = world.sms(&form).await;
    assert_eq!((status, &refused["code"]), (400, &json!(21_610)));
    world.simulators.reply_sms(PHONE, "START");
    assert_eq!(world.sms(&form).await.0, 201);
    assert_eq!(world.sms(&[("To", "+447700900107"), ("From", &from), ("Body", "x")]).await.1["code"], 21_211);
    assert_eq!(world.simulators.handset(PHONE).len(), 2);
}

#[tokio::test]
async fn faults_meet_the_next_requests_of_their_provider() {
    let world = World::new().await;
    let faults = world.simulators.faults();
    faults.next(Provider::Retell, Fault::Status(429));
    faults.next(Provider::WhatsApp, Fault::Error { status: 400, code: 131_056 });
    faults.next(Provider::Twilio, Fault::Status(429));
    assert_eq!(world.call("+447700900102", json!({})).await.0, 429);
    assert_eq!(world.text(PHONE, "x").await.1["error"]["code"], 131_056);
    assert_eq!(world.sms(&[]).await.1["code"], 20_429);
    assert!(world.simulators.rings().is_empty());

    let url = format!("{}/v2/create-phone-call", world.simulators.retell_url());
    let request = || {
        let body = new_call("+447700900102", json!({"idempotency_key": "k"}));
        world.http.post(&url).bearer_auth(&world.secrets.retell_api_key).json(&body).send()
    };
    faults.next(Provider::Retell, Fault::TimeoutBefore);
    let lost = request().await.expect_err("no answer");
    assert!(!lost.is_connect(), "the request was sent");
    assert!(world.simulators.rings().is_empty(), "nothing was done");
    faults.next(Provider::Retell, Fault::TimeoutAfterDoingTheWork);
    request().await.expect_err("no answer");
    assert_eq!(world.simulators.rings().len(), 1, "the phone rang all the same");
    assert_eq!(request().await.expect("an answer").status(), 201);
    assert_eq!(world.simulators.rings().len(), 1);
    assert_eq!(faults.pending(), 0);

    faults.hold(Duration::from_secs(20));
    faults.next(Provider::Retell, Fault::TimeoutBefore);
    let impatient = Client::builder().no_proxy().timeout(Duration::from_millis(50)).build().expect("a client");
    assert!(impatient.post(&url).send().await.expect_err("no answer").is_timeout());
}

#[tokio::test]
async fn webhooks_come_twice_and_backwards() {
    let world = World::new().await;
    world.simulators.faults().duplicate_webhooks(true);
    world.simulators.faults().reverse_webhooks(true);
    world.call("+447700900101", json!({})).await;
    let expected = ["call_analyzed", "call_analyzed", "call_ended", "call_ended", "call_started", "call_started"];
    assert_eq!(world.events(), expected);
}

#[tokio::test]
async fn the_console_speaks_json() {
    let world = World::new().await;
    let base = world.simulators.url();
    let post = |path: &str, body: Value| world.http.post(format!("{base}{path}")).json(&body).send();
    let faults = json!({"next": [{"provider": "retell", "fault": {"status": 500}}, {"provider": "twilio", "fault": "timeout_before"}],
                        "duplicate_webhooks": false, "late_ms": 0});
    assert_eq!(post("/simulator/faults", faults).await.expect("an answer").status(), 204);
    assert_eq!(world.call(PHONE, json!({})).await.0, 500);
    assert_eq!(post("/simulator/faults", json!({"clear": true})).await.expect("an answer").status(), 204);
    assert_eq!(post("/simulator/faults", json!({"nonsense": 1})).await.expect("an answer").status(), 400);

    let door = "/simulator/handset/%2B447700900123";
    assert_eq!(post(&format!("{door}/answer"), json!({})).await.expect("an answer").status(), 404);
    world.call(PHONE, json!({})).await;
    let see = || world.http.get(format!("{base}{door}")).send();
    let (_, state) = answer(see().await.expect("an answer")).await;
    assert_eq!(
        (&state["call"]["status"], &state["call"]["call_type"]),
        (&json!("registered"), &json!("morning_planning"))
    );
    assert_eq!(post(&format!("{door}/answer"), json!({})).await.expect("an answer").status(), 204);
    let outcome = json!({"analysis": {"workout_status": "partial"}, "duration_seconds": 90});
    assert_eq!(post(&format!("{door}/hangup"), outcome).await.expect("an answer").status(), 204);
    let ended = world.simulators.calls().pop().expect("the call").object();
    assert_eq!(ended["duration_ms"], 90_000);
    assert_eq!(ended["call_analysis"]["custom_analysis_data"]["workout_status"], "partial");
    assert_eq!(post(&format!("{door}/reply"), json!({"text": "done"})).await.expect("an answer").status(), 204);
    let (_, state) = answer(see().await.expect("an answer")).await;
    assert_eq!(
        (&state["call"], &state["thread"][0]["text"], &state["window_open"]),
        (&Value::Null, &json!("done"), &json!(true))
    );
    let persona = world.http.put(format!("{base}/simulator/persona/{PHONE}")).json(&json!({"persona": "busy"}));
    assert_eq!(persona.send().await.expect("an answer").status(), 204);
    world.call(PHONE, json!({})).await;
    let (_, rings) = answer(world.http.get(format!("{base}/simulator/rings")).send().await.expect("an answer")).await;
    assert_eq!(rings["rings"].as_array().map(Vec::len), Some(2));
    let (status, _) = answer(world.http.get(format!("{base}/simulator/state")).send().await.expect("an answer")).await;
    assert_eq!(status, 200);
    let page = world.http.get(format!("{base}/handset?phone={PHONE}")).send().await.expect("an answer");
    assert!(page.text().await.expect("a page").contains("<title>Handset"));
}

/// What Ivy writes is put into the page as text, and the page loads nothing from elsewhere.
#[tokio::test]
async fn the_page_needs_nobody_and_makes_no_markup_of_messages() {
    let world = World::new().await;
    let page = world.http.get(world.simulators.url()).send().await.expect("an answer").text().await.expect("a page");
    for absent in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", " src=", "@import", "url("] {
        assert!(!page.contains(absent), "{absent}");
    }
    assert!(page.contains("noopener"));
}

/// The other simulators' server stands for an API under test that refuses every webhook (404).
#[tokio::test]
async fn posted_webhooks_are_retried_three_times_by_retell() {
    let api = World::new().await;
    let target = Url::parse(&format!("{}/nowhere", api.simulators.url())).expect("a URL");
    let delivery = Delivery::Post { retell: target.clone(), whatsapp: target.clone(), twilio: target };
    let secrets = Secrets::for_testing();
    let posting = Simulators::start(secrets.clone(), ([127, 0, 0, 1], 0).into(), delivery).await.expect("a free port");
    let url = format!("{}/v2/create-phone-call", posting.retell_url());
    let body = new_call("+447700900102", json!({}));
    let created = api.http.post(url).bearer_auth(&secrets.retell_api_key).json(&body).send().await.expect("an answer");
    assert_eq!(created.status(), 201);
    let state = || async {
        answer(api.http.get(format!("{}/simulator/state", posting.url())).send().await.expect("an answer")).await.1
    };
    let mut posted = Value::Null;
    for _ in 0..200 {
        posted = state().await["webhooks"]["posted"].clone();
        if posted["given_up"] == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(posted, json!({"attempts": 6, "accepted": 0, "given_up": 2}));
}

#[tokio::test]
async fn bodies_of_a_test_can_be_signed() {
    let world = World::new().await;
    world.simulators.set_public_url("https://api.ivy.example/prod".parse().expect("a URL"));
    let hook = world.simulators.sign(Provider::Retell, "/webhooks/retell/inbound", b"{}".to_vec());
    assert_eq!((hook.path.as_str(), hook.body.as_slice()), ("/prod/webhooks/retell/inbound", b"{}".as_slice()));
    assert!(header(&hook, "X-Retell-Signature").starts_with("v=1795262400000,d="));
}

#[tokio::test]
async fn posted_webhooks_arrive_in_order_with_their_signatures() {
    use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
    use std::sync::{Arc, Mutex};
    type Seen = Arc<Mutex<Vec<(HeaderMap, Vec<u8>)>>>;

    let seen = Seen::default();
    let keep = |State(seen): State<Seen>, headers: HeaderMap, body: Bytes| async move {
        seen.lock().expect("a lock").push((headers, body.to_vec()));
    };
    let app = Router::new().route("/hook", post(keep)).with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let target = Url::parse(&format!("http://{}/hook", listener.local_addr().expect("an address"))).expect("a URL");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let secrets = Secrets::for_testing();
    let delivery = Delivery::Post { retell: target.clone(), whatsapp: target.clone(), twilio: target };
    let posting = Simulators::start(secrets.clone(), ([127, 0, 0, 1], 0).into(), delivery).await.expect("a free port");
    let http = Client::builder().no_proxy().build().expect("a client");
    let url = format!("{}/v2/create-phone-call", posting.retell_url());
    let body = new_call("+447700900101", json!({}));
    http.post(url).bearer_auth(&secrets.retell_api_key).json(&body).send().await.expect("an answer");
    for _ in 0..200 {
        if seen.lock().expect("a lock").len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = seen.lock().expect("a lock");
    let events: Vec<Value> =
        seen.iter().map(|(_, body)| serde_json::from_slice::<Value>(body).expect("JSON")["event"].clone()).collect();
    assert_eq!(events, ["call_started", "call_ended", "call_analyzed"]);
    for (headers, body) in seen.iter() {
        let header = headers["x-retell-signature"].to_str().expect("text");
        let (time, digest) = header.strip_prefix("v=").and_then(|rest| rest.split_once(",d=")).expect("v and d");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secrets.retell_api_key.as_bytes());
        assert_eq!(digest, hex(hmac::sign(&key, &[body.as_slice(), time.as_bytes()].concat()).as_ref()));
    }
}
