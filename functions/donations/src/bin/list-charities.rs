//! Starts `list-charities`; what it does stands in `ivy_donations::list_charities`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_donations::list_charities::router().into()).await).await
}
