//! Everything that is a user's, as one JSON document for them (`docs/export.md` describes its format).
//!
//! The lists are read from the whole partition in the order of its keys, a page at a time, so that nothing is cut off at the
//! table's 1 MB. An answer of Lambda holds 6 MB: a part ends where it would pass `LARGEST_PART`, and `next_cursor` leads to
//! the next part, which has the same shape. What is sealed is opened, amounts are pounds; hashes, keys, salts, and tokens are
//! ours and not shown. The names are those of the API.

use ivy_domain::{
    Pence, User,
    call::Call,
    message::{Message, Notice},
    user::{Consent, Window, WindowText},
    wallet::{Donation, DonationKind, Wallet},
    workout::Workout,
};
use ivy_store::{AuditEntry, Contact, Exported, Me, Profile, Receipt, ReceiptLine, Transcript};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::{Error, Ivy};

/// The format's version: raised when something that was there is gone or means something else.
pub const FORMAT_VERSION: u32 = 1;
/// Bytes of the lists in one part; Lambda answers at most 6 MB, headers and escapes included.
const LARGEST_PART: usize = 4_000_000;
/// Items of one page, each with a transcript at most.
const PAGE: u32 = 50;
/// The lists of the document, in its order.
pub const LISTS: [&str; 9] =
    ["calls", "consent_history", "donations", "life_markers", "messages", "receipts", "scores", "sessions", "workouts"];

/// What operators did about the user, and why: a list beside the others.
pub const ACTS: &str = "operator_acts";

/// A part of the document, and where the next begins.
#[derive(Clone)]
pub struct Part {
    pub document: Map<String, Value>,
    pub next: Option<String>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("last", &self.next.is_none()).finish_non_exhaustive()
    }
}

/// Reads what is the user's own, from the beginning or from where a part ended.
///
/// # Errors
/// Not found; [`Error::Store`] when something cannot be read, for an export that lacks it silently would be untrue.
pub async fn export_user(ivy: &Ivy, user: ivy_domain::UserId, after: Option<String>) -> Result<Part, Error> {
    let now = ivy.now();
    let me = ivy.me(user).await?;
    let mut lists: Map<String, Value> = LISTS.iter().map(|name| ((*name).to_owned(), json!([]))).collect();
    let first = after.is_none();
    let (mut position, mut size) = (after, 0);
    // What operators did lies outside of the partition; it is little, and in the first part alone.
    let acts = async { if first { ivy.store.audit_of(&me.profile, now).await } else { Ok(Vec::new()) } };
    let begin = ivy.store.export_page(&me.profile, PAGE, position.as_deref(), now);
    let (acts, begin) = tokio::try_join!(Box::pin(acts), Box::pin(begin))?;
    let mut begin = Some(begin);
    loop {
        let page = match begin.take() {
            Some(page) => page,
            None => ivy.store.export_page(&me.profile, PAGE, position.as_deref(), now).await?,
        };
        let cut = add_page(ivy, &me.profile, &mut lists, page.items, &mut size, position).await?;
        let full = cut.is_some();
        position = cut.or(page.next);
        if full || position.is_none() {
            break;
        }
    }
    let mut document = Map::new();
    document.insert("format".to_owned(), json!("ivy-export"));
    document.insert("version".to_owned(), json!(FORMAT_VERSION));
    document.insert("exported_at".to_owned(), json!(now));
    document.insert("profile".to_owned(), profile(me.user()));
    document.insert("present".to_owned(), present(&me, now)?);
    document.append(&mut lists);
    document.insert(ACTS.to_owned(), acts.iter().map(act).collect());
    Ok(Part { document, next: position })
}

/// Adds a page to the lists, or as much of it as the part still holds; then answers the place of the last item that fitted.
async fn add_page(
    ivy: &Ivy,
    owner: &Profile,
    lists: &mut Map<String, Value>,
    items: Vec<(String, Exported)>,
    size: &mut usize,
    before: Option<String>,
) -> Result<Option<String>, Error> {
    let call_id = |item: &Exported| match item {
        Exported::Call(stored) => Some(stored.call.id),
        _ => None,
    };
    let calls: Vec<_> = items.iter().filter_map(|(_, item)| call_id(item)).collect();
    let words = ivy.store.transcripts(owner, &calls, ivy.now()).await?;
    let mut last = before;
    for (place, item) in items {
        let (list, value) = listed(&item, call_id(&item).and_then(|id| words.get(&id)));
        let length = value.to_string().len();
        // The first item of a part always fits: the table holds none that is larger than 400 kB.
        if *size > 0 && *size + length > LARGEST_PART {
            return Ok(last);
        }
        *size += length;
        last = Some(place);
        if let Some(Value::Array(list)) = lists.get_mut(list) {
            list.push(value);
        }
    }
    Ok(None)
}

