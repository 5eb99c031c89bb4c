//! What a deployment decides, read from the environment once at start.
//!
//! One struct per concern, so that a function reads only what it uses: a function that sends no mail starts without
//! `EMAIL_FROM`. Each has `from_env`, which takes the lookup (tests hand in a map), and `for_testing`. A missing or
//! contradictory setting is an error with one sentence that names the variable; nothing falls back silently to a fake.
//! An empty variable counts as missing. Secrets never stand here: see [`crate::secrets`].

use std::{fmt, str::FromStr};

use ivy_domain::{CharityId, Phone};
use ivy_flows::{Settings, ports::Queue, settings::Agents};
use reqwest::Url;
use tracing::level_filters::LevelFilter;

/// A setting that is missing or wrong, as a sentence that names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

fn wrong(name: &str, must: impl fmt::Display) -> ConfigError {
    ConfigError(format!("The setting {name} {must}."))
}

/// The process's environment.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn optional(lookup: &impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn required(lookup: &impl Fn(&str) -> Option<String>, name: &str) -> Result<String, ConfigError> {
    optional(lookup, name).ok_or_else(|| wrong(name, "is missing"))
}

/// The region of all AWS clients.
///
/// # Errors
/// When neither `AWS_REGION` nor `AWS_DEFAULT_REGION` is set.
pub(crate) fn region_from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let region = optional(&lookup, "AWS_REGION").or_else(|| optional(&lookup, "AWS_DEFAULT_REGION"));
    region.ok_or_else(|| wrong("AWS_REGION", "is missing"))
}

fn parsed<T: FromStr>(
    lookup: &impl Fn(&str) -> Option<String>,
    name: &str,
    default: Option<T>,
    must: &str,
) -> Result<T, ConfigError> {
    match (optional(lookup, name), default) {
        (Some(text), _) => text.parse().map_err(|_| wrong(name, must)),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(wrong(name, "is missing")),
    }
}

fn base_url(lookup: &impl Fn(&str) -> Option<String>, name: &str) -> Result<Url, ConfigError> {
    let must = "must be an http or https address without a query";
    let url: Url = parsed(lookup, name, None, must)?;
    let plain = matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    if plain && url.has_host() { Ok(url) } else { Err(wrong(name, must)) }
}

/// Which deployment this is and where its table and secret are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    pub stage: String,
    pub table_name: String,
    pub secret_id: String,
    pub log_level: LogLevel,
}

/// How much of our own code's events is logged; other crates log warnings only. Nothing below `info` is compiled in (Cargo.toml).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
}

impl LogLevel {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }

    /// What of our own code's events passes.
    #[must_use]
    pub const fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
        }
    }
}

impl FromStr for LogLevel {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Error, Self::Warn, Self::Info]
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
            .ok_or(())
    }
}

impl Deployment {
    /// # Errors
    /// Names the first setting that is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            stage: required(&lookup, "STAGE")?,
            table_name: required(&lookup, "TABLE_NAME")?,
            secret_id: required(&lookup, "SECRET_ID")?,
            log_level: Self::log_level_from_env(lookup)?,
        })
    }

    /// The one setting of functions that know neither the table nor the secret.
    ///
    /// # Errors
    /// When it is wrong.
    pub fn log_level_from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<LogLevel, ConfigError> {
        parsed(&lookup, "LOG_LEVEL", Some(LogLevel::Info), "must be error, warn or info")
    }

    #[must_use]
    pub fn for_testing() -> Self {
        Self {
            stage: "test".to_owned(),
            table_name: "ivy-test".to_owned(),
            secret_id: "ivy/test".to_owned(),
            log_level: LogLevel::Info,
        }
    }
}

