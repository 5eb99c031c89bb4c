//! Plans and runs against the simulators: what is made, that nothing is made twice, and that a run that broke off anywhere is
//! finished by the next one.

use std::collections::BTreeMap;

use ivy_provision::{Action, Data, Failure, Mode, Provider as Only, Report, Settings};
use ivy_simulators::{Delivery, Fault, Provider, Secrets, Simulators};
use serde_json::{Value, json};

const API: &str = "https://api.ivy.example/v1";

struct World {
    simulators: Simulators,
    secrets: Secrets,
    data: Data,
    /// Laid over the usual settings.
    given: BTreeMap<&'static str, String>,
    only: Vec<Only>,
    printed: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let secrets = Secrets::for_testing();
        let simulators = Simulators::start(secrets.clone(), ([127, 0, 0, 1], 0).into(), Delivery::Manual).await;
        Self {
            simulators: simulators.expect("a free port"),
            secrets,
            data: Data::of_repository().expect("our own files"),
            given: BTreeMap::new(),
            only: Vec::new(),
            printed: Vec::new(),
        }
    }

    async fn applied() -> Self {
        let mut world = Self::new().await;
        world.run(Mode::Apply).await.expect("a first run");
        world
    }

    async fn run(&mut self, mode: Mode) -> Result<Report, Failure> {
        let value = |name: &str| {
            let usual = match name {
                "IVY_STAGE" => "dev".to_owned(),
                "IVY_API_URL" => API.to_owned(),
                "RETELL_BASE_URL" => self.simulators.retell_url(),
                "RETELL_API_KEY" => self.secrets.retell_api_key.clone(),
                "RETELL_NUMBERS" => self.secrets.retell_from_number.clone(),
                "WHATSAPP_BASE_URL" => self.simulators.whatsapp_url(),
                "WHATSAPP_TOKEN" => self.secrets.whatsapp_token.clone(),
                "WHATSAPP_BUSINESS_ACCOUNT_ID" => "100000000000001".to_owned(),
                "TWILIO_BASE_URL" => self.simulators.twilio_url(),
                "TWILIO_ACCOUNT_SID" => self.secrets.twilio_account_sid.clone(),
                "TWILIO_AUTH_TOKEN" => self.secrets.twilio_auth_token.clone(),
                "TWILIO_NUMBERS" => self.secrets.twilio_from.clone(),
                _ => return self.given.get(name).cloned(),
            };
            Some(self.given.get(name).cloned().unwrap_or(usual))
        };
        let settings = Settings::from_values(&value, &self.only)?;
        let printed = &mut self.printed;
        Box::pin(ivy_provision::run(mode, &settings, &self.data, &mut |line| printed.push(line.to_owned()))).await
    }

    async fn plan(&mut self) -> Report {
        self.run(Mode::Plan).await.expect("a plan")
    }

    fn prompt(&mut self, key: &str) -> &mut String {
        &mut self.data.agents.iter_mut().find(|agent| agent.key == key).expect("an agent").prompt
    }

    async fn retell(&self, method: reqwest::Method, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.simulators.retell_url());
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.request(method, url).bearer_auth(&self.secrets.retell_api_key).json(body);
        let response = request.send().await.expect("an answer");
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap_or_default()
    }

    /// Everything is there once, published and bound.
    fn assert_complete(&self, why: &str) {
        let setup = self.simulators.setup();
        let mut names: Vec<_> =
            setup.agents.iter().map(|agent| agent["agent_name"].as_str().expect("a name")).collect();
        names.sort_unstable();
        let expected =
            ["ivy-dev-premium", "ivy-dev-premium-en-US", "ivy-dev-sponsor", "ivy-dev-sponsor-en-US", "ivy-dev-welcome"];
        assert_eq!(names, expected, "{why}");
        assert!(setup.agents.iter().all(|agent| agent["is_published"] == true), "{why}");
        assert_eq!(setup.llms.len(), 5, "{why}");
        assert_eq!(setup.templates.len(), self.data.templates.len(), "{why}");
        assert!(setup.app_subscribed, "{why}");
    }
}

fn named<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let own =
        |object: &&Value| object["agent_name"] == name || object["default_dynamic_variables"]["ivy_agent"] == name;
    objects.iter().find(own).unwrap_or_else(|| panic!("no {name}"))
}

