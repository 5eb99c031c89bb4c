//! `erase-user`: erases people whose accounts were closed, from the queue.

use std::sync::Arc;

use ivy_flows::{
    Ivy,
    erasure::{self, EraseJob, Keepers},
    ports::Queues,
};
use ivy_providers::{retell::Retell, stripe::Stripe, twilio::Twilio};
use ivy_runtime::batch::{Disposition, Record};

/// What it works with.
#[derive(Debug, Clone)]
pub struct Clients {
    pub retell: Retell,
    pub twilio: Twilio,
    /// Absent where nobody pays by Stripe.
    pub stripe: Option<Stripe>,
    pub queues: Arc<dyn Queues>,
}

/// # Errors
/// When the job cannot be read, or the table, a provider or the queue fails.
pub async fn erase_user(ivy: Ivy, clients: Clients, record: Record) -> Result<(), Disposition> {
    let job: EraseJob = record.json()?;
    let Clients { retell, twilio, stripe, queues } = &clients;
    let keepers = Keepers { retell, twilio, stripe: stripe.as_ref() };
    let erased = erasure::erase_user(&ivy, keepers, queues.as_ref(), &job).await?;
    tracing::info!(event = "erasure_taken", receipt_id = job.receipt_id, erased = ?erased);
    Ok(())
}
