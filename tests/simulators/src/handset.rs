//! What lies on each phone: the thread of WhatsApp and SMS, and what its owner does with it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Inner, Persona, Provider,
    webhooks::{Content, Draft},
    whatsapp,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    WhatsApp,
    Sms,
}

/// A tappable answer under a message. `id` is the button's id or the template's payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Button {
    pub id: String,
    pub title: String,
}

/// A message that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HandsetMessage {
    pub via: Via,
    /// As the person reads it: templates are filled in. What stands in place of a voice note.
    pub text: String,
    pub voice: bool,
    /// The template's name.
    pub template: Option<String>,
    /// Lines above and below the text.
    pub header: Option<String>,
    pub footer: Option<String>,
    pub buttons: Vec<Button>,
    /// The provider's message id.
    pub id: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    Sent,
    Delivered,
    Read,
    Failed,
}

/// What a message consists of, whoever sends it.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) text: String,
    pub(crate) voice: bool,
    pub(crate) template: Option<String>,
    pub(crate) header: Option<String>,
    pub(crate) footer: Option<String>,
    pub(crate) buttons: Vec<Button>,
}

impl Words {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub(crate) fn voice(text: impl Into<String>) -> Self {
        Self { text: text.into(), voice: true, ..Self::default() }
    }

    pub(crate) fn message(self, via: Via, id: String, at: Timestamp) -> HandsetMessage {
        let Self { text, voice, template, header, footer, buttons } = self;
        HandsetMessage { via, text, voice, template, header, footer, buttons, id, at }
    }
}

/// Why a phone does not do what its owner asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unable {
    NoWhatsApp,
    /// No such message arrived, or it has no such button.
    NoButton,
    /// One of the message's buttons was tapped already.
    Tapped,
}

impl Unable {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NoWhatsApp => "this phone has no WhatsApp",
            Self::NoButton => "no message with this button arrived here",
            Self::Tapped => "this message was answered by a button already",
        }
    }
}

/// A message of either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ThreadEntry {
    #[serde(flatten)]
    pub message: HandsetMessage,
    pub from_ivy: bool,
    pub status: MessageStatus,
    /// Provider's error code of a message that failed.
    pub error: Option<i64>,
    /// The id of the button that was tapped; the others can't be any more.
    pub tapped: Option<String>,
    /// The id of the message that this one answers.
    pub answers: Option<String>,
    /// `biz_opaque_callback_data`, echoed on statuses.
    #[serde(skip)]
    pub(crate) opaque: Option<String>,
}

impl ThreadEntry {
    pub(crate) fn from_ivy(message: HandsetMessage, opaque: Option<String>) -> Self {
        Self { message, from_ivy: true, status: MessageStatus::Sent, error: None, tapped: None, answers: None, opaque }
    }

