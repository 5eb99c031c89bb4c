//! Webhooks on their way out.
//!
//! A webhook is kept unsigned until it leaves, because providers sign each delivery: one taken an hour late carries a fresh
//! signature, as a real late retry does. A test of staleness keeps the [`Webhook`] and delivers it after moving the clock.
//!
//! Posted webhooks follow each provider's habit: Retell tries three times, WhatsApp with growing pauses (seconds here instead of days), Twilio once
//! more and only when no connection came about.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use crate::{Delivery, Inner, Provider, sign};

/// One signed delivery.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub provider: Provider,
    /// Where it goes: path and query of `url`.
    pub path: String,
    /// The whole address, which Twilio's signature covers.
    pub url: String,
    /// Names in the provider's spelling, with `Content-Type` and the signature.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A webhook that is not signed yet.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) provider: Provider,
    pub(crate) url: Url,
    pub(crate) content: Content,
    /// Place among the events of one call or message: 0 for the first.
    pub(crate) rank: u32,
    /// Twilio repeats this token when it repeats the delivery.
    token: Uuid,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Json(Vec<u8>),
    Form(Vec<(String, String)>),
}

impl Draft {
    pub(crate) fn new(provider: Provider, url: Url, content: Content, rank: u32) -> Self {
        Self { provider, url, content, rank, token: Uuid::new_v4() }
    }
}

/// How posting went so far, for `/simulator/state`.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(crate) struct PostedCounts {
    pub(crate) attempts: u64,
    pub(crate) accepted: u64,
    pub(crate) given_up: u64,
}

const LAST_RANK: u32 = 3;
const OVERTAKING: Duration = Duration::from_secs(2);

/// `host` is the API's, where it is one of this machine that its resolver need not know (`….localhost`).
pub(crate) fn client(host: Option<&str>) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder();
    if let Some(host) = host.filter(|host| host.ends_with(".localhost")) {
        // Port 0 stands for the URL's own.
        builder = builder.resolve(host, std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    }
    // Webhooks go to this machine; a proxy of the environment has no business with them.
    builder.no_proxy().timeout(Duration::from_secs(10)).redirect(reqwest::redirect::Policy::none()).build()
}

/// The pauses between tries.
fn pauses(provider: Provider) -> &'static [u64] {
    match provider {
        Provider::Retell => &[1, 2],
        Provider::WhatsApp => &[1, 2, 4, 8, 16, 32, 64],
        Provider::Twilio => &[1],
    }
}

impl Inner {
    /// Where a provider sends what it starts itself.
    pub(crate) fn webhook_url(&self, provider: Provider) -> Url {
        match (&self.delivery, provider) {
            (Delivery::Post { retell, .. }, Provider::Retell) => retell.clone(),
            (Delivery::Post { whatsapp, .. }, Provider::WhatsApp) => whatsapp.clone(),
            (Delivery::Post { twilio, .. }, Provider::Twilio) => twilio.clone(),
            (Delivery::Manual, Provider::Retell) => self.public("/webhooks/retell"),
            (Delivery::Manual, Provider::WhatsApp) => self.public("/webhooks/whatsapp"),
            (Delivery::Manual, Provider::Twilio) => self.public("/webhooks/twilio/sms"),
        }
    }

    /// Where the carrier tells of phone calls: the address that the number was given (by `ivy-provision`), or the API's own.
    pub(crate) fn carrier_url(&self) -> Option<Url> {
        match &self.delivery {
            Delivery::Post { twilio, .. } => twilio.as_str().strip_suffix("/sms").and_then(|url| Url::parse(url).ok()),
            Delivery::Manual => Some(self.public("/webhooks/twilio")),
        }
    }

    /// Posts a signed body to a path below Retell's webhooks and answers what came back.
    pub(crate) async fn ask(&self, path: &str, body: Vec<u8>) -> Option<serde_json::Value> {
        let base = self.webhook_url(Provider::Retell);
        let url = Url::parse(&format!("{}{path}", base.as_str().trim_end_matches('/'))).ok()?;
        let webhook = self.signed(&Draft::new(Provider::Retell, url.clone(), Content::Json(body), 0));
        let mut request = self.http.clone()?.post(url).body(webhook.body);
        for (name, value) in webhook.headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.ok()?;
        tracing::info!(path, status = answer.status().as_u16(), "retell asked");
        if !answer.status().is_success() {
            return None;
        }
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()
    }

