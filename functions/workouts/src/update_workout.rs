//! `PATCH /api/workouts/{id}`: change an open plan, log it, or correct what was logged within seven days.

use axum::{Json, extract::State};
use ivy_domain::{Text, WorkoutId, wallet::CapReached, workout::WorkoutStatus};
use ivy_flows::{
    Ivy,
    completions::Logged,
    workouts::{self, WorkoutChanges},
};
use ivy_runtime::{AppState, Change, Input, Minutes, PathId, Problem, SignedIn, WriteProblems, input, routes};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::view::WorkoutView;

input! {
    /// Changes of a workout; an absent field stays.
    #[schema(as = WorkoutPatch)]
    pub struct WorkoutPatchInput {
        /// `completed`, `partial`, `skipped` or `rest_day`.
        #[schema(required = false, value_type = String, example = "completed")]
        pub status: Change<WorkoutStatus>,
        #[schema(required = false, value_type = u16, minimum = 1, maximum = 1440)]
        pub actual_duration_minutes: Change<Minutes>,
        #[schema(required = false, value_type = String, min_length = 1, max_length = 200)]
        pub planned_activity: Change<Text<200>>,
        #[schema(required = false, value_type = String, format = DateTime)]
        pub planned_time: Change<Timestamp>,
        #[schema(required = false, value_type = u16, minimum = 1, maximum = 1440)]
        pub planned_duration_minutes: Change<Minutes>,
    }
}

impl From<WorkoutPatchInput> for WorkoutChanges {
    fn from(input: WorkoutPatchInput) -> Self {
        Self {
            status: input.status.0,
            actual_duration_minutes: input.actual_duration_minutes.0.map(Minutes::get),
            planned_activity: input.planned_activity.0,
            planned_time: input.planned_time.0,
            planned_duration_minutes: input.planned_duration_minutes.0.map(Minutes::get),
        }
    }
}

/// The changed workout and what it brought.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LoggedWorkoutView {
    #[serde(flatten)]
    pub workout: WorkoutView,
    /// Pounds donated for this change; 0 when nothing was, or it was donated before.
    #[schema(example = 1.0)]
    pub donated: f64,
    /// Pounds of streak bonuses that this change brought.
    #[schema(example = 0.0)]
    pub bonus: f64,
    /// `daily`, `monthly` or `too_old` when the donation was cut.
    #[schema(value_type = Option<String>)]
    pub cap_reached: Option<CapReached>,
}

impl LoggedWorkoutView {
    fn of(workout: WorkoutView, logged: &Logged) -> Self {
        let bonus: ivy_domain::Pence = logged.bonuses.iter().map(|donation| donation.amount).sum();
        Self {
            workout,
            donated: logged.donation.as_ref().map_or(0.0, |donation| donation.amount.pounds()),
            bonus: bonus.pounds(),
            cap_reached: logged.cap_reached,
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(update_workout))
}

/// Change or log a workout
#[utoipa::path(
    patch, path = "/api/workouts/{id}", tag = "workouts", operation_id = "update-workout",
    params(("id" = String, Path, format = Uuid)),
    request_body = WorkoutPatchInput,
    responses((status = 200, description = "The changed workout", body = LoggedWorkoutView), WriteProblems)
)]
async fn update_workout(
    State(ivy): State<Ivy>,
    who: SignedIn,
    PathId(id): PathId<WorkoutId>,
    Input(input): Input<WorkoutPatchInput>,
) -> Result<Json<LoggedWorkoutView>, Problem> {
    let (workout, logged) = workouts::update_workout(&ivy, who.user_id, id, input.into()).await?;
    Ok(Json(LoggedWorkoutView::of(WorkoutView::from(&workout), &logged)))
}
