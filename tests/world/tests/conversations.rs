//! The conversation test bench: scripted talks, played through the simulator as they would happen, and what the person ends up with.
//!
//! `data/conversations.json` holds the scripts, at least six for each type of call. A script says what was there before, what
//! the agent's tools do in the middle, how the call ends and what its analysis says; and then what must be: the call, the
//! plans, what was logged and donated, calls to come, consents, messages, calls for a person to look at. Every script is played
//! three times: as it is, with every tool used twice and every webhook told twice, and with the webhooks in reverse.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper of tests says what broke by panicking")]

use std::collections::BTreeMap;

use ivy_flows::ports::Queue;
use ivy_simulators::CallScript;
use ivy_world::{Person, World};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};

const PHONE: &str = "+447700900155";
/// Every script begins on Monday 23 November 2026; the call is picked up at this local time.
const TALK_AT: &str = "2026-11-23T10:00:00Z";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    name: String,
    call_type: String,
    /// The person calls us.
    #[serde(default)]
    inbound: bool,
    #[serde(default)]
    given: Given,
    #[serde(default)]
    steps: Vec<Step>,
    end: End,
    then: Then,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Given {
    tier: Option<String>,
    /// `[activity, local time of today]`.
    plans: Vec<(String, String)>,
    minimum_action: Option<String>,
    /// The person wrote STOP on WhatsApp before.
    stopped: bool,
}

/// A tool that is used, what it must answer, and words that the answer must have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    tool: String,
    #[serde(default)]
    args: Value,
    ok: bool,
    #[serde(default)]
    says: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum End {
    HangsUp {
        seconds: u32,
        #[serde(default = "yes")]
        spoke: bool,
        analysis: Value,
        /// Retell's own reading, where it is not that of the analysis.
        #[serde(default)]
        user_sentiment: Option<String>,
    },
    Declines,
    NeverAnswers,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Then {
    state: String,
    #[serde(default)]
    outcome: Option<String>,
    /// Open plans: `[activity, local time or null]`, in order.
    #[serde(default)]
    plans: Vec<(String, Option<String>)>,
    /// Workouts of today by status, planned ones left out.
    #[serde(default)]
    logged: BTreeMap<String, usize>,
    #[serde(default)]
    donated: f64,
    /// Calls to come: `[type, local time]`, with the day in front where it is not today (`tue 07:30`).
    #[serde(default)]
    calls: Vec<(String, String)>,
    /// Consents that are withdrawn.
    #[serde(default)]
    withdrawn: Vec<String>,
    #[serde(default = "active")]
    status: String,
    /// `{"energy": 7}`: current scores.
    #[serde(default)]
    scores: BTreeMap<String, u8>,
    #[serde(default)]
    markers: usize,
    /// Templates or the beginnings of texts that arrived since the call began, in any order.
    #[serde(default)]
    messages: Vec<String>,
    /// Reasons for which a person should look at the call.
    #[serde(default)]
    reviews: Vec<String>,
}

fn active() -> String {
    "active".to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Plain,
    Twice,
    Reversed,
}

fn scripts() -> Vec<Script> {
    serde_json::from_str(include_str!("../data/conversations.json")).unwrap()
}

#[test]
fn every_type_of_call_has_at_least_six_scripts() {
    let mut counts = BTreeMap::new();
    let scripts = scripts();
    for script in &scripts {
        *counts.entry(script.call_type.clone()).or_insert(0) += 1;
    }
    for call_type in ivy_domain::call::CallType::ALL {
        assert!(counts.get(call_type.name()).is_some_and(|count| *count >= 6), "{}: {counts:?}", call_type.name());
    }
    let mut names: Vec<&str> = scripts.iter().map(|script| script.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), scripts.len(), "every script has a name of its own");
}

#[tokio::test]
async fn conversations_end_as_their_scripts_say() {
    all_end_as_written(Manner::Plain).await;
}

#[tokio::test]
async fn conversations_end_alike_when_everything_is_told_twice() {
    all_end_as_written(Manner::Twice).await;
}

