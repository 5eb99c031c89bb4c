//! Messages in: found out whose they are, stored, understood, acted on, answered. One flow for every channel.
//!
//! The message's id is remembered in the transaction of its effects, so a repeat changes nothing; what the user reports
//! belongs to the day on which they wrote it, not on which it arrived. Ivy answers what it does not understand once in
//! twelve hours, and sends a user at most twenty automatic answers a day, so two machines never talk for ever.

use ivy_domain::{
    MessageId, Phone, Text, User,
    message::{Message, MessageDirection, MessageKind, MessageStatus, Notice, Via},
    replies::{Intent, asks_to_stop, is_help_keyword, understand, understand_button},
    user::{Consent, ConsentSource},
    values::Contact as Address,
    workout::{ReportedBy, WorkoutStatus},
};
use ivy_store::{Contact, Me, Transaction};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Error, Ivy, accounts,
    completions::{Ledger, Report},
    messages::{self, Outgoing},
    retrying::{contended, until_settled},
    voice_events::Taken,
};

const ACKNOWLEDGED_FOR: SignedDuration = SignedDuration::from_hours(12);
const MOST_REPLIES_A_DAY: u32 = 20;

/// A message from outside.
#[derive(Clone)]
pub struct Inbound {
    pub via: Via,
    /// The provider's id of it.
    pub id: String,
    pub from: Phone,
    pub content: InboundContent,
    pub at: Timestamp,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound").field("via", &self.via).finish_non_exhaustive()
    }
}

#[derive(Clone)]
pub enum InboundContent {
    Text(String),
    Button {
        id: String,
        title: String,
    },
    VoiceNote,
    /// Anything that we do not read.
    Other,
}

impl std::fmt::Debug for InboundContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[private]")
    }
}

impl Inbound {
    fn provider(&self) -> &'static str {
        messages::provider(self.via)
    }

    fn text(&self) -> Option<&str> {
        match &self.content {
            InboundContent::Text(text) => Some(text),
            InboundContent::Button { .. } | InboundContent::VoiceNote | InboundContent::Other => None,
        }
    }

    fn intent(&self) -> Intent {
        match &self.content {
            InboundContent::Text(text) => understand(text),
            InboundContent::Button { id, title } => understand_button(id).unwrap_or_else(|| understand(title)),
            InboundContent::VoiceNote | InboundContent::Other => Intent::Other,
        }
    }

    fn message(&self, ivy: &Ivy, me: &Me, now: Timestamp) -> Message {
        let (kind, body) = match &self.content {
            InboundContent::Text(text) => (MessageKind::Text, Text::truncated(text)),
            InboundContent::Button { title, .. } => (MessageKind::QuickReply, Text::truncated(title)),
            InboundContent::VoiceNote => (MessageKind::VoiceNote, None),
            InboundContent::Other => (MessageKind::Text, None),
        };
        Message {
            id: MessageId::generate(now),
            user_id: me.id(),
            direction: MessageDirection::In,
            via: self.via,
            kind,
            status: MessageStatus::Received,
            notice: None,
            body,
            call_id: None,
            created_at: self.at,
            updated_at: now,
            provider_id: Some(ivy.store.provider_id(&self.id)),
            attempts: 0,
            not_after: None,
            unless_heard_since: None,
            answers_inbound_at: None,
            failure: None,
            version: 0,
        }
    }
}

