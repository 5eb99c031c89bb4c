//! The streak against a recomputation written differently: backwards from today, over plain sets.

use std::collections::BTreeSet;

use ivy_domain::streak::{Bonus, DayChange, Recorded, Streak};
use ivy_domain::user::WeekdaySet;
use jiff::{
    ToSpan,
    civil::{Date, Weekday, date},
};
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

const TODAY: Date = date(2026, 11, 21);
const SPAN: i32 = 100;

fn ago(days: i32) -> Date {
    TODAY - days.days()
}

fn weekdays() -> impl Strategy<Value = WeekdaySet> {
    proptest::collection::vec(0_i8..7, 0..5)
        .prop_map(|days| days.into_iter().map(|day| Weekday::from_monday_zero_offset(day).unwrap()).collect())
}

fn reports() -> impl Strategy<Value = Vec<(i32, DayChange)>> {
    let change = prop_oneof![
        6 => Just(DayChange::Kept),
        2 => Just(DayChange::Rested),
        1 => Just(DayChange::Planned),
    ];
    proptest::collection::vec((0..SPAN, change), 0..160)
}

fn streak_of(reports: &[(i32, DayChange)], preferred: WeekdaySet, frozen: Option<(i32, i32)>) -> Streak {
    let mut streak = Streak::new(ago(SPAN), preferred);
    if let Some((from, length)) = frozen {
        streak.freeze(ago(from));
        streak.unfreeze(ago(from) + length.days());
    }
    for (days, change) in reports {
        assert_eq!(streak.record(ago(*days), *change, TODAY), Recorded::Counted);
    }
    streak
}

/// Current and previous run, walking back from today.
fn oracle(reports: &[(i32, DayChange)], preferred: WeekdaySet, frozen: Option<(i32, i32)>) -> (u32, u32) {
    let days_with = |wanted: DayChange| -> BTreeSet<i32> {
        reports.iter().filter(|(_, change)| *change == wanted).map(|(days, _)| *days).collect()
    };
    let (kept, rested, planned) =
        (days_with(DayChange::Kept), days_with(DayChange::Rested), days_with(DayChange::Planned));
    let is_frozen = |days: i32| frozen.is_some_and(|(from, length)| days <= from && days > from - length);
    let due = |days: i32| {
        !kept.contains(&days) && !is_frozen(days) && (planned.contains(&days) || preferred.prefers(ago(days).weekday()))
    };
    let missed = |days: i32| {
        if days == 0 || !due(days) {
            return false;
        }
        let into_week = i32::from(ago(days).weekday().to_monday_zero_offset());
        let earlier = (1..=into_week).filter(|back| {
            let day = days + back;
            day <= SPAN && rested.contains(&day) && due(day)
        });
        !rested.contains(&days) || earlier.count() >= 2
    };
    let mut runs = vec![0];
    for days in 0..=SPAN {
        if kept.contains(&days) {
            *runs.last_mut().unwrap() += 1;
        } else if missed(days) {
            runs.push(0);
        }
    }
    let current = runs.remove(0);
    (current, runs.into_iter().find(|run| *run > 0).unwrap_or(0))
}

fn frozen() -> impl Strategy<Value = Option<(i32, i32)>> {
    proptest::option::of((1..SPAN, 1..30_i32))
}

proptest! {
    #[test]
    fn the_standing_is_what_walking_back_finds(reports in reports(), preferred in weekdays(), frozen in frozen()) {
        let standing = streak_of(&reports, preferred, frozen).standing(TODAY);
        prop_assert_eq!((standing.current, standing.previous), oracle(&reports, preferred, frozen));
        prop_assert!(standing.longest >= standing.current.max(standing.previous));
    }

    #[test]
    fn the_order_of_reports_does_not_matter(
        (reports, shuffled) in reports().prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle())),
        preferred in weekdays(),
    ) {
        let mut one = streak_of(&reports, preferred, None);
        let mut other = streak_of(&shuffled, preferred, None);
        prop_assert_eq!(one.standing(TODAY), other.standing(TODAY));
        prop_assert_eq!(one.take_bonuses(TODAY), other.take_bonuses(TODAY));
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_kept_day_never_shortens_the_run(reports in reports(), preferred in weekdays(), day in 0..SPAN) {
        let mut streak = streak_of(&reports, preferred, None);
        let before = streak.standing(TODAY).current;
        streak.record(ago(day), DayChange::Kept, TODAY);
        prop_assert!(streak.standing(TODAY).current >= before);
    }
}

// Fewer cases: each reads the whole calendar at every step.
proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn the_longest_never_falls_and_an_undo_restores_the_run(reports in reports(), preferred in weekdays(), day in 0..SPAN) {
        let mut streak = streak_of(&[], preferred, None);
        let mut longest = 0;
        let mut undo = |streak: &mut Streak, change| {
            streak.record(ago(day), change, TODAY);
            let now = streak.standing(TODAY).longest;
            assert!(now >= longest);
            longest = now;
        };
        for (days, change) in &reports {
            streak.record(ago(*days), *change, TODAY);
            streak.take_bonuses(TODAY);
            let before = streak.standing(TODAY).current;
            undo(&mut streak, DayChange::Kept);
            undo(&mut streak, DayChange::NoLongerKept);
            prop_assert_eq!(streak.standing(TODAY).current, before);
        }
    }

    #[test]
    fn in_order_a_run_has_each_bonus_once(gaps in proptest::collection::vec(any::<bool>(), 150..300), rare in 2_usize..60) {
        let start = ago(400);
        let mut streak = Streak::new(start, WeekdaySet::default());
        let (mut run, mut expected, mut taken) = (0, 0, Vec::<Bonus>::new());
        for (day, gap) in gaps.iter().enumerate() {
            let today = start + i32::try_from(day).unwrap().days();
            if *gap && day % rare == 0 {
                run = 0;
            } else {
                run += 1;
                expected += usize::from([7, 30, 90].contains(&run));
                streak.record(today, DayChange::Kept, today);
            }
            taken.extend(streak.take_bonuses(today));
            prop_assert_eq!(taken.len(), expected);
        }
    }
}
