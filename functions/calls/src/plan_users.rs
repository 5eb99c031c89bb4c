//! `plan-users`: works off planning jobs from the queue, a page of users each.

use std::sync::Arc;

use ivy_flows::{Ivy, planning, ports::Queues};
use ivy_runtime::batch::{Disposition, Record};

/// # Errors
/// When the job cannot be read or the table or queue fails.
pub async fn plan_users(ivy: Ivy, queues: Arc<dyn Queues>, record: Record) -> Result<(), Disposition> {
    let job = record.json()?;
    planning::plan_users(&ivy, queues.as_ref(), &job).await?;
    Ok(())
}
