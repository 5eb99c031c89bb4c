//! Starts `send-message`; what it does stands in `ivy_messages::send_message`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_messages::send_message::router().into()).await).await
}
