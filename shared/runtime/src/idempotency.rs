//! The `Idempotency-Key` header and what it is tied to.
//!
//! A key counts together with a fingerprint of the request: method, path and body. The same key with another
//! fingerprint is refused by the flow ([`ivy_flows::Error::IdempotencyKeyReused`]); the path is part of it, so that a key
//! used to reschedule one call never answers for another. Claiming the key and the effect share the flow's transaction;
//! here it is only read. [`Keyed`] reads key and input together, since both need the body, and [`AlwaysKeyed`] where the key
//! is required; [`BareKey`] is for requests whose body nobody reads.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use ivy_flows::{Error, FieldError, Ivy, idempotency::Once};
use serde::Serialize;

use crate::{
    auth::Operator,
    input::{self, FromFields},
    problem::Problem,
};

const HEADER: &str = "Idempotency-Key";

/// A key as sent, and the request that it is tied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// 1 to 255 visible ASCII characters.
    pub key: String,
    /// SHA-256 in hex; see [`fingerprint`].
    pub fingerprint: String,
}

impl RequestKey {
    /// The key as flows take it: keys of different people never meet.
    #[must_use]
    pub fn of(self, subject: impl ToString) -> ivy_flows::idempotency::RequestKey {
        ivy_flows::idempotency::RequestKey {
            subject: subject.to_string(),
            key: self.key,
            fingerprint: self.fingerprint,
        }
    }

    /// The key of an operator, who has no partition: a bare id would name one.
    #[must_use]
    pub fn of_operator(self, who: Operator) -> ivy_flows::idempotency::RequestKey {
        self.of(format!("operator-{}", who.operator_id))
    }
}

/// The answer to a repeated request: the first one's status and JSON body, as [`ivy_flows::idempotency::replay`] gives them.
#[must_use]
pub fn replayed((status, body): (u16, String)) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// How often a request looks for its twin's answer before it gives up.
const ROUNDS: u32 = 3;

/// What is answered: `made` as its view, in JSON.
fn render<T, V: for<'a> From<&'a T> + Serialize>(made: &T) -> String {
    serde_json::to_string(&V::from(made)).unwrap_or_default()
}

/// Answers a creating request: by the kept answer where its key was used before, else by doing the work, which keeps the
/// answer in its own transaction. `V` is the view in which the result is answered.
///
/// # Errors
/// What the work answers; 422 when the key came with another request.
pub async fn once<V, T, F, Fut>(
    ivy: &Ivy,
    request: Option<ivy_flows::idempotency::RequestKey>,
    status: StatusCode,
    work: F,
) -> Result<Response, Problem>
where
    V: for<'a> From<&'a T> + Serialize,
    F: Fn(Option<Arc<Once<T>>>) -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    let Some(request) = request else {
        let made = work(None).await?;
        return Ok(replayed((status.as_u16(), render::<T, V>(&made))));
    };
    let once = Arc::new(Once { request, status: status.as_u16(), render: render::<T, V> });
    for _ in 0..ROUNDS {
        if let Some(answer) = ivy_flows::idempotency::replay(ivy, &once.request).await? {
            return Ok(replayed(answer));
        }
        match work(Some(Arc::clone(&once))).await {
            Ok(made) => return Ok(replayed((once.status, render::<T, V>(&made)))),
            Err(Error::AnsweredMeanwhile) => {}
            // What stands in the way may be what the same request did a moment ago.
            Err(error @ Error::Conflict { .. }) => {
                let answer = ivy_flows::idempotency::replay(ivy, &once.request).await?;
                return answer.map(replayed).ok_or_else(|| error.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Contended.into())
}

/// An input and the request's idempotency key, if one was sent.
#[derive(Debug, Clone)]
pub struct Keyed<T> {
    pub input: T,
    pub key: Option<RequestKey>,
}

/// An input, and the request's idempotency key where there must be one.
#[derive(Debug, Clone)]
pub struct AlwaysKeyed<T> {
    pub input: T,
    pub key: RequestKey,
}

/// The idempotency key of a request without an input.
#[derive(Debug, Clone)]
pub struct BareKey(pub Option<RequestKey>);

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a request is, in 64 hex digits. The lengths keep the three parts apart.
#[must_use]
pub fn fingerprint(method: &str, path: &str, body: &[u8]) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in [method.as_bytes(), path.as_bytes(), body] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    hex(context.finish().as_ref())
}

/// The key that the headers carry.
fn read_key(headers: &HeaderMap) -> Result<Option<String>, FieldError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(FieldError::new(HEADER, "must be given once"));
    }
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(FieldError::new(HEADER, "must have 1 to 255 visible ASCII characters")),
    }
}

