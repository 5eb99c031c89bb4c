//! The one secret of a deployment: a JSON object in Secrets Manager, read once per start.
//!
//! A secret rotates without a deploy: new starts read the new values. Keys that others sign with, and keys that we sign tokens
//! with, may be lists, so that an old and a new one are live together: of a provider's the first is the one that we show, and
//! any verifies; of `token_keys` the first signs, and any verifies. Without `token_keys` the master key signs tokens, under
//! the id `master`; an entry of that id and without a key keeps it in the list. Only `master_key` is required of every function;
//! the others are asked for by the functions that need them, and asking for one that is not there fails with a sentence
//! that names it. Values are [`SecretString`]s, so none can be printed.

use aws_config::SdkConfig;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ivy_store::{Keyring, TokenKey};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::secrets_manager;

/// What is wrong with the secret, as a sentence that names the key and never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

/// One value, or several that are live together, newest first.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Live {
    One(SecretString),
    Several(Vec<SecretString>),
}

impl Live {
    fn all(&self) -> &[SecretString] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

/// A key of tokens as the secret holds it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenKeyEntry {
    id: String,
    /// Without one, the key that comes from the master key; its id is then `master`.
    key: Option<SecretString>,
}

/// The secret's values.
#[derive(Debug, Clone, Deserialize)]
pub struct Secrets {
    master_key: Option<Live>,
    token_keys: Option<Vec<TokenKeyEntry>>,
    retell_api_key: Option<Live>,
    whatsapp_token: Option<Live>,
    whatsapp_app_secret: Option<Live>,
    whatsapp_verify_token: Option<Live>,
    twilio_account_sid: Option<Live>,
    twilio_auth_token: Option<Live>,
    stripe_secret_key: Option<Live>,
}

/// All values of a key; an empty one among them is as good as none at all.
fn live(value: &Option<Live>, name: &str) -> Result<Vec<SecretString>, SecretError> {
    match value.as_ref().map(Live::all) {
        Some(values) if !values.is_empty() && values.iter().all(|v| !v.expose_secret().trim().is_empty()) => {
            Ok(values.to_vec())
        }
        _ => Err(SecretError(format!("The secret lacks the key {name}."))),
    }
}

/// The newest value of a key.
fn present(value: &Option<Live>, name: &str) -> Result<SecretString, SecretError> {
    Ok(live(value, name)?.swap_remove(0))
}

macro_rules! values {
    ($($name:ident $(, all as $all:ident)?;)*) => {
        $(
            /// The newest, where several are live.
            ///
            /// # Errors
            /// When the secret lacks this key.
            pub fn $name(&self) -> Result<SecretString, SecretError> {
                present(&self.$name, stringify!($name))
            }

            $(
                /// All that are live, to check signatures with.
                ///
                /// # Errors
                /// When the secret lacks this key.
                pub fn $all(&self) -> Result<Vec<SecretString>, SecretError> {
                    live(&self.$name, stringify!($name))
                }
            )?
        )*
    };
}

impl Secrets {
    /// Reads the secret's text.
    ///
    /// # Errors
    /// When it is not a JSON object of strings and lists of them, lacks a usable `master_key`, or has `token_keys` that are
    /// none.
    pub fn from_json(text: &str) -> Result<Self, SecretError> {
        // The parser's own message may hold a piece of the text, so it is not passed on.
        let secrets: Self = serde_json::from_str(text)
            .map_err(|_| SecretError("The secret is not a JSON object of strings and lists of them.".to_owned()))?;
        secrets.keyring()?;
        Ok(secrets)
    }

    /// Reads the secret from Secrets Manager.
    ///
    /// # Errors
    /// When it cannot be fetched or [`Secrets::from_json`] refuses it.
    pub async fn fetch(sdk: &SdkConfig, id: &str) -> Result<Self, SecretError> {
        let text = secrets_manager::secret_string(sdk, id)
            .await
            .map_err(|refusal| SecretError(format!("The secret {id} cannot be read: {}.", refusal.code())))?
            .ok_or_else(|| SecretError(format!("The secret {id} holds no text.")))?;
        Self::from_json(text.expose_secret())
    }