/// The flows' settings (their type stands in `ivy-flows`, with its own `for_testing`).
///
/// # Errors
/// Names the first setting that is missing or wrong.
pub fn settings_from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
    let call_slots = parsed(&lookup, "CALL_SLOTS", Some(20), "must be a whole number")?;
    let reserved_call_slots = parsed(&lookup, "RESERVED_CALL_SLOTS", Some(4), "must be a whole number")?;
    if reserved_call_slots >= call_slots {
        return Err(wrong("RESERVED_CALL_SLOTS", "must be less than CALL_SLOTS"));
    }
    let user_requests_per_minute = parsed(&lookup, "USER_REQUESTS_PER_MINUTE", Some(120), "must be a whole number")?;
    if user_requests_per_minute == 0 {
        return Err(wrong("USER_REQUESTS_PER_MINUTE", "must be at least 1"));
    }
    let default_charity_id: CharityId =
        parsed(&lookup, "DEFAULT_CHARITY_ID", None, "must be a UUID in lower case with hyphens")?;
    Ok(Settings {
        app_url: base_url(&lookup, "APP_URL")?.as_str().trim_end_matches('/').to_owned(),
        default_charity_id,
        agent_sponsor: parsed(&lookup, "RETELL_AGENT_SPONSOR", None, Agents::FORM)?,
        agent_premium: parsed(&lookup, "RETELL_AGENT_PREMIUM", None, Agents::FORM)?,
        agent_welcome: parsed(&lookup, "RETELL_AGENT_WELCOME", None, Agents::FORM)?,
        from_numbers: from_numbers(&required(&lookup, "FROM_NUMBERS")?)?,
        call_slots,
        reserved_call_slots,
        whatsapp_per_second: parsed(&lookup, "WHATSAPP_PER_SECOND", Some(80), "must be a whole number")?,
        sms_per_second: parsed(&lookup, "SMS_PER_SECOND", Some(1), "must be a whole number")?,
        whatsapp_pair_seconds: parsed(&lookup, "WHATSAPP_PAIR_SECONDS", Some(6), "must be a whole number")?,
        user_requests_per_minute,
        consent_wording_version: required(&lookup, "CONSENT_WORDING_VERSION")?,
    })
}

/// `+44=+447700900999,=+15005550106`: prefix and number; the longest prefix first in the answer.
fn from_numbers(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let name = "FROM_NUMBERS";
    let mut numbers = Vec::new();
    for pair in text.split(',') {
        let shape = || wrong(name, "must be pairs such as +44=+447700900999, separated by commas");
        let (prefix, number) = pair.trim().split_once('=').ok_or_else(shape)?;
        let prefix_fits = prefix.is_empty()
            || prefix.strip_prefix('+').is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
        if !prefix_fits || number.parse::<Phone>().is_err() {
            return Err(shape());
        }
        if numbers.iter().any(|(known, _)| known == prefix) {
            return Err(wrong(name, "must name each prefix once"));
        }
        numbers.push((prefix.to_owned(), number.to_owned()));
    }
    numbers.sort_by(|(a, _): &(String, String), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    Ok(numbers)
}

/// Where the voice provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetellConfig {
    pub base_url: Url,
}

impl RetellConfig {
    /// # Errors
    /// Names the first setting that is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self { base_url: base_url(&lookup, "RETELL_BASE_URL")? })
    }

    #[must_use]
    pub const fn for_testing(base_url: Url) -> Self {
        Self { base_url }
    }
}

/// Where Stripe is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeConfig {
    pub base_url: Url,
}

impl StripeConfig {
    /// # Errors
    /// Names the first setting that is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self { base_url: base_url(&lookup, "STRIPE_BASE_URL")? })
    }

    #[must_use]
    pub const fn for_testing(base_url: Url) -> Self {
        Self { base_url }
    }
}

/// Where WhatsApp is and which number of ours sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatsAppConfig {
    pub base_url: Url,
    pub phone_number_id: String,
}

impl WhatsAppConfig {
    /// # Errors
    /// Names the first setting that is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            base_url: base_url(&lookup, "WHATSAPP_BASE_URL")?,
            phone_number_id: required(&lookup, "WHATSAPP_PHONE_NUMBER_ID")?,
        })
    }

    #[must_use]
    pub fn for_testing(base_url: Url) -> Self {
        Self { base_url, phone_number_id: "100000000000001".to_owned() }
    }
}

/// Where Twilio is and what SMS are sent from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwilioConfig {
    pub base_url: Url,
    pub from: String,
    /// Where Twilio reports what became of a text: `twilio-status`. Without it nothing is reported.
    pub status_url: Option<Url>,
}

impl TwilioConfig {
    /// # Errors
    /// Names the first setting that is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let status_url = match optional(&lookup, "TWILIO_STATUS_URL") {
            Some(_) => Some(base_url(&lookup, "TWILIO_STATUS_URL")?),
            None => None,
        };
        Ok(Self {
            base_url: base_url(&lookup, "TWILIO_BASE_URL")?,
            from: required(&lookup, "TWILIO_FROM")?,
            status_url,
        })
    }

    #[must_use]
    pub fn for_testing(base_url: Url) -> Self {
        Self { base_url, from: "+15005550106".to_owned(), status_url: None }
    }
}

