//! `POST /webhooks/retell/inbound`: somebody calls; who answers, and what do they know?

use axum::{Extension, Json, extract::State, http::HeaderMap};
use ivy_flows::{Ivy, inbound_calls};
use ivy_providers::retell::{self, InboundAnswer, InboundEvent};
use ivy_runtime::{
    AppState, Problem, WebhookProblems, routes,
    webhook::{RawBody, signature_failed},
};
use utoipa_axum::router::OpenApiRouter;

use crate::retell_webhook::RetellKeys;

pub fn router(keys: RetellKeys) -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(retell_inbound)).layer(Extension(keys))
}

/// Context for a call to us
#[utoipa::path(
    post, path = "/webhooks/retell/inbound", tag = "webhooks", operation_id = "retell-inbound", security(()),
    params(("X-Retell-Signature" = String, Header, description = "v=<unix ms>,d=<hex HMAC-SHA256>")),
    request_body(content = Object, description = "Retell's question: `{event, call_inbound: {from_number, to_number, call_id}}`"),
    responses(
        (status = 200, description = "The agent, its variables and our ids; for strangers the agent alone", body = Object),
        WebhookProblems
    )
)]
async fn retell_inbound(
    State(ivy): State<Ivy>,
    Extension(RetellKeys(keys)): Extension<RetellKeys>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Json<InboundAnswer>, Problem> {
    retell::verify_webhook(&keys, &headers, &body, ivy.now()).map_err(|_| signature_failed("retell"))?;
    let event: InboundEvent =
        serde_json::from_slice(&body).map_err(|_| Problem::malformed("The body does not tell of a call to us."))?;
    Ok(Json(inbound_calls::call_inbound(&ivy, &event.call_inbound).await?))
}
