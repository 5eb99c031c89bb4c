//! A workout: one planned activity on one local day, whatever the user's track.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{DonationId, UserId, WorkoutId},
    values::{Text, Zone},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkoutStatus {
    Planned,
    Completed,
    Partial,
    Skipped,
    RestDay,
}

impl WorkoutStatus {
    /// Completed and partial workouts keep a day and donate.
    #[must_use]
    pub const fn keeps_the_day(self) -> bool {
        matches!(self, Self::Completed | Self::Partial)
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Skipped => "skipped",
            Self::RestDay => "rest_day",
        }
    }
}

/// Who told us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportedBy {
    Api,
    Call,
    Whatsapp,
    Sms,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workout {
    pub id: WorkoutId,
    pub user_id: UserId,
    pub planned_activity: Text<200>,
    /// Absent where the activity was reported without a plan.
    pub planned_time: Option<Timestamp>,
    pub planned_duration_minutes: Option<u16>,
    pub actual_duration_minutes: Option<u16>,
    pub status: WorkoutStatus,
    /// The local day it belongs to, settled when it was planned or reported, in `timezone`.
    pub date: Date,
    pub timezone: Zone,
    pub source: ReportedBy,
    /// The completion donation; stays when the completion is undone, so that it is never made twice.
    pub donation_id: Option<DonationId>,
    /// It has had its one chance to donate, also where a cap left nothing: a later period does not make up for it.
    #[serde(default)]
    pub donation_decided: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub logged_at: Option<Timestamp>,
    pub version: u64,
}
