//! Retell's workspace: agents with their language models, and the numbers that are bound to them, as `ivy-provision` sets them up.
//!
//! Names, types and ranges of fields are those of Retell's Python SDK 6.2.13. A field that it does not know is refused here, although the real one
//! may only ignore it: a misspelt setting must not pass for set. A published version cannot be changed; a change needs a draft
//! (`create-agent-version`), which gives agent and language model the same new version.
//!
//! As at Retell, answers hold more than was sent: defaults are filled in. Pages are small, so that a client which reads one page only is found
//! out. Calls do not ask for the agents here: any agent's id goes on a call, as before.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequestParts, Path, Query, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use crate::{
    Inner,
    retell::{bad, error, not_found, unauthorised},
    server,
};

type Fields = Map<String, Value>;
type Parameters = Query<Vec<(String, String)>>;

const PAGE: usize = 2;
const DAY_IN_MILLISECONDS: i64 = 86_400_000;

/// An agent or a language model with all its versions; the position is the version's number.
#[derive(Debug, Clone, Default)]
struct Versioned {
    id: String,
    versions: Vec<Version>,
}

#[derive(Debug, Clone, Default)]
struct Version {
    fields: Fields,
    base: Option<usize>,
    published: bool,
    modified: i64,
}

impl Versioned {
    /// The version that the query names, or the latest.
    fn version(&self, wanted: Option<usize>) -> Option<usize> {
        let latest = self.versions.len().checked_sub(1)?;
        match wanted {
            None => Some(latest),
            Some(version) => (version <= latest).then_some(version),
        }
    }

    fn answer(&self, id_name: &str, version: usize) -> Value {
        let Version { fields, base, published, modified } = &self.versions[version];
        let mut answer = fields.clone();
        answer.insert(id_name.to_owned(), json!(self.id));
        answer.insert("version".to_owned(), json!(version));
        answer.insert("is_published".to_owned(), json!(published));
        answer.insert("last_modification_timestamp".to_owned(), json!(modified));
        if let Some(base) = base {
            answer.insert("base_version".to_owned(), json!(base));
        }
        Value::Object(answer)
    }
}

/// Everything that the workspace keeps.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    agents: Vec<Versioned>,
    llms: Vec<Versioned>,
    numbers: Vec<Fields>,
    made: u64,
    writes: usize,
}

impl Workspace {
    pub(crate) fn with_number(number: &str) -> Self {
        Self { numbers: vec![new_number(number)], ..Self::default() }
    }

    fn next_id(&mut self, prefix: &str) -> String {
        self.made += 1;
        format!("{prefix}_{:016x}", self.made)
    }

    pub(crate) fn add_number(&mut self, number: &str) {
        self.numbers.push(new_number(number));
    }

    /// Agents as `get-agent` answers, in their latest versions.
    pub(crate) fn agents(&self) -> Vec<Value> {
        self.agents.iter().filter_map(|one| Some(one.answer("agent_id", one.version(None)?))).collect()
    }

    pub(crate) fn llms(&self) -> Vec<Value> {
        self.llms.iter().filter_map(|one| Some(one.answer("llm_id", one.version(None)?))).collect()
    }

    pub(crate) fn numbers(&self) -> Vec<Value> {
        self.numbers.iter().cloned().map(Value::Object).collect()
    }

    /// How many requests changed something.
    pub(crate) fn writes(&self) -> usize {
        self.writes
    }

    fn check_engine(&self, fields: &Fields) -> Result<(), String> {
        let Some(engine) = fields.get("response_engine").and_then(Value::as_object) else { return Ok(()) };
        check(engine, &[("type", OneOf(&["retell-llm"]), false), ("llm_id", Text, false), ("version", COUNT, true)])?;
        let id = text(engine, "llm_id").ok_or("response_engine/llm_id is required")?;
        if text(engine, "type").is_none() {
            return Err("response_engine/type is required".to_owned());
        }
        if self.llms.iter().any(|llm| llm.id == id) { Ok(()) } else { Err(format!("LLM {id} was not found")) }
    }
}

