//! Retell's API: the six operations that Ivy uses, as strict as the documentation says.
//!
//! Two points are open in the documentation and settled here: a replayed idempotency key answers 201 with the same call in its present
//! state, whatever the new body says; and a full workspace answers 429. Any E.164 caller's number is taken as bought.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    CallStatus, Inner, Persona, SimulatedCall,
    server::{self, header, is_e164},
};

/// Calls at once in a pay-as-you-go workspace.
pub(crate) const CONCURRENCY_LIMIT: usize = 20;
const IDEMPOTENCY_KEPT: SignedDuration = SignedDuration::from_hours(1);
const LARGEST_METADATA: usize = 50_000;

pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    server::json(status, &json!({"status": "error", "message": message}))
}

pub(crate) fn bad(message: impl AsRef<str>) -> Response {
    error(StatusCode::BAD_REQUEST, message.as_ref())
}

/// The refusal of a request without our key.
pub(crate) fn unauthorised(inner: &Inner, headers: &HeaderMap) -> Option<Response> {
    let authorised = header(headers, "authorization") == format!("Bearer {}", inner.secrets.retell_api_key);
    (!authorised).then(|| error(StatusCode::UNAUTHORIZED, "Invalid API Key"))
}

pub(crate) fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "The requested resource was not found")
}

/// The request's fields after every check that needs the body only.
struct NewCall {
    from: String,
    to: String,
    agent_id: Option<String>,
    metadata: Map<String, Value>,
    variables: BTreeMap<String, String>,
    idempotency_key: Option<String>,
}

impl NewCall {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let body: Value = serde_json::from_slice(body).map_err(|_| "Request body is not valid JSON".to_owned())?;
        let Value::Object(body) = body else { return Err("Request body must be an object".to_owned()) };
        let number = |name: &str| match body.get(name).and_then(Value::as_str) {
            None => Err(format!("{name} is required and must be a string")),
            Some(number) if is_e164(number) => Ok(number.to_owned()),
            Some(_) => Err(format!("{name} is not a valid number in E.164 format")),
        };
        let text = |name: &str| match body.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("{name} must be a string")),
        };
        let object = |name: &str| match body.get(name) {
            None => Ok(Map::new()),
            Some(Value::Object(object)) => Ok(object.clone()),
            Some(_) => Err(format!("{name} must be an object")),
        };
        let metadata = object("metadata")?;
        if Value::Object(metadata.clone()).to_string().len() > LARGEST_METADATA {
            return Err("metadata must not exceed 50kB".to_owned());
        }
        let variables = object("retell_llm_dynamic_variables")?
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(text) => Ok((name, text)),
                _ => Err(format!("retell_llm_dynamic_variables/{name} must be string")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            from: number("from_number")?,
            to: number("to_number")?,
            agent_id: text("override_agent_id")?,
            metadata,
            variables,
            idempotency_key: text("idempotency_key")?,
        })
    }
}

/// `POST /v2/create-phone-call`
pub(crate) async fn create_phone_call(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers) {
        return refused;
    }
    let new = match NewCall::parse(&body) {
        Ok(new) => new,
        Err(message) => return bad(message),
    };
    let now = inner.now();
    let call_type = new.metadata.get("call_type").and_then(Value::as_str).unwrap_or_default();
    let persona = inner.persona(&new.to, call_type);
    let call = {
        let mut state = inner.state();
        let kept = new.idempotency_key.as_ref().and_then(|key| state.idempotency.get(key));
        if let Some((call_id, _)) = kept.filter(|(_, at)| now.duration_since(*at) < IDEMPOTENCY_KEPT)
            && let Some(call) = state.calls.iter().find(|call| call.call_id == *call_id)
        {
            return server::json(StatusCode::CREATED, &call.object());
        }
        if state.calls.iter().filter(|call| call.is_live()).count() >= CONCURRENCY_LIMIT {
            return error(StatusCode::TOO_MANY_REQUESTS, "Concurrency limit reached");
        }
        if persona == Persona::InvalidNumber {
            return bad("to_number is not a valid number");
        }
        let call_id = format!("call_{}", Uuid::new_v4().simple());
        if let Some(key) = &new.idempotency_key {
            state.idempotency.insert(key.clone(), (call_id.clone(), now));
        }
        let call = SimulatedCall {
            call_id,
            twilio_call_sid: crate::calls::new_call_sid(),
            inbound: false,
            from: new.from,
            to: new.to,
            agent_id: new.agent_id,
            status: CallStatus::Registered,
            metadata: new.metadata,
            variables: new.variables,
            idempotency_key: new.idempotency_key,
            placed_at: now,
            started_at: None,
            ended_at: None,
            disconnection_reason: None,
            script: None,
            in_voicemail: false,
            analysed: false,
        };
        // In the same lock as the checks, so that two requests at once can't both pass them.
        state.calls.push(call.clone());
        call
    };
    let answer = call.object();
    inner.dial(&call, persona);
    server::json(StatusCode::CREATED, &answer)
}

/// `GET /v2/get-call/{call_id}`
pub(crate) async fn get_call(
    State(inner): State<Arc<Inner>>,
    Path(call_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers) {
        return refused;
    }
    inner.call(&call_id).map_or_else(not_found, |call| server::json(StatusCode::OK, &call.object()))
}

