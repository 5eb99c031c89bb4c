//! Stripe: forgetting a customer, and webhook signatures; no payment goes through us yet.
//!
//! Deleting a customer ends their subscriptions at once. Errors follow the common rules in `error.rs`; a customer whom
//! Stripe does not know (404 `resource_missing`) is deleted, so the request may be sent again after any of them.
//!
//! `Stripe-Signature: t=<unix s>,v1=<hex>[,v1=…]`, v1 = HMAC-SHA256 with the whole `whsec_…` text as key over `t`, a
//! point and the body. While a secret is rolled there are two v1; one that matches is enough. Other schemes are skipped,
//! so a forger cannot choose a weaker one. We are stricter than Stripe's SDKs in two places: an empty body is refused
//! (Stripe never sends one), and so is a time more than an hour ahead (no clock is that wrong).

use aws_lc_rs::hmac::HMAC_SHA256;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{
    error::{Class, ProviderError},
    http::{endpoint, exchange},
    signature::{self, SignatureError},
};

/// The version of the API that our types were written for.
const API_VERSION: &str = "2026-10-28.endive";

/// The client. `base_url` is the root with its version (`https://api.stripe.com/v1`).
#[derive(Debug, Clone)]
pub struct Stripe {
    http: reqwest::Client,
    base_url: Url,
    secret_key: SecretString,
}

impl Stripe {
    #[must_use]
    pub const fn new(http: reqwest::Client, base_url: Url, secret_key: SecretString) -> Self {
        Self { http, base_url, secret_key }
    }

    /// Deletes a customer for good and ends their subscriptions.
    ///
    /// # Errors
    /// See the module.
    pub async fn delete_customer(&self, customer_id: &str) -> Result<(), ProviderError> {
        let url = endpoint(&self.base_url, &["customers", customer_id])?;
        let request = self.http.delete(url).header("Stripe-Version", API_VERSION);
        let request = request.bearer_auth(self.secret_key.expose_secret());
        let answer = exchange("stripe_delete_customer", request).await?;
        match answer.status {
            404 => Ok(()),
            _ if answer.is_success() => Ok(()),
            _ => Err(answer.failed(None, Class::InvalidRequest)),
        }
    }
}

pub const SIGNATURE_HEADER: &str = "stripe-signature";

const MAX_AGE_SECONDS: i64 = 300;
const MAX_AHEAD_SECONDS: i64 = 3600;

/// Checks that Stripe sent this body, at most 5 minutes ago. `endpoint_secrets` include their `whsec_` prefix.
///
/// # Errors
/// Any [`SignatureError`].
pub fn verify_webhook(
    endpoint_secrets: &[SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let (mut time, mut tags) = (None, Vec::new());
    for pair in signature::header(headers, SIGNATURE_HEADER)?.split(',') {
        match pair.split_once('=').ok_or(SignatureError::Malformed)? {
            ("t", value) => {
                let value = signature::decimal(value)?;
                if time.is_some_and(|time| time != value) {
                    return Err(SignatureError::Malformed);
                }
                time = Some(value);
            }
            // One unreadable v1 beside a good one does no harm.
            ("v1", value) => tags.extend(signature::sha256_hex(value)),
            _ => {}
        }
    }
    let time = time.ok_or(SignatureError::Malformed)?;
    if tags.is_empty() {
        return Err(SignatureError::Malformed);
    }
    let age = now.as_second().saturating_sub(time);
    if !(-MAX_AHEAD_SECONDS..=MAX_AGE_SECONDS).contains(&age) {
        return Err(SignatureError::OutsideWindow);
    }
    if body.is_empty() {
        return Err(SignatureError::Mismatch);
    }
    let tags: Vec<&[u8]> = tags.iter().map(<[u8; 32]>::as_slice).collect();
    signature::verify(HMAC_SHA256, endpoint_secrets, &[time.to_string().as_bytes(), b".", body], &tags)
}
