//! The life of one call, explored to the last state.
//!
//! The ladder's own properties (`tests/rules/call_ladder.rs`) feed one `transition` with random events. What breaks a telephone
//! service lies between its parts: two workers with one wake-up, an answer that is lost after the phone began to ring, news of
//! the first attempt during the second, a crash before every write. Here the real `transition` and `may_start` stand in a
//! small world of these parts (`world.rs`, `steps.rs`), and a search (`explore.rs`) takes every step in every order within the
//! bounds of a scenario (`scenario.rs`). What holds in every state:
//!
//! 1. no attempt rings twice, and no phone rings that the call does not know of;
//! 2. no two attempts of a call ring or talk at once;
//! 3. no call rings more than three times, or sooner than five minutes after a miss;
//! 4. no claim lies outside the window (with the grace of retries, and its end at the quiet hours), no ring more than a
//!    worker's life and a late act of the provider behind its claim, and none comes after a cancellation;
//! 5. every run comes to an end, with no webhook needed; so from every state a terminal one is reached. An end stays one, but
//!    that a completed call may wait again when its analysis says that a machine took it;
//! 6. no call sends more than one text, and none that never rang sends any;
//! 7. a phone call has its slot for as long as it lasts, and without a crash every slot is given back;
//! 8. no transition panics, and none is refused as not allowed or out of time: late news is stale and nothing else.
//!
//! The flows around `transition` are retold here (claim, dial, settle, webhook, sweep), since they do I/O: whoever changes
//! `dialling.rs` changes `steps.rs`. `IVY_MODEL=deep` lets two things go wrong in a run of any scenario, and gives it two slots.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(clippy::print_stdout, reason = "how much was explored belongs to the result")]

mod explore;
mod scenario;
mod steps;
mod world;

use explore::{Explored, explore};
use scenario::{Flaw, Scenario};
use steps::{
    BEHIND_ITS_CLAIM, CANCELLED, CARRIERS_WORD, COMPLETED, FAILED, GIVEN_UP, IN_THE_GRACE, REOPENED, THREE_RINGS,
    TWO_SLOTS,
};

fn is_deep() -> bool {
    std::env::var("IVY_MODEL").is_ok_and(|bound| bound == "deep")
}

/// Explores a scenario, and with `IVY_MODEL=deep` a larger one. The search must hold and have come by what it is about.
fn holds(scenario: Scenario, about: &[&str]) {
    let scenario = if is_deep() { Scenario { faults: 2, slots: 2, ..scenario } } else { scenario };
    let Explored { states, steps, ends, seen, broken } = explore(&scenario);
    println!("{}: {states} states, {steps} steps, {ends} ends; seen: {seen:?}", scenario.name);
    if let Some(broken) = broken {
        panic!("{}: {broken}", scenario.name);
    }
    for landmark in [COMPLETED, CANCELLED, FAILED].iter().chain(about) {
        assert!(seen.contains(landmark), "{} never came to: {landmark}", scenario.name);
    }
}

#[test]
fn the_whole_ladder_keeps_its_promises() {
    holds(Scenario::whole_ladder(), &[THREE_RINGS, IN_THE_GRACE]);
}

/// Two things go wrong here, so that a second answer may be lost after the first.
#[test]
fn around_the_lease_nothing_rings_twice() {
    holds(Scenario::around_the_lease().faults(2), &[BEHIND_ITS_CLAIM]);
}

#[test]
fn at_the_end_of_the_window_nothing_starts_late() {
    holds(Scenario::end_of_the_window().slots(2), &[IN_THE_GRACE, BEHIND_ITS_CLAIM, TWO_SLOTS]);
}

#[test]
fn quiet_hours_cut_the_grace() {
    holds(Scenario::quiet_hours(), &[IN_THE_GRACE]);
}

#[test]
fn an_attempt_that_is_given_up_may_be_tried_again() {
    holds(Scenario::given_up(), &[THREE_RINGS, GIVEN_UP]);
}

#[test]
fn the_carriers_word_and_a_machine_change_no_promise() {
    holds(Scenario::around_the_lease().with_afterthoughts(), &[CARRIERS_WORD, REOPENED]);
    holds(Scenario::end_of_the_window().with_afterthoughts(), &[CARRIERS_WORD]);
}

/// Each event is taken once by its marker. The transitions alone would cope as well.
#[test]
fn events_may_be_taken_again_and_again() {
    holds(Scenario::end_of_the_window().without_markers(), &[]);
}

/// What the search finds when the scenario has a flaw.
fn found(scenario: Scenario, flaw: Flaw) -> String {
    let name = scenario.name;
    let broken = explore(&scenario.flaw(flaw)).broken.unwrap_or_else(|| panic!("{name}: {flaw:?} is not found"));
    println!("{flaw:?}: {broken}");
    assert!(!broken.run.is_empty(), "{flaw:?} breaks a promise in a run");
    broken.promise
}

#[test]
fn a_flaw_of_ours_is_found() {
    let ladder = || Scenario::whole_ladder().slots(2).without_slot_promises();
    let unknown = "a ring that the call does not know of: it is";
    assert_eq!(found(ladder(), Flaw::ClaimWithoutVersion), format!("{unknown} initiating"));
    assert_eq!(found(ladder(), Flaw::NewKey), "two attempts ring or talk at once");
    assert_eq!(found(ladder(), Flaw::LostMeansNotPlaced), format!("{unknown} scheduled"));
    assert_eq!(found(ladder(), Flaw::AnyAttempt), format!("{unknown} retry"));
    assert_eq!(found(Scenario::whole_ladder(), Flaw::KeepSlot), "a slot that nobody gives back");
    let late = found(Scenario::end_of_the_window(), Flaw::AnyTime);
    assert_eq!(late, "claimed outside its window, as scheduled");
}

/// What `scenario.rs` takes for granted is needed.
#[test]
fn a_world_out_of_bounds_is_found() {
    let ladder = || Scenario::whole_ladder().slots(2).without_slot_promises();
    let stuck = "nothing leads on, and the call is not at its end";
    assert_eq!(found(ladder(), Flaw::NoSweep), stuck);
    assert_eq!(found(ladder(), Flaw::SlowWorker), "a ring that the call does not know of: it is scheduled");
    // It rings no second time, being made again under the same key; but its slot was given away.
    let slow_list = found(Scenario::whole_ladder().slots(2), Flaw::SlowList);
    assert_eq!(slow_list, "a phone call without its slot");
    assert_eq!(found(ladder(), Flaw::LongTalk), "two attempts ring or talk at once");
}
