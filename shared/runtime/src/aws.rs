//! The ports of `ivy-flows` on AWS: SQS, EventBridge Scheduler, SES.
//!
//! Errors carry the service's code only, never its message, which may repeat addresses. Timers are one-time schedules in
//! UTC that delete themselves; the name is the caller's and deterministic, so a second `set` finds the first (a conflict)
//! and leaves it, and `clear` of one that fired finds nothing; both are successes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_scheduler::types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use aws_sdk_sesv2::{
    error::{ProvideErrorMetadata, SdkError},
    types::{Body, Content, Destination, EmailContent, Message, MessageTag},
};
use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchRequestEntry};
use ivy_flows::{
    Clock,
    ports::{Mail, Mailer, PortError, Queue, Queues, Timer, Timers},
};
use ivy_providers::{Class, ProviderError};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::config::{QueueConfig, TimerConfig};

/// SQS delays a message for at most 15 minutes.
const LONGEST_DELAY: Duration = Duration::from_secs(900);
/// SQS takes this many messages in one request.
const MOST_IN_A_BATCH: usize = 10;
/// Before what SQS refused for a reason of its own is sent again, as often as the SDK sends a request.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// A timer whose time has passed fires this much later.
const SOON: SignedDuration = SignedDuration::from_secs(2);

fn port_error<E: ProvideErrorMetadata, R>(port: &'static str, error: &SdkError<E, R>) -> PortError {
    let reason = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or("no_answer");
    PortError { port, reason: reason.to_owned() }
}

fn unbuilt(port: &'static str) -> PortError {
    PortError { port, reason: "the request cannot be built".to_owned() }
}

/// The function was started without this queue: a mistake in its binary, seen at its first use.
fn out_of_reach(port: &'static str, queue: Queue) -> PortError {
    PortError { port, reason: format!("this function was not started with the queue {queue:?}") }
}

/// The queues, on SQS.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    client: aws_sdk_sqs::Client,
    config: QueueConfig,
}

impl SqsQueues {
    #[must_use]
    pub const fn new(client: aws_sdk_sqs::Client, config: QueueConfig) -> Self {
        Self { client, config }
    }
}

#[async_trait]
impl Queues for SqsQueues {
    async fn send_all(&self, queue: Queue, bodies: Vec<String>, delay: Duration) -> Result<(), PortError> {
        let url = self.config.url(queue).ok_or_else(|| out_of_reach("sqs", queue))?;
        for mut batch in batches(bodies, delay)? {
            let mut pauses = PAUSES.into_iter();
            while !batch.is_empty() {
                let request = self.client.send_message_batch().queue_url(url).set_entries(Some(batch.clone()));
                let answer = request.send().await.map_err(|error| port_error("sqs", &error))?;
                batch = refused(batch, answer.failed(), pauses.len() > 0)?;
                if let Some(pause) = pauses.next().filter(|_| !batch.is_empty()) {
                    tokio::time::sleep(pause).await;
                }
            }
        }
        Ok(())
    }
}

/// The requests that bodies make, in their order.
fn batches(bodies: Vec<String>, delay: Duration) -> Result<Vec<Vec<SendMessageBatchRequestEntry>>, PortError> {
    // Rounded up: early is wrong, a second late is not.
    let delay = delay.min(LONGEST_DELAY);
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    let seconds = i32::try_from(seconds).unwrap_or(900);
    let mut batches: Vec<Vec<SendMessageBatchRequestEntry>> = Vec::new();
    for (at, body) in bodies.into_iter().enumerate() {
        let entry =
            SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(body).delay_seconds(seconds);
        let entry = entry.build().map_err(|_| unbuilt("sqs"))?;
        match batches.last_mut().filter(|batch| batch.len() < MOST_IN_A_BATCH) {
            Some(batch) => batch.push(entry),
            None => batches.push(vec![entry]),
        }
    }
    Ok(batches)
}

