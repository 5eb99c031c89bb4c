//! `ivy-provision`: see the library's documentation and the README.

use std::process::ExitCode;

fn main() -> ExitCode {
    ivy_provision::main(std::env::args().skip(1).collect())
}
