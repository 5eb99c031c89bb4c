//! What happens in a person's life with Ivy: a story that reads line by line and shrinks to few lines.
//!
//! A happening is an enum with small integers. What it means depends on what went before ("the third open plan"),
//! so a story stays a story when lines are taken out of it. A happening that has no meaning where it stands (to
//! correct a workout when there is none) changes nothing.

use std::fmt;

use ivy_domain::workout::WorkoutStatus;
use ivy_domain::{Tier, Zone};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
};

use crate::facts::PreferredDays;

/// Zones whose clocks never jump between 02:00 and 04:00 in a way that touches 03:00, the begin of a day.
const ZONES: [&str; 5] =
    ["Europe/London", "America/New_York", "Asia/Kathmandu", "Pacific/Honolulu", "Australia/Lord_Howe"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    DaysPass(i32),
    HoursPass(i32),
    /// The clock jumps, or nobody was there for months.
    MonthsPass(i32),
    /// So many days pass, and on each the person does something.
    EachDay(i32, WorkoutStatus),
    Plan {
        in_days: i32,
        /// With a time of day, as the app asks for; a call may agree on a plan without.
        timed: bool,
    },
    MovePlan {
        nth: usize,
        in_days: i32,
    },
    DeletePlan {
        nth: usize,
    },
    /// A workout that was logged in the last 7 days is deleted, the nth last.
    DeleteLogged {
        nth: usize,
    },
    /// A word on an open plan whose day has come.
    Answer {
        nth: usize,
        status: WorkoutStatus,
    },
    /// A word on something that was not planned, so many days late and so many times over.
    Report {
        days_late: i32,
        status: WorkoutStatus,
        times: usize,
    },
    /// The last report comes once more.
    SameReportAgain,
    /// Another word on what was logged in the last 7 days, the nth last: undone, redone.
    Correct {
        nth: usize,
        status: WorkoutStatus,
    },
    /// Paused, traveling or sick, without an end.
    Pause,
    /// Paused, and back in so many days: 0 for later today.
    PauseFor(i32),
    /// Back; a pause that was over by then ended on its own day.
    Back,
    /// A move leaves so many days too short.
    Excuse {
        in_days: i32,
        days: i32,
    },
    Prefer(PreferredDays),
    Tier(Tier),
    /// The company's monthly limit in pounds, also below what is used.
    CompanyLimit(i64),
    Charity(u8),
    Invoice {
        began_days_ago: i64,
        days: i64,
    },
    /// An invoice for the period in which the wallet is, some hours off.
    InvoiceOfThisPeriod {
        hours_off: i64,
        days: i64,
    },
    SameInvoiceAgain,
    /// The monthly job looks at the wallet.
    WalletJob,
}

pub(crate) fn word(status: WorkoutStatus) -> &'static str {
    match status {
        WorkoutStatus::Planned => "planned",
        WorkoutStatus::Completed => "done",
        WorkoutStatus::Partial => "partly done",
        WorkoutStatus::Skipped => "skipped",
        WorkoutStatus::RestDay => "a rest day",
    }
}

fn weekdays(days: PreferredDays) -> String {
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let named: Vec<&str> =
        names.into_iter().zip(days).filter(|(_, preferred)| *preferred).map(|(name, _)| name).collect();
    if named.is_empty() { "every day".to_owned() } else { named.join(", ") }
}

impl fmt::Debug for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DaysPass(days) => write!(f, "{days} days pass"),
            Self::HoursPass(hours) => write!(f, "{hours} hours pass"),
            Self::MonthsPass(months) => write!(f, "{months} months pass"),
            Self::EachDay(days, status) => write!(f, "on each of the next {days} days: {}", word(status)),
            Self::Plan { in_days, timed: true } => write!(f, "plans a workout in {in_days} days"),
            Self::Plan { in_days, timed: false } => write!(f, "plans a workout in {in_days} days, at no time of day"),
            Self::MovePlan { nth, in_days } => write!(f, "moves open plan {nth} to {in_days} days ahead"),
            Self::DeletePlan { nth } => write!(f, "deletes open plan {nth}"),
            Self::DeleteLogged { nth } => write!(f, "deletes the last workout but {nth}"),
            Self::Answer { nth, status } => write!(f, "says that open plan {nth} is {}", word(status)),
            Self::Report { days_late, status, times } => {
                write!(f, "reports {} without a plan, {days_late} days late, {times} times", word(status))
            }
            Self::SameReportAgain => write!(f, "the last report comes again"),
            Self::Correct { nth, status } => write!(f, "corrects the last workout but {nth}: {}", word(status)),
            Self::Pause => write!(f, "pauses"),
            Self::PauseFor(days) => write!(f, "pauses for {days} days"),
            Self::Back => write!(f, "is back"),
            Self::Excuse { in_days, days } => {
                write!(f, "a move leaves {days} days too short, {in_days} days from now")
            }
            Self::Prefer(days) => write!(f, "prefers {}", weekdays(days)),
            Self::Tier(tier) => write!(f, "changes to {}", tier.name()),
            Self::CompanyLimit(pounds) => write!(f, "the company's limit is £{pounds}"),
            Self::Charity(charity) => write!(f, "chooses charity {charity}"),
            Self::Invoice { began_days_ago, days } => {
                write!(f, "an invoice for {days} days that began {began_days_ago} days ago")
            }
            Self::InvoiceOfThisPeriod { hours_off, days } => {
                write!(f, "an invoice for {days} days that began {hours_off} hours after the wallet's period")
            }
            Self::SameInvoiceAgain => write!(f, "the last invoice comes again"),
            Self::WalletJob => write!(f, "the monthly job runs"),
        }
    }
}

