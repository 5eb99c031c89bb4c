//! The three webhook signatures, written from the providers' documentation and from nothing in `shared/`.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `X-Retell-Signature`: HMAC-SHA256 with the API key over the body followed by the decimal milliseconds.
pub(crate) fn retell(api_key: &str, body: &[u8], now: Timestamp) -> String {
    let milliseconds = now.as_millisecond();
    let mut message = body.to_vec();
    message.extend_from_slice(milliseconds.to_string().as_bytes());
    let key = hmac::Key::new(hmac::HMAC_SHA256, api_key.as_bytes());
    format!("v={milliseconds},d={}", hex(hmac::sign(&key, &message).as_ref()))
}

/// `X-Hub-Signature-256`: HMAC-SHA256 with the app secret over the body.
pub(crate) fn whatsapp(app_secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app_secret.as_bytes());
    format!("sha256={}", hex(hmac::sign(&key, body).as_ref()))
}

/// `X-Twilio-Signature` of a form: HMAC-SHA1 with the auth token over the URL and each distinct name and value, sorted.
pub(crate) fn twilio(auth_token: &str, url: &str, form: &[(String, String)]) -> String {
    let mut pairs: Vec<&(String, String)> = form.iter().collect();
    pairs.sort();
    pairs.dedup();
    let mut message = url.to_owned();
    for (name, value) in pairs {
        message.push_str(name);
        message.push_str(value);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth_token.as_bytes());
    STANDARD.encode(hmac::sign(&key, message.as_bytes()))
}
