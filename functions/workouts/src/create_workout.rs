//! `POST /api/workouts`: plan a workout.

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::Text;
use ivy_flows::{
    Ivy,
    workouts::{self, NewWorkout},
};
use ivy_runtime::{AppState, Keyed, Minutes, Problem, SignedIn, WriteProblems, idempotency, input, routes};
use jiff::Timestamp;
use utoipa_axum::router::OpenApiRouter;

use crate::view::WorkoutView;

input! {
    /// A workout to plan.
    #[schema(as = NewWorkout)]
    pub struct NewWorkoutInput {
        #[schema(value_type = String, min_length = 1, max_length = 200, example = "30 minute run")]
        pub planned_activity: Text<200>,
        /// From today on, within a year. The workout belongs to the local day of this time.
        #[schema(value_type = String, format = DateTime)]
        pub planned_time: Timestamp,
        #[schema(value_type = Option<u16>, minimum = 1, maximum = 1440)]
        pub planned_duration_minutes: Option<Minutes>,
    }
}

impl From<NewWorkoutInput> for NewWorkout {
    fn from(input: NewWorkoutInput) -> Self {
        Self {
            planned_activity: input.planned_activity,
            planned_time: input.planned_time,
            planned_duration_minutes: input.planned_duration_minutes.map(Minutes::get),
        }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create_workout))
}

/// Plan a workout
#[utoipa::path(
    post, path = "/api/workouts", tag = "workouts", operation_id = "create-workout",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours")),
    request_body = NewWorkoutInput,
    responses((status = 201, description = "The planned workout", body = WorkoutView), WriteProblems)
)]
async fn create_workout(
    State(ivy): State<Ivy>,
    who: SignedIn,
    Keyed { input, key }: Keyed<NewWorkoutInput>,
) -> Result<Response, Problem> {
    let new = NewWorkout::from(input);
    idempotency::once::<WorkoutView, _, _, _>(&ivy, key.map(|key| key.of(who.user_id)), StatusCode::CREATED, |once| {
        let (ivy, new) = (ivy.clone(), new.clone());
        async move { workouts::create_workout(&ivy, who.user_id, new, once.as_deref()).await }
    })
    .await
}
