//! A clock that stands still until it is set.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ivy_flows::Clock;
use jiff::Timestamp;

#[derive(Debug)]
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    pub fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Others come first; the time stands still.
    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}
