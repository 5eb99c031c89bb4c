//! A call and its ladder of attempts, as one table of transitions.
//!
//! ```text
//! scheduled ─▶ initiating ─▶ in_progress ─▶ completed
//!     │            ├─▶ missed ─▶ retry ─▶ initiating …     in_progress ─▶ missed (voicemail, or too short)
//!     │            ├─▶ missed ─▶ failed (no attempt left, or declined)
//!     │            ├─▶ failed (refused for good)
//!     │            └─▶ scheduled | retry (the provider took nothing: no attempt used up)
//!     └─▶ cancelled | failed (window_closed), from retry too
//! ```
//! [`transition`] is the only way from one state to another; adapters write its result on the condition
//! that the version they read still stands (the version is theirs to raise). `missed` is passed through
//! and never stored: the same transition decides between retry and failed, so no call waits for a step
//! that a crash could lose. `in_progress → missed` exists because voicemail and a silent pick-up are known
//! only after the provider said that the call connected. A talk of which the analysis says that a machine
//! took it was none: `completed → missed` is the one way back from an end.
//!
//! Events carry no attempt: the caller first asks [`Call::is_current_attempt`]. An event that finds its
//! attempt over, or the call at its end, is answered with a stale [`TransitionError`], which webhooks
//! acknowledge and forget; so duplicates and any order of arrival lead to the same end state.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    days::{is_quiet, quiet_begins_at},
    ids::{CallId, UserId, stable_hash},
    tier::Tier,
    values::Zone,
};

/// How long after its window's end a retry may still start, in minutes.
pub const RETRY_GRACE_MINUTES: u32 = 30;
/// How long after a miss the follow-up message is due, in minutes.
pub const FOLLOW_UP_DELAY_MINUTES: u32 = 5;
/// A retry that had to come sooner than this after the miss is dropped, in minutes.
pub const SHORTEST_RETRY_MINUTES: u32 = 5;
/// A connected call shorter than this without a word from the user was missed, in seconds.
pub const SHORTEST_TALK_SECONDS: u32 = 10;
/// Users whose calls the provider did not take at once ask again within so many seconds of each other.
const RETRY_SPREAD_SECONDS: u64 = 15;
/// The cause of a call that was put back because the provider gave no answer.
pub const PROVIDER_UNAVAILABLE: &str = "provider_unavailable";
/// How long before the last possible start a moved retry is due, in seconds.
const START_MARGIN_SECONDS: u32 = 60;

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallType {
    MorningPlanning,
    EveningReview,
    WeeklyPlanning,
    MonthlyCheck,
    QuarterlyReview,
    Rescue,
    FollowUp,
    Onboarding,
}

impl CallType {
    pub const ALL: [Self; 8] = [
        Self::MorningPlanning,
        Self::EveningReview,
        Self::WeeklyPlanning,
        Self::MonthlyCheck,
        Self::QuarterlyReview,
        Self::Rescue,
        Self::FollowUp,
        Self::Onboarding,
    ];

    /// The wire name, such as `morning_planning`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MorningPlanning => "morning_planning",
            Self::EveningReview => "evening_review",
            Self::WeeklyPlanning => "weekly_planning",
            Self::MonthlyCheck => "monthly_check",
            Self::QuarterlyReview => "quarterly_review",
            Self::Rescue => "rescue",
            Self::FollowUp => "follow_up",
            Self::Onboarding => "onboarding",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Outbound,
    Inbound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    Scheduled,
    Initiating,
    InProgress,
    Completed,
    Missed,
    Retry,
    Failed,
    Cancelled,
}

impl CallState {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Initiating => "initiating",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Missed => "missed",
            Self::Retry => "retry",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether an attempt is still to come and none is under way.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Scheduled | Self::Retry)
    }

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// What a call achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    WorkoutPlanned,
    WorkoutLogged,
    RescueSuccess,
    RescueFailed,
    Voicemail,
    NoCommitment,
}

impl Outcome {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorkoutPlanned => "workout_planned",
            Self::WorkoutLogged => "workout_logged",
            Self::RescueSuccess => "rescue_success",
            Self::RescueFailed => "rescue_failed",
            Self::Voicemail => "voicemail",
            Self::NoCommitment => "no_commitment",
        }
    }
}

/// The instants between which a call may start: from `opens_at`, before `closes_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallWindow {
    pub opens_at: Timestamp,
    pub closes_at: Timestamp,
}

/// One try at reaching the user; kept after its end, for events that come late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub id: String,
    /// 1 for the first.
    pub number: u8,
    #[serde(default)]
    pub provider_call_id: Option<String>,
    pub claimed_at: Timestamp,
    /// When the sweep may end an attempt that nothing was heard of.
    pub lease_until: Timestamp,
    /// The carrier's id of the phone call, hashed, once the voice provider has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier_call_id: Option<String>,
    /// How the attempt ended by the carrier's account: what counts if the voice provider never says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier_end: Option<CallEnd>,
}

impl Attempt {
    /// Gives the attempt more time, and answers until when. Once the carrier has said that it is over, late news of its beginning
    /// gives none.
    fn renew(&mut self, until: Timestamp) -> Timestamp {
        self.lease_until = if self.carrier_end.is_some() { self.lease_until.min(until) } else { until };
        self.lease_until
    }
}

/// One transition, for the live view of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub at: Timestamp,
    pub from: CallState,
    pub to: CallState,
    pub cause: String,
    /// The attempt it belongs to; 0 before the first.
    pub attempt: u8,
}

const fn yes() -> bool {
    true
}

/// A call, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub id: CallId,
    pub user_id: UserId,
    pub call_type: CallType,
    pub direction: Direction,
    pub state: CallState,
    /// When the first attempt was planned for.
    pub scheduled_time: Timestamp,
    pub window: CallWindow,
    /// Whether the window is the user's own word. Where it is not, no retry rings in the quiet hours.
    #[serde(default = "yes")]
    pub own_window: bool,
    /// When the next attempt is due.
    pub due_at: Timestamp,
    pub timezone: Zone,
    /// Attempts used up so far, the running one included.
    pub attempts: u8,
    #[serde(default)]
    pub attempt: Option<Attempt>,
    /// Why the call is in its state, in one word of ours: `no_answer`, `window_closed`.
    #[serde(default)]
    pub cause: Option<String>,
    #[serde(default)]
    pub outcome: Option<Outcome>,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    #[serde(default)]
    pub duration_seconds: Option<u32>,
    #[serde(default)]
    pub history: Vec<Step>,
    /// Whether the one text after a miss has been asked for.
    #[serde(default)]
    pub follow_up_queued: bool,
    /// Whether an attempt was missed that the provider had taken: then somebody may be told that they missed a call.
    #[serde(default)]
    pub rang: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Counts the writes; kept by whoever stores it.
    #[serde(default)]
    pub version: u64,
}

