//! Tests on the deployed stack: the real template on the emulator, the real binaries, the simulators of the providers.
//!
//! `cargo stack` starts all of it and then this package; nothing here runs in a plain `cargo test`. A test sees what a person, a
//! provider or an operator sees: the API, the handset, signed webhooks, Lambda's own interface, the schedules, the logs. Time is
//! real, so people live in a zone where it is day, calls are due within seconds, and every wait is for a condition and has a bound.
//!
//! The in-process tests (`tests/world`) hold the rules; these hold the wiring: template, permissions, triggers, event shapes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test harness says what broke by panicking"
)]

mod api;
mod emulator;
mod events;
mod handset;
mod stack;
mod windows;

use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use api::{Client, Person, Reply};
pub use emulator::Invocation;
pub use events::{Event, event_files, functions_of_the_template};
pub use handset::Handset;
pub use stack::{Partition, Stack};
pub use windows::{Planned, day_zone, plan_for};

/// Real time, which the functions of the stack go by as well.
#[expect(clippy::disallowed_methods, reason = "these tests live in real time, beside the functions and their clock")]
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Between two questions: an account may ask 120 times a minute.
const PAUSE: Duration = Duration::from_millis(800);

/// Asks again until there is an answer.
///
/// # Panics
/// When there is none within `limit`.
pub async fn until<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = Box::pin(ask()).await {
            return answer;
        }
        assert!(started.elapsed() < limit, "waited {} s in vain for {what}", limit.as_secs());
        tokio::time::sleep(PAUSE).await;
    }
}
