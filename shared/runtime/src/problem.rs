//! Problem documents (RFC 9457): the one way in which every endpoint answers an error.
//!
//! `type` is a stable relative reference such as `/problems/invalid-input`; clients decide by it, never by the
//! sentences. [`From<ivy_flows::Error>`] is the one place where a flow's error becomes an answer: what is the caller's to
//! mend is said, and what is ours is logged under the request's id and answered with a constant body.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use ivy_flows::{Error, FieldError};
use serde::Serialize;
use utoipa::ToSchema;

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
pub(crate) const RATE_LIMIT: &str = "ratelimit";
pub(crate) const RATE_LIMIT_POLICY: &str = "ratelimit-policy";

/// The media type of all problem documents.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Stable reference of the kind of problem; decide by this.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "/problems/invalid-input")]
    slug: String,
    /// The kind of problem in words.
    #[schema(value_type = String, example = "The input is invalid")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// This case in words, when there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// All wrong fields of the input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<WrongField>,
    #[serde(skip)]
    #[schema(ignore)]
    headers: Vec<(&'static str, HeaderValue)>,
}

/// A wrong field of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WrongField {
    /// Its name as sent, dotted for nested fields.
    pub field: String,
    /// What is wrong, to be read after the field's name.
    pub message: String,
}

impl From<FieldError> for WrongField {
    fn from(FieldError { field, message }: FieldError) -> Self {
        Self { field, message }
    }
}

impl Problem {
    /// A problem of a kind: its slug (`invalid-input`), status and title.
    #[must_use]
    pub fn new(slug: &str, status: StatusCode, title: &'static str) -> Self {
        Self {
            slug: format!("/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail: None,
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The slug with its prefix, as in `type`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.slug
    }

    /// 422: all wrong fields.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new("invalid-input", StatusCode::UNPROCESSABLE_ENTITY, "The input is invalid");
        problem.errors = errors.into_iter().map(WrongField::from).collect();
        problem
    }

    /// The same with one more wrong field, if it is about wrong fields.
    #[must_use]
    pub fn also(mut self, fault: FieldError) -> Self {
        if self.status == StatusCode::UNPROCESSABLE_ENTITY.as_u16() {
            self.errors.push(fault.into());
        }
        self
    }

    /// 400: the body is not what it claims to be.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new("malformed-body", StatusCode::BAD_REQUEST, "The body cannot be read").with_detail(detail)
    }

    /// 415.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        Self::new("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The media type is not supported")
            .with_detail("send the body as application/json")
    }

    /// 413.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
    }

    /// 404: there is no such thing, or it is another person's; the two are never told apart.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new("not-found", StatusCode::NOT_FOUND, "There is no such thing")
    }

    /// 404: no such route.
    #[must_use]
    pub fn unknown_route() -> Self {
        Self::new("unknown-route", StatusCode::NOT_FOUND, "There is no such route")
    }

    /// 405.
    #[must_use]
    pub fn wrong_method() -> Self {
        Self::new("wrong-method", StatusCode::METHOD_NOT_ALLOWED, "The route does not take this method")
    }

    /// 401; never says why.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new("unauthorized", StatusCode::UNAUTHORIZED, "Valid credentials are required")
            .with_header("www-authenticate", "Bearer realm=\"ivy\"")
    }

    /// 500: constant; the caller logs the reason.
    #[must_use]
    pub fn internal() -> Self {
        Self::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side")
    }

    /// 503: constant; the same request may succeed soon.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Not available at the moment; please try again")
            .with_header("retry-after", "1")
    }

    fn rate_limited(limit: u32, window_seconds: u64, retry_after_seconds: u64) -> Self {
        Self::new("rate-limited", StatusCode::TOO_MANY_REQUESTS, "Too many requests")
            .with_header("retry-after", &retry_after_seconds.to_string())
            .with_header(RATE_LIMIT, &format!("\"default\";r=0;t={retry_after_seconds}"))
            .with_header(RATE_LIMIT_POLICY, &format!("\"default\";q={limit};w={window_seconds}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(fields) => Self::invalid(fields),
            Error::NotFound(_) => Self::not_found(),
            Error::Conflict { slug, detail } => {
                Self::new(slug, StatusCode::CONFLICT, "The request does not fit the present state").with_detail(detail)
            }
            Error::Unauthorized => Self::unauthorized(),
            Error::IdempotencyKeyReused => Self::new(
                "idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The Idempotency-Key was used with another request",
            ),
            Error::RateLimited { limit, window_seconds, retry_after_seconds } => {
                Self::rate_limited(limit, window_seconds, retry_after_seconds)
            }
            ours @ (Error::Contended
            | Error::AnsweredMeanwhile
            | Error::Store(_)
            | Error::Provider(_)
            | Error::Port(_)
            | Error::Impossible(_)) => {
                tracing::error!(event = "request_failed", error_name = ours.name(), error = %ours);
                if ours.retryable() { Self::unavailable() } else { Self::internal() }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::telemetry::capture::Captured;

    /// A response's body as JSON.
    pub(crate) async fn body(response: Response) -> serde_json::Value {
        use http_body_util::BodyExt as _;
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn all_wrong_fields_are_listed() {
        let fields = vec![FieldError::new("a", "is required"), FieldError::new("b.c", "must be a string")];
        let response = Problem::from(Error::Invalid(fields)).into_response();
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        let body = body(response).await;
        assert_eq!(body["type"], "/problems/invalid-input");
        assert_eq!(body["status"], 422);
        assert_eq!(body["errors"][1], serde_json::json!({"field": "b.c", "message": "must be a string"}));
    }

    #[tokio::test]
    async fn each_error_has_its_status_and_headers() {
        let status = |error: Error| Problem::from(error).into_response().status().as_u16();
        assert_eq!(status(Error::NotFound("call")), 404);
        assert_eq!(status(Error::Conflict { slug: "already-paused", detail: "Already paused.".to_owned() }), 409);
        assert_eq!(status(Error::IdempotencyKeyReused), 422);
        assert_eq!(status(Error::Contended), 503);
        let limited = Error::RateLimited { limit: 5, window_seconds: 900, retry_after_seconds: 12 };
        let response = Problem::from(limited).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "12");
        assert_eq!(response.headers()["ratelimit"], "\"default\";r=0;t=12");
        assert_eq!(response.headers()["ratelimit-policy"], "\"default\";q=5;w=900");
        assert!(Problem::from(Error::Unauthorized).into_response().headers().contains_key("www-authenticate"));
    }

    #[tokio::test]
    async fn our_faults_are_constant_outside_and_told_in_the_log() {
        let (captured, guard) = Captured::start();
        let response = Problem::from(Error::Impossible("plan without owner".to_owned())).into_response();
        drop(guard);
        assert_eq!(response.status(), 500);
        let text = body(response).await.to_string();
        assert!(!text.contains("owner"), "{text}");
        assert!(captured.text().contains("plan without owner"));
    }
}
