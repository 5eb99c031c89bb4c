//! Dialling: a due call is checked, claimed, and placed; and the sweep that ends what nobody ends.
//!
//! ```text
//! place-call                         table                        provider
//!   read call and user ──────────────▶
//!   claim, slot, line (one trans.) ──▶ initiating, attempt id, what the agent is told
//!   create call, key = attempt id ───────────────────────────────▶ rings
//!   accepted (provider's id) ────────▶ lease renewed
//! ```
//! - Two workers: the claim is conditional on the call's version; the second stops. Two calls of one user: the claim takes the
//!   user's line as well, so the second waits until the first is over.
//! - A crash or a lost answer after the create call: the attempt is *unknown*. It is settled by asking the provider for a call
//!   with our attempt id, and only if there is none, by the same request with the same idempotency key. Nothing else may dial.
//! - A crash before it, or a provider that fails: the lease ends, the sweep finds no call at the provider, and the attempt is given
//!   back. It is made again under its own id, so that a call which the list did not show yet rings no second time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ivy_domain::{
    CallId, Tier, User, UserId,
    call::{self, CallEvent, CallPolicy, CallState, CallType, Start},
    ids::stable_hash,
    variables::{CallContext, PlannedToday, variables},
};
use ivy_providers::{
    Class, ProviderError,
    retell::{CallMetadata, CreatePhoneCall, CreatedCall, LATEST_PUBLISHED, Retell, RetellCall, RetellEvent},
};
use ivy_store::{Line, Me, Slot, StoreError, StoredCall, Transcript, keys};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{
    Error, Ivy, calls, messages, metrics,
    outbox::{DueCall, json},
    ports::{Queue, Queues},
    retrying::{contended, until_settled},
    voice_events::{self, Taken},
};

/// A queue holds a message back for at most this long.
const LONGEST_DELAY_SECONDS: u64 = 900;
/// A call without a free slot, or whose user's line is busy, asks again after this long.
const NO_SLOT_DELAY: Duration = Duration::from_secs(20);
/// A waiting call that is overdue by this much was not woken: the sweep wakes it.
const OVERDUE: SignedDuration = SignedDuration::from_mins(2);
/// A sweep asks the provider for no longer than this.
const LONGEST_SWEEP: Duration = Duration::from_secs(18);
/// An analysis that the provider has not made so long after the talk never comes.
const ANALYSIS_AWAITED: SignedDuration = SignedDuration::from_hours(6);
/// From one look for an analysis to the next.
const ASKED_AGAIN: SignedDuration = SignedDuration::from_mins(30);
/// How far ahead full slots are foreseen.
const FORECAST: SignedDuration = SignedDuration::from_mins(15);
/// From claim to end, as calls usually go.
const USUAL_CALL_SECONDS: u64 = 180;
/// Calls that one sweep looks at in each shard.
const SWEPT: u32 = 100;

/// What came of a due call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// The provider has it.
    Dialled,
    /// It waits: too early, no slot, or the provider took nothing.
    Waits,
    /// It ended without being dialled.
    Ended,
    /// The attempt's fate is not known yet; the sweep settles it.
    Unknown,
    /// Nothing to do: gone, claimed by another, or planned differently meanwhile.
    Stale,
}

/// Takes a due call.
///
/// # Errors
/// When the table or a queue fails; the job is delivered again.
pub async fn place_call(ivy: &Ivy, retell: &Retell, queues: &dyn Queues, due: &DueCall) -> Result<Placed, Error> {
    let claimed = until_settled(ivy, || claim(ivy, queues, due)).await?;
    let (me, stored, variables) = match claimed {
        Claim::Claimed(claimed) => *claimed,
        Claim::Not(placed) => return Ok(placed),
    };
    let answer = dial(retell, &request(ivy, &me, &stored, variables)).await;
    settle(ivy, &me, &stored, answer).await
}

enum Claim {
    /// With what the agent is told.
    Claimed(Box<(Me, StoredCall, BTreeMap<String, String>)>),
    Not(Placed),
}

