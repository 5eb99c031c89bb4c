//! Messages: the list for users, what operators write, the functions that carry effects out and send, and the calendar's jobs.

pub mod list_messages;
pub mod monthly_receipts;
pub mod publish_outbox;
pub mod send_message;
pub mod send_message_worker;
pub mod send_reminders;
pub mod weekly_summaries;
