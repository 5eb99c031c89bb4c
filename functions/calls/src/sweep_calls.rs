//! `sweep-calls`: every five minutes; wakes calls that no timer woke, closes windows, settles attempts whose lease is over.

use std::sync::Arc;

use ivy_flows::{Error, Ivy, dialling, ports::Queues};
use ivy_providers::retell::Retell;

/// # Errors
/// When the table or the queue fails.
pub async fn sweep_calls(ivy: Ivy, retell: Retell, queues: Arc<dyn Queues>) -> Result<(), Error> {
    dialling::sweep_calls(&ivy, &retell, queues.as_ref()).await?;
    Ok(())
}
