//! The simulators' own doors, which no provider has: the handset page, and JSON for the page and for tests in another process.
//!
//! | request | effect |
//! |---|---|
//! | `GET /`, `GET /handset?phone=…` | the page |
//! | `GET /templates` | the same page, with every template as it will look |
//! | `GET /simulator/templates` | the templates of `infra/whatsapp/templates.json`, filled with their samples |
//! | `GET /simulator/state` | phones, calls, posted webhooks |
//! | `GET /simulator/rings?phone=…` | every dialling, of one phone where named |
//! | `POST /simulator/faults` | `{clear?, next?: [{provider, fault}], duplicate_webhooks?, reverse_webhooks?, late_ms?, hold_ms?}` |
//! | `PUT /simulator/persona/{phone}` | `{"persona": "answers", "script": {…}}`, `{"persona": "busy"}` …, `on_whatsapp?` |
//! | `GET /simulator/handset/{phone}` | the live call, the messages that arrived, the whole thread |
//! | `POST /simulator/handset/{phone}/{action}` | `answer` (with a script: the whole talk; without: picks up), `hangup` (script), `decline`, `reply` and `sms` (`text`), `voice`, `tap` (`message_id`, `button`), `look`, `call` (the person calls us), `tool` (`name`, `args`: the agent uses one; answers what the API said) |
//!
//! Actions answer 204, 404 where there is nothing to act on, 409 where the phone can't (WhatsApp on a phone without it, a second
//! tap on a message), 400 for a body that can't be read. A refusal says why in `message`, which the page shows.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    CallScript, CallStatus, Fault, Inner, Persona, Provider, SimulatedCall,
    calls::RING,
    handset::{Unable, WINDOW, normal},
    retell, server,
};

pub(crate) async fn page() -> Html<&'static str> {
    Html(include_str!("handset.html"))
}

fn refused(status: StatusCode, message: &str) -> Response {
    server::json(status, &json!({"message": message}))
}

fn bad(message: &str) -> Response {
    refused(StatusCode::BAD_REQUEST, message)
}

fn nothing(message: &str) -> Response {
    refused(StatusCode::NOT_FOUND, message)
}

fn ok(body: &Value) -> Response {
    server::json(StatusCode::OK, body)
}

pub(crate) async fn state(State(inner): State<Arc<Inner>>) -> Response {
    let pending_faults = inner.faults.pending();
    let now = inner.now();
    let state = inner.state();
    let phones: Vec<Value> = state
        .phones
        .iter()
        .map(|(phone, entry)| json!({"phone": phone, "messages": entry.thread.len(), "persona": entry.persona}))
        .collect();
    ok(&json!({
        "now": now,
        "phones": phones,
        "rings": state.rings.len(),
        "calls": state.calls,
        "live_calls": state.calls.iter().filter(|call| call.is_live()).count(),
        "concurrency_limit": retell::CONCURRENCY_LIMIT,
        "webhooks": {"posted": state.posted, "waiting": state.outgoing.len()},
        "pending_faults": pending_faults,
    }))
}

