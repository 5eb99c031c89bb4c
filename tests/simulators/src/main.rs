//! `ivy-simulators --listen 127.0.0.1:4610 --webhooks http://127.0.0.1:4566`: the providers as a server, with the handset page.
//!
//! `--webhooks` is the base URL of the API under test, stage prefix included; `/webhooks/retell` and the like are put
//! behind it. The secrets are those of `Secrets::for_testing`, or a JSON file of the same fields named by `--secrets`.

use std::{error::Error, net::SocketAddr};

use ivy_simulators::{Delivery, Secrets, Simulators};
use url::Url;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let mut listen: SocketAddr = ([127, 0, 0, 1], 4610).into();
    let mut webhooks: Option<String> = None;
    let mut secrets = Secrets::for_testing();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--listen" => listen = value.parse()?,
            "--webhooks" => webhooks = Some(value),
            "--secrets" => secrets = serde_json::from_slice(&std::fs::read(value)?)?,
            other => {
                return Err(format!("unknown argument {other}; known are --listen, --webhooks and --secrets").into());
            }
        }
    }
    let delivery = match webhooks {
        None => Delivery::Manual,
        Some(base) => {
            let at = |path: &str| Url::parse(&format!("{}{path}", base.trim_end_matches('/')));
            Delivery::Post {
                retell: at("/webhooks/retell")?,
                whatsapp: at("/webhooks/whatsapp")?,
                twilio: at("/webhooks/twilio/sms")?,
            }
        }
    };
    let simulators = Simulators::start(secrets, listen, delivery).await?;
    announce(&simulators);
    std::future::pending().await
}

#[expect(clippy::print_stdout, reason = "a person or a script reads the addresses here")]
fn announce(simulators: &Simulators) {
    println!("handset  {}/handset", simulators.url());
    println!("retell   {}", simulators.retell_url());
    println!("whatsapp {}", simulators.whatsapp_url());
    println!("twilio   {}", simulators.twilio_url());
}