fn new_number(number: &str) -> Fields {
    let number = json!({ "phone_number": number, "phone_number_type": "custom", "phone_number_pretty": number,
                         "last_modification_timestamp": 0 });
    number.as_object().cloned().unwrap_or_default()
}

/// What a field may hold. Ranges include both ends.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Bool,
    Int(i64, i64),
    Number(f64, f64),
    OneOf(&'static [&'static str]),
    List,
    Object,
    /// An object of texts.
    Texts,
    TextOrList,
}
use Kind::{Bool, Int, List, Number, Object, OneOf, Text, TextOrList, Texts};

const COUNT: Kind = Int(0, i64::MAX);
const SHARE: Kind = Number(0.0, 1.0);
const UP_TO_TWO: Kind = Number(0.0, 2.0);

/// Name, kind, and whether `null` clears it.
type Field = (&'static str, Kind, bool);

const MODELS: &[&str] = &[
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-nano",
    "gpt-5.1",
    "gpt-5.2",
    "gpt-5.4",
    "gpt-5.4-mini",
    "gpt-5.4-nano",
    "gpt-5.5",
    "gpt-5.6-terra",
    "gpt-5.6-luna",
    "gpt-6-astra",
    "gpt-6-sol",
    "gpt-6.1-sol",
    "gpt-6-luna",
    "claude-4.6-sonnet",
    "claude-5-opus",
    "claude-5.5-opus",
    "claude-5-sonnet",
    "claude-5.5-sonnet",
    "claude-5.5-haiku",
    "claude-4.5-haiku",
    "gemini-3.0-flash",
    "gemini-3.1-flash-lite",
    "gemini-3.5-flash",
    "gemini-3.5-flash-lite",
    "gemini-3.6-flash",
    "gemini-3.7-flash",
    "gemini-3.8-flash",
    "gemini-4-argon",
];

const AGENT: &[Field] = &[
    ("response_engine", Object, false),
    ("voice_id", Text, false),
    ("agent_name", Text, true),
    ("allow_dtmf_interruption", Bool, false),
    ("allow_user_dtmf", Bool, false),
    ("ambient_sound", Text, true),
    ("ambient_sound_volume", UP_TO_TWO, false),
    ("backchannel_frequency", SHARE, false),
    ("backchannel_words", List, true),
    ("begin_message_delay_ms", Int(0, 5_000), false),
    ("boosted_keywords", List, true),
    ("call_screening_option", Object, true),
    ("contact_memory_config", Object, false),
    ("custom_stt_config", Object, true),
    ("data_storage_retention_days", Int(1, 730), true),
    ("data_storage_setting", OneOf(&["everything", "everything_except_pii", "basic_attributes_only"]), false),
    ("denoising_enhancement_level", SHARE, true),
    ("denoising_mode", OneOf(&["no-denoise", "noise-cancellation", "noise-and-background-speech-cancellation"]), false),
    ("enable_backchannel", Bool, false),
    ("enable_dnc_detection", Bool, false),
    ("enable_dynamic_responsiveness", Bool, false),
    ("enable_dynamic_voice_speed", Bool, false),
    ("enable_expressive_mode", Bool, false),
    ("end_call_after_silence_ms", Int(10_000, i64::MAX), false),
    ("expressive_emotion_tags", List, false),
    ("expressive_mode_prompt", Text, true),
    ("fallback_voice_ids", List, true),
    ("guardrail_config", Object, false),
    ("handbook_config", Object, false),
    ("interruption_sensitivity", SHARE, false),
    ("is_transfer_agent", Bool, false),
    ("ivr_option", Object, true),
    ("language", TextOrList, false),
    ("max_call_duration_ms", Int(60_000, 7_200_000), false),
    ("opt_in_signed_url", Bool, false),
    ("pii_config", Object, false),
    ("post_call_analysis_data", List, true),
    ("post_call_analysis_model", OneOf(MODELS), true),
    ("post_session_tools", List, true),
    ("pre_session_tools", List, true),
    ("pronunciation_dictionary", List, true),
    ("reminder_max_count", COUNT, false),
    ("reminder_trigger_ms", Number(1.0, f64::MAX), false),
    ("responsiveness", SHARE, false),
    ("ring_duration_ms", Int(5_000, 300_000), false),
    ("signed_url_expiration_ms", Int(1, 30 * DAY_IN_MILLISECONDS), true),
    ("stt_mode", OneOf(&["fast", "accurate", "custom"]), false),
    ("timezone", Text, true),
    ("user_dtmf_options", Object, true),
    ("version_description", Text, true),
    ("version_title", Text, true),
    ("vocab_specialization", OneOf(&["general", "medical"]), false),
    ("voice_model", Text, true),
    ("voice_speed", Number(0.5, 2.0), false),
    ("voice_temperature", UP_TO_TWO, false),
    ("voicemail_option", Object, true),
    ("volume", UP_TO_TWO, false),
    ("webhook_events", List, true),
    ("webhook_timeout_ms", Int(1, i64::MAX), false),
    ("webhook_url", Text, true),
];

const LLM: &[Field] = &[
    ("backup_model", Object, false),
    ("begin_after_user_silence_ms", COUNT, true),
    ("begin_message", Text, true),
    ("default_dynamic_variables", Texts, true),
    ("general_prompt", Text, true),
    ("general_tools", List, true),
    ("is_transfer_llm", Bool, true),
    ("kb_config", Object, true),
    ("knowledge_base_ids", List, true),
    ("mcps", List, true),
    ("model", OneOf(MODELS), true),
    ("model_config", Object, false),
    ("model_high_priority", Bool, true),
    ("model_temperature", SHARE, false),
    ("model_ultrafast", Bool, true),
    ("s2s_model", Text, true),
    ("start_speaker", OneOf(&["user", "agent"]), false),
    ("starting_state", Text, true),
    ("states", List, true),
    ("tool_call_strict_mode", Bool, true),
];

const CUSTOM_TOOL: &[Field] = &[
    ("name", Text, false),
    ("type", OneOf(&["custom"]), false),
    ("url", Text, false),
    ("args_at_root", Bool, false),
    ("description", Text, false),
    ("enable_typing_sound", Bool, false),
    ("execution_message_description", Text, false),
    ("execution_message_type", OneOf(&["prompt", "static_text"]), false),
    ("headers", Texts, false),
    ("max_retry", Int(0, 5), false),
    ("method", OneOf(&["GET", "POST", "PUT", "PATCH", "DELETE"]), false),
    ("parameter_type", OneOf(&["json", "form"]), false),
    ("parameters", Object, false),
    ("query_params", Texts, false),
    ("response_variables", Texts, false),
    ("speak_after_execution", Bool, false),
    ("speak_during_execution", Bool, false),
    ("timeout_ms", Int(1_000, 600_000), false),
];

const END_CALL: &[Field] = &[
    ("name", Text, false),
    ("type", OneOf(&["end_call"]), false),
    ("custom_sip_headers", Texts, false),
    ("description", Text, false),
    ("execution_message_description", Text, false),
    ("execution_message_type", OneOf(&["prompt", "static_text"]), false),
    ("speak_during_execution", Bool, false),
];

const ANALYSIS: &[Field] = &[
    ("name", Text, false),
    ("type", OneOf(&["string", "enum", "boolean", "number"]), false),
    ("description", Text, false),
    ("choices", List, false),
    ("conditional_prompt", Text, false),
    ("examples", List, false),
    ("required", Bool, false),
];

const NUMBER: &[Field] = &[
    ("allowed_inbound_country_list", List, true),
    ("allowed_outbound_country_list", List, true),
    ("auth_password", Text, false),
    ("auth_username", Text, false),
    ("codecs", List, false),
    ("fallback_number", Text, true),
    ("inbound_agents", List, true),
    ("inbound_sms_agents", List, true),
    ("inbound_sms_webhook_url", Text, true),
    ("inbound_webhook_url", Text, true),
    ("nickname", Text, true),
    ("outbound_agents", List, true),
    ("outbound_sms_agents", List, true),
    ("termination_uri", Text, false),
    ("transport", OneOf(&["TLS", "TCP", "UDP"]), true),
];

const EVENTS: &[&str] = &[
    "call_started",
    "call_ended",
    "call_analyzed",
    "transcript_updated",
    "transfer_started",
    "transfer_bridged",
    "transfer_cancelled",
    "transfer_ended",
];

fn fits(value: &Value, kind: Kind) -> bool {
    let within = |low: f64, high: f64| value.as_f64().is_some_and(|number| (low..=high).contains(&number));
    match kind {
        Text => value.is_string(),
        Bool => value.is_boolean(),
        Int(low, high) => value.as_i64().is_some_and(|number| (low..=high).contains(&number)),
        Number(low, high) => within(low, high),
        OneOf(choices) => value.as_str().is_some_and(|text| choices.contains(&text)),
        List => value.is_array(),
        Object => value.is_object(),
        Texts => value.as_object().is_some_and(|map| map.values().all(Value::is_string)),
        TextOrList => value.is_string() || value.is_array(),
    }
}

/// Every field is known and fits.
fn check(fields: &Fields, known: &[Field]) -> Result<(), String> {
    for (name, value) in fields {
        let Some((_, kind, clears)) = known.iter().find(|(own, ..)| own == name) else {
            return Err(format!("{name} is not a known property"));
        };
        if !(fits(value, *kind) || (*clears && value.is_null())) {
            return Err(format!("{name} has a wrong type or is out of range"));
        }
    }
    Ok(())
}

fn needs(fields: &Fields, names: &[&str]) -> Result<(), String> {
    match names.iter().find(|name| fields.get(**name).is_none_or(Value::is_null)) {
        Some(name) => Err(format!("{name} is required")),
        None => Ok(()),
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

fn list<'a>(fields: &'a Fields, name: &str) -> impl Iterator<Item = &'a Value> {
    fields.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Fields, String> {
    value.as_object().ok_or_else(|| format!("{what} must be an object"))
}

fn check_agent(fields: &Fields) -> Result<(), String> {
    check(fields, AGENT)?;
    for entry in list(fields, "post_call_analysis_data") {
        let entry = object(entry, "post_call_analysis_data")?;
        check(entry, ANALYSIS)?;
        needs(entry, &["name", "type", "description"])?;
        let choices = list(entry, "choices").count();
        if (text(entry, "type") == Some("enum")) != (choices > 0) {
            return Err("post_call_analysis_data/choices goes with the type enum".to_owned());
        }
        if entry.contains_key("examples") && text(entry, "type") != Some("string") {
            return Err("post_call_analysis_data/examples goes with the type string".to_owned());
        }
    }
    if list(fields, "webhook_events").any(|event| event.as_str().is_none_or(|event| !EVENTS.contains(&event))) {
        return Err("webhook_events holds an unknown event".to_owned());
    }
    if let Some(option) = fields.get("voicemail_option").and_then(Value::as_object) {
        check(option, &[("action", Object, false), ("detection_prompt", Text, true)])?;
        needs(option, &["action"])?;
        let action = object(&option["action"], "voicemail_option/action")?;
        check(
            action,
            &[("type", OneOf(&["prompt", "static_text", "hangup", "bridge_transfer"]), false), ("text", Text, false)],
        )?;
        needs(action, &["type"])?;
        if matches!(text(action, "type"), Some("prompt" | "static_text")) {
            needs(action, &["text"])?;
        }
    }
    if let Some(option) = fields.get("call_screening_option").and_then(Value::as_object) {
        check(option, &[("agent_identity", Text, false), ("call_purpose", Text, false)])?;
        needs(option, &["agent_identity", "call_purpose"])?;
    }
    if let Some(config) = fields.get("contact_memory_config").and_then(Value::as_object) {
        check(config, &[("enable_read", Bool, false), ("enable_update", Bool, false)])?;
    }
    if let Some(config) = fields.get("handbook_config").and_then(Value::as_object) {
        const PRESETS: &[&str] = &[
            "ai_disclosure",
            "conversational_personality",
            "default_personality",
            "echo_verification",
            "high_empathy",
            "nato_phonetic_alphabet",
            "natural_filler_words",
            "scope_boundaries",
            "smart_matching",
            "speech_normalization",
        ];
        if let Some(name) = config.keys().find(|name| !PRESETS.contains(&name.as_str())) {
            return Err(format!("handbook_config/{name} is not a known property"));
        }
    }
    Ok(())
}

fn check_llm(fields: &Fields) -> Result<(), String> {
    check(fields, LLM)?;
    let mut names: Vec<&str> = Vec::new();
    for tool in list(fields, "general_tools") {
        let tool = object(tool, "general_tools")?;
        match text(tool, "type") {
            Some("custom") => {
                check(tool, CUSTOM_TOOL)?;
                needs(tool, &["name", "type", "url"])?;
                if let Some(parameters) = tool.get("parameters").and_then(Value::as_object) {
                    check_parameters(parameters)?;
                }
            }
            Some("end_call") => {
                check(tool, END_CALL)?;
                needs(tool, &["name", "type"])?;
            }
            _ => return Err("general_tools/type is not one that Ivy uses".to_owned()),
        }
        let name = text(tool, "name").unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) || names.contains(&name) {
            return Err(format!("general_tools/name {name} is not valid or not unique"));
        }
        names.push(name);
    }
    if let Some(config) = fields.get("model_config").and_then(Value::as_object) {
        check(
            config,
            &[
                ("type", OneOf(&["cascading", "s2s"]), false),
                ("primary", Object, false),
                ("backup", Object, true),
                ("temperature", SHARE, false),
            ],
        )?;
        if let Some(primary) = config.get("primary").and_then(Value::as_object) {
            check(
                primary,
                &[("model", OneOf(MODELS), false), ("tier", OneOf(&["standard", "fast", "ultrafast"]), false)],
            )?;
            needs(primary, &["model"])?;
        }
    }
    Ok(())
}

fn check_parameters(parameters: &Fields) -> Result<(), String> {
    check(
        parameters,
        &[
            ("type", OneOf(&["object"]), false),
            ("properties", Object, false),
            ("required", List, false),
            ("additionalProperties", Bool, false),
        ],
    )?;
    needs(parameters, &["type", "properties"])?;
    let properties = object(&parameters["properties"], "parameters/properties")?;
    let unknown = list(parameters, "required").find(|name| !properties.contains_key(name.as_str().unwrap_or_default()));
    unknown.map_or(Ok(()), |name| Err(format!("parameters/required names {name}, which is no property")))
}

/// What Retell adds to what was sent.
fn with_defaults(mut fields: Fields) -> Fields {
    for tool in fields.get_mut("general_tools").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(tool) = tool.as_object_mut() {
            tool.entry("speak_during_execution").or_insert(json!(false));
            if text(tool, "type") == Some("custom") {
                tool.entry("args_at_root").or_insert(json!(false));
                tool.entry("timeout_ms").or_insert(json!(120_000));
            }
        }
    }
    fields
}

