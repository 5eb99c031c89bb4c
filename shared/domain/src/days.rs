//! Local days, and the hours of them in which nobody is disturbed.
//!
//! A local day begins at 03:00 unless its user chose otherwise ([`crate::local_days`]), so that what is done
//! at 01:00 still counts for the evening before. Here is the calendar of a zone; the days by which calls are
//! planned are its days, the same for everyone who lives there. Clocks
//! that jump make three promises worth stating. A local time that a jump removes means the first instant
//! after the jump; a local time that occurs twice means the first of the two. Days are cut by their
//! beginnings: an instant belongs to the last day that has begun, so it belongs to exactly one day whatever
//! the clocks do. And a date that a zone leaves out altogether (Samoa, 30 December 2011) has no day: its
//! beginning is the next date's, so nothing ever falls into it.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, DateTime, Time},
    tz::{AmbiguousOffset, TimeZone, db},
};

use crate::values::Zone;

/// The local time at which a day begins, where nobody chose another.
pub const DAY_START: Time = Time::constant(3, 0, 0, 0);
/// The local time from which nobody is disturbed.
pub const QUIET_FROM: Time = Time::constant(21, 30, 0, 0);
/// The local time until which nobody is disturbed.
pub const QUIET_UNTIL: Time = Time::constant(7, 0, 0, 0);

/// The date `days` later (or earlier), kept inside the calendar.
#[must_use]
pub fn plus_days(date: Date, days: i32) -> Date {
    date.saturating_add(days.days())
}

/// The instant of a wall-clock reading: the first one that shows it, or the first after the jump that removed it.
pub(crate) fn resolve(local: DateTime, zone: &TimeZone) -> Timestamp {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let limit = if local.year() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).unwrap_or(limit),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).unwrap_or(limit),
        AmbiguousOffset::Gap { after, .. } => {
            // Read with the offset of after the jump, the reading lies just before the jump.
            let before_the_jump = after.to_timestamp(local).unwrap_or(limit);
            zone.following(before_the_jump)
                .map(|transition| transition.timestamp())
                .find(|at| zone.to_datetime(*at) >= local)
                .unwrap_or(before_the_jump)
        }
    }
}

fn has_day_in(date: Date, zone: &TimeZone, start: Time) -> bool {
    zone.to_datetime(resolve(date.to_datetime(start), zone)).date() <= date
}

/// Whether the zone has this date at all: a jump over the date line can leave one out.
#[must_use]
pub fn has_day(date: Date, zone: &Zone) -> bool {
    has_day_in(date, &zone.time_zone(), DAY_START)
}

/// [`day_start`] for days that begin at `start`.
pub(crate) fn begins_at(date: Date, zone: &TimeZone, start: Time) -> Timestamp {
    let mut date = date;
    for _ in 0..3 {
        if has_day_in(date, zone, start) {
            break;
        }
        date = plus_days(date, 1);
    }
    resolve(date.to_datetime(start), zone)
}

/// The instant at which a local day begins; for a date that the zone left out, the next day's beginning.
#[must_use]
pub fn day_start(date: Date, zone: &Zone) -> Timestamp {
    begins_at(date, &zone.time_zone(), DAY_START)
}

/// The local day that an instant belongs to: before 03:00 it is still the day before.
#[must_use]
pub fn local_date(at: Timestamp, zone: &Zone) -> Date {
    date_of(at, &zone.time_zone(), DAY_START)
}

/// [`local_date`] for days that begin at `start`.
pub(crate) fn date_of(at: Timestamp, zone: &TimeZone, start: Time) -> Date {
    let shown = zone.to_datetime(at).date();
    (-1..=3)
        .map(|back| plus_days(shown, -back))
        .find(|date| has_day_in(*date, zone, start) && begins_at(*date, zone, start) <= at)
        .unwrap_or(shown)
}

/// The instant of a local time on the local day `date`; times before [`DAY_START`] lie on the next calendar date.
#[must_use]
pub fn instant(date: Date, time: Time, zone: &Zone) -> Timestamp {
    resolve(calendar_date(date, time).to_datetime(time), &zone.time_zone())
}