impl Call {
    /// An outbound call that waits for `due_at`.
    #[must_use]
    pub fn scheduled(
        id: CallId,
        user_id: UserId,
        call_type: CallType,
        due_at: Timestamp,
        window: CallWindow,
        timezone: Zone,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            user_id,
            call_type,
            direction: Direction::Outbound,
            state: CallState::Scheduled,
            scheduled_time: due_at,
            window,
            own_window: true,
            due_at,
            timezone,
            attempts: 0,
            attempt: None,
            cause: None,
            outcome: None,
            started_at: None,
            ended_at: None,
            duration_seconds: None,
            history: Vec::new(),
            follow_up_queued: false,
            rang: false,
            created_at: now,
            updated_at: now,
            version: 0,
        }
    }

    /// A call that the user made and that is being talked on. Its end completes it, however short it was.
    #[must_use]
    pub fn inbound(
        id: CallId,
        user_id: UserId,
        call_type: CallType,
        provider_call_id: String,
        timezone: Zone,
        now: Timestamp,
        policy: &CallPolicy,
    ) -> Self {
        let window = CallWindow { opens_at: now, closes_at: now };
        let mut call = Self::scheduled(id, user_id, call_type, now, window, timezone, now);
        call.direction = Direction::Inbound;
        call.attempts = 1;
        call.state = CallState::InProgress;
        call.started_at = Some(now);
        call.attempt = Some(Attempt {
            id: provider_call_id.clone(),
            number: 1,
            provider_call_id: Some(provider_call_id),
            claimed_at: now,
            lease_until: later(now, policy.longest_call_seconds),
            carrier_call_id: None,
            carrier_end: None,
        });
        call
    }

    /// Whether its user chose its present time: planning leaves it there.
    #[must_use]
    pub fn was_rescheduled(&self) -> bool {
        self.history.iter().any(|step| step.cause == RESCHEDULED)
    }

    /// The id of an attempt that was put back though nobody knows for certain that its request was never acted on. It is made
    /// again under that id, which is the provider's idempotency key: should the request have rung after all, it rings no second time.
    #[must_use]
    pub fn attempt_to_repeat(&self) -> Option<&str> {
        let unanswered = self.state.waits() && self.cause.as_deref() == Some(PROVIDER_UNAVAILABLE);
        let attempt = self.attempt.as_ref().filter(|attempt| unanswered && attempt.provider_call_id.is_none())?;
        Some(&attempt.id)
    }

    /// When to ask a provider again that took nothing: users are spread over some seconds, each by a place of its own, so that
    /// the same attempt comes out the same however often it is told.
    #[must_use]
    pub fn asked_again_at(&self, now: Timestamp, seconds: u32) -> Timestamp {
        let words = ["retry", &self.user_id.to_string(), &self.due_at.to_string()];
        let place = u32::try_from(stable_hash(&words) % RETRY_SPREAD_SECONDS).unwrap_or_default();
        later(now, seconds.saturating_add(place))
    }

    /// Whether the call waits for the time to which its user moved it, and not for a later retry.
    fn waits_for_chosen_time(&self) -> bool {
        let moved = self.history.iter().rev().find(|step| step.cause == RESCHEDULED);
        moved.is_some_and(|step| step.attempt == self.attempts)
    }

    /// Whether an event with these ids is about the attempt that the call is in (or was in last).
    #[must_use]
    pub fn is_current_attempt(&self, attempt_id: Option<&str>, provider_call_id: Option<&str>) -> bool {
        let Some(attempt) = &self.attempt else { return false };
        match (attempt_id, provider_call_id) {
            (Some(id), _) => attempt.id == id,
            (None, Some(id)) => attempt.provider_call_id.as_deref() == Some(id),
            (None, None) => false,
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    Talked,
    NoAnswer,
    Busy,
    Declined,
    Voicemail,
    /// A machine asked who is calling and did not put the call through.
    Screening,
    SetupFailed,
    /// The number must not be dialled again.
    NeverRedial,
    /// The provider had no line for it: nothing rang.
    NoCapacity,
    /// Our account at the provider is the problem: nothing rang.
    OurAccount,
}

impl EndReason {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Talked => "talked",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::Voicemail => "voicemail",
            Self::Screening => "screening",
            Self::SetupFailed => "setup_failed",
            Self::NeverRedial => "never_redial",
            Self::NoCapacity => "provider_busy",
            Self::OurAccount => "our_account",
        }
    }

    /// Reads Retell's `disconnection_reason`. The list is open: what it does not know counts as a talk when
    /// the call had connected, else as not answered (or not set up, for the provider's own errors).
    #[must_use]
    pub fn from_disconnection(reason: &str, connected: bool) -> Self {
        match reason {
            "voicemail_reached" => Self::Voicemail,
            "ivr_reached" => Self::Screening,
            "dial_busy" => Self::Busy,
            "dial_no_answer" | "error_user_not_joined" => Self::NoAnswer,
            "user_declined" => Self::Declined,
            "invalid_destination" | "marked_as_spam" | "scam_detected" => Self::NeverRedial,
            // Someone who asked for this was talked to; the opt-out itself is a matter of consents.
            "user_requested_dnc" if !connected => Self::NeverRedial,
            "no_valid_payment" | "credit_exhausted" | "budget_reached" | "telephony_provider_permission_denied"
                if !connected =>
            {
                Self::OurAccount
            }
            "concurrency_limit_reached" | "no_concurrency_fallback" | "telephony_provider_unavailable"
                if !connected =>
            {
                Self::NoCapacity
            }
            _ if connected => Self::Talked,
            "dial_failed" | "sip_routing_error" | "network_blocked" | "registered_call_timeout" | "manual_stopped" => {
                Self::SetupFailed
            }
            error if error.starts_with("error_") => Self::SetupFailed,
            _ => Self::NoAnswer,
        }
    }
}

