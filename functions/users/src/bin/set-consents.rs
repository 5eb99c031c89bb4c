//! Starts `set-consents`; what it does stands in `ivy_users::set_consents`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_users::set_consents::router().into()).await).await
}
