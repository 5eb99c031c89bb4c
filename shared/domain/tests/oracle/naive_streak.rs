//! The streak, as the rules say it: which days were missed, and the kept days between them.
//!
//! Nothing is counted up. Every question lays out the calendar from the whole list of facts, finds the missed
//! days, and groups the kept days by them. Bonuses that were paid and lengths that once stood are facts too.
//!
//! **What was paid for** (decision 0015). A bonus was earned by days: from the first of its run to the one that
//! reached it. A run that holds any of these days has had the bonus, and so no day is paid for twice.
//!
//! **What a plan commits to.** A plan makes its day a commitment day. Moving or deleting it takes that back until
//! the day is over, and not afterwards.
//!
//! **Pauses.** From the day on which it was told, the last word about a pause holds, whatever was expected before.
//! Days that a move leaves too short stay excused whether a pause comes or goes; the last move has the last word on
//! the day on which it is told and on those after it.
//!
//! **What was told too late.** A workout that was first told more than 180 days after its day is not the streak's,
//! whatever is said of it later. What was first told in time can be corrected as long as it can be changed; so
//! days are remembered nine days longer than they can be told.

use std::collections::{BTreeMap, BTreeSet};

use ivy_domain::{streak::DayState, workout::WorkoutStatus};

use crate::facts::{Day, Fact, Facts, PreferredDays, keeps};