fn changed(report: &Report) -> Vec<(&str, Vec<&str>)> {
    let fields = |item: &'_ ivy_provision::Item| match &item.action {
        Action::Change(differences) => Some(differences.iter().map(|d| d.field.clone()).collect::<Vec<_>>()),
        Action::Create => Some(vec!["(new)".to_owned()]),
        Action::Nothing | Action::ByHand(_) => None,
    };
    let leaked = |fields: Vec<String>| fields.into_iter().map(|field| &*field.leak()).collect();
    report.items.iter().filter_map(|item| Some((item.object.as_str(), leaked(fields(item)?)))).collect()
}

#[tokio::test]
async fn an_empty_account_is_planned_as_creations_and_planning_writes_nothing() {
    let mut world = World::new().await;
    let plan = world.plan().await;
    let created = plan.items.iter().filter(|item| item.action == Action::Create).count();
    // Three agents, two of them in two languages, with a language model each; the templates, the subscription of the app.
    assert_eq!(created, 10 + world.data.templates.len() + 1);
    // The two numbers are there already.
    assert_eq!(plan.changes() - created, 2);
    assert!(!plan.blocked());
    assert_eq!(world.simulators.setup().writes, 0);
    assert!(world.printed.iter().any(|line| line == "create   Retell agent ivy-dev-sponsor"), "{:#?}", world.printed);
}

#[tokio::test]
async fn applying_sets_everything_up_and_applying_again_does_nothing() {
    let mut world = World::applied().await;
    world.assert_complete("after one run");
    let setup = world.simulators.setup();
    let american = named(&setup.agents, "ivy-dev-sponsor-en-US");
    assert_eq!((&american["language"], &american["voice_id"]), (&json!("en-US"), &json!("11labs-Marissa")));
    let prompt = named(&setup.llms, "ivy-dev-sponsor-en-US")["general_prompt"].as_str().unwrap();
    assert!(prompt.contains("American English") && !prompt.contains("British"), "{prompt}");
    let sponsor = named(&setup.agents, "ivy-dev-sponsor");
    assert_eq!(sponsor["language"], "en-GB");
    assert_eq!(sponsor["webhook_url"], format!("{API}/webhooks/retell"));
    assert_eq!(sponsor["data_storage_retention_days"], 1);
    assert_eq!(sponsor["post_call_analysis_data"].as_array().unwrap().len(), 13);
    let tools = named(&setup.llms, "ivy-dev-sponsor")["general_tools"].as_array().unwrap();
    assert_eq!(tools[0]["type"], "end_call");
    assert_eq!(tools[1]["url"], format!("{API}/webhooks/retell/functions/get_today"));
    assert_eq!(tools.len(), 10);
    let welcome = named(&setup.llms, "ivy-dev-welcome");
    assert_eq!(welcome["general_tools"], json!([]));
    assert_eq!(welcome["default_dynamic_variables"], json!({ "ivy_agent": "ivy-dev-welcome" }));
    let bound = |key| json!([{ "agent_id": named(&setup.agents, key)["agent_id"], "weight": 1, "agent_version": "latest_published" }]);
    assert_eq!(setup.retell_numbers[0]["inbound_agents"], bound("ivy-dev-welcome"));
    assert_eq!(setup.retell_numbers[0]["outbound_agents"], bound("ivy-dev-premium"));
    assert_eq!(setup.retell_numbers[0]["inbound_webhook_url"], format!("{API}/webhooks/retell/inbound"));
    assert_eq!(setup.twilio_numbers[0]["sms_url"], format!("{API}/webhooks/twilio/sms#rc=3&rp=all"));
    assert_eq!(setup.twilio_numbers[0]["status_callback"], format!("{API}/webhooks/twilio"));

    let plan = world.plan().await;
    assert!(changed(&plan).is_empty(), "{:#?}", world.printed);
    let parameters: Vec<_> = plan.agents.keys().map(String::as_str).collect();
    assert_eq!(parameters, ["RetellAgentPremium", "RetellAgentSponsor", "RetellAgentWelcome"]);
    for (parameter, languages) in &plan.agents {
        let known: Vec<_> = languages.iter().map(|(language, id)| (language.as_str(), id.is_some())).collect();
        let expected = if parameter == "RetellAgentWelcome" { 1 } else { 2 };
        assert_eq!(known, [("en-GB", true), ("en-US", true)][..expected]);
    }
    world.run(Mode::Apply).await.expect("a second run");
    assert_eq!(world.simulators.setup(), setup);
}

