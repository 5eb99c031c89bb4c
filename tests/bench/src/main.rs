//! `ivy-bench`: see the library's documentation and the README of this folder.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    ivy_bench::main(std::env::args().skip(1).collect()).await
}
