//! Starts `get-wallet`; what it does stands in `ivy_donations::get_wallet`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_donations::get_wallet::router().into()).await).await
}