#[tokio::test]
async fn conversations_end_alike_when_the_webhooks_are_in_reverse() {
    all_end_as_written(Manner::Reversed).await;
}

async fn all_end_as_written(manner: Manner) {
    let mut wrong = Vec::new();
    for script in scripts() {
        let found = Box::pin(play(&script, manner)).await;
        let expected = expected(&script);
        if found != expected {
            wrong.push(format!("{}\n  expected {expected}\n  found    {found}", script.name));
        }
    }
    assert!(wrong.is_empty(), "{} conversations ended otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

fn expected(script: &Script) -> Value {
    let then = &script.then;
    let mut messages = then.messages.clone();
    messages.sort();
    json!({
        "state": then.state, "outcome": then.outcome, "plans": then.plans, "logged": then.logged, "donated": then.donated,
        "calls": then.calls, "withdrawn": then.withdrawn, "status": then.status, "scores": then.scores,
        "markers": then.markers, "messages": messages, "reviews": then.reviews,
    })
}

async fn play(script: &Script, manner: Manner) -> Value {
    let world = World::at("2026-11-23T06:00:00Z").await;
    let tier = script.given.tier.as_deref().unwrap_or("b2c_elite");
    let mut person = world
        .person(PHONE)
        .tier(tier)
        // The day's own calls would ring into the script.
        .onboarding("morning_window", Value::Null)
        .onboarding("evening_window", Value::Null);
    if let Some(action) = &script.given.minimum_action {
        person = person.onboarding("minimum_action", json!(action));
    }
    let person = person.join(&world).await;
    for (activity, time) in &script.given.plans {
        person.plan(activity, format!("2026-11-23T{time}:00Z").parse().unwrap()).await;
    }
    if script.given.stopped {
        world.simulators.reply(&person.phone, "STOP");
    }
    world.settle().await;
    let talk_at: Timestamp = TALK_AT.parse().unwrap();
    let (id, provider_id, before) = if script.inbound {
        world.advance_to(talk_at).await;
        let before = world.simulators.handset(&person.phone).len();
        let (provider_id, answer) = world.call_in(&person.phone).await;
        let metadata = &answer["call_inbound"]["metadata"];
        assert_eq!(metadata["call_type"], json!(script.call_type), "{}", script.name);
        (metadata["call_id"].as_str().unwrap().to_owned(), provider_id, before)
    } else {
        let id = person.schedule(&script.call_type, talk_at).await;
        world.advance_to(talk_at).await;
        let before = world.simulators.handset(&person.phone).len();
        let ring = world.simulators.rings().pop().expect("it rings");
        (id, ring.call_id, before)
    };
    let unsaid = converse(&world, script, manner, &provider_id).await;
    world.settle().await;
    world.simulators.faults().clear();
    // Long enough for what goes out after a talk, not for retries.
    world.advance(SignedDuration::from_mins(12)).await;
    let mut found = found(&world, &person, &id, before).await;
    if !unsaid.is_empty() {
        found["tools"] = json!(unsaid);
    }
    found
}

async fn converse(world: &World, script: &Script, manner: Manner, provider_id: &str) -> Vec<String> {
    let mut unsaid = Vec::new();
    let simulators = &world.simulators;
    simulators.faults().duplicate_webhooks(manner == Manner::Twice);
    simulators.faults().reverse_webhooks(manner == Manner::Reversed);
    let (seconds, spoke, analysis, user_sentiment) = match &script.end {
        End::Declines => {
            simulators.decline(provider_id);
            return unsaid;
        }
        End::NeverAnswers => {
            world.advance(SignedDuration::from_secs(31)).await;
            return unsaid;
        }
        End::HangsUp { seconds, spoke, analysis, user_sentiment } => {
            (*seconds, *spoke, analysis.clone(), user_sentiment.clone())
        }
    };
    if !script.inbound {
        simulators.pick_up(provider_id);
        world.settle().await;
    }
    for step in &script.steps {
        let uses = if manner == Manner::Twice { 2 } else { 1 };
        for time in 0..uses {
            let answer = world.use_tool(provider_id, &step.tool, step.args.clone()).await;
            let said = answer["say"].as_str().unwrap_or_default();
            let fits = answer["ok"] == json!(step.ok)
                && said.len() > 5
                && step.says.as_ref().is_none_or(|words| said.contains(words.as_str()));
            if time == 0 && !fits {
                unsaid.push(format!("{} answered {answer}, not {step:?}", step.tool));
            }
        }
    }
    let transcript =
        if spoke { "Agent: Hi, this is Ivy, an AI.\nUser: Hello.\n" } else { "Agent: Hi, this is Ivy, an AI.\n" };
    let transcript = transcript.to_owned();
    let talk = CallScript { duration_seconds: seconds, user_spoke: spoke, analysis, user_sentiment, transcript };
    simulators.hang_up(provider_id, talk);
    unsaid
}

fn local(text: &str) -> String {
    let at: Timestamp = text.parse().unwrap();
    let local = at.to_zoned(TimeZone::get("Europe/London").unwrap());
    let day = local.strftime("%a").to_string().to_lowercase();
    let time = local.strftime("%H:%M");
    if day == "mon" { time.to_string() } else { format!("{day} {time}") }
}

async fn found(world: &World, person: &Person, id: &str, before: usize) -> Value {
    let call = person.call(id).await;
    let workouts = person.get("/api/users/me/workouts?limit=100").await["items"].as_array().unwrap().clone();
    let status = |workout: &Value| workout["status"].as_str().unwrap().to_owned();
    let mut plans: Vec<Value> = workouts
        .iter()
        .filter(|workout| workout["status"] == "planned")
        .map(|workout| json!([workout["planned_activity"], workout["planned_time"].as_str().map(local)]))
        .collect();
    plans.sort_by_key(ToString::to_string);
    let mut logged: BTreeMap<String, usize> = BTreeMap::new();
    for workout in workouts.iter().filter(|workout| workout["status"] != "planned") {
        *logged.entry(status(workout)).or_default() += 1;
    }
    let calls = person.get("/api/users/me/calls?limit=100").await["items"].as_array().unwrap().clone();
    let mut waiting: Vec<Value> = calls
        .iter()
        .filter(|call| call["state"] == "scheduled")
        .map(|call| json!([call["call_type"], local(call["scheduled_time"].as_str().unwrap())]))
        .collect();
    waiting.sort_by_key(ToString::to_string);
    let user = person.get("/api/users/me").await;
    let consents = user["consents"].as_object().unwrap();
    let withdrawn: Vec<&String> =
        consents.iter().filter(|(_, consent)| consent["granted"] == json!(false)).map(|(purpose, _)| purpose).collect();
    let transformation = person.get("/api/users/me/transformation").await;
    let mut scores = serde_json::Map::new();
    for kind in ["energy", "mood", "confidence"] {
        if let Some(current) = transformation[kind]["current"].as_u64() {
            scores.insert(kind.to_owned(), json!(current));
        }
    }
    let markers = world.items("marker").await.len();
    let mut messages: Vec<String> = world.simulators.handset(&person.phone)[before..]
        .iter()
        .map(|message| {
            message.template.clone().unwrap_or_else(|| message.text.split([',', '.', '?']).next().unwrap().to_owned())
        })
        .collect();
    messages.sort();
    let dead = world.queues.dead_letters();
    let waiting_reviews = world.queues.waiting();
    let mut reviews: Vec<String> = waiting_reviews
        .iter()
        .chain(&dead)
        .filter(|message| message.queue == Queue::Reviews)
        .map(|message| serde_json::from_str::<Value>(&message.body).unwrap()["reason"].as_str().unwrap().to_owned())
        .collect();
    reviews.dedup();
    json!({
        "state": call["state"], "outcome": call["outcome"], "plans": plans, "logged": logged,
        "donated": person.wallet().await["lifetime_donated"], "calls": waiting, "withdrawn": withdrawn,
        "status": user["status"], "scores": scores, "markers": markers, "messages": messages, "reviews": reviews,
    })
}
