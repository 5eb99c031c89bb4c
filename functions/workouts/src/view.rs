//! Workouts as the API shows them.

use ivy_domain::workout::{ReportedBy, Workout};
use serde::Serialize;
use utoipa::ToSchema;

/// A workout.
#[derive(Clone, Serialize, ToSchema)]
pub struct WorkoutView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::WorkoutId,
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    /// The local day it belongs to.
    #[schema(value_type = String, format = Date)]
    pub date: jiff::civil::Date,
    #[schema(example = "Europe/London")]
    pub timezone: String,
    #[schema(example = "30 minute run")]
    pub planned_activity: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub planned_time: Option<jiff::Timestamp>,
    pub planned_duration_minutes: Option<u16>,
    pub actual_duration_minutes: Option<u16>,
    /// `planned`, `completed`, `partial`, `skipped` or `rest_day`.
    #[schema(example = "planned")]
    pub status: &'static str,
    /// Where it came from: `api`, `call`, `whatsapp` or `sms`.
    #[schema(value_type = String, example = "api")]
    pub source: ReportedBy,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: jiff::Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub logged_at: Option<jiff::Timestamp>,
}

impl std::fmt::Debug for WorkoutView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WorkoutView({})", self.id)
    }
}

impl From<&Workout> for WorkoutView {
    fn from(workout: &Workout) -> Self {
        Self {
            id: workout.id,
            user_id: workout.user_id,
            date: workout.date,
            timezone: workout.timezone.as_str().to_owned(),
            planned_activity: workout.planned_activity.as_str().to_owned(),
            planned_time: workout.planned_time,
            planned_duration_minutes: workout.planned_duration_minutes,
            actual_duration_minutes: workout.actual_duration_minutes,
            status: workout.status.name(),
            source: workout.source,
            created_at: workout.created_at,
            updated_at: workout.updated_at,
            logged_at: workout.logged_at,
        }
    }
}