/// Takes a message from outside.
///
/// # Errors
/// When the table fails; the provider delivers it again.
pub async fn inbound_message(ivy: &Ivy, inbound: &Inbound) -> Result<Taken, Error> {
    let Some(user) = ivy.store.contact_owner(&Address::Phone(inbound.from.clone())).await? else {
        tracing::info!(event = "message_from_stranger", via = ?inbound.via);
        return Ok(Taken::Ignored);
    };
    until_settled(ivy, || async move {
        let now = ivy.now();
        let (me, seen) = ivy.store.me_and_event(user, inbound.provider(), &inbound.id).await?;
        let Some(me) = me.filter(|_| !seen) else { return Ok(if seen { Taken::Duplicate } else { Taken::Ignored }) };
        let mut transaction = ivy.store.transaction();
        transaction
            .processed_event(inbound.provider(), &inbound.id, now)
            .message(&inbound.message(ivy, &me, now), &me.profile.cipher);
        let mut contact = me.contact.clone();
        match inbound.via {
            Via::Whatsapp => contact.whatsapp_inbound_at = contact.whatsapp_inbound_at.max(Some(inbound.at)),
            Via::Sms | Via::Email => contact.sms_inbound_at = contact.sms_inbound_at.max(Some(inbound.at)),
        }
        act(ivy, &mut transaction, &me, &mut contact, inbound, now).await?;
        transaction.contact(user, &contact);
        match transaction.commit().await {
            Ok(()) => Ok(Taken::Applied),
            Err(error) if error.failed("event") => Ok(Taken::Duplicate),
            Err(error) => Err(contended(error)),
        }
    })
    .await
}

async fn act(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    me: &Me,
    contact: &mut Contact,
    inbound: &Inbound,
    now: Timestamp,
) -> Result<(), Error> {
    let intent = inbound.intent();
    tracing::info!(event = "message_understood", user_id = %me.id(), intent = intent_name(intent));
    match intent {
        Intent::Done => report(ivy, transaction, me, contact, inbound, WorkoutStatus::Completed, now).await,
        Intent::Partial => report(ivy, transaction, me, contact, inbound, WorkoutStatus::Partial, now).await,
        Intent::Skip => report(ivy, transaction, me, contact, inbound, WorkoutStatus::Skipped, now).await,
        Intent::Rest => report(ivy, transaction, me, contact, inbound, WorkoutStatus::RestDay, now).await,
        Intent::Stop => consent(ivy, transaction, me, inbound, false, now),
        Intent::Start => consent(ivy, transaction, me, inbound, true, now),
        Intent::Status => {
            let text = status_text(me, now);
            reply(transaction, me, contact, inbound, &text, now)
        }
        Intent::Help if inbound.text().is_some_and(is_help_keyword) => {
            let text = "This is Ivy, your accountability partner: I call and write when you asked me to. Reply STOP for no more \
                        messages here.";
            reply(transaction, me, contact, inbound, text, now)
        }
        Intent::Help => {
            let text = me.user().minimum_action.as_ref().map_or_else(
                || "I hear you. What is the smallest version you could do in five minutes? Reply DONE when it is behind you.".to_owned(),
                |action| format!("I hear you. Just the minimum counts: {}. Reply DONE when it is behind you.", action.as_str()),
            );
            reply(transaction, me, contact, inbound, &text, now)
        }
        Intent::Other if inbound.text().is_some_and(asks_to_stop) => {
            let text = "Of course. Reply STOP for no more messages here. Calls you can switch off in the app, or tell me on the \
                        next one.";
            reply(transaction, me, contact, inbound, text, now)
        }
        Intent::Reschedule | Intent::Pause | Intent::Resume | Intent::Score(_) | Intent::Other => {
            if contact.acknowledged_at.is_some_and(|at| now.duration_since(at) < ACKNOWLEDGED_FOR) {
                return Ok(());
            }
            contact.acknowledged_at = Some(now);
            let text = match inbound.content {
                InboundContent::VoiceNote => {
                    "I cannot listen to voice notes yet. Could you write it? DONE, SKIP or HELP all work."
                }
                _ => "Thank you. I understand DONE, HALF, SKIP, REST, HELP and STATUS here.",
            };
            reply(transaction, me, contact, inbound, text, now)
        }
    }
}

const fn intent_name(intent: Intent) -> &'static str {
    match intent {
        Intent::Done => "done",
        Intent::Partial => "partial",
        Intent::Skip => "skip",
        Intent::Rest => "rest",
        Intent::Help => "help",
        Intent::Reschedule => "reschedule",
        Intent::Pause => "pause",
        Intent::Resume => "resume",
        Intent::Status => "status",
        Intent::Score(_) => "score",
        Intent::Stop => "stop",
        Intent::Start => "start",
        Intent::Other => "other",
    }
}

