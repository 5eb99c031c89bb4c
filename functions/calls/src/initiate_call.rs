//! `POST /api/calls/initiate`: ask to be called now.

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::call::CallType;
use ivy_flows::{Ivy, calls};
use ivy_runtime::{AppState, Keyed, Problem, SignedIn, WriteProblems, idempotency, input, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::CallView;

input! {
    /// What the call is to be about.
    #[schema(as = CallNow)]
    pub struct CallNowInput {
        /// `morning_planning`, `evening_review`, `weekly_planning`, `monthly_check`, `quarterly_review`, `rescue`, `follow_up` or `onboarding`.
        #[schema(value_type = String, example = "rescue")]
        pub call_type: CallType,
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(initiate_call))
}

/// Be called now
///
/// The phone rings within seconds, also in quiet hours. Refused while another call is under way.
#[utoipa::path(
    post, path = "/api/calls/initiate", tag = "calls", operation_id = "initiate-call",
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours")),
    request_body = CallNowInput,
    responses((status = 201, description = "The call, about to ring", body = CallView), WriteProblems)
)]
async fn initiate_call(
    State(ivy): State<Ivy>,
    who: SignedIn,
    Keyed { input, key }: Keyed<CallNowInput>,
) -> Result<Response, Problem> {
    let call_type = input.call_type;
    idempotency::once::<CallView, _, _, _>(&ivy, key.map(|key| key.of(who.user_id)), StatusCode::CREATED, |once| {
        let ivy = ivy.clone();
        async move { calls::initiate_call(&ivy, who.user_id, call_type, once.as_deref()).await }
    })
    .await
}