fn merge(into: &mut Fields, changes: Fields) {
    for (name, value) in with_defaults(changes) {
        if value.is_null() {
            into.remove(&name);
        } else {
            into.insert(name, value);
        }
    }
}

fn body(bytes: &[u8]) -> Result<Fields, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("Request body must be an object".to_owned()),
        Err(_) => Err("Request body is not valid JSON".to_owned()),
    }
}

/// Somebody with our key.
pub(crate) struct Authorised;

impl FromRequestParts<Arc<Inner>> for Authorised {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, inner: &Arc<Inner>) -> Result<Self, Response> {
        unauthorised(inner, &parts.headers).map_or(Ok(Self), Err)
    }
}

/// Why a request is refused. A word about its fields alone is a bad request.
pub(crate) enum Refused {
    Bad(String),
    Unprocessable(String),
    NotFound,
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Self::Bad(message)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Bad(message) => bad(message),
            Self::Unprocessable(message) => error(StatusCode::UNPROCESSABLE_ENTITY, &message),
            Self::NotFound => not_found(),
        }
    }
}

type Answer = Result<Response, Refused>;

/// A number that the body must have.
fn number(fields: &Fields, name: &str) -> Result<usize, String> {
    let number = fields.get(name).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("{name} is required"))
}

/// An agent or a language model in the version that the query names.
fn shown(all: &[Versioned], (id_name, id): (&str, &str), parameters: &[(String, String)]) -> Answer {
    let wanted = version_in(parameters)?;
    let one = all.iter().find(|one| one.id == id).ok_or(Refused::NotFound)?;
    let version = one.version(wanted).ok_or(Refused::NotFound)?;
    Ok(server::json(StatusCode::OK, &one.answer(id_name, version)))
}

