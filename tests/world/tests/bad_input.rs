//! Wrong input of every kind, on every route that takes any: one shape of answer, all faults at once, nothing repeated of what
//! was sent, and nothing written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what broke by panicking")]

use std::collections::BTreeSet;

use axum::{body::Body, http::Method};
use ivy_world::{Client, Person, Reply, World, api};
use jiff::SignedDuration;
use serde_json::{Map, Value, json};

const PHONE: &str = "+447700900301";
/// Stands in what is sent and must stand in no answer.
const MARKER: &str = "Zanzibar7391";
const NUMBER_MARKER: u64 = 739_173_917_391;
const JSON: (&str, &str) = ("content-type", "application/json");

/// A route that takes a body.
struct WriteRoute {
    operation: &'static str,
    method: Method,
    path: String,
    open: bool,
    /// A body with every field, all right.
    body: Value,
    /// Fields that must be there.
    required: &'static [&'static str],
}

struct Setting {
    world: World,
    mara: Person,
    workout: String,
    call: String,
    operator: Client,
}

async fn setting() -> Setting {
    let world = World::new().await;
    let mara = world.person(PHONE).join(&world).await;
    let workout = mara.plan("a run", "2026-11-23T17:00:00Z".parse().unwrap()).await;
    let call = mara.schedule("follow_up", "2026-11-26T12:00:00Z".parse().unwrap()).await;
    world.settle().await;
    let operator = world.operator().await;
    Setting { world, mara, workout, call, operator }
}

