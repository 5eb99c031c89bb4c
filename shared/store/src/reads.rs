//! Reads: one round trip each, as the access patterns in the spec demand. All of a user's own items are read consistently.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, KeysAndAttributes, ReturnValue, Select},
};
use ivy_domain::{
    CallId, CharityId, CompanyId, Email, MessageId, SessionId, UserId, WorkoutId, charity::Charity, company::Company,
    message::Message, values, workout::Workout,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    AdminAccount, Contact, ContactCode, IdempotencyRecord, Item, Line, Me, MessageOwner, Profile, Session,
    SignInRequest, Store, StoreError, StoredCall, Transcript, UserCipher,
    entities::{entity_of, from_item, is_in_time, profile_from, string_of},
    keys::{self, Key},
};

/// One page of a list, newest first. `next` is the position to go on from.
#[derive(Debug, Clone)]
pub struct PageOf<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// A message as it lies in the table, its words sealed.
#[derive(Clone)]
pub struct SealedMessage(Item);

impl std::fmt::Debug for SealedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedMessage")
    }
}

impl SealedMessage {
    /// # Errors
    /// When it is not its owner's profile, or unreadable.
    pub fn open(self, owner: &Profile) -> Result<Message, StoreError> {
        open_message(self.0, &owner.cipher)
    }
}

/// Keys asked for again when the table returned only some of a batch.
const BATCH_ROUNDS: usize = 4;

pub(crate) fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn is_at(item: &Item, key: &Key) -> bool {
    string_of(item, "pk") == Some(&key.pk) && string_of(item, "sk") == Some(&key.sk)
}

/// Takes the item of a key out of a batch.
pub(crate) fn take(items: &mut Vec<Item>, key: &Key) -> Option<Item> {
    let index = items.iter().position(|item| is_at(item, key))?;
    Some(items.swap_remove(index))
}

fn me_keys(user: UserId) -> [Key; 5] {
    [keys::profile(user), keys::progress(user), keys::wallet(user), keys::counters(user), keys::contact(user)]
}