/// Checks a due call again and claims it with a slot, in one transaction. What the agent will be told is kept in it as well: the
/// provider's answer may be lost, and the call be talked on all the same.
async fn claim(ivy: &Ivy, queues: &dyn Queues, due: &DueCall) -> Result<Claim, Error> {
    let now = ivy.now();
    let (me, stored, _) = ivy.store.me_and_call(due.user_id, due.call_id, None).await?;
    let (Some(me), Some(stored)) = (me.map(|me| me.at(now)), stored) else {
        tracing::info!(event = "call_gone", call_id = %due.call_id, user_id = %due.user_id);
        return Ok(Claim::Not(Placed::Stale));
    };
    if !stored.call.state.waits() || stored.call.due_at != due.due_at {
        return Ok(Claim::Not(Placed::Stale));
    }
    match call::may_start(&stored.call, now) {
        Start::Now => {}
        Start::TooEarly => {
            let seconds =
                stored.call.due_at.max(stored.call.window.opens_at).duration_since(now).as_secs().unsigned_abs();
            let delay = Duration::from_secs((seconds + 1).min(LONGEST_DELAY_SECONDS));
            queues.send(Queue::DueCalls, json(due)?, delay).await?;
            return Ok(Claim::Not(Placed::Waits));
        }
        Start::WindowClosed => return end(ivy, &me, &stored, &CallEvent::WindowClosed, now).await,
    }
    if nothing_left_to_ask(&me, &stored) {
        let event = CallEvent::Cancelled { by: "logged_meanwhile".to_owned() };
        return end(ivy, &me, &stored, &event, now).await;
    }
    if !me.user().may_be_called() {
        let event = CallEvent::Cancelled { by: "not_callable".to_owned() };
        return end(ivy, &me, &stored, &event, now).await;
    }
    let attempt_id = stored.call.attempt_to_repeat().map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    let Some(slot) = free_slot(ivy, stored.call.call_type, &attempt_id, now).await? else {
        tracing::warn!(event = "no_free_slot", call_id = %due.call_id);
        return put_off(ivy, queues, &stored, now).await;
    };
    let others = others(ivy, &me).await;
    let mut transaction = ivy.store.transaction();
    let claimed = match calls::apply(&mut transaction, &me, &stored, &CallEvent::Claimed { attempt_id }, now)? {
        Ok(claimed) => StoredCall { slot: Some(slot.number), analyzed: false, ..claimed },
        Err(error) => return Err(Error::Impossible(error.to_string())),
    };
    let line = Line { call_id: due.call_id, attempt_id: slot.attempt_id.clone(), lease_until: slot.lease_until };
    let variables = variables_of(&me, &claimed, &others, now);
    let words = Transcript { context: Some(json(&variables)?), ..Transcript::default() };
    transaction.take_slot(&slot, now).take_line(due.user_id, &line, now).call(&claimed);
    transaction.transcript(&claimed, &words, &me.profile.cipher, now);
    match transaction.commit().await {
        Ok(()) => {}
        // Another call of theirs rings or is talked on.
        Err(error) if error.failed("line") => {
            tracing::info!(event = "line_busy", call_id = %due.call_id);
            calls::line_is_busy(ivy, due.user_id, now).await?;
            return put_off(ivy, queues, &stored, now).await;
        }
        // Another worker has the call; or only the slot was taken meanwhile, and another may be free.
        Err(error) if error.failed("call") => return Ok(Claim::Not(Placed::Stale)),
        Err(error) => return Err(contended(error)),
    }
    let lag_seconds = now.duration_since(stored.call.due_at).as_secs();
    metrics::count("call_attempted", &[]);
    metrics::seconds("scheduler_lag_seconds", lag_seconds);
    tracing::info!(
        event = "call_initiated",
        call_id = %claimed.call.id,
        user_id = %claimed.call.user_id,
        call_type = claimed.call.call_type.name(),
        attempt = claimed.call.attempts,
        lag_seconds,
    );
    let mut claimed = claimed;
    claimed.call.version += 1;
    Ok(Claim::Claimed(Box::new((me, claimed, variables))))
}

