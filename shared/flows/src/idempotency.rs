//! `Idempotency-Key`: the first answer is kept in the same transaction as the effect, and replayed for 24 hours.
//!
//! Two at once: both find no record, both try to write; the transaction of the second fails on the record's condition,
//! is tried again, and then finds the first one's answer. A crash before the commit leaves nothing, so a repeat does the work.

use ivy_store::{IdempotencyRecord, Store, Transaction};
use jiff::Timestamp;

use crate::{Error, Ivy};

const KEPT_SECONDS: i64 = 86_400;

/// A request that may be repeated: whose it is, its key, and a fingerprint of its route and body.
#[derive(Debug, Clone)]
pub struct RequestKey {
    pub subject: String,
    pub key: String,
    pub fingerprint: String,
}

impl RequestKey {
    fn hash(&self, store: &Store) -> String {
        store.keyring().keyed_hash("idempotency", &self.key)
    }
}

/// How a flow's result becomes the answer that is kept.
pub struct Once<T> {
    pub request: RequestKey,
    pub status: u16,
    pub render: fn(&T) -> String,
}

impl<T> std::fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once").field("status", &self.status).finish_non_exhaustive()
    }
}

impl<T> Once<T> {
    /// Adds the answer to the transaction of its effect.
    pub(crate) fn keep(&self, transaction: &mut Transaction<'_>, store: &Store, result: &T, now: Timestamp) {
        let record = IdempotencyRecord {
            fingerprint: self.request.fingerprint.clone(),
            status: self.status,
            body: (self.render)(result),
            expires_at: now.as_second() + KEPT_SECONDS,
        };
        transaction.idempotency(&self.request.subject, &self.request.hash(store), &record, now);
    }
}

/// The kept answer of an earlier request with this key: status and body.
///
/// # Errors
/// [`Error::IdempotencyKeyReused`] when the key came with another request before.
pub async fn replay(ivy: &Ivy, request: &RequestKey) -> Result<Option<(u16, String)>, Error> {
    let record = ivy.store.idempotency(&request.subject, &request.hash(&ivy.store)).await?;
    // The table's TTL deletes late; what is past its time counts as gone.
    let Some(record) = record.filter(|record| record.expires_at > ivy.now().as_second()) else { return Ok(None) };
    if record.fingerprint != request.fingerprint {
        return Err(Error::IdempotencyKeyReused);
    }
    Ok(Some((record.status, record.body)))
}
