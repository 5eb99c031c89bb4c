//! A workout: one planned activity on one local day, whatever the user's track.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{DonationId, UserId, WorkoutId},
    streak::DayChange,
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

    /// What becomes of a workout's day when its status changes to another.
    pub fn day_changes(self, after: Self) -> impl Iterator<Item = DayChange> {
        let rests = |status| status == Self::RestDay;
        let change = |was: bool, is: bool, came, went| match (was, is) {
            (false, true) => Some(came),
            (true, false) => Some(went),
            (true, true) | (false, false) => None,
        };
        let kept = change(self.keeps_the_day(), after.keeps_the_day(), DayChange::Kept, DayChange::NoLongerKept);
        let rested = change(rests(self), rests(after), DayChange::Rested, DayChange::NoLongerRested);
        [kept, rested].into_iter().flatten()
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
    /// Absent where the activity was reported without a plan, or planned without a time.
    pub planned_time: Option<Timestamp>,
    /// It was planned, with a time or without: the plan made its day a commitment day.
    #[serde(default)]
    pub planned: bool,
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
    /// Its reminder was sent, for the time that is planned now.
    #[serde(default)]
    pub reminded: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When its status was told last.
    pub logged_at: Option<Timestamp>,
    /// When its status was told first: from then on it may be changed for a week.
    #[serde(default)]
    pub first_logged_at: Option<Timestamp>,
    /// It was told so late that the streak did not take it in; so the streak takes in no change of it either.
    #[serde(default)]
    pub too_old_for_streak: bool,
    pub version: u64,
}

impl Workout {
    /// When it was told first, also where only the last time is on record.
    #[must_use]
    pub fn told_first_at(&self) -> Option<Timestamp> {
        self.first_logged_at.or(self.logged_at)
    }

    /// What deleting it changes about its day's commitment, beside what its status counted for. While its day is not over, its
    /// plan is none any more; afterwards it remains one, for a miss is not undone by deleting the plan.
    #[must_use]
    pub fn deleted_plan(&self, today: Date) -> Option<DayChange> {
        let was_planned = self.planned || self.planned_time.is_some();
        (was_planned && self.date >= today).then_some(DayChange::Unplanned)
    }
}
