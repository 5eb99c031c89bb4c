//! `POST /api/auth/magic-link`: sends a link and a code to a contact. The answer is the same whoever asks.

use axum::{Json, extract::State, http::StatusCode};
use ivy_domain::{Email, Phone};
use ivy_flows::{Ivy, sign_in};
use ivy_runtime::{AppState, CallerAddress, Input, Problem, WriteProblems, input, routes};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::session::{not_one_contact, one_contact};

input! {
    /// Where to send the link: `email` or `phone`.
    #[schema(as = MagicLinkRequest, example = json!({"phone": "+447700900123"}))]
    pub struct MagicLinkInput {
        #[schema(value_type = Option<String>, example = "mara@example.com")]
        pub email: Option<Email>,
        #[schema(value_type = Option<String>, example = "+447700900123")]
        pub phone: Option<Phone>,
    }
    also(email, phone) { not_one_contact(email, phone) }
}

/// The request was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    #[schema(example = "accepted")]
    pub status: &'static str,
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(request_magic_link))
}

/// Ask for a sign-in link
#[utoipa::path(
    post, path = "/api/auth/magic-link", tag = "auth", operation_id = "request-magic-link", security(()),
    request_body = MagicLinkInput,
    responses((status = 202, description = "If there is such an account, a link and a code are on their way", body = Accepted), WriteProblems)
)]
async fn request_magic_link(
    State(ivy): State<Ivy>,
    CallerAddress(address): CallerAddress,
    Input(input): Input<MagicLinkInput>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let contact = one_contact(input.email, input.phone)?;
    sign_in::request_magic_link(&ivy, &contact, &address).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { status: "accepted" })))
}
