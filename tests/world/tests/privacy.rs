//! Nothing personal leaves the functions but where it belongs: marked data is fed through the whole journey, through wrong input and
//! through failing webhooks, and then all log lines and the whole table are searched for the marks.
//!
//! One test in a file of its own: the subscriber is the process's, so nothing else may run beside it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

use std::collections::BTreeSet;

use axum::{body::Body, http::Method};
use ivy_simulators::{CallScript, Fault, Persona, Provider};
use ivy_world::{Log, Person, Reply, World};
use jiff::SignedDuration;
use serde_json::{Value, json};

const PHONE: &str = "+447700900777";
const OTHER_PHONE: &str = "+447700900778";
const WRONG_PHONE: &str = "+447700900779";
const EMAIL: &str = "qxmail@qxhost.example";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A text that stands nowhere else, by what it marks.
const FIRST_NAME: &str = "Qxfirst";
const LAST_NAME: &str = "Qxlast";
const SPOKEN_NAME: &str = "Qxspoken";
const ACTIVITY: &str = "Qxactivity";
const OTHER_ACTIVITY: &str = "Qxcalledactivity";
const MINIMUM: &str = "Qxminimum";
const GIFT: &str = "Qxgift";
const WHY: &str = "Qxwhy";
const OBSTACLE: &str = "Qxobstacle";
const TRANSCRIPT: &str = "Qxtranscript";
const SUMMARY: &str = "Qxsummary";
const LIFE_MARKER: &str = "Qxlifemarker";
const INBOUND: &str = "Qxinbound";
const SMS_INBOUND: &str = "Qxsmsinbound";
const WRONG: &str = "Qxwrong";

/// What must stand in no log line: the marks, also in capitals or small, and the numbers without their plus.
fn marks() -> Vec<String> {
    let mut marks = vec!["qx".to_owned()];
    marks.extend([PHONE, OTHER_PHONE, WRONG_PHONE].map(|phone| phone[1..].to_owned()));
    marks.push(PHONE.replace("+44", "0"));
    marks
}

struct Journey {
    world: World,
    mara: Person,
    /// Tokens, codes and links that were handed out.
    secrets: Vec<String>,
}

impl Journey {
    async fn begin() -> Self {
        let world = World::new().await;
        let mara = world
            .person(PHONE)
            .signing_up("first_name", json!(FIRST_NAME))
            .signing_up("last_name", json!(LAST_NAME))
            .signing_up("name_pronunciation", json!(SPOKEN_NAME))
            .onboarding("minimum_action", json!(MINIMUM))
            .onboarding("gift_frame", json!(GIFT))
            .onboarding("why_started", json!(WHY))
            .onboarding("obstacles", json!([OBSTACLE]))
            .onboarding("preferred_days", json!(["mon"]))
            .join(&world)
            .await;
        let code = world.code_for(PHONE);
        let access = mara.client.access_token().await.unwrap();
        let secrets = vec![code, access, mara.refresh_token.clone()];
        Self { world, mara, secrets }
    }

    fn talks(&self, analysis: Value) {
        let script = CallScript {
            duration_seconds: 120,
            user_spoke: true,
            analysis,
            user_sentiment: None,
            transcript: format!("Agent: Hello {FIRST_NAME}.\nUser: {TRANSCRIPT}, at {PHONE}"),
        };
        self.world.simulators.set_persona(PHONE, Persona::Answers(script));
    }

    /// The e-mail address is changed, and a link sent to it.
    async fn by_mail(&mut self) {
        self.mara.can_be_mailed(&self.world, EMAIL).await;
        self.world.client().post("/api/auth/magic-link", json!({"email": EMAIL}), 202).await;
        self.world.client().post("/api/auth/magic-link", json!({"email": format!("not-{EMAIL}")}), 202).await;
        self.world.settle().await;
        let mail = self.world.mailer.sent().pop().unwrap();
        let token = mail.text.split("#token=").nth(1).unwrap();
        let token: String = token.chars().take_while(char::is_ascii_alphanumeric).collect();
        let session = self.world.client().post("/api/auth/verify", json!({"token": token}), 200).await;
        let refresh = session["refresh_token"].as_str().unwrap().to_owned();
        self.world.client().post("/api/auth/refresh", json!({"refresh_token": refresh}), 200).await;
        self.world.clock.set(self.world.now() + SignedDuration::from_secs(60));
        // Used again, late: this is logged.
        let late = self.world.client().try_post("/api/auth/refresh", &json!({"refresh_token": refresh})).await;
        late.problem(401, "unauthorized");
        self.secrets.extend([token, refresh]);
    }

