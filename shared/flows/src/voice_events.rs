//! What Retell reports of a call: connected, ended, analysed.
//!
//! Events come late, twice, and in the wrong order, and the end is the same: each is remembered in the transaction of its
//! effects, the state machine takes only what goes forward, and an analysis that arrives first brings the end with it.
//! What was said (plans, logs, scores) is taken from the analysis once per call, whatever state the call is in by then, because
//! the person did say it.

use ivy_domain::{
    CallId, Text, UserId, WorkoutId,
    call::{Call, CallEnd, CallEvent, CallState, CallType, EndReason, Outcome, SHORTEST_TALK_SECONDS},
    days,
    scores::{Score, ScoreKind},
    workout::{ReportedBy, Workout, WorkoutStatus},
};
use ivy_providers::retell::{PostCallAnalysis, RetellCall, RetellEvent};
use ivy_store::{Contact, Me, StoredCall, Transaction, Transcript};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Ivy, calls,
    completions::{Ledger, Report},
    metrics,
    retrying::{contended, until_settled},
    workouts::{self, NewWorkout},
};

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Its effects were written.
    Applied,
    /// It was there before.
    Duplicate,
    /// It is about no call of ours, or of a kind that we do not use.
    Ignored,
}

/// Plans from a call may lie this far ahead.
const FURTHEST_PLAN: SignedDuration = SignedDuration::from_hours(60 * 24);
/// A day of activity has no more minutes.
const MOST_MINUTES: u32 = 1440;

/// Takes an event of the voice provider.
///
/// # Errors
/// When the table fails or the items keep changing; the provider delivers the event again.
pub async fn call_event(ivy: &Ivy, event: &RetellEvent) -> Result<Taken, Error> {
    let Some((user, id)) = ours(&event.call) else {
        tracing::info!(event = "call_event_of_no_call_of_ours", kind = event.event);
        return Ok(Taken::Ignored);
    };
    if !matches!(event.event.as_str(), "call_started" | "call_ended" | "call_analyzed") {
        return Ok(Taken::Ignored);
    }
    until_settled(ivy, || take(ivy, event, user, id)).await
}

fn ours(call: &RetellCall) -> Option<(UserId, CallId)> {
    let metadata = call.metadata.as_ref()?;
    Some((metadata.user_id.as_deref()?.parse().ok()?, metadata.call_id.as_deref()?.parse().ok()?))
}

async fn take(ivy: &Ivy, event: &RetellEvent, user: UserId, id: CallId) -> Result<Taken, Error> {
    let now = ivy.now();
    let event_id = format!("{}#{}", event.call.call_id, event.event);
    let (me, stored, seen) = ivy.store.me_and_call(user, id, Some(("retell", &event_id))).await?;
    if seen {
        return Ok(Taken::Duplicate);
    }
    let (Some(me), Some(before)) = (me, stored) else {
        tracing::info!(event = "call_gone", call_id = %id, user_id = %user);
        return Ok(Taken::Ignored);
    };
    let mut transaction = ivy.store.transaction();
    transaction.processed_event("retell", &event_id, now);
    let mut stored = follow(&mut transaction, &me, &before, event, now)?;
    let mut contact = me.contact.clone();
    heard(&mut contact, &before.call, &stored.call);
    if event.event == "call_analyzed" {
        take_analysis(ivy, &mut transaction, &me, &mut stored, &event.call, now).await?;
    }
    if contact != me.contact {
        transaction.contact(user, &contact);
    }
    if stored != before {
        transaction.call(&stored);
    }
    match transaction.commit().await {
        Ok(()) => {}
        Err(error) if error.failed("event") => return Ok(Taken::Duplicate),
        Err(error) => return Err(contended(error)),
    }
    count(&before.call, &stored.call);
    let attempt_over = matches!(before.call.state, CallState::Initiating | CallState::InProgress)
        && !matches!(stored.call.state, CallState::Initiating | CallState::InProgress);
    if attempt_over {
        calls::release(ivy, &before).await;
    }
    Ok(Taken::Applied)
}

/// Whether the provider speaks of the attempt that the call is in, or was in last.
fn is_current(call: &Call, told: &RetellCall) -> bool {
    let attempt = told.metadata.as_ref().and_then(|metadata| metadata.attempt_id.as_deref());
    call.is_current_attempt(attempt, Some(&told.call_id))
}

