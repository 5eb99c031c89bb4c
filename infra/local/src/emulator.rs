//! MiniStack, and the few calls to it that this program makes itself.
//!
//! It starts with an environment of its own, because every variable of it reaches the functions, and with AUTH=true, so that each function
//! lives on its own role's permissions. The calls are plain HTTP: the emulator looks at the key's id and the scope of a signature
//! (that is how it knows the service) and never at the signature, so signing would prove nothing. The keys are `test`,
//! which stand for the account's root.

use std::{collections::BTreeMap, path::Path, time::Duration};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    console::Console,
    failure::Failure,
    layout::Layout,
    process::{Guarded, Tool},
    tools::Tools,
};

pub(crate) const REGION: &str = "eu-west-2";
const START_LIMIT: Duration = Duration::from_secs(30);

/// The running emulator.
#[derive(Debug)]
pub(crate) struct Emulator {
    process: Guarded,
    pub(crate) aws: Aws,
}

impl Emulator {
    /// Starts it and waits until it answers. `name` keeps the files of several instances apart.
    pub(crate) async fn start(
        console: &Console,
        layout: &Layout,
        tools: &Tools,
        name: &str,
        port: u16,
    ) -> Result<Self, Failure> {
        let mut step = console.step("emulator");
        let directory = layout.fresh(name)?;
        let temporary = layout.fresh(&format!("{name}/tmp"))?;
        let aws = Aws::new(port);
        let mut command = Tool::new(&tools.python, &directory);
        command.argument(layout.infra("ministack_launch.py")).clean();
        command
            .environment("PATH", "/usr/bin:/bin")
            .environment("HOME", &directory)
            .environment("TMPDIR", &temporary)
            .environment("STATE_DIR", directory.join("state"))
            .environment("PYTHONDONTWRITEBYTECODE", "1")
            .environment("AWS_ENDPOINT_URL", &aws.url)
            .environment("AWS_ACCESS_KEY_ID", "test")
            .environment("AWS_SECRET_ACCESS_KEY", "test")
            .environment("MINISTACK_REGION", REGION)
            .environment("GATEWAY_PORT", port.to_string())
            .environment("BIND_HOST", "127.0.0.1")
            // Both would listen on fixed ports of their own.
            .environment("SFTP_ENABLED", "0")
            .environment("IOT_MTLS_ENABLED", "0")
            .environment("AUTH", "true");
        let mut process = command.start(layout, &tools.python, "emulator")?;
        let deadline = std::time::Instant::now() + START_LIMIT;
        while !aws.is_healthy().await {
            if process.has_ended() || std::time::Instant::now() > deadline {
                return Err(Failure::new("The emulator did not start.").with_log(&layout.log("emulator")));
            }
            step.progress("waiting for an answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        step.done(&format!("MiniStack on port {port}"));
        Ok(Self { process, aws })
    }

    /// Waits until the emulator ends by itself, which it never should.
    pub(crate) async fn ended(&mut self) -> String {
        let code = self.process.wait().await;
        format!("The emulator ended by itself with {code}.")
    }
}

/// A client of the emulator's AWS.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    pub(crate) url: String,
    client: Client,
}

impl Aws {
    pub(crate) fn new(port: u16) -> Self {
        Self { url: format!("http://127.0.0.1:{port}"), client: Client::new() }
    }

    fn request(&self, service: &str, method: Method, path: &str) -> RequestBuilder {
        let scope = format!("Credential=test/20260101/{REGION}/{service}/aws4_request");
        self.client
            .request(method, format!("{}{path}", self.url))
            .timeout(Duration::from_secs(60))
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"))
    }

    async fn is_healthy(&self) -> bool {
        let answer = self.client.get(format!("{}/_ministack/health", self.url)).timeout(Duration::from_secs(2)).send();
        answer.await.is_ok_and(|answer| answer.status().is_success())
    }

    pub(crate) async fn create_bucket(&self, name: &str) -> Result<(), Failure> {
        let body = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        let request = self.request("s3", Method::PUT, &format!("/{name}")).body(body);
        text(request, "The bucket for the deployment was not made").await?;
        Ok(())
    }

    /// The outputs of a stack, by name.
    pub(crate) async fn stack_outputs(&self, stack: &str) -> Result<BTreeMap<String, String>, Failure> {
        let form = [("Action", "DescribeStacks"), ("Version", "2010-05-15"), ("StackName", stack)];
        let request = self.request("cloudformation", Method::POST, "/").form(&form);
        Ok(outputs(&text(request, "The stack's outputs could not be read").await?))
    }

