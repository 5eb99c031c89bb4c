//! The Impact Wallet: what may still be donated in this period, and what has been.
//!
//! A wallet is in one period at a time, `[period_start, period_end)`. A new one begins by rule on first
//! use after the end, by the monthly job, or by an invoice, whichever comes first; the others then find
//! it begun. Periods follow each other without overlap, and a clock that runs backwards opens nothing.
//! A local day begins at 03:00, and so does the first day of a calendar month. A rest of less than two
//! days, which only a move between time zones leaves over, is joined to the month after it, so that a
//! flight does not fill the wallet twice.
//!
//! The daily cap is kept by sums per local date for [`REMEMBERED_DAYS`]; a completion for an older date
//! donates nothing, because nobody can say what that day already gave.

use std::collections::BTreeMap;

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use crate::{
    days::{day_start, local_date, plus_days},
    ids::{CharityId, CompanyId, DonationId, UserId, WorkoutId},
    money::Pence,
    tier::Tier,
    user::User,
    values::Zone,
};

/// For how many days the daily sums are kept.
pub const REMEMBERED_DAYS: i32 = 40;
/// An invoice's period that begins this close to the wallet's is the same period.
const SAME_PERIOD: SignedDuration = SignedDuration::from_hours(24);
/// A shorter rest of a month is joined to the next.
const SHORTEST_MONTH: SignedDuration = SignedDuration::from_hours(48);

/// How much may be donated at once, on one local date, and in one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    pub donation: Pence,
    pub daily: Pence,
    pub monthly: Pence,
}

impl Caps {
    /// The tier's caps; a sponsor's company may set another monthly one.
    #[must_use]
    pub fn of(tier: Tier, company_monthly: Option<Pence>) -> Self {
        let rules = tier.rules();
        let monthly = match tier {
            Tier::B2bSponsor => company_monthly.unwrap_or(rules.monthly_cap),
            Tier::B2cPro | Tier::B2cElite | Tier::B2cConcierge => rules.monthly_cap,
        };
        Self { donation: rules.donation_per_completion, daily: rules.daily_cap, monthly }
    }
}

/// Where a user's periods come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeriodRule {
    /// The month of the local date, in this zone.
    CalendarMonth(Zone),
    /// The subscription's billing period, as invoices tell; monthly from the last known end without news.
    Billing,
}

impl PeriodRule {
    #[must_use]
    pub fn of(user: &User) -> Self {
        match user.subscription_type {
            Tier::B2bSponsor => Self::CalendarMonth(user.timezone.clone()),
            Tier::B2cPro | Tier::B2cElite | Tier::B2cConcierge => Self::Billing,
        }
    }
}

/// Why a donation was cut, to a part or to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapReached {
    Daily,
    Monthly,
    /// The date is older than the remembered daily sums.
    TooOld,
}

/// What a completion or a bonus donated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Donated {
    pub amount: Pence,
    /// Set whenever the amount was cut.
    pub cap_reached: Option<CapReached>,
}

/// Why an adjustment was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustmentRefused {
    /// The period's cap leaves only this much.
    CapReached { left: Pence },
    /// Only this much was donated that could be taken back.
    MoreThanWasDonated { donated: Pence },
}

/// What may still be donated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// By completions today; never more than the period's.
    pub day: Pence,
    pub period: Pence,
}

/// A user's wallet, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wallet {
    pub period_start: Timestamp,
    /// The first instant after the period.
    pub period_end: Timestamp,
    /// Sum of the period's donations.
    pub amount_used: Pence,
    /// Sum of all donations ever.
    pub lifetime_donated: Pence,
    /// What completions donated, by local date.
    #[serde(default)]
    pub daily: BTreeMap<Date, Pence>,
    /// The day of the month on which billing periods end, where the month has it.
    #[serde(default)]
    pub anchor_day: Option<i8>,
    /// Counts the writes; kept by whoever stores it.
    #[serde(default)]
    pub version: u64,
}

