//! Keeping a commitment: what follows when a workout is completed, done in part, skipped, rested or undone.
//!
//! [`Ledger`] gathers everything that one happening changes about a user (workouts, streak, wallet, counters, donations,
//! totals, messages) and writes it into one transaction, so that a completion is one read and one transaction whoever
//! reports it. A workout donates once in its life: its `donation_id` stays when the completion is undone.

use ivy_domain::{
    DonationId, Pence, Text, WorkoutId,
    charity::Charity,
    message::{Notice, Via},
    scores::{Score, ScoreKind},
    stats::Counters,
    streak::{Bonus, DayChange, Recorded},
    wallet::{CapReached, Caps, Donated, Donation, DonationKind, Wallet},
    workout::{ReportedBy, Workout, WorkoutStatus},
};
use ivy_store::{Me, Progress, Transaction};
use jiff::{SignedDuration, Timestamp, civil::Date};

use crate::{
    Error, Ivy,
    messages::{self, Outgoing},
};

/// What a logged workout brought.
#[derive(Debug, Clone, Default)]
pub struct Logged {
    /// What was donated for the workout; nothing when it was donated for before or a cap was reached.
    pub donation: Option<Donation>,
    /// Set when the donation was cut, also to a part.
    pub cap_reached: Option<CapReached>,
    pub bonuses: Vec<Donation>,
}

/// A report about a workout.
#[derive(Debug, Clone)]
pub struct Report {
    pub status: WorkoutStatus,
    pub actual_duration_minutes: Option<u16>,
    pub source: ReportedBy,
    /// When the user reported it; for a call, when the call started.
    pub at: Timestamp,
}

/// All that one happening changes about a user's workouts and money.
#[derive(Debug)]
pub struct Ledger<'a> {
    me: &'a Me,
    charity: Charity,
    now: Timestamp,
    today: Date,
    caps: Caps,
    progress: Progress,
    wallet: Wallet,
    counters: Counters,
    progress_changed: bool,
    wallet_changed: bool,
    counters_changed: bool,
    workouts: Vec<(Workout, Option<Date>)>,
    donations: Vec<Donation>,
    scores: Vec<(ScoreKind, Score)>,
    markers: Vec<Text<200>>,
    completions: i64,
    notices: Vec<Notice>,
    answers: Option<(Via, Timestamp)>,
}

impl<'a> Ledger<'a> {
    /// Opens the ledger on a user's present state.
    ///
    /// # Errors
    /// When the user's charity or company cannot be read.
    pub async fn open(ivy: &Ivy, me: &'a Me, now: Timestamp) -> Result<Self, Error> {
        let charity = ivy.charity_of(me.user()).await?;
        Ok(Self {
            charity,
            now,
            today: me.date_at(now),
            caps: ivy.caps_of(me.user()).await?,
            progress: me.progress(),
            wallet: me.wallet(now),
            counters: me.counters.clone(),
            progress_changed: false,
            wallet_changed: false,
            counters_changed: false,
            workouts: Vec::new(),
            donations: Vec::new(),
            scores: Vec::new(),
            markers: Vec::new(),
            completions: 0,
            notices: Vec::new(),
            answers: None,
            me,
        })
    }

    /// What follows answers a message of the user: it goes out by the same way, and also in quiet hours.
    pub fn answering(&mut self, via: Via, at: Timestamp) {
        self.answers = Some((via, at));
    }

    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    fn record(&mut self, date: Date, change: DayChange) {
        let recorded = self.progress.streak.record(date, change, self.today);
        if recorded == Recorded::TooOld {
            tracing::info!(event = "report_too_old_for_streak", user_id = %self.me.id(), %date);
        }
        self.progress_changed = true;
    }

    /// Keeps the agenda's copy at the version that the workout's own item will have.
    fn follow(&mut self, workout: &Workout) {
        let stored = Workout { version: workout.version + 1, ..workout.clone() };
        self.progress.agenda.follow(&stored, self.today);
    }

    /// Notes a workout to be written. Each is written once, in its last form: a transaction holds a key only once.
    fn note(&mut self, workout: Workout, moved_from: Option<Date>) {
        let earlier = self.workouts.iter().position(|(noted, _)| noted.id == workout.id);
        let earlier_move = earlier.and_then(|index| self.workouts.remove(index).1);
        self.workouts.push((workout, earlier_move.or(moved_from)));
    }

