//! Activity over time: what happened in each day, ISO week or month of a span, those without anything included.
//!
//! Computed from the workouts and donations of the span, not from counters: a correction of last month then shows in last
//! month, and the sums are those of the lists that people can check them against. Workouts count on their local day,
//! donations on the local day on which they were made. Weeks and months at the ends of a span are cut to it.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    days::{iso_week, monday_of, month, plus_days},
    money::Pence,
    workout::{Workout, WorkoutStatus},
};

/// How long one bucket is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    #[default]
    Day,
    /// ISO weeks, from Monday to Sunday.
    Week,
    Month,
}

impl Step {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The name of the bucket that a date lies in: `2026-11-23`, `2026-W48`, `2026-11`.
    fn bucket_of(self, date: Date) -> String {
        match self {
            Self::Day => date.to_string(),
            Self::Week => iso_week(date),
            Self::Month => month(date),
        }
    }

    fn last_day(self, date: Date) -> Date {
        match self {
            Self::Day => date,
            Self::Week => plus_days(monday_of(date), 6),
            Self::Month => date.last_of_month(),
        }
    }
}

/// What happened in one day, week or month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub name: String,
    /// The first and the last day of it that lie in the span.
    pub from: Date,
    pub to: Date,
    pub completed: u32,
    pub partial: u32,
    pub skipped: u32,
    pub rested: u32,
    /// Plans that nobody has logged.
    pub planned: u32,
    /// Of completed and partial workouts: as reported, else as planned where it was completed.
    pub minutes: u32,
    pub donated: Pence,
}

impl Bucket {
    fn empty(name: String, from: Date, to: Date) -> Self {
        Self {
            name,
            from,
            to,
            completed: 0,
            partial: 0,
            skipped: 0,
            rested: 0,
            planned: 0,
            minutes: 0,
            donated: Pence::ZERO,
        }
    }

    fn count(&mut self, workout: &Workout) {
        let told = workout.actual_duration_minutes;
        let minutes = match workout.status {
            WorkoutStatus::Completed => {
                self.completed += 1;
                told.or(workout.planned_duration_minutes)
            }
            WorkoutStatus::Partial => {
                self.partial += 1;
                told
            }
            WorkoutStatus::Skipped => {
                self.skipped += 1;
                None
            }
            WorkoutStatus::RestDay => {
                self.rested += 1;
                None
            }
            WorkoutStatus::Planned => {
                self.planned += 1;
                None
            }
        };
        self.minutes += u32::from(minutes.unwrap_or(0));
    }
}

/// The buckets of a span, both days included, in the order of time.
#[must_use]
pub fn activity(by: Step, from: Date, to: Date, workouts: &[Workout], donated: &[(Date, Pence)]) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    let mut date = from;
    while date <= to {
        let last = by.last_day(date).min(to);
        buckets.push(Bucket::empty(by.bucket_of(date), date, last));
        if last == Date::MAX {
            break;
        }
        date = plus_days(last, 1);
    }
    let index_of = |date: Date| {
        let index = buckets.partition_point(|bucket| bucket.to < date);
        (from <= date && index < buckets.len()).then_some(index)
    };
    let places: Vec<_> = workouts.iter().filter_map(|workout| Some((index_of(workout.date)?, workout))).collect();
    let sums: Vec<_> = donated.iter().filter_map(|(date, amount)| Some((index_of(*date)?, *amount))).collect();
    for (index, workout) in places {
        buckets[index].count(workout);
    }
    for (index, amount) in sums {
        buckets[index].donated += amount;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{UserId, WorkoutId},
        workout::ReportedBy,
    };
    use jiff::{Timestamp, civil::date};

    fn workout(date: Date, status: WorkoutStatus, planned: Option<u16>, actual: Option<u16>) -> Workout {
        let now = Timestamp::UNIX_EPOCH;
        Workout {
            id: WorkoutId::generate_for_date(date),
            user_id: UserId::generate(now),
            planned_activity: "a run".parse().unwrap(),
            planned_time: None,
            planned: planned.is_some(),
            planned_duration_minutes: planned,
            actual_duration_minutes: actual,
            status,
            date,
            timezone: crate::Zone::default(),
            source: ReportedBy::Api,
            donation_id: None,
            donation_decided: false,
            reminded: false,
            created_at: now,
            updated_at: now,
            logged_at: None,
            first_logged_at: None,
            too_old_for_streak: false,
            version: 1,
        }
    }

    #[test]
    fn buckets_cover_the_span_and_empty_ones_are_there() {
        let names = |by, from, to| -> Vec<String> {
            activity(by, from, to, &[], &[]).into_iter().map(|bucket| bucket.name).collect()
        };
        assert_eq!(names(Step::Day, date(2026, 2, 27), date(2026, 3, 1)), ["2026-02-27", "2026-02-28", "2026-03-01"]);
        assert_eq!(names(Step::Week, date(2026, 12, 27), date(2027, 1, 4)), ["2026-W52", "2026-W53", "2027-W01"]);
        assert_eq!(names(Step::Month, date(2026, 11, 30), date(2027, 1, 1)), ["2026-11", "2026-12", "2027-01"]);
        let weeks = activity(Step::Week, date(2026, 12, 27), date(2027, 1, 4), &[], &[]);
        assert_eq!((weeks[0].from, weeks[0].to), (date(2026, 12, 27), date(2026, 12, 27)));
        assert_eq!((weeks[2].from, weeks[2].to), (date(2027, 1, 4), date(2027, 1, 4)));
        assert!(activity(Step::Day, date(2026, 3, 2), date(2026, 3, 1), &[], &[]).is_empty());
    }

    #[test]
    fn each_workout_and_donation_counts_once_in_its_bucket() {
        let (monday, sunday) = (date(2026, 11, 23), date(2026, 11, 29));
        let workouts = [
            workout(monday, WorkoutStatus::Completed, Some(30), Some(25)),
            workout(monday, WorkoutStatus::Completed, Some(30), None),
            workout(sunday, WorkoutStatus::Partial, Some(30), None),
            workout(sunday, WorkoutStatus::Partial, Some(30), Some(10)),
            workout(sunday, WorkoutStatus::Skipped, Some(30), Some(5)),
            workout(sunday, WorkoutStatus::RestDay, None, None),
            workout(sunday, WorkoutStatus::Planned, Some(45), None),
            workout(date(2026, 11, 22), WorkoutStatus::Completed, None, Some(99)),
            workout(date(2026, 12, 1), WorkoutStatus::Completed, None, Some(99)),
        ];
        let donated = [(monday, Pence(100)), (date(2026, 11, 30), Pence(300)), (date(2026, 12, 1), Pence(900))];
        let weeks = activity(Step::Week, monday, date(2026, 11, 30), &workouts, &donated);
        let first = &weeks[0];
        assert_eq!((first.completed, first.partial, first.skipped), (2, 2, 1));
        assert_eq!((first.rested, first.planned, first.minutes, first.donated), (1, 1, 65, Pence(100)));
        assert_eq!((weeks[1].completed, weeks[1].donated), (0, Pence(300)));
    }
}