/// Changes a draft of an agent or a language model.
fn changed(
    all: &mut [Versioned],
    (id_name, id): (&str, &str),
    wanted: Option<usize>,
    fields: Fields,
    now: i64,
) -> Answer {
    let one = all.iter_mut().find(|one| one.id == id).ok_or(Refused::NotFound)?;
    let version = one.version(wanted).ok_or(Refused::NotFound)?;
    let draft = &mut one.versions[version];
    if draft.published {
        let what = if id_name == "llm_id" { "LLM" } else { "agent" };
        return Err(Refused::Bad(format!("Cannot update a published {what}")));
    }
    merge(&mut draft.fields, fields);
    draft.modified = now;
    Ok(server::json(StatusCode::OK, &one.answer(id_name, version)))
}

/// The items of a list, each with what pages go by.
fn keyed(name: &str, items: impl IntoIterator<Item = Value>) -> Vec<(String, Value)> {
    items.into_iter().map(|item| (item[name].as_str().unwrap_or_default().to_owned(), item)).collect()
}

/// The `version` of the query, when it is the only parameter and a number.
fn version_in(parameters: &[(String, String)]) -> Result<Option<usize>, String> {
    match parameters {
        [] => Ok(None),
        [(name, value)] if name == "version" => {
            value.parse().map(Some).map_err(|_| "version must be a number".to_owned())
        }
        _ => Err("the only query parameter is version".to_owned()),
    }
}

