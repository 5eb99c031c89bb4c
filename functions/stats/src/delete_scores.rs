//! `DELETE /api/users/{id}/transformation`: deletes all scores and nothing else. Health data can be withdrawn by itself: account,
//! workouts and life markers stay, and new scores can be recorded at once.

use axum::{extract::State, http::StatusCode};
use ivy_flows::{Ivy, scores};
use ivy_runtime::{AppState, Own, Problem, WriteProblems, routes};
use utoipa_axum::router::OpenApiRouter;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(delete_scores))
}

/// Delete all scores
///
/// Energy, mood and confidence, with their history, also those that calls brought. Life markers stay.
#[utoipa::path(
    delete, path = "/api/users/{id}/transformation", tag = "stats", operation_id = "delete-scores",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 204, description = "There are no scores any more"), WriteProblems)
)]
async fn delete_scores(State(ivy): State<Ivy>, own: Own) -> Result<StatusCode, Problem> {
    scores::delete_scores(&ivy, own.user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
