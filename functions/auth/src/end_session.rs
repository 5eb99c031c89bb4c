//! `POST /api/auth/logout`: ends the session of the access token, or with `everywhere` all sessions of the user. Doing it again
//! changes nothing. The refresh tokens are worthless at once; access tokens that are out run for what is left of their 15
//! minutes, because checking them reads nothing.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use ivy_flows::{Ivy, sign_in};
use ivy_runtime::{AppState, Problem, SignedIn, WriteProblems, input, routes, webhook::RawBody};
use utoipa_axum::router::OpenApiRouter;

input! {
    /// How far to sign out; without a body, on this device.
    #[schema(as = Logout)]
    pub struct LogoutInput {
        /// Ends the sessions on all devices.
        #[schema(example = true)]
        pub everywhere: Option<bool>,
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(end_session))
}

/// Sign out
#[utoipa::path(
    post, path = "/api/auth/logout", tag = "auth", operation_id = "end-session",
    request_body(content = Option<LogoutInput>, description = "May be left out, with its Content-Type"),
    responses((status = 204, description = "The session is over, or was"), WriteProblems)
)]
async fn end_session(
    State(ivy): State<Ivy>,
    SignedIn { user_id, session_id }: SignedIn,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<StatusCode, Problem> {
    // Without a body there is nothing to say; what claims to be JSON has to be.
    let silent = body.is_empty() && !headers.contains_key(CONTENT_TYPE);
    let everywhere =
        !silent && ivy_runtime::input::parse::<LogoutInput>(&headers, &body)?.everywhere.unwrap_or_default();
    if everywhere {
        sign_in::end_all_sessions(&ivy, user_id).await?;
    } else {
        sign_in::end_session(&ivy, user_id, session_id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
