//! One life, lived twice: by the code under test, in the order of calls that `Ledger` makes, and by the list of facts.
//!
//! After every happening all that can be seen of streak and wallet is compared, both go through their stored form,
//! and the rules that hold whatever happens are checked on the list of donations.

use std::collections::{BTreeMap, BTreeSet};

use ivy_domain::{
    Pence, Tier, UserId, WorkoutId, Zone, days,
    streak::{DayChange, DayState, Recorded, Streak},
    user::WeekdaySet,
    wallet::{CapReached, Caps, PeriodRule, Wallet},
    workout::{ReportedBy, Workout, WorkoutStatus},
};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Weekday};
use proptest::{prelude::TestCaseError, prop_assert, prop_assert_eq};

use crate::{
    facts::{self, Day, Fact, Facts, Given, GivenFor, Periods, PreferredDays, Told, keeps},
    happening::{Beginning, Happening, Story},
    naive_streak::is_too_old,
    naive_wallet::local_date,
};

type Checked = Result<(), TestCaseError>;

/// A logged workout may be corrected for so many days.
const CHANGEABLE_DAYS: i32 = 7;
/// So many days are compared one by one after every happening; all that are remembered, when the story is over.
const COMPARED_DAYS: i32 = 22;

#[derive(Debug, Clone)]
struct LivedWorkout {
    /// As the code has it.
    workout: Workout,
    first_logged_on: Option<Day>,
    deleted: bool,
}

impl LivedWorkout {
    fn date(&self) -> Day {
        Day::of(self.workout.date)
    }

