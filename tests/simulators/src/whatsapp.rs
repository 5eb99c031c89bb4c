//! WhatsApp's Cloud API: sending with Meta's checks, the 24-hour window, statuses, and the webhook envelope.
//!
//! As at Meta, 200 means accepted and nothing more: a closed window (131047) or a number without WhatsApp (131026) is told by a `failed` status
//! afterwards. Bodies escape slashes and every non-ASCII character, so that a verifier that parses and prints before it checks
//! the signature fails here as it would in production.
//! Template names, languages and parameter counts are checked against `infra/whatsapp/templates.json` where that file exists.

use std::{collections::BTreeSet, fmt::Write as _, path::Path as FilePath, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Inner, Provider,
    handset::{Button, MessageStatus, ThreadEntry, Via, Words, normal},
    server::{self, header, is_e164},
    webhooks::{Content as Body, Draft},
};

pub(crate) const BUSINESS_ACCOUNT: &str = "100000000000001";

pub(crate) fn error(status: StatusCode, code: i64, message: &str) -> Response {
    let body = json!({"error": {
        "message": format!("(#{code}) {message}"),
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": message},
        "fbtrace_id": Uuid::new_v4().simple().to_string(),
    }});
    server::json(status, &body)
}

/// The code that usually comes with a status, for faults that name none.
pub(crate) fn usual_code(status: StatusCode) -> i64 {
    match status.as_u16() {
        401 => 190,
        403 => 10,
        429 => 130_429,
        500.. => 131_000,
        _ => 100,
    }
}

/// A refused message: HTTP 400 (404 for templates), Meta's code and a sentence.
struct Refused {
    status: StatusCode,
    code: i64,
    message: String,
}

fn parameter(message: impl Into<String>) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, code: 100, message: message.into() }
}

/// The approved templates, by name; `None` where the repository has no file (then any name goes).
#[derive(Debug, Default)]
pub(crate) struct Templates {
    known: Option<Vec<Template>>,
}

#[derive(Debug)]
struct Template {
    name: String,
    language: Option<String>,
    category: Option<String>,
    header: Option<String>,
    body: Option<String>,
    footer: Option<String>,
    button_titles: Vec<String>,
    /// One for each parameter of the body, as the review sees them.
    samples: Vec<String>,
}

impl Template {
    fn read(name: &str, value: &Value) -> Self {
        let own = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let samples = value.get("samples").and_then(Value::as_array).into_iter().flatten();
        Self {
            name: name.to_owned(),
            language: own("language"),
            category: own("category"),
            header: part_text(value, "header"),
            body: part_text(value, "body"),
            footer: part_text(value, "footer"),
            button_titles: button_titles(value),
            samples: samples.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    /// As it looks on a phone, with its samples.
    fn sample(&self) -> Value {
        let text = self.body.as_deref().map(|body| filled(body, &self.samples));
        let buttons: Vec<Value> = self.button_titles.iter().map(|title| json!({"id": title, "title": title})).collect();
        json!({
            "name": self.name, "language": self.language, "category": self.category,
            "header": self.header, "text": text, "footer": self.footer, "buttons": buttons,
        })
    }
}

impl Templates {
    pub(crate) fn of_repository() -> Self {
        let file = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/whatsapp/templates.json");
        let known = std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        Self { known: known.map(|value| Self::read(&value)) }
    }

    /// Every object that has a name and a body, wherever the file keeps its list.
    fn read(value: &Value) -> Vec<Template> {
        match value {
            Value::Array(items) => items.iter().flat_map(Self::read).collect(),
            Value::Object(fields) => match fields.get("name").and_then(Value::as_str) {
                Some(name) => vec![Template::read(name, value)],
                None => fields.values().flat_map(Self::read).collect(),
            },
            _ => Vec::new(),
        }
    }

    /// Every template as [`Template::sample`] shows it; `None` where the repository has no file.
    pub(crate) fn samples(&self) -> Option<Vec<Value>> {
        self.known.as_ref().map(|known| known.iter().map(Template::sample).collect())
    }

    fn find(&self, name: &str, language: &str) -> Result<Option<&Template>, Refused> {
        let Some(known) = &self.known else { return Ok(None) };
        known
            .iter()
            .find(|template| template.name == name && template.language.as_deref().is_none_or(|own| own == language))
            .map(Some)
            .ok_or_else(|| Refused {
                status: StatusCode::NOT_FOUND,
                code: 132_001,
                message: format!("Template name ({name}) does not exist in {language}"),
            })
    }
}

fn component<'a>(template: &'a Value, kind: &str) -> Option<&'a Value> {
    let is_kind =
        |part: &&Value| part.get("type").and_then(Value::as_str).is_some_and(|own| own.eq_ignore_ascii_case(kind));
    template.get("components")?.as_array()?.iter().find(is_kind)
}