/// One page of a list: `limit`, `pagination_key` and `sort_order` are understood, anything else refused.
fn page(parameters: &[(String, String)], items: Vec<(String, Value)>) -> Answer {
    let mut start = 0;
    let mut limit = PAGE;
    for (name, value) in parameters {
        match name.as_str() {
            "limit" => match value.parse() {
                Ok(wanted @ 1..=1000) => limit = PAGE.min(wanted),
                _ => return Err(Refused::Bad("limit must be between 1 and 1000".to_owned())),
            },
            "pagination_key" => match items.iter().position(|(id, _)| id == value) {
                Some(position) => start = position + 1,
                None => return Err(Refused::Bad("pagination_key is unknown".to_owned())),
            },
            "sort_order" if matches!(value.as_str(), "ascending" | "descending") => {}
            _ => return Err(Refused::Bad(format!("{name} is not a known query parameter"))),
        }
    }
    let has_more = items.len() > start + limit;
    let page: Vec<(String, Value)> = items.into_iter().skip(start).take(limit).collect();
    let mut answer = json!({ "has_more": has_more });
    if let (true, Some((id, _))) = (has_more, page.last()) {
        answer["pagination_key"] = json!(id);
    }
    answer["items"] = page.into_iter().map(|(_, value)| value).collect();
    Ok(server::json(StatusCode::OK, &answer))
}

