//! The one table of keys.
//!
//! | entity | pk | sk | indexes |
//! |---|---|---|---|
//! | user | `USER#<id>` | `ME#PROFILE` | gsi2 `TZ#<zone>#<shard>` / user id, only while days are planned for the user or messages may go out |
//! | streak and open plans | `USER#<id>` | `ME#PROGRESS` | |
//! | wallet | `USER#<id>` | `ME#WALLET` | |
//! | counters and scores | `USER#<id>` | `ME#COUNTERS` | |
//! | when we last heard from the user | `USER#<id>` | `ME#CONTACT` | |
//! | workout | `USER#<id>` | `WORKOUT#<date>#<id>` | gsi1 `REMIND#<shard>` / planned time, until its reminder was sent |
//! | where a workout went, or that it was deleted | `USER#<id>` | `WORKOUT#<date>#<id>` | |
//! | call | `USER#<id>` | `CALL#<id>` | gsi1 `DUE#<shard>` / next time it needs attention, until it is over and its analysis was taken in |
//! | transcript of a call | `USER#<id>` | `TRANSCRIPT#<call id>` | TTL 90 days |
//! | donation | `USER#<id>` | `DONATION#<id>` | |
//! | receipt of a month: sums by charity and giver | `USER#<id>` | `RECEIPT#<yyyy-mm>` | gsi2 `RECEIPTS#<yyyy-mm>#<shard>` / user id |
//! | message | `USER#<id>` | `MESSAGE#<id>` | |
//! | score, life marker | `USER#<id>` | `SCORE#<id>`, `MARKER#<id>` | |
//! | code sent to a phone or address that the user wants to have | `USER#<id>` | `CODE#phone`, `CODE#email` | TTL 15 minutes |
//! | session family | `USER#<id>` | `SESSION#<id>` | TTL |
//! | word on a consent | `USER#<id>` | `CONSENT#<id>` | |
//! | erasure asked for, then its tombstone | `USER#<id>` | `ERASURE` | |
//! | unique phone, unique e-mail | `PHONE#<keyed hash>`, `EMAIL#<keyed hash>` | `OWNER` | |
//! | provider's message id to ours | `WHATSAPP#<keyed hash>`, `TWILIO#<keyed hash>` | `OWNER` | TTL 30 days |
//! | WhatsApp's id of a user | `WHATSAPP_USER#<keyed hash>` | `OWNER` | |
//! | processed event | `EVENT#<provider>#<keyed hash of id>` | `SEEN` | TTL 30 days |
//! | idempotency record of a user | `USER#<id>` | `IDEMPOTENCY#<hash of key>` | TTL 24 hours |
//! | idempotency record of nobody's | `IDEMPOTENCY#<subject>#<hash of key>` | `RESPONSE` | TTL 24 hours |
//! | sign-in request | `MAGIC#<keyed hash of the contact>` | `LINK` | TTL 15 minutes |
//! | rate limit bucket | `RATE#<name>#<hash of subject>` | window start | TTL |
//! | outbox effect | `OUTBOX#<id>` | `EFFECT` | TTL 7 days |
//! | call slot | `SLOTS` | number | |
//! | the user's line: the attempt that may ring it | `USER#<id>` | `LINE` | TTL |
//! | donation of nobody any more | `LEDGER#<yyyy-mm>#<shard>` | donation id | |
//! | audit entry | `AUDIT#<subject>` | `<time>#<id>` | TTL 6 years |
//! | operator, company's admin | `ADMIN#<keyed hash of e-mail>` | `ACCOUNT` | |
//! | charity | `CHARITIES` | id | |
//! | a charity's month | `CHARITY#<id>` | `MONTH#<yyyy-mm>#<shard>` | |
//! | company, and its month | `COMPANY#<id>` | `META`, `MONTH#<yyyy-mm>#<shard>` | |
//!
//! What departs from the proposal in the spec, and why (decision 0003):
//! - What belongs to a user's present state has the prefix `ME#`, so that **one query** brings profile, streak, wallet,
//!   counters and contact, without the scores and sessions that would lie between `PROFILE` and `WALLET`.
//! - Open plans ride on the streak's item: planning writes it anyway (a plan makes a commitment day), and "done" without an
//!   id then needs no second read. Completing stays one read and one transaction.
//! - A workout's id carries the date it was first planned for, so its key follows from its id; a workout moved to another day
//!   leaves a `moved` stub that names the new date.
//! - A user who paused with an end stays in the index of the zone, so that planning finds them when the timer of the end was lost.
//! - The kept answers of a user's requests stand in the user's partition, so that erasing the partition erases them.
//! - A deleted workout that had a donation leaves a trace at its key, so that the donation's workout is accounted for.
//! - Charities lie in one partition: they are few, each process keeps a copy for ten minutes, and listing them is one query.
//! - Receipts are sums of their own, written with each donation: a receipt never changes with a later move to another zone.
//! - A sign-in request is keyed by the contact and holds the hashes of both the link and the code: using one uses up both.

