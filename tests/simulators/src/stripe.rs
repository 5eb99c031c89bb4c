//! Stripe's API: the one operation that Ivy uses so far.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::json;

use crate::{
    Inner,
    server::{self, header},
};

fn error(status: StatusCode, kind: &str, code: Option<&str>, message: &str) -> Response {
    let mut error = json!({"type": kind, "message": message});
    if let Some(code) = code {
        error["code"] = json!(code);
    }
    server::json(status, &json!({"error": error}))
}

/// `DELETE /v1/customers/{id}`: 200 with the deleted customer; one that is gone is `resource_missing`.
pub(crate) async fn delete_customer(
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    if header(&headers, "authorization") != format!("Bearer {}", inner.secrets.stripe_secret_key) {
        return error(StatusCode::UNAUTHORIZED, "invalid_request_error", None, "Invalid API Key provided");
    }
    if inner.state().customers.remove(&id).is_none() {
        let message = format!("No such customer: '{id}'");
        return error(StatusCode::NOT_FOUND, "invalid_request_error", Some("resource_missing"), &message);
    }
    server::json(StatusCode::OK, &json!({"id": id, "object": "customer", "deleted": true}))
}
