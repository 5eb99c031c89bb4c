//! The table in memory, without a wire: the real SDK client on a connector that calls the emulator in this process.
//!
//! Serving the emulator over loopback costs a socket, two tasks and a round through the kernel for each request, and lets the
//! kernel decide whose answer comes first. Here a request is answered in the task that makes it, after the [`Gate`] let it
//! pass. The SDK signs, serialises and retries as in production, with the retries' pauses left out and without its own
//! time-outs: a lost answer is told to it as one.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        AsyncSleep, BehaviorVersion, Credentials, HttpClient, Region, Sleep, StalledStreamProtectionConfig,
        retry::{RetryConfig, RetryPartition},
        timeout::TimeoutConfig,
    },
};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde_json::{Map, Value, json};

use crate::gate::{Gate, Party, Passage, Ruling, Told, Written};

/// What is inserted into the outbox, in the order of the commits: what the table's stream brings.
pub(crate) type Stream = Arc<Mutex<Vec<Value>>>;

/// A table of its own, and the stream of its outbox.
pub(crate) fn open(gate: Arc<dyn Gate>, attempts: u32) -> (Client, Stream) {
    let stream = Stream::default();
    let database = Database::memory().unwrap();
    let tables = Arc::new(Tables { database, gate, stream: stream.clone(), streamed: Mutex::default() });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url("http://table.in.memory")
        .region(Region::from_static("eu-west-2"))
        .credentials_provider(Credentials::new("test", "test", None, None, "world"))
        .http_client(Connector(tables))
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        // The quota of retries belongs to this table: what happened in another world must not change this one.
        .retry_partition(RetryPartition::new(uuid::Uuid::new_v4().to_string()))
        .sleep_impl(NoPause)
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    (Client::from_conf(config), stream)
}

/// The SDK's pauses between retries, without the waiting.
#[derive(Debug)]
struct NoPause;

impl AsyncSleep for NoPause {
    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::new(std::future::ready(()))
    }
}

#[derive(Debug, Clone)]
struct Connector(Arc<Tables>);

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let tables = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move { tables.call(&request).await })
    }
}

