//! Forgetting a person: the account closes at once, and a job erases everything that is theirs.
//!
//! ```text
//! DELETE            profile and its salt gone, phone and e-mail free, sessions ended, waiting calls cancelled,
//!                   the wish kept with a receipt ── effect ──▶ erase-users, after GRACE
//! erase-user        the partition page by page, then Retell's calls, Twilio's texts and Stripe's customer
//!                   ──▶ tombstone and audit entry
//! ```
//! Closing deletes the profile, and with it the salt: nothing opens what was sealed with the user's key from then on, wherever
//! a copy remains, and every flow that loads the user finds nobody. The job waits for [`GRACE`], longer than any function
//! may run: what was at work when the account closed has ended by then, so nothing is written behind the job's back.
//!
//! What we hold ourselves goes first, so that no outage of a provider delays it; what the providers hold is found by the user's id
//! and by what the wish keeps. A provider that does not answer keeps neither the other nor the table waiting, and is asked again
//! every few minutes for the better part of a day. Then the job fails, and its dead-letter queue calls for people while the day that was promised is not over.
//!
//! Every step is safe to repeat, and the job begins with what is left: pages are transactions, a donation turns into a line
//! of the ledger in one of them, and the tombstone comes last. It holds the receipt's id and times, so that a late DELETE
//! gets the same answer; late webhooks find no user and write nothing. Keeping the profile with a mark was rejected, for then
//! every reader would have to remember to look at the mark.

use std::time::Duration;

use ivy_domain::UserId;
use ivy_providers::{ProviderError, retell::Retell, stripe::Stripe, twilio::Twilio};
use ivy_store::{AuditEntry, Erasable, ErasableKind, Erasure, LedgerLine, Transaction};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Error, Ivy, accounts, contacts, messages, metrics,
    outbox::{self, Effect, json},
    ports::{Queue, Queues},
    retrying::{contended, until_settled},
    sign_in,
};

/// How long the job waits: more than twice the longest time limit of a function (45 seconds).
pub const GRACE: Duration = Duration::from_secs(120);
/// A person is forgotten within a day.
const ERASED_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// For how long providers are asked again before people are; the queue's own deliveries take two hours more.
const PATIENCE: SignedDuration = SignedDuration::from_hours(20);
/// When a provider is asked again that did not do its part.
const LATER: Duration = Duration::from_secs(300);
/// The cause of a call that was cancelled with its account.
const ACCOUNT_CLOSED: &str = "account_closed";
/// Sessions ended in the account's own transaction, which holds 100 writes; those beyond are ended right after it.
const MOST_SESSIONS: usize = 10;
/// Items of a transaction: each brings at most one more write.
const PAGE: u32 = 40;
/// Pages, and the provider's pages, of one delivery of the job.
const MOST_PAGES: usize = 25;
/// Calls that one request to the provider lists.
const CALLS_PAGE: u32 = 50;
/// A call that was just ended can be deleted after this.
const ENDING: Duration = Duration::from_secs(60);

/// Texts that one delivery of the job deletes, each by a request of its own.
const MOST_TEXTS: usize = 100;
/// What the phone on the wish is sealed for.
const SEALED_PHONE: &str = "erasure_phone";

/// Providers that keep something of a person.
#[derive(Debug, Clone, Copy)]
pub struct Keepers<'a> {
    pub retell: &'a Retell,
    pub twilio: &'a Twilio,
    /// Absent where nobody pays by Stripe.
    pub stripe: Option<&'a Stripe>,
}

/// What a person gets who asks to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub receipt_id: String,
    pub requested_at: Timestamp,
    /// By when everything is erased.
    pub erased_by: Timestamp,
}

impl From<&Erasure> for Receipt {
    fn from(erasure: &Erasure) -> Self {
        let Erasure { receipt_id, requested_at, .. } = erasure;
        Self { receipt_id: receipt_id.clone(), requested_at: *requested_at, erased_by: *requested_at + ERASED_WITHIN }
    }
}

/// The body on the `erase-users` queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EraseJob {
    pub user_id: UserId,
    pub receipt_id: String,
}

/// What came of a delivery of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    Done,
    /// There is more; the job is on the queue again.
    GoesOn,
    /// Done before, or nobody asked for it.
    Stale,
}

