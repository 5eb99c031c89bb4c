//! `DELETE /api/users/{id}`: closes the account at once and has everything erased within a day. Asked again, it answers the
//! same receipt.

use axum::{Json, extract::State, http::StatusCode};
use ivy_flows::{Ivy, erasure};
use ivy_runtime::{AppState, Own, Problem, WriteProblems, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// What a person gets who asks to be forgotten.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ErasureReceipt, example = json!({
    "receipt_id": "6f1d2c3b-4a59-4e68-8d77-3c2b1a09f8e7",
    "requested_at": "2026-11-23T06:00:00Z",
    "erased_by": "2026-11-24T06:00:00Z",
}))]
pub struct ReceiptView {
    /// To ask by what became of it; it says nothing about the person.
    #[schema(format = Uuid)]
    pub receipt_id: String,
    #[schema(value_type = String, format = DateTime)]
    pub requested_at: jiff::Timestamp,
    /// By when everything is erased.
    #[schema(value_type = String, format = DateTime)]
    pub erased_by: jiff::Timestamp,
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(delete_user))
}

/// Delete the own account
///
/// Nobody can sign in to it, nothing rings, and phone and e-mail address are free from then on. Donations stay as lines
/// without a name, so that charities' totals hold.
#[utoipa::path(
    delete, path = "/api/users/{id}", tag = "users", operation_id = "delete-user",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 202, description = "The receipt", body = ReceiptView), WriteProblems)
)]
async fn delete_user(State(ivy): State<Ivy>, own: Own) -> Result<(StatusCode, Json<ReceiptView>), Problem> {
    let receipt = erasure::delete_user(&ivy, own.user_id).await?;
    let erasure::Receipt { receipt_id, requested_at, erased_by } = receipt;
    Ok((StatusCode::ACCEPTED, Json(ReceiptView { receipt_id, requested_at, erased_by })))
}
