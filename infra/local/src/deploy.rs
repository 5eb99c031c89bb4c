//! `sam deploy` of the real template to the emulator, by the environment `local` of samconfig.toml.

use std::collections::BTreeMap;

use ivy_simulators::Secrets;

use crate::{
    console::Console,
    emulator::{Aws, environment_for},
    failure::Failure,
    layout::Layout,
    process::Tool,
    tools::Tools,
};

pub(crate) const STACK: &str = "ivy-local";
/// What stands before a function's name in the deployed one.
pub(crate) const FUNCTION_PREFIX: &str = "ivy-local-";
const BUCKET: &str = "ivy-artifacts";
/// Sender of e-mails; nothing leaves the machine.
pub(crate) const EMAIL_FROM: &str = "ivy@ivy.test";

/// What the template is told about the world around it.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// Base URL of the simulators.
    pub(crate) simulators_url: &'a str,
    /// The emulator's port, by which the API is reached.
    pub(crate) port: u16,
    pub(crate) secrets: &'a Secrets,
    pub(crate) default_charity_id: &'a str,
}

impl Surroundings<'_> {
    fn parameters(&self) -> Vec<String> {
        let simulators = self.simulators_url;
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        [
            ("Target", "local".to_owned()),
            ("Stage", "local".to_owned()),
            ("LocalPort", self.port.to_string()),
            ("Architecture", architecture.to_owned()),
            ("AppUrl", format!("{simulators}/app")),
            ("CorsOrigins", simulators.to_owned()),
            ("RetellBaseUrl", format!("{simulators}/retell")),
            ("WhatsAppBaseUrl", format!("{simulators}/whatsapp/v26.0")),
            ("TwilioBaseUrl", format!("{simulators}/twilio/2010-04-01")),
            ("StripeBaseUrl", format!("{simulators}/stripe/v1")),
            ("FromNumbers", format!("={}", self.secrets.retell_from_number)),
            ("WhatsAppPhoneNumberId", self.secrets.whatsapp_phone_number_id.clone()),
            ("TwilioFrom", self.secrets.twilio_from.clone()),
            ("EmailFrom", EMAIL_FROM.to_owned()),
            ("DefaultCharityId", self.default_charity_id.to_owned()),
        ]
        .into_iter()
        // Quoted, because SAM takes a bare `=` in a value for the next parameter.
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect()
    }
}

/// Deploys and answers the stack's outputs.
pub(crate) async fn deploy(
    console: &Console,
    layout: &Layout,
    tools: &Tools,
    aws: &Aws,
    surroundings: &Surroundings<'_>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut step = console.step("deploy");
    aws.create_bucket(BUCKET).await?;
    let mut sam = Tool::new(Tools::program(layout, "sam"), layout.root());
    sam.arguments(["deploy", "--config-env", "local", "--s3-bucket", BUCKET, "--parameter-overrides"]);
    sam.arguments(surroundings.parameters());
    environment_for(&mut sam, aws, &tools.path, &layout.local());
    // Seconds between looks at the stack's events.
    sam.environment("SAM_CLI_POLL_DELAY", "1");
    sam.run(layout, &tools.python, "deploy", &mut step, "The deployment failed.").await?;
    let outputs = aws.stack_outputs(STACK).await?;
    step.done(&format!("stack {STACK}"));
    Ok(outputs)
}
