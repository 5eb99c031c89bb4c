//! Ivy's table: the only crate that knows DynamoDB.
//!
//! [`keys`] holds the one table of keys that people read. [`Store`] reads entities and commits a [`Transaction`]: every
//! change of state is one transaction whose items each carry their own condition, so a duplicate, a race or a crash
//! either changes everything or nothing. Phone numbers, transcripts, recordings and message words are encrypted here
//! ([`Keyring`], [`UserCipher`]) before they leave the process.

mod crypto;
mod entities;
mod error;
mod history;
pub mod keys;
mod partition;
mod reads;
mod schema;
mod transaction;
mod upcoming;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

pub use crypto::{Keyring, TokenKey, UserCipher};
pub use entities::{
    AdminAccount, Agenda, Asked, Contact, ContactCode, IdempotencyRecord, Line, Me, MessageOwner, Profile, Progress,
    Question, Rescheduled, Session, SignInRequest, Slot, StoredCall, Told, ToldLog, Transcript, is_called,
};
pub use error::StoreError;
pub use history::{CALLED_AHEAD, Days, MarkerEntry, Receipt, ReceiptLine, ScoreEntry, Span};
pub use partition::{AuditEntry, ConsentWord, Erasable, ErasableKind, Erasure, Exported, LedgerLine};
pub use reads::{PageOf, SealedMessage};
pub use schema::create_table;
pub use transaction::Transaction;

/// An item as DynamoDB holds it.
pub type Item = HashMap<String, AttributeValue>;

/// The table, through the real SDK client. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    client: aws_sdk_dynamodb::Client,
    table: String,
    keyring: Keyring,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Store {
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: String, keyring: Keyring) -> Self {
        Self { client, table, keyring }
    }

    /// A provider's id as the table holds it: hashed with our key, for a WhatsApp id carries the person's number.
    #[must_use]
    pub fn provider_id(&self, id: &str) -> String {
        self.keyring.keyed_hash("provider-id", id)
    }

    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}