fn part_text(template: &Value, kind: &str) -> Option<String> {
    let part = template.get(kind).or_else(|| component(template, kind))?;
    part.as_str().or_else(|| part.get("text").and_then(Value::as_str)).map(str::to_owned)
}

fn button_titles(template: &Value) -> Vec<String> {
    let buttons =
        template.get("buttons").or_else(|| component(template, "buttons").and_then(|part| part.get("buttons")));
    let title = |button: &Value| {
        let named = ["text", "title"].iter().find_map(|name| button.get(name).and_then(Value::as_str));
        button.as_str().or(named).map(str::to_owned)
    };
    buttons.and_then(Value::as_array).map(|list| list.iter().filter_map(title).collect()).unwrap_or_default()
}

/// The numbers of `{{1}}`, `{{2}}` … in a template's body.
pub(crate) fn placeholders(body: &str) -> BTreeSet<usize> {
    body.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")?.0.trim().parse().ok()).collect()
}

/// The body with its parameters put in, in the order of their numbers.
fn filled(body: &str, parameters: &[String]) -> String {
    placeholders(body)
        .into_iter()
        .zip(parameters)
        .fold(body.to_owned(), |text, (number, value)| text.replace(&format!("{{{{{number}}}}}"), value))
}

fn text_at<'a>(value: &'a Value, pointer: &str, longest: usize) -> Result<&'a str, Refused> {
    let text = value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text.is_empty() {
        Err(parameter(format!("The parameter {} is required", pointer.trim_start_matches('/'))))
    } else if text.chars().count() > longest {
        Err(parameter(format!("Param {} must be at most {longest} characters long", pointer.trim_start_matches('/'))))
    } else {
        Ok(text)
    }
}

impl Templates {
    fn fill(&self, template: &Value) -> Result<Words, Refused> {
        let name = text_at(template, "/name", 512)?;
        let language = text_at(template, "/language/code", 20)?;
        let known = self.find(name, language)?;
        let mut parameters = Vec::new();
        let mut payloads: Vec<(usize, String)> = Vec::new();
        for part in template.get("components").and_then(Value::as_array).into_iter().flatten() {
            let values = part.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
            match part.get("type").and_then(Value::as_str) {
                Some("body") => {
                    for value in &values {
                        parameters.push(text_at(value, "/text", 1024)?.to_owned());
                    }
                }
                Some("button") => {
                    let index = part.get("index").map(|index| index.to_string().trim_matches('"').parse::<usize>());
                    let Some(Ok(index)) = index else { return Err(parameter("Button component needs an index")) };
                    if part.get("sub_type").and_then(Value::as_str) == Some("quick_reply") {
                        let payload = values.first().map(|value| text_at(value, "/payload", 128)).transpose()?;
                        payloads.push((index, payload.unwrap_or_default().to_owned()));
                    }
                }
                Some("header") => {}
                _ => return Err(parameter("Component type must be header, body or button")),
            }
        }
        let text = match known.and_then(|known| known.body.as_deref()) {
            Some(body) => {
                let expected = placeholders(body);
                if expected.len() != parameters.len() {
                    let message = format!(
                        "body: number of parameters ({}) does not match ({})",
                        parameters.len(),
                        expected.len()
                    );
                    return Err(Refused { status: StatusCode::BAD_REQUEST, code: 132_000, message });
                }
                filled(body, &parameters)
            }
            None => format!("{name}: {}", parameters.join(", ")),
        };
        let titles = known.map(|known| known.button_titles.clone()).unwrap_or_default();
        let count = titles.len().max(payloads.iter().map(|(index, _)| index + 1).max().unwrap_or(0));
        let buttons = (0..count.min(10))
            .map(|index| {
                let title = titles.get(index).cloned();
                let payload = payloads.iter().find(|(of, _)| *of == index).map(|(_, payload)| payload.clone());
                // Meta sends the button's text as its payload where the message named none.
                let id = payload.or_else(|| title.clone()).unwrap_or_default();
                Button { title: title.unwrap_or_else(|| id.clone()), id }
            })
            .collect();
        let (header, footer) = known.map(|known| (known.header.clone(), known.footer.clone())).unwrap_or_default();
        Ok(Words { text, voice: false, template: Some(name.to_owned()), header, footer, buttons })
    }
}