/// The calendar date on which a local time of a local day lies.
pub(crate) fn calendar_date(date: Date, time: Time) -> Date {
    if time < DAY_START { plus_days(date, 1) } else { date }
}

/// Every zone of the bundled database with a day that begins in `[from, until)`, with that day, sorted by name.
///
/// Consecutive spans yield every day of every zone exactly once, since a day has one beginning.
#[must_use]
pub fn zones_whose_day_begins(from: Timestamp, until: Timestamp) -> Vec<(Zone, Date)> {
    let mut found = Vec::new();
    for name in db().available() {
        let Ok(zone) = name.as_str().parse::<Zone>() else { continue };
        let time_zone = zone.time_zone();
        let last = plus_days(time_zone.to_datetime(until).date(), 1);
        let mut date = plus_days(time_zone.to_datetime(from).date(), -1);
        while date <= last {
            let begins_at = resolve(date.to_datetime(DAY_START), &time_zone);
            if (from..until).contains(&begins_at) && has_day_in(date, &time_zone, DAY_START) {
                found.push((zone.clone(), date));
            }
            if date == Date::MAX {
                break;
            }
            date = plus_days(date, 1);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Every zone of the bundled database whose clocks first show a time of the day in `[from, until)`, with the date on them.
#[must_use]
pub fn zones_that_show(time: Time, from: Timestamp, until: Timestamp) -> Vec<(Zone, Date)> {
    let zones = db().available().filter_map(|name| name.as_str().parse::<Zone>().ok());
    let mut found: Vec<(Zone, Date)> = zones
        .flat_map(|zone| {
            let time_zone = zone.time_zone();
            let today = time_zone.to_datetime(from).date();
            (-1..=1)
                .map(move |days| plus_days(today, days))
                .filter(move |date| (from..until).contains(&resolve(date.to_datetime(time), &time_zone)))
                .map(move |date| (zone.clone(), date))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The days of a zone that are planned at an instant: the one in progress, and the next once its planning began. A day is
/// planned from the full hour (UTC) on in which it begins, so where clocks are half an hour off, half an hour early.
#[must_use]
pub fn days_planned_at(at: Timestamp, zone: &Zone) -> Vec<Date> {
    let into_the_hour = SignedDuration::from_millis(at.as_millisecond().rem_euclid(3_600_000));
    let hour_ends = (at - into_the_hour).checked_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
    let last_of_hour = hour_ends - SignedDuration::from_nanos(1);
    let mut dates = vec![local_date(at, zone), local_date(last_of_hour, zone)];
    dates.dedup();
    dates
}

/// Whether an instant lies in the quiet hours, 21:30 to 07:00 local.
#[must_use]
pub fn is_quiet(at: Timestamp, zone: &Zone) -> bool {
    is_quiet_in(at, &zone.time_zone())
}

fn is_quiet_in(at: Timestamp, zone: &TimeZone) -> bool {
    let time = zone.to_datetime(at).time();
    time >= QUIET_FROM || time < QUIET_UNTIL
}

/// When the quiet hours around `at` end; `at` itself when they have not begun.
#[must_use]
pub fn quiet_ends_at(at: Timestamp, zone: &Zone) -> Timestamp {
    first_from(at, false, zone)
}

/// When the next quiet hours begin; `at` itself when they have begun.
#[must_use]
pub fn quiet_begins_at(at: Timestamp, zone: &Zone) -> Timestamp {
    first_from(at, true, zone)
}

/// The first instant from `at` on that is quiet, or is not. Quiet hours change where the clocks show one of their bounds (both
/// times, where they show it twice) and where the clocks jump over one.
fn first_from(at: Timestamp, quiet: bool, zone: &Zone) -> Timestamp {
    let zone = zone.time_zone();
    if is_quiet_in(at, &zone) == quiet {
        return at;
    }
    let today = zone.to_datetime(at).date();
    let bounds = (0..=2)
        .flat_map(|days| [QUIET_FROM, QUIET_UNTIL].map(|bound| plus_days(today, days).to_datetime(bound)))
        .flat_map(|reading| {
            let ambiguous = zone.to_ambiguous_timestamp(reading);
            [ambiguous.earlier().ok(), ambiguous.later().ok()]
        })
        .flatten();
    let jumps = zone.following(at).take(2).map(|transition| transition.timestamp());
    bounds
        .chain(jumps)
        .filter(|candidate| *candidate > at && is_quiet_in(*candidate, &zone) == quiet)
        .min()
        .unwrap_or(at + SignedDuration::from_hours(1))
}

/// The ISO week of a date, such as `2026-W47`; sorts as text.
#[must_use]
pub fn iso_week(date: Date) -> String {
    let week = date.iso_week_date();
    format!("{:04}-W{:02}", week.year(), week.week())
}

/// The month of a date, such as `2026-11`; sorts as text.
#[must_use]
pub fn month(date: Date) -> String {
    format!("{:04}-{:02}", date.year(), date.month())
}

/// The Monday of a date's ISO week.
#[must_use]
pub fn monday_of(date: Date) -> Date {
    plus_days(date, -i32::from(date.weekday().to_monday_zero_offset()))
}

/// Whole days from one date to another, negative when `until` is the earlier.
#[must_use]
pub fn days_between(from: Date, until: Date) -> i32 {
    i32::try_from(until.duration_since(from).as_hours() / 24).unwrap_or(i32::MAX)
}

/// A local time as a voice says it: `12:30pm`, `7am`.
#[must_use]
pub fn spoken_time(time: Time) -> String {
    let half = if time.hour() < 12 { "am" } else { "pm" };
    let hour = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    if time.minute() == 0 { format!("{hour}{half}") } else { format!("{hour}:{:02}{half}", time.minute()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn before_three_it_is_still_the_day_before() {
        let london = zone("Europe/London");
        assert_eq!(local_date(at("2026-11-21T02:59:59Z"), &london), date(2026, 11, 20));
        assert_eq!(local_date(at("2026-11-21T03:00:00Z"), &london), date(2026, 11, 21));
        assert_eq!(instant(date(2026, 11, 20), Time::constant(1, 0, 0, 0), &london), at("2026-11-21T01:00:00Z"));
    }

    #[test]
    fn a_removed_time_moves_to_the_first_that_exists_and_a_repeated_one_is_the_first() {
        let london = zone("Europe/London");
        let time = Time::constant(1, 30, 0, 0);
        assert_eq!(instant(date(2026, 3, 28), time, &london), at("2026-03-29T01:00:00Z"));
        assert_eq!(instant(date(2026, 10, 24), time, &london), at("2026-10-25T00:30:00Z"));
        // Helsinki's clocks jump from 03:00 to 04:00: the day begins at the jump.
        assert_eq!(day_start(date(2026, 3, 29), &zone("Europe/Helsinki")), at("2026-03-29T01:00:00Z"));
        assert_eq!(day_start(date(2026, 10, 25), &zone("Europe/Helsinki")), at("2026-10-25T00:00:00Z"));
    }

    #[test]
    fn the_date_that_samoa_left_out_has_no_day() {
        let apia = zone("Pacific/Apia");
        assert!(!has_day(date(2011, 12, 30), &apia));
        assert_eq!(day_start(date(2011, 12, 30), &apia), day_start(date(2011, 12, 31), &apia));
        assert_eq!(local_date(at("2011-12-30T10:30:00Z"), &apia), date(2011, 12, 29));
        assert_eq!(local_date(at("2011-12-30T13:00:00Z"), &apia), date(2011, 12, 31));
    }

    #[test]
    fn a_day_is_planned_from_the_full_hour_on_in_which_it_begins() {
        let (sunday, monday) = (date(2026, 11, 22), date(2026, 11, 23));
        // 03:00 in India is 21:30 in UTC; its hour begins at 21:00.
        let kolkata = zone("Asia/Kolkata");
        assert_eq!(days_planned_at(at("2026-11-22T20:59:59Z"), &kolkata), [sunday]);
        assert_eq!(days_planned_at(at("2026-11-22T21:00:00Z"), &kolkata), [sunday, monday]);
        assert_eq!(days_planned_at(at("2026-11-22T21:30:00Z"), &kolkata), [monday]);
        let london = zone("Europe/London");
        assert_eq!(days_planned_at(at("2026-11-23T02:59:59Z"), &london), [sunday]);
        assert_eq!(days_planned_at(at("2026-11-23T03:00:00Z"), &london), [monday]);
        for hour in 0..24 {
            let from = at("2026-11-23T00:00:00Z") + SignedDuration::from_hours(hour);
            for (zone, date) in zones_whose_day_begins(from, from + SignedDuration::from_hours(1)) {
                assert!(days_planned_at(from, &zone).contains(&date), "{zone:?}");
                assert!(!days_planned_at(from - SignedDuration::from_secs(1), &zone).contains(&date), "{zone:?}");
            }
        }
    }

    #[test]
    fn quiet_hours_are_local_and_end_at_seven() {
        let new_york = zone("America/New_York");
        assert!(!is_quiet(at("2026-11-21T02:29:59Z"), &new_york));
        assert!(is_quiet(at("2026-11-21T02:30:00Z"), &new_york));
        assert_eq!(quiet_ends_at(at("2026-11-21T02:30:00Z"), &new_york), at("2026-11-21T12:00:00Z"));
        assert_eq!(quiet_ends_at(at("2026-11-21T12:00:00Z"), &new_york), at("2026-11-21T12:00:00Z"));
        assert_eq!(quiet_begins_at(at("2026-11-21T12:00:00Z"), &new_york), at("2026-11-22T02:30:00Z"));
    }

    #[test]
    fn weeks_months_and_times_have_names() {
        assert_eq!(iso_week(date(2026, 11, 21)), "2026-W47");
        assert_eq!(iso_week(date(2027, 1, 1)), "2026-W53");
        assert_eq!(month(date(2026, 11, 21)), "2026-11");
        assert_eq!(monday_of(date(2026, 11, 22)), date(2026, 11, 16));
        assert_eq!(spoken_time(Time::constant(12, 30, 0, 0)), "12:30pm");
        assert_eq!(spoken_time(Time::constant(0, 5, 0, 0)), "12:05am");
        assert_eq!(spoken_time(Time::constant(7, 0, 0, 0)), "7am");
        assert_eq!(days_between(date(2026, 11, 21), date(2026, 12, 1)), 10);
    }

    #[test]
    fn every_zone_shows_a_full_hour_at_the_beginning_of_a_quarter_and_once() {
        let six = Time::constant(18, 0, 0, 0);
        let mut seen = std::collections::BTreeMap::new();
        for quarter in 0..96 {
            let from = at("2026-11-29T00:00:00Z") + SignedDuration::from_mins(15 * quarter);
            for (zone, _) in zones_that_show(six, from, from + SignedDuration::from_mins(15)) {
                assert_eq!(zone.time_zone().to_datetime(from).time(), six, "{zone:?}");
                *seen.entry(zone).or_insert(0) += 1;
            }
        }
        assert!(seen.len() > 400 && seen.values().all(|times| *times == 1));
    }

    #[test]
    fn every_zone_a_user_can_name_begins_its_day_once_in_24_hours() {
        let mut seen = std::collections::BTreeMap::new();
        let start = at("2026-06-15T00:00:00Z");
        for hour in 0..24 {
            let from = start + SignedDuration::from_hours(hour);
            for (zone, _) in zones_whose_day_begins(from, from + SignedDuration::from_hours(1)) {
                *seen.entry(zone).or_insert(0) += 1;
            }
        }
        assert!(seen.len() > 400);
        assert!(seen.values().all(|times| *times == 1));
        assert!(seen.contains_key(&zone("Europe/London")) && seen.contains_key(&zone("UTC")));
    }
}