/// What e-mails are sent from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailConfig {
    pub from: String,
}

impl MailConfig {
    /// # Errors
    /// Names the setting if it is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let from = required(&lookup, "EMAIL_FROM")?;
        if from.contains('@') { Ok(Self { from }) } else { Err(wrong("EMAIL_FROM", "must hold an e-mail address")) }
    }

    #[must_use]
    pub fn for_testing() -> Self {
        Self { from: "Ivy <ivy@ivy.example>".to_owned() }
    }
}

/// The environment's name of something of a queue: `DUE_CALLS_QUEUE_URL`.
const fn queue_setting(queue: Queue, arn: bool) -> &'static str {
    match (queue, arn) {
        (Queue::DueCalls, false) => "DUE_CALLS_QUEUE_URL",
        (Queue::DueCalls, true) => "DUE_CALLS_QUEUE_ARN",
        (Queue::Messages, false) => "MESSAGES_QUEUE_URL",
        (Queue::Messages, true) => "MESSAGES_QUEUE_ARN",
        (Queue::MessagesDead, false) => "MESSAGES_DEAD_QUEUE_URL",
        (Queue::MessagesDead, true) => "MESSAGES_DEAD_QUEUE_ARN",
        (Queue::PlanUsers, false) => "PLAN_USERS_QUEUE_URL",
        (Queue::PlanUsers, true) => "PLAN_USERS_QUEUE_ARN",
        (Queue::EraseUsers, false) => "ERASE_USERS_QUEUE_URL",
        (Queue::EraseUsers, true) => "ERASE_USERS_QUEUE_ARN",
        (Queue::Reviews, false) => "REVIEWS_QUEUE_URL",
        (Queue::Reviews, true) => "REVIEWS_QUEUE_ARN",
        (Queue::OutboxDead, false) => "OUTBOX_DEAD_QUEUE_URL",
        (Queue::OutboxDead, true) => "OUTBOX_DEAD_QUEUE_ARN",
    }
}

/// The queues that a function writes to, and no others: its role reaches no others either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueConfig {
    urls: Vec<(Queue, String)>,
}

impl QueueConfig {
    /// # Errors
    /// Names the first setting that is missing.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>, needed: &[Queue]) -> Result<Self, ConfigError> {
        let url = |queue: &Queue| Ok((*queue, required(&lookup, queue_setting(*queue, false))?));
        Ok(Self { urls: needed.iter().map(url).collect::<Result<_, _>>()? })
    }

    #[must_use]
    pub fn url(&self, queue: Queue) -> Option<&str> {
        self.urls.iter().find(|(known, _)| *known == queue).map(|(_, url)| url.as_str())
    }
}

/// What one-time schedules are made with, and the queues that they reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerConfig {
    pub group: String,
    pub role_arn: String,
    arns: Vec<(Queue, String)>,
}

impl TimerConfig {
    /// # Errors
    /// Names the first setting that is missing.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>, needed: &[Queue]) -> Result<Self, ConfigError> {
        let arn = |queue: &Queue| Ok((*queue, required(&lookup, queue_setting(*queue, true))?));
        Ok(Self {
            group: required(&lookup, "SCHEDULE_GROUP")?,
            role_arn: required(&lookup, "SCHEDULER_ROLE_ARN")?,
            arns: needed.iter().map(arn).collect::<Result<_, _>>()?,
        })
    }

    #[must_use]
    pub fn arn(&self, queue: Queue) -> Option<&str> {
        self.arns.iter().find(|(known, _)| *known == queue).map(|(_, arn)| arn.as_str())
    }
}

/// What browsers may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpConfig {
    /// Origins of other sites whose pages may call us, such as `https://app.ivy.example`; none by default.
    pub cors_origins: Vec<String>,
}

