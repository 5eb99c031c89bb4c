//! Messages out: queued with what causes them, claimed, sent once.
//!
//! ```text
//! queued ──claim──▶ sending ──accepted──▶ sent ──statuses──▶ delivered, read, failed
//!  ▲  ▲                │ answer lost ──▶ unknown (never sent again; settled by a status, or by Twilio's list)
//!  │  └── 429, 5xx ────┤ not on WhatsApp, template refused ──▶ queued for SMS, once
//!  └── sent back ── failed and a dead letter ◀── a day of it, or pointless by now
//! ```
//! Neither WhatsApp nor Twilio knows idempotency keys. So a message whose answer was lost, or whose worker died between claim and
//! answer, is left unsent rather than sent twice, and what became of it is found out: a status names it by our ids, which we give
//! both providers with it; Twilio also lists what it took, WhatsApp has no list. The sender, not the caller, picks free text or
//! template by the 24-hour window, and SMS for what has no template outside of it.
//!
//! A message that is given up puts its job among the dead letters itself, by an effect of the transaction that fails it: queues
//! move only what they deliver in vain. The job names the moment, so only the very one that people send back tries it again.
//!
//! Providers limit how fast a number of ours sends, and WhatsApp how fast to one person. A place in the second is taken before
//! the claim; without one the message waits, and nothing of it has changed.

use std::time::Duration;

use ivy_domain::{
    AdminId, CallId, Email, MessageId, Phone, Text, UserId, WorkoutId, days,
    message::{Message, MessageDirection, MessageKind, MessageStatus, Notice, Via},
};
use ivy_providers::{
    Class, ProviderError,
    twilio::Twilio,
    whatsapp::{Button, OutboundContent, Recipient, WhatsApp, WhatsAppMessage},
};
use ivy_store::{Me, MessageOwner, Profile, StoreError, Transaction};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::{
    Error, Ivy, audit, calls,
    idempotency::Once,
    inbound, metrics,
    outbox::{self, Effect, MessageToSend, json},
    planning,
    ports::{Mail, Mailer, PortError, Queue, Queues, Timers},
    retrying::{contended, until_settled},
};

/// Free text may be sent for this long after the user's last message.
const SERVICE_WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// An answer to the user may go out in quiet hours for this long.
const ANSWERS_AT_ONCE: SignedDuration = SignedDuration::from_mins(10);
/// A message that no provider took for so long from its first try on is given up.
const GIVEN_UP: SignedDuration = SignedDuration::from_hours(24);
/// Messages that found no place in their second come again spread over so many.
const SPREAD_SECONDS: u64 = 30;
/// Twilio's list is asked for a text without an answer for so long.
const SETTLED_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// From one look at Twilio's list to the next, and from one look at a user's line to the next.
const LOOK_AGAIN: Duration = Duration::from_secs(120);
/// A claim without an outcome after this long means that its worker died.
const CLAIM: SignedDuration = SignedDuration::from_mins(2);

/// A message to be sent, before it has an id.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The id, where it follows from what the message is about: then it is written once, whoever comes twice.
    pub id: Option<MessageId>,
    pub via: Via,
    pub notice: Notice,
    pub call_id: Option<CallId>,
    /// The plan that it reminds of.
    pub workout_id: Option<WorkoutId>,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    pub unless_heard_since: Option<Timestamp>,
    pub answers_inbound_at: Option<Timestamp>,
}

impl Outgoing {
    #[must_use]
    pub fn new(via: Via, notice: Notice) -> Self {
        Self {
            id: None,
            via,
            notice,
            call_id: None,
            workout_id: None,
            not_before: None,
            not_after: None,
            unless_heard_since: None,
            answers_inbound_at: None,
        }
    }
}

/// Adds a message and its sending to the transaction that causes it.
pub(crate) fn add(
    transaction: &mut Transaction<'_>,
    profile: &Profile,
    outgoing: Outgoing,
    now: Timestamp,
) -> Result<MessageId, Error> {
    queue(transaction, profile, outgoing, now).map(|message| message.id)
}