/// Closes a user's account and asks for their erasure. Asked again, the answer is the same receipt.
///
/// # Errors
/// Not found for a user that never was; when the table fails.
pub async fn delete_user(ivy: &Ivy, user: UserId) -> Result<Receipt, Error> {
    until_settled(ivy, || async move {
        if let Some(erasure) = ivy.store.erasure(user).await? {
            return Ok(Receipt::from(&erasure));
        }
        let now = ivy.now();
        let me = ivy.store.me(user).await?.ok_or(Error::NotFound("user"))?;
        let sessions = ivy.store.sessions(user).await?;
        let erasure = Erasure {
            receipt_id: Uuid::new_v4().to_string(),
            requested_at: now,
            erased_at: None,
            stripe_customer_id: me.user().stripe_customer_id.clone(),
            phone: Some(ivy.store.keyring().seal(SEALED_PHONE, me.user().phone.as_str())?),
            version: 0,
        };
        let mut transaction = ivy.store.transaction();
        transaction.close_account(&me.profile).erasure(user, &erasure);
        contacts::release_all(ivy, &mut transaction, me.user());
        for session in sessions.iter().take(MOST_SESSIONS) {
            transaction.end_session(session);
        }
        if let Some(at) = me.user().resumes_at {
            outbox::add(&mut transaction, &Effect::ClearResumeTimer { user_id: user, at }, now)?;
        }
        accounts::withdraw_calls(ivy, &mut transaction, &me, None, ACCOUNT_CLOSED, now).await?;
        let effect = Effect::EraseUser { user_id: user, receipt_id: erasure.receipt_id.clone() };
        outbox::add(&mut transaction, &effect, now)?;
        transaction.commit().await.map_err(contended)?;
        if sessions.len() > MOST_SESSIONS {
            // Without a profile no session renews itself, so a failure here opens nothing; the job deletes what is left.
            if let Err(error) = sign_in::end_all_sessions(ivy, user).await {
                tracing::warn!(event = "sessions_left_to_the_job", user_id = %user, error = error.name());
            }
        }
        metrics::count("account_closed", &[]);
        tracing::info!(event = "account_closed", user_id = %user, receipt_id = erasure.receipt_id);
        Ok(Receipt::from(&erasure))
    })
    .await
}

/// Erases a person whose account is closed, or a good part of what is left of them.
///
/// # Errors
/// When the table, a provider or the queue fails; the job is delivered again and goes on where it was.
pub async fn erase_user(ivy: &Ivy, keepers: Keepers<'_>, queues: &dyn Queues, job: &EraseJob) -> Result<Erased, Error> {
    let wanted = ivy.store.erasure(job.user_id).await?.filter(|erasure| erasure.erased_at.is_none());
    let Some(erasure) = wanted else {
        tracing::info!(event = "nothing_to_erase", receipt_id = job.receipt_id);
        return Ok(Erased::Stale);
    };
    if !erase_partition(ivy, job.user_id).await? {
        queues.send(Queue::EraseUsers, json(job)?, Duration::ZERO).await?;
        return Ok(Erased::GoesOn);
    }
    let at_retell = erase_at_retell(keepers.retell, job.user_id).await;
    let at_twilio = erase_at_twilio(ivy, keepers.twilio, &erasure).await;
    let at_stripe = erase_at_stripe(keepers.stripe, &erasure).await.map(|()| None);
    let mut again = None;
    for (provider, result) in [("retell", at_retell), ("twilio", at_twilio), ("stripe", at_stripe)] {
        again = again.max(patient(ivy, &erasure, provider, result)?);
    }
    if let Some(delay) = again {
        queues.send(Queue::EraseUsers, json(job)?, delay).await?;
        return Ok(Erased::GoesOn);
    }
    leave_tombstone(ivy, job.user_id, &erasure).await
}

/// When to come again for a provider that did not do its part. After [`PATIENCE`] it is an error, which is seen.
fn patient(
    ivy: &Ivy,
    erasure: &Erasure,
    provider: &'static str,
    result: Result<Option<Duration>, Error>,
) -> Result<Option<Duration>, Error> {
    let error = match result {
        Ok(again) => return Ok(again),
        Err(error) => error,
    };
    metrics::count("erasure_delayed", &[("provider", provider)]);
    let (receipt_id, error_name) = (&erasure.receipt_id, error.name());
    if ivy.now() < erasure.requested_at + PATIENCE {
        tracing::warn!(event = "erasure_waits_for_provider", provider, receipt_id, error = error_name);
        return Ok(Some(LATER));
    }
    tracing::error!(event = "erasure_overdue", provider, receipt_id, error = error_name);
    Err(error)
}

/// Deletes what the voice provider keeps of the user's calls: numbers, variables, transcripts, recordings. It finds them by
/// the user's id in their metadata, so calls whose answer was lost are among them. Answers when to come again.
async fn erase_at_retell(retell: &Retell, user: UserId) -> Result<Option<Duration>, Error> {
    let mut deleted = Vec::new();
    for _ in 0..MOST_PAGES {
        let listed = retell.list_calls_of(&user.to_string(), CALLS_PAGE).await?;
        // The list may be behind what was deleted.
        let fresh: Vec<_> = listed.into_iter().filter(|call| !deleted.contains(&call.call_id)).collect();
        if fresh.is_empty() {
            return Ok(if deleted.is_empty() { None } else { settled(retell, user).await? });
        }
        for call in fresh {
            if matches!(call.call_status.as_deref(), Some("registered" | "ongoing")) {
                retell.stop_call(&call.call_id).await?;
                tracing::info!(event = "call_stopped_for_erasure", user_id = %user);
                return Ok(Some(ENDING));
            }
            retell.delete_call(&call.call_id).await?;
            deleted.push(call.call_id);
        }
    }
    Ok(Some(Duration::ZERO))
}

