//! Which calls a day has: the rules by name, and any user on any day.

use crate::common::{at, user, zone};
use ivy_domain::{
    Tier, User,
    call::CallType::{self, EveningReview, MonthlyCheck, MorningPlanning, Onboarding, QuarterlyReview, WeeklyPlanning},
    days,
    planning::{CallHistory, Channel, call_id, calls_for, calls_per_week},
    user::{CommunicationPreference, Consent, Consents, UserStatus, WeekdaySet, Window},
};
use jiff::civil::{Date, Time, Weekday, date};
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_assert_ne, proptest};

const DONE: CallHistory = CallHistory::DONE;

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
    assert_eq!(types(&user, date(2026, 11, 24)), []);
    let late = with(|user| user.onboarded_at = Some(at("2026-11-24T20:30:00Z")));
    let next: Vec<_> = calls_for(&late, date(2026, 11, 25), &new).into_iter().map(|call| call.call_type).collect();
    assert_eq!(next, [Onboarding, EveningReview]);
    assert_eq!(calls_for(&late, date(2026, 11, 24), &new), [], "nothing before onboarding");
    let unproven_till_noon = with(|user| user.phone_proven_at = Some(at("2026-11-24T12:00:00Z")));
    let first: Vec<_> =
        calls_for(&unproven_till_noon, date(2026, 11, 24), &new).into_iter().map(|call| call.call_type).collect();
    assert_eq!(first.last(), Some(&Onboarding), "in the first window after the proof");
}

fn onboarding_on(user: &User, date: Date, history: CallHistory) -> Vec<(Channel, jiff::Timestamp)> {
    let calls = calls_for(user, date, &history).into_iter().filter(|call| call.call_type == Onboarding);
    calls.map(|call| (call.channel, call.window.opens_at)).collect()
}

/// The first window of a `mixed` user is the morning's message: the onboarding call vanished in it.
#[test]
fn the_onboarding_call_of_a_mixed_user_is_by_voice() {
    let day = date(2026, 11, 24);
    let mixed = with(|user| {
        user.communication_preference = CommunicationPreference::Mixed;
        user.onboarded_at = Some(at("2026-11-24T03:00:00Z"));
    });
    let evening = at("2026-11-24T18:00:00Z");
    assert_eq!(onboarding_on(&mixed, day, CallHistory::default()), [(Channel::Voice, evening)]);
    let mornings = User { evening_window: None, ..mixed.clone() };
    let morning = at("2026-11-24T07:00:00Z");
    assert_eq!(onboarding_on(&mornings, day, CallHistory::default()), [(Channel::Voice, morning)]);
    let written = User { communication_preference: CommunicationPreference::Async, ..mixed };
    assert_eq!(onboarding_on(&written, day, CallHistory::default()), [], "nothing rings");
    let rang = CallHistory { onboarding_call_at: Some(evening), ..CallHistory::default() };
    assert_eq!(onboarding_on(&written, day, rang), [], "also of what was planned before they chose to write");
}

/// Who takes messages and no calls got neither.
#[test]
fn a_message_in_place_of_a_call_needs_the_consent_to_messages_and_a_call_the_one_to_calls() {
    let no = |consent: &mut Option<Consent>| consent.as_mut().unwrap().granted = false;
    let day = date(2026, 11, 24);
    for history in [CallHistory::DONE, CallHistory::default()] {
        let channels = |preference, change: &dyn Fn(&mut Consents)| {
            let user = with(|user| {
                user.communication_preference = preference;
                user.evening_window = user.evening_window.filter(|_| history == CallHistory::DONE);
                change(&mut user.consents);
            });
            calls_for(&user, day, &history).into_iter().map(|call| call.channel).collect::<Vec<_>>()
        };
        let parts = if history == CallHistory::DONE { 2 } else { 1 };
        let no_calls = |consents: &mut Consents| no(&mut consents.calls);
        let no_messages = |consents: &mut Consents| no(&mut consents.messages);
        assert_eq!(channels(CommunicationPreference::Async, &no_calls), vec![Channel::Message; parts]);
        assert_eq!(channels(CommunicationPreference::Async, &no_messages), []);
        assert_eq!(
            channels(CommunicationPreference::Mixed, &no_calls),
            [Channel::Message],
            "also in the onboarding's slot"
        );
        assert_eq!(channels(CommunicationPreference::Mixed, &no_messages), [Channel::Voice]);
        assert_eq!(channels(CommunicationPreference::Calls, &no_calls), []);
        assert_eq!(channels(CommunicationPreference::Calls, &no_messages), vec![Channel::Voice; parts]);
    }
}

/// Who agreed to calls, or named windows, after the first window had passed never got an onboarding call.
#[test]
fn the_onboarding_call_waits_for_consent_and_windows() {
    let new = CallHistory::default();
    let mut user = with(|user| {
        user.subscription_type = Tier::B2cPro;
        user.onboarded_at = Some(at("2026-11-02T12:00:00Z"));
    });
    // A Tuesday three weeks later, at noon: the evening of that day, although Pro's days are Thursday and Sunday.
    user.consents.calls.as_mut().unwrap().at = at("2026-11-24T12:00:00Z");
    let evening = [(Channel::Voice, at("2026-11-24T18:00:00Z"))];
    assert_eq!(onboarding_on(&user, date(2026, 11, 24), new), evening);
    let without = User { morning_window: None, evening_window: None, ..user.clone() };
    assert_eq!(onboarding_on(&without, date(2026, 11, 24), new), []);
    assert_eq!(onboarding_on(&user, date(2026, 11, 28), new), [(Channel::Voice, at("2026-11-28T07:00:00Z"))]);
    let named_at_noon = CallHistory { onboarding_not_before: Some(at("2026-11-28T12:00:00Z")), ..new };
    assert_eq!(onboarding_on(&user, date(2026, 11, 28), named_at_noon), [(Channel::Voice, at("2026-11-28T18:00:00Z"))]);
}

