//! `GET /api/workouts/{id}`: one workout.

use axum::{Json, extract::State};
use ivy_domain::WorkoutId;
use ivy_flows::{Error, Ivy};
use ivy_runtime::{AppState, PathId, Problem, ReadProblems, SignedIn, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::WorkoutView;

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_workout))
}

/// Read a workout
#[utoipa::path(
    get, path = "/api/workouts/{id}", tag = "workouts", operation_id = "get-workout",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The workout", body = WorkoutView), ReadProblems)
)]
async fn get_workout(
    State(ivy): State<Ivy>,
    who: SignedIn,
    PathId(id): PathId<WorkoutId>,
) -> Result<Json<WorkoutView>, Problem> {
    let workout = ivy.store.workout(who.user_id, id).await.map_err(Error::from)?;
    let workout = workout.ok_or(Error::NotFound("workout"))?;
    Ok(Json(WorkoutView::from(&workout)))
}
