//! `monthly-receipts`: on the first of a month, when it is the first everywhere; last month's receipts, a page of users a job.

use std::sync::Arc;

use ivy_flows::{Error, digests, ports::Queues};
use jiff::Timestamp;

/// The month is the one before the event's own time, so a replayed event repeats its jobs.
///
/// # Errors
/// When the queue does not take a job.
pub async fn monthly_receipts(queues: Arc<dyn Queues>, scheduled: Timestamp) -> Result<(), Error> {
    let jobs = digests::monthly_receipts(scheduled, queues.as_ref()).await?;
    tracing::info!(event = "receipts_sent_out", jobs);
    Ok(())
}