/// Whether a retry has lost its point: who logged after the evening's missed call is not rung up to be asked how it went.
fn nothing_left_to_ask(me: &Me, stored: &StoredCall) -> bool {
    let StoredCall { call, .. } = stored;
    call.state == CallState::Retry
        && call.call_type == CallType::EveningReview
        && call.attempt.as_ref().is_some_and(|attempt| me.counters.last_logged_at > Some(attempt.claimed_at))
}

/// Puts a call off for some seconds. Its due time moves, so every older wake-up of it is out of date and they do not multiply.
async fn put_off(ivy: &Ivy, queues: &dyn Queues, stored: &StoredCall, now: Timestamp) -> Result<Claim, Error> {
    let mut later = stored.clone();
    later.call.due_at = now + NO_SLOT_DELAY;
    let mut transaction = ivy.store.transaction();
    transaction.call(&later);
    match transaction.commit().await {
        Ok(()) => {}
        Err(StoreError::ConditionFailed(_)) => return Ok(Claim::Not(Placed::Stale)),
        Err(error) => return Err(error.into()),
    }
    let due = DueCall { user_id: later.call.user_id, call_id: later.call.id, due_at: later.call.due_at };
    queues.send(Queue::DueCalls, json(&due)?, NO_SLOT_DELAY).await?;
    Ok(Claim::Not(Placed::Waits))
}

async fn end(ivy: &Ivy, me: &Me, stored: &StoredCall, event: &CallEvent, now: Timestamp) -> Result<Claim, Error> {
    let mut transaction = ivy.store.transaction();
    let Ok(ended) = calls::apply(&mut transaction, me, stored, event, now)? else {
        return Ok(Claim::Not(Placed::Stale));
    };
    transaction.call(&ended);
    transaction.commit().await.map_err(contended)?;
    Ok(Claim::Not(Placed::Ended))
}

/// A slot that is free; rescues and inbound calls may use the reserved ones as well, and take those first, which nobody else can
/// use. The search begins at a place that differs by attempt, so that workers at once do not fight for the same slot.
pub(crate) async fn free_slot(
    ivy: &Ivy,
    call_type: CallType,
    attempt_id: &str,
    now: Timestamp,
) -> Result<Option<Slot>, Error> {
    let settings = &ivy.settings;
    let unreserved = settings.unreserved_call_slots();
    let first_reserved = if settings.reserved_call_slots > 0 { unreserved } else { 0 };
    let (preferred, others) = match call_type {
        CallType::Rescue => (first_reserved..settings.call_slots, 0..first_reserved),
        CallType::MorningPlanning
        | CallType::EveningReview
        | CallType::WeeklyPlanning
        | CallType::MonthlyCheck
        | CallType::QuarterlyReview
        | CallType::FollowUp
        | CallType::Onboarding => (0..unreserved, 0..0),
    };
    if preferred.is_empty() {
        return Ok(None);
    }
    let held = ivy.store.held_slots(now).await?;
    let places = preferred.end - preferred.start;
    let first = u32::try_from(stable_hash(&[attempt_id]) % u64::from(places)).unwrap_or_default();
    let of_preferred = (0..places).map(|step| preferred.start + (first + step) % places);
    let number = of_preferred.chain(others).find(|number| !held.contains(number));
    let policy = CallPolicy::default();
    let longest = SignedDuration::from_secs(i64::from(policy.lease_seconds) + i64::from(policy.longest_call_seconds));
    Ok(number.map(|number| Slot { number, attempt_id: attempt_id.to_owned(), lease_until: now + longest }))
}

