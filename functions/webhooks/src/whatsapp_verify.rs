//! `GET /webhooks/whatsapp`: Meta asks whether this address is ours.

use axum::{
    Extension,
    extract::{Query, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use ivy_providers::{Secret, whatsapp};
use ivy_runtime::{AppState, Problem, routes};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

/// The token that Meta was told when the webhook was set up.
#[derive(Debug, Clone)]
pub struct VerifyToken(pub Secret);

/// Meta's question.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Challenge {
    #[serde(rename = "hub.mode")]
    mode: Option<String>,
    #[serde(rename = "hub.verify_token")]
    verify_token: Option<String>,
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
}

pub fn router(token: VerifyToken) -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(whatsapp_verify)).layer(Extension(token))
}

/// Meta's verification of the webhook
#[utoipa::path(
    get, path = "/webhooks/whatsapp", tag = "webhooks", operation_id = "whatsapp-verify", security(()),
    params(Challenge),
    responses(
        (status = 200, description = "The challenge", body = String, content_type = "text/plain"),
        (status = 403, description = "The token is not ours", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn whatsapp_verify(
    Extension(VerifyToken(expected)): Extension<VerifyToken>,
    asked: Result<Query<Challenge>, QueryRejection>,
) -> Result<Response, Problem> {
    // What cannot be read is not Meta's question.
    let forbidden = || Problem::new("forbidden", StatusCode::FORBIDDEN, "This is not allowed");
    let Query(asked) = asked.map_err(|_| forbidden())?;
    let answer = whatsapp::verify_challenge(
        asked.mode.as_deref(),
        asked.verify_token.as_deref(),
        asked.challenge.as_deref(),
        &expected,
    );
    match answer {
        Ok(challenge) => Ok(challenge.to_owned().into_response()),
        Err(_) => Err(forbidden()),
    }
}
