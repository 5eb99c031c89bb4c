//! Messages in and out, and what the ones going out say.
//!
//! A [`Notice`] is the content, typed; how it travels (an approved template, free text, SMS) is the
//! sender's choice. The wording lives in `infra/whatsapp/templates.json`, which is what the provider
//! approves; the same text is rendered here for SMS and for free text, so that a person reads the same
//! sentence on every channel. A status only moves forward: its variants have ranks and the higher one
//! stays, whatever order the provider's reports come in.

use std::{fmt, sync::LazyLock};

use jiff::{Timestamp, civil::Time};
use serde::{Deserialize, Serialize};

use crate::{
    days::spoken_time,
    ids::{CallId, MessageId, UserId, WorkoutId},
    money::Pence,
    scores::Score,
    values::{Contact, Text},
};

/// The way a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    Whatsapp,
    Sms,
    Email,
}

impl Via {
    /// How a link or code comes to a contact.
    #[must_use]
    pub const fn to(contact: &Contact) -> Self {
        match contact {
            Contact::Phone(_) => Self::Sms,
            Contact::Email(_) => Self::Email,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageDirection {
    In,
    Out,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    Text,
    Template,
    VoiceNote,
    QuickReply,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    Queued,
    /// Claimed by a worker that is asking the provider.
    Sending,
    /// The provider may or may not have taken it.
    Unknown,
    Sent,
    Delivered,
    Read,
    Failed,
    /// Not sent on purpose: no consent, pointless by now, or answered meanwhile.
    Suppressed,
    /// The status of every message from a user.
    Received,
}

impl MessageStatus {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Suppressed => "suppressed",
            Self::Received => "received",
        }
    }

    /// A failure outranks `sent` and yields to a delivery: what arrived did not fail.
    const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Sending => 1,
            Self::Unknown => 2,
            Self::Suppressed => 3,
            Self::Sent => 4,
            Self::Failed => 5,
            Self::Delivered => 6,
            Self::Read => 7,
            Self::Received => 8,
        }
    }

    /// The status after a report of `to`: forward only, and the same for every order of reports.
    /// Queueing a message again after a refusal is the sender's own write and does not go through here.
    #[must_use]
    pub fn advance(self, to: Self) -> Self {
        match to {
            Self::Received => self,
            Self::Queued
            | Self::Sending
            | Self::Unknown
            | Self::Sent
            | Self::Delivered
            | Self::Read
            | Self::Failed
            | Self::Suppressed => {
                if to.rank() > self.rank() {
                    to
                } else {
                    self
                }
            }
        }
    }
}

/// A reply that the user can give with one tap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What comes back: `done`, `skip`.
    pub id: String,
    pub title: String,
}

/// One message template, as the provider approves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    pub name: String,
    /// The provider's language code, `en_GB`.
    pub language: String,
    pub category: String,
    /// The text, with `{{1}}` and so on for the parameters.
    pub body: String,
    pub buttons: Vec<Button>,
    /// One sample for each parameter.
    pub samples: Vec<String>,
}

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    // The file is compiled in and a test reads it, so this cannot fail in a build that passed.
    serde_json::from_str(include_str!("../../../infra/whatsapp/templates.json")).unwrap_or_default()
});

/// Every template, as in `infra/whatsapp/templates.json`.
#[must_use]
pub fn templates() -> &'static [Template] {
    &TEMPLATES
}

/// What an outgoing message says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "template", rename_all = "snake_case")]
pub enum Notice {
    WorkoutReminder {
        name: Text<80>,
        /// The local time it is planned for.
        time: Time,
        activity: Text<200>,
    },
    CompletionCheck {
        name: Text<80>,
        activity: Text<200>,
    },
    CompletionConfirmation {
        amount: Pence,
        charity: String,
        /// Whether a cap cut the amount, to a part or to nothing.
        #[serde(default)]
        cap_reached: bool,
    },
    StreakUpdate {
        days: u32,
        amount: Pence,
        charity: String,
    },
    WeeklySummary {
        done: u32,
        goal: u32,
        donated: Pence,
        #[serde(default)]
        energy: Option<Score>,
    },
    MissedCallFollowUp {
        name: Text<80>,
    },
    RescueSupport {
        minimum_action: Text<200>,
    },
    Celebration {
        milestone: String,
    },
    PaymentProblem,
    /// In place of a morning call.
    MorningPlan {
        name: Text<80>,
        /// When the call would have been.
        due_at: Timestamp,
    },
    /// In place of an evening call.
    EveningCheck {
        name: Text<80>,
        due_at: Timestamp,
    },
    /// What a month's donations came to.
    MonthlyReceipt {
        month: String,
        donated: Pence,
        donations: u32,
    },
    /// What the person asked to have in writing during a call.
    CallSummary {
        name: Text<80>,
        /// The next plan, if there is one.
        #[serde(default)]
        plan: Option<String>,
        streak: u32,
        donated: Pence,
    },
    SignInLink {
        link: String,
        code: String,
    },
    /// Goes to the phone or address that its user wants to have, and shows that they do when it comes back.
    ContactCode {
        contact: Contact,
        code: String,
    },
    /// Free text that answers the user; no template, so it needs an open conversation or SMS.
    Reply {
        text: Text<4096>,
    },
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notice({})", self.template_name().unwrap_or("reply"))
    }
}

