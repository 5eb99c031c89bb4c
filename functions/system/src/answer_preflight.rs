//! What no other function takes of a path: `OPTIONS`, which a browser asks before it calls from a page of another origin,
//! and every method that the path does not have.
//!
//! The gateway sends what is asked of a method that is there to its own function, and all else here. Preflight is answered by the
//! layers around every endpoint ([`ivy_runtime::http::harden`]), so the same list of origins decides here and on the answer to the
//! call itself. What is no preflight is answered with 405 and the methods that the path has, as the API's document names them.

use std::collections::BTreeMap;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing::any,
};
use ivy_runtime::Problem;
use serde::{Deserialize, de::IgnoredAny};

use crate::api_docs::DOCUMENT;

/// Of the API's document, what has which methods.
#[derive(Deserialize)]
struct Documented {
    paths: BTreeMap<String, BTreeMap<String, IgnoredAny>>,
}

/// # Panics
/// When the API's document cannot be read, which a test excludes.
pub fn router() -> Router {
    let documented: Documented = serde_json::from_str(DOCUMENT).expect("the API's document is JSON and has paths");
    documented.paths.into_iter().fold(Router::new(), |router, (path, methods)| {
        let methods: Vec<String> = methods.into_keys().map(|method| method.to_uppercase()).collect();
        let allow = HeaderValue::from_str(&methods.join(", ")).ok();
        router.route(&path, any(move || async move { wrong_method(allow) }))
    })
}

fn wrong_method(allow: Option<HeaderValue>) -> Response {
    let mut response = Problem::wrong_method().into_response();
    response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    response
}
