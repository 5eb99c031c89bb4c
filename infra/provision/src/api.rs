//! One request to a provider, and a sentence when it fails.
//!
//! Unlike the clients of `ivy-providers`, which must not let a provider's words into logs, this one shows them: here a person set something up
//! and needs to read what was wrong. Keys are cut out of them first. Nothing is repeated: every run begins by asking what is there.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use url::Url;

use crate::failure::Failure;

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(30);
const LONGEST_MESSAGE: usize = 300;

/// The client that all providers share.
pub(crate) fn http_client() -> reqwest::Client {
    ivy_providers::http_client_with_timeouts(CONNECT, WHOLE)
}

#[derive(Debug)]
pub(crate) enum Key {
    Bearer(SecretString),
    Basic { user: String, password: SecretString },
}

#[derive(Debug)]
pub(crate) struct Api {
    provider: &'static str,
    base: Url,
    key: Key,
    http: reqwest::Client,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Body<'a> {
    None,
    Json(&'a Map<String, Value>),
    Form(&'a [(&'a str, &'a str)]),
}

impl Api {
    pub(crate) fn new(provider: &'static str, http: &reqwest::Client, base: &Url, key: Key) -> Self {
        Self { provider, base: base.clone(), key, http: http.clone() }
    }

    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.send(Method::GET, path, query, Body::None).await
    }

    /// The answer's JSON; `null` where it has no body.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Body<'_>,
    ) -> Result<Value, Failure> {
        let what = format!("{} {method} /{}", self.provider, path.join("/"));
        let url = self.url(path, query)?;
        let request = self.signed(self.http.request(method, url));
        let request = match body {
            Body::None => request,
            Body::Json(fields) => request.json(fields),
            Body::Form(fields) => request.form(fields),
        };
        let again = "Run the same command again: it finds out what was done, and does nothing twice.";
        // The error's own text may hold the whole URL; what kind of failure it was is enough.
        let lost = |error: &reqwest::Error| match (error.is_connect(), error.is_timeout()) {
            (true, _) => Failure::new(format!("{what}: {} cannot be reached at {}.", self.provider, self.base)),
            (false, true) => Failure::new(format!("{what}: no answer within {} seconds. {again}", WHOLE.as_secs())),
            (false, false) => Failure::new(format!("{what}: the answer was lost. {again}")),
        };
        let response = request.send().await.map_err(|error| lost(&error))?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(|error| lost(&error))?;
        if !status.is_success() {
            let message = self.without_key(&message(&bytes));
            return Err(Failure::new(format!("{what} was refused with status {}: {message}", status.as_u16())));
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| Failure::new(format!("{what}: the answer is no JSON. {again}")))
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().extend(path),
            Err(()) => return Err(Failure::new(format!("The base URL of {} cannot be used.", self.provider))),
        };
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Key::Bearer(key) => request.bearer_auth(key.expose_secret()),
            Key::Basic { user, password } => request.basic_auth(user, Some(password.expose_secret())),
        }
    }

    fn without_key(&self, text: &str) -> String {
        let (Key::Bearer(key) | Key::Basic { password: key, .. }) = &self.key;
        text.replace(key.expose_secret(), "[key]")
    }
}

/// What the provider says is wrong.
fn message(bytes: &[u8]) -> String {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let said = ["/error/error_user_msg", "/error/message", "/message"];
    let text = said.iter().find_map(|pointer| body.pointer(pointer)?.as_str()).unwrap_or("it does not say why");
    text.chars().filter(|c| !c.is_control()).take(LONGEST_MESSAGE).collect()
}

/// The text of a field that must be there.
pub(crate) fn text<'a>(answer: &'a Value, name: &str, of: &str) -> Result<&'a str, Failure> {
    let value = answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    value.ok_or_else(|| Failure::new(format!("The answer about {of} has no {name}.")))
}

pub(crate) fn number(answer: &Value, name: &str, of: &str) -> Result<u64, Failure> {
    let value = answer.get(name).and_then(Value::as_u64);
    value.ok_or_else(|| Failure::new(format!("The answer about {of} has no {name}.")))
}

pub(crate) fn object(answer: Value, of: &str) -> Result<Map<String, Value>, Failure> {
    match answer {
        Value::Object(fields) => Ok(fields),
        _ => Err(Failure::new(format!("The answer about {of} is not what was expected."))),
    }
}