    fn status(&self) -> WorkoutStatus {
        self.workout.status
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Life {
    zone: Zone,
    now: Timestamp,
    /// The local day of `now`.
    pub(crate) today: Day,
    tier: Tier,
    company_monthly: Option<i64>,
    charity: u8,
    workouts: Vec<LivedWorkout>,
    last_report: Option<(usize, WorkoutStatus)>,
    last_invoice: Option<(Timestamp, Timestamp)>,
    /// The end of the pause that was told last, if it has one.
    pause_ends: Option<Day>,
    pub(crate) streak: Streak,
    /// As stored; [`Life::wallet`] is what is seen of it.
    stored_wallet: Wallet,
    pub(crate) facts: Facts,
    /// What befell this life; so that a test can say that made-up lives hold what they should.
    pub(crate) seen: BTreeSet<&'static str>,
}

fn weekday_set(preferred: PreferredDays) -> WeekdaySet {
    (0_i8..7)
        .zip(preferred)
        .filter(|(_, yes)| *yes)
        .map(|(day, _)| Weekday::from_monday_zero_offset(day).unwrap())
        .collect()
}

impl Life {
    pub(crate) fn begin(beginning: &Beginning) -> Self {
        let first = Day::of(jiff::civil::date(2026, 1, 1)).plus(beginning.day).date();
        let start = first.at(3, 0, 0, 0).in_tz(beginning.zone.as_str()).unwrap().timestamp();
        let now = start + SignedDuration::from_hours(beginning.hour.into());
        let since = Day::of(local_date(now, &beginning.zone));
        let mut life = Self {
            zone: beginning.zone.clone(),
            now,
            today: since,
            tier: beginning.tier,
            company_monthly: None,
            charity: 0,
            workouts: Vec::new(),
            last_report: None,
            last_invoice: None,
            pause_ends: None,
            streak: Streak::new(since.date(), weekday_set(beginning.preferred)),
            stored_wallet: Wallet::open(now, &period_rule(beginning.tier, &beginning.zone)),
            facts: Facts { since, told: Vec::new() },
            seen: BTreeSet::new(),
        };
        life.tell(Fact::PreferredFrom(beginning.preferred, since));
        life.tell(Fact::WalletOpened { at: now, periods: life.periods() });
        life
    }

    pub(crate) fn live(story: &Story) -> Result<Self, TestCaseError> {
        let mut life = Self::begin(&story.beginning);
        life.check()?;
        for happening in &story.happenings {
            let told_before = life.facts.told.len();
            life.happens(happening)?;
            life.check()?;
            life.check_days(life.today.plus(1 - COMPARED_DAYS))?;
            life.check_repetition(told_before)?;
            life.through_its_stored_form()?;
        }
        let remembers_from = life.facts.remembers_from();
        life.check_days(remembers_from)?;
        Ok(life)
    }

    fn periods(&self) -> Periods {
        match self.tier {
            Tier::B2bSponsor => Periods::Months(self.zone.clone()),
            Tier::B2cPro | Tier::B2cElite | Tier::B2cConcierge => Periods::Billing,
        }
    }

    fn rule(&self) -> PeriodRule {
        period_rule(self.tier, &self.zone)
    }

    fn caps(&self) -> Caps {
        Caps::of(self.tier, self.company_monthly.map(Pence))
    }

    fn naive_caps(&self) -> (i64, i64, i64) {
        facts::caps(self.tier, self.company_monthly)
    }

    /// As `Me::wallet` does: a new period begins on first use, stored only if something else is.
    fn wallet(&self) -> Wallet {
        let mut wallet = self.stored_wallet.clone();
        wallet.roll(self.now, &self.rule());
        wallet
    }

    fn tell(&mut self, fact: Fact) {
        self.facts.tell(self.today, fact);
    }

    /// A use of the wallet that is stored.
    fn use_wallet(&mut self) {
        self.stored_wallet = self.wallet();
        self.tell(Fact::WalletUsed { at: self.now, periods: self.periods() });
    }

    pub(crate) fn happens(&mut self, happening: &Happening) -> Checked {
        match *happening {
            Happening::DaysPass(days) => self.pass(days),
            Happening::HoursPass(hours) => self.becomes(self.now + SignedDuration::from_hours(hours.into())),
            Happening::MonthsPass(months) => self.pass(30 * months),
            Happening::EachDay(days, status) => {
                for day in 0..days {
                    self.pass(1);
                    self.report_new(0, status)?;
                    if day % 7 == 0 {
                        self.check()?;
                    }
                }
            }
            Happening::Plan { in_days, timed } => self.plan(self.today.plus(in_days), timed)?,
            Happening::MovePlan { nth, in_days } => self.move_plan(nth, self.today.plus(in_days))?,
            Happening::DeletePlan { nth } => {
                if let Some(workout) = self.open_plan(nth, false) {
                    self.delete(workout)?;
                }
            }
            Happening::DeleteLogged { nth } => {
                if let Some(workout) = self.changeable(nth) {
                    self.delete(workout)?;
                }
            }
            Happening::Answer { nth, status } => {
                if let Some(workout) = self.open_plan(nth, true) {
                    self.log(workout, status)?;
                }
            }
            Happening::Report { days_late, status, times } => {
                for _ in 0..times {
                    self.report_new(days_late, status)?;
                    self.check()?;
                }
            }
            Happening::SameReportAgain => {
                if let Some((workout, status)) = self.last_report {
                    let before = (self.streak.clone(), self.stored_wallet.clone());
                    self.log(workout, status)?;
                    prop_assert_eq!(before, (self.streak.clone(), self.stored_wallet.clone()));
                }
            }
            Happening::Correct { nth, status } => self.correct(nth, status)?,
            Happening::Pause => self.pause(None),
            Happening::PauseFor(days) => self.pause(Some(self.today.plus(days))),
            Happening::Back => self.back(),
            Happening::Excuse { in_days, days } => {
                let from = self.today.plus(in_days);
                let until = from.plus(days);
                self.streak.moved(self.today.date(), Some((from.date(), until.date())));
                self.tell(Fact::Excused { from, until });
            }
            Happening::Prefer(preferred) => {
                self.streak.set_preferred_days(weekday_set(preferred), self.today.date());
                self.tell(Fact::PreferredFrom(preferred, self.today));
            }
            Happening::Tier(tier) => self.tier = tier,
            Happening::CompanyLimit(pounds) => self.company_monthly = Some(pounds * 100),
            Happening::Charity(charity) => self.charity = charity,
            Happening::Invoice { began_days_ago, days } => {
                let start = self.now - SignedDuration::from_hours(24 * began_days_ago);
                self.invoice(start, start + SignedDuration::from_hours(24 * days));
            }
            Happening::InvoiceOfThisPeriod { hours_off, days } => {
                let start = self.wallet().period_start + SignedDuration::from_hours(hours_off);
                self.invoice(start, start + SignedDuration::from_hours(24 * days));
            }
            Happening::SameInvoiceAgain => {
                if let Some((start, end)) = self.last_invoice {
                    self.invoice(start, end);
                }
            }
            Happening::WalletJob => self.use_wallet(),
        }
        Ok(())
    }

    pub(crate) fn pass(&mut self, days: i32) {
        self.becomes((self.now.in_tz(self.zone.as_str()).unwrap() + days.days()).timestamp());
    }

    fn becomes(&mut self, now: Timestamp) {
        self.now = now;
        self.today = Day::of(local_date(now, &self.zone));
    }

    fn pause(&mut self, until: Option<Day>) {
        pause(&mut self.streak, self.today, until);
        self.pause_ends = until;
        self.tell(Fact::Paused { from: self.today, until });
    }

    /// Whoever is seen to be back after the end of a pause was back from its end on.
    fn back(&mut self) {
        let on = self.pause_ends.take().filter(|end| *end <= self.today);
        if on.is_some() {
            self.seen.insert("a pause that ended by itself");
        }
        let on = on.unwrap_or(self.today);
        self.streak.unfreeze(on.date());
        self.tell(Fact::Back(on));
    }

    fn add_workout(&mut self, date: Day, planned: bool, planned_time: Option<Timestamp>) {
        let workout = Workout {
            id: WorkoutId::derive(date.date(), &[&self.workouts.len().to_string()]),
            user_id: UserId::derive(date.date(), &[]),
            planned_activity: "run".parse().unwrap(),
            planned_time,
            planned,
            planned_duration_minutes: None,
            actual_duration_minutes: None,
            status: WorkoutStatus::Planned,
            date: date.date(),
            timezone: self.zone.clone(),
            source: ReportedBy::Api,
            donation_id: None,
            donation_decided: false,
            reminded: false,
            created_at: self.now,
            updated_at: self.now,
            logged_at: None,
            first_logged_at: None,
            too_old_for_streak: false,
            version: 1,
        };
        self.workouts.push(LivedWorkout { workout, first_logged_on: None, deleted: false });
    }

    /// As `Ledger::plan`. A plan that a call made may have no time.
    fn plan(&mut self, date: Day, timed: bool) -> Checked {
        self.record(date, DayChange::Planned)?;
        self.tell(Fact::Planned { workout: self.workouts.len(), date });
        self.add_workout(date, true, timed.then_some(self.now));
        Ok(())
    }

    fn open_plan(&self, nth: usize, whose_day_has_come: bool) -> Option<usize> {
        let today = self.today;
        let open: Vec<usize> = (0..self.workouts.len())
            .filter(|index| {
                let workout = &self.workouts[*index];
                let waits = workout.status() == WorkoutStatus::Planned && !workout.deleted;
                waits && (!whose_day_has_come || workout.date() <= today)
            })
            .collect();
        open.get(nth % open.len().max(1)).copied()
    }

    /// As `Ledger::move_plan`: a day that is over keeps its commitment.
    fn move_plan(&mut self, nth: usize, to: Day) -> Checked {
        let Some(workout) = self.open_plan(nth, false) else { return Ok(()) };
        let from = self.workouts[workout].date();
        if from != to {
            if from >= self.today {
                self.record(from, DayChange::Unplanned)?;
            } else {
                self.seen.insert("a plan moved away from a day that was over");
            }
            self.record(to, DayChange::Planned)?;
            self.tell(Fact::Moved { workout, from, to });
            self.workouts[workout].workout.date = to.date();
        }
        Ok(())
    }

    /// As `Ledger::delete`: first as if it had been skipped, then its plan, while its day is not over.
    fn delete(&mut self, workout: usize) -> Checked {
        let (date, status) = (self.workouts[workout].date(), self.workouts[workout].status());
        self.follow_day(workout, WorkoutStatus::Skipped)?;
        if let Some(change) = self.workouts[workout].workout.deleted_plan(self.today.date()) {
            self.record(date, change)?;
        }
        self.seen.insert(match (keeps(status), date >= self.today) {
            (true, _) => "a kept workout deleted",
            (false, true) => "a workout deleted before its day was over",
            (false, false) => "a workout deleted after its day",
        });
        self.workouts[workout].deleted = true;
        self.tell(Fact::Deleted { workout, date });
        Ok(())
    }

    pub(crate) fn report_new(&mut self, days_late: i32, status: WorkoutStatus) -> Checked {
        self.add_workout(self.today.plus(-days_late), false, None);
        self.log(self.workouts.len() - 1, status)
    }

    /// The nth last workout that was logged first within the days in which it may be changed.
    fn changeable(&self, nth: usize) -> Option<usize> {
        let is_changeable = |workout: &LivedWorkout| {
            !workout.deleted && workout.first_logged_on.is_some_and(|on| on.plus(CHANGEABLE_DAYS) >= self.today)
        };
        (0..self.workouts.len()).rev().filter(|index| is_changeable(&self.workouts[*index])).nth(nth)
    }

    pub(crate) fn correct(&mut self, nth: usize, status: WorkoutStatus) -> Checked {
        match self.changeable(nth) {
            Some(workout) => self.log(workout, status),
            None => Ok(()),
        }
    }

    fn record(&mut self, date: Day, change: DayChange) -> Checked {
        let today = self.today;
        let before = is_too_old(date, today).then(|| self.streak.clone());
        let recorded = self.streak.record(date.date(), change, today.date());
        prop_assert_eq!(recorded == Recorded::TooOld, before.is_some(), "a report about {:?} on {:?}", date, today);
        if let Some(before) = before {
            self.seen.insert("too old for the streak");
            prop_assert_eq!(&before, &self.streak, "too old, and yet it changed something");
        }
        Ok(())
    }

    /// As `Ledger::follow_day`; whether the streak did not take it in, because it was told too late at first.
    fn follow_day(&mut self, workout: usize, after: WorkoutStatus) -> Result<bool, TestCaseError> {
        let LivedWorkout { workout, first_logged_on, .. } = &self.workouts[workout];
        let date = Day::of(workout.date);
        let too_late = is_too_old(date, first_logged_on.unwrap_or(self.today));
        let before = self.streak.clone();
        let recorded = self.streak.follow(workout, after, self.today.date());
        prop_assert_eq!(recorded == Recorded::TooOld, too_late, "{:?}, first told {:?}", date, first_logged_on);
        if too_late {
            self.seen.insert("too old for the streak");
            prop_assert_eq!(&before, &self.streak, "too old, and yet it changed something");
        } else if is_too_old(date, self.today) && before != self.streak {
            self.seen.insert("corrected when it could not be told any more");
        }
        Ok(too_late)
    }

    /// A report about a workout, in the order of `Ledger::log`: the day, the donation, the bonuses.
    fn log(&mut self, workout: usize, status: WorkoutStatus) -> Checked {
        let (date, before) = (self.workouts[workout].date(), self.workouts[workout].status());
        if before == status || self.workouts[workout].deleted {
            return Ok(());
        }
        let too_late = self.follow_day(workout, status)?;
        let was_ever_kept = self.facts.was_ever_kept(workout);
        self.tell(Fact::Logged { workout, date, status });
        if keeps(status) && !was_ever_kept {
            self.donate_completion(workout)?;
        } else if keeps(status) && !self.has_donated(workout) {
            self.seen.insert("a second chance that is none");
        }
        let paid = self.donate_bonuses()?;
        if paid && !keeps(status) {
            self.seen.insert("a bonus by a rest day or an undo");
        }
        let (now, today) = (self.now, self.today);
        let lived = &mut self.workouts[workout];
        lived.workout.first_logged_at = lived.workout.told_first_at().or(Some(now));
        (lived.workout.status, lived.workout.logged_at) = (status, Some(now));
        lived.workout.too_old_for_streak = too_late;
        lived.first_logged_on.get_or_insert(today);
        self.last_report = Some((workout, status));
        Ok(())
    }

    fn has_donated(&self, workout: usize) -> bool {
        self.facts.given().any(|given| given.given_for == GivenFor::Workout(workout))
    }

    fn donate_completion(&mut self, workout: usize) -> Checked {
        self.use_wallet();
        let date = self.workouts[workout].date();
        let period = self.facts.period(self.now, &self.periods());
        let (amount, cap) = self.facts.completion_gives(date, period, self.naive_caps());
        let donated = self.stored_wallet.donate_completion(date.date(), self.caps());
        prop_assert_eq!((donated.amount.0, donated.cap_reached), (amount, cap), "a completion on {:?}", date);
        self.saw_cut("completion", amount, cap);
        if amount > 0 {
            self.give(amount, GivenFor::Workout(workout), date)?;
        }
        Ok(())
    }

    /// Says whether a bonus was due.
    fn donate_bonuses(&mut self) -> Result<bool, TestCaseError> {
        let today = self.today;
        let due = self.facts.bonuses_due(today);
        let taken = self.streak.take_bonuses(today.date());
        let seen: Vec<_> = taken.iter().map(|b| (b.kept_days, b.amount.0, Day::of(b.reached_on))).collect();
        let expected: Vec<_> = due.iter().map(|b| (b.kept_days, b.amount, b.reached_on)).collect();
        prop_assert_eq!(seen, expected, "bonuses on {:?}", today);
        let any = !due.is_empty();
        for bonus in due {
            self.use_wallet();
            let period = self.facts.period(self.now, &self.periods());
            let (amount, cap) = self.facts.bonus_gives(bonus.amount, period, self.naive_caps().2);
            let donated = self.stored_wallet.donate_bonus(Pence(bonus.amount), self.caps());
            prop_assert_eq!((donated.amount.0, donated.cap_reached), (amount, cap), "{:?}", bonus);
            self.saw_cut("bonus", amount, cap);
            self.seen.insert(match bonus.kept_days {
                7 => "bonus of 7",
                30 => "bonus of 30",
                _ => "bonus of 90",
            });
            let (kept_days, on) = (bonus.kept_days, bonus.reached_on);
            self.tell(Fact::BonusPaid { kept_days, from: bonus.earned_from, on });
            self.assert_no_day_is_paid_for_twice()?;
            if amount > 0 {
                self.give(amount, GivenFor::Bonus(kept_days), on)?;
            }
        }
        Ok(any)
    }

    fn saw_cut(&mut self, what: &str, amount: i64, cap: Option<CapReached>) {
        let seen = match (what, amount, cap) {
            ("completion", _, Some(CapReached::TooOld)) => "too old for the wallet",
            ("completion", 0, Some(CapReached::Daily)) => "daily cap",
            ("completion", _, Some(CapReached::Daily)) => "cut by the daily cap",
            ("completion", 0, Some(CapReached::Monthly)) => "monthly cap",
            ("bonus", 0, Some(CapReached::Monthly)) => "no bonus left",
            ("bonus", _, Some(CapReached::Monthly)) => "bonus cut",
            _ => return,
        };
        self.seen.insert(seen);
    }

    /// Whatever cuts and joins runs. So no run is paid twice at a time when it is one.
    fn assert_no_day_is_paid_for_twice(&self) -> Checked {
        let mut paid_for = BTreeSet::new();
        for paid in self.facts.paid_for() {
            for day in paid.days {
                prop_assert!(paid_for.insert((paid.kept_days, day)), "paid twice for {:?}: {}", day, paid.kept_days);
            }
        }
        Ok(())
    }

    /// Writes a donation down; a new one never exceeds a cap.
    fn give(&mut self, amount: i64, given_for: GivenFor, date: Day) -> Checked {
        let period = self.facts.period(self.now, &self.periods());
        let period_start = self.stored_wallet.period_start;
        prop_assert_eq!(period_start, period.start);
        self.tell(Fact::Given(Given { amount, given_for, date, period_start, charity: self.charity }));
        let (_, daily, monthly) = self.naive_caps();
        prop_assert!(self.facts.used_in(period) <= monthly, "the monthly cap is exceeded");
        if matches!(given_for, GivenFor::Workout(_)) {
            prop_assert!(self.facts.completions_on(date) <= daily, "the daily cap is exceeded on {:?}", date);
        }
        Ok(())
    }

    fn invoice(&mut self, start: Timestamp, end: Timestamp) {
        self.use_wallet();
        let used = self.stored_wallet.amount_used;
        if self.stored_wallet.start_period(start, end, self.now) {
            self.seen.insert(if start > self.now { "early invoice of this period" } else { "invoice" });
            if used > Pence::ZERO && self.stored_wallet.amount_used == used {
                self.seen.insert("invoice for the same period");
            }
        } else {
            self.seen.insert("invoice that changes nothing");
        }
        self.tell(Fact::Invoice { start, end, at: self.now });
        self.last_invoice = Some((start, end));
    }

    /// All that can be seen equals what the list of facts says.
    pub(crate) fn check(&mut self) -> Checked {
        prop_assert_eq!(self.today.date(), days::local_date(self.now, &self.zone));
        self.check_streak()?;
        let wallet = self.wallet();
        self.check_wallet(&wallet)?;
        self.check_donations(&wallet)
    }

    fn check_streak(&mut self) -> Checked {
        let today = self.today;
        let expected = self.facts.standing(today);
        if today.plus(-200) > self.facts.since {
            self.seen.insert("longer than the memory");
        }
        if expected.current > 0 && expected.previous > 0 {
            self.seen.insert("a run after a run");
        }
        if expected.current < expected.longest && expected.previous < expected.longest {
            self.seen.insert("the longest is an older one");
        }
        let seen = self.streak.standing(today.date());
        prop_assert_eq!(
            (seen.current, seen.previous, seen.kept_today, seen.commitment_today),
            (number(expected.current), number(expected.previous), expected.kept_today, expected.commitment_today),
            "current, previous, kept today, commitment today on {:?}",
            today
        );
        prop_assert_eq!(seen.longest, number(expected.longest), "the longest run on {:?}", today);
        let next = self.streak.next_milestone(today.date());
        prop_assert_eq!(
            next.map(|next| (next.kept_days, next.days_to_go, next.bonus.0)),
            expected.next_milestone.map(|next| (next.kept_days, next.days_to_go, next.bonus)),
            "the next milestone on {:?}",
            today
        );
        let rests_left = self.streak.rest_days_left(today.date());
        prop_assert_eq!(rests_left, number(expected.rest_days_left), "rest days left on {:?}", today);
        let stood = Fact::LongestStood(number(expected.longest));
        if !self.facts.told.iter().any(|told| told.fact == stood) {
            self.tell(stood);
        }
        Ok(())
    }

    /// Each day's state, from a day that is remembered on.
    fn check_days(&mut self, first: Day) -> Checked {
        let first = first.max(self.facts.remembers_from());
        let expected = self.facts.states(first, self.today);
        let days = self.streak.calendar(self.today.date(), number_of_days(first, self.today));
        let seen: Vec<(Day, DayState)> = days.into_iter().map(|(date, state)| (Day::of(date), state)).collect();
        prop_assert_eq!(&seen, &expected, "the days up to {:?}", self.today);
        self.seen.extend(expected.into_iter().map(|(_, state)| state.name()));
        Ok(())
    }

    fn check_wallet(&mut self, wallet: &Wallet) -> Checked {
        let period = self.facts.period(self.now, &self.periods());
        prop_assert_eq!(
            (wallet.period_start, wallet.period_end, wallet.anchor_day),
            (period.start, period.end, period.billing_day)
        );
        let used = self.facts.used_in(period);
        prop_assert_eq!((wallet.amount_used.0, wallet.lifetime_donated.0), (used, self.facts.lifetime()));
        let (_, daily, monthly) = self.naive_caps();
        if used > monthly {
            self.seen.insert("limit below what is used");
        }
        let period_leaves = (monthly - used).max(0);
        let day_leaves = (daily - self.facts.completions_on(self.today)).max(0).min(period_leaves);
        let remaining = wallet.remaining(self.today.date(), self.caps());
        prop_assert_eq!((remaining.day.0, remaining.period.0), (day_leaves, period_leaves));
        Ok(())
    }

    /// What holds for the list of donations, whatever happens.
    fn check_donations(&self, wallet: &Wallet) -> Checked {
        let mut by_period = BTreeMap::<Timestamp, i64>::new();
        let mut by_charity = BTreeMap::<u8, i64>::new();
        let mut workouts = Vec::new();
        for given in self.facts.given() {
            prop_assert!(given.amount > 0);
            *by_period.entry(given.period_start).or_default() += given.amount;
            *by_charity.entry(given.charity).or_default() += given.amount;
            if let GivenFor::Workout(workout) = given.given_for {
                workouts.push(workout);
            }
        }
        prop_assert_eq!(by_period.get(&wallet.period_start).copied().unwrap_or(0), wallet.amount_used.0);
        prop_assert_eq!(by_period.values().sum::<i64>(), wallet.lifetime_donated.0);
        prop_assert_eq!(by_charity.values().sum::<i64>(), wallet.lifetime_donated.0);
        workouts.sort_unstable();
        prop_assert!(workouts.windows(2).all(|pair| pair[0] != pair[1]), "a workout donated twice");
        Ok(())
    }

    /// The last thing that was told, told a second time at once, changes nothing.
    fn check_repetition(&self, told_before: usize) -> Checked {
        let today = self.today.date();
        let told_now = self.facts.told[told_before..].iter();
        let last = told_now.rev().find(|told| !matches!(told.fact, Fact::LongestStood(_)));
        if let Some(Told { fact, .. }) = last {
            let (mut streak, mut wallet) = (self.streak.clone(), self.stored_wallet.clone());
            match *fact {
                Fact::Paused { from, until } => pause(&mut streak, from, until),
                Fact::Back(on) => streak.unfreeze(on.date()),
                Fact::Excused { from, until } => streak.moved(today, Some((from.date(), until.date()))),
                Fact::PreferredFrom(days, _) => streak.set_preferred_days(weekday_set(days), today),
                Fact::Invoice { start, end, .. } => prop_assert!(!wallet.start_period(start, end, self.now)),
                Fact::WalletUsed { .. } | Fact::WalletOpened { .. } => {
                    prop_assert!(!wallet.roll(self.now, &self.rule()))
                }
                Fact::BonusPaid { .. } | Fact::Given(_) => prop_assert_eq!(streak.take_bonuses(today), vec![]),
                Fact::Logged { .. } => prop_assert_eq!(streak.take_bonuses(today), vec![]),
                Fact::Planned { .. } | Fact::Moved { .. } | Fact::Deleted { .. } | Fact::LongestStood(_) => {}
            }
            prop_assert_eq!(&streak, &self.streak, "told twice: {:?}", fact);
            prop_assert_eq!(&wallet, &self.stored_wallet, "told twice: {:?}", fact);
        }
        Ok(())
    }

    /// Goes on with what comes back from storage, which must be what went in.
    fn through_its_stored_form(&mut self) -> Checked {
        let streak: Streak = serde_json::from_str(&serde_json::to_string(&self.streak).unwrap()).unwrap();
        let wallet: Wallet = serde_json::from_str(&serde_json::to_string(&self.stored_wallet).unwrap()).unwrap();
        prop_assert_eq!(&streak, &self.streak);
        prop_assert_eq!(&wallet, &self.stored_wallet);
        (self.streak, self.stored_wallet) = (streak, wallet);
        Ok(())
    }
}

fn pause(streak: &mut Streak, from: Day, until: Option<Day>) {
    match until {
        None => streak.freeze(from.date()),
        until => streak.freeze_until(from.date(), until.map(Day::date)),
    }
}

fn number_of_days(first: Day, last: Day) -> i32 {
    last.0 - first.0 + 1
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap()
}

fn period_rule(tier: Tier, zone: &Zone) -> PeriodRule {
    match tier {
        Tier::B2bSponsor => PeriodRule::CalendarMonth(zone.clone()),
        Tier::B2cPro | Tier::B2cElite | Tier::B2cConcierge => PeriodRule::Billing,
    }
}
