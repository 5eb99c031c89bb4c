//! Where a request comes from, for limits on routes that nobody is signed in to.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
};

use axum::extract::FromRequestParts;
use http::request::Parts;
use lambda_http::request::RequestContext;

/// The caller's address as the gateway saw it; of IPv6 the first 64 bits, for whoever has one address has all of its network.
/// Requests without one share a single bucket, so a missing address never
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
        Ok(Self(address.map_or_else(|| "unknown".to_owned(), limited_by)))
    }
}

/// What an address counts as.
fn limited_by(address: String) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_caller() {
        let counted = |address: &str| limited_by(address.to_owned());
        assert_eq!(counted("2001:db8:1:2:aaaa::1"), "2001:db8:1:2::/64");
        assert_eq!(counted("2001:DB8:1:2::ffff:2"), "2001:db8:1:2::/64");
        assert_eq!(counted("2001:db8:1:3::1"), "2001:db8:1:3::/64");
        assert_eq!(counted("203.0.113.7"), "203.0.113.7");
        assert_eq!(counted("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(counted("test-invoke-source-ip"), "test-invoke-source-ip");
    }
}