fn interactive(interactive: &Value) -> Result<Words, Refused> {
    if interactive.get("type").and_then(Value::as_str) != Some("button") {
        return Err(parameter("Only interactive messages of type button are simulated"));
    }
    let text = text_at(interactive, "/body/text", 1024)?.to_owned();
    let list = interactive.pointer("/action/buttons").and_then(Value::as_array).cloned().unwrap_or_default();
    if !(1..=3).contains(&list.len()) {
        return Err(parameter("Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3"));
    }
    let mut buttons: Vec<Button> = Vec::new();
    for button in &list {
        let id = text_at(button, "/reply/id", 256)?.to_owned();
        let title = text_at(button, "/reply/title", 20)?.to_owned();
        if button.get("type").and_then(Value::as_str) != Some("reply") {
            return Err(parameter("Button type must be reply"));
        }
        if buttons.iter().any(|other| other.id == id || other.title == title) {
            return Err(parameter("Button ids and titles must be unique"));
        }
        buttons.push(Button { id, title });
    }
    let line = |pointer: &str| interactive.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Ok(Words { header: line("/header/text"), footer: line("/footer/text"), buttons, ..Words::text(text) })
}

/// What the request asks to send.
fn outgoing(templates: &Templates, request: &Value) -> Result<Words, Refused> {
    match request.get("type").and_then(Value::as_str).unwrap_or("text") {
        "text" => Ok(Words::text(text_at(request, "/text/body", 4096)?)),
        "template" => templates.fill(request.get("template").unwrap_or(&Value::Null)),
        "interactive" => interactive(request.get("interactive").unwrap_or(&Value::Null)),
        "audio" => {
            let source = ["/audio/id", "/audio/link"].iter().find_map(|pointer| text_at(request, pointer, 2048).ok());
            let source = source.ok_or_else(|| parameter("audio needs an id or a link"))?;
            Ok(Words::voice(format!("Voice note ({source})")))
        }
        other => {
            let message = format!("Unsupported message type: {other}");
            Err(Refused { status: StatusCode::BAD_REQUEST, code: 131_051, message })
        }
    }
}

/// As Meta's: it carries the person's number, for whoever decodes it.
pub(crate) fn new_message_id(phone: &str) -> String {
    let digits = phone.trim_start_matches('+');
    format!("wamid.{}", STANDARD.encode(format!("{digits}{}", Uuid::new_v4().simple())))
}

