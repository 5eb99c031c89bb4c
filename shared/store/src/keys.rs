//! The one table of keys.
//!
//! | entity | pk | sk | indexes |
//! |---|---|---|---|
//! | user | `USER#<id>` | `ME#PROFILE` | gsi2 `TZ#<zone>#<shard>` / user id, only while the user may be called |
//! | streak and open plans | `USER#<id>` | `ME#PROGRESS` | |
//! | wallet | `USER#<id>` | `ME#WALLET` | |
//! | counters and scores | `USER#<id>` | `ME#COUNTERS` | |
//! | when we last heard from the user | `USER#<id>` | `ME#CONTACT` | |
//! | workout | `USER#<id>` | `WORKOUT#<date>#<id>` | |
//! | call | `USER#<id>` | `CALL#<id>` | gsi1 `DUE#<shard>` / next time it needs attention, while not terminal |
//! | transcript of a call | `USER#<id>` | `TRANSCRIPT#<call id>` | TTL 90 days |
//! | donation | `USER#<id>` | `DONATION#<id>` | |
//! | message | `USER#<id>` | `MESSAGE#<id>` | |
//! | score, life marker | `USER#<id>` | `SCORE#<id>`, `MARKER#<id>` | |
//! | session family | `USER#<id>` | `SESSION#<id>` | TTL |
//! | unique phone, unique e-mail | `PHONE#<keyed hash>`, `EMAIL#<keyed hash>` | `OWNER` | |
//! | provider's message id to ours | `WHATSAPP#<keyed hash>`, `TWILIO#<keyed hash>` | `OWNER` | TTL 30 days |
//! | processed event | `EVENT#<provider>#<keyed hash of id>` | `SEEN` | TTL 30 days |
//! | idempotency record | `IDEMPOTENCY#<user>#<hash of key>` | `RESPONSE` | TTL 24 hours |
//! | sign-in request | `MAGIC#<keyed hash of the contact>` | `LINK` | TTL 15 minutes |
//! | rate limit bucket | `RATE#<name>#<hash of subject>` | window start | TTL |
//! | outbox effect | `OUTBOX#<id>` | `EFFECT` | TTL 7 days |
//! | call slot | `SLOTS` | number | |
//! | charity, and its month | `CHARITY#<id>` | `META`, `MONTH#<yyyy-mm>#<shard>` | |
//! | company, and its month | `COMPANY#<id>` | `META`, `MONTH#<yyyy-mm>#<shard>` | |
//!
//! What departs from the proposal in the spec, and why (decision 0003):
//! - What belongs to a user's present state has the prefix `ME#`, so that **one query** brings profile, streak, wallet,
//!   counters and contact, without the scores and sessions that would lie between `PROFILE` and `WALLET`.
//! - Open plans ride on the streak's item: planning writes it anyway (a plan makes a commitment day), and "done" without an
//!   id then needs no second read. Completing stays one read and one transaction.
//! - A workout's id carries the date it was first planned for, so its key follows from its id; a workout moved to another day
//!   leaves a `moved` stub that names the new date.
//! - A sign-in request is keyed by the contact and holds the hashes of both the link and the code: using one uses up both.

use ivy_domain::{CallId, CharityId, CompanyId, DonationId, MessageId, SessionId, UserId, WorkoutId, ids::stable_hash};
use jiff::civil::Date;

/// How many shards a zone's users, due calls and monthly totals are spread over.
pub const SHARDS: u64 = 8;

/// A full primary key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub pk: String,
    pub sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }
}

/// The prefix under which one query finds a user's present state.
pub const ME: &str = "ME#";

#[must_use]
pub fn user_partition(user: UserId) -> String {
    format!("USER#{user}")
}

