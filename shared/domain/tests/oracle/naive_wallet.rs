//! The wallet, as the rules say it: which period it is, and what the list of donations leaves of the caps.
//!
//! The period is found by going through all uses and invoices again. What is used is the sum of the list's
//! donations of that period, what a day has given is the sum of its completions, all of them, for ever.
//!
//! **Memory.** A completion gives nothing for a date more than 40 days before the newest date that a completion
//! has given for (a date after the period's end counts as its end), or before the period's start, if that is later.

use ivy_domain::{Zone, wallet::CapReached};
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use crate::facts::{Day, Fact, Facts, GivenFor, Periods};
const REMEMBERED: i32 = 40;

/// A wallet period, `[start, end)`, and the day of the month on which billing goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) billing_day: Option<i8>,
}

/// The local date of an instant: the clocks' date three hours before. Only for zones whose clocks never jump near 03:00.
pub(crate) fn local_date(at: Timestamp, zone: &Zone) -> Date {
    let clock = at.in_tz(zone.as_str()).unwrap().datetime();
    (clock - 3.hours()).date()
}

fn three_in_the_morning(date: Date, zone: &Zone) -> Timestamp {
    date.at(3, 0, 0, 0).in_tz(zone.as_str()).unwrap().timestamp()
}

/// The calendar month around an instant.
fn month(at: Timestamp, zone: &Zone) -> (Timestamp, Timestamp) {
    let first = local_date(at, zone).first_of_month();
    (three_in_the_morning(first, zone), three_in_the_morning(first + 1.month(), zone))
}

fn utc(at: Timestamp) -> DateTime {
    TimeZone::UTC.to_datetime(at)
}

/// The same time of day on the billing day of the next month, or on that month's last day if it is shorter.
fn next_billing(at: Timestamp, billing_day: i8) -> Timestamp {
    let at = utc(at);
    let (year, month) = if at.month() == 12 { (at.year() + 1, 1) } else { (at.year(), at.month() + 1) };
    let date = (1..=billing_day).rev().find_map(|day| Date::new(year, month, day).ok()).unwrap();
    TimeZone::UTC.to_timestamp(date.to_datetime(at.time())).unwrap()
}

/// The day on which an invoiced period ends; a month that was too short for the day it began on does not move it.
fn billing_day(start: Timestamp, end: Timestamp) -> i8 {
    let (start, end) = (utc(start).date(), utc(end).date());
    let ends_with_its_month = end.tomorrow().unwrap().day() == 1;
    if ends_with_its_month && start.day() > end.day() { start.day() } else { end.day() }
}

/// By rule, a period that is over is followed by the one that holds `at`.
fn by_rule(period: Period, at: Timestamp, periods: &Periods) -> Period {
    if at < period.end {
        return period;
    }
    match periods {
        Periods::Months(zone) => {
            let (start, mut end) = month(at, zone);
            let start = if start < period.end { period.end } else { start };
            // A rest of less than two days belongs to the month after it.
            if end.as_second() - start.as_second() < 48 * 3600 {
                end = month(end, zone).1;
            }
            Period { start, end, billing_day: None }
        }
        Periods::Billing => {
            let day = period.billing_day.unwrap_or(utc(period.end).day());
            let next = Period { start: period.end, end: next_billing(period.end, day), billing_day: Some(day) };
            by_rule(next, at, periods)
        }
    }
}

/// An invoice names a period: about the same start is the same period, a later one is a new period
/// once it has begun, an earlier one is old news.
fn by_invoice(period: Period, start: Timestamp, end: Timestamp, told_at: Timestamp) -> Period {
    let later_by = start.as_second() - period.start.as_second();
    let a_day = 24 * 3600;
    if end <= start || end <= period.start || later_by < -a_day {
        return period;
    }
    if later_by > a_day && start > told_at {
        // It has not begun.
        return period;
    }
    let billing_day = Some(billing_day(start, end));
    let start = if later_by <= a_day { period.start } else { start };
    Period { start, end, billing_day }
}

impl Facts {
    /// The period at an instant.
    pub(crate) fn period(&self, at: Timestamp, periods: &Periods) -> Period {
        let mut period: Option<Period> = None;
        for told in &self.told {
            period = match (&told.fact, period) {
                (Fact::WalletOpened { at, periods: Periods::Months(zone) }, _) => {
                    let (start, end) = month(*at, zone);
                    Some(Period { start, end, billing_day: None })
                }
                (Fact::WalletOpened { at, periods: Periods::Billing }, _) => {
                    let day = utc(*at).day();
                    Some(Period { start: *at, end: next_billing(*at, day), billing_day: Some(day) })
                }
                (Fact::WalletUsed { at, periods }, Some(period)) => Some(by_rule(period, *at, periods)),
                (Fact::Invoice { start, end, at }, Some(period)) => Some(by_invoice(period, *start, *end, *at)),
                (_, period) => period,
            };
        }
        by_rule(period.unwrap(), at, periods)
    }

    pub(crate) fn used_in(&self, period: Period) -> i64 {
        self.given().filter(|given| given.period_start == period.start).map(|given| given.amount).sum()
    }

    pub(crate) fn lifetime(&self) -> i64 {
        self.given().map(|given| given.amount).sum()
    }

    fn completions(&self) -> impl Iterator<Item = (Day, i64)> {
        self.given()
            .filter(|given| matches!(given.given_for, GivenFor::Workout(_)))
            .map(|given| (given.date, given.amount))
    }

    pub(crate) fn completions_on(&self, date: Day) -> i64 {
        self.completions().filter(|(day, _)| *day == date).map(|(_, amount)| amount).sum()
    }

    fn is_forgotten(&self, date: Day, period: Period) -> bool {
        let (start, end) = (Day::of(utc(period.start).date()), Day::of(utc(period.end).date()));
        let newest = self.completions().map(|(day, _)| day).max().unwrap_or(start);
        date < newest.min(end).max(start).plus(-REMEMBERED)
    }

    /// What a completion gives: pence, and why less than the whole.
    pub(crate) fn completion_gives(
        &self,
        date: Day,
        period: Period,
        (whole, daily, monthly): (i64, i64, i64),
    ) -> (i64, Option<CapReached>) {
        if self.is_forgotten(date, period) {
            return (0, Some(CapReached::TooOld));
        }
        let day_leaves = (daily - self.completions_on(date)).max(0);
        let period_leaves = (monthly - self.used_in(period)).max(0);
        if whole <= day_leaves && whole <= period_leaves {
            (whole, None)
        } else if day_leaves < period_leaves {
            (day_leaves, Some(CapReached::Daily))
        } else {
            (period_leaves, Some(CapReached::Monthly))
        }
    }

    pub(crate) fn bonus_gives(&self, whole: i64, period: Period, monthly: i64) -> (i64, Option<CapReached>) {
        let leaves = (monthly - self.used_in(period)).max(0);
        if whole <= leaves { (whole, None) } else { (leaves, Some(CapReached::Monthly)) }
    }
}
