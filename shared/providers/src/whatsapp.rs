//! WhatsApp Cloud API: sending messages, and reading Meta's webhooks.
//!
//! A 200 means accepted: whether a message arrives is told later by statuses. Sending has no idempotency key; our message's
//! id goes along as `biz_opaque_callback_data` and comes back with each status, so a message whose answer was lost
//! ([`ProviderError::Unknown`]) can still be settled by its first status.
//!
//! What leads to which error, beyond the common rules in `error.rs`, is decided by the code in the body, whatever the
//! status: 4, 80007, 130429 and 131056 (throughput, one recipient too often) → `RateLimited`; 2, 131000 and 131016 →
//! `Unavailable`, because an error with one of these codes has assigned no message id; 10, 190, 200 to 299 and
//! account codes → `Misconfigured`; 131047 → `Rejected` of class `WindowClosed`; 131026 → `NotOnWhatsApp`; 131048 and 131049
//! → `Undeliverable`; 132000 to 132999 → `Template`; see [`failure`]. A 5xx without such a code is `Unknown`.
//!
//! Webhooks come in batches and are read leniently: an odd element is dropped, the rest stays.

use aws_lc_rs::{constant_time, hmac::HMAC_SHA256};
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    error::{Class, Failure, ProviderError},
    http::{Answer, endpoint, exchange},
    lenient,
    signature::{self, SignatureError},
};

pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// The client. `base_url` includes the version (`https://graph.facebook.com/v26.0`).
#[derive(Debug, Clone)]
pub struct WhatsApp {
    http: reqwest::Client,
    base_url: Url,
    phone_number_id: String,
    token: SecretString,
}

/// Who gets a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Recipient {
    /// Digits of the number in international form, with or without `+`.
    Phone(String),
    /// Meta's id of a person for our business, where they hide their number.
    User(String),
}

/// A message to one person.
#[derive(Clone)]
pub struct WhatsAppMessage {
    pub to: Recipient,
    pub content: OutboundContent,
    /// Our message's id, at most 512 characters; comes back with each status.
    pub biz_opaque_callback_data: Option<String>,
}

/// What a message holds. Everything but templates needs an open 24-hour window.
#[derive(Clone)]
pub enum OutboundContent {
    /// At most 4096 characters.
    Text { body: String },
    Template {
        name: String,
        /// As at Meta: `en_GB`.
        language: String,
        /// The body's `{{1}}`, `{{2}}` and so on.
        parameters: Vec<String>,
        /// The payload of each quick-reply button, in the template's order.
        button_payloads: Vec<String>,
    },
    /// At most 3 buttons.
    Buttons { body: String, buttons: Vec<Button> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// At most 256 characters; comes back with the tap.
    pub id: String,
    /// At most 20 characters.
    pub title: String,
}

/// Meta took the message; it is not delivered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// `wamid.…`, the id in statuses and in replies.
    pub message_id: String,
}

impl WhatsApp {
    #[must_use]
    pub const fn new(http: reqwest::Client, base_url: Url, phone_number_id: String, token: SecretString) -> Self {
        Self { http, base_url, phone_number_id, token }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// See the module. After `Unknown` the message may have gone out.
    pub async fn send(&self, message: &WhatsAppMessage) -> Result<Sent, ProviderError> {
        #[derive(Deserialize)]
        struct Accepted {
            messages: Vec<AcceptedMessage>,
        }
        #[derive(Deserialize)]
        struct AcceptedMessage {
            id: String,
        }
        let url = endpoint(&self.base_url, &[&self.phone_number_id, "messages"])?;
        let request = self.http.post(url).bearer_auth(self.token.expose_secret()).json(&wire(message));
        let answer = exchange("whatsapp_send", request).await?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let accepted: Accepted = answer.success()?;
        accepted.messages.into_iter().next().map(|one| Sent { message_id: one.id }).ok_or(ProviderError::Unknown)
    }
}

fn wire(message: &WhatsAppMessage) -> Value {
    let (kind, content) = match &message.content {
        OutboundContent::Text { body } => ("text", json!({ "body": body, "preview_url": false })),
        OutboundContent::Template { name, language, parameters, button_payloads } => {
            let texts: Vec<Value> = parameters.iter().map(|text| json!({ "type": "text", "text": text })).collect();
            let mut components = Vec::new();
            if !texts.is_empty() {
                components.push(json!({ "type": "body", "parameters": texts }));
            }
            components.extend(button_payloads.iter().enumerate().map(|(index, payload)| {
                json!({ "type": "button", "sub_type": "quick_reply", "index": index.to_string(),
                        "parameters": [{ "type": "payload", "payload": payload }] })
            }));
            ("template", json!({ "name": name, "language": { "code": language }, "components": components }))
        }
        OutboundContent::Buttons { body, buttons } => {
            let buttons: Vec<Value> = buttons
                .iter()
                .map(|Button { id, title }| json!({ "type": "reply", "reply": { "id": id, "title": title } }))
                .collect();
            ("interactive", json!({ "type": "button", "body": { "text": body }, "action": { "buttons": buttons } }))
        }
    };
    let mut wire = json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "type": kind });
    match &message.to {
        Recipient::Phone(number) => wire["to"] = json!(number),
        Recipient::User(id) => wire["recipient"] = json!(id),
    }
    wire[kind] = content;
    if let Some(data) = &message.biz_opaque_callback_data {
        wire["biz_opaque_callback_data"] = json!(data);
    }
    wire
}