fn queue(
    transaction: &mut Transaction<'_>,
    profile: &Profile,
    outgoing: Outgoing,
    now: Timestamp,
) -> Result<Message, Error> {
    let kind = match &outgoing.notice {
        Notice::Reply { .. } => MessageKind::Text,
        notice if notice.buttons().is_empty() => MessageKind::Template,
        _ => MessageKind::QuickReply,
    };
    let message = Message {
        id: outgoing.id.unwrap_or_else(|| MessageId::generate(now)),
        user_id: profile.user.id,
        direction: MessageDirection::Out,
        via: outgoing.via,
        kind,
        status: MessageStatus::Queued,
        notice: Some(outgoing.notice),
        body: None,
        media_id: None,
        media_seconds: None,
        call_id: outgoing.call_id,
        workout_id: outgoing.workout_id,
        created_at: now,
        updated_at: now,
        provider_id: None,
        attempts: 0,
        tried_since: None,
        not_after: outgoing.not_after,
        unless_heard_since: outgoing.unless_heard_since,
        answers_inbound_at: outgoing.answers_inbound_at,
        failure: None,
        version: 0,
    };
    let not_before = outgoing.not_before.unwrap_or(now);
    let effect = Effect::SendMessage { user_id: message.user_id, message_id: message.id, not_before };
    transaction.message(&message, &profile.cipher);
    outbox::add(transaction, &effect, now)?;
    Ok(message)
}

/// As [`add`], for messages of our own accord: only with the user's consent.
pub(crate) fn add_if_allowed(
    transaction: &mut Transaction<'_>,
    me: &Me,
    outgoing: Outgoing,
    now: Timestamp,
) -> Result<(), Error> {
    if me.user().may_be_messaged_by(outgoing.via) {
        add(transaction, &me.profile, outgoing, now)?;
    }
    Ok(())
}

/// Says something to a user of our own accord, if they take messages.
pub(crate) fn say_if_allowed(
    transaction: &mut Transaction<'_>,
    me: &Me,
    text: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(text) = Text::truncated(text) else { return Ok(()) };
    add_if_allowed(transaction, me, Outgoing::new(Via::Whatsapp, Notice::Reply { text }), now)
}

/// What an operator has Ivy say. Only what a person can know better than Ivy: sums, counts and sign-in links are hers alone.
#[derive(Debug, Clone)]
pub enum Saying {
    Text(Text<4096>),
    CompletionCheck {
        activity: Text<200>,
    },
    /// Without words, the user's own minimum action.
    RescueSupport {
        minimum_action: Option<Text<200>>,
    },
    Celebration {
        milestone: Text<200>,
    },
    PaymentProblem,
}

impl Saying {
    fn notice(&self, me: &Me) -> Result<Notice, Error> {
        Ok(match self.clone() {
            Self::Text(text) => Notice::Reply { text },
            Self::CompletionCheck { activity } => {
                Notice::CompletionCheck { name: me.user().first_name.clone(), activity }
            }
            Self::RescueSupport { minimum_action } => {
                let minimum_action = minimum_action.or_else(|| me.user().minimum_action.clone());
                let none = || Error::invalid("parameters.minimum_action", "is required: the user has named none");
                Notice::RescueSupport { minimum_action: minimum_action.ok_or_else(none)? }
            }
            Self::Celebration { milestone } => Notice::Celebration { milestone: milestone.into() },
            Self::PaymentProblem => Notice::PaymentProblem,
        })
    }
}

/// Queues a message that an operator writes. It is one of our own accord: consent and quiet hours hold for it.
///
/// # Errors
/// Not found; a conflict `messages-not-allowed` without the user's consent or a proven phone, and `conversation-closed` for free
/// text by WhatsApp that could only leave later than 24 hours after the user wrote.
pub async fn send_as_operator(
    ivy: &Ivy,
    by: AdminId,
    user: UserId,
    via: Via,
    saying: &Saying,
    once: Option<&Once<Message>>,
) -> Result<Message, Error> {
    until_settled(ivy, || async move {
        let now = ivy.now();
        let me = ivy.me(user).await?;
        if !me.user().may_be_messaged() {
            let detail =
                "This user takes no messages: no consent was given, or it was taken back, or the phone is not proven.";
            let detail = detail.to_owned();
            return Err(Error::Conflict { slug: "messages-not-allowed", detail });
        }
        let notice = saying.notice(&me)?;
        if via == Via::Whatsapp && notice.template_name().is_none() && !conversation_open(&me, leaves_at(&me, now)) {
            let detail = "Free text goes by WhatsApp only within 24 hours of the user's last message there. \
                          Send a template, or the text by SMS."
                .to_owned();
            return Err(Error::Conflict { slug: "conversation-closed", detail });
        }
        let mut transaction = ivy.store.transaction();
        let message = queue(&mut transaction, &me.profile, Outgoing::new(via, notice), now)?;
        audit::note(&mut transaction, &me.profile, by, "send-message", message.id, None, now);
        if let Some(once) = once {
            once.keep(&mut transaction, &ivy.store, &message, now);
        }
        transaction.commit().await.map_err(contended)?;
        Ok(message)
    })
    .await
}