pub(crate) async fn templates(State(inner): State<Arc<Inner>>) -> Response {
    match inner.templates.samples() {
        Some(templates) => ok(&json!({"templates": templates})),
        None => nothing("there is no infra/whatsapp/templates.json"),
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct OfPhone {
    phone: Option<String>,
}

pub(crate) async fn rings(State(inner): State<Arc<Inner>>, Query(query): Query<OfPhone>) -> Response {
    let phone = query.phone.as_deref().map(normal);
    let state = inner.state();
    let rings: Vec<_> =
        state.rings.iter().filter(|ring| phone.as_ref().is_none_or(|phone| ring.to == *phone)).collect();
    ok(&json!({"rings": rings}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NextFault {
    provider: Provider,
    fault: Fault,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultSettings {
    #[serde(default)]
    clear: bool,
    #[serde(default)]
    next: Vec<NextFault>,
    duplicate_webhooks: Option<bool>,
    reverse_webhooks: Option<bool>,
    late_ms: Option<u64>,
    hold_ms: Option<u64>,
}

pub(crate) async fn faults(State(inner): State<Arc<Inner>>, body: Bytes) -> Response {
    let settings: FaultSettings = match serde_json::from_slice(&body) {
        Ok(settings) => settings,
        Err(error) => return bad(&error.to_string()),
    };
    let faults = &inner.faults;
    if settings.clear {
        faults.clear();
    }
    for next in settings.next {
        faults.next(next.provider, next.fault);
    }
    if let Some(on) = settings.duplicate_webhooks {
        faults.duplicate_webhooks(on);
    }
    if let Some(on) = settings.reverse_webhooks {
        faults.reverse_webhooks(on);
    }
    if let Some(milliseconds) = settings.late_ms {
        faults.late(Duration::from_millis(milliseconds));
    }
    if let Some(milliseconds) = settings.hold_ms {
        faults.hold(Duration::from_millis(milliseconds));
    }
    StatusCode::NO_CONTENT.into_response()
}

pub(crate) async fn persona(State(inner): State<Arc<Inner>>, Path(phone): Path<String>, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return bad("the body is not JSON") };
    let on_whatsapp = body.get("on_whatsapp").and_then(Value::as_bool);
    let persona = match body.get("persona") {
        None => None,
        Some(_) => match serde_json::from_value::<Persona>(body) {
            Ok(persona) => Some(persona),
            Err(error) => return bad(&error.to_string()),
        },
    };
    inner.with_phone(&phone, |entry| {
        if let Some(persona) = persona {
            entry.persona = Some(persona);
        }
        if let Some(on) = on_whatsapp {
            entry.no_whatsapp = !on;
        }
    });
    StatusCode::NO_CONTENT.into_response()
}

fn call_view(call: &SimulatedCall, now: Timestamp) -> Value {
    let since = call.started_at.unwrap_or(call.placed_at);
    json!({
        "call_id": call.call_id,
        "inbound": call.inbound,
        "agent_id": call.agent_id,
        "from": call.from,
        "call_type": call.call_type(),
        "variables": call.variables,
        "status": call.status,
        "seconds": now.duration_since(since).as_secs(),
        "rings_for_seconds": RING.as_secs(),
        "disconnection_reason": call.disconnection_reason,
        "at": call.placed_at,
    })
}

pub(crate) async fn handset(State(inner): State<Arc<Inner>>, Path(phone): Path<String>) -> Response {
    let phone = normal(&phone);
    let now = inner.now();
    let persona = inner.persona(&phone, "");
    let live = inner.live_call(&phone);
    let (thread, messages) = (inner.thread(&phone), inner.arrived(&phone));
    let on_whatsapp = inner.on_whatsapp(&phone);
    let state = inner.state();
    let recent = state.calls.iter().rev().filter(|call| call.person() == phone && !call.is_live()).take(20);
    let recent: Vec<Value> = recent.map(|call| call_view(call, now)).collect();
    let entry = state.phones.get(&phone);
    let window = entry.and_then(|entry| entry.last_inbound).and_then(|at| at.checked_add(WINDOW).ok());
    ok(&json!({
        "phone": phone,
        "now": now,
        "persona": persona,
        "on_whatsapp": on_whatsapp,
        "window_open": entry.is_some_and(|entry| entry.window_open(now)),
        "window_until": window,
        "call": live.map(|call| call_view(&call, now)),
        "recent_calls": recent,
        "messages": messages,
        "thread": thread,
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Action {
    text: Option<String>,
    message_id: String,
    button: String,
    name: String,
    args: Value,
    analysis: Option<Value>,
    transcript: Option<String>,
    /// The time since the answer where it is left out.
    duration_seconds: Option<u32>,
    user_spoke: Option<bool>,
}

impl Action {
    fn script(&self, lasted: u32) -> CallScript {
        let nothing = CallScript::nothing();
        CallScript {
            duration_seconds: self.duration_seconds.unwrap_or(lasted),
            user_spoke: self.user_spoke.unwrap_or(true),
            analysis: self.analysis.clone().unwrap_or(nothing.analysis),
            user_sentiment: None,
            transcript: self.transcript.clone().unwrap_or(nothing.transcript),
        }
    }
}

pub(crate) async fn act(
    State(inner): State<Arc<Inner>>,
    Path((phone, action)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let request: Action = match serde_json::from_slice(if body.is_empty() { b"{}" } else { &body }) {
        Ok(request) => request,
        Err(error) => return bad(&error.to_string()),
    };
    match action.as_str() {
        "answer" | "decline" | "hangup" => on_the_call(&inner, &phone, &action, &request),
        "call" | "tool" => by_the_api(&inner, &phone, &action, &request).await,
        _ => in_the_thread(&inner, &phone, &action, &request),
    }
}

/// What the person does with the call that rings or runs.
fn on_the_call(inner: &Arc<Inner>, phone: &str, action: &str, request: &Action) -> Response {
    let live = inner.live_call(&normal(phone));
    let ringing = live.as_ref().filter(|call| call.status == CallStatus::Registered);
    let done = match action {
        "answer" => ringing.is_some_and(|call| match request.analysis {
            Some(_) => inner.answer(&call.call_id, request.script(CallScript::nothing().duration_seconds)),
            None => inner.connect(&call.call_id),
        }),
        "decline" => ringing.is_some_and(|call| inner.decline(&call.call_id)),
        _ => live.as_ref().is_some_and(|call| {
            let lasted = call.started_at.map_or(0, |start| inner.now().duration_since(start).as_secs());
            inner.hang_up(&call.call_id, request.script(u32::try_from(lasted).unwrap_or(0)))
        }),
    };
    match (done, action) {
        (true, _) => StatusCode::NO_CONTENT.into_response(),
        (false, "hangup") => nothing("no call is running"),
        (false, _) => nothing("no call is ringing"),
    }
}

/// What asks the API and waits for its answer.
async fn by_the_api(inner: &Arc<Inner>, phone: &str, action: &str, request: &Action) -> Response {
    let live = inner.live_call(&normal(phone));
    match (action, live) {
        ("call", None) => call_us(inner, &normal(phone)).await,
        ("call", Some(_)) => nothing("a call is on this phone already"),
        (_, live) => {
            let running = live.and_then(|call| inner.tool_request(&call.call_id, &request.name, &request.args));
            let Some(body) = running else { return nothing("no call is running") };
            match inner.ask(&format!("/functions/{}", request.name), body).await {
                Some(answer) => ok(&answer),
                None => refused(StatusCode::BAD_GATEWAY, "the API did not answer the tool"),
            }
        }
    }
}

/// What the person writes, taps and sees.
fn in_the_thread(inner: &Arc<Inner>, phone: &str, action: &str, request: &Action) -> Response {
    let text = request.text.as_deref().map(str::trim).unwrap_or_default();
    let done = match action {
        "reply" | "sms" if text.is_empty() => return bad("text is required"),
        "reply" => inner.write_whatsapp(phone, text),
        "voice" => inner.write_voice_note(phone),
        "tap" => inner.tap(phone, &request.message_id, &request.button),
        "sms" => {
            inner.write_sms(phone, text);
            Ok(())
        }
        "look" => {
            inner.look(phone);
            Ok(())
        }
        _ => return nothing("there is no such action"),
    };
    match done {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(unable @ Unable::NoButton) => nothing(unable.reason()),
        Err(unable @ (Unable::NoWhatsApp | Unable::Tapped)) => refused(StatusCode::CONFLICT, unable.reason()),
    }
}

/// The person calls: the API is asked who speaks, and the call runs.
async fn call_us(inner: &Arc<Inner>, phone: &str) -> Response {
    let call_id = format!("call_{}", uuid::Uuid::new_v4().simple());
    let answer = inner.ask("/inbound", inner.inbound_question(&call_id, phone)).await;
    inner.begin_inbound(&call_id, phone, &answer.unwrap_or(Value::Null));
    ok(&json!({"call_id": call_id}))
}
