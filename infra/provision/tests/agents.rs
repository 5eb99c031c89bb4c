//! The agents' files themselves: what people hear, what Retell is told, and what our code expects of both.

use std::collections::BTreeSet;

use ivy_domain::{call::CallType, variables::NAMES};
use ivy_providers::retell::PostCallAnalysis;
use ivy_provision::{Agent, Data};
use serde::{
    Deserialize,
    de::{self, Visitor, value::Error},
};
use serde_json::{Value, json};

/// Words of a prompt. Retell bills by length from about 3,500 tokens on, tools and transcript included.
const MOST_WORDS: usize = 1_800;

const TOOLS: [&str; 9] = [
    "get_today",
    "plan_workout",
    "log_workout",
    "schedule_follow_up",
    "record_score",
    "record_marker",
    "pause_calls",
    "opt_out",
    "send_whatsapp_summary",
];

fn data() -> Data {
    Data::of_repository().expect("our own files")
}

/// Every text that an agent is made of: prompt, first sentence, settings.
fn texts(agent: &Agent) -> Vec<String> {
    let mut texts = vec![agent.prompt.clone(), agent.begin_message.clone()];
    collect(&Value::Object(agent.agent.clone()), &mut texts);
    collect(&Value::Object(agent.llm.clone()), &mut texts);
    texts
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn placeholders(text: &str) -> BTreeSet<String> {
    text.split("{{").skip(1).map(|rest| rest.split_once("}}").expect("an end").0.to_owned()).collect()
}

#[test]
fn every_placeholder_is_a_variable_and_every_variable_is_used() {
    let mut used = BTreeSet::new();
    for agent in data().agents {
        for text in texts(&agent) {
            let found = placeholders(&text);
            let unknown: Vec<_> = found.iter().filter(|name| !NAMES.contains(&name.as_str())).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?} would be read aloud as it stands", agent.key);
            assert!(agent.variables || found.is_empty(), "{} knows nobody, and speaks of {found:?}", agent.key);
        }
        used.extend(placeholders(&agent.prompt));
        let company = placeholders(&agent.prompt).contains("company_name");
        assert_eq!(company, agent.key.starts_with("sponsor"), "{}", agent.key);
    }
    let unused: Vec<_> = NAMES.iter().filter(|name| !used.contains(**name)).collect();
    assert!(unused.is_empty(), "no prompt uses {unused:?}");
}

#[test]
fn prompts_stay_within_their_budget() {
    for agent in data().agents {
        let words = agent.prompt.split_whitespace().count();
        assert!(words <= MOST_WORDS, "the prompt of {} has {words} words, of at most {MOST_WORDS}", agent.key);
    }
}

#[test]
fn the_first_sentence_says_that_ivy_is_an_ai() {
    for agent in data().agents {
        let first = agent.begin_message.split(['.', '?', '!']).next().expect("a sentence");
        let words: Vec<&str> = first.split(|c: char| !c.is_alphanumeric()).collect();
        assert!(words.contains(&"AI") && words.contains(&"Ivy"), "{}: {first}", agent.key);
        assert!(agent.prompt.contains("an AI on the phone"), "{}", agent.key);
    }
}

#[test]
fn voicemail_and_call_screening_get_one_short_message_that_says_who_speaks() {
    for agent in data().agents.iter().filter(|agent| agent.variables) {
        let action = &agent.agent["voicemail_option"]["action"];
        let message = action["text"].as_str().expect("a message");
        assert_eq!(action["type"], "static_text");
        assert!(message.contains("the AI") && message.split_whitespace().count() <= 25, "{message}");
        // Whoever listens to a voicemail may be somebody else.
        assert!(placeholders(message).is_empty(), "{message}");
        let screening = &agent.agent["call_screening_option"];
        assert!(screening["agent_identity"].as_str().is_some_and(|identity| identity.contains("an AI")));
    }
}

#[test]
fn every_call_type_has_its_section() {
    for agent in data().agents.iter().filter(|agent| agent.variables) {
        for call_type in CallType::ALL {
            let heading = format!("\n## {}\n", call_type.name());
            assert_eq!(agent.prompt.matches(&heading).count(), 1, "{}: {heading}", agent.key);
        }
    }
}

#[test]
fn the_nudges_go_from_the_minimum_to_tomorrow() {
    for agent in data().agents.iter().filter(|agent| agent.variables) {
        let at = |words: &str| agent.prompt.find(words).unwrap_or_else(|| panic!("{}: no {words}", agent.key));
        assert!(at("Just the minimum action") < at("Tomorrow's a new day"));
    }
}

