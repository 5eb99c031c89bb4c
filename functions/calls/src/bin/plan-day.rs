//! Starts `plan-day`; what it does stands in `ivy_calls::plan_day`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let queues = start.queues()?;
        ivy_runtime::jobs::serve(move |scheduled| ivy_calls::plan_day::plan_day(queues.clone(), scheduled)).await
    })
    .await
}