impl Setting {
    fn routes(&self) -> Vec<WriteRoute> {
        let consents = json!({"calls": true, "messages": true, "data_processing": true});
        let route = |operation, method, path: &str, open, required, body| WriteRoute {
            operation,
            method,
            path: path.to_owned(),
            open,
            body,
            required,
        };
        let profile = json!({
            "email": "new@example.com", "phone": "+447700900302", "first_name": "Mira", "last_name": "Lane",
            "name_pronunciation": "MEE-ra", "timezone": "Europe/Paris", "locale": "en-GB", "track": "focus",
            "weekly_goal": 4, "morning_window": {"start": "07:00", "end": "08:00"},
            "evening_window": {"start": "18:00", "end": "19:00"}, "preferred_days": ["mon"],
            "day_start": "04:00", "communication_preference": "mixed", "minimum_action": "shoes on", "gift_frame": "an evening",
            "why_started": "the kids", "obstacles": ["rain"], "charity_id": self.world.charity().to_string(),
        });
        let mut onboarding = profile.clone();
        let not_asked =
            ["email", "phone", "first_name", "last_name", "name_pronunciation", "timezone", "locale", "day_start"];
        onboarding.as_object_mut().unwrap().retain(|name, _| !not_asked.contains(&name.as_str()));
        onboarding["consents"] = consents.clone();
        let workout_path = format!("/api/workouts/{}", self.workout);
        vec![
            route(
                "request-magic-link",
                Method::POST,
                "/api/auth/magic-link",
                true,
                &[],
                json!({"email": "mara@example.com", "phone": PHONE}),
            ),
            route(
                "verify-magic-link",
                Method::POST,
                "/api/auth/verify",
                true,
                &[],
                json!({"token": "x", "email": "mara@example.com", "phone": PHONE, "code": "123456"}),
            ),
            route(
                "refresh-session",
                Method::POST,
                "/api/auth/refresh",
                true,
                &["refresh_token"],
                json!({"refresh_token": "x"}),
            ),
            route("end-session", Method::POST, "/api/auth/logout", false, &[], json!({"everywhere": true})),
            route(
                "admin-login",
                Method::POST,
                "/api/admin/auth/login",
                true,
                &["email", "password"],
                json!({"email": "sam@example.com", "password": "a long password"}),
            ),
            route(
                "create-user",
                Method::POST,
                "/api/users",
                true,
                &["phone", "first_name"],
                json!({
                    "phone": "+447700900303", "first_name": "Mira", "last_name": "Lane", "name_pronunciation": "MEE-ra",
                    "email": "new@example.com", "timezone": "Europe/Paris", "locale": "en-GB",
                    "subscription_type": "b2c_pro",
                }),
            ),
            route("onboard-user", Method::POST, "/api/users/me/onboard", false, &["track", "consents"], onboarding),
            route("update-user", Method::PATCH, "/api/users/me", false, &[], profile),
            route(
                "pause-user",
                Method::POST,
                "/api/users/me/pause",
                false,
                &["reason"],
                json!({"reason": "traveling", "until": "2026-12-01"}),
            ),
            route(
                "set-consents",
                Method::PUT,
                "/api/users/me/consents",
                false,
                &["calls", "messages", "data_processing"],
                consents.clone(),
            ),
            route(
                "create-workout",
                Method::POST,
                "/api/workouts",
                false,
                &["planned_activity", "planned_time"],
                json!({
                    "planned_activity": "a walk", "planned_time": "2026-11-23T18:00:00Z", "planned_duration_minutes": 30,
                }),
            ),
            route(
                "update-workout",
                Method::PATCH,
                &workout_path,
                false,
                &[],
                json!({
                    "status": "completed", "actual_duration_minutes": 30, "planned_activity": "a walk",
                    "planned_time": "2026-11-23T18:00:00Z", "planned_duration_minutes": 30,
                }),
            ),
            route(
                "record-score",
                Method::POST,
                "/api/users/me/transformation",
                false,
                &[],
                json!({"energy": 7, "mood": 5, "confidence": 6, "recorded_on": "2026-11-22"}),
            ),
            route(
                "record-marker",
                Method::POST,
                "/api/users/me/life-markers",
                false,
                &["text"],
                json!({"text": "ran up the hill"}),
            ),
            route(
                "initiate-call",
                Method::POST,
                "/api/calls/initiate",
                false,
                &["call_type"],
                json!({"call_type": "rescue"}),
            ),
            route(
                "reschedule-call",
                Method::POST,
                &format!("/api/calls/{}/reschedule", self.call),
                false,
                &["scheduled_time"],
                json!({
                    "scheduled_time": "2026-11-23T12:00:00Z", "window_start": "2026-11-23T11:50:00Z",
                    "window_end": "2026-11-23T12:30:00Z",
                }),
            ),
            route(
                "record-outcome",
                Method::POST,
                &format!("/api/calls/{}/outcome", self.call),
                false,
                &["user_id", "outcome", "reason"],
                json!({"user_id": self.mara.id, "outcome": "rescue_success", "reason": "said so"}),
            ),
            route(
                "send-message",
                Method::POST,
                "/api/messages/send",
                false,
                &["user_id", "kind"],
                json!({
                    "user_id": self.mara.id, "via": "sms", "kind": "text", "content": "Hello", "template": "celebration",
                    "parameters": {"milestone": "a first week"},
                }),
            ),
            route(
                "log-donation",
                Method::POST,
                "/api/donations",
                false,
                &["user_id", "amount", "reason"],
                json!({"user_id": self.mara.id, "amount": 1.5, "reason": "a run that was not heard"}),
            ),
            route(
                "schedule-call",
                Method::POST,
                "/api/calls",
                false,
                &["call_type", "scheduled_time"],
                json!({
                    "call_type": "follow_up", "scheduled_time": "2026-11-23T12:00:00Z",
                    "window_start": "2026-11-23T11:50:00Z", "window_end": "2026-11-23T12:30:00Z",
                }),
            ),
        ]
    }

    fn client_of(&self, route: &WriteRoute) -> Client {
        match route.operation {
            "record-outcome" | "send-message" | "log-donation" => self.operator.clone(),
            _ if route.open => self.world.client(),
            _ => self.mara.client.clone(),
        }
    }

    async fn send(&self, route: &WriteRoute, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        // Slower than the limit of requests per account, which is no matter of this file.
        self.world.clock.set(self.world.now() + SignedDuration::from_millis(550));
        self.client_of(route).send(route.method.clone(), &route.path, headers, body).await
    }