/// When a message of our own accord can leave that is queued now.
fn leaves_at(me: &Me, now: Timestamp) -> Timestamp {
    let zone = &me.user().timezone;
    if days::is_quiet(now, zone) { days::quiet_ends_at(now, zone) } else { now }
}

/// Whether WhatsApp takes free text at a moment.
fn conversation_open(me: &Me, at: Timestamp) -> bool {
    me.contact.whatsapp_inbound_at.is_some_and(|heard| at.duration_since(heard) < SERVICE_WINDOW)
}

/// Who can send.
#[derive(Debug, Clone, Copy)]
pub struct Senders<'a> {
    pub whatsapp: &'a WhatsApp,
    pub twilio: &'a Twilio,
    pub mailer: &'a dyn Mailer,
    pub queues: &'a dyn Queues,
    pub timers: &'a dyn Timers,
    /// Where Twilio reports what became of a text.
    pub sms_status_url: Option<&'a Url>,
}

/// What came of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    Sent,
    /// Not now: quiet hours, or the provider took nothing.
    Later,
    /// Pointless or unwanted by now.
    Suppressed,
    /// The provider refused it for good, or it was given up.
    Failed,
    /// The answer was lost; it is not sent again.
    Unknown,
    /// Nothing to do: gone, or in other hands.
    Stale,
}

/// Sends a queued message.
///
/// # Errors
/// When the table or a queue fails; the job is delivered again.
pub async fn send_message(ivy: &Ivy, senders: Senders<'_>, job: &MessageToSend) -> Result<Sending, Error> {
    let claimed = until_settled(ivy, || claim(ivy, senders, job)).await?;
    let (me, message) = match claimed {
        Claim::Claimed(claimed) => *claimed,
        Claim::Not(sending) => return Ok(sending),
    };
    let answer = hand_over(senders, &me, &message, ivy.now()).await;
    record(ivy, senders, &me, &message, answer).await
}

enum Claim {
    Claimed(Box<(Me, Message)>),
    Not(Sending),
}

async fn claim(ivy: &Ivy, senders: Senders<'_>, job: &MessageToSend) -> Result<Claim, Error> {
    let now = ivy.now();
    let (Some(me), Some(message)) = ivy.store.me_and_message(job.user_id, job.message_id).await? else {
        tracing::info!(event = "message_gone", message_id = %job.message_id);
        return Ok(Claim::Not(Sending::Stale));
    };
    let sent_back = match message.status {
        MessageStatus::Queued => false,
        MessageStatus::Unknown => return Ok(Claim::Not(settle_unknown(ivy, senders, &me, &message, now).await?)),
        MessageStatus::Sending => return Ok(Claim::Not(settle_claim(ivy, senders, &me, &message, now).await?)),
        MessageStatus::Failed if job.given_up_at == Some(message.updated_at) => true,
        _ => return Ok(Claim::Not(Sending::Stale)),
    };
    let mut message = Message { via: way(&me, &message, now), ..message };
    match unwanted(&me, &message, now) {
        Some(reason) if sent_back => {
            tracing::info!(event = "message_stays_failed", message_id = %message.id, reason);
            return Ok(Claim::Not(Sending::Stale));
        }
        // No provider took it while it had a point.
        Some(TOO_LATE) if message.attempts > 0 => {
            return Ok(Claim::Not(give_up(ivy, &me, &message, "expired", now).await?));
        }
        Some(reason) => {
            finish(ivy, &me, &message, MessageStatus::Suppressed, Some(reason), now).await?;
            return Ok(Claim::Not(Sending::Suppressed));
        }
        None if sent_back => message = begin_again(ivy, &me, message, now).await?,
        None => {}
    }
    if let Some(until) = quiet_until(&me, &message, now) {
        let name = format!("message-{}-{}", message.id, until.as_second());
        outbox::wake(senders.queues, senders.timers, Queue::Messages, name, until, now, json(job)?).await?;
        return Ok(Claim::Not(Sending::Later));
    }
    if is_follow_up(&message) && calls::line_is_busy(ivy, me.id(), now).await? {
        // They may be talking with us this very moment. Afterwards they were heard.
        senders.queues.send(Queue::Messages, json(job)?, LOOK_AGAIN).await?;
        return Ok(Claim::Not(Sending::Later));
    }
    if let Some(delay) = no_place(ivy, &me, &message, now).await? {
        senders.queues.send(Queue::Messages, json(job)?, delay).await?;
        return Ok(Claim::Not(Sending::Later));
    }
    let claimed = Message {
        status: MessageStatus::Sending,
        attempts: message.attempts + 1,
        tried_since: message.tried_since.or(Some(now)),
        updated_at: now,
        ..message
    };
    let claimed = write(ivy, &me, claimed).await?;
    Ok(Claim::Claimed(Box::new((me, claimed))))
}

