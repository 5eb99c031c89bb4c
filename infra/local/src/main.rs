//! `ivy-local`: see the library's documentation and the README.

use std::process::ExitCode;

fn main() -> ExitCode {
    ivy_local::main(std::env::args().skip(1).collect())
}
