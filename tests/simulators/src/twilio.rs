//! Twilio's Messages: form in, JSON out, and the status callback that the message asked for.
//!
//! Twilio has no idempotency key for messages: two requests are two SMS here, as there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use crate::{
    Inner, Persona, Provider,
    handset::{MessageStatus, ThreadEntry, Via, Words},
    server::{self, header, is_e164},
    webhooks::{Content, Draft},
};

const LONGEST_BODY: usize = 1600;

pub(crate) fn error(status: StatusCode, code: i64, message: &str) -> Response {
    let more_info = format!("https://www.twilio.com/docs/errors/{code}");
    server::json(status, &json!({"code": code, "message": message, "more_info": more_info, "status": status.as_u16()}))
}

/// The code that usually comes with a status, for faults that name none.
pub(crate) fn usual_code(status: StatusCode) -> i64 {
    match status.as_u16() {
        401 => 20_003,
        403 => 20_403,
        404 => 20_404,
        429 => 20_429,
        500.. => 20_500,
        _ => 20_001,
    }
}

fn rfc_2822(at: Timestamp) -> Value {
    jiff::fmt::rfc2822::to_string(&at.to_zoned(TimeZone::UTC)).map_or(Value::Null, Value::String)
}

/// The refusal of a request without our account's credentials.
pub(crate) fn unauthorised(inner: &Inner, headers: &HeaderMap, account_sid: &str) -> Option<Response> {
    let secrets = &inner.secrets;
    let credentials = format!("{}:{}", secrets.twilio_account_sid, secrets.twilio_auth_token);
    let authorised = header(headers, "authorization") == format!("Basic {}", STANDARD.encode(credentials))
        && account_sid == secrets.twilio_account_sid;
    (!authorised).then(|| error(StatusCode::UNAUTHORIZED, 20_003, "Authenticate"))
}

/// `POST /Accounts/{account_sid}/Messages.json`
pub(crate) async fn messages(
    State(inner): State<Arc<Inner>>,
    Path(account_sid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let secrets = &inner.secrets;
    if let Some(refused) = unauthorised(&inner, &headers, &account_sid) {
        return refused;
    }
    if !header(&headers, "content-type").starts_with("application/x-www-form-urlencoded") {
        return error(StatusCode::BAD_REQUEST, 21_604, "A 'To' phone number is required.");
    }
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let field =
        |name: &str| form.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str()).unwrap_or_default();
    let bad = |code: i64, message: &str| error(StatusCode::BAD_REQUEST, code, message);
    let (to, from, text) = (field("To"), field("From"), field("Body"));
    if to.is_empty() {
        return bad(21_604, "A 'To' phone number is required.");
    }
    if !is_e164(to) || matches!(inner.persona(to, ""), Persona::InvalidNumber) {
        return bad(21_211, "Invalid 'To' Phone Number");
    }
    if from.is_empty() && field("MessagingServiceSid").is_empty() {
        return bad(21_603, "A 'From' phone number is required.");
    }
    if !from.is_empty() && from != secrets.twilio_from {
        return bad(
            21_606,
            "The 'From' phone number provided is not a valid message-capable Twilio phone number for this destination",
        );
    }
    if text.is_empty() {
        return bad(21_602, "Message body is required.");
    }
    if text.chars().count() > LONGEST_BODY {
        return bad(21_617, "The concatenated message body exceeds the 1600 character limit");
    }
    let callback = match field("StatusCallback") {
        "" => None,
        address => match Url::parse(address) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Some(url),
            _ => return bad(21_609, "The 'StatusCallback' URL is not a valid URL."),
        },
    };
    let now = inner.now();
    let id = format!("SM{}", Uuid::new_v4().simple());
    let stopped = inner.with_phone(to, |entry| {
        if !entry.stopped_sms {
            let message = Words::text(text).message(Via::Sms, id.clone(), now);
            entry.thread.push(ThreadEntry::from_ivy(message, None));
        }
        entry.stopped_sms
    });
    if stopped {
        return bad(21_610, "Attempt to send to unsubscribed recipient");
    }
    inner.call_back(callback, to, &id);
    let answer = json!({
        "sid": id, "account_sid": account_sid, "api_version": "2010-04-01", "body": text, "from": secrets.twilio_from, "to": to,
        "status": "queued", "direction": "outbound-api", "num_segments": "1", "num_media": "0", "price": null,
        "price_unit": "USD", "error_code": null, "error_message": null, "messaging_service_sid": null,
        "date_created": rfc_2822(now), "date_updated": rfc_2822(now), "date_sent": null,
        "uri": format!("/2010-04-01/Accounts/{account_sid}/Messages/{id}.json"),
    });
    server::json(StatusCode::CREATED, &answer)
}

