//! `plan-day`: hourly; finds the zones whose local day begins and puts a planning job for each of their shards on the queue.

use std::sync::Arc;

use ivy_flows::{Error, planning, ports::Queues};
use jiff::{SignedDuration, Timestamp};

/// The day starts in the hour that begins with the event's own time, so a replayed event repeats its jobs.
///
/// # Errors
/// When the queue does not take a job.
pub async fn plan_day(queues: Arc<dyn Queues>, scheduled: Timestamp) -> Result<(), Error> {
    let hour = scheduled - SignedDuration::from_secs(scheduled.as_second().rem_euclid(3600));
    let jobs = planning::plan_day(hour, queues.as_ref()).await?;
    tracing::info!(event = "day_planned", jobs);
    Ok(())
}
