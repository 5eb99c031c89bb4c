//! Writes. A [`Transaction`] gathers items, each with its own condition and a name for it, and commits them all or none.
//!
//! Entities with a `version` are written under the condition that the table still holds the version that was read (0: that it
//! holds none), with the version after it. One write alone goes out as a plain conditional write, which costs half.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use ivy_domain::{
    CharityId, CompanyId, Email, Pence, ScoreId, SessionId, User, UserId,
    call::CallState,
    charity::Charity,
    company::Company,
    days,
    message::Message,
    stats::Counters,
    values,
    wallet::{Donation, Wallet},
    workout::{Workout, WorkoutStatus},
};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;

use crate::{
    AdminAccount, AuditEntry, ConsentWord, Contact, ContactCode, Erasure, IdempotencyRecord, Item, LedgerLine, Line,
    MarkerEntry, MessageOwner, Profile, Progress, ScoreEntry, Session, SignInRequest, Slot, Store, StoreError,
    StoredCall, Transcript, UserCipher,
    entities::{profile_item, to_item},
    history::receipt_sums,
    keys::{self, Key},
};

/// What the table must hold for a write to happen.
enum Expect {
    Nothing,
    /// Nothing, or something whose time is over but which the table's TTL has not deleted yet.
    NothingSince(Timestamp),
    Version(u64),
    Anything,
}

enum Write {
    Put(Put),
    Update(Update),
    Delete(Delete),
    /// Writes nothing: it only has to hold. Never alone, for then there is nothing that it could prevent.
    Check(ConditionCheck),
}

/// Writes that happen together or not at all.
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction<'a> {
    store: &'a Store,
    writes: Vec<(&'static str, Write)>,
    failure: Option<StoreError>,
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.writes.iter().map(|(name, _)| name)).finish()
    }
}

fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Seconds after `now`, as the TTL attribute wants it.
fn expires(now: Timestamp, seconds: i64) -> AttributeValue {
    number(now.as_second() + seconds)
}

const DAY_SECONDS: i64 = 86_400;
/// How long an event's or provider message's id is remembered.
const REMEMBERED_SECONDS: i64 = 30 * DAY_SECONDS;
const TRANSCRIPT_SECONDS: i64 = 90 * DAY_SECONDS;
/// How long it stays on record who did what: as long as books are kept.
const AUDIT_SECONDS: i64 = 6 * 366 * DAY_SECONDS;
const OUTBOX_SECONDS: i64 = 7 * DAY_SECONDS;

impl Store {
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction { store: self, writes: Vec::new(), failure: None }
    }
}

