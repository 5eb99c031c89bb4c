//! Retell: an agent with its language model for each entry of `infra/retell/agents.json`, and the numbers bound to them.
//!
//! The steps for a new agent, and what the next run finds when one of them was the last:
//! ```text
//! create-retell-llm ── a model with our mark and without an agent: it is used
//! create-agent      ── an agent of our name, not published: compared, then published
//! publish           ── nothing to do
//! ```
//! A published version cannot be changed, so a change goes into a draft first; calls go on with the published version meanwhile:
//! ```text
//! create-agent-version ── a draft like its base: compared, changed
//! update-retell-llm    ── a draft with the new model: the agent is compared
//! update-agent         ── a draft as it should be: published
//! publish              ── nothing to do
//! ```
//! A draft that somebody made by hand is taken over in the same way.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    api::{Api, Body, number, object, text},
    compare::{Difference, differences, differing},
    data::{Agent, Data, MARK},
    failure::Failure,
    report::{Action, Reporter, change},
    settings::Settings,
};

type Fields = Map<String, Value>;

/// Pages that are read of a list before we stop believing its end.
const MOST_PAGES: usize = 1000;

pub(crate) async fn walk(
    api: Api,
    numbers: &[String],
    settings: &Settings,
    data: &Data,
    reporter: &mut Reporter<'_>,
) -> Result<(), Failure> {
    let workspace = Workspace::read(api).await?;
    let (mut names, mut used) = (Vec::new(), Vec::new());
    for agent in &data.agents {
        let name = format!("ivy-{}-{}", settings.stage, agent.key);
        let wanted = Wanted {
            llm: data.llm(agent, &name, &settings.api_url),
            agent: data.agent(agent, &name, &settings.api_url),
            name,
        };
        let found = match workspace.agent_named(&wanted.name)? {
            Some(id) => Some(workspace.update(&wanted, id, reporter).await?),
            None => workspace.create(&wanted, reporter).await?,
        };
        let (id, llm_id) = found.unzip();
        let ids = reporter.report.agents.entry(agent.parameter.clone()).or_default();
        ids.push((agent.language.clone(), id));
        used.extend(llm_id.or_else(|| workspace.models_of(&wanted.name).next().map(str::to_owned)));
        names.push(wanted.name);
    }
    workspace.superfluous(&names, &used, reporter);
    workspace.bind(numbers, settings, data, reporter).await
}

struct Wanted {
    name: String,
    llm: Fields,
    agent: Fields,
}

/// What the workspace holds when a walk begins.
struct Workspace {
    api: Api,
    agents: Vec<Value>,
    llms: Vec<Value>,
}

impl Workspace {
    async fn read(api: Api) -> Result<Self, Failure> {
        let agents = list(&api, "list-agents").await?;
        let llms = list(&api, "list-retell-llms").await?;
        Ok(Self { api, agents, llms })
    }

    fn agent_named(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut ids: Vec<&str> = self
            .agents
            .iter()
            .filter(|agent| agent["agent_name"] == name)
            .filter_map(|agent| agent["agent_id"].as_str())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        match ids.as_slice() {
            [] => Ok(None),
            [id] => Ok(Some(id)),
            several => Err(Failure::new(format!(
                "Retell has more than one agent named {name} ({}): rename or delete all but the one that is in use.",
                several.join(", ")
            ))),
        }
    }

    /// Ids of the language models that carry this mark.
    fn models_of(&self, name: &str) -> impl Iterator<Item = &str> {
        self.llms
            .iter()
            .filter(move |llm| llm["default_dynamic_variables"][MARK] == name)
            .filter_map(|llm| llm["llm_id"].as_str())
    }

    /// Agent and language model of an entry that has no agent yet. Ids, once it has.
    async fn create(&self, wanted: &Wanted, reporter: &mut Reporter<'_>) -> Result<Option<(String, String)>, Failure> {
        let Wanted { name, llm, agent } = wanted;
        let object_name = format!("Retell LLM of {name}");
        let llm_id = match self.models_of(name).next() {
            None => {
                if reporter.found(object_name, Action::Create) {
                    let answer = self.api.send(Method::POST, &["create-retell-llm"], &[], Body::Json(llm)).await?;
                    let id = text(&answer, "llm_id", "the new LLM")?;
                    reporter.done(&format!("created LLM {id}"));
                    Some(id.to_owned())
                } else {
                    None
                }
            }
            Some(id) => {
                let found = object(self.api.get(&["get-retell-llm", id], &[]).await?, "an LLM")?;
                let differences = differences(llm, &found);
                let changes = differing(llm, &differences);
                let note = Some(format!("{id}, left without an agent by a run that broke off"));
                if reporter.found_with(object_name, change(differences), note) {
                    self.api.send(Method::PATCH, &["update-retell-llm", id], &[], Body::Json(&changes)).await?;
                    reporter.done(&format!("changed LLM {id}"));
                }
                Some(id.to_owned())
            }
        };
        let (true, Some(llm_id)) = (reporter.found(format!("Retell agent {name}"), Action::Create), llm_id) else {
            return Ok(None);
        };
        let mut agent = agent.clone();
        agent.insert("response_engine".to_owned(), json!({ "type": "retell-llm", "llm_id": llm_id }));
        let answer = self.api.send(Method::POST, &["create-agent"], &[], Body::Json(&agent)).await?;
        let id = text(&answer, "agent_id", "the new agent")?;
        let version = number(&answer, "version", "the new agent")?;
        self.publish(id, version).await?;
        reporter.done(&format!("created and published agent {name} ({id})"));
        Ok(Some((id.to_owned(), llm_id)))
    }

