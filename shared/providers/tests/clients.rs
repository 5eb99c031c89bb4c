//! The clients against a small server: what goes over the wire, and what each answer is taken for.

#![allow(clippy::unwrap_used)] // The whole file is a test, its helpers too.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use ivy_providers::{
    Class, ProviderError, http_client, http_client_with_timeouts,
    retell::{CallMetadata, CreatePhoneCall, Retell},
    twilio::Twilio,
    whatsapp::{Button, OutboundContent, Recipient, WhatsApp, WhatsAppMessage},
};
use serde_json::{Value, json};
use url::Url;

/// What the server is to answer.
#[derive(Clone)]
enum Reply {
    Answer { status: u16, headers: Vec<(&'static str, &'static str)>, body: String },
    Never,
}

fn answer(status: u16, body: impl ToString) -> Reply {
    Reply::Answer { status, headers: Vec::new(), body: body.to_string() }
}

struct Seen {
    method: String,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

struct Server {
    url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(reply: Reply) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let router = Router::new().fallback(respond).with_state((reply, Arc::clone(&seen)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    /// The only request that came.
    fn only(&self) -> Seen {
        let mut seen = self.seen.lock().unwrap();
        assert_eq!(seen.len(), 1, "clients send each request once");
        seen.remove(0)
    }
}

async fn respond(State((reply, seen)): State<(Reply, Arc<Mutex<Vec<Seen>>>)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.to_string();
    seen.lock().unwrap().push(Seen { method: parts.method.to_string(), path, headers: parts.headers, body });
    match reply {
        Reply::Answer { status, headers, body } => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Reply::Never => std::future::pending().await,
    }
}

/// An address where nobody listens.
async fn nobody() -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

fn impatient() -> reqwest::Client {
    http_client_with_timeouts(Duration::from_millis(500), Duration::from_millis(200))
}

fn retell(url: &Url, http: reqwest::Client) -> Retell {
    Retell::new(http, url.clone(), "key_test".into())
}

fn whatsapp(url: &Url, http: reqwest::Client) -> WhatsApp {
    WhatsApp::new(http, url.clone(), "2000".into(), "token_test".into())
}

fn twilio(url: &Url, http: reqwest::Client) -> Twilio {
    Twilio::new(http, url.clone(), "AC01".into(), "auth_test".into(), "+15005550106".into())
}

fn call() -> CreatePhoneCall {
    CreatePhoneCall {
        from_number: "+15005550106".into(),
        to_number: "+15005550142".into(),
        override_agent_id: "agent_a".into(),
        override_agent_version: "latest_published",
        metadata: CallMetadata {
            call_id: "c1".into(),
            user_id: "u1".into(),
            call_type: "planning".into(),
            attempt_id: "a1".into(),
        },
        retell_llm_dynamic_variables: BTreeMap::from([("current_streak".into(), "3".into())]),
        idempotency_key: "a1".into(),
    }
}

fn message(content: OutboundContent) -> WhatsAppMessage {
    WhatsAppMessage { to: Recipient::Phone("15005550142".into()), content, biz_opaque_callback_data: Some("m1".into()) }
}

fn text() -> WhatsAppMessage {
    message(OutboundContent::Text { body: "Hello".into() })
}

fn rejected(status: u16, code: Option<i64>, class: Class) -> ProviderError {
    ProviderError::Rejected { status, code, class }
}

const LIMITED: ProviderError = ProviderError::RateLimited { retry_after: None };

fn misconfigured(status: u16, code: Option<i64>) -> ProviderError {
    ProviderError::Misconfigured { status: Some(status), code }
}

#[tokio::test]
async fn retell_creates_a_call() {
    let server = Server::start(answer(201, r#"{"call_id":"call_01","call_status":"registered"}"#)).await;
    let created = retell(&server.url, http_client()).create_phone_call(&call()).await.unwrap();
    assert_eq!(created.call_id, "call_01");
    let seen = server.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/base/v2/create-phone-call"));
    assert_eq!(seen.header("authorization"), "Bearer key_test");
    assert_eq!(
        seen.json(),
        json!({
            "from_number": "+15005550106", "to_number": "+15005550142", "override_agent_id": "agent_a",
            "override_agent_version": "latest_published",
            "metadata": { "call_id": "c1", "user_id": "u1", "call_type": "planning", "attempt_id": "a1" },
            "retell_llm_dynamic_variables": { "current_streak": "3" }, "idempotency_key": "a1",
        })
    );
    assert!(!format!("{:?}", call()).contains("5005550142"));
}

#[tokio::test]
async fn retell_answers_are_told_apart() {
    let says = |message: &str| json!({ "status": "error", "message": message });
    for (reply, expected) in [
        (answer(429, ""), LIMITED),
        (
            Reply::Answer { status: 429, headers: vec![("retry-after", "7")], body: String::new() },
            ProviderError::RateLimited { retry_after: Some(Duration::from_secs(7)) },
        ),
        (answer(400, says("Invalid to_number +15005550142")), rejected(400, None, Class::InvalidNumber)),
        (answer(400, says("Phone number is not a valid E.164")), rejected(400, None, Class::InvalidNumber)),
        (answer(422, says("destination is unreachable")), rejected(422, None, Class::InvalidNumber)),
        (answer(400, says("from_number is not a valid phone number")), rejected(400, None, Class::InvalidRequest)),
        (answer(400, says("contact is marked do_not_call")), rejected(400, None, Class::OptedOut)),
        (answer(400, "not json"), rejected(400, None, Class::InvalidRequest)),
        (answer(404, says("no such phone number")), rejected(404, None, Class::NotFound)),
        (answer(422, says("agent not found")), rejected(422, None, Class::NotFound)),
        (answer(401, ""), misconfigured(401, None)),
        (answer(402, ""), misconfigured(402, None)),
        (answer(403, ""), misconfigured(403, None)),
        (answer(307, ""), misconfigured(307, None)),
        (answer(408, ""), ProviderError::Unknown),
        (answer(409, ""), ProviderError::Unknown),
        (answer(500, ""), ProviderError::Unknown),
        (answer(503, ""), ProviderError::Unknown),
        (answer(201, "{}"), ProviderError::Unknown),
        (answer(201, "{\"call_id\":"), ProviderError::Unknown),
    ] {
        let server = Server::start(reply).await;
        let error = retell(&server.url, http_client()).create_phone_call(&call()).await.unwrap_err();
        assert_eq!(error, expected);
        assert!(!format!("{error:?} {error}").contains("5005550142"));
        server.only();
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_lost_connection_is_not() {
    let server = Server::start(Reply::Never).await;
    let url = &server.url;
    let lost = ProviderError::Unknown;
    assert_eq!(retell(url, impatient()).create_phone_call(&call()).await.unwrap_err(), lost);
    assert_eq!(whatsapp(url, impatient()).send(&text()).await.unwrap_err(), lost);
    assert_eq!(twilio(url, impatient()).send_sms("+15005550142", "Hello", None).await.unwrap_err(), lost);
    assert_eq!(server.seen.lock().unwrap().len(), 3, "nothing is repeated");

    let (url, none) = (&nobody().await, ProviderError::Unavailable { status: None });
    assert_eq!(retell(url, http_client()).create_phone_call(&call()).await.unwrap_err(), none);
    assert_eq!(whatsapp(url, http_client()).send(&text()).await.unwrap_err(), none);
    assert_eq!(twilio(url, http_client()).send_sms("+15005550142", "Hello", None).await.unwrap_err(), none);
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut [0; 4096]);
        }
    });
    assert_eq!(retell(&url, http_client()).create_phone_call(&call()).await.unwrap_err(), ProviderError::Unknown);
}

#[tokio::test]
async fn retell_gets_a_call() {
    let server =
        Server::start(answer(200, r#"{"call_id":"call_01","call_status":"ended","duration_ms":184000}"#)).await;
    let found = retell(&server.url, http_client()).get_call("call/01").await.unwrap().unwrap();
    assert_eq!((found.call_status.as_deref(), found.duration_ms), (Some("ended"), Some(184_000)));
    let seen = server.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/base/v2/get-call/call%2F01"));
    for status in [404, 422] {
        let server = Server::start(answer(status, "{}")).await;
        assert!(retell(&server.url, http_client()).get_call("call_02").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn retell_finds_a_call_by_attempt_and_trusts_no_other() {
    let item = |attempt: &str| json!({ "call_id": "call_01", "metadata": { "attempt_id": attempt } });
    let page = |items: Vec<Value>| answer(200, json!({ "items": items, "has_more": false }));

    let server = Server::start(page(vec![item("a1")])).await;
    let found = retell(&server.url, http_client()).find_by_attempt("a1").await.unwrap().unwrap();
    assert_eq!(found.call_id, "call_01");
    let seen = server.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/base/v3/list-calls"));
    let filter = json!([{ "key": "attempt_id", "type": "string", "op": "eq", "value": "a1" }]);
    let query = json!({ "filter_criteria": { "metadata": filter }, "limit": 2, "sort_order": "descending" });
    assert_eq!(seen.json(), query);

    let server = Server::start(page(vec![])).await;
    assert!(retell(&server.url, http_client()).find_by_attempt("a1").await.unwrap().is_none());
    for reply in [page(vec![item("a2")]), page(vec![json!({ "call_id": "x" })]), answer(200, "[]"), answer(200, "{}")] {
        let server = Server::start(reply).await;
        let error = retell(&server.url, http_client()).find_by_attempt("a1").await.unwrap_err();
        assert_eq!(error, ProviderError::Unknown);
    }
}

#[tokio::test]
async fn retell_tells_concurrency() {
    let body =
        r#"{"current_concurrency":3,"concurrency_limit":20,"reserved_inbound_concurrency":4,"base_concurrency":20}"#;
    let server = Server::start(answer(200, body)).await;
    let told = retell(&server.url, http_client()).get_concurrency().await.unwrap();
    assert_eq!((told.current, told.limit, told.reserved_inbound), (3, 20, Some(4)));
    assert_eq!(server.only().path, "/base/get-concurrency");
}

#[tokio::test]
async fn whatsapp_sends_each_kind() {
    let accepted = r#"{"messaging_product":"whatsapp","messages":[{"id":"wamid.A","message_status":"accepted"}]}"#;
    let template = |parameters: Vec<String>, button_payloads: Vec<String>| OutboundContent::Template {
        name: "completion_check".into(),
        language: "en_GB".into(),
        parameters,
        button_payloads,
    };
    let buttons =
        vec![Button { id: "done".into(), title: "Done".into() }, Button { id: "skip".into(), title: "Skip".into() }];
    for (content, kind, expected) in [
        (OutboundContent::Text { body: "Hello".into() }, "text", json!({ "body": "Hello", "preview_url": false })),
        (
            template(vec!["Mara".into()], vec!["done:1".into(), "skip:1".into()]),
            "template",
            json!({ "name": "completion_check", "language": { "code": "en_GB" }, "components": [
                { "type": "body", "parameters": [{ "type": "text", "text": "Mara" }] },
                { "type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{ "type": "payload", "payload": "done:1" }] },
                { "type": "button", "sub_type": "quick_reply", "index": "1", "parameters": [{ "type": "payload", "payload": "skip:1" }] },
            ] }),
        ),
        (
            template(vec![], vec![]),
            "template",
            json!({ "name": "completion_check", "language": { "code": "en_GB" }, "components": [] }),
        ),
        (
            OutboundContent::Buttons { body: "Did you?".into(), buttons },
            "interactive",
            json!({ "type": "button", "body": { "text": "Did you?" }, "action": { "buttons": [
                { "type": "reply", "reply": { "id": "done", "title": "Done" } },
                { "type": "reply", "reply": { "id": "skip", "title": "Skip" } },
            ] } }),
        ),
    ] {
        let server = Server::start(answer(200, accepted)).await;
        let sent = whatsapp(&server.url, http_client()).send(&message(content)).await.unwrap();
        assert_eq!(sent.message_id, "wamid.A");
        let seen = server.only();
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/base/2000/messages"));
        assert_eq!(seen.header("authorization"), "Bearer token_test");
        let mut whole = json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": "15005550142",
                                "type": kind, "biz_opaque_callback_data": "m1" });
        whole[kind] = expected;
        assert_eq!(seen.json(), whole);
    }
}

#[tokio::test]
async fn whatsapp_answers_are_told_apart() {
    let error =
        |status: u16, code: i64| answer(status, json!({ "error": { "code": code, "message": "+15005550142" } }));
    let done = |status, code, class| rejected(status, Some(code), class);
    for (reply, expected) in [
        (error(400, 131_056), LIMITED),
        (error(400, 130_429), LIMITED),
        (error(400, 80007), LIMITED),
        (error(429, 4), LIMITED),
        (answer(429, ""), LIMITED),
        (error(400, 131_047), done(400, 131_047, Class::WindowClosed)),
        (error(400, 131_026), done(400, 131_026, Class::NotOnWhatsApp)),
        (error(400, 131_048), done(400, 131_048, Class::Undeliverable)),
        (error(400, 131_049), done(400, 131_049, Class::Undeliverable)),
        (error(400, 131_051), done(400, 131_051, Class::InvalidRequest)),
        (error(404, 132_001), done(404, 132_001, Class::Template)),
        (error(400, 132_015), done(400, 132_015, Class::Template)),
        (error(400, 100), done(400, 100, Class::InvalidRequest)),
        (error(400, 999_999), done(400, 999_999, Class::InvalidRequest)),
        (error(500, 131_000), ProviderError::Unavailable { status: Some(500) }),
        (error(503, 131_016), ProviderError::Unavailable { status: Some(503) }),
        (error(401, 190), misconfigured(401, Some(190))),
        (error(400, 190), misconfigured(400, Some(190))),
        (error(403, 200), misconfigured(403, Some(200))),
        (error(500, 999_999), ProviderError::Unknown),
        (answer(502, "<html>"), ProviderError::Unknown),
        (answer(200, r#"{"messages":[]}"#), ProviderError::Unknown),
        (answer(200, "<html>"), ProviderError::Unknown),
    ] {
        let server = Server::start(reply).await;
        let error = whatsapp(&server.url, http_client()).send(&text()).await.unwrap_err();
        assert_eq!(error, expected);
        assert!(!format!("{error:?} {error}").contains("5005550142"));
        server.only();
    }
    assert!(!format!("{:?}", text()).contains("5005550142") && !format!("{:?}", text()).contains("Hello"));
}

#[tokio::test]
async fn twilio_sends_a_form() {
    let server = Server::start(answer(201, r#"{"sid":"SM01","status":"queued","error_code":null}"#)).await;
    let callback = "https://api.ivy.example/v1/webhooks/twilio?m=1".parse().unwrap();
    let sent = twilio(&server.url, http_client()).send_sms("+15005550142", "1 & 2", Some(&callback)).await.unwrap();
    assert_eq!(sent.sid, "SM01");
    let seen = server.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/base/Accounts/AC01/Messages.json"));
    assert_eq!(seen.header("authorization"), "Basic QUMwMTphdXRoX3Rlc3Q=");
    assert_eq!(seen.header(header::CONTENT_TYPE.as_str()), "application/x-www-form-urlencoded");
    assert_eq!(
        seen.body,
        "To=%2B15005550142&From=%2B15005550106&Body=1+%26+2&\
         StatusCallback=https%3A%2F%2Fapi.ivy.example%2Fv1%2Fwebhooks%2Ftwilio%3Fm%3D1"
    );
}

#[tokio::test]
async fn twilio_answers_are_told_apart() {
    let error =
        |status: u16, code: i64| answer(status, json!({ "code": code, "status": status, "message": "+15005550142" }));
    let done = |status, code, class| rejected(status, Some(code), class);
    for (reply, expected) in [
        (error(400, 21610), done(400, 21610, Class::OptedOut)),
        (error(400, 21211), done(400, 21211, Class::InvalidNumber)),
        (error(400, 21612), done(400, 21612, Class::InvalidNumber)),
        (error(400, 21614), done(400, 21614, Class::InvalidNumber)),
        (error(400, 21408), done(400, 21408, Class::NotAllowed)),
        (error(400, 21608), done(400, 21608, Class::NotAllowed)),
        (error(400, 30007), done(400, 30007, Class::Undeliverable)),
        (error(400, 99999), done(400, 99999, Class::InvalidRequest)),
        (error(404, 20404), done(404, 20404, Class::InvalidRequest)),
        (error(429, 20429), LIMITED),
        (error(503, 20429), LIMITED),
        (answer(429, ""), LIMITED),
        (error(401, 20003), misconfigured(401, Some(20003))),
        (answer(403, ""), misconfigured(403, None)),
        (error(500, 21610), ProviderError::Unknown),
        (error(503, 20503), ProviderError::Unknown),
        (answer(201, "<TwilioResponse/>"), ProviderError::Unknown),
    ] {
        let server = Server::start(reply).await;
        let error = twilio(&server.url, http_client()).send_sms("+15005550142", "Hello", None).await.unwrap_err();
        assert_eq!(error, expected);
        assert!(!format!("{error:?} {error}").contains("5005550142"));
        server.only();
    }
    let client = twilio(&nobody().await, http_client());
    assert!(!format!("{client:?}").contains("auth_test"));
}

#[test]
fn only_unknown_may_have_happened() {
    for (error, retryable, may_have_happened) in [
        (rejected(400, None, Class::InvalidNumber), false, false),
        (LIMITED, true, false),
        (ProviderError::Unavailable { status: None }, true, false),
        (ProviderError::Unknown, true, true),
        (misconfigured(401, None), true, false),
    ] {
        assert_eq!((error.retryable(), error.may_have_happened()), (retryable, may_have_happened), "{error}");
    }
}
