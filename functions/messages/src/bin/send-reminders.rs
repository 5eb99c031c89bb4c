//! Starts `send-reminders`; what it does stands in `ivy_messages::send_reminders`.

use std::process::ExitCode;

use ivy_flows::ports::Queue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let (ivy, queues) = (start.ivy().clone(), start.queues(&[Queue::PlanUsers])?);
        ivy_runtime::jobs::serve(move |scheduled| {
            ivy_messages::send_reminders::send_reminders(ivy.clone(), queues.clone(), scheduled)
        })
        .await
    })
    .await
}
