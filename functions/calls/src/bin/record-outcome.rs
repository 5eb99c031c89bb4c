//! Starts `record-outcome`; what it does stands in `ivy_calls::record_outcome`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_calls::record_outcome::router().into()).await).await
}
