//! Starts `sweep-calls`; what it does stands in `ivy_calls::sweep_calls`.

use std::process::ExitCode;

use ivy_flows::ports::Queue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let (ivy, retell, queues) = (start.ivy().clone(), start.retell()?, start.queues(&[Queue::DueCalls])?);
        let sweep = move |_| ivy_calls::sweep_calls::sweep_calls(ivy.clone(), retell.clone(), queues.clone());
        ivy_runtime::jobs::serve(sweep).await
    })
    .await
}
