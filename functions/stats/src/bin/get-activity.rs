//! Starts `get-activity`; what it does stands in `ivy_stats::get_activity`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_stats::get_activity::router().into()).await).await
}
