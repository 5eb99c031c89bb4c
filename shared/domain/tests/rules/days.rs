//! Days over many zones: every instant has one, each begins once.

use crate::common::{at, zone};
use ivy_domain::{Zone, days};
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
