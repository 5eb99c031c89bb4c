//! Starts `send-message-worker`; what it does stands in `ivy_messages::send_message_worker`.

use std::process::ExitCode;

use ivy_flows::ports::Queue;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let clients = ivy_messages::send_message_worker::Clients {
            whatsapp: start.whatsapp()?,
            twilio: start.twilio()?,
            mailer: start.mailer()?,
            queues: start.queues(&[Queue::Messages])?,
            timers: start.timers(&[Queue::Messages])?,
            sms_status_url: ivy_runtime::start::sms_status_url()?,
        };
        let ivy = start.ivy().clone();
        let send = move |record| ivy_messages::send_message_worker::send_message(ivy.clone(), clients.clone(), record);
        ivy_runtime::batch::serve_sqs(send).await
    })
    .await
}