    /// Adds a planned workout: its day becomes a commitment day.
    pub fn plan(&mut self, workout: Workout) {
        self.record(workout.date, DayChange::Planned);
        self.follow(&workout);
        self.note(workout, None);
    }

    /// Moves a planned workout to another day.
    pub fn move_plan(&mut self, workout: Workout, from: Date) {
        self.record(from, DayChange::Unplanned);
        self.record(workout.date, DayChange::Planned);
        self.follow(&workout);
        self.note(workout, Some(from));
    }

    /// Writes a workout whose day stays.
    pub fn change(&mut self, workout: Workout) {
        if workout.status == WorkoutStatus::Planned {
            self.progress_changed = true;
            self.follow(&workout);
        }
        self.note(workout, None);
    }

    /// The workout that a report without an id is about: the day's first open plan, or a new one without a plan; `None` when
    /// the day is kept already and nothing is open, for then it is the same report once more.
    #[must_use]
    pub fn subject(&self, report: &Report, activity: Option<Text<200>>) -> Option<Workout> {
        let date = self.me.date_at(report.at);
        if let Some(plan) = self.progress.agenda.open_on(date) {
            return Some(plan.clone());
        }
        if self.progress.streak.standing(date).kept_today {
            return None;
        }
        let planned_activity =
            activity.or_else(|| self.me.user().minimum_action.clone()).or_else(|| "Activity".parse().ok())?;
        Some(Workout {
            id: WorkoutId::generate_for_date(date),
            user_id: self.me.id(),
            planned_activity,
            planned_time: None,
            planned_duration_minutes: None,
            actual_duration_minutes: None,
            status: WorkoutStatus::Planned,
            date,
            timezone: self.me.user().timezone.clone(),
            source: report.source,
            donation_id: None,
            created_at: self.now,
            updated_at: self.now,
            logged_at: None,
            version: 0,
        })
    }

    /// Logs a report about a workout: the streak's day, the counters, the donation and the bonuses. Answers the workout as it
    /// will be stored.
    pub fn log(&mut self, workout: &Workout, report: &Report) -> (Workout, Logged) {
        let mut logged = workout.clone();
        logged.status = report.status;
        logged.actual_duration_minutes = report.actual_duration_minutes.or(workout.actual_duration_minutes);
        logged.updated_at = self.now;
        logged.logged_at = Some(report.at);
        self.follow_day(workout.date, workout.status, report.status);
        let mut result = Logged::default();
        if report.status.keeps_the_day() {
            let first = logged.donation_id.is_none();
            if first {
                self.donate_completion(&mut logged, &mut result);
            }
            for bonus in self.progress.streak.take_bonuses(self.today) {
                self.donate_bonus(bonus, &mut result);
            }
            if first {
                self.notices.push(self.confirmation(&result));
            }
        }
        self.follow(&logged);
        self.progress_changed = true;
        self.counters.last_logged_at = self.counters.last_logged_at.max(Some(report.at));
        self.counters_changed = true;
        self.note(logged.clone(), None);
        (logged, result)
    }

    fn follow_day(&mut self, date: Date, before: WorkoutStatus, after: WorkoutStatus) {
        match (before.keeps_the_day(), after.keeps_the_day()) {
            (false, true) => {
                self.record(date, DayChange::Kept);
                self.counters.count(date, 1);
                self.completions += 1;
            }
            (true, false) => {
                self.record(date, DayChange::NoLongerKept);
                self.counters.count(date, -1);
                self.completions -= 1;
            }
            (true, true) | (false, false) => {}
        }
        match (before == WorkoutStatus::RestDay, after == WorkoutStatus::RestDay) {
            (false, true) => self.record(date, DayChange::Rested),
            (true, false) => self.record(date, DayChange::NoLongerRested),
            (true, true) | (false, false) => {}
        }
    }

    fn donate_completion(&mut self, workout: &mut Workout, result: &mut Logged) {
        let Donated { amount, cap_reached } = self.wallet.donate_completion(workout.date, self.caps);
        self.wallet_changed = true;
        result.cap_reached = cap_reached;
        if amount > Pence::ZERO {
            let kind = DonationKind::Completion;
            let donation = self.donation(amount, kind, Some(workout.id), workout.date);
            workout.donation_id = Some(donation.id);
            result.donation = Some(donation);
        }
    }