    pub(crate) async fn put_secret(&self, id: &str, value: &Value) -> Result<(), Failure> {
        let body = json!({
            "SecretId": id, "SecretString": value.to_string(), "ClientRequestToken": uuid::Uuid::new_v4().to_string(),
        });
        let request = self
            .request("secretsmanager", Method::POST, "/")
            .header("x-amz-target", "secretsmanager.PutSecretValue")
            .header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string());
        text(request, "The secret was not written").await?;
        Ok(())
    }

    /// Verifies a sender of e-mails, which the emulator does at once.
    pub(crate) async fn verify_sender(&self, address: &str) -> Result<(), Failure> {
        let request =
            self.request("ses", Method::POST, "/v2/email/identities").json(&json!({ "EmailIdentity": address }));
        text(request, "The sender of e-mails was not verified").await?;
        Ok(())
    }

    /// Runs a function and answers what it answered; its own error is a failure.
    pub(crate) async fn invoke(&self, function: &str, event: Vec<u8>) -> Result<String, Failure> {
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let sentence = "The function was not run";
        let request = self.request("lambda", Method::POST, &path).body(event);
        let answer = request.send().await.map_err(|error| Failure::new(format!("{sentence}: {error}.")))?;
        let status = answer.status();
        let failed = answer.headers().contains_key("x-amz-function-error");
        let body = answer.text().await.map_err(|error| Failure::new(format!("{sentence}: {error}.")))?;
        if failed || !status.is_success() {
            return Err(Failure::new(format!("{function} failed.")).with_details([body]));
        }
        Ok(body)
    }

    /// E-mails that functions sent, as the emulator keeps them.
    pub(crate) async fn mails(&self) -> Result<Value, Failure> {
        let request = self.client.get(format!("{}/_ministack/ses/messages", self.url));
        let body = text(request, "The e-mails could not be read").await?;
        serde_json::from_str(&body).map_err(|error| Failure::new(format!("The e-mails are no JSON: {error}.")))
    }
}

async fn text(request: RequestBuilder, sentence: &str) -> Result<String, Failure> {
    let failed = |reason: String| Failure::new(format!("{sentence}: {reason}."));
    let answer = request.send().await.map_err(|error| failed(error.to_string()))?;
    let status = answer.status();
    let body = answer.text().await.map_err(|error| failed(error.to_string()))?;
    if status.is_success() { Ok(body) } else { Err(failed(format!("{status}")).with_details([body])) }
}

/// Key and value of each output in the XML that DescribeStacks answers. Ours hold no character that XML escapes but `&`.
fn outputs(xml: &str) -> BTreeMap<String, String> {
    let between = |text: &str, tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        let (value, _) = rest.split_once(&format!("</{tag}>"))?;
        Some(value.replace("&amp;", "&"))
    };
    xml.split("<member>")
        .filter_map(|member| Some((between(member, "OutputKey")?, between(member, "OutputValue")?)))
        .collect()
}

/// For the tools that talk to the emulator: its address and keys.
pub(crate) fn environment_for(tool: &mut Tool, aws: &Aws, path: impl AsRef<std::ffi::OsStr>, temporary: &Path) {
    tool.environment("PATH", path)
        .environment("AWS_ENDPOINT_URL", &aws.url)
        .environment("AWS_ACCESS_KEY_ID", "test")
        .environment("AWS_SECRET_ACCESS_KEY", "test")
        .environment("AWS_DEFAULT_REGION", REGION)
        .environment("AWS_REGION", REGION)
        // A person's own profile must not steer this deployment, nor be read by it.
        .environment("AWS_CONFIG_FILE", temporary.join("no-aws-config"))
        .environment("AWS_SHARED_CREDENTIALS_FILE", temporary.join("no-aws-credentials"))
        .environment("SAM_CLI_TELEMETRY", "0");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_from_the_answer() {
        let xml = "<Outputs><member><OutputKey>ApiId</OutputKey><OutputValue>4597cb1f</OutputValue></member>\
                   <member><OutputValue>http://x/?a=1&amp;b=2</OutputValue><OutputKey>Url</OutputKey></member></Outputs>";
        let outputs = outputs(xml);
        assert_eq!(outputs["ApiId"], "4597cb1f");
        assert_eq!(outputs["Url"], "http://x/?a=1&b=2");
    }
}
