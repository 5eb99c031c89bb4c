//! Starts `initiate-call`; what it does stands in `ivy_calls::initiate_call`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_calls::initiate_call::router().into()).await).await
}
