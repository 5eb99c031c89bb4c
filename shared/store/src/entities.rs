//! What the table holds beyond the domain's own types, and how entities become items.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use ivy_domain::{
    AdminId, CallId, MessageId, SessionId, User, UserId, WorkoutId,
    admin::AdminRole,
    call::{Call, CallState},
    scores::ScoreKind,
    stats::Counters,
    streak::Streak,
    wallet::{PeriodRule, Wallet},
    workout::{Workout, WorkoutStatus},
};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Item, Keyring, StoreError, UserCipher};

/// An analysis that did not come so long after its talk is asked for.
const ANALYSIS_TAKES: SignedDuration = SignedDuration::from_mins(10);

/// A user with the cipher for what is theirs.
#[derive(Debug, Clone)]
pub struct Profile {
    pub user: User,
    pub cipher: UserCipher,
}

/// Plans that are not logged yet, nearest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Agenda(Vec<Workout>);

impl Agenda {
    /// How many plans may be open at once.
    pub const MOST: usize = 60;
    /// A plan that was never logged leaves the agenda after this many days; it can still be logged by its id.
    const KEPT_DAYS: i64 = 8;

    #[must_use]
    pub fn plans(&self) -> &[Workout] {
        &self.0
    }

    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MOST
    }

    /// The open plan of a day whose name was said.
    #[must_use]
    pub fn named_on(&self, date: Date, said: &str) -> Option<&Workout> {
        self.all_on(date).find(|plan| is_called(plan, said))
    }

    /// The plans of a day that are not logged.
    pub fn all_on(&self, date: Date) -> impl Iterator<Item = &Workout> {
        self.0.iter().filter(move |plan| plan.date == date)
    }

    /// The plan that "done" on a day means: the first of that day that is not logged; of several, the one whose name was said.
    #[must_use]
    pub fn open_on(&self, date: Date, said: Option<&str>) -> Option<&Workout> {
        said.and_then(|said| self.named_on(date, said)).or_else(|| self.all_on(date).next())
    }

    /// The first plan of a day that is not logged, or of the days after it.
    #[must_use]
    pub fn next_open(&self, today: Date) -> Option<&Workout> {
        self.open_on(today, None).or_else(|| self.0.iter().find(|plan| plan.date > today))
    }

    /// The open plan of a day that was reminded of last: reminders come in the order of the plans.
    #[must_use]
    pub fn reminded_on(&self, date: Date) -> Option<&Workout> {
        self.all_on(date).filter(|plan| plan.reminded).max_by_key(|plan| plan.planned_time)
    }

    /// Keeps the agenda in step with a workout that was planned, moved or logged, and forgets plans long past.
    pub fn follow(&mut self, workout: &Workout, today: Date) {
        self.0.retain(|plan| plan.id != workout.id && (plan.date - today).get_days() >= -Self::KEPT_DAYS as i32);
        if workout.status == WorkoutStatus::Planned {
            self.0.push(workout.clone());
            self.0.sort_by_key(|plan| (plan.date, plan.planned_time, plan.id));
        }
    }

    /// Drops a plan that was deleted.
    pub fn forget(&mut self, id: WorkoutId) {
        self.0.retain(|plan| plan.id != id);
    }
}

/// Whether some words name a workout: people say a part of its name, or more than it.
#[must_use]
pub fn is_called(workout: &Workout, said: &str) -> bool {
    let (name, said) = (workout.planned_activity.as_str().to_lowercase(), said.to_lowercase());
    name.contains(&said) || said.contains(&name)
}

/// The streak and the open plans: one item, because both change whenever something is planned or logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub streak: Streak,
    #[serde(default)]
    pub agenda: Agenda,
    #[serde(default)]
    pub version: u64,
}

/// A question that a message of ours asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub question: Question,
    pub at: Timestamp,
    /// The plan that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workout_id: Option<WorkoutId>,
}

/// A plan that a message of the user moved last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescheduled {
    pub workout_id: WorkoutId,
    /// When they wrote it.
    pub said_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// A number of 1 to 10.
    Score(ScoreKind),
    /// When the plan is to take place instead.
    NewTime,
    /// What "stop" was meant to stop.
    WhatToStop,
}