/// Asks the provider to ring. When the answer is lost, settles what became of it before anything else may dial.
async fn dial(retell: &Retell, request: &CreatePhoneCall) -> Result<CreatedCall, ProviderError> {
    let answer = Box::pin(dial_once(retell, request)).await;
    if let Err(error) = &answer
        && !matches!(error, ProviderError::Rejected { class, .. } if is_about_the_number(*class))
    {
        metrics::count("retell_api_error", &[("kind", error.name())]);
    }
    answer
}

async fn dial_once(retell: &Retell, request: &CreatePhoneCall) -> Result<CreatedCall, ProviderError> {
    match retell.create_phone_call(request).await {
        Err(ProviderError::Unknown) => {
            tracing::warn!(event = "call_answer_lost", call_id = request.metadata.call_id);
            match retell.find_by_attempt(&request.idempotency_key).await {
                Ok(Some(found)) => Ok(CreatedCall { call_id: found.call_id }),
                // The provider may not list it yet: the same key rings at most once within the hour. Whatever it answers but
                // yes leaves open what became of the first request, so nothing else may dial before the sweep settles it.
                Ok(None) => retell.create_phone_call(request).await.map_err(|_| ProviderError::Unknown),
                Err(_) => Err(ProviderError::Unknown),
            }
        }
        answer => answer,
    }
}

/// What the agent is told about others than the user. A call is not put off for want of a name.
pub(crate) struct Others {
    charity: String,
    company: Option<String>,
}

pub(crate) async fn others(ivy: &Ivy, me: &Me) -> Others {
    let charity = ivy.charity_of(me.user()).await.map(|charity| charity.name);
    let company = ivy.company_of(me.user()).await.map(|company| company.map(|company| company.name));
    if let Some(error) = charity.as_ref().err().or(company.as_ref().err()) {
        tracing::warn!(event = "call_context_incomplete", user_id = %me.id(), error = error.name());
    }
    Others { charity: charity.unwrap_or_default(), company: company.unwrap_or_default() }
}

/// What the agent is told, and which of our numbers calls.
fn request(ivy: &Ivy, me: &Me, stored: &StoredCall, variables: BTreeMap<String, String>) -> CreatePhoneCall {
    let user = me.user();
    let settings = &ivy.settings;
    let phone = user.phone.as_str();
    let from = settings.from_numbers.iter().find(|(prefix, _)| phone.starts_with(prefix.as_str()));
    let attempt_id = stored.call.attempt.as_ref().map(|attempt| attempt.id.clone()).unwrap_or_default();
    CreatePhoneCall {
        from_number: from.map(|(_, number)| number.clone()).unwrap_or_default(),
        to_number: phone.to_owned(),
        override_agent_id: agent_of(ivy, user),
        override_agent_version: LATEST_PUBLISHED,
        metadata: CallMetadata {
            call_id: stored.call.id.to_string(),
            user_id: user.id.to_string(),
            call_type: stored.call.call_type.name().to_owned(),
            attempt_id: attempt_id.clone(),
        },
        retell_llm_dynamic_variables: variables,
        idempotency_key: attempt_id,
    }
}

/// Who talks with a user: the agent for the tier and the language.
pub(crate) fn agent_of(ivy: &Ivy, user: &User) -> String {
    let agents = match user.subscription_type {
        Tier::B2bSponsor => &ivy.settings.agent_sponsor,
        Tier::B2cPro | Tier::B2cElite | Tier::B2cConcierge => &ivy.settings.agent_premium,
    };
    agents.speaking(&user.locale).to_owned()
}

/// What the agent knows before it says a word.
pub(crate) fn variables_of(me: &Me, stored: &StoredCall, others: &Others, now: Timestamp) -> BTreeMap<String, String> {
    let progress = me.progress();
    let today = me.date_at(now);
    let plans: Vec<PlannedToday> = progress
        .agenda
        .all_on(today)
        .map(|plan| PlannedToday { activity: plan.planned_activity.clone(), time: plan.planned_time })
        .collect();
    variables(&CallContext {
        user: me.user(),
        company_name: others.company.as_deref(),
        charity_name: &others.charity,
        standing: progress.streak.standing(today),
        counters: &me.counters,
        wallet: &me.wallet(now),
        plans: &plans,
        call_type: stored.call.call_type,
        is_first_call: !me.contact.onboarding_call_done && me.contact.answered_call_at.is_none(),
        last_interaction_at: me.last_interaction_at(),
        calendar_conflicts: None,
        now,
    })
}