/// `POST /create-retell-llm`
pub(crate) async fn create_llm(_: Authorised, State(inner): State<Arc<Inner>>, bytes: Bytes) -> Answer {
    let fields = body(&bytes)?;
    check_llm(&fields)?;
    needs(&fields, &["start_speaker"])?;
    let modified = inner.now().as_millisecond();
    let workspace = &mut inner.state().workspace;
    workspace.writes += 1;
    let id = workspace.next_id("llm");
    let mut version = Version { modified, ..Version::default() };
    merge(&mut version.fields, fields);
    let llm = Versioned { id, versions: vec![version] };
    let answer = llm.answer("llm_id", 0);
    workspace.llms.push(llm);
    Ok(server::json(StatusCode::CREATED, &answer))
}

/// `GET /get-retell-llm/{llm_id}`
pub(crate) async fn get_llm(
    _: Authorised,
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Query(parameters): Parameters,
) -> Answer {
    shown(&inner.state().workspace.llms, ("llm_id", &id), &parameters)
}

/// `GET /v2/list-retell-llms`
pub(crate) async fn list_llms(_: Authorised, State(inner): State<Arc<Inner>>, Query(parameters): Parameters) -> Answer {
    page(&parameters, keyed("llm_id", inner.state().workspace.llms()))
}

