//! `GET /api/users/{id}`: what Ivy knows of the person.

use axum::{Json, extract::State};
use ivy_flows::Ivy;
use ivy_runtime::{AppState, Own, Problem, ReadProblems, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::UserView;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_user))
}

/// Read the own profile
#[utoipa::path(
    get, path = "/api/users/{id}", tag = "users", operation_id = "get-user",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 200, description = "The user", body = UserView), ReadProblems)
)]
async fn get_user(State(ivy): State<Ivy>, own: Own) -> Result<Json<UserView>, Problem> {
    let me = ivy.me(own.user_id).await?;
    Ok(Json(UserView::from(me.user())))
}