impl Notice {
    /// The template that carries it; none for free text.
    #[must_use]
    pub const fn template_name(&self) -> Option<&'static str> {
        match self {
            Self::WorkoutReminder { .. } => Some("workout_reminder"),
            Self::CompletionCheck { .. } => Some("completion_check"),
            Self::CompletionConfirmation { .. } => Some("completion_confirmation"),
            Self::StreakUpdate { .. } => Some("streak_update"),
            Self::WeeklySummary { .. } => Some("weekly_summary"),
            Self::MissedCallFollowUp { .. } => Some("missed_call_follow_up"),
            Self::RescueSupport { .. } => Some("rescue_support"),
            Self::Celebration { .. } => Some("celebration"),
            Self::PaymentProblem => Some("payment_problem"),
            Self::CallSummary { .. } => Some("call_summary"),
            Self::MorningPlan { .. } => Some("morning_plan"),
            Self::EveningCheck { .. } => Some("evening_check"),
            Self::MonthlyReceipt { .. } => Some("monthly_receipt"),
            Self::SignInLink { .. } => Some("sign_in_link"),
            Self::ContactCode { .. } => Some("contact_code"),
            Self::Reply { .. } => None,
        }
    }

    #[must_use]
    pub fn template(&self) -> Option<&'static Template> {
        let name = self.template_name()?;
        templates().iter().find(|template| template.name == name)
    }

    /// The template's parameters, in the order of their numbers. Never empty, never with a line break:
    /// the provider refuses both.
    #[must_use]
    pub fn parameters(&self) -> Vec<String> {
        let parameters = match self {
            Self::WorkoutReminder { name, time, activity } => {
                vec![name.as_str().to_owned(), spoken_time(*time), activity.as_str().to_owned()]
            }
            Self::CompletionCheck { name, activity } => vec![name.as_str().to_owned(), activity.as_str().to_owned()],
            // The approved sentence has no room for more than the amount, so that is where a cap is told of.
            Self::CompletionConfirmation { amount: Pence::ZERO, charity, cap_reached: true } => {
                vec!["Nothing more (the cap is reached)".to_owned(), charity.clone()]
            }
            Self::CompletionConfirmation { amount, charity, cap_reached: true } => {
                vec![format!("{amount} (with that the cap is reached)"), charity.clone()]
            }
            Self::CompletionConfirmation { amount, charity, cap_reached: false } => {
                vec![amount.to_string(), charity.clone()]
            }
            Self::StreakUpdate { days, amount, charity } => {
                vec![days.to_string(), amount.to_string(), charity.clone()]
            }
            Self::WeeklySummary { done, goal, donated, energy } => {
                let energy = energy.map_or("no score yet".to_owned(), |score| format!("{} out of 10", score.get()));
                vec![done.to_string(), goal.to_string(), donated.to_string(), energy]
            }
            Self::MissedCallFollowUp { name } | Self::MorningPlan { name, .. } | Self::EveningCheck { name, .. } => {
                vec![name.as_str().to_owned()]
            }
            Self::MonthlyReceipt { month, donated, donations } => {
                vec![month.clone(), donated.to_string(), donations.to_string()]
            }
            Self::RescueSupport { minimum_action } => vec![minimum_action.as_str().to_owned()],
            Self::Celebration { milestone } => vec![milestone.clone()],
            Self::PaymentProblem | Self::Reply { .. } => Vec::new(),
            Self::CallSummary { name, plan, streak, donated } => {
                let plan = plan.clone().unwrap_or_else(|| "nothing planned yet".to_owned());
                vec![name.as_str().to_owned(), plan, streak.to_string(), donated.to_string()]
            }
            Self::SignInLink { link, code } => vec![link.clone(), code.clone()],
            Self::ContactCode { code, .. } => vec![code.clone()],
        };
        parameters.into_iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// The whole text, for SMS and free text.
    #[must_use]
    pub fn render(&self) -> String {
        match self {
            Self::Reply { text } => text.as_str().to_owned(),
            Self::CompletionConfirmation { amount: Pence::ZERO, cap_reached: true, .. } => {
                "Logged, well done. Your Impact Wallet's cap is reached, so nothing was donated for this one. \
                 It counts all the same."
                    .to_owned()
            }
            Self::WorkoutReminder { .. }
            | Self::CompletionCheck { .. }
            | Self::CompletionConfirmation { .. }
            | Self::StreakUpdate { .. }
            | Self::WeeklySummary { .. }
            | Self::MissedCallFollowUp { .. }
            | Self::RescueSupport { .. }
            | Self::Celebration { .. }
            | Self::PaymentProblem
            | Self::CallSummary { .. }
            | Self::MorningPlan { .. }
            | Self::EveningCheck { .. }
            | Self::MonthlyReceipt { .. }
            | Self::SignInLink { .. }
            | Self::ContactCode { .. } => self.fill(),
        }
    }

    /// Whether it carries a link or code that somebody asked for just now: it needs no consent, waits for no morning, and is
    /// shown to nobody afterwards.
    #[must_use]
    pub const fn is_credential(&self) -> bool {
        matches!(self, Self::SignInLink { .. } | Self::ContactCode { .. })
    }

    /// The replies it offers.
    #[must_use]
    pub fn buttons(&self) -> Vec<Button> {
        self.template().map(|template| template.buttons.clone()).unwrap_or_default()
    }

    /// The template's body with its parameters put in, in one pass, so that a parameter's own braces stay text.
    fn fill(&self) -> String {
        let Some(template) = self.template() else { return String::new() };
        let parameters = self.parameters();
        let mut parts = template.body.split("{{");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (number, rest) = part.split_once("}}").unwrap_or(("", part));
            let index = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            text.push_str(index.and_then(|index| parameters.get(index)).map_or("", String::as_str));
            text.push_str(rest);
        }
        text
    }
}

