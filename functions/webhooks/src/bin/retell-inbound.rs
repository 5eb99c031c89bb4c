//! Starts `retell-inbound`; what it does stands in `ivy_webhooks::retell_inbound`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let keys = ivy_webhooks::retell_webhook::RetellKeys(start.secrets().retell_api_keys()?);
        start.serve(ivy_webhooks::retell_inbound::router(keys).into()).await
    })
    .await
}
