//! The layers around every endpoint, and the loop that runs a router on Lambda.
//!
//! [`harden`] wraps a router, one endpoint's or all of them merged, in this order from outside: request id and span,
//! the access log, panics, CORS, the routes, problem documents for unknown routes and methods, and headers that every answer carries. The body limit is a
//! layer that a route may override ([`body_limit`]): 64 KiB by default, 3 MB for webhooks; the extractors of this crate
//! enforce it as they read. Nesting is limited where JSON is parsed ([`mod@crate::input`]).
//!
//! API Gateway: `lambda_http` puts the stage before the path (`/prod/api/…`) unless a process variable says otherwise,
//! and setting a variable is not safe once threads run. [`serve`] therefore takes the path as API Gateway sent it, and
//! strips the stage only if the event's own path has it (a base path mapping, an emulator). Base64 bodies are decoded by
//! `lambda_http`; header names are in lower case by the `http` crate.

use std::{convert::Infallible, sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use lambda_http::{RequestExt as _, request::RequestContext};
use tower::ServiceExt as _;
use tracing::Instrument as _;

use crate::{batch::catch_panic, config::HttpConfig, limits, problem::Problem, start::StartError};

/// The largest body of an ordinary request, in bytes.
pub const BODY_LIMIT: usize = 64 * 1024;
/// The largest body of a webhook, in bytes: a call's transcript comes in one.
pub const WEBHOOK_BODY_LIMIT: usize = 3_000_000;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ALLOWED_METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const ALLOWED_HEADERS: &str = "authorization, content-type, idempotency-key, x-request-id";
const EXPOSED_HEADERS: &str = "x-request-id, retry-after, ratelimit, ratelimit-policy";

/// The id of the request at hand, from its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Limits the bodies of the routes that it wraps; inside [`harden`] it overrides the default.
pub fn body_limit(bytes: usize) -> DefaultBodyLimit {
    DefaultBodyLimit::max(bytes)
}

/// Wraps a finished router in all layers.
pub fn harden(router: Router, config: &HttpConfig) -> Router {
    let config = Arc::new(config.clone());
    router
        .fallback(async || Problem::unknown_route())
        .method_not_allowed_fallback(async || Problem::wrong_method())
        .layer(body_limit(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(config, around))
}

/// The one layer around all routes.
async fn around(State(config): State<Arc<HttpConfig>>, mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let origin = allowed_origin(&config, request.headers());
    let span = tracing::info_span!("request", request_id = id);
    request.extensions_mut().insert(RequestId(id.clone()));
    let slot = limits::Slot::default();
    request.extensions_mut().insert(slot.clone());
    let work = async move {
        let began = Instant::now();
        let answered = if is_preflight(&request) {
            Some(preflight(origin.is_some()))
        } else {
            catch_panic(next.run(request)).await
        };
        let mut response = answered.unwrap_or_else(|| {
            tracing::error!(event = "handler_panicked", route);
            Problem::internal().into_response()
        });
        if let Some(standing) = slot.standing() {
            standing.show(response.headers_mut());
        }
        complete(&mut response, &id, origin, !config.cors_origins.is_empty());
        tracing::info!(
            event = "request_answered",
            method = method.as_str(),
            route,
            status = response.status().as_u16(),
            duration_milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        );
        response
    };
    Box::pin(work.instrument(span)).await
}

/// The caller's id if it is a sane token, else the gateway's, else a new one.
fn request_id(request: &Request) -> String {
    let sane = |id: &str| {
        (8..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let sent = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| sane(id));
    let gateway = || match request.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV1(context)) => context.request_id.as_deref().filter(|id| sane(id)),
        _ => None,
    };
    sent.or_else(gateway).map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

fn allowed_origin(config: &HttpConfig, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    config.cors_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(allowed: bool) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if allowed {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(ALLOWED_METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}

/// Adds what every answer carries; what a handler set itself (a page's policy, a public document's caching) stays.
fn complete(response: &mut Response, id: &str, origin: Option<HeaderValue>, varies: bool) {
    let headers = response.headers_mut();
    let defaults = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    if varies {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
    }
}

/// Runs a hardened router on Lambda until Lambda ends it.
///
/// # Errors
/// When the Lambda runtime cannot go on.
pub async fn serve(router: Router) -> Result<(), StartError> {
    let service = lambda_http::service_fn(move |event: lambda_http::Request| {
        let router = router.clone();
        async move { answer(router, event).await }
    });
    lambda_http::run(service).await.map_err(|error| StartError::Runtime(error.to_string()))
}

async fn answer(router: Router, event: lambda_http::Request) -> Result<Response, Infallible> {
    let path = gateway_path(&event);
    let (mut parts, body) = event.into_parts();
    set_path(&mut parts, &path);
    let body = match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    };
    router.oneshot(Request::from_parts(parts, body)).await
}

/// The path as API Gateway sent it, without the stage.
fn gateway_path(event: &lambda_http::Request) -> String {
    let raw = event.raw_http_path();
    let raw = if raw.is_empty() { event.uri().path() } else { raw };
    let stage = match event.extensions().get::<RequestContext>() {
        Some(RequestContext::ApiGatewayV1(context)) => context.stage.as_deref(),
        _ => None,
    };
    let without = stage.and_then(|stage| raw.strip_prefix('/')?.strip_prefix(stage));
    match without {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => raw.to_owned(),
    }
}

fn set_path(parts: &mut Parts, path: &str) {
    let path_and_query = match parts.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // A path that is no URI stays as it came and matches no route.
    if let Ok(uri) = path_and_query.parse::<Uri>() {
        parts.uri = uri;
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use serde_json::{Value, json};

    use super::*;
    use crate::{problem::tests::body, telemetry::capture::Captured, webhook::RawBody};

    fn app() -> Router {
        let large = Router::new()
            .route("/large", post(|RawBody(body): RawBody| async move { body.len().to_string() }))
            .layer(body_limit(200_000));
        let router = Router::new()
            .route("/things/{id}", get(|| async { axum::Json(json!({})) }))
            .route("/small", post(|RawBody(body): RawBody| async move { body.len().to_string() }))
            .route("/page", get(|| async { ([(header::CACHE_CONTROL, "max-age=60")], "page") }))
            .route("/panic", get(panics))
            .merge(large);
        harden(router, &HttpConfig::for_testing())
    }

    async fn panics() -> &'static str {
        panic!("on purpose")
    }

    async fn ask(request: http::request::Builder, text: impl Into<Body>) -> Response {
        app().oneshot(request.body(text.into()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn every_answer_carries_a_request_id_and_safe_headers() {
        let sent = ask(http::Request::get("/things/1").header("x-request-id", "abc-12345"), "").await;
        assert_eq!(sent.headers()["x-request-id"], "abc-12345");
        assert_eq!(sent.headers()["cache-control"], "no-store");
        assert_eq!(sent.headers()["x-content-type-options"], "nosniff");
        for strange in ["x", "a b c d e f g h", "<script>alert</script>"] {
            let response = ask(http::Request::get("/things/1").header("x-request-id", strange), "").await;
            assert_eq!(response.headers()["x-request-id"].len(), 36, "{strange}");
        }
        assert_eq!(ask(http::Request::get("/page"), "").await.headers()["cache-control"], "max-age=60");
    }

    #[tokio::test]
    async fn unknown_routes_methods_and_panics_are_problems() {
        let unknown = ask(http::Request::get("/nowhere"), "").await;
        assert_eq!(unknown.status(), 404);
        assert!(unknown.headers().contains_key("x-request-id"));
        assert_eq!(body(unknown).await["type"], "/problems/unknown-route");
        let method = ask(http::Request::delete("/things/1"), "").await;
        assert_eq!(method.status(), 405);
        assert_eq!(method.headers()["allow"], "GET,HEAD");
        assert_eq!(body(method).await["type"], "/problems/wrong-method");
        let panicked = ask(http::Request::get("/panic"), "").await;
        assert_eq!(panicked.status(), 500);
        assert_eq!(body(panicked).await["type"], "/problems/internal");
    }

    #[tokio::test]
    async fn bodies_are_limited_by_route() {
        assert_eq!(ask(http::Request::post("/small"), vec![0_u8; BODY_LIMIT]).await.status(), 200);
        let large = ask(http::Request::post("/small"), vec![0_u8; BODY_LIMIT + 1]).await;
        assert_eq!(large.status(), 413);
        assert_eq!(body(large).await["type"], "/problems/too-large");
        assert_eq!(ask(http::Request::post("/large"), vec![0_u8; 200_000]).await.status(), 200);
        assert_eq!(ask(http::Request::post("/large"), vec![0_u8; 200_001]).await.status(), 413);
    }

    #[tokio::test]
    async fn other_sites_need_to_be_named() {
        let preflight = |origin: &'static str| {
            let request = http::Request::options("/things/1").header("origin", origin);
            ask(request.header("access-control-request-method", "GET"), "")
        };
        let allowed = preflight("https://app.ivy.test").await;
        assert_eq!(allowed.status(), 204);
        assert_eq!(allowed.headers()["access-control-allow-origin"], "https://app.ivy.test");
        assert!(allowed.headers().contains_key("access-control-allow-methods"));
        let refused = preflight("https://evil.test").await;
        assert!(!refused.headers().contains_key("access-control-allow-origin"));
        let plain = ask(http::Request::get("/things/1").header("origin", "https://app.ivy.test"), "").await;
        assert_eq!(plain.headers()["access-control-allow-origin"], "https://app.ivy.test");
        assert_eq!(plain.headers()["vary"], "origin");
    }

    #[tokio::test]
    async fn the_access_log_names_the_template_and_nothing_that_was_sent() {
        let (captured, guard) = Captured::start();
        let request = http::Request::get("/things/marked-id?name=marked-query").header("x-request-id", "request-1");
        ask(request, "marked-body").await;
        ask(http::Request::get("/marked-path"), "").await;
        drop(guard);
        assert!(!captured.text().contains("marked"), "{}", captured.text());
        let lines = captured.lines();
        assert_eq!((lines.len(), &lines[0]["route"]), (2, &json!("/things/{id}")));
        assert_eq!((&lines[0]["status"], &lines[0]["request_id"]), (&json!(200), &json!("request-1")));
        assert!(lines[0]["duration_milliseconds"].is_u64());
        assert_eq!((&lines[1]["route"], &lines[1]["status"]), (&json!("unmatched"), &json!(404)));
    }

    /// A v1 proxy event as API Gateway sends it.
    fn event(path: &str, text: &str, base64: bool) -> lambda_http::Request {
        let event: Value = json!({
            "resource": "/echo/{id}", "path": path, "httpMethod": "POST",
            "headers": {"Content-Type": "text/plain", "Host": "abc.execute-api.eu-west-2.amazonaws.com"},
            "multiValueHeaders": {"Content-Type": ["text/plain"], "Host": ["abc.execute-api.eu-west-2.amazonaws.com"]},
            "queryStringParameters": {"q": "a b"}, "multiValueQueryStringParameters": {"q": ["a b"]},
            "pathParameters": {"id": "1"}, "stageVariables": null,
            "requestContext": {"accountId": "1", "resourceId": "r", "stage": "prod", "requestId": "gateway-request-1",
                "identity": {"sourceIp": "192.0.2.1"}, "resourcePath": "/echo/{id}", "httpMethod": "POST", "apiId": "abc"},
            "body": text, "isBase64Encoded": base64,
        });
        lambda_http::request::from_str(&event.to_string()).unwrap()
    }

    #[tokio::test]
    async fn the_gateways_events_reach_their_routes() {
        let echo = |uri: Uri, RawBody(body): RawBody| async move {
            axum::Json(json!({"uri": uri.to_string(), "body": String::from_utf8_lossy(&body)}))
        };
        let app = harden(Router::new().route("/echo/{id}", post(echo)), &HttpConfig::default());
        for (path, text, base64) in [("/echo/1", "words", false), ("/prod/echo/1", "d29yZHM=", true)] {
            let response = answer(app.clone(), event(path, text, base64)).await.unwrap();
            assert_eq!((response.status().as_u16(), path), (200, path));
            assert_eq!(response.headers()["x-request-id"], "gateway-request-1");
            let body = body(response).await;
            assert_eq!(body["body"], "words");
            assert!(body["uri"].as_str().unwrap().starts_with("/echo/1?q=a"), "{body}");
        }
        assert_eq!(answer(app, event("/production/echo/1", "", false)).await.unwrap().status(), 404);
    }
}
