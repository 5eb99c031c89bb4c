//! Workouts by id: planning them, changing them, logging them, undoing what was logged, and deleting them.

use ivy_domain::{
    Text, UserId, WorkoutId,
    workout::{ReportedBy, Workout, WorkoutStatus},
};
use jiff::{SignedDuration, Timestamp, civil::Date};

use crate::{
    Error, Ivy,
    completions::{Ledger, Logged, Report},
    idempotency::Once,
    retrying::{contended, until_settled},
    scores,
};

/// A workout that was logged may be changed for this long after it was logged first: a change does not prolong it.
const CHANGEABLE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How far ahead a workout may be planned.
const FURTHEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What a plan consists of.
#[derive(Debug, Clone)]
pub struct NewWorkout {
    pub planned_activity: Text<200>,
    pub planned_time: Timestamp,
    pub planned_duration_minutes: Option<u16>,
}

fn check_planned_time(ivy: &Ivy, me: &ivy_store::Me, planned: Timestamp) -> Result<(), Error> {
    let now = ivy.now();
    if planned < me.user().days().begins_at(me.date_at(now)) {
        return Err(Error::invalid("planned_time", "must not lie before today"));
    }
    if planned.duration_since(now) > FURTHEST {
        return Err(Error::invalid("planned_time", "must lie within a year"));
    }
    Ok(())
}

/// A new planned workout of a user, on the local date of its time.
#[must_use]
pub(crate) fn planned(me: &ivy_store::Me, new: NewWorkout, source: ReportedBy, now: Timestamp) -> Workout {
    let date = me.date_at(new.planned_time);
    Workout {
        id: WorkoutId::generate_for_date(date),
        user_id: me.id(),
        planned_activity: new.planned_activity,
        planned_time: Some(new.planned_time),
        planned: true,
        planned_duration_minutes: new.planned_duration_minutes,
        actual_duration_minutes: None,
        status: WorkoutStatus::Planned,
        date,
        timezone: me.user().timezone.clone(),
        source,
        donation_id: None,
        donation_decided: false,
        reminded: false,
        created_at: now,
        updated_at: now,
        logged_at: None,
        first_logged_at: None,
        too_old_for_streak: false,
        version: 0,
    }
}

/// Plans a workout.
///
/// # Errors
/// [`Error::Invalid`] for a time before today; conflicts `consent-withdrawn`, and `too-many-plans` when 60 are open.
pub async fn create_workout(
    ivy: &Ivy,
    user: UserId,
    new: NewWorkout,
    once: Option<&Once<Workout>>,
) -> Result<Workout, Error> {
    let new = &new;
    until_settled(ivy, || async move {
        let me = ivy.me(user).await?;
        check_planned_time(ivy, &me, new.planned_time)?;
        scores::consented(&me)?;
        let now = ivy.now();
        let mut ledger = Ledger::open(ivy, &me, now).await?;
        if ledger.progress().agenda.is_full() {
            let detail = "There are 60 open plans. Log or delete some first.".to_owned();
            return Err(Error::Conflict { slug: "too-many-plans", detail });
        }
        let workout = planned(&me, new.clone(), ReportedBy::Api, now);
        let stored = Workout { version: 1, ..workout.clone() };
        ledger.plan(workout);
        let mut transaction = ivy.store.transaction();
        ledger.write(&mut transaction)?;
        if let Some(once) = once {
            once.keep(&mut transaction, &ivy.store, &stored, now);
        }
        transaction.commit().await.map_err(contended)?;
        Ok(stored)
    })
    .await
}

/// Deletes a workout: an open plan at any time, a logged workout for as long as it may be changed. What was donated stays.
///
/// # Errors
/// Not found, also when it was deleted before; a conflict `too-late-to-change`.
pub async fn delete_workout(ivy: &Ivy, user: UserId, id: WorkoutId) -> Result<(), Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let (me, workout) = ivy.store.me_and_workout(user, id).await?;
        let me = me.ok_or(Error::NotFound("user"))?;
        let workout = workout.ok_or(Error::NotFound("workout"))?;
        if workout.status != WorkoutStatus::Planned {
            still_changeable(&workout, now)?;
        }
        let mut ledger = Ledger::open(ivy, &me, now).await?;
        ledger.delete(workout);
        let mut transaction = ivy.store.transaction();
        ledger.write(&mut transaction)?;
        transaction.commit().await.map_err(contended)
    })
    .await
}

fn still_changeable(workout: &Workout, now: Timestamp) -> Result<(), Error> {
    let logged_at = workout.told_first_at().unwrap_or(workout.updated_at);
    if now.duration_since(logged_at) > CHANGEABLE {
        let detail = "A logged workout can be changed for 7 days.".to_owned();
        return Err(Error::Conflict { slug: "too-late-to-change", detail });
    }
    Ok(())
}

