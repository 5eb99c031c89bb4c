//! Starts `plan-users`; what it does stands in `ivy_calls::plan_users`.

use std::process::ExitCode;

use ivy_flows::ports::Queue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let (ivy, queues) = (start.ivy().clone(), start.queues(&[Queue::PlanUsers])?);
        ivy_runtime::batch::serve_sqs(move |record| {
            ivy_calls::plan_users::plan_users(ivy.clone(), queues.clone(), record)
        })
        .await
    })
    .await
}
