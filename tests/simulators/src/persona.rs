//! Who answers the phone, and what is said.
//!
//! A number without a persona has the one of its last two digits, so that a demo and the stack tests can pick a behaviour by
//! picking a number:
//!
//! | digits | persona | what Retell reports |
//! |---|---|---|
//! | 01 | answers | connected, `user_hangup`; plans, logs or rescues by the call's type |
//! | 02 | never answers | `dial_no_answer` |
//! | 03 | voicemail | connected, `voicemail_reached` |
//! | 04 | declines | `user_declined` |
//! | 05 | busy | `dial_busy` |
//! | 06 | drops | connected, gone after 4 seconds without a word |
//! | 07 | invalid number | the request is refused with 400 |
//! | 08 | dead number | accepted, then `invalid_destination` |
//! | other | handset | rings until somebody acts, 30 seconds at most |

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How a phone behaves when it is called. In JSON: `{"persona":"answers","script":{…}}`, `{"persona":"voicemail"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "persona", content = "script", rename_all = "snake_case")]
pub enum Persona {
    Answers(CallScript),
    NeverAnswers,
    Voicemail,
    Declines,
    Busy,
    /// Connects and is gone after 4 seconds, before the person spoke.
    Drops,
    /// Retell refuses the number (400), Twilio too (21211); WhatsApp does not know it (131026).
    InvalidNumber,
    /// The request is accepted; the carrier then finds no such number.
    DeadNumber,
    /// Rings until [`crate::Simulators::answer`], [`crate::Simulators::decline`] or the page, at most 30 seconds.
    Handset,
}

/// One conversation, as its provider tells it afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallScript {
    pub duration_seconds: u32,
    pub user_spoke: bool,
    /// `call_analysis.custom_analysis_data`.
    pub analysis: Value,
    /// `call_analysis.user_sentiment`, Retell's own reading; like the analysis' `sentiment` where it is not said.
    pub user_sentiment: Option<String>,
    pub transcript: String,
}

impl Default for CallScript {
    fn default() -> Self {
        Self::nothing()
    }
}

impl CallScript {
    fn spoken(analysis: Value, user: &str) -> Self {
        Self {
            duration_seconds: 120,
            user_spoke: true,
            analysis,
            user_sentiment: None,
            transcript: format!("Agent: Hi, this is Ivy, an AI. How are you?\nUser: {user}\n"),
        }
    }

    /// The person commits to a workout. `time` is local, `HH:MM`.
    #[must_use]
    pub fn plan(activity: &str, time: &str, minutes: u16) -> Self {
        let analysis = json!({
            "planned_activity": activity, "planned_time": time, "planned_duration_minutes": minutes, "sentiment": "positive",
        });
        Self::spoken(analysis, &format!("{activity} at {time}, {minutes} minutes."))
    }

    /// The person reports one: `completed`, `partial`, `skipped` or `rest_day`.
    #[must_use]
    pub fn log(status: &str, minutes: u16) -> Self {
        let analysis = json!({
            "workout_status": status, "actual_duration_minutes": minutes, "energy": 7, "mood": 8, "confidence": 7,
            "sentiment": "positive",
        });
        Self::spoken(analysis, &format!("It is {status}, {minutes} minutes."))
    }

    /// Success is a commitment to the minimum action; failure is a skipped workout.
    #[must_use]
    pub fn rescue(success: bool) -> Self {
        let (analysis, user) = if success {
            (
                json!({"planned_activity": "the minimum action", "planned_duration_minutes": 5, "sentiment": "positive"}),
                "All right, just the minimum.",
            )
        } else {
            (json!({"workout_status": "skipped", "sentiment": "negative"}), "Not today.")
        };
        Self::spoken(analysis, user)
    }

    /// A talk without a result.
    #[must_use]
    pub fn nothing() -> Self {
        Self::spoken(json!({"sentiment": "neutral"}), "Can't talk now, sorry.")
    }

    /// What a willing person says in a call of this type (`metadata.call_type`).
    #[must_use]
    pub fn for_call_type(call_type: &str) -> Self {
        match call_type {
            "evening_review" | "weekly_planning" | "monthly_check" | "quarterly_review" => Self::log("completed", 30),
            "rescue" => Self::rescue(true),
            _ => Self::plan("Run in the park", "18:00", 30),
        }
    }
}

impl Persona {
    /// The table in the module's documentation.
    pub(crate) fn by_digits(phone: &str, call_type: &str) -> Self {
        match phone.get(phone.len().saturating_sub(2)..) {
            Some("01") => Self::Answers(CallScript::for_call_type(call_type)),
            Some("02") => Self::NeverAnswers,
            Some("03") => Self::Voicemail,
            Some("04") => Self::Declines,
            Some("05") => Self::Busy,
            Some("06") => Self::Drops,
            Some("07") => Self::InvalidNumber,
            Some("08") => Self::DeadNumber,
            _ => Self::Handset,
        }
    }
}