/// Whether a refusal is about the number, so that no later request for it can pass. All others are about ours: the agent, the
/// number that calls, the request's shape.
const fn is_about_the_number(class: Class) -> bool {
    match class {
        Class::InvalidNumber | Class::NotAllowed | Class::OptedOut => true,
        Class::NotOnWhatsApp
        | Class::WindowClosed
        | Class::Template
        | Class::Undeliverable
        | Class::NotFound
        | Class::InvalidRequest => false,
    }
}

/// Writes down what the provider said.
async fn settle(
    ivy: &Ivy,
    me: &Me,
    claimed: &StoredCall,
    answer: Result<CreatedCall, ProviderError>,
) -> Result<Placed, Error> {
    let policy = CallPolicy::default();
    let later = |seconds: u32| claimed.call.asked_again_at(ivy.now(), seconds);
    let (event, placed) = match answer {
        Ok(created) => (CallEvent::Accepted { provider_call_id: created.call_id }, Placed::Dialled),
        Err(ProviderError::Rejected { status, class, .. }) if !is_about_the_number(class) => {
            tracing::error!(event = "call_request_refused", call_id = %claimed.call.id, status, class = ?class);
            let cause = messages::refusal(class).to_owned();
            (CallEvent::NotPlaced { cause, retry_at: later(policy.account_seconds) }, Placed::Waits)
        }
        Err(ProviderError::Rejected { status, class, .. }) => {
            tracing::warn!(event = "call_refused", call_id = %claimed.call.id, status, class = ?class);
            (CallEvent::Refused { cause: messages::refusal(class).to_owned() }, Placed::Ended)
        }
        Err(ProviderError::RateLimited { retry_after }) => {
            let asked = retry_after.and_then(|d| u32::try_from(d.as_secs()).ok()).unwrap_or_default();
            let seconds = asked.max(policy.busy_seconds);
            (CallEvent::NotPlaced { cause: "provider_busy".to_owned(), retry_at: later(seconds) }, Placed::Waits)
        }
        Err(ProviderError::Unavailable { status }) => {
            tracing::error!(event = "voice_provider_unavailable", call_id = %claimed.call.id, status = status.unwrap_or_default());
            let cause = call::PROVIDER_UNAVAILABLE.to_owned();
            (CallEvent::NotPlaced { cause, retry_at: later(policy.busy_seconds) }, Placed::Waits)
        }
        Err(ProviderError::Misconfigured { status, .. }) => {
            tracing::error!(event = "voice_provider_misconfigured", call_id = %claimed.call.id, status = status.unwrap_or_default());
            let cause = "our_account".to_owned();
            (CallEvent::NotPlaced { cause, retry_at: later(policy.account_seconds) }, Placed::Waits)
        }
        Err(ProviderError::Unknown) => {
            tracing::error!(event = "call_attempt_unknown", call_id = %claimed.call.id);
            return Ok(Placed::Unknown);
        }
    };
    let event = &event;
    let settled = until_settled(ivy, || async move {
        let now = ivy.now();
        let Some(stored) = ivy.store.call(claimed.call.user_id, claimed.call.id).await? else { return Ok(None) };
        let attempt = claimed.call.attempt.as_ref().map(|attempt| attempt.id.as_str());
        if !stored.call.is_current_attempt(attempt, None) {
            return Ok(None);
        }
        let mut transaction = ivy.store.transaction();
        // A webhook of this very call may have been quicker; then there is nothing left to write.
        let Ok(next) = calls::apply(&mut transaction, me, &stored, event, now)? else { return Ok(None) };
        transaction.call(&next);
        transaction.commit().await.map_err(contended)?;
        Ok(Some(next))
    })
    .await?;
    if let Some(next) = settled
        && placed != Placed::Dialled
    {
        calls::release(ivy, &StoredCall { call: claimed.call.clone(), ..next }).await;
    }
    Ok(placed)
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub woken: usize,
    pub ended: usize,
    pub settled: usize,
    /// How far behind the most overdue waiting call is, in seconds.
    pub lag_seconds: i64,
}