impl Wallet {
    /// An empty wallet in the period that holds `now`.
    #[must_use]
    pub fn open(now: Timestamp, rule: &PeriodRule) -> Self {
        let (period_start, period_end, anchor_day) = match rule {
            PeriodRule::CalendarMonth(zone) => {
                let (start, end) = month_around(now, zone);
                (start, end, None)
            }
            PeriodRule::Billing => {
                let anchor = utc(now).day();
                (now, a_month_after(now, anchor), Some(anchor))
            }
        };
        Self {
            period_start,
            period_end,
            amount_used: Pence::ZERO,
            lifetime_donated: Pence::ZERO,
            daily: BTreeMap::new(),
            anchor_day,
            version: 0,
        }
    }

    /// Begins the period that holds `now` once the last one is over. Says whether one began.
    pub fn roll(&mut self, now: Timestamp, rule: &PeriodRule) -> bool {
        if now < self.period_end {
            return false;
        }
        match rule {
            PeriodRule::CalendarMonth(zone) => {
                let (start, end) = month_around(now, zone);
                let start = start.max(self.period_end);
                let end = if end.duration_since(start) < SHORTEST_MONTH { month_around(end, zone).1 } else { end };
                self.begin(start, end);
                self.anchor_day = None;
            }
            PeriodRule::Billing => {
                let anchor = self.anchor_day.unwrap_or(utc(self.period_end).day());
                let (mut start, mut end) = (self.period_end, a_month_after(self.period_end, anchor));
                while end <= now && end < Timestamp::MAX {
                    (start, end) = (end, a_month_after(end, anchor));
                }
                self.begin(start, end);
                self.anchor_day = Some(anchor);
            }
        }
        true
    }

    /// Takes an invoice's period: says whether anything changed.
    ///
    /// A period that begins within a day of the current one is the same period: its end is taken over and
    /// nothing is reset. One that begins later starts anew; one that begins earlier changes nothing. One that has not begun
    /// by now changes nothing either: it would end this one early, and begins by rule when this one is over.
    pub fn start_period(&mut self, start: Timestamp, end: Timestamp, now: Timestamp) -> bool {
        if end <= start || end <= self.period_start {
            return false;
        }
        let later = start.duration_since(self.period_start);
        if later.abs() <= SAME_PERIOD {
            let changed = self.period_end != end;
            self.period_end = end;
            self.anchor_day = Some(anchor_of(start, end));
            return changed;
        }
        if later.is_negative() || start > now {
            return false;
        }
        self.begin(start, end);
        self.anchor_day = Some(anchor_of(start, end));
        true
    }

    /// Donates for a completion on a local date, cut to what both caps leave.
    pub fn donate_completion(&mut self, date: Date, caps: Caps) -> Donated {
        let oldest = self.oldest_remembered();
        if date < oldest {
            return Donated { amount: Pence::ZERO, cap_reached: Some(CapReached::TooOld) };
        }
        let day = caps.daily.remaining_after(self.donated_on(date));
        let period = caps.monthly.remaining_after(self.amount_used);
        let amount = caps.donation.min(day).min(period);
        let cap_reached = match amount < caps.donation {
            false => None,
            true if day < period => Some(CapReached::Daily),
            true => Some(CapReached::Monthly),
        };
        if amount > Pence::ZERO {
            *self.daily.entry(date).or_default() += amount;
            self.spend(amount);
            let oldest = self.oldest_remembered();
            self.daily = self.daily.split_off(&oldest);
        }
        Donated { amount, cap_reached }
    }

    /// Donates a streak bonus: the daily cap does not apply, the period's does.
    pub fn donate_bonus(&mut self, bonus: Pence, caps: Caps) -> Donated {
        let amount = bonus.min(caps.monthly.remaining_after(self.amount_used));
        let cap_reached = (amount < bonus).then_some(CapReached::Monthly);
        self.spend(amount);
        Donated { amount, cap_reached }
    }

    /// Corrects what was donated, whole or not at all. What is added stays under the period's cap; what is taken back was
    /// donated in this period, for an earlier one is closed. The daily sums are those of completions and stay.
    ///
    /// # Errors
    /// What the correction would break; nothing changes then.
    pub fn adjust(&mut self, amount: Pence, caps: Caps) -> Result<(), AdjustmentRefused> {
        let left = caps.monthly.remaining_after(self.amount_used);
        if amount > Pence::ZERO && amount > left {
            return Err(AdjustmentRefused::CapReached { left });
        }
        if self.amount_used + amount < Pence::ZERO {
            return Err(AdjustmentRefused::MoreThanWasDonated { donated: self.amount_used });
        }
        self.spend(amount);
        Ok(())
    }