fn status_text(me: &Me, now: Timestamp) -> String {
    let today = me.date_at(now);
    let standing = me.progress().streak.standing(today);
    let week = me.counters.workouts_in_week_of(today);
    let goal = me.user().weekly_goal.get();
    let donated = me.wallet(now).lifetime_donated;
    let days = if standing.current == 1 { "day" } else { "days" };
    format!("Streak: {} {days}. This week: {week} of {goal}. Donated so far: {donated}.", standing.current)
}

/// Logs what the user reports; the confirmation is the answer.
async fn report(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    me: &Me,
    contact: &mut Contact,
    inbound: &Inbound,
    status: WorkoutStatus,
    now: Timestamp,
) -> Result<(), Error> {
    let source = if inbound.via == Via::Whatsapp { ReportedBy::Whatsapp } else { ReportedBy::Sms };
    let report = Report { status, actual_duration_minutes: None, source, at: inbound.at };
    let mut ledger = Ledger::open(ivy, me, now).await?;
    ledger.answering(inbound.via, inbound.at);
    let Some(workout) = ledger.subject(&report, None) else {
        return reply(transaction, me, contact, inbound, "That one is in the book already. Well done.", now);
    };
    ledger.log(&workout, &report);
    ledger.write(transaction)?;
    match status {
        WorkoutStatus::Skipped => reply(transaction, me, contact, inbound, "Noted. Tomorrow is a new day.", now),
        WorkoutStatus::RestDay => reply(transaction, me, contact, inbound, "Noted: a rest day. Enjoy it.", now),
        WorkoutStatus::Completed | WorkoutStatus::Partial | WorkoutStatus::Planned => Ok(()),
    }
}

/// Answers the user, within the day's limit.
fn reply(
    transaction: &mut Transaction<'_>,
    me: &Me,
    contact: &mut Contact,
    inbound: &Inbound,
    text: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let today = me.date_at(now);
    let sent = contact.automatic_replies.get(&today).copied().unwrap_or_default();
    if sent >= MOST_REPLIES_A_DAY {
        tracing::warn!(event = "automatic_replies_exhausted", user_id = %me.id());
        return Ok(());
    }
    contact.automatic_replies.retain(|date, _| *date >= ivy_domain::days::plus_days(today, -1));
    contact.automatic_replies.insert(today, sent + 1);
    let Some(text) = Text::truncated(text) else { return Ok(()) };
    let outgoing =
        Outgoing { answers_inbound_at: Some(inbound.at), ..Outgoing::new(inbound.via, Notice::Reply { text }) };
    messages::add(transaction, &me.profile, outgoing, now).map(|_| ())
}

/// STOP and START: the consent for messages changes at once and is confirmed once.
fn consent(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    me: &Me,
    inbound: &Inbound,
    granted: bool,
    now: Timestamp,
) -> Result<(), Error> {
    let before = me.user().consents.messages.as_ref();
    // What the user wrote last counts, not what arrived last; of one second, STOP.
    let overtaken = |at: Timestamp| at > inbound.at || (at == inbound.at && granted);
    if before.is_some_and(|consent| consent.granted == granted || overtaken(consent.at)) {
        return Ok(());
    }
    let source = if inbound.via == Via::Whatsapp { ConsentSource::Whatsapp } else { ConsentSource::Sms };
    let mut user: User = me.user().clone();
    let wording_version = ivy.settings.consent_wording_version.clone();
    user.consents.messages = Some(Consent { granted, at: inbound.at, source, wording_version });
    let profile = accounts::add_changed_user(ivy, transaction, me, user, now)?;
    let text =
        if granted { "You will hear from me here again." } else { "You will get no more messages from me here." };
    let Some(text) = Text::truncated(text) else { return Ok(()) };
    let outgoing =
        Outgoing { answers_inbound_at: Some(inbound.at), ..Outgoing::new(inbound.via, Notice::Reply { text }) };
    messages::add(transaction, &profile, outgoing, now).map(|_| ())
}
