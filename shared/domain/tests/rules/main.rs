//! The domain's rules seen from outside: properties that hold for any input, each against an oracle
//! written differently from the code, and examples by name. One binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod call_ladder;
mod common;
mod days;
mod planning;
mod streak;
mod variables;
mod wallet;
