//! What webhooks share: the raw body, since signatures are over bytes, and the answer to a wrong signature.
//!
//! A webhook's route takes [`crate::http::body_limit`] with [`crate::http::WEBHOOK_BODY_LIMIT`], reads [`RawBody`], checks
//! the signature in `ivy-providers`, and parses only then.

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use lambda_http::request::RequestContext;

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

/// The whole address that a provider asked for, as it signed it.
///
/// A function sees the route's path only. The stage, or what a custom domain has in its place, stands in the gateway's own
/// account of the request; the host is the header's. Who forges them gains nothing: the signature covers the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PublicUrl {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let header = |headers: &HeaderMap, name: &str| {
            headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        // API Gateway always says how it was asked; where nobody does, no gateway stands in between.
        let scheme = header(&parts.headers, "x-forwarded-proto").unwrap_or_else(|| "http".to_owned());
        let host = header(&parts.headers, header::HOST.as_str()).unwrap_or_else(|| "localhost".to_owned());
        let told = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV1(context)) => context.path.clone(),
            _ => None,
        };
        let path = told.unwrap_or_else(|| parts.uri.path().to_owned());
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self(format!("{scheme}://{host}{path}{query}")))
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

    #[tokio::test]
    async fn the_public_address_has_the_stage_and_the_query() {
        let request = http::Request::post("/webhooks/twilio?m=a.b")
            .header("host", "abc.execute-api.eu-west-2.amazonaws.com")
            .header("x-forwarded-proto", "https");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let plain = PublicUrl::from_request_parts(&mut parts, &()).await.unwrap();
        assert_eq!(plain.0, "https://abc.execute-api.eu-west-2.amazonaws.com/webhooks/twilio?m=a.b");
        let mut context = lambda_http::aws_lambda_events::apigw::ApiGatewayProxyRequestContext::default();
        context.path = Some("/v1/webhooks/twilio".to_owned());
        parts.extensions.insert(RequestContext::ApiGatewayV1(context));
        let staged = PublicUrl::from_request_parts(&mut parts, &()).await.unwrap();
        assert_eq!(staged.0, "https://abc.execute-api.eu-west-2.amazonaws.com/v1/webhooks/twilio?m=a.b");
    }

    #[test]
    fn a_raw_body_does_not_print() {
        assert_eq!(format!("{:?}", RawBody(Bytes::from_static(b"words"))), "RawBody(5 bytes)");
    }
}