    /// Recognisable values, none of them real.
    #[must_use]
    pub fn for_testing() -> Self {
        let value = |text: &str| Some(Live::One(SecretString::from(text.to_owned())));
        Self {
            master_key: value("a master key for tests, 32 bytes at least"),
            token_keys: None,
            retell_api_key: value("key_retell_test"),
            whatsapp_token: value("whatsapp_token_test"),
            whatsapp_app_secret: value("whatsapp_app_secret_test"),
            whatsapp_verify_token: value("whatsapp_verify_token_test"),
            twilio_account_sid: value("ACtest"),
            twilio_auth_token: value("twilio_auth_token_test"),
            stripe_secret_key: value("sk_test"),
        }
    }

    values! {
        retell_api_key, all as retell_api_keys;
        whatsapp_token;
        whatsapp_app_secret, all as whatsapp_app_secrets;
        whatsapp_verify_token;
        twilio_account_sid;
        twilio_auth_token, all as twilio_auth_tokens;
        stripe_secret_key;
    }

    /// The keyring of the master key and the token keys.
    ///
    /// # Errors
    /// When the master key is missing or too short, or a token key is not usable.
    pub fn keyring(&self) -> Result<Keyring, SecretError> {
        let master = self.master_key_bytes()?;
        let entries = self.token_keys.as_deref().unwrap_or_default();
        if self.token_keys.is_some() && entries.is_empty() {
            return Err(SecretError("The secret's token_keys must name a key, or not be there.".to_owned()));
        }
        let mut keys: Vec<TokenKey> = Vec::new();
        for entry in entries {
            let key = entry.token_key(&master)?;
            if keys.iter().any(|other| other.id() == key.id()) {
                return Err(SecretError("Two of the secret's token_keys have the same id.".to_owned()));
            }
            keys.push(key);
        }
        Ok(Keyring::from_master_key(&master).with_token_keys(keys))
    }

    fn master_key_bytes(&self) -> Result<Vec<u8>, SecretError> {
        key_bytes(&present(&self.master_key, "master_key")?)
            .ok_or_else(|| SecretError("The secret's master_key must hold at least 32 bytes.".to_owned()))
    }
}

impl TokenKeyEntry {
    fn token_key(&self, master: &[u8]) -> Result<TokenKey, SecretError> {
        let sane = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !(1..=32).contains(&self.id.len()) || !self.id.bytes().all(sane) {
            let rule = "must have 1 to 32 lower-case letters, digits and hyphens";
            return Err(SecretError(format!("The id of each of the secret's token_keys {rule}.")));
        }
        match (&self.key, self.id.as_str()) {
            (None, Keyring::MASTER_TOKEN_KEY) => Ok(TokenKey::new(Keyring::MASTER_TOKEN_KEY, master)),
            (Some(key), id) if id != Keyring::MASTER_TOKEN_KEY => {
                let bytes = key_bytes(key);
                let short = || SecretError(format!("The secret's token key {id} must hold at least 32 bytes."));
                bytes.map(|bytes| TokenKey::new(id, &bytes)).ok_or_else(short)
            }
            (None, id) => Err(SecretError(format!("The secret's token key {id} has no key."))),
            (Some(_), id) => Err(SecretError(format!("The secret's token key {id} is the master's; it takes no key."))),
        }
    }
}