/// What of a batch is to be sent again: its answer is a success also when messages in it were refused, and the SDK repeats none of
/// them. An error for what would be refused again, and where nothing is to be repeated any more.
fn refused(
    mut batch: Vec<SendMessageBatchRequestEntry>,
    failed: &[BatchResultErrorEntry],
    again: bool,
) -> Result<Vec<SendMessageBatchRequestEntry>, PortError> {
    if let Some(entry) = failed.iter().find(|entry| entry.sender_fault() || !again) {
        return Err(PortError { port: "sqs", reason: entry.code().to_owned() });
    }
    batch.retain(|entry| failed.iter().any(|failed| failed.id() == entry.id()));
    Ok(batch)
}

/// The timers, on EventBridge Scheduler.
#[derive(Debug, Clone)]
pub struct SchedulerTimers {
    client: aws_sdk_scheduler::Client,
    config: TimerConfig,
    clock: Arc<dyn Clock>,
}

impl SchedulerTimers {
    #[must_use]
    pub fn new(client: aws_sdk_scheduler::Client, config: TimerConfig, clock: Arc<dyn Clock>) -> Self {
        Self { client, config, clock }
    }
}

/// `at(2026-11-23T07:30:00)` in UTC, whole seconds, rounded up; a time that passed becomes a moment from `now`.
fn schedule_expression(at: Timestamp, now: Timestamp) -> String {
    let soonest = now.saturating_add(SOON).unwrap_or(now);
    let at = at.max(soonest);
    let whole = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
    let at = Timestamp::from_second(whole).unwrap_or(at).to_zoned(TimeZone::UTC);
    format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

#[async_trait]
impl Timers for SchedulerTimers {
    async fn set(&self, timer: Timer) -> Result<(), PortError> {
        let arn = self.config.arn(timer.queue).ok_or_else(|| out_of_reach("scheduler", timer.queue))?;
        let target = Target::builder().arn(arn).role_arn(&self.config.role_arn).input(timer.body).build();
        let target = target.map_err(|_| unbuilt("scheduler"))?;
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
        let window = window.map_err(|_| unbuilt("scheduler"))?;
        let result = self
            .client
            .create_schedule()
            .group_name(&self.config.group)
            .name(timer.name)
            .schedule_expression(schedule_expression(timer.at, self.clock.now()))
            .schedule_expression_timezone("UTC")
            .flexible_time_window(window)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(target)
            .send()
            .await;
        match result {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conflict_exception()) => Ok(()),
            Err(error) => Err(port_error("scheduler", &error)),
        }
    }

    async fn clear(&self, name: &str) -> Result<(), PortError> {
        match self.client.delete_schedule().group_name(&self.config.group).name(name).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => Ok(()),
            Err(error) => Err(port_error("scheduler", &error)),
        }
    }
}

/// E-mail, on SES.
#[derive(Debug, Clone)]
pub struct SesMailer {
    client: aws_sdk_sesv2::Client,
    from: String,
}

impl SesMailer {
    #[must_use]
    pub const fn new(client: aws_sdk_sesv2::Client, from: String) -> Self {
        Self { client, from }
    }
}

#[async_trait]
impl Mailer for SesMailer {
    async fn send(&self, mail: Mail) -> Result<String, ProviderError> {
        let unbuilt = |_| ProviderError::Rejected { status: 400, code: None, class: Class::InvalidRequest };
        let content = |text: String| Content::builder().data(text).charset("UTF-8").build().map_err(unbuilt);
        let message = Message::builder()
            .subject(content(mail.subject)?)
            .body(Body::builder().text(content(mail.text)?).build())
            .build();
        let tag = MessageTag::builder().name("message_id").value(mail.message_id).build().map_err(unbuilt)?;
        let answer = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(mail.to).build())
            .content(EmailContent::builder().simple(message).build())
            .email_tags(tag)
            .send()
            .await
            .map_err(|error| mail_error(&error))?;
        // The mail is on its way; without an id its bounces cannot be matched, and that is all.
        Ok(answer.message_id().unwrap_or_default().to_owned())
    }
}

