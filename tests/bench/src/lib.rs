//! Measurements of Ivy: what functions take beside their floors, how far the whole scales, and what a user costs.
//!
//! Nothing here is a timed test: a shared machine makes any absolute figure a matter of luck. What can be wrong in the arithmetic is
//! tested; what is measured is printed as ratios to a floor of the same run, and written to `measured.json` when asked.

mod cost;
mod failure;
mod figures;
mod functions;
mod ledger;
mod money;
mod plot;
mod scale;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use failure::Because as _;
pub use failure::Failure;
use functions::Options;

const USAGE: &str = "\
ivy-bench functions [--only NAME,…] [--starts N] [--warm N] [--plain] [--all] [--write] [--under PROGRAM]
    start, first and warm requests, memory and size of every function beside two floors
ivy-bench scale [USERS …]
    a day of planning and calling with the real rules: limits, misses by slots, hot partitions, cost
ivy-bench capacity [--write]
    what each flow consumes beside its least; --write writes docs/capacity.md
ivy-bench cost [--write]
    dollars a user and month, and a completed check-in, by tier; --write plots them into docs/cost.svg";

/// A file of this repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A line for whoever runs this.
fn say(text: &str) {
    // A closed pipe is no reason to stop a measurement.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn flag(arguments: &mut Vec<String>, name: &str) -> bool {
    let found = arguments.iter().position(|argument| argument == name);
    found.map(|index| arguments.remove(index)).is_some()
}

fn value(arguments: &mut Vec<String>, name: &str) -> Option<String> {
    let index = arguments.iter().position(|argument| argument == name)?;
    (index + 1 < arguments.len()).then(|| {
        arguments.remove(index);
        arguments.remove(index)
    })
}

fn number(arguments: &mut Vec<String>, name: &str, default: usize) -> Result<usize, Failure> {
    let Some(text) = value(arguments, name) else { return Ok(default) };
    text.parse().map_err(|_| Failure::new(format!("{name} takes a whole number")))
}

async fn command(mut arguments: Vec<String>) -> Result<(), Failure> {
    // What cargo hands to a bench's program.
    flag(&mut arguments, "--bench");
    let command = if arguments.is_empty() { "functions".to_owned() } else { arguments.remove(0) };
    match command.as_str() {
        "functions" => {
            let only = value(&mut arguments, "--only").unwrap_or_default();
            let options = Options {
                only: only.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
                starts: number(&mut arguments, "--starts", 5)?,
                warm: number(&mut arguments, "--warm", 100)?,
                under: value(&mut arguments, "--under")
                    .unwrap_or_default()
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect(),
                plain: flag(&mut arguments, "--plain"),
                all: flag(&mut arguments, "--all"),
                write: flag(&mut arguments, "--write"),
            };
            no_more(&arguments)?;
            Box::pin(functions::run(&options)).await
        }
        "scale" => {
            let number = |text: &String| text.replace([',', '_'], "").parse();
            let sizes: Result<Vec<u32>, _> = arguments.iter().map(number).collect();
            scale::run(&sizes.map_err(|_| Failure::new("scale takes numbers of users"))?)
        }
        "capacity" => {
            let write = flag(&mut arguments, "--write");
            no_more(&arguments)?;
            let document = ledger::document()?;
            if write {
                return std::fs::write(repository("docs/capacity.md"), document)
                    .because("docs/capacity.md cannot be written");
            }
            say(&document);
            Ok(())
        }
        "cost" => {
            let write = flag(&mut arguments, "--write");
            no_more(&arguments)?;
            cost::run(write)
        }
        _ => Err(Failure::new(USAGE)),
    }
}

fn no_more(arguments: &[String]) -> Result<(), Failure> {
    arguments.first().map_or(Ok(()), |unknown| Err(Failure::new(format!("{unknown} means nothing here\n{USAGE}"))))
}

/// Runs a command; what went wrong goes to standard error.
pub async fn main(arguments: Vec<String>) -> ExitCode {
    match Box::pin(command(arguments)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_taken_out_where_they_stand() {
        let mut arguments: Vec<String> = ["--starts", "3", "--plain"].map(str::to_owned).into();
        assert_eq!(number(&mut arguments, "--starts", 5).unwrap(), 3);
        assert_eq!(number(&mut arguments, "--warm", 100).unwrap(), 100);
        assert!(flag(&mut arguments, "--plain") && !flag(&mut arguments, "--plain"));
        assert!(no_more(&arguments).is_ok());
        assert!(no_more(&["--what".to_owned()]).unwrap_err().to_string().starts_with("--what means nothing"));
    }
}