    async fn calls_and_messages(&self) {
        let world = &self.world;
        let planned = json!({
            "planned_activity": OTHER_ACTIVITY, "planned_time": "2026-11-23T17:00:00Z",
            "planned_duration_minutes": 30, "energy": 4, "call_summary": SUMMARY,
        });
        self.talks(planned);
        world.advance_to("2026-11-23T09:00:00Z".parse().unwrap()).await;
        self.talks(json!({"workout_status": "completed", "energy": 7, "mood": 8, "life_marker": LIFE_MARKER}));
        world.advance_to("2026-11-23T20:00:00Z".parse().unwrap()).await;
        for text in ["help", INBOUND, "STOP", "START", "done"] {
            world.simulators.reply(PHONE, &format!("{text} {INBOUND}"));
            world.settle().await;
            world.simulators.reply(PHONE, text);
            world.settle().await;
        }
        world.simulators.reply_sms(PHONE, SMS_INBOUND);
        world.simulators.reply(OTHER_PHONE, &format!("who is this {INBOUND}"));
        world.settle().await;

        // What stopped by message is agreed to again.
        let agreed = json!({"calls": true, "messages": true, "data_processing": true});
        self.mara.client.put("/api/users/me/consents", agreed, 200).await;
        let workout = self.mara.plan(ACTIVITY, world.now() + SignedDuration::from_mins(30)).await;
        self.mara.log(&workout, "completed").await;
        self.mara.log(&workout, "partial").await;
        let call = self.mara.schedule("follow_up", world.now() + SignedDuration::from_mins(30)).await;
        self.mara.client.delete(&format!("/api/calls/{call}"), 200).await;
        world.settle().await;
    }

    /// Providers that refuse, fail, or never answer.
    async fn faults(&self) {
        let world = &self.world;
        world.advance_to("2026-11-24T09:00:00Z".parse().unwrap()).await;
        for fault in [Fault::Status(500), Fault::Status(400), Fault::Status(429), Fault::TimeoutBefore] {
            world.simulators.faults().next(Provider::Retell, fault);
            self.mara.schedule("follow_up", world.now() + SignedDuration::from_mins(5)).await;
            world.advance(SignedDuration::from_mins(45)).await;
        }
        for fault in [
            Fault::Error { status: 400, code: 131_026 },
            Fault::Error { status: 400, code: 131_047 },
            Fault::Status(500),
            Fault::TimeoutAfterDoingTheWork,
        ] {
            world.simulators.faults().next(Provider::WhatsApp, fault);
            let workout = self.mara.plan(ACTIVITY, world.now() + SignedDuration::from_mins(30)).await;
            self.mara.log(&workout, "completed").await;
            world.settle().await;
            world.advance(SignedDuration::from_mins(30)).await;
        }
        world.simulators.faults().clear();
        for persona in [Persona::Voicemail, Persona::NeverAnswers, Persona::InvalidNumber, Persona::DeadNumber] {
            world.simulators.set_persona(PHONE, persona);
            self.mara.schedule("follow_up", world.now() + SignedDuration::from_mins(5)).await;
            world.advance(SignedDuration::from_mins(40)).await;
        }
        world.sweep().await;
        world.plan_day(world.now()).await;
    }

    /// What was sent wrongly comes back in no answer either.
    async fn wrong_input(&self) {
        let client = &self.mara.client;
        let anyone = self.world.client();
        let wrong =
            json!({"phone": WRONG, "first_name": [WRONG], "email": WRONG, "timezone": WRONG, "password": WRONG});
        let taken = json!({"phone": PHONE, "first_name": FIRST_NAME});
        let path = format!("/api/workouts/{WRONG}?{WRONG}={WRONG}");
        let headers = [
            JSON,
            ("idempotency-key", "Qxwrong key"),
            ("x-request-id", "Qxwrong id with spaces"),
            ("user-agent", WRONG),
        ];
        let body = format!("{{\"planned_activity\": {WRONG}");
        let bad_token = [("authorization", "Bearer Qxwrong.Qxwrong.Qxwrong")];
        // It makes no second account, and what is logged of it is searched with the rest.
        anyone.try_post("/api/users", &taken).await.expect(201);
        let replies: Vec<Reply> = vec![
            anyone.try_post("/api/users", &wrong).await,
            anyone.try_post("/api/auth/verify", &json!({"phone": WRONG_PHONE, "code": WRONG})).await,
            anyone.try_post("/api/auth/verify", &json!({"token": WRONG.repeat(20)})).await,
            anyone.try_post("/api/auth/refresh", &json!({"refresh_token": WRONG})).await,
            anyone.send(Method::GET, "/api/users/me", &bad_token, Body::empty()).await,
            client.send(Method::POST, "/api/workouts", &headers, body.clone()).await,
            client.send(Method::POST, "/api/workouts", &[JSON], body).await,
            client.send(Method::PATCH, &path, &[JSON], json!({"status": WRONG}).to_string()).await,
            client.try_get(&format!("/api/users/me/calls?cursor={WRONG}&limit={WRONG}")).await,
            client.try_get(&format!("/{WRONG}?token={WRONG}")).await,
            client
                .try_get(&format!(
                    "/webhooks/whatsapp?hub.mode=subscribe&hub.verify_token={WRONG}&hub.challenge={WRONG}"
                ))
                .await,
        ];
        for reply in replies {
            assert!(reply.status.is_client_error(), "{}", reply.status);
            assert!(!reply.text.contains("Qx") && !reply.text.contains(&PHONE[1..]), "{}", reply.text);
        }
    }

