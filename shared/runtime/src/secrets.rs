//! The one secret of a deployment: a JSON object in Secrets Manager, read once per start.
//!
//! A secret rotates without a deploy: new starts read the new values. Only `master_key` is required of every function;
//! the others are asked for by the functions that need them, and asking for one that is not there fails with a sentence
//! that names it. Values are [`SecretString`]s, so none can be printed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ivy_store::Keyring;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// What is wrong with the secret, as a sentence that names the key and never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

/// The secret's values.
#[derive(Debug, Clone, Deserialize)]
pub struct Secrets {
    master_key: Option<SecretString>,
    retell_api_key: Option<SecretString>,
    whatsapp_token: Option<SecretString>,
    whatsapp_app_secret: Option<SecretString>,
    whatsapp_verify_token: Option<SecretString>,
    twilio_account_sid: Option<SecretString>,
    twilio_auth_token: Option<SecretString>,
}

fn present(value: &Option<SecretString>, name: &str) -> Result<SecretString, SecretError> {
    match value {
        Some(secret) if !secret.expose_secret().is_empty() => Ok(secret.clone()),
        _ => Err(SecretError(format!("The secret lacks the key {name}."))),
    }
}

macro_rules! values {
    ($($name:ident),* $(,)?) => {
        $(
            /// # Errors
            /// When the secret lacks this key.
            pub fn $name(&self) -> Result<SecretString, SecretError> {
                present(&self.$name, stringify!($name))
            }
        )*
    };
}

impl Secrets {
    /// Reads the secret's text.
    ///
    /// # Errors
    /// When it is not a JSON object of strings, or lacks a usable `master_key`.
    pub fn from_json(text: &str) -> Result<Self, SecretError> {
        // The parser's own message may hold a piece of the text, so it is not passed on.
        let secrets: Self = serde_json::from_str(text)
            .map_err(|_| SecretError("The secret is not a JSON object of strings.".to_owned()))?;
        secrets.master_key_bytes()?;
        Ok(secrets)
    }

    /// Reads the secret from Secrets Manager.
    ///
    /// # Errors
    /// When it cannot be fetched or [`Secrets::from_json`] refuses it.
    pub async fn fetch(client: &aws_sdk_secretsmanager::Client, id: &str) -> Result<Self, SecretError> {
        let answer = client.get_secret_value().secret_id(id).send().await.map_err(|error| {
            let code = error.as_service_error().and_then(|e| e.meta().code()).unwrap_or("no_answer");
            SecretError(format!("The secret {id} cannot be read: {code}."))
        })?;
        let text = answer.secret_string().ok_or_else(|| SecretError(format!("The secret {id} holds no text.")))?;
        Self::from_json(text)
    }

    /// Recognisable values, none of them real.
    #[must_use]
    pub fn for_testing() -> Self {
        let value = |text: &str| Some(SecretString::from(text.to_owned()));
        Self {
            master_key: value("a master key for tests, 32 bytes at least"),
            retell_api_key: value("key_retell_test"),
            whatsapp_token: value("whatsapp_token_test"),
            whatsapp_app_secret: value("whatsapp_app_secret_test"),
            whatsapp_verify_token: value("whatsapp_verify_token_test"),
            twilio_account_sid: value("ACtest"),
            twilio_auth_token: value("twilio_auth_token_test"),
        }
    }

    values!(
        retell_api_key,
        whatsapp_token,
        whatsapp_app_secret,
        whatsapp_verify_token,
        twilio_account_sid,
        twilio_auth_token,
    );

    /// The keyring that the master key gives.
    ///
    /// # Errors
    /// When the master key is missing or too short.
    pub fn keyring(&self) -> Result<Keyring, SecretError> {
        Ok(Keyring::from_master_key(&self.master_key_bytes()?))
    }

    /// Base64 of at least 32 bytes is decoded; any other text of at least 32 bytes counts as it is.
    fn master_key_bytes(&self) -> Result<Vec<u8>, SecretError> {
        let key = present(&self.master_key, "master_key")?;
        let text = key.expose_secret().trim();
        match STANDARD.decode(text) {
            Ok(bytes) if bytes.len() >= 32 => Ok(bytes),
            _ if text.len() >= 32 => Ok(text.as_bytes().to_vec()),
            _ => Err(SecretError("The secret's master_key must hold at least 32 bytes.".to_owned())),
        }
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
    fn values_do_not_print() {
        assert!(!format!("{:?}", Secrets::for_testing()).contains("twilio_auth_token_test"));
    }
}
