//! `OPTIONS` of every path of the API: what a browser asks before it calls from a page of another origin.
//!
//! The answer is that of the layers around every endpoint ([`ivy_runtime::http::harden`]), so the same list of origins decides here
//! and on the answer to the call itself. There is no route behind it: what is no such question is answered with 404.

use axum::Router;

pub fn router() -> Router {
    Router::new()
}
