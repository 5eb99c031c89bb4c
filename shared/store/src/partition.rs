//! A user's whole partition, page by page: for the export, which shows everything, and for the erasure, which leaves nothing.
//!
//! Both go over the partition itself and not over a list of what it should hold, so nothing is forgotten when a kind is
//! added. The export knows how each kind is opened and fails on one that it does not know: an export that silently lacks
//! something would be untrue. The erasure needs no cipher: the account's salt is gone by then.

use std::collections::HashMap;

use ivy_domain::{
    AdminId, CallId, ConsentId, DonationId, UserId, message::Message, message::Via, user::Consent, wallet::Donation,
    workout::Workout,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Item, MarkerEntry, PageOf, Profile, Receipt, ScoreEntry, Session, Store, StoreError, StoredCall, Transcript,
    UserCipher,
    entities::{entity_of, from_item, is_in_time, string_of},
    history::{marker, receipt},
    keys,
    reads::{every_item, open_message, string},
};

/// What a waiting call's id may be older than it: calls are scheduled at most 31 days ahead.
const OLDEST_WAITING: SignedDuration = SignedDuration::from_hours(33 * 24);

/// One word on a consent, as the history keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentWord {
    pub id: ConsentId,
    /// `calls`, `messages` or `data_processing`.
    pub purpose: String,
    #[serde(flatten)]
    pub consent: Consent,
}

/// A user's wish to be forgotten; when it is carried out, the tombstone that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    pub receipt_id: String,
    pub requested_at: Timestamp,
    #[serde(default)]
    pub erased_at: Option<Timestamp>,
    /// What Stripe knows the person by, until it has forgotten them.
    #[serde(default)]
    pub stripe_customer_id: Option<String>,
    /// Their phone, by which Twilio keeps texts, sealed with the master key, until these are deleted.
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub version: u64,
}

/// Something in the partition that is to be erased.
#[derive(Debug, Clone)]
pub struct Erasable {
    pub sk: String,
    pub kind: ErasableKind,
}

/// What an item leaves behind elsewhere.
#[derive(Debug, Clone)]
pub enum ErasableKind {
    /// Its timer, while it waits.
    Call(Box<StoredCall>),
    /// Its part of the totals.
    Donation(Box<Donation>),
    /// The pointer that leads from the provider's id (as we keep it, hashed) to it.
    Message { via: Via, provider_id: Option<String> },
    /// The pointer that leads from WhatsApp's id of the user (as we keep it, hashed) to them.
    Contact { whatsapp_user_id: String },
    /// Nothing.
    Other,
}

/// Something of a user's, opened for them.
#[derive(Debug, Clone)]
pub enum Exported {
    Call(Box<StoredCall>),
    Consent(ConsentWord),
    Donation(Box<Donation>),
    Marker(MarkerEntry),
    Message(Box<Message>),
    Receipt(Receipt),
    Score(ScoreEntry),
    Session(Session),
    Workout(Box<Workout>),
}

impl Store {
    /// A page of a user's partition in the order of its sort keys, which may begin behind one.
    async fn partition(&self, user: UserId, limit: u32, after: Option<&str>) -> Result<PageOf<Item>, StoreError> {
        let pk = keys::user_partition(user);
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", string(&pk))
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        if let Some(sk) = after {
            request = request.exclusive_start_key("pk", string(pk)).exclusive_start_key("sk", string(sk));
        }
        let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
        let next = answer.last_evaluated_key.as_ref().and_then(|key| string_of(key, "sk")).map(str::to_owned);
        Ok(PageOf { items: answer.items.unwrap_or_default(), next })
    }

    /// What is left to be erased, a page of it; the wish itself is none of it.
    pub async fn erasable(&self, user: UserId, limit: u32) -> Result<Vec<Erasable>, StoreError> {
        let wish = keys::erasure(user).sk;
        let page = self.partition(user, limit, None).await?;
        let items = page.items.into_iter().filter(|item| string_of(item, "sk") != Some(&wish));
        items.map(erasable).collect()
    }

    /// A page of everything that a user has in lists, opened with their cipher, each with its place. An item of a kind that is not known is an
    /// error. Present state, transcripts and what is ours alone are left out: others bring them, or nobody. So is what is past its time.
    pub async fn export_page(
        &self,
        profile: &Profile,
        limit: u32,
        after: Option<&str>,
        now: Timestamp,
    ) -> Result<PageOf<(String, Exported)>, StoreError> {
        let page = self.partition(profile.user.id, limit, after).await?;
        let mut items = Vec::new();
        for item in page.items.into_iter().filter(|item| is_in_time(item, now)) {
            let sk = string_of(&item, "sk").unwrap_or_default().to_owned();
            items.extend(exported(item, &profile.cipher)?.map(|opened| (sk, opened)));
        }
        Ok(PageOf { items, next: page.next })
    }

    /// What was said in some calls, as long as it is kept, opened, by call. One batch.
    pub async fn transcripts(
        &self,
        profile: &Profile,
        calls: &[CallId],
        now: Timestamp,
    ) -> Result<HashMap<CallId, Transcript>, StoreError> {
        if calls.is_empty() {
            return Ok(HashMap::new());
        }
        let user = profile.user.id;
        let items = self.batch_get(calls.iter().map(|id| keys::transcript(user, *id)).collect()).await?;
        let mut found = HashMap::new();
        for item in items.into_iter().filter(|item| is_in_time(item, now)) {
            let id = string_of(&item, "sk").and_then(|sk| sk.split_once('#')).and_then(|(_, id)| id.parse().ok());
            let id: CallId = id.ok_or_else(|| StoreError::unreadable("transcript", "its key"))?;
            found.insert(id, Transcript::open(item, &profile.cipher)?);
        }
        Ok(found)
    }

