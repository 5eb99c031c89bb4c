//! Starts `verify-magic-link`; what it does stands in `ivy_auth::verify_magic_link`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_auth::verify_magic_link::router().into()).await).await
}