    /// Agent and language model of an entry that has an agent.
    async fn update(
        &self,
        wanted: &Wanted,
        id: &str,
        reporter: &mut Reporter<'_>,
    ) -> Result<(String, String), Failure> {
        let name = &wanted.name;
        let found = self.api.get(&["get-agent", id], &[]).await?;
        let mut version = number(&found, "version", name)?;
        let published = found["is_published"] == true;
        let engine = &found["response_engine"];
        if engine["type"] != "retell-llm" {
            let sentence = format!("The agent {name} ({id}) does not speak through a Retell LLM: rename or delete it.");
            return Err(Failure::new(sentence));
        }
        let llm_id = text(engine, "llm_id", name)?.to_owned();
        let mut llm_version = engine["version"].as_u64().unwrap_or(version).to_string();
        let query = [("version", llm_version.as_str())];
        let llm = object(self.api.get(&["get-retell-llm", &llm_id], &query).await?, "an LLM")?;

        let of_llm = differences(&wanted.llm, &llm);
        let mut of_agent = differences(&wanted.agent, &object(found, name)?);
        let changes = (differing(&wanted.llm, &of_llm), differing(&wanted.agent, &of_agent));
        if !published && of_llm.is_empty() && of_agent.is_empty() {
            of_agent.push(Difference::new("published", "no", "yes"));
        }
        let writes = [
            reporter.found(format!("Retell LLM of {name}"), change(of_llm)),
            reporter.found_with(format!("Retell agent {name}"), change(of_agent), Some(id.to_owned())),
        ];
        if writes == [false, false] {
            return Ok((id.to_owned(), llm_id));
        }
        if published {
            let base = object(json!({ "base_version": version }), name)?;
            let draft = self.api.send(Method::POST, &["create-agent-version", id], &[], Body::Json(&base)).await?;
            version = number(&draft, "version", name)?;
            llm_version = draft["response_engine"]["version"].as_u64().unwrap_or(version).to_string();
        }
        let (llm, agent) = changes;
        if !llm.is_empty() {
            let query = [("version", llm_version.as_str())];
            self.api.send(Method::PATCH, &["update-retell-llm", &llm_id], &query, Body::Json(&llm)).await?;
        }
        if !agent.is_empty() {
            let draft = version.to_string();
            let query = [("version", draft.as_str())];
            self.api.send(Method::PATCH, &["update-agent", id], &query, Body::Json(&agent)).await?;
        }
        self.publish(id, version).await?;
        reporter.done(&format!("published version {version} of {name} ({id})"));
        Ok((id.to_owned(), llm_id))
    }

    async fn publish(&self, id: &str, version: u64) -> Result<(), Failure> {
        let body = object(json!({ "version": version }), id)?;
        self.api.send(Method::POST, &["publish-agent-version", id], &[], Body::Json(&body)).await.map(drop)
    }

    /// Language models with our marks that no agent of ours speaks through.
    fn superfluous(&self, names: &[String], used: &[String], reporter: &mut Reporter<'_>) {
        let marked = names.iter().flat_map(|name| self.models_of(name));
        for id in marked.filter(|id| !used.iter().any(|used| used == id)) {
            let note = "no agent of ours speaks through it; delete it in the dashboard".to_owned();
            reporter.found_with(format!("Retell LLM {id}"), Action::Nothing, Some(note));
        }
    }

    /// Unknown callers reach the agent that knows nothing, also when our inbound webhook does not answer. An outbound call names its agent
    /// itself; the binding only makes the number able to dial.
    async fn bind(
        &self,
        numbers: &[String],
        settings: &Settings,
        data: &Data,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), Failure> {
        let found = list(&self.api, "list-phone-numbers").await?;
        let bound = |key: &str, reporter: &Reporter<'_>| {
            let entry = data.agents.iter().find(|agent| agent.key == key);
            let ids = entry.and_then(|Agent { parameter, .. }| reporter.report.agents.get(parameter));
            // Whom we do not know has no language yet: the first one.
            let id = ids.and_then(|ids| ids.first()).and_then(|(_, id)| id.clone());
            let id = id.unwrap_or_else(|| format!("(the new ivy-{}-{key})", settings.stage));
            json!([{ "agent_id": id, "weight": 1, "agent_version": "latest_published" }])
        };
        for number in numbers {
            let object_name = format!("Retell number {number}");
            let Some(known) = found.iter().find(|one| one["phone_number"] == number.as_str()) else {
                let sentence = "It is not in this workspace: buy it there, or import it with its SIP trunk (numbers bought at Retell dial the US only).";
                reporter.found(object_name, Action::ByHand(sentence.to_owned()));
                continue;
            };
            let wanted = json!({
                "inbound_agents": bound("welcome", reporter),
                "outbound_agents": bound("premium", reporter),
                "inbound_webhook_url": format!("{}/webhooks/retell/inbound", settings.api_url),
            });
            let (wanted, known) = (object(wanted, number)?, object(known.clone(), number)?);
            let differences = differences(&wanted, &known);
            let changes = differing(&wanted, &differences);
            if reporter.found(object_name, change(differences)) {
                self.api.send(Method::PATCH, &["update-phone-number", number], &[], Body::Json(&changes)).await?;
                reporter.done(&format!("bound {number}"));
            }
        }
        Ok(())
    }
}

/// All pages of a list.
async fn list(api: &Api, name: &str) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut key: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let query: Vec<(&str, &str)> = key.iter().map(|key| ("pagination_key", key.as_str())).collect();
        let mut answer = api.get(&["v2", name], &query).await?;
        match answer["items"].take() {
            Value::Array(page) => items.extend(page),
            _ => return Err(Failure::new(format!("The answer to {name} has no items."))),
        }
        if answer["has_more"] != true {
            return Ok(items);
        }
        key = Some(text(&answer, "pagination_key", name)?.to_owned());
    }
    Err(Failure::new(format!("The list of {name} does not end.")))
}
