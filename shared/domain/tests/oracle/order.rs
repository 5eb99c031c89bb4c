//! In which order reports come: what it changes, and what not (decision 0015).
//!
//! The current and the previous run never depend on it, and neither do bonuses until one is paid. Bonuses are paid
//! when they are reached, and what was given stays given, so: whatever the order, every run that stands in the end
//! and is long enough has had its bonus; nothing is paid twice while the kept days are fewer than twice the
//! milestone, for then no two runs of that length can be joined. If two paid runs are joined, both bonuses stay.

use std::{collections::BTreeMap, fmt::Debug};

use ivy_domain::{
    days::plus_days,
    streak::{Bonus, DayChange, Standing},
    workout::WorkoutStatus,
};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, TestCaseError, prop_assert, prop_assert_eq, prop_oneof, proptest},
};

use crate::{
    facts::GivenFor,
    happening::{Beginning, Story, status, story},
    life::Life,
};
use WorkoutStatus::{Completed, Partial, RestDay, Skipped};

/// A report without a plan: how many days late, and what it says.
type Report = (i32, WorkoutStatus);

/// The state after the reports, in this order, and the next completion a day later, when bonuses are asked for again.
fn after(life: &Life, reports: &[Report]) -> Result<Life, TestCaseError> {
    let mut life = life.clone();
    for (days_late, status) in reports {
        life.report_new(*days_late, *status)?;
        life.check()?;
    }
    life.pass(1);
    life.report_new(0, Completed)?;
    life.check()?;
    Ok(life)
}

fn standing(life: &Life) -> Standing {
    life.streak.standing(life.today.date())
}

/// How often each milestone was paid since the life began.
fn times_paid(life: &Life) -> BTreeMap<u32, usize> {
    life.facts.paid_for().fold(BTreeMap::new(), |mut times, paid| {
        *times.entry(paid.kept_days).or_default() += 1;
        times
    })
}

/// Every run that is long enough has been paid.
fn assert_all_runs_paid(life: &Life) -> Result<(), TestCaseError> {
    prop_assert_eq!(life.facts.bonuses_due(life.today), vec![]);
    Ok(())
}

fn assert_same_end(one: &Life, other: &Life) -> Result<(), TestCaseError> {
    prop_assert_eq!(standing(one), standing(other));
    assert_all_runs_paid(one)?;
    assert_all_runs_paid(other)
}

fn kept_days(life: &Life) -> usize {
    life.facts.runs(life.today).iter().map(|run| run.kept.len()).sum()
}

fn shuffled<T: Clone + Debug>(
    report: impl Strategy<Value = T>,
    most: usize,
) -> impl Strategy<Value = (Vec<T>, Vec<T>)> {
    vec(report, 2..most).prop_flat_map(|reports| (Just(reports.clone()), Just(reports).prop_shuffle()))
}

fn beginning() -> Beginning {
    let zone = "Europe/London".parse().unwrap();
    // Sunday, 1 March 2026.
    Beginning { day: 59, hour: 9, zone, tier: ivy_domain::Tier::B2cElite, preferred: [false; 7] }
}

proptest! {
    #![proptest_config(crate::cases(100))]

    /// Whatever a life was before: reports of one day in two orders. (The longest run is the longest that stood on
    /// the way, and a late rest day can shorten a run: so it is compared for completions only, below.)
    #[test]
    fn the_order_of_a_days_reports_does_not_change_the_streak(
        story in story(),
        (reports, other) in shuffled((0..16_i32, status()), 9),
    ) {
        let life = Life::live(&story)?;
        let (one, other) = (after(&life, &reports)?, after(&life, &other)?);
        let but_longest = |life: &Life| Standing { longest: 0, ..standing(life) };
        prop_assert_eq!(but_longest(&one), but_longest(&other));
        assert_all_runs_paid(&one)?;
        assert_all_runs_paid(&other)?;
    }

    /// Completions only, and not enough of them to join two paid runs: the same bonuses in every order.
    #[test]
    fn the_order_of_completions_does_not_change_the_bonuses(
        (reports, other) in shuffled((0..16_i32, prop_oneof![Just(Completed), Just(Partial)]), 20),
    ) {
        let life = Life::live(&Story { beginning: beginning(), happenings: vec![] })?;
        let (one, other) = (after(&life, &reports)?, after(&life, &other)?);
        assert_same_end(&one, &other)?;
        if kept_days(&one) < 14 {
            prop_assert_eq!(times_paid(&one), times_paid(&other));
        }
        prop_assert!(times_paid(&one).values().all(|paid| *paid <= 2));
    }

    /// Asked for bonuses only when all is told, the code owes the same in every order.
    #[test]
    fn until_a_bonus_is_paid_the_order_of_all_changes_makes_no_difference_to_it(
        story in story(),
        (changes, other) in shuffled((0..40_i32, change()), 60),
    ) {
        let life = Life::live(&story)?;
        prop_assert_eq!(owed_after(&life, &changes), owed_after(&life, &other));
    }
}

fn change() -> impl Strategy<Value = DayChange> {
    prop_oneof![
        8 => Just(DayChange::Kept),
        2 => Just(DayChange::Rested),
        1 => Just(DayChange::Planned),
        1 => Just(DayChange::NoLongerKept),
        1 => Just(DayChange::NoLongerRested),
        1 => Just(DayChange::Unplanned),
    ]
}