/// Takes up again what was given up and sent back: a day begins anew for it.
async fn begin_again(ivy: &Ivy, me: &Me, message: Message, now: Timestamp) -> Result<Message, Error> {
    let again = Message { status: MessageStatus::Queued, failure: None, tried_since: None, updated_at: now, ..message };
    write(ivy, me, again).await
}

/// Writes a message and nothing else; answers it as the table has it then.
async fn write(ivy: &Ivy, me: &Me, message: Message) -> Result<Message, Error> {
    let mut transaction = ivy.store.transaction();
    transaction.message(&message, &me.profile.cipher);
    transaction.commit().await.map_err(contended)?;
    Ok(Message { version: message.version + 1, ..message })
}

/// Fails a message that no provider took in time, and has its job put among the dead letters.
async fn give_up(
    ivy: &Ivy,
    me: &Me,
    message: &Message,
    reason: &'static str,
    now: Timestamp,
) -> Result<Sending, Error> {
    let failed =
        Message { status: MessageStatus::Failed, failure: Some(reason.to_owned()), updated_at: now, ..message.clone() };
    let effect = Effect::PutMessageAside { user_id: message.user_id, message_id: message.id, given_up_at: now };
    let mut transaction = ivy.store.transaction();
    transaction.message(&failed, &me.profile.cipher);
    outbox::add(&mut transaction, &effect, now)?;
    transaction.commit().await.map_err(contended)?;
    tracing::error!(event = "message_given_up", message_id = %message.id, user_id = %me.id(), reason);
    Ok(Sending::Failed)
}

/// The way that a message takes: text without a template goes by WhatsApp only while that takes free text.
fn way(me: &Me, message: &Message, now: Timestamp) -> Via {
    let free_text = message.notice.as_ref().is_some_and(|notice| notice.template().is_none());
    match message.via {
        Via::Whatsapp if free_text && !conversation_open(me, now) => Via::Sms,
        via => via,
    }
}

const fn is_follow_up(message: &Message) -> bool {
    message.unless_heard_since.is_some()
}

/// Takes the message's place among those of its second; how long it waits when there is none.
async fn no_place(ivy: &Ivy, me: &Me, message: &Message, now: Timestamp) -> Result<Option<Duration>, Error> {
    let (number, most) = match message.via {
        Via::Whatsapp => ("whatsapp_number", ivy.settings.whatsapp_per_second),
        Via::Sms => ("sms_number", ivy.settings.sms_per_second),
        Via::Email => return Ok(None),
    };
    let user = me.id().to_string();
    let pair = i64::from(ivy.settings.whatsapp_pair_seconds);
    if message.via == Via::Whatsapp
        && pair > 0
        && ivy.store.count_requests("whatsapp_pair", &user, 1, 1, pair, now).await?.is_none()
    {
        let left = pair - now.as_second().rem_euclid(pair);
        return Ok(Some(Duration::from_secs(left.unsigned_abs())));
    }
    if ivy.store.count_requests(number, number, 1, most, 1, now).await?.is_none() {
        metrics::count("message_paced", &[("number", number)]);
        let spread = ivy_domain::ids::stable_hash(&[&message.id.to_string(), &now.to_string()]) % SPREAD_SECONDS;
        return Ok(Some(Duration::from_secs(1 + spread)));
    }
    Ok(None)
}

