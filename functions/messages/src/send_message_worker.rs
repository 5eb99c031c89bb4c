//! `send-message-worker`: takes messages from the queue and sends each once.

use std::sync::Arc;

use ivy_flows::{
    Ivy,
    messages::{self, Senders},
    ports::{Mailer, Queues, Timers},
};
use ivy_providers::{twilio::Twilio, whatsapp::WhatsApp};
use ivy_runtime::batch::{Disposition, Record};
use url::Url;

/// The clients that sending takes.
#[derive(Debug, Clone)]
pub struct Clients {
    pub whatsapp: WhatsApp,
    pub twilio: Twilio,
    pub mailer: Arc<dyn Mailer>,
    pub queues: Arc<dyn Queues>,
    pub timers: Arc<dyn Timers>,
    /// Where Twilio reports what became of a text.
    pub sms_status_url: Option<Url>,
}

/// # Errors
/// When the job cannot be read, the table or a queue fails, or the message is given up.
pub async fn send_message(ivy: Ivy, clients: Clients, record: Record) -> Result<(), Disposition> {
    let job = record.json()?;
    let senders = Senders {
        whatsapp: &clients.whatsapp,
        twilio: &clients.twilio,
        mailer: clients.mailer.as_ref(),
        queues: clients.queues.as_ref(),
        timers: clients.timers.as_ref(),
        sms_status_url: clients.sms_status_url.as_ref(),
    };
    messages::send_message(&ivy, senders, &job).await?;
    Ok(())
}
