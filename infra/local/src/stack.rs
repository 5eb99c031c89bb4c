//! The running stack, from tools to seeded table, and the file that tells tests about it.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use ivy_simulators::{Delivery, Secrets, Simulators};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{admin, compile, console::Console, deploy, emulator, failure::Failure, layout::Layout, seed, tools};

/// What a test needs to know about the running stack; `IVY_STACK` names the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StackFile {
    /// Base URL of the API, stage included, without a trailing slash.
    pub api_url: String,
    /// Every AWS service; keys `test`/`test`.
    pub emulator_url: String,
    pub region: String,
    pub table: String,
    /// Before each function's name: `ivy-local-`.
    pub function_prefix: String,
    /// Base URL of the simulators and the handset.
    pub simulators_url: String,
    /// The providers' keys that functions and simulators share.
    pub secrets: Secrets,
    /// Id or ARN of the stack's secret.
    pub secret_id: String,
    /// Every output of the stack: queue URLs, the schedule group, and so on.
    pub outputs: BTreeMap<String, String>,
    /// The charity of users who chose none.
    pub default_charity_id: String,
    /// The operator that was seeded.
    pub operator_email: String,
    pub operator_password: String,
}

impl StackFile {
    /// Reads the file that `IVY_STACK` names.
    ///
    /// # Errors
    /// When the variable is not set or the file cannot be read: a sentence.
    pub fn from_env() -> Result<Self, String> {
        let file =
            std::env::var_os("IVY_STACK").ok_or("IVY_STACK is not set; run the stack's tests with `cargo stack`")?;
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", Path::new(&file).display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", Path::new(&file).display()))
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        let wrong = |reason: String| Failure::new(format!("{} cannot be written: {reason}.", file.display()));
        let text = serde_json::to_string_pretty(self).map_err(|error| wrong(error.to_string()))?;
        fs::write(file, text).map_err(|error| wrong(error.to_string()))
    }
}

/// Everything that runs. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) emulator: emulator::Emulator,
    pub(crate) simulators: Simulators,
    pub(crate) file: StackFile,
    pub(crate) python: std::path::PathBuf,
}

/// Builds, deploys and seeds on these ports. The simulators start last, when the address of the webhooks is known; no
/// function calls a provider before the first user exists.
pub(crate) async fn start(
    console: &Console,
    layout: &Layout,
    name: &str,
    port: u16,
    handset_port: u16,
) -> Result<Running, Failure> {
    console.line("Ivy on this machine");
    let tools = tools::prepare(console, layout).await?;
    compile::build(console, layout, &tools).await?;
    let emulator = emulator::Emulator::start(console, layout, &tools, name, port).await?;
    let secrets = Secrets::for_testing();
    let charities = seed::charities(layout)?;
    let default_charity_id = charities.first().map(|charity| charity.id.to_string()).unwrap_or_default();
    let listen = SocketAddr::from(([127, 0, 0, 1], handset_port));
    let simulators_url = format!("http://{listen}");
    let surroundings = deploy::Surroundings {
        simulators_url: &simulators_url,
        port,
        secrets: &secrets,
        default_charity_id: &default_charity_id,
    };
    let outputs = deploy::deploy(console, layout, &tools, &emulator.aws, &surroundings).await?;
    let output = |name: &str| {
        outputs.get(name).cloned().ok_or_else(|| Failure::new(format!("The stack has no output named {name}.")))
    };
    let table = output("TableName")?;
    let secret_id = output("SecretArn")?;
    // The path form: names under `localhost` do not resolve everywhere.
    let api_url = format!("{}/_aws/execute-api/{}/v1", emulator.aws.url, output("ApiId")?);
    let operator_password = admin::made_password();
    let fresh = seed::Fresh { secrets: &secrets, charities: &charities, operator_password: &operator_password };
    seed::seed(console, layout, &emulator.aws, &secret_id, &table, &fresh).await?;
    // Twilio signs the address that it asks for, which a function can tell only in the host form.
    let twilio_url = format!("http://{}.execute-api.localhost:{port}/v1", output("ApiId")?);
    let simulators = start_simulators(console, &secrets, listen, (&api_url, &twilio_url)).await?;
    let file = StackFile {
        api_url,
        emulator_url: emulator.aws.url.clone(),
        region: emulator::REGION.to_owned(),
        table,
        function_prefix: deploy::FUNCTION_PREFIX.to_owned(),
        simulators_url,
        secrets,
        secret_id,
        outputs: outputs.clone(),
        default_charity_id,
        operator_email: seed::OPERATOR_EMAIL.to_owned(),
        operator_password,
    };
    Ok(Running { emulator, simulators, file, python: tools.python })
}

async fn start_simulators(
    console: &Console,
    secrets: &Secrets,
    listen: SocketAddr,
    (api_url, twilio_url): (&str, &str),
) -> Result<Simulators, Failure> {
    let step = console.step("simulators");
    let at = |base: &str, path: &str| {
        Url::parse(&format!("{base}{path}"))
            .map_err(|error| Failure::new(format!("The API's address is no URL: {error}.")))
    };
    let delivery = Delivery::Post {
        retell: at(api_url, "/webhooks/retell")?,
        whatsapp: at(api_url, "/webhooks/whatsapp")?,
        twilio: at(twilio_url, "/webhooks/twilio/sms")?,
    };
    let simulators = Simulators::start(secrets.clone(), listen, delivery)
        .await
        .map_err(|error| Failure::new(format!("The simulators did not start on {listen}: {error}.")))?;
    step.done(&format!("Retell, WhatsApp, Twilio on port {}", listen.port()));
    Ok(simulators)
}
