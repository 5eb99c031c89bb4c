//! Twilio's numbers: where their texts and call statuses are posted.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::{
    Inner, server,
    twilio::{error, unauthorised},
};

#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) owned: Vec<Value>,
    pub(crate) writes: usize,
}

impl Numbers {
    pub(crate) fn with_number(number: &str) -> Self {
        let mut numbers = Self::default();
        numbers.add(number);
        numbers
    }

    pub(crate) fn add(&mut self, number: &str) {
        let sid = format!("PN{:032}", self.owned.len() + 1);
        self.owned.push(json!({
            "sid": sid, "phone_number": number, "friendly_name": number, "sms_url": "", "sms_method": "POST",
            "status_callback": "", "status_callback_method": "POST", "voice_url": null, "trunk_sid": null,
            "capabilities": { "voice": true, "sms": true, "mms": false, "fax": false }, "status": "in-use",
        }));
    }
}

/// The form's name, the field that it sets, and whether it is an address.
const FIELDS: [(&str, &str, bool); 5] = [
    ("SmsUrl", "sms_url", true),
    ("SmsMethod", "sms_method", false),
    ("StatusCallback", "status_callback", true),
    ("StatusCallbackMethod", "status_callback_method", false),
    ("FriendlyName", "friendly_name", false),
];

/// `GET /Accounts/{account_sid}/IncomingPhoneNumbers.json`
pub(crate) async fn list_numbers(
    State(inner): State<Arc<Inner>>,
    Path(account_sid): Path<String>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers, &account_sid) {
        return refused;
    }
    let wanted = parameters.iter().find(|(name, _)| name == "PhoneNumber").map_or("", |(_, value)| value);
    let owned = inner.state().twilio_numbers.owned.clone();
    let found: Vec<Value> =
        owned.into_iter().filter(|one| one["phone_number"].as_str().is_some_and(|own| own.contains(wanted))).collect();
    server::json(
        StatusCode::OK,
        &json!({ "incoming_phone_numbers": found, "page": 0, "page_size": 50, "next_page_uri": null }),
    )
}

/// `POST /Accounts/{account_sid}/IncomingPhoneNumbers/{sid}.json`
pub(crate) async fn update_number(
    State(inner): State<Arc<Inner>>,
    Path((account_sid, file)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    if let Some(refused) = unauthorised(&inner, &headers, &account_sid) {
        return refused;
    }
    let Some(sid) = file.strip_suffix(".json") else {
        return error(StatusCode::NOT_FOUND, 20_404, "The requested resource was not found");
    };
    let numbers = &mut inner.state().twilio_numbers;
    let Some(number) = numbers.owned.iter_mut().find(|number| number["sid"] == sid) else {
        return error(StatusCode::NOT_FOUND, 20_404, "The requested resource was not found");
    };
    for (name, value) in form_urlencoded::parse(&bytes) {
        let Some((_, field, is_address)) = FIELDS.iter().find(|(own, ..)| *own == name) else {
            return error(StatusCode::BAD_REQUEST, 20_001, "Unknown parameter");
        };
        if *is_address && !Url::parse(&value).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return error(StatusCode::BAD_REQUEST, 21_502, "Url is not a valid url");
        }
        number[*field] = json!(value);
    }
    let answer = number.clone();
    numbers.writes += 1;
    server::json(StatusCode::OK, &answer)
}