/// When we last heard from the user, and what we sent by ourselves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    /// The last message of the user on WhatsApp: opens the 24-hour window for free text.
    #[serde(default)]
    pub whatsapp_inbound_at: Option<Timestamp>,
    #[serde(default)]
    pub sms_inbound_at: Option<Timestamp>,
    /// When the user last talked with us in a call.
    #[serde(default)]
    pub answered_call_at: Option<Timestamp>,
    /// When we last said that we did not understand.
    #[serde(default)]
    pub acknowledged_at: Option<Timestamp>,
    /// What we asked last and have no answer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// What a message moved last: a word that was written before it and comes after it moves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescheduled: Option<Rescheduled>,
    /// When the user wrote the last word on pausing that counted, for the same reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_said_at: Option<Timestamp>,
    /// WhatsApp's id of the user for us, hashed: a pointer leads from it to the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whatsapp_user_id: Option<String>,
    /// Automatic replies by local date (the last two days).
    #[serde(default)]
    pub automatic_replies: BTreeMap<Date, u32>,
    /// Whether the first call has taken place.
    #[serde(default)]
    pub onboarding_call_done: bool,
    #[serde(default)]
    pub version: u64,
}

impl Contact {
    /// The user's last sign of life on any channel.
    #[must_use]
    pub fn last_heard_at(&self) -> Option<Timestamp> {
        [self.whatsapp_inbound_at, self.sms_inbound_at, self.answered_call_at].into_iter().flatten().max()
    }
}

/// A user's present state: everything that one query over `ME#` brings.
#[derive(Debug, Clone)]
pub struct Me {
    pub profile: Profile,
    pub contact: Contact,
    pub counters: Counters,
    progress: Option<Progress>,
    wallet: Option<Wallet>,
}

impl Me {
    #[must_use]
    pub fn user(&self) -> &User {
        &self.profile.user
    }

    #[must_use]
    pub fn id(&self) -> UserId {
        self.profile.user.id
    }

    /// The user's local day at a moment.
    #[must_use]
    pub fn date_at(&self, now: Timestamp) -> Date {
        self.user().days().date_of(now)
    }

    /// The streak and agenda as stored, or fresh ones that begin with the user.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone().unwrap_or_else(|| {
            let since = self.date_at(self.user().onboarded_at.unwrap_or(self.user().created_at));
            Progress { streak: Streak::new(since, self.user().preferred_days), agenda: Agenda::default(), version: 0 }
        })
    }

    /// The wallet with the period that `now` lies in: the first begins with the user, a new one by rule on first use.
    #[must_use]
    pub fn wallet(&self, now: Timestamp) -> Wallet {
        let rule = PeriodRule::of(self.user());
        let mut wallet = self.wallet.clone().unwrap_or_else(|| Wallet::open(self.user().created_at, &rule));
        wallet.roll(now, &rule);
        wallet
    }

    /// Ends a pause whose time is over, as seen now; whoever writes the user next writes it down.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.profile.user.resume_if_due(now);
        self
    }

    /// When we last heard from the user in any way, logging included.
    #[must_use]
    pub fn last_interaction_at(&self) -> Option<Timestamp> {
        self.contact.last_heard_at().max(self.counters.last_logged_at)
    }

    /// Reads the items of the `ME#` query; `None` without a profile.
    pub(crate) fn from_items(items: Vec<Item>, keyring: &Keyring) -> Result<Option<Self>, StoreError> {
        let (mut profile, mut progress, mut wallet, mut sealed_counters) = (None, None, None, None);
        let mut contact = Contact::default();
        for item in items {
            match entity_of(&item) {
                "user" => profile = Some(profile_from(item, keyring)?),
                "progress" => progress = Some(from_item("progress", item)?),
                "wallet" => wallet = Some(from_item("wallet", item)?),
                "counters" => sealed_counters = Some(item),
                "contact" => contact = from_item("contact", item)?,
                _ => {}
            }
        }
        let Some(profile): Option<Profile> = profile else { return Ok(None) };
        let counters =
            sealed_counters.map_or_else(|| Ok(Counters::default()), |item| counters_from(item, &profile.cipher))?;
        Ok(Some(Self { profile, contact, counters, progress, wallet }))
    }
}