fn refusal(answer: &Answer) -> ProviderError {
    #[derive(Deserialize)]
    struct Body {
        error: ErrorItem,
    }
    let code = answer.error::<Body>().and_then(|body| body.error.code);
    match code.and_then(|code| Some((code, failure(code)?))) {
        Some((code, failure)) => answer.failed_as(code, failure),
        None => answer.failed(code, Class::InvalidRequest),
    }
}

/// What an error code means, in an answer or in the `errors` of a status. Nothing for codes that we don't know.
#[must_use]
pub const fn failure(code: i64) -> Option<Failure> {
    Some(match code {
        4 | 80007 | 130_429 | 131_056 => Failure::RateLimited,
        2 | 131_000 | 131_016 => Failure::Transient,
        // Permission, expired token, account held or locked, payment, number not registered.
        3 | 10 | 190 | 200..=299 | 368 | 131_005 | 131_031 | 131_042 | 131_045 | 133_010 => Failure::Misconfigured,
        131_047 => Failure::Final(Class::WindowClosed),
        131_026 => Failure::Final(Class::NotOnWhatsApp),
        // Spam limit, Meta's own choice, an experiment of theirs: trying again at once makes it worse.
        131_048 | 131_049 | 130_472 => Failure::Final(Class::Undeliverable),
        131_050 => Failure::Final(Class::OptedOut),
        131_021 => Failure::Final(Class::InvalidNumber),
        131_030 => Failure::Final(Class::NotAllowed),
        132_000..=132_999 => Failure::Final(Class::Template),
        100 | 131_008 | 131_009 | 131_051 => Failure::Final(Class::InvalidRequest),
        _ => return None,
    })
}

/// The body of a webhook: `object` is `whatsapp_business_account`.
#[derive(Debug, Clone, Deserialize)]
pub struct Webhook {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub object: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub entry: Vec<Entry>,
}

