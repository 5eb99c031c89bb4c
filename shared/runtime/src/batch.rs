//! The loops over batches: SQS records and stream records.
//!
//! The event is taken untyped and each record read on its own, so one bad record never fails its neighbours. Failures
//! are answered as `batchItemFailures`, which the event source mapping must ask for (`ReportBatchItemFailures`).
//!
//! SQS: up to four records at once, in no order, each in a task of its own, so that a panic fails its record only. A
//! failure worth another try is reported and comes back after the visibility time-out. One that is not (a body nobody can
//! read, a defect) is logged as an error, counted as `poison_message`, and *also* reported: answering success would
//! delete it, and only a reported record reaches the dead-letter queue, where the alarm sees it.
//!
//! Streams: in order, one by one; the first failure ends the batch and its sequence number is reported, so that Lambda
//! starts again there. A record that is not worth another try does the same: later records must not overtake it, and the
//! mapping's retry limit sends it on to its failure destination.

use std::{fmt, future::Future, panic::AssertUnwindSafe};

use ivy_flows::Error as FlowError;
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::{start::StartError, telemetry};

/// How many records of one SQS batch run at once.
pub const CONCURRENCY: usize = 4;

/// One SQS message.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub message_id: String,
    /// May hold personal data; never logged.
    pub body: String,
    /// 1 at the first delivery.
    pub receive_count: u32,
    /// When it was put on the queue, if the event says so.
    pub sent_at: Option<Timestamp>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("message_id", &self.message_id)
            .field("receive_count", &self.receive_count)
            .finish_non_exhaustive()
    }
}

impl Record {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`Disposition::Poison`] when it is not what it should be; the reason holds no value.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Disposition> {
        serde_json::from_str(&self.body).map_err(|error| {
            Disposition::Poison(format!("the body cannot be read at line {}, column {}", error.line(), error.column()))
        })
    }
}

/// What becomes of a record that was not dealt with. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Comes again; the same may succeed.
    Retry(String),
    /// Will never succeed; a person must look at it.
    Poison(String),
}

impl From<FlowError> for Disposition {
    fn from(error: FlowError) -> Self {
        let text = format!("{}: {error}", error.name());
        if error.retryable() { Self::Retry(text) } else { Self::Poison(text) }
    }
}

fn log_failure(disposition: &Disposition) {
    match disposition {
        Disposition::Retry(error) => tracing::warn!(event = "record_failed", retryable = true, error),
        Disposition::Poison(error) => {
            tracing::error!(event = "poison_message", retryable = false, error);
            telemetry::count("poison_message", &[]);
        }
    }
}

fn records(event: Value) -> Result<Vec<Value>, Error> {
    match event {
        Value::Object(mut event) => match event.remove("Records") {
            Some(Value::Array(records)) => Ok(records),
            _ => Err(Error::from("the event has no Records")),
        },
        _ => Err(Error::from("the event is not an object")),
    }
}

fn failures(identifiers: &[String]) -> Value {
    let items: Vec<Value> = identifiers.iter().map(|id| json!({"itemIdentifier": id})).collect();
    json!({"batchItemFailures": items})
}

fn sqs_record(value: &Value) -> Option<Record> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let attribute = |name: &str| value.get("attributes").and_then(|a| a.get(name)).and_then(Value::as_str);
    Some(Record {
        message_id: text("messageId").filter(|id| !id.is_empty())?,
        body: text("body")?,
        receive_count: attribute("ApproximateReceiveCount").and_then(|n| n.parse().ok()).unwrap_or(1),
        sent_at: attribute("SentTimestamp")
            .and_then(|n| n.parse().ok())
            .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok()),
    })
}

