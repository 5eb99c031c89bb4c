//! The limit of requests per account: 120 a minute for whoever is signed in.
//!
//! Counting every request in the table would cost each of them a round trip and a write, more than most of them do
//! themselves. So a process counts what it sees of an account by itself, and from the [`COUNTED_HERE`]th request of a
//! minute on it counts in the table as well, where all processes meet. Whoever is served by one process gets exactly the
//! limit; spread over many, somebody gets at most the limit and [`COUNTED_HERE`] more for each process. People never reach the
//! table; a loop that runs wild does at once. A table that does not answer limits nobody: the request itself will
//! notice.
//!
//! Answers carry `RateLimit` and `RateLimit-Policy`; the standing travels from the extractor that knows the account to
//! the outer layer through `Slot`.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use http::{HeaderMap, HeaderValue};
use ivy_flows::{Error, Ivy};

use crate::problem::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// Requests of one account in a window.
pub const LIMIT: u32 = 120;
/// The window, in seconds.
pub const WINDOW_SECONDS: i64 = 60;
/// So many requests of an account in a window are counted by the process alone.
pub const COUNTED_HERE: u32 = 20;
/// Accounts that a process remembers.
const MOST_ACCOUNTS: usize = 10_000;

/// How an account stands in its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub remaining: u32,
    pub reset_seconds: u64,
}

impl Standing {
    /// Puts it into an answer's headers.
    pub(crate) fn show(self, headers: &mut HeaderMap) {
        let put = |headers: &mut HeaderMap, name, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.entry(name).or_insert(value);
            }
        };
        put(headers, RATE_LIMIT, format!("\"default\";r={};t={}", self.remaining, self.reset_seconds));
        put(headers, RATE_LIMIT_POLICY, format!("\"default\";q={LIMIT};w={WINDOW_SECONDS}"));
    }
}

/// Where the extractor leaves the standing for the layer around the route.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(Arc<OnceLock<Standing>>);

impl Slot {
    pub(crate) fn leave(&self, standing: Standing) {
        let _ = self.0.set(standing);
    }

    pub(crate) fn standing(&self) -> Option<Standing> {
        self.0.get().copied()
    }
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    window: i64,
    here: u32,
    /// What the table said last.
    everywhere: u32,
}

/// The process's counts.
#[derive(Clone, Default)]
pub struct Limits(Arc<Mutex<HashMap<String, Seen>>>);

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limits")
    }
}

impl Limits {
    /// Counts a request of an account.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when the window's limit was reached before it.
    pub async fn count(&self, ivy: &Ivy, account: &str) -> Result<Standing, Error> {
        let now = ivy.now();
        let window = now.as_second().div_euclid(WINDOW_SECONDS);
        let reset_seconds = (WINDOW_SECONDS - now.as_second().rem_euclid(WINDOW_SECONDS)).unsigned_abs();
        let seen = self.see(account, window);
        let mut count = seen.here.max(seen.everywhere.saturating_add(1));
        if count > COUNTED_HERE && count <= LIMIT {
            // The first time, what was counted here alone is told as well.
            let untold = if seen.everywhere == 0 { seen.here } else { 1 };
            match ivy.store.count_requests("account", account, untold, LIMIT, WINDOW_SECONDS, now).await {
                Ok(told) => count = told.unwrap_or(LIMIT + 1),
                Err(error) => tracing::warn!(event = "requests_not_counted", %error),
            }
            self.learn(account, window, count);
        }
        if count > LIMIT {
            let window_seconds = WINDOW_SECONDS.unsigned_abs();
            return Err(Error::RateLimited { limit: LIMIT, window_seconds, retry_after_seconds: reset_seconds });
        }
        Ok(Standing { remaining: LIMIT - count, reset_seconds })
    }

    fn see(&self, account: &str, window: i64) -> Seen {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MOST_ACCOUNTS {
            accounts.retain(|_, seen| seen.window == window);
        }
        let fresh = Seen { window, here: 0, everywhere: 0 };
        let seen = accounts.entry(account.to_owned()).or_insert(fresh);
        if seen.window != window {
            *seen = fresh;
        }
        seen.here += 1;
        *seen
    }

    fn learn(&self, account: &str, window: i64, count: u32) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = accounts.get_mut(account).filter(|seen| seen.window == window) {
            seen.everywhere = seen.everywhere.max(count);
        }
    }
}
