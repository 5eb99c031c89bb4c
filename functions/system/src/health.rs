//! `GET /health`: whether the table answers, and which version this is.

use axum::{Json, extract::State, http::StatusCode};
use ivy_flows::Ivy;
use ivy_runtime::{AppState, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The system's state.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthView {
    /// `ok` or `unavailable`.
    #[schema(example = "ok")]
    pub status: &'static str,
    #[schema(example = "0.1.0")]
    pub version: &'static str,
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health))
}

/// Health
#[utoipa::path(
    get, path = "/health", tag = "system", operation_id = "health", security(()),
    responses(
        (status = 200, description = "The table answers", body = HealthView),
        (status = 503, description = "It does not", body = HealthView),
    )
)]
async fn health(State(ivy): State<Ivy>) -> (StatusCode, Json<HealthView>) {
    let version = env!("CARGO_PKG_VERSION");
    match ivy.store.ping().await {
        Ok(()) => (StatusCode::OK, Json(HealthView { status: "ok", version })),
        Err(error) => {
            tracing::error!(event = "table_not_reachable", %error);
            (StatusCode::SERVICE_UNAVAILABLE, Json(HealthView { status: "unavailable", version }))
        }
    }
}