    #[must_use]
    pub fn remaining(&self, today: Date, caps: Caps) -> Remaining {
        let period = caps.monthly.remaining_after(self.amount_used);
        Remaining { day: caps.daily.remaining_after(self.donated_on(today)).min(period), period }
    }

    fn donated_on(&self, date: Date) -> Pence {
        self.daily.get(&date).copied().unwrap_or_default()
    }

    fn spend(&mut self, amount: Pence) {
        self.amount_used += amount;
        self.lifetime_donated += amount;
    }

    fn begin(&mut self, start: Timestamp, end: Timestamp) {
        self.period_start = start;
        self.period_end = end;
        self.amount_used = Pence::ZERO;
    }

    /// Counted back from the newest date with a donation, or the period's start; a date far ahead of the
    /// period does not make the wallet forget.
    fn oldest_remembered(&self) -> Date {
        let started = utc(self.period_start).date();
        let newest = self.daily.keys().next_back().copied().unwrap_or(started).min(utc(self.period_end).date());
        plus_days(newest.max(started), -REMEMBERED_DAYS)
    }
}

fn utc(at: Timestamp) -> DateTime {
    TimeZone::UTC.to_datetime(at)
}

/// The beginning and the end of the month that the local date of `at` lies in.
fn month_around(at: Timestamp, zone: &Zone) -> (Timestamp, Timestamp) {
    let date = local_date(at, zone);
    let next = plus_days(date.last_of_month(), 1);
    (day_start(date.first_of_month(), zone), day_start(next, zone))
}

/// The same time of day in the next month (UTC), on the anchor day or the month's last.
fn a_month_after(at: Timestamp, anchor_day: i8) -> Timestamp {
    let next = utc(at).date().first_of_month().saturating_add(1.month());
    let day = anchor_day.min(next.days_in_month()).max(1);
    let date = plus_days(next, i32::from(day) - 1);
    TimeZone::UTC.to_timestamp(date.to_datetime(utc(at).time())).unwrap_or(Timestamp::MAX)
}

/// The end's day of the month; the start's, where the end's month was too short for it.
fn anchor_of(start: Timestamp, end: Timestamp) -> i8 {
    let (start, end) = (utc(start).date(), utc(end).date());
    if end.day() == end.days_in_month() { end.day().max(start.day()) } else { end.day() }
}

/// What a donation was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DonationKind {
    Completion,
    StreakBonus {
        kept_days: u32,
    },
    /// An operator's correction; below zero where it takes back.
    Adjustment,
}

