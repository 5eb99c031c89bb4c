//! `DELETE /api/workouts/{id}`: takes an open plan or a workout logged within the last seven days out of the book.

use axum::{extract::State, http::StatusCode};
use ivy_domain::WorkoutId;
use ivy_flows::{Ivy, workouts};
use ivy_runtime::{AppState, PathId, Problem, SignedIn, WriteProblems, routes};
use utoipa_axum::router::OpenApiRouter;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(delete_workout))
}

/// Delete a workout
///
/// An open plan can be deleted at any time; a logged workout within 7 days, which undoes what it counted for. Donations that
/// were made stay. The day of a deleted plan is no commitment by it any more unless the day is over.
#[utoipa::path(
    delete, path = "/api/workouts/{id}", tag = "workouts", operation_id = "delete-workout",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "The workout is deleted; from now on it is not found"), WriteProblems)
)]
async fn delete_workout(
    State(ivy): State<Ivy>,
    who: SignedIn,
    PathId(id): PathId<WorkoutId>,
) -> Result<StatusCode, Problem> {
    workouts::delete_workout(&ivy, who.user_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
