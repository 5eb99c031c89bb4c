//! Starts `end-session`; what it does stands in `ivy_auth::end_session`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_auth::end_session::router().into()).await).await
}