/// Moves the call by what the event says of it. Events of an attempt that is over move nothing.
fn follow(
    transaction: &mut Transaction<'_>,
    me: &Me,
    before: &StoredCall,
    event: &RetellEvent,
    now: Timestamp,
) -> Result<StoredCall, Error> {
    if !is_current(&before.call, &event.call) {
        return Ok(before.clone());
    }
    let mut stored = before.clone();
    let mut steps = Vec::new();
    // The webhook may be quicker than the answer of the create call.
    if stored.call.attempt.as_ref().is_some_and(|attempt| attempt.provider_call_id.is_none()) {
        steps.push(CallEvent::Accepted { provider_call_id: event.call.call_id.clone() });
    }
    let started_at = event.call.started_at().unwrap_or(now);
    match event.event.as_str() {
        "call_started" => steps.push(CallEvent::Connected { at: started_at }),
        _ => {
            let end = call_end(&event.call, now);
            if end.end == EndReason::Talked && stored.call.state == CallState::Initiating {
                steps.push(CallEvent::Connected { at: started_at });
            }
            steps.push(CallEvent::Ended(end));
        }
    }
    for step in &steps {
        match calls::apply(transaction, me, &stored, step, now)? {
            Ok(next) => stored = next,
            Err(error) if error.is_stale() => {}
            Err(error) => tracing::warn!(event = "call_event_does_not_fit", call_id = %before.call.id, %error),
        }
    }
    Ok(stored)
}

fn call_end(call: &RetellCall, now: Timestamp) -> CallEnd {
    let duration_seconds = call.duration_ms.and_then(|ms| u32::try_from(ms / 1000).ok());
    let connected = call.call_status.as_deref() == Some("ended") && duration_seconds.is_some_and(|s| s > 0);
    let reason = call.disconnection_reason.as_deref().unwrap_or_default();
    let user_spoke =
        call.transcript.as_ref().map(|transcript| transcript.lines().any(|line| line.starts_with("User:")));
    CallEnd {
        at: call.ended_at().unwrap_or(now),
        duration_seconds,
        // The analysis has no say in it, so that the end is the same whichever event comes first.
        end: EndReason::from_disconnection(reason, connected),
        user_spoke,
    }
}

/// What the alarms on pickup, completion and duration watch. A voicemail that picked up is no answer.
fn count(before: &Call, after: &Call) {
    let ended = matches!(before.state, CallState::Initiating | CallState::InProgress) && before.state != after.state;
    let completed = ended && after.state == CallState::Completed;
    let hung_up = ended && before.state == CallState::InProgress && after.state != CallState::InProgress;
    if completed || (hung_up && after.outcome != Some(Outcome::Voicemail)) {
        metrics::count("call_answered", &[]);
    }
    if completed {
        metrics::count("call_completed", &[]);
        if let Some(seconds) = after.duration_seconds {
            metrics::seconds("call_duration_seconds", seconds.into());
        }
    }
}

/// Whether an attempt was a conversation, by its own account: it may have been given up here while its news was lost.
fn was_a_talk(call: &RetellCall, now: Timestamp) -> bool {
    let end = call_end(call, now);
    let long_enough = end.duration_seconds.is_some_and(|seconds| seconds >= SHORTEST_TALK_SECONDS);
    end.end == EndReason::Talked && (long_enough || end.user_spoke == Some(true))
}

/// A completed call is a sign of life, and the first one is behind us.
fn heard(contact: &mut Contact, before: &Call, after: &Call) {
    if after.state == CallState::Completed && before.state != CallState::Completed {
        contact.answered_call_at = contact.answered_call_at.max(after.ended_at);
        contact.onboarding_call_done = true;
    }
}

/// Takes in what the call achieved: plans, logs, scores, markers, the outcome, and the words, sealed.
async fn take_analysis(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    me: &Me,
    stored: &mut StoredCall,
    call: &RetellCall,
    now: Timestamp,
) -> Result<(), Error> {
    // The analysis of an attempt that is over must not stand for that of the attempt that followed it; but what was said in
    // it was said. Each event is taken once, so this happens once as well.
    let current = is_current(&stored.call, call);
    if current && stored.analyzed {
        return Ok(());
    }
    stored.analyzed |= current;
    let analysis = call.call_analysis.as_ref();
    let voicemail = analysis.and_then(|analysis| analysis.in_voicemail) == Some(true);
    let completed = current && stored.call.state == CallState::Completed;
    if completed && voicemail {
        achieved(stored, Outcome::Voicemail);
        return Ok(());
    }
    let talked = !voicemail && (completed || was_a_talk(call, now));
    let words = Transcript {
        transcript: call.transcript.clone(),
        summary: analysis.and_then(|analysis| analysis.call_summary.clone()),
        recording_url: call.recording_url.clone(),
        context: None,
    };
    if words != Transcript::default() && (current || talked) {
        transaction.transcript(stored, &words, &me.profile.cipher, now);
    }
    let Some(found) = analysis.and_then(|analysis| analysis.custom_analysis_data.clone()).filter(|_| talked) else {
        if completed {
            achieved(stored, outcome(stored.call.call_type, false, false));
        }
        return Ok(());
    };
    let mut ledger = Ledger::open(ivy, me, now).await?;
    let at = call.started_at().or(stored.call.started_at).unwrap_or(now);
    // The report first: what is planned in the same call lies ahead, and is not what was done.
    let logged = log(&mut ledger, &found, at);
    let planned = plan(&mut ledger, me, &found, at, now, logged);
    for (kind, score) in
        [(ScoreKind::Energy, found.energy), (ScoreKind::Mood, found.mood), (ScoreKind::Confidence, found.confidence)]
    {
        if let Some(score) = score.and_then(|score| Score::try_from(i64::from(score)).ok()) {
            ledger.score(kind, score, at);
        }
    }
    if let Some(marker) = found.life_marker.as_deref().and_then(Text::truncated) {
        ledger.marker(marker);
    }
    ledger.write(transaction)?;
    if completed {
        achieved(stored, outcome(stored.call.call_type, planned, logged));
    }
    if found.safety_flag == Some(true) {
        tracing::error!(event = "safety_flag", call_id = %stored.call.id, user_id = %me.id());
    }
    Ok(())
}