/// `POST /{version}/{phone_number_id}/messages`
pub(crate) async fn messages(
    State(inner): State<Arc<Inner>>,
    Path((_version, phone_number_id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if header(&headers, "authorization") != format!("Bearer {}", inner.secrets.whatsapp_token) {
        return error(StatusCode::UNAUTHORIZED, 190, "Invalid OAuth access token");
    }
    if phone_number_id != inner.secrets.whatsapp_phone_number_id {
        return error(StatusCode::BAD_REQUEST, 100, "Object with this phone number id does not exist");
    }
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return error(StatusCode::BAD_REQUEST, 100, "The body is not JSON");
    };
    if request.get("messaging_product").and_then(Value::as_str) != Some("whatsapp") {
        return error(StatusCode::BAD_REQUEST, 100, "The parameter messaging_product is required");
    }
    if request.get("status").and_then(Value::as_str) == Some("read") {
        inner.mark_read(request.get("message_id").and_then(Value::as_str).unwrap_or_default());
        return server::json(StatusCode::OK, &json!({"success": true}));
    }
    match inner.accept(&request) {
        Ok(answer) => server::json(StatusCode::OK, &answer),
        Err(refused) => error(refused.status, refused.code, &refused.message),
    }
}

impl Inner {
    fn accept(self: &Arc<Self>, request: &Value) -> Result<Value, Refused> {
        let input = match text_at(request, "/recipient", 100) {
            // A person without a number is addressed by the id that their messages carry.
            Ok(id) => id.split_once(".9").map_or("", |(_, digits)| digits),
            Err(_) => text_at(request, "/to", 20)?,
        };
        let phone = normal(input);
        if !is_e164(&phone) {
            return Err(parameter("The parameter to is not a phone number"));
        }
        let opaque = request.get("biz_opaque_callback_data").and_then(Value::as_str).map(str::to_owned);
        if opaque.as_ref().is_some_and(|data| data.len() > 512) {
            return Err(parameter("biz_opaque_callback_data must be at most 512 characters long"));
        }
        let outgoing = outgoing(&self.templates, request)?;
        let now = self.now();
        let id = new_message_id(&phone);
        let free_form = outgoing.template.is_none();
        let reachable = self.on_whatsapp(&phone);
        let message = outgoing.message(Via::WhatsApp, id.clone(), now);
        self.with_phone(&phone, |entry| {
            let mut sent = ThreadEntry::from_ivy(message, opaque);
            sent.error = if !reachable {
                Some(131_026)
            } else if free_form && !entry.window_open(now) {
                Some(131_047)
            } else {
                None
            };
            if sent.error.is_some() {
                sent.status = MessageStatus::Failed;
            }
            entry.thread.push(sent);
        });
        self.progress(&phone, &id);
        Ok(json!({
            "messaging_product": "whatsapp",
            "contacts": [{"input": input, "wa_id": phone.trim_start_matches('+')}],
            "messages": [{"id": id, "message_status": "accepted"}],
        }))
    }

    /// Tells `failed`, or `sent` and then `delivered`.
    fn progress(self: &Arc<Self>, phone: &str, id: &str) {
        if !self.posts() {
            self.tell_status(phone, id);
            self.deliver(phone, id);
            return;
        }
        let (inner, phone, id) = (Arc::clone(self), phone.to_owned(), id.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            inner.tell_status(&phone, &id);
            tokio::time::sleep(Duration::from_millis(600)).await;
            inner.deliver(&phone, &id);
        });
    }

    fn tell_status(self: &Arc<Self>, phone: &str, id: &str) {
        let Some(entry) = self.thread(phone).into_iter().find(|entry| entry.message.id == id) else { return };
        let rank = match entry.status {
            MessageStatus::Sent => 1,
            MessageStatus::Delivered => 2,
            MessageStatus::Read | MessageStatus::Failed => 3,
        };
        self.emit_whatsapp(&status(&entry, phone, self.now()), rank);
    }

    fn deliver(self: &Arc<Self>, phone: &str, id: &str) {
        let delivered = self.with_phone(phone, |entry| {
            let sent =
                entry.thread.iter_mut().find(|entry| entry.message.id == id && entry.status == MessageStatus::Sent);
            sent.map(|entry| entry.status = MessageStatus::Delivered).is_some()
        });
        if delivered {
            self.tell_status(phone, id);
        }
    }

    /// Wraps a change's value into the envelope and queues it.
    pub(crate) fn emit_whatsapp(self: &Arc<Self>, value: &Value, rank: u32) {
        let mut value = value.clone();
        value["messaging_product"] = json!("whatsapp");
        value["metadata"] = json!({
            "display_phone_number": self.secrets.twilio_from.trim_start_matches('+'),
            "phone_number_id": self.secrets.whatsapp_phone_number_id,
        });
        let body = json!({
            "object": "whatsapp_business_account",
            "entry": [{"id": BUSINESS_ACCOUNT, "changes": [{"field": "messages", "value": value}]}],
        });
        let body = Body::Json(escaped(&body.to_string()).into_bytes());
        self.emit(Draft::new(Provider::WhatsApp, self.webhook_url(Provider::WhatsApp), body, rank));
    }
}