/// The end of an attempt, as a provider told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEnd {
    pub at: Timestamp,
    pub duration_seconds: Option<u32>,
    pub end: EndReason,
    /// Whether the user said anything; `None` when nobody knows.
    pub user_spoke: Option<bool>,
}

/// What happened to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEvent {
    /// A worker takes the call to dial it.
    Claimed {
        attempt_id: String,
    },
    /// The provider took the call.
    Accepted {
        provider_call_id: String,
    },
    /// The provider refuses for good.
    Refused {
        cause: String,
    },
    /// Nothing was dialled, for want of capacity or of an answer: to be tried again at `retry_at`.
    NotPlaced {
        cause: String,
        retry_at: Timestamp,
    },
    Connected {
        at: Timestamp,
    },
    Ended(CallEnd),
    /// The carrier says that the phone call is over. The voice provider, who knows more, has a moment to say so itself.
    CarrierEnded(CallEnd),
    /// The analysis of a talk says that a machine took it.
    VoicemailFound,
    /// The sweep found the attempt's lease over.
    LeaseExpired,
    /// The call can no longer start in its window.
    WindowClosed,
    Cancelled {
        by: String,
    },
}

impl CallEvent {
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Claimed { .. } => "claimed",
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::NotPlaced { .. } => "not_placed",
            Self::Connected { .. } => "connected",
            Self::Ended(_) => "ended",
            Self::CarrierEnded(_) => "carrier_ended",
            Self::VoicemailFound => "voicemail_found",
            Self::LeaseExpired => "lease_expired",
            Self::WindowClosed => "window_closed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// The state it leads to in the plain case, for errors.
    const fn leads_to(&self) -> CallState {
        match self {
            Self::Claimed { .. } | Self::Accepted { .. } => CallState::Initiating,
            Self::Refused { .. } | Self::WindowClosed => CallState::Failed,
            Self::NotPlaced { .. } => CallState::Scheduled,
            Self::Connected { .. } => CallState::InProgress,
            Self::Ended(end) => match end.end {
                EndReason::Talked => CallState::Completed,
                EndReason::NeverRedial => CallState::Failed,
                EndReason::NoCapacity | EndReason::OurAccount => CallState::Scheduled,
                EndReason::NoAnswer
                | EndReason::Busy
                | EndReason::Declined
                | EndReason::Voicemail
                | EndReason::Screening
                | EndReason::SetupFailed => CallState::Missed,
            },
            Self::CarrierEnded(_) => CallState::InProgress,
            Self::VoicemailFound | Self::LeaseExpired => CallState::Missed,
            Self::Cancelled { .. } => CallState::Cancelled,
        }
    }
}

/// What the writer of a transition has to see to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEffect {
    /// Wake the call (or its lease) at this instant.
    SetTimer {
        due_at: Timestamp,
    },
    ClearTimer,
    /// Send the one message after a miss, [`FOLLOW_UP_DELAY_MINUTES`] from now.
    QueueFollowUp,
    /// The user declined: offer to write instead.
    OfferText,
}

/// The numbers that transitions go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallPolicy {
    /// From a miss to the next attempt; its length is the number of retries.
    pub retry_delays_minutes: [u32; 2],
    /// How long an attempt may stay without news.
    pub lease_seconds: u32,
    /// How long a connected call may stay without its end.
    pub longest_call_seconds: u32,
    pub retry_grace_minutes: u32,
    /// How long the voice provider may take to tell an end that the carrier has told.
    pub carrier_grace_seconds: u32,
    /// How long a provider that was busy or gave no answer is left alone.
    pub busy_seconds: u32,
    /// The same when our account is at fault: a person has to act first.
    pub account_seconds: u32,
    /// Whether the tier has the message after a miss.
    pub may_follow_up: bool,
}

impl Default for CallPolicy {
    fn default() -> Self {
        Self {
            retry_delays_minutes: [30, 60],
            lease_seconds: 180,
            longest_call_seconds: 3_900,
            retry_grace_minutes: RETRY_GRACE_MINUTES,
            carrier_grace_seconds: 60,
            busy_seconds: 45,
            account_seconds: 300,
            may_follow_up: false,
        }
    }
}

impl CallPolicy {
    #[must_use]
    pub fn for_tier(tier: Tier) -> Self {
        Self { may_follow_up: tier.rules().follow_up_after_missed_call, ..Self::default() }
    }
}

/// Why an event did not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransitionProblem {
    /// Its attempt is over, or it was already told: nothing to do.
    Stale,
    /// The table has no such transition.
    NotAllowed,
    /// The call, or its lease, is not due yet.
    TooEarly,
    /// A start after the window: to be answered with [`CallEvent::WindowClosed`].
    WindowClosed,
}

/// An event that did not apply, with the two states it would have joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("call event {event} cannot lead from {} to {} ({problem:?})", .from.name(), .to.name())]
pub struct TransitionError {
    pub from: CallState,
    pub to: CallState,
    pub event: &'static str,
    pub problem: TransitionProblem,
}

impl TransitionError {
    /// Whether the event is late or a duplicate, and so to be acknowledged and forgotten.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        matches!(self.problem, TransitionProblem::Stale)
    }
}

/// Whether a call may start at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Now,
    TooEarly,
    WindowClosed,
}

/// Whether a waiting call may be dialled now: it is due, and its window (for a retry with half an hour's
/// grace outside the quiet hours) has not closed.
#[must_use]
pub fn may_start(call: &Call, now: Timestamp) -> Start {
    may_start_with(call, now, RETRY_GRACE_MINUTES)
}

fn may_start_with(call: &Call, now: Timestamp, grace_minutes: u32) -> Start {
    let closes_at = match call.state {
        // Its user's own word, quiet hours or not.
        CallState::Retry if call.waits_for_chosen_time() => last_retry(call, grace_minutes).max(call.window.closes_at),
        CallState::Retry => last_retry(call, grace_minutes),
        CallState::Scheduled
        | CallState::Initiating
        | CallState::InProgress
        | CallState::Completed
        | CallState::Missed
        | CallState::Failed
        | CallState::Cancelled => call.window.closes_at,
    };
    if now >= closes_at {
        Start::WindowClosed
    } else if now < call.window.opens_at || now < call.due_at {
        Start::TooEarly
    } else {
        Start::Now
    }
}

