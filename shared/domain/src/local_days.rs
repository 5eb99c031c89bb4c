//! A user's own days: when theirs begin, where they live, and what a move does to the day it falls into.
//!
//! A workout, the streak and the daily cap go by these days. Without moves they are the days of the user's
//! zone, cut at the user's day start. A move (another zone, another day start) never ends a day early and
//! never lives a date twice: the day in progress is *held* until it is over by the old rule and by the new
//! one, and the days after it are the new rule's. So
//! - flying west makes the day longer: the date does not go back, and what is done in the hours that are
//!   lived again counts for the same day;
//! - flying east shortens the first day there, or leaves it out. A day that is left less than
//!   [`SHORTEST_DAY`] ends no run: the streak takes it as frozen ([`Move::excused`]).
//!
//! Only the last move is remembered. A report about a moment before it is dated by the new zone, on a day
//! before the held one.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use crate::{
    days::{DAY_START, begins_at, date_of, plus_days},
    user::{User, hours_and_minutes},
    values::{Invalid, Zone},
};

/// A commitment day that a move leaves shorter than this does not end a run.
pub const SHORTEST_DAY: SignedDuration = SignedDuration::from_hours(12);

/// The local time at which a user's day begins: `00:00` to `06:00`, written `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DayStart(Time);

impl DayStart {
    const LATEST: Time = Time::constant(6, 0, 0, 0);

    #[must_use]
    pub const fn time(self) -> Time {
        self.0
    }
}

impl Default for DayStart {
    fn default() -> Self {
        Self(DAY_START)
    }
}

impl TryFrom<String> for DayStart {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        match hours_and_minutes(&text) {
            Ok(time) if time <= Self::LATEST => Ok(Self(time)),
            _ => Err(Invalid::new("must be a local time from 00:00 to 06:00, as HH:MM")),
        }
    }
}

impl From<DayStart> for String {
    fn from(start: DayStart) -> Self {
        format!("{:02}:{:02}", start.0.hour(), start.0.minute())
    }
}

/// The day that a move fell into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldDay {
    pub date: Date,
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

/// The days of one user.
#[derive(Debug, Clone)]
pub struct LocalDays {
    zone: TimeZone,
    start: Time,
    held: Option<HeldDay>,
}

/// What a move changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// To be remembered with the user; `None` when the day in progress is the same by both rules.
    pub held: Option<HeldDay>,
    /// Days that have too little time to be missed, from the first until, exclusively, the second date: of the day in progress
    /// and those after it. What an earlier move excused among them and is not named here has its time again.
    pub excused: Option<(Date, Date)>,
}

impl LocalDays {
    #[must_use]
    pub fn of(user: &User) -> Self {
        Self::new(&user.timezone, user.day_start, user.held_day)
    }

    #[must_use]
    pub fn new(zone: &Zone, start: DayStart, held: Option<HeldDay>) -> Self {
        Self { zone: zone.time_zone(), start: start.0, held }
    }

    /// The day that an instant belongs to.
    #[must_use]
    pub fn date_of(&self, at: Timestamp) -> Date {
        let date = date_of(at, &self.zone, self.start);
        match self.held {
            Some(held) if at >= held.until => date.max(plus_days(held.date, 1)),
            Some(held) if at >= held.from => held.date,
            Some(held) => date.min(plus_days(held.date, -1)),
            None => date,
        }
    }

    /// The first instant of a day; of one that a move or the zone left out, the next day's.
    #[must_use]
    pub fn begins_at(&self, date: Date) -> Timestamp {
        let begins_at = begins_at(date, &self.zone, self.start);
        match self.held {
            Some(held) if date > held.date => begins_at.max(held.until),
            Some(held) if date == held.date => held.from,
            Some(held) => begins_at.min(held.from),
            None => begins_at,
        }
    }