/// `GET /Accounts/{account_sid}/Messages.json`: what is kept, by recipient or sender and day of UTC, newest first.
pub(crate) async fn list_messages(
    State(inner): State<Arc<Inner>>,
    Path(account_sid): Path<String>,
    Query(filter): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers, &account_sid) {
        return refused;
    }
    let (phone, from_ivy) = match (filter.get("To"), filter.get("From")) {
        (Some(to), _) => (to, true),
        (None, Some(from)) => (from, false),
        (None, None) => return error(StatusCode::BAD_REQUEST, 20_001, "To or From is needed here"),
    };
    let ours = inner.secrets.twilio_from.as_str();
    let (from, to, direction) =
        if from_ivy { (ours, phone.as_str(), "outbound-api") } else { (phone.as_str(), ours, "inbound") };
    let since = filter.get("DateSent>").map(|day| day.parse::<Date>());
    let since = match since.transpose() {
        Ok(since) => since,
        Err(_) => return error(StatusCode::BAD_REQUEST, 20_001, "DateSent is no date"),
    };
    let of_day = |at: Timestamp| since.is_none_or(|since| at.to_zoned(TimeZone::UTC).date() >= since);
    let mut messages: Vec<Value> = inner
        .texts(phone, from_ivy)
        .into_iter()
        .filter(|entry| of_day(entry.message.at))
        .map(|entry| {
            json!({"sid": entry.message.id, "body": entry.message.text, "to": to, "from": from, "status": entry.status,
                   "date_created": rfc_2822(entry.message.at), "direction": direction})
        })
        .collect();
    messages.reverse();
    server::json(StatusCode::OK, &json!({"messages": messages, "page": 0, "page_size": 50, "next_page_uri": null}))
}

/// `DELETE /Accounts/{account_sid}/Messages/{sid}.json`: Twilio forgets a text; the phone that it went to does not.
pub(crate) async fn delete_message(
    State(inner): State<Arc<Inner>>,
    Path((account_sid, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers, &account_sid) {
        return refused;
    }
    let sid = file.strip_suffix(".json").unwrap_or(&file);
    let mut state = inner.state();
    let is_it = |entry: &ThreadEntry| entry.message.via == Via::Sms && entry.message.id == sid;
    let known = state.phones.values().any(|phone| phone.thread.iter().any(is_it));
    if known && state.deleted_texts.insert(sid.to_owned()) {
        return StatusCode::NO_CONTENT.into_response();
    }
    error(StatusCode::NOT_FOUND, 20_404, "The requested resource was not found")
}

impl Inner {
    /// The texts to a phone, or those from it, that are not deleted, oldest first.
    pub(crate) fn texts(&self, phone: &str, from_ivy: bool) -> Vec<ThreadEntry> {
        let mut texts = self.thread(phone);
        let state = self.state();
        texts.retain(|entry| {
            let kept = !state.deleted_texts.contains(&entry.message.id);
            entry.from_ivy == from_ivy && entry.message.via == Via::Sms && kept
        });
        texts
    }

    /// `sent` and `delivered`, or `undelivered` for a number that nobody has.
    fn call_back(self: &Arc<Self>, callback: Option<Url>, to: &str, id: &str) {
        let dead = self.persona(to, "") == Persona::DeadNumber;
        let last = if dead { ("undelivered", MessageStatus::Failed) } else { ("delivered", MessageStatus::Delivered) };
        let steps = [("sent", MessageStatus::Sent), last];
        if !self.posts() {
            for (rank, (name, status)) in (1..).zip(steps) {
                self.sms_status(callback.as_ref(), to, id, name, status, rank);
            }
            return;
        }
        let (inner, to, id) = (Arc::clone(self), to.to_owned(), id.to_owned());
        tokio::spawn(async move {
            for (rank, (name, status)) in (1..).zip(steps) {
                tokio::time::sleep(Duration::from_millis(300)).await;
                inner.sms_status(callback.as_ref(), &to, &id, name, status, rank);
            }
        });
    }

    fn sms_status(
        self: &Arc<Self>,
        callback: Option<&Url>,
        to: &str,
        id: &str,
        name: &str,
        status: MessageStatus,
        rank: u32,
    ) {
        self.with_phone(to, |entry| {
            if let Some(entry) = entry.thread.iter_mut().find(|entry| entry.message.id == id) {
                entry.status = status;
                entry.error = (status == MessageStatus::Failed).then_some(30_005);
            }
        });
        let Some(callback) = callback else { return };
        let mut form = vec![
            ("MessageSid", id),
            ("MessageStatus", name),
            ("SmsSid", id),
            ("SmsStatus", name),
            ("To", to),
            ("From", &self.secrets.twilio_from),
            ("AccountSid", &self.secrets.twilio_account_sid),
            ("ApiVersion", "2010-04-01"),
        ];
        if status == MessageStatus::Failed {
            form.push(("ErrorCode", "30005"));
        }
        let form = form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut url = callback.clone();
        // The fragment carries connection overrides; it is neither sent nor signed.
        url.set_fragment(None);
        self.emit(Draft::new(Provider::Twilio, url, Content::Form(form), rank));
    }
}
