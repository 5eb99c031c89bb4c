//! Calls as the API shows them.

use ivy_domain::call::{Call, Direction, Step};
use serde::Serialize;
use utoipa::ToSchema;

/// One transition of a call.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StepView {
    #[schema(value_type = String, format = DateTime)]
    pub at: jiff::Timestamp,
    #[schema(example = "scheduled")]
    pub from: &'static str,
    #[schema(example = "initiating")]
    pub to: &'static str,
    /// Why, in one word: `claimed`, `no_answer`, `window_closed`.
    #[schema(example = "claimed")]
    pub cause: String,
    pub attempt: u8,
}

impl From<&Step> for StepView {
    fn from(step: &Step) -> Self {
        Self {
            at: step.at,
            from: step.from.name(),
            to: step.to.name(),
            cause: step.cause.clone(),
            attempt: step.attempt,
        }
    }
}

/// A call.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CallView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::CallId,
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
    #[schema(example = "morning_planning")]
    pub call_type: &'static str,
    /// `outbound` or `inbound`.
    #[schema(example = "outbound")]
    pub direction: &'static str,
    /// `scheduled`, `initiating`, `in_progress`, `completed`, `retry`, `failed` or `cancelled`.
    #[schema(example = "scheduled")]
    pub state: &'static str,
    /// When the first attempt was planned for.
    #[schema(value_type = String, format = DateTime)]
    pub scheduled_time: jiff::Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub window_start: jiff::Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub window_end: jiff::Timestamp,
    /// When the next attempt is due; null once the call is over.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<jiff::Timestamp>,
    pub attempts: u8,
    /// What it achieved.
    #[schema(example = "workout_planned")]
    pub outcome: Option<&'static str>,
    /// Why it is in its state.
    pub cause: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<jiff::Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<jiff::Timestamp>,
    pub duration_seconds: Option<u32>,
    pub history: Vec<StepView>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
}

impl From<&Call> for CallView {
    fn from(call: &Call) -> Self {
        Self {
            id: call.id,
            user_id: call.user_id,
            call_type: call.call_type.name(),
            direction: match call.direction {
                Direction::Outbound => "outbound",
                Direction::Inbound => "inbound",
            },
            state: call.state.name(),
            scheduled_time: call.scheduled_time,
            window_start: call.window.opens_at,
            window_end: call.window.closes_at,
            next_attempt_at: call.state.waits().then_some(call.due_at),
            attempts: call.attempts,
            outcome: call.outcome.map(ivy_domain::call::Outcome::name),
            cause: call.cause.clone(),
            started_at: call.started_at,
            ended_at: call.ended_at,
            duration_seconds: call.duration_seconds,
            history: call.history.iter().map(Into::into).collect(),
            created_at: call.created_at,
        }
    }
}
