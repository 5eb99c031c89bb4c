//! `reset-wallets`: hourly; begins the wallet periods that are over in the zones whose local day begins, a page of users a job.

use std::sync::Arc;

use ivy_flows::{Error, ports::Queues, wallets};
use jiff::{SignedDuration, Timestamp};

/// The zones are those of the hour of the event's own time, so a replayed event repeats its jobs.
///
/// # Errors
/// When the queue does not take a job.
pub async fn reset_wallets(queues: Arc<dyn Queues>, scheduled: Timestamp) -> Result<(), Error> {
    let hour = scheduled - SignedDuration::from_secs(scheduled.as_second().rem_euclid(3600));
    let jobs = wallets::reset_wallets(hour, queues.as_ref()).await?;
    tracing::info!(event = "wallets_looked_at", jobs);
    Ok(())
}
