//! Starts `weekly-summaries`; what it does stands in `ivy_messages::weekly_summaries`.

use std::process::ExitCode;

use ivy_flows::ports::Queue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run_bare(async |start| {
        let queues = start.queues(&[Queue::PlanUsers])?;
        ivy_runtime::jobs::serve(move |scheduled| {
            ivy_messages::weekly_summaries::weekly_summaries(queues.clone(), scheduled)
        })
        .await
    })
    .await
}
