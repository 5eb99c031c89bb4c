//! Starts `todays-workouts`; what it does stands in `ivy_workouts::todays_workouts`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_workouts::todays_workouts::router().into()).await).await
}
