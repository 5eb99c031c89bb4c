//! What a signed-in client gets.

use ivy_flows::{Ivy, sign_in::SignIn};
use ivy_runtime::{Problem, Tokens, auth::ACCESS_TOKEN_SECONDS};
use serde::Serialize;
use utoipa::ToSchema;

/// An access token and the refresh token that renews it.
#[derive(Clone, Serialize, ToSchema)]
pub struct SessionView {
    pub access_token: String,
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds that the access token is good for.
    #[schema(example = 900)]
    pub expires_in: i64,
    /// Good once: each refresh answers its successor.
    pub refresh_token: String,
    #[schema(value_type = String, format = DateTime)]
    pub refresh_expires_at: jiff::Timestamp,
    #[schema(value_type = String, format = Uuid)]
    pub user_id: ivy_domain::UserId,
}

impl std::fmt::Debug for SessionView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionView({})", self.user_id)
    }
}

impl SessionView {
    /// Adds an access token to a session.
    ///
    /// # Errors
    /// When the token cannot be signed.
    pub fn of(ivy: &Ivy, tokens: &Tokens, session: SignIn) -> Result<Self, Problem> {
        Ok(Self {
            access_token: tokens.issue(session.user_id, session.session_id, ivy.now())?,
            token_type: "Bearer",
            expires_in: ACCESS_TOKEN_SECONDS,
            refresh_token: session.refresh_token,
            refresh_expires_at: session.refresh_expires_at,
            user_id: session.user_id,
        })
    }
}

/// The fault of a request that names no contact, or two. Takes the fields as they were read; one that could not be read has a fault of
/// its own.
#[must_use]
pub fn not_one_contact(
    email: Option<&Option<ivy_domain::Email>>,
    phone: Option<&Option<ivy_domain::Phone>>,
) -> Option<ivy_flows::FieldError> {
    let (email, phone) = (email?, phone?);
    (email.is_some() == phone.is_some())
        .then(|| ivy_flows::FieldError::new("email", "or phone must be given, and not both"))
}

/// The contact that a request names: an e-mail address or a phone number, and not both.
///
/// # Errors
/// 422 when there is none or there are two.
pub fn one_contact(
    email: Option<ivy_domain::Email>,
    phone: Option<ivy_domain::Phone>,
) -> Result<ivy_domain::values::Contact, Problem> {
    use ivy_domain::values::Contact;
    match (email, phone) {
        (Some(email), None) => Ok(Contact::Email(email)),
        (None, Some(phone)) => Ok(Contact::Phone(phone)),
        (None, None) | (Some(_), Some(_)) => {
            Err(ivy_flows::Error::invalid("email", "or phone must be given, and not both").into())
        }
    }
}
