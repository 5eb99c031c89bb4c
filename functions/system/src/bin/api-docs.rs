//! Starts `api-docs`; what it does stands in `ivy_system::api_docs`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run_bare(async |start| start.serve(ivy_system::api_docs::router().into()).await).await
}
