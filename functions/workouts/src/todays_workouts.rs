//! `GET /api/users/{id}/workouts/today`: the workouts of the user's present local day.

use axum::{Json, extract::State};
use ivy_flows::Ivy;
use ivy_runtime::{AppState, Own, Problem, ReadProblems, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::view::WorkoutView;

/// The workouts of a local day, in the order of their time.
#[derive(Debug, Serialize, ToSchema)]
pub struct TodaysWorkouts {
    #[schema(value_type = String, format = Date)]
    pub date: jiff::civil::Date,
    pub items: Vec<WorkoutView>,
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(todays_workouts))
}

/// Today's workouts
#[utoipa::path(
    get, path = "/api/users/{id}/workouts/today", tag = "workouts", operation_id = "todays-workouts",
    params(("id" = String, Path, description = "`me` or the own id")),
    responses((status = 200, description = "Today's workouts", body = TodaysWorkouts), ReadProblems)
)]
async fn todays_workouts(State(ivy): State<Ivy>, own: Own) -> Result<Json<TodaysWorkouts>, Problem> {
    let profile = ivy.store.profile(own.user_id).await.map_err(ivy_flows::Error::from)?;
    let profile = profile.ok_or(ivy_flows::Error::NotFound("user"))?;
    let date = profile.user.days().date_of(ivy.now());
    let workouts = ivy.store.workouts_on(own.user_id, date).await.map_err(ivy_flows::Error::from)?;
    Ok(Json(TodaysWorkouts { date, items: workouts.iter().map(WorkoutView::from).collect() }))
}