/// Reads input and key. A wrong key is told with the wrong fields of the body.
async fn read<T: FromFields, S: Send + Sync, K>(
    request: Request,
    state: &S,
    settle: impl Fn(Option<RequestKey>) -> Result<K, FieldError>,
) -> Result<(T, K), Problem> {
    let headers = request.headers().clone();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let body = input::raw_body(request, state).await?;
    let tied = |key| RequestKey { key, fingerprint: fingerprint(method.as_str(), &path, &body) };
    match (read_key(&headers).and_then(|key| settle(key.map(tied))), input::parse(&headers, &body)) {
        (Ok(key), input) => Ok((input?, key)),
        (Err(fault), Ok(_)) => Err(Problem::invalid(vec![fault])),
        (Err(fault), Err(problem)) => Err(problem.also(fault)),
    }
}

impl<T: FromFields, S: Send + Sync> FromRequest<S> for Keyed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (input, key) = read(request, state, Ok).await?;
        Ok(Self { input, key })
    }
}

impl<T: FromFields, S: Send + Sync> FromRequest<S> for AlwaysKeyed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let required = |key: Option<RequestKey>| key.ok_or_else(|| FieldError::new(HEADER, "is required"));
        let (input, key) = read(request, state, required).await?;
        Ok(Self { input, key })
    }
}

impl<S: Send + Sync> FromRequest<S> for BareKey {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let key = read_key(request.headers()).map_err(|error| Problem::invalid(vec![error]))?;
        let body = input::raw_body(request, state).await?;
        Ok(Self(key.map(|key| RequestKey { key, fingerprint: fingerprint(method.as_str(), &path, &body) })))
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, routing::post};
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;
    use crate::problem::tests::body;

    crate::input! {
        struct Small {
            count: u8,
        }
    }

    async fn ask(path: &str, keys: &[&str], text: &str) -> (u16, serde_json::Value) {
        async fn take(Keyed { input, key }: Keyed<Small>) -> axum::Json<serde_json::Value> {
            let fingerprint = key.map(|k| format!("{}:{}", k.key, k.fingerprint));
            axum::Json(serde_json::json!({"count": input.count, "key": fingerprint}))
        }
        let app: Router = Router::new().route("/{x}", post(take));
        let mut request = Request::post(path).header("content-type", "application/json");
        for key in keys {
            request = request.header("Idempotency-Key", *key);
        }
        let response = app.oneshot(request.body(Body::from(text.to_owned())).unwrap()).await.unwrap();
        (response.status().as_u16(), body(response).await)
    }

    #[tokio::test]
    async fn a_key_is_tied_to_method_path_and_body() {
        let (status, first) = ask("/a", &["k-1"], r#"{"count":1}"#).await;
        assert_eq!(status, 200);
        assert_eq!(first["count"], 1);
        assert_eq!(ask("/a", &["k-1"], r#"{"count":1}"#).await.1, first);
        assert_ne!(ask("/a", &["k-1"], r#"{"count":2}"#).await.1["key"], first["key"]);
        assert_ne!(ask("/b", &["k-1"], r#"{"count":1}"#).await.1["key"], first["key"]);
        assert_eq!(ask("/a", &[], r#"{"count":1}"#).await.1["key"], serde_json::Value::Null);
        assert_ne!(fingerprint("POST", "/a", b"b"), fingerprint("POST", "/", b"ab"));
    }

    #[tokio::test]
    async fn a_malformed_key_is_a_wrong_field() {
        let long = "x".repeat(256);
        for keys in [&[""] as &[&str], &["a b"], &[&long], &["a", "b"]] {
            let (status, problem) = ask("/a", keys, r#"{"count":1}"#).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &serde_json::json!("Idempotency-Key")));
        }
        let (status, problem) = ask("/a", &["a b"], r#"{"count":-1,"more":2}"#).await;
        let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
        assert_eq!((status, fields), (422, vec!["count".into(), "more".into(), "Idempotency-Key".into()]));
        assert_eq!(ask("/a", &["a b"], "no JSON").await.0, 400);
    }
}
