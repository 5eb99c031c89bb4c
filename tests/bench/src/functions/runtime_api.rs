//! Lambda's Runtime API, as far as a function needs it, with a stop-watch.
//!
//! One server for one process: `next` gives the event that the measurement hands in, `response` and `error` take the answer.
//! The time of a request is from the moment at which the event is sent to the function until its answer is here, as Lambda
//! bills it; a function is asked again only after it polled again, so what it does between two requests is not part of any.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex as Lock, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    routing::{get, post},
    serve::ListenerExt as _,
};
use ivy_flows::{Clock as _, SystemClock};
use tokio::{
    net::TcpListener,
    sync::{
        Mutex,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
    time::timeout,
};

use crate::failure::{Because as _, Failure};

/// Longer than any function may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum Said {
    Polled(Instant),
    Answered(Instant, Bytes),
    /// The invocation failed; what it says is a report for people.
    Failed(Bytes),
    InitFailed(Bytes),
}

struct Door {
    said: UnboundedSender<Said>,
    events: Mutex<UnboundedReceiver<Bytes>>,
    handed: Lock<Option<Instant>>,
    timeout_seconds: u32,
}

/// The server of one process.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    pub(crate) address: String,
    said: UnboundedReceiver<Said>,
    events: UnboundedSender<Bytes>,
    door: Arc<Door>,
    server: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer, and how long it took.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) took: Duration,
    pub(crate) body: Bytes,
}

impl RuntimeApi {
    pub(crate) async fn start(timeout_seconds: u32) -> Result<Self, Failure> {
        let (tell, said) = unbounded_channel();
        let (events, take) = unbounded_channel();
        let door = Arc::new(Door { said: tell, events: Mutex::new(take), handed: Lock::default(), timeout_seconds });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&door));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.because("no port for the Runtime API")?;
        let address = listener.local_addr().because("no port for the Runtime API")?.to_string();
        // Without this, Nagle and delayed acknowledgements cost 40 ms an event.
        let listener = listener.tap_io(|socket| {
            let _ = socket.set_nodelay(true);
        });
        let server = tokio::spawn(async move {
            // It ends with the measurement.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, said, events, door, server })
    }

    async fn hear(&mut self) -> Result<Said, Failure> {
        let said = timeout(PATIENCE, self.said.recv()).await.because("the function says nothing for a minute")?;
        match said.because("the Runtime API ended")? {
            Said::Failed(report) | Said::InitFailed(report) => Err(Failure::new(String::from_utf8_lossy(&report))),
            said => Ok(said),
        }
    }

    /// Waits until the function asks for an event; when it did.
    pub(crate) async fn polled(&mut self) -> Result<Instant, Failure> {
        match self.hear().await? {
            Said::Polled(at) => Ok(at),
            other => Err(Failure::new(format!("expected a poll, not {other:?}"))),
        }
    }

    /// Gives a function that polled an event, and waits for its answer and for the next poll.
    pub(crate) async fn invoke(&mut self, event: &str) -> Result<Answer, Failure> {
        self.events.send(Bytes::copy_from_slice(event.as_bytes())).because("the Runtime API ended")?;
        let (at, body) = match self.hear().await? {
            Said::Answered(at, body) => (at, body),
            other => return Err(Failure::new(format!("expected an answer, not {other:?}"))),
        };
        let handed = self.door.handed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let took = at.duration_since(handed.because("an answer without an event")?);
        self.polled().await?;
        Ok(Answer { took, body })
    }
}

async fn next(State(door): State<Arc<Door>>) -> (HeaderMap, Bytes) {
    // Nobody listens any more when the measurement is over.
    let _ = door.said.send(Said::Polled(Instant::now()));
    let Some(event) = door.events.lock().await.recv().await else { std::future::pending().await };
    let deadline = SystemClock.now().as_millisecond() + i64::from(door.timeout_seconds) * 1000;
    let text = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("-"));
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", uuid::Uuid::new_v4().to_string()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-2:000000000000:function:bench".to_owned()),
        ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".to_owned()),
    ];
    let headers = headers.map(|(name, value)| (HeaderName::from_static(name), text(value)));
    *door.handed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    (headers.into_iter().collect(), event)
}

async fn response(State(door): State<Arc<Door>>, body: Bytes) -> StatusCode {
    let _ = door.said.send(Said::Answered(Instant::now(), body));
    StatusCode::ACCEPTED
}

async fn error(State(door): State<Arc<Door>>, body: Bytes) -> StatusCode {
    let _ = door.said.send(Said::Failed(body));
    StatusCode::ACCEPTED
}

async fn init_error(State(door): State<Arc<Door>>, body: Bytes) -> StatusCode {
    let _ = door.said.send(Said::InitFailed(body));
    StatusCode::ACCEPTED
}