/// The bonuses and the standing after some days' changes, so many days ago, without the longest run.
fn owed_after(life: &Life, changes: &[(i32, DayChange)]) -> (Vec<Bonus>, Standing) {
    let (mut streak, today) = (life.streak.clone(), life.today.date());
    for (days_ago, change) in changes {
        streak.record(plus_days(today, -days_ago), *change, today);
    }
    (streak.take_bonuses(today), Standing { longest: 0, ..streak.standing(today) })
}

/// All orders of a list.
fn permutations(reports: &[Report]) -> Vec<Vec<Report>> {
    if reports.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for first in 0..reports.len() {
        let mut rest = reports.to_vec();
        let first = rest.remove(first);
        all.extend(permutations(&rest).into_iter().map(|rest| [vec![first], rest].concat()));
    }
    all
}

/// In every order of `reports`, on the day after `kept` days (so many days ago), the end is the same.
fn assert_order_does_not_matter(kept: &[i32], reports: &[Report]) -> BTreeMap<u32, usize> {
    let mut life = Life::begin(&beginning());
    life.pass(40);
    for days_late in kept {
        life.report_new(*days_late, Completed).unwrap();
    }
    let in_order = after(&life, reports).unwrap();
    for order in permutations(reports) {
        let other = after(&life, &order).unwrap();
        assert_same_end(&in_order, &other).unwrap_or_else(|difference| panic!("{order:?}: {difference}"));
        assert_eq!(times_paid(&in_order), times_paid(&other), "{order:?}");
    }
    times_paid(&in_order)
}

#[test]
fn all_orders_of_six_completions_earn_the_same() {
    let paid = assert_order_does_not_matter(
        &[9, 7, 5, 2],
        &[(10, Completed), (8, Partial), (6, Completed), (4, Completed), (3, Partial), (1, Completed)],
    );
    assert_eq!(paid, BTreeMap::from([(7, 1)]));
}

#[test]
fn all_orders_of_six_reports_with_doubles_and_skips_earn_the_same() {
    let paid = assert_order_does_not_matter(
        &[7, 6, 4, 3, 1],
        &[(5, Completed), (5, Completed), (2, Partial), (2, Skipped), (8, Skipped), (0, Completed)],
    );
    assert_eq!(paid, BTreeMap::from([(7, 1)]));
}

#[test]
fn all_orders_of_rest_days_and_completions_earn_the_same() {
    // 10 April 2026 is a Friday: the rest days are of Wednesday and Thursday, and of Saturday and Sunday before.
    let paid = assert_order_does_not_matter(
        &[8, 7, 4, 3],
        &[(1, RestDay), (2, RestDay), (5, RestDay), (6, RestDay), (0, Completed), (9, Completed)],
    );
    assert_eq!(paid, BTreeMap::from([(7, 1)]));
}

#[test]
fn all_orders_of_more_rest_days_than_a_week_allows_end_the_same() {
    let paid = assert_order_does_not_matter(
        &[10, 9],
        &[(4, RestDay), (3, RestDay), (2, RestDay), (1, RestDay), (0, Completed), (5, Completed)],
    );
    assert_eq!(paid, BTreeMap::new());
}

/// Fifteen days in a row, the eighth told in its turn or last.
fn fifteen_days(eighth_is_last: bool) -> Life {
    let mut life = Life::begin(&beginning());
    life.pass(14);
    let eighth = 7;
    let days_late = (0..15).rev().filter(|days_late| !eighth_is_last || *days_late != eighth);
    for days_late in days_late.chain(eighth_is_last.then_some(eighth)) {
        life.report_new(days_late, Completed).unwrap();
        life.check().unwrap();
    }
    life
}

/// Decision 0015: what was given stays given, and no day is paid for twice.
#[test]
fn two_paid_runs_that_are_joined_keep_both_bonuses_and_earn_no_third() {
    let in_order = fifteen_days(false);
    assert_eq!((standing(&in_order).current, times_paid(&in_order)), (15, BTreeMap::from([(7, 1)])));

    let mut joined = fifteen_days(true);
    assert_eq!((standing(&joined).current, times_paid(&joined)), (15, BTreeMap::from([(7, 2)])));
    // Undone, redone, and done for four months more: one bonus of 30 and one of 90 follow, and no third of 7.
    for status in [Skipped, Completed] {
        joined.correct(0, status).unwrap();
        joined.check().unwrap();
    }
    let next = joined.streak.next_milestone(joined.today.date()).unwrap();
    assert_eq!((next.kept_days, next.days_to_go), (30, 15));
    for _ in 0..120 {
        joined.pass(1);
        joined.report_new(0, Completed).unwrap();
    }
    joined.check().unwrap();
    assert_eq!(times_paid(&joined), BTreeMap::from([(7, 2), (30, 1), (90, 1)]));
    let given: Vec<GivenFor> = joined.facts.given().map(|given| given.given_for).collect();
    assert_eq!(given.iter().filter(|given| **given == GivenFor::Bonus(7)).count(), 2);
    assert_eq!(joined.streak.next_milestone(joined.today.date()), None);
}
