//! Starts `record-marker`; what it does stands in `ivy_stats::record_marker`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_stats::record_marker::router().into()).await).await
}