/// A message, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub id: MessageId,
    pub user_id: UserId,
    pub direction: MessageDirection,
    pub via: Via,
    pub kind: MessageKind,
    pub status: MessageStatus,
    /// What it says, going out.
    #[serde(default)]
    pub notice: Option<Notice>,
    /// What it said, coming in.
    #[serde(default)]
    pub body: Option<Text<4096>>,
    /// The provider's id of a recording that came in, and how long it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_seconds: Option<u32>,
    #[serde(default)]
    pub call_id: Option<CallId>,
    /// The plan that it reminds of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workout_id: Option<WorkoutId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default)]
    pub provider_id: Option<String>,
    #[serde(default)]
    pub attempts: u32,
    /// When it was first tried: what no provider takes for a day from then on is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_since: Option<Timestamp>,
    /// After this it is pointless and is not sent.
    #[serde(default)]
    pub not_after: Option<Timestamp>,
    /// Suppressed when the user answered a call, wrote or logged after this.
    #[serde(default)]
    pub unless_heard_since: Option<Timestamp>,
    /// When the user's message came that this one answers.
    #[serde(default)]
    pub answers_inbound_at: Option<Timestamp>,
    /// Why it failed, as a code without personal data.
    #[serde(default)]
    pub failure: Option<String>,
    /// Counts the writes; kept by whoever stores it.
    #[serde(default)]
    pub version: u64,
}

