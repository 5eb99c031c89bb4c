//! Meta: the templates of `infra/whatsapp/templates.json` in our business account, and the account's webhooks for our app.
//!
//! A template that is missing is submitted for review. One that differs is left alone and reported: Meta reviews an edit anew, allows
//! one a day and ten a month for an approved one, and messages that wait would be sent with the old text or not at all. Which of both is
//! right (an edit, or a new name in the file) a person decides.

use ivy_domain::message::Template;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    api::{Api, Body, object},
    compare::Difference,
    data::Data,
    failure::Failure,
    report::{Action, Reporter},
    settings::WhatsAppSettings,
};

const MOST_PAGES: usize = 1000;

pub(crate) async fn walk(
    api: &Api,
    whatsapp: &WhatsAppSettings,
    data: &Data,
    reporter: &mut Reporter<'_>,
) -> Result<(), Failure> {
    let account = whatsapp.business_account.as_str();
    let known = templates(api, account).await?;
    for template in &data.templates {
        let object_name = format!("WhatsApp template {} ({})", template.name, template.language);
        let same = |known: &&Value| known["name"] == template.name && known["language"] == template.language;
        let Some(found) = known.iter().find(same) else {
            if reporter.found(object_name, Action::Create) {
                api.send(Method::POST, &[account, "message_templates"], &[], Body::Json(&submission(template)?))
                    .await?;
                reporter.done(&format!("submitted template {}", template.name));
            }
            continue;
        };
        let (action, note) = judged(template, found);
        reporter.found_with(object_name, action, note);
    }
    subscription(api, whatsapp, reporter).await
}

async fn templates(api: &Api, account: &str) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let mut query = vec![("fields", "name,language,status,category,components,rejected_reason"), ("limit", "100")];
        query.extend(cursor.iter().map(|cursor| ("after", cursor.as_str())));
        let mut answer = api.get(&[account, "message_templates"], &query).await?;
        match answer["data"].take() {
            Value::Array(page) => found.extend(page),
            _ => return Err(Failure::new("The answer about WhatsApp's templates has no data.")),
        }
        if answer.pointer("/paging/next").is_none() {
            return Ok(found);
        }
        cursor = answer.pointer("/paging/cursors/after").and_then(Value::as_str).map(str::to_owned);
    }
    Err(Failure::new("The list of WhatsApp's templates does not end."))
}

/// A template as Meta takes it. What comes back on a tap is told when a message is sent, so a button is its title here.
fn submission(template: &Template) -> Result<Map<String, Value>, Failure> {
    let Template { name, language, category, body, buttons, samples } = template;
    let mut text = json!({ "type": "BODY", "text": body });
    if !samples.is_empty() {
        text["example"] = json!({ "body_text": [samples] });
    }
    let mut components = vec![text];
    if !buttons.is_empty() {
        let buttons: Vec<Value> =
            buttons.iter().map(|button| json!({ "type": "QUICK_REPLY", "text": button.title })).collect();
        components.push(json!({ "type": "BUTTONS", "buttons": buttons }));
    }
    object(json!({ "name": name, "language": language, "category": category, "components": components }), name)
}

fn component<'a>(template: &'a Value, kind: &str) -> Option<&'a Value> {
    template["components"].as_array()?.iter().find(|component| component["type"] == kind)
}

/// What a template that Meta has needs, and what is worth knowing about it.
fn judged(template: &Template, found: &Value) -> (Action, Option<String>) {
    let status = found["status"].as_str().unwrap_or("unknown");
    let body = component(found, "BODY").and_then(|body| body["text"].as_str()).unwrap_or_default();
    let titles: Vec<&str> = component(found, "BUTTONS")
        .and_then(|component| component["buttons"].as_array())
        .map(|buttons| buttons.iter().filter_map(|button| button["text"].as_str()).collect())
        .unwrap_or_default();
    let ours: Vec<&str> = template.buttons.iter().map(|button| button.title.as_str()).collect();
    let mut different = Vec::new();
    if body != template.body {
        different.push(Difference::texts("body", body, &template.body));
    }
    if titles != ours {
        different.push(Difference::texts("buttons", &titles.join(", "), &ours.join(", ")));
    }
    let category = found["category"].as_str().unwrap_or_default();
    let mut notes = Vec::new();
    if status != "APPROVED" {
        notes.push(format!("{status} at Meta"));
    }
    if category != template.category {
        notes.push(format!("Meta made it {category}, which is priced otherwise"));
    }
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    if !different.is_empty() {
        let parts: Vec<String> =
            different.iter().map(|Difference { field, old, new }| format!("{field}: {old} -> {new}")).collect();
        let id = found["id"].as_str().unwrap_or_default();
        let sentence = format!(
            "It differs ({}). Give the new text a new name in templates.json, or edit it at Meta (POST /{id}, once a day, reviewed anew).",
            parts.join("; ")
        );
        return (Action::ByHand(sentence), note);
    }
    match status {
        "REJECTED" | "DISABLED" | "PAUSED" => {
            let reason = found["rejected_reason"].as_str().unwrap_or("see the WhatsApp manager");
            (Action::ByHand(format!("Meta does not let it be sent ({reason}): change its text, or appeal.")), note)
        }
        _ => (Action::Nothing, note),
    }
}

async fn subscription(api: &Api, whatsapp: &WhatsAppSettings, reporter: &mut Reporter<'_>) -> Result<(), Failure> {
    let path = [whatsapp.business_account.as_str(), "subscribed_apps"];
    let answer = api.get(&path, &[]).await?;
    let apps = answer["data"].as_array().cloned().unwrap_or_default();
    let ours = |app: &Value| {
        let id = &app["whatsapp_business_api_data"]["id"];
        whatsapp.app.as_deref().is_none_or(|wanted| id == wanted)
    };
    let action = if apps.iter().any(ours) { Action::Nothing } else { Action::Create };
    if reporter.found("WhatsApp webhooks of the account for our app", action) {
        api.send(Method::POST, &path, &[], Body::None).await?;
        reporter.done("subscribed the app");
    }
    Ok(())
}
