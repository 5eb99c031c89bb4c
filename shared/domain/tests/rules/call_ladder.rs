//! The ladder of a call under any sequence of events at any times.

use crate::common::at;
use ivy_domain::{
    CallId, Tier, UserId, Zone,
    call::{
        Call, CallEffect, CallEnd, CallEvent, CallPolicy, CallState, CallType, CallWindow, EndReason, Start, may_start,
        transition,
    },
    days,
};
use jiff::SignedDuration;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_assert_ne, prop_oneof, proptest};

#[derive(Debug, Clone)]
enum Move {
    Claim,
    Accept,
    Refuse,
    PutBack(i64),
    Connect,
    End(EndReason, Option<u32>, Option<bool>),
    CarrierEnd(EndReason, Option<u32>),
    Machine,
    Lease,
    Close,
    Cancel,
}

fn moves() -> impl Strategy<Value = (i64, Move)> {
    let reason = prop_oneof![
        Just(EndReason::Talked),
        Just(EndReason::NoAnswer),
        Just(EndReason::Busy),
        Just(EndReason::Declined),
        Just(EndReason::Voicemail),
        Just(EndReason::Screening),
        Just(EndReason::SetupFailed),
        Just(EndReason::NeverRedial),
        Just(EndReason::NoCapacity),
        Just(EndReason::OurAccount),
    ];
    let carrier_reason = prop_oneof![
        Just(EndReason::Talked),
        Just(EndReason::NoAnswer),
        Just(EndReason::Busy),
        Just(EndReason::SetupFailed),
    ];
    let step = prop_oneof![
        8 => Just(Move::Claim),
        2 => Just(Move::Accept),
        1 => Just(Move::Refuse),
        3 => (0_i64..1800).prop_map(Move::PutBack),
        2 => Just(Move::Connect),
        2 => (carrier_reason, proptest::option::of(0_u32..100)).prop_map(|(r, d)| Move::CarrierEnd(r, d)),
        1 => Just(Move::Machine),
        8 => (reason, proptest::option::of(0_u32..100), any::<Option<bool>>()).prop_map(|(r, d, s)| Move::End(r, d, s)),
        3 => Just(Move::Lease),
        1 => Just(Move::Close),
        1 => Just(Move::Cancel),
    ];
    (0_i64..2400, step)
}

proptest! {
    #[test]
    fn any_events_keep_the_ladders_promises(
        events in proptest::collection::vec(moves(), 1..60),
        opens_hour in 3_i64..23,
        minutes in 10_i64..300,
        tier in any::<proptest::sample::Index>(),
    ) {
        let midnight = at("2026-11-21T00:00:00Z");
        let opens_at = midnight + SignedDuration::from_hours(opens_hour);
        let window = CallWindow { opens_at, closes_at: opens_at + SignedDuration::from_mins(minutes) };
        let policy = CallPolicy::for_tier(Tier::ALL[tier.index(Tier::ALL.len())]);
        let london = Zone::default();
        let mut call = Call::scheduled(
            CallId::generate(midnight), UserId::generate(midnight), CallType::EveningReview, opens_at, window, london.clone(), midnight,
        );
        let mut now = opens_at - SignedDuration::from_mins(5);
        let (mut texts, mut claims) = (0, 0);
        for (seconds, step) in events {
            now += SignedDuration::from_secs(seconds);
            claims += 1;
            let event = match step {
                Move::Claim => CallEvent::Claimed { attempt_id: format!("attempt {claims}") },
                Move::Accept => CallEvent::Accepted { provider_call_id: format!("provider {claims}") },
                Move::Refuse => CallEvent::Refused { cause: "invalid_number".into() },
                Move::PutBack(wait) => {
                    CallEvent::NotPlaced { cause: "busy_lines".into(), retry_at: now + SignedDuration::from_secs(wait) }
                }
                Move::Connect => CallEvent::Connected { at: now },
                Move::End(end, duration_seconds, user_spoke) => {
                    CallEvent::Ended(CallEnd { at: now, duration_seconds, end, user_spoke })
                }
                Move::CarrierEnd(end, duration_seconds) => {
                    CallEvent::CarrierEnded(CallEnd { at: now, duration_seconds, end, user_spoke: None })
                }
                Move::Machine => CallEvent::VoicemailFound,
                Move::Lease => CallEvent::LeaseExpired,
                Move::Close => CallEvent::WindowClosed,
                Move::Cancel => CallEvent::Cancelled { by: "user".into() },
            };
            let before = call.clone();
            match transition(&call, &event, now, &policy) {
                Err(error) => {
                    prop_assert_eq!(error.from, before.state);
                    let repeated = transition(&call, &event, now, &policy).unwrap_err();
                    prop_assert_eq!(error, repeated);
                }
                Ok((next, effects)) => {
                    let reopened = before.state == CallState::Completed && event == CallEvent::VoicemailFound;
                    prop_assert!(!before.state.is_terminal() || reopened, "terminal stays terminal");
                    if let (Some(earlier), Some(later)) = (&before.attempt, &next.attempt)
                        && earlier.id == later.id
                        && earlier.carrier_end.is_some()
                    {
                        prop_assert!(later.lease_until <= earlier.lease_until, "the carrier's word stands");
                    }
                    if matches!(event, CallEvent::Claimed { .. }) {
                        prop_assert_eq!(may_start(&before, now), Start::Now);
                        let inside = window.opens_at <= now && now < window.closes_at;
                        let grace = before.state == CallState::Retry
                            && now < window.closes_at + SignedDuration::from_mins(30)
                            && !days::is_quiet(now, &london);
                        prop_assert!(inside || grace, "started at {} for {:?}", now, window);
                    }
                    texts += effects
                        .iter()
                        .filter(|effect| matches!(effect, CallEffect::QueueFollowUp | CallEffect::OfferText))
                        .count();
                    prop_assert_ne!(next.state, CallState::Missed);
                    prop_assert_eq!(next.version, before.version);
                    prop_assert!(next.history.len() >= before.history.len());
                    for pair in next.history.windows(2) {
                        prop_assert_eq!(pair[0].to, pair[1].from);
                    }
                    if let Some(last) = next.history.last() {
                        prop_assert_eq!(last.to, next.state);
                    }
                    if next.state == CallState::Retry {
                        prop_assert!(next.due_at >= now);
                    }
                    call = next;
                }
            }
            prop_assert!(call.attempts <= 3);
            prop_assert!(texts <= 1, "one text a call");
        }
        let stored = serde_json::to_string(&call).unwrap();
        prop_assert_eq!(serde_json::from_str::<Call>(&stored).unwrap(), call);
    }
}