/// One donation, written once and never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Donation {
    pub id: DonationId,
    pub user_id: UserId,
    pub amount: Pence,
    pub kind: DonationKind,
    pub charity_id: CharityId,
    #[serde(default)]
    pub workout_id: Option<WorkoutId>,
    /// The local date it was earned on.
    pub date: Date,
    /// The start of the wallet period that it counts toward.
    pub period_start: Timestamp,
    #[serde(default)]
    pub company_id: Option<CompanyId>,
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn london() -> PeriodRule {
        PeriodRule::CalendarMonth(Zone::default())
    }

    #[test]
    fn caps_come_from_the_tier_and_the_company() {
        assert_eq!(Caps::of(Tier::B2bSponsor, Some(Pence(700))).monthly, Pence(700));
        assert_eq!(Caps::of(Tier::B2bSponsor, None).monthly, Pence(2000));
        let elite = Caps::of(Tier::B2cElite, Some(Pence(700)));
        assert_eq!((elite.donation, elite.daily, elite.monthly), (Pence(150), Pence(400), Pence(3500)));
    }

    #[test]
    fn a_completion_is_cut_to_the_daily_cap() {
        let caps = Caps::of(Tier::B2cElite, None);
        let mut wallet = Wallet::open(at("2026-11-21T12:00:00Z"), &PeriodRule::Billing);
        let today = date(2026, 11, 21);
        let amounts: Vec<Donated> = (0..4).map(|_| wallet.donate_completion(today, caps)).collect();
        assert_eq!(amounts.iter().map(|d| d.amount.0).collect::<Vec<_>>(), [150, 150, 100, 0]);
        assert_eq!(amounts[1].cap_reached, None);
        assert_eq!(amounts[2].cap_reached, Some(CapReached::Daily));
        assert_eq!(wallet.remaining(today, caps), Remaining { day: Pence::ZERO, period: Pence(3100) });
        assert_eq!(wallet.donate_completion(date(2026, 11, 20), caps).amount, Pence(150));
    }

    #[test]
    fn a_bonus_ignores_the_daily_cap_and_counts_toward_the_monthly() {
        let caps = Caps::of(Tier::B2cPro, None);
        let mut wallet = Wallet::open(at("2026-11-21T12:00:00Z"), &PeriodRule::Billing);
        assert_eq!(wallet.donate_bonus(Pence(1000), caps).amount, Pence(1000));
        let cut = wallet.donate_bonus(Pence(2500), caps);
        assert_eq!((cut.amount, cut.cap_reached), (Pence(1000), Some(CapReached::Monthly)));
        let none = wallet.donate_completion(date(2026, 11, 21), caps);
        assert_eq!((none.amount, none.cap_reached), (Pence::ZERO, Some(CapReached::Monthly)));
        assert_eq!((wallet.amount_used, wallet.lifetime_donated), (Pence(2000), Pence(2000)));
    }

    #[test]
    fn an_adjustment_is_whole_or_not_at_all() {
        let caps = Caps::of(Tier::B2cPro, None);
        let mut wallet = Wallet::open(at("2026-11-21T12:00:00Z"), &PeriodRule::Billing);
        let today = date(2026, 11, 21);
        wallet.donate_completion(today, caps);
        let before = wallet.clone();
        assert_eq!(wallet.adjust(Pence(1901), caps), Err(AdjustmentRefused::CapReached { left: Pence(1900) }));
        let taken = AdjustmentRefused::MoreThanWasDonated { donated: Pence(100) };
        assert_eq!(wallet.adjust(Pence(-101), caps), Err(taken));
        assert_eq!(wallet, before);
        assert_eq!(wallet.adjust(Pence(1900), caps), Ok(()));
        assert_eq!((wallet.amount_used, wallet.lifetime_donated), (Pence(2000), Pence(2000)));
        assert_eq!(wallet.adjust(Pence(-2000), caps), Ok(()));
        assert_eq!((wallet.amount_used, wallet.lifetime_donated), (Pence::ZERO, Pence::ZERO));
        assert_eq!(wallet.daily, before.daily, "a day's cap is not given back");
    }

    #[test]
    fn what_was_donated_in_an_earlier_period_is_not_taken_back() {
        let mut wallet = Wallet::open(at("2026-11-21T12:00:00Z"), &PeriodRule::Billing);
        let caps = Caps::of(Tier::B2cPro, None);
        wallet.donate_bonus(Pence(300), caps);
        assert!(wallet.roll(wallet.period_end, &PeriodRule::Billing));
        let refused = AdjustmentRefused::MoreThanWasDonated { donated: Pence::ZERO };
        assert_eq!(wallet.adjust(Pence(-1), caps), Err(refused));
        assert_eq!(wallet.lifetime_donated, Pence(300));
    }

    #[test]
    fn a_date_that_is_no_longer_remembered_donates_nothing() {
        let caps = Caps::of(Tier::B2cPro, None);
        let mut wallet = Wallet::open(at("2026-11-21T12:00:00Z"), &PeriodRule::Billing);
        wallet.donate_completion(date(2026, 11, 21), caps);
        let old = wallet.donate_completion(date(2026, 10, 11), caps);
        assert_eq!((old.amount, old.cap_reached), (Pence::ZERO, Some(CapReached::TooOld)));
        assert_eq!(wallet.donate_completion(date(2026, 10, 12), caps).amount, Pence(100));
    }

    #[test]
    fn a_sponsored_period_is_the_local_month_and_begins_once() {
        let mut wallet = Wallet::open(at("2026-07-15T12:00:00Z"), &london());
        assert_eq!((wallet.period_start, wallet.period_end), (at("2026-07-01T02:00:00Z"), at("2026-08-01T02:00:00Z")));
        wallet.donate_bonus(Pence(500), Caps::of(Tier::B2bSponsor, None));
        assert!(!wallet.roll(at("2026-08-01T01:59:59Z"), &london()));
        assert!(wallet.roll(at("2026-08-01T02:00:00Z"), &london()));
        assert!(!wallet.roll(at("2026-08-01T02:00:00Z"), &london()));
        assert!(!wallet.roll(at("2026-07-20T02:00:00Z"), &london()), "a clock that runs backwards opens nothing");
        assert_eq!((wallet.amount_used, wallet.lifetime_donated), (Pence::ZERO, Pence(500)));
    }

    #[test]
    fn flying_west_at_the_end_of_a_month_does_not_fill_the_wallet_twice() {
        let mut wallet =
            Wallet::open(at("2026-11-15T12:00:00Z"), &PeriodRule::CalendarMonth("Asia/Tokyo".parse().unwrap()));
        let honolulu = PeriodRule::CalendarMonth("Pacific/Honolulu".parse().unwrap());
        let over = wallet.period_end;
        assert!(wallet.roll(over, &honolulu));
        assert_eq!((wallet.period_start, wallet.period_end), (over, at("2027-01-01T13:00:00Z")));
    }

    #[test]
    fn billing_goes_on_monthly_and_keeps_its_day() {
        let mut wallet = Wallet::open(at("2026-01-31T10:00:00Z"), &PeriodRule::Billing);
        assert_eq!(wallet.period_end, at("2026-02-28T10:00:00Z"));
        assert!(wallet.roll(at("2026-02-28T10:00:00Z"), &PeriodRule::Billing));
        assert_eq!(wallet.period_end, at("2026-03-31T10:00:00Z"));
        assert!(wallet.roll(at("2026-07-01T00:00:00Z"), &PeriodRule::Billing));
        assert_eq!((wallet.period_start, wallet.period_end), (at("2026-06-30T10:00:00Z"), at("2026-07-31T10:00:00Z")));
    }

    #[test]
    fn an_invoice_starts_a_period_once() {
        let mut wallet = Wallet::open(at("2026-11-21T12:00:40Z"), &PeriodRule::Billing);
        wallet.donate_bonus(Pence(300), Caps::of(Tier::B2cPro, None));
        // The first invoice begins seconds before the wallet was opened: the same period.
        let invoice =
            |wallet: &mut Wallet, start: &str, end: &str, now: &str| wallet.start_period(at(start), at(end), at(now));
        let first = ("2026-11-21T12:00:00Z", "2026-12-21T12:00:00Z");
        assert!(invoice(&mut wallet, first.0, first.1, "2026-11-21T12:00:50Z"));
        assert!(!invoice(&mut wallet, first.0, first.1, "2026-11-21T12:00:50Z"));
        assert_eq!((wallet.amount_used, wallet.period_end), (Pence(300), at("2026-12-21T12:00:00Z")));
        // The next one begins by rule, and the late invoice finds it begun.
        assert!(wallet.roll(at("2026-12-21T12:00:00Z"), &PeriodRule::Billing));
        wallet.donate_bonus(Pence(100), Caps::of(Tier::B2cPro, None));
        assert!(!invoice(&mut wallet, "2026-12-21T12:00:00Z", "2027-01-21T12:00:00Z", "2026-12-21T12:01:00Z"));
        assert_eq!(wallet.amount_used, Pence(100));
        assert!(!invoice(&mut wallet, first.0, first.1, "2026-12-22T12:00:00Z"), "older");
        // Sent ahead: it begins when its time comes, and no earlier.
        let next = ("2027-01-21T12:00:00Z", "2027-02-21T12:00:00Z");
        assert!(!invoice(&mut wallet, next.0, next.1, "2027-01-20T12:00:00Z"));
        assert_eq!((wallet.amount_used, wallet.period_end), (Pence(100), at(next.0)));
        assert!(wallet.roll(at(next.0), &PeriodRule::Billing));
        assert_eq!((wallet.period_start, wallet.period_end), (at(next.0), at(next.1)));
        // An upgrade in the middle of a period begins a new one.
        wallet.donate_bonus(Pence(100), Caps::of(Tier::B2cPro, None));
        assert!(invoice(&mut wallet, "2027-02-01T12:00:00Z", "2027-03-01T12:00:00Z", "2027-02-01T12:00:05Z"));
        assert_eq!(wallet.amount_used, Pence::ZERO);
    }
}
