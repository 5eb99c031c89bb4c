//! The streak: kept days in a row, computed from remembered days rather than counted up.
//!
//! What is stored are tallies per local day (how many workouts were planned, kept, rested), the rules the
//! days were lived under (preferred days and freezes, each from a date), and which bonuses were awarded.
//! The standing is worked out from them every time, so the order in which reports arrive cannot matter:
//! tallies are sums. A counter that goes up and down was rejected, since a late report or an undo would
//! need the history anyway.
//!
//! Reports are taken about the last [`REMEMBERED_DAYS`], and corrections of them for [`CORRECTED_DAYS`] more, so that
//! what could just be told can be undone for as long as anything can ([`Streak::follow`]). Whole weeks older than
//! both are folded into a summary of the run they belong to. A report about an older day is answered with
//! [`Recorded::TooOld`] and changes nothing in the streak, nor do corrections of it (the workout, its totals and its
//! history are not the streak's business).
//! A rest day protects by its rank among the week's rest days on commitment days, whether or not there
//! was a run to protect: so a late report of a kept day can lengthen a run and never shorten one.
//!
//! What order can still change is what was shown or given before the last report came, because neither is
//! taken back (decision 0015): the longest streak is the longest that ever stood, and two runs that had their
//! bonuses keep both when a late report joins them. No day is paid for twice.

mod calendar;

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};

use crate::{
    days::{monday_of, plus_days},
    money::Pence,
    tier::STREAK_BONUSES,
    user::WeekdaySet,
    workout::{Workout, WorkoutStatus},
};

pub use calendar::{DayState, Milestone};

/// For how many days before today reports are taken.
pub const REMEMBERED_DAYS: i32 = 180;
/// For how many days more what was told in time can be corrected: the week in which a workout may be changed, and a day or two
/// that moves between zones add to it.
pub const CORRECTED_DAYS: i32 = 9;
/// How many rest days of one ISO week protect a run.
pub const PROTECTING_RESTS_A_WEEK: u32 = 2;

/// What a report changes on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayChange {
    Planned,
    Unplanned,
    Kept,
    NoLongerKept,
    Rested,
    NoLongerRested,
}

/// Whether a report was about a day that is still remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    Counted,
    TooOld,
}

/// A bonus that a run has earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bonus {
    /// The milestone: 7, 30 or 90.
    pub kept_days: u32,
    pub amount: Pence,
    /// The kept day that reached it.
    pub reached_on: Date,
}

/// How the streak stands on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Kept days of the current run.
    pub current: u32,
    pub longest: u32,
    /// The length of the run that ended last.
    pub previous: u32,
    pub kept_today: bool,
    /// Whether something is due today: a planned workout or a preferred day, and not frozen.
    pub commitment_today: bool,
}

/// Counts of one day, stored as `[planned, kept, rested]`. Signed, so that an undo may arrive first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[i32; 3]", into = "[i32; 3]")]
struct Tally {
    planned: i32,
    kept: i32,
    rested: i32,
}

impl From<[i32; 3]> for Tally {
    fn from([planned, kept, rested]: [i32; 3]) -> Self {
        Self { planned, kept, rested }
    }
}

impl From<Tally> for [i32; 3] {
    fn from(tally: Tally) -> Self {
        [tally.planned, tally.kept, tally.rested]
    }
}

impl Tally {
    fn change(&mut self, change: DayChange) {
        match change {
            DayChange::Planned => self.planned += 1,
            DayChange::Unplanned => self.planned -= 1,
            DayChange::Kept => self.kept += 1,
            DayChange::NoLongerKept => self.kept -= 1,
            DayChange::Rested => self.rested += 1,
            DayChange::NoLongerRested => self.rested -= 1,
        }
    }

    fn is_recorded(self) -> bool {
        self.planned > 0 || self.kept > 0 || self.rested > 0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct PreferredFrom {
    from: Date,
    days: WeekdaySet,
}

/// A freeze, from a day until the first day that is no longer frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Freeze {
    from: Date,
    until: Option<Date>,
    /// The user paused, in contrast to days that a move left too short.
    #[serde(default)]
    pause: bool,
}

impl Freeze {
    /// Whether it is a pause that still covers days from this one on.
    fn is_pause_beyond(self, day: Date) -> bool {
        self.until.is_none_or(|until| self.pause && until > day)
    }
}

/// A bonus that was paid, and the days that earned it: from the first kept day of the run to the one that reached it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Award {
    kept_days: u32,
    from: Date,
    on: Date,
}

/// What lies before the first remembered day, `until`, which is a Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    until: Date,
    /// Kept days of the run that reaches up to `until`, and the first of them.
    run: u32,
    started: Option<Date>,
    previous: u32,
}

