//! The limit of requests per account, by default 120 a minute, for whoever is signed in.
//!
//! Counting every request in the table would cost each of them a round trip and a write, more than most of them do
//! themselves. So a process gathers what it sees of an account and tells the table once it has a few ([`share`]: five, of fewer for a
//! small limit), and learns there what all processes together saw. Whoever is served by one process gets exactly the limit.
//! Spread over many, somebody gets more by what each of them has not told yet: at most the share for each process. A person who looks
//! at one page rarely reaches the table at all; a loop that runs wild writes there with every fifth request, until the limit. A table
//! that does not answer limits nobody beyond what the process itself saw: the request itself will notice.
//!
//! Answers carry `RateLimit` and `RateLimit-Policy`; the standing travels from the extractor that knows the account to
//! the outer layer through `Slot`. They show what the process knows.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use http::{HeaderMap, HeaderValue};
use ivy_flows::{Error, Ivy};

use crate::problem::{RATE_LIMIT, RATE_LIMIT_POLICY};

/// The window, in seconds.
pub const WINDOW_SECONDS: i64 = 60;
/// The most requests that a process gathers before it tells the table.
pub const LARGEST_SHARE: u32 = 5;
/// Accounts that a process remembers.
const MOST_ACCOUNTS: usize = 10_000;

/// After how many requests of an account a process tells the table: a small part of what is allowed in all.
#[must_use]
pub const fn share(limit: u32) -> u32 {
    match limit / 24 {
        0 => 1,
        few if few < LARGEST_SHARE => few,
        _ => LARGEST_SHARE,
    }
}

/// How an account stands in its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub limit: u32,
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
        put(headers, RATE_LIMIT_POLICY, format!("\"default\";q={};w={WINDOW_SECONDS}", self.limit));
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
    /// What the table said last, or would have.
    told: u32,
    /// What it does not know yet.
    untold: u32,
}

/// What a request adds up to.
struct Counted {
    /// With this request, as far as the process knows.
    so_far: u32,
    /// What is to be told to the table now; nothing, if 0.
    tell: u32,
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
        let limit = ivy.settings.user_requests_per_minute;
        let Counted { mut so_far, tell } = self.see(account, window, limit);
        if tell > 0 {
            match ivy.store.count_requests("account", account, tell, limit, WINDOW_SECONDS, now).await {
                Ok(told) => {
                    so_far = so_far.max(told.unwrap_or(limit.saturating_add(1)));
                    self.learn(account, window, so_far);
                }
                Err(error) => tracing::warn!(event = "requests_not_counted", %error),
            }
        }
        if so_far > limit {
            let window_seconds = WINDOW_SECONDS.unsigned_abs();
            return Err(Error::RateLimited { limit, window_seconds, retry_after_seconds: reset_seconds });
        }
        Ok(Standing { limit, remaining: limit - so_far, reset_seconds })
    }

    fn see(&self, account: &str, window: i64, limit: u32) -> Counted {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MOST_ACCOUNTS {
            accounts.retain(|_, seen| seen.window == window);
        }
        let fresh = Seen { window, told: 0, untold: 0 };
        let seen = accounts.entry(account.to_owned()).or_insert(fresh);
        if seen.window != window {
            *seen = fresh;
        }
        seen.untold = seen.untold.saturating_add(1);
        let so_far = seen.told.saturating_add(seen.untold);
        // Beyond the limit there is nothing to learn.
        let tell = if so_far <= limit && seen.untold >= share(limit) { seen.untold } else { 0 };
        if tell > 0 {
            (seen.told, seen.untold) = (so_far, 0);
        }
        Counted { so_far, tell }
    }

    fn learn(&self, account: &str, window: i64, count: u32) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = accounts.get_mut(account).filter(|seen| seen.window == window) {
            seen.told = seen.told.max(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells the process's table, which others tell as well.
    fn ask(process: &Limits, table: &mut u32, limit: u32) -> bool {
        let Counted { mut so_far, tell } = process.see("an account", 1, limit);
        if tell > 0 {
            let told = if *table < limit {
                *table += tell;
                *table
            } else {
                limit + 1
            };
            so_far = so_far.max(told);
            process.learn("an account", 1, so_far);
        }
        so_far <= limit
    }

    #[test]
    fn one_process_is_exact_and_each_other_adds_less_than_its_share() {
        for limit in [1, 2, 24, 60, 119, 120, 121, 600] {
            for processes in [1, 2, 7, 40] {
                let mut table = 0;
                let many: Vec<Limits> = (0..processes).map(|_| Limits::default()).collect();
                let mut passed = 0;
                for round in 0..(limit + 50) * processes {
                    passed += u32::from(ask(&many[(round % processes) as usize], &mut table, limit));
                }
                // Nobody gets less than what is theirs, but for what one telling may overshoot.
                assert!(passed + share(limit) > limit, "{limit} by {processes}: {passed}");
                let most = if processes == 1 { limit } else { limit + share(limit) * processes };
                assert!(passed <= most, "{limit} by {processes}: {passed}");
            }
        }
    }

    #[test]
    fn a_share_is_small() {
        assert_eq!([1, 24, 60, 120, 10_000].map(share), [1, 1, 2, 5, 5]);
    }
}
