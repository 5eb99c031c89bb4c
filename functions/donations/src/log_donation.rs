//! `POST /api/donations`: an operator corrects what was donated for a user.
//!
//! The key is required here: two corrections of the same amount and reason cannot be told from one that was sent twice, and
//! nobody would notice until the receipts are out.

use axum::{extract::State, http::StatusCode, response::Response};
use ivy_domain::{UserId, money::Adjustment};
use ivy_flows::{Ivy, adjustments, audit::Reason};
use ivy_runtime::{AlwaysKeyed, AppState, Operator, Problem, WriteProblems, idempotency, input, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::view::DonationView;

input! {
    /// A correction of what was donated.
    #[schema(as = NewAdjustment)]
    pub struct AdjustmentInput {
        /// For whom.
        #[schema(value_type = String, format = Uuid)]
        pub user_id: UserId,
        /// Pounds with at most two decimals, not 0; below zero to take back.
        #[schema(value_type = f64, minimum = -1000, maximum = 1000, example = 2.5)]
        pub amount: Adjustment,
        /// Why. Kept on record, sealed.
        #[schema(value_type = String, min_length = 1, max_length = 500, example = "A workout that the call did not hear.")]
        pub reason: Reason,
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(log_donation))
}

/// Adjust donations
///
/// For operators. Goes to the user's present charity, within the period's cap; at most what this period gave is taken back.
#[utoipa::path(
    post, path = "/api/donations", tag = "donations", operation_id = "log-donation",
    security(("operator" = [])),
    params(("Idempotency-Key" = String, Header, description = "Required. Repeats with the same key and body get the first answer for 24 hours")),
    request_body = AdjustmentInput,
    responses((status = 201, description = "The adjustment", body = DonationView), WriteProblems)
)]
async fn log_donation(
    State(ivy): State<Ivy>,
    who: Operator,
    AlwaysKeyed { input, key }: AlwaysKeyed<AdjustmentInput>,
) -> Result<Response, Problem> {
    let key = key.of_operator(who);
    let AdjustmentInput { user_id, amount, reason } = input;
    idempotency::once::<DonationView, _, _, _>(&ivy, Some(key), StatusCode::CREATED, |once| {
        let (ivy, reason) = (ivy.clone(), reason.clone());
        async move {
            adjustments::log_donation(&ivy, who.operator_id, user_id, amount.amount(), &reason, once.as_deref()).await
        }
    })
    .await
}