    /// Delivered to the provider; read when Ivy says so.
    fn from_person(message: HandsetMessage, answers: Option<String>) -> Self {
        let status = MessageStatus::Delivered;
        Self { message, from_ivy: false, status, error: None, tapped: None, answers, opaque: None }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Phone {
    pub(crate) persona: Option<Persona>,
    pub(crate) no_whatsapp: bool,
    /// WhatsApp's webhooks name the person by their scoped id only.
    pub(crate) number_hidden: bool,
    /// Sent STOP by SMS.
    pub(crate) stopped_sms: bool,
    /// Last WhatsApp message of the person: opens the 24-hour window.
    pub(crate) last_inbound: Option<Timestamp>,
    pub(crate) thread: Vec<ThreadEntry>,
}

pub(crate) const WINDOW: SignedDuration = SignedDuration::from_hours(24);

impl Phone {
    pub(crate) fn window_open(&self, now: Timestamp) -> bool {
        self.last_inbound.is_some_and(|at| now.duration_since(at) < WINDOW)
    }
}

/// `+` and digits, whichever way a number is written.
pub(crate) fn normal(phone: &str) -> String {
    let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
    format!("+{digits}")
}

impl Inner {
    pub(crate) fn with_phone<T>(&self, phone: &str, act: impl FnOnce(&mut Phone) -> T) -> T {
        act(self.state().phones.entry(normal(phone)).or_default())
    }

    pub(crate) fn thread(&self, phone: &str) -> Vec<ThreadEntry> {
        self.state().phones.get(&normal(phone)).map(|entry| entry.thread.clone()).unwrap_or_default()
    }

    pub(crate) fn arrived(&self, phone: &str) -> Vec<HandsetMessage> {
        self.thread(phone)
            .into_iter()
            .filter(|entry| entry.from_ivy && entry.status != MessageStatus::Failed)
            .map(|entry| entry.message)
            .collect()
    }

    /// Whether WhatsApp knows this number.
    pub(crate) fn on_whatsapp(&self, phone: &str) -> bool {
        let phone = normal(phone);
        let nobody = matches!(self.persona(&phone, ""), Persona::InvalidNumber | Persona::DeadNumber);
        !nobody && self.state().phones.get(&phone).is_none_or(|entry| !entry.no_whatsapp)
    }

    pub(crate) fn write_whatsapp(self: &Arc<Self>, phone: &str, text: &str) -> Result<(), Unable> {
        self.inbound_whatsapp(phone, Words::text(text), None, json!({"type": "text", "text": {"body": text}}))
    }

    pub(crate) fn write_voice_note(self: &Arc<Self>, phone: &str) -> Result<(), Unable> {
        let media = Uuid::new_v4().as_u128() % 1_000_000_000_000;
        let audio = json!({"id": media.to_string(), "mime_type": "audio/ogg; codecs=opus", "sha256": "c2ltdWxhdGVk", "voice": true});
        self.inbound_whatsapp(phone, Words::voice("Voice note"), None, json!({"type": "audio", "audio": audio}))
    }

    /// Puts the person's message into the thread, opens the window and queues the webhook.
    fn inbound_whatsapp(
        self: &Arc<Self>,
        phone: &str,
        words: Words,
        answers: Option<&str>,
        mut content: Value,
    ) -> Result<(), Unable> {
        if !self.on_whatsapp(phone) {
            return Err(Unable::NoWhatsApp);
        }
        if let Some(id) = answers {
            content["context"] = json!({"from": self.secrets.twilio_from.trim_start_matches('+'), "id": id});
        }
        let now = self.now();
        let id = whatsapp::new_message_id(phone);
        let hidden = self.with_phone(phone, |entry| {
            entry.last_inbound = Some(now);
            let message = words.message(Via::WhatsApp, id.clone(), now);
            entry.thread.push(ThreadEntry::from_person(message, answers.map(str::to_owned)));
            entry.number_hidden
        });
        self.emit_whatsapp(&whatsapp::inbound(&normal(phone), hidden, &id, now, content), 1);
        Ok(())
    }

    /// As on WhatsApp, the first tap on a message is the only one.
    pub(crate) fn tap(self: &Arc<Self>, phone: &str, message_id: &str, button: &str) -> Result<(), Unable> {
        if !self.on_whatsapp(phone) {
            return Err(Unable::NoWhatsApp);
        }
        let (tapped, of_template) = self.with_phone(phone, |entry| {
            let arrived = |entry: &&mut ThreadEntry| {
                entry.from_ivy && entry.status != MessageStatus::Failed && entry.message.id == message_id
            };
            let entry = entry.thread.iter_mut().find(arrived).ok_or(Unable::NoButton)?;
            let named = |known: &&Button| known.id == button || known.title == button;
            let tapped = entry.message.buttons.iter().find(named).cloned().ok_or(Unable::NoButton)?;
            if entry.tapped.is_some() {
                return Err(Unable::Tapped);
            }
            entry.tapped = Some(tapped.id.clone());
            Ok((tapped, entry.message.template.is_some()))
        })?;
        let content = if of_template {
            json!({"type": "button", "button": {"payload": tapped.id, "text": tapped.title}})
        } else {
            json!({"type": "interactive",
                   "interactive": {"type": "button_reply", "button_reply": {"id": tapped.id, "title": tapped.title}}})
        };
        self.inbound_whatsapp(phone, Words::text(tapped.title), Some(message_id), content)
    }

    /// Ivy has seen the person's message, and with it what they wrote before.
    pub(crate) fn mark_read(&self, message_id: &str) {
        for phone in self.state().phones.values_mut() {
            let Some(last) = phone.thread.iter().position(|entry| entry.message.id == message_id) else { continue };
            let theirs = |entry: &&mut ThreadEntry| !entry.from_ivy && entry.message.via == Via::WhatsApp;
            for entry in phone.thread.iter_mut().take(last + 1).filter(theirs) {
                entry.status = MessageStatus::Read;
            }
        }
    }

    pub(crate) fn look(self: &Arc<Self>, phone: &str) {
        let seen: Vec<ThreadEntry> = self.with_phone(phone, |entry| {
            let unread = |entry: &&mut ThreadEntry| {
                entry.from_ivy && entry.message.via == Via::WhatsApp && entry.status == MessageStatus::Delivered
            };
            let read = |entry: &mut ThreadEntry| {
                entry.status = MessageStatus::Read;
                entry.clone()
            };
            entry.thread.iter_mut().filter(unread).map(read).collect()
        });
        let now = self.now();
        for entry in seen {
            self.emit_whatsapp(&whatsapp::status(&entry, &normal(phone), now), 3);
        }
    }

    pub(crate) fn write_sms(self: &Arc<Self>, phone: &str, text: &str) {
        let id = format!("SM{}", Uuid::new_v4().simple());
        let now = self.now();
        let word = text.trim().to_uppercase();
        self.with_phone(phone, |entry| {
            match word.as_str() {
                "STOP" | "UNSUBSCRIBE" | "END" | "QUIT" | "STOPALL" | "REVOKE" | "OPTOUT" | "CANCEL" => {
                    entry.stopped_sms = true
                }
                "START" | "YES" | "UNSTOP" => entry.stopped_sms = false,
                _ => {}
            }
            let message = Words::text(text).message(Via::Sms, id.clone(), now);
            entry.thread.push(ThreadEntry::from_person(message, None));
        });
        let form = [
            ("ToCountry", "GB"),
            ("SmsMessageSid", &id),
            ("NumMedia", "0"),
            ("SmsSid", &id),
            ("SmsStatus", "received"),
            ("Body", text),
            ("FromCountry", if normal(phone).starts_with("+1") { "US" } else { "GB" }),
            ("To", &self.secrets.twilio_from),
            ("NumSegments", "1"),
            ("MessageSid", &id),
            ("AccountSid", &self.secrets.twilio_account_sid),
            ("From", &normal(phone)),
            ("ApiVersion", "2010-04-01"),
        ];
        let form = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.emit(Draft::new(Provider::Twilio, self.webhook_url(Provider::Twilio), Content::Form(form), 1));
    }
}
