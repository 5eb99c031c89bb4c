//! Starts `monthly-receipts`; what it does stands in `ivy_messages::monthly_receipts`.

use std::process::ExitCode;

use ivy_flows::ports::Queue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run_bare(async |start| {
        let queues = start.queues(&[Queue::PlanUsers])?;
        ivy_runtime::jobs::serve(move |scheduled| {
            ivy_messages::monthly_receipts::monthly_receipts(queues.clone(), scheduled)
        })
        .await
    })
    .await
}