/// `PATCH /update-retell-llm/{llm_id}`
pub(crate) async fn update_llm(
    _: Authorised,
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Query(parameters): Parameters,
    bytes: Bytes,
) -> Answer {
    let wanted = version_in(&parameters)?;
    let fields = body(&bytes)?;
    check_llm(&fields)?;
    let now = inner.now().as_millisecond();
    let workspace = &mut inner.state().workspace;
    let answer = changed(&mut workspace.llms, ("llm_id", &id), wanted, fields, now)?;
    workspace.writes += 1;
    Ok(answer)
}

/// `POST /create-agent`
pub(crate) async fn create_agent(_: Authorised, State(inner): State<Arc<Inner>>, bytes: Bytes) -> Answer {
    let fields = body(&bytes)?;
    check_agent(&fields)?;
    needs(&fields, &["response_engine", "voice_id"])?;
    let modified = inner.now().as_millisecond();
    let workspace = &mut inner.state().workspace;
    workspace.check_engine(&fields).map_err(Refused::Unprocessable)?;
    workspace.writes += 1;
    let id = workspace.next_id("agent");
    let mut version = Version { modified, ..Version::default() };
    version.fields.insert("allow_user_dtmf".to_owned(), json!(true));
    version.fields.insert("webhook_timeout_ms".to_owned(), json!(10_000));
    merge(&mut version.fields, fields);
    version.fields["response_engine"]["version"] = json!(0);
    let agent = Versioned { id, versions: vec![version] };
    let answer = agent.answer("agent_id", 0);
    workspace.agents.push(agent);
    Ok(server::json(StatusCode::CREATED, &answer))
}

/// `GET /get-agent/{agent_id}`
pub(crate) async fn get_agent(
    _: Authorised,
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Query(parameters): Parameters,
) -> Answer {
    shown(&inner.state().workspace.agents, ("agent_id", &id), &parameters)
}

/// `GET /v2/list-agents`: names and ids only.
pub(crate) async fn list_agents(
    _: Authorised,
    State(inner): State<Arc<Inner>>,
    Query(parameters): Parameters,
) -> Answer {
    let items = inner.state().workspace.agents().into_iter().map(|agent| {
        json!({
            "agent_id": agent["agent_id"], "agent_name": agent.get("agent_name").cloned().unwrap_or_else(|| json!("")),
            "channel": "voice", "is_suspended": false, "is_transfer_agent": false, "tags": {},
            "user_modified_timestamp": agent["last_modification_timestamp"],
        })
    });
    page(&parameters, keyed("agent_id", items))
}

/// `PATCH /update-agent/{agent_id}`
pub(crate) async fn update_agent(
    _: Authorised,
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    Query(parameters): Parameters,
    bytes: Bytes,
) -> Answer {
    let wanted = version_in(&parameters)?;
    let fields = body(&bytes)?;
    check_agent(&fields)?;
    let now = inner.now().as_millisecond();
    let workspace = &mut inner.state().workspace;
    workspace.check_engine(&fields).map_err(Refused::Unprocessable)?;
    let answer = changed(&mut workspace.agents, ("agent_id", &id), wanted, fields, now)?;
    workspace.writes += 1;
    Ok(answer)
}

