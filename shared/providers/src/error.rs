//! What is known after a request to a provider, as one enum for all of them.
//!
//! The question that decides is not "did it fail" but "may it have happened": a second text or a second ring is
//! worse than a late one. So a connection that was never made ([`ProviderError::Unavailable`]) and an answer that never came
//! ([`ProviderError::Unknown`]) are different variants, and each module says which HTTP facts lead to which.
//!
//! Facts that mean the same everywhere (a module's own codes come first):
//! no connection → `Unavailable`; time-out, broken connection or unreadable success after the request went out, 408,
//! 409, 425 and 5xx → `Unknown`; 429 → `RateLimited`; 401, 402, 403 and any redirect → `Misconfigured`; other 4xx →
//! `Rejected`.

use std::time::Duration;

/// Why a request to a provider did not end in a success. Holds numbers only: nothing of what was sent or answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The provider read this request and refuses it; the same request will be refused again.
    #[error("refused with status {status}, code {code:?}: {class:?}")]
    Rejected { status: u16, code: Option<i64>, class: Class },
    /// Too many requests: this one was not processed. `retry_after` is the provider's wish, when it is given in seconds.
    #[error("too many requests (retry after {retry_after:?})")]
    RateLimited { retry_after: Option<Duration> },
    /// Not processed for certain: no connection (no status), or the provider said so itself.
    #[error("unavailable (status {status:?}); nothing was done")]
    Unavailable { status: Option<u16> },
    /// The request went out and its fate is not known: it must be settled before an effect is tried again.
    #[error("no usable answer; it may have been done")]
    Unknown,
    /// Our key, account, permission or base URL is wrong. No request of this kind will pass until a person acts.
    #[error("our account or settings (status {status:?}, code {code:?})")]
    Misconfigured { status: Option<u16>, code: Option<i64> },
}

impl ProviderError {
    /// Whether the same request could succeed later without a change of it. For [`Self::Unknown`] that is so, but an
    /// effect that must not happen twice is settled first: see [`Self::may_have_happened`].
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Rejected { .. } => false,
            Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Unknown | Self::Misconfigured { .. } => true,
        }
    }

    /// Whether the provider may have done what was asked. Always false but for [`Self::Unknown`].
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::Rejected { .. }
            | Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::Misconfigured { .. } => false,
        }
    }

    /// The variant's own stable name, for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unavailable { .. } => "unavailable",
            Self::Unknown => "unknown",
            Self::Misconfigured { .. } => "misconfigured",
        }
    }
}

/// What a refusal is about, so that a flow can choose another channel or stop trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The number does not exist, cannot be routed to, or cannot take this kind of message (a landline).
    InvalidNumber,
    /// The account may not reach this recipient: region switched off, trial list, sender not registered.
    NotAllowed,
    /// The recipient has no WhatsApp, or cannot take business messages there.
    NotOnWhatsApp,
    /// More than 24 hours since the recipient's last message: only templates may be sent.
    WindowClosed,
    /// The recipient said stop at the provider.
    OptedOut,
    /// The template does not exist, is paused, or its parameters do not fit.
    Template,
    /// Filtered or held back by the provider or a carrier; sending again at once makes it worse.
    Undeliverable,
    /// Something that the request names does not exist at the provider (an agent, one of our numbers).
    NotFound,
    /// Any other refusal: the request's shape is wrong.
    InvalidRequest,
}

/// What a provider's own error code means, in an answer or in a later status event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    Final(Class),
    RateLimited,
    /// The provider says that it failed and that a repeat is welcome; nothing was sent.
    Transient,
    Misconfigured,
}
