//! Starts `list-messages`; what it does stands in `ivy_messages::list_messages`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_messages::list_messages::router().into()).await).await
}
