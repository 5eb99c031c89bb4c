//! Webhooks: what the providers report. Each checks the signature over the raw bytes before it reads anything.

pub mod retell_webhook;
pub mod whatsapp_verify;
pub mod whatsapp_webhook;
