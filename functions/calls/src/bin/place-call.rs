//! Starts `place-call`; what it does stands in `ivy_calls::place_call`.

use std::process::ExitCode;

use ivy_flows::ports::Queue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let (ivy, retell, queues) = (start.ivy().clone(), start.retell()?, start.queues(&[Queue::DueCalls])?);
        let place =
            move |record| ivy_calls::place_call::place_call(ivy.clone(), retell.clone(), queues.clone(), record);
        ivy_runtime::batch::serve_sqs(place).await
    })
    .await
}
