//! The HTTP client that all providers share, and the rules that hold for every answer.
//!
//! Every request has time-outs, no redirect is followed (a key must not travel to another host), nothing is repeated
//! by the client, and proxy variables of the environment are not read: the base URL alone says where a request goes.
//! Trusted are Mozilla's roots as this build has them, not the system's, whose reading would be most of a start (decision 0023).
//! A connection that lay idle for long is not used again, because a frozen Lambda finds it dead, and a request lost
//! on a dead connection counts as unknown.

use std::time::Duration;

use reqwest::{Certificate, RequestBuilder, header::RETRY_AFTER, redirect, retry};
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::{Class, Failure, ProviderError};

const CONNECT: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(20);

/// The client for all providers: 3 seconds to connect, 10 seconds for the whole exchange.
///
/// # Panics
/// When TLS cannot be set up: a function without it must not start.
#[must_use]
pub fn http_client() -> reqwest::Client {
    http_client_with_timeouts(CONNECT, WHOLE)
}

/// As [`http_client`], with other time-outs.
///
/// # Panics
/// When TLS cannot be set up.
#[must_use]
pub fn http_client_with_timeouts(connect: Duration, whole: Duration) -> reqwest::Client {
    let root = |der| Certificate::from_der(der).unwrap_or_else(|error| panic!("a bundled root is none: {error}"));
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|der| root(der));
    reqwest::Client::builder()
        .tls_certs_only(roots)
        .connect_timeout(connect)
        .timeout(whole)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .pool_idle_timeout(IDLE)
        .build()
        .unwrap_or_else(|error| panic!("no HTTPS client: {error}"))
}

/// The base URL with more path segments, each percent-encoded. A base with a path keeps it, with or without a final slash.
pub(crate) fn endpoint(base: &Url, segments: &[&str]) -> Result<Url, ProviderError> {
    let mut url = base.clone();
    match url.path_segments_mut() {
        Ok(mut path) => {
            path.pop_if_empty().extend(segments);
        }
        Err(()) => return Err(ProviderError::Misconfigured { status: None, code: None }),
    }
    Ok(url)
}

/// An answer that arrived, whatever its status. An unreadable body is empty, which no success of a provider is.
pub(crate) struct Answer {
    pub(crate) status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body of an error, when it is readable.
    pub(crate) fn error<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body of a success. One that cannot be read leaves open what was done.
    pub(crate) fn success<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        serde_json::from_slice(&self.body).map_err(|_| ProviderError::Unknown)
    }

    /// The error for a status that is no success, by the rules that hold everywhere (see [`crate::error`]).
    pub(crate) fn failed(&self, code: Option<i64>, class: Class) -> ProviderError {
        match self.status {
            429 => ProviderError::RateLimited { retry_after: self.retry_after },
            401..=403 | 300..=399 => ProviderError::Misconfigured { status: Some(self.status), code },
            400 | 404..=407 | 410..=424 | 426..=428 | 430..=499 => {
                ProviderError::Rejected { status: self.status, code, class }
            }
            // 408, 409 and 425 speak of a request that is still under way; 5xx may follow the work.
            _ => ProviderError::Unknown,
        }
    }

    /// The error for a code that the provider's module knows, whatever the status beside it.
    pub(crate) fn failed_as(&self, code: i64, failure: Failure) -> ProviderError {
        match failure {
            Failure::Final(class) => ProviderError::Rejected { status: self.status, code: Some(code), class },
            Failure::RateLimited => ProviderError::RateLimited { retry_after: self.retry_after },
            Failure::Transient => ProviderError::Unavailable { status: Some(self.status) },
            Failure::Misconfigured => ProviderError::Misconfigured { status: Some(self.status), code: Some(code) },
        }
    }
}

/// Sends a request and waits for its answer. `operation` names it in the log.
pub(crate) async fn exchange(operation: &'static str, request: RequestBuilder) -> Result<Answer, ProviderError> {
    let response = match request.send().await {
        Ok(response) => response,
        // The text of a transport error holds the URL, and with it ids: only its kind is logged.
        Err(error) if error.is_connect() => {
            tracing::warn!(event = "provider_not_reached", operation);
            return Err(ProviderError::Unavailable { status: None });
        }
        Err(error) if error.is_builder() => return Err(ProviderError::Misconfigured { status: None, code: None }),
        Err(error) => {
            tracing::warn!(event = "provider_answer_lost", operation, timeout = error.is_timeout());
            return Err(ProviderError::Unknown);
        }
    };
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    let body = response.bytes().await.map(|bytes| bytes.to_vec()).unwrap_or_default();
    if !(200..300).contains(&status) {
        tracing::warn!(event = "provider_answered_error", operation, status);
    }
    Ok(Answer { status, retry_after, body })
}
