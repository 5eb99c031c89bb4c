//! Each prompt variable, by name, for a user of whom everything is known and one of whom nothing is.

use std::collections::BTreeMap;

use crate::common::{at, user};
use ivy_domain::{
    Pence,
    call::CallType,
    scores::{Score, ScoreKind},
    stats::Counters,
    streak::Standing,
    variables::{CallContext, NAMES, PlannedToday, variables},
    wallet::{PeriodRule, Wallet},
};
use jiff::civil::date;

fn known() -> BTreeMap<String, String> {
    let mut user = user();
    user.name_pronunciation = Some("Mah-ra".parse().unwrap());
    user.minimum_action = Some("ten minutes of walking".parse().unwrap());
    user.gift_frame = Some("a gift to my future self".parse().unwrap());
    user.why_started = Some("to keep up with my kids".parse().unwrap());
    user.obstacles = vec!["late meetings".parse().unwrap(), "rain".parse().unwrap()];
    let mut counters = Counters::default();
    for day in [2, 16, 17, 21] {
        counters.count(date(2026, 11, day), 1);
    }
    for (kind, start, current) in [(ScoreKind::Energy, 4, 7), (ScoreKind::Mood, 5, 6), (ScoreKind::Confidence, 3, 8)] {
        counters.scores.record(kind, Score::try_from(start).unwrap(), date(2026, 11, 1));
        counters.scores.record(kind, Score::try_from(current).unwrap(), date(2026, 11, 2));
    }
    counters.mark("slept through".parse().unwrap());
    counters.mark("took the stairs".parse().unwrap());
    let now = at("2026-11-21T18:10:00Z");
    let mut wallet = Wallet::open(now, &PeriodRule::Billing);
    wallet.lifetime_donated = Pence(8950);
    let plans = [
        PlannedToday { activity: "yoga".parse().unwrap(), time: None },
        PlannedToday { activity: "a run".parse().unwrap(), time: Some(at("2026-11-21T12:30:00Z")) },
    ];
    variables(&CallContext {
        user: &user,
        company_name: Some("Acme"),
        charity_name: "Mind",
        standing: Standing { current: 12, longest: 23, previous: 5, kept_today: false, commitment_today: true },
        counters: &counters,
        wallet: &wallet,
        plans: &plans,
        call_type: CallType::EveningReview,
        is_first_call: false,
        last_interaction_at: Some(at("2026-11-19T08:00:00Z")),
        calendar_conflicts: Some("a meeting from 6pm to 7pm"),
        now,
    })
}

fn unknown() -> BTreeMap<String, String> {
    let mut user = user();
    user.onboarded_at = None;
    let counters = Counters::default();
    let now = at("2026-12-05T01:00:00Z");
    let wallet = Wallet::open(now, &PeriodRule::Billing);
    variables(&CallContext {
        user: &user,
        company_name: None,
        charity_name: "Mind",
        standing: Standing::default(),
        counters: &counters,
        wallet: &wallet,
        plans: &[],
        call_type: CallType::Onboarding,
        is_first_call: true,
        last_interaction_at: None,
        calendar_conflicts: None,
        now,
    })
}

/// One test per variable: its value when all is known, and when nothing is.
macro_rules! variable {
    ($($name:ident: $known:literal, $unknown:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let name = stringify!($name);
                assert_eq!(known()[name], $known);
                assert_eq!(unknown()[name], $unknown);
            }
        )*

        #[test]
        fn every_variable_has_a_test_and_is_always_present() {
            let tested = [$(stringify!($name)),*];
            assert_eq!(tested, NAMES);
            for variables in [known(), unknown()] {
                assert_eq!(variables.len(), NAMES.len());
            }
        }
    };
}

variable! {
    user_name: "Mah-ra", "Mara";
    company_name: "Acme", "";
    track: "fitness", "fitness";
    weekly_goal: "3", "3";
    charity_name: "Mind", "Mind";
    donation_amount: "£1.50", "£1.50";
    minimum_action: "ten minutes of walking", "";
    gift_frame: "a gift to my future self", "";
    why_started: "to keep up with my kids", "";
    obstacles: "late meetings; rain", "";
    current_streak: "12", "0";
    longest_streak: "23", "0";
    previous_streak: "5", "0";
    workouts_this_week: "3", "0";
    workouts_this_month: "4", "0";
    total_workouts: "4", "0";
    total_donated: "£89.50", "£0.00";
    weeks_in_program: "46", "";
    start_energy: "4", "";
    current_energy: "7", "";
    start_mood: "5", "";
    current_mood: "6", "";
    start_confidence: "3", "";
    current_confidence: "8", "";
    recent_life_markers: "slept through; took the stairs", "";
    call_type: "evening_review", "onboarding";
    todays_plan: "yoga; a run at 12:30pm", "";
    workout_time: "12:30pm", "";
    day_of_week: "Saturday", "Friday";
    calendar_conflicts: "a meeting from 6pm to 7pm", "";
    is_first_call: "false", "true";
    is_first_week_of_month: "false", "true";
    user_status: "active", "active";
    subscription_tier: "Elite", "Elite";
    calls_per_week: "14", "14";
    days_since_last_interaction: "2", "";
}
