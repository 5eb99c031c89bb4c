//! Starts `delete-workout`; what it does stands in `ivy_workouts::delete_workout`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_workouts::delete_workout::router().into()).await).await
}
