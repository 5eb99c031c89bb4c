//! Webhook signatures against cases made with the providers' own SDKs.
//!
//! The file is the one that `IVY_SIGNATURE_VECTORS` names, else the copy beside this test. Every case of a provider is
//! run before the test fails, and each that fails is printed by name. The edge cases are those where the SDKs
//! disagree or a stricter receiver is right; what we chose stands in [`CHOSEN`].

#![allow(clippy::unwrap_used, clippy::print_stdout)] // The whole file is a test, its helpers too.

use ivy_providers::{SignatureError, retell, stripe, twilio, whatsapp};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::Deserialize;

const BUNDLED: &str = include_str!("data/signature_vectors.json");

/// Edge cases and our answer to each.
const CHOSEN: [(&str, &str, bool); 7] = [
    // Retell sends lower case; its Node SDK takes both, we take one.
    ("retell", "uppercase_digest", false),
    // Stripe never sends an empty body; its Python SDK takes one.
    ("stripe", "empty_body_correctly_signed", false),
    // Stripe's SDKs don't bound the future; we do, at one hour.
    ("stripe", "far_future_timestamp", false),
    // A beta that Twilio's Node SDK does not know yet.
    ("twilio", "sharedkey_hmac_sha256", true),
    ("twilio", "sharedkey_unknown_algorithm", false),
    // The header that says SHA-256 is held to it.
    ("twilio", "sharedkey_sha1_signature", false),
    // Meta's own sample takes a bare digest; Meta never sends one.
    ("meta", "malformed_no_prefix", false),
];

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
    #[serde(default)]
    edge_cases: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    provider: String,
    name: String,
    secret: String,
    url: String,
    headers: serde_json::Map<String, serde_json::Value>,
    body: String,
    now: i64,
    valid: bool,
    #[serde(default)]
    note: String,
}

/// The file, and whether it is the bundled one.
fn file() -> (File, bool) {
    let (text, bundled) = match std::env::var("IVY_SIGNATURE_VECTORS") {
        Ok(path) => (std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")), false),
        Err(_) => (BUNDLED.to_owned(), true),
    };
    (serde_json::from_str(&text).expect("the file of vectors has the known shape"), bundled)
}

fn verify(vector: &Vector) -> Result<(), SignatureError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &vector.headers {
        let name: HeaderName = name.parse().unwrap();
        // A value that no server would let through is no signature either.
        let value = HeaderValue::from_bytes(value.as_str().unwrap().as_bytes());
        headers.append(name, value.map_err(|_| SignatureError::Malformed)?);
    }
    let body = vector.body.as_bytes();
    let now = Timestamp::from_second(vector.now).unwrap();
    // As while a key is rotated: the right one is the second.
    let keys: Vec<SecretString> = vec!["of the time before".into(), vector.secret.clone().into()];
    match vector.provider.as_str() {
        "retell" => retell::verify_webhook(&keys, &headers, body, now),
        "stripe" => stripe::verify_webhook(&keys, &headers, body, now),
        "meta" => whatsapp::verify_webhook(&keys, &headers, body),
        "twilio" => {
            let keys = twilio::WebhookKeys { auth_tokens: keys.clone(), shared_keys: keys };
            twilio::verify_webhook(&keys, &vector.url, &headers, body)
        }
        other => panic!("a vector of an unknown provider: {other}"),
    }
}

fn run(provider: &str) {
    let (file, bundled) = file();
    let vectors: Vec<&Vector> = file.vectors.iter().filter(|vector| vector.provider == provider).collect();
    assert!(!(bundled && vectors.is_empty()), "the bundled file has no vectors of {provider}");
    let failed = vectors.iter().filter(|vector| {
        let verdict = verify(vector);
        let wrong = verdict.is_ok() != vector.valid;
        if wrong {
            println!(
                "{provider} {}: got {verdict:?}, expected valid = {} ({})",
                vector.name, vector.valid, vector.note
            );
        }
        wrong
    });
    let failed = failed.count();
    println!("{provider}: {} vectors, {failed} failed", vectors.len());
    assert_eq!(failed, 0, "vectors of {provider} failed, named above");
}

