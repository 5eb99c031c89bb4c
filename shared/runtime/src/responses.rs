//! The problems that routes answer, for the OpenAPI document: what every route of a kind has in common.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{
        ContentBuilder, Ref, RefOr,
        header::HeaderBuilder,
        response::{Response, ResponseBuilder},
    },
};

use crate::problem::MEDIA_TYPE;

const BAD_REQUEST: (&str, &str) = ("400", "The body is not JSON, or too deeply nested");
const UNAUTHORIZED: (&str, &str) = ("401", "No valid credentials");
const NOT_FOUND: (&str, &str) = ("404", "There is no such thing, or it is another person's");
const CONFLICT: (&str, &str) = ("409", "The request does not fit the present state; see `type`");
const TOO_LARGE: (&str, &str) = ("413", "The body is too large");
const MEDIA: (&str, &str) = ("415", "The body is not application/json");
const INVALID: (&str, &str) = ("422", "The input is invalid; `errors` lists every wrong field");
const TOO_MANY: (&str, &str) = ("429", "Too many requests; see Retry-After");
const INTERNAL: (&str, &str) = ("500", "A fault of ours");
const UNAVAILABLE: (&str, &str) = ("503", "Not possible at present; the same request may succeed later");

fn problem(description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("Problem")))).build();
    let id = HeaderBuilder::new().description(Some("The request's id; it stands in our logs")).build();
    ResponseBuilder::new().description(description).content(MEDIA_TYPE, content).header("X-Request-Id", id).build()
}

/// What 429 says in its headers.
const LIMITS: [(&str, &str); 3] = [
    ("Retry-After", "Seconds to wait"),
    ("RateLimit", "How the caller stands: what is left (`r`) and in how many seconds the window ends (`t`)"),
    ("RateLimit-Policy", "What is allowed: so many requests (`q`) in so many seconds (`w`)"),
];

fn all(kinds: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let of_kind = |(status, description): &(&str, &str)| {
        let mut response = problem(description);
        for (name, says) in LIMITS.iter().filter(|_| *status == TOO_MANY.0) {
            let header = HeaderBuilder::new().description(Some(*says)).build();
            response.headers.insert((*name).to_owned(), RefOr::T(header));
        }
        ((*status).to_owned(), RefOr::T(response))
    };
    kinds.iter().map(of_kind).collect()
}

/// Of routes that read.
#[derive(Debug, Clone, Copy)]
pub struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        all(&[UNAUTHORIZED, NOT_FOUND, INVALID, TOO_MANY, INTERNAL, UNAVAILABLE])
    }
}

/// Of routes that write.
#[derive(Debug, Clone, Copy)]
pub struct WriteProblems;

impl IntoResponses for WriteProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        all(&[
            BAD_REQUEST,
            UNAUTHORIZED,
            NOT_FOUND,
            CONFLICT,
            TOO_LARGE,
            MEDIA,
            INVALID,
            TOO_MANY,
            INTERNAL,
            UNAVAILABLE,
        ])
    }
}

/// Of webhooks.
#[derive(Debug, Clone, Copy)]
pub struct WebhookProblems;

impl IntoResponses for WebhookProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        all(&[BAD_REQUEST, UNAUTHORIZED, TOO_LARGE, TOO_MANY, INTERNAL, UNAVAILABLE])
    }
}
