//! `send-reminders`: every quarter of an hour; reminders of the workouts of the next hour, a page of them a job.

use std::sync::Arc;

use ivy_flows::{Error, Ivy, digests, ports::Queues};
use jiff::Timestamp;

/// The hour begins with the event's own time, so a replayed event repeats its jobs.
///
/// # Errors
/// When the table or the queue fails.
pub async fn send_reminders(ivy: Ivy, queues: Arc<dyn Queues>, scheduled: Timestamp) -> Result<(), Error> {
    let workouts = digests::send_reminders(&ivy, scheduled, queues.as_ref()).await?;
    tracing::info!(event = "reminders_found", workouts);
    Ok(())
}