#[test]
fn signature_vectors_retell() {
    run("retell");
}

#[test]
fn signature_vectors_meta() {
    run("meta");
}

#[test]
fn signature_vectors_twilio() {
    run("twilio");
}

#[test]
fn signature_vectors_stripe() {
    run("stripe");
}

/// Known edge cases get the answer that we chose. Others at least must not pass where the provider's SDK refuses.
#[test]
fn signature_vectors_edge_cases() {
    let (file, bundled) = file();
    let mut failed = 0;
    let mut known = 0;
    for vector in &file.edge_cases {
        let verdict = verify(vector);
        let chosen = CHOSEN.iter().find(|(provider, name, _)| *provider == vector.provider && *name == vector.name);
        known += usize::from(chosen.is_some());
        let right = match chosen {
            Some((.., valid)) => verdict.is_ok() == *valid,
            None => vector.valid || verdict.is_err(),
        };
        if !right {
            println!("{} {}: got {verdict:?} ({})", vector.provider, vector.name, vector.note);
            failed += 1;
        } else if chosen.is_none() {
            println!("{} {}: no answer chosen, got {verdict:?} ({})", vector.provider, vector.name, vector.note);
        }
    }
    assert!(!bundled || known == CHOSEN.len(), "the bundled file lacks an edge case that we chose an answer to");
    assert_eq!(failed, 0, "edge cases failed, named above");
}

/// Our own additions: no key, blank keys, a header twice, and bodies that Twilio's signature does not cover.
#[test]
fn signature_vectors_refusals_of_our_own() {
    let file: File = serde_json::from_str(BUNDLED).unwrap();
    let vector = |provider: &str, name: &str| {
        let found = file.vectors.iter().find(|vector| vector.provider == provider && vector.name == name);
        found.unwrap_or_else(|| panic!("{provider} {name}"))
    };
    let headers = |vector: &Vector| -> HeaderMap {
        let pairs = vector.headers.iter();
        pairs
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap()))
            .collect()
    };

    let meta = vector("meta", "text_message_basic");
    let mut twice = headers(meta);
    for keys in [vec![], vec!["".into()], vec!["  ".into()]] {
        assert_eq!(whatsapp::verify_webhook(&keys, &twice, meta.body.as_bytes()), Err(SignatureError::NoKey));
    }
    let value = twice[whatsapp::SIGNATURE_HEADER].clone();
    twice.append(whatsapp::SIGNATURE_HEADER, value);
    let keys = [meta.secret.clone().into()];
    assert_eq!(whatsapp::verify_webhook(&keys, &twice, meta.body.as_bytes()), Err(SignatureError::Malformed));

    // A signed JSON request whose body is exchanged for an empty or meaningless form.
    let json = vector("twilio", "json_body_sha256");
    let keys = twilio::WebhookKeys { auth_tokens: vec![json.secret.clone().into()], shared_keys: vec![] };
    let mut as_form = headers(json);
    as_form.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    for body in ["", "&", "&&"] {
        let verdict = twilio::verify_webhook(&keys, &json.url, &as_form, body.as_bytes());
        assert_eq!(verdict, Err(SignatureError::Mismatch), "{body:?}");
    }
    // A signed GET that grew a body.
    let get = vector("twilio", "voice_get_request");
    for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
        let mut headers = headers(get);
        headers.insert("content-type", kind.parse().unwrap());
        let verdict = twilio::verify_webhook(&keys, &get.url, &headers, b"{\"a\":1}");
        assert_eq!(verdict, Err(SignatureError::Mismatch), "{kind}");
    }
    // Without auth tokens the old way is closed.
    let only_shared = twilio::WebhookKeys { auth_tokens: vec![], shared_keys: vec!["x".into()] };
    let verdict = twilio::verify_webhook(&only_shared, &get.url, &headers(get), b"");
    assert_eq!(verdict, Err(SignatureError::NoKey));
}
