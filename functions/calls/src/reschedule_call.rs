//! `POST /api/calls/{id}/reschedule`: move a call that waits.

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::CallId;
use ivy_flows::{
    Ivy,
    calls::{self, NewTime},
};
use ivy_runtime::{AppState, Keyed, PathId, Problem, SignedIn, WriteProblems, idempotency, input, routes};
use jiff::Timestamp;
use utoipa_axum::router::OpenApiRouter;

use crate::view::CallView;

input! {
    /// Another time for a call.
    #[schema(as = NewTime)]
    pub struct NewTimeInput {
        /// In the future, within 31 days of the call's creation. The call starts at this time.
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

impl From<NewTimeInput> for NewTime {
    fn from(input: NewTimeInput) -> Self {
        let NewTimeInput { scheduled_time, window_start, window_end } = input;
        Self { scheduled_time, window_start, window_end }
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(reschedule_call))
}

/// Reschedule a call
///
/// A call that has not begun, or that waits for its next attempt. Attempts that were made stay made.
#[utoipa::path(
    post, path = "/api/calls/{id}/reschedule", tag = "calls", operation_id = "reschedule-call",
    params(
        ("id" = String, Path, format = Uuid),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours"),
    ),
    request_body = NewTimeInput,
    responses((status = 200, description = "The call at its new time", body = CallView), WriteProblems)
)]
async fn reschedule_call(
    State(ivy): State<Ivy>,
    who: SignedIn,
    PathId(id): PathId<CallId>,
    Keyed { input, key }: Keyed<NewTimeInput>,
) -> Result<Response, Problem> {
    let time = NewTime::from(input);
    idempotency::once::<CallView, _, _, _>(&ivy, key.map(|key| key.of(who.user_id)), StatusCode::OK, |once| {
        let ivy = ivy.clone();
        async move { calls::reschedule_call(&ivy, who.user_id, id, time, once.as_deref()).await }
    })
    .await
}
