//! How every binary starts.
//!
//! [`run`] reads the configuration and the secret, makes one shared HTTP client for all AWS clients, opens the table, and
//! hands a [`Start`] to the closure that is the binary. Clients of queues, timers, mail and providers are made only when a
//! function asks for them, and with them their settings and keys are read, so a function needs only what it uses; so is the
//! HTTP client of the providers.
//!
//! Region, credentials and `AWS_ENDPOINT_URL` come from the environment alone. The table is
//! read once during init, where the CPU is full and the wait is free: the first TLS handshake happens there. A start that
//! fails writes one JSON line and exits with 1, so that Lambda reports the sentence and not a time-out.

use std::{
    future::Future,
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig, environment::EnvironmentVariableCredentialsProvider};
use aws_sdk_dynamodb::config::{SharedCredentialsProvider, StalledStreamProtectionConfig};
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpClient as _, http_client_fn};
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};
use axum::Router;
use ivy_flows::{
    Ivy, SystemClock,
    ports::{Mailer, Queue, Queues, Timers},
};
use ivy_providers::{retell::Retell, stripe::Stripe, twilio::Twilio, whatsapp::WhatsApp};
use ivy_store::{Keyring, Store};
use secrecy::ExposeSecret as _;

use crate::{
    auth::AppState,
    aws::{SchedulerTimers, SesMailer, SqsQueues},
    config::{
        self, ConfigError, Deployment, HttpConfig, LogLevel, MailConfig, QueueConfig, RetellConfig, StripeConfig,
        TimerConfig, TwilioConfig, WhatsAppConfig,
    },
    roots,
    secrets::{SecretError, Secrets},
    telemetry,
};

/// Why a function did not start, as a sentence.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("A client cannot be made: {0}.")]
    Client(String),
    /// The Lambda runtime ended with an error.
    #[error("The Lambda runtime cannot go on: {0}.")]
    Runtime(String),
}

impl StartError {
    /// The variant's own stable name, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Config(_) => "config",
            Self::Secret(_) => "secret",
            Self::Client(_) => "client",
            Self::Runtime(_) => "runtime",
        }
    }
}

/// A started function: its configuration, secret and table, and the makers of its clients.
#[derive(Debug)]
pub struct Start {
    deployment: Deployment,
    sdk: SdkConfig,
    secrets: Secrets,
    /// For the providers, made when a function first asks for one: most talk to none.
    http: OnceLock<reqwest::Client>,
    ivy: Ivy,
}

/// Runs a binary: begins, runs `body`, and says in one line why it could not.
pub async fn run<F, Fut>(body: F) -> ExitCode
where
    F: FnOnce(Start) -> Fut,
    Fut: Future<Output = Result<(), StartError>>,
{
    let work = async {
        let start = Start::begin().await?;
        body(start).await
    };
    finish(Box::pin(work).await)
}

/// The shared configuration of all AWS clients, from the environment alone: put together here and not by `aws_config`'s loader,
/// which looks for profiles, containers and instances, and brings the code to each function.
///
/// # Errors
/// When there is no region, or the file of `AWS_CA_BUNDLE` is not one of certificates.
pub fn sdk_config() -> Result<SdkConfig, StartError> {
    let environment = config::process_environment;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(roots::trust(config::optional(&environment, "AWS_CA_BUNDLE").as_deref())?)
        .build_https();
    // Passed on as a function, it is not made once more only to see whether it can be: the roots were looked at above.
    let http = http_client_fn(move |settings, components| http.http_connector(settings, components));
    let mut sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(config::region_from_env(environment)?))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()))
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(2))
                .operation_attempt_timeout(Duration::from_secs(3))
                .operation_timeout(Duration::from_secs(8))
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        // An attempt's three seconds end what stalls before this protection would (five), and every body pays for it.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    sdk.set_endpoint_url(config::optional(&environment, "AWS_ENDPOINT_URL"));
    Ok(sdk.build())
}

/// What functions get that know neither the table nor the secret: their roles reach neither.
#[derive(Debug)]
pub struct Bare {
    sdk: SdkConfig,
}

/// Runs a binary that needs neither the table nor the secret.
pub async fn run_bare<F, Fut>(body: F) -> ExitCode
where
    F: FnOnce(Bare) -> Fut,
    Fut: Future<Output = Result<(), StartError>>,
{
    let work = async {
        watch(Deployment::log_level_from_env(config::process_environment)?);
        body(Bare { sdk: sdk_config()? }).await
    };
    finish(Box::pin(work).await)
}

impl Bare {
    /// # Errors
    /// When the queues' addresses are missing.
    pub fn queues(&self, needed: &[Queue]) -> Result<Arc<dyn Queues>, StartError> {
        queues(&self.sdk, needed)
    }

    /// # Errors
    /// When the schedules' settings are missing.
    pub fn timers(&self, needed: &[Queue]) -> Result<Arc<dyn Timers>, StartError> {
        timers(&self.sdk, needed)
    }

    /// Runs an endpoint without state, in all layers, until Lambda ends it.
    ///
    /// # Errors
    /// When its settings are wrong or the Lambda runtime cannot go on.
    pub async fn serve(&self, router: Router) -> Result<(), StartError> {
        let config = HttpConfig::from_env(config::process_environment)?;
        crate::http::serve(crate::http::harden(router, &config)).await
    }
}

/// Where Twilio reports what became of a text.
///
/// # Errors
/// When the setting is wrong.
pub fn sms_status_url() -> Result<Option<reqwest::Url>, StartError> {
    Ok(TwilioConfig::from_env(config::process_environment)?.status_url)
}

