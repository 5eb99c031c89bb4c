//! Starts `twilio-sms`; what it does stands in `ivy_webhooks::twilio_sms`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| {
        let keys = ivy_webhooks::twilio_status::TwilioKeys::of(start.secrets().twilio_auth_tokens()?);
        start.serve(ivy_webhooks::twilio_sms::router(keys).into()).await
    })
    .await
}
