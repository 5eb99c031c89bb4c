//! `weekly-summaries`: every quarter of an hour; the week's summary where it becomes Sunday, 18:00, a page of users a job.

use std::sync::Arc;

use ivy_flows::{Error, digests, ports::Queues};
use jiff::{SignedDuration, Timestamp};

/// The zones are those of the quarter of an hour of the event's own time, so a replayed event repeats its jobs.
///
/// # Errors
/// When the queue does not take a job.
pub async fn weekly_summaries(queues: Arc<dyn Queues>, scheduled: Timestamp) -> Result<(), Error> {
    let quarter = scheduled - SignedDuration::from_secs(scheduled.as_second().rem_euclid(900));
    let jobs = digests::weekly_summaries(quarter, queues.as_ref()).await?;
    tracing::info!(event = "weeks_summarised", jobs);
    Ok(())
}
