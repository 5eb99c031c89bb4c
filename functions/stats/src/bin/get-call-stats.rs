//! Starts `get-call-stats`; what it does stands in `ivy_stats::get_call_stats`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_stats::get_call_stats::router().into()).await).await
}