impl Transaction<'_> {
    /// How many items it writes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    fn put(&mut self, name: &'static str, key: Key, item: Result<Item, StoreError>, expect: &Expect) -> &mut Self {
        let built = item.and_then(|mut item| {
            item.insert("pk".to_owned(), string(key.pk));
            item.insert("sk".to_owned(), string(key.sk));
            item.insert("entity".to_owned(), string(name));
            let put = Put::builder().table_name(&self.store.table);
            let put = match expect {
                Expect::Anything => put,
                Expect::Nothing | Expect::Version(0) => put.condition_expression("attribute_not_exists(pk)"),
                Expect::NothingSince(now) => put
                    .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
                    .expression_attribute_values(":now", number(now.as_second())),
                Expect::Version(version) => put
                    .condition_expression("#version = :version")
                    .expression_attribute_names("#version", "version")
                    .expression_attribute_values(":version", number(version)),
            };
            if let Expect::Version(version) = expect {
                item.insert("version".to_owned(), number(version + 1));
            }
            put.set_item(Some(item)).build().map_err(|e| StoreError::Refused(e.to_string()))
        });
        match built {
            Ok(put) => self.writes.push((name, Write::Put(put))),
            Err(error) => self.failure = Some(error),
        }
        self
    }

    fn put_entity<T: Serialize>(&mut self, name: &'static str, key: Key, value: &T, expect: &Expect) -> &mut Self {
        self.put(name, key, to_item(name, value), expect)
    }

    /// The profile, with its place in the index of its zone while jobs look after the user.
    pub fn user(&mut self, profile: &Profile) -> &mut Self {
        let user = &profile.user;
        let item = profile_item(profile).map(|mut item| {
            if user.is_looked_after() {
                let partition = keys::zone_partition(user.timezone.as_str(), keys::shard_of(user.id));
                item.insert("gsi2pk".to_owned(), string(partition));
                item.insert("gsi2sk".to_owned(), string(user.id));
            }
            item
        });
        self.put("user", keys::profile(user.id), item, &Expect::Version(user.version))
    }

    /// Writes only if the user is still as they were read; fails as `changed` if not.
    pub fn user_unchanged(&mut self, user: &User) -> &mut Self {
        let built = ConditionCheck::builder()
            .table_name(&self.store.table)
            .set_key(Some(keys::profile(user.id).into()))
            .condition_expression("#version = :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", number(user.version))
            .build();
        match built {
            Ok(check) => self.writes.push(("changed", Write::Check(check))),
            Err(error) => self.failure = Some(StoreError::Refused(error.to_string())),
        }
        self
    }

    /// Adds a word to the history of a user's consents.
    pub fn consent(&mut self, user: UserId, word: &ConsentWord) -> &mut Self {
        self.put_entity("consent", keys::consent(user, word.id), word, &Expect::Nothing)
    }

    /// Closes an account: without its profile nobody signs in, is called or written to, and without the profile's salt nothing
    /// opens what the user's key sealed. Fails as `closed` if the user changed meanwhile.
    pub fn close_account(&mut self, profile: &Profile) -> &mut Self {
        self.delete_version("closed", keys::profile(profile.user.id), profile.user.version)
    }

    /// A wish to be forgotten, or what is left of it.
    pub fn erasure(&mut self, user: UserId, erasure: &Erasure) -> &mut Self {
        self.put_entity("erasure", keys::erasure(user), erasure, &Expect::Version(erasure.version))
    }

    /// Deletes something of a user's partition, whatever it holds by now.
    pub fn erase(&mut self, user: UserId, sk: &str) -> &mut Self {
        self.delete("erased", keys::of_partition(user, sk))
    }

    /// Keeps what a donation adds up to, without its giver.
    pub fn ledger_line(&mut self, line: &LedgerLine) -> &mut Self {
        self.put_entity("ledger_line", keys::ledger_line(&line.month, line.id), line, &Expect::Anything)
    }

    pub fn audit(&mut self, subject: &str, entry: &AuditEntry) -> &mut Self {
        let item = to_item("audit", entry).map(|mut item| {
            item.insert("expires_at".to_owned(), expires(entry.at, AUDIT_SECONDS));
            item
        });
        self.put("audit", keys::audit(subject, entry.at, &entry.id), item, &Expect::Anything)
    }

    /// What an operator did about a user, and why: the reason, which may tell of the user, is sealed with the user's key.
    pub fn audit_about(&mut self, profile: &Profile, entry: AuditEntry) -> &mut Self {
        match entry.reason.map(|reason| profile.cipher.seal("audit_reason", &reason)).transpose() {
            Ok(reason) => self.audit(&profile.user.id.to_string(), &AuditEntry { reason, ..entry }),
            Err(error) => {
                self.failure = Some(error);
                self
            }
        }
    }

    /// Claims a phone number for a user; fails as `phone` if somebody has it.
    pub fn own_phone(&mut self, profile: &Profile) -> &mut Self {
        self.own_contact("phone", &values::Contact::Phone(profile.user.phone.clone()), profile.user.id)
    }

    /// Claims an e-mail address for a user; fails as `email` if somebody has it.
    pub fn own_email(&mut self, profile: &Profile) -> &mut Self {
        let Some(email) = &profile.user.email else { return self };
        self.own_contact("email", &values::Contact::Email(email.clone()), profile.user.id)
    }

    fn own_contact(&mut self, name: &'static str, contact: &values::Contact, user: UserId) -> &mut Self {
        let item = HashMap::from([("user_id".to_owned(), string(user))]);
        self.put(name, self.store.contact_owner_key(contact), Ok(item), &Expect::Nothing)
    }

    /// Lets a phone number or an e-mail address go.
    pub fn release_contact(&mut self, contact: &values::Contact) -> &mut Self {
        self.delete("old_contact", self.store.contact_owner_key(contact))
    }

    fn delete(&mut self, name: &'static str, key: Key) -> &mut Self {
        let built = Delete::builder().table_name(&self.store.table).set_key(Some(key.into())).build();
        match built {
            Ok(delete) => self.writes.push((name, Write::Delete(delete))),
            Err(error) => self.failure = Some(StoreError::Refused(error.to_string())),
        }
        self
    }

    fn delete_version(&mut self, name: &'static str, key: Key, version: u64) -> &mut Self {
        let built = Delete::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.into()))
            .condition_expression("#version = :version")
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":version", number(version))
            .build();
        match built {
            Ok(delete) => self.writes.push((name, Write::Delete(delete))),
            Err(error) => self.failure = Some(StoreError::Refused(error.to_string())),
        }
        self
    }

    pub fn progress(&mut self, user: UserId, progress: &Progress) -> &mut Self {
        self.put_entity("progress", keys::progress(user), progress, &Expect::Version(progress.version))
    }

    pub fn wallet(&mut self, user: UserId, wallet: &Wallet) -> &mut Self {
        self.put_entity("wallet", keys::wallet(user), wallet, &Expect::Version(wallet.version))
    }

    /// Counters and scores; the life markers among them are the user's words, and sealed.
    pub fn counters(&mut self, profile: &Profile, counters: &Counters) -> &mut Self {
        let item = to_item("counters", counters).and_then(|mut item| {
            let words = serde_json::to_string(&counters.markers).map_err(|e| StoreError::unreadable("counters", e))?;
            item.insert("markers".to_owned(), string(profile.cipher.seal("markers", &words)?));
            Ok(item)
        });
        self.put("counters", keys::counters(profile.user.id), item, &Expect::Version(counters.version))
    }

    pub fn contact(&mut self, user: UserId, contact: &Contact) -> &mut Self {
        self.put_entity("contact", keys::contact(user), contact, &Expect::Version(contact.version))
    }

    /// A workout on its day.
    pub fn workout(&mut self, workout: &Workout) -> &mut Self {
        self.put_workout(workout, &Expect::Version(workout.version))
    }

    /// A workout, with its place among those to be reminded of while it is planned for a time and its reminder was not sent.
    fn put_workout(&mut self, workout: &Workout, expect: &Expect) -> &mut Self {
        let item = to_item("workout", workout).map(|mut item| {
            let open = workout.status == WorkoutStatus::Planned && !workout.reminded;
            if let Some(time) = workout.planned_time.filter(|_| open) {
                item.insert("gsi1pk".to_owned(), string(keys::remind_partition(keys::shard_of(workout.user_id))));
                item.insert("gsi1sk".to_owned(), string(keys::sortable(time)));
            }
            item
        });
        self.put("workout", keys::workout(workout.user_id, workout.date, workout.id), item, expect)
    }

    /// A workout that moves from another day: its new item, and at its id's own key a stub that says where it went.
    pub fn moved_workout(&mut self, workout: &Workout, from: Date) -> &mut Self {
        let home = workout.id.date();
        if from != home {
            self.delete_version("moved_from", keys::workout(workout.user_id, from, workout.id), workout.version);
        }
        if workout.date == home {
            // Back home: the stub gives way. The version of the item that moved was checked by its deletion.
            let mut home_again = workout.clone();
            home_again.version += 1;
            return self.put_workout(&home_again, &Expect::Anything);
        }
        let stub = HashMap::from([
            ("moved_to".to_owned(), string(workout.date.to_string())),
            ("version".to_owned(), number(workout.version + 1)),
        ]);
        let expect = if from == home { Expect::Version(workout.version) } else { Expect::Anything };
        self.put("moved", keys::workout(workout.user_id, home, workout.id), Ok(stub), &expect);
        let mut moved = workout.clone();
        moved.version += 1;
        self.put_workout(&moved, &Expect::Nothing)
    }

    /// Deletes a workout. One that had a donation leaves a trace which says so, and nothing of what it was.
    pub fn delete_workout(&mut self, workout: &Workout, now: Timestamp) -> &mut Self {
        let home = workout.id.date();
        if workout.date != home {
            self.delete("moved", keys::workout(workout.user_id, home, workout.id));
        }
        let key = keys::workout(workout.user_id, workout.date, workout.id);
        let Some(donation) = workout.donation_id else {
            return self.delete_version("workout", key, workout.version);
        };
        let trace = HashMap::from([
            ("donation_id".to_owned(), string(donation)),
            ("deleted_at".to_owned(), string(now.to_string())),
        ]);
        self.put("deleted_workout", key, Ok(trace), &Expect::Version(workout.version))
    }

    pub fn donation(&mut self, donation: &Donation) -> &mut Self {
        let key = keys::donation(donation.user_id, donation.id);
        self.put_entity("donation", key, donation, &Expect::Nothing)
    }

    /// Adds to a charity's month.
    pub fn charity_total(
        &mut self,
        charity: CharityId,
        user: UserId,
        date: Date,
        amount: Pence,
        donations: i64,
    ) -> &mut Self {
        let key = keys::charity_month(charity, &days::month(date), keys::shard_of(user));
        self.add("charity_total", key, &[("donated", amount.0), ("donations", donations)], &[])
    }

    /// Adds donations to the receipt of the user's month that they were made in.
    pub fn receipt(
        &mut self,
        user: UserId,
        (charity, company): (CharityId, Option<CompanyId>),
        made_on: Date,
        amount: Pence,
        donations: i64,
    ) -> &mut Self {
        let [sum, count] = receipt_sums(charity, company);
        let month = days::month(made_on);
        let place = [("gsi2pk", keys::receipts_partition(&month, keys::shard_of(user))), ("gsi2sk", user.to_string())];
        self.add("receipt", keys::receipt(user, &month), &[(&sum, amount.0), (&count, donations)], &place)
    }

    /// Adds to a company's month.
    pub fn company_total(
        &mut self,
        company: CompanyId,
        user: UserId,
        date: Date,
        amounts: &[(&str, i64)],
    ) -> &mut Self {
        let key = keys::company_month(company, &days::month(date), keys::shard_of(user));
        self.add("company_total", key, amounts, &[])
    }

    /// Adds to sums, and sets the item's place in an index.
    fn add(
        &mut self,
        name: &'static str,
        key: Key,
        amounts: &[(&str, i64)],
        place: &[(&'static str, String)],
    ) -> &mut Self {
        let mut update = Update::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.into()))
            .expression_attribute_names("#entity", "entity")
            .expression_attribute_values(":entity", string(name));
        let mut terms = Vec::new();
        for (index, (attribute, amount)) in amounts.iter().enumerate() {
            terms.push(format!("#a{index} :a{index}"));
            update = update
                .expression_attribute_names(format!("#a{index}"), *attribute)
                .expression_attribute_values(format!(":a{index}"), number(amount));
        }
        let mut sets = vec!["#entity = :entity".to_owned()];
        for (attribute, value) in place {
            sets.push(format!("{attribute} = :{attribute}"));
            update = update.expression_attribute_values(format!(":{attribute}"), string(value));
        }
        match update.update_expression(format!("SET {} ADD {}", sets.join(", "), terms.join(", "))).build() {
            Ok(update) => self.writes.push((name, Write::Update(update))),
            Err(error) => self.failure = Some(StoreError::Refused(error.to_string())),
        }
        self
    }

    /// A call, with its place among the calls that need attention until it is over and its analysis is taken in.
    pub fn call(&mut self, stored: &StoredCall) -> &mut Self {
        let call = &stored.call;
        let item = to_item("call", stored).map(|mut item| {
            // While an attempt runs its lease counts, before that the time at which the call is due.
            let live = matches!(call.state, CallState::Initiating | CallState::InProgress);
            let at = call.attempt.as_ref().filter(|_| live).map_or(call.due_at, |attempt| attempt.lease_until);
            let attention = if call.state.is_terminal() { stored.analysis_due_at() } else { Some(at) };
            if let Some(at) = attention {
                item.insert("gsi1pk".to_owned(), string(keys::due_partition(keys::shard_of(call.user_id))));
                item.insert("gsi1sk".to_owned(), string(keys::sortable(at)));
            }
            item
        });
        self.put("call", keys::call(call.user_id, call.id), item, &Expect::Version(call.version))
    }

    /// What was said in a call, sealed with the user's key. Kept from the call's end, however late it is told.
    pub fn transcript(
        &mut self,
        call: &StoredCall,
        words: &Transcript,
        cipher: &UserCipher,
        now: Timestamp,
    ) -> &mut Self {
        let fields = [
            ("transcript", &words.transcript),
            ("summary", &words.summary),
            ("recording_url", &words.recording_url),
            ("context", &words.context),
        ];
        let since = call.call.ended_at.unwrap_or(now);
        let key = keys::transcript(call.call.user_id, call.call.id);
        let mut update = Update::builder()
            .table_name(&self.store.table)
            .set_key(Some(key.into()))
            .expression_attribute_names("#entity", "entity")
            .expression_attribute_values(":entity", string("transcript"))
            .expression_attribute_names("#expires", "expires_at")
            .expression_attribute_values(":expires", expires(since, TRANSCRIPT_SECONDS));
        let mut terms = vec!["#entity = :entity".to_owned(), "#expires = :expires".to_owned()];
        for (field, text) in fields {
            let Some(text) = text else { continue };
            match cipher.seal(field, text) {
                Ok(sealed) => {
                    terms.push(format!("#{field} = :{field}"));
                    update = update
                        .expression_attribute_names(format!("#{field}"), field)
                        .expression_attribute_values(format!(":{field}"), string(sealed));
                }
                Err(error) => self.failure = Some(error),
            }
        }
        match update.update_expression(format!("SET {}", terms.join(", "))).build() {
            Ok(update) => self.writes.push(("transcript", Write::Update(update))),
            Err(error) => self.failure = Some(StoreError::Refused(error.to_string())),
        }
        self
    }

    /// Takes a slot that is free or whose lease is over; fails as `slot`.
    pub fn take_slot(&mut self, slot: &Slot, now: Timestamp) -> &mut Self {
        self.take_lease("slot", keys::slot(slot.number), to_item("slot", slot), "attempt_id", now)
    }

    /// Takes a user's line, so that no other call rings them; fails as `line` while another call holds it. What the same call
    /// holds it may take again: whether it may ring again is a matter of its own version.
    pub fn take_line(&mut self, user: UserId, line: &Line, now: Timestamp) -> &mut Self {
        self.take_lease("line", keys::line(user), line_item(line), "call_id", now)
    }

    /// Takes a user's line whoever holds it: they are talking with us.
    pub fn seize_line(&mut self, user: UserId, line: &Line) -> &mut Self {
        self.put("line", keys::line(user), line_item(line), &Expect::Anything)
    }

    fn take_lease(
        &mut self,
        entity: &'static str,
        key: Key,
        item: Result<Item, StoreError>,
        holder: &'static str,
        now: Timestamp,
    ) -> &mut Self {
        let built = item.and_then(|mut item| {
            let own = item.get(holder).cloned().ok_or_else(|| StoreError::unreadable(entity, "nobody holds it"))?;
            item.insert("pk".to_owned(), string(key.pk));
            item.insert("sk".to_owned(), string(key.sk));
            item.insert("entity".to_owned(), string(entity));
            Put::builder()
                .table_name(&self.store.table)
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(pk) OR lease_until < :now OR #holder = :own")
                .expression_attribute_names("#holder", holder)
                .expression_attribute_values(":own", own)
                .expression_attribute_values(":now", string(now.to_string()))
                .build()
                .map_err(|e| StoreError::Refused(e.to_string()))
        });
        match built {
            Ok(put) => self.writes.push((entity, Write::Put(put))),
            Err(error) => self.failure = Some(error),
        }
        self
    }

    /// A message, its words sealed with the user's key.
    pub fn message(&mut self, message: &Message, cipher: &UserCipher) -> &mut Self {
        let item = to_item("message", message).and_then(|mut item| {
            for field in ["body", "notice"] {
                if item.remove(field).is_some() {
                    let words = match field {
                        "body" => serde_json::to_string(&message.body),
                        _ => serde_json::to_string(&message.notice),
                    };
                    let words = words.map_err(|e| StoreError::unreadable("message", e))?;
                    item.insert(field.to_owned(), string(cipher.seal(field, &words)?));
                }
            }
            Ok(item)
        });
        let key = keys::message(message.user_id, message.id);
        self.put("message", key, item, &Expect::Version(message.version))
    }

    /// Lets a provider's message id lead to ours.
    pub fn message_owner(
        &mut self,
        provider: &str,
        provider_id: &str,
        owner: MessageOwner,
        now: Timestamp,
    ) -> &mut Self {
        let item = to_item("message_owner", &owner).map(|mut item| {
            item.insert("expires_at".to_owned(), expires(now, REMEMBERED_SECONDS));
            item
        });
        let key = keys::provider_message(provider, &self.store.provider_id(provider_id));
        self.put("message_owner", key, item, &Expect::Anything)
    }

    /// Forgets which message of ours a provider's id named; the id as the message keeps it, hashed.
    pub fn forget_message_owner(&mut self, provider: &str, hashed_id: &str) -> &mut Self {
        self.delete("old_message_owner", keys::provider_message(provider, hashed_id))
    }

    /// Lets WhatsApp's id of a person for us lead to them, for messages that hide the number.
    pub fn whatsapp_user(&mut self, id: &str, user: UserId) -> &mut Self {
        let item = HashMap::from([("user_id".to_owned(), string(user))]);
        let key = keys::whatsapp_user(&self.store.provider_id(id));
        self.put("whatsapp_user", key, Ok(item), &Expect::Anything)
    }

    /// Forgets whom WhatsApp's id named; the id as the contact keeps it, hashed.
    pub fn forget_whatsapp_user(&mut self, hashed_id: &str) -> &mut Self {
        self.delete("old_whatsapp_user", keys::whatsapp_user(hashed_id))
    }

    /// Remembers a provider's event; fails as `event` if it was there before.
    pub fn processed_event(&mut self, provider: &str, id: &str, now: Timestamp) -> &mut Self {
        let item = HashMap::from([("expires_at".to_owned(), expires(now, REMEMBERED_SECONDS))]);
        let key = keys::processed_event(provider, &self.store.provider_id(id));
        self.put("event", key, Ok(item), &Expect::Nothing)
    }

    /// An effect for `publish-outbox`, as JSON.
    pub fn outbox(&mut self, id: &str, effect: &str, now: Timestamp) -> &mut Self {
        let item = HashMap::from([
            ("effect".to_owned(), string(effect)),
            ("created_at".to_owned(), string(now.to_string())),
            ("expires_at".to_owned(), expires(now, OUTBOX_SECONDS)),
        ]);
        self.put("outbox", keys::outbox(id), Ok(item), &Expect::Nothing)
    }

    pub fn session(&mut self, session: &Session) -> &mut Self {
        self.put_entity(
            "session",
            keys::session(session.user_id, session.id),
            session,
            &Expect::Version(session.version),
        )
    }

    /// Ends a session and with it every token of its family.
    pub fn end_session(&mut self, session: &Session) -> &mut Self {
        self.end_session_of(session.user_id, session.id)
    }

    /// Ends a session that may be over.
    pub fn end_session_of(&mut self, user: UserId, id: SessionId) -> &mut Self {
        self.delete("session", keys::session(user, id))
    }

    /// The account of an operator or a company's admin; a new one fails as `admin` if the address has one.
    pub fn admin_account(&mut self, email: &Email, account: &AdminAccount) -> &mut Self {
        let key = keys::admin_account(&self.store.keyring().admin_hash(email));
        self.put_entity("admin", key, account, &Expect::Version(account.version))
    }

    pub fn remove_admin_account(&mut self, email: &Email) -> &mut Self {
        self.delete("admin", keys::admin_account(&self.store.keyring().admin_hash(email)))
    }

    /// A sign-in request takes the place of the contact's last one.
    pub fn sign_in_request(&mut self, contact_hash: &str, request: &SignInRequest) -> &mut Self {
        self.put_entity("sign_in", keys::sign_in_request(contact_hash), request, &Expect::Anything)
    }

    /// Takes an outstanding link and code back.
    pub fn forget_sign_in_request(&mut self, contact_hash: &str) -> &mut Self {
        self.delete("old_sign_in", keys::sign_in_request(contact_hash))
    }

    /// Counts a failed try on a sign-in request that nobody touched meanwhile.
    pub fn sign_in_try(&mut self, contact_hash: &str, request: &SignInRequest) -> &mut Self {
        self.put_entity("sign_in", keys::sign_in_request(contact_hash), request, &Expect::Version(request.version))
    }

    /// Uses up a sign-in request; fails as `sign_in` if another was quicker.
    pub fn use_sign_in_request(&mut self, contact_hash: &str, request: &SignInRequest) -> &mut Self {
        self.delete_version("sign_in", keys::sign_in_request(contact_hash), request.version)
    }

    /// A new code for a contact that a user wants to have; it replaces the one before.
    pub fn contact_code(&mut self, user: UserId, contact: &values::Contact, code: &ContactCode) -> &mut Self {
        self.put_entity("contact_code", keys::contact_code(user, contact), code, &Expect::Anything)
    }

    /// Counts a wrong try on a code that nobody touched meanwhile.
    pub fn contact_code_try(&mut self, user: UserId, contact: &values::Contact, code: &ContactCode) -> &mut Self {
        self.put_entity("contact_code", keys::contact_code(user, contact), code, &Expect::Version(code.version))
    }

    /// Uses up a code; fails as `contact_code` if another was quicker.
    pub fn use_contact_code(&mut self, user: UserId, contact: &values::Contact, code: &ContactCode) -> &mut Self {
        self.delete_version("contact_code", keys::contact_code(user, contact), code.version)
    }

    /// Keeps the answer to a request with an `Idempotency-Key`; fails as `idempotency` if a twin was quicker.
    pub fn idempotency(
        &mut self,
        subject: &str,
        key_hash: &str,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> &mut Self {
        // The answer may hold a person's number: it is sealed like any other field.
        let item = self
            .store
            .keyring()
            .seal("idempotency", &record.body)
            .and_then(|body| to_item("idempotency", &IdempotencyRecord { body, ..record.clone() }));
        self.put("idempotency", keys::idempotency(subject, key_hash), item, &Expect::NothingSince(now))
    }

    pub fn score(&mut self, user: UserId, entry: &ScoreEntry) -> &mut Self {
        self.put_entity("score", keys::score(user, entry.id), entry, &Expect::Nothing)
    }

    /// Deletes a score of the history, if it is there.
    pub fn forget_score(&mut self, user: UserId, id: ScoreId) -> &mut Self {
        self.delete("score", keys::score(user, id))
    }

    /// A life marker, its words sealed with the user's key.
    pub fn marker(&mut self, user: UserId, entry: &MarkerEntry, cipher: &UserCipher) -> &mut Self {
        let item = cipher.seal("marker", entry.words.as_str()).map(|sealed| {
            HashMap::from([
                ("marker".to_owned(), string(sealed)),
                ("recorded_at".to_owned(), string(entry.recorded_at.to_string())),
            ])
        });
        self.put("marker", keys::marker(user, entry.id), item, &Expect::Nothing)
    }

    pub fn company(&mut self, company: &Company) -> &mut Self {
        self.put_entity("company", keys::company(company.id), company, &Expect::Anything)
    }

    pub fn charity(&mut self, charity: &Charity) -> &mut Self {
        self.put_entity("charity", keys::charity(charity.id), charity, &Expect::Anything)
    }

    /// Writes everything, or nothing.
    ///
    /// # Errors
    /// [`StoreError::ConditionFailed`] with the names of the conditions that did not hold; [`StoreError::Contended`] when
    /// others were at the same items.
    pub async fn commit(self) -> Result<(), StoreError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let client = &self.store.client;
        let names: Vec<&'static str> = self.writes.iter().map(|(name, _)| *name).collect();
        let mut writes: Vec<Write> = self.writes.into_iter().map(|(_, write)| write).collect();
        if writes.len() == 1
            && let Some(write) = writes.pop()
        {
            return write.alone(client).await.map_err(|error| match error {
                StoreError::ConditionFailed(_) => StoreError::ConditionFailed(names),
                other => other,
            });
        }
        let items = writes.into_iter().map(Write::into_item).collect();
        let sent = Box::pin(client.transact_write_items().set_transact_items(Some(items)).send()).await;
        sent.map(|_| ()).map_err(|error| StoreError::from_transaction(&error, &names))
    }
}