/// The list that an item belongs to, and how it looks there.
fn listed(item: &Exported, words: Option<&Transcript>) -> (&'static str, Value) {
    match item {
        Exported::Call(stored) => ("calls", call(&stored.call, words)),
        Exported::Consent(word) => {
            let mut value = consent(&word.consent);
            value["purpose"] = json!(word.purpose);
            value["id"] = json!(word.id);
            ("consent_history", value)
        }
        Exported::Donation(given) => ("donations", donation(given)),
        Exported::Marker(marker) => {
            let value = json!({"id": marker.id, "recorded_at": marker.recorded_at, "text": marker.words.as_str()});
            ("life_markers", value)
        }
        Exported::Message(said) => ("messages", message(said)),
        Exported::Receipt(receipt) => ("receipts", receipted(receipt)),
        Exported::Score(score) => {
            let value = json!({
                "id": score.id, "energy": score.energy, "mood": score.mood, "confidence": score.confidence,
                "recorded_on": score.recorded_on, "recorded_at": score.recorded_at,
            });
            ("scores", value)
        }
        Exported::Session(session) => {
            let expires_at = Timestamp::from_second(session.expires_at).ok();
            let (id, created_at, last_used_at) = (session.id, session.created_at, session.rotated_at);
            let value =
                json!({"id": id, "created_at": created_at, "last_used_at": last_used_at, "expires_at": expires_at});
            ("sessions", value)
        }
        Exported::Workout(kept) => ("workouts", workout(kept)),
    }
}

fn act(entry: &AuditEntry) -> Value {
    json!({"id": entry.id, "action": entry.action, "at": entry.at, "about": entry.about, "reason": entry.reason})
}

fn window(window: Option<Window>) -> Value {
    window.map_or(Value::Null, |window| {
        let WindowText { start, end } = window.into();
        json!({"start": start, "end": end})
    })
}

fn consent(consent: &Consent) -> Value {
    json!({
        "granted": consent.granted, "at": consent.at, "source": consent.source, "wording_version": consent.wording_version,
    })
}

fn profile(user: &User) -> Value {
    let consents: Map<String, Value> = user
        .consents
        .by_purpose()
        .into_iter()
        .map(|(purpose, said)| (purpose.to_owned(), said.map_or(Value::Null, consent)))
        .collect();
    json!({
        "id": user.id, "email": user.email, "phone": user.phone, "phone_proven_at": user.phone_proven_at,
        "unproven_email": user.unproven_email, "unproven_phone": user.unproven_phone,
        "first_name": user.first_name, "last_name": user.last_name, "name_pronunciation": user.name_pronunciation,
        "timezone": user.timezone,
        "day_start": user.day_start, "locale": user.locale, "subscription_type": user.subscription_type.name(),
        "subscription_status": user.subscription_status, "stripe_customer_id": user.stripe_customer_id,
        "stripe_subscription_id": user.stripe_subscription_id, "company_id": user.company_id, "track": user.track,
        "weekly_goal": user.weekly_goal, "morning_window": window(user.morning_window),
        "evening_window": window(user.evening_window), "preferred_days": user.preferred_days,
        "communication_preference": user.communication_preference, "minimum_action": user.minimum_action,
        "gift_frame": user.gift_frame, "why_started": user.why_started, "obstacles": user.obstacles,
        "charity_id": user.charity_id, "status": user.status, "resumes_at": user.resumes_at, "consents": consents,
        "created_at": user.created_at, "updated_at": user.updated_at, "onboarded_at": user.onboarded_at,
    })
}

fn plain<T: serde::Serialize>(value: &T) -> Result<Value, Error> {
    let mut value = serde_json::to_value(value).map_err(|error| Error::Impossible(error.to_string()))?;
    if let Some(fields) = value.as_object_mut() {
        // It counts our writes.
        fields.remove("version");
    }
    Ok(value)
}

/// The state that the lists lead to: streak, wallet, counters, and when we last heard from the user.
fn present(me: &Me, now: Timestamp) -> Result<Value, Error> {
    let progress = me.progress();
    let standing = progress.streak.standing(me.date_at(now));
    let mut counters = plain(&me.counters)?;
    if let Some(donated) = counters.get_mut("donated").and_then(Value::as_object_mut) {
        for amount in donated.values_mut() {
            *amount = json!(Pence(amount.as_i64().unwrap_or_default()).pounds());
        }
    }
    Ok(json!({
        "streak": {
            "current": standing.current, "longest": standing.longest, "previous": standing.previous,
            "history": plain(&progress.streak)?,
        },
        "open_plans": progress.agenda.plans().iter().map(workout).collect::<Vec<_>>(),
        "wallet": wallet(&me.wallet(now)),
        "counters": counters,
        "contact": contact(&me.contact)?,
    }))
}