/// A text whose answer was lost: Twilio lists what it took. What it does not list is left unsent, for it may only be slow to.
async fn settle_unknown(
    ivy: &Ivy,
    senders: Senders<'_>,
    me: &Me,
    message: &Message,
    now: Timestamp,
) -> Result<Sending, Error> {
    let Some(notice) = message.notice.as_ref().filter(|_| message.via == Via::Sms) else { return Ok(Sending::Unknown) };
    let sent_since = message.updated_at - CLAIM;
    let to = wanted_contact(notice).unwrap_or(me.user().phone.as_str());
    let found = senders.twilio.find_sms(to, &notice.render(), sent_since).await;
    if let Err(error) = &found {
        tracing::warn!(event = "sent_messages_not_listed", message_id = %message.id, %error);
    }
    match found.ok().flatten() {
        Some(sid) => record(ivy, senders, me, message, Ok(sid)).await,
        None if now.duration_since(message.updated_at) < SETTLED_WITHIN => look_again(senders, message).await,
        None => Ok(Sending::Unknown),
    }
}

async fn look_again(senders: Senders<'_>, message: &Message) -> Result<Sending, Error> {
    let job = MessageToSend::new(message.user_id, message.id);
    senders.queues.send(Queue::Messages, json(&job)?, LOOK_AGAIN).await?;
    Ok(Sending::Unknown)
}

/// Found in another worker's hands: it may still be at it, or have died before it could say what happened.
async fn settle_claim(
    ivy: &Ivy,
    senders: Senders<'_>,
    me: &Me,
    message: &Message,
    now: Timestamp,
) -> Result<Sending, Error> {
    if now.duration_since(message.updated_at) < CLAIM {
        // Not done with it: if the other worker dies, only a delivery to come can find that out.
        return Err(PortError { port: "message", reason: "another worker is at it".to_owned() }.into());
    }
    leave_unknown(ivy, senders, me, message, "worker_lost", now).await
}

/// Leaves a message unsent of which nobody knows whether it went out. Of a text that can be found out later.
async fn leave_unknown(
    ivy: &Ivy,
    senders: Senders<'_>,
    me: &Me,
    message: &Message,
    reason: &str,
    now: Timestamp,
) -> Result<Sending, Error> {
    tracing::error!(event = "message_outcome_unknown", message_id = %message.id, user_id = %me.id());
    finish(ivy, me, message, MessageStatus::Unknown, Some(reason), now).await?;
    if message.via == Via::Sms { look_again(senders, message).await } else { Ok(Sending::Unknown) }
}

/// Why a message is pointless whose time is over.
const TOO_LATE: &str = "too_late";

/// Why a message must not go out any more.
fn unwanted(me: &Me, message: &Message, now: Timestamp) -> Option<&'static str> {
    if message.not_after.is_some_and(|limit| now > limit) {
        return Some(TOO_LATE);
    }
    if message.unless_heard_since.is_some_and(|since| me.last_interaction_at().is_some_and(|heard| heard > since)) {
        return Some("heard_meanwhile");
    }
    if !is_asked_for(me, message) && !me.user().may_be_messaged_by(message.via) {
        return Some("no_consent");
    }
    match &message.notice {
        Some(Notice::MorningPlan { due_at, .. } | Notice::EveningCheck { due_at, .. }) => {
            planning::no_longer_planned(me, *due_at, now)
        }
        _ => None,
    }
}

/// Whether a message needs no consent: the user asked for it, and has not said since that they want no more here.
fn is_asked_for(me: &Me, message: &Message) -> bool {
    if message.notice.as_ref().is_some_and(Notice::is_credential) {
        return true;
    }
    let withdrawn_at = me.user().messages_withdrawn_at(message.via);
    message.answers_inbound_at.is_some_and(|asked_at| withdrawn_at.is_none_or(|at| at <= asked_at))
}

/// The end of the quiet hours, for messages that must wait for it.
fn quiet_until(me: &Me, message: &Message, now: Timestamp) -> Option<Timestamp> {
    let zone = &me.user().timezone;
    let answers = message.answers_inbound_at.is_some_and(|at| now.duration_since(at) <= ANSWERS_AT_ONCE);
    let asked_for = message.notice.as_ref().is_some_and(Notice::is_credential);
    // In place of a call, in the user's own window, as the call would be.
    let in_window = match &message.notice {
        Some(Notice::MorningPlan { due_at, .. } | Notice::EveningCheck { due_at, .. }) => now >= *due_at,
        _ => false,
    };
    (!answers && !asked_for && !in_window && days::is_quiet(now, zone)).then(|| days::quiet_ends_at(now, zone))
}

/// Where a message goes that does not go to its user's own phone or address.
fn wanted_contact(notice: &Notice) -> Option<&str> {
    match notice {
        Notice::ContactCode { contact, .. } => Some(contact.as_str()),
        _ => None,
    }
}

