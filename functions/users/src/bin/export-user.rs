//! Starts `export-user`; what it does stands in `ivy_users::export_user`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_users::export_user::router().into()).await).await
}
