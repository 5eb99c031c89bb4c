//! The examples of the OpenAPI document are true: each is valid against its own schema, and a request made of them works.
//!
//! The validator knows the keywords that the document uses and no more. A keyword that it does not know stops the test, so that
//! nothing is passed over. A request is made of the examples of its fields; a field that is required and has none gets a
//! value by its type: an id that there is, a time in an hour. Fields that are optional and have no example are left out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

use std::collections::BTreeMap;

use axum::{body::Body, http::Method};
use ivy_domain::admin::AdminRole;
use ivy_world::{Client, Person, Reply, World, api};
use jiff::{SignedDuration, Timestamp, civil::Date};
use regex_lite::Regex;
use serde_json::{Map, Value, json};

/// What these requests carry is a secret that was given out before; no example can be one.
const NEEDS_A_SECRET: [&str; 2] = ["verify-magic-link", "refresh-session"];
/// What providers send is theirs to define, and signed.
const OF_PROVIDERS: [&str; 6] =
    ["retell-webhook", "retell-inbound", "retell-function", "twilio-status", "twilio-sms", "whatsapp-webhook"];
/// Keywords that say nothing about which values are valid.
const WORDS: [&str; 6] = ["description", "example", "examples", "default", "title", "deprecated"];

fn document() -> Value {
    serde_json::from_str(&api::document()).unwrap()
}

// Valid against its own schema