/// Looks after every call that should have gone on by now: wakes those that no timer woke, closes windows, and settles
/// attempts whose lease is over with the provider.
///
/// # Errors
/// When the table or the queue fails; the next sweep goes on.
pub async fn sweep_calls(ivy: &Ivy, retell: &Retell, queues: &dyn Queues) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    let began = Instant::now();
    let mut attempts = Vec::new();
    // Every sweep begins at another shard, so that none is always the last.
    let first = ivy.now().as_second().unsigned_abs() / 60;
    for step in 0..keys::SHARDS {
        let shard = (first + step) % keys::SHARDS;
        for (user, id) in ivy.store.due_calls(shard, ivy.now(), SWEPT).await? {
            // One call that cannot be swept must not keep the others from it.
            match sweep_waiting(ivy, queues, user, id, &mut swept).await {
                Ok(live) => attempts.extend(live),
                Err(error) => not_swept(user, id, &error),
            }
        }
    }
    // Asking the provider may take long; what is not reached now is reached by the next sweep.
    for (me, stored) in attempts {
        if began.elapsed() > LONGEST_SWEEP {
            tracing::warn!(event = "sweep_cut_short");
            break;
        }
        let settled = match stored.call.state {
            CallState::Completed => fetch_analysis(ivy, retell, &stored).await,
            _ => settle_lease(ivy, retell, &me, &stored).await,
        };
        match settled {
            Ok(()) => swept.settled += 1,
            Err(error) => not_swept(me.id(), stored.call.id, &error),
        }
    }
    forecast_slots(ivy).await?;
    if swept.lag_seconds > 0 {
        metrics::seconds("scheduler_lag_seconds", swept.lag_seconds);
    }
    tracing::info!(
        event = "calls_swept",
        woken = swept.woken,
        ended = swept.ended,
        settled = swept.settled,
        lag_seconds = swept.lag_seconds
    );
    Ok(swept)
}

/// How full the slots will be in the next quarter of an hour, if every call that is due takes as long as calls usually do: 100
/// is full, and what lies above waits or closes its window.
async fn forecast_slots(ivy: &Ivy) -> Result<(), Error> {
    let until = ivy.now() + FORECAST;
    let mut due = 0;
    for shard in 0..keys::SHARDS {
        due += ivy.store.count_due_calls(shard, until).await?;
    }
    let seconds = u64::from(ivy.settings.unreserved_call_slots()) * FORECAST.as_secs().unsigned_abs();
    let percent = due * USUAL_CALL_SECONDS * 100 / seconds.max(1);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 percent")]
    metrics::metric("call_slots_forecast_percent", percent as f64, metrics::Unit::Percent, &[]);
    if percent >= 100 {
        tracing::warn!(event = "call_slots_full_ahead", due, percent);
    }
    Ok(())
}

fn not_swept(user: UserId, id: CallId, error: &Error) {
    tracing::error!(event = "call_not_swept", call_id = %id, user_id = %user, error = error.name());
}

