//! `POST /api/users/{id}/resume`: the pause is over, today counts, and what remains of it is planned.

use axum::{Json, extract::State};
use ivy_flows::{Ivy, accounts};
use ivy_runtime::{AppState, Own, Problem, WriteProblems, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::UserView;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(resume_user))
}

/// End a pause
///
/// For who is active it changes nothing. Takes no body.
#[utoipa::path(
    post, path = "/api/users/{id}/resume", tag = "users", operation_id = "resume-user",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 200, description = "The active user", body = UserView), WriteProblems)
)]
async fn resume_user(State(ivy): State<Ivy>, own: Own) -> Result<Json<UserView>, Problem> {
    let user = accounts::resume_user(&ivy, own.user_id).await?;
    Ok(Json(UserView::from(&user)))
}
