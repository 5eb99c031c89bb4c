//! `GetSecretValue` of Secrets Manager, by the SDK's own orchestrator and without its client: retries, time-outs, signing and the
//! shared HTTP client are as for all AWS clients, but nothing is set up for a service of which one operation is called once a start
//! (decision 0026).

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig};
use aws_runtime::{
    auth::{SigV4OperationSigningConfig, sigv4},
    retries::classifiers::AwsErrorCodeClassifier,
};
use aws_smithy_runtime::client::{
    orchestrator::operation::Operation,
    retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{
            AuthSchemeOptionResolverParams, SharedAuthScheme,
            static_resolver::{StaticAuthSchemeOptionResolver, StaticAuthSchemeOptionResolverParams},
        },
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput},
        result::SdkError,
        runtime_components::RuntimeComponentsBuilder,
        runtime_plugin::StaticRuntimePlugin,
    },
};
use aws_smithy_types::{
    body::SdkBody,
    config_bag::Layer,
    error::metadata::{ErrorMetadata, ProvideErrorMetadata},
    timeout::TimeoutConfig,
};
use aws_types::{SigningName, region::SigningRegion};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

/// What Secrets Manager, or the way to it, said instead of the secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.code())]
pub(crate) struct Refusal(ErrorMetadata);

impl Refusal {
    fn new(code: &str) -> Self {
        Self(ErrorMetadata::builder().code(code).build())
    }

    /// Such as `ResourceNotFoundException`.
    pub(crate) fn code(&self) -> &str {
        self.0.code().unwrap_or_default()
    }
}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

#[derive(Deserialize)]
struct Found {
    #[serde(rename = "SecretString")]
    secret: Option<SecretString>,
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(rename = "__type")]
    code: Option<String>,
}

/// The text of a secret; none where it holds bytes.
pub(crate) async fn secret_string(sdk: &SdkConfig, id: &str) -> Result<Option<SecretString>, Refusal> {
    let no = Refusal::new;
    let region = sdk.region().ok_or_else(|| no("no_region"))?;
    let http = sdk.http_client().ok_or_else(|| no("no_http_client"))?;
    let credentials = sdk.credentials_provider().ok_or_else(|| no("no_credentials"))?;
    let endpoint =
        sdk.endpoint_url().map_or_else(|| format!("https://secretsmanager.{region}.amazonaws.com"), str::to_owned);

    let mut config = Layer::new("secrets_manager");
    config.store_put(SensitiveOutput);
    config.store_put(SigningRegion::from(region.clone()));
    config.store_put(SigningName::from_static("secretsmanager"));
    config.store_put(SigV4OperationSigningConfig::default());
    config.store_put(AuthSchemeOptionResolverParams::new(StaticAuthSchemeOptionResolverParams::new()));
    let components = RuntimeComponentsBuilder::new("secrets_manager")
        .with_auth_scheme(SharedAuthScheme::new(sigv4::SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![sigv4::SCHEME_ID])))
        .with_identity_resolver(sigv4::SCHEME_ID, credentials);
    let plugin = StaticRuntimePlugin::new().with_config(config.freeze()).with_runtime_components(components);

    let mut operation = Operation::builder()
        .service_name("Secrets Manager")
        .operation_name("GetSecretValue")
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .endpoint_url(&endpoint)
        .standard_retry(&sdk.retry_config().cloned().unwrap_or_else(RetryConfig::standard))
        .retry_classifier(HttpStatusCodeClassifier::default())
        .retry_classifier(TransientErrorClassifier::<Refusal>::new())
        .retry_classifier(AwsErrorCodeClassifier::<Refusal>::new())
        .timeout_config(sdk.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled))
        .with_connection_poisoning()
        .runtime_plugin(plugin)
        .serializer(request)
        .deserializer(answer);
    if let Some(sleep) = sdk.sleep_impl() {
        operation = operation.sleep_impl(sleep);
    }
    if let Some(time) = sdk.time_source() {
        operation = operation.time_source(time);
    }
    operation.build().invoke(id.to_owned()).await.map_err(|error| match error {
        SdkError::ServiceError(refused) => refused.into_err(),
        _ => no("no_answer"),
    })
}