/// JSON as Meta writes it: `\/` for a slash, `\u` escapes for all that is not ASCII.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        match character {
            '/' => out.push_str("\\/"),
            character if character.is_ascii() => out.push(character),
            character => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a String can't fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

/// The business-scoped user id, stable for a number.
fn scoped_id(phone: &str) -> String {
    let country = if phone.starts_with("+1") { "US" } else { "GB" };
    format!("{country}.9{}", phone.trim_start_matches('+'))
}

/// The value of a change that brings a message of the person; `content` has `type` and its part. A hidden number is absent.
pub(crate) fn inbound(phone: &str, hidden: bool, id: &str, now: Timestamp, content: Value) -> Value {
    let digits = phone.trim_start_matches('+');
    let mut message = content;
    let mut contact = json!({"profile": {"name": "Mara"}, "user_id": scoped_id(phone)});
    if !hidden {
        message["from"] = json!(digits);
        contact["wa_id"] = json!(digits);
    }
    message["from_user_id"] = json!(scoped_id(phone));
    message["id"] = json!(id);
    message["timestamp"] = json!(now.as_second().to_string());
    json!({"contacts": [contact], "messages": [message]})
}

/// The value of a change that brings the present status of a message.
pub(crate) fn status(entry: &ThreadEntry, phone: &str, now: Timestamp) -> Value {
    let mut status = json!({
        "id": entry.message.id,
        "status": entry.status,
        "timestamp": now.as_second().to_string(),
        "recipient_id": phone.trim_start_matches('+'),
        "recipient_user_id": scoped_id(phone),
    });
    if let Some(opaque) = &entry.opaque {
        status["biz_opaque_callback_data"] = json!(opaque);
    }
    match entry.error {
        Some(code) => {
            let title = match code {
                131_047 => "Re-engagement message",
                131_026 => "Message undeliverable",
                _ => "Something went wrong",
            };
            status["errors"] = json!([{"code": code, "title": title, "message": title}]);
        }
        None => {
            let category = if entry.message.template.is_some() { "utility" } else { "service" };
            status["pricing"] = json!({"billable": category == "utility", "pricing_model": "PMP", "type": "regular", "category": category});
        }
    }
    json!({"statuses": [status]})
}

#[cfg(test)]
mod tests {
    use super::{Templates, escaped, placeholders};
    use serde_json::json;

    #[test]
    fn escapes_as_meta_does() {
        assert_eq!(escaped(r#"{"a":"£/✅💪"}"#), "{\"a\":\"\\u00a3\\/\\u2705\\ud83d\\udcaa\"}");
    }

    #[test]
    fn templates_are_found_in_a_list_or_below_a_key_and_filled() {
        let one = json!({"name": "t", "language": "en_GB", "body": "Hi {{1}}, {{2}} {{1}}", "buttons": ["Done", {"text": "Skip"}]});
        for file in [json!([one]), json!({"templates": [one]})] {
            let templates = Templates { known: Some(Templates::read(&file)) };
            let request = json!({"name": "t", "language": {"code": "en_GB"}, "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "Mara"}, {"type": "text", "text": "go"}]},
                {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "done"}]},
            ]});
            let filled = templates.fill(&request).ok().expect("a known template");
            assert_eq!(filled.text, "Hi Mara, go Mara");
            let buttons: Vec<_> =
                filled.buttons.iter().map(|button| (button.id.as_str(), button.title.as_str())).collect();
            assert_eq!(buttons, [("done", "Done"), ("Skip", "Skip")]);
            let code = |request| templates.fill(&request).err().map(|refused| refused.code);
            assert_eq!(code(json!({"name": "other", "language": {"code": "en_GB"}})), Some(132_001));
            assert_eq!(code(json!({"name": "t", "language": {"code": "de"}})), Some(132_001));
            assert_eq!(code(json!({"name": "t", "language": {"code": "en_GB"}})), Some(132_000));
        }
    }

    #[test]
    fn placeholders_are_counted_once() {
        assert_eq!(placeholders("{{1}} {{2}} {{1}} {{x}} {{").len(), 2);
    }
}
