//! `POST /webhooks/twilio`: what became of a text of ours, and how a phone call ended.

use axum::{
    Extension,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};
use ivy_domain::message::MessageStatus;
use ivy_flows::{
    Ivy,
    carrier::{self, CarrierStatus},
    messages::{self, StatusReport, WentTo},
};
use ivy_providers::{
    Failure, Secret,
    twilio::{self, CallStatus, Form, WebhookKeys},
};
use ivy_runtime::{
    AppState, Problem, WebhookProblems, routes,
    webhook::{PublicUrl, RawBody, signature_failed},
};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;

/// What may sign Twilio's callbacks.
#[derive(Debug, Clone)]
pub struct TwilioKeys(pub WebhookKeys);

impl TwilioKeys {
    /// The account's tokens: the present one, and the one before it while they rotate. Shared keys are Twilio's beta; we have none.
    #[must_use]
    pub const fn of(auth_tokens: Vec<Secret>) -> Self {
        Self(WebhookKeys { auth_tokens, shared_keys: Vec::new() })
    }
}

pub fn router(keys: TwilioKeys) -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(twilio_status)).layer(Extension(keys))
}

/// What we put into the callback's address ourselves.
#[derive(Debug, Deserialize)]
struct Ours {
    /// Our ids of the message: they name it also when the answer that held Twilio's was lost.
    m: Option<String>,
}

/// Statuses of texts and phone calls
#[utoipa::path(
    post, path = "/webhooks/twilio", tag = "webhooks", operation_id = "twilio-status", security(()),
    params(
        ("X-Twilio-Signature" = String, Header, description = "base64 HMAC-SHA1 over the whole address and the parameters"),
        ("m" = Option<String>, Query, description = "Our ids of the message, as we gave them with it"),
    ),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "Twilio's parameters"),
    responses((status = 204, description = "Taken, or known before, or not ours"), WebhookProblems)
)]
async fn twilio_status(
    State(ivy): State<Ivy>,
    Extension(TwilioKeys(keys)): Extension<TwilioKeys>,
    PublicUrl(url): PublicUrl,
    headers: HeaderMap,
    ours: Result<Query<Ours>, QueryRejection>,
    RawBody(body): RawBody,
) -> Result<StatusCode, Problem> {
    twilio::verify_webhook(&keys, &url, &headers, &body).map_err(|_| signature_failed("twilio"))?;
    let form = Form::parse(&body);
    if let Some(call) = CallStatus::from_form(&form) {
        let at = call.at.unwrap_or_else(|| ivy.now());
        let CallStatus { call_sid, from, to, status, duration_seconds, .. } = call;
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        let status = CarrierStatus { call_sid, from, to, status, duration_seconds, at };
        let taken = carrier::call_status(&ivy, &status).await?;
        tracing::info!(event = "carrier_status_taken", status = status.status, taken = ?taken);
    } else if let Some(status) = twilio::MessageStatus::from_form(&form) {
        let ours = ours.ok().and_then(|Query(ours)| ours.m);
        if let Some(report) = report(&status, ours.as_deref()) {
            messages::message_status(&ivy, &report).await?;
        }
    } else {
        tracing::info!(event = "twilio_callback_passed_over");
    }
    Ok(StatusCode::NO_CONTENT)
}

fn report<'a>(status: &'a twilio::MessageStatus, ours: Option<&str>) -> Option<StatusReport<'a>> {
    let moved_to = match status.status.as_str() {
        "sent" => MessageStatus::Sent,
        "delivered" => MessageStatus::Delivered,
        "read" => MessageStatus::Read,
        "failed" | "undelivered" => MessageStatus::Failed,
        // On its way at Twilio: nothing that a person would want to know.
        _ => return None,
    };
    let class = status.error_code.and_then(twilio::failure).and_then(|failure| match failure {
        Failure::Final(class) => Some(class),
        Failure::RateLimited | Failure::Transient | Failure::Misconfigured => None,
    });
    let failure = (moved_to == MessageStatus::Failed).then(|| messages::failure(class, status.error_code));
    let owner = ours.and_then(messages::owner_of_callback_data);
    let (provider_id, went_to) = (&status.message_sid, WentTo::default());
    Some(StatusReport { provider: "twilio", provider_id, owner, went_to, status: moved_to, failure, class })
}