    async fn send_json(&self, route: &WriteRoute, body: &Value) -> Reply {
        let headers = [JSON, ("idempotency-key", "bad-input")];
        // Where a key is required, that one is missing is a fault of its own.
        let headers = if route.operation == "log-donation" { &headers[..] } else { &headers[..1] };
        let reply = self.send(route, headers, body.to_string()).await;
        assert!(!reply.text.contains(MARKER), "{} repeats what was sent: {}", route.operation, reply.text);
        assert!(!reply.text.contains(&NUMBER_MARKER.to_string()), "{} repeats: {}", route.operation, reply.text);
        reply
    }
}

/// The fields before the dot.
fn top_fields(reply: &Reply) -> BTreeSet<String> {
    reply.wrong_fields().into_iter().map(|field| field.split('.').next().unwrap().to_owned()).collect()
}

fn names(fields: &Map<String, Value>) -> BTreeSet<String> {
    fields.keys().cloned().collect()
}

#[tokio::test]
async fn every_documented_body_is_tried_with_every_field() {
    let setting = setting().await;
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_null() || path.starts_with("/webhooks/") {
                continue;
            }
            let id = operation["operationId"].as_str().unwrap();
            documented.insert(id.to_owned());
            let routes = setting.routes();
            let route =
                routes.iter().find(|route| route.operation == id).unwrap_or_else(|| panic!("{id} is not tried"));
            // A body that may be left out is documented as one of two.
            let schema = schema["oneOf"].as_array().and_then(|either| either.first()).unwrap_or(schema);
            let place = schema["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
            let fields = document.pointer(place).unwrap()["properties"].as_object().unwrap();
            let mut documented = names(fields);
            // A code does not go with what it proves: `contacts.rs` tries them.
            documented.retain(|field| id != "update-user" || !["email_code", "phone_code"].contains(&field.as_str()));
            assert_eq!(names(route.body.as_object().unwrap()), documented, "{id}");
        }
    }
    let tried: BTreeSet<String> = setting.routes().iter().map(|route| route.operation.to_owned()).collect();
    assert_eq!(tried, documented);
}

/// A route's body without the fields that contradict others of it, which is a fault of its own.
fn without_contradictions(route: &WriteRoute) -> Value {
    let mut body = route.body.clone();
    let left_out: &[&str] = match route.operation {
        "request-magic-link" => &["phone"],
        "verify-magic-link" => &["token", "email"],
        "send-message" => &["template", "parameters"],
        _ => &[],
    };
    body.as_object_mut().unwrap().retain(|name, _| !left_out.contains(&name.as_str()));
    body
}

#[tokio::test]
async fn an_unknown_field_is_refused_by_name() {
    let setting = setting().await;
    let before = setting.world.snapshot().await;
    for route in setting.routes() {
        let mut body = without_contradictions(&route);
        body["surprise"] = json!(MARKER);
        let reply = setting.send_json(&route, &body).await;
        let problem = reply.problem(422, "invalid-input");
        assert_eq!(
            problem["errors"],
            json!([{"field": "surprise", "message": "is not a known field"}]),
            "{}",
            route.operation
        );
    }
    setting.world.assert_nothing_written(&before).await;
}

#[tokio::test]
async fn all_wrong_fields_are_listed_at_once() {
    let setting = setting().await;
    let before = setting.world.snapshot().await;
    for route in setting.routes() {
        let mut expected = names(route.body.as_object().unwrap());
        expected.insert("surprise".to_owned());
        // An object where none belongs, or one with another inside.
        for wrong in [json!({"inside": MARKER}), json!([[MARKER]])] {
            let mut body = route.body.clone();
            body["surprise"] = json!(MARKER);
            body.as_object_mut().unwrap().values_mut().for_each(|value| *value = wrong.clone());
            let reply = setting.send_json(&route, &body).await;
            reply.problem(422, "invalid-input");
            assert_eq!(top_fields(&reply), expected, "{}: {}", route.operation, reply.text);
            for error in reply.body["errors"].as_array().unwrap() {
                let message = error["message"].as_str().unwrap();
                assert!(
                    ["must ", "is "].iter().any(|start| message.starts_with(start)),
                    "{}: {error} does not read after the field's name",
                    route.operation
                );
            }
        }
        let missing = setting.send_json(&route, &json!({"surprise": null})).await;
        missing.problem(422, "invalid-input");
        let mut expected: BTreeSet<String> = route.required.iter().map(|name| (*name).to_owned()).collect();
        expected.insert("surprise".to_owned());
        // Either contact will do, and either proof; none is told beside the rest.
        expected.extend(match route.operation {
            "request-magic-link" => Some("email".to_owned()),
            "verify-magic-link" => Some("token".to_owned()),
            _ => None,
        });
        assert_eq!(top_fields(&missing), expected, "{}", route.operation);
    }
    setting.world.assert_nothing_written(&before).await;
}

