//! Starts `get-workout`; what it does stands in `ivy_workouts::get_workout`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_workouts::get_workout::router().into()).await).await
}
