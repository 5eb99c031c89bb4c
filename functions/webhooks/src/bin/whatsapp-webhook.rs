//! Starts `whatsapp-webhook`; what it does stands in `ivy_webhooks::whatsapp_webhook`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let secrets = ivy_webhooks::whatsapp_webhook::AppSecrets(start.secrets().whatsapp_app_secrets()?);
        start.serve(ivy_webhooks::whatsapp_webhook::router(secrets, start.whatsapp()?).into()).await
    })
    .await
}