/// Deals with one SQS event and answers which records failed.
///
/// # Errors
/// When the event has no records, or one of them has no message id, so that its failure could not be reported alone.
pub async fn handle_sqs<F, Fut>(event: Value, request_id: &str, handler: F) -> Result<Value, Error>
where
    F: Fn(Record) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Disposition>> + Send + 'static,
{
    let mut waiting = Vec::new();
    let mut failed = Vec::new();
    for value in records(event)? {
        match sqs_record(&value) {
            Some(record) => waiting.push(record),
            None => {
                let id = value.get("messageId").and_then(Value::as_str).filter(|id| !id.is_empty());
                // An empty identifier would mean the whole batch; then better the whole batch by an error that says so.
                let id = id.ok_or_else(|| Error::from("a record has no messageId"))?;
                tracing::info_span!("record", request_id, message_id = id)
                    .in_scope(|| log_failure(&Disposition::Poison("the record has no body".to_owned())));
                failed.push(id.to_owned());
            }
        }
    }
    let mut waiting = waiting.into_iter();
    let mut running = JoinSet::new();
    let start = |record: Record, running: &mut JoinSet<Option<String>>| {
        let span = tracing::info_span!(
            "record",
            request_id,
            message_id = record.message_id,
            receive_count = record.receive_count
        );
        let (id, handler) = (record.message_id.clone(), handler.clone());
        let work = async move {
            // The call is inside, so that a handler that panics before its first await is caught as well.
            let result = catch_panic(async move { handler(record).await })
                .await
                .unwrap_or_else(|| Err(Disposition::Retry("the handler panicked".to_owned())));
            result.inspect_err(log_failure).err().map(|_| id)
        };
        running.spawn(work.instrument(span));
    };
    for record in waiting.by_ref().take(CONCURRENCY) {
        start(record, &mut running);
    }
    while let Some(ended) = running.join_next().await {
        failed.extend(ended.map_err(|_| Error::from("a record's task was lost"))?);
        if let Some(record) = waiting.next() {
            start(record, &mut running);
        }
    }
    Ok(failures(&failed))
}

/// Runs a future; `None` when it panicked. The panic's message went to the log by the hook that `start` sets.
pub(crate) async fn catch_panic<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |context| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(poll) => poll.map(Some),
            Err(_) => std::task::Poll::Ready(None),
        }
    })
    .await
}

/// Deals with one event of a DynamoDB stream: records in order, until the first failure. The handler gets each record
/// as the stream gives it (`eventName`, `dynamodb.NewImage`, …).
///
/// # Errors
/// When the event has no records, or a record that fails has no sequence number.
pub async fn handle_stream<F, Fut>(event: Value, request_id: &str, handler: F) -> Result<Value, Error>
where
    F: Fn(Value) -> Fut,
    Fut: Future<Output = Result<(), Disposition>>,
{
    for record in records(event)? {
        let number = record.pointer("/dynamodb/SequenceNumber").and_then(Value::as_str).map(str::to_owned);
        let span = tracing::info_span!("record", request_id, sequence_number = number.as_deref());
        let work = async {
            let result = catch_panic(async { handler(record).await })
                .await
                .unwrap_or_else(|| Err(Disposition::Retry("the handler panicked".to_owned())));
            result.inspect_err(log_failure).is_err()
        };
        if Box::pin(work.instrument(span)).await {
            let number =
                number.filter(|n| !n.is_empty()).ok_or_else(|| Error::from("a record has no SequenceNumber"))?;
            return Ok(failures(&[number]));
        }
    }
    Ok(failures(&[]))
}

/// Runs a function on an SQS queue until Lambda ends it.
///
/// # Errors
/// When the Lambda runtime cannot go on.
pub async fn serve_sqs<F, Fut>(handler: F) -> Result<(), StartError>
where
    F: Fn(Record) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Disposition>> + Send + 'static,
{
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let handler = handler.clone();
        async move { handle_sqs(event.payload, &event.context.request_id, handler).await }
    });
    lambda_runtime::run(service).await.map_err(|error| StartError::Runtime(error.to_string()))
}