async fn hand_over(senders: Senders<'_>, me: &Me, message: &Message, now: Timestamp) -> Result<String, ProviderError> {
    let Some(notice) = &message.notice else {
        return Err(ProviderError::Rejected { status: 0, code: None, class: Class::InvalidRequest });
    };
    let wanted = wanted_contact(notice);
    let phone = wanted.unwrap_or(me.user().phone.as_str());
    match message.via {
        Via::Whatsapp => {
            let message = WhatsAppMessage {
                to: Recipient::Phone(phone.to_owned()),
                content: content(me, notice, now),
                biz_opaque_callback_data: Some(callback_data(message)),
            };
            senders.whatsapp.send(&message).await.map(|sent| sent.message_id)
        }
        Via::Sms => {
            // Our ids in the callback's address name the message also when the answer that held Twilio's was lost.
            let callback = senders.sms_status_url.map(|base| {
                let mut url = base.clone();
                url.query_pairs_mut().append_pair("m", &callback_data(message));
                // Twilio repeats a callback that failed only where it is told to; the fragment is neither sent nor signed.
                url.set_fragment(Some("rc=3&rp=all"));
                url
            });
            senders.twilio.send_sms(phone, &notice.render(), callback.as_ref()).await.map(|sent| sent.sid)
        }
        Via::Email => {
            let Some(email) = wanted.or(me.user().email.as_ref().map(Email::as_str)) else {
                return Err(ProviderError::Rejected { status: 0, code: None, class: Class::InvalidNumber });
            };
            let mail = Mail {
                to: email.to_owned(),
                subject: if wanted.is_some() { "Your Ivy code" } else { "Your Ivy sign-in link" }.to_owned(),
                text: notice.render(),
                message_id: message.id.to_string(),
            };
            senders.mailer.send(mail).await
        }
    }
}

/// Our ids, which WhatsApp sends back with every status: they name the message also when the answer that held its id was lost.
fn callback_data(message: &Message) -> String {
    format!("{}.{}", message.user_id, message.id)
}

/// Whose message a status is about, from the data that we gave with the message.
#[must_use]
pub fn owner_of_callback_data(data: &str) -> Option<MessageOwner> {
    let (user, message) = data.split_once('.')?;
    Some(MessageOwner { user_id: user.parse().ok()?, message_id: message.parse().ok()? })
}

/// Free text inside the 24 hours after the user's last message, else the approved template.
fn content(me: &Me, notice: &Notice, now: Timestamp) -> OutboundContent {
    let open = conversation_open(me, now);
    let buttons = notice.buttons();
    match notice.template() {
        Some(template) if !open => OutboundContent::Template {
            name: template.name.clone(),
            language: template.language.clone(),
            parameters: notice.parameters(),
            button_payloads: buttons.into_iter().map(|button| button.id).collect(),
        },
        _ if buttons.is_empty() => OutboundContent::Text { body: notice.render() },
        _ => OutboundContent::Buttons {
            body: notice.render(),
            buttons: buttons.into_iter().map(|button| Button { id: button.id, title: button.title }).collect(),
        },
    }
}

/// Who carries a channel, in the names of webhooks and pointers.
pub(crate) const fn provider(via: Via) -> &'static str {
    match via {
        Via::Whatsapp => "whatsapp",
        Via::Sms => "twilio",
        Via::Email => "ses",
    }
}