#[test]
fn every_example_is_valid_against_its_own_schema() {
    let document = document();
    let mut examples = Vec::new();
    collect("", &document, &mut examples);
    assert!(examples.len() > 100, "only {} examples were found", examples.len());
    let wrong: Vec<String> = examples
        .iter()
        .filter_map(|(place, example, schema)| {
            let reason = validate(&document, schema, example).err()?;
            Some(format!("{place}: {example}: {reason}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every example with the schema that it stands in, or that stands beside it (of parameters and bodies).
fn collect(place: &str, value: &Value, found: &mut Vec<(String, Value, Value)>) {
    match value {
        Value::Object(fields) => {
            let schema = fields.get("schema").unwrap_or(value);
            if let Some(example) = fields.get("example") {
                found.push((place.to_owned(), example.clone(), schema.clone()));
            }
            match fields.get("examples") {
                Some(Value::Array(examples)) => {
                    found.extend(examples.iter().map(|example| (place.to_owned(), example.clone(), schema.clone())));
                }
                Some(Value::Object(named)) => {
                    let values = named.values().filter_map(|example| example.get("value"));
                    found.extend(values.map(|example| (place.to_owned(), example.clone(), schema.clone())));
                }
                _ => {}
            }
            for (name, inner) in fields.iter().filter(|(name, _)| !matches!(name.as_str(), "example" | "examples")) {
                match (name.as_str(), inner) {
                    // The names in here are those of fields, also where one is called `example`.
                    ("properties", Value::Object(properties)) => {
                        let inside = properties.iter();
                        inside.for_each(|(name, inner)| collect(&format!("{place}/{name}"), inner, found));
                    }
                    _ => collect(&format!("{place}/{name}"), inner, found),
                }
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(&format!("{place}/{index}"), item, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn resolve<'a>(document: &'a Value, reference: &str) -> &'a Value {
    document.pointer(reference.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

/// Why a value is not valid.
fn validate(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let all = |schemas: &Value| -> Vec<Result<(), String>> {
        schemas.as_array().unwrap().iter().map(|schema| validate(document, schema, value)).collect()
    };
    let number = |limit: &Value| limit.as_f64().unwrap();
    let hold = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what} of {schema}")) };
    for (keyword, rule) in schema.as_object().into_iter().flatten() {
        match keyword.as_str() {
            "$ref" => validate(document, resolve(document, rule.as_str().unwrap()), value)?,
            "allOf" => all(rule).into_iter().collect::<Result<(), _>>()?,
            "oneOf" => hold(all(rule).iter().filter(|result| result.is_ok()).count() == 1, keyword)?,
            "anyOf" => hold(all(rule).iter().any(Result::is_ok), keyword)?,
            "type" => hold(of_type(rule, value), keyword)?,
            "enum" => hold(rule.as_array().unwrap().contains(value), keyword)?,
            "const" => hold(rule == value, keyword)?,
            "minimum" => hold(value.as_f64().is_none_or(|value| value >= number(rule)), keyword)?,
            "maximum" => hold(value.as_f64().is_none_or(|value| value <= number(rule)), keyword)?,
            "minLength" => {
                hold(value.as_str().is_none_or(|text| text.chars().count() as f64 >= number(rule)), keyword)?
            }
            "maxLength" => {
                hold(value.as_str().is_none_or(|text| text.chars().count() as f64 <= number(rule)), keyword)?
            }
            "minItems" => hold(value.as_array().is_none_or(|items| items.len() as f64 >= number(rule)), keyword)?,
            "maxItems" => hold(value.as_array().is_none_or(|items| items.len() as f64 <= number(rule)), keyword)?,
            "pattern" => {
                let pattern = Regex::new(rule.as_str().unwrap()).unwrap();
                hold(value.as_str().is_none_or(|text| pattern.is_match(text)), keyword)?;
            }
            "format" => hold(of_format(rule.as_str().unwrap(), value), keyword)?,
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|item| validate(document, rule, item))?;
            }
            "required" => {
                let missing =
                    |name: &&Value| value.as_object().is_some_and(|v| !v.contains_key(name.as_str().unwrap()));
                hold(!rule.as_array().unwrap().iter().any(|name| missing(&name)), keyword)?;
            }
            "properties" => {
                for (name, field) in value.as_object().into_iter().flatten() {
                    let Some(schema) = rule.get(name) else { continue };
                    validate(document, schema, field).map_err(|reason| format!("{name}: {reason}"))?;
                }
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object();
                for (name, field) in value.as_object().into_iter().flatten() {
                    let other = known.is_none_or(|known| !known.contains_key(name));
                    match rule {
                        Value::Bool(allowed) => hold(*allowed || !other, keyword)?,
                        rule if other => validate(document, rule, field)?,
                        _ => {}
                    }
                }
            }
            "propertyNames" => {
                let mut names = value.as_object().into_iter().flatten().map(|(name, _)| json!(name));
                names.try_for_each(|name| validate(document, rule, &name))?;
            }
            // A parameter or a body is described beside its schema.
            "schema" | "in" | "name" | "style" | "explode" => {}
            word if WORDS.contains(&word) => {}
            other => panic!("the validator does not know {other:?}: {schema}"),
        }
    }
    Ok(())
}

fn of_type(rule: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type is called {other}"),
    };
    rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is))
}

fn of_format(format: &str, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return true };
    match format {
        "date-time" => text.parse::<Timestamp>().is_ok(),
        "date" => text.len() == 10 && text.parse::<Date>().is_ok(),
        "uuid" => text.parse::<uuid::Uuid>().is_ok(),
        "password" | "int32" | "int64" | "double" => true,
        other => panic!("the validator does not know the format {other:?}"),
    }
}

#[test]
fn the_validator_finds_what_is_wrong() {
    let document = json!({"components": {"schemas": {"Name": {"type": "string", "maxLength": 3}}}});
    let schema = json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"$ref": "#/components/schemas/Name"},
            "at": {"type": ["string", "null"], "format": "date-time"},
            "size": {"type": "integer", "minimum": 1},
            "code": {"type": "string", "pattern": "^[0-9]{2}$"},
            "either": {"oneOf": [{"type": "null"}, {"type": "array", "items": {"type": "boolean"}}]},
        },
        "additionalProperties": false,
    });
    let good = json!({"name": "abc", "at": null, "size": 1, "code": "42", "either": [true]});
    assert_eq!(validate(&document, &schema, &good), Ok(()));
    for (field, wrong) in [
        ("name", json!("abcd")),
        ("name", json!(1)),
        ("at", json!("tomorrow")),
        ("size", json!(0)),
        ("size", json!(1.5)),
        ("code", json!("4")),
        ("either", json!([1])),
        ("other", json!(1)),
    ] {
        let mut value = good.clone();
        value[field] = wrong.clone();
        assert!(validate(&document, &schema, &value).is_err(), "{field} may not be {wrong}");
    }
    assert!(validate(&document, &schema, &json!({})).is_err());
}

// A request made of them works

/// What requests are about.
struct Setting {
    world: World,
    person: Person,
    /// Signed in, and not onboarded.
    new: Person,
    operator: Client,
    /// By the function that takes it.
    ids: BTreeMap<&'static str, String>,
}

