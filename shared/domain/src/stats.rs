//! Counters: what the statistics endpoint answers from, so that it reads one item and never counts rows.
//!
//! Completions are counted by the ISO week and the month of the workout's local date, so a late report
//! lands in the week it belongs to. Only as many weeks and months are kept as answers look back on; the
//! total is kept for ever. Counts go down again when a completion is undone, never below zero. What was donated
//! is summed by charity in the transaction of each donation and never goes down: the sums together are the
//! wallet's `lifetime_donated`.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{days, ids::CharityId, money::Pence, scores::Scores, user::WeeklyGoal, values::Text};

/// A user's totals.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    #[serde(default)]
    pub total_workouts: u32,
    /// Completions by ISO week, the last [`Counters::WEEKS`].
    #[serde(default)]
    pub weeks: BTreeMap<String, u32>,
    /// Completions by month, the last [`Counters::MONTHS`].
    #[serde(default)]
    pub months: BTreeMap<String, u32>,
    #[serde(default)]
    pub scores: Scores,
    /// Life markers in the user's words, the last [`Counters::MARKERS`], oldest first.
    #[serde(default)]
    pub markers: Vec<Text<200>>,
    #[serde(default)]
    pub last_logged_at: Option<Timestamp>,
    /// All that was donated, by who received it.
    #[serde(default)]
    pub donated: BTreeMap<CharityId, Pence>,
    #[serde(default)]
    pub version: u64,
}

impl Counters {
    pub const WEEKS: usize = 14;
    pub const MONTHS: usize = 13;
    pub const MARKERS: usize = 5;
    /// How many full weeks the goal completion rate looks back.
    pub const RATE_WEEKS: i32 = 12;

    /// Adds `delta` completions on a local date (negative when one is undone).
    pub fn count(&mut self, date: Date, delta: i32) {
        self.total_workouts = self.total_workouts.saturating_add_signed(delta);
        add(&mut self.weeks, days::iso_week(date), delta, Self::WEEKS);
        add(&mut self.months, days::month(date), delta, Self::MONTHS);
    }

    /// Adds a donation to its charity's sum.
    pub fn donate(&mut self, charity: CharityId, amount: Pence) {
        *self.donated.entry(charity).or_default() += amount;
    }

    /// Remembers a life marker.
    pub fn mark(&mut self, marker: Text<200>) {
        self.markers.push(marker);
        if self.markers.len() > Self::MARKERS {
            self.markers.drain(..self.markers.len() - Self::MARKERS);
        }
    }

    #[must_use]
    pub fn workouts_in_week_of(&self, date: Date) -> u32 {
        self.weeks.get(&days::iso_week(date)).copied().unwrap_or(0)
    }

    #[must_use]
    pub fn workouts_in_month_of(&self, date: Date) -> u32 {
        self.months.get(&days::month(date)).copied().unwrap_or(0)
    }

    /// The mean over the last 12 full ISO weeks since onboarding of min(1, completions / goal), to 2 decimals.
    /// A week is full when it began on or after the day of onboarding and is over; 0 with no such week.
    #[must_use]
    pub fn goal_completion_rate(&self, onboarded_on: Option<Date>, today: Date, goal: WeeklyGoal) -> f64 {
        let Some(onboarded_on) = onboarded_on else { return 0.0 };
        let this_week = days::monday_of(today);
        let full_weeks: Vec<Date> = (1..=Self::RATE_WEEKS)
            .map(|back| days::plus_days(this_week, -7 * back))
            .filter(|monday| *monday >= onboarded_on)
            .collect();
        if full_weeks.is_empty() {
            return 0.0;
        }
        let done: u32 = full_weeks.iter().map(|monday| self.workouts_in_week_of(*monday).min(goal.get())).sum();
        let wanted = full_weeks.len() as f64 * f64::from(goal.get());
        (f64::from(done) / wanted * 100.0).round() / 100.0
    }
}

fn add(counts: &mut BTreeMap<String, u32>, name: String, delta: i32, kept: usize) {
    let count = counts.entry(name).or_insert(0);
    *count = count.saturating_add_signed(delta);
    counts.retain(|_, count| *count > 0);
    while counts.len() > kept {
        counts.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn completions_are_counted_by_week_and_month_and_undone() {
        let mut counters = Counters::default();
        counters.count(date(2026, 11, 21), 1);
        counters.count(date(2026, 11, 22), 1);
        counters.count(date(2026, 11, 23), 1);
        assert_eq!(counters.workouts_in_week_of(date(2026, 11, 16)), 2);
        assert_eq!(counters.workouts_in_month_of(date(2026, 11, 1)), 3);
        counters.count(date(2026, 11, 22), -1);
        counters.count(date(2026, 10, 1), -1);
        assert_eq!((counters.total_workouts, counters.workouts_in_week_of(date(2026, 11, 16))), (1, 1));
    }

    #[test]
    fn only_the_last_weeks_and_months_are_kept() {
        let mut counters = Counters::default();
        for week in 0..60 {
            counters.count(days::plus_days(date(2026, 1, 1), 7 * week), 1);
        }
        counters.count(date(2025, 1, 1), 1);
        assert_eq!((counters.weeks.len(), counters.months.len(), counters.total_workouts), (14, 13, 61));
        assert_eq!(counters.workouts_in_week_of(date(2025, 1, 1)), 0);
    }

    #[test]
    fn the_goal_rate_is_the_mean_of_full_weeks_since_onboarding() {
        let mut counters = Counters::default();
        let goal = WeeklyGoal::try_from(3).unwrap();
        let today = date(2026, 11, 21);
        assert_eq!(counters.goal_completion_rate(None, today, goal), 0.0);
        // Onboarded on a Tuesday: the first full week begins six days later.
        let onboarded_on = date(2026, 11, 3);
        assert_eq!(counters.goal_completion_rate(Some(date(2026, 11, 10)), today, goal), 0.0);
        counters.count(date(2026, 11, 4), 1);
        counters.count(date(2026, 11, 10), 1);
        assert_eq!(counters.goal_completion_rate(Some(onboarded_on), today, goal), 0.33);
        counters.count(date(2026, 11, 11), 5);
        assert_eq!(counters.goal_completion_rate(Some(onboarded_on), today, goal), 1.0);
        // This week does not count before it is over.
        counters.count(date(2026, 11, 17), 3);
        assert_eq!(counters.goal_completion_rate(Some(onboarded_on), today, goal), 1.0);
        assert_eq!(counters.goal_completion_rate(Some(date(2026, 1, 1)), today, goal), 0.11);
    }

    #[test]
    fn the_last_five_markers_are_kept() {
        let mut counters = Counters::default();
        for number in 0..7 {
            counters.mark(format!("marker {number}").parse().unwrap());
        }
        assert_eq!(counters.markers.len(), 5);
        assert_eq!(counters.markers[0].as_str(), "marker 2");
    }
}