fn mail_error<E: ProvideErrorMetadata>(
    error: &SdkError<E, aws_sdk_sesv2::config::http::HttpResponse>,
) -> ProviderError {
    match error {
        SdkError::ConstructionFailure(_) => {
            ProviderError::Rejected { status: 400, code: None, class: Class::InvalidRequest }
        }
        // A time-out or a broken connection may have come after the mail was taken.
        SdkError::DispatchFailure(failure) if failure.is_timeout() || failure.is_io() => ProviderError::Unknown,
        SdkError::DispatchFailure(_) => ProviderError::Unavailable { status: None },
        SdkError::ServiceError(service) => {
            mail_error_by_code(service.err().code().unwrap_or_default(), service.raw().status().as_u16())
        }
        _ => ProviderError::Unknown,
    }
}

/// SES's codes: <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>.
fn mail_error_by_code(code: &str, status: u16) -> ProviderError {
    let rejected = |class| ProviderError::Rejected { status, code: None, class };
    match code {
        "TooManyRequestsException" | "LimitExceededException" | "ThrottlingException" | "Throttling" => {
            ProviderError::RateLimited { retry_after: None }
        }
        "MessageRejected" => rejected(Class::Undeliverable),
        "BadRequestException" | "ValidationException" => rejected(Class::InvalidRequest),
        "NotFoundException" => rejected(Class::NotFound),
        "AccountSuspendedException"
        | "SendingPausedException"
        | "MailFromDomainNotVerifiedException"
        | "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException" => ProviderError::Misconfigured { status: Some(status), code: None },
        _ if status >= 500 => ProviderError::Unknown,
        _ => rejected(Class::InvalidRequest),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

    use super::*;
    use crate::canned::Canned;

    #[test]
    fn timers_are_set_in_whole_seconds_of_utc_and_never_in_the_past() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = time("2026-11-23T07:00:00Z");
        assert_eq!(schedule_expression(time("2026-11-23T09:30:00+02:00"), now), "at(2026-11-23T07:30:00)");
        assert_eq!(schedule_expression(time("2026-11-23T07:30:00.001Z"), now), "at(2026-11-23T07:30:01)");
        assert_eq!(schedule_expression(time("2026-11-23T06:30:00Z"), now), "at(2026-11-23T07:00:02)");
        assert_eq!(schedule_expression(now, now), "at(2026-11-23T07:00:02)");
    }

    #[test]
    fn a_batch_has_ten_messages_with_ids_of_their_own_and_a_delay_in_whole_seconds() {
        let bodies: Vec<String> = (0..25).map(|at| format!("body {at}")).collect();
        let batches = batches(bodies.clone(), Duration::from_millis(1_500)).unwrap();
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        for batch in &batches {
            let ids: BTreeSet<&str> = batch.iter().map(SendMessageBatchRequestEntry::id).collect();
            assert_eq!(ids.len(), batch.len());
        }
        let entries: Vec<_> = batches.into_iter().flatten().collect();
        assert!(entries.iter().all(|entry| entry.delay_seconds() == Some(2)));
        assert_eq!(entries.iter().map(|entry| entry.message_body().to_owned()).collect::<Vec<_>>(), bodies);
    }

    #[test]
    fn a_delay_is_no_longer_than_sqs_takes() {
        let longest = batches(vec!["{}".to_owned()], Duration::from_secs(3_600)).unwrap();
        assert_eq!(longest[0][0].delay_seconds(), Some(900));
    }

    #[test]
    fn no_messages_make_no_request() {
        assert!(batches(Vec::new(), Duration::ZERO).unwrap().is_empty());
    }

    #[test]
    fn of_a_batch_only_what_sqs_could_not_take_is_sent_again_and_not_for_ever() {
        let batch = || batches((0..4).map(|at| at.to_string()).collect(), Duration::ZERO).unwrap().remove(0);
        let failed = |id: &str, code: &str, sender_fault| {
            BatchResultErrorEntry::builder().id(id).code(code).sender_fault(sender_fault).build().unwrap()
        };
        let bodies = |batch: Vec<SendMessageBatchRequestEntry>| {
            batch.iter().map(|entry| entry.message_body().to_owned()).collect::<Vec<_>>()
        };
        let busy = failed("2", "InternalError", false);
        assert!(refused(batch(), &[], true).unwrap().is_empty());
        assert_eq!(bodies(refused(batch(), std::slice::from_ref(&busy), true).unwrap()), ["2"]);
        let over = refused(batch(), std::slice::from_ref(&busy), false).unwrap_err();
        assert_eq!(over.to_string(), "sqs failed: InternalError");
        let ours = failed("3", "InvalidMessageContents", true);
        assert_eq!(
            refused(batch(), &[busy, ours], true).unwrap_err().to_string(),
            "sqs failed: InvalidMessageContents"
        );
    }

    const TAKEN: &str = r#"{"Successful":[],"Failed":[]}"#;
    const ONE_REFUSED: &str =
        r#"{"Successful":[],"Failed":[{"Id":"1","Code":"InternalError","SenderFault":false,"Message":"busy"}]}"#;

    /// What sending three jobs comes to, and the bodies of each request that it made.
    async fn send_three(answers: &[(Option<u16>, &'static str)]) -> (Result<(), PortError>, Vec<Vec<String>>) {
        let canned = Canned::new(answers);
        let environment = |name: &str| Some(format!("https://sqs.eu-west-2.amazonaws.com/1/{name}"));
        let config = QueueConfig::from_env(environment, &[Queue::PlanUsers]).unwrap();
        let queues = SqsQueues::new(aws_sdk_sqs::Client::new(&canned.sdk()), config);
        let jobs = ["a", "b", "c"].map(str::to_owned).to_vec();
        let sent = queues.send_all(Queue::PlanUsers, jobs, Duration::ZERO).await;
        let bodies = |request: &HttpRequest| {
            assert_eq!(request.headers().get("x-amz-target"), Some("AmazonSQS.SendMessageBatch"));
            let body: serde_json::Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let entries = body["Entries"].as_array().unwrap();
            entries.iter().map(|entry| entry["MessageBody"].as_str().unwrap().to_owned()).collect()
        };
        (sent, canned.asked().iter().map(bodies).collect())
    }

    #[tokio::test]
    async fn jobs_go_in_one_request_and_a_refused_one_goes_again_by_itself() {
        let (sent, asked) = send_three(&[(Some(200), TAKEN)]).await;
        assert!(sent.is_ok());
        assert_eq!(asked, [["a", "b", "c"]]);

        let (sent, asked) = send_three(&[(Some(200), ONE_REFUSED), (Some(200), TAKEN)]).await;
        assert!(sent.is_ok());
        assert_eq!(asked, [&["a", "b", "c"][..], &["b"]]);
    }

    #[tokio::test]
    async fn a_job_that_is_refused_again_and_again_is_an_error() {
        let (sent, asked) = send_three(&[(Some(200), ONE_REFUSED)]).await;
        assert_eq!(sent.unwrap_err().to_string(), "sqs failed: InternalError");
        assert_eq!(asked, [&["a", "b", "c"][..], &["b"], &["b"]]);
    }

    #[test]
    fn mail_errors_are_sorted_by_what_is_known() {
        assert_eq!(
            mail_error_by_code("TooManyRequestsException", 429),
            ProviderError::RateLimited { retry_after: None }
        );
        assert!(matches!(mail_error_by_code("MessageRejected", 400), ProviderError::Rejected { .. }));
        assert!(matches!(mail_error_by_code("SendingPausedException", 400), ProviderError::Misconfigured { .. }));
        assert_eq!(mail_error_by_code("InternalFailure", 500), ProviderError::Unknown);
        assert!(matches!(mail_error_by_code("SomethingNew", 400), ProviderError::Rejected { .. }));
    }
}
