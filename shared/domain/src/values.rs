//! Small checked values. Each parses itself or says what it must be; those that hold personal data print as
//! `[private]`, so that no log line can carry them by accident.

use std::{fmt, str::FromStr};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Why a value was refused, as a sentence part that reads after the field's name: "must be …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(String);

impl Invalid {
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

macro_rules! string_value {
    ($name:ty) => {
        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }
    };
}

macro_rules! private {
    ($name:ty) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[private]")
            }
        }
    };
}

/// Control characters but line breaks, and those that turn the direction of what stands around them.
fn is_unwanted(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A person's words of 1 to `MAX` characters (after trimming), without control characters but line breaks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words, cut to what fits; for text from outside that is kept but not checked (an analysis, a summary).
    #[must_use]
    pub fn truncated(text: &str) -> Option<Self> {
        let cleaned: String = text.chars().filter(|c| !is_unwanted(*c)).take(MAX).collect();
        cleaned.parse().ok()
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 || length > MAX {
            return Err(Invalid::new(format!("must have 1 to {MAX} characters")));
        }
        if text.chars().any(is_unwanted) {
            return Err(Invalid::new("must not have control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(value: Text<MAX>) -> Self {
        value.0
    }
}

/// A phone number in E.164 form: `+` and 7 to 15 digits, the first not 0.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

impl Phone {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Phone {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let valid =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new("must be a phone number in E.164 form, such as +447700900123"))
        }
    }
}

string_value!(Phone);
private!(Phone);

/// An e-mail address, in lower case. Checked for its shape only: the sign-in link proves the rest.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim().to_lowercase();
        let valid = text.len() <= 254
            && text.is_ascii()
            && !text.bytes().any(|b| b <= b' ' || b == 0x7f || b"<>()[],;:\\\"".contains(&b))
            && text.split_once('@').is_some_and(|(local, domain)| {
                (1..=64).contains(&local.len())
                    && !domain.contains('@')
                    && domain.contains('.')
                    && domain
                        .split('.')
                        .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
            });
        if valid { Ok(Self(text)) } else { Err(Invalid::new("must be an e-mail address")) }
    }
}

string_value!(Email);
private!(Email);

/// How a person is reached: by what they sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    Email(Email),
    Phone(Phone),
}

impl Contact {
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(email) => email.as_str(),
            Self::Phone(phone) => phone.as_str(),
        }
    }
}

/// The name of an IANA time zone that the bundled database knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

impl Zone {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn time_zone(&self) -> TimeZone {
        // The name was found when the value was made; UTC stands in only if a newer release dropped it.
        TimeZone::get(&self.0).unwrap_or(TimeZone::UTC)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self("Europe/London".to_owned())
    }
}

impl FromStr for Zone {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let unknown = || Invalid::new("must be an IANA time zone, such as Europe/London");
        let zone = TimeZone::get(text).map_err(|_| unknown())?;
        // The database matches without case; the stored name is the database's own.
        zone.iana_name().map(|name| Self(name.to_owned())).ok_or_else(unknown)
    }
}

string_value!(Zone);

/// A BCP 47 language tag of the short form we use: `en`, `en-GB`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Locale(String);

impl Locale {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Locale {
    fn default() -> Self {
        Self("en-GB".to_owned())
    }
}

impl FromStr for Locale {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let valid = match text.as_bytes() {
            [a, b] => a.is_ascii_lowercase() && b.is_ascii_lowercase(),
            [a, b, b'-', c, d] => {
                a.is_ascii_lowercase() && b.is_ascii_lowercase() && c.is_ascii_uppercase() && d.is_ascii_uppercase()
            }
            _ => false,
        };
        if valid { Ok(Self(text.to_owned())) } else { Err(Invalid::new("must be a language tag, such as en-GB")) }
    }
}

string_value!(Locale);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_e164() {
        assert!("+447700900123".parse::<Phone>().is_ok());
        for wrong in ["447700900123", "+0770090012", "+44 7700 900123", "+44", "", "+4477009001234567"] {
            assert!(wrong.parse::<Phone>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn emails_have_a_shape() {
        assert_eq!(" Mara@Example.COM ".parse::<Email>().unwrap().as_str(), "mara@example.com");
        for wrong in ["mara", "@example.com", "mara@example", "a b@example.com", "a@b@c.com", "a@-x.com", "a@x..com"] {
            assert!(wrong.parse::<Email>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_has_no_hidden_characters() {
        assert!("two\nlines 👩‍👧".parse::<Text<80>>().is_ok());
        for wrong in ["bell\u{7}", "turned\u{202e}round", " ", ""] {
            assert!(wrong.parse::<Text<80>>().is_err(), "{wrong:?}");
        }
        assert_eq!(Text::<4>::truncated("a\u{202e}bcdef").unwrap().as_str(), "abcd");
    }

    #[test]
    fn zones_are_known_and_spelled_as_the_database_does() {
        assert_eq!("europe/london".parse::<Zone>().unwrap().as_str(), "Europe/London");
        assert!("Mars/Olympus".parse::<Zone>().is_err());
        assert!("UTC+1".parse::<Zone>().is_err());
    }

    #[test]
    fn personal_values_do_not_print_themselves() {
        let name: Text<80> = "Mara".parse().unwrap();
        let phone: Phone = "+447700900123".parse().unwrap();
        assert_eq!(format!("{name:?} {phone:?}"), "[private] [private]");
    }
}