/// A user's streak, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Streak {
    since: Date,
    #[serde(default)]
    days: BTreeMap<Date, Tally>,
    preferred: Vec<PreferredFrom>,
    #[serde(default)]
    frozen: Vec<Freeze>,
    #[serde(default)]
    awarded: Vec<Award>,
    #[serde(default)]
    longest: u32,
    before: Before,
    /// Counts the writes; kept by whoever stores it.
    #[serde(default)]
    pub version: u64,
}

/// A run of kept days, while it is read off the calendar.
#[derive(Debug, Clone)]
struct Run {
    started: Date,
    /// The missed day that ended it.
    ended_by: Option<Date>,
    /// Kept days before the first remembered one.
    folded: u32,
    kept: Vec<Date>,
}

impl Run {
    fn length(&self) -> u32 {
        self.folded + u32::try_from(self.kept.len()).unwrap_or(u32::MAX)
    }

    /// Whether it holds some of the days that earned an award.
    fn shares_days_with(&self, award: Award) -> bool {
        self.started <= award.on && self.ended_by.is_none_or(|end| award.from < end)
    }

    /// The day that brought the run to so many kept days, if it is remembered.
    fn reached(&self, kept_days: u32) -> Option<Date> {
        let index = kept_days.checked_sub(self.folded)?.checked_sub(1)?;
        self.kept.get(usize::try_from(index).ok()?).copied()
    }
}

impl Streak {
    /// A streak that expects nothing of the days before `since`.
    #[must_use]
    pub fn new(since: Date, preferred: WeekdaySet) -> Self {
        let until = monday_of(plus_days(since, -REMEMBERED_DAYS - CORRECTED_DAYS));
        Self {
            since,
            days: BTreeMap::new(),
            preferred: vec![PreferredFrom { from: since, days: preferred }],
            frozen: Vec::new(),
            awarded: Vec::new(),
            longest: 0,
            before: Before { until, run: 0, started: None, previous: 0 },
            version: 0,
        }
    }

    /// Takes a report about `date`. Reports may come late and in any order; the same report twice is the
    /// caller's to notice (by the workout's status). Call [`Streak::take_bonuses`] after it in the same write.
    pub fn record(&mut self, date: Date, change: DayChange, today: Date) -> Recorded {
        if date < plus_days(today, -REMEMBERED_DAYS) {
            return Recorded::TooOld;
        }
        self.change(date, change, today)
    }

    /// Takes in that a workout's status changes. What was first told in time is corrected for as long as it may be changed,
    /// though its day is older than what can be reported by then; what was told too late stays out, whatever becomes of it.
    pub fn follow(&mut self, workout: &Workout, after: WorkoutStatus, today: Date) -> Recorded {
        let late = workout.date < plus_days(today, -REMEMBERED_DAYS) && workout.told_first_at().is_none();
        if late || workout.too_old_for_streak {
            return Recorded::TooOld;
        }
        let mut recorded = Recorded::Counted;
        for change in workout.status.day_changes(after) {
            recorded = self.change(workout.date, change, today);
        }
        recorded
    }

    fn change(&mut self, date: Date, change: DayChange, today: Date) -> Recorded {
        if date < plus_days(today, -REMEMBERED_DAYS - CORRECTED_DAYS) || date < self.before.until {
            return Recorded::TooOld;
        }
        // What was shown as the longest run stays the longest: an undo shortens runs, and so does a rest day that is
        // reported late and makes a later one the week's third.
        self.raise_longest(today);
        let tally = self.days.entry(date).or_default();
        tally.change(change);
        if *tally == Tally::default() {
            self.days.remove(&date);
        }
        self.fold(today);
        Recorded::Counted
    }

    /// Other preferred days from a date on; days before it keep theirs.
    pub fn set_preferred_days(&mut self, days: WeekdaySet, from: Date) {
        if self.preferred_on(from) == days && self.preferred.iter().all(|rule| rule.from <= from) {
            return;
        }
        self.preferred.retain(|rule| rule.from < from);
        self.preferred.push(PreferredFrom { from, days });
    }

    /// Freezes the streak from a day on. Freezing what is frozen changes nothing.
    pub fn freeze(&mut self, from: Date) {
        self.freeze_until(from, None);
    }