impl Webhook {
    /// The values of all changes of the field `messages`, in order; other fields are not ours.
    pub fn values(&self) -> impl Iterator<Item = &ChangeValue> {
        self.entry
            .iter()
            .flat_map(|entry| &entry.changes)
            .filter(|change| change.field.as_deref() == Some("messages"))
            .filter_map(|change| change.value.as_ref())
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// The WhatsApp business account's id.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub changes: Vec<Change>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Change {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub field: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub value: Option<ChangeValue>,
}

/// Messages with their contacts, or statuses, or errors.
#[derive(Debug, Clone, Deserialize)]
pub struct ChangeValue {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub metadata: Option<NumberMetadata>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub contacts: Vec<Contact>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub messages: Vec<InboundMessage>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub statuses: Vec<Status>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub errors: Vec<ErrorItem>,
}

/// Which number of ours it is about.
#[derive(Debug, Clone, Deserialize)]
pub struct NumberMetadata {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub phone_number_id: Option<String>,
}

/// Who wrote. A person with a username may show no number.
#[derive(Clone, Deserialize)]
pub struct Contact {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub profile: Option<Profile>,
    /// The number's digits without `+`.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub wa_id: Option<String>,
    /// Meta's id of this person for our business.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub user_id: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct Profile {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub name: Option<String>,
}

/// A message to us. What it holds is read by [`InboundMessage::content`].
#[derive(Clone, Deserialize)]
pub struct InboundMessage {
    /// `wamid.…`: the same in repeats.
    pub id: String,
    /// The number's digits without `+`; absent when the person hides it.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub from: Option<String>,
    /// Meta's id of the person for our business.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub from_user_id: Option<String>,
    /// Unix seconds, as text.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub timestamp: Option<String>,
    #[serde(rename = "type", default, deserialize_with = "lenient::optional")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub context: Option<Context>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub text: Option<TextBody>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub button: Option<TemplateButton>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub interactive: Option<Interactive>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub audio: Option<Media>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub image: Option<Media>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub video: Option<Media>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub document: Option<Media>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub sticker: Option<Media>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub reaction: Option<Reaction>,
    #[serde(default, deserialize_with = "lenient::list")]
    pub errors: Vec<ErrorItem>,
}

/// What a person sent, by what we do with it.
#[derive(Clone, Copy)]
pub enum Content<'a> {
    Text(&'a str),
    /// A quick reply of a template.
    TemplateButton {
        payload: &'a str,
        text: &'a str,
    },
    /// A button or list row of one of our interactive messages.
    Reply {
        id: &'a str,
        title: &'a str,
    },
    /// Spoken on the spot.
    VoiceNote(&'a Media),
    /// Any other file.
    Media(&'a Media),
    /// An emoji on one of our messages; empty when it was taken back.
    Reaction {
        message_id: &'a str,
        emoji: &'a str,
    },
    /// A kind that we don't read, or one that lacks what its kind promises.
    Unsupported,
}

impl InboundMessage {
    #[must_use]
    pub fn content(&self) -> Content<'_> {
        let media = |media: &'_ Option<Media>| media.is_some();
        match self.kind.as_deref() {
            Some("text") => self.text.as_ref().map(|text| Content::Text(&text.body)),
            Some("button") => self.button.as_ref().map(|button| Content::TemplateButton {
                payload: button.payload.as_deref().unwrap_or_default(),
                text: button.text.as_deref().unwrap_or_default(),
            }),
            Some("interactive") => self
                .interactive
                .as_ref()
                .and_then(Interactive::reply)
                .map(|reply| Content::Reply { id: &reply.id, title: reply.title.as_deref().unwrap_or_default() }),
            Some("audio") => self.audio.as_ref().map(|audio| match audio.voice {
                Some(true) => Content::VoiceNote(audio),
                Some(false) | None => Content::Media(audio),
            }),
            Some("image" | "video" | "document" | "sticker") => {
                [&self.image, &self.video, &self.document, &self.sticker]
                    .into_iter()
                    .find(|one| media(one))
                    .and_then(|one| one.as_ref().map(Content::Media))
            }
            Some("reaction") => self.reaction.as_ref().map(|reaction| Content::Reaction {
                message_id: &reaction.message_id,
                emoji: reaction.emoji.as_deref().unwrap_or_default(),
            }),
            Some(_) | None => None,
        }
        .unwrap_or(Content::Unsupported)
    }

    #[must_use]
    pub fn sent_at(&self) -> Option<Timestamp> {
        seconds(self.timestamp.as_deref())
    }
}

/// The message that this one answers.
#[derive(Debug, Clone, Deserialize)]
pub struct Context {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub id: Option<String>,
}

#[derive(Clone, Deserialize)]
pub struct TextBody {
    pub body: String,
}

#[derive(Clone, Deserialize)]
pub struct TemplateButton {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub payload: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub text: Option<String>,
}

/// One of the two is there, named by `type`.
#[derive(Clone, Deserialize)]
pub struct Interactive {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub button_reply: Option<InteractiveReply>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub list_reply: Option<InteractiveReply>,
}

impl Interactive {
    #[must_use]
    pub fn reply(&self) -> Option<&InteractiveReply> {
        self.button_reply.as_ref().or(self.list_reply.as_ref())
    }
}

#[derive(Clone, Deserialize)]
pub struct InteractiveReply {
    pub id: String,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub title: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Media {
    pub id: String,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub mime_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub sha256: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub voice: Option<bool>,
}

#[derive(Clone, Deserialize)]
pub struct Reaction {
    pub message_id: String,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub emoji: Option<String>,
}

/// What became of a message of ours. May come in any order and skip steps: `read` implies `delivered`.
#[derive(Clone, Deserialize)]
pub struct Status {
    pub id: String,
    /// `sent`, `delivered`, `read`, `played` or `failed`.
    pub status: String,
    /// Unix seconds, as text.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub timestamp: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub recipient_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub recipient_user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub pricing: Option<Pricing>,
    /// With `failed`; see [`failure`].
    #[serde(default, deserialize_with = "lenient::list")]
    pub errors: Vec<ErrorItem>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub biz_opaque_callback_data: Option<String>,
}

impl Status {
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        seconds(self.timestamp.as_deref())
    }

    /// The code of the first error.
    #[must_use]
    pub fn error_code(&self) -> Option<i64> {
        self.errors.iter().find_map(|error| error.code)
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Pricing {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub billable: Option<bool>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub pricing_model: Option<String>,
    /// `regular`, `free_customer_service` or `free_entry_point`.
    #[serde(rename = "type", default, deserialize_with = "lenient::optional")]
    pub kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub category: Option<String>,
}

/// An error's code. Its texts are not kept: they may quote what was sent.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct ErrorItem {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub code: Option<i64>,
}

redacted_debug! {
    Recipient {}
    WhatsAppMessage { content, biz_opaque_callback_data }
    Contact {}
    Profile {}
    InboundMessage { id, timestamp, kind, context, errors }
    TextBody {}
    TemplateButton { payload }
    Interactive { button_reply, list_reply }
    InteractiveReply { id }
    Reaction { message_id }
    Status { id, status, timestamp, errors, biz_opaque_callback_data }
}

impl std::fmt::Debug for OutboundContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text { body: _ } => f.write_str("Text(..)"),
            Self::Template { name, language, parameters: _, button_payloads: _ } => {
                write!(f, "Template({name}, {language}, ..)")
            }
            Self::Buttons { body: _, buttons } => write!(f, "Buttons({} buttons, ..)", buttons.len()),
        }
    }
}