/// The instant before which a retry must start. The grace after the window never reaches into quiet hours;
/// inside the window the user's own word stands, quiet or not. A window that nobody chose has no word against them.
fn last_retry(call: &Call, grace_minutes: u32) -> Timestamp {
    let closes_at = call.window.closes_at;
    if !call.own_window {
        return later(closes_at, grace_minutes * 60).min(quiet_begins_at(call.window.opens_at, &call.timezone));
    }
    if is_quiet(closes_at, &call.timezone) {
        return closes_at;
    }
    later(closes_at, grace_minutes * 60).min(quiet_begins_at(closes_at, &call.timezone))
}

fn later(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX)
}

fn earlier(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MIN)
}

/// A waiting call at another time; `None` when it does not wait any more. Attempts that were made stay made. `own_window` tells
/// whether the user said how long it may wait.
#[must_use]
pub fn rescheduled(
    call: &Call,
    due_at: Timestamp,
    (window, own_window): (CallWindow, bool),
    zone: &Zone,
    now: Timestamp,
) -> Option<Call> {
    if !call.state.waits() {
        return None;
    }
    let mut moved = call.clone();
    let step =
        Step { at: now, from: call.state, to: call.state, cause: RESCHEDULED.to_owned(), attempt: call.attempts };
    moved.history.push(step);
    while moved.history.len() > MOST_STEPS {
        moved.history.remove(1);
    }
    (moved.due_at, moved.scheduled_time, moved.window) = (due_at, due_at, window);
    moved.own_window = own_window;
    moved.timezone = zone.clone();
    moved.updated_at = now;
    Some(moved)
}

/// The cause of a step that only moved the call's time.
const RESCHEDULED: &str = "rescheduled";
/// The most steps that a call's history keeps.
const MOST_STEPS: usize = 60;

/// A transition on its way: the next call and the effects so far.
struct Work<'a> {
    call: Call,
    effects: Vec<CallEffect>,
    now: Timestamp,
    policy: &'a CallPolicy,
}

/// Applies an event: the next call, with its steps appended to the history, and the effects to perform.
///
/// # Errors
/// When the event does not apply; [`TransitionError::is_stale`] tells the harmless ones.
pub fn transition(
    call: &Call,
    event: &CallEvent,
    now: Timestamp,
    policy: &CallPolicy,
) -> Result<(Call, Vec<CallEffect>), TransitionError> {
    let error = |problem| Err(TransitionError { from: call.state, to: event.leads_to(), event: event.name(), problem });
    let mut work = Work { call: call.clone(), effects: Vec::new(), now, policy };
    match (call.state, event) {
        (CallState::Completed | CallState::Failed | CallState::Cancelled, CallEvent::Claimed { .. }) => {
            return error(TransitionProblem::NotAllowed);
        }
        (CallState::Completed, CallEvent::VoicemailFound) if call.direction == Direction::Outbound => {
            work.call.outcome = Some(Outcome::Voicemail);
            let ended_at = call.ended_at.unwrap_or(now);
            work.miss(ended_at, EndReason::Voicemail.name());
        }
        (CallState::Completed | CallState::Failed | CallState::Cancelled, _) => return error(TransitionProblem::Stale),

        (CallState::Scheduled | CallState::Retry, CallEvent::Claimed { attempt_id }) => {
            match may_start_with(call, now, policy.retry_grace_minutes) {
                Start::Now => work.claim(attempt_id),
                Start::TooEarly => return error(TransitionProblem::TooEarly),
                Start::WindowClosed => return error(TransitionProblem::WindowClosed),
            }
        }
        (CallState::Scheduled | CallState::Retry, CallEvent::WindowClosed) => {
            match may_start_with(call, now, policy.retry_grace_minutes) {
                Start::WindowClosed => work.close_window(),
                Start::Now | Start::TooEarly => return error(TransitionProblem::TooEarly),
            }
        }
        (CallState::Scheduled | CallState::Retry, CallEvent::Cancelled { by }) => {
            work.step(CallState::Cancelled, by);
            work.effects.push(CallEffect::ClearTimer);
        }
        // Late news of an attempt that is over: the call already waits for the next one, or never began.
        (CallState::Retry, _) => return error(TransitionProblem::Stale),
        (CallState::Scheduled, _) if call.attempt.is_some() => return error(TransitionProblem::Stale),
        (CallState::Scheduled, _) => return error(TransitionProblem::NotAllowed),

        (CallState::Initiating, CallEvent::Accepted { provider_call_id })
        | (CallState::InProgress, CallEvent::Accepted { provider_call_id }) => {
            let lease_until = later(now, policy.lease_seconds);
            let Some(attempt) = &mut work.call.attempt else { return error(TransitionProblem::NotAllowed) };
            match &attempt.provider_call_id {
                Some(known) if known == provider_call_id => return error(TransitionProblem::Stale),
                Some(_) => return error(TransitionProblem::NotAllowed),
                None => attempt.provider_call_id = Some(provider_call_id.clone()),
            }
            if call.state == CallState::Initiating {
                attempt.renew(lease_until);
                work.effects.push(CallEffect::SetTimer { due_at: attempt.lease_until });
            }
        }
        (CallState::Initiating, CallEvent::Refused { cause }) => {
            work.step(CallState::Failed, cause);
            work.effects.push(CallEffect::ClearTimer);
        }
        (CallState::Initiating, CallEvent::NotPlaced { cause, retry_at }) => work.put_back(cause, *retry_at),
        (CallState::Initiating, CallEvent::Connected { at }) => work.connect(*at),
        (CallState::Initiating | CallState::InProgress, CallEvent::Ended(end)) => work.end(end),
        (CallState::Initiating | CallState::InProgress, CallEvent::CarrierEnded(end)) => {
            let grace = later(now, policy.carrier_grace_seconds);
            let Some(attempt) = &mut work.call.attempt else { return error(TransitionProblem::NotAllowed) };
            if attempt.carrier_end.is_some() {
                return error(TransitionProblem::Stale);
            }
            attempt.carrier_end = Some(end.clone());
            attempt.lease_until = attempt.lease_until.min(grace);
            work.effects.push(CallEffect::SetTimer { due_at: attempt.lease_until });
        }
        (CallState::Initiating | CallState::InProgress, CallEvent::LeaseExpired) => {
            if call.attempt.as_ref().is_some_and(|attempt| now < attempt.lease_until) {
                return error(TransitionProblem::TooEarly);
            }
            if call.state == CallState::InProgress {
                // It connected and its end was never told: what was said may still arrive with the analysis.
                work.call.ended_at = Some(now);
                work.step(CallState::Completed, "lease_expired");
                work.effects.push(CallEffect::ClearTimer);
            } else {
                // Without the provider's id nothing is known to have rung: no message says that a call was missed.
                if call.attempt.as_ref().is_some_and(|attempt| attempt.provider_call_id.is_some()) {
                    work.miss(now, "lease_expired");
                } else {
                    work.next_rung(now, "lease_expired");
                }
            }
        }
        (CallState::InProgress, CallEvent::Connected { .. }) => return error(TransitionProblem::Stale),
        (
            CallState::Initiating | CallState::InProgress,
            CallEvent::Claimed { .. }
            | CallEvent::WindowClosed
            | CallEvent::VoicemailFound
            | CallEvent::Cancelled { .. },
        )
        | (CallState::InProgress, CallEvent::Refused { .. } | CallEvent::NotPlaced { .. })
        | (CallState::Missed, _) => return error(TransitionProblem::NotAllowed),
    }
    work.call.updated_at = now;
    Ok((work.call, work.effects))
}

