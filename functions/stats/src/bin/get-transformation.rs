//! Starts `get-transformation`; what it does stands in `ivy_stats::get_transformation`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_stats::get_transformation::router().into()).await).await
}
