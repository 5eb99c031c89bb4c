//! The one clock. Functions run on [`SystemClock`]; tests hand in their own.

use std::fmt::Debug;

use jiff::Timestamp;

/// Says what time it is.
pub trait Clock: Debug + Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the injected clock itself")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
