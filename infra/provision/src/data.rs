//! The files that say what is wanted: `infra/retell` and `infra/whatsapp`.
//!
//! Agents are written with Retell's own names and values, so that the provider's documentation is theirs as well; this module adds what cannot
//! stand in a file: the stage, addresses, and the prompt put together from its parts. Shared settings come
//! first, then those of the language; an agent's own win.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ivy_domain::{message::Template, variables};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::failure::Failure;

type Fields = Map<String, Value>;

/// The default variable that tells whose a language model is: Retell gives them no names.
pub(crate) const MARK: &str = "ivy_agent";

#[derive(Debug, Clone)]
pub struct Data {
    pub agents: Vec<Agent>,
    /// The functions that agents may call, without their addresses.
    pub tools: Vec<Fields>,
    /// The fields of the analysis after a call.
    pub analysis: Vec<Value>,
    /// What `end_call` is for.
    pub end_call: String,
    pub templates: Vec<Template>,
}

/// An agent, with its prompt put together and the shared settings merged in.
#[derive(Debug, Clone)]
pub struct Agent {
    /// `sponsor` in its first language, `sponsor-en-US` in another.
    pub key: String,
    /// `en-GB`.
    pub language: String,
    /// The parameter of `template.yaml` that takes its id, with those of the same agent in other languages.
    pub parameter: String,
    pub prompt: String,
    pub begin_message: String,
    /// Whether it is told who it speaks with, and so needs a default for each variable.
    pub variables: bool,
    pub tools: bool,
    pub analysis: bool,
    pub agent: Fields,
    pub llm: Fields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentsFile {
    shared: Shared,
    /// Settings by language, which an agent's own go before.
    languages: Map<String, Value>,
    agents: Vec<AgentEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    agent: Fields,
    llm: Fields,
    end_call: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentEntry {
    key: String,
    parameter: String,
    prompt: Vec<String>,
    begin_message: String,
    variables: bool,
    tools: bool,
    analysis: bool,
    agent: Fields,
    llm: Fields,
    /// What it speaks: an agent each.
    languages: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolsFile {
    shared: Fields,
    tools: Vec<Fields>,
}

impl Data {
    /// The files of the repository that this program was built from.
    ///
    /// # Errors
    /// When a file cannot be read or understood: a sentence that names it.
    pub fn of_repository() -> Result<Self, Failure> {
        // infra/provision is beside what it reads.
        Self::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
    }

    /// The files below `infra`.
    ///
    /// # Errors
    /// When a file cannot be read or understood: a sentence that names it.
    pub fn load(infra: &Path) -> Result<Self, Failure> {
        let retell = infra.join("retell");
        let AgentsFile { shared, languages, agents: entries } = read(&retell.join("agents.json"))?;
        let tools: ToolsFile = read(&retell.join("tools.json"))?;
        let mut agents = Vec::new();
        for entry in &entries {
            for language in &entry.languages {
                let Some(Value::Object(of_language)) = languages.get(language) else {
                    return Err(Failure::new(format!("agents.json has no settings for the language {language}.")));
                };
                agents.push(entry.agent(&shared, language, of_language, &retell.join("prompt"))?);
            }
        }
        Ok(Self {
            agents,
            tools: tools.tools.into_iter().map(|tool| merged(&tools.shared, tool)).collect(),
            analysis: read(&retell.join("analysis.json"))?,
            end_call: shared.end_call,
            templates: read(&infra.join("whatsapp/templates.json"))?,
        })
    }

    /// The language model of an agent, as `create-retell-llm` takes it.
    pub(crate) fn llm(&self, agent: &Agent, name: &str, api_url: &str) -> Fields {
        let mut llm = agent.llm.clone();
        llm.insert("general_prompt".to_owned(), json!(agent.prompt));
        llm.insert("begin_message".to_owned(), json!(agent.begin_message));
        // A variable that a call does not bring would be read aloud as its own name.
        let known = variables::NAMES.iter().filter(|_| agent.variables);
        let mut defaults: Fields = known.map(|name| ((*name).to_owned(), json!(""))).collect();
        defaults.insert(MARK.to_owned(), json!(name));
        llm.insert("default_dynamic_variables".to_owned(), Value::Object(defaults));
        llm.insert("general_tools".to_owned(), Value::Array(self.tools_of(agent, api_url)));
        llm
    }

    fn tools_of(&self, agent: &Agent, api_url: &str) -> Vec<Value> {
        if !agent.tools {
            return Vec::new();
        }
        let hang_up = json!({ "type": "end_call", "name": "end_call", "description": self.end_call });
        let custom = self.tools.iter().map(|tool| {
            let mut tool = tool.clone();
            let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
            let url = format!("{api_url}/webhooks/retell/functions/{name}");
            tool.insert("url".to_owned(), json!(url));
            Value::Object(tool)
        });
        std::iter::once(hang_up).chain(custom).collect()
    }

    /// An agent as `create-agent` takes it, but for its language model.
    pub(crate) fn agent(&self, agent: &Agent, name: &str, api_url: &str) -> Fields {
        let mut fields = agent.agent.clone();
        fields.insert("agent_name".to_owned(), json!(name));
        fields.insert("webhook_url".to_owned(), json!(format!("{api_url}/webhooks/retell")));
        let analysis = if agent.analysis { self.analysis.clone() } else { Vec::new() };
        fields.insert("post_call_analysis_data".to_owned(), Value::Array(analysis));
        fields
    }
}

impl AgentEntry {
    fn agent(&self, shared: &Shared, language: &str, of_language: &Fields, prompts: &Path) -> Result<Agent, Failure> {
        let first = self.languages.first().is_some_and(|first| first == language);
        let mut settings = merged(&shared.agent, of_language.clone());
        settings.insert("language".to_owned(), json!(language));
        Ok(Agent {
            key: if first { self.key.clone() } else { format!("{}-{language}", self.key) },
            language: language.to_owned(),
            parameter: self.parameter.clone(),
            prompt: prompt(prompts, &self.prompt, language)?,
            begin_message: self.begin_message.clone(),
            variables: self.variables,
            tools: self.tools,
            analysis: self.analysis,
            agent: merged(&settings, self.agent.clone()),
            llm: merged(&shared.llm, self.llm.clone()),
        })
    }
}

fn merged(shared: &Fields, own: Fields) -> Fields {
    let mut fields = shared.clone();
    fields.extend(own);
    fields
}

/// A prompt from its parts. A part that differs by language has a file for each, `safety.en-US.md`.
fn prompt(directory: &Path, parts: &[String], language: &str) -> Result<String, Failure> {
    let part = |name: &String| {
        let of_language = directory.join(format!("{name}.{language}.md"));
        let file = if of_language.exists() { of_language } else { directory.join(format!("{name}.md")) };
        let text = fs::read_to_string(&file).map_err(|error| unreadable(&file, &error.to_string()))?;
        Ok(text.trim().to_owned())
    };
    Ok(parts.iter().map(part).collect::<Result<Vec<_>, Failure>>()?.join("\n\n"))
}

fn read<T: DeserializeOwned>(file: &PathBuf) -> Result<T, Failure> {
    let text = fs::read_to_string(file).map_err(|error| unreadable(file, &error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(file, &error.to_string()))
}

fn unreadable(file: &Path, reason: &str) -> Failure {
    Failure::new(format!("{} cannot be read: {reason}.", file.display()))
}
