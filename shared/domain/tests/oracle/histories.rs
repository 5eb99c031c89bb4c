//! Made-up lives: after every happening the code equals the oracle. Four kinds of them, 2,000 in all.

use std::collections::BTreeSet;

use ivy_domain::{
    Tier,
    workout::WorkoutStatus::{Completed, RestDay},
};
use proptest::{
    prelude::proptest,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use crate::{
    happening::{Beginning, Happening, Story, crowded_story, late_story, steady_story, story},
    life::Life,
};

proptest! {
    #![proptest_config(crate::cases(900))]

    #[test]
    fn in_any_life_streak_and_wallet_are_what_the_facts_say(story in story()) {
        Life::live(&story)?;
    }
}

proptest! {
    #![proptest_config(crate::cases(800))]

    #[test]
    fn in_a_crowded_fortnight_streak_and_wallet_are_what_the_facts_say(story in crowded_story()) {
        Life::live(&story)?;
    }
}

proptest! {
    #![proptest_config(crate::cases(100))]

    #[test]
    fn at_the_edge_of_memory_streak_and_wallet_are_what_the_facts_say(story in late_story()) {
        Life::live(&story)?;
    }
}

proptest! {
    #![proptest_config(crate::cases(200))]

    #[test]
    fn in_steady_months_streak_and_wallet_are_what_the_facts_say(story in steady_story()) {
        Life::live(&story)?;
    }
}

/// Lives in which nothing befalls anybody would show nothing.
#[test]
fn the_made_up_lives_hold_what_they_should() {
    let mut runner = TestRunner::new(crate::always_the_same());
    let mut seen = BTreeSet::new();
    let kinds = [
        (story().boxed(), 160),
        (crowded_story().boxed(), 200),
        (steady_story().boxed(), 20),
        (late_story().boxed(), 40),
    ];
    for (kind, lives) in kinds {
        for _ in 0..lives {
            let story = kind.new_tree(&mut runner).unwrap().current();
            seen.extend(Life::live(&story).unwrap().seen);
        }
    }
    for expected in [
        "a bonus by a rest day or an undo",
        "a kept workout deleted",
        "a pause that ended by itself",
        "a plan moved away from a day that was over",
        "a run after a run",
        "a second chance that is none",
        "a workout deleted after its day",
        "a workout deleted before its day was over",
        "bonus cut",
        "bonus of 30",
        "bonus of 7",
        "bonus of 90",
        "cut by the daily cap",
        "daily cap",
        "corrected when it could not be told any more",
        "frozen",
        "invoice",
        "invoice for the same period",
        "invoice that changes nothing",
        "kept",
        "limit below what is used",
        "longer than the memory",
        "missed",
        "monthly cap",
        "no bonus left",
        "no_commitment",
        "open",
        "rested",
        "the longest is an older one",
        "too old for the streak",
        "too old for the wallet",
    ] {
        assert!(seen.contains(expected), "{expected} never happened");
    }
}

/// Found after 15,299 stories: rests before the beginning are judged by the preference that the first day ended with.
#[test]
fn a_preference_changed_on_the_first_day_holds_for_the_days_before_it() {
    let report = |days_late, status| Happening::Report { days_late, status, times: 1 };
    let zone = "Europe/London".parse().unwrap();
    let beginning = Beginning { day: 9, hour: 0, zone, tier: Tier::B2bSponsor, preferred: [false; 7] };
    let friday = [false, false, false, false, true, false, false];
    let happenings = vec![
        report(6, RestDay),
        report(8, RestDay),
        Happening::Prefer(friday),
        Happening::DaysPass(3),
        report(12, RestDay),
        Happening::EachDay(1, Completed),
        report(11, Completed),
    ];
    let life = Life::live(&Story { beginning, happenings }).unwrap();
    assert_eq!(life.streak.standing(life.today.date()).current, 2);
}
