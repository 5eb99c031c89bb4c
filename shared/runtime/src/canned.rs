//! AWS for tests: answers that were written beforehand, and what was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::{body::SdkBody, retry::RetryConfig};

/// Answers one after the other, the last one for ever; without a status nobody answers.
#[derive(Debug)]
pub(crate) struct Canned {
    answers: Vec<(Option<u16>, &'static str)>,
    asked: Mutex<Vec<HttpRequest>>,
}

#[derive(Debug, Clone)]
struct Connector(Arc<Canned>);

impl Canned {
    pub(crate) fn new(answers: &[(Option<u16>, &'static str)]) -> Arc<Self> {
        Arc::new(Self { answers: answers.to_vec(), asked: Mutex::default() })
    }

    /// The configuration with which clients ask this one.
    pub(crate) fn sdk(self: &Arc<Self>) -> SdkConfig {
        let connector = SharedHttpConnector::new(Connector(Arc::clone(self)));
        let credentials = Credentials::new("AKID", "key", Some("token".to_owned()), None, "test");
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-2"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .build()
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<HttpRequest> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut asked = self.0.asked.lock().unwrap();
        let (status, body) = self.0.answers[asked.len().min(self.0.answers.len() - 1)];
        asked.push(request);
        HttpConnectorFuture::ready(match status {
            Some(status) => Ok(HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))),
            None => Err(ConnectorError::io("cut off".into())),
        })
    }
}