    /// Freezes the streak from a day on, until a day that counts again if it is known by now. A freeze that is in force
    /// goes on from its own first day and gets the new end. So a pause with an end needs nobody who ends it.
    pub fn freeze_until(&mut self, from: Date, until: Option<Date>) {
        match self.frozen.iter_mut().find(|freeze| freeze.is_pause_beyond(from)) {
            Some(pause) => (pause.from, pause.until) = (pause.from.min(from), until),
            None => self.frozen.push(Freeze { from, until, pause: true }),
        }
        self.frozen.retain(|freeze| freeze.until.is_none_or(|until| freeze.from < until));
    }

    /// Takes in a move on a day: from this day on, the days that are excused are those that this move leaves too short, from one
    /// until another, beside whatever else freezes them. What earlier moves had excused there lasts as long again as any day, or
    /// would have been excused by this move too: otherwise moving away and back each night would hold a streak for ever.
    pub fn moved(&mut self, today: Date, too_short: Option<(Date, Date)>) {
        let excuses = self.frozen.iter_mut().filter(|freeze| !freeze.pause);
        for until in excuses.filter_map(|excuse| excuse.until.as_mut()) {
            *until = (*until).min(today);
        }
        self.frozen.retain(|freeze| freeze.until.is_none_or(|until| freeze.from < until));
        if let Some((from, until)) = too_short.filter(|(from, until)| from < until) {
            self.frozen.push(Freeze { from, until: Some(until), pause: false });
        }
    }

    /// Ends the freeze: `on` is the first day that counts again.
    pub fn unfreeze(&mut self, on: Date) {
        for freeze in self.frozen.iter_mut().filter(|freeze| freeze.is_pause_beyond(on)) {
            freeze.until = Some(on);
        }
        self.frozen.retain(|freeze| freeze.until.is_none_or(|until| freeze.from < until));
    }

    /// How the streak stands on `today`, a local date.
    #[must_use]
    pub fn standing(&self, today: Date) -> Standing {
        let runs = self.runs(today);
        let current = runs.last().filter(|run| run.ended_by.is_none()).map_or(0, Run::length);
        let previous = runs.iter().rev().find(|run| run.ended_by.is_some()).map_or(self.before.previous, Run::length);
        let longest = runs.iter().map(Run::length).max().unwrap_or(0).max(self.longest);
        let tally = self.tally(today);
        Standing {
            current,
            longest,
            previous,
            kept_today: tally.kept > 0,
            commitment_today: self.is_commitment(today, tally) && !self.is_frozen(today),
        }
    }

    /// The bonuses that remembered runs have reached and not been awarded yet, oldest first. They count as
    /// awarded from here on. A run that holds any of the days that earned an award has had that milestone's bonus: days that
    /// were paid for are never paid for again, however reports and undos cut and join the runs.
    pub fn take_bonuses(&mut self, today: Date) -> Vec<Bonus> {
        self.raise_longest(today);
        let mut bonuses = Vec::new();
        for run in self.runs(today) {
            for (kept_days, amount) in STREAK_BONUSES {
                let had = self.awarded.iter().any(|award| award.kept_days == kept_days && run.shares_days_with(*award));
                if let Some(reached_on) = run.reached(kept_days).filter(|_| !had) {
                    self.awarded.push(Award { kept_days, from: run.started, on: reached_on });
                    bonuses.push(Bonus { kept_days, amount, reached_on });
                }
            }
        }
        bonuses
    }

    fn raise_longest(&mut self, today: Date) {
        self.longest = self.standing(today).longest;
    }

    fn tally(&self, date: Date) -> Tally {
        self.days.get(&date).copied().unwrap_or_default()
    }

    fn preferred_on(&self, date: Date) -> WeekdaySet {
        let rule = self.preferred.iter().rev().find(|rule| rule.from <= date).or(self.preferred.first());
        rule.map(|rule| rule.days).unwrap_or_default()
    }

    fn is_frozen(&self, date: Date) -> bool {
        self.frozen.iter().any(|freeze| freeze.from <= date && freeze.until.is_none_or(|until| date < until))
    }

    fn is_commitment(&self, date: Date, tally: Tally) -> bool {
        let expected = date >= self.since || tally.is_recorded();
        expected && (tally.planned > 0 || self.preferred_on(date).prefers(date.weekday()))
    }

