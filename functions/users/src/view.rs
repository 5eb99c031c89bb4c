//! A user as the API shows it to themselves.

use ivy_domain::{
    User,
    user::{Consent, WindowText},
};
use ivy_runtime::input;
use serde::Serialize;
use utoipa::ToSchema;

/// A local time span in which Ivy may call.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WindowView {
    #[schema(example = "07:00")]
    pub start: String,
    #[schema(example = "09:00")]
    pub end: String,
}

impl From<ivy_domain::user::Window> for WindowView {
    fn from(window: ivy_domain::user::Window) -> Self {
        let WindowText { start, end } = window.into();
        Self { start, end }
    }
}

/// The last word on a purpose's consent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConsentView {
    pub granted: bool,
    #[schema(value_type = String, format = DateTime)]
    pub at: jiff::Timestamp,
    #[schema(value_type = String, example = "onboarding")]
    pub source: ivy_domain::user::ConsentSource,
    pub wording_version: String,
}

impl From<Consent> for ConsentView {
    fn from(consent: Consent) -> Self {
        let Consent { granted, at, source, wording_version } = consent;
        Self { granted, at, source, wording_version }
    }
}

/// Consents by purpose; null where the person was never asked.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConsentsView {
    pub calls: Option<ConsentView>,
    pub messages: Option<ConsentView>,
    /// The last STOP or START by WhatsApp; null where there was none, and `messages` says it all.
    pub messages_whatsapp: Option<ConsentView>,
    /// The last STOP or START by SMS.
    pub messages_sms: Option<ConsentView>,
    pub data_processing: Option<ConsentView>,
}

/// A user.
#[derive(Clone, Serialize, ToSchema)]
pub struct UserView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::UserId,
    /// Proven the user's: it signs in.
    pub email: Option<String>,
    #[schema(example = "+447700900123")]
    pub phone: String,
    /// Since when Ivy has had a phone that is proven the user's: the first sign-in, by the link that was sent to it. Before that Ivy
    /// neither calls nor writes.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub phone_proven_at: Option<jiff::Timestamp>,
    /// The address that the user wants to have, until the code that was sent to it comes back as `email_code`.
    pub unproven_email: Option<String>,
    /// The phone that the user wants to have, until the code that was sent to it comes back as `phone_code`.
    pub unproven_phone: Option<String>,
    pub first_name: String,
    pub last_name: Option<String>,
    pub name_pronunciation: Option<String>,
    #[schema(example = "Europe/London")]
    pub timezone: String,
    /// The local time at which the own days begin.
    #[schema(value_type = String, example = "03:00")]
    pub day_start: ivy_domain::local_days::DayStart,
    #[schema(example = "en-GB")]
    pub locale: String,
    #[schema(example = "b2c_pro")]
    pub subscription_type: &'static str,
    #[schema(value_type = String, example = "trialing")]
    pub subscription_status: ivy_domain::SubscriptionStatus,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub company_id: Option<ivy_domain::CompanyId>,
    #[schema(value_type = String, example = "fitness")]
    pub track: ivy_domain::user::Track,
    #[schema(minimum = 1, maximum = 14)]
    pub weekly_goal: u32,
    pub morning_window: Option<WindowView>,
    pub evening_window: Option<WindowView>,
    /// Short day names; an empty list means every day.
    #[schema(value_type = Vec<String>, example = json!(["mon", "wed", "fri"]))]
    pub preferred_days: ivy_domain::user::WeekdaySet,
    #[schema(value_type = String, example = "calls")]
    pub communication_preference: ivy_domain::user::CommunicationPreference,
    pub minimum_action: Option<String>,
    pub gift_frame: Option<String>,
    pub why_started: Option<String>,
    pub obstacles: Vec<String>,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub charity_id: Option<ivy_domain::CharityId>,
    #[schema(value_type = String, example = "active")]
    pub status: ivy_domain::user::UserStatus,
    /// When the pause ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resumes_at: Option<jiff::Timestamp>,
    pub consents: ConsentsView,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: jiff::Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub onboarded_at: Option<jiff::Timestamp>,
}

impl std::fmt::Debug for UserView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserView({})", self.id)
    }
}

impl From<&User> for UserView {
    fn from(user: &User) -> Self {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id: user.id,
            email: text(user.email.as_ref().map(ivy_domain::Email::as_str)),
            phone: user.phone.as_str().to_owned(),
            phone_proven_at: user.phone_proven_at,
            unproven_email: text(user.unproven_email.as_ref().map(ivy_domain::Email::as_str)),
            unproven_phone: text(user.unproven_phone.as_ref().map(ivy_domain::Phone::as_str)),
            first_name: user.first_name.as_str().to_owned(),
            last_name: text(user.last_name.as_ref().map(ivy_domain::Text::as_str)),
            name_pronunciation: text(user.name_pronunciation.as_ref().map(ivy_domain::Text::as_str)),
            timezone: user.timezone.as_str().to_owned(),
            day_start: user.day_start,
            locale: user.locale.as_str().to_owned(),
            subscription_type: user.subscription_type.name(),
            subscription_status: user.subscription_status,
            company_id: user.company_id,
            track: user.track,
            weekly_goal: user.weekly_goal.get(),
            morning_window: user.morning_window.map(Into::into),
            evening_window: user.evening_window.map(Into::into),
            preferred_days: user.preferred_days,
            communication_preference: user.communication_preference,
            minimum_action: text(user.minimum_action.as_ref().map(ivy_domain::Text::as_str)),
            gift_frame: text(user.gift_frame.as_ref().map(ivy_domain::Text::as_str)),
            why_started: text(user.why_started.as_ref().map(ivy_domain::Text::as_str)),
            obstacles: user.obstacles.iter().map(|o| o.as_str().to_owned()).collect(),
            charity_id: user.charity_id,
            status: user.status,
            resumes_at: user.resumes_at,
            consents: ConsentsView {
                calls: user.consents.calls.clone().map(Into::into),
                messages: user.consents.messages.clone().map(Into::into),
                messages_whatsapp: user.consents.messages_whatsapp.clone().map(Into::into),
                messages_sms: user.consents.messages_sms.clone().map(Into::into),
                data_processing: user.consents.data_processing.clone().map(Into::into),
            },
            created_at: user.created_at,
            updated_at: user.updated_at,
            onboarded_at: user.onboarded_at,
        }
    }
}

input! {
    /// A local time span; it ends at least ten minutes after it starts.
    pub struct WindowInput {
        #[schema(example = "07:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
        pub start: String,
        #[schema(example = "09:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
        pub end: String,
    }
}
