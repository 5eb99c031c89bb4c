//! A simulated call from dialling to its analysis, whoever plays the person.
//!
//! ```text
//! registered ──connect──▶ ongoing ──end──▶ ended ──▶ analysed
//!     └──────────────end──────────▶ not_connected ──▶ analysed
//! ```
//! `call_started` is sent on connect only; `call_ended` and `call_analyzed` always, as Retell does for calls that never connected.
//! A script's talk is told, not lived through: `end_timestamp` is the start plus the scripted duration, whatever the clock says.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    CallScript, Inner, Persona, Provider,
    webhooks::{Content, Draft},
};

/// How long a handset rings; Retell's default.
pub(crate) const RING: SignedDuration = SignedDuration::from_secs(30);

pub(crate) fn new_call_sid() -> String {
    format!("CA{}", uuid::Uuid::new_v4().simple())
}

/// One dialling.
#[derive(Debug, Clone, Serialize)]
pub struct Ring {
    pub call_id: String,
    /// E.164.
    pub to: String,
    pub metadata: Map<String, Value>,
    /// `retell_llm_dynamic_variables`.
    pub variables: BTreeMap<String, String>,
    pub idempotency_key: Option<String>,
    pub at: Timestamp,
}

/// `call_status` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStatus {
    /// Dialling or ringing.
    Registered,
    Ongoing,
    Ended,
    NotConnected,
}

#[derive(Debug, Clone, Serialize)]
pub struct SimulatedCall {
    pub call_id: String,
    /// The carrier's id, which Retell passes on once the call is put through.
    pub twilio_call_sid: String,
    /// The person called us.
    pub inbound: bool,
    pub from: String,
    pub to: String,
    /// `override_agent_id` of the request.
    pub agent_id: Option<String>,
    pub status: CallStatus,
    pub metadata: Map<String, Value>,
    pub variables: BTreeMap<String, String>,
    pub idempotency_key: Option<String>,
    pub placed_at: Timestamp,
    /// When it connected.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub disconnection_reason: Option<String>,
    /// What was said, once it ended after connecting.
    pub script: Option<CallScript>,
    pub in_voicemail: bool,
    /// Whether `call_analyzed` was sent.
    pub analysed: bool,
}

impl SimulatedCall {
    /// Whether it rings or is talked on.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        match self.status {
            CallStatus::Registered | CallStatus::Ongoing => true,
            CallStatus::Ended | CallStatus::NotConnected => false,
        }
    }

    /// The number of the person.
    #[must_use]
    pub fn person(&self) -> &str {
        if self.inbound { &self.from } else { &self.to }
    }

    pub(crate) fn call_type(&self) -> &str {
        self.metadata.get("call_type").and_then(Value::as_str).unwrap_or_default()
    }

    fn duration(&self) -> Option<SignedDuration> {
        Some(self.ended_at?.duration_since(self.started_at?))
    }

    /// The call object of Retell's answers and webhooks. Absent fields are left out, never null.
    #[must_use]
    pub fn object(&self) -> Value {
        let mut object = json!({
            "call_id": self.call_id,
            "call_type": "phone_call",
            "direction": if self.inbound { "inbound" } else { "outbound" },
            "agent_id": self.agent_id.as_deref().unwrap_or("agent_bound_to_number"),
            "agent_version": 1,
            "from_number": self.from,
            "to_number": self.to,
            "call_status": self.status,
        });
        let mut put = |name: &str, value: Value| object[name] = value;
        if !self.metadata.is_empty() {
            put("metadata", Value::Object(self.metadata.clone()));
        }
        if !self.variables.is_empty() {
            put("retell_llm_dynamic_variables", json!(self.variables));
        }
        if self.started_at.is_some() {
            put("telephony_identifier", json!({"twilio_call_sid": self.twilio_call_sid}));
        }
        // Calls that never connected have a start as well: the moment of dialling.
        if let Some(start) = self.started_at.or(self.ended_at.map(|_| self.placed_at)) {
            put("start_timestamp", json!(start.as_millisecond()));
        }
        if let (Some(ended), Some(duration)) = (self.ended_at, self.duration()) {
            put("end_timestamp", json!(ended.as_millisecond()));
            put("duration_ms", json!(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)));
        }
        if let Some(reason) = &self.disconnection_reason {
            put("disconnection_reason", json!(reason));
        }
        if let Some(script) = self.script.as_ref().filter(|_| self.ended_at.is_some()) {
            put("transcript", json!(script.transcript));
            put("transcript_object", json!(turns(&script.transcript)));
            put("recording_url", json!(format!("https://recordings.simulated.example/{}.wav", self.call_id)));
            put(
                "call_cost",
                json!({"combined_cost": 12.5, "total_duration_seconds": script.duration_seconds, "product_costs": []}),
            );
        }
        if self.analysed {
            put("call_analysis", self.analysis());
        }
        object
    }

    fn analysis(&self) -> Value {
        match self.script.as_ref().filter(|script| script.user_spoke) {
            Some(script) => json!({
                "call_summary": "The person and Ivy talked.",
                "user_sentiment": script.user_sentiment.as_deref().unwrap_or_else(|| {
                    match script.analysis.get("sentiment").and_then(Value::as_str) {
                        Some("positive") => "Positive",
                        Some("negative") => "Negative",
                        _ => "Neutral",
                    }
                }),
                "call_successful": true,
                "in_voicemail": self.in_voicemail,
                "custom_analysis_data": script.analysis,
            }),
            None => json!({
                "call_successful": false,
                "user_sentiment": "Unknown",
                "in_voicemail": self.in_voicemail,
                "custom_analysis_data": {},
            }),
        }
    }
}