    /// The public URL with `path` behind it; a stage prefix of the base stays.
    fn public(&self, path: &str) -> Url {
        let base = self.state().public_url.clone();
        let base = base.as_ref().map_or("http://localhost", Url::as_str);
        let whole = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
        Url::parse(&whole).unwrap_or_else(|error| panic!("{whole} is no URL: {error}"))
    }

    pub(crate) fn emit(self: &Arc<Self>, draft: Draft) {
        let copies = if self.faults.duplicates() { 2 } else { 1 };
        for _ in 0..copies {
            if self.posts() {
                tokio::spawn(Arc::clone(self).post(draft.clone()));
            } else {
                self.state().outgoing.push(draft.clone());
            }
        }
    }

    pub(crate) fn take_webhooks(&self) -> Vec<Webhook> {
        let mut drafts = std::mem::take(&mut self.state().outgoing);
        if self.faults.reverses() {
            drafts.reverse();
        }
        drafts.iter().map(|draft| self.signed(draft)).collect()
    }

    pub(crate) fn sign_own(&self, provider: Provider, path: &str, body: Vec<u8>) -> Webhook {
        let content = match provider {
            Provider::Retell | Provider::WhatsApp => Content::Json(body),
            Provider::Twilio => Content::Form(form_urlencoded::parse(&body).into_owned().collect()),
        };
        self.signed(&Draft::new(provider, self.public(path), content, 0))
    }

    fn signed(&self, draft: &Draft) -> Webhook {
        let header = |name: &str, value: String| (name.to_owned(), value);
        let (content_type, body) = match &draft.content {
            Content::Json(bytes) => ("application/json", bytes.clone()),
            Content::Form(pairs) => (
                "application/x-www-form-urlencoded; charset=UTF-8",
                form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes(),
            ),
        };
        let mut headers = vec![header("Content-Type", content_type.to_owned())];
        match (draft.provider, &draft.content) {
            (Provider::Retell, _) => {
                headers
                    .push(header("X-Retell-Signature", sign::retell(&self.secrets.retell_api_key, &body, self.now())));
            }
            (Provider::WhatsApp, _) => {
                headers.push(header("X-Hub-Signature-256", sign::whatsapp(&self.secrets.whatsapp_app_secret, &body)));
            }
            (Provider::Twilio, content) => {
                let form: &[(String, String)] = match content {
                    Content::Form(pairs) => pairs,
                    Content::Json(_) => &[],
                };
                let signature = sign::twilio(&self.secrets.twilio_auth_token, draft.url.as_str(), form);
                headers.push(header("X-Twilio-Signature", signature));
                headers.push(header("I-Twilio-Idempotency-Token", draft.token.to_string()));
            }
        }
        let path = match draft.url.query() {
            Some(query) => format!("{}?{query}", draft.url.path()),
            None => draft.url.path().to_owned(),
        };
        Webhook { provider: draft.provider, path, url: draft.url.as_str().to_owned(), headers, body }
    }

    async fn post(self: Arc<Self>, draft: Draft) {
        let Some(http) = self.http.clone() else { return };
        let overtaken =
            if self.faults.reverses() { OVERTAKING * LAST_RANK.saturating_sub(draft.rank) } else { Duration::ZERO };
        tokio::time::sleep(self.faults.lateness() + overtaken).await;
        let mut pauses = pauses(draft.provider).iter();
        loop {
            let webhook = self.signed(&draft);
            let mut request = http.post(draft.url.clone()).body(webhook.body);
            for (name, value) in webhook.headers {
                request = request.header(name, value);
            }
            let answer = request.send().await;
            let (status, connected) = match &answer {
                Ok(response) => (Some(response.status()), true),
                Err(error) => (None, !error.is_connect()),
            };
            let accepted = status.is_some_and(|status| status.is_success());
            tracing::info!(provider = ?draft.provider, path = draft.url.path(), status = status.map(|s| s.as_u16()), "webhook posted");
            {
                let mut state = self.state();
                state.posted.attempts += 1;
                state.posted.accepted += u64::from(accepted);
            }
            if accepted {
                return;
            }
            let repeats = match draft.provider {
                Provider::Retell | Provider::WhatsApp => true,
                Provider::Twilio => !connected,
            };
            match pauses.next() {
                Some(seconds) if repeats => tokio::time::sleep(Duration::from_secs(*seconds)).await,
                _ => {
                    self.state().posted.given_up += 1;
                    return;
                }
            }
        }
    }
}
