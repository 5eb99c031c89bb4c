//! Retell: placing calls, asking what became of them, and reading its webhooks.
//!
//! A call is created with our attempt's id twice: as `idempotency_key`, which keeps Retell from dialling again for one
//! hour, and in the metadata, by which [`Retell::find_by_attempt`] finds the call when the answer was lost. Both
//! together settle every [`ProviderError::Unknown`].
//!
//! What leads to which error, beyond the common rules in `error.rs`:
//! 429 → `RateLimited` (their answer when all concurrent calls are in use, too); 400 and 422 → `Rejected`, of class
//! `InvalidNumber` only when the message names the number that is called, `OptedOut` when it names the do-not-call
//! list, else `InvalidRequest` (422: `NotFound`, which is a missing agent or number of ours); 404 → `Rejected` of
//! class `NotFound`; 401, 402 (no payment method) and 403 → `Misconfigured`; 5xx → `Unknown`.
//! A message that speaks of `from_number` is about us, never about the person.

use std::collections::BTreeMap;

use aws_lc_rs::hmac::HMAC_SHA256;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::{
    error::{Class, ProviderError},
    http::{Answer, endpoint, exchange},
    lenient,
    signature::{self, SignatureError},
};

pub const SIGNATURE_HEADER: &str = "x-retell-signature";

/// How far the time of a signature may be from ours, either way.
const WINDOW_MILLISECONDS: u64 = 300_000;

/// The client. `base_url` is the root (`https://api.retellai.com`): paths bring their own versions.
#[derive(Debug, Clone)]
pub struct Retell {
    http: reqwest::Client,
    base_url: Url,
    api_key: SecretString,
}

/// A call to be placed.
#[derive(Clone, Serialize)]
pub struct CreatePhoneCall {
    /// E.164, a number of ours that Retell knows.
    pub from_number: String,
    /// E.164.
    pub to_number: String,
    pub override_agent_id: String,
    /// Only what was published is heard, never a draft.
    pub override_agent_version: &'static str,
    pub metadata: CallMetadata,
    /// What the agent's prompt may say. Values are text: Retell takes no numbers or booleans.
    pub retell_llm_dynamic_variables: BTreeMap<String, String>,
    /// The same key within an hour places no second call.
    pub idempotency_key: String,
}

/// The newest version of an agent that was published.
pub const LATEST_PUBLISHED: &str = "latest_published";

/// What we attach to a call; it comes back with every event. Our ids only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallMetadata {
    pub call_id: String,
    pub user_id: String,
    pub call_type: String,
    pub attempt_id: String,
}

/// Retell took the call. It may not have rung yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CreatedCall {
    pub call_id: String,
}

/// Calls in progress and the most that there may be, in and out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Concurrency {
    #[serde(rename = "current_concurrency")]
    pub current: u32,
    #[serde(rename = "concurrency_limit")]
    pub limit: u32,
    /// Of the limit, what outbound calls may not use.
    #[serde(rename = "reserved_inbound_concurrency", default, deserialize_with = "lenient::optional")]
    pub reserved_inbound: Option<u32>,
}

impl Retell {
    #[must_use]
    pub const fn new(http: reqwest::Client, base_url: Url, api_key: SecretString) -> Self {
        Self { http, base_url, api_key }
    }

    /// Places a call.
    ///
    /// # Errors
    /// See the module. After `Unknown` repeat with the same `idempotency_key` within the hour, or look it up.
    pub async fn create_phone_call(&self, call: &CreatePhoneCall) -> Result<CreatedCall, ProviderError> {
        let url = endpoint(&self.base_url, &["v2", "create-phone-call"])?;
        let answer = self.send("retell_create_phone_call", self.http.post(url).json(call)).await?;
        if answer.is_success() { answer.success() } else { Err(refusal(&answer)) }
    }

    /// One call by Retell's id; nothing when Retell knows none.
    ///
    /// # Errors
    /// See the module; `Unknown` only says that nothing was learnt.
    pub async fn get_call(&self, call_id: &str) -> Result<Option<RetellCall>, ProviderError> {
        let url = endpoint(&self.base_url, &["v2", "get-call", call_id])?;
        let answer = self.send("retell_get_call", self.http.get(url)).await?;
        match answer.status {
            404 | 422 => Ok(None),
            _ if answer.is_success() => answer.success().map(Some),
            _ => Err(refusal(&answer)),
        }
    }

