//! What the template says of its functions: memory, time limit, environment.
//!
//! The environment is resolved as a deployment would: parameters by their defaults, resources by made-up names that the
//! emulated AWS knows. So a function that is given another setting is measured with it, and a new function is measured at all.

use std::{collections::BTreeMap, fs, path::Path};

use yaml_rust2::{Yaml, YamlLoader};

use crate::failure::{Because as _, Failure};

/// The name of the table, whose resource is `Table`.
pub(crate) const TABLE: &str = "ivy-bench";
/// The account of all made-up ARNs.
pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const REGION: &str = "eu-west-2";

/// One function of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) memory_mb: u32,
    pub(crate) timeout_seconds: u32,
    /// As written: names of parameters and resources are not resolved yet.
    environment: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) functions: Vec<Function>,
    parameters: BTreeMap<String, String>,
}

fn text(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

fn texts(values: &Yaml) -> BTreeMap<String, String> {
    let entries = values.as_hash().into_iter().flatten();
    entries.filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
}

fn number(value: &Yaml) -> Option<u32> {
    value.as_i64().and_then(|number| u32::try_from(number).ok())
}

impl Template {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).because("template.yaml cannot be read")?;
        Self::parse(&text)
    }

    fn parse(source: &str) -> Result<Self, Failure> {
        let documents = YamlLoader::load_from_str(source).because("template.yaml is no YAML")?;
        let template = documents.first().because("template.yaml is empty")?;
        let defaults = &template["Globals"]["Function"];
        let common = texts(&defaults["Environment"]["Variables"]);
        let parameters = template["Parameters"].as_hash().into_iter().flatten();
        let parameters = parameters.filter_map(|(name, value)| Some((text(name)?, text(&value["Default"])?))).collect();
        let mut functions = Vec::new();
        for (_, resource) in template["Resources"].as_hash().into_iter().flatten() {
            if resource["Type"].as_str() != Some("AWS::Serverless::Function") {
                continue;
            }
            let properties = &resource["Properties"];
            let name = properties["FunctionName"].as_str().and_then(|name| name.strip_prefix("${AWS::StackName}-"));
            let or_default = |name: &str| number(&properties[name]).or_else(|| number(&defaults[name]));
            let mut environment = common.clone();
            environment.extend(texts(&properties["Environment"]["Variables"]));
            functions.push(Function {
                name: name.because("a function of the template has no name")?.to_owned(),
                memory_mb: or_default("MemorySize").because("a function of the template has no MemorySize")?,
                timeout_seconds: or_default("Timeout").because("a function of the template has no Timeout")?,
                environment,
            });
        }
        Ok(Self { functions, parameters })
    }

    /// The default of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The environment that a deployment would give a function. `aws` is where the emulated services are; `settings` stand for
    /// the parameters of the same names.
    pub(crate) fn environment(
        &self,
        function: &Function,
        aws: &str,
        settings: &BTreeMap<&str, String>,
    ) -> BTreeMap<String, String> {
        let resolve = |value: &String| {
            if let Some(setting) = settings.get(value.as_str()) {
                return setting.clone();
            }
            if let Some(parameter) = self.parameters.get(value) {
                return parameter.clone();
            }
            match value.strip_suffix(".Arn") {
                Some(resource) => format!("arn:aws:bench:{REGION}:{ACCOUNT}:{resource}"),
                None if value == "Table" => TABLE.to_owned(),
                None if value.ends_with("Queue") || value.ends_with("Dead") => format!("{aws}/{ACCOUNT}/{value}"),
                None => value.clone(),
            }
        };
        function.environment.iter().map(|(name, value)| (name.clone(), resolve(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_of_this_repository_is_understood() {
        let template = Template::read(&crate::repository("template.yaml")).unwrap();
        assert!(template.functions.len() >= 56, "{}", template.functions.len());
        let function = |name: &str| template.functions.iter().find(|function| function.name == name).unwrap();
        assert_eq!(function("get-user").memory_mb, 256);
        assert_eq!(function("admin-login").memory_mb, 1024);
        let settings = BTreeMap::from([("RetellBaseUrl", "http://127.0.0.1:1/retell".to_owned())]);
        let environment = template.environment(function("place-call"), "http://aws", &settings);
        assert_eq!(environment["TABLE_NAME"], TABLE);
        assert_eq!(environment["SECRET_ID"], "Secret");
        assert_eq!(environment["STAGE"], "dev");
        assert_eq!(environment["FROM_NUMBERS"], "=+447700900999");
        assert_eq!(environment["RETELL_BASE_URL"], "http://127.0.0.1:1/retell");
        assert_eq!(environment["DUE_CALLS_QUEUE_URL"], "http://aws/000000000000/DueCallsQueue");
        let environment = template.environment(function("publish-outbox"), "http://aws", &settings);
        assert_eq!(environment["SCHEDULER_ROLE_ARN"], "arn:aws:bench:eu-west-2:000000000000:SchedulerRole");
        assert_eq!(environment["OUTBOX_DEAD_QUEUE_URL"], "http://aws/000000000000/OutboxDead");
    }
}