struct Tables {
    database: Database,
    gate: Arc<dyn Gate>,
    stream: Stream,
    /// A transaction that the SDK repeats is answered without writing: its outbox items are on the stream already.
    streamed: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

/// An answer of the table: status and JSON.
type Answer = (u16, String);

fn response((status, body): Answer) -> HttpResponse {
    let status = StatusCode::try_from(status).unwrap();
    HttpResponse::new(status, SdkBody::from(body))
}

fn fault(status: u16, code: &str) -> Answer {
    (status, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": code}).to_string())
}

fn no_answer() -> ConnectorError {
    ConnectorError::timeout("the answer is lost".into())
}

impl Tables {
    async fn call(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = std::str::from_utf8(request.body().bytes().unwrap_or_default()).unwrap().to_owned();
        let asked: Value = serde_json::from_str(&body).unwrap();
        let passage = passage(&operation, &asked);
        match self.gate.enter(&passage).await {
            Ruling::Pass => Ok(response(self.answer(&passage, &asked, &body))),
            Ruling::Conflict if operation == "TransactWriteItems" => Ok(response(conflict(&asked))),
            Ruling::Conflict => Ok(response(fault(400, "TransactionConflictException"))),
            Ruling::Throttled => Ok(response(fault(400, "ProvisionedThroughputExceededException"))),
            Ruling::Internal | Ruling::Status(_) => Ok(response(fault(500, "InternalServerError"))),
            Ruling::Unprocessed => Ok(response((200, unprocessed(&asked)))),
            Ruling::LostBefore | Ruling::CrashBefore => Err(no_answer()),
            Ruling::LostAfter => {
                self.answer(&passage, &asked, &body);
                Err(no_answer())
            }
            Ruling::CrashAfter => {
                self.answer(&passage, &asked, &body);
                self.gate.end().await;
                Err(no_answer())
            }
        }
    }

    fn answer(&self, passage: &Passage, asked: &Value, body: &str) -> Answer {
        let metered = self.gate.meters().then(|| metered(asked));
        let answer = run(&self.database, &passage.operation, metered.as_deref().unwrap_or(body));
        if metered.is_some() {
            self.gate.consumed(passage, units(&answer.1));
        }
        let told = match &answer {
            (200, _) if passage.writes => Told::Written(written(&passage.operation, asked)),
            (200, _) => Told::Read,
            (_, text) if text.contains("ConditionalCheckFailed") => Told::ConditionFailed,
            _ => Told::Failed,
        };
        if let Told::Written(changes) = &told {
            self.follow(changes);
        }
        self.gate.told(passage, told);
        answer
    }

    fn follow(&self, changes: &[Written]) {
        for item in changes.iter().filter_map(|change| change.item.as_ref()) {
            let fresh = || {
                let id = item["pk"].as_str().unwrap().to_owned();
                self.streamed.lock().unwrap_or_else(PoisonError::into_inner).insert(id)
            };
            if item["entity"] == "outbox" && fresh() {
                self.stream.lock().unwrap_or_else(PoisonError::into_inner).push(item.clone());
            }
        }
    }
}

/// A request that asks for what it consumes as well.
fn metered(asked: &Value) -> String {
    let mut asked = asked.clone();
    asked["ReturnConsumedCapacity"] = json!("TOTAL");
    asked.to_string()
}

/// What an answer says of capacity: one figure, or one for each table. A refusal says nothing.
fn units(answer: &str) -> f64 {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let of = |capacity: &Value| capacity["CapacityUnits"].as_f64().unwrap_or_default();
    match &answer["ConsumedCapacity"] {
        Value::Array(tables) => tables.iter().map(of).sum(),
        one => of(one),
    }
}

/// Hands a request to the emulator.
fn run(database: &Database, operation: &str, body: &str) -> Answer {
    macro_rules! operations {
        ($($name:literal => $method:ident),* $(,)?) => {
            match operation {
                $($name => serde_json::from_str(body)
                    .map_err(|error| DynoxideError::SerializationException(error.to_string()))
                    .and_then(|request| database.$method(request))
                    .map(|answer| serde_json::to_string(&answer).unwrap()),)*
                other => panic!("the table in memory has no {other}"),
            }
        };
    }
    let answer = operations! {
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "CreateTable" => create_table,
        "DeleteItem" => delete_item,
        "DescribeTable" => describe_table,
        "GetItem" => get_item,
        "PutItem" => put_item,
        "Query" => query,
        "Scan" => scan,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
        "UpdateItem" => update_item,
    };
    answer.map_or_else(|error| (error.status_code(), error.to_json()), |json| (200, json))
}

/// The parts of a transaction: `Put`, `Update`, `Delete`, `ConditionCheck` and what they are about.
fn parts(asked: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let items = asked["TransactItems"].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().flat_map(|item| item.as_object().into_iter().flatten()).map(|(kind, part)| (kind.as_str(), part))
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name]["S"].as_str().unwrap_or_default()
}

/// What a key is about: the entity's name, or the part of the key that stands for it.
fn entity(item: &Value) -> String {
    let (named, pk, sk) = (text(item, "entity"), text(item, "pk"), text(item, "sk"));
    let word = |key: &str| key.split('#').next().unwrap_or_default().to_lowercase();
    match (named, pk.split('#').next()) {
        ("", Some("USER")) if sk.starts_with("ME#") => sk[3..].to_lowercase(),
        ("", Some("USER")) => word(sk),
        ("", _) => word(pk),
        (named, _) => named.to_owned(),
    }
}

fn passage(operation: &str, asked: &Value) -> Passage {
    let entities = match operation {
        "TransactWriteItems" => parts(asked)
            .map(|(kind, part)| match kind {
                "Put" => entity(&part["Item"]),
                "Delete" => format!("-{}", entity(&part["Key"])),
                "ConditionCheck" => format!("?{}", entity(&part["Key"])),
                _ => format!("+{}", entity(&part["Key"])),
            })
            .collect(),
        "BatchGetItem" => {
            let tables = asked["RequestItems"].as_object().into_iter().flatten();
            tables.flat_map(|(_, table)| table["Keys"].as_array().into_iter().flatten()).map(entity).collect()
        }
        "PutItem" => vec![entity(&asked["Item"])],
        "Query" => {
            let values = asked["ExpressionAttributeValues"].as_object().into_iter().flatten();
            let word =
                |value: &Value| value["S"].as_str().unwrap_or_default().split('#').next().unwrap().to_lowercase();
            values.map(|(_, value)| word(value)).filter(|word| word.chars().all(char::is_alphabetic)).collect()
        }
        _ => vec![entity(&asked["Key"])],
    };
    let writes = matches!(operation, "TransactWriteItems" | "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem");
    Passage { party: Party::Table, operation: operation.to_owned(), entities, writes }
}

/// A cancelled transaction: the first item is in the hands of another.
fn conflict(asked: &Value) -> Answer {
    let reasons: Vec<Value> = (0..parts(asked).count())
        .map(|index| json!({"Code": if index == 0 { "TransactionConflict" } else { "None" }}))
        .collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons [TransactionConflict]",
        "CancellationReasons": reasons,
    });
    (400, body.to_string())
}

/// A batch of which nothing was read.
fn unprocessed(asked: &Value) -> String {
    json!({"Responses": {}, "UnprocessedKeys": asked["RequestItems"]}).to_string()
}

fn written(operation: &str, asked: &Value) -> Vec<Written> {
    let change = |kind: &str, part: &Value| {
        let key = if kind == "Put" { &part["Item"] } else { &part["Key"] };
        Written {
            pk: text(key, "pk").to_owned(),
            sk: text(key, "sk").to_owned(),
            item: (kind == "Put").then(|| plain_item(&part["Item"])),
            deleted: kind == "Delete",
        }
    };
    match operation {
        "TransactWriteItems" => {
            parts(asked).filter(|(kind, _)| *kind != "ConditionCheck").map(|(kind, part)| change(kind, part)).collect()
        }
        "PutItem" => vec![change("Put", asked)],
        "DeleteItem" => vec![change("Delete", asked)],
        "UpdateItem" => vec![change("Update", asked)],
        _ => Vec::new(),
    }
}

fn plain_item(item: &Value) -> Value {
    let fields = item.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>())
}

/// A typed attribute as plain JSON.
fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|typed| typed.iter().next()) else { return Value::Null };
    match kind.as_str() {
        "N" => serde_json::from_str(inner.as_str().unwrap_or_default()).unwrap_or(Value::Null),
        "M" => plain_item(inner),
        "L" => inner.as_array().into_iter().flatten().map(plain).collect(),
        "NULL" => Value::Null,
        _ => inner.clone(),
    }
}
