//! The streak's days one by one, for the page that shows them, and what is still open this week.
//!
//! A day is judged by the same rules as the runs of [`Streak::standing`]: a run ends on exactly the days that are shown as
//! missed. So nobody sees a whole month of kept and rested days beside a streak of two, or asks which day it was.

use jiff::civil::{Date, Weekday};

use super::{PROTECTING_RESTS_A_WEEK, Run, Streak};
use crate::{
    days::{monday_of, plus_days},
    money::Pence,
    tier::STREAK_BONUSES,
};

/// What became of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DayState {
    /// At least one completed or partial workout.
    Kept,
    /// A logged rest day: one that protects the run, or one on a day without a commitment.
    Rested,
    /// The user was paused, traveling or sick, or a move left the day too short.
    Frozen,
    /// A commitment day that is over and ended the run.
    Missed,
    /// Today, with a commitment that is still open.
    Open,
    NoCommitment,
}

impl DayState {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Rested => "rested",
            Self::Frozen => "frozen",
            Self::Missed => "missed",
            Self::Open => "open",
            Self::NoCommitment => "no_commitment",
        }
    }
}

/// The bonus that the present run, or one that begins now, reaches next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Milestone {
    pub kept_days: u32,
    /// How many kept days are missing.
    pub days_to_go: u32,
    pub bonus: Pence,
}

impl Streak {
    /// The last `count` days up to `today`, in the order of time.
    #[must_use]
    pub fn calendar(&self, today: Date, count: i32) -> Vec<(Date, DayState)> {
        let first = plus_days(today, 1 - count.max(1));
        self.judged(monday_of(first), today)
            .into_iter()
            .filter(|(date, _, _)| *date >= first)
            .map(day_and_state)
            .collect()
    }

    /// How many rest days would still protect the run in the ISO week of `today`.
    #[must_use]
    pub fn rest_days_left(&self, today: Date) -> u32 {
        let used = self.judged(monday_of(today), today).iter().filter(|(_, _, protects)| *protects).count();
        PROTECTING_RESTS_A_WEEK.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// The next bonus; `None` when the run has had them all. One that the run has had does not come again, also where days
    /// of it were undone.
    #[must_use]
    pub fn next_milestone(&self, today: Date) -> Option<Milestone> {
        let run = self.runs(today).pop().filter(|run| run.ended_by.is_none());
        let current = run.as_ref().map_or(0, Run::length);
        let had = |kept_days| {
            let run = run.as_ref();
            self.awarded
                .iter()
                .any(|award| award.kept_days == kept_days && run.is_some_and(|run| run.shares_days_with(*award)))
        };
        let next = STREAK_BONUSES.into_iter().find(|(kept_days, _)| *kept_days > current && !had(*kept_days));
        next.map(|(kept_days, bonus)| Milestone { kept_days, days_to_go: kept_days - current, bonus })
    }

    /// The days from a Monday to `today`, each with its state and whether it is a rest day that uses up protection.
    fn judged(&self, monday: Date, today: Date) -> Vec<(Date, DayState, bool)> {
        let mut days = Vec::new();
        let mut rests = 0;
        let mut date = monday;
        while date <= today {
            if date.weekday() == Weekday::Monday {
                rests = 0;
            }
            let (state, protects) = self.judge(date, today, rests);
            rests += u32::from(protects);
            days.push((date, state, protects));
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
        }
        days
    }

    fn judge(&self, date: Date, today: Date, rests: u32) -> (DayState, bool) {
        let tally = self.tally(date);
        let rested = tally.rested > 0;
        if tally.kept > 0 {
            return (DayState::Kept, false);
        }
        if self.is_frozen(date) {
            return (DayState::Frozen, false);
        }
        if !self.is_commitment(date, tally) {
            return (if rested { DayState::Rested } else { DayState::NoCommitment }, false);
        }
        match rested && rests < PROTECTING_RESTS_A_WEEK {
            true => (DayState::Rested, true),
            false if date < today => (DayState::Missed, false),
            false => (DayState::Open, false),
        }
    }
}

fn day_and_state((date, state, _): (Date, DayState, bool)) -> (Date, DayState) {
    (date, state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streak::DayChange;
    use jiff::civil::date;

    /// A Saturday.
    const TODAY: Date = date(2026, 11, 21);

    fn states(streak: &Streak, today: Date, count: i32) -> Vec<&'static str> {
        streak.calendar(today, count).into_iter().map(|(_, state)| state.name()).collect()
    }

    #[test]
    fn every_day_has_its_state() {
        let weekdays = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Saturday];
        let mut streak = Streak::new(date(2026, 11, 13), weekdays.into_iter().collect());
        streak.freeze(date(2026, 11, 14));
        streak.unfreeze(date(2026, 11, 16));
        streak.record(date(2026, 11, 16), DayChange::Kept, TODAY);
        for day in [17, 18, 19, 20] {
            streak.record(date(2026, 11, day), DayChange::Rested, TODAY);
        }
        // Friday 13 was no commitment; 14 and 15 were frozen; the third rest on a commitment day protects nothing, and Friday's
        // rest needed no protection.
        let week = ["no_commitment", "frozen", "frozen", "kept", "rested", "rested", "missed", "rested", "open"];
        assert_eq!(states(&streak, TODAY, 9), week);
        assert_eq!(states(&streak, TODAY, 3), ["missed", "rested", "open"], "judged from Monday on, whatever is shown");
        assert_eq!(streak.calendar(TODAY, 9)[0].0, date(2026, 11, 13));
        assert_eq!(streak.rest_days_left(TODAY), 0);
        assert_eq!(streak.rest_days_left(date(2026, 11, 17)), 1);
        assert_eq!(streak.rest_days_left(date(2026, 11, 23)), 2);
    }

