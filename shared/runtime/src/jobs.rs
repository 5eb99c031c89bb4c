//! Scheduled functions.
//!
//! A job's time is the event's own, not the clock's: a rule that fires late or an event that is replayed gives the same
//! result. EventBridge delivers at least once, so every job is written to run twice.

use std::{future::Future, time::Instant};

use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tracing::Instrument as _;

use crate::start::StartError;

/// The time that an EventBridge event carries.
///
/// # Errors
/// When there is none, or it is not RFC 3339.
pub fn scheduled_time(event: &Value) -> Result<Timestamp, String> {
    let text = event.get("time").and_then(Value::as_str).ok_or("the event has no time")?;
    text.parse().map_err(|_| "the event's time is not RFC 3339".to_owned())
}

/// Runs one event of a job; a failure is logged and handed back, so that Lambda tries again.
///
/// # Errors
/// What the job answered, or an event without a time.
pub async fn handle<F, Fut>(event: &Value, request_id: &str, job: F) -> Result<(), Error>
where
    F: FnOnce(Timestamp) -> Fut,
    Fut: Future<Output = Result<(), ivy_flows::Error>>,
{
    let span = tracing::info_span!("job", request_id);
    let work = async {
        let began = Instant::now();
        let scheduled =
            scheduled_time(event).inspect_err(|error| tracing::error!(event = "job_event_unreadable", error))?;
        let result = job(scheduled).await;
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match result {
            Ok(()) => {
                tracing::info!(event = "job_done", scheduled_time = %scheduled, duration_milliseconds = milliseconds);
                Ok(())
            }
            Err(error) => {
                tracing::error!(event = "job_failed", error_name = error.name(), error = %error, scheduled_time = %scheduled);
                Err(Error::from(error.to_string()))
            }
        }
    };
    Box::pin(work.instrument(span)).await
}

/// Runs a scheduled function until Lambda ends it.
///
/// # Errors
/// When the Lambda runtime cannot go on.
pub async fn serve<F, Fut>(job: F) -> Result<(), StartError>
where
    F: Fn(Timestamp) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), ivy_flows::Error>> + Send + 'static,
{
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let job = job.clone();
        async move { handle(&event.payload, &event.context.request_id, job).await }
    });
    lambda_runtime::run(service).await.map_err(|error| StartError::Runtime(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_job_gets_the_events_own_time() {
        let event = json!({"source": "aws.events", "time": "2026-11-23T07:00:00Z"});
        let job = async |time: Timestamp| {
            assert_eq!(time.to_string(), "2026-11-23T07:00:00Z");
            Ok(())
        };
        assert!(handle(&event, "r-1", job).await.is_ok());
        assert!(handle(&json!({}), "r-1", async |_| Ok(())).await.is_err());
        assert!(handle(&json!({"time": "soon"}), "r-1", async |_| Ok(())).await.is_err());
        let failed = handle(&event, "r-1", async |_| Err(ivy_flows::Error::Contended)).await;
        assert!(failed.is_err());
    }
}