/// Installs telemetry, and a hook that says where the process panicked.
fn watch(level: LogLevel) {
    telemetry::install(level);
    std::panic::set_hook(Box::new(|panic| {
        // The message may hold values; the place is enough to find it.
        let location = panic.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
        tracing::error!(event = "panicked", location);
    }));
}

fn finish(result: Result<(), StartError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Does nothing if the start came far enough to install its own.
            telemetry::install(LogLevel::Info);
            tracing::error!(event = "start_failed", error_name = error.name(), error = %error);
            ExitCode::FAILURE
        }
    }
}

fn queues(sdk: &SdkConfig, needed: &[Queue]) -> Result<Arc<dyn Queues>, StartError> {
    let config = QueueConfig::from_env(config::process_environment, needed)?;
    Ok(Arc::new(SqsQueues::new(aws_sdk_sqs::Client::new(sdk), config)))
}

fn timers(sdk: &SdkConfig, needed: &[Queue]) -> Result<Arc<dyn Timers>, StartError> {
    let config = TimerConfig::from_env(config::process_environment, needed)?;
    Ok(Arc::new(SchedulerTimers::new(aws_sdk_scheduler::Client::new(sdk), config, Arc::new(SystemClock))))
}

impl Start {
    /// Telemetry, secret, table and settings.
    ///
    /// # Errors
    /// Names the first thing that is missing or wrong.
    pub async fn begin() -> Result<Self, StartError> {
        let environment = config::process_environment;
        let deployment = Deployment::from_env(environment)?;
        watch(deployment.log_level);
        let settings = config::settings_from_env(environment)?;
        let sdk = sdk_config()?;
        let secrets = Secrets::fetch(&sdk, &deployment.secret_id);
        let dynamodb = aws_sdk_dynamodb::Client::new(&sdk);
        let open = |keyring| Store::new(dynamodb.clone(), deployment.table_name.clone(), keyring);
        // Both at once, since each waits for a TLS handshake of its own; the ping reads nothing that a key seals.
        let keyless = open(Keyring::from_master_key(&[]));
        let (secrets, warmed) = tokio::join!(Box::pin(secrets), Box::pin(keyless.ping()));
        let secrets = secrets?;
        telemetry::best_effort("warm_up_table", warmed);
        let ivy = Ivy::new(open(secrets.keyring()?), Arc::new(SystemClock), Arc::new(settings));
        Ok(Self { deployment, sdk, secrets, http: OnceLock::new(), ivy })
    }

    #[must_use]
    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    #[must_use]
    pub const fn ivy(&self) -> &Ivy {
        &self.ivy
    }

    #[must_use]
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    fn http(&self) -> reqwest::Client {
        self.http.get_or_init(ivy_providers::http_client).clone()
    }

    /// The state of a router.
    #[must_use]
    pub fn state(&self) -> AppState {
        AppState::new(self.ivy.clone())
    }

    /// # Errors
    /// When its settings or its key are missing.
    pub fn retell(&self) -> Result<Retell, StartError> {
        let RetellConfig { base_url } = RetellConfig::from_env(config::process_environment)?;
        Ok(Retell::new(self.http(), base_url, self.secrets.retell_api_key()?))
    }

    /// Nothing where the secret has no key of Stripe: then nobody has paid by it.
    ///
    /// # Errors
    /// When its settings are missing.
    pub fn stripe(&self) -> Result<Option<Stripe>, StartError> {
        let Ok(key) = self.secrets.stripe_secret_key() else { return Ok(None) };
        let StripeConfig { base_url } = StripeConfig::from_env(config::process_environment)?;
        Ok(Some(Stripe::new(self.http(), base_url, key)))
    }

    /// # Errors
    /// When its settings or its token are missing.
    pub fn whatsapp(&self) -> Result<WhatsApp, StartError> {
        let WhatsAppConfig { base_url, phone_number_id } = WhatsAppConfig::from_env(config::process_environment)?;
        Ok(WhatsApp::new(self.http(), base_url, phone_number_id, self.secrets.whatsapp_token()?))
    }

    /// # Errors
    /// When its settings or its account are missing.
    pub fn twilio(&self) -> Result<Twilio, StartError> {
        let TwilioConfig { base_url, from, .. } = TwilioConfig::from_env(config::process_environment)?;
        let account_sid = self.secrets.twilio_account_sid()?.expose_secret().to_owned();
        Ok(Twilio::new(self.http(), base_url, account_sid, self.secrets.twilio_auth_token()?, from))
    }

    /// # Errors
    /// When the queues' addresses are missing.
    pub fn queues(&self, needed: &[Queue]) -> Result<Arc<dyn Queues>, StartError> {
        queues(&self.sdk, needed)
    }

    /// # Errors
    /// When the schedules' settings are missing.
    pub fn timers(&self, needed: &[Queue]) -> Result<Arc<dyn Timers>, StartError> {
        timers(&self.sdk, needed)
    }

    /// # Errors
    /// When the sender's address is missing.
    pub fn mailer(&self) -> Result<Arc<dyn Mailer>, StartError> {
        let MailConfig { from } = MailConfig::from_env(config::process_environment)?;
        // No repeats by the SDK: a mail has no idempotency key, and one that timed out may have gone out.
        let config = aws_sdk_sesv2::config::Builder::from(&self.sdk).retry_config(RetryConfig::disabled()).build();
        Ok(Arc::new(SesMailer::new(aws_sdk_sesv2::Client::from_conf(config), from)))
    }

    /// Runs an endpoint, in all layers, until Lambda ends it.
    ///
    /// # Errors
    /// When its settings are wrong or the Lambda runtime cannot go on.
    pub async fn serve(&self, router: Router<AppState>) -> Result<(), StartError> {
        let config = HttpConfig::from_env(config::process_environment)?;
        crate::http::serve(crate::http::harden(router.with_state(self.state()), &config)).await
    }
}