    async fn wrong_webhooks(&self) {
        let signed_but_odd = [
            (Provider::Retell, "/webhooks/retell", format!("{{\"event\": \"call_ended\", \"call\": \"{WRONG}\"}}")),
            (Provider::Retell, "/webhooks/retell", json!({"event": "call_ended", "call": {"call_id": "c", "transcript": WRONG, "to_number": PHONE, "metadata": {"user_id": WRONG}}}).to_string()),
            (Provider::WhatsApp, "/webhooks/whatsapp", format!("{{\"entry\": \"{WRONG}\"")),
            (Provider::WhatsApp, "/webhooks/whatsapp", json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": {"messages": [{"id": "m", "from": WRONG, "type": "text", "timestamp": WRONG, "text": {"body": WRONG}}]}}]}]}).to_string()),
        ];
        for (provider, path, body) in signed_but_odd {
            let webhook = self.world.simulators.sign(provider, path, body.into_bytes());
            let status = self.world.deliver(&webhook).await;
            assert!(!status.is_server_error(), "{status}");
            let unsigned =
                self.world.client().send(Method::POST, path, &[JSON], Body::from(webhook.body.clone())).await;
            unsigned.problem(401, "unauthorized");
            let stale = [JSON, ("x-retell-signature", "v=1,d=Qxwrong"), ("x-hub-signature-256", "sha256=Qxwrong")];
            let stale = self.world.client().send(Method::POST, path, &stale, Body::from(webhook.body)).await;
            stale.problem(401, "unauthorized");
        }
        self.world.settle().await;
    }
}

/// What is wrong with the lines' shape, each fault once.
fn faults_of_shape(lines: &[Value]) -> BTreeSet<String> {
    let mut faults = BTreeSet::new();
    for line in lines {
        let fields = line.as_object().unwrap();
        // The in-memory table and the simulators log as well; what is ours carries our crates' names.
        let ours = fields.get("target").and_then(Value::as_str).is_some_and(|target| target.starts_with("ivy_"));
        if fields.contains_key("_aws") || !ours {
            continue;
        }
        let Some(event) = fields.get("event").and_then(Value::as_str) else {
            faults.insert(format!("{} logs without an event: {}", line["target"], line["message"]));
            continue;
        };
        if !event.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
            faults.insert(format!("{event} is not in snake case"));
        }
        for name in ["timestamp", "level", "request_id"] {
            if !fields.contains_key(name) {
                faults.insert(format!("{event} lacks {name}"));
            }
        }
    }
    for event in
        ["request_answered", "message_sent", "webhook_signature_failed", "refresh_token_reused", "call_event_taken"]
    {
        if !lines.iter().any(|line| line["event"] == event) {
            faults.insert(format!("{event} was never logged, so this proves little"));
        }
    }
    faults
}

#[tokio::test]
async fn no_personal_data_is_logged_or_kept_in_the_open() {
    let log = Log::install();
    let mut journey = Journey::begin().await;
    journey.by_mail().await;
    Box::pin(journey.calls_and_messages()).await;
    journey.wrong_input().await;
    journey.wrong_webhooks().await;
    Box::pin(journey.faults()).await;

    // The journey went where it should: what is marked was said, sent and kept.
    let calls = journey.mara.get("/api/users/me/calls?limit=100").await.to_string();
    assert!(calls.contains("completed") && calls.contains("failed"), "{calls}");
    let messages = journey.mara.get("/api/users/me/messages?limit=100").await.to_string();
    assert!(messages.contains(INBOUND), "{messages}");

    let mut faults = faults_of_shape(&log.lines());
    for line in log.text().lines() {
        let small = line.to_lowercase();
        for mark in marks().iter().filter(|mark| small.contains(mark.as_str())) {
            faults.insert(format!("{mark} was logged: {line}"));
        }
        for secret in &journey.secrets {
            // Six digits may be part of any number: a code counts where it stands alone.
            let found = if secret.len() == 6 { line.contains(&format!("\"{secret}\"")) } else { line.contains(secret) };
            if found {
                faults.insert(format!("a token or code was logged: {line}"));
            }
        }
    }
    let tokens = journey.secrets.iter().filter(|secret| secret.len() > 6).map(String::as_str);
    let sealed = [&PHONE[1..], &OTHER_PHONE[1..], &WRONG_PHONE[1..], TRANSCRIPT, SUMMARY, INBOUND, SMS_INBOUND];
    let sealed: Vec<&str> = sealed.into_iter().chain(tokens).collect();
    for item in journey.world.snapshot().await {
        for mark in sealed.iter().filter(|mark| item.contains(**mark)) {
            faults.insert(format!("{mark} stands in the table in the open: {item}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
