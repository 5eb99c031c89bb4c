//! Which calls a day has: the rules by name, and any user on any day.

use crate::common::{at, user, zone};
use ivy_domain::{
    Tier, User,
    call::CallType::{self, EveningReview, MonthlyCheck, MorningPlanning, Onboarding, QuarterlyReview, WeeklyPlanning},
    days,
    planning::{CallHistory, Channel, call_id, calls_for, calls_per_week},
    user::{CommunicationPreference, UserStatus, WeekdaySet, Window},
};
use jiff::civil::{Date, Time, Weekday, date};
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_assert_ne, proptest};

const DONE: CallHistory = CallHistory { onboarding_call_done: true };

fn types(user: &User, date: Date) -> Vec<CallType> {
    calls_for(user, date, &DONE).into_iter().map(|call| call.call_type).collect()
}

fn with(change: impl FnOnce(&mut User)) -> User {
    let mut user = user();
    change(&mut user);
    user
}

fn set(days: &[Weekday]) -> WeekdaySet {
    days.iter().copied().collect()
}

#[test]
fn elite_has_morning_and_evening_on_preferred_days() {
    let user = with(|user| user.preferred_days = set(&[Weekday::Monday, Weekday::Wednesday]));
    assert_eq!(types(&user, date(2026, 11, 23)), [MorningPlanning, EveningReview]);
    assert_eq!(types(&user, date(2026, 11, 24)), []);
    // Weekly planning is on Sunday, preferred or not, and only in the evening.
    assert_eq!(types(&user, date(2026, 11, 22)), [WeeklyPlanning]);
    assert_eq!(calls_per_week(&user, date(2026, 11, 24)), 5);
}

#[test]
fn a_rarer_call_takes_the_place_of_the_evening_review() {
    let elite = with(|user| user.preferred_days = set(&[Weekday::Monday, Weekday::Wednesday]));
    assert_eq!(types(&elite, date(2026, 12, 2)), [MorningPlanning, MonthlyCheck]);
    assert_eq!(types(&elite, date(2026, 12, 7)), [MorningPlanning, EveningReview]);
    let sponsored = with(|user| user.subscription_type = Tier::B2bSponsor);
    assert_eq!(types(&sponsored, date(2026, 12, 1)), [MorningPlanning, EveningReview]);
    assert_eq!(types(&sponsored, date(2026, 11, 22)), [MorningPlanning, WeeklyPlanning]);
}

#[test]
fn concierge_has_a_quarterly_review_every_13th_week() {
    let concierge = with(|user| {
        user.subscription_type = Tier::B2cConcierge;
        user.preferred_days = set(&[Weekday::Monday]);
        user.onboarded_at = Some(at("2026-01-01T12:00:00Z"));
    });
    let quarterly: Vec<Date> = (1..366)
        .map(|day| days::plus_days(date(2026, 1, 1), day))
        .filter(|day| types(&concierge, *day).contains(&QuarterlyReview))
        .collect();
    assert_eq!(quarterly, [date(2026, 4, 6), date(2026, 7, 6), date(2026, 10, 5)]);
}

#[test]
fn pro_has_weekly_planning_and_one_evening_review_a_week() {
    let pro = with(|user| {
        user.subscription_type = Tier::B2cPro;
        user.preferred_days = set(&[Weekday::Monday, Weekday::Wednesday, Weekday::Friday]);
    });
    let week: Vec<(i8, Vec<CallType>)> = (23..=29).map(|day| (day, types(&pro, date(2026, 11, day)))).collect();
    let calls: Vec<_> = week.into_iter().filter(|(_, calls)| !calls.is_empty()).collect();
    assert_eq!(calls, [(25, vec![EveningReview]), (29, vec![WeeklyPlanning])]);
    assert_eq!(calls_per_week(&pro, date(2026, 11, 25)), 2);
    let any_day = with(|user| user.subscription_type = Tier::B2cPro);
    assert_eq!(types(&any_day, date(2026, 11, 26)), [EveningReview]);
}

#[test]
fn async_users_get_messages_and_mixed_ones_both() {
    let channels = |preference| {
        let user = with(|user| user.communication_preference = preference);
        calls_for(&user, date(2026, 11, 24), &DONE).into_iter().map(|call| call.channel).collect::<Vec<_>>()
    };
    assert_eq!(channels(CommunicationPreference::Calls), [Channel::Voice, Channel::Voice]);
    assert_eq!(channels(CommunicationPreference::Async), [Channel::Message, Channel::Message]);
    assert_eq!(channels(CommunicationPreference::Mixed), [Channel::Message, Channel::Voice]);
}

