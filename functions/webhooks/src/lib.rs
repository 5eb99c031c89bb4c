//! Webhooks: what the providers report. Each checks the signature over the raw bytes before it reads anything.

pub mod retell_function;
pub mod retell_inbound;
pub mod retell_webhook;
pub mod twilio_sms;
pub mod twilio_status;
pub mod whatsapp_verify;
pub mod whatsapp_webhook;