    /// The runs that touch remembered days up to `today`, oldest first.
    fn runs(&self, today: Date) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut open = self.before.started.filter(|_| self.before.run > 0).map(|started| Run {
            started,
            ended_by: None,
            folded: self.before.run,
            kept: Vec::new(),
        });
        // Days before `since` without a record neither keep nor end anything.
        let first = self.days.keys().next().copied().map_or(self.since, |first| first.min(self.since));
        let mut date = first.max(self.before.until);
        // A week that begins before the first day has no rests on commitment days there.
        let mut rests = 0;
        while date <= today {
            let tally = self.tally(date);
            if date.weekday() == Weekday::Monday {
                rests = 0;
            }
            if tally.kept > 0 {
                let run = open.get_or_insert(Run { started: date, ended_by: None, folded: 0, kept: Vec::new() });
                run.kept.push(date);
            } else if date < today && !self.is_frozen(date) && self.is_commitment(date, tally) {
                let protected = tally.rested > 0 && rests < PROTECTING_RESTS_A_WEEK;
                if protected {
                    rests += 1;
                } else if let Some(mut run) = open.take() {
                    run.ended_by = Some(date);
                    runs.push(run);
                }
            }
            let Ok(tomorrow) = date.tomorrow() else { break };
            date = tomorrow;
        }
        runs.extend(open);
        runs
    }

    /// Moves whole weeks that are no longer remembered into the summary.
    fn fold(&mut self, today: Date) {
        let horizon = monday_of(plus_days(today, -REMEMBERED_DAYS - CORRECTED_DAYS));
        if horizon <= self.before.until {
            return;
        }
        self.raise_longest(today);
        // Judged from the horizon on, every day before it is over.
        let last = plus_days(horizon, -1);
        let mut folded = self.runs(horizon);
        for run in &mut folded {
            run.kept.retain(|date| *date <= last);
        }
        folded.retain(|run| run.length() > 0);
        let open = folded.last().filter(|run| run.ended_by.is_none());
        let previous = folded.iter().rev().find(|run| run.ended_by.is_some()).map_or(self.before.previous, Run::length);
        let started = open.map(|run| run.started);
        self.before = Before { until: horizon, run: open.map_or(0, Run::length), started, previous };

        let oldest = started.unwrap_or(horizon);
        self.days = self.days.split_off(&horizon);
        self.awarded.retain(|award| award.on >= oldest);
        self.frozen.retain(|freeze| freeze.until.is_none_or(|until| until > horizon));
        let in_force = self.preferred.iter().rposition(|rule| rule.from <= horizon).unwrap_or(0);
        self.preferred.drain(..in_force);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const TODAY: Date = date(2026, 11, 21);

    fn ago(days: i32) -> Date {
        plus_days(TODAY, -days)
    }

    /// A streak of an every-day user who kept the days so many days ago.
    fn kept(days_ago: impl IntoIterator<Item = i32>) -> Streak {
        let mut streak = Streak::new(ago(150), WeekdaySet::default());
        for days in days_ago {
            streak.record(ago(days), DayChange::Kept, TODAY);
        }
        streak
    }

    fn current(streak: &Streak) -> u32 {
        streak.standing(TODAY).current
    }

    #[test]
    fn a_missed_commitment_day_ends_the_run_and_today_does_not() {
        assert_eq!(current(&kept([1, 2, 3])), 3);
        assert_eq!(current(&kept([0, 1, 2, 3])), 4);
        let broken = kept([0, 1, 3, 4, 5]).standing(TODAY);
        assert_eq!((broken.current, broken.previous, broken.longest), (2, 3, 3));
        assert!(broken.kept_today && broken.commitment_today);
        assert_eq!(current(&kept([2, 3])), 0);
    }

    #[test]
    fn days_that_are_no_commitment_never_end_a_run_and_still_count() {
        let mut streak = Streak::new(ago(30), [Weekday::Monday].into_iter().collect());
        streak.record(date(2026, 11, 9), DayChange::Kept, TODAY);
        streak.record(date(2026, 11, 16), DayChange::Kept, TODAY);
        streak.record(date(2026, 11, 18), DayChange::Kept, TODAY);
        assert_eq!(current(&streak), 3);
        // A plan makes any day a commitment day; taking it away undoes that.
        streak.record(date(2026, 11, 19), DayChange::Planned, TODAY);
        assert_eq!(current(&streak), 0);
        streak.record(date(2026, 11, 19), DayChange::Unplanned, TODAY);
        assert_eq!(current(&streak), 3);
    }

    #[test]
    fn two_rest_days_of_a_week_protect_a_run_and_a_third_does_not() {
        // The week from Monday 16 November: kept on Monday, then three rests, kept on Friday.
        let mut streak = kept([1, 5]);
        for days in [4, 3] {
            streak.record(ago(days), DayChange::Rested, TODAY);
        }
        streak.record(ago(2), DayChange::Kept, TODAY);
        assert_eq!(current(&streak), 3);
        streak.record(ago(2), DayChange::NoLongerKept, TODAY);
        streak.record(ago(2), DayChange::Rested, TODAY);
        assert_eq!(current(&streak), 1);
        assert_eq!(streak.standing(TODAY).longest, 3, "the longest run never falls");
    }

    #[test]
    fn frozen_days_never_end_a_run() {
        let mut streak = kept([10, 1]);
        streak.freeze(ago(9));
        streak.freeze(ago(9));
        streak.unfreeze(ago(1));
        assert_eq!(current(&streak), 2);
        streak.freeze(ago(0));
        assert!(!streak.standing(TODAY).commitment_today);
        assert_eq!(streak.standing(plus_days(TODAY, 20)).current, 2);
    }

    #[test]
    fn other_preferred_days_leave_past_days_as_they_were() {
        let mut streak = kept([1, 2, 4]);
        assert_eq!(current(&streak), 2);
        streak.set_preferred_days([Weekday::Friday].into_iter().collect(), TODAY);
        assert_eq!(current(&streak), 2);
        assert_eq!(streak.standing(plus_days(TODAY, 6)).current, 2);
        assert_eq!(streak.standing(plus_days(TODAY, 7)).current, 0);
    }

    #[test]
    fn nothing_before_the_beginning_is_missed() {
        let mut streak = Streak::new(ago(2), WeekdaySet::default());
        streak.record(ago(1), DayChange::Kept, TODAY);
        streak.record(ago(2), DayChange::Kept, TODAY);
        streak.record(ago(9), DayChange::Kept, TODAY);
        assert_eq!(current(&streak), 3);
    }

    #[test]
    fn an_older_report_changes_nothing() {
        let mut streak = kept([1]);
        let before = streak.clone();
        assert_eq!(streak.record(ago(REMEMBERED_DAYS + 1), DayChange::Kept, TODAY), Recorded::TooOld);
        assert_eq!(streak, before);
        assert_eq!(streak.record(ago(REMEMBERED_DAYS), DayChange::Kept, TODAY), Recorded::Counted);
    }

    #[test]
    fn bonuses_come_once_a_run() {
        let mut streak = kept([]);
        let mut bonuses = Vec::new();
        for days in (0..=100).rev() {
            streak.record(ago(days), DayChange::Kept, ago(days));
            bonuses.extend(streak.take_bonuses(ago(days)));
        }
        let seen: Vec<_> = bonuses.iter().map(|bonus| (bonus.kept_days, bonus.amount, bonus.reached_on)).collect();
        assert_eq!(seen, [(7, Pence(300), ago(94)), (30, Pence(1000), ago(71)), (90, Pence(2500), ago(11))]);
        assert_eq!(streak.take_bonuses(TODAY), []);
        // Undone and done again: the run has had its bonus.
        streak.record(ago(94), DayChange::NoLongerKept, TODAY);
        streak.record(ago(94), DayChange::Kept, TODAY);
        assert_eq!(streak.take_bonuses(TODAY), []);
    }

    #[test]
    fn runs_joined_by_a_late_report_do_not_earn_a_milestone_again() {
        let mut streak = kept((0..7).chain(8..15));
        assert_eq!(streak.take_bonuses(TODAY).len(), 2);
        streak.record(ago(7), DayChange::Kept, TODAY);
        assert_eq!(current(&streak), 15);
        assert_eq!(streak.take_bonuses(TODAY), []);
    }

    #[test]
    fn a_late_report_can_make_an_ended_run_earn_its_bonus() {
        let mut streak = kept([0, 10, 11, 12, 13, 14, 15]);
        assert_eq!(streak.take_bonuses(TODAY), []);
        streak.record(ago(16), DayChange::Kept, TODAY);
        assert_eq!(streak.take_bonuses(TODAY), [Bonus { kept_days: 7, amount: Pence(300), reached_on: ago(10) }]);
    }

    #[test]
    fn a_run_longer_than_the_memory_goes_on() {
        let start = date(2025, 1, 1);
        let mut streak = Streak::new(start, WeekdaySet::default());
        let mut bonuses = 0;
        for day in 0..500 {
            let today = plus_days(start, day);
            streak.record(today, DayChange::Kept, today);
            bonuses += streak.take_bonuses(today).len();
        }
        let today = plus_days(start, 500);
        assert_eq!((streak.standing(today).current, bonuses), (500, 3));
        assert!(streak.days.len() <= 200);
        let stored = serde_json::to_string(&streak).unwrap();
        assert_eq!(serde_json::from_str::<Streak>(&stored).unwrap(), streak);
        // Long after the end, the run is the previous one, also when its days are forgotten.
        let much_later = plus_days(today, 400);
        streak.record(much_later, DayChange::Kept, much_later);
        let standing = streak.standing(much_later);
        assert_eq!((standing.current, standing.previous, standing.longest), (1, 500, 500));
    }
}