use ivy_domain::{
    CallId, CharityId, CompanyId, ConsentId, DonationId, MarkerId, MessageId, ScoreId, SessionId, UserId, WorkoutId,
    ids::stable_hash, values::Contact,
};
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
pub const RECEIPTS: &str = "RECEIPT#";
pub const SCORES: &str = "SCORE#";
pub const MARKERS: &str = "MARKER#";
pub const SESSIONS: &str = "SESSION#";

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

/// A sort key behind all that begin with a prefix: no key of ours goes on with anything that sorts after `~`.
#[must_use]
pub fn end_of(prefix: &str) -> String {
    format!("{prefix}~")
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
pub fn score(user: UserId, id: ScoreId) -> Key {
    Key::new(user_partition(user), format!("{SCORES}{id}"))
}

#[must_use]
pub fn marker(user: UserId, id: MarkerId) -> Key {
    Key::new(user_partition(user), format!("{MARKERS}{id}"))
}

/// What was donated in a month of the user's, such as `2026-11`.
#[must_use]
pub fn receipt(user: UserId, month: &str) -> Key {
    Key::new(user_partition(user), format!("{RECEIPTS}{month}"))
}

#[must_use]
pub fn session(user: UserId, id: SessionId) -> Key {
    Key::new(user_partition(user), format!("{SESSIONS}{id}"))
}

#[must_use]
pub fn consent(user: UserId, id: ConsentId) -> Key {
    Key::new(user_partition(user), format!("CONSENT#{id}"))
}

#[must_use]
pub fn erasure(user: UserId) -> Key {
    Key::new(user_partition(user), "ERASURE")
}

/// Something of a user's partition by its sort key, as a list of the partition brought it.
#[must_use]
pub fn of_partition(user: UserId, sk: &str) -> Key {
    Key::new(user_partition(user), sk)
}

/// How an id begins that carries this time.
fn id_at(at: jiff::Timestamp) -> String {
    let time = format!("{:012x}", at.as_millisecond().max(0));
    format!("{}-{}", &time[..8], &time[8..])
}

/// The least sort key of calls whose ids carry this time or a later one.
#[must_use]
pub fn calls_from(at: jiff::Timestamp) -> String {
    format!("{CALLS}{}", id_at(at))
}

/// The least sort key of donations whose ids carry this time or a later one.
#[must_use]
pub fn donations_from(at: jiff::Timestamp) -> String {
    format!("{DONATIONS}{}", id_at(at))
}

/// Whose WhatsApp's id of a person for us is; the id as we keep it, hashed.
#[must_use]
pub fn whatsapp_user(hashed_id: &str) -> Key {
    Key::new(format!("WHATSAPP_USER#{hashed_id}"), "OWNER")
}

/// A donation that is nobody's any more, among those of its month.
#[must_use]
pub fn ledger_line(month: &str, id: DonationId) -> Key {
    let id = id.to_string();
    Key::new(format!("LEDGER#{month}#{}", stable_hash(&["ledger", &id]) % SHARDS), id)
}

#[must_use]
pub fn audit(subject: &str, at: jiff::Timestamp, id: &str) -> Key {
    Key::new(audit_partition(subject), format!("{}#{id}", sortable(at)))
}

#[must_use]
pub fn audit_partition(subject: &str) -> String {
    format!("AUDIT#{subject}")
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
    if let Ok(user) = subject.parse::<UserId>() {
        return Key::new(user_partition(user), format!("IDEMPOTENCY#{key_hash}"));
    }
    Key::new(format!("IDEMPOTENCY#{subject}#{key_hash}"), "RESPONSE")
}

/// Of operators and companies' admins; the hash is of another purpose than a user's e-mail has.
#[must_use]
pub fn admin_account(email_hash: &str) -> Key {
    Key::new(format!("ADMIN#{email_hash}"), "ACCOUNT")
}

#[must_use]
pub fn sign_in_request(contact_hash: &str) -> Key {
    Key::new(format!("MAGIC#{contact_hash}"), "LINK")
}

/// Of a user's outstanding code for a phone or an e-mail address.
#[must_use]
pub fn contact_code(user: UserId, contact: &Contact) -> Key {
    let kind = match contact {
        Contact::Phone(_) => "phone",
        Contact::Email(_) => "email",
    };
    Key::new(user_partition(user), format!("CODE#{kind}"))
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
pub fn line(user: UserId) -> Key {
    Key::new(user_partition(user), "LINE")
}

/// The partition of the charities.
pub const CHARITIES: &str = "CHARITIES";

#[must_use]
pub fn charity(id: CharityId) -> Key {
    Key::new(CHARITIES.to_owned(), id.to_string())
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

/// The shard's planned workouts that nobody was reminded of, by their times.
#[must_use]
pub fn remind_partition(shard: u64) -> String {
    format!("REMIND#{shard}")
}

/// The shard's users to whom a month has a receipt.
#[must_use]
pub fn receipts_partition(month: &str, shard: u64) -> String {
    format!("RECEIPTS#{month}#{shard}")
}

/// A time as text that sorts: whole seconds in UTC.
#[must_use]
pub fn sortable(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
