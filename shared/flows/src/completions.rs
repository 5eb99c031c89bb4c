//! Keeping a commitment: what follows when a workout is completed, done in part, skipped, rested or undone.
//!
//! [`Ledger`] gathers everything that one happening changes about a user (workouts, streak, wallet, counters, donations,
//! totals, messages) and writes it into one transaction, so that a completion is one read and one transaction whoever
//! reports it. A workout has one chance to donate in its life (`donation_decided`), and its `donation_id` stays when the completion is undone.

use ivy_domain::{
    DonationId, MarkerId, Pence, ScoreId, Text, WorkoutId,
    charity::Charity,
    message::{Notice, Via},
    scores::{Score, ScoreKind},
    stats::Counters,
    streak::{Bonus, DayChange, Recorded},
    wallet::{AdjustmentRefused, CapReached, Caps, Donated, Donation, DonationKind, Wallet},
    workout::{ReportedBy, Workout, WorkoutStatus},
};
use ivy_store::{MarkerEntry, Me, Progress, ScoreEntry, Transaction};
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
    deleted: Option<Workout>,
    scores: Option<ScoreEntry>,
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
            deleted: None,
            scores: None,
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
    pub fn charity_name(&self) -> &str {
        &self.charity.name
    }

    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    fn record(&mut self, date: Date, change: DayChange) {
        self.progress.streak.record(date, change, self.today);
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

    /// Moves a planned workout to another day. A day that is over keeps its commitment: a miss is not undone by moving the plan.
    pub fn move_plan(&mut self, workout: Workout, from: Date) {
        if from >= self.today {
            self.record(from, DayChange::Unplanned);
        }
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

    /// Deletes a workout. What it counted for is undone as if it had been skipped; donations stay.
    pub fn delete(&mut self, workout: Workout) {
        self.follow_day(&workout, WorkoutStatus::Skipped);
        if let Some(change) = workout.deleted_plan(self.today) {
            self.record(workout.date, change);
        }
        self.progress.agenda.forget(workout.id);
        self.progress_changed = true;
        self.counters_changed |= workout.status.keeps_the_day();
        self.deleted = Some(workout);
    }

    /// The workout that a report without an id is about: the day's open plan of that name, its first open plan, or a new one without a plan; `None` when
    /// the day is kept already and nothing is open, for then it is the same report once more.
    #[must_use]
    pub fn subject(&self, report: &Report, activity: Option<Text<200>>) -> Option<Workout> {
        let date = self.me.date_at(report.at);
        if let Some(plan) = self.progress.agenda.open_on(date, activity.as_ref().map(Text::as_str)) {
            return Some(plan.clone());
        }
        if self.progress.streak.standing(date).kept_today {
            return None;
        }
        self.unplanned(report, activity)
    }

    /// A workout that nobody planned, for a report of its own.
    #[must_use]
    pub fn unplanned(&self, report: &Report, activity: Option<Text<200>>) -> Option<Workout> {
        let date = self.me.date_at(report.at);
        let planned_activity =
            activity.or_else(|| self.me.user().minimum_action.clone()).or_else(|| "Activity".parse().ok())?;
        Some(Workout {
            id: WorkoutId::generate_for_date(date),
            user_id: self.me.id(),
            planned_activity,
            planned_time: None,
            planned: false,
            planned_duration_minutes: None,
            actual_duration_minutes: None,
            status: WorkoutStatus::Planned,
            date,
            timezone: self.me.user().timezone.clone(),
            source: report.source,
            donation_id: None,
            donation_decided: false,
            reminded: false,
            created_at: self.now,
            updated_at: self.now,
            logged_at: None,
            first_logged_at: None,
            too_old_for_streak: false,
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
        logged.first_logged_at = workout.told_first_at().or(Some(report.at));
        logged.too_old_for_streak = self.follow_day(workout, report.status) == Recorded::TooOld;
        let mut result = Logged::default();
        let first = report.status.keeps_the_day() && !logged.donation_decided;
        if first {
            logged.donation_decided = true;
            self.donate_completion(&mut logged, &mut result);
        }
        // Not only a kept day can bring a run to its milestone: a rest day that is told late joins two.
        self.take_bonuses(&mut result);
        // What is told weeks later needs no word of praise; and no cap was reached, the day is only too old to donate for.
        if first && result.cap_reached != Some(CapReached::TooOld) {
            self.notices.push(self.confirmation(&result));
        }
        self.follow(&logged);
        self.progress_changed = true;
        self.counters.last_logged_at = self.counters.last_logged_at.max(Some(report.at));
        self.counters_changed = true;
        self.note(logged.clone(), None);
        (logged, result)
    }

    fn take_bonuses(&mut self, result: &mut Logged) {
        for bonus in self.progress.streak.take_bonuses(self.today) {
            self.donate_bonus(bonus, result);
        }
    }

    /// Brings streak and counters in line with a workout's new status.
    fn follow_day(&mut self, workout: &Workout, after: WorkoutStatus) -> Recorded {
        let recorded = self.progress.streak.follow(workout, after, self.today);
        if recorded == Recorded::TooOld {
            let date = workout.date;
            tracing::info!(event = "report_too_old_for_streak", user_id = %self.me.id(), %date);
        }
        self.progress_changed = true;
        let count = i32::from(after.keeps_the_day()) - i32::from(workout.status.keeps_the_day());
        if count != 0 {
            self.counters.count(workout.date, count);
            self.completions += i64::from(count);
        }
        recorded
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

    /// Corrects what was donated, whole or not at all; what is taken back was given to the charity that is chosen now.
    ///
    /// # Errors
    /// What the correction would break.
    pub fn adjust(&mut self, amount: Pence) -> Result<(Donation, Charity), AdjustmentRefused> {
        let given = self.counters.donated.get(&self.charity.id).copied().unwrap_or_default();
        if given + amount < Pence::ZERO {
            return Err(AdjustmentRefused::MoreThanWasDonated { donated: given });
        }
        self.wallet.adjust(amount, self.caps)?;
        self.wallet_changed = true;
        Ok((self.donation(amount, DonationKind::Adjustment, None, self.today), self.charity.clone()))
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
        self.counters.donate(donation.charity_id, amount);
        self.counters_changed = true;
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

    /// Records a score of 1 to 10 that was told at a moment.
    pub fn score(&mut self, kind: ScoreKind, score: Score, told_at: Timestamp) {
        let on = self.me.date_at(told_at);
        self.counters.scores.record(kind, score, on);
        self.counters_changed = true;
        let entry = self.scores.get_or_insert_with(|| ScoreEntry {
            id: ScoreId::generate(told_at),
            energy: None,
            mood: None,
            confidence: None,
            recorded_on: on,
            recorded_at: self.now,
        });
        match kind {
            ScoreKind::Energy => entry.energy = Some(score),
            ScoreKind::Mood => entry.mood = Some(score),
            ScoreKind::Confidence => entry.confidence = Some(score),
        }
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
        if let Some(workout) = &self.deleted {
            transaction.delete_workout(workout, self.now);
        }
        if let Some(entry) = &self.scores {
            transaction.score(user, entry);
        }
        for words in &self.markers {
            let id = MarkerId::generate(self.now);
            let entry = MarkerEntry { id, words: words.clone(), recorded_at: self.now };
            transaction.marker(user, &entry, &self.me.profile.cipher);
        }
        self.write_notices(transaction)
    }

    /// The user's receipt, and charity's and company's months: written with what they count, so that they can never differ
    /// from it.
    fn write_totals(&self, transaction: &mut Transaction<'_>) {
        let user = self.me.id();
        let donated: Pence = self.donations.iter().map(|donation| donation.amount).sum();
        let count = i64::try_from(self.donations.len()).unwrap_or(i64::MAX);
        if !self.donations.is_empty() {
            transaction.charity_total(self.charity.id, user, self.today, donated, count);
            let line = (self.charity.id, self.me.user().company_id);
            transaction.receipt(user, line, self.today, donated, count);
        }
        if let Some(company) = self.me.user().company_id
            && (!self.donations.is_empty() || self.completions != 0)
        {
            let amounts = [("donated", donated.0), ("completions", self.completions)];
            transaction.company_total(company, user, self.today, &amounts);
        }
    }

    fn write_notices(&self, transaction: &mut Transaction<'_>) -> Result<(), Error> {
        let via = self.answers.map_or(Via::Whatsapp, |(via, _)| via);
        if self.answers.is_none() && !self.me.user().may_be_messaged_by(via) {
            return Ok(());
        }
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
