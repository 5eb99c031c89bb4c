//! Starts `log-donation`; what it does stands in `ivy_donations::log_donation`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_donations::log_donation::router().into()).await).await
}
