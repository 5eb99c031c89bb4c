//! Starts `whatsapp-verify`; what it does stands in `ivy_webhooks::whatsapp_verify`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let token = ivy_webhooks::whatsapp_verify::VerifyToken(start.secrets().whatsapp_verify_token()?);
        start.serve(ivy_webhooks::whatsapp_verify::router(token).into()).await
    })
    .await
}