/// What is wrong with fields together, and with the key, is told beside what is wrong with each.
#[tokio::test]
async fn what_contradicts_is_listed_with_what_is_wrong_alone() {
    let setting = setting().await;
    let before = setting.world.snapshot().await;
    for (operation, body, wrong) in [
        ("verify-magic-link", json!({"token": "x", "code": "123456", "more": 1}), &["token", "more"][..]),
        ("verify-magic-link", json!({"token": "x", "phone": 5}), &["phone", "token"]),
        ("verify-magic-link", json!({"code": 5, "email": "mara@example.com", "phone": PHONE}), &["code", "email"]),
        ("verify-magic-link", json!({"code": "123456", "more": 1}), &["email", "more"]),
        (
            "send-message",
            json!({"user_id": "no", "kind": "text", "template": "celebration", "parameters": {}}),
            &["user_id", "template", "parameters", "content"],
        ),
        (
            "send-message",
            json!({"user_id": "no", "kind": "template", "content": 5}),
            &["user_id", "content", "template"],
        ),
        (
            "send-message",
            json!({"user_id": "no", "kind": "template", "template": "celebration", "parameters": {"activity": "a run"}}),
            &["user_id", "parameters.milestone", "parameters.activity"],
        ),
        // Which parameters are missing shows once they can be read.
        (
            "send-message",
            json!({"user_id": setting.mara.id, "kind": "template", "template": "celebration", "parameters": 5}),
            &["parameters"],
        ),
    ] {
        let routes = setting.routes();
        let route = routes.iter().find(|route| route.operation == operation).unwrap();
        let reply = setting.send_json(route, &body).await;
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), wrong, "{body}");
    }
    let unkeyed = setting.operator.try_post("/api/donations", &json!({"user_id": "no", "amount": 0})).await;
    unkeyed.problem(422, "invalid-input");
    assert_eq!(unkeyed.wrong_fields(), ["user_id", "amount", "reason", "Idempotency-Key"]);
    setting.world.assert_nothing_written(&before).await;
}

#[tokio::test]
async fn no_wrong_value_is_repeated() {
    let setting = setting().await;
    let before = setting.world.snapshot().await;
    let many = json!([MARKER, MARKER]);
    for route in setting.routes() {
        let fields = names(route.body.as_object().unwrap());
        for wrong in
            [json!(MARKER), json!(NUMBER_MARKER), json!(-1), json!(0.5), json!(true), many.clone(), Value::Null]
        {
            for field in &fields {
                let mut body = route.body.clone();
                body["surprise"] = json!(1);
                body[field] = wrong.clone();
                let reply = setting.send_json(&route, &body).await;
                reply.problem(422, "invalid-input");
                assert!(reply.wrong_fields().contains(&"surprise"));
            }
        }
    }
    setting.world.assert_nothing_written(&before).await;
}

