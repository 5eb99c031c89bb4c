//! `POST /api/auth/verify`: a link's token, or a contact and its code, for a session. Only a POST uses a link up: mail scanners
//! open links.

use axum::{Json, extract::State};
use ivy_domain::{Email, Phone};
use ivy_flows::{
    FieldError, Ivy,
    sign_in::{self, Proof},
};
use ivy_runtime::{AppState, CallerAddress, Input, Problem, Sent, Tokens, WriteProblems, input, routes};
use utoipa_axum::router::OpenApiRouter;

use crate::session::{SessionView, not_one_contact, one_contact};

input! {
    /// Either `token`, or `code` with the `email` or `phone` that it was sent to.
    #[schema(as = Verification)]
    pub struct VerificationInput {
        #[schema(value_type = Option<String>, max_length = 256)]
        pub token: Option<Sent<256>>,
        #[schema(value_type = Option<String>)]
        pub email: Option<Email>,
        #[schema(value_type = Option<String>, example = "+447700900123")]
        pub phone: Option<Phone>,
        #[schema(value_type = Option<String>, max_length = 16, example = "123456")]
        pub code: Option<Sent<16>>,
    }
    also(token, email, phone, code) { not_one_proof(token, email, phone, code) }
}

impl VerificationInput {
    fn proof(self) -> Result<Proof, Problem> {
        let fault = not_one_proof(Some(&self.token), Some(&self.email), Some(&self.phone), Some(&self.code));
        match (self.token, self.code) {
            (Some(token), None) if fault.is_none() => Ok(Proof::Link { token: token.0 }),
            (None, Some(code)) if fault.is_none() => {
                Ok(Proof::Code { contact: one_contact(self.email, self.phone)?, code: code.0 })
            }
            _ => Err(Problem::invalid(fault.into_iter().collect())),
        }
    }
}

/// Whether a field was sent. One that could not be read was, and has a fault of its own.
fn sent<T>(field: Option<&Option<T>>) -> bool {
    field.is_none_or(Option::is_some)
}

/// The fault of a request that shows neither a link nor a code with its contact, or both.
fn not_one_proof(
    token: Option<&Option<Sent<256>>>,
    email: Option<&Option<Email>>,
    phone: Option<&Option<Phone>>,
    code: Option<&Option<Sent<16>>>,
) -> Option<FieldError> {
    match (sent(token), sent(code)) {
        (false, true) => not_one_contact(email, phone),
        (true, false) if !sent(email) && !sent(phone) => None,
        _ => Some(FieldError::new("token", "or code with email or phone must be given, and not both")),
    }
}

pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(verify_magic_link))
}

/// Sign in with a link or a code
#[utoipa::path(
    post, path = "/api/auth/verify", tag = "auth", operation_id = "verify-magic-link", security(()),
    request_body = VerificationInput,
    responses((status = 200, description = "A session", body = SessionView), WriteProblems)
)]
async fn verify_magic_link(
    State(ivy): State<Ivy>,
    State(tokens): State<Tokens>,
    CallerAddress(address): CallerAddress,
    Input(input): Input<VerificationInput>,
) -> Result<Json<SessionView>, Problem> {
    let session = sign_in::verify(&ivy, &input.proof()?, &address).await?;
    Ok(Json(SessionView::of(&ivy, &tokens, session)?))
}