/// `POST /v2/stop-call/{call_id}`
pub(crate) async fn stop_call(
    State(inner): State<Arc<Inner>>,
    Path(call_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers) {
        return refused;
    }
    if inner.call(&call_id).is_none() {
        return not_found();
    }
    if inner.finish(&call_id, "manual_stopped", None, false) {
        axum::response::IntoResponse::into_response(StatusCode::NO_CONTENT)
    } else {
        bad("Call already ended")
    }
}

/// `DELETE /v2/delete-call/{call_id}`: 204. A call that is under way cannot be deleted.
pub(crate) async fn delete_call(
    State(inner): State<Arc<Inner>>,
    Path(call_id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers) {
        return refused;
    }
    let mut state = inner.state();
    let Some(position) = state.calls.iter().position(|call| call.call_id == call_id) else { return not_found() };
    if state.calls[position].is_live() {
        return bad("Cannot delete an ongoing call");
    }
    state.calls.remove(position);
    state.idempotency.retain(|_, (kept, _)| *kept != call_id);
    axum::response::IntoResponse::into_response(StatusCode::NO_CONTENT)
}

/// One condition on the metadata. The SDK (6.2.13) sends a list of `{key, type, op, value}`; the plain map of older
/// descriptions (`{"attempt_id": "…"}`) is understood as well.
fn metadata_conditions(filter: &Value) -> Result<Vec<(String, String, Value)>, String> {
    match filter.get("metadata") {
        None => Ok(Vec::new()),
        Some(Value::Object(map)) => {
            Ok(map.iter().map(|(key, value)| (key.clone(), "eq".to_owned(), value.clone())).collect())
        }
        Some(Value::Array(conditions)) => conditions
            .iter()
            .map(|condition| {
                let part = |name: &str| condition.get(name).and_then(Value::as_str).map(str::to_owned);
                match (part("key"), part("op"), condition.get("type"), condition.get("value")) {
                    (Some(key), Some(op), Some(_), Some(value)) => Ok((key, op, value.clone())),
                    _ => Err("filter_criteria/metadata needs key, type, op and value".to_owned()),
                }
            })
            .collect(),
        Some(_) => Err("filter_criteria/metadata must be a list".to_owned()),
    }
}

fn meets(call: &SimulatedCall, (key, op, wanted): &(String, String, Value)) -> bool {
    let found = call.metadata.get(key);
    match (op.as_str(), found, found.and_then(Value::as_str), wanted.as_str()) {
        ("eq", Some(found), _, _) => found == wanted,
        ("ne", found, _, _) => found != Some(wanted),
        ("sw", _, Some(found), Some(wanted)) => found.starts_with(wanted),
        ("ew", _, Some(found), Some(wanted)) => found.ends_with(wanted),
        ("co", _, Some(found), Some(wanted)) => found.contains(wanted),
        _ => false,
    }
}

/// `POST /v3/list-calls`
pub(crate) async fn list_calls(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers) {
        return refused;
    }
    let Ok(request) = serde_json::from_slice::<Value>(if body.is_empty() { b"{}" } else { &body }) else {
        return bad("Request body is not valid JSON");
    };
    let filter = request.get("filter_criteria").cloned().unwrap_or_else(|| json!({}));
    let conditions = match metadata_conditions(&filter) {
        Ok(conditions) => conditions,
        Err(message) => return bad(message),
    };
    let limit = match request.get("limit") {
        None => 50,
        Some(limit) => match limit.as_u64().and_then(|limit| usize::try_from(limit).ok()) {
            Some(limit @ 1..=1000) => limit,
            _ => return bad("limit must be between 1 and 1000"),
        },
    };
    let mut found: Vec<SimulatedCall> = inner
        .state()
        .calls
        .iter()
        .filter(|call| !inner.faults.hides_calls() && conditions.iter().all(|condition| meets(call, condition)))
        .cloned()
        .collect();
    match request.get("sort_order").and_then(Value::as_str) {
        None | Some("descending") => found.reverse(),
        Some("ascending") => {}
        Some(_) => return bad("sort_order must be ascending or descending"),
    }
    let start = match request.get("pagination_key").and_then(Value::as_str) {
        None => 0,
        Some(key) => match found.iter().position(|call| call.call_id == key) {
            Some(position) => position + 1,
            None => return bad("pagination_key is unknown"),
        },
    };
    let page: Vec<&SimulatedCall> = found.iter().skip(start).take(limit).collect();
    let has_more = found.len() > start + page.len();
    let mut answer = json!({"items": page.iter().map(|call| call.object()).collect::<Vec<_>>(), "has_more": has_more});
    if let (true, Some(last)) = (has_more, page.last()) {
        answer["pagination_key"] = json!(last.call_id);
    }
    if request.get("include_total").and_then(Value::as_bool) == Some(true) {
        answer["total"] = json!(found.len());
    }
    server::json(StatusCode::OK, &answer)
}

/// `GET /get-concurrency`
pub(crate) async fn get_concurrency(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers) {
        return refused;
    }
    let current = inner.state().calls.iter().filter(|call| call.is_live()).count();
    let answer = json!({
        "current_concurrency": current,
        "concurrency_limit": CONCURRENCY_LIMIT,
        "base_concurrency": CONCURRENCY_LIMIT,
        "purchased_concurrency": 0,
        "reserved_inbound_concurrency": 0,
    });
    server::json(StatusCode::OK, &answer)
}
