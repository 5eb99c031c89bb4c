//! Starts `record-score`; what it does stands in `ivy_stats::record_score`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_stats::record_score::router().into()).await).await
}