/// Notes what the analysis says the call achieved. Where an operator said it before, their word stands.
fn achieved(stored: &mut StoredCall, outcome: Outcome) {
    if !stored.outcome_recorded {
        stored.call.outcome = Some(outcome);
    }
}

fn outcome(call_type: CallType, planned: bool, logged: bool) -> Outcome {
    match call_type {
        CallType::Rescue if planned || logged => Outcome::RescueSuccess,
        CallType::Rescue => Outcome::RescueFailed,
        _ if logged => Outcome::WorkoutLogged,
        _ if planned => Outcome::WorkoutPlanned,
        _ => Outcome::NoCommitment,
    }
}

/// A plan that was made in the call. The same plan made twice (by a tool, by the analysis) is one plan.
fn plan(
    ledger: &mut Ledger<'_>,
    me: &Me,
    found: &PostCallAnalysis,
    at: Timestamp,
    now: Timestamp,
    logged: bool,
) -> bool {
    let Some(activity) = found.planned_activity.as_deref().and_then(Text::<200>::truncated) else { return false };
    let minutes =
        found.planned_duration_minutes.filter(|m| (1..=MOST_MINUTES).contains(m)).and_then(|m| u16::try_from(m).ok());
    let time = found.planned_time.as_deref().and_then(|text| spoken_time(text, me, at));
    // Without a time, beside a report, the activity names what was done.
    if logged && time.is_none() {
        return false;
    }
    let today = me.date_at(at);
    let date = time.map_or(today, |time| me.date_at(time));
    // Known is what was open before this call was taken in: it may just have been logged.
    let known = me
        .progress()
        .agenda
        .plans()
        .iter()
        .any(|plan| plan.date == date && plan.planned_time == time && plan.planned_activity == activity);
    if known || ledger.progress().agenda.is_full() {
        return known;
    }
    let new =
        NewWorkout { planned_activity: activity, planned_time: time.unwrap_or(at), planned_duration_minutes: minutes };
    let mut workout = workouts::planned(me, new, ReportedBy::Call, now);
    if time.is_none() {
        workout = Workout { planned_time: None, date: today, id: WorkoutId::generate_for_date(today), ..workout };
    }
    ledger.plan(workout);
    true
}

/// A time that the analysis names: RFC 3339, or a local time of the day of the call.
fn spoken_time(text: &str, me: &Me, at: Timestamp) -> Option<Timestamp> {
    // What is said goes by the clock on the wall, also on the day of a move.
    let zone = &me.user().timezone;
    let today = days::local_date(at, zone);
    let time = text.parse::<Timestamp>().ok().or_else(|| {
        let local: jiff::civil::Time = text.parse().ok()?;
        // "At seven", said at eight in the evening, is tomorrow.
        let first = days::instant(today, local, zone);
        Some(if first < at { days::instant(days::plus_days(today, 1), local, zone) } else { first })
    })?;
    // A plan for a day that is over would end a streak by itself.
    (time >= me.user().days().begins_at(me.date_at(at)) && time.duration_since(at) < FURTHEST_PLAN).then_some(time)
}

/// A report that was made in the call, on the local date of its start.
fn log(ledger: &mut Ledger<'_>, found: &PostCallAnalysis, at: Timestamp) -> bool {
    let status = match found.workout_status.as_deref() {
        Some("completed") => WorkoutStatus::Completed,
        Some("partial") => WorkoutStatus::Partial,
        Some("skipped") => WorkoutStatus::Skipped,
        Some("rest_day" | "rest") => WorkoutStatus::RestDay,
        _ => return false,
    };
    let minutes =
        found.actual_duration_minutes.filter(|m| (1..=MOST_MINUTES).contains(m)).and_then(|m| u16::try_from(m).ok());
    let report = Report { status, actual_duration_minutes: minutes, source: ReportedBy::Call, at };
    let activity = found.planned_activity.as_deref().and_then(Text::truncated);
    if let Some(workout) = ledger.subject(&report, activity) {
        ledger.log(&workout, &report);
    }
    true
}
