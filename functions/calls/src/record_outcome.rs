//! `POST /api/calls/{id}/outcome`: an operator says what a call achieved.
//!
//! The body names the user, since a call lies in its owner's partition and an id alone leads nowhere.

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::{CallId, UserId, call::Outcome};
use ivy_flows::{
    Ivy,
    audit::Reason,
    calls::{self, Correction},
};
use ivy_runtime::{AppState, Keyed, Operator, PathId, Problem, WriteProblems, idempotency, input, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::CallView;

input! {
    /// What a call achieved.
    #[schema(as = CallOutcome)]
    pub struct CallOutcomeInput {
        /// Whose call it is.
        #[schema(value_type = String, format = Uuid)]
        pub user_id: UserId,
        /// `workout_planned`, `workout_logged`, `rescue_success`, `rescue_failed`, `voicemail` or `no_commitment`.
        #[schema(value_type = String, example = "rescue_success")]
        pub outcome: Outcome,
        /// Why it is recorded by hand. Kept on record, sealed.
        #[schema(value_type = String, min_length = 1, max_length = 500, example = "The analysis took a joke for a refusal.")]
        pub reason: Reason,
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(record_outcome))
}

/// Record a call's outcome
///
/// For operators, of a call that is over. What was logged and donated stays.
#[utoipa::path(
    post, path = "/api/calls/{id}/outcome", tag = "calls", operation_id = "record-outcome",
    security(("operator" = [])),
    params(
        ("id" = String, Path, format = Uuid),
        ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer for 24 hours"),
    ),
    request_body = CallOutcomeInput,
    responses((status = 200, description = "The call with its outcome", body = CallView), WriteProblems)
)]
async fn record_outcome(
    State(ivy): State<Ivy>,
    who: Operator,
    PathId(id): PathId<CallId>,
    Keyed { input, key }: Keyed<CallOutcomeInput>,
) -> Result<Response, Problem> {
    let CallOutcomeInput { user_id, outcome, reason } = input;
    let correction = Correction { outcome, reason };
    idempotency::once::<CallView, _, _, _>(&ivy, key.map(|key| key.of_operator(who)), StatusCode::OK, |once| {
        let (ivy, correction) = (ivy.clone(), correction.clone());
        async move { calls::record_outcome(&ivy, who.operator_id, user_id, id, &correction, once.as_deref()).await }
    })
    .await
}