/// Values of the right JSON type that are still wrong, one at a time in a body that is otherwise right.
#[tokio::test]
async fn values_out_of_their_range_are_refused() {
    let setting = setting().await;
    let before = setting.world.snapshot().await;
    let long = |length: usize| json!("x".repeat(length));
    let cases: Vec<(&str, &str, Vec<Value>)> = vec![
        ("request-magic-link", "email", vec![json!("mara"), json!("@"), json!("a@b@c.example"), long(400)]),
        (
            "create-user",
            "phone",
            vec![json!("07700900303"), json!("+44"), json!("+44770090030a"), json!(""), long(400)],
        ),
        ("create-user", "first_name", vec![json!(""), json!("   "), long(81), json!("a\u{0}b")]),
        ("create-user", "email", vec![json!("no"), json!("a b@example.com"), json!("a@exa\nmple.com")]),
        ("create-user", "timezone", vec![json!("Mars/Olympus"), json!(""), json!("../etc/passwd"), json!("UTC+1")]),
        ("create-user", "locale", vec![json!("english please"), json!("")]),
        ("create-user", "subscription_type", vec![json!("b2b_sponsor"), json!("free"), json!("")]),
        ("onboard-user", "weekly_goal", vec![json!(0), json!(15), json!(-1), json!(3.5), json!("3")]),
        (
            "onboard-user",
            "morning_window",
            vec![
                json!({"start": "09:00", "end": "07:00"}),
                json!({"start": "09:00", "end": "09:09"}),
                json!({"start": "25:00", "end": "26:00"}),
                json!({"start": "07:00"}),
                json!({"start": "07:00", "end": "09:00", "zone": "UTC"}),
            ],
        ),
        ("onboard-user", "preferred_days", vec![json!(["monday"]), json!(["mon", "mon"]), json!(["mon", 2])]),
        ("onboard-user", "track", vec![json!("speed"), json!("")]),
        ("onboard-user", "obstacles", vec![json!(vec!["x"; 11]), json!([""]), json!([long(201)])]),
        ("onboard-user", "charity_id", vec![json!("mind"), json!("0192f0a0-0000-7000-8000-00000000dead")]),
        (
            "onboard-user",
            "consents",
            vec![
                json!({"calls": true, "messages": true, "data_processing": false}),
                json!({"calls": true, "messages": true}),
                json!({"calls": "yes", "messages": true, "data_processing": true}),
            ],
        ),
        ("update-user", "obstacles", vec![json!(vec!["x"; 11]), Value::Null]),
        ("update-user", "charity_id", vec![json!("0192f0a0-0000-7000-8000-00000000dead")]),
        ("update-user", "phone", vec![Value::Null]),
        ("update-user", "weekly_goal", vec![json!(0), json!(15), Value::Null]),
        ("create-workout", "planned_activity", vec![json!(""), long(201)]),
        (
            "create-workout",
            "planned_time",
            vec![json!("2026-11-22T10:00:00Z"), json!("2028-01-01T00:00:00Z"), json!("tomorrow"), json!("2026-11-23")],
        ),
        ("create-workout", "planned_duration_minutes", vec![json!(0), json!(1441), json!(-5)]),
        ("update-workout", "status", vec![json!("done"), Value::Null]),
        ("update-workout", "actual_duration_minutes", vec![json!(0), json!(1441)]),
        ("record-score", "energy", vec![json!(0), json!(11), json!(-1), json!(7.5), json!("7")]),
        ("record-score", "recorded_on", vec![json!("2026-11-24"), json!("2025-11-21"), json!("yesterday")]),
        ("record-marker", "text", vec![json!(""), json!("  "), long(201), json!("a\u{0}b")]),
        ("schedule-call", "call_type", vec![json!("chat")]),
        ("schedule-call", "scheduled_time", vec![json!("2026-11-23T05:59:00Z"), json!("2027-01-01T00:00:00Z")]),
        ("schedule-call", "window_start", vec![json!("2026-11-23T12:00:01Z")]),
        ("schedule-call", "window_end", vec![json!("2026-11-23T12:00:00Z"), json!("2026-11-25T12:00:00Z")]),
    ];
    // Somebody who has still to onboard.
    let new = setting.world.person("+447700900309").not_onboarded().join(&setting.world).await;
    let with_new = setting.world.snapshot().await;
    assert_ne!(with_new, before);
    for (operation, field, values) in cases {
        let routes = setting.routes();
        let route = routes.iter().find(|route| route.operation == operation).unwrap();
        for value in values {
            let mut body = route.body.clone();
            body[field] = value.clone();
            if operation == "request-magic-link" {
                body.as_object_mut().unwrap().remove("phone");
            }
            let client = if operation == "onboard-user" { new.client.clone() } else { setting.client_of(route) };
            let reply = client.send(route.method.clone(), &route.path, &[JSON], body.to_string()).await;
            assert_eq!(reply.status, 422, "{operation}: {field} = {value}: {}", reply.text);
            reply.problem(422, "invalid-input");
            let fields = top_fields(&reply);
            let accused = fields.contains(field) || (operation == "schedule-call" && !fields.is_empty());
            assert!(accused, "{operation}: {field} = {value}: {}", reply.text);
        }
    }
    setting.world.assert_nothing_written(&with_new).await;
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_malformed() {
    let setting = setting().await;
    let before = setting.world.snapshot().await;
    let deep_list = format!("{{\"{MARKER}\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let level_17 = format!("{{\"a\":{}{}}}", "[".repeat(16), "]".repeat(16));
    for route in setting.routes() {
        let cut = route.body.to_string();
        let cut = &cut[..cut.len() - 1];
        for body in [
            "",
            " ",
            cut,
            MARKER,
            &format!("{{\"a\":{MARKER}}}"),
            &format!("\"{MARKER}\""),
            "[]",
            &format!("[{}]", route.body),
            "null",
            "1",
            "{}{}",
            "{'a':1}",
            "{\"a\":1,}",
            "\u{feff}{}",
            &deep_list,
            &deep_object,
            &level_17,
        ] {
            let reply = setting.send(&route, &[JSON], body.to_owned()).await;
            let start = &body[..body.len().min(40)];
            assert_eq!(reply.status, 400, "{}: {start}: {}", route.operation, reply.text);
            reply.problem(400, "malformed-body");
            assert!(!reply.text.contains(MARKER), "{}", reply.text);
        }
        let not_utf8 = setting.send(&route, &[JSON], vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}']).await;
        not_utf8.problem(400, "malformed-body");
    }
    setting.world.assert_nothing_written(&before).await;
}

#[tokio::test]
async fn another_media_type_is_not_supported() {
    let setting = setting().await;
    let before = setting.world.snapshot().await;
    for route in setting.routes() {
        let body = route.body.to_string();
        for media in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonx",
            "application/json; charset=latin1",
        ] {
            let reply = setting.send(&route, &[("content-type", media)], body.clone()).await;
            reply.problem(415, "unsupported-media-type");
        }
        setting.send(&route, &[], body.clone()).await.problem(415, "unsupported-media-type");
        // These are JSON: the refusal is about the body.
        for media in ["APPLICATION/JSON", "application/json;charset=UTF-8", "application/json; charset=\"utf-8\""] {
            let reply = setting.send(&route, &[("content-type", media)], "[]".to_owned()).await;
            reply.problem(400, "malformed-body");
        }
    }
    setting.world.assert_nothing_written(&before).await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large() {
    let setting = setting().await;
    let before = setting.world.snapshot().await;
    for route in setting.routes() {
        let padding = |length: usize| " ".repeat(length - 2) + "[]";
        setting.send(&route, &[JSON], padding(64 * 1024)).await.problem(400, "malformed-body");
        setting.send(&route, &[JSON], padding(64 * 1024 + 1)).await.problem(413, "too-large");
        setting.send(&route, &[JSON], padding(10_000_000)).await.problem(413, "too-large");
    }
    let client = setting.world.client();
    for path in ["/webhooks/retell", "/webhooks/whatsapp"] {
        client.send(Method::POST, path, &[JSON], vec![b' '; 3_000_001]).await.problem(413, "too-large");
        client.send(Method::POST, path, &[JSON], vec![b' '; 3_000_000]).await.problem(401, "unauthorized");
    }
    setting.world.assert_nothing_written(&before).await;
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let setting = setting().await;
    let client = &setting.mara.client;
    for path in [
        "/",
        "/api",
        "/api/",
        "/api/users/me/",
        "/api/nothing",
        "/Health",
        "//health",
        "/api/users/me/calls/x",
        &format!("/{MARKER}"),
    ] {
        let reply = client.try_get(path).await;
        reply.problem(404, "unknown-route");
        assert!(!reply.text.contains(MARKER));
    }
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "me");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if methods.get(method.to_lowercase()).is_some() {
                continue;
            }
            let reply = client.send(method.parse().unwrap(), &path, &[JSON], "{}").await;
            reply.problem(405, "wrong-method");
            let allowed = reply.headers["allow"].to_str().unwrap();
            for known in methods.as_object().unwrap().keys() {
                assert!(allowed.contains(&known.to_uppercase()), "{method} {path}: {allowed}");
            }
        }
    }
}

