//! Starts `admin-login`; what it does stands in `ivy_auth::admin_login`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_auth::admin_login::router().into()).await).await
}