/// Looks after a call that waits; answers one whose attempt's lease is over.
async fn sweep_waiting(
    ivy: &Ivy,
    queues: &dyn Queues,
    user: UserId,
    id: CallId,
    swept: &mut Swept,
) -> Result<Option<(Me, StoredCall)>, Error> {
    let (Some(me), Some(stored), _) = ivy.store.me_and_call(user, id, None).await? else { return Ok(None) };
    let now = ivy.now();
    let call = &stored.call;
    match call.state {
        CallState::Scheduled | CallState::Retry => {
            if call::may_start(call, now) == Start::WindowClosed {
                end(ivy, &me, &stored, &CallEvent::WindowClosed, now).await?;
                swept.ended += 1;
                return Ok(None);
            }
            let late = now.duration_since(call.due_at);
            if late >= OVERDUE {
                let due = DueCall { user_id: call.user_id, call_id: call.id, due_at: call.due_at };
                queues.send(Queue::DueCalls, json(&due)?, Duration::ZERO).await?;
                swept.woken += 1;
                swept.lag_seconds = swept.lag_seconds.max(late.as_secs());
            }
            Ok(None)
        }
        CallState::Initiating | CallState::InProgress => {
            let over = call.attempt.as_ref().is_some_and(|attempt| attempt.lease_until <= now);
            Ok(over.then_some((me, stored)))
        }
        // A talk whose analysis has not come.
        CallState::Completed => Ok(stored.analysis_due_at().is_some_and(|at| at <= now).then_some((me, stored))),
        CallState::Missed | CallState::Failed | CallState::Cancelled => Ok(None),
    }
}

/// A talk whose analysis was never told: the provider keeps it, and what was said in it counts.
async fn fetch_analysis(ivy: &Ivy, retell: &Retell, stored: &StoredCall) -> Result<(), Error> {
    let provider_id = stored.call.attempt.as_ref().and_then(|attempt| attempt.provider_call_id.as_deref());
    let given_up = stored.call.ended_at.is_none_or(|ended| ivy.now().duration_since(ended) > ANALYSIS_AWAITED);
    let found = match provider_id {
        Some(id) => retell.get_call(id).await,
        None => Ok(None),
    };
    let call = match found {
        Ok(Some(call)) if call.call_analysis.is_some() => call,
        // Asked again later, so that those that wait for nothing else come first in the next sweeps.
        Ok(Some(_)) if !given_up => {
            let until = Some(ivy.now() + ASKED_AGAIN);
            return keep(ivy, &StoredCall { analysis_asked_until: until, ..stored.clone() }).await;
        }
        Err(error) if !given_up => return Err(error.into()),
        // It is gone, or never will be: the call is what its end said.
        _ => {
            metrics::count("analysis_lost", &[]);
            tracing::error!(event = "analysis_lost", call_id = %stored.call.id, user_id = %stored.call.user_id);
            return keep(ivy, &StoredCall { analyzed: true, ..stored.clone() }).await;
        }
    };
    told_by_list(ivy, "call_analyzed", call).await.map(|_| ())
}