#[test]
fn the_onboarding_call_takes_the_first_window_after_sign_up() {
    let new = CallHistory::default();
    let user = with(|user| {
        user.preferred_days = set(&[Weekday::Monday]);
        user.onboarded_at = Some(at("2026-11-24T12:00:00Z"));
    });
    let first: Vec<_> = calls_for(&user, date(2026, 11, 24), &new).into_iter().map(|call| call.call_type).collect();
    assert_eq!(first, [Onboarding], "a Tuesday, although only Mondays are preferred");
    assert_eq!(calls_for(&user, date(2026, 11, 25), &new), []);
    assert_eq!(types(&user, date(2026, 11, 24)), []);
    let late = with(|user| user.onboarded_at = Some(at("2026-11-24T20:30:00Z")));
    let next: Vec<_> = calls_for(&late, date(2026, 11, 25), &new).into_iter().map(|call| call.call_type).collect();
    assert_eq!(next, [Onboarding, EveningReview]);
    assert_eq!(calls_for(&late, date(2026, 11, 24), &new), [], "nothing before onboarding");
}

#[test]
fn nobody_is_called_who_may_not_be() {
    let day = date(2026, 11, 24);
    assert_eq!(types(&with(|user| user.status = UserStatus::Paused), day), []);
    assert_eq!(types(&with(|user| user.consents.calls = None), day), []);
    assert_eq!(types(&with(|user| user.onboarded_at = None), day), []);
    assert_eq!(types(&with(|user| user.morning_window = None), day), [EveningReview]);
}

#[test]
fn a_window_that_a_jump_removed_moves_behind_it() {
    let user = with(|user| {
        user.timezone = zone("America/New_York");
        // 02:10 on the local day of 7 March lies on 8 March, where clocks jump from 02:00 to 03:00.
        user.morning_window = Some(Window::new(Time::constant(2, 10, 0, 0), Time::constant(2, 40, 0, 0)).unwrap());
    });
    let call = calls_for(&user, date(2026, 3, 7), &DONE).pop().unwrap();
    assert_eq!(call.window.opens_at, at("2026-03-08T07:00:00Z"));
    assert!(call.due_at >= call.window.opens_at && call.due_at < call.window.closes_at);
}

#[test]
fn a_date_that_the_zone_left_out_has_no_calls() {
    let user = with(|user| {
        user.timezone = zone("Pacific/Apia");
        user.onboarded_at = Some(at("2011-01-01T12:00:00Z"));
    });
    assert_eq!(types(&user, date(2011, 12, 30)), []);
}

proptest! {
    #[test]
    fn a_days_calls_lie_in_their_windows_and_repeat(
        day in 0_i32..1500,
        tier in any::<proptest::sample::Index>(),
        zone_name in any::<proptest::sample::Index>(),
        (start, length) in (0_i16..1420, 10_i16..600),
        preferred in proptest::collection::vec(0_i8..7, 0..5),
        onboarding_call_done in any::<bool>(),
    ) {
        let zones = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kathmandu"];
        let minutes = |of_day: i16| Time::constant((of_day / 60) as i8, (of_day % 60) as i8, 0, 0);
        let user = with(|user| {
            user.subscription_type = Tier::ALL[tier.index(Tier::ALL.len())];
            user.timezone = zone(zones[zone_name.index(zones.len())]);
            user.morning_window = Window::new(minutes(start), minutes((start + length).min(1439))).ok();
            user.preferred_days = preferred.iter().map(|day| Weekday::from_monday_zero_offset(*day).unwrap()).collect();
        });
        let date = days::plus_days(date(2026, 1, 1), day);
        let history = CallHistory { onboarding_call_done };
        let calls = calls_for(&user, date, &history);
        prop_assert_eq!(&calls, &calls_for(&user, date, &history));
        prop_assert!(calls.len() <= 2);
        for call in &calls {
            let half = call.window.opens_at + call.window.closes_at.duration_since(call.window.opens_at) / 2;
            prop_assert!(call.window.opens_at <= call.due_at && call.due_at <= half && half < call.window.closes_at);
            prop_assert_eq!(call.date, date);
            prop_assert_eq!(call.due_at.subsec_nanosecond(), 0);
        }
        if let [first, second] = calls.as_slice() {
            prop_assert!(first.window != second.window && first.call_type != second.call_type);
            prop_assert_ne!(call_id(user.id, date, first.call_type), call_id(user.id, date, second.call_type));
        }
        if onboarding_call_done {
            prop_assert!(calls.iter().all(|call| call.call_type != Onboarding));
        }
    }
}
