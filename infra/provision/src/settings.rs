//! Which stage, which accounts, which keys.
//!
//! A setting comes from `--set`, from the environment, or from a file of lines `NAME=VALUE`; a blank one counts as missing. All that is missing is
//! named at once. Keys are not taken from the command line, where every process of the machine could read them.

use std::{collections::BTreeMap, path::PathBuf};

use secrecy::SecretString;
use url::Url;

use crate::failure::Failure;

const SECRET: [&str; 3] = ["RETELL_API_KEY", "WHATSAPP_TOKEN", "TWILIO_AUTH_TOKEN"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Retell,
    WhatsApp,
    Twilio,
}

impl Provider {
    pub(crate) fn list(text: &str) -> Result<Vec<Self>, String> {
        let one = |word: &str| match word.trim() {
            "retell" => Ok(Self::Retell),
            "whatsapp" => Ok(Self::WhatsApp),
            "twilio" => Ok(Self::Twilio),
            other => Err(format!("--only knows retell, whatsapp and twilio, not {other}")),
        };
        text.split(',').map(one).collect()
    }
}

/// What the command line says about settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) file: Option<PathBuf>,
    /// Empty for all.
    pub(crate) only: Vec<Provider>,
    given: BTreeMap<String, String>,
}

impl Options {
    pub(crate) fn set(&mut self, text: &str) -> Result<(), String> {
        let Some((name, value)) = text.split_once('=') else { return Err("--set needs NAME=VALUE".to_owned()) };
        if SECRET.contains(&name) {
            return Err(format!("{name} is a secret: put it into the environment or into the file of --env"));
        }
        self.given.insert(name.to_owned(), value.to_owned());
        Ok(())
    }
}

#[derive(Debug)]
pub struct Settings {
    /// Part of every name that we give: `dev`.
    pub stage: String,
    /// The API's public address with its stage, without a slash at the end.
    pub api_url: String,
    pub(crate) retell: Option<RetellSettings>,
    pub(crate) whatsapp: Option<WhatsAppSettings>,
    pub(crate) twilio: Option<TwilioSettings>,
}

#[derive(Debug)]
pub(crate) struct RetellSettings {
    pub(crate) base: Url,
    pub(crate) key: SecretString,
    pub(crate) numbers: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct WhatsAppSettings {
    pub(crate) base: Url,
    pub(crate) token: SecretString,
    pub(crate) business_account: String,
    /// The app that the token belongs to; without it any subscribed app counts as ours.
    pub(crate) app: Option<String>,
}

#[derive(Debug)]
pub(crate) struct TwilioSettings {
    pub(crate) base: Url,
    pub(crate) account_sid: String,
    pub(crate) auth_token: SecretString,
    pub(crate) numbers: Vec<String>,
}

impl Settings {
    pub(crate) fn load(options: &Options) -> Result<Self, Failure> {
        let file = match &options.file {
            None => BTreeMap::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::new(format!("{} cannot be read: {error}.", path.display())))?;
                parse(&text).map_err(|line| {
                    Failure::new(format!("Line {line} of {} is not of the form NAME=VALUE.", path.display()))
                })?
            }
        };
        let value = |name: &str| {
            let given = options.given.get(name).cloned();
            given.or_else(|| std::env::var(name).ok()).or_else(|| file.get(name).cloned())
        };
        Self::from_values(&value, &options.only)
    }

    /// Settings by their names, for `only` these providers, or for all where it is empty.
    ///
    /// # Errors
    /// A sentence that names what is missing or wrong, and never a value that could be a key.
    pub fn from_values(value: &dyn Fn(&str) -> Option<String>, only: &[Provider]) -> Result<Self, Failure> {
        let mut missing = Vec::new();
        let value = |name: &str| value(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut needed = |name: &'static str| {
            value(name).unwrap_or_else(|| {
                missing.push(name);
                String::new()
            })
        };
        let wanted = |provider| only.is_empty() || only.contains(&provider);
        let stage = needed("IVY_STAGE");
        let api_url = needed("IVY_API_URL");
        let retell = wanted(Provider::Retell).then(|| (needed("RETELL_API_KEY"), needed("RETELL_NUMBERS")));
        let whatsapp =
            wanted(Provider::WhatsApp).then(|| (needed("WHATSAPP_TOKEN"), needed("WHATSAPP_BUSINESS_ACCOUNT_ID")));
        let twilio = wanted(Provider::Twilio)
            .then(|| (needed("TWILIO_ACCOUNT_SID"), needed("TWILIO_AUTH_TOKEN"), needed("TWILIO_NUMBERS")));
        match missing.as_slice() {
            [] => {}
            [one] => return Err(Failure::new(format!("The setting {one} is missing."))),
            several => return Err(Failure::new(format!("The settings {} are missing.", several.join(", ")))),
        }
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if stage.len() > 20 || !stage.bytes().all(allowed) {
            return Err(Failure::new("IVY_STAGE must hold at most 20 small letters, digits and hyphens."));
        }
        let base = |name: &str, usual: &str| address(name, value(name).as_deref().unwrap_or(usual));
        Ok(Self {
            stage,
            api_url: address("IVY_API_URL", &api_url)?.as_str().trim_end_matches('/').to_owned(),
            retell: match retell {
                None => None,
                Some((key, numbers)) => Some(RetellSettings {
                    base: base("RETELL_BASE_URL", "https://api.retellai.com")?,
                    key: key.into(),
                    numbers: phones("RETELL_NUMBERS", &numbers)?,
                }),
            },
            whatsapp: match whatsapp {
                None => None,
                Some((token, business_account)) => Some(WhatsAppSettings {
                    base: base("WHATSAPP_BASE_URL", "https://graph.facebook.com/v26.0")?,
                    token: token.into(),
                    business_account,
                    app: value("WHATSAPP_APP_ID"),
                }),
            },
            twilio: match twilio {
                None => None,
                Some((account_sid, auth_token, numbers)) => Some(TwilioSettings {
                    base: base("TWILIO_BASE_URL", "https://api.twilio.com/2010-04-01")?,
                    account_sid,
                    auth_token: auth_token.into(),
                    numbers: phones("TWILIO_NUMBERS", &numbers)?,
                }),
            },
        })
    }
}