/// Writes down what the provider said.
async fn record(
    ivy: &Ivy,
    senders: Senders<'_>,
    me: &Me,
    claimed: &Message,
    answer: Result<String, ProviderError>,
) -> Result<Sending, Error> {
    let now = ivy.now();
    if let Err(error) = &answer
        && !matches!(error, ProviderError::Rejected { .. })
    {
        metrics::count("message_provider_error", &[("provider", provider(claimed.via)), ("kind", error.name())]);
    }
    match answer {
        Ok(provider_id) => {
            let provider = provider(claimed.via);
            let owner = MessageOwner { user_id: claimed.user_id, message_id: claimed.id };
            let sent = Message {
                status: MessageStatus::Sent,
                provider_id: Some(ivy.store.provider_id(&provider_id)),
                updated_at: now,
                ..claimed.clone()
            };
            let mut transaction = ivy.store.transaction();
            transaction.message(&sent, &me.profile.cipher).message_owner(provider, &provider_id, owner, now);
            match transaction.commit().await {
                Ok(()) => {}
                // A status webhook that was quicker has moved the message on; the pointer alone is still wanted.
                Err(StoreError::ConditionFailed(_)) => {
                    let mut transaction = ivy.store.transaction();
                    transaction.message_owner(provider, &provider_id, owner, now);
                    transaction.commit().await?;
                }
                Err(error) => return Err(error.into()),
            }
            if claimed.via == Via::Whatsapp {
                metrics::count("whatsapp_sent", &[]);
            }
            tracing::info!(event = "message_sent", message_id = %claimed.id, user_id = %me.id(), via = ?claimed.via);
            Ok(Sending::Sent)
        }
        Err(ProviderError::Unknown) => leave_unknown(ivy, senders, me, claimed, "answer_lost", now).await,
        Err(ProviderError::RateLimited { retry_after }) => later(ivy, senders, me, claimed, retry_after, now).await,
        Err(error @ (ProviderError::Unavailable { .. } | ProviderError::Misconfigured { .. })) => {
            tracing::error!(event = "message_provider_failed", message_id = %claimed.id, %error);
            later(ivy, senders, me, claimed, None, now).await
        }
        Err(ProviderError::Rejected { class, code, .. }) => {
            if claimed.via == Via::Whatsapp && goes_by_sms(class) {
                return fall_back_to_sms(ivy, me, claimed, now).await;
            }
            let reason = refusal(class);
            tracing::warn!(event = "message_refused", message_id = %claimed.id, class = reason, code = code.unwrap_or_default());
            finish(ivy, me, claimed, MessageStatus::Failed, Some(reason), now).await?;
            Ok(Sending::Failed)
        }
    }
}

/// Whether what WhatsApp refuses for this is worth an SMS.
const fn goes_by_sms(class: Class) -> bool {
    matches!(class, Class::NotOnWhatsApp | Class::WindowClosed | Class::Template | Class::Undeliverable)
}

/// A refusal's class as a word of ours, for the cause of a failed message or call.
#[must_use]
pub const fn refusal(class: Class) -> &'static str {
    match class {
        Class::InvalidNumber => "invalid_number",
        Class::NotAllowed => "not_allowed",
        Class::NotOnWhatsApp => "not_on_whatsapp",
        Class::WindowClosed => "conversation_closed",
        Class::OptedOut => "opted_out",
        Class::Template => "template",
        Class::Undeliverable => "undeliverable",
        Class::NotFound => "not_found",
        Class::InvalidRequest => "invalid_request",
    }
}

/// Why a message failed, as a word of ours: the class where it has one, else the provider's code.
#[must_use]
pub fn failure(class: Option<Class>, code: Option<i64>) -> String {
    match (class, code) {
        (Some(class), _) => refusal(class).to_owned(),
        (None, Some(code)) => format!("code_{code}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// Back to the queue, with a pause that grows to a quarter of an hour; after a day of that it is given up.
async fn later(
    ivy: &Ivy,
    senders: Senders<'_>,
    me: &Me,
    claimed: &Message,
    retry_after: Option<Duration>,
    now: Timestamp,
) -> Result<Sending, Error> {
    if claimed.tried_since.is_some_and(|since| now.duration_since(since) >= GIVEN_UP) {
        return give_up(ivy, me, claimed, "given_up", now).await;
    }
    finish(ivy, me, claimed, MessageStatus::Queued, None, now).await?;
    let backoff = Duration::from_secs((15_u64 << claimed.attempts.min(6)).min(900));
    // A provider that keeps asking for a moment's patience gets more of it each time.
    let delay = retry_after.unwrap_or_default().max(backoff).min(Duration::from_secs(900));
    let job = MessageToSend::new(claimed.user_id, claimed.id);
    senders.queues.send(Queue::Messages, json(&job)?, delay).await?;
    Ok(Sending::Later)
}

async fn fall_back_to_sms(ivy: &Ivy, me: &Me, message: &Message, now: Timestamp) -> Result<Sending, Error> {
    let by_sms =
        Message { via: Via::Sms, status: MessageStatus::Queued, provider_id: None, updated_at: now, ..message.clone() };
    let mut transaction = ivy.store.transaction();
    transaction.message(&by_sms, &me.profile.cipher);
    if let Some(hashed_id) = &message.provider_id {
        // Nothing would lead to the pointer any more, and it names the user.
        transaction.forget_message_owner(provider(message.via), hashed_id);
    }
    let effect = Effect::SendMessage { user_id: message.user_id, message_id: message.id, not_before: now };
    outbox::add(&mut transaction, &effect, now)?;
    transaction.commit().await.map_err(contended)?;
    tracing::info!(event = "message_falls_back_to_sms", message_id = %message.id, user_id = %me.id());
    Ok(Sending::Later)
}

async fn finish(
    ivy: &Ivy,
    me: &Me,
    message: &Message,
    status: MessageStatus,
    failure: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    let finished = Message { status, failure: failure.map(str::to_owned), updated_at: now, ..message.clone() };
    write(ivy, me, finished).await.map(|_| ())
}

/// What a provider reports about a message that it took.
#[derive(Debug, Clone)]
pub struct StatusReport<'a> {
    pub provider: &'a str,
    pub provider_id: &'a str,
    /// Whose it is, when the report itself says so.
    pub owner: Option<MessageOwner>,
    /// To whom it went, where WhatsApp tells.
    pub went_to: WentTo<'a>,
    pub status: MessageStatus,
    /// A code, never words.
    pub failure: Option<String>,
    /// The provider's class of a failure, where it has one.
    pub class: Option<Class>,
}

/// To whom a message went, as WhatsApp tells of them.
#[derive(Clone, Copy, Default)]
pub struct WentTo<'a> {
    /// The number's digits.
    pub phone: Option<&'a str>,
    /// Its id of the person, for us alone.
    pub whatsapp_user_id: Option<&'a str>,
}

impl std::fmt::Debug for WentTo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[private]")
    }
}

