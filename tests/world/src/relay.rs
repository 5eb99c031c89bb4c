//! The way to the providers: an HTTP server between the clients under test and the simulators, with the world's gate in it.
//!
//! Provider clients take a base URL and nothing else, so the gate cannot stand inside them. The relay passes each request on
//! as it is, or lets it fail as the [`Gate`] rules. An answer that is lost is told as a gateway's 504: for the clients under
//! test it means the same as a connection that broke (`providers/src/error.rs`), and the simulators' own tests cover the wire.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use http_body_util::BodyExt as _;
use ivy_simulators::{Fault, Provider, Simulators};
use serde_json::Value;

use crate::gate::{Gate, Party, Passage, Ruling, Told};

#[derive(Clone)]
struct Relay {
    gate: Arc<dyn Gate>,
    simulators: Simulators,
    http: reqwest::Client,
}

/// Serves on a port of its own for as long as the runtime lives; answers the base URL.
pub(crate) async fn start(gate: Arc<dyn Gate>, simulators: Simulators) -> String {
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let relay = Relay { gate, simulators, http: ivy_providers::http_client() };
    let app = Router::new().fallback(pass).with_state(relay);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    url
}

fn party(path: &str) -> (Party, Provider) {
    match path.split('/').nth(1) {
        Some("retell") => (Party::Retell, Provider::Retell),
        Some("whatsapp") => (Party::WhatsApp, Provider::WhatsApp),
        _ => (Party::Twilio, Provider::Twilio),
    }
}

/// The last word of a path that is no id.
fn operation(method: &str, path: &str) -> String {
    let is_word =
        |part: &&str| part.len() > 2 && part.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-' || b == b'.');
    format!("{method} {}", path.split('/').rfind(is_word).unwrap_or_default())
}

async fn pass(State(relay): State<Relay>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let (party, provider) = party(&path);
    let reads = parts.method == axum::http::Method::GET;
    let writes = path.ends_with("create-phone-call") || (party != Party::Retell && !reads);
    let operation = operation(parts.method.as_str(), &path);
    let passage = Passage { party, operation, entities: Vec::new(), writes };
    let lost = || StatusCode::GATEWAY_TIMEOUT.into_response();
    let ruling = relay.gate.enter(&passage).await;
    match ruling {
        Ruling::LostBefore | Ruling::CrashBefore => return lost(),
        Ruling::Status(status) => relay.simulators.faults().next(provider, Fault::Status(status)),
        Ruling::Internal => relay.simulators.faults().next(provider, Fault::Status(500)),
        Ruling::Pass
        | Ruling::Conflict
        | Ruling::Throttled
        | Ruling::Unprocessed
        | Ruling::LostAfter
        | Ruling::CrashAfter => {}
    }
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let url = format!("{}{path}{query}", relay.simulators.url());
    let mut onward = relay.http.request(parts.method, url).body(body.clone());
    for name in [header::AUTHORIZATION, header::CONTENT_TYPE] {
        if let Some(value) = parts.headers.get(&name) {
            onward = onward.header(name, value);
        }
    }
    let answer = onward.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let bytes = answer.bytes().await.unwrap();
    let request = serde_json::from_slice(&body).unwrap_or(Value::Null);
    relay.gate.told(&passage, Told::Answered { request, status: status.as_u16() });
    match ruling {
        Ruling::LostAfter => lost(),
        Ruling::CrashAfter => {
            relay.gate.end().await;
            lost()
        }
        _ => answered(status, &headers, bytes.into()),
    }
}

fn answered(status: StatusCode, headers: &HeaderMap, body: Body) -> Response {
    let mut response = (status, body).into_response();
    for name in [header::CONTENT_TYPE, header::RETRY_AFTER] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}
