//! What Retell reports of a call: connected, ended, analysed.
//!
//! Events come late, twice, and in the wrong order, and the end is the same: each is remembered in the transaction of its
//! effects, the state machine takes only what goes forward, and an analysis that arrives first brings the end with it.
//! What was said (plans, logs, scores) is taken from the analysis once per call, whatever state the call is in by then, because
//! the person did say it.
//!
//! Where a tool and the analysis tell of the same thing, the tool has done it and the analysis is not asked. Where they
//! contradict each other (the tool logged "completed", the analysis reads "skipped") the tool's word stands: the person heard
//! it and could put it right; the contradiction is counted. A pause outranks a call back that is told of beside it.

use ivy_domain::{
    CallId, Text, UserId,
    call::{Call, CallEnd, CallEvent, CallState, Direction, EndReason, Outcome, SHORTEST_TALK_SECONDS},
    scores::{Score, ScoreKind},
    times::named_time,
    workout::WorkoutStatus,
};
use ivy_providers::retell::{PostCallAnalysis, RetellCall, RetellEvent};
use ivy_store::{Contact, Me, StoredCall, Transaction, Transcript};
use jiff::Timestamp;

use crate::{
    Error, Ivy, calls,
    completions::Ledger,
    conversation::{self, Plan, Planned, achieved},
    metrics,
    outbox::{self, Effect, ReviewReason},
    retrying::{contended, until_settled},
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

/// Whose call it is, and which.
pub(crate) fn ours(call: &RetellCall) -> Option<(UserId, CallId)> {
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
    let mut stored = follow(ivy, &mut transaction, &me, &before, event, now)?;
    if event.event == "call_analyzed" {
        take_analysis(ivy, &mut transaction, &me, &mut stored, &event.call, now).await?;
    }
    if let Some(said_at) = asked_for_no_more_calls(event, now) {
        // By itself: the waiting calls that it cancels may be the very ones that this event moves.
        outbox::add(&mut transaction, &Effect::StopCallsAfterCall { user_id: user, said_at }, now)?;
    }
    let mut contact = me.contact.clone();
    heard(&mut contact, &before, &stored);
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

/// When the person said to the provider that they want no more calls, if they did.
fn asked_for_no_more_calls(event: &RetellEvent, now: Timestamp) -> Option<Timestamp> {
    let asked = event.call.disconnection_reason.as_deref() == Some("user_requested_dnc");
    asked.then(|| event.call.ended_at().unwrap_or(now))
}

/// Whether the provider speaks of the attempt that the call is in, or was in last.
pub(crate) fn is_current(call: &Call, told: &RetellCall) -> bool {
    let attempt = told.metadata.as_ref().and_then(|metadata| metadata.attempt_id.as_deref());
    call.is_current_attempt(attempt, Some(&told.call_id))
}

/// Moves the call by what the event says of it. Events of an attempt that is over move nothing.
fn follow(
    ivy: &Ivy,
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
    if let (Some(attempt), Some(sid)) = (
        stored.call.attempt.as_mut(),
        event.call.telephony_identifier.as_ref().and_then(|identifier| identifier.twilio_call_sid.as_deref()),
    ) {
        attempt.carrier_call_id = Some(ivy.store.provider_id(sid));
    }
    let mut steps = Vec::new();
    // The webhook may be quicker than the answer of the create call.
    if stored.call.attempt.as_ref().is_some_and(|attempt| attempt.provider_call_id.is_none()) {
        steps.push(CallEvent::Accepted { provider_call_id: event.call.call_id.clone() });
    }
    let started_at = event.call.started_at().unwrap_or(now);
    match event.event.as_str() {
        "call_started" => steps.push(CallEvent::Connected { at: started_at }),
        _ => {
            let end = call_end(&event.call, stored.call.state == CallState::InProgress, now);
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

/// How the attempt ended. That it had connected shows in more than one way: a talk may end in an error of the provider's and be
/// a talk all the same.
fn call_end(call: &RetellCall, in_progress: bool, now: Timestamp) -> CallEnd {
    let lasted = call.started_at().zip(call.ended_at()).map(|(start, end)| end.duration_since(start).as_millis());
    let milliseconds = call.duration_ms.map(i128::from).or(lasted).filter(|milliseconds| *milliseconds > 0);
    let duration_seconds = milliseconds.and_then(|milliseconds| u32::try_from(milliseconds / 1000).ok());
    let words = call.transcript.as_ref().filter(|transcript| !transcript.trim().is_empty());
    let user_spoke = words.map(|transcript| transcript.lines().any(|line| line.starts_with("User:")));
    let connected = match call.call_status.as_deref() {
        Some("not_connected") => false,
        _ => in_progress || call.duration_ms.is_some_and(|ms| ms > 0) || user_spoke == Some(true),
    };
    CallEnd {
        at: call.ended_at().unwrap_or(now),
        duration_seconds: duration_seconds.filter(|_| connected),
        end: EndReason::from_disconnection(call.disconnection_reason.as_deref().unwrap_or_default(), connected),
        user_spoke,
    }
}

/// What the alarms on pickup, completion and duration watch. A voicemail that picked up is no answer.
fn count(before: &Call, after: &Call) {
    // Nobody tried to reach who called by themselves.
    if after.direction == Direction::Inbound {
        return;
    }
    // The provider took it and then did not place it.
    if after.attempts < before.attempts {
        let cause = after.history.iter().rev().find(|step| step.to.waits()).map_or("", |step| step.cause.as_str());
        metrics::count("retell_api_error", &[("kind", cause)]);
        tracing::error!(event = "call_not_placed", call_id = %after.id, cause);
    }
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
    let end = call_end(call, false, now);
    let long_enough = end.duration_seconds.is_some_and(|seconds| seconds >= SHORTEST_TALK_SECONDS);
    end.end == EndReason::Talked && (long_enough || end.user_spoke == Some(true))
}

/// A completed call is a sign of life. That it was the first one is sure only when its analysis found no machine in it.
fn heard(contact: &mut Contact, before: &StoredCall, after: &StoredCall) {
    let completed = after.call.state == CallState::Completed;
    if completed && before.call.state != CallState::Completed {
        contact.answered_call_at = contact.answered_call_at.max(after.call.ended_at);
    }
    if !completed && before.call.state == CallState::Completed && contact.answered_call_at == before.call.ended_at {
        // It was a machine: nobody was heard.
        contact.answered_call_at = None;
    }
    contact.onboarding_call_done |= completed && after.analyzed;
}

/// Takes in what the call achieved: plans, logs, scores, markers, what was agreed on, the outcome, and the words, sealed.
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
    let found = analysis.and_then(|analysis| analysis.custom_analysis_data.clone()).unwrap_or_default();
    let in_danger = found.safety_flag == Some(true);
    // Who used a tool was there, whatever the analysis takes them for; and a word of danger is looked at, whoever said it.
    if stored.told.is_empty() && !in_danger && analysis.and_then(|analysis| analysis.in_voicemail) == Some(true) {
        return found_voicemail(transaction, me, stored, current, now);
    }
    let completed = current && stored.call.state == CallState::Completed;
    let talked = completed || was_a_talk(call, now);
    let words = Transcript {
        transcript: call.transcript.clone(),
        summary: analysis.and_then(|analysis| analysis.call_summary.clone()),
        recording_url: call.recording_url.clone(),
        context: None,
    };
    if words != Transcript::default() && (current || talked) {
        transaction.transcript(stored, &words, &me.profile.cipher, now);
    }
    let at = call.started_at().or(stored.call.started_at).unwrap_or(now);
    let heard = Heard { ivy, me, found: &found, at, now };
    if talked {
        let (planned, logged) = heard.take(transaction, stored).await?;
        if completed {
            let outcome = conversation::outcome(&stored.call, planned, logged);
            achieved(stored, outcome);
        }
        heard.agree(transaction, stored).await?;
    }
    if talked || in_danger {
        heard.review(transaction, stored, analysis.and_then(|analysis| analysis.user_sentiment.as_deref()))?;
    }
    Ok(())
}

/// A machine took the call. What had looked like a talk was none: the ladder goes on, as if the end had said so.
fn found_voicemail(
    transaction: &mut Transaction<'_>,
    me: &Me,
    stored: &mut StoredCall,
    current: bool,
    now: Timestamp,
) -> Result<(), Error> {
    if current && stored.call.state == CallState::Completed {
        if let Ok(next) = calls::apply(transaction, me, stored, &CallEvent::VoicemailFound, now)? {
            *stored = next;
        } else {
            achieved(stored, Outcome::Voicemail);
        }
    }
    Ok(())
}

/// What an analysis found in a talk that began at `at`.
struct Heard<'a> {
    ivy: &'a Ivy,
    me: &'a Me,
    found: &'a PostCallAnalysis,
    at: Timestamp,
    now: Timestamp,
}

impl Heard<'_> {
    /// Takes in what no tool has done; whether something was planned and logged in the call, by whomever.
    async fn take(
        &self,
        transaction: &mut Transaction<'_>,
        stored: &StoredCall,
    ) -> Result<(bool, Option<WorkoutStatus>), Error> {
        let Self { found, at, now, .. } = *self;
        let told = &stored.told;
        let mut ledger = Ledger::open(self.ivy, self.me, now).await?;
        // The report first: what is planned in the same call lies ahead, and is not what was done.
        let reported = found.workout_status.as_deref().and_then(conversation::status);
        if let Some(read) = reported
            && !told.logs.is_empty()
            && told.logs.iter().all(|log| log.status != read)
        {
            metrics::count("analysis_contradicts_tool", &[]);
            tracing::warn!(event = "analysis_contradicts_tool", call_id = %stored.call.id, user_id = %self.me.id());
        }
        let reported = reported.filter(|_| told.logs.is_empty());
        if let Some(status) = reported {
            let minutes = conversation::minutes(found.actual_duration_minutes);
            conversation::log(&mut ledger, status, self.activity(), minutes, at);
        }
        let logged = told.logged().or(reported);
        let planned = told.planned || self.plan(&mut ledger, logged.is_some());
        let scores = [
            (ScoreKind::Energy, found.energy),
            (ScoreKind::Mood, found.mood),
            (ScoreKind::Confidence, found.confidence),
        ];
        for (kind, score) in scores.into_iter().filter(|(kind, _)| !told.scores.contains(kind)) {
            if let Some(score) = score.and_then(|score| Score::try_from(i64::from(score)).ok()) {
                ledger.score(kind, score, at);
            }
        }
        let marker = conversation::said(found.life_marker.as_deref()).and_then(Text::truncated);
        if let Some(marker) = marker.filter(|_| !told.marked) {
            ledger.marker(marker);
        }
        ledger.write(transaction)?;
        Ok((planned, logged))
    }

    /// What was planned, or done, in their words.
    fn activity(&self) -> Option<Text<200>> {
        conversation::said(self.found.planned_activity.as_deref()).and_then(Text::truncated)
    }

    /// A plan that was made in the call; whether there was one. Beside a report, an activity without a time names what was done.
    fn plan(&self, ledger: &mut Ledger<'_>, logged: bool) -> bool {
        let found = self.found;
        let Some(activity) = self.activity() else { return false };
        let time = conversation::said(found.planned_time.as_deref()).map(str::to_owned);
        if logged && time.is_none() {
            return false;
        }
        let minutes = conversation::minutes(found.planned_duration_minutes);
        let plan = Plan { activity, time, minutes };
        match conversation::plan(ledger, self.me, plan, self.at, self.now) {
            Planned::At(_) => true,
            Planned::NoSuchTime => {
                metrics::count("plan_without_time", &[]);
                tracing::warn!(event = "plan_without_time", user_id = %self.me.id());
                false
            }
            Planned::Full => false,
        }
    }

    /// What was agreed on for the time after the call: a pause, or a call back.
    async fn agree(&self, transaction: &mut Transaction<'_>, stored: &StoredCall) -> Result<(), Error> {
        let told = &stored.told;
        if told.paused || told.opted_out {
            return Ok(());
        }
        if self.found.wants_pause == Some(true) {
            // In a transaction of its own: the streak's freeze and what was logged here are the same item.
            let effect = Effect::PauseAfterCall { user_id: self.me.id(), call_id: stored.call.id };
            return outbox::add(transaction, &effect, self.now);
        }
        let said = conversation::said(self.found.reschedule_to.as_deref());
        let Some(said) = said.filter(|_| !told.follow_up) else { return Ok(()) };
        let time = named_time(said, self.at, &self.me.user().timezone);
        let Some(time) = time.filter(|time| *time > self.now) else {
            tracing::info!(event = "call_back_without_time", call_id = %stored.call.id);
            return Ok(());
        };
        let agreed = self.ivy.store.call(self.me.id(), calls::follow_up_id(&stored.call)).await?;
        let me = self.me.clone().at(self.now);
        calls::add_follow_up(transaction, &me, (&stored.call, agreed.as_ref()), time, self.now).map(|_| ())
    }

    /// Has a person look at the call where one should.
    fn review(
        &self,
        transaction: &mut Transaction<'_>,
        stored: &StoredCall,
        sentiment: Option<&str>,
    ) -> Result<(), Error> {
        let (user_id, call_id) = (self.me.id(), stored.call.id);
        // The provider's own reading, and that of the field that we ask for.
        let negative = [sentiment, self.found.sentiment.as_deref()]
            .iter()
            .flatten()
            .any(|read| read.trim().eq_ignore_ascii_case("negative"));
        let unhappy = negative || stored.call.outcome == Some(Outcome::RescueFailed);
        let reason = if self.found.safety_flag == Some(true) {
            metrics::count("safety_flag", &[]);
            tracing::error!(event = "safety_flag", %call_id, %user_id);
            ReviewReason::Safety
        } else if self.me.user().subscription_type.rules().human_review && unhappy {
            ReviewReason::Unhappy
        } else {
            return Ok(());
        };
        outbox::add(transaction, &Effect::Review { user_id, call_id, reason }, self.now)
    }
}