/// Whether the list is empty by now; else the job looks once more, later.
async fn settled(retell: &Retell, user: UserId) -> Result<Option<Duration>, ProviderError> {
    let left = retell.list_calls_of(&user.to_string(), 1).await?;
    Ok((!left.is_empty()).then_some(ENDING))
}

/// Deletes what Twilio keeps of texts to the person and from them. It keeps them by number, which may be somebody else's by now:
/// only what was there when the account closed is theirs. Answers when to come again.
async fn erase_at_twilio(ivy: &Ivy, twilio: &Twilio, erasure: &Erasure) -> Result<Option<Duration>, Error> {
    let Some(sealed) = &erasure.phone else { return Ok(None) };
    let phone = ivy.store.keyring().open(SEALED_PHONE, sealed)?;
    // What was at work when the account closed may have sent one more.
    let until = erasure.requested_at + GRACE;
    for _ in 0..2 {
        let mut kept = twilio.texts_with(&phone).await?;
        kept.retain(|text| text.created_at.is_none_or(|at| at <= until));
        if kept.is_empty() {
            return Ok(None);
        }
        for text in kept.iter().take(MOST_TEXTS) {
            twilio.delete_text(&text.sid).await?;
        }
        if kept.len() > MOST_TEXTS {
            return Ok(Some(Duration::ZERO));
        }
    }
    // The list is behind what was deleted.
    Ok(Some(ENDING))
}

/// Deleting a customer ends their subscriptions as well.
async fn erase_at_stripe(stripe: Option<&Stripe>, erasure: &Erasure) -> Result<(), Error> {
    let Some(customer) = &erasure.stripe_customer_id else { return Ok(()) };
    let missing =
        || Error::Impossible("a Stripe customer is to be deleted, and the secret has no Stripe key".to_owned());
    stripe.ok_or_else(missing)?.delete_customer(customer).await?;
    Ok(())
}

/// Erases the partition page by page; whether nothing is left.
async fn erase_partition(ivy: &Ivy, user: UserId) -> Result<bool, Error> {
    for _ in 0..MOST_PAGES {
        let page = ivy.store.erasable(user, PAGE).await?;
        if page.is_empty() {
            return Ok(true);
        }
        let mut transaction = ivy.store.transaction();
        for item in &page {
            erase_item(&mut transaction, user, item, ivy.now())?;
        }
        transaction.commit().await.map_err(contended)?;
    }
    Ok(false)
}

fn erase_item(transaction: &mut Transaction<'_>, user: UserId, item: &Erasable, now: Timestamp) -> Result<(), Error> {
    transaction.erase(user, &item.sk);
    match &item.kind {
        ErasableKind::Call(stored) if stored.call.state.waits() => {
            let (call_id, due_at) = (stored.call.id, stored.call.due_at);
            outbox::add(transaction, &Effect::ClearCallTimer { call_id, due_at }, now)
        }
        ErasableKind::Donation(donation) => {
            transaction.ledger_line(&LedgerLine::from(donation.as_ref()));
            Ok(())
        }
        ErasableKind::Message { via, provider_id: Some(id) } => {
            transaction.forget_message_owner(messages::provider(*via), id);
            Ok(())
        }
        ErasableKind::Contact { whatsapp_user_id } => {
            transaction.forget_whatsapp_user(whatsapp_user_id);
            Ok(())
        }
        ErasableKind::Call(_) | ErasableKind::Message { provider_id: None, .. } | ErasableKind::Other => Ok(()),
    }
}

async fn leave_tombstone(ivy: &Ivy, user: UserId, erasure: &Erasure) -> Result<Erased, Error> {
    let now = ivy.now();
    let tombstone = Erasure { erased_at: Some(now), stripe_customer_id: None, phone: None, ..erasure.clone() };
    let entry = AuditEntry::new(Uuid::new_v4().to_string(), "erase-user", now);
    let mut transaction = ivy.store.transaction();
    transaction.erasure(user, &tombstone).audit(&erasure.receipt_id, &entry);
    match transaction.commit().await {
        Ok(()) => {}
        // Another delivery of the job was quicker.
        Err(error) if error.failed("erasure") => return Ok(Erased::Stale),
        Err(error) => return Err(error.into()),
    }
    metrics::seconds("erasure_seconds", now.duration_since(erasure.requested_at).as_secs());
    tracing::info!(event = "user_erased", receipt_id = erasure.receipt_id);
    Ok(Erased::Done)
}