/// For how many days back a report counts.
const REMEMBERED: i32 = 180;
/// For how many days more they are remembered.
const CORRECTED: i32 = 9;
/// So many rest days of a week protect.
const RESTS_A_WEEK: usize = 2;
/// Milestones and their bonuses in pence.
const BONUSES: [(u32, i64); 3] = [(7, 300), (30, 1000), (90, 2500)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NaiveStanding {
    pub(crate) current: usize,
    pub(crate) longest: usize,
    pub(crate) previous: usize,
    pub(crate) kept_today: bool,
    pub(crate) commitment_today: bool,
    pub(crate) rest_days_left: usize,
    pub(crate) next_milestone: Option<NaiveMilestone>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NaiveMilestone {
    pub(crate) kept_days: u32,
    pub(crate) days_to_go: u32,
    pub(crate) bonus: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NaiveBonus {
    pub(crate) kept_days: u32,
    pub(crate) amount: i64,
    /// The first day of the run.
    pub(crate) earned_from: Day,
    pub(crate) reached_on: Day,
}

/// Kept days with no missed day between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NaiveRun {
    pub(crate) kept: Vec<Day>,
    pub(crate) ended_by: Option<Day>,
}

impl NaiveRun {
    pub(crate) fn holds(&self, day: Day) -> bool {
        self.kept[0] <= day && self.ended_by.is_none_or(|end| day < end)
    }
}

/// A bonus that was paid, and every day from the first that earned it to the last.
#[derive(Debug, Clone)]
pub(crate) struct PaidFor {
    pub(crate) kept_days: u32,
    pub(crate) days: Vec<Day>,
}

/// Whether a report made on one day about another comes too late for the streak.
pub(crate) fn is_too_old(date: Day, told_on: Day) -> bool {
    date < told_on.plus(-REMEMBERED)
}

/// The calendar as the list of facts tells it.
struct Calendar {
    since: Day,
    kept: BTreeSet<Day>,
    rested: BTreeSet<Day>,
    planned: BTreeSet<Day>,
    /// What was said about pauses: from which day on it holds, and the first day that is not paused.
    pauses: Vec<(Day, Day)>,
    excused: BTreeSet<Day>,
    preferred: Vec<(Day, PreferredDays)>,
}

impl Calendar {
    /// The last word of this kind that was told about `date` or a day before it.
    fn last_word<T: Copy>(words: &[(Day, T)], date: Day) -> Option<T> {
        words.iter().rev().find(|(from, _)| *from <= date).map(|(_, word)| *word)
    }

    fn is_frozen(&self, date: Day) -> bool {
        let is_paused = Self::last_word(&self.pauses, date).is_some_and(|back_on| date < back_on);
        is_paused || self.excused.contains(&date)
    }

    /// Days before the beginning have the preference with which the first day ended.
    fn is_preferred(&self, date: Day) -> bool {
        let days = Self::last_word(&self.preferred, date.max(self.since)).unwrap();
        days == [false; 7] || days[usize::try_from(date.weekday()).unwrap()]
    }

    /// Nothing is expected before the beginning, unless the person told us something about the day.
    fn is_commitment(&self, date: Day) -> bool {
        self.planned.contains(&date)
            || (self.is_preferred(date)
                && (date >= self.since || self.kept.contains(&date) || self.rested.contains(&date)))
    }

    /// A commitment day that was not kept, not frozen: it needs a rest day to protect it.
    fn is_open(&self, date: Day) -> bool {
        !self.kept.contains(&date) && !self.is_frozen(date) && self.is_commitment(date)
    }

    /// The rest days before `date` in its week that protected a day.
    fn rests_used_before(&self, date: Day) -> usize {
        let week = (date.monday().0..date.0).map(Day);
        week.filter(|day| self.rested.contains(day) && self.is_open(*day)).count().min(RESTS_A_WEEK)
    }

    fn is_protected(&self, date: Day) -> bool {
        self.rested.contains(&date) && self.rests_used_before(date) < RESTS_A_WEEK
    }

    fn missed(&self, today: Day) -> Vec<Day> {
        let told = [&self.kept, &self.rested, &self.planned].into_iter().filter_map(|days| days.first());
        let first = told.min().map_or(self.since, |day| self.since.min(*day));
        (first.0..today.0).map(Day).filter(|day| self.is_open(*day) && !self.is_protected(*day)).collect()
    }

    /// Kept days up to today, grouped by the missed days between them.
    fn runs(&self, today: Day) -> Vec<NaiveRun> {
        let missed = self.missed(today);
        let mut runs: Vec<NaiveRun> = Vec::new();
        for day in self.kept.iter().copied().filter(|day| *day <= today) {
            match runs.last_mut() {
                Some(run) if run.holds(day) => run.kept.push(day),
                _ => runs.push(NaiveRun { kept: vec![day], ended_by: missed.iter().copied().find(|end| *end > day) }),
            }
        }
        runs
    }

    /// What the page shows of a day.
    fn state(&self, date: Day, today: Day) -> DayState {
        if self.kept.contains(&date) {
            DayState::Kept
        } else if self.is_frozen(date) {
            DayState::Frozen
        } else if !self.is_commitment(date) {
            if self.rested.contains(&date) { DayState::Rested } else { DayState::NoCommitment }
        } else if self.is_protected(date) {
            DayState::Rested
        } else if date == today {
            DayState::Open
        } else {
            DayState::Missed
        }
    }
}

impl Facts {
    /// The days on which something is planned. A plan that was taken away from a day which is over still counts there.
    fn planned_days(&self) -> BTreeSet<Day> {
        let mut plans = Vec::new();
        for told in &self.told {
            let (away, to) = match told.fact {
                Fact::Planned { workout, date } => (None, Some((workout, date))),
                Fact::Moved { workout, from, to } => (Some((workout, from)), Some((workout, to))),
                Fact::Deleted { workout, date } => (Some((workout, date)), None),
                _ => continue,
            };
            if let Some((_, date)) = away
                && date >= told.on
            {
                plans.retain(|plan| Some(*plan) != away);
            }
            plans.extend(to);
        }
        plans.into_iter().map(|(_, date)| date).collect()
    }

    /// The day on which each workout was first told of.
    fn first_told(&self) -> BTreeMap<usize, Day> {
        let mut first = BTreeMap::new();
        for told in &self.told {
            if let Fact::Logged { workout, .. } = told.fact {
                first.entry(workout).or_insert(told.on);
            }
        }
        first
    }

    /// The last word on each workout that was first told of in time. To delete it is to say that it was skipped.
    fn last_words(&self) -> BTreeMap<usize, (Day, WorkoutStatus)> {
        let first_told = self.first_told();
        let words = self.told.iter().filter_map(|told| match told.fact {
            Fact::Logged { workout, date, status } => Some((workout, date, status)),
            Fact::Deleted { workout, date } => Some((workout, date, WorkoutStatus::Skipped)),
            _ => None,
        });
        let in_time = |workout, date| first_told.get(&workout).is_some_and(|on| !is_too_old(date, *on));
        let words = words.filter(|(workout, date, _)| in_time(*workout, *date));
        words.map(|(workout, date, status)| (workout, (date, status))).collect()
    }

    fn calendar(&self) -> Calendar {
        let (mut pauses, mut excused, mut preferred) = (Vec::new(), BTreeSet::new(), Vec::new());
        for told in &self.told {
            match told.fact {
                Fact::Paused { from, until } => pauses.push((from, until.unwrap_or(Day(i32::MAX)))),
                Fact::Back(day) => pauses.push((day, day)),
                Fact::Excused { from, until } => {
                    excused.retain(|day| *day < told.on);
                    excused.extend((from.0..until.0).map(Day));
                }
                Fact::PreferredFrom(days, from) => preferred.push((from, days)),
                _ => {}
            }
        }
        let words = self.last_words();
        let days_with = |wanted: &dyn Fn(WorkoutStatus) -> bool| {
            words.values().filter(|(_, status)| wanted(*status)).map(|(date, _)| *date).collect()
        };
        Calendar {
            since: self.since,
            kept: days_with(&keeps),
            rested: days_with(&|status| status == WorkoutStatus::RestDay),
            planned: self.planned_days(),
            pauses,
            excused,
            preferred,
        }
    }

    /// The runs up to today.
    pub(crate) fn runs(&self, today: Day) -> Vec<NaiveRun> {
        self.calendar().runs(today)
    }

    /// What became of each day from one to another.
    pub(crate) fn states(&self, first: Day, today: Day) -> Vec<(Day, DayState)> {
        let calendar = self.calendar();
        (first.0..=today.0).map(|day| (Day(day), calendar.state(Day(day), today))).collect()
    }

    pub(crate) fn standing(&self, today: Day) -> NaiveStanding {
        let calendar = self.calendar();
        let runs = calendar.runs(today);
        let once_stood = self.told.iter().filter_map(|told| match told.fact {
            Fact::LongestStood(length) => Some(usize::try_from(length).unwrap()),
            _ => None,
        });
        let present = runs.iter().find(|run| run.ended_by.is_none());
        let protects_today = calendar.is_open(today) && calendar.is_protected(today);
        let rests_used = calendar.rests_used_before(today) + usize::from(protects_today);
        NaiveStanding {
            current: present.map_or(0, |run| run.kept.len()),
            longest: runs.iter().map(|run| run.kept.len()).chain(once_stood).max().unwrap_or(0),
            previous: runs.iter().rfind(|run| run.ended_by.is_some()).map_or(0, |run| run.kept.len()),
            kept_today: calendar.kept.contains(&today),
            commitment_today: calendar.is_commitment(today) && !calendar.is_frozen(today),
            rest_days_left: RESTS_A_WEEK - rests_used,
            next_milestone: self.next_milestone(present),
        }
    }

    /// The first bonus that the present run, or one that begins now, still has before it.
    fn next_milestone(&self, present: Option<&NaiveRun>) -> Option<NaiveMilestone> {
        let length = u32::try_from(present.map_or(0, |run| run.kept.len())).unwrap();
        BONUSES
            .into_iter()
            .filter(|(kept_days, _)| *kept_days > length)
            .find(|(kept_days, _)| present.is_none_or(|run| !self.has_had(run, *kept_days)))
            .map(|(kept_days, bonus)| NaiveMilestone { kept_days, days_to_go: kept_days - length, bonus })
    }

    /// The first day on which a milestone is still looked for, a Monday: memory moves on with the last change that counted.
    pub(crate) fn remembers_from(&self) -> Day {
        let mut last = self.since;
        let mut statuses = BTreeMap::new();
        let mut plans = BTreeSet::new();
        let first_told = self.first_told();
        let in_time = |workout, date| first_told.get(&workout).is_some_and(|on| !is_too_old(date, *on));
        for told in &self.told {
            let mut changes_the_day = |workout, status| {
                let before = statuses.insert(workout, status).unwrap_or(WorkoutStatus::Planned);
                let rests = |status| status == WorkoutStatus::RestDay;
                keeps(before) != keeps(status) || rests(before) != rests(status)
            };
            let counts = match told.fact {
                Fact::Planned { workout, date: to } | Fact::Moved { workout, to, .. } => {
                    plans.insert(workout);
                    !is_too_old(to, told.on)
                }
                Fact::Logged { workout, date, status } => changes_the_day(workout, status) && in_time(workout, date),
                Fact::Deleted { workout, date } => {
                    let undone = changes_the_day(workout, WorkoutStatus::Skipped) && in_time(workout, date);
                    undone || (plans.contains(&workout) && date >= told.on)
                }
                _ => false,
            };
            if counts {
                last = told.on;
            }
        }
        last.plus(-REMEMBERED - CORRECTED).monday()
    }

    /// All bonuses that were paid, with the days that earned them.
    pub(crate) fn paid_for(&self) -> impl Iterator<Item = PaidFor> {
        self.told.iter().filter_map(|told| match told.fact {
            Fact::BonusPaid { kept_days, from, on } => {
                Some(PaidFor { kept_days, days: (from.0..=on.0).map(Day).collect() })
            }
            _ => None,
        })
    }

    /// Whether a run holds a day that was paid for with this bonus.
    fn has_had(&self, run: &NaiveRun, kept_days: u32) -> bool {
        self.paid_for().any(|paid| paid.kept_days == kept_days && paid.days.iter().any(|day| run.holds(*day)))
    }

    /// Milestones that runs have reached and not been paid for.
    pub(crate) fn bonuses_due(&self, today: Day) -> Vec<NaiveBonus> {
        let mut due = Vec::new();
        for run in self.runs(today) {
            for (kept_days, amount) in BONUSES {
                let reached = run.kept.get(usize::try_from(kept_days - 1).unwrap()).copied();
                if let Some(reached_on) = reached
                    && !self.has_had(&run, kept_days)
                    && reached_on >= self.remembers_from()
                {
                    due.push(NaiveBonus { kept_days, amount, earned_from: run.kept[0], reached_on });
                }
            }
        }
        due
    }
}