impl HttpConfig {
    /// # Errors
    /// When an origin is not of the form `https://host[:port]`.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = optional(&lookup, "CORS_ORIGINS").unwrap_or_default();
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let cors_origins = origins
            .map(|origin| match Url::parse(origin) {
                Ok(url) if url.origin().ascii_serialization() == origin => Ok(origin.to_owned()),
                _ => Err(wrong("CORS_ORIGINS", "must be origins such as https://app.ivy.example, without a path")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { cors_origins })
    }

    #[must_use]
    pub fn for_testing() -> Self {
        Self { cors_origins: vec!["https://app.ivy.test".to_owned()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(name: &str) -> Option<String> {
        let value = match name {
            "STAGE" => "test",
            "TABLE_NAME" => "ivy",
            "SECRET_ID" => "ivy/secret",
            "APP_URL" => "https://app.ivy.example/",
            "DEFAULT_CHARITY_ID" => "01931a60-0000-7000-8000-000000000001",
            "RETELL_AGENT_SPONSOR" => "agent_a",
            "RETELL_AGENT_PREMIUM" => "agent_b",
            "RETELL_AGENT_WELCOME" => "agent_c",
            "FROM_NUMBERS" => "=+15005550106,+44=+447700900999",
            "CONSENT_WORDING_VERSION" => "2026-11",
            "CORS_ORIGINS" => "https://app.ivy.example, http://localhost:3000",
            "RETELL_BASE_URL" => "http://127.0.0.1:9000/",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn the_region_is_lambdas_or_the_one_of_the_command_line() {
        let from = |set: &'static [(&'static str, &'static str)]| {
            region_from_env(move |asked| {
                set.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(from(&[("AWS_REGION", "eu-west-2"), ("AWS_DEFAULT_REGION", "us-east-1")]).unwrap(), "eu-west-2");
        assert_eq!(from(&[("AWS_DEFAULT_REGION", "us-east-1")]).unwrap(), "us-east-1");
        assert_eq!(from(&[]).unwrap_err().to_string(), "The setting AWS_REGION is missing.");
    }

    fn with(name: &'static str, value: &'static str) -> impl Fn(&str) -> Option<String> {
        move |asked| if asked == name { Some(value.to_owned()) } else { full(asked) }
    }

    #[test]
    fn settings_are_read_and_defaulted() {
        let settings = settings_from_env(full).unwrap();
        assert_eq!(settings.app_url, "https://app.ivy.example");
        assert_eq!((settings.call_slots, settings.reserved_call_slots), (20, 4));
        assert_eq!(settings.user_requests_per_minute, 120);
        assert_eq!(settings_from_env(with("USER_REQUESTS_PER_MINUTE", "7")).unwrap().user_requests_per_minute, 7);
        assert_eq!(settings.from_numbers[0].0, "+44", "the longest prefix comes first");
        assert_eq!(Deployment::from_env(full).unwrap().log_level, LogLevel::Info);
        assert_eq!(HttpConfig::from_env(full).unwrap().cors_origins.len(), 2);
        assert!(RetellConfig::from_env(full).is_ok());
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named_in_one_sentence() {
        let sentence = |lookup: &dyn Fn(&str) -> Option<String>| settings_from_env(lookup).unwrap_err().to_string();
        assert_eq!(sentence(&with("APP_URL", " ")), "The setting APP_URL is missing.");
        assert!(sentence(&with("APP_URL", "ftp://x")).contains("APP_URL must be"));
        let level = Deployment::from_env(with("LOG_LEVEL", "debug")).unwrap_err().to_string();
        assert_eq!(level, "The setting LOG_LEVEL must be error, warn or info.");
        assert!(sentence(&with("CALL_SLOTS", "many")).contains("CALL_SLOTS must be a whole number"));
        assert!(sentence(&with("RESERVED_CALL_SLOTS", "20")).contains("less than CALL_SLOTS"));
        assert!(sentence(&with("USER_REQUESTS_PER_MINUTE", "0")).contains("USER_REQUESTS_PER_MINUTE"));
        assert!(
            sentence(&with("RETELL_AGENT_SPONSOR", "en-GB=a,b")).contains("RETELL_AGENT_SPONSOR must be an agent's id")
        );
        assert!(sentence(&with("FROM_NUMBERS", "+44:+447700900999")).contains("FROM_NUMBERS"));
        assert!(sentence(&with("FROM_NUMBERS", "=+15005550106,=+15005550107")).contains("once"));
        assert!(sentence(&with("DEFAULT_CHARITY_ID", "mind")).contains("DEFAULT_CHARITY_ID"));
        let wrong_level = Deployment::from_env(with("LOG_LEVEL", "loud")).unwrap_err().to_string();
        assert!(wrong_level.contains("LOG_LEVEL"));
        assert!(HttpConfig::from_env(with("CORS_ORIGINS", "https://app.ivy.example/x")).is_err());
        assert!(HttpConfig::from_env(with("CORS_ORIGINS", "*")).is_err());
        assert!(
            QueueConfig::from_env(full, &[Queue::DueCalls]).unwrap_err().to_string().contains("DUE_CALLS_QUEUE_URL")
        );
    }
}
