//! The unkindness of providers, switched on by tests: refusals, answers that are lost before or after the work was done, webhooks that come
//! twice, late or in the wrong order.
//!
//! A lost answer closes the connection instead of letting the client wait, because for the caller both mean the same
//! (nobody knows what happened) and tests stay fast. [`Faults::hold`] makes it a real wait of up to 20 seconds first, for a
//! test of the client's own time-out.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Retell,
    WhatsApp,
    Twilio,
}

/// What happens to one request. In JSON: `{"status":429}`, `{"error":{"status":400,"code":131056}}`, `"timeout_before"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Refused with this status and an error body of the provider's shape; nothing is done.
    Status(u16),
    /// The same with the provider's own error code in the body (WhatsApp and Twilio; Retell has none).
    Error { status: u16, code: i64 },
    /// The work is done and the answer never comes.
    TimeoutAfterDoingTheWork,
    /// Nothing is done and no answer comes.
    TimeoutBefore,
}

const LONGEST_HOLD: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
pub struct Faults {
    settings: Mutex<Settings>,
}

#[derive(Debug, Default)]
struct Settings {
    /// With the number of requests that pass unharmed first.
    queue: VecDeque<(Provider, usize, Fault)>,
    duplicate: bool,
    reverse: bool,
    unlisted: bool,
    late: Duration,
    hold: Duration,
}

impl Faults {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a fault for the provider's next request that has none yet, whichever endpoint it goes to.
    pub fn next(&self, provider: Provider, fault: Fault) {
        self.after(0, provider, fault);
    }

    /// The same, after as many requests to the provider have passed unharmed.
    pub fn after(&self, passing: usize, provider: Provider, fault: Fault) {
        self.settings().queue.push_back((provider, passing, fault));
    }

    /// Every webhook comes twice.
    pub fn duplicate_webhooks(&self, on: bool) {
        self.settings().duplicate = on;
    }

    /// Manual: [`crate::Simulators::take_webhooks`] returns the newest first. Posted: later events of a call or message overtake earlier ones.
    pub fn reverse_webhooks(&self, on: bool) {
        self.settings().reverse = on;
    }

    /// Retell's list of calls is behind and shows none.
    pub fn unlisted(&self, on: bool) {
        self.settings().unlisted = on;
    }

    /// Posted webhooks wait this long before the first try.
    pub fn late(&self, delay: Duration) {
        self.settings().late = delay;
    }

    /// How long a lost answer keeps the client waiting before the connection closes; zero by default, 20 seconds at most.
    pub fn hold(&self, wait: Duration) {
        self.settings().hold = wait.min(LONGEST_HOLD);
    }

    /// Back to kindness: nothing queued, nothing switched on.
    pub fn clear(&self) {
        *self.settings() = Settings::default();
    }

    /// How many queued faults no request has met yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.settings().queue.len()
    }

    pub(crate) fn take(&self, provider: Provider) -> Option<Fault> {
        let mut settings = self.settings();
        let position = settings.queue.iter().position(|(for_provider, ..)| *for_provider == provider)?;
        if let Some((_, passing, _)) = settings.queue.get_mut(position)
            && *passing > 0
        {
            *passing -= 1;
            return None;
        }
        settings.queue.remove(position).map(|(.., fault)| fault)
    }

    pub(crate) fn duplicates(&self) -> bool {
        self.settings().duplicate
    }

    pub(crate) fn reverses(&self) -> bool {
        self.settings().reverse
    }

    pub(crate) fn hides_calls(&self) -> bool {
        self.settings().unlisted
    }

    pub(crate) fn lateness(&self) -> Duration {
        self.settings().late
    }

    pub(crate) fn holding(&self) -> Duration {
        self.settings().hold
    }
}