/// `Agent: …` and `User: …` lines as Retell's list of turns.
fn turns(transcript: &str) -> Vec<Value> {
    transcript
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(who, content)| json!({"role": who.to_lowercase(), "content": content, "words": []}))
        .collect()
}

/// How a call goes on its own.
struct Course {
    connects: bool,
    reason: &'static str,
    script: Option<CallScript>,
    in_voicemail: bool,
}

impl Course {
    fn unconnected(reason: &'static str) -> Self {
        Self { connects: false, reason, script: None, in_voicemail: false }
    }

    fn talk(script: CallScript) -> Self {
        Self { connects: true, reason: "user_hangup", script: Some(script), in_voicemail: false }
    }

    /// None: somebody has to act.
    fn of(persona: Persona) -> Option<Self> {
        let silence = |duration_seconds, transcript: &str| {
            Some(CallScript {
                duration_seconds,
                user_spoke: false,
                analysis: json!({}),
                user_sentiment: None,
                transcript: transcript.to_owned(),
            })
        };
        match persona {
            Persona::Answers(script) => Some(Self::talk(script)),
            Persona::NeverAnswers => Some(Self::unconnected("dial_no_answer")),
            Persona::Voicemail => Some(Self {
                connects: true,
                reason: "voicemail_reached",
                script: silence(21, "Agent: Hi, this is Ivy. I will try again later.\n"),
                in_voicemail: true,
            }),
            Persona::Declines => Some(Self::unconnected("user_declined")),
            Persona::Busy => Some(Self::unconnected("dial_busy")),
            Persona::Drops => {
                Some(Self { connects: true, reason: "user_hangup", script: silence(4, ""), in_voicemail: false })
            }
            Persona::InvalidNumber | Persona::DeadNumber => Some(Self::unconnected("invalid_destination")),
            Persona::Handset => None,
        }
    }
}

impl Inner {
    pub(crate) fn persona(&self, phone: &str, call_type: &str) -> Persona {
        let chosen = self.state().phones.get(phone).and_then(|entry| entry.persona.clone());
        chosen.unwrap_or_else(|| Persona::by_digits(phone, call_type))
    }

    pub(crate) fn call(&self, call_id: &str) -> Option<SimulatedCall> {
        self.state().calls.iter().find(|call| call.call_id == call_id).cloned()
    }

    /// The call that rings or runs on this phone.
    pub(crate) fn live_call(&self, phone: &str) -> Option<SimulatedCall> {
        self.state().calls.iter().rev().find(|call| call.person() == phone && call.is_live()).cloned()
    }