fn request(id: String) -> Result<HttpRequest, BoxError> {
    let request = http::Request::builder()
        .method(http::Method::POST)
        .uri("/")
        .header(http::header::CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", "secretsmanager.GetSecretValue")
        .body(SdkBody::from(json!({"SecretId": id}).to_string()))?;
    Ok(request.try_into()?)
}

fn answer(response: &HttpResponse) -> Result<Option<SecretString>, OrchestratorError<Refusal>> {
    let refused = |code: &str| OrchestratorError::operation(Refusal::new(code));
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        let found = serde_json::from_slice::<Found>(body).map_err(|_| refused("unreadable_answer"))?;
        return Ok(found.secret);
    }
    // "com.amazonaws.secretsmanager#ResourceNotFoundException", or its last part alone.
    let answer: Refused = serde_json::from_slice(body).unwrap_or_default();
    Err(refused(answer.code.as_deref().and_then(|code| code.rsplit('#').next()).unwrap_or("no_answer")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::canned::Canned;

    async fn ask(answers: &[(Option<u16>, &'static str)]) -> (Result<Option<SecretString>, Refusal>, Vec<HttpRequest>) {
        let canned = Canned::new(answers);
        let answer = secret_string(&canned.sdk(), "ivy/test").await;
        (answer, canned.asked())
    }

    fn text(answer: Result<Option<SecretString>, Refusal>) -> String {
        answer.unwrap().unwrap().expose_secret().to_owned()
    }

    #[tokio::test]
    async fn the_secret_is_asked_for_as_the_api_wants_it() {
        let (answer, asked) = ask(&[(Some(200), r#"{"Name":"ivy/test","SecretString":"the words"}"#)]).await;
        assert_eq!(text(answer), "the words");
        let [request] = asked.as_slice() else { panic!("asked {} times", asked.len()) };
        assert_eq!((request.method(), request.uri()), ("POST", "https://secretsmanager.eu-west-2.amazonaws.com/"));
        let header = |name: &str| request.headers().get(name).unwrap_or_default().to_owned();
        assert_eq!(header("content-type"), "application/x-amz-json-1.1");
        assert_eq!(header("x-amz-target"), "secretsmanager.GetSecretValue");
        assert_eq!(request.body().bytes(), Some(br#"{"SecretId":"ivy/test"}"#.as_slice()));
        assert_eq!(header("x-amz-security-token"), "token");
        let authorization = header("authorization");
        assert!(authorization.contains("/eu-west-2/secretsmanager/aws4_request"), "{authorization}");
    }

    #[tokio::test]
    async fn a_secret_of_bytes_has_no_text() {
        assert!(ask(&[(Some(200), r#"{"SecretBinary":"AAEC"}"#)]).await.0.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_told_as_such() {
        for body in ["", "<html>", r#"{"SecretString":7}"#] {
            assert_eq!(ask(&[(Some(200), body)]).await.0.unwrap_err().code(), "unreadable_answer", "{body}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_by_its_code_and_not_repeated() {
        let body = r#"{"__type":"com.amazonaws.secretsmanager#ResourceNotFoundException","Message":"no such secret"}"#;
        let (answer, asked) = ask(&[(Some(400), body)]).await;
        assert_eq!((answer.unwrap_err().code(), asked.len()), ("ResourceNotFoundException", 1));
    }

    #[tokio::test]
    async fn what_may_pass_is_tried_three_times() {
        let secret = (Some(200), r#"{"SecretString":"the words"}"#);
        let throttled = (Some(400), r#"{"__type":"ThrottlingException"}"#);
        for trouble in [(Some(503), ""), throttled, (None, "")] {
            let (answer, asked) = ask(&[trouble, trouble, secret]).await;
            assert_eq!((text(answer).as_str(), asked.len()), ("the words", 3), "{trouble:?}");
            let (answer, asked) = ask(&[trouble]).await;
            let code = if trouble == throttled { "ThrottlingException" } else { "no_answer" };
            assert_eq!((answer.unwrap_err().code(), asked.len()), (code, 3), "{trouble:?}");
        }
    }
}