    /// The call that was created for one of our attempts; nothing when there is none.
    ///
    /// `None` permits dialling again, so it is only answered for an empty list. A list without a call of this attempt
    /// means that the filter was not understood, and is `Unknown`.
    ///
    /// # Errors
    /// See the module; `Unknown` says that nothing was learnt.
    pub async fn find_by_attempt(&self, attempt_id: &str) -> Result<Option<RetellCall>, ProviderError> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<RetellCall>,
        }
        let url = endpoint(&self.base_url, &["v3", "list-calls"])?;
        let answer = self
            .send("retell_find_by_attempt", self.http.post(url).json(&metadata_query("attempt_id", attempt_id, 2)))
            .await?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let Page { items } = answer.success()?;
        if items.is_empty() {
            return Ok(None);
        }
        let ours =
            |call: &RetellCall| call.metadata.as_ref().is_some_and(|m| m.attempt_id.as_deref() == Some(attempt_id));
        items.into_iter().find(ours).map(Some).ok_or(ProviderError::Unknown)
    }

    /// The calls that carry one of our users' ids, newest first.
    ///
    /// A list with a call of somebody else means that the filter was not understood, and is `Unknown`: what is listed here
    /// is deleted.
    ///
    /// # Errors
    /// See the module.
    pub async fn list_calls_of(&self, user_id: &str, limit: u32) -> Result<Vec<RetellCall>, ProviderError> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<RetellCall>,
        }
        let url = endpoint(&self.base_url, &["v3", "list-calls"])?;
        let query = metadata_query("user_id", user_id, limit);
        let answer = self.send("retell_list_calls_of", self.http.post(url).json(&query)).await?;
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let Page { items } = answer.success()?;
        let theirs = |call: &RetellCall| call.metadata.as_ref().is_some_and(|m| m.user_id.as_deref() == Some(user_id));
        if items.iter().all(theirs) { Ok(items) } else { Err(ProviderError::Unknown) }
    }

    /// Ends a call that rings or is talked on. One that is over, or that Retell does not know, is as it should be.
    ///
    /// # Errors
    /// See the module; the same request may be sent again.
    pub async fn stop_call(&self, call_id: &str) -> Result<(), ProviderError> {
        let url = endpoint(&self.base_url, &["v2", "stop-call", call_id])?;
        let answer = self.send("retell_stop_call", self.http.post(url)).await?;
        match answer.status {
            400 | 404 | 422 => Ok(()),
            _ if answer.is_success() => Ok(()),
            _ => Err(refusal(&answer)),
        }
    }

    /// Deletes all that Retell keeps of a call that is over. One that Retell does not know is deleted.
    ///
    /// # Errors
    /// See the module; the same request may be sent again.
    pub async fn delete_call(&self, call_id: &str) -> Result<(), ProviderError> {
        let url = endpoint(&self.base_url, &["v2", "delete-call", call_id])?;
        let answer = self.send("retell_delete_call", self.http.delete(url)).await?;
        if answer.is_success() || answer.status == 404 { Ok(()) } else { Err(refusal(&answer)) }
    }

    /// How many calls are in progress.
    ///
    /// # Errors
    /// See the module.
    pub async fn get_concurrency(&self) -> Result<Concurrency, ProviderError> {
        let url = endpoint(&self.base_url, &["get-concurrency"])?;
        let answer = self.send("retell_get_concurrency", self.http.get(url)).await?;
        if answer.is_success() { answer.success() } else { Err(refusal(&answer)) }
    }

    async fn send(&self, operation: &'static str, request: reqwest::RequestBuilder) -> Result<Answer, ProviderError> {
        exchange(operation, request.bearer_auth(self.api_key.expose_secret())).await
    }
}

/// The body of list-calls that asks for the calls with a word of ours. The filter's shape is that of Retell's Python SDK 6.2.13.
fn metadata_query(key: &str, value: &str, limit: u32) -> Value {
    let same = json!({ "key": key, "type": "string", "op": "eq", "value": value });
    json!({ "filter_criteria": { "metadata": [same] }, "limit": limit, "sort_order": "descending" })
}

