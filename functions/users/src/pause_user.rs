//! `POST /api/users/{id}/pause`: nothing rings, and the streak waits, until the user resumes or the pause ends by itself.
//! Paused already, the new reason and end take the place of the old.

use axum::{Json, extract::State};
use ivy_domain::user::{PauseEnd, PauseReason};
use ivy_flows::{Ivy, accounts};
use ivy_runtime::{AppState, Input, Own, Problem, WriteProblems, input, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::UserView;

input! {
    /// A pause.
    #[schema(as = Pause)]
    pub struct PauseInput {
        /// `paused`, `traveling` or `sick`.
        #[schema(value_type = String, example = "traveling")]
        pub reason: PauseReason,
        /// When it ends by itself, within a year: a date (the first day that counts again), a local time, or an RFC 3339 time.
        #[schema(value_type = Option<String>, example = "2026-12-01")]
        pub until: Option<PauseEnd>,
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(pause_user))
}

/// Pause
///
/// Waiting calls that are due before the pause's end are cancelled. Kept days stay kept.
#[utoipa::path(
    post, path = "/api/users/{id}/pause", tag = "users", operation_id = "pause-user",
    params(("id" = String, Path, description = "`me` or the own id")),
    request_body = PauseInput,
    responses((status = 200, description = "The paused user", body = UserView), WriteProblems)
)]
async fn pause_user(
    State(ivy): State<Ivy>,
    own: Own,
    Input(PauseInput { reason, until }): Input<PauseInput>,
) -> Result<Json<UserView>, Problem> {
    let user = accounts::pause_user(&ivy, own.user_id, reason, until).await?;
    Ok(Json(UserView::from(&user)))
}
