//! Days over many zones: every instant has one, each begins once.

use crate::common::{at, zone};
use ivy_domain::{
    Zone, days,
    local_days::{DayStart, HeldDay, LocalDays},
    streak::{DayState, Streak},
    user::WeekdaySet,
};
use jiff::{SignedDuration, Timestamp, civil::date};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

const ZONES: [&str; 14] = [
    "Europe/London",
    "Europe/Helsinki",
    "America/New_York",
    "America/St_Johns",
    "America/Nuuk",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "America/Santiago",
];

fn zones() -> impl Strategy<Value = Zone> {
    any::<proptest::sample::Index>().prop_map(|index| zone(ZONES[index.index(ZONES.len())]))
}

/// 2005 to 2035: all the rules in force, and Samoa's jump.
fn instants() -> impl Strategy<Value = Timestamp> {
    (1_104_537_600_i64..2_051_222_400).prop_map(|seconds| Timestamp::from_second(seconds).unwrap())
}

proptest! {
    #[test]
    fn every_instant_has_exactly_one_local_date(instant in instants(), zone in zones()) {
        let local = days::local_date(instant, &zone);
        let holding: Vec<_> = (-3..=3)
            .map(|offset| days::plus_days(local, offset))
            .filter(|day| {
                let next = days::plus_days(*day, 1);
                days::has_day(*day, &zone) && days::day_start(*day, &zone) <= instant && instant < days::day_start(next, &zone)
            })
            .collect();
        prop_assert_eq!(holding, vec![local]);
    }

    #[test]
    fn a_day_begins_with_its_own_date(instant in instants(), zone in zones()) {
        let date = days::local_date(instant, &zone);
        let start = days::day_start(date, &zone);
        prop_assert_eq!(days::local_date(start, &zone), date);
        prop_assert!(days::local_date(start - SignedDuration::from_secs(1), &zone) < date);
    }

    #[test]
    fn quiet_hours_end_where_they_are_over(instant in instants(), zone in zones()) {
        let ends_at = days::quiet_ends_at(instant, &zone);
        prop_assert!(ends_at >= instant && !days::is_quiet(ends_at, &zone));
        prop_assert_eq!(ends_at == instant, !days::is_quiet(instant, &zone));
    }
}

/// Hour by hour over four days, each zone's days come out once each.
fn assert_each_day_once(from: &str) {
    let start = at(from);
    let mut seen = std::collections::BTreeMap::<_, Vec<_>>::new();
    for hour in 0..96 {
        let from = start + SignedDuration::from_hours(hour);
        for (zone, date) in days::zones_whose_day_begins(from, from + SignedDuration::from_hours(1)) {
            seen.entry(zone).or_default().push(date);
        }
    }
    for (zone, dates) in seen {
        let first = dates[0];
        let expected: Vec<_> = (0..6)
            .map(|day| days::plus_days(first, day))
            .filter(|day| days::has_day(*day, &zone))
            .take(dates.len())
            .collect();
        assert_eq!(dates, expected, "{}", zone.as_str());
        assert!((3..=5).contains(&dates.len()), "{}", zone.as_str());
    }
}

#[test]
fn planning_hour_by_hour_meets_each_day_of_each_zone_once() {
    assert_each_day_once("2026-03-27T00:00:00Z");
    assert_each_day_once("2026-10-24T00:00:00Z");
    assert_each_day_once("2011-12-28T00:00:00Z");
}

#[test]
fn the_date_that_samoa_left_out_is_planned_for_nobody() {
    let apia = zone("Pacific/Apia");
    let days: Vec<_> = days::zones_whose_day_begins(at("2011-12-28T00:00:00Z"), at("2012-01-01T00:00:00Z"))
        .into_iter()
        .filter(|(zone, _)| *zone == apia)
        .map(|(_, date)| date)
        .collect();
    assert_eq!(days, [date(2011, 12, 28), date(2011, 12, 29), date(2011, 12, 31), date(2012, 1, 1)]);
}

/// Zones whose days begin on the half hour of UTC, and that change no clocks in the weeks looked at.
const STEADY: [&str; 8] = [
    "Pacific/Pago_Pago",
    "America/New_York",
    "America/St_Johns",
    "Europe/London",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "Pacific/Kiritimati",
];

/// Half hours that each date had, by looking at the clock every half hour; and the streak that heard of the moves.
fn travel(moves: &[(i64, usize)]) -> (std::collections::BTreeMap<jiff::civil::Date, i64>, Streak, jiff::civil::Date) {
    let mut moves = moves.to_vec();
    moves.sort_unstable();
    let start = at("2026-12-01T00:00:00Z");
    let (mut home, mut held): (Zone, Option<HeldDay>) = (zone("Europe/London"), None);
    let mut streak = Streak::new(date(2026, 12, 1), WeekdaySet::default());
    let mut lived = std::collections::BTreeMap::new();
    let days_of = |home: &Zone, held| LocalDays::new(home, DayStart::default(), held);
    for half_hour in 0..48 * 20 {
        let now = start + SignedDuration::from_mins(30 * half_hour);
        for (_, to) in moves.iter().filter(|(at, _)| *at == half_hour) {
            let to = zone(STEADY[*to]);
            let here = days_of(&home, held);
            let moved = here.moved(&to, DayStart::default(), now);
            streak.moved(here.date_of(now), moved.excused);
            (home, held) = (to, moved.held);
        }
        *lived.entry(days_of(&home, held).date_of(now)).or_insert(0) += 1;
    }
    let today = *lived.keys().next_back().unwrap();
    (lived, streak, today)
}

proptest! {
    /// Wherever somebody moves, and however often: exactly the days with less than twelve hours are excused.
    #[test]
    fn only_days_that_were_too_short_are_excused(
        moves in proptest::collection::vec((1..48 * 12_i64, 0..STEADY.len()), 0..20),
    ) {
        let (lived, streak, today) = travel(&moves);
        let first = *lived.keys().next().unwrap();
        for (day, state) in streak.calendar(today, 17).into_iter().filter(|(day, _)| *day > first && *day < today) {
            let half_hours = lived.get(&day).copied().unwrap_or(0);
            prop_assert_eq!(state == DayState::Frozen, half_hours < 24, "{} had {} half hours", day, half_hours);
        }
    }
}

/// Each night to Tokyo and back within the hour, or back on the next morning: every day was excused, for ever.
#[test]
fn moving_each_night_excuses_no_day_that_lasts() {
    let tokyo = STEADY.iter().position(|name| *name == "Asia/Tokyo").unwrap();
    let new_york = STEADY.iter().position(|name| *name == "America/New_York").unwrap();
    for back_after in [2, 20] {
        let nights = (1..12).flat_map(|day| [(48 * day + 2, tokyo), (48 * day + 2 + back_after, new_york)]);
        let (_, streak, today) = travel(&[vec![(0, new_york)], nights.collect()].concat());
        let missed = streak.calendar(today, 17).iter().filter(|(_, state)| *state == DayState::Missed).count();
        assert!(missed >= 15, "back after {back_after} half hours: {missed} of 16 days were missed");
    }
}