fn refusal(answer: &Answer) -> ProviderError {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "lenient::optional")]
        message: Option<String>,
    }
    let message = answer.error::<Body>().and_then(|body| body.message).unwrap_or_default().to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let class = if answer.status == 404 {
        Class::NotFound
    } else if says(&["from_number", "from number"]) {
        Class::InvalidRequest
    } else if says(&["do_not_call", "do not call", "do-not-call"]) {
        Class::OptedOut
    } else if says(&["to_number", "to number", "destination"])
        || (says(&["e.164", "phone number"]) && says(&["invalid", "not valid", "not a valid"]))
    {
        Class::InvalidNumber
    } else if answer.status == 422 {
        Class::NotFound
    } else {
        Class::InvalidRequest
    };
    answer.failed(None, class)
}

/// A webhook about a call. Known events: `call_started`, `call_ended`, `call_analyzed`; others may come.
#[derive(Debug, Clone, Deserialize)]
pub struct RetellEvent {
    pub event: String,
    pub call: RetellCall,
}

/// A call as Retell tells it, in events and answers. Everything but the id may be absent, and enums are open.
#[derive(Clone, Deserialize)]
pub struct RetellCall {
    pub call_id: String,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub agent_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub agent_version: Option<i64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub call_type: Option<String>,
    /// `inbound` or `outbound`.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub direction: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub from_number: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub to_number: Option<String>,
    /// `registered`, `not_connected`, `ongoing`, `ended` or `error`.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub call_status: Option<String>,
    /// Unix milliseconds.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub start_timestamp: Option<i64>,
    /// Unix milliseconds.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub end_timestamp: Option<i64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub duration_ms: Option<i64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub disconnection_reason: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub metadata: Option<ReceivedMetadata>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub retell_llm_dynamic_variables: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub collected_dynamic_variables: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub transcript: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub recording_url: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub call_analysis: Option<CallAnalysis>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub call_cost: Option<CallCost>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub telephony_identifier: Option<TelephonyIdentifier>,
}

impl RetellCall {
    #[must_use]
    pub fn started_at(&self) -> Option<Timestamp> {
        self.start_timestamp.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
    }

    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.end_timestamp.and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
    }
}

/// [`CallMetadata`] as it came back. Calls that people made to us carry less of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ReceivedMetadata {
    #[serde(default, deserialize_with = "lenient::text")]
    pub call_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub call_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub attempt_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct CallCost {
    /// US cents, with a fraction.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub combined_cost: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TelephonyIdentifier {
    #[serde(default, deserialize_with = "lenient::optional")]
    pub twilio_call_sid: Option<String>,
}

/// What Retell makes of a call once it is over.
#[derive(Clone, Deserialize)]
pub struct CallAnalysis {
    #[serde(default, deserialize_with = "lenient::text")]
    pub call_summary: Option<String>,
    /// `Negative`, `Positive`, `Neutral` or `Unknown`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub user_sentiment: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub call_successful: Option<bool>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub in_voicemail: Option<bool>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub custom_analysis_data: Option<PostCallAnalysis>,
}

/// The fields that our agents' analysis is asked for (spec 40). A language model fills them in: numbers may come as text,
/// and what does not fit its type reads as absent. Ranges and dates are for the domain to judge.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct PostCallAnalysis {
    #[serde(default, deserialize_with = "lenient::text")]
    pub planned_activity: Option<String>,
    /// RFC 3339 when the model does as told.
    #[serde(default, deserialize_with = "lenient::text")]
    pub planned_time: Option<String>,
    #[serde(default, deserialize_with = "lenient::whole_number")]
    pub planned_duration_minutes: Option<u32>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub workout_status: Option<String>,
    #[serde(default, deserialize_with = "lenient::whole_number")]
    pub actual_duration_minutes: Option<u32>,
    /// 1 to 10, as the next two.
    #[serde(default, deserialize_with = "lenient::whole_number")]
    pub energy: Option<u8>,
    #[serde(default, deserialize_with = "lenient::whole_number")]
    pub mood: Option<u8>,
    #[serde(default, deserialize_with = "lenient::whole_number")]
    pub confidence: Option<u8>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub life_marker: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub reschedule_to: Option<String>,
    #[serde(default, deserialize_with = "lenient::yes_no")]
    pub wants_pause: Option<bool>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub sentiment: Option<String>,
    /// True also for any word but a plain no: the model may name the danger instead of saying yes.
    #[serde(default, deserialize_with = "lenient::warning")]
    pub safety_flag: Option<bool>,
}

/// A tool that the agent uses during a call (Retell's custom function, sent as POST with `args`).
#[derive(Clone, Deserialize)]
pub struct ToolCall {
    pub name: String,
    /// Absent, or null, for a tool that takes none.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub args: Option<serde_json::Map<String, Value>>,
    pub call: RetellCall,
}

