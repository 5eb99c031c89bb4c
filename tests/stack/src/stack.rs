//! The running stack, as `cargo stack` describes it in the file that `IVY_STACK` names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use ivy_local::StackFile;
use ivy_simulators::{Delivery, Secrets, Simulators, Webhook};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Client, Handset, Reply};

/// Doors to everything that runs.
#[derive(Debug)]
pub struct Stack {
    pub file: StackFile,
    pub(crate) http: reqwest::Client,
    table: aws_sdk_dynamodb::Client,
}

impl Stack {
    /// # Panics
    /// When no stack runs: then a sentence says how to start one.
    #[must_use]
    pub fn running() -> Self {
        let file = StackFile::from_env()
            .unwrap_or_else(|reason| panic!("These tests need a running stack: run `cargo stack`. ({reason})"));
        // Everything is on this machine; a proxy of the environment has no business with it.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let table = {
            use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
            let config = aws_sdk_dynamodb::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new(file.region.clone()))
                .endpoint_url(&file.emulator_url)
                .credentials_provider(Credentials::new("test", "test", None, None, "stack"))
                .build();
            aws_sdk_dynamodb::Client::from_conf(config)
        };
        Self { file, http, table }
    }

    /// A client of the API that nobody is signed in to, with an address of its own: limits count by address.
    #[must_use]
    pub fn client(&self) -> Client {
        let random = Uuid::new_v4();
        let [a, b, c, ..] = random.as_bytes();
        Client {
            http: self.http.clone(),
            base: self.file.api_url.clone(),
            address: format!("10.{a}.{b}.{c}"),
            token: None,
        }
    }

    /// The phone with this number.
    #[must_use]
    pub fn handset(&self, phone: &str) -> Handset {
        Handset { http: self.http.clone(), base: self.file.simulators_url.clone(), phone: phone.to_owned() }
    }

    /// A provider that signs what the test wants to send: its own simulators, with the keys of the stack (or other ones).
    pub async fn signer(&self, secrets: Secrets) -> Simulators {
        Simulators::start(secrets, ([127, 0, 0, 1], 0).into(), Delivery::Manual).await.unwrap()
    }

    /// Posts a webhook to the API as a provider does.
    pub async fn post_webhook(&self, webhook: &Webhook) -> Reply {
        let mut headers = HeaderMap::new();
        for (name, value) in &webhook.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let url = format!("{}{}", self.file.api_url, webhook.path);
        Reply::of(self.http.post(url).headers(headers).body(webhook.body.clone()).send().await.unwrap()).await
    }

    /// All items of a user's partition by sort key, to compare before and after.
    pub async fn partition(&self, user: &str) -> Partition {
        let items = self.items(user, "").await;
        Partition(items.iter().map(|item| (item["sk"].as_s().unwrap().clone(), plain_map(item))).collect())
    }

    /// Deletes a user's items whose sort key begins so; answers how many there were.
    pub async fn delete_items(&self, user: &str, prefix: &str) -> usize {
        let items = self.items(user, prefix).await;
        for item in &items {
            let delete = self.table.delete_item().table_name(&self.file.table);
            let delete = delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
            Box::pin(delete.send()).await.unwrap();
        }
        items.len()
    }

    async fn items(&self, user: &str, prefix: &str) -> Vec<HashMap<String, AttributeValue>> {
        let mut query = self.table.query().table_name(&self.file.table).consistent_read(true);
        query = query.expression_attribute_values(":pk", AttributeValue::S(format!("USER#{user}")));
        query = if prefix.is_empty() {
            query.key_condition_expression("pk = :pk")
        } else {
            let prefix = AttributeValue::S(prefix.to_owned());
            query
                .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                .expression_attribute_values(":sk", prefix)
        };
        let page = Box::pin(query.send()).await.unwrap();
        assert!(page.last_evaluated_key.is_none(), "a test's person fits on one page");
        page.items.unwrap_or_default()
    }
}

/// What a user's partition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition(BTreeMap<String, Value>);

impl Partition {
    /// # Panics
    /// When the other one differs, with the items that do.
    #[track_caller]
    pub fn assert_same(&self, other: &Self) {
        let keys: BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let different: Vec<_> = keys.iter().filter(|key| self.0.get(**key) != other.0.get(**key)).collect();
        let show = |key: &str| format!("{key}\n  before {:?}\n  after  {:?}", self.0.get(key), other.0.get(key));
        assert!(different.is_empty(), "{}", different.iter().map(|key| show(key)).collect::<Vec<_>>().join("\n"));
    }
}

fn plain_map(item: &HashMap<String, AttributeValue>) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
}

fn plain(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => json!(text),
        AttributeValue::Bool(flag) => json!(flag),
        AttributeValue::L(list) => list.iter().map(plain).collect(),
        AttributeValue::M(map) => plain_map(map),
        AttributeValue::Null(_) => Value::Null,
        other => panic!("our items hold no {other:?}"),
    }
}
