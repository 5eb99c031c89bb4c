//! Starts `list-receipts`; what it does stands in `ivy_donations::list_receipts`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_donations::list_receipts::router().into()).await).await
}