fn contact(contact: &Contact) -> Result<Value, Error> {
    // WhatsApp's id of the user is kept as a keyed hash, which says nothing to anybody.
    plain(&Contact { whatsapp_user_id: None, ..contact.clone() })
}

fn wallet(wallet: &Wallet) -> Value {
    let daily: Map<String, Value> =
        wallet.daily.iter().map(|(date, amount)| (date.to_string(), json!(amount.pounds()))).collect();
    json!({
        "period_start": wallet.period_start, "period_end": wallet.period_end,
        "amount_used": wallet.amount_used.pounds(), "lifetime_donated": wallet.lifetime_donated.pounds(), "daily": daily,
    })
}

fn call(call: &Call, words: Option<&Transcript>) -> Value {
    let history: Vec<Value> = call
        .history
        .iter()
        .map(|step| json!({"at": step.at, "from": step.from, "to": step.to, "cause": step.cause, "attempt": step.attempt}))
        .collect();
    let context = words.and_then(|words| words.context.as_deref());
    json!({
        "id": call.id, "call_type": call.call_type, "direction": call.direction, "state": call.state,
        "scheduled_time": call.scheduled_time, "window_start": call.window.opens_at, "window_end": call.window.closes_at,
        "timezone": call.timezone, "attempts": call.attempts, "cause": call.cause, "outcome": call.outcome,
        "started_at": call.started_at, "ended_at": call.ended_at, "duration_seconds": call.duration_seconds,
        "provider_call_id": call.attempt.as_ref().and_then(|attempt| attempt.provider_call_id.as_deref()),
        "history": history, "created_at": call.created_at, "updated_at": call.updated_at,
        "transcript": words.and_then(|words| words.transcript.as_deref()),
        "summary": words.and_then(|words| words.summary.as_deref()),
        "recording_url": words.and_then(|words| words.recording_url.as_deref()),
        "agent_was_told": context.and_then(|context| serde_json::from_str::<Value>(context).ok()),
    })
}

fn donation(donation: &Donation) -> Value {
    let (kind, kept_days) = match donation.kind {
        DonationKind::Completion => ("completion", None),
        DonationKind::StreakBonus { kept_days } => ("streak_bonus", Some(kept_days)),
        DonationKind::Adjustment => ("adjustment", None),
    };
    json!({
        "id": donation.id, "amount": donation.amount.pounds(), "kind": kind, "kept_days": kept_days,
        "charity_id": donation.charity_id, "workout_id": donation.workout_id, "date": donation.date,
        "period_start": donation.period_start, "company_id": donation.company_id, "created_at": donation.created_at,
    })
}

fn receipted(receipt: &Receipt) -> Value {
    let line = |line: &ReceiptLine| {
        json!({
            "charity_id": line.charity_id, "company_id": line.company_id, "amount": line.amount.pounds(),
            "donations": line.donations,
        })
    };
    json!({"month": receipt.month, "lines": receipt.lines.iter().map(line).collect::<Vec<_>>()})
}

fn message(message: &Message) -> Value {
    let said = message.body.as_ref().map(|body| body.as_str().to_owned());
    // A link that still opens a session is a key, and keys are not shown.
    let says = message.notice.as_ref().filter(|notice| !notice.is_credential()).map(Notice::render);
    json!({
        "id": message.id, "direction": message.direction, "via": message.via, "kind": message.kind,
        "template": message.notice.as_ref().and_then(Notice::template_name), "content": said.or(says),
        "status": message.status.name(), "failure": message.failure_for_user(), "call_id": message.call_id,
        "created_at": message.created_at, "updated_at": message.updated_at,
    })
}

fn workout(workout: &Workout) -> Value {
    json!({
        "id": workout.id, "planned_activity": workout.planned_activity, "planned_time": workout.planned_time,
        "planned_duration_minutes": workout.planned_duration_minutes,
        "actual_duration_minutes": workout.actual_duration_minutes, "status": workout.status, "date": workout.date,
        "timezone": workout.timezone, "source": workout.source, "donation_id": workout.donation_id,
        "created_at": workout.created_at, "updated_at": workout.updated_at, "logged_at": workout.logged_at,
    })
}
