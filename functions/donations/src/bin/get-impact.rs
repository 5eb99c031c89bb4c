//! Starts `get-impact`; what it does stands in `ivy_donations::get_impact`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_donations::get_impact::router().into()).await).await
}