#[tokio::test]
async fn one_word_of_one_prompt_is_one_change_and_reaches_callers_as_a_new_published_version() {
    let mut world = World::applied().await;
    let before = world.simulators.setup();
    let prompt = world.prompt("sponsor");
    *prompt = prompt.replacen("playful", "mischievous", 1);
    let plan = world.plan().await;
    assert_eq!(changed(&plan), [("Retell LLM of ivy-dev-sponsor", vec!["general_prompt"])]);
    let shown = world.printed.iter().find(|line| line.contains("general_prompt")).expect("a line");
    assert!(shown.contains("playful") && shown.contains("mischievous") && shown.len() < 220, "{shown}");

    world.run(Mode::Apply).await.expect("a run");
    assert_eq!(world.plan().await.changes(), 0);
    let after = world.simulators.setup();
    let (old, new) = (named(&before.agents, "ivy-dev-sponsor"), named(&after.agents, "ivy-dev-sponsor"));
    assert_eq!(old["agent_id"], new["agent_id"]);
    assert_eq!((&new["version"], &new["is_published"]), (&json!(1), &json!(true)));
    assert!(named(&after.llms, "ivy-dev-sponsor")["general_prompt"].as_str().unwrap().contains("mischievous"));
    assert_eq!(named(&before.agents, "ivy-dev-premium"), named(&after.agents, "ivy-dev-premium"));
    assert_eq!(before.retell_numbers, after.retell_numbers);
    assert_eq!(after.writes - before.writes, 3, "draft, prompt, publication");
}

#[tokio::test]
async fn settings_and_tools_that_change_are_named_and_written() {
    let mut world = World::applied().await;
    let welcome = world.data.agents.iter_mut().find(|agent| agent.key == "welcome").expect("an agent");
    welcome.agent.insert("max_call_duration_ms".to_owned(), json!(120_000));
    world.data.tools[1]["parameters"]["properties"].as_object_mut().expect("properties").remove("duration_minutes");
    let expected = [
        ("Retell LLM of ivy-dev-sponsor", vec!["general_tools[2].parameters.properties.duration_minutes"]),
        ("Retell LLM of ivy-dev-sponsor-en-US", vec!["general_tools[2].parameters.properties.duration_minutes"]),
        ("Retell LLM of ivy-dev-premium", vec!["general_tools[2].parameters.properties.duration_minutes"]),
        ("Retell LLM of ivy-dev-premium-en-US", vec!["general_tools[2].parameters.properties.duration_minutes"]),
        ("Retell agent ivy-dev-welcome", vec!["max_call_duration_ms"]),
    ];
    assert_eq!(changed(&world.plan().await), expected);
    world.run(Mode::Apply).await.expect("a run");
    assert_eq!(world.plan().await.changes(), 0);
}

#[tokio::test]
async fn a_run_that_breaks_off_between_model_and_agent_is_finished_with_the_same_model() {
    let mut world = World::new().await;
    // A walk of an empty workspace reads two lists; one more reads the numbers. The next walk makes the model, and then the agent.
    world.simulators.faults().after(3 + 2 + 1, Provider::Retell, Fault::Status(500));
    world.run(Mode::Apply).await.expect_err("the fault");
    let broken = world.simulators.setup();
    assert_eq!((broken.llms.len(), broken.agents.len()), (1, 0));

    let plan = world.plan().await;
    let left = plan.items.iter().find(|item| item.object == "Retell LLM of ivy-dev-sponsor").expect("the model");
    assert_eq!(left.action, Action::Nothing);
    assert!(left.note.as_ref().is_some_and(|note| note.contains("broke off")), "{left:?}");
    world.run(Mode::Apply).await.expect("the rest");
    world.assert_complete("after the second run");
    let sponsor = world.simulators.setup();
    assert_eq!(named(&sponsor.agents, "ivy-dev-sponsor")["response_engine"]["llm_id"], broken.llms[0]["llm_id"]);
}

