//! Starts `list-workouts`; what it does stands in `ivy_workouts::list_workouts`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ivy_runtime::start::run(async |start| start.serve(ivy_workouts::list_workouts::router().into()).await).await
}
