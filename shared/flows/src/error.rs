//! The one error of all flows. Each variant says what the caller may know; [`Error::retryable`] says whether doing the
//! same again could succeed. `ivy-runtime` turns it into a problem document or a batch failure, in one place each.

use ivy_providers::ProviderError;
use ivy_store::StoreError;

use crate::ports::PortError;

/// A wrong field of the input: its name as sent (dotted for nested ones) and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

impl FieldError {
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl ToString) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Wrong input: every wrong field at once.
    #[error("the input is invalid")]
    Invalid(Vec<FieldError>),
    /// There is no such thing, or it is another person's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request does not fit the present state; the slug is stable, the sentence is for people.
    #[error("{detail}")]
    Conflict { slug: &'static str, detail: String },
    /// No valid token, link or code.
    #[error("the credentials are not valid")]
    Unauthorized,
    /// The same `Idempotency-Key` came with another body.
    #[error("the Idempotency-Key was used with another request")]
    IdempotencyKeyReused,
    /// The same request, with the same `Idempotency-Key`, was answered while this one was at work; nothing was written.
    #[error("the same request was answered meanwhile")]
    AnsweredMeanwhile,
    /// Too many requests of this kind.
    #[error("too many requests; try again in {retry_after_seconds} seconds")]
    RateLimited { limit: u32, window_seconds: u64, retry_after_seconds: u64 },
    /// Others kept changing the same items; nothing was written.
    #[error("the items kept changing; nothing was written")]
    Contended,
    #[error("the table: {0}")]
    Store(StoreError),
    #[error("the provider: {0}")]
    Provider(#[from] ProviderError),
    #[error("a queue, timer or mail port: {0}")]
    Port(#[from] PortError),
    /// Stored or received data that cannot be right; needs a person.
    #[error("cannot be: {0}")]
    Impossible(String),
}

impl Error {
    /// One field is wrong.
    #[must_use]
    pub fn invalid(field: &str, message: impl ToString) -> Self {
        Self::Invalid(vec![FieldError::new(field, message)])
    }

    /// Whether the same request could succeed later without a change.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Contended | Self::AnsweredMeanwhile | Self::RateLimited { .. } | Self::Port(_) => true,
            Self::Store(error) => error.retryable(),
            Self::Provider(error) => error.retryable(),
            Self::Invalid(_)
            | Self::NotFound(_)
            | Self::Conflict { .. }
            | Self::Unauthorized
            | Self::IdempotencyKeyReused
            | Self::Impossible(_) => false,
        }
    }

    /// The variant's own stable name, for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::NotFound(_) => "not_found",
            Self::Conflict { slug, .. } => slug,
            Self::Unauthorized => "unauthorized",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::AnsweredMeanwhile => "answered_meanwhile",
            Self::RateLimited { .. } => "rate_limited",
            Self::Contended => "contended",
            Self::Store(_) => "store",
            Self::Provider(_) => "provider",
            Self::Port(_) => "port",
            Self::Impossible(_) => "impossible",
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Contended => Self::Contended,
            other => Self::Store(other),
        }
    }
}
