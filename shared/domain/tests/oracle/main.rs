//! Streak and wallet against a second implementation that knows only a list of facts.
//!
//! `naive_streak` and `naive_wallet` answer every question from the whole list, as the product's rules read.
//! They keep no tallies and share no helper with the code under test. `happening` makes up a person's months
//! as a readable story, `life` lives it on both sides in the order of calls that `ivy_flows::completions::Ledger`
//! makes, and compares them after every happening. A failing story shrinks to a few lines.
//!
//! **Memory.** The streak takes reports about the last 180 days. The oracle has the whole list, so it needs this
//! rule in words: a workout that was first told more than 180 days after its day was never told, whatever was said
//! of it later. Days that have left memory can no longer change, so the rest agrees with unlimited memory, with one
//! exception. A milestone is only looked for from the Monday of the week that lay 189 days before the last counted report.
//! The wallet remembers 40 days; its rule stands in `naive_wallet`.
//!
//! **Order.** Decision 0015, which is the rule here: the current and the previous run follow from the set of reports
//! alone. The longest is the longest that ever stood. A bonus is remembered with the days that earned it, and a run
//! that holds any of them has had it; so until a bonus was paid, order makes no difference to it. `order` shows this.
//!
//! The nightly run: `PROPTEST_CASES=100000 cargo test -p ivy-domain --test oracle --release`. It draws a new seed
//! each time; without the variable the seed is fixed. No regression files: a found story becomes a named test.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod facts;
mod happening;
mod histories;
mod known_bugs_of_habit_trackers;
mod life;
mod naive_streak;
mod naive_wallet;
mod order;

use proptest::test_runner::{Config, RngSeed};

/// How many made-up lives a normal run has, over all properties.
const NORMALLY: u32 = 2_000;

const SEED: u64 = 20_261_121;

/// This many of the normal run's cases, with a fixed seed. `PROPTEST_CASES` asks for another number over all
/// properties, of which each takes its share, and for a new seed.
fn cases(normally: u32) -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Config { failure_persistence: None, ..Config::default() };
    if asked {
        let share = u64::from(config.cases) * u64::from(normally) / u64::from(NORMALLY);
        return Config { cases: u32::try_from(share).unwrap().max(1), ..config };
    }
    match config.rng_seed {
        RngSeed::Random => Config { cases: normally, ..always_the_same() },
        RngSeed::Fixed(_) => Config { cases: normally, ..config },
    }
}

/// What is drawn with this is the same in every run.
fn always_the_same() -> Config {
    Config { failure_persistence: None, rng_seed: RngSeed::Fixed(SEED), ..Config::default() }
}
