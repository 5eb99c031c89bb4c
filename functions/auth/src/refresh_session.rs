//! `POST /api/auth/refresh`: a refresh token for its successor. Within 20 seconds the same token gets the same successor; a later
//! reuse ends the session.

use axum::{Json, extract::State};
use ivy_flows::{Ivy, sign_in};
use ivy_runtime::{AppState, CallerAddress, Input, Problem, Sent, Tokens, WriteProblems, input, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::session::SessionView;

input! {
    #[schema(as = Refresh)]
    pub struct RefreshInput {
        #[schema(value_type = String, max_length = 512)]
        pub refresh_token: Sent<512>,
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(refresh_session))
}

/// Renew a session
#[utoipa::path(
    post, path = "/api/auth/refresh", tag = "auth", operation_id = "refresh-session", security(()),
    request_body = RefreshInput,
    responses((status = 200, description = "The session with its next tokens", body = SessionView), WriteProblems)
)]
async fn refresh_session(
    State(ivy): State<Ivy>,
    State(tokens): State<Tokens>,
    CallerAddress(address): CallerAddress,
    Input(input): Input<RefreshInput>,
) -> Result<Json<SessionView>, Problem> {
    let session = sign_in::refresh(&ivy, &input.refresh_token, &address).await?;
    Ok(Json(SessionView::of(&ivy, &tokens, session)?))
}