impl Message {
    /// Why it failed, as its user may know it: of a contact that is not theirs they learn nothing.
    #[must_use]
    pub fn failure_for_user(&self) -> Option<&str> {
        let elsewhere = matches!(self.notice, Some(Notice::ContactCode { .. }));
        self.failure.as_deref().filter(|_| !elsewhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_notice() -> Vec<Notice> {
        let name: Text<80> = "Mara".parse().unwrap();
        let activity: Text<200> = "a run\nin {{2}}".parse().unwrap();
        let charity = "Mind".to_owned();
        vec![
            Notice::WorkoutReminder {
                name: name.clone(),
                time: Time::constant(18, 30, 0, 0),
                activity: activity.clone(),
            },
            Notice::CompletionCheck { name: name.clone(), activity: activity.clone() },
            Notice::CompletionConfirmation { amount: Pence(150), charity: charity.clone(), cap_reached: false },
            Notice::StreakUpdate { days: 7, amount: Pence(300), charity },
            Notice::WeeklySummary { done: 3, goal: 4, donated: Pence(450), energy: None },
            Notice::MissedCallFollowUp { name },
            Notice::RescueSupport { minimum_action: activity },
            Notice::Celebration { milestone: "30 days".into() },
            Notice::PaymentProblem,
            Notice::MorningPlan { name: "Mara".parse().unwrap(), due_at: Timestamp::UNIX_EPOCH },
            Notice::EveningCheck { name: "Mara".parse().unwrap(), due_at: Timestamp::UNIX_EPOCH },
            Notice::MonthlyReceipt { month: "November 2026".into(), donated: Pence(1850), donations: 12 },
            Notice::CallSummary {
                name: "Mara".parse().unwrap(),
                plan: Some("a run, 6pm".into()),
                streak: 4,
                donated: Pence(450),
            },
            Notice::SignInLink { link: "https://ivy.example/s".into(), code: "123456".into() },
            Notice::ContactCode { contact: Contact::Phone("+447700900123".parse().unwrap()), code: "123456".into() },
        ]
    }

    #[test]
    fn notices_and_the_template_file_hold_the_same() {
        let notices = every_notice();
        assert_eq!(notices.len(), templates().len());
        for notice in &notices {
            let template = notice.template().unwrap_or_else(|| panic!("no template for {notice:?}"));
            let numbers = template.body.matches("{{").count();
            assert_eq!(notice.parameters().len(), numbers, "{notice:?}");
            assert_eq!(template.samples.len(), numbers, "{notice:?}");
            for number in 1..=numbers {
                assert!(template.body.contains(&format!("{{{{{number}}}}}")), "{notice:?} lacks {number}");
            }
            assert!(!template.body.starts_with("{{") && !template.body.ends_with("}}"), "{notice:?}");
            assert!(template.buttons.len() <= 3 && template.buttons.iter().all(|b| b.title.chars().count() <= 20));
            for button in &template.buttons {
                assert!(crate::replies::understand_button(&button.id).is_some(), "{}", button.id);
            }
            let stored = serde_json::to_value(notice).unwrap();
            assert_eq!(stored["template"], template.name);
            assert_eq!(&serde_json::from_value::<Notice>(stored).unwrap(), notice);
        }
    }

    #[test]
    fn a_notice_renders_from_its_template() {
        let notices = every_notice();
        assert_eq!(
            notices[0].render(),
            "Hi Mara, your plan for 6:30pm is coming up: a run in {{2}}. See you on the other side."
        );
        assert!(notices[2].render().contains("£1.50 goes to Mind"));
        let cut = Notice::CompletionConfirmation { amount: Pence::ZERO, charity: "Mind".into(), cap_reached: true };
        assert!(cut.render().contains("cap is reached"));
        assert_eq!(notices[1].buttons().iter().map(|b| b.id.as_str()).collect::<Vec<_>>(), ["done", "skip"]);
        assert_eq!(Notice::Reply { text: "Hello".parse().unwrap() }.render(), "Hello");
    }

    #[test]
    fn debug_shows_no_parameter() {
        for notice in every_notice() {
            let shown = format!("{notice:?}");
            assert!(notice.parameters().iter().all(|parameter| !shown.contains(parameter.as_str())), "{shown}");
        }
    }

    #[test]
    fn a_status_moves_forward_in_any_order() {
        use MessageStatus::{Delivered, Failed, Queued, Read, Received, Sending, Sent, Suppressed, Unknown};
        let all = [Queued, Sending, Unknown, Suppressed, Sent, Failed, Delivered, Read];
        for first in all {
            for second in all {
                assert_eq!(Queued.advance(first).advance(second), Queued.advance(second).advance(first));
            }
            assert_eq!(Received.advance(first), Received);
        }
        assert_eq!(Delivered.advance(Failed), Delivered);
        assert_eq!(Read.advance(Sent), Read);
        assert_eq!(Sent.advance(Failed), Failed);
    }
}
