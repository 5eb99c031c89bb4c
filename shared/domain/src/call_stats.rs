//! A user's calls in numbers.
//!
//! A call was *answered* when a person was reached: it connected, and it was neither a voicemail nor given up as missed. It
//! was *attempted* when the phone rang at least once and the call is over. The pick-up rate is the share of answered calls
//! among the attempted ones that Ivy made; calls that the user made count for talk time only, for picking up is Ivy's part
//! there. Calls of the retry ladder are one call, whatever the number of attempts.

use std::collections::BTreeMap;

use crate::call::{Call, CallState, CallType, Direction, Outcome};

/// What became of the calls of a span.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallStats {
    pub total: u32,
    /// Every state, outcome and type by its name, those without a call included.
    pub by_state: BTreeMap<&'static str, u32>,
    pub by_outcome: BTreeMap<&'static str, u32>,
    pub by_type: BTreeMap<&'static str, u32>,
    /// Calls by Ivy that rang and are over.
    pub attempted: u32,
    /// Those of them in which somebody was reached.
    pub answered: u32,
    /// Of completed calls, whoever made them.
    pub talks: u32,
    pub talk_seconds: u64,
}

const STATES: [CallState; 8] = [
    CallState::Scheduled,
    CallState::Initiating,
    CallState::InProgress,
    CallState::Completed,
    CallState::Missed,
    CallState::Retry,
    CallState::Failed,
    CallState::Cancelled,
];

const OUTCOMES: [Outcome; 6] = [
    Outcome::WorkoutPlanned,
    Outcome::WorkoutLogged,
    Outcome::RescueSuccess,
    Outcome::RescueFailed,
    Outcome::Voicemail,
    Outcome::NoCommitment,
];

impl CallStats {
    #[must_use]
    pub fn of<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Self {
        let mut stats = Self {
            by_state: STATES.iter().map(|state| (state.name(), 0)).collect(),
            by_outcome: OUTCOMES.iter().map(|outcome| (outcome.name(), 0)).collect(),
            by_type: CallType::ALL.iter().map(|call_type| (call_type.name(), 0)).collect(),
            ..Self::default()
        };
        for call in calls {
            stats.count(call);
        }
        stats
    }

    fn count(&mut self, call: &Call) {
        self.total += 1;
        *self.by_state.entry(call.state.name()).or_default() += 1;
        *self.by_type.entry(call.call_type.name()).or_default() += 1;
        if let Some(outcome) = call.outcome {
            *self.by_outcome.entry(outcome.name()).or_default() += 1;
        }
        let talked = call.state == CallState::Completed && call.outcome != Some(Outcome::Voicemail);
        if talked {
            self.talks += 1;
            self.talk_seconds += u64::from(call.duration_seconds.unwrap_or(0));
        }
        if call.direction == Direction::Outbound && call.attempts > 0 && call.state.is_terminal() {
            self.attempted += 1;
            self.answered += u32::from(talked);
        }
    }

    /// Answered calls per attempted one, to 2 decimals; `None` before the first.
    #[must_use]
    pub fn pickup_rate(&self) -> Option<f64> {
        (self.attempted > 0).then(|| (f64::from(self.answered) / f64::from(self.attempted) * 100.0).round() / 100.0)
    }

    /// Whole seconds, rounded; `None` before the first talk.
    #[must_use]
    pub fn average_seconds(&self) -> Option<u64> {
        let talks = u64::from(self.talks);
        (talks > 0).then(|| (self.talk_seconds + talks / 2) / talks)
    }

    /// Minutes of talk, to 1 decimal.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds stay far below 2^53")]
    pub fn total_minutes(&self) -> f64 {
        (self.talk_seconds as f64 / 6.0).round() / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Zone,
        call::CallWindow,
        ids::{CallId, UserId},
    };
    use jiff::{SignedDuration, Timestamp};

    fn call(state: CallState, attempts: u8, outcome: Option<Outcome>, seconds: Option<u32>) -> Call {
        let now: Timestamp = "2026-11-23T07:30:00Z".parse().unwrap();
        let window = CallWindow { opens_at: now, closes_at: now + SignedDuration::from_hours(1) };
        let (id, user) = (CallId::generate(now), UserId::generate(now));
        let call = Call::scheduled(id, user, CallType::MorningPlanning, now, window, Zone::default(), now);
        Call { state, attempts, outcome, duration_seconds: seconds, ..call }
    }

    #[test]
    fn a_voicemail_is_no_answer_and_a_waiting_call_no_attempt() {
        let calls = [
            call(CallState::Completed, 2, Some(Outcome::WorkoutPlanned), Some(100)),
            call(CallState::Completed, 1, Some(Outcome::NoCommitment), Some(45)),
            call(CallState::Completed, 1, Some(Outcome::Voicemail), Some(30)),
            call(CallState::Failed, 3, None, None),
            call(CallState::Failed, 0, None, None),
            call(CallState::Retry, 1, None, None),
            call(CallState::Scheduled, 0, None, None),
            call(CallState::Cancelled, 0, None, None),
            Call { direction: Direction::Inbound, ..call(CallState::Completed, 1, None, Some(5)) },
        ];
        let stats = CallStats::of(&calls);
        assert_eq!((stats.total, stats.attempted, stats.answered, stats.talks), (9, 4, 2, 3));
        assert_eq!(stats.pickup_rate(), Some(0.5));
        assert_eq!((stats.average_seconds(), stats.total_minutes()), (Some(50), 2.5));
        assert_eq!((stats.by_state["completed"], stats.by_state["missed"], stats.by_outcome["voicemail"]), (4, 0, 1));
        assert_eq!((stats.by_type["morning_planning"], stats.by_type["rescue"]), (9, 0));
        assert_eq!(stats.by_state.values().sum::<u32>(), stats.total);
    }

    #[test]
    fn without_calls_there_are_no_rates() {
        let stats = CallStats::of([]);
        assert_eq!((stats.pickup_rate(), stats.average_seconds(), stats.total_minutes()), (None, None, 0.0));
        assert_eq!(stats.by_state.len(), STATES.len());
    }
}
