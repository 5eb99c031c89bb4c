//! Starts `upcoming-calls`; what it does stands in `ivy_calls::upcoming_calls`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_calls::upcoming_calls::router().into()).await).await
}
