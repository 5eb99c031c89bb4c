//! Starts `reschedule-call`; what it does stands in `ivy_calls::reschedule_call`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_calls::reschedule_call::router().into()).await).await
}