impl std::fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(..)",
            Self::TemplateButton { .. } => "TemplateButton(..)",
            Self::Reply { .. } => "Reply(..)",
            Self::VoiceNote(_) => "VoiceNote(..)",
            Self::Media(_) => "Media(..)",
            Self::Reaction { .. } => "Reaction(..)",
            Self::Unsupported => "Unsupported",
        })
    }
}

fn seconds(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok()).and_then(|seconds| Timestamp::from_second(seconds).ok())
}

/// Meta's check that a URL is ours (GET with `hub.mode`, `hub.verify_token`, `hub.challenge`). The challenge that comes
/// back is the whole body of the 200, as plain text.
///
/// # Errors
/// `NoKey` when no token is set, `Missing` when a parameter is absent, `Mismatch` for another mode or token.
pub fn verify_challenge<'a>(
    mode: Option<&str>,
    token: Option<&str>,
    challenge: Option<&'a str>,
    expected: &SecretString,
) -> Result<&'a str, SignatureError> {
    let (Some(mode), Some(token), Some(challenge)) = (mode, token, challenge) else {
        return Err(SignatureError::Missing);
    };
    let expected = expected.expose_secret();
    if expected.trim().is_empty() {
        return Err(SignatureError::NoKey);
    }
    let same = constant_time::verify_slices_are_equal(token.as_bytes(), expected.as_bytes()).is_ok();
    if same && mode == "subscribe" { Ok(challenge) } else { Err(SignatureError::Mismatch) }
}

/// Checks that Meta sent this body: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 with the app secret over the body. The
/// older SHA-1 header is not looked at. There is no time in it: repeats verify, and it is for the caller to drop them.
///
/// # Errors
/// Any [`SignatureError`] but `OutsideWindow`.
pub fn verify_webhook(app_secrets: &[SecretString], headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
    let value = signature::header(headers, SIGNATURE_HEADER)?;
    let tag = signature::sha256_hex(value.strip_prefix("sha256=").ok_or(SignatureError::Malformed)?)?;
    signature::verify(HMAC_SHA256, app_secrets, &[body], &[&tag])
}

