//! Starts `publish-outbox`; what it does stands in `ivy_messages::publish_outbox`.

use std::{process::ExitCode, sync::Arc};

use ivy_flows::{SystemClock, ports::Queue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run_bare(async |start| {
        let queues = start.queues(&[
            Queue::DueCalls,
            Queue::Messages,
            Queue::MessagesDead,
            Queue::PlanUsers,
            Queue::EraseUsers,
            Queue::Reviews,
            Queue::OutboxDead,
        ])?;
        let timers = start.timers(&[Queue::DueCalls, Queue::Messages, Queue::PlanUsers])?;
        let publish = move |record| {
            let clock = Arc::new(SystemClock);
            ivy_messages::publish_outbox::publish_outbox(clock, queues.clone(), timers.clone(), record)
        };
        ivy_runtime::batch::serve_stream(publish).await
    })
    .await
}
