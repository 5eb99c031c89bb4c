//! Where a request comes from, for limits on routes that nobody is signed in to.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use lambda_http::request::RequestContext;

/// The caller's address as the gateway saw it. Requests without one share a single bucket, so a missing address never
/// means no limit.
#[derive(Clone, PartialEq, Eq)]
pub struct CallerAddress(pub String);

impl std::fmt::Debug for CallerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallerAddress")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CallerAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV1(context)) => context.identity.source_ip.clone(),
            _ => None,
        };
        Ok(Self(address.unwrap_or_else(|| "unknown".to_owned())))
    }
}