/// Every request in turn is refused, or loses its answer after the work was done; the next run finishes, and nothing is there twice.
async fn breaks_off_everywhere(provider: Provider, fault: Fault, world: impl AsyncFn() -> World) {
    for step in 0.. {
        let mut world = world().await;
        world.simulators.faults().after(step, provider, fault);
        let first = world.run(Mode::Apply).await;
        if first.is_ok() {
            assert!(step >= 3, "the runs were broken off at {step} places");
            return;
        }
        assert_eq!(world.simulators.faults().pending(), 0);
        world.run(Mode::Apply).await.unwrap_or_else(|failure| panic!("{provider:?}, step {step}: {failure}"));
        world.assert_complete(&format!("{provider:?}, {fault:?}, step {step}"));
        assert_eq!(world.plan().await.changes(), 0, "{provider:?}, {fault:?}, step {step}");
    }
}

#[tokio::test]
async fn a_first_run_may_break_off_anywhere() {
    for provider in [Provider::Retell, Provider::WhatsApp, Provider::Twilio] {
        for fault in [Fault::Status(503), Fault::TimeoutAfterDoingTheWork] {
            breaks_off_everywhere(provider, fault, World::new).await;
        }
    }
}

#[tokio::test]
async fn a_change_may_break_off_anywhere() {
    for fault in [Fault::Status(503), Fault::TimeoutAfterDoingTheWork] {
        breaks_off_everywhere(Provider::Retell, fault, async || {
            let mut world = World::applied().await;
            world.prompt("premium").push_str("\nOne more rule.");
            let agent = &mut world.data.agents[1].agent;
            agent.insert("voice_speed".to_owned(), json!(1.1));
            world
        })
        .await;
    }
}

