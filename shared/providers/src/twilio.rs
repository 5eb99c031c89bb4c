//! Twilio: sending SMS, reading its callbacks, and checking that they are Twilio's.
//!
//! Sending has no idempotency key. So [`ProviderError::Unknown`] (a time-out, a 5xx, an unreadable 201) must not lead to
//! a second send: at most once is what SMS gets.
//!
//! What leads to which error, beyond the common rules in `error.rs`, is decided by the code in the body first:
//! 20429 → `RateLimited`, never processed; 20003 and other account codes → `Misconfigured`; 21610 → `Rejected` of class
//! `OptedOut`; 21211, 21612, 21614 and their kin → `InvalidNumber`; 21408, 21608, 30034 → `NotAllowed`;
//! see [`failure`]. The same codes come in status callbacks. A 5xx is `Unknown` whatever its code.

use std::{borrow::Cow, collections::BTreeSet};

use aws_lc_rs::{
    constant_time, digest,
    hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, fmt::rfc2822, tz::TimeZone};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Url, form_urlencoded};

use crate::{
    error::{Class, Failure, ProviderError},
    http::{Answer, endpoint, exchange},
    lenient,
    signature::{self, SignatureError},
};

pub const SIGNATURE_HEADER: &str = "x-twilio-signature";
/// Present when a SharedKey signs instead of the auth token.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";
/// The same in repeats of one callback.
pub const IDEMPOTENCY_HEADER: &str = "i-twilio-idempotency-token";

/// The client. `base_url` includes the version (`https://api.twilio.com/2010-04-01`).
#[derive(Clone)]
pub struct Twilio {
    http: reqwest::Client,
    base_url: Url,
    account_sid: String,
    auth_token: SecretString,
    from: String,
}

redacted_debug! { Twilio { base_url } }

/// A text of either direction, as Twilio's list has it.
#[derive(Deserialize)]
struct Listed {
    sid: String,
    #[serde(default, deserialize_with = "lenient::text")]
    body: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    date_created: Option<String>,
}

impl Listed {
    fn created_at(&self) -> Option<Timestamp> {
        self.date_created.as_deref().and_then(|text| rfc2822::parse(text).ok()).map(|at| at.timestamp())
    }
}

/// A text that Twilio keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptText {
    pub sid: String,
    pub created_at: Option<Timestamp>,
}

/// Twilio took the message; it is not delivered yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sent {
    pub sid: String,
}

impl Twilio {
    /// `from` is a number of ours in E.164.
    #[must_use]
    pub const fn new(
        http: reqwest::Client,
        base_url: Url,
        account_sid: String,
        auth_token: SecretString,
        from: String,
    ) -> Self {
        Self { http, base_url, account_sid, auth_token, from }
    }

    /// Sends a text of at most 1600 characters. With `status_callback` Twilio reports there what became of it.
    ///
    /// # Errors
    /// See the module. After `Unknown` the text may have gone out.
    pub async fn send_sms(&self, to: &str, body: &str, status_callback: Option<&Url>) -> Result<Sent, ProviderError> {
        let url = endpoint(&self.base_url, &["Accounts", &self.account_sid, "Messages.json"])?;
        let mut form = vec![("To", to), ("From", &self.from), ("Body", body)];
        form.extend(status_callback.map(|url| ("StatusCallback", url.as_str())));
        let request =
            self.http.post(url).basic_auth(&self.account_sid, Some(self.auth_token.expose_secret())).form(&form);
        let answer = exchange("twilio_send_sms", request).await?;
        if answer.is_success() { answer.success() } else { Err(refusal(&answer)) }
    }
}

impl Twilio {
    /// The text of ours to a number with these very words that Twilio took since a moment; nothing when it lists none. Twilio
    /// may be slow to list one: only what is found says something.
    ///
    /// # Errors
    /// See the module; the same request may be sent again.
    pub async fn find_sms(&self, to: &str, body: &str, since: Timestamp) -> Result<Option<String>, ProviderError> {
        // The list is by days of UTC.
        let day = since.to_zoned(TimeZone::UTC).date().to_string();
        let query = [("To", to), ("From", self.from.as_str()), ("DateSent>", day.as_str()), ("PageSize", "50")];
        let listed = self.list("twilio_find_sms", &query).await?;
        let fits = |listed: &Listed| {
            listed.body.as_deref() == Some(body) && listed.created_at().is_some_and(|created| created >= since)
        };
        Ok(listed.into_iter().find(fits).map(|listed| listed.sid))
    }

