//! `POST /api/calls`: ask to be called at an exact time.

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::call::CallType;
use ivy_flows::{
    Ivy,
    calls::{self, NewCall},
};
use ivy_runtime::{AppState, Keyed, Problem, SignedIn, WriteProblems, idempotency, input, routes};
use jiff::Timestamp;
use utoipa_axum::router::OpenApiRouter;

use crate::view::CallView;

input! {
    /// A call to schedule.
    #[schema(as = NewCall)]
    pub struct NewCallInput {
        /// `morning_planning`, `evening_review`, `weekly_planning`, `monthly_check`, `quarterly_review`, `rescue`, `follow_up` or `onboarding`.
        #[schema(value_type = String, example = "morning_planning")]
        pub call_type: CallType,
        /// In the future, within 31 days. The call starts at this time.
        #[schema(value_type = String, format = DateTime)]
        pub scheduled_time: Timestamp,
        /// By default `scheduled_time`.
        #[schema(value_type = Option<String>, format = DateTime)]
        pub window_start: Option<Timestamp>,
        /// The call never starts after it. By default the end of the user's own window that holds the time, else half an hour later.
        #[schema(value_type = Option<String>, format = DateTime)]
        pub window_end: Option<Timestamp>,
    }
}

impl From<NewCallInput> for NewCall {
    fn from(input: NewCallInput) -> Self {
        let NewCallInput { call_type, scheduled_time, window_start, window_end } = input;
        Self { call_type, scheduled_time, window_start, window_end }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(schedule_call))
}

/// Schedule a call
#[utoipa::path(
    post, path = "/api/calls", tag = "calls", operation_id = "schedule-call",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours")),
    request_body = NewCallInput,
    responses((status = 201, description = "The scheduled call", body = CallView), WriteProblems)
)]
async fn schedule_call(
    State(ivy): State<Ivy>,
    who: SignedIn,
    Keyed { input, key }: Keyed<NewCallInput>,
) -> Result<Response, Problem> {
    let new = NewCall::from(input);
    idempotency::once::<CallView, _, _, _>(&ivy, key.map(|key| key.of(who.user_id)), StatusCode::CREATED, |once| {
        let (ivy, new) = (ivy.clone(), new.clone());
        async move { calls::schedule_call(&ivy, who.user_id, new, once.as_deref()).await }
    })
    .await
}
