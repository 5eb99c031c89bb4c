//! Starts `get-streak`; what it does stands in `ivy_stats::get_streak`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_stats::get_streak::router().into()).await).await
}