    /// The texts to a number and those from it that Twilio keeps; of very many the newest.
    ///
    /// # Errors
    /// See the module; the same request may be sent again.
    pub async fn texts_with(&self, phone: &str) -> Result<Vec<KeptText>, ProviderError> {
        let mut kept = Vec::new();
        for way in ["To", "From"] {
            let listed = self.list("twilio_list_sms", &[(way, phone), ("PageSize", "1000")]).await?;
            kept.extend(listed.into_iter().map(|text| KeptText { created_at: text.created_at(), sid: text.sid }));
        }
        Ok(kept)
    }

    /// Deletes what Twilio keeps of a text, of either direction. One that it does not know is deleted.
    ///
    /// # Errors
    /// See the module; the same request may be sent again.
    pub async fn delete_text(&self, sid: &str) -> Result<(), ProviderError> {
        let url = endpoint(&self.base_url, &["Accounts", &self.account_sid, "Messages", &format!("{sid}.json")])?;
        let request = self.http.delete(url).basic_auth(&self.account_sid, Some(self.auth_token.expose_secret()));
        let answer = exchange("twilio_delete_sms", request).await?;
        if answer.is_success() || answer.status == 404 { Ok(()) } else { Err(refusal(&answer)) }
    }

    async fn list(&self, operation: &'static str, query: &[(&str, &str)]) -> Result<Vec<Listed>, ProviderError> {
        #[derive(Deserialize)]
        struct Page {
            messages: Vec<Listed>,
        }
        let mut url = endpoint(&self.base_url, &["Accounts", &self.account_sid, "Messages.json"])?;
        url.query_pairs_mut().extend_pairs(query);
        let request = self.http.get(url).basic_auth(&self.account_sid, Some(self.auth_token.expose_secret()));
        let answer = exchange(operation, request).await?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        answer.success().map(|page: Page| page.messages)
    }
}

fn refusal(answer: &Answer) -> ProviderError {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "lenient::optional")]
        code: Option<i64>,
    }
    let code = answer.error::<Body>().and_then(|body| body.code);
    match code.and_then(|code| Some((code, failure(code)?))) {
        Some((code, failure @ Failure::RateLimited)) => answer.failed_as(code, failure),
        // The status says whether it was processed, and a code on a 5xx does not change that.
        Some((code, failure)) if answer.status < 500 => answer.failed_as(code, failure),
        _ => answer.failed(code, Class::InvalidRequest),
    }
}

/// What an error code means, in an answer or as `ErrorCode` of a status callback. Nothing for codes that we don't know.
#[must_use]
pub const fn failure(code: i64) -> Option<Failure> {
    Some(match code {
        20429 | 14107 => Failure::RateLimited,
        // Wrong credentials, suspended account, a sender that is not ours or cannot send texts.
        20003 | 20005 | 21603 | 21606 | 21659 | 21660 | 30002 => Failure::Misconfigured,
        21610 => Failure::Final(Class::OptedOut),
        // No such number, no route, a landline.
        21211 | 21214 | 21217 | 21612 | 21614 | 30005 | 30006 => Failure::Final(Class::InvalidNumber),
        // Region switched off, trial account, sender not registered with US carriers.
        21408 | 21608 | 30034 => Failure::Final(Class::NotAllowed),
        // Phone off or out of reach, filtered by a carrier, unknown failure of a carrier.
        30003 | 30004 | 30007 | 30008 => Failure::Final(Class::Undeliverable),
        _ => return None,
    })
}

/// The parameters of a callback, decoded. Read it only after [`verify_webhook`].
#[derive(Clone)]
pub struct Form(Vec<(String, String)>);

redacted_debug! { Form {} }

impl Form {
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The first value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).filter(|value| !value.is_empty()).map(ToOwned::to_owned)
    }
}

/// A text that someone sent us.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundSms {
    pub message_sid: String,
    pub from: String,
    pub to: String,
    pub body: String,
    /// `STOP`, `START` or `HELP`, with Advanced Opt-Out only.
    pub opt_out_type: Option<String>,
    /// Attached pictures and the like, which we don't read.
    pub media: u32,
}

impl InboundSms {
    /// Nothing when the form is no inbound text.
    #[must_use]
    pub fn from_form(form: &Form) -> Option<Self> {
        Some(Self {
            message_sid: form.owned("MessageSid")?,
            from: form.owned("From")?,
            to: form.owned("To")?,
            body: form.get("Body").unwrap_or_default().to_owned(),
            opt_out_type: form.owned("OptOutType"),
            media: form.get("NumMedia").and_then(|number| number.parse().ok()).unwrap_or_default(),
        })
    }
}