    /// What was done about a user that may be asked after, oldest first, with the reasons opened.
    pub async fn audit_of(&self, profile: &Profile, now: Timestamp) -> Result<Vec<AuditEntry>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", string(keys::audit_partition(&profile.user.id.to_string())))
            .consistent_read(true);
        let items = every_item(&request).await?.into_iter().filter(|item| is_in_time(item, now));
        let opened = items.map(|item| {
            let entry: AuditEntry = from_item("audit", item)?;
            let open = |sealed: &String| profile.cipher.open("audit_reason", sealed);
            let reason = entry.reason.as_ref().map(open).transpose()?;
            Ok(AuditEntry { reason, ..entry })
        });
        opened.collect()
    }

    /// Somebody's wish to be forgotten, or its tombstone.
    pub async fn erasure(&self, user: UserId) -> Result<Option<Erasure>, StoreError> {
        self.get_as("erasure", keys::erasure(user)).await
    }

    /// The calls of a user that wait: not begun, or between two attempts. One query over the ids of the last 33 days.
    pub async fn waiting_calls(&self, user: UserId, now: Timestamp) -> Result<Vec<StoredCall>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :until")
            // Only calls that are not over stand in the index.
            .filter_expression("attribute_exists(gsi1pk) AND #state IN (:scheduled, :retry)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":pk", string(keys::user_partition(user)))
            .expression_attribute_values(":from", string(keys::calls_from(now - OLDEST_WAITING)))
            .expression_attribute_values(":until", string(format!("{}~", keys::CALLS)))
            .expression_attribute_values(":scheduled", string("scheduled"))
            .expression_attribute_values(":retry", string("retry"))
            .consistent_read(true);
        every_item(&request).await?.into_iter().map(|item| from_item("call", item)).collect()
    }
}

fn erasable(item: Item) -> Result<Erasable, StoreError> {
    let sk = string_of(&item, "sk").ok_or_else(|| StoreError::unreadable("item", "its key"))?.to_owned();
    let kind = match entity_of(&item) {
        "call" => ErasableKind::Call(Box::new(from_item("call", item)?)),
        "donation" => ErasableKind::Donation(Box::new(from_item("donation", item)?)),
        "message" => {
            let via = item.get("via").cloned().map(serde_dynamo::from_attribute_value);
            let via = via.transpose().map_err(|e| StoreError::unreadable("message", e))?;
            let via = via.ok_or_else(|| StoreError::unreadable("message", "via is missing"))?;
            ErasableKind::Message { via, provider_id: string_of(&item, "provider_id").map(str::to_owned) }
        }
        "contact" => string_of(&item, "whatsapp_user_id")
            .map_or(ErasableKind::Other, |id| ErasableKind::Contact { whatsapp_user_id: id.to_owned() }),
        _ => ErasableKind::Other,
    };
    Ok(Erasable { sk, kind })
}

fn exported(item: Item, cipher: &UserCipher) -> Result<Option<Exported>, StoreError> {
    Ok(Some(match entity_of(&item) {
        "call" => Exported::Call(Box::new(from_item("call", item)?)),
        "consent" => Exported::Consent(from_item("consent", item)?),
        "donation" => Exported::Donation(Box::new(from_item("donation", item)?)),
        "marker" => Exported::Marker(marker(&item, cipher)?),
        "message" => Exported::Message(Box::new(open_message(item, cipher)?)),
        "receipt" => Exported::Receipt(receipt(&item)?),
        "score" => Exported::Score(from_item("score", item)?),
        "session" => Exported::Session(from_item("session", item)?),
        "workout" => Exported::Workout(Box::new(from_item("workout", item)?)),
        // The present state is read as such, and a call brings its transcript.
        "user" | "progress" | "wallet" | "counters" | "contact" | "transcript" => return Ok(None),
        // Where a workout went; a lease; an answer kept for a repeat; a wish that is being carried out.
        "moved" | "line" | "idempotency" | "contact_code" | "erasure" => return Ok(None),
        "deleted_workout" => return Ok(None),
        other => return Err(StoreError::unreadable("item", format!("the export does not know {other}"))),
    }))
}

/// A donation after its giver is forgotten: what charities' and companies' totals are made of, and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    pub id: DonationId,
    /// Pence.
    pub amount: ivy_domain::Pence,
    pub kind: ivy_domain::wallet::DonationKind,
    pub charity_id: ivy_domain::CharityId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_id: Option<ivy_domain::CompanyId>,
    /// `2026-11`: a day would say more about its giver than the totals need.
    pub month: String,
}

impl From<&Donation> for LedgerLine {
    fn from(donation: &Donation) -> Self {
        Self {
            id: donation.id,
            amount: donation.amount,
            kind: donation.kind,
            charity_id: donation.charity_id,
            company_id: donation.company_id,
            month: ivy_domain::days::month(donation.date),
        }
    }
}

/// That something was done which somebody may ask about later. Holds nothing personal but, where an operator gave one, a reason
/// that only the key of the user whom it concerns opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub id: String,
    /// The function that did it.
    pub action: String,
    pub at: Timestamp,
    /// The operator who had it done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AdminId>,
    /// What it was done to: the id of a call, a message or a donation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Why, in the operator's words, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl AuditEntry {
    /// Of something that the service did by itself.
    #[must_use]
    pub fn new(id: String, action: &str, at: Timestamp) -> Self {
        Self { id, action: action.to_owned(), at, by: None, about: None, reason: None }
    }
}
