//! What a person says in a call, whoever tells of it: the agent's tool while they talk, or the analysis afterwards.
//!
//! Both go through here and so have the same effect. Which of them counts where they differ is decided in one place each:
//! [`ivy_store::Told`] remembers what tools have done, and the analysis is not asked about it again. A tool was answered to the
//! person's ear and could be put right at once; the analysis is a later reading of the same words.

use ivy_domain::{
    Text, WorkoutId,
    call::{Call, CallType, Outcome},
    days,
    times::named_time,
    workout::{ReportedBy, Workout, WorkoutStatus},
};
use ivy_store::{Me, StoredCall};
use jiff::{SignedDuration, Timestamp};

use crate::{
    completions::{Ledger, Logged, Report},
    workouts::{self, NewWorkout},
};

/// Plans from what somebody said or wrote may lie this far ahead.
pub(crate) const FURTHEST_PLAN: SignedDuration = SignedDuration::from_hours(60 * 24);
/// A day of activity has no more minutes.
const MOST_MINUTES: u32 = 1440;

/// Minutes of an activity, if they can be.
pub(crate) fn minutes(said: Option<u32>) -> Option<u16> {
    said.filter(|minutes| (1..=MOST_MINUTES).contains(minutes)).and_then(|minutes| u16::try_from(minutes).ok())
}

/// An intention that was said in a call.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) activity: Text<200>,
    /// As it was said: `18:00`, `tomorrow 07:00`, RFC 3339.
    pub(crate) time: Option<String>,
    pub(crate) minutes: Option<u16>,
}

/// What came of an intention.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Planned {
    /// It is planned, or was before.
    At(Box<Workout>),
    /// The time cannot be read, lies behind, or too far ahead: no day is committed on a guess.
    NoSuchTime,
    /// There are as many open plans as there may be.
    Full,
}

/// Plans what was said. The same plan told twice, by a tool or by the analysis, is one plan.
///
/// Without a time it is planned for the day of the call, if that day is not over by now.
pub(crate) fn plan(ledger: &mut Ledger<'_>, me: &Me, said: Plan, at: Timestamp, now: Timestamp) -> Planned {
    let zone = &me.user().timezone;
    let time = match said.time.as_deref().map(|text| named_time(text, at, zone)) {
        None => None,
        Some(Some(time)) if time.duration_since(at) < FURTHEST_PLAN => Some(time),
        Some(_) => return Planned::NoSuchTime,
    };
    let date = me.date_at(time.unwrap_or(at));
    // A plan for a day that is over would end a streak by itself.
    if date < me.date_at(now) {
        return Planned::NoSuchTime;
    }
    // Known is what was open before this call was taken in: it may just have been logged.
    let open = me.progress();
    let same_name = |plan: &&Workout| plan.planned_activity.as_str().eq_ignore_ascii_case(said.activity.as_str());
    let named: Vec<&Workout> = open.agenda.all_on(date).filter(same_name).collect();
    if let Some(known) = named.iter().find(|plan| plan.planned_time == time || time.is_none()) {
        return Planned::At(Box::new((*known).clone()));
    }
    // The same thing at another time of the day is moved, not done twice.
    if let [plan] = named[..]
        && ledger.progress().agenda.plans().iter().any(|open| open.id == plan.id)
    {
        let moved = Workout { planned_time: time, reminded: false, updated_at: now, ..plan.clone() };
        ledger.change(moved.clone());
        return Planned::At(Box::new(moved));
    }
    if ledger.progress().agenda.is_full() {
        return Planned::Full;
    }
    let new = NewWorkout {
        planned_activity: said.activity,
        planned_time: time.unwrap_or(at),
        planned_duration_minutes: said.minutes,
    };
    let mut workout = workouts::planned(me, new, ReportedBy::Call, now);
    if time.is_none() {
        workout = Workout { planned_time: None, date, id: WorkoutId::generate_for_date(date), ..workout };
    }
    ledger.plan(workout.clone());
    Planned::At(Box::new(workout))
}

/// Words that a language model puts where nothing was said.
const NOTHING: [&str; 6] = ["", "none", "null", "n/a", "unknown", "nothing"];

/// What was said, unless that is a word for nothing.
pub(crate) fn said(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !NOTHING.contains(&text.to_lowercase().as_str()))
}

/// The status that a word of the agent names, however it is written.
pub(crate) fn status(word: &str) -> Option<WorkoutStatus> {
    Some(match word.trim().to_lowercase().replace([' ', '-'], "_").as_str() {
        "completed" => WorkoutStatus::Completed,
        "partial" => WorkoutStatus::Partial,
        "skipped" => WorkoutStatus::Skipped,
        "rest_day" | "rest" => WorkoutStatus::RestDay,
        _ => return None,
    })
}

/// Logs what was reported, on the local date of `at`; nothing when that day is kept already and no plan of it is open.
pub(crate) fn log(
    ledger: &mut Ledger<'_>,
    status: WorkoutStatus,
    activity: Option<Text<200>>,
    minutes: Option<u16>,
    at: Timestamp,
) -> Option<(Workout, Logged)> {
    let report = Report { status, actual_duration_minutes: minutes, source: ReportedBy::Call, at };
    let workout = ledger.subject(&report, activity)?;
    Some(ledger.log(&workout, &report))
}

/// What a call achieved by what was planned and logged in it. A rescue that ends in giving up failed, also where that was logged.
pub(crate) fn outcome(call: &Call, planned: bool, logged: Option<WorkoutStatus>) -> Outcome {
    match call.call_type {
        CallType::Rescue if planned || logged.is_some_and(WorkoutStatus::keeps_the_day) => Outcome::RescueSuccess,
        CallType::Rescue => Outcome::RescueFailed,
        _ if logged.is_some() => Outcome::WorkoutLogged,
        _ if planned => Outcome::WorkoutPlanned,
        _ => Outcome::NoCommitment,
    }
}

/// Notes what a call achieved. Where an operator said it before, their word stands.
pub(crate) fn achieved(stored: &mut StoredCall, outcome: Outcome) {
    if !stored.outcome_recorded {
        stored.call.outcome = Some(outcome);
    }
}

/// An open plan, with its time where it has one: "Run at 6pm tomorrow".
pub(crate) fn named_plan(me: &Me, plan: &Workout, now: Timestamp) -> String {
    match plan.planned_time {
        Some(time) => format!("{} at {}", plan.planned_activity.as_str(), spoken(me, time, now)),
        None => plan.planned_activity.as_str().to_owned(),
    }
}

/// A time as a voice says it where the user lives, with the day where it is not the day of `now`.
pub(crate) fn spoken(me: &Me, at: Timestamp, now: Timestamp) -> String {
    let zone = me.user().timezone.time_zone();
    let local = zone.to_datetime(at);
    let time = days::spoken_time(local.time());
    match days::days_between(zone.to_datetime(now).date(), local.date()) {
        0 => time,
        1 => format!("{time} tomorrow"),
        2..=6 => format!("{time} on {}", local.strftime("%A")),
        _ => format!("{time} on {}", local.strftime("%-d %B")),
    }
}