/// What became of a text that we sent. May come in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageStatus {
    pub message_sid: String,
    /// `sent`, `delivered`, `undelivered`, `failed` and others.
    pub status: String,
    /// With `undelivered` and `failed`; see [`failure`].
    pub error_code: Option<i64>,
}

impl MessageStatus {
    /// Nothing when the form is no message status.
    #[must_use]
    pub fn from_form(form: &Form) -> Option<Self> {
        Some(Self {
            message_sid: form.owned("MessageSid")?,
            status: form.owned("MessageStatus")?,
            error_code: form.get("ErrorCode").and_then(|code| code.parse().ok()),
        })
    }
}

/// What became of a call, as the carrier saw it: the backup for Retell's events.
#[derive(Clone, PartialEq, Eq)]
pub struct CallStatus {
    pub call_sid: String,
    pub from: Option<String>,
    pub to: Option<String>,
    /// `queued`, `ringing`, `in-progress`, `completed`, `busy`, `failed`, `no-answer`, `canceled`.
    pub status: String,
    pub duration_seconds: Option<u32>,
    /// From 0, in the order in which things happened.
    pub sequence_number: Option<u32>,
    /// When it happened.
    pub at: Option<Timestamp>,
}

impl CallStatus {
    /// Nothing when the form is no call status.
    #[must_use]
    pub fn from_form(form: &Form) -> Option<Self> {
        let number = |name| form.get(name).and_then(|number: &str| number.parse().ok());
        Some(Self {
            call_sid: form.owned("CallSid")?,
            status: form.owned("CallStatus")?,
            from: form.owned("From"),
            to: form.owned("To"),
            duration_seconds: number("CallDuration"),
            sequence_number: number("SequenceNumber"),
            at: form.get("Timestamp").and_then(|text| rfc2822::parse(text).ok()).map(|at| at.timestamp()),
        })
    }
}

redacted_debug! {
    InboundSms { message_sid, opt_out_type, media }
    CallStatus { call_sid, status, duration_seconds, sequence_number, at }
}

/// What may sign callbacks. Which of the two is asked follows the settings header, which nobody signs: so once all
/// webhooks are signed with SharedKeys, leave `auth_tokens` empty, and the weaker way is closed.
#[derive(Debug, Clone, Default)]
pub struct WebhookKeys {
    /// HMAC-SHA1, when there is no settings header. Two while one is rotated.
    pub auth_tokens: Vec<SecretString>,
    /// HMAC-SHA256, when the settings header says so (public beta).
    pub shared_keys: Vec<SecretString>,
}

/// Checks that Twilio sent this request. `url` is the whole URL that Twilio asked for, with its raw query: behind a
/// gateway that is the public one, not what the function sees.
///
/// - Form: the URL is signed, followed by each distinct name and value, sorted.
/// - Anything else with `bodySHA256` in the query: the URL is signed, and the body must have that hash.
/// - No body: the URL is signed. A body that neither way covers is refused.
///
/// Twilio signs with or without the port, so both are tried. There is no time in the signature: repeats verify, and
/// it is for the caller to drop them.
///
/// # Errors
/// Any [`SignatureError`] but `OutsideWindow`.
pub fn verify_webhook(keys: &WebhookKeys, url: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
    let tag = signature::header(headers, SIGNATURE_HEADER)?;
    let tag = STANDARD.decode(tag).map_err(|_| SignatureError::Malformed)?;
    let (algorithm, keys) = match signature::optional_header(headers, SETTINGS_HEADER)? {
        None => (HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.auth_tokens),
        Some(settings) => (shared_key_algorithm(settings)?, &keys.shared_keys),
    };
    let parameters = signed_parameters(url, headers, body)?;
    let mut result = Err(SignatureError::Mismatch);
    for url in port_variants(url) {
        let mut parts = vec![url.as_bytes()];
        for (name, value) in &parameters {
            parts.extend([name.as_bytes(), value.as_bytes()]);
        }
        result = signature::verify(algorithm, keys, &parts, &[&tag]);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// `key=…,algorithm=HMAC_SHA256`: any other algorithm, or none, is refused.
fn shared_key_algorithm(settings: &str) -> Result<hmac::Algorithm, SignatureError> {
    let mut algorithm = None;
    for pair in settings.split(',') {
        match pair.trim().split_once('=').ok_or(SignatureError::Malformed)? {
            ("algorithm", "HMAC_SHA256") if algorithm.is_none() => algorithm = Some(HMAC_SHA256),
            ("algorithm", _) => return Err(SignatureError::Malformed),
            _ => {}
        }
    }
    algorithm.ok_or(SignatureError::Malformed)
}

/// Distinct names with their distinct values, in byte order.
type Parameters<'a> = BTreeSet<(Cow<'a, str>, Cow<'a, str>)>;

/// The parameters that follow the URL in what is signed. None for a body that is covered by its hash.
fn signed_parameters<'a>(url: &str, headers: &HeaderMap, body: &'a [u8]) -> Result<Parameters<'a>, SignatureError> {
    let query = url.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or_default());
    let hash = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "bodySHA256").map(|(_, hash)| hash);
    let is_form = headers.get(CONTENT_TYPE).map_or(hash.is_none(), |value| {
        let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    });
    if is_form {
        let parameters: Parameters<'_> = form_urlencoded::parse(body).collect();
        if !parameters.is_empty() {
            return Ok(parameters);
        }
    }
    let covered = match hash {
        Some(hash) => {
            let expected = signature::sha256_hex(&hash)?;
            let found = digest::digest(&digest::SHA256, body);
            constant_time::verify_slices_are_equal(found.as_ref(), &expected).is_ok()
        }
        None => body.is_empty(),
    };
    if covered { Ok(BTreeSet::new()) } else { Err(SignatureError::Mismatch) }
}