impl Store {
    pub(crate) async fn get(&self, key: Key) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key.into())).consistent_read(true);
        let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
        Ok(answer.item)
    }

    pub(crate) async fn get_as<T: DeserializeOwned>(
        &self,
        entity: &'static str,
        key: Key,
    ) -> Result<Option<T>, StoreError> {
        self.get(key).await?.map(|item| from_item(entity, item)).transpose()
    }

    pub(crate) async fn batch_get(&self, keys: Vec<Key>) -> Result<Vec<Item>, StoreError> {
        let mut found = Vec::new();
        let keys: Vec<HashMap<String, AttributeValue>> = keys.into_iter().map(Into::into).collect();
        let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let mut open = HashMap::from([(self.table.clone(), request.map_err(|e| StoreError::Refused(e.to_string()))?)]);
        for _ in 0..BATCH_ROUNDS {
            let request = self.client.batch_get_item().set_request_items(Some(open));
            let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
            found.extend(answer.responses.unwrap_or_default().into_values().flatten());
            open = answer.unprocessed_keys.unwrap_or_default();
            if open.is_empty() {
                return Ok(found);
            }
        }
        Err(StoreError::Unavailable("keys stayed unprocessed".to_owned()))
    }

    /// A page of the items of a partition whose sort keys begin with a prefix, newest first.
    pub(crate) async fn list(
        &self,
        pk: String,
        prefix: &str,
        limit: u32,
        after: Option<&str>,
    ) -> Result<PageOf<Item>, StoreError> {
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", string(&pk))
            .expression_attribute_values(":prefix", string(prefix))
            .consistent_read(true)
            .scan_index_forward(false)
            // One more than asked for tells whether there is a next page.
            .limit(i32::try_from(limit).unwrap_or(i32::MAX).saturating_add(1));
        if let Some(sk) = after {
            request = request.exclusive_start_key("pk", string(pk)).exclusive_start_key("sk", string(sk));
        }
        let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
        let mut items = answer.items.unwrap_or_default();
        // A page may also end early, at a megabyte.
        let more = items.len() > limit as usize || answer.last_evaluated_key.is_some();
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).and_then(|item| string_of(item, "sk")).map(str::to_owned);
        Ok(PageOf { items, next })
    }

    /// Whether the table answers: one read of a key that need not exist.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.get(keys::slot(0)).await.map(|_| ())
    }

    /// A user's present state: profile, streak, wallet, counters, contact. One query.
    pub async fn me(&self, user: UserId) -> Result<Option<Me>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", string(keys::user_partition(user)))
            .expression_attribute_values(":prefix", string(keys::ME))
            .consistent_read(true);
        let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
        Me::from_items(answer.items.unwrap_or_default(), &self.keyring)
    }

    /// A user's state and one of their workouts. One batch, and a second read only for a workout that moved to another day.
    pub async fn me_and_workout(
        &self,
        user: UserId,
        id: WorkoutId,
    ) -> Result<(Option<Me>, Option<Workout>), StoreError> {
        let key = keys::workout_by_id(user, id);
        let mut wanted = me_keys(user).to_vec();
        wanted.push(key.clone());
        let mut items = self.batch_get(wanted).await?;
        let mut found = take(&mut items, &key);
        if let Some(date) = found.as_ref().and_then(|item| string_of(item, "moved_to")) {
            let date: Date = date.parse().map_err(|e| StoreError::unreadable("moved", e))?;
            found = self.get(keys::workout(user, date, id)).await?;
        }
        // What was deleted may have left a trace, which is no workout any more.
        let found = found.filter(|item| entity_of(item) == "workout");
        let workout = found.map(|item| from_item("workout", item)).transpose()?;
        Ok((Me::from_items(items, &self.keyring)?, workout))
    }

    /// A user's state, one of their calls, and whether an event was processed before. One batch.
    pub async fn me_and_call(
        &self,
        user: UserId,
        id: CallId,
        event: Option<(&str, &str)>,
    ) -> Result<(Option<Me>, Option<StoredCall>, bool), StoreError> {
        let call_key = keys::call(user, id);
        let mut wanted = me_keys(user).to_vec();
        wanted.push(call_key.clone());
        let event_key = event.map(|(provider, id)| keys::processed_event(provider, &self.provider_id(id)));
        wanted.extend(event_key.clone());
        let mut items = self.batch_get(wanted).await?;
        let seen = event_key.and_then(|key| take(&mut items, &key)).is_some();
        let call = take(&mut items, &call_key).map(|item| from_item("call", item)).transpose()?;
        Ok((Me::from_items(items, &self.keyring)?, call, seen))
    }

    /// A user's state and whether an event was processed before. One batch.
    pub async fn me_and_event(&self, user: UserId, provider: &str, id: &str) -> Result<(Option<Me>, bool), StoreError> {
        let event_key = keys::processed_event(provider, &self.provider_id(id));
        let mut wanted = me_keys(user).to_vec();
        wanted.push(event_key.clone());
        let mut items = self.batch_get(wanted).await?;
        let seen = take(&mut items, &event_key).is_some();
        Ok((Me::from_items(items, &self.keyring)?, seen))
    }

    /// A user's state and one of their messages. One batch.
    pub async fn me_and_message(
        &self,
        user: UserId,
        id: MessageId,
    ) -> Result<(Option<Me>, Option<Message>), StoreError> {
        let key = keys::message(user, id);
        let mut wanted = me_keys(user).to_vec();
        wanted.push(key.clone());
        let mut items = self.batch_get(wanted).await?;
        let found = take(&mut items, &key);
        let me = Me::from_items(items, &self.keyring)?;
        let message = match (&me, found) {
            (Some(me), Some(item)) => Some(open_message(item, &me.profile.cipher)?),
            _ => None,
        };
        Ok((me, message))
    }

    pub async fn profile(&self, user: UserId) -> Result<Option<Profile>, StoreError> {
        self.get(keys::profile(user)).await?.map(|item| profile_from(item, &self.keyring)).transpose()
    }

    /// The profiles of up to 50 users, each with what is known of its contacts; those that are gone are left out. One batch.
    pub async fn profiles_and_contacts(&self, users: &[UserId]) -> Result<Vec<(Profile, Contact)>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = users.iter().flat_map(|user| [keys::profile(*user), keys::contact(*user)]).collect();
        let (mut profiles, mut contacts) = (Vec::new(), HashMap::new());
        for item in self.batch_get(wanted).await? {
            let owner = string_of(&item, "pk").unwrap_or_default().to_owned();
            let read = match entity_of(&item) {
                "contact" => from_item("contact", item).map(|contact: Contact| drop(contacts.insert(owner, contact))),
                _ => profile_from(item, &self.keyring).map(|profile| profiles.push(profile)),
            };
            // One that cannot be read must not keep the others from their day.
            if let Err(error) = read {
                tracing::error!(event = "profile_unreadable", %error);
            }
        }
        let with_contact = |profile: Profile| {
            let contact = contacts.remove(&keys::user_partition(profile.user.id)).unwrap_or_default();
            (profile, contact)
        };
        Ok(profiles.into_iter().map(with_contact).collect())
    }

    /// The workouts of one local day, in the order of their ids. Stubs of moved ones are left out.
    pub async fn workouts_on(&self, user: UserId, date: Date) -> Result<Vec<Workout>, StoreError> {
        let page = self.list(keys::user_partition(user), &keys::workouts_on(date), 100, None).await?;
        let mut workouts: Vec<Workout> = page
            .items
            .into_iter()
            .filter(|item| entity_of(item) == "workout")
            .map(|item| from_item("workout", item))
            .collect::<Result<_, _>>()?;
        workouts.sort_by_key(|workout| (workout.planned_time, workout.id));
        Ok(workouts)
    }

    pub async fn list_calls(
        &self,
        user: UserId,
        limit: u32,
        after: Option<&str>,
    ) -> Result<PageOf<StoredCall>, StoreError> {
        let page = self.list(keys::user_partition(user), keys::CALLS, limit, after).await?;
        let items = page.items.into_iter().map(|item| from_item("call", item)).collect::<Result<_, _>>()?;
        Ok(PageOf { items, next: page.next })
    }

    /// A page of a user's messages, which their profile opens.
    pub async fn list_messages(
        &self,
        user: UserId,
        limit: u32,
        after: Option<&str>,
    ) -> Result<PageOf<SealedMessage>, StoreError> {
        let page = self.list(keys::user_partition(user), keys::MESSAGES, limit, after).await?;
        Ok(PageOf { items: page.items.into_iter().map(SealedMessage).collect(), next: page.next })
    }

    /// A call with its owner's profile and what was said in it, as long as that is kept. One batch.
    pub async fn call_with_transcript(
        &self,
        user: UserId,
        id: CallId,
        now: Timestamp,
    ) -> Result<Option<(StoredCall, Transcript)>, StoreError> {
        let keys = [keys::profile(user), keys::call(user, id), keys::transcript(user, id)];
        let mut items = self.batch_get(keys.to_vec()).await?;
        let (Some(profile), Some(call)) = (take(&mut items, &keys[0]), take(&mut items, &keys[1])) else {
            return Ok(None);
        };
        let cipher = profile_from(profile, &self.keyring)?.cipher;
        let words = take(&mut items, &keys[2]).filter(|item| is_in_time(item, now));
        let words = words.map(|item| Transcript::open(item, &cipher)).transpose()?;
        let words = words.unwrap_or_default();
        Ok(Some((from_item("call", call)?, words)))
    }

    pub async fn call(&self, user: UserId, id: CallId) -> Result<Option<StoredCall>, StoreError> {
        self.get_as("call", keys::call(user, id)).await
    }

    pub async fn calls(&self, user: UserId, ids: &[CallId]) -> Result<Vec<StoredCall>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let items = self.batch_get(ids.iter().map(|id| keys::call(user, *id)).collect()).await?;
        items.into_iter().map(|item| from_item("call", item)).collect()
    }

    /// Who owns a phone number or an e-mail address, by its keyed hash.
    pub async fn contact_owner(&self, contact: &values::Contact) -> Result<Option<UserId>, StoreError> {
        self.owner_at(self.contact_owner_key(contact)).await
    }

    pub(crate) fn contact_owner_key(&self, contact: &values::Contact) -> Key {
        match contact {
            values::Contact::Phone(phone) => keys::phone_owner(&self.keyring.phone_hash(phone)),
            values::Contact::Email(email) => keys::email_owner(&self.keyring.email_hash(email)),
        }
    }

    async fn owner_at(&self, key: Key) -> Result<Option<UserId>, StoreError> {
        let found = self.get(key).await?;
        let owner = found.as_ref().and_then(|item| string_of(item, "user_id"));
        owner.map(|id| id.parse().map_err(|e| StoreError::unreadable("owner", e))).transpose()
    }

    /// Whom WhatsApp's id of a person for us names.
    pub async fn whatsapp_user_owner(&self, id: &str) -> Result<Option<UserId>, StoreError> {
        self.owner_at(keys::whatsapp_user(&self.provider_id(id))).await
    }

    pub async fn sign_in_request(&self, contact_hash: &str) -> Result<Option<SignInRequest>, StoreError> {
        self.get_as("sign_in", keys::sign_in_request(contact_hash)).await
    }

    /// The code that was sent to a contact which a user wants to have.
    pub async fn contact_code(
        &self,
        user: UserId,
        contact: &values::Contact,
    ) -> Result<Option<ContactCode>, StoreError> {
        self.get_as("contact_code", keys::contact_code(user, contact)).await
    }

    /// A session of a user who is still there. One batch.
    pub async fn session(&self, user: UserId, id: SessionId) -> Result<Option<Session>, StoreError> {
        let (profile, session) = (keys::profile(user), keys::session(user, id));
        let mut items = self.batch_get(vec![profile.clone(), session.clone()]).await?;
        if take(&mut items, &profile).is_none() {
            return Ok(None);
        }
        take(&mut items, &session).map(|item| from_item("session", item)).transpose()
    }

    /// The sessions of a user that are open, newest first. A query for each 100 of them.
    pub async fn sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        let mut sessions = Vec::new();
        let mut after = None;
        loop {
            let page = self.list(keys::user_partition(user), keys::SESSIONS, 100, after.as_deref()).await?;
            for item in page.items {
                sessions.push(from_item("session", item)?);
            }
            after = page.next;
            if after.is_none() {
                return Ok(sessions);
            }
        }
    }

    /// The account of an operator or a company's admin.
    pub async fn admin_account(&self, email: &Email) -> Result<Option<AdminAccount>, StoreError> {
        self.get_as("admin", keys::admin_account(&self.keyring.admin_hash(email))).await
    }

    /// The kept answer to a request, opened.
    pub async fn idempotency(&self, subject: &str, key_hash: &str) -> Result<Option<IdempotencyRecord>, StoreError> {
        let record: Option<IdempotencyRecord> =
            self.get_as("idempotency", keys::idempotency(subject, key_hash)).await?;
        record
            .map(|record| Ok(IdempotencyRecord { body: self.keyring.open("idempotency", &record.body)?, ..record }))
            .transpose()
    }

    pub async fn message_owner(&self, provider: &str, provider_id: &str) -> Result<Option<MessageOwner>, StoreError> {
        self.get_as("message_owner", keys::provider_message(provider, &self.provider_id(provider_id))).await
    }

    pub async fn charity(&self, id: CharityId) -> Result<Option<Charity>, StoreError> {
        self.get_as("charity", keys::charity(id)).await
    }

    pub async fn company(&self, id: CompanyId) -> Result<Option<Company>, StoreError> {
        self.get_as("company", keys::company(id)).await
    }

    pub async fn put_company(&self, company: &Company) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.company(company);
        transaction.commit().await
    }

    pub async fn put_charity(&self, charity: &Charity) -> Result<(), StoreError> {
        let mut transaction = self.transaction();
        transaction.charity(charity);
        transaction.commit().await
    }

    /// The numbers of the slots that are taken at present, and nothing else of them: each dial reads them all. A lease is over for
    /// this by the comparison by which `take_slot` takes its slot (transaction.rs).
    pub async fn held_slots(&self, now: Timestamp) -> Result<Vec<u32>, StoreError> {
        #[derive(Deserialize)]
        struct Held {
            number: u32,
        }
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .filter_expression("lease_until >= :now")
            .projection_expression("#number")
            .expression_attribute_names("#number", "number")
            .expression_attribute_values(":pk", string(keys::SLOTS))
            .expression_attribute_values(":now", string(now.to_string()))
            .consistent_read(true);
        let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
        let held = answer.items.unwrap_or_default().into_iter().map(|item| from_item("slot", item));
        held.map(|held| held.map(|Held { number }| number)).collect()
    }

    /// The attempt that may ring a user.
    pub async fn line(&self, user: UserId) -> Result<Option<Line>, StoreError> {
        self.get_as("line", keys::line(user)).await
    }

    /// Gives a slot back if this attempt still holds it.
    pub async fn release_slot(&self, number: u32, attempt_id: &str) -> Result<(), StoreError> {
        self.release_lease(keys::slot(number), attempt_id).await
    }

    /// Frees a user's line if this attempt still holds it.
    pub async fn release_line(&self, user: UserId, attempt_id: &str) -> Result<(), StoreError> {
        self.release_lease(keys::line(user), attempt_id).await
    }

    async fn release_lease(&self, key: Key, attempt_id: &str) -> Result<(), StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key.into()))
            .condition_expression("attempt_id = :attempt")
            .expression_attribute_values(":attempt", string(attempt_id));
        match Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e)) {
            Ok(_) | Err(StoreError::ConditionFailed(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Calls of a shard that needed attention by `until`, oldest first: whose they are and which.
    pub async fn due_calls(
        &self,
        shard: u64,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<(UserId, CallId)>, StoreError> {
        let request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("gsi1")
            .key_condition_expression("gsi1pk = :pk AND gsi1sk <= :until")
            .expression_attribute_values(":pk", string(keys::due_partition(shard)))
            .expression_attribute_values(":until", string(keys::sortable(until)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
        let items = answer.items.unwrap_or_default();
        items.iter().map(|item| call_at(item).ok_or_else(|| StoreError::unreadable("call", "its key"))).collect()
    }

    /// How many calls of a shard need attention by `until`. Counted in the index; nothing is brought.
    pub async fn count_due_calls(&self, shard: u64, until: Timestamp) -> Result<u64, StoreError> {
        let (mut count, mut start) = (0, None);
        loop {
            let request = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("gsi1")
                .select(Select::Count)
                .key_condition_expression("gsi1pk = :pk AND gsi1sk <= :until")
                .expression_attribute_values(":pk", string(keys::due_partition(shard)))
                .expression_attribute_values(":until", string(keys::sortable(until)))
                .set_exclusive_start_key(start);
            let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
            count += u64::try_from(answer.count).unwrap_or_default();
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(count);
            }
        }
    }

    /// A page of the users of a zone's shard that may be called, by id.
    pub async fn users_of_zone(
        &self,
        zone: &str,
        shard: u64,
        limit: u32,
        after: Option<UserId>,
    ) -> Result<PageOf<UserId>, StoreError> {
        self.users_at(keys::zone_partition(zone, shard), limit, after).await
    }

    /// A page of the users to whom a month has a receipt, by id.
    pub async fn users_with_receipts(
        &self,
        month: &str,
        shard: u64,
        limit: u32,
        after: Option<UserId>,
    ) -> Result<PageOf<UserId>, StoreError> {
        self.users_at(keys::receipts_partition(month, shard), limit, after).await
    }

    /// The workouts of a shard that are planned for `[from, until)` and that nobody was reminded of, by time.
    pub async fn workouts_to_remind(
        &self,
        shard: u64,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(UserId, WorkoutId)>, StoreError> {
        let pk = keys::remind_partition(shard);
        let items = every_item(&self.due_between(pk, &keys::sortable(from), until)).await?;
        items.iter().map(|item| workout_at(item).ok_or_else(|| StoreError::unreadable("workout", "its key"))).collect()
    }

    /// The query of what stands in the index of times, in a partition, from a time on.
    pub(crate) fn due_between(&self, pk: String, from: &str, until: Timestamp) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name("gsi1")
            .key_condition_expression("gsi1pk = :pk AND gsi1sk BETWEEN :from AND :until")
            .expression_attribute_values(":pk", string(pk))
            .expression_attribute_values(":from", string(from))
            .expression_attribute_values(":until", string(keys::sortable(until)))
    }

    async fn users_at(&self, pk: String, limit: u32, after: Option<UserId>) -> Result<PageOf<UserId>, StoreError> {
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("gsi2")
            .expression_attribute_values(":pk", string(pk))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        request = match after {
            None => request.key_condition_expression("gsi2pk = :pk"),
            Some(user) => request
                .key_condition_expression("gsi2pk = :pk AND gsi2sk > :after")
                .expression_attribute_values(":after", string(user)),
        };
        let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
        let items: Vec<UserId> = answer
            .items
            .unwrap_or_default()
            .iter()
            .filter_map(|item| string_of(item, "gsi2sk")?.parse().ok())
            .collect();
        let next = answer.last_evaluated_key.and_then(|_| items.last()).map(ToString::to_string);
        Ok(PageOf { items, next })
    }

    /// Counts requests against a limit per window. Answers how many there were, these included, unless the limit was
    /// reached before them: then nothing is counted and the answer is `None`.
    pub async fn count_requests(
        &self,
        name: &str,
        subject: &str,
        added: u32,
        limit: u32,
        window_seconds: i64,
        now: Timestamp,
    ) -> Result<Option<u32>, StoreError> {
        let window_start = now.as_second() - now.as_second().rem_euclid(window_seconds);
        let key = keys::rate_limit(name, &self.keyring.keyed_hash("rate-limit", subject), window_start);
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.into()))
            .update_expression("SET #entity = :entity, #expires = :expires ADD #count :added")
            .condition_expression("attribute_not_exists(#count) OR #count < :limit")
            .expression_attribute_names("#entity", "entity")
            .expression_attribute_names("#expires", "expires_at")
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":entity", string("rate_limit"))
            .expression_attribute_values(":expires", AttributeValue::N((window_start + 2 * window_seconds).to_string()))
            .expression_attribute_values(":added", AttributeValue::N(added.to_string()))
            .expression_attribute_values(":limit", AttributeValue::N(limit.to_string()))
            .return_values(ReturnValue::UpdatedNew);
        match Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e)) {
            Ok(answer) => {
                let count = answer.attributes.as_ref().and_then(|a| a.get("count")).and_then(|v| v.as_n().ok());
                Ok(Some(count.and_then(|n| n.parse().ok()).unwrap_or(added)))
            }
            Err(StoreError::ConditionFailed(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whose call lies at a key, and which.
pub(crate) fn call_at(item: &Item) -> Option<(UserId, CallId)> {
    let user = string_of(item, "pk")?.strip_prefix("USER#")?.parse().ok()?;
    let call = string_of(item, "sk")?.strip_prefix(keys::CALLS)?.parse().ok()?;
    Some((user, call))
}

/// Everything that a query finds: a request for every megabyte of it.
pub(crate) async fn every_item(query: &QueryFluentBuilder) -> Result<Vec<Item>, StoreError> {
    let (mut found, mut start) = (Vec::new(), None);
    loop {
        let request = query.clone().set_exclusive_start_key(start);
        let answer = Box::pin(request.send()).await.map_err(|e| StoreError::from_sdk(&e))?;
        found.extend(answer.items.unwrap_or_default());
        start = answer.last_evaluated_key.filter(|key| !key.is_empty());
        if start.is_none() {
            return Ok(found);
        }
    }
}

fn workout_at(item: &Item) -> Option<(UserId, WorkoutId)> {
    let user = string_of(item, "pk")?.strip_prefix("USER#")?.parse().ok()?;
    let workout = string_of(item, "sk")?.rsplit('#').next()?.parse().ok()?;
    Some((user, workout))
}

pub(crate) fn open_message(mut item: Item, cipher: &UserCipher) -> Result<Message, StoreError> {
    let body = item.remove("body").and_then(|v| v.as_s().ok().cloned());
    let notice = item.remove("notice").and_then(|v| v.as_s().ok().cloned());
    let mut message: Message = from_item("message", item)?;
    if let Some(sealed) = body {
        let words = cipher.open("body", &sealed)?;
        message.body = serde_json::from_str(&words).map_err(|e| StoreError::unreadable("message", e))?;
    }
    if let Some(sealed) = notice {
        let words = cipher.open("notice", &sealed)?;
        message.notice = serde_json::from_str(&words).map_err(|e| StoreError::unreadable("message", e))?;
    }
    Ok(message)
}