#[tokio::test]
async fn a_malformed_id_is_an_unknown_one() {
    let setting = setting().await;
    let client = &setting.mara.client;
    for id in [MARKER, "0", "..%2f", "%00", "%ff", "0192f0a0-0000-7000-8000-00000000dead", &"9".repeat(3000)] {
        for path in ["/api/users/{}", "/api/users/{}/calls", "/api/users/{}/wallet", "/api/calls/{}"] {
            let reply = client.try_get(&path.replace("{}", id)).await;
            assert_eq!(reply.status, 404, "{path} {id}: {}", reply.text);
            reply.problem(404, "not-found");
            assert!(!reply.text.contains(MARKER));
        }
        let patch = client.send(Method::PATCH, &format!("/api/workouts/{id}"), &[JSON], "{}").await;
        patch.problem(404, "not-found");
    }
}

#[tokio::test]
async fn queries_are_read_as_strictly_as_bodies() {
    let setting = setting().await;
    let client = &setting.mara.client;
    for path in [
        "/api/users/me/calls",
        "/api/users/me/messages",
        "/api/users/me/workouts",
        "/api/users/me/donations",
        "/api/users/me/receipts",
        "/api/charities",
    ] {
        for (query, field) in [
            ("limit=0".to_owned(), "limit"),
            ("limit=101".to_owned(), "limit"),
            ("limit=-1".to_owned(), "limit"),
            ("limit=1.5".to_owned(), "limit"),
            ("limit=".to_owned(), "limit"),
            (format!("limit={MARKER}"), "limit"),
            (format!("limit={NUMBER_MARKER}"), "limit"),
            ("limit=1&limit=2".to_owned(), "limit"),
            ("cursor=".to_owned(), "cursor"),
            (format!("cursor={MARKER}"), "cursor"),
            (format!("surprise={MARKER}"), "surprise"),
        ] {
            let reply = client.try_get(&format!("{path}?{query}")).await;
            reply.problem(422, "invalid-input");
            assert_eq!(reply.wrong_fields(), [field], "{path}?{query}");
            assert!(!reply.text.contains(MARKER) && !reply.text.contains(&NUMBER_MARKER.to_string()), "{}", reply.text);
        }
        let both = client.try_get(&format!("{path}?limit=0&surprise=1")).await;
        assert_eq!(both.wrong_fields(), ["limit", "surprise"]);
        client.get(&format!("{path}?limit=1"), 200).await;
        client.get(&format!("{path}?limit=100"), 200).await;
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_list_and_its_person() {
    let setting = setting().await;
    let other = setting.world.person("+447700900318").join(&setting.world).await;
    for (person, minutes) in [(&setting.mara, 0), (&setting.mara, 1), (&other, 2), (&other, 3)] {
        let time: jiff::Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        person.schedule("follow_up", time + jiff::SignedDuration::from_mins(minutes)).await;
    }
    let first = setting.mara.get("/api/users/me/calls?limit=1").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = setting.mara.get(&format!("/api/users/me/calls?limit=1&cursor={cursor}")).await;
    assert_ne!(first["items"], next["items"]);
    for reply in [
        other.client.try_get(&format!("/api/users/me/calls?cursor={cursor}")).await,
        setting.mara.client.try_get(&format!("/api/users/me/messages?cursor={cursor}")).await,
        setting.mara.client.try_get(&format!("/api/users/me/calls?cursor={cursor}x")).await,
    ] {
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), ["cursor"]);
    }
}