/// Someone calls us: `{"event":"call_inbound","call_inbound":{…}}`.
#[derive(Clone, Deserialize)]
pub struct InboundEvent {
    pub event: String,
    pub call_inbound: InboundCall,
}

#[derive(Clone, Deserialize)]
pub struct InboundCall {
    /// The same in repeats of one event.
    #[serde(default, deserialize_with = "lenient::optional")]
    pub call_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub agent_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub from_number: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub to_number: Option<String>,
}

/// Our answer to an inbound event: who shall speak, and what they know.
#[derive(Clone, Serialize)]
pub struct InboundAnswer {
    pub call_inbound: InboundSetup,
}

#[derive(Clone, Serialize)]
pub struct InboundSetup {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_agent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_agent_version: Option<&'static str>,
    pub dynamic_variables: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
}

redacted_debug! {
    CreatePhoneCall { override_agent_id, metadata, idempotency_key }
    RetellCall { call_id, direction, call_status, duration_ms, disconnection_reason, metadata }
    CallAnalysis { call_successful, in_voicemail }
    PostCallAnalysis {}
    ToolCall { name, call }
    InboundEvent { event, call_inbound }
    InboundCall { call_id, agent_id }
    InboundAnswer { call_inbound }
    InboundSetup { override_agent_id, metadata }
}

/// Checks that Retell sent this body within 5 minutes of now: `v=<unix ms>,d=<hex>`, where d is HMAC-SHA256 with an
/// API key over the body and the decimal time. `api_keys` are the keys with the webhook badge, two while one is rotated.
///
/// # Errors
/// Any [`SignatureError`].
pub fn verify_webhook(
    api_keys: &[SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), SignatureError> {
    let value = signature::header(headers, SIGNATURE_HEADER)?;
    let (time, tag) =
        value.strip_prefix("v=").and_then(|rest| rest.split_once(",d=")).ok_or(SignatureError::Malformed)?;
    let time = signature::decimal(time)?;
    let tag = signature::sha256_hex(tag)?;
    if now.as_millisecond().abs_diff(time) > WINDOW_MILLISECONDS {
        return Err(SignatureError::OutsideWindow);
    }
    signature::verify(HMAC_SHA256, api_keys, &[body, time.to_string().as_bytes()], &[&tag])
}

#[cfg(test)]
mod tests {
    use super::{PostCallAnalysis, RetellEvent};

    #[test]
    fn analysis_takes_numbers_as_text_and_drops_wrong_types() {
        let analysis: PostCallAnalysis = serde_json::from_str(
            r#"{"planned_activity":" run ","planned_time":7,"planned_duration_minutes":"30","actual_duration_minutes":29.6,
                "energy":"eight","mood":400,"confidence":-1,"wants_pause":"Yes","safety_flag":"self-harm","other":{}}"#,
        )
        .unwrap();
        let expected = PostCallAnalysis {
            planned_activity: Some("run".into()),
            planned_duration_minutes: Some(30),
            actual_duration_minutes: Some(30),
            wants_pause: Some(true),
            safety_flag: Some(true),
            ..PostCallAnalysis::default()
        };
        assert!(analysis == expected, "{analysis:?}");
        for word in ["\"none\"", "\"No\"", "\"\"", "false"] {
            let quiet: PostCallAnalysis = serde_json::from_str(&format!(r#"{{"safety_flag":{word}}}"#)).unwrap();
            assert_eq!(quiet.safety_flag, Some(false), "{word}");
        }
    }

    #[test]
    fn an_event_is_read_whatever_is_odd_in_it() {
        let event: RetellEvent = serde_json::from_str(
            r#"{"event":"call_new","call":{"call_id":"call_1","duration_ms":"long","metadata":["x"],"call_status":"thinking",
                "to_number":"+15005550142","transcript":"User: secret","call_analysis":{"custom_analysis_data":[]}}}"#,
        )
        .unwrap();
        assert_eq!(event.call.duration_ms, None);
        assert_eq!(event.call.metadata, None);
        assert_eq!(event.call.call_status.as_deref(), Some("thinking"));
        assert!(event.call.call_analysis.as_ref().is_some_and(|a| a.custom_analysis_data.is_none()));
        let shown = format!("{event:?}");
        assert!(!shown.contains("5005550142") && !shown.contains("secret"), "{shown}");
    }
}