/// `NAME=VALUE` a line; blank lines and lines that begin with `#` are passed over. The number of the first line that is neither.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut values = BTreeMap::new();
    for (line, number) in text.lines().zip(1_usize..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(number)?;
        values.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(values)
}

/// An address that keys may travel to: HTTPS, or this machine.
fn address(name: &str, text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).map_err(|error| Failure::new(format!("{name} is no address: {error}.")))?;
    let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if !(url.scheme() == "https" || (url.scheme() == "http" && here)) {
        return Err(Failure::new(format!("{name} must begin with https://.")));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(Failure::new(format!("{name} must be an address without a query, a fragment or a user.")));
    }
    Ok(url)
}

fn phones(name: &str, text: &str) -> Result<Vec<String>, Failure> {
    let one = |number: &str| {
        let number = number.trim();
        let digits = number.strip_prefix('+').unwrap_or_default();
        if (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(number.to_owned())
        } else {
            Err(Failure::new(format!("{name} must hold numbers such as +442071838750, separated by commas.")))
        }
    };
    text.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "IVY_STAGE=dev\nIVY_API_URL=https://api.ivy.example/v1/\n# keys\nRETELL_API_KEY=key\nRETELL_NUMBERS=+447700900991, +447700900992\n\
        WHATSAPP_TOKEN=token\nWHATSAPP_BUSINESS_ACCOUNT_ID=1\nTWILIO_ACCOUNT_SID=AC1\nTWILIO_AUTH_TOKEN=secret\nTWILIO_NUMBERS=+447700900990\n";

    fn load(text: &str, only: &[Provider]) -> Result<Settings, String> {
        let values = parse(text).map_err(|line| line.to_string())?;
        Settings::from_values(&|name| values.get(name).cloned(), only).map_err(|failure| failure.to_string())
    }

    #[test]
    fn settings_are_read_and_what_is_missing_is_named() {
        let settings = load(ALL, &[]).unwrap();
        assert_eq!(settings.api_url, "https://api.ivy.example/v1");
        assert_eq!(settings.retell.unwrap().numbers, ["+447700900991", "+447700900992"]);
        assert_eq!(settings.twilio.unwrap().base.as_str(), "https://api.twilio.com/2010-04-01");
        let without = |name: &str| ALL.lines().filter(|line| !line.starts_with(name)).collect::<Vec<_>>().join("\n");
        assert_eq!(load(&without("RETELL_API_KEY"), &[]).unwrap_err(), "The setting RETELL_API_KEY is missing.");
        assert_eq!(
            load(&without("TWILIO"), &[]).unwrap_err(),
            "The settings TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_NUMBERS are missing."
        );
        assert!(load(&without("TWILIO"), &[Provider::Retell, Provider::WhatsApp]).unwrap().twilio.is_none());
        assert!(load(&ALL.replace("=dev", "= "), &[]).unwrap_err().contains("IVY_STAGE"));
    }

    #[test]
    fn wrong_settings_stop_the_start_without_showing_a_value() {
        for (old, new, named) in [
            ("IVY_STAGE=dev", "IVY_STAGE=Dev!", "IVY_STAGE"),
            ("https://api", "http://api", "IVY_API_URL"),
            ("+447700900990", "07700900990", "TWILIO_NUMBERS"),
            ("https://api.ivy.example/v1/", "https://api.ivy.example/v1?x=1", "IVY_API_URL"),
        ] {
            let sentence = load(&ALL.replace(old, new), &[]).unwrap_err();
            assert!(sentence.contains(named) && !sentence.contains("secret"), "{sentence}");
        }
        assert_eq!(load("IVY_STAGE", &[]).unwrap_err(), "1");
        let shown = format!("{:?}", load(ALL, &[]).unwrap());
        assert!(!shown.contains("secret") && !shown.contains("token\""), "{shown}");
        let mut options = Options::default();
        assert!(options.set("RETELL_API_KEY=key").unwrap_err().contains("RETELL_API_KEY"));
        assert!(options.set("IVY_STAGE=dev").is_ok());
    }
}