/// `POST /create-agent-version/{agent_id}`: a draft of agent and language model, with one new number for both.
pub(crate) async fn create_agent_version(
    _: Authorised,
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Answer {
    let fields = body(&bytes)?;
    check(&fields, &[("base_version", COUNT, false)])?;
    let base = number(&fields, "base_version")?;
    let modified = inner.now().as_millisecond();
    let workspace = &mut inner.state().workspace;
    let agent = workspace.agents.iter_mut().find(|agent| agent.id == id).ok_or(Refused::NotFound)?;
    agent.version(Some(base)).ok_or(Refused::NotFound)?;
    let number = agent.versions.len();
    let draft = |from: &Version| Version { base: Some(base), published: false, modified, fields: from.fields.clone() };
    let mut next = draft(&agent.versions[base]);
    let llm_id = next.fields["response_engine"]["llm_id"].as_str().unwrap_or_default().to_owned();
    next.fields["response_engine"]["version"] = json!(number);
    agent.versions.push(next);
    let answer = agent.answer("agent_id", number);
    if let Some(llm) = workspace.llms.iter_mut().find(|llm| llm.id == llm_id) {
        let next = draft(&llm.versions[base.min(llm.versions.len() - 1)]);
        llm.versions.push(next);
    }
    workspace.writes += 1;
    Ok(server::json(StatusCode::CREATED, &answer))
}

/// `POST /publish-agent-version/{agent_id}`: 200 without a body.
pub(crate) async fn publish_agent_version(
    _: Authorised,
    State(inner): State<Arc<Inner>>,
    Path(id): Path<String>,
    bytes: Bytes,
) -> Answer {
    let fields = body(&bytes)?;
    check(&fields, &[("version", COUNT, false), ("version_title", Text, false), ("version_description", Text, false)])?;
    let version = number(&fields, "version")?;
    let workspace = &mut inner.state().workspace;
    let agent = workspace.agents.iter_mut().find(|agent| agent.id == id).ok_or(Refused::NotFound)?;
    let published = agent.versions.get_mut(version).ok_or(Refused::NotFound)?;
    if published.published {
        return Err(Refused::Bad("This version is published already".to_owned()));
    }
    published.published = true;
    let llm_id = published.fields["response_engine"]["llm_id"].as_str().unwrap_or_default().to_owned();
    let llm = workspace.llms.iter_mut().find(|llm| llm.id == llm_id);
    if let Some(spoken) = llm.and_then(|llm| llm.versions.get_mut(version)) {
        spoken.published = true;
    }
    workspace.writes += 1;
    Ok(StatusCode::OK.into_response())
}

/// `GET /v2/list-phone-numbers`
pub(crate) async fn list_numbers(
    _: Authorised,
    State(inner): State<Arc<Inner>>,
    Query(parameters): Parameters,
) -> Answer {
    page(&parameters, keyed("phone_number", inner.state().workspace.numbers()))
}

/// `PATCH /update-phone-number/{phone_number}`
pub(crate) async fn update_number(
    _: Authorised,
    State(inner): State<Arc<Inner>>,
    Path(number): Path<String>,
    bytes: Bytes,
) -> Answer {
    let fields = body(&bytes)?;
    check(&fields, NUMBER)?;
    let modified = inner.now().as_millisecond();
    let workspace = &mut inner.state().workspace;
    for name in ["inbound_agents", "outbound_agents"] {
        let mut weights = Vec::new();
        for bound in list(&fields, name) {
            let bound = object(bound, name)?;
            // A version is a number, or a name such as `latest_published`.
            let mut plain = bound.clone();
            plain.remove("agent_version");
            check(&plain, &[("agent_id", Text, false), ("weight", SHARE, false)])?;
            needs(bound, &["agent_id", "weight"])?;
            if !workspace.agents.iter().any(|agent| Some(agent.id.as_str()) == text(bound, "agent_id")) {
                return Err(Refused::Unprocessable("Agent was not found".to_owned()));
            }
            weights.push(bound["weight"].as_f64().unwrap_or_default());
        }
        if !weights.is_empty() && (weights.iter().sum::<f64>() - 1.0).abs() > 1e-6 {
            return Err(Refused::Bad(format!("{name}: weights must add up to 1")));
        }
    }
    let known = workspace.numbers.iter_mut().find(|known| text(known, "phone_number") == Some(&number));
    let known = known.ok_or(Refused::NotFound)?;
    merge(known, fields);
    known.insert("last_modification_timestamp".to_owned(), json!(modified));
    let answer = Value::Object(known.clone());
    workspace.writes += 1;
    Ok(server::json(StatusCode::OK, &answer))
}