/// Runs a function on a DynamoDB stream until Lambda ends it.
///
/// # Errors
/// When the Lambda runtime cannot go on.
pub async fn serve_stream<F, Fut>(handler: F) -> Result<(), StartError>
where
    F: Fn(Value) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Disposition>> + Send + 'static,
{
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let handler = handler.clone();
        async move { handle_stream(event.payload, &event.context.request_id, handler).await }
    });
    lambda_runtime::run(service).await.map_err(|error| StartError::Runtime(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::telemetry::capture::Captured;

    fn message(id: &str, body: &str) -> Value {
        json!({"messageId": id, "body": body, "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1795419000000"}})
    }

    #[tokio::test]
    async fn each_record_succeeds_or_fails_on_its_own() {
        let (captured, guard) = Captured::start();
        let event = json!({"Records": [
            message("1", "fine"), message("2", "marked-later"), message("3", "marked-poison"), message("4", "panic"),
            {"messageId": "5"}, message("6", "fine"), message("7", "fine"),
        ]});
        let answer = handle_sqs(event, "r-1", |record: Record| async move {
            assert_eq!(record.receive_count, 2);
            assert!(record.sent_at.is_some());
            match record.body.as_str() {
                "marked-later" => Err(FlowError::Contended.into()),
                "marked-poison" => record.json::<u8>().map(|_| ()),
                "panic" => panic!("on purpose"),
                _ => Ok(()),
            }
        })
        .await
        .unwrap();
        drop(guard);
        let mut failed: Vec<&str> = answer["batchItemFailures"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["itemIdentifier"].as_str().unwrap())
            .collect();
        failed.sort_unstable();
        assert_eq!(failed, ["2", "3", "4", "5"]);
        assert!(!captured.text().contains("marked"), "{}", captured.text());
        let poison: Vec<Value> = captured.lines().into_iter().filter(|l| l["event"] == "poison_message").collect();
        assert_eq!(poison.len(), 2);
        assert!(poison.iter().all(|line| line["request_id"] == "r-1" && line["message_id"].is_string()));
        assert_eq!(captured.lines().iter().filter(|l| l["poison_message"] == 1.0).count(), 2);
    }

    #[tokio::test]
    async fn at_most_four_records_run_at_once() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let event = json!({"Records": (0..10).map(|i| message(&i.to_string(), "x")).collect::<Vec<_>>()});
        let (inner_now, inner_most) = (now.clone(), most.clone());
        let answer = handle_sqs(event, "r", move |_| {
            let (now, most) = (inner_now.clone(), inner_most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        })
        .await
        .unwrap();
        assert_eq!(answer, json!({"batchItemFailures": []}));
        assert_eq!(most.load(Ordering::SeqCst), CONCURRENCY);
    }

    #[tokio::test]
    async fn an_event_without_records_is_an_error() {
        let nothing = |_: Record| async { Ok(()) };
        assert!(handle_sqs(json!({}), "r", nothing).await.is_err());
        assert!(handle_sqs(json!([]), "r", nothing).await.is_err());
        assert!(handle_sqs(json!({"Records": [{"messageId": ""}]}), "r", nothing).await.is_err());
        assert!(handle_stream(json!({}), "r", async |_| Ok(())).await.is_err());
    }

    #[tokio::test]
    async fn a_stream_stops_at_the_first_failure() {
        let record = |n: &str| json!({"eventName": "INSERT", "dynamodb": {"SequenceNumber": n}});
        let event = json!({"Records": [record("1"), record("2"), record("3")]});
        let seen = Mutex::new(Vec::new());
        let answer = handle_stream(event, "r", async |record: Value| {
            let number = record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned();
            let result = if number == "2" { Err(Disposition::Retry("later".to_owned())) } else { Ok(()) };
            seen.lock().unwrap().push(number);
            result
        })
        .await
        .unwrap();
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "2"}]}));
        assert_eq!(*seen.lock().unwrap(), ["1", "2"]);
    }
}