/// Changes of a workout; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct WorkoutChanges {
    pub status: Option<WorkoutStatus>,
    pub actual_duration_minutes: Option<u16>,
    pub planned_activity: Option<Text<200>>,
    pub planned_time: Option<Timestamp>,
    pub planned_duration_minutes: Option<u16>,
}

impl WorkoutChanges {
    fn touches_the_plan(&self) -> bool {
        self.planned_activity.is_some() || self.planned_time.is_some() || self.planned_duration_minutes.is_some()
    }
}

/// Changes a workout: its plan while it is open, its status and duration when it is logged or corrected.
///
/// # Errors
/// Not found; [`Error::Invalid`]; conflicts `consent-withdrawn`, `not-planned`, `too-late-to-change` and `workout-lies-ahead`.
pub async fn update_workout(
    ivy: &Ivy,
    user: UserId,
    id: WorkoutId,
    changes: WorkoutChanges,
) -> Result<(Workout, Logged), Error> {
    let changes = &changes;
    until_settled(ivy, || async move {
        let now = ivy.now();
        let (me, workout) = ivy.store.me_and_workout(user, id).await?;
        let me = me.ok_or(Error::NotFound("user"))?;
        let before = workout.ok_or(Error::NotFound("workout"))?;
        scores::consented(&me)?;
        check(&before, changes, me.date_at(now), now)?;
        let mut ledger = Ledger::open(ivy, &me, now).await?;
        let mut workout = before.clone();
        change_plan(ivy, &me, &mut workout, changes)?;
        let moved = workout.date != before.date;
        let mut logged = Logged::default();
        match changes.status.filter(|status| *status != before.status) {
            Some(status) => {
                let report = Report {
                    status,
                    actual_duration_minutes: changes.actual_duration_minutes,
                    source: ReportedBy::Api,
                    at: now,
                };
                (workout, logged) = ledger.log(&workout, &report);
            }
            None => {
                workout.actual_duration_minutes = changes.actual_duration_minutes.or(workout.actual_duration_minutes);
                if workout == before {
                    return Ok((before, logged));
                }
                workout.updated_at = now;
                if moved { ledger.move_plan(workout.clone(), before.date) } else { ledger.change(workout.clone()) }
            }
        }
        let mut transaction = ivy.store.transaction();
        ledger.write(&mut transaction)?;
        transaction.commit().await.map_err(contended)?;
        workout.version += 1;
        Ok((workout, logged))
    })
    .await
}

fn check(before: &Workout, changes: &WorkoutChanges, today: Date, now: Timestamp) -> Result<(), Error> {
    let planned = before.status == WorkoutStatus::Planned;
    if changes.touches_the_plan() && !planned {
        let detail = format!("This workout is {}; only an open plan can be changed.", before.status.name());
        return Err(Error::Conflict { slug: "not-planned", detail });
    }
    if changes.touches_the_plan() && changes.status.is_some_and(|status| status != WorkoutStatus::Planned) {
        return Err(Error::invalid("status", "must not be sent together with changes of the plan"));
    }
    // Its day's cap and the streak go by the day: what lies ahead is moved to today first.
    if before.date > today && changes.status.is_some_and(|status| status != WorkoutStatus::Planned) {
        let detail = "This workout is planned for a day to come. Move its planned_time to today first.".to_owned();
        return Err(Error::Conflict { slug: "workout-lies-ahead", detail });
    }
    if planned {
        let open = changes.status.is_none_or(|status| status == WorkoutStatus::Planned);
        return match changes.actual_duration_minutes {
            Some(_) if open => {
                Err(Error::invalid("actual_duration_minutes", "must come with the status that logs the workout"))
            }
            _ => Ok(()),
        };
    }
    if changes.status == Some(WorkoutStatus::Planned) {
        return Err(Error::invalid("status", "must be completed, partial, skipped or rest_day"));
    }
    let other_status = changes.status.is_some_and(|status| status != before.status);
    let minutes = changes.actual_duration_minutes;
    let other_minutes = minutes.is_some() && minutes != before.actual_duration_minutes;
    if other_status || other_minutes { still_changeable(before, now) } else { Ok(()) }
}

fn change_plan(ivy: &Ivy, me: &ivy_store::Me, workout: &mut Workout, changes: &WorkoutChanges) -> Result<(), Error> {
    if let Some(activity) = &changes.planned_activity {
        workout.planned_activity = activity.clone();
    }
    if let Some(minutes) = changes.planned_duration_minutes {
        workout.planned_duration_minutes = Some(minutes);
    }
    if let Some(time) = changes.planned_time.filter(|time| Some(*time) != workout.planned_time) {
        check_planned_time(ivy, me, time)?;
        workout.planned_time = Some(time);
        workout.reminded = false;
        workout.timezone = me.user().timezone.clone();
        workout.date = me.date_at(time);
    }
    Ok(())
}
