//! Starts `erase-user`; what it does stands in `ivy_users::erase_user`.

use std::process::ExitCode;

use ivy_flows::ports::Queue;
use ivy_users::erase_user::{Clients, erase_user};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let queues = start.queues(&[Queue::EraseUsers])?;
        let (retell, twilio, stripe) = (start.retell()?, start.twilio()?, start.stripe()?);
        let clients = Clients { retell, twilio, stripe, queues };
        let ivy = start.ivy().clone();
        ivy_runtime::batch::serve_sqs(move |record| erase_user(ivy.clone(), clients.clone(), record)).await
    })
    .await
}
