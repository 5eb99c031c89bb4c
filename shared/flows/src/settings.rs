//! What a deployment decides; read once at start by `ivy-runtime`, plain values here.

use std::str::FromStr;

use ivy_domain::{CharityId, Invalid, values::Locale};

#[derive(Debug, Clone)]
pub struct Settings {
    /// Where links in messages lead, such as `https://app.ivy.example`.
    pub app_url: String,
    /// Receives the donations of users who chose no charity.
    pub default_charity_id: CharityId,
    /// Retell agents: of companies' employees, of subscribers, and of people whom we do not know.
    pub agent_sponsor: Agents,
    pub agent_premium: Agents,
    pub agent_welcome: Agents,
    /// The numbers we call from: (prefix of the user's number, our number), longest prefix first; an empty prefix fits all.
    pub from_numbers: Vec<(String, String)>,
    /// Calls that the voice provider allows at once, and how many of them are kept for inbound calls and rescues.
    pub call_slots: u32,
    pub reserved_call_slots: u32,
    /// Messages that our number may send in a second, by WhatsApp and by SMS.
    pub whatsapp_per_second: u32,
    pub sms_per_second: u32,
    /// The least seconds between two WhatsApp messages to one person; 0 for none.
    pub whatsapp_pair_seconds: u32,
    /// Requests that one account may make in a minute.
    pub user_requests_per_minute: u32,
    /// The wording of the consents that the app shows at present.
    pub consent_wording_version: String,
}

/// One of our agents in each language that it speaks, as `en-GB=agent_1,en-US=agent_2`. A lone id speaks with everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agents {
    first: String,
    by_language: Vec<(Locale, String)>,
}

impl Agents {
    /// What a text must be to name them.
    pub const FORM: &str = "must be an agent's id, or languages with one each: en-GB=agent_1,en-US=agent_2";

    /// The agent for a person's language: their very one, else another kind of the same language, else the first.
    #[must_use]
    pub fn speaking(&self, locale: &Locale) -> &str {
        let very = |(known, _): &&(Locale, String)| known == locale;
        let kind = |(known, _): &&(Locale, String)| known.as_str().get(..2) == locale.as_str().get(..2);
        let found = self.by_language.iter().find(very).or_else(|| self.by_language.iter().find(kind));
        found.map_or(&self.first, |(_, id)| id)
    }

    /// The agent for people whose language we do not know.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.first
    }
}

impl FromStr for Agents {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(Self::FORM);
        if !text.contains('=') {
            let lone = !text.trim().is_empty() && !text.contains(',');
            return if lone { Ok(Self { first: text.to_owned(), by_language: Vec::new() }) } else { Err(invalid()) };
        }
        let mut by_language: Vec<(Locale, String)> = Vec::new();
        for entry in text.split(',') {
            let (language, id) = entry.split_once('=').ok_or_else(invalid)?;
            let language: Locale = language.trim().parse().map_err(|_| invalid())?;
            let twice = by_language.iter().any(|(known, _)| *known == language);
            if id.trim().is_empty() || id.contains('=') || twice {
                return Err(invalid());
            }
            by_language.push((language, id.trim().to_owned()));
        }
        let (_, first) = by_language.first().ok_or_else(invalid)?;
        Ok(Self { first: first.clone(), by_language })
    }
}

impl Settings {
    /// Slots that calls of every type may take.
    #[must_use]
    pub const fn unreserved_call_slots(&self) -> u32 {
        self.call_slots.saturating_sub(self.reserved_call_slots)
    }

    /// Settings for tests: recognisable values, none of them real.
    #[must_use]
    pub fn for_testing() -> Self {
        let agents = |name: &str| Agents {
            first: format!("agent_{name}"),
            by_language: vec![
                ("en-GB".parse().unwrap_or_default(), format!("agent_{name}")),
                ("en-US".parse().unwrap_or_default(), format!("agent_{name}_us")),
            ],
        };
        Self {
            app_url: "https://app.ivy.test".to_owned(),
            default_charity_id: CharityId::derive(jiff::civil::Date::ZERO, &["charity", "default"]),
            agent_sponsor: agents("sponsor"),
            agent_premium: agents("premium"),
            agent_welcome: agents("welcome"),
            from_numbers: vec![(String::new(), "+447700900999".to_owned())],
            call_slots: 20,
            reserved_call_slots: 4,
            // A test's moments stand still: pacing has tests of its own.
            whatsapp_per_second: 10_000,
            sms_per_second: 10_000,
            whatsapp_pair_seconds: 0,
            user_requests_per_minute: 120,
            consent_wording_version: "2026-11".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_speaks_the_persons_language_or_the_nearest_there_is() {
        let agents: Agents = "en-GB=a,en-US=b,es=c".parse().unwrap();
        let speaking = |locale: &str| agents.speaking(&locale.parse().unwrap()).to_owned();
        let heard = ["en-GB", "en-US", "en", "en-CA", "es", "es-MX", "fr-FR"].map(speaking);
        assert_eq!(heard, ["a", "b", "a", "a", "c", "c", "a"]);
        let lone: Agents = "agent_x".parse().unwrap();
        assert_eq!((lone.speaking(&"en-US".parse().unwrap()), lone.first()), ("agent_x", "agent_x"));
    }

    #[test]
    fn wrong_lists_of_agents_are_refused() {
        for wrong in
            ["", " ", "a,b", "en-GB=", "=a", "en-GB=a,b", "en-GB=a,en-GB=b", "en-GB=a=b", "english!=a", "en-GB=a,"]
        {
            assert!(wrong.parse::<Agents>().is_err(), "{wrong}");
        }
    }
}