#[tokio::test]
async fn every_answer_carries_the_request_id() {
    let setting = setting().await;
    let client = setting.world.client();
    for (method, path) in [
        (Method::GET, "/health"),
        (Method::GET, "/api/users/me"),
        (Method::GET, "/nothing"),
        (Method::DELETE, "/health"),
        (Method::POST, "/api/users"),
        (Method::POST, "/webhooks/retell"),
        (Method::OPTIONS, "/api/users"),
        (Method::GET, "/docs"),
    ] {
        let sane = client.send(method.clone(), path, &[("x-request-id", "trace-12345.a_b")], Body::empty()).await;
        assert_eq!(sane.request_id(), "trace-12345.a_b", "{method} {path}");
        for strange in ["short", "with space", "<b>bold</b>", &"x".repeat(129), MARKER_WITH_BREAK] {
            let reply = client.send(method.clone(), path, &[("x-request-id", strange)], Body::empty()).await;
            assert_ne!(reply.request_id(), strange);
            assert!(uuid::Uuid::parse_str(reply.request_id()).is_ok(), "{method} {path}: {}", reply.request_id());
        }
        let (one, other) = (
            client.send(method.clone(), path, &[], Body::empty()).await,
            client.send(method, path, &[], Body::empty()).await,
        );
        assert_ne!(one.request_id(), other.request_id());
        for header in
            ["x-content-type-options", "referrer-policy", "strict-transport-security", "content-security-policy"]
        {
            assert!(one.headers.contains_key(header), "{path} lacks {header}");
        }
    }
}