/// How it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Beginning {
    /// Days after 1 January 2026.
    pub(crate) day: i32,
    /// Hours after the day's beginning.
    pub(crate) hour: i32,
    pub(crate) zone: Zone,
    pub(crate) tier: Tier,
    pub(crate) preferred: PreferredDays,
}

/// A person's months with Ivy.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) beginning: Beginning,
    pub(crate) happenings: Vec<Happening>,
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Beginning { day, hour, zone, tier, preferred } = &self.beginning;
        writeln!(f, "day {day} of 2026, {hour} hours into the day, {}, {}", zone.as_str(), tier.name())?;
        writeln!(f, "  prefers {}", weekdays(*preferred))?;
        self.happenings.iter().try_for_each(|happening| writeln!(f, "  {happening:?}"))
    }
}

/// No preference, or some days.
fn preferred() -> impl Strategy<Value = PreferredDays> {
    prop_oneof![2 => Just([false; 7]), 3 => any::<[bool; 7]>()]
}

fn tier() -> impl Strategy<Value = Tier> {
    prop_oneof![2 => Just(Tier::B2bSponsor), 1 => Just(Tier::B2cPro), 1 => Just(Tier::B2cElite), 1 => Just(Tier::B2cConcierge)]
}

/// Any word but `planned`.
pub(crate) fn status() -> impl Strategy<Value = WorkoutStatus> {
    prop_oneof![
        5 => Just(WorkoutStatus::Completed),
        1 => Just(WorkoutStatus::Partial),
        1 => Just(WorkoutStatus::Skipped),
        3 => Just(WorkoutStatus::RestDay),
    ]
}

fn days_late() -> impl Strategy<Value = i32> {
    prop_oneof![5 => 0..3_i32, 8 => 0..16_i32, 2 => 30..50_i32, 1 => 0..200_i32, 1 => 176..186_i32]
}

fn pause_for() -> impl Strategy<Value = Happening> {
    prop_oneof![4 => 0..12_i32, 1 => 0..100_i32].prop_map(Happening::PauseFor)
}

/// Of today and days to come, as a move excuses them.
fn excuse() -> impl Strategy<Value = Happening> {
    (0..5_i32, 0..4_i32).prop_map(|(in_days, days)| Happening::Excuse { in_days, days })
}

fn happening() -> impl Strategy<Value = Happening> {
    let nth = || 0..4_usize;
    // What is simple and frequent comes first: shrinking goes upward here, and drawing is quicker for what stands above.
    prop_oneof![
        14 => (1..4_i32).prop_map(Happening::DaysPass),
        14 => (days_late(), status(), prop_oneof![4 => Just(1_usize), 1 => 2..6_usize])
            .prop_map(|(days_late, status, times)| Happening::Report { days_late, status, times }),
        8 => (1..9_i32).prop_map(|days| Happening::EachDay(days, WorkoutStatus::Completed)),
        8 => (0..8_usize, status()).prop_map(|(nth, status)| Happening::Correct { nth, status }),
        6 => (nth(), status()).prop_map(|(nth, status)| Happening::Answer { nth, status }),
        5 => (0..8_i32, any::<bool>()).prop_map(|(in_days, timed)| Happening::Plan { in_days, timed }),
        12 => rarer_happening(),
        8 => happening_about_the_days(),
        15 => happening_about_the_money(),
    ]
}

fn rarer_happening() -> impl Strategy<Value = Happening> {
    let nth = || 0..4_usize;
    prop_oneof![
        3 => (1..4_i32).prop_map(|days| Happening::EachDay(days, WorkoutStatus::RestDay)),
        2 => Just(Happening::SameReportAgain),
        2 => (nth(), 0..8_i32).prop_map(|(nth, in_days)| Happening::MovePlan { nth, in_days }),
        2 => (1..24_i32).prop_map(Happening::HoursPass),
        1 => nth().prop_map(|nth| Happening::DeletePlan { nth }),
        1 => nth().prop_map(|nth| Happening::DeleteLogged { nth }),
        1 => (1..40_i32).prop_map(Happening::DaysPass),
        1 => (20..36_i32).prop_map(|days| Happening::EachDay(days, WorkoutStatus::Completed)),
        1 => (1..5_i32).prop_map(Happening::MonthsPass),
    ]
}