const BRITISH: [&str; 4] = ["999", "NHS 111", "116 123", "0808 801 0677"];
const AMERICAN: [&str; 3] = ["911", "988", "1 888 375 7767"];

#[test]
fn whoever_is_in_danger_hears_where_to_turn_from_every_agent() {
    for agent in data().agents {
        let (own, others): (&[&str], &[&str]) = match agent.language.as_str() {
            "en-GB" => (&BRITISH, &AMERICAN),
            "en-US" => (&AMERICAN, &BRITISH),
            other => panic!("where do people turn who speak {other}?"),
        };
        for number in own.iter().chain(&["local emergency number"]) {
            assert!(agent.prompt.contains(number), "{}: {number}", agent.key);
        }
        for number in others {
            assert!(!agent.prompt.contains(number), "{}: {number}", agent.key);
        }
    }
}

#[test]
fn there_are_nine_tools_and_prompts_speak_of_no_other() {
    let data = data();
    let names: Vec<_> = data.tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(names, TOOLS);
    for tool in &data.tools {
        assert_eq!((&tool["type"], &tool["method"]), (&json!("custom"), &json!("POST")), "{}", tool["name"]);
        assert!(tool["max_retry"].as_u64().is_some_and(|times| times <= 1), "{}", tool["name"]);
        assert!(tool["timeout_ms"].as_u64().is_some_and(|time| (1_000..=5_000).contains(&time)), "{}", tool["name"]);
        assert!(tool["parameters"]["required"].is_array(), "{}", tool["name"]);
    }
    for agent in &data.agents {
        let quoted: Vec<_> = agent.prompt.split('`').skip(1).step_by(2).filter(|word| word.contains('_')).collect();
        let statuses = ["rest_day"];
        let unknown =
            quoted.iter().find(|word| !TOOLS.contains(word) && **word != "end_call" && !statuses.contains(word));
        assert_eq!(unknown, None, "{}", agent.key);
        assert!(agent.tools || quoted.is_empty(), "{} has no tools, and is told of {quoted:?}", agent.key);
        for tool in TOOLS.iter().filter(|_| agent.tools) {
            assert!(agent.prompt.contains(tool), "{}: {tool}", agent.key);
        }
    }
}

/// Learns the names of a struct's fields from its `Deserialize`.
struct FieldNames<'a>(&'a mut Vec<&'static str>);

impl<'de> de::Deserializer<'de> for FieldNames<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(fields);
        Err(de::Error::custom("the names are enough"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[test]
fn the_analysis_asks_for_what_our_code_reads_in_types_that_it_takes() {
    let mut expected = Vec::new();
    assert!(PostCallAnalysis::deserialize(FieldNames(&mut expected)).is_err());
    assert_eq!(expected.len(), 13);
    let data = data();
    let names: Vec<_> = data.analysis.iter().map(|field| field["name"].as_str().expect("a name")).collect();
    assert_eq!(names, expected);
    for field in &data.analysis {
        let sample = match field["type"].as_str() {
            Some("string") => json!("18:30"),
            Some("number") => json!(7),
            Some("boolean") => json!(true),
            Some("enum") => field["choices"][0].clone(),
            other => panic!("{other:?}"),
        };
        let answer = json!({ field["name"].as_str().expect("a name"): sample });
        let read: PostCallAnalysis = serde_json::from_value(answer).expect("an analysis");
        assert!(read != PostCallAnalysis::default(), "{field}");
        // A required field that is missing would mark the whole call as failed.
        assert_ne!(field["required"], true, "{field}");
    }
}

#[test]
fn nothing_is_kept_at_the_provider_for_longer_than_our_flow_needs() {
    for agent in data().agents {
        assert_eq!(agent.agent["data_storage_retention_days"], 1, "{}", agent.key);
        assert_eq!(agent.agent["opt_in_signed_url"], true, "{}", agent.key);
        assert_eq!(agent.agent["contact_memory_config"], json!({"enable_read": false, "enable_update": false}));
        // Without the transcript, a lost event could not be made up for from the list of calls.
        let setting = if agent.variables { "everything" } else { "basic_attributes_only" };
        assert_eq!(agent.agent["data_storage_setting"], setting, "{}", agent.key);
    }
}

#[test]
fn templates_have_a_sample_for_each_parameter() {
    for template in data().templates {
        let numbers: BTreeSet<String> = (1..=template.samples.len()).map(|number| number.to_string()).collect();
        assert_eq!(placeholders(&template.body), numbers, "{}", template.name);
    }
}
