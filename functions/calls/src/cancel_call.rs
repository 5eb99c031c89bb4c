//! `DELETE /api/calls/{id}`: cancel a call that has not begun.

use axum::{Json, extract::State};
use ivy_domain::CallId;
use ivy_flows::{Ivy, calls};
use ivy_runtime::{AppState, PathId, Problem, SignedIn, WriteProblems, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::CallView;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(cancel_call))
}

/// Cancel a call
#[utoipa::path(
    delete, path = "/api/calls/{id}", tag = "calls", operation_id = "cancel-call",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The cancelled call", body = CallView), WriteProblems)
)]
async fn cancel_call(
    State(ivy): State<Ivy>,
    who: SignedIn,
    PathId(id): PathId<CallId>,
) -> Result<Json<CallView>, Problem> {
    let call = calls::cancel_call(&ivy, who.user_id, id).await?;
    Ok(Json(CallView::from(&call)))
}