/// Writes a note on a call; one that moved on meanwhile needs none.
async fn keep(ivy: &Ivy, noted: &StoredCall) -> Result<(), Error> {
    let mut transaction = ivy.store.transaction();
    transaction.call(noted);
    match transaction.commit().await {
        Ok(()) | Err(StoreError::ConditionFailed(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// An attempt whose lease is over: what does the provider know of it?
async fn settle_lease(ivy: &Ivy, retell: &Retell, me: &Me, stored: &StoredCall) -> Result<(), Error> {
    let Some(attempt) = &stored.call.attempt else { return Ok(()) };
    let longest = SignedDuration::from_secs(i64::from(CallPolicy::default().longest_call_seconds));
    let given_up = ivy.now().duration_since(attempt.claimed_at) > longest;
    let asked = match &attempt.provider_call_id {
        Some(id) => retell.get_call(id).await,
        None => retell.find_by_attempt(&attempt.id).await,
    };
    // The provider has no call of the attempt and never named one: no phone rang.
    let never_placed = matches!(asked, Ok(None)) && attempt.provider_call_id.is_none();
    let found = match asked {
        Ok(found) => found,
        // No call lasts so long: it ends also when the provider never says what became of it.
        Err(error) if given_up || attempt.carrier_end.is_some() => {
            tracing::error!(event = "call_given_up", call_id = %stored.call.id, error = error.name());
            None
        }
        Err(error) => return Err(error.into()),
    };
    let carrier = attempt.carrier_end.clone().map(CallEvent::Ended);
    let Some(found) = found else {
        return match carrier {
            // The carrier put it through: it was a call, whatever the provider knows of it.
            Some(end) => end_attempt(ivy, me, stored, &end).await,
            None if never_placed => put_back(ivy, me, stored).await,
            None => expire(ivy, me, stored).await,
        };
    };
    if let (Some("registered" | "ongoing"), Some(end)) = (found.call_status.as_deref(), carrier) {
        metrics::count("call_closed_by_carrier", &[]);
        tracing::warn!(event = "call_closed_by_carrier", call_id = %stored.call.id);
        return end_attempt(ivy, me, stored, &end).await;
    }
    match found.call_status.as_deref() {
        // Still ringing or talking: a phone call that takes longer than any may is given up, else a later sweep asks again.
        Some("registered" | "ongoing") if given_up => expire(ivy, me, stored).await,
        Some("registered") => accept_found(ivy, me, stored, &found).await,
        // A talk whose beginning was never told is a talk all the same: nothing may ring beside it.
        Some("ongoing") => told_by_list(ivy, "call_started", found).await.map(|_| ()),
        _ => {
            accept_found(ivy, me, stored, &found).await?;
            let event = if found.call_analysis.is_some() { "call_analyzed" } else { "call_ended" };
            let taken = told_by_list(ivy, event, found).await?;
            // An answer that says too little must not keep the call open for ever.
            if taken != Taken::Applied && given_up { expire(ivy, me, stored).await } else { Ok(()) }
        }
    }
}

/// What the provider's list says of a call, taken as the webhook that did not come.
async fn told_by_list(ivy: &Ivy, event: &str, call: RetellCall) -> Result<Taken, Error> {
    voice_events::call_event(ivy, &RetellEvent { event: event.to_owned(), call }).await
}

async fn accept_found(ivy: &Ivy, me: &Me, stored: &StoredCall, found: &RetellCall) -> Result<(), Error> {
    let event = CallEvent::Accepted { provider_call_id: found.call_id.clone() };
    write(ivy, me, stored, &event).await.map(|_| ())
}

/// Gives an attempt back that the provider never got, or never carried out.
async fn put_back(ivy: &Ivy, me: &Me, stored: &StoredCall) -> Result<(), Error> {
    let retry_at = stored.call.asked_again_at(ivy.now(), CallPolicy::default().busy_seconds);
    metrics::count("retell_api_error", &[("kind", call::PROVIDER_UNAVAILABLE)]);
    let event = CallEvent::NotPlaced { cause: call::PROVIDER_UNAVAILABLE.to_owned(), retry_at };
    end_attempt(ivy, me, stored, &event).await
}

async fn expire(ivy: &Ivy, me: &Me, stored: &StoredCall) -> Result<(), Error> {
    end_attempt(ivy, me, stored, &CallEvent::LeaseExpired).await
}

/// Ends an attempt and frees what it held.
async fn end_attempt(ivy: &Ivy, me: &Me, stored: &StoredCall, event: &CallEvent) -> Result<(), Error> {
    if let Some(next) = write(ivy, me, stored, event).await? {
        calls::release(ivy, &StoredCall { call: stored.call.clone(), ..next }).await;
    }
    Ok(())
}

/// Writes one transition; a call that moved on meanwhile is left alone.
async fn write(ivy: &Ivy, me: &Me, stored: &StoredCall, event: &CallEvent) -> Result<Option<StoredCall>, Error> {
    let mut transaction = ivy.store.transaction();
    let Ok(next) = calls::apply(&mut transaction, me, stored, event, ivy.now())? else { return Ok(None) };
    transaction.call(&next);
    match transaction.commit().await {
        Ok(()) => Ok(Some(next)),
        Err(StoreError::ConditionFailed(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
