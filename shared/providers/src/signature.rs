//! What the signature checks of all providers share: one header, a keyed hash, a comparison in constant time.

use aws_lc_rs::{constant_time, hmac};
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};

/// Why a webhook is not believed. The caller answers 401 or 403 and reads no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature header is absent")]
    Missing,
    /// Not the documented form, or sent more than once.
    #[error("the signature header is malformed")]
    Malformed,
    /// Signed too long ago, or too far in the future.
    #[error("the signature's time is outside the window")]
    OutsideWindow,
    /// Well formed, but made with another key or over other bytes.
    #[error("the signature does not match")]
    Mismatch,
    /// No key to check with: settings are missing. Nothing is accepted.
    #[error("no key to check signatures with")]
    NoKey,
}

/// The one value of a header.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, SignatureError> {
    optional_header(headers, name)?.ok_or(SignatureError::Missing)
}

pub(crate) fn optional_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| SignatureError::Malformed),
        (Some(_), Some(_)) => Err(SignatureError::Malformed),
    }
}

/// 64 lower-case hexadecimal digits as bytes.
pub(crate) fn sha256_hex(text: &str) -> Result<[u8; 32], SignatureError> {
    fn digit(byte: u8) -> Result<u8, SignatureError> {
        match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(SignatureError::Malformed),
        }
    }
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(SignatureError::Malformed) };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return Err(SignatureError::Malformed);
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(bytes)
}

/// Decimal digits and nothing else.
pub(crate) fn decimal(text: &str) -> Result<i64, SignatureError> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| SignatureError::Malformed)
    } else {
        Err(SignatureError::Malformed)
    }
}

/// Whether any of the keys made any of the expected tags over the parts, one after the other.
pub(crate) fn verify(
    algorithm: hmac::Algorithm,
    keys: &[SecretString],
    parts: &[&[u8]],
    tags: &[&[u8]],
) -> Result<(), SignatureError> {
    let mut any_key = false;
    for key in keys.iter().map(|key| key.expose_secret().as_bytes()).filter(|key| !key.trim_ascii().is_empty()) {
        any_key = true;
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
        for part in parts {
            context.update(part);
        }
        let made = context.sign();
        if tags.iter().any(|tag| constant_time::verify_slices_are_equal(made.as_ref(), tag).is_ok()) {
            return Ok(());
        }
    }
    Err(if any_key { SignatureError::Mismatch } else { SignatureError::NoKey })
}
