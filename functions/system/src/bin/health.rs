//! Starts `health`; what it does stands in `ivy_system::health`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_system::health::router().into()).await).await
}