    fn donate_bonus(&mut self, bonus: Bonus, result: &mut Logged) {
        let Donated { amount, .. } = self.wallet.donate_bonus(bonus.amount, self.caps);
        self.wallet_changed = true;
        if amount > Pence::ZERO {
            let kind = DonationKind::StreakBonus { kept_days: bonus.kept_days };
            let donation = self.donation(amount, kind, None, bonus.reached_on);
            result.bonuses.push(donation);
        }
        self.notices.push(Notice::StreakUpdate { days: bonus.kept_days, amount, charity: self.charity.name.clone() });
    }

    fn donation(&mut self, amount: Pence, kind: DonationKind, workout: Option<WorkoutId>, date: Date) -> Donation {
        let donation = Donation {
            id: DonationId::generate(self.now),
            user_id: self.me.id(),
            amount,
            kind,
            charity_id: self.charity.id,
            workout_id: workout,
            date,
            period_start: self.wallet.period_start,
            company_id: self.me.user().company_id,
            created_at: self.now,
        };
        self.donations.push(donation.clone());
        donation
    }

    fn confirmation(&self, result: &Logged) -> Notice {
        Notice::CompletionConfirmation {
            amount: result.donation.as_ref().map_or(Pence::ZERO, |donation| donation.amount),
            charity: self.charity.name.clone(),
            cap_reached: result.cap_reached.is_some(),
        }
    }

    /// Records a score of 1 to 10.
    pub fn score(&mut self, kind: ScoreKind, score: Score) {
        self.counters.scores.record(kind, score);
        self.counters_changed = true;
        self.scores.push((kind, score));
    }

    /// Remembers a life marker in the user's words.
    pub fn marker(&mut self, words: Text<200>) {
        self.counters.mark(words.clone());
        self.counters_changed = true;
        self.markers.push(words);
    }

    /// Writes all of it into the transaction of its happening.
    ///
    /// # Errors
    /// When something cannot be put into words for the outbox.
    pub fn write(&self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        let user = self.me.id();
        for (workout, moved_from) in &self.workouts {
            match moved_from {
                Some(from) if *from != workout.date => transaction.moved_workout(workout, *from),
                _ => transaction.workout(workout),
            };
        }
        if self.progress_changed {
            transaction.progress(user, &self.progress);
        }
        if self.wallet_changed {
            transaction.wallet(user, &self.wallet);
        }
        if self.counters_changed {
            transaction.counters(&self.me.profile, &self.counters);
        }
        for donation in &self.donations {
            transaction.donation(donation);
        }
        self.write_totals(transaction);
        if !self.scores.is_empty() {
            let values: Vec<(&str, i64)> =
                self.scores.iter().map(|(kind, score)| (kind.name(), score.get().into())).collect();
            transaction.score(user, DonationId::generate(self.now), &values, self.now);
        }
        for words in &self.markers {
            let id = DonationId::generate(self.now);
            transaction.marker(user, id, words.as_str(), &self.me.profile.cipher, self.now);
        }
        self.write_notices(transaction)
    }

    /// Charity's and company's months: written with what they count, so that they can never differ from it.
    fn write_totals(&self, transaction: &mut Transaction<'_>) {
        let user = self.me.id();
        let donated: Pence = self.donations.iter().map(|donation| donation.amount).sum();
        let count = i64::try_from(self.donations.len()).unwrap_or(i64::MAX);
        if donated > Pence::ZERO {
            transaction.charity_total(self.charity.id, user, self.today, donated, count);
        }
        if let Some(company) = self.me.user().company_id
            && (donated > Pence::ZERO || self.completions != 0)
        {
            let amounts = [("donated", donated.0), ("completions", self.completions)];
            transaction.company_total(company, user, self.today, &amounts);
        }
    }

    fn write_notices(&self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        if self.answers.is_none() && !self.me.user().may_be_messaged() {
            return Ok(());
        }
        let via = self.answers.map_or(Via::Whatsapp, |(via, _)| via);
        for notice in &self.notices {
            // A confirmation that comes a day late only puzzles.
            let not_after = Some(self.now + SignedDuration::from_hours(24));
            let answers_inbound_at = self.answers.map(|(_, at)| at);
            let outgoing = Outgoing { not_after, answers_inbound_at, ..Outgoing::new(via, notice.clone()) };
            messages::add(transaction, &self.me.profile, outgoing, self.now)?;
        }
        Ok(())
    }
}
