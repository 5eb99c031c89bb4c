//! What a deployment decides; read once at start by `ivy-runtime`, plain values here.

use ivy_domain::CharityId;

#[derive(Debug, Clone)]
pub struct Settings {
    /// Where links in messages lead, such as `https://app.ivy.example`.
    pub app_url: String,
    /// Receives the donations of users who chose no charity.
    pub default_charity_id: CharityId,
    /// Retell agents: of companies' employees, of subscribers, and of people whom we do not know.
    pub agent_sponsor: String,
    pub agent_premium: String,
    pub agent_welcome: String,
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

impl Settings {
    /// Slots that calls of every type may take.
    #[must_use]
    pub const fn unreserved_call_slots(&self) -> u32 {
        self.call_slots.saturating_sub(self.reserved_call_slots)
    }

    /// Settings for tests: recognisable values, none of them real.
    #[must_use]
    pub fn for_testing() -> Self {
        Self {
            app_url: "https://app.ivy.test".to_owned(),
            default_charity_id: CharityId::derive(jiff::civil::Date::ZERO, &["charity", "default"]),
            agent_sponsor: "agent_sponsor".to_owned(),
            agent_premium: "agent_premium".to_owned(),
            agent_welcome: "agent_welcome".to_owned(),
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
