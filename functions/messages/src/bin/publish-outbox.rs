//! Starts `publish-outbox`; what it does stands in `ivy_messages::publish_outbox`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let (clock, queues, timers) = (start.ivy().clock.clone(), start.queues()?, start.timers()?);
        let publish = move |record| {
            ivy_messages::publish_outbox::publish_outbox(clock.clone(), queues.clone(), timers.clone(), record)
        };
        ivy_runtime::batch::serve_stream(publish).await
    })
    .await
}
