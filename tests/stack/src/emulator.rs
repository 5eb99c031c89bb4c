//! What an operator of the account sees: invocations, schedules, queues, logs.
//!
//! A few plain requests do for it, where an SDK for each service would be minutes of every build. The emulator reads the service from a signature's
//! scope and does not check the signature, so these carry the scope only.

use jiff::Timestamp;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::Stack;

/// Events that one look at the logs answers at most.
const LOG_PAGE: usize = 10_000;

/// How an invocation ended.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Lambda's `FunctionError`: the function failed as a whole.
    pub failed: bool,
    pub payload: Value,
}

impl Stack {
    /// Runs a function of the template with an event, and waits for its answer.
    pub async fn invoke(&self, function: &str, event: String) -> Invocation {
        let path = format!("/2015-03-31/functions/{}{function}/invocations", self.file.function_prefix);
        let answer = self.aws("lambda", Method::POST, &path).body(event).send().await.unwrap();
        let (status, failed) = (answer.status(), answer.headers().contains_key("x-amz-function-error"));
        let payload = answer.bytes().await.unwrap();
        assert!(status.is_success(), "{function} was not run: {status} {}", String::from_utf8_lossy(&payload));
        Invocation { failed, payload: serde_json::from_slice(&payload).unwrap_or(Value::Null) }
    }

    /// Runs a job of the calendar with the event of a moment.
    pub async fn run_job(&self, function: &str, time: Timestamp) {
        let event = json!({
            "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "000000000000", "time": time, "region": self.file.region,
            "resources": [format!("arn:aws:events:{}:000000000000:rule/{function}", self.file.region)], "detail": {},
        });
        let done = self.invoke(function, event.to_string()).await;
        assert!(!done.failed, "{done:?}");
    }

    fn aws(&self, service: &str, method: Method, path: &str) -> RequestBuilder {
        let scope = format!("Credential=test/20260101/{}/{service}/aws4_request", self.file.region);
        let header = format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0");
        self.http.request(method, format!("{}{path}", self.file.emulator_url)).header("authorization", header)
    }

    async fn json_call(&self, service: &str, target: &str, version: &str, body: &Value) -> Value {
        let request = self.aws(service, Method::POST, "/").header("x-amz-target", target);
        let request =
            request.header("content-type", format!("application/x-amz-json-{version}")).body(body.to_string());
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{target}: {}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    /// Names of the one-time schedules that begin so.
    pub async fn schedules(&self, prefix: &str) -> Vec<String> {
        let path = format!("/schedules?ScheduleGroup={}&NamePrefix={prefix}", self.file.outputs["ScheduleGroup"]);
        let response = self.aws("scheduler", Method::GET, &path).send().await.unwrap();
        let answer: Value = response.json().await.unwrap();
        answer["Schedules"].as_array().unwrap().iter().map(|s| s["Name"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn delete_schedule(&self, name: &str) {
        let path = format!("/schedules/{name}?groupName={}", self.file.outputs["ScheduleGroup"]);
        let response = self.aws("scheduler", Method::DELETE, &path).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    }

    /// Messages on a queue, those in flight included. `output` is the stack's output that holds its URL.
    pub async fn queued(&self, output: &str) -> u64 {
        let body = json!({"QueueUrl": self.file.outputs[output], "AttributeNames": ["All"]});
        let answer = self.json_call("sqs", "AmazonSQS.GetQueueAttributes", "1.0", &body).await;
        let count = |name: &str| answer["Attributes"][name].as_str().unwrap().parse::<u64>().unwrap();
        count("ApproximateNumberOfMessages")
            + count("ApproximateNumberOfMessagesNotVisible")
            + count("ApproximateNumberOfMessagesDelayed")
    }

    /// Takes the only message off a dead-letter queue.
    pub async fn take_dead_letter(&self, output: &str) -> Value {
        let body = json!({"QueueUrl": self.file.outputs[output], "MaxNumberOfMessages": 10, "WaitTimeSeconds": 5});
        let answer = self.json_call("sqs", "AmazonSQS.ReceiveMessage", "1.0", &body).await;
        let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
        assert_eq!(messages.len(), 1, "{output}: {messages:?}");
        let body = json!({"QueueUrl": self.file.outputs[output], "ReceiptHandle": messages[0]["ReceiptHandle"].as_str().unwrap()});
        self.json_call("sqs", "AmazonSQS.DeleteMessage", "1.0", &body).await;
        serde_json::from_str(messages[0]["Body"].as_str().unwrap()).unwrap()
    }

    /// Every line that any function has logged so far, of every log group.
    pub async fn logs(&self) -> Vec<String> {
        let groups = self.json_call("logs", "Logs_20140328.DescribeLogGroups", "1.1", &json!({})).await;
        let mut lines = Vec::new();
        for group in groups["logGroups"].as_array().unwrap() {
            let mut start = 0;
            loop {
                let body = json!({"logGroupName": group["logGroupName"], "startTime": start, "limit": LOG_PAGE});
                let page = self.json_call("logs", "Logs_20140328.FilterLogEvents", "1.1", &body).await;
                let events = page["events"].as_array().unwrap();
                lines.extend(events.iter().map(|event| event["message"].as_str().unwrap().to_owned()));
                // The emulator gives no token for the next page: go on where this one ended, some lines come twice.
                let last = events.last().and_then(|event| event["timestamp"].as_i64()).unwrap_or_default();
                if events.len() < LOG_PAGE || last == start {
                    break;
                }
                start = last;
            }
        }
        lines
    }
}