macro_rules! of_user {
    ($($name:ident = $sk:literal),* $(,)?) => {
        $(#[must_use] pub fn $name(user: UserId) -> Key { Key::new(user_partition(user), $sk) })*
    };
}
of_user!(
    profile = "ME#PROFILE",
    progress = "ME#PROGRESS",
    wallet = "ME#WALLET",
    counters = "ME#COUNTERS",
    contact = "ME#CONTACT"
);

/// Prefixes of the lists in a user's partition.
pub const WORKOUTS: &str = "WORKOUT#";
pub const CALLS: &str = "CALL#";
pub const MESSAGES: &str = "MESSAGE#";
pub const DONATIONS: &str = "DONATION#";

#[must_use]
pub fn workout(user: UserId, date: Date, id: WorkoutId) -> Key {
    Key::new(user_partition(user), format!("{WORKOUTS}{date}#{id}"))
}

/// The key under which a workout was first written: its id carries that date.
#[must_use]
pub fn workout_by_id(user: UserId, id: WorkoutId) -> Key {
    workout(user, id.date(), id)
}

#[must_use]
pub fn workouts_on(date: Date) -> String {
    format!("{WORKOUTS}{date}#")
}

#[must_use]
pub fn call(user: UserId, id: CallId) -> Key {
    Key::new(user_partition(user), format!("{CALLS}{id}"))
}

#[must_use]
pub fn transcript(user: UserId, id: CallId) -> Key {
    Key::new(user_partition(user), format!("TRANSCRIPT#{id}"))
}

#[must_use]
pub fn donation(user: UserId, id: DonationId) -> Key {
    Key::new(user_partition(user), format!("{DONATIONS}{id}"))
}

#[must_use]
pub fn message(user: UserId, id: MessageId) -> Key {
    Key::new(user_partition(user), format!("{MESSAGES}{id}"))
}

#[must_use]
pub fn score(user: UserId, id: &str) -> Key {
    Key::new(user_partition(user), format!("SCORE#{id}"))
}

#[must_use]
pub fn marker(user: UserId, id: &str) -> Key {
    Key::new(user_partition(user), format!("MARKER#{id}"))
}

#[must_use]
pub fn session(user: UserId, id: SessionId) -> Key {
    Key::new(user_partition(user), format!("SESSION#{id}"))
}

#[must_use]
pub fn phone_owner(hash: &str) -> Key {
    Key::new(format!("PHONE#{hash}"), "OWNER")
}

#[must_use]
pub fn email_owner(hash: &str) -> Key {
    Key::new(format!("EMAIL#{hash}"), "OWNER")
}

#[must_use]
pub fn provider_message(provider: &str, id: &str) -> Key {
    Key::new(format!("{}#{id}", provider.to_uppercase()), "OWNER")
}

#[must_use]
pub fn processed_event(provider: &str, id: &str) -> Key {
    Key::new(format!("EVENT#{provider}#{id}"), "SEEN")
}

/// `subject` is the user, or the caller's address hash where nobody is signed in.
#[must_use]
pub fn idempotency(subject: &str, key_hash: &str) -> Key {
    Key::new(format!("IDEMPOTENCY#{subject}#{key_hash}"), "RESPONSE")
}

#[must_use]
pub fn sign_in_request(contact_hash: &str) -> Key {
    Key::new(format!("MAGIC#{contact_hash}"), "LINK")
}

#[must_use]
pub fn rate_limit(name: &str, subject_hash: &str, window_start: i64) -> Key {
    Key::new(format!("RATE#{name}#{subject_hash}"), window_start.to_string())
}

#[must_use]
pub fn outbox(id: &str) -> Key {
    Key::new(format!("OUTBOX#{id}"), "EFFECT")
}

/// The partition of the call slots.
pub const SLOTS: &str = "SLOTS";

#[must_use]
pub fn slot(number: u32) -> Key {
    Key::new(SLOTS.to_owned(), format!("{number:04}"))
}

#[must_use]
pub fn charity(id: CharityId) -> Key {
    Key::new(format!("CHARITY#{id}"), "META")
}

#[must_use]
pub fn charity_month(id: CharityId, month: &str, shard: u64) -> Key {
    Key::new(format!("CHARITY#{id}"), format!("MONTH#{month}#{shard}"))
}

#[must_use]
pub fn company(id: CompanyId) -> Key {
    Key::new(format!("COMPANY#{id}"), "META")
}

#[must_use]
pub fn company_month(id: CompanyId, month: &str, shard: u64) -> Key {
    Key::new(format!("COMPANY#{id}"), format!("MONTH#{month}#{shard}"))
}

/// The shard of a user within its zone, and of what is counted for it.
#[must_use]
pub fn shard_of(user: UserId) -> u64 {
    stable_hash(&["shard", &user.to_string()]) % SHARDS
}

/// gsi2: the users of a zone that may be called.
#[must_use]
pub fn zone_partition(zone: &str, shard: u64) -> String {
    format!("TZ#{zone}#{shard}")
}

/// gsi1: the calls that need attention at a time.
#[must_use]
pub fn due_partition(shard: u64) -> String {
    format!("DUE#{shard}")
}

/// A time as text that sorts: whole seconds in UTC.
#[must_use]
pub fn sortable(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
