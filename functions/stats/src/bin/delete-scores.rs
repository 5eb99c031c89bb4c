//! Starts `delete-scores`; what it does stands in `ivy_stats::delete_scores`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_stats::delete_scores::router().into()).await).await
}