    /// What a move to another zone or day start at `now` does to the day it falls into and to those after it.
    #[must_use]
    pub fn moved(&self, zone: &Zone, start: DayStart, now: Timestamp) -> Move {
        let (zone, start) = (zone.time_zone(), start.0);
        let date = self.date_of(now);
        let next = plus_days(date, 1);
        let from = self.begins_at(date);
        let until = self.begins_at(next).max(begins_at(next, &zone, start));
        let same = from == begins_at(date, &zone, start) && until == begins_at(next, &zone, start);
        let first_whole = (1..=3)
            .map(|days| plus_days(date, days))
            .find(|date| {
                let begins = begins_at(*date, &zone, start).max(until);
                begins_at(plus_days(*date, 1), &zone, start).duration_since(begins) >= SHORTEST_DAY
            })
            .unwrap_or(next);
        let first_short = if until.duration_since(from) < SHORTEST_DAY { date } else { next };
        Move {
            held: (!same).then_some(HeldDay { date, from, until }),
            excused: (first_whole > first_short).then_some((first_short, first_whole)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn days(zone: &str, held: Option<HeldDay>) -> LocalDays {
        LocalDays::new(&zone.parse().unwrap(), DayStart::default(), held)
    }

    /// The days of somebody who flies from one zone to another, and what the move excuses.
    fn fly(from: &str, to: &str, now: &str) -> (LocalDays, Option<(Date, Date)>) {
        let moved = days(from, None).moved(&to.parse().unwrap(), DayStart::default(), at(now));
        (days(to, moved.held), moved.excused)
    }

    #[test]
    fn a_day_begins_when_its_user_says() {
        let early = |text: &str| DayStart::try_from(text.to_owned());
        for wrong in ["06:01", "23:00", "3:00", "", "03:60"] {
            assert!(early(wrong).is_err(), "{wrong}");
        }
        let six = LocalDays::new(&Zone::default(), early("06:00").unwrap(), None);
        assert_eq!(six.date_of(at("2026-11-21T05:59:59Z")), date(2026, 11, 20));
        assert_eq!(six.date_of(at("2026-11-21T06:00:00Z")), date(2026, 11, 21));
        assert_eq!(days("Europe/London", None).date_of(at("2026-11-21T05:59:59Z")), date(2026, 11, 21));
    }

    #[test]
    fn flying_west_makes_the_day_longer_and_no_date_is_lived_twice() {
        // Noon on Tuesday in Tokyo is 19:00 on Monday in Los Angeles: it stays Tuesday until Tuesday is over there.
        let (after, excused) = fly("Asia/Tokyo", "America/Los_Angeles", "2026-11-24T03:00:00Z");
        assert_eq!(excused, None);
        assert_eq!(after.date_of(at("2026-11-23T18:00:00Z")), date(2026, 11, 24), "since 03:00 in Tokyo");
        assert_eq!(after.date_of(at("2026-11-24T04:00:00Z")), date(2026, 11, 24));
        assert_eq!(after.date_of(at("2026-11-25T10:59:59Z")), date(2026, 11, 24));
        assert_eq!(after.date_of(at("2026-11-25T11:00:00Z")), date(2026, 11, 25));
        assert_eq!(after.date_of(at("2026-11-23T17:59:59Z")), date(2026, 11, 23));
        assert_eq!(after.begins_at(date(2026, 11, 24)), at("2026-11-23T18:00:00Z"));
    }

    #[test]
    fn flying_east_does_not_end_the_day_early() {
        // 20:00 on Monday in New York is 10:00 on Tuesday in Tokyo: Monday lasts until 03:00 in New York.
        let (after, excused) = fly("America/New_York", "Asia/Tokyo", "2026-11-24T01:00:00Z");
        assert_eq!(after.date_of(at("2026-11-24T07:59:59Z")), date(2026, 11, 23));
        assert_eq!(after.date_of(at("2026-11-24T08:00:00Z")), date(2026, 11, 24));
        assert_eq!(after.date_of(at("2026-11-24T18:00:00Z")), date(2026, 11, 25));
        // Ten hours are left of Tuesday: too few to be missed.
        assert_eq!(excused, Some((date(2026, 11, 24), date(2026, 11, 25))));
        let (_, excused) = fly("America/New_York", "Europe/London", "2026-11-24T01:00:00Z");
        assert_eq!(excused, None);
    }

    #[test]
    fn a_date_that_a_flight_leaves_out_has_no_time_and_is_excused() {
        let (after, excused) = fly("Pacific/Pago_Pago", "Pacific/Kiritimati", "2026-11-24T12:00:00Z");
        assert_eq!(after.date_of(at("2026-11-24T13:59:59Z")), date(2026, 11, 23));
        assert_eq!(after.date_of(at("2026-11-24T14:00:00Z")), date(2026, 11, 25));
        assert_eq!(after.begins_at(date(2026, 11, 24)), after.begins_at(date(2026, 11, 25)));
        assert_eq!(excused, Some((date(2026, 11, 24), date(2026, 11, 25))));
    }

    #[test]
    fn a_move_to_the_same_hours_holds_nothing() {
        let moved =
            days("Europe/London", None).moved(&"UTC".parse().unwrap(), DayStart::default(), at("2026-11-24T12:00:00Z"));
        assert_eq!(moved, Move { held: None, excused: None });
    }

    #[test]
    fn moving_there_and_back_does_not_end_the_day_early() {
        let (tokyo, _) = fly("America/New_York", "Asia/Tokyo", "2026-11-24T01:00:00Z");
        let back = tokyo.moved(&"America/New_York".parse().unwrap(), DayStart::default(), at("2026-11-24T02:00:00Z"));
        assert_eq!(back, Move { held: None, excused: None });
    }
}
