//! Messages: the list for users, what operators write, and the functions that carry effects out and send.

pub mod list_messages;
pub mod publish_outbox;
pub mod send_message;
pub mod send_message_worker;