#[tokio::test]
async fn what_somebody_changed_in_the_dashboard_is_taken_back_and_what_we_do_not_name_is_left() {
    let mut world = World::applied().await;
    let setup = world.simulators.setup();
    let id = named(&setup.agents, "ivy-dev-premium")["agent_id"].as_str().unwrap().to_owned();
    let draft =
        world.retell(reqwest::Method::POST, &format!("/create-agent-version/{id}"), &json!({"base_version": 0})).await;
    assert_eq!(draft["version"], 1);
    let drift = json!({"language": "en-US", "ambient_sound": "coffee-shop"});
    world.retell(reqwest::Method::PATCH, &format!("/update-agent/{id}?version=1"), &drift).await;
    assert_eq!(changed(&world.plan().await), [("Retell agent ivy-dev-premium", vec!["language"])]);
    world.run(Mode::Apply).await.expect("a run");
    let setup = world.simulators.setup();
    let agent = named(&setup.agents, "ivy-dev-premium");
    assert_eq!((&agent["language"], &agent["ambient_sound"]), (&json!("en-GB"), &json!("coffee-shop")));
    assert_eq!((&agent["version"], &agent["is_published"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn two_agents_of_one_name_are_for_a_person() {
    let mut world = World::applied().await;
    let llm = world.simulators.setup().llms[0]["llm_id"].clone();
    let engine = json!({"type": "retell-llm", "llm_id": llm});
    let twin = json!({"agent_name": "ivy-dev-sponsor", "voice_id": "v", "response_engine": engine});
    world.retell(reqwest::Method::POST, "/create-agent", &twin).await;
    let sentence = world.run(Mode::Apply).await.expect_err("two of them").to_string();
    assert!(sentence.contains("more than one agent named ivy-dev-sponsor"), "{sentence}");
}

#[tokio::test]
async fn stages_in_one_workspace_do_not_touch_each_other() {
    let mut world = World::applied().await;
    world.given.insert("IVY_STAGE", "test".to_owned());
    world.given.insert("RETELL_NUMBERS", "+447700900981".to_owned());
    world.simulators.add_retell_number("+447700900981");
    world.only = vec![Only::Retell];
    world.run(Mode::Apply).await.expect("a run for the other stage");
    assert_eq!(world.simulators.setup().agents.len(), 10);
    assert_eq!(world.plan().await.changes(), 0);
    world.given.clear();
    assert_eq!(world.plan().await.changes(), 0);
}

#[tokio::test]
async fn numbers_that_nobody_owns_are_for_a_person() {
    let mut world = World::new().await;
    world.given.insert("RETELL_NUMBERS", "+447700900991,+447700900555".to_owned());
    // A part of a number that is owned: Twilio's filter finds it.
    world.given.insert("TWILIO_NUMBERS", "+4477009009".to_owned());
    let plan = world.run(Mode::Apply).await.expect("the rest is done");
    let by_hand: Vec<_> = plan
        .items
        .iter()
        .filter(|item| matches!(item.action, Action::ByHand(_)))
        .map(|item| item.object.as_str())
        .collect();
    assert_eq!(by_hand, ["Retell number +447700900555", "Twilio number +4477009009"]);
    assert!(plan.blocked());
    world.assert_complete("all but the numbers");
}

#[tokio::test]
async fn a_template_that_differs_or_was_rejected_is_reported_and_not_touched() {
    let mut world = World::applied().await;
    world.only = vec![Only::WhatsApp];
    let pending = world.plan().await;
    assert!(!pending.blocked());
    assert!(pending.items[0].note.as_deref().is_some_and(|note| note == "PENDING at Meta"));
    world.simulators.review_templates("APPROVED");
    assert!(world.plan().await.items.iter().all(|item| item.note.is_none()));

    let writes = world.simulators.setup().writes;
    world.data.templates[0].body.push_str(" Enjoy it.");
    let plan = world.run(Mode::Apply).await.expect("a run");
    assert_eq!((plan.changes(), plan.blocked()), (0, true));
    let Action::ByHand(sentence) = &plan.items[0].action else { panic!("{:?}", plan.items[0]) };
    assert!(sentence.contains("Enjoy it.") && sentence.contains("new name"), "{sentence}");
    assert_eq!(world.simulators.setup().writes, writes);

    world.simulators.review_templates("REJECTED");
    let plan = world.plan().await;
    assert_eq!(
        plan.items.iter().filter(|item| matches!(item.action, Action::ByHand(_))).count(),
        ivy_domain::message::templates().len()
    );
}

#[tokio::test]
async fn keys_are_never_printed_and_a_wrong_one_stops_with_a_sentence() {
    let mut world = World::applied().await;
    world.run(Mode::Plan).await.expect("a plan");
    let secrets = world.secrets.clone();
    let keys = [secrets.retell_api_key, secrets.whatsapp_token, secrets.twilio_auth_token];
    let output = world.printed.join("\n");
    assert!(keys.iter().all(|key| !output.contains(key.as_str())), "{output}");
    for (name, provider) in
        [("RETELL_API_KEY", "Retell"), ("WHATSAPP_TOKEN", "WhatsApp"), ("TWILIO_AUTH_TOKEN", "Twilio")]
    {
        world.given = BTreeMap::from([(name, "wrong-key".to_owned())]);
        let sentence = world.run(Mode::Plan).await.expect_err("a refusal").to_string();
        assert!(
            sentence.starts_with(provider) && sentence.contains("401") && !sentence.contains("wrong-key"),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn a_setting_that_retell_does_not_know_stops_with_its_words() {
    let mut world = World::new().await;
    world.data.agents[0].agent.insert("voice_sped".to_owned(), json!(1.0));
    let sentence = world.run(Mode::Apply).await.expect_err("a refusal").to_string();
    assert_eq!(sentence, "Retell POST /create-agent was refused with status 400: voice_sped is not a known property");
}

#[tokio::test]
async fn what_is_left_for_a_person_is_said_with_the_values() {
    let world = World::applied().await;
    let output = world.printed.join("\n");
    let setup = world.simulators.setup();
    let welcome = named(&setup.agents, "ivy-dev-welcome")["agent_id"].as_str().unwrap();
    assert!(output.contains(&format!("RetellAgentWelcome=en-GB={welcome}")), "{output}");
    let id = |name| named(&setup.agents, name)["agent_id"].as_str().unwrap();
    let (british, american) = (id("ivy-dev-premium"), id("ivy-dev-premium-en-US"));
    assert!(output.contains(&format!("RetellAgentPremium=en-GB={british},en-US={american} ")), "{output}");
    assert!(output.contains(&format!("{API}/webhooks/whatsapp")), "{output}");
    assert!(output.contains("whatsapp_verify_token"), "{output}");
}