    /// Rings the phone of a call that was just registered and lets its persona play.
    pub(crate) fn dial(self: &Arc<Self>, call: &SimulatedCall, persona: Persona) {
        let call_id = call.call_id.clone();
        self.state().rings.push(Ring {
            call_id: call_id.clone(),
            to: call.to.clone(),
            metadata: call.metadata.clone(),
            variables: call.variables.clone(),
            idempotency_key: call.idempotency_key.clone(),
            at: call.placed_at,
        });
        match Course::of(persona) {
            Some(course) => self.play(&call_id, course, Duration::from_secs(1)),
            None => {
                let inner = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::time::sleep(RING.unsigned_abs() + Duration::from_millis(50)).await;
                    inner.ring_out();
                });
            }
        }
    }

    fn play(self: &Arc<Self>, call_id: &str, course: Course, ring: Duration) {
        if !self.posts() {
            if course.connects {
                self.connect(call_id);
            }
            self.end(call_id, course.reason, course.script, course.in_voicemail);
            self.analyse(call_id);
            return;
        }
        let inner = Arc::clone(self);
        let call_id = call_id.to_owned();
        tokio::spawn(async move {
            tokio::time::sleep(ring).await;
            if course.connects {
                inner.connect(&call_id);
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            inner.finish(&call_id, course.reason, course.script, course.in_voicemail);
        });
    }

    /// Changes a call under the lock if `change` agrees, and returns it as it is then.
    fn change(
        &self,
        call_id: &str,
        change: impl FnOnce(&mut SimulatedCall, Timestamp) -> bool,
    ) -> Option<SimulatedCall> {
        let now = self.now();
        let mut state = self.state();
        let call = state.calls.iter_mut().find(|call| call.call_id == call_id)?;
        change(call, now).then(|| call.clone())
    }

    fn tell(self: &Arc<Self>, event: &str, rank: u32, call: &SimulatedCall) {
        let body = json!({"event": event, "call": call.object()}).to_string().into_bytes();
        self.emit(Draft::new(Provider::Retell, self.webhook_url(Provider::Retell), Content::Json(body), rank));
    }

    /// False when the call is not ringing.
    pub(crate) fn connect(self: &Arc<Self>, call_id: &str) -> bool {
        let connected = self.change(call_id, |call, now| {
            let rings = call.status == CallStatus::Registered;
            if rings {
                call.status = CallStatus::Ongoing;
                call.started_at = Some(now);
            }
            rings
        });
        match connected {
            Some(call) => {
                self.tell("call_started", 1, &call);
                true
            }
            None => false,
        }
    }

    /// False when the call is over already.
    fn end(self: &Arc<Self>, call_id: &str, reason: &str, script: Option<CallScript>, in_voicemail: bool) -> bool {
        let ended = self.change(call_id, |call, now| {
            if !call.is_live() {
                return false;
            }
            call.disconnection_reason = Some(reason.to_owned());
            call.in_voicemail = in_voicemail;
            match call.started_at {
                Some(start) => {
                    call.status = CallStatus::Ended;
                    let told =
                        script.as_ref().map(|script| SignedDuration::from_secs(i64::from(script.duration_seconds)));
                    call.ended_at = Some(told.and_then(|told| start.checked_add(told).ok()).unwrap_or(now));
                    call.script = script;
                }
                None => {
                    call.status = CallStatus::NotConnected;
                    call.ended_at = Some(now);
                }
            }
            true
        });
        match ended {
            Some(call) => {
                self.tell("call_ended", 2, &call);
                self.tell_carrier(&call);
                true
            }
            None => false,
        }
    }

    /// The carrier's own callback about the end, which knows neither our ids nor who or what spoke.
    fn tell_carrier(self: &Arc<Self>, call: &SimulatedCall) {
        let Some(url) = self.carrier_url() else { return };
        let status = match (call.started_at, call.disconnection_reason.as_deref()) {
            (Some(_), _) => "completed",
            (None, Some("dial_busy" | "user_declined")) => "busy",
            (None, Some("dial_no_answer")) => "no-answer",
            (None, _) => "failed",
        };
        let seconds = call.duration().map_or(0, |duration| duration.as_secs());
        let at = call.ended_at.unwrap_or_else(|| self.now());
        let time = jiff::fmt::rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap_or_default();
        let form = [
            ("CallSid", call.twilio_call_sid.clone()),
            ("AccountSid", self.secrets.twilio_account_sid.clone()),
            ("From", call.from.clone()),
            ("To", call.to.clone()),
            ("Direction", if call.inbound { "inbound" } else { "outbound-api" }.to_owned()),
            ("CallStatus", status.to_owned()),
            ("CallDuration", seconds.to_string()),
            ("SequenceNumber", "3".to_owned()),
            ("CallbackSource", "call-progress-events".to_owned()),
            ("Timestamp", time),
            ("ApiVersion", "2010-04-01".to_owned()),
        ];
        let form = form.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.emit(Draft::new(Provider::Twilio, url, Content::Form(form), 2));
    }

    /// The person calls a number of ours. What the API answered to Retell's question says who speaks and what they know; an empty
    /// answer leaves the number's own agent.
    pub(crate) fn begin_inbound(self: &Arc<Self>, call_id: &str, phone: &str, answer: &Value) {
        let setup = &answer["call_inbound"];
        let variables = setup["dynamic_variables"].as_object().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let now = self.now();
        let call = SimulatedCall {
            call_id: call_id.to_owned(),
            twilio_call_sid: new_call_sid(),
            inbound: true,
            from: phone.to_owned(),
            to: self.secrets.retell_from_number.clone(),
            agent_id: setup["override_agent_id"].as_str().map(str::to_owned),
            status: CallStatus::Registered,
            metadata: setup["metadata"].as_object().cloned().unwrap_or_default(),
            variables: variables.map(|(name, value)| (name.clone(), text(value))).collect(),
            idempotency_key: None,
            placed_at: now,
            started_at: None,
            ended_at: None,
            disconnection_reason: None,
            script: None,
            in_voicemail: false,
            analysed: false,
        };
        self.state().calls.push(call);
        self.connect(call_id);
    }

    /// Retell's question about a call to us.
    pub(crate) fn inbound_question(&self, call_id: &str, phone: &str) -> Vec<u8> {
        let question = json!({"event": "call_inbound", "call_inbound": {
            "agent_id": "agent_bound_to_number",
            "from_number": phone,
            "to_number": self.secrets.retell_from_number,
            "call_id": call_id,
        }});
        question.to_string().into_bytes()
    }

    /// What Retell sends when the agent of a running call uses a tool.
    pub(crate) fn tool_request(&self, call_id: &str, name: &str, args: &Value) -> Option<Vec<u8>> {
        let call = self.call(call_id).filter(|call| call.status == CallStatus::Ongoing)?;
        Some(json!({"name": name, "args": args, "call": call.object()}).to_string().into_bytes())
    }

    fn analyse(self: &Arc<Self>, call_id: &str) {
        let analysed = self.change(call_id, |call, _| {
            let first = !call.is_live() && !call.analysed;
            call.analysed |= first;
            first
        });
        if let Some(call) = analysed {
            self.tell("call_analyzed", 3, &call);
        }
    }

    /// Ends a call; its analysis follows at once, or after a moment where a person watches. False when it was over already.
    pub(crate) fn finish(
        self: &Arc<Self>,
        call_id: &str,
        reason: &str,
        script: Option<CallScript>,
        in_voicemail: bool,
    ) -> bool {
        if !self.end(call_id, reason, script, in_voicemail) {
            return false;
        }
        if self.posts() {
            let inner = Arc::clone(self);
            let call_id = call_id.to_owned();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(700)).await;
                inner.analyse(&call_id);
            });
        } else {
            self.analyse(call_id);
        }
        true
    }

    fn has_status(&self, call_id: &str, status: CallStatus) -> bool {
        self.call(call_id).is_some_and(|call| call.status == status)
    }

    pub(crate) fn answer(self: &Arc<Self>, call_id: &str, script: CallScript) -> bool {
        let rings = self.has_status(call_id, CallStatus::Registered);
        if rings {
            self.play(call_id, Course::talk(script), Duration::ZERO);
        }
        rings
    }

    pub(crate) fn hang_up(self: &Arc<Self>, call_id: &str, script: CallScript) -> bool {
        self.has_status(call_id, CallStatus::Ongoing) && self.finish(call_id, "user_hangup", Some(script), false)
    }

    pub(crate) fn decline(self: &Arc<Self>, call_id: &str) -> bool {
        self.has_status(call_id, CallStatus::Registered) && self.finish(call_id, "user_declined", None, false)
    }

    /// Ends the handset calls that have rung for 30 seconds. Calls with another persona end by themselves.
    pub(crate) fn ring_out(self: &Arc<Self>) {
        let now = self.now();
        let due: Vec<String> = self
            .state()
            .calls
            .iter()
            .filter(|call| call.status == CallStatus::Registered && now.duration_since(call.placed_at) >= RING)
            .map(|call| call.call_id.clone())
            .collect();
        for call_id in due {
            self.finish(&call_id, "dial_no_answer", None, false);
        }
    }
}
