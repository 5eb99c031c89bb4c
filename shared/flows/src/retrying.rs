//! Doing a read-decide-write again when others were at the same items.

use std::time::{Duration, Instant};

use crate::{Error, Ivy};

/// How often a flow tries before it says that it cannot.
const ATTEMPTS: u32 = 6;
/// How long it goes on trying: well inside every function's time-out, also with a slow table.
const LONGEST: Duration = Duration::from_secs(4);

/// How long a flow goes on trying for a caller who waits for three seconds.
const SOON: Duration = Duration::from_millis(700);
/// How long after it began such a flow may still write: what its caller takes as failed must not be written afterwards, and a
/// commit that was sent is waited for.
pub(crate) const LAST_WRITE: Duration = Duration::from_millis(1500);

/// Runs `attempt` until it is not contended, with a growing, jittered pause between tries; then fails visibly.
pub(crate) async fn until_settled<T, F>(ivy: &Ivy, attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    try_for(ivy, LONGEST, attempt).await
}

/// The same for somebody who is on the line: it begins no try that its caller may not hear of. See [`LAST_WRITE`].
pub(crate) async fn until_settled_soon<T, F>(ivy: &Ivy, attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    try_for(ivy, SOON, attempt).await
}

async fn try_for<T, F>(ivy: &Ivy, longest: Duration, mut attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let began = Instant::now();
    for round in 0..ATTEMPTS {
        match Box::pin(attempt()).await {
            Err(Error::Contended) if round + 1 < ATTEMPTS && began.elapsed() < longest => {
                let longest = 8_u64 << round;
                let jitter = uuid::Uuid::new_v4().as_u64_pair().0 % longest;
                ivy.clock.sleep(Duration::from_millis(longest / 2 + jitter)).await;
            }
            result => return result,
        }
    }
    Err(Error::Contended)
}

/// A condition on a version did not hold: somebody else wrote meanwhile, and the same may succeed on what is there now.
/// Unless what was written meanwhile is the answer to this very request.
pub(crate) fn contended(error: ivy_store::StoreError) -> Error {
    match error {
        error if error.failed("idempotency") => Error::AnsweredMeanwhile,
        ivy_store::StoreError::ConditionFailed(names) => {
            tracing::info!(event = "items_changed_meanwhile", items = ?names);
            Error::Contended
        }
        other => other.into(),
    }
}
