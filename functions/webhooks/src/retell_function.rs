//! `POST /webhooks/retell/functions/{name}`: the agent uses a tool while it talks.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
};
use ivy_flows::{
    Ivy,
    voice_tools::{self, ToolAnswer},
};
use ivy_providers::retell::{self, ToolCall};
use ivy_runtime::{
    AppState, Problem, WebhookProblems,
    http::{WEBHOOK_BODY_LIMIT, body_limit},
    routes, telemetry,
    webhook::{RawBody, signature_failed},
};
use utoipa_axum::router::OpenApiRouter;

use crate::retell_webhook::RetellKeys;

pub fn router(keys: RetellKeys) -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(retell_function)).layer(Extension(keys)).layer(body_limit(WEBHOOK_BODY_LIMIT))
}

/// A tool of the voice agent
#[utoipa::path(
    post, path = "/webhooks/retell/functions/{name}", tag = "webhooks", operation_id = "retell-function", security(()),
    params(
        ("name" = String, Path, description = "`get_today`, `plan_workout`, `log_workout`, `schedule_follow_up`, `record_score`, \
                                                `record_marker`, `pause_calls`, `opt_out` or `send_whatsapp_summary`"),
        ("X-Retell-Signature" = String, Header, description = "v=<unix ms>,d=<hex HMAC-SHA256>"),
    ),
    request_body(content = Object, description = "Retell's custom function: `{name, args, call}`"),
    responses(
        (status = 200, description = "`{ok, say}` and facts; `say` is for the agent's mouth, also when it was not done", body = Object),
        WebhookProblems
    )
)]
async fn retell_function(
    State(ivy): State<Ivy>,
    Extension(RetellKeys(keys)): Extension<RetellKeys>,
    Path(name): Path<String>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<Json<ToolAnswer>, Problem> {
    retell::verify_webhook(&keys, &headers, &body, ivy.now()).map_err(|_| signature_failed("retell"))?;
    let ToolCall { args, call, .. } =
        serde_json::from_slice(&body).map_err(|_| Problem::malformed("The body is no use of a tool."))?;
    let args = args.unwrap_or_default();
    let answer = voice_tools::use_tool(&ivy, &name, &args, &call).await.unwrap_or_else(|error| {
        // The person is on the line: they hear a sentence, and the analysis makes up for it. We hear of it here.
        let call_id = call.metadata.as_ref().and_then(|metadata| metadata.call_id.as_deref()).unwrap_or_default();
        tracing::error!(event = "voice_tool_failed", call_id, error = error.name());
        telemetry::count("voice_tool_failed", &[]);
        ToolAnswer::failed(&name)
    });
    Ok(Json(answer))
}