impl Work<'_> {
    fn step(&mut self, to: CallState, cause: &str) {
        let from = self.call.state;
        let attempt = self.call.attempts;
        self.call.history.push(Step { at: self.now, from, to, cause: cause.to_owned(), attempt });
        self.call.state = to;
        self.call.cause = Some(cause.to_owned());
        if to.is_terminal() && self.call.ended_at.is_none() {
            self.call.ended_at = Some(self.now);
        }
    }

    fn claim(&mut self, attempt_id: &str) {
        let lease_until = later(self.now, self.policy.lease_seconds);
        let call = &mut self.call;
        call.attempts += 1;
        call.attempt = Some(Attempt {
            id: attempt_id.to_owned(),
            number: call.attempts,
            provider_call_id: None,
            claimed_at: self.now,
            lease_until,
            carrier_call_id: None,
            carrier_end: None,
        });
        (call.outcome, call.started_at, call.ended_at, call.duration_seconds) = (None, None, None, None);
        self.step(CallState::Initiating, "claimed");
        self.effects.push(CallEffect::SetTimer { due_at: lease_until });
    }

    /// Nothing was dialled: back to where it came from, or to its end when the window will be over by then.
    fn put_back(&mut self, cause: &str, retry_at: Timestamp) {
        let back = if self.call.attempts > 1 { CallState::Retry } else { CallState::Scheduled };
        self.step(back, cause);
        // Hours of an outage make hundreds of these pairs; the beginning and the end of the story are enough.
        while self.call.history.len() > MOST_STEPS {
            self.call.history.drain(1..3);
        }
        self.call.attempts = self.call.attempts.saturating_sub(1);
        self.call.due_at = retry_at.max(self.now);
        let due_at = self.call.due_at;
        match may_start_with(&self.call, due_at, self.policy.retry_grace_minutes) {
            Start::WindowClosed => self.close_window(),
            Start::Now | Start::TooEarly => self.effects.push(CallEffect::SetTimer { due_at }),
        }
    }

    fn close_window(&mut self) {
        self.step(CallState::Failed, "window_closed");
        self.effects.push(CallEffect::ClearTimer);
        // Nobody is told of a call that never rang.
        if self.call.rang {
            self.follow_up();
        }
    }

    fn connect(&mut self, at: Timestamp) {
        let lease_until = later(self.now, self.policy.longest_call_seconds);
        self.call.started_at = Some(at);
        let lease_until = self.call.attempt.as_mut().map_or(lease_until, |attempt| attempt.renew(lease_until));
        self.step(CallState::InProgress, "connected");
        self.effects.push(CallEffect::SetTimer { due_at: lease_until });
    }

    fn end(&mut self, end: &CallEnd) {
        if let Some(seconds) = self.not_placed(end.end) {
            let retry_at = self.call.asked_again_at(self.now, seconds);
            self.put_back(end.end.name(), retry_at);
            return;
        }
        let duration = end.duration_seconds.or_else(|| {
            let started_at = self.call.started_at?;
            u32::try_from(end.at.duration_since(started_at).as_secs()).ok()
        });
        self.call.ended_at = Some(end.at);
        self.call.duration_seconds = duration;
        if self.call.direction == Direction::Inbound {
            self.complete(end.end.name());
            return;
        }
        match end.end {
            EndReason::Talked => {
                let silent = end.user_spoke != Some(true);
                if silent && duration.is_some_and(|seconds| seconds < SHORTEST_TALK_SECONDS) {
                    self.miss(end.at, "too_short");
                    return;
                }
                if self.call.state == CallState::Initiating {
                    // The end overtook the start.
                    self.connect(earlier(end.at, duration.unwrap_or(0)));
                    self.effects.clear();
                }
                self.complete(end.end.name());
            }
            EndReason::NeverRedial if self.call.state == CallState::InProgress => self.complete(end.end.name()),
            EndReason::NeverRedial => {
                self.step(CallState::Failed, end.end.name());
                self.effects.push(CallEffect::ClearTimer);
            }
            EndReason::Declined => {
                self.step(CallState::Missed, end.end.name());
                self.step(CallState::Failed, end.end.name());
                self.effects.push(CallEffect::ClearTimer);
                // The offer is the one text that this call sends.
                if !self.call.follow_up_queued {
                    self.call.follow_up_queued = true;
                    self.effects.push(CallEffect::OfferText);
                }
            }
            EndReason::Voicemail => {
                self.call.outcome = Some(Outcome::Voicemail);
                self.miss(end.at, end.end.name());
            }
            EndReason::NoAnswer
            | EndReason::Busy
            | EndReason::Screening
            | EndReason::SetupFailed
            | EndReason::NoCapacity
            | EndReason::OurAccount => self.miss(end.at, end.end.name()),
        }
    }

    /// After how many seconds an attempt is made again that the provider took and then did not place. One that had connected
    /// was placed, whatever ended it.
    fn not_placed(&self, end: EndReason) -> Option<u32> {
        let outbound = self.call.direction == Direction::Outbound;
        match end {
            _ if !outbound || self.call.state != CallState::Initiating => None,
            EndReason::NoCapacity => Some(self.policy.busy_seconds),
            EndReason::OurAccount => Some(self.policy.account_seconds),
            EndReason::Talked
            | EndReason::NoAnswer
            | EndReason::Busy
            | EndReason::Declined
            | EndReason::Voicemail
            | EndReason::Screening
            | EndReason::SetupFailed
            | EndReason::NeverRedial => None,
        }
    }

    fn complete(&mut self, cause: &str) {
        self.step(CallState::Completed, cause);
        self.effects.push(CallEffect::ClearTimer);
    }

    /// Missed: on to the next attempt, or to the end of the ladder, and the one message.
    fn miss(&mut self, at: Timestamp, cause: &str) {
        self.call.rang = true;
        self.next_rung(at, cause);
        self.follow_up();
    }

    fn next_rung(&mut self, at: Timestamp, cause: &str) {
        self.step(CallState::Missed, cause);
        let claimed_at = self.call.attempt.as_ref().map_or(self.now, |attempt| attempt.claimed_at);
        let missed_at = at.min(self.now).max(claimed_at.min(self.now));
        match self.next_attempt(missed_at) {
            Some(due_at) => {
                self.step(CallState::Retry, cause);
                self.call.due_at = due_at;
                self.effects.push(CallEffect::SetTimer { due_at });
            }
            None => {
                self.call.ended_at = self.call.ended_at.or(Some(missed_at));
                self.step(CallState::Failed, cause);
                self.effects.push(CallEffect::ClearTimer);
            }
        }
    }

    /// When the next attempt is due: after the policy's delay, moved earlier to fit, or not at all.
    fn next_attempt(&self, missed_at: Timestamp) -> Option<Timestamp> {
        if self.call.direction == Direction::Inbound {
            return None;
        }
        let used = usize::from(self.call.attempts);
        let delay = self.policy.retry_delays_minutes.get(used.checked_sub(1)?)?;
        let before = last_retry(&self.call, self.policy.retry_grace_minutes);
        let soonest = later(missed_at, SHORTEST_RETRY_MINUTES * 60).max(self.now);
        let due_at = later(missed_at, delay * 60).min(earlier(before, START_MARGIN_SECONDS)).max(self.now);
        (due_at >= soonest && due_at < before).then_some(due_at)
    }

    fn follow_up(&mut self) {
        if self.policy.may_follow_up && !self.call.follow_up_queued {
            self.call.follow_up_queued = true;
            self.effects.push(CallEffect::QueueFollowUp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-21T{text}Z").parse().unwrap()
    }

    fn policy() -> CallPolicy {
        CallPolicy::for_tier(Tier::B2cElite)
    }

    fn call(opens_at: &str, due_at: &str, closes_at: &str) -> Call {
        let window = CallWindow { opens_at: at(opens_at), closes_at: at(closes_at) };
        let now = at("03:00:00");
        let (id, user) = (CallId::generate(now), UserId::generate(now));
        Call::scheduled(id, user, CallType::EveningReview, at(due_at), window, Zone::default(), now)
    }

    fn apply(call: &Call, event: &CallEvent, now: Timestamp) -> (Call, Vec<CallEffect>) {
        transition(call, event, now, &policy()).unwrap()
    }

    fn claim(call: &Call, now: Timestamp) -> Call {
        apply(call, &CallEvent::Claimed { attempt_id: format!("attempt-{}", call.attempts) }, now).0
    }

    fn ended(at: Timestamp, end: EndReason, seconds: Option<u32>) -> CallEvent {
        CallEvent::Ended(CallEnd { at, duration_seconds: seconds, end, user_spoke: None })
    }

    #[test]
    fn a_call_is_made_and_talked() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        assert_eq!(claimed.state, CallState::Initiating);
        let (accepted, _) = apply(&claimed, &CallEvent::Accepted { provider_call_id: "p1".into() }, at("18:10:01"));
        let (connected, _) = apply(&accepted, &CallEvent::Connected { at: at("18:10:09") }, at("18:10:10"));
        let (done, effects) = apply(&connected, &ended(at("18:13:09"), EndReason::Talked, None), at("18:13:10"));
        assert_eq!((done.state, done.duration_seconds), (CallState::Completed, Some(180)));
        assert_eq!(effects, [CallEffect::ClearTimer]);
        let path: Vec<CallState> = done.history.iter().map(|step| step.to).collect();
        assert_eq!(path, [CallState::Initiating, CallState::InProgress, CallState::Completed]);
    }

    #[test]
    fn the_ladder_has_three_attempts_and_one_follow_up() {
        let mut now = at("18:00:00");
        let mut call = call("18:00:00", "18:00:00", "20:00:00");
        let mut all = Vec::new();
        for due in ["18:30:30", "19:31:00"] {
            call = claim(&call, now);
            let missed_at = later(now, 30);
            let (next, effects) = apply(&call, &ended(missed_at, EndReason::NoAnswer, None), missed_at);
            assert_eq!((next.state, next.due_at), (CallState::Retry, at(due)));
            assert!(effects.contains(&CallEffect::SetTimer { due_at: at(due) }));
            all.extend(effects);
            (call, now) = (next, at(due));
        }
        call = claim(&call, now);
        let (failed, effects) = apply(&call, &ended(later(now, 30), EndReason::Busy, None), later(now, 30));
        all.extend(effects);
        assert_eq!((failed.state, failed.attempts, failed.cause.as_deref()), (CallState::Failed, 3, Some("busy")));
        assert_eq!(all.iter().filter(|effect| **effect == CallEffect::QueueFollowUp).count(), 1);
        let pro =
            transition(&call, &ended(now, EndReason::Busy, None), now, &CallPolicy::for_tier(Tier::B2cPro)).unwrap();
        assert!(pro.0.follow_up_queued, "asked for by the first miss already");
    }

    #[test]
    fn a_retry_is_moved_earlier_or_dropped_to_stay_in_time() {
        // The window ends at 18:20, so a retry must start before 18:50.
        let claimed = claim(&call("18:00:00", "18:15:00", "18:20:00"), at("18:15:00"));
        let (retry, _) = apply(&claimed, &ended(at("18:16:00"), EndReason::NoAnswer, None), at("18:16:00"));
        assert_eq!(retry.due_at, at("18:46:00"));
        let again = claim(&retry, at("18:46:00"));
        let (failed, _) = apply(&again, &ended(at("18:46:30"), EndReason::NoAnswer, None), at("18:46:30"));
        assert_eq!(failed.state, CallState::Failed);
        let late = claim(&call("18:00:00", "18:29:00", "18:30:00"), at("18:29:00"));
        let (moved, _) = apply(&late, &ended(at("18:35:00"), EndReason::NoAnswer, None), at("18:35:00"));
        assert_eq!(moved.due_at, at("18:59:00"));
    }

    #[test]
    fn the_grace_of_retries_stops_at_quiet_hours_unless_the_window_covers_them() {
        let mut evening = call("20:00:00", "21:00:00", "21:20:00");
        evening.state = CallState::Retry;
        assert_eq!(may_start(&evening, at("21:29:59")), Start::Now);
        assert_eq!(may_start(&evening, at("21:30:00")), Start::WindowClosed);
        let mut night = call("21:00:00", "21:00:00", "22:30:00");
        night.state = CallState::Retry;
        assert_eq!(may_start(&night, at("22:29:59")), Start::Now);
        assert_eq!(may_start(&night, at("22:30:00")), Start::WindowClosed);
    }

    #[test]
    fn a_call_never_starts_outside_its_window() {
        let waiting = call("18:00:00", "18:10:00", "20:00:00");
        let event = CallEvent::Claimed { attempt_id: "a".into() };
        let early = transition(&waiting, &event, at("18:09:59"), &policy()).unwrap_err();
        assert_eq!(early.problem, TransitionProblem::TooEarly);
        let late = transition(&waiting, &event, at("20:00:00"), &policy()).unwrap_err();
        assert_eq!(late.problem, TransitionProblem::WindowClosed);
        assert!(transition(&waiting, &CallEvent::WindowClosed, at("19:00:00"), &policy()).is_err());
        let (closed, effects) = apply(&waiting, &CallEvent::WindowClosed, at("20:00:00"));
        assert_eq!((closed.state, closed.cause.as_deref()), (CallState::Failed, Some("window_closed")));
        assert_eq!(effects, [CallEffect::ClearTimer]);
    }

    #[test]
    fn a_declined_call_ends_the_ladder_and_offers_a_text() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        let (declined, effects) = apply(&claimed, &ended(at("18:10:20"), EndReason::Declined, None), at("18:10:20"));
        assert_eq!((declined.state, declined.cause.as_deref()), (CallState::Failed, Some("declined")));
        assert_eq!(effects, [CallEffect::ClearTimer, CallEffect::OfferText]);
    }

    #[test]
    fn voicemail_and_a_silent_pick_up_are_missed() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        let (connected, _) = apply(&claimed, &CallEvent::Connected { at: at("18:10:09") }, at("18:10:10"));
        let (voicemail, _) = apply(&connected, &ended(at("18:10:30"), EndReason::Voicemail, Some(21)), at("18:10:30"));
        assert_eq!((voicemail.state, voicemail.outcome), (CallState::Retry, Some(Outcome::Voicemail)));
        let (short, _) = apply(&connected, &ended(at("18:10:18"), EndReason::Talked, Some(9)), at("18:10:18"));
        assert_eq!(short.state, CallState::Retry);
        let spoken = CallEvent::Ended(CallEnd {
            at: at("18:10:18"),
            duration_seconds: Some(9),
            end: EndReason::Talked,
            user_spoke: Some(true),
        });
        assert_eq!(apply(&connected, &spoken, at("18:10:18")).0.state, CallState::Completed);
    }

    #[test]
    fn the_end_may_overtake_the_start() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        let (done, _) = apply(&claimed, &ended(at("18:13:00"), EndReason::Talked, Some(120)), at("18:13:01"));
        assert_eq!((done.state, done.started_at), (CallState::Completed, Some(at("18:11:00"))));
        let late =
            transition(&done, &CallEvent::Connected { at: at("18:11:00") }, at("18:14:00"), &policy()).unwrap_err();
        assert!(late.is_stale());
        assert!(late.to_string().contains("completed") && late.to_string().contains("in_progress"), "{late}");
    }

    #[test]
    fn a_call_that_was_not_placed_goes_back_without_using_an_attempt() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        let back = CallEvent::NotPlaced { cause: "no_slot".into(), retry_at: at("18:12:00") };
        let (waiting, effects) = apply(&claimed, &back, at("18:10:01"));
        assert_eq!((waiting.state, waiting.attempts), (CallState::Scheduled, 0));
        assert_eq!(effects, [CallEffect::SetTimer { due_at: at("18:12:00") }]);
        let never = CallEvent::NotPlaced { cause: "no_slot".into(), retry_at: at("20:00:00") };
        let (failed, _) = apply(&claimed, &never, at("18:10:01"));
        assert_eq!((failed.state, failed.cause.as_deref()), (CallState::Failed, Some("window_closed")));
    }

    #[test]
    fn a_lease_ends_what_nothing_was_heard_of() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        assert!(transition(&claimed, &CallEvent::LeaseExpired, at("18:12:59"), &policy()).is_err());
        assert_eq!(apply(&claimed, &CallEvent::LeaseExpired, at("18:13:00")).0.state, CallState::Retry);
        let (connected, _) = apply(&claimed, &CallEvent::Connected { at: at("18:10:10") }, at("18:10:10"));
        assert_eq!(apply(&connected, &CallEvent::LeaseExpired, at("19:15:10")).0.state, CallState::Completed);
    }

    #[test]
    fn what_the_provider_did_not_place_goes_back_and_nobody_is_told_of_it() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        let (taken, _) = apply(&claimed, &CallEvent::Accepted { provider_call_id: "p1".into() }, at("18:10:01"));
        for (end, cause, seconds) in
            [(EndReason::NoCapacity, "provider_busy", 45), (EndReason::OurAccount, "our_account", 300)]
        {
            let (waiting, effects) = apply(&taken, &ended(at("18:10:02"), end, None), at("18:10:02"));
            assert_eq!(
                (waiting.state, waiting.attempts, waiting.cause.as_deref()),
                (CallState::Scheduled, 0, Some(cause))
            );
            assert!(waiting.due_at >= later(at("18:10:02"), seconds), "{}", waiting.due_at);
            assert!(waiting.due_at < later(at("18:10:17"), seconds), "{}", waiting.due_at);
            assert_eq!(effects, [CallEffect::SetTimer { due_at: waiting.due_at }]);
            assert_eq!((waiting.ended_at, waiting.attempt_to_repeat()), (None, None), "it has an end of its own");
        }
    }

    #[test]
    fn nobody_is_told_of_a_call_that_never_rang() {
        let claimed = claim(&call("18:00:00", "18:10:00", "18:15:00"), at("18:10:00"));
        let (retry, effects) = apply(&claimed, &CallEvent::LeaseExpired, at("18:13:00"));
        assert_eq!((retry.state, effects.len()), (CallState::Retry, 1));
        let (closed, effects) = apply(&retry, &CallEvent::WindowClosed, at("18:45:00"));
        assert_eq!((closed.state, effects), (CallState::Failed, vec![CallEffect::ClearTimer]));
    }

    #[test]
    fn an_attempt_without_an_answer_is_made_again_under_its_own_id() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        assert_eq!(claimed.attempt_to_repeat(), None, "it is under way");
        let unanswered = CallEvent::NotPlaced { cause: PROVIDER_UNAVAILABLE.into(), retry_at: at("18:14:00") };
        let (waiting, _) = apply(&claimed, &unanswered, at("18:13:00"));
        assert_eq!((waiting.attempts, waiting.attempt_to_repeat()), (0, Some("attempt-0")));
        let busy = CallEvent::NotPlaced { cause: "provider_busy".into(), retry_at: at("18:14:00") };
        assert_eq!(
            apply(&claimed, &busy, at("18:13:00")).0.attempt_to_repeat(),
            None,
            "it was told that nothing was done"
        );
    }

    #[test]
    fn late_news_of_the_beginning_does_not_undo_the_carriers_end() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        let over = CallEnd { at: at("18:10:40"), duration_seconds: None, end: EndReason::NoAnswer, user_spoke: None };
        let (told, _) = apply(&claimed, &CallEvent::CarrierEnded(over), at("18:10:41"));
        let lease = |call: &Call| call.attempt.as_ref().unwrap().lease_until;
        assert_eq!(lease(&told), at("18:11:41"));
        let (accepted, _) = apply(&told, &CallEvent::Accepted { provider_call_id: "p1".into() }, at("18:10:42"));
        let (connected, effects) = apply(&accepted, &CallEvent::Connected { at: at("18:10:10") }, at("18:10:43"));
        assert_eq!((lease(&accepted), lease(&connected)), (at("18:11:41"), at("18:11:41")));
        assert_eq!(effects, [CallEffect::SetTimer { due_at: at("18:11:41") }]);
    }

    #[test]
    fn a_retry_rings_at_the_time_that_its_user_chose_and_later_ones_keep_the_quiet_hours() {
        let claimed = claim(&call("18:00:00", "18:10:00", "20:00:00"), at("18:10:00"));
        let (retry, _) = apply(&claimed, &ended(at("18:10:30"), EndReason::NoAnswer, None), at("18:10:30"));
        let window = CallWindow { opens_at: at("22:00:00"), closes_at: at("22:30:00") };
        let moved = rescheduled(&retry, at("22:00:00"), (window, false), &Zone::default(), at("18:12:00")).unwrap();
        assert_eq!(may_start(&moved, at("22:00:00")), Start::Now);
        assert_eq!(may_start(&moved, at("22:30:00")), Start::WindowClosed);
        let again = claim(&moved, at("22:00:00"));
        let back = CallEvent::NotPlaced { cause: "provider_busy".into(), retry_at: at("22:01:00") };
        assert_eq!(apply(&again, &back, at("22:00:01")).0.state, CallState::Retry, "the time is still to come");
        let (missed, _) = apply(&again, &ended(at("22:00:30"), EndReason::NoAnswer, None), at("22:00:30"));
        assert_eq!(missed.state, CallState::Failed, "nobody chose a time for another");
    }

    #[test]
    fn a_refused_or_cancelled_call_is_over() {
        let waiting = call("18:00:00", "18:10:00", "20:00:00");
        let (cancelled, _) = apply(&waiting, &CallEvent::Cancelled { by: "user".into() }, at("17:00:00"));
        assert_eq!(cancelled.state, CallState::Cancelled);
        let claimed = claim(&waiting, at("18:10:00"));
        let (failed, _) = apply(&claimed, &CallEvent::Refused { cause: "invalid_number".into() }, at("18:10:01"));
        assert_eq!((failed.state, failed.cause.as_deref()), (CallState::Failed, Some("invalid_number")));
        let error =
            transition(&claimed, &CallEvent::Cancelled { by: "user".into() }, at("18:10:01"), &policy()).unwrap_err();
        assert_eq!((error.from, error.to, error.is_stale()), (CallState::Initiating, CallState::Cancelled, false));
    }

    #[test]
    fn an_inbound_call_is_never_called_back_by_the_ladder() {
        let now = at("12:00:00");
        let id = CallId::generate(now);
        let user = UserId::generate(now);
        let inbound = Call::inbound(id, user, CallType::Rescue, "p9".into(), Zone::default(), now, &policy());
        assert!(inbound.is_current_attempt(None, Some("p9")) && !inbound.is_current_attempt(None, Some("p8")));
        let (done, effects) = apply(&inbound, &ended(at("12:00:03"), EndReason::Talked, Some(3)), at("12:00:04"));
        assert_eq!((done.state, effects), (CallState::Completed, vec![CallEffect::ClearTimer]));
    }

    #[test]
    fn every_disconnection_reason_has_a_class() {
        for (reason, connected, class) in [
            ("user_hangup", true, EndReason::Talked),
            ("dial_no_answer", false, EndReason::NoAnswer),
            ("dial_busy", false, EndReason::Busy),
            ("user_declined", false, EndReason::Declined),
            ("voicemail_reached", true, EndReason::Voicemail),
            ("ivr_reached", true, EndReason::Screening),
            ("invalid_destination", false, EndReason::NeverRedial),
            ("user_requested_dnc", true, EndReason::Talked),
            ("no_valid_payment", false, EndReason::OurAccount),
            ("credit_exhausted", false, EndReason::OurAccount),
            ("budget_reached", false, EndReason::OurAccount),
            ("concurrency_limit_reached", false, EndReason::NoCapacity),
            ("no_concurrency_fallback", false, EndReason::NoCapacity),
            ("telephony_provider_unavailable", false, EndReason::NoCapacity),
            ("telephony_provider_unavailable", true, EndReason::Talked),
            ("error_retell", false, EndReason::SetupFailed),
            ("error_retell", true, EndReason::Talked),
            ("something_new", true, EndReason::Talked),
            ("something_new", false, EndReason::NoAnswer),
        ] {
            assert_eq!(EndReason::from_disconnection(reason, connected), class, "{reason} {connected}");
        }
    }
}