/// The URL without its port and with it (the scheme's own when none is given). Byte for byte otherwise.
fn port_variants(url: &str) -> [Cow<'_, str>; 2] {
    let Some((scheme, rest)) = url.split_once("://") else { return [url.into(), url.into()] };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let colon = authority[host_at..]
        .rfind(':')
        .map(|colon| host_at + colon)
        .filter(|colon| authority[colon + 1..].bytes().all(|byte| byte.is_ascii_digit()));
    match colon {
        Some(colon) => [format!("{scheme}://{}{path}", &authority[..colon]).into(), url.into()],
        None => {
            let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
            [url.into(), format!("{scheme}://{authority}:{port}{path}").into()]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CallStatus, Form, InboundSms, MessageStatus, port_variants};

    #[test]
    fn ports_are_added_and_removed_and_nothing_else_changes() {
        for (url, without, with) in [
            ("https://a.example/x?q=a+b", "https://a.example/x?q=a+b", "https://a.example:443/x?q=a+b"),
            ("http://a.example", "http://a.example", "http://a.example:80"),
            ("https://a.example:8443?u=1:2", "https://a.example?u=1:2", "https://a.example:8443?u=1:2"),
            ("https://u:p@a.example:1/", "https://u:p@a.example/", "https://u:p@a.example:1/"),
            ("https://u:p@a.example/", "https://u:p@a.example/", "https://u:p@a.example:443/"),
            ("https://[::1]:99/", "https://[::1]/", "https://[::1]:99/"),
            ("https://[::ab]/", "https://[::ab]/", "https://[::ab]:443/"),
        ] {
            assert_eq!(port_variants(url), [without, with], "{url}");
        }
    }

    #[test]
    fn forms_are_read_by_what_they_are() {
        let sms =
            Form::parse(b"MessageSid=SM1&From=%2B15005550142&To=%2B15005550106&Body=did+it&NumMedia=0&OptOutType=");
        let read = InboundSms::from_form(&sms).unwrap();
        assert_eq!((read.body.as_str(), read.from.as_str(), read.opt_out_type), ("did it", "+15005550142", None));
        assert!(MessageStatus::from_form(&sms).is_none());
        let status = Form::parse(b"MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30006");
        assert_eq!(MessageStatus::from_form(&status).unwrap().error_code, Some(30006));
        let call = Form::parse(b"CallSid=CA1&CallStatus=no-answer&CallDuration=0&SequenceNumber=2");
        assert_eq!(CallStatus::from_form(&call).unwrap().sequence_number, Some(2));
        let told = Form::parse(b"CallSid=CA1&CallStatus=busy&Timestamp=Sat%2C+21+Nov+2026+10%3A03%3A07+%2B0000");
        let at = "2026-11-21T10:03:07Z".parse().unwrap();
        assert_eq!(CallStatus::from_form(&told).unwrap().at, Some(at));
    }
}