/// Learns WhatsApp's id of a user from what became of a message to them: they may hide their number when they answer.
async fn learn_recipient(ivy: &Ivy, me: &Me, went_to: WentTo<'_>) -> Result<(), Error> {
    let Some(id) = went_to.whatsapp_user_id else { return Ok(()) };
    // What went to an earlier number of theirs may be read by somebody else.
    if went_to.phone.is_some_and(|digits| !is_number(digits, &me.user().phone)) {
        return Ok(());
    }
    let mut transaction = ivy.store.transaction();
    let mut contact = me.contact.clone();
    if !inbound::learn_whatsapp_user(ivy, &mut transaction, &mut contact, id, me.id()) {
        return Ok(());
    }
    transaction.contact(me.id(), &contact);
    transaction.commit().await.map_err(contended)
}

/// Whether WhatsApp's digits are a number's. Some countries' numbers have a digit more there, or one less, but never among the
/// last eight.
fn is_number(digits: &str, phone: &Phone) -> bool {
    let last = |digits: &str| digits.len().checked_sub(8).and_then(|from| digits.get(from..).map(str::to_owned));
    last(digits).is_some() && last(digits) == last(phone.as_str())
}

/// Moves a message's status forward, whatever the order in which reports arrive.
///
/// # Errors
/// When the table fails; the provider reports again.
pub async fn message_status(ivy: &Ivy, report: &StatusReport<'_>) -> Result<(), Error> {
    let owner = match report.owner {
        Some(owner) => Some(owner),
        None => ivy.store.message_owner(report.provider, report.provider_id).await?,
    };
    let Some(owner) = owner else {
        tracing::info!(event = "status_of_no_message_of_ours", provider = report.provider);
        return Ok(());
    };
    until_settled(ivy, || async move {
        let (Some(me), Some(message)) = ivy.store.me_and_message(owner.user_id, owner.message_id).await? else {
            return Ok(());
        };
        let now = ivy.now();
        learn_recipient(ivy, &me, report.went_to).await?;
        let status = message.status.advance(report.status);
        // What WhatsApp says late, or again, is not about the SMS that took its place.
        let elsewhere = provider(message.via) != report.provider
            || message.provider_id.as_deref().is_some_and(|known| known != ivy.store.provider_id(report.provider_id));
        if elsewhere || status == message.status {
            return Ok(());
        }
        let message = Message { provider_id: Some(ivy.store.provider_id(report.provider_id)), ..message };
        let by_whatsapp = message.via == Via::Whatsapp;
        let arrived = |status| matches!(status, MessageStatus::Delivered | MessageStatus::Read);
        let delivered = by_whatsapp && arrived(status) && !arrived(message.status);
        if status == MessageStatus::Failed
            && by_whatsapp
            && report.class.is_some_and(goes_by_sms)
            && unwanted(&me, &message, now) != Some(TOO_LATE)
        {
            return fall_back_to_sms(ivy, &me, &message, now).await.map(|_| ());
        }
        finish(ivy, &me, &message, status, report.failure.as_deref(), now).await?;
        if delivered {
            metrics::count("whatsapp_delivered", &[]);
        }
        Ok(())
    })
    .await
}
