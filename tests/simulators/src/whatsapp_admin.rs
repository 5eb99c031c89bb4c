//! Meta's business account: message templates with their review, and the apps that receive its webhooks.
//!
//! A new template is `PENDING` until [`crate::Simulators::review_templates`]. The list comes in small pages with a cursor. Fields that Meta does not
//! document are refused (it would ignore them), and a body with parameters needs a sample for each, as in its review.
//! Sending still goes by `infra/whatsapp/templates.json`, whatever was submitted here.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use serde_json::{Value, json};

use crate::{
    Inner,
    server::{self, header},
    whatsapp::{BUSINESS_ACCOUNT, error, placeholders},
};

/// The app that the token belongs to.
pub(crate) const APP: &str = "300000000000001";
const PAGE: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) templates: Vec<Value>,
    pub(crate) subscribed: bool,
    pub(crate) writes: usize,
}

fn bad(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, 100, message)
}

fn refused(inner: &Inner, headers: &HeaderMap, account: &str) -> Option<Response> {
    if header(headers, "authorization") != format!("Bearer {}", inner.secrets.whatsapp_token) {
        return Some(error(StatusCode::UNAUTHORIZED, 190, "Invalid OAuth access token"));
    }
    (account != BUSINESS_ACCOUNT).then(|| bad("Unsupported request: no such business account"))
}

/// `GET /{waba_id}/message_templates`
pub(crate) async fn list_templates(
    State(inner): State<Arc<Inner>>,
    Path((_, account)): Path<(String, String)>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refused(&inner, &headers, &account) {
        return refused;
    }
    let templates = inner.state().account.templates.clone();
    let mut start = 0;
    let mut fields: Option<Vec<String>> = None;
    for (name, value) in parameters {
        match name.as_str() {
            "after" => match value.parse() {
                Ok(position) => start = position,
                Err(_) => return bad("Invalid cursor"),
            },
            "fields" => fields = Some(value.split(',').map(str::to_owned).collect()),
            "limit" => {}
            _ => return bad("Unknown query parameter"),
        }
    }
    let end = templates.len().min(start + PAGE);
    let wanted = |template: &Value| match (&fields, template) {
        (Some(names), Value::Object(all)) => all
            .iter()
            .filter(|(name, _)| *name == "id" || names.contains(name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect(),
        _ => template.clone(),
    };
    let data: Vec<Value> = templates.iter().skip(start).take(PAGE).map(wanted).collect();
    let mut answer =
        json!({ "data": data, "paging": { "cursors": { "before": start.to_string(), "after": end.to_string() } } });
    if end < templates.len() {
        answer["paging"]["next"] = json!(format!("https://graph.facebook.com/next?after={end}"));
    }
    server::json(StatusCode::OK, &answer)
}

fn check(template: &Value) -> Result<(), &'static str> {
    let Some(fields) = template.as_object() else { return Err("Invalid parameter") };
    if fields.keys().any(|name| !["name", "language", "category", "components"].contains(&name.as_str())) {
        return Err("Unknown parameter");
    }
    let name = template["name"].as_str().unwrap_or_default();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 512 || !name.bytes().all(allowed) {
        return Err("Param name must hold lower-case letters, digits and underscores only");
    }
    if template["language"].as_str().is_none_or(str::is_empty) {
        return Err("The parameter language is required");
    }
    if !matches!(template["category"].as_str(), Some("UTILITY" | "MARKETING" | "AUTHENTICATION")) {
        return Err("Param category must be one of UTILITY, MARKETING, AUTHENTICATION");
    }
    let components = template["components"].as_array().ok_or("The parameter components is required")?;
    let mut has_body = false;
    for component in components {
        match component["type"].as_str() {
            Some("BODY") => {
                has_body = true;
                check_body(component)?;
            }
            Some("BUTTONS") => check_buttons(component)?,
            _ => return Err("Component type must be BODY or BUTTONS"),
        }
    }
    if has_body { Ok(()) } else { Err("A template needs a BODY") }
}

fn check_body(component: &Value) -> Result<(), &'static str> {
    let text = component["text"].as_str().ok_or("BODY needs a text")?;
    if text.chars().count() > 1024 {
        return Err("BODY must be at most 1024 characters long");
    }
    if text.trim().starts_with("{{") || text.trim().ends_with("}}") {
        return Err("Parameters must not stand at the start or the end");
    }
    let expected = placeholders(text);
    if expected != (1..=expected.len()).collect::<BTreeSet<usize>>() {
        return Err("Parameters must be numbered from 1 without gaps");
    }
    let samples = component["example"]["body_text"][0].as_array().map_or(0, Vec::len);
    if samples == expected.len() {
        Ok(())
    } else {
        Err("BODY needs one sample for each parameter in example.body_text")
    }
}

fn check_buttons(component: &Value) -> Result<(), &'static str> {
    let buttons =
        component["buttons"].as_array().filter(|buttons| !buttons.is_empty()).ok_or("BUTTONS needs buttons")?;
    let fits = |button: &Value| {
        button["type"] == "QUICK_REPLY"
            && button["text"].as_str().is_some_and(|text| (1..=25).contains(&text.chars().count()))
    };
    if buttons.len() <= 10 && buttons.iter().all(fits) {
        Ok(())
    } else {
        Err("Buttons are QUICK_REPLY with a text of at most 25 characters")
    }
}

/// `POST /{waba_id}/message_templates`: submitted, and pending.
pub(crate) async fn create_template(
    State(inner): State<Arc<Inner>>,
    Path((_, account)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    if let Some(refused) = refused(&inner, &headers, &account) {
        return refused;
    }
    let Ok(mut template) = serde_json::from_slice::<Value>(&bytes) else { return bad("Invalid JSON") };
    if let Err(message) = check(&template) {
        return bad(message);
    }
    let account = &mut inner.state().account;
    let same = |known: &&Value| known["name"] == template["name"] && known["language"] == template["language"];
    if account.templates.iter().find(same).is_some() {
        return bad("Content in this language already exists");
    }
    let id = format!("40000000000{:04}", account.templates.len() + 1);
    template["id"] = json!(id);
    template["status"] = json!("PENDING");
    let answer = json!({ "id": id, "status": "PENDING", "category": template["category"] });
    account.templates.push(template);
    account.writes += 1;
    server::json(StatusCode::OK, &answer)
}

/// `GET /{waba_id}/subscribed_apps`
pub(crate) async fn subscribed_apps(
    State(inner): State<Arc<Inner>>,
    Path((_, account)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refused(&inner, &headers, &account) {
        return refused;
    }
    let app = json!({ "whatsapp_business_api_data": { "id": APP, "name": "Ivy", "link": "https://www.facebook.com/games/?app_id=0" } });
    let data = if inner.state().account.subscribed { vec![app] } else { Vec::new() };
    server::json(StatusCode::OK, &json!({ "data": data }))
}

/// `POST /{waba_id}/subscribed_apps`: the token's app receives the account's webhooks from now on.
pub(crate) async fn subscribe_app(
    State(inner): State<Arc<Inner>>,
    Path((_, account)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refused(&inner, &headers, &account) {
        return refused;
    }
    let account = &mut inner.state().account;
    account.subscribed = true;
    account.writes += 1;
    server::json(StatusCode::OK, &json!({ "success": true }))
}