    #[test]
    fn nothing_before_the_beginning_was_missed() {
        let streak = Streak::new(plus_days(TODAY, -1), crate::user::WeekdaySet::default());
        assert_eq!(states(&streak, TODAY, 4), ["no_commitment", "no_commitment", "missed", "open"]);
    }

    #[test]
    fn the_next_milestone_is_the_first_that_the_run_has_not_had() {
        let mut streak = Streak::new(plus_days(TODAY, -150), crate::user::WeekdaySet::default());
        let first = Milestone { kept_days: 7, days_to_go: 7, bonus: Pence(300) };
        assert_eq!(streak.next_milestone(TODAY), Some(first));
        for back in (0..7).rev() {
            streak.record(plus_days(TODAY, -back), DayChange::Kept, TODAY);
        }
        assert_eq!(streak.next_milestone(TODAY).map(|next| (next.kept_days, next.days_to_go)), Some((30, 23)));
        streak.take_bonuses(TODAY);
        streak.record(TODAY, DayChange::NoLongerKept, TODAY);
        assert_eq!(streak.next_milestone(TODAY).map(|next| next.kept_days), Some(30), "seven days' bonus was had");
        for back in 7..100 {
            streak.record(plus_days(TODAY, -back), DayChange::Kept, TODAY);
        }
        assert_eq!(streak.next_milestone(TODAY), None);
    }

    /// A small generator, so that the histories are the same every time.
    fn next(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }

    #[test]
    fn the_run_read_off_the_days_is_the_run_of_the_standing() {
        for round in 0..300_u64 {
            let mut seed = round;
            let preferred: Vec<Weekday> =
                [Weekday::Monday, Weekday::Wednesday, Weekday::Friday].into_iter().take((round % 4) as usize).collect();
            let mut streak = Streak::new(plus_days(TODAY, -60), preferred.into_iter().collect());
            for back in 0..60 {
                let change = match next(&mut seed) % 5 {
                    0 => DayChange::Planned,
                    1 | 2 => DayChange::Kept,
                    3 => DayChange::Rested,
                    _ => continue,
                };
                streak.record(plus_days(TODAY, -back), change, TODAY);
            }
            let days = streak.calendar(TODAY, 70);
            let since_missed = days.iter().rev().take_while(|(_, state)| *state != DayState::Missed);
            let kept = since_missed.filter(|(_, state)| *state == DayState::Kept).count();
            assert_eq!(u32::try_from(kept).unwrap(), streak.standing(TODAY).current, "round {round}: {days:?}");
        }
    }
}
