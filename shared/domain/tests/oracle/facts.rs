//! What is known about a person: a plain list of what was told, in the order in which it was told.
//!
//! Days are numbers here (days since 1970-01-01), so that the oracle shares no calendar arithmetic with the code.

use std::fmt;

use ivy_domain::workout::WorkoutStatus;
use ivy_domain::{Tier, Zone};
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
};

/// Days since 1970-01-01, a Thursday.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(pub(crate) i32);

impl Day {
    pub(crate) fn of(date: Date) -> Self {
        Self(i32::try_from(date.duration_since(self::date(1970, 1, 1)).as_hours() / 24).unwrap())
    }

    pub(crate) fn date(self) -> Date {
        date(1970, 1, 1) + self.0.days()
    }

    pub(crate) fn plus(self, days: i32) -> Self {
        Self(self.0 + days)
    }

    /// 0 for Monday, 6 for Sunday.
    pub(crate) fn weekday(self) -> i32 {
        (self.0 + 3).rem_euclid(7)
    }

    pub(crate) fn monday(self) -> Self {
        self.plus(-self.weekday())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

/// Where wallet periods come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Periods {
    Months(Zone),
    Billing,
}

/// Whether a workout with this status keeps its day.
pub(crate) fn keeps(status: WorkoutStatus) -> bool {
    match status {
        WorkoutStatus::Completed | WorkoutStatus::Partial => true,
        WorkoutStatus::Planned | WorkoutStatus::Skipped | WorkoutStatus::RestDay => false,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenFor {
    Workout(usize),
    Bonus(u32),
}

/// A donation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) amount: i64,
    pub(crate) given_for: GivenFor,
    pub(crate) date: Day,
    pub(crate) period_start: Timestamp,
    pub(crate) charity: u8,
}

/// Preferred days as the person names them, Monday first; none named means every day.
pub(crate) type PreferredDays = [bool; 7];

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Planned {
        workout: usize,
        date: Day,
    },
    /// An open plan was moved to another day.
    Moved {
        workout: usize,
        from: Day,
        to: Day,
    },
    /// The last word on a workout so far; an undo is a `Skipped`.
    Logged {
        workout: usize,
        date: Day,
        status: WorkoutStatus,
    },
    /// An open plan was deleted, or a workout that was logged.
    Deleted {
        workout: usize,
        date: Day,
    },
    /// Paused, traveling or sick, from a day until the first that counts again, if that was said.
    Paused {
        from: Day,
        until: Option<Day>,
    },
    /// Back: the first day that counts again.
    Back(Day),
    /// A move, and the days that it leaves too short: from one until another. It is the last word on the days to come.
    Excused {
        from: Day,
        until: Day,
    },
    PreferredFrom(PreferredDays, Day),
    /// A run reached a milestone and was paid for it. `from` was its first day, `on` the day that reached it.
    BonusPaid {
        kept_days: u32,
        from: Day,
        on: Day,
    },
    /// The longest run was once as long as this.
    LongestStood(u32),
    WalletOpened {
        at: Timestamp,
        periods: Periods,
    },
    WalletUsed {
        at: Timestamp,
        periods: Periods,
    },
    Invoice {
        start: Timestamp,
        end: Timestamp,
        at: Timestamp,
    },
    Given(Given),
}

/// A fact and the local day on which it was told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) on: Day,
    pub(crate) fact: Fact,
}

/// Everything that was told, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The first day on which anything was expected.
    pub(crate) since: Day,
    pub(crate) told: Vec<Told>,
}

impl Facts {
    /// Whether a workout was ever reported as kept: it has had its one chance to donate.
    pub(crate) fn was_ever_kept(&self, wanted: usize) -> bool {
        self.told
            .iter()
            .any(|told| matches!(told.fact, Fact::Logged { workout, status, .. } if workout == wanted && keeps(status)))
    }

    pub(crate) fn tell(&mut self, on: Day, fact: Fact) {
        self.told.push(Told { on, fact });
    }

    pub(crate) fn given(&self) -> impl Iterator<Item = &Given> {
        self.told.iter().filter_map(|told| match &told.fact {
            Fact::Given(given) => Some(given),
            _ => None,
        })
    }
}

/// The table of tiers: pence a completion, a day, a month.
pub(crate) fn caps(tier: Tier, company_monthly: Option<i64>) -> (i64, i64, i64) {
    match tier {
        Tier::B2bSponsor => (100, 300, company_monthly.unwrap_or(2000)),
        Tier::B2cPro => (100, 300, 2000),
        Tier::B2cElite => (150, 400, 3500),
        Tier::B2cConcierge => (200, 500, 5000),
    }
}