/// A call as stored: the domain's call and what only the adapters need.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredCall {
    #[serde(flatten)]
    pub call: Call,
    /// The provider's analysis was taken in (its effects happen once).
    #[serde(default)]
    pub analyzed: bool,
    /// The slot that the last attempt took.
    #[serde(default)]
    pub slot: Option<u32>,
    /// An operator said what the call achieved: no analysis that comes later says otherwise.
    #[serde(default)]
    pub outcome_recorded: bool,
    /// What the agent's tools have done in this call, whichever attempt it was.
    #[serde(default, skip_serializing_if = "Told::is_empty")]
    pub told: Told,
    /// When the voice provider is asked again for an analysis that it had not made when it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis_asked_until: Option<Timestamp>,
}

impl StoredCall {
    #[must_use]
    pub fn new(call: Call) -> Self {
        Self {
            call,
            analyzed: false,
            slot: None,
            outcome_recorded: false,
            told: Told::default(),
            analysis_asked_until: None,
        }
    }

    /// When the voice provider is asked for the analysis of a talk, if it has not come by then.
    #[must_use]
    pub fn analysis_due_at(&self) -> Option<Timestamp> {
        let awaited = self.call.state == CallState::Completed && !self.analyzed;
        let attempt = self.call.attempt.as_ref().filter(|attempt| awaited && attempt.provider_call_id.is_some())?;
        let due = self.call.ended_at.unwrap_or(attempt.claimed_at) + ANALYSIS_TAKES;
        Some(self.analysis_asked_until.map_or(due, |until| until.max(due)))
    }
}

/// What was done in a call while it went on, by the tools of the agent. The analysis that follows tells of the same talk: what
/// stands here has happened, and is not done again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// Uses that were carried out, `tool:hash of its words`: told twice, a use has one effect.
    pub uses: Vec<String>,
    pub planned: bool,
    /// What was logged, each workout once, for a word that puts it right.
    pub logs: Vec<ToldLog>,
    pub scores: Vec<ScoreKind>,
    pub marked: bool,
    pub follow_up: bool,
    pub paused: bool,
    pub opted_out: bool,
    pub summary: bool,
}

/// A workout that a tool has logged, as it was said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldLog {
    pub workout: WorkoutId,
    pub status: WorkoutStatus,
}

impl Told {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Notes what was logged, or what it was put right to.
    pub fn log(&mut self, workout: WorkoutId, status: WorkoutStatus) {
        self.logs.retain(|log| log.workout != workout);
        self.logs.push(ToldLog { workout, status });
    }

    /// What the logs come to: what keeps the day if anything does, else what was said last.
    #[must_use]
    pub fn logged(&self) -> Option<WorkoutStatus> {
        let said = || self.logs.iter().rev().map(|log| log.status);
        said().find(|status| status.keeps_the_day()).or_else(|| said().next())
    }
}

/// What was said in a call, sealed; gone 90 days after the call's end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    #[serde(default)]
    pub transcript: Option<String>,
    #[serde(default)]
    pub summary: Option<String>,
    #[serde(default)]
    pub recording_url: Option<String>,
    /// The variables that the agent was given.
    #[serde(default)]
    pub context: Option<String>,
}

impl Transcript {
    /// Reads a stored transcript and opens its fields.
    pub(crate) fn open(item: Item, cipher: &UserCipher) -> Result<Self, StoreError> {
        let sealed: Self = from_item("transcript", item)?;
        let open = |field, sealed: Option<String>| sealed.map(|text| cipher.open(field, &text)).transpose();
        Ok(Self {
            transcript: open("transcript", sealed.transcript)?,
            summary: open("summary", sealed.summary)?,
            recording_url: open("recording_url", sealed.recording_url)?,
            context: open("context", sealed.context)?,
        })
    }
}

/// One sign-in on one device: a family of refresh tokens, of which only the newest is good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    /// The number of the newest token.
    pub current: u64,
    /// When the newest token replaced the one before.
    pub rotated_at: Timestamp,
    /// When those before it did, the latest first; only the last seconds'.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Timestamp>,
    pub created_at: Timestamp,
    /// Unix seconds; the table's TTL attribute.
    pub expires_at: i64,
    pub version: u64,
}

/// An outstanding sign-in link and its code, both as hashes. Without a user it is a decoy that nothing opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignInRequest {
    pub user_id: Option<UserId>,
    pub link_hash: String,
    pub code_hash: String,
    pub tries_left: u32,
    /// Unix seconds; the table's TTL attribute.
    pub expires_at: i64,
    pub version: u64,
}

/// An outstanding code that was sent to a phone or an e-mail address which its user wants to have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContactCode {
    pub code_hash: String,
    pub tries_left: u32,
    /// Unix seconds; the table's TTL attribute.
    pub expires_at: i64,
    pub version: u64,
}

