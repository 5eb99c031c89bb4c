//! Starts `answer-preflight`; what it does stands in `ivy_system::answer_preflight`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run_bare(async |start| start.serve(ivy_system::answer_preflight::router()).await).await
}