#[cfg(test)]
mod tests {
    use super::{Content, SignatureError, Webhook, verify_challenge};

    fn webhook(value: &str) -> Webhook {
        let text = format!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[
            {{"field":"account_update","value":{{"messages":"x"}}}},{{"field":"messages","value":{value}}}]}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_kind_of_message_is_read_and_odd_ones_are_dropped() {
        let webhook = webhook(
            r#"{"contacts":[{"profile":{"name":"Mara"},"wa_id":"15005550142","user_id":"US.900"}],"messages":[
            {"from":"15005550142","id":"a","timestamp":"1795000000","type":"text","text":{"body":"done"}},
            {"from":"15005550142","id":"b","type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"done","title":"Done"}}},
            {"from":"15005550142","id":"c","type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"r2","title":"Tomorrow"}}},
            {"from":"15005550142","id":"d","type":"button","button":{"payload":"snooze_15","text":"Snooze"}},
            {"from":"15005550142","id":"e","type":"audio","audio":{"id":"555","voice":true}},
            {"from_user_id":"US.900","id":"f","type":"image","image":{"id":"556"}},
            {"id":"g","type":"reaction","reaction":{"message_id":"wamid.A","emoji":"x"}},
            {"id":"h","type":"unsupported","errors":[{"code":131051}]},
            {"id":"i","type":"text"}, {"type":"text"}, 7]}"#,
        );
        let messages: Vec<_> = webhook.values().flat_map(|value| &value.messages).collect();
        let contents: Vec<String> = messages.iter().map(|message| format!("{:?}", message.content())).collect();
        assert_eq!(
            contents,
            [
                "Text(..)",
                "Reply(..)",
                "Reply(..)",
                "TemplateButton(..)",
                "VoiceNote(..)",
                "Media(..)",
                "Reaction(..)",
                "Unsupported",
                "Unsupported"
            ]
        );
        assert!(matches!(messages[0].content(), Content::Text("done")));
        assert!(matches!(messages[1].content(), Content::Reply { id: "done", title: "Done" }));
        assert_eq!(messages[0].sent_at().unwrap().as_second(), 1_795_000_000);
        assert_eq!((messages[5].from.as_deref(), messages[5].from_user_id.as_deref()), (None, Some("US.900")));
        let shown = format!("{webhook:?}");
        for secret in ["5005550142", "Mara", "\"done\" }", "US.900"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }

    #[test]
    fn statuses_are_read_with_errors_and_our_id() {
        let webhook = webhook(
            r#"{"statuses":[{"id":"w","status":"failed","timestamp":"1795000001","recipient_id":"15005550142",
            "errors":[{"code":131047,"title":"x"}],"biz_opaque_callback_data":"m1"},{"id":"w","status":"new"},{"id":"w"}]}"#,
        );
        let statuses: Vec<_> = webhook.values().flat_map(|value| &value.statuses).collect();
        assert_eq!(statuses.len(), 2);
        assert_eq!(statuses[0].error_code(), Some(131_047));
        assert_eq!(statuses[0].biz_opaque_callback_data.as_deref(), Some("m1"));
        assert_eq!(statuses[0].at().unwrap().as_second(), 1_795_000_001);
    }

    #[test]
    fn the_challenge_comes_back_for_the_right_mode_and_token_only() {
        let expected = "verify-me".into();
        assert_eq!(verify_challenge(Some("subscribe"), Some("verify-me"), Some("42"), &expected), Ok("42"));
        let refused = |mode, token| verify_challenge(mode, token, Some("42"), &expected);
        assert_eq!(refused(Some("subscribe"), Some("verify-you")), Err(SignatureError::Mismatch));
        assert_eq!(refused(Some("unsubscribe"), Some("verify-me")), Err(SignatureError::Mismatch));
        assert_eq!(refused(None, Some("verify-me")), Err(SignatureError::Missing));
        assert_eq!(verify_challenge(Some("subscribe"), Some(""), Some("42"), &"".into()), Err(SignatureError::NoKey));
    }
}