/// An operator or a company's admin. Whose e-mail address it is stands in its key alone, as a keyed hash.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct AdminAccount {
    pub id: AdminId,
    #[serde(flatten)]
    pub role: AdminRole,
    /// A PHC string.
    pub password: String,
    pub created_at: Timestamp,
    /// Nobody signs in with it from then on.
    #[serde(default)]
    pub disabled_at: Option<Timestamp>,
    #[serde(default)]
    pub version: u64,
}

impl std::fmt::Debug for AdminAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AdminAccount({})", self.id)
    }
}

/// The stored answer to a request with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    pub fingerprint: String,
    pub status: u16,
    pub body: String,
    pub expires_at: i64,
}

/// A place among the calls that the provider allows at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    pub number: u32,
    pub attempt_id: String,
    pub lease_until: Timestamp,
}

/// Who may ring a user at present: one attempt of one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub call_id: CallId,
    pub attempt_id: String,
    pub lease_until: Timestamp,
}

/// Whose message a provider's id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageOwner {
    pub user_id: UserId,
    pub message_id: MessageId,
}

fn counters_from(mut item: Item, cipher: &UserCipher) -> Result<Counters, StoreError> {
    let sealed = item.remove("markers").and_then(|value| value.as_s().ok().cloned());
    item.insert("markers".to_owned(), AttributeValue::L(Vec::new()));
    let mut counters: Counters = from_item("counters", item)?;
    if let Some(sealed) = sealed {
        let words = cipher.open("markers", &sealed)?;
        counters.markers = serde_json::from_str(&words).map_err(|e| StoreError::unreadable("counters", e))?;
    }
    Ok(counters)
}

/// Whether an item is within its time. The table deletes what is past it, up to two days late; until then nobody is shown it.
pub(crate) fn is_in_time(item: &Item, now: Timestamp) -> bool {
    let expires_at = item.get("expires_at").and_then(|value| value.as_n().ok()).and_then(|at| at.parse::<i64>().ok());
    expires_at.is_none_or(|at| at > now.as_second())
}

pub(crate) fn entity_of(item: &Item) -> &str {
    item.get("entity").and_then(|v| v.as_s().ok()).map_or("", String::as_str)
}

pub(crate) fn string_of<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|v| v.as_s().ok()).map(String::as_str)
}

/// An entity's fields as attributes, without those that are absent.
pub(crate) fn to_item<T: Serialize>(entity: &'static str, value: &T) -> Result<Item, StoreError> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(|e| StoreError::unreadable(entity, e))?;
    item.retain(|_, value| !matches!(value, AttributeValue::Null(_)));
    Ok(item)
}

pub(crate) fn from_item<T: DeserializeOwned>(entity: &'static str, item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|e| StoreError::unreadable(entity, e))
}

/// A profile's item: the phones sealed, the salt beside them.
pub(crate) fn profile_item(profile: &Profile) -> Result<Item, StoreError> {
    let mut item = to_item("user", &profile.user)?;
    let phones = [("phone", Some(&profile.user.phone)), ("unproven_phone", profile.user.unproven_phone.as_ref())];
    for (name, phone) in phones {
        if let Some(phone) = phone {
            item.insert(name.to_owned(), AttributeValue::S(profile.cipher.seal(name, phone.as_str())?));
        }
    }
    item.insert("salt".to_owned(), AttributeValue::S(profile.cipher.salt().to_owned()));
    Ok(item)
}

pub(crate) fn profile_from(mut item: Item, keyring: &Keyring) -> Result<Profile, StoreError> {
    let missing = || StoreError::unreadable("user", "a field is missing");
    let id: UserId =
        string_of(&item, "id").ok_or_else(missing)?.parse().map_err(|e| StoreError::unreadable("user", e))?;
    let cipher = keyring.user_cipher(id, string_of(&item, "salt").ok_or_else(missing)?);
    let phone = cipher.open("phone", string_of(&item, "phone").ok_or_else(missing)?)?;
    item.insert("phone".to_owned(), AttributeValue::S(phone));
    if let Some(sealed) = string_of(&item, "unproven_phone") {
        let phone = cipher.open("unproven_phone", sealed)?;
        item.insert("unproven_phone".to_owned(), AttributeValue::S(phone));
    }
    Ok(Profile { user: from_item("user", item)?, cipher })
}
