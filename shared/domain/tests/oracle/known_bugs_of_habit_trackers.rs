//! The mistakes that habit trackers are known for, each as a short story with the numbers that a person would expect.

use ivy_domain::{
    Pence, Tier, Zone,
    days::{local_date, plus_days},
    streak::{Bonus, DayChange, DayState, Streak},
    user::WeekdaySet,
    workout::WorkoutStatus::{Completed, RestDay, Skipped},
};
use jiff::{
    Timestamp,
    civil::{Date, Weekday, date},
};

use crate::{
    facts::{Fact, GivenFor},
    happening::{Beginning, Happening, Story},
    life::Life,
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn london() -> Zone {
    "Europe/London".parse().unwrap()
}

/// Monday, 2 March 2026, and the days after and before it.
fn day(days: i32) -> Date {
    plus_days(date(2026, 3, 2), days)
}

/// Somebody who means to do something every day, from a month before [`day`] 0.
fn every_day() -> Streak {
    Streak::new(day(-30), WeekdaySet::default())
}

fn report(streak: &mut Streak, days: impl IntoIterator<Item = i32>, change: DayChange, today: i32) {
    for reported in days {
        streak.record(day(reported), change, day(today));
    }
}

fn current(streak: &Streak, today: i32) -> u32 {
    streak.standing(day(today)).current
}

/// The amounts that a story gave, by what they were given for.
fn given(happenings: &[Happening]) -> (Vec<i64>, Vec<i64>) {
    let beginning = Beginning { day: 59, hour: 9, zone: london(), tier: Tier::B2cElite, preferred: [false; 7] };
    let life = Life::live(&Story { beginning, happenings: happenings.to_vec() }).unwrap();
    let amounts = |bonus: bool| {
        let given = life.facts.given().filter(|given| matches!(given.given_for, GivenFor::Bonus(_)) == bonus);
        given.map(|given| given.amount).collect()
    };
    assert!(life.facts.told.iter().any(|told| matches!(told.fact, Fact::Logged { .. })), "the story has a workout");
    (amounts(false), amounts(true))
}

#[test]
fn the_hour_that_occurs_twice_does_not_make_a_second_day() {
    // London, 25 October 2026: 01:30 in summer time, and 01:30 once more an hour later.
    let moments = ["2026-10-24T19:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:59:59Z"];
    let mut streak = Streak::new(date(2026, 10, 1), WeekdaySet::default());
    for moment in moments {
        let today = local_date(at(moment), &london());
        assert_eq!(today, date(2026, 10, 24), "{moment}");
        streak.record(today, DayChange::Kept, today);
    }
    assert_eq!(streak.standing(date(2026, 10, 24)).current, 1);
    let today = local_date(at("2026-10-25T03:00:00Z"), &london());
    streak.record(today, DayChange::Kept, today);
    assert_eq!((today, streak.standing(today).current), (date(2026, 10, 25), 2));
}

#[test]
fn the_day_that_loses_an_hour_is_still_a_day() {
    // London, 29 March 2026: from 01:00 to 02:00. The day before it ends at 03:00, an hour early.
    let mut streak = Streak::new(date(2026, 3, 1), WeekdaySet::default());
    for (moment, expected) in [
        ("2026-03-28T12:00:00Z", date(2026, 3, 28)),
        ("2026-03-29T01:59:59Z", date(2026, 3, 28)),
        ("2026-03-29T02:00:00Z", date(2026, 3, 29)),
        ("2026-03-30T01:59:59Z", date(2026, 3, 29)),
        ("2026-03-30T02:00:00Z", date(2026, 3, 30)),
    ] {
        let today = local_date(at(moment), &london());
        assert_eq!(today, expected, "{moment}");
        streak.record(today, DayChange::Kept, today);
    }
    assert_eq!(streak.standing(date(2026, 3, 30)).current, 3);
}

#[test]
fn done_at_one_in_the_morning_counts_for_the_evening_before() {
    let mut streak = Streak::new(date(2026, 11, 1), WeekdaySet::default());
    for moment in ["2026-11-19T20:00:00Z", "2026-11-21T01:00:00Z", "2026-11-21T20:00:00Z"] {
        let today = local_date(at(moment), &london());
        streak.record(today, DayChange::Kept, today);
    }
    assert_eq!(streak.standing(date(2026, 11, 21)).current, 3);
}

#[test]
fn a_report_that_arrives_after_midnight_counts_for_the_day_of_the_call() {
    // The call began at 23:50; what was said in it arrives at 00:20, or after the next day has begun.
    let called_on = local_date(at("2026-11-20T23:50:00Z"), &london());
    for arrives in ["2026-11-21T00:20:00Z", "2026-11-21T03:10:00Z"] {
        let today = local_date(at(arrives), &london());
        let mut streak = Streak::new(date(2026, 11, 1), WeekdaySet::default());
        streak.record(date(2026, 11, 19), DayChange::Kept, date(2026, 11, 19));
        streak.record(called_on, DayChange::Kept, today);
        let standing = streak.standing(today);
        assert_eq!((standing.current, standing.previous), (2, 0), "{arrives}");
        assert_eq!(standing.kept_today, today == date(2026, 11, 20), "{arrives}");
    }
}

#[test]
fn a_week_begins_on_monday_for_rest_days() {
    // Saturday and Sunday belong to one week, Monday and Tuesday to the next: four rest days, none too many.
    let mut streak = every_day();
    report(&mut streak, [4, 9], DayChange::Kept, 9);
    report(&mut streak, [5, 6, 7, 8], DayChange::Rested, 9);
    assert_eq!(current(&streak, 9), 2);
    // Monday, Wednesday and Sunday are one week, although another Sunday's week would part them.
    let mut streak = every_day();
    report(&mut streak, [-1, 1, 3, 4, 5, 7], DayChange::Kept, 7);
    report(&mut streak, [0, 2, 6], DayChange::Rested, 7);
    let standing = streak.standing(day(7));
    assert_eq!((standing.current, standing.previous), (1, 5));
}

#[test]
fn rest_days_that_are_used_up_come_back_with_the_next_week_and_are_not_carried_over() {
    // No rest in the first week does not leave three for the second.
    let mut streak = every_day();
    report(&mut streak, [0, 1, 2, 3, 4, 5, 6, 10], DayChange::Kept, 10);
    report(&mut streak, [7, 8, 9], DayChange::Rested, 10);
    let standing = streak.standing(day(10));
    assert_eq!((standing.current, standing.previous), (1, 7));
    // Two used up by Tuesday: a third on Sunday ends the run, one on Monday does not.
    let mut streak = every_day();
    report(&mut streak, [2, 3, 4, 5, 6, 8], DayChange::Kept, 8);
    report(&mut streak, [0, 1, 7], DayChange::Rested, 8);
    assert_eq!(current(&streak, 8), 6);
    report(&mut streak, [6], DayChange::NoLongerKept, 8);
    report(&mut streak, [6], DayChange::Rested, 8);
    assert_eq!((current(&streak, 8), streak.standing(day(8)).previous), (1, 4));
}

#[test]
fn undone_and_redone_is_as_if_nothing_had_been() {
    let mut streak = every_day();
    report(&mut streak, 0..6, DayChange::Kept, 5);
    assert_eq!(streak.take_bonuses(day(5)), []);
    let before = streak.clone();
    report(&mut streak, [3], DayChange::NoLongerKept, 5);
    assert_eq!((current(&streak, 5), streak.standing(day(5)).previous), (2, 3));
    assert_eq!(streak.standing(day(5)).longest, 6, "the longest never falls");
    report(&mut streak, [3], DayChange::Kept, 5);
    assert_eq!(streak, before);
}

#[test]
fn a_day_that_was_kept_twice_stays_kept_when_one_of_them_is_undone() {
    let mut streak = every_day();
    report(&mut streak, [3, 4, 4, 5], DayChange::Kept, 5);
    report(&mut streak, [4], DayChange::NoLongerKept, 5);
    assert_eq!(current(&streak, 5), 3);
    report(&mut streak, [4], DayChange::NoLongerKept, 5);
    assert_eq!(current(&streak, 5), 1);
}

#[test]
fn a_missed_day_that_is_reported_later_joins_the_run() {
    let mut streak = every_day();
    report(&mut streak, [0, 1, 2, 4, 5], DayChange::Kept, 5);
    let broken = streak.standing(day(5));
    assert_eq!((broken.current, broken.previous, broken.longest), (2, 3, 3));
    report(&mut streak, [3], DayChange::Kept, 5);
    let mended = streak.standing(day(5));
    assert_eq!((mended.current, mended.previous, mended.longest), (6, 0, 6));
}

#[test]
fn two_devices_that_report_the_same_day_make_one_kept_day() {
    let mut streak = every_day();
    report(&mut streak, [3, 4, 5, 5], DayChange::Kept, 5);
    assert_eq!(current(&streak, 5), 3);
    // Two workouts of one day, two donations; the same workout twice, one.
    let once = Happening::Report { days_late: 0, status: Completed, times: 1 };
    assert_eq!(given(&[once, Happening::SameReportAgain]), (vec![150], vec![]));
    assert_eq!(given(&[once, once]), (vec![150, 150], vec![]));
}

#[test]
fn a_streak_is_not_lost_before_the_day_is_over() {
    let mut streak = every_day();
    report(&mut streak, 0..5, DayChange::Kept, 4);
    let today = local_date(at("2026-03-08T02:59:59Z"), &london());
    assert_eq!(today, day(5));
    let standing = streak.standing(today);
    assert_eq!((standing.current, standing.previous), (5, 0));
    assert!(standing.commitment_today && !standing.kept_today);
    let tomorrow = local_date(at("2026-03-08T03:00:00Z"), &london());
    let standing = streak.standing(tomorrow);
    assert_eq!((standing.current, standing.previous), (0, 5));
}

#[test]
fn a_bonus_is_not_paid_twice_after_an_undo() {
    let mut streak = every_day();
    report(&mut streak, 0..7, DayChange::Kept, 6);
    let bonus = Bonus { kept_days: 7, amount: Pence(300), reached_on: day(6) };
    assert_eq!(streak.take_bonuses(day(6)), [bonus]);
    for undone in 0..7 {
        report(&mut streak, [undone], DayChange::NoLongerKept, 6);
        assert_eq!(streak.take_bonuses(day(6)), []);
        report(&mut streak, [undone], DayChange::Kept, 6);
        assert_eq!(streak.take_bonuses(day(6)), []);
    }
    // With the money: seven workouts, one bonus, and what was given stays given.
    let week = Happening::EachDay(7, Completed);
    let undo = Happening::Correct { nth: 0, status: Skipped };
    let redo = Happening::Correct { nth: 0, status: Completed };
    assert_eq!(given(&[week, undo, redo, undo, redo]), (vec![150; 7], vec![300]));
}

/// Found by the oracle: an award was known by its last day only.
#[test]
fn days_that_earned_a_bonus_do_not_earn_it_again_with_other_days() {
    let mut streak = every_day();
    report(&mut streak, 1..=7, DayChange::Kept, 7);
    assert_eq!(streak.take_bonuses(day(7)).len(), 1);
    // The seventh is undone, and the day before the first is told: six of the same days, and one more.
    report(&mut streak, [7], DayChange::NoLongerKept, 8);
    report(&mut streak, [0], DayChange::Kept, 8);
    assert_eq!(streak.take_bonuses(day(8)), []);
    // Only seven days that have not been paid for earn it again.
    report(&mut streak, 9..15, DayChange::Kept, 15);
    assert_eq!(streak.take_bonuses(day(15)), []);
    report(&mut streak, [15], DayChange::Kept, 15);
    let bonus = Bonus { kept_days: 7, amount: Pence(300), reached_on: day(15) };
    assert_eq!(streak.take_bonuses(day(15)), [bonus]);
}

/// Found by the oracle: rest days of Thursday and Friday join two runs to one of 3; then Monday is told to have been
/// a rest day as well, and Friday becomes the week's third.
#[test]
fn a_late_rest_day_does_not_make_the_longest_run_fall() {
    let mut streak = every_day();
    report(&mut streak, [1, 2, 5], DayChange::Kept, 6);
    report(&mut streak, [3, 4], DayChange::Rested, 6);
    assert_eq!(streak.standing(day(6)).longest, 3);
    report(&mut streak, [0], DayChange::Rested, 6);
    let standing = streak.standing(day(6));
    assert_eq!((standing.current, standing.previous, standing.longest), (1, 2, 3));
}

#[test]
fn a_rest_day_that_is_told_late_brings_the_bonus_of_the_runs_that_it_joins() {
    let late = |days_late, status| Happening::Report { days_late, status, times: 1 };
    // Days 1 to 4 and 6 to 8 are kept; day 5 was a rest day, told on day 9.
    let (completions, bonuses) = given(&[
        Happening::EachDay(4, Completed),
        Happening::DaysPass(1),
        Happening::EachDay(3, Completed),
        Happening::DaysPass(1),
        late(4, RestDay),
        Happening::SameReportAgain,
    ]);
    assert_eq!((completions, bonuses), (vec![150; 7], vec![300]));
}

#[test]
fn a_completion_that_a_cap_cut_to_nothing_does_not_donate_when_it_is_done_again_in_a_new_month() {
    // £4 a day: 150, 150, 100, nothing. A month begins, and the fourth is undone and done again.
    let four = Happening::Report { days_late: 0, status: Completed, times: 4 };
    let undo = Happening::Correct { nth: 0, status: Skipped };
    let redo = Happening::Correct { nth: 0, status: Completed };
    let story = [Happening::DaysPass(28), four, Happening::DaysPass(4), undo, redo];
    assert_eq!(given(&story), (vec![150, 150, 100], vec![]));
}

#[test]
fn a_miss_is_not_undone_by_moving_or_deleting_the_plan() {
    // Preferred on Mondays only, so that the plan is what makes Tuesday (day 1) count.
    let mondays = [true, false, false, false, false, false, false];
    let story = |after_the_day: &[Happening]| {
        let plan =
            [Happening::EachDay(1, Completed), Happening::Plan { in_days: 1, timed: true }, Happening::DaysPass(2)];
        let beginning = Beginning { day: 59, hour: 9, zone: london(), tier: Tier::B2cElite, preferred: mondays };
        let happenings = [plan.as_slice(), after_the_day].concat();
        let life = Life::live(&Story { beginning, happenings }).unwrap();
        let today = life.today.date();
        (life.streak.standing(today).previous, life.streak.calendar(today, 2)[0].1)
    };
    let moved = [Happening::MovePlan { nth: 0, in_days: 3 }];
    let deleted = [Happening::DeletePlan { nth: 0 }];
    for missed in [story(&[]), story(&moved), story(&deleted)] {
        assert_eq!(missed, (1, DayState::Missed));
    }
    // Before the day is over, both take the commitment back.
    let answer = Happening::Answer { nth: 0, status: Completed };
    let planned_for_today = [answer, Happening::Plan { in_days: 0, timed: true }];
    for (after, missed) in [(vec![], 2), (moved.to_vec(), 0), (deleted.to_vec(), 0)] {
        let (previous, _) = story(&[&planned_for_today, after.as_slice(), &[Happening::DaysPass(1)]].concat());
        assert_eq!(previous, missed, "{after:?}");
    }
}

#[test]
fn a_deleted_workout_takes_its_day_with_it_and_leaves_what_was_given() {
    let week = Happening::EachDay(7, Completed);
    let delete = Happening::DeleteLogged { nth: 0 };
    let again = Happening::Report { days_late: 0, status: Completed, times: 1 };
    // The seventh is deleted, and done again as another workout: it donates, and earns no second bonus.
    assert_eq!(given(&[week, delete, again]), (vec![150; 8], vec![300]));
}

#[test]
fn a_run_that_was_paid_and_shortened_is_not_paid_again_after_a_pause_longer_than_the_memory() {
    // Seven days are paid for and the seventh is undone; then eight months of pause hold the run of six.
    let undo = Happening::Correct { nth: 0, status: Skipped };
    let done = Happening::Report { days_late: 0, status: Completed, times: 1 };
    let (week, days) = (Happening::EachDay(7, Completed), Happening::EachDay(2, Completed));
    let story = [week, undo, Happening::Pause, Happening::MonthsPass(8), Happening::Back, done, days];
    assert_eq!(given(&story), (vec![150; 10], vec![300]));
}

#[test]
fn a_pause_with_an_end_ends_though_nobody_looks() {
    let mut streak = every_day();
    report(&mut streak, 0..4, DayChange::Kept, 3);
    streak.freeze_until(day(4), Some(day(10)));
    assert_eq!((current(&streak, 10), streak.standing(day(9)).commitment_today), (4, false));
    assert!(streak.standing(day(10)).commitment_today);
    assert_eq!((current(&streak, 11), streak.standing(day(11)).previous), (0, 4));
    // Seen on day 20: it ended on its own day, and what was missed since stays missed.
    streak.unfreeze(day(10));
    assert_eq!((current(&streak, 20), streak.standing(day(20)).previous), (0, 4));
}

#[test]
fn a_pause_that_is_told_again_has_the_new_end_and_the_old_beginning() {
    for (until, lasts) in [(day(6), 6), (day(15), 15)] {
        let mut streak = every_day();
        report(&mut streak, 0..4, DayChange::Kept, 3);
        streak.freeze_until(day(4), Some(day(10)));
        streak.freeze_until(day(5), Some(until));
        assert_eq!((current(&streak, lasts), current(&streak, lasts + 1)), (4, 0), "until {until}");
    }
}

#[test]
fn days_that_a_move_excused_stay_excused_when_a_pause_ends_before_them() {
    let mut streak = every_day();
    report(&mut streak, 0..4, DayChange::Kept, 3);
    streak.moved(day(4), Some((day(5), day(7))));
    streak.freeze_until(day(4), Some(day(20)));
    streak.unfreeze(day(5));
    assert_eq!((current(&streak, 7), current(&streak, 8)), (4, 0));
    let states = [DayState::Kept, DayState::Frozen, DayState::Frozen, DayState::Frozen, DayState::Open];
    let seen: Vec<DayState> = streak.calendar(day(7), 5).into_iter().map(|(_, state)| state).collect();
    assert_eq!(seen, states);
}

#[test]
fn a_freeze_that_begins_in_the_middle_of_a_run_holds_it() {
    let mut streak = every_day();
    report(&mut streak, 0..4, DayChange::Kept, 3);
    streak.freeze(day(4));
    assert_eq!(current(&streak, 20), 4);
    assert!(!streak.standing(day(20)).commitment_today);
    // Kept while it is frozen: it counts. Back on day 21, which then is a day like any other.
    report(&mut streak, [12], DayChange::Kept, 12);
    streak.unfreeze(day(21));
    assert_eq!(current(&streak, 21), 5);
    assert!(streak.standing(day(21)).commitment_today);
    assert_eq!((current(&streak, 22), streak.standing(day(22)).previous), (0, 5));
}

#[test]
fn a_freeze_does_not_mend_what_was_missed_before_it() {
    let mut streak = every_day();
    report(&mut streak, 0..4, DayChange::Kept, 3);
    streak.freeze(day(5));
    assert_eq!((current(&streak, 5), streak.standing(day(5)).previous), (0, 4));
}

#[test]
fn a_day_that_nobody_asked_for_neither_ends_a_run_nor_is_lost() {
    let mut streak = Streak::new(day(-30), [Weekday::Monday, Weekday::Thursday].into_iter().collect());
    report(&mut streak, [0, 3, 5, 7], DayChange::Kept, 7);
    assert_eq!(current(&streak, 10), 4);
    assert_eq!(current(&streak, 11), 0);
}

/// A plan that a call agreed on without a time of day was no plan to whoever deleted it: its day stayed a commitment.
#[test]
fn a_plan_without_a_time_is_taken_back_like_any_other() {
    let mondays = [true, false, false, false, false, false, false];
    for timed in [true, false] {
        let beginning = Beginning { day: 59, hour: 9, zone: london(), tier: Tier::B2cElite, preferred: mondays };
        let happenings = vec![
            Happening::EachDay(1, Completed),
            Happening::Plan { in_days: 1, timed },
            Happening::DeletePlan { nth: 0 },
            Happening::DaysPass(3),
        ];
        let life = Life::live(&Story { beginning, happenings }).unwrap();
        let standing = life.streak.standing(life.today.date());
        assert_eq!((standing.current, standing.previous), (1, 0), "with a time of day: {timed}");
    }
}

/// Moving away and back each night left every day excused, and a streak that nothing ended.
#[test]
fn a_move_that_is_taken_back_excuses_nothing() {
    let mut streak = every_day();
    report(&mut streak, 0..4, DayChange::Kept, 3);
    for today in 3..12 {
        streak.moved(day(today), Some((day(today + 1), day(today + 2))));
        streak.moved(day(today), None);
    }
    assert_eq!((current(&streak, 12), streak.standing(day(12)).previous), (0, 4));
    // A day that has begun and lasts as long again as any other is not excused either; what is past stays as it was.
    let mut streak = every_day();
    report(&mut streak, 0..4, DayChange::Kept, 3);
    streak.moved(day(3), Some((day(4), day(6))));
    streak.moved(day(5), None);
    assert_eq!((current(&streak, 5), current(&streak, 6)), (4, 0));
    assert_eq!(
        streak.calendar(day(6), 3).into_iter().map(|(_, state)| state).collect::<Vec<_>>(),
        [DayState::Frozen, DayState::Missed, DayState::Open]
    );
}

/// Told on the last day on which it could be, and undone some days later: the undo came too late for the streak.
#[test]
fn what_could_just_be_told_can_be_undone_for_a_week() {
    let beginning = Beginning { day: 9, hour: 9, zone: london(), tier: Tier::B2cElite, preferred: [false; 7] };
    let report = |days_late, status| Happening::Report { days_late, status, times: 1 };
    let correct = Happening::Correct { nth: 0, status: Skipped };
    for (days_late, kept) in [(180, 1), (181, 0)] {
        let told = vec![Happening::DaysPass(200), Happening::Pause, report(days_late, Completed)];
        let before = Life::live(&Story { beginning: beginning.clone(), happenings: told.clone() }).unwrap();
        let stood = before.streak.standing(before.today.date());
        assert_eq!(stood.longest, kept, "told {days_late} days late");
        let undone = [told, vec![Happening::DaysPass(7), correct]].concat();
        let life = Life::live(&Story { beginning: beginning.clone(), happenings: undone }).unwrap();
        assert_eq!(life.streak.standing(life.today.date()).previous, 0, "told {days_late} days late");
    }
}