const MARKER_WITH_BREAK: &str = "Zanzibar7391\tand more";

#[tokio::test]
async fn what_a_signed_webhook_holds_may_be_anything() {
    use ivy_simulators::Provider;
    let setting = setting().await;
    let before = setting.world.snapshot().await;
    for (provider, path) in [(Provider::Retell, "/webhooks/retell"), (Provider::WhatsApp, "/webhooks/whatsapp")] {
        for body in ["", "null", MARKER, "{", &"[".repeat(50_000), &"{\"a\":".repeat(50_000)] {
            let webhook = setting.world.simulators.sign(provider, path, body.as_bytes().to_vec());
            let headers: Vec<(&str, &str)> = webhook.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let client = setting.world.client();
            let reply = client.send(Method::POST, &webhook.path, &headers, Body::from(webhook.body.clone())).await;
            let start = &body[..body.len().min(20)];
            assert_eq!(reply.status, 400, "{path}: {start}: {}", reply.text);
            reply.problem(400, "malformed-body");
            assert!(!reply.text.contains(MARKER));
        }
    }
    // Right JSON that says nothing to us is taken, so that the provider does not send it again.
    for (provider, path, body) in [
        (
            Provider::Retell,
            "/webhooks/retell",
            json!({"event": "call_transferred", "call": {"call_id": "call_of_nobody"}}),
        ),
        (Provider::Retell, "/webhooks/retell", json!({"event": "chat_started", "chat": {"chat_id": "chat_1"}})),
        (
            Provider::Retell,
            "/webhooks/retell",
            json!({"event": "call_ended", "call": {"call_id": "call_of_nobody"}, "new": [1]}),
        ),
        (Provider::WhatsApp, "/webhooks/whatsapp", json!({"object": "page", "entry": []})),
        (
            Provider::WhatsApp,
            "/webhooks/whatsapp",
            json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "account_update", "value": {"event": "X"}}]}]}),
        ),
    ] {
        let webhook = setting.world.simulators.sign(provider, path, body.to_string().into_bytes());
        assert_eq!(setting.world.deliver(&webhook).await, 204, "{body}");
    }
    setting.world.assert_nothing_written(&before).await;
}