#[test]
fn an_onboarding_call_that_the_day_has_had_keeps_its_window() {
    let day = date(2026, 11, 24);
    let types = |user: &User, at_time: &str| {
        let history = CallHistory { onboarding_call_at: Some(at(at_time)), ..DONE };
        calls_for(user, day, &history).into_iter().map(|call| call.call_type).collect::<Vec<_>>()
    };
    assert_eq!(types(&user(), "2026-11-24T07:10:00Z"), [Onboarding, EveningReview]);
    assert_eq!(types(&user(), "2026-11-24T18:10:00Z"), [MorningPlanning, Onboarding]);
    let no_mornings = with(|user| user.morning_window = None);
    assert_eq!(types(&no_mornings, "2026-11-24T07:10:00Z"), [EveningReview]);
}

#[test]
fn an_onboarding_call_that_rang_in_vain_comes_on_the_days_that_have_calls() {
    let tried = CallHistory { onboarding_call_tried: true, ..CallHistory::default() };
    let pro = with(|user| user.subscription_type = Tier::B2cPro);
    let week: Vec<i8> = (23..=29).filter(|day| !onboarding_on(&pro, date(2026, 11, *day), tried).is_empty()).collect();
    assert_eq!(week, [26, 29]);
    assert_eq!(calls_for(&pro, date(2026, 11, 26), &tried).len(), 1, "in place of the review");
    let mondays = with(|user| user.preferred_days = set(&[Weekday::Monday]));
    assert_eq!(calls_for(&mondays, date(2026, 11, 25), &tried), []);
}

/// With Sunday alone, the weekly planning took the only evening, and one call a week remained.
#[test]
fn pro_has_two_calls_a_week_whatever_days_are_preferred() {
    for days in 0_u8..128 {
        let preferred = (0..7).filter(|day| days & (1 << day) != 0);
        let pro = with(|user| {
            user.subscription_type = Tier::B2cPro;
            user.preferred_days = preferred.map(|day| Weekday::from_monday_zero_offset(day).unwrap()).collect();
        });
        assert_eq!(calls_per_week(&pro, date(2026, 11, 25)), 2, "{:?}", pro.preferred_days);
        let week: Vec<CallType> = (23..=29).flat_map(|day| types(&pro, date(2026, 11, day))).collect();
        assert_eq!(week, [EveningReview, WeeklyPlanning]);
    }
}

#[test]
fn nobody_is_called_who_may_not_be() {
    let day = date(2026, 11, 24);
    assert_eq!(types(&with(|user| user.status = UserStatus::Paused), day), []);
    assert_eq!(types(&with(|user| user.consents.calls = None), day), []);
    assert_eq!(types(&with(|user| user.onboarded_at = None), day), []);
    assert_eq!(types(&with(|user| user.phone_proven_at = None), day), []);
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
        (onboarding_call_done, onboarding_call_tried) in any::<(bool, bool)>(),
        preference in proptest::sample::select(vec![
            CommunicationPreference::Calls, CommunicationPreference::Mixed, CommunicationPreference::Async,
        ]),
    ) {
        let zones = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kathmandu"];
        let minutes = |of_day: i16| Time::constant((of_day / 60) as i8, (of_day % 60) as i8, 0, 0);
        let user = with(|user| {
            user.subscription_type = Tier::ALL[tier.index(Tier::ALL.len())];
            user.timezone = zone(zones[zone_name.index(zones.len())]);
            user.communication_preference = preference;
            user.morning_window = Window::new(minutes(start), minutes((start + length).min(1439))).ok();
            user.preferred_days = preferred.iter().map(|day| Weekday::from_monday_zero_offset(*day).unwrap()).collect();
        });
        let date = days::plus_days(date(2026, 1, 1), day);
        let history = CallHistory { onboarding_call_done, onboarding_call_tried, ..CallHistory::default() };
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
        let onboarding: Vec<_> = calls.iter().filter(|call| call.call_type == Onboarding).collect();
        if onboarding_call_done {
            prop_assert!(onboarding.is_empty());
        } else if preference != CommunicationPreference::Async {
            // By voice, and on each day until it is done; once it has rung, on the days that have calls by voice anyway.
            prop_assert!(onboarding.iter().all(|call| call.channel == Channel::Voice));
            let usual = calls_for(&user, date, &DONE);
            let has_voice = usual.iter().any(|call| call.channel == Channel::Voice);
            let reachable = has_voice || (!onboarding_call_tried && days::has_day(date, &user.timezone));
            // On the day of the sign-up itself the evening may already be over.
            let most = usize::from(reachable);
            prop_assert!(onboarding.len() == most || (day == 0 && onboarding.len() < most), "{:?}", calls);
        }
    }
}