impl Setting {
    async fn new() -> Self {
        let world = World::new().await;
        let person = Box::pin(world.person("+447700900601").tier("b2c_elite").join(&world)).await;
        let later = world.now() + SignedDuration::from_hours(5);
        let workout = person.plan("Run", world.now()).await;
        let moved = person.schedule("rescue", later).await;
        let had = person.schedule("rescue", world.now() + SignedDuration::from_mins(30)).await;
        world.simulators.set_persona(&person.phone, ivy_world::talks(json!({})));
        world.advance(SignedDuration::from_mins(45)).await;
        let operator = world.operator().await;
        let new = Box::pin(world.person("+447700900602").not_onboarded().join(&world)).await;
        let ids = BTreeMap::from([("update-workout", workout), ("reschedule-call", moved), ("record-outcome", had)]);
        Self { world, person, new, operator, ids }
    }

    async fn operator_who_signs_in_with(&self, body: &Value) {
        let (email, password) = (body["email"].as_str().unwrap(), body["password"].as_str().unwrap());
        let (email, password) = (email.parse().unwrap(), password.parse().unwrap());
        let (store, now) = (&self.world.ivy.store, self.world.now());
        ivy_flows::admins::add(store, &email, AdminRole::Operator, &password, now).await.unwrap();
    }

    /// The body that a schema's examples make.
    fn body(&self, document: &Value, schema: &Value) -> Value {
        if let Some(example) = schema.get("example") {
            return example.clone();
        }
        if let Some(reference) = schema["$ref"].as_str() {
            return self.body(document, resolve(document, reference));
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            return choices
                .iter()
                .find(|choice| choice["type"] != "null")
                .map_or(Value::Null, |c| self.body(document, c));
        }
        let mut body = Map::new();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let value = match field.get("example") {
                Some(example) => example.clone(),
                None if required.contains(&name.as_str()) => self.by_type(document, name, field),
                None => match self.body(document, field) {
                    Value::Object(inner) if !inner.is_empty() => inner.into(),
                    _ => continue,
                },
            };
            body.insert(name.clone(), value);
        }
        body.into()
    }

    fn by_type(&self, document: &Value, name: &str, field: &Value) -> Value {
        match (name, field["format"].as_str(), field["type"].as_str()) {
            ("user_id", ..) => json!(self.person.id),
            (_, Some("date-time"), _) => json!(self.world.now() + SignedDuration::from_hours(1)),
            (_, _, Some("boolean")) => json!(true),
            _ if field.get("$ref").is_some() => self.body(document, field),
            _ => panic!("{name} is required and has no example: {field}"),
        }
    }

    async fn send(&self, id: &str, method: &str, path: &str, operation: &Value, body: &Value) -> Reply {
        let anyone = self.world.client();
        let client = match &operation["security"] {
            Value::Null if id == "onboard-user" => &self.new.client,
            Value::Null => &self.person.client,
            open if *open == json!([{}]) => &anyone,
            _ => &self.operator,
        };
        let thing = self.ids.get(id).map_or("me", String::as_str);
        let method: Method = method.to_uppercase().parse().unwrap();
        let headers = [("content-type", "application/json"), ("idempotency-key", id)];
        client.send(method, &path.replace("{id}", thing), &headers, Body::from(body.to_string())).await
    }
}

#[tokio::test]
async fn a_request_made_of_the_examples_works() {
    let document = document();
    let setting = Box::pin(Setting::new()).await;
    let mut tried = 0;
    let mut wrong = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            // Signing out everywhere is for the end.
            let last = id == "end-session";
            if schema.is_null() || last || NEEDS_A_SECRET.contains(&id) || OF_PROVIDERS.contains(&id) {
                continue;
            }
            tried += 1;
            let body = setting.body(&document, schema);
            validate(&document, schema, &body).unwrap_or_else(|reason| panic!("{id}: {reason}"));
            if id == "admin-login" {
                setting.operator_who_signs_in_with(&body).await;
            }
            let reply = Box::pin(setting.send(id, method, path, operation, &body)).await;
            if !reply.status.is_success() {
                wrong.push(format!("{id} {body}: {} {}", reply.status, reply.text));
            }
        }
    }
    assert!(tried > 10, "only {tried} requests were made");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