/// Base64 of at least 32 bytes is decoded; any other text of at least 32 bytes counts as it is.
fn key_bytes(key: &SecretString) -> Option<Vec<u8>> {
    let text = key.expose_secret().trim();
    match STANDARD.decode(text) {
        Ok(bytes) if bytes.len() >= 32 => Some(bytes),
        _ => (text.len() >= 32).then(|| text.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_master_key_is_required_at_first() {
        let secrets = Secrets::from_json(r#"{"master_key":"a master key of at least 32 bytes!","other":"x"}"#).unwrap();
        assert_eq!(secrets.retell_api_key().unwrap_err().to_string(), "The secret lacks the key retell_api_key.");
        assert!(secrets.keyring().is_ok());
    }

    #[test]
    fn a_master_key_is_base64_or_long_text() {
        let key = |text: &str| Secrets::from_json(&format!(r#"{{"master_key":"{text}"}}"#));
        let encoded = STANDARD.encode([7_u8; 32]);
        assert_eq!(key(&encoded).unwrap().master_key_bytes().unwrap(), vec![7_u8; 32]);
        assert!(key("short").unwrap_err().to_string().contains("master_key"));
        assert!(Secrets::from_json("{}").unwrap_err().to_string().contains("master_key"));
        assert!(Secrets::from_json("[marked-secret").is_err_and(|e| !e.to_string().contains("marked")));
    }

    #[test]
    fn signatures_may_be_of_two_keys_at_once() {
        let secrets = |value: &str| {
            let master = r#""master_key":"a master key of at least 32 bytes!""#;
            Secrets::from_json(&format!(r#"{{{master},"retell_api_key":{value}}}"#)).unwrap()
        };
        let texts = |secrets: Secrets| -> Vec<String> {
            secrets.retell_api_keys().unwrap().iter().map(|key| key.expose_secret().to_owned()).collect()
        };
        assert_eq!(texts(secrets(r#""one""#)), ["one"]);
        assert_eq!(texts(secrets(r#"["new","old"]"#)), ["new", "old"]);
        assert_eq!(secrets(r#"["new","old"]"#).retell_api_key().unwrap().expose_secret(), "new");
        for none in [r#""""#, "[]", r#"["new",""]"#, "null"] {
            let sentence = secrets(none).retell_api_keys().unwrap_err().to_string();
            assert_eq!(sentence, "The secret lacks the key retell_api_key.", "{none}");
        }
    }

    #[test]
    fn token_keys_are_a_list_in_which_the_master_has_its_place() {
        let keyring = |list: &str| {
            let master = r#""master_key":"a master key of at least 32 bytes!""#;
            Secrets::from_json(&format!(r#"{{{master},"token_keys":{list}}}"#)).and_then(|secrets| secrets.keyring())
        };
        let ids = |list: &str| -> Vec<String> {
            keyring(list).unwrap().token_keys().iter().map(|key| key.id().to_owned()).collect()
        };
        let long = r#"{"id":"2026-11","key":"a token key of at least 32 bytes"}"#;
        assert_eq!(ids("null"), ["master"]);
        assert_eq!(ids(&format!("[{long}]")), ["2026-11"]);
        assert_eq!(ids(&format!(r#"[{long},{{"id":"master"}}]"#)), ["2026-11", "master"]);
        let implied = keyring("null").unwrap().signing_key().derive("access-token");
        assert_eq!(keyring(r#"[{"id":"master"}]"#).unwrap().signing_key().derive("access-token"), implied);
        for (wrong, word) in [
            ("[]".to_owned(), "name a key"),
            (format!("[{long},{long}]"), "same id"),
            (r#"[{"id":"a","key":"marked-short"}]"#.to_owned(), "32 bytes"),
            (r#"[{"id":"a"}]"#.to_owned(), "no key"),
            (r#"[{"id":"A.b","key":"a token key of at least 32 bytes"}]"#.to_owned(), "lower-case"),
            (r#"[{"id":"master","key":"a token key of at least 32 bytes"}]"#.to_owned(), "takes no key"),
        ] {
            let sentence = keyring(&wrong).unwrap_err().to_string();
            assert!(sentence.contains(word) && !sentence.contains("marked"), "{wrong}: {sentence}");
        }
    }

    #[test]
    fn values_do_not_print() {
        assert!(!format!("{:?}", Secrets::for_testing()).contains("twilio_auth_token_test"));
    }
}
