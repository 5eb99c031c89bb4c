//! `PUT /api/users/{id}/consents`: what the user agrees to, for every purpose at once. Each word is kept with its time, source
//! and wording; the history of them is part of the export.

use axum::{Json, extract::State};
use ivy_flows::{
    Ivy,
    accounts::{self, ConsentChoices},
};
use ivy_runtime::{AppState, Input, Own, Problem, WriteProblems, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    onboard_user::ConsentsInput,
    view::{ConsentsView, UserView},
};

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(set_consents))
}

/// Give and withdraw consents
///
/// Without consent to calls the waiting calls are cancelled and none is made; without consent to messages none is sent but
/// answers and sign-in links; without consent to the processing of data there are neither calls nor messages.
#[utoipa::path(
    put, path = "/api/users/{id}/consents", tag = "users", operation_id = "set-consents",
    params(("id" = String, Path, description = "`me` or the own id")),
    request_body = ConsentsInput,
    responses((status = 200, description = "What was last said about each purpose", body = ConsentsView), WriteProblems)
)]
async fn set_consents(
    State(ivy): State<Ivy>,
    own: Own,
    Input(ConsentsInput { calls, messages, data_processing }): Input<ConsentsInput>,
) -> Result<Json<ConsentsView>, Problem> {
    let choices = ConsentChoices { calls, messages, data_processing };
    let user = accounts::set_consents(&ivy, own.user_id, choices).await?;
    Ok(Json(UserView::from(&user).consents))
}
