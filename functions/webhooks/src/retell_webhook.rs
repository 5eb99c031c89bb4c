//! `POST /webhooks/retell`: a call connected, ended, was analysed.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use ivy_flows::{Ivy, voice_events};
use ivy_providers::{Secret, retell};
use ivy_runtime::{
    AppState, Problem, WebhookProblems,
    http::{WEBHOOK_BODY_LIMIT, body_limit},
    routes,
    webhook::{RawBody, signature_failed},
};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;

/// The API keys that may sign: the present one, and the one before it while keys rotate.
#[derive(Debug, Clone)]
pub struct RetellKeys(pub Vec<Secret>);

pub fn router(keys: RetellKeys) -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(retell_webhook)).layer(Extension(keys)).layer(body_limit(WEBHOOK_BODY_LIMIT))
}

/// What every event has.
#[derive(Deserialize)]
struct Named {
    event: String,
}

/// Events of the voice provider
#[utoipa::path(
    post, path = "/webhooks/retell", tag = "webhooks", operation_id = "retell-webhook", security(()),
    params(("X-Retell-Signature" = String, Header, description = "v=<unix ms>,d=<hex HMAC-SHA256>")),
    request_body(content = Object, description = "Retell's event"),
    responses((status = 204, description = "Taken, or known before, or not ours"), WebhookProblems)
)]
async fn retell_webhook(
    State(ivy): State<Ivy>,
    Extension(RetellKeys(keys)): Extension<RetellKeys>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<StatusCode, Problem> {
    retell::verify_webhook(&keys, &headers, &body, ivy.now()).map_err(|_| signature_failed("retell"))?;
    let malformed = |_| Problem::malformed("The body is not an event of a call.");
    let Named { event: kind } = serde_json::from_slice(&body).map_err(malformed)?;
    if !kind.starts_with("call_") {
        // Retell tells of chats as well; refusing them would only bring them again.
        tracing::info!(event = "call_event_passed_over", kind);
        return Ok(StatusCode::NO_CONTENT);
    }
    let event = serde_json::from_slice(&body).map_err(malformed)?;
    let taken = voice_events::call_event(&ivy, &event).await?;
    tracing::info!(event = "call_event_taken", kind = event.event, taken = ?taken);
    Ok(StatusCode::NO_CONTENT)
}
