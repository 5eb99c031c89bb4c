//! What webhooks share: the raw body, since signatures are over bytes, and the answer to a wrong signature.
//!
//! A webhook's route takes [`crate::http::body_limit`] with [`crate::http::WEBHOOK_BODY_LIMIT`], reads [`RawBody`], checks
//! the signature in `ivy-providers`, and parses only then.

use axum::extract::{FromRequest, Request};
use bytes::Bytes;

use crate::{problem::Problem, telemetry};

/// The body's bytes as they came.
#[derive(Clone)]
pub struct RawBody(pub Bytes);

impl std::fmt::Debug for RawBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawBody({} bytes)", self.0.len())
    }
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        crate::input::raw_body(request, state).await.map(Self)
    }
}

/// Notes that a webhook's signature did not hold and answers 401, which never says why.
#[must_use]
pub fn signature_failed(provider: &'static str) -> Problem {
    tracing::warn!(event = "webhook_signature_failed", provider);
    telemetry::count("webhook_signature_failure", &[("provider", provider)]);
    Problem::unauthorized()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::capture::Captured;

    #[test]
    fn a_wrong_signature_is_counted_by_provider() {
        let (captured, guard) = Captured::start();
        let problem = signature_failed("retell");
        drop(guard);
        assert_eq!(problem.status(), 401);
        let lines = captured.lines();
        assert_eq!(lines[1]["webhook_signature_failure"], 1.0);
        assert_eq!(lines[1]["provider"], "retell");
    }

    #[test]
    fn a_raw_body_does_not_print() {
        assert_eq!(format!("{:?}", RawBody(Bytes::from_static(b"words"))), "RawBody(5 bytes)");
    }
}