impl Write {
    fn into_item(self) -> TransactWriteItem {
        let item = TransactWriteItem::builder();
        match self {
            Self::Put(put) => item.put(put),
            Self::Update(update) => item.update(update),
            Self::Delete(delete) => item.delete(delete),
            Self::Check(check) => item.condition_check(check),
        }
        .build()
    }

    async fn alone(self, client: &aws_sdk_dynamodb::Client) -> Result<(), StoreError> {
        match self {
            Self::Put(put) => {
                let request = client
                    .put_item()
                    .table_name(put.table_name)
                    .set_item(Some(put.item))
                    .set_condition_expression(put.condition_expression)
                    .set_expression_attribute_names(put.expression_attribute_names)
                    .set_expression_attribute_values(put.expression_attribute_values);
                Box::pin(request.send()).await.map(|_| ()).map_err(|e| StoreError::from_sdk(&e))
            }
            Self::Update(update) => {
                let request = client
                    .update_item()
                    .table_name(update.table_name)
                    .set_key(Some(update.key))
                    .update_expression(update.update_expression)
                    .set_condition_expression(update.condition_expression)
                    .set_expression_attribute_names(update.expression_attribute_names)
                    .set_expression_attribute_values(update.expression_attribute_values);
                Box::pin(request.send()).await.map(|_| ()).map_err(|e| StoreError::from_sdk(&e))
            }
            Self::Delete(delete) => {
                let request = client
                    .delete_item()
                    .table_name(delete.table_name)
                    .set_key(Some(delete.key))
                    .set_condition_expression(delete.condition_expression)
                    .set_expression_attribute_names(delete.expression_attribute_names)
                    .set_expression_attribute_values(delete.expression_attribute_values);
                Box::pin(request.send()).await.map(|_| ()).map_err(|e| StoreError::from_sdk(&e))
            }
            Self::Check(_) => Err(StoreError::Refused("a check without a write".to_owned())),
        }
    }
}

impl From<Key> for HashMap<String, AttributeValue> {
    fn from(key: Key) -> Self {
        HashMap::from([("pk".to_owned(), string(key.pk)), ("sk".to_owned(), string(key.sk))])
    }
}
fn line_item(line: &Line) -> Result<Item, StoreError> {
    to_item("line", line).map(|mut item| {
        let expires_at = line.lease_until.as_second();
        item.insert("expires_at".to_owned(), AttributeValue::N(expires_at.to_string()));
        item
    })
}
