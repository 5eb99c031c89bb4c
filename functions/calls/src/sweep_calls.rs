//! `sweep-calls`: every five minutes; wakes calls that no timer woke, closes windows, settles attempts whose lease is over.

use std::sync::Arc;

use ivy_flows::{Error, Ivy, dialling, ports::Queues};
use ivy_providers::retell::Retell;

/// # Errors
/// When the table or the queue fails.
pub async fn sweep_calls(ivy: Ivy, retell: Retell, queues: Arc<dyn Queues>) -> Result<(), Error> {
    let swept = dialling::sweep_calls(&ivy, &retell, queues.as_ref()).await?;
    #[expect(clippy::cast_precision_loss, reason = "seconds of lag are few")]
    ivy_runtime::telemetry::metric(
        "scheduler_lag",
        swept.lag_seconds as f64,
        ivy_runtime::telemetry::Unit::Seconds,
        &[],
    );
    Ok(())
}
