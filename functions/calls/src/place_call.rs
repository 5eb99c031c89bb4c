//! `place-call`: takes due calls from the queue, claims and dials them.

use std::sync::Arc;

use ivy_flows::{Ivy, dialling, ports::Queues};
use ivy_providers::retell::Retell;
use ivy_runtime::batch::{Disposition, Record};

/// # Errors
/// When the job cannot be read or the table or queue fails.
pub async fn place_call(ivy: Ivy, retell: Retell, queues: Arc<dyn Queues>, record: Record) -> Result<(), Disposition> {
    let due = record.json()?;
    let placed = dialling::place_call(&ivy, &retell, queues.as_ref(), &due).await?;
    tracing::info!(event = "due_call_taken", call_id = %due.call_id, placed = ?placed);
    Ok(())
}