fn happening_about_the_days() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => Just(Happening::Back),
        2 => pause_for(),
        2 => preferred().prop_map(Happening::Prefer),
        1 => Just(Happening::Pause),
        1 => excuse(),
    ]
}

fn happening_about_the_money() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0..25_i64).prop_map(Happening::CompanyLimit),
        3 => (-34..70_i64, 1..40_i64)
            .prop_map(|(began_days_ago, days)| Happening::Invoice { began_days_ago, days }),
        2 => tier().prop_map(Happening::Tier),
        2 => (-30..30_i64, 25..35_i64)
            .prop_map(|(hours_off, days)| Happening::InvoiceOfThisPeriod { hours_off, days }),
        2 => Just(Happening::WalletJob),
        1 => (0..3_u8).prop_map(Happening::Charity),
        1 => Just(Happening::SameInvoiceAgain),
    ]
}

fn beginning() -> impl Strategy<Value = Beginning> {
    (0..365_i32, 0..24_i32, 0..ZONES.len(), tier(), preferred()).prop_map(|(day, hour, zone, tier, preferred)| {
        Beginning { day, hour, zone: ZONES[zone].parse().unwrap(), tier, preferred }
    })
}

/// A crowded fortnight: little time passes, and much is reported late, rested and corrected.
fn crowded_happening() -> impl Strategy<Value = Happening> {
    let status = || {
        prop_oneof![
            4 => Just(WorkoutStatus::Completed),
            4 => Just(WorkoutStatus::RestDay),
            1 => Just(WorkoutStatus::Skipped),
        ]
    };
    prop_oneof![
        5 => (1..3_i32).prop_map(Happening::DaysPass),
        2 => (2..7_i32).prop_map(|days| Happening::EachDay(days, WorkoutStatus::Completed)),
        10 => (0..9_i32, status()).prop_map(|(days_late, status)| Happening::Report { days_late, status, times: 1 }),
        3 => (0..8_usize, status()).prop_map(|(nth, status)| Happening::Correct { nth, status }),
        1 => (0..4_i32, any::<bool>()).prop_map(|(in_days, timed)| Happening::Plan { in_days, timed }),
        1 => (0..4_usize, 0..4_i32).prop_map(|(nth, in_days)| Happening::MovePlan { nth, in_days }),
        1 => (0..4_usize, status()).prop_map(|(nth, status)| Happening::Answer { nth, status }),
        1 => (0..4_usize).prop_map(|nth| Happening::DeletePlan { nth }),
        1 => (0..8_usize).prop_map(|nth| Happening::DeleteLogged { nth }),
        1 => (0..5_i32).prop_map(Happening::PauseFor),
        1 => Just(Happening::Back),
        1 => excuse(),
    ]
}

/// A habit: weeks in which something is done on each day, with what comes between.
fn steady_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (10..70_i32).prop_map(|days| Happening::EachDay(days, WorkoutStatus::Completed)),
        1 => (1..5_i32).prop_map(|days| Happening::EachDay(days, WorkoutStatus::RestDay)),
        6 => happening(),
    ]
}

fn told(happenings: impl Strategy<Value = Vec<Happening>>) -> impl Strategy<Value = Story> {
    (beginning(), happenings).prop_map(|(beginning, happenings)| Story { beginning, happenings })
}

/// Weeks to some months of a life.
pub(crate) fn story() -> impl Strategy<Value = Story> {
    told(vec(happening(), 1..40))
}

pub(crate) fn crowded_story() -> impl Strategy<Value = Story> {
    told(vec(crowded_happening(), 1..30))
}

/// Days at the edge of memory: reports that come just in time or just too late, and corrections of them in the week after.
pub(crate) fn late_story() -> impl Strategy<Value = Story> {
    let happening = prop_oneof![
        6 => (174..184_i32, status()).prop_map(|(days_late, status)| Happening::Report { days_late, status, times: 1 }),
        4 => (0..4_usize, status()).prop_map(|(nth, status)| Happening::Correct { nth, status }),
        4 => (1..5_i32).prop_map(Happening::DaysPass),
        1 => (0..4_usize).prop_map(|nth| Happening::DeleteLogged { nth }),
        1 => (1..5_i32).prop_map(|days| Happening::EachDay(days, WorkoutStatus::Completed)),
        1 => (1..3_i32).prop_map(Happening::MonthsPass),
    ];
    told(vec(happening, 1..25))
}

/// Up to eight months with long runs, and with months in which nobody was there.
pub(crate) fn steady_story() -> impl Strategy<Value = Story> {
    told(vec(steady_happening(), 1..10))
}
