//! The whole of Ivy on one machine: `cargo local` (`ivy-local up`) and `cargo stack` (`ivy-local test`).
//!
//! What runs is what is deployed: the real binaries, from the real template, through the real `sam deploy`, on an emulator
//! of AWS; only the providers are simulators of ours. Each start is a fresh one: the emulator keeps no state, for a deployment
//! takes seconds and half-remembered state costs hours.
//!
//! Nothing outlives this process: every tool and the emulator run under `guard.py`, which ends them when our end of a pipe
//! closes, however we end. Everything that is written lies under `target/local/`.

mod admin;
mod compile;
mod console;
mod demo;
mod deploy;
mod emulator;
mod failure;
mod layout;
mod ports;
mod process;
mod seed;
mod stack;
mod tools;

use std::process::ExitCode;

pub use stack::StackFile;

use crate::{console::Console, failure::Failure, layout::Layout};

const USAGE: &str = "\
usage: ivy-local up [--no-demo] [--port N] [--handset-port N]   the whole of Ivy, until Ctrl-C (cargo local)
       ivy-local test [-- ARGUMENT...]                          the tests on the deployed stack (cargo stack)
       ivy-local invoke FUNCTION EVENT_FILE [--port N]          one event into a function of the running stack
       ivy-local admin add --email E --role operator|company_admin [--company ID] [--password-stdin]
       ivy-local admin set-password|disable|enable|remove --email E [--password-stdin]
                                                                accounts in the running stack [--port N], or in a deployed one
                                                                --table NAME --secret ID, with credentials in the environment";

/// The emulator's port where none is named, as its own documentation has it.
const EMULATOR_PORT: u16 = 4566;
/// The handset's port where none is named.
const HANDSET_PORT: u16 = 4570;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Up { demo: bool, port: u16, handset_port: u16 },
    Test { arguments: Vec<String> },
    Invoke { function: String, event_file: String, port: u16 },
    Admin(admin::Order),
    Help,
}

impl Command {
    fn parse(arguments: Vec<String>) -> Result<Self, String> {
        if let [verb, rest @ ..] = arguments.as_slice()
            && verb == "admin"
        {
            return admin::Order::parse(rest, EMULATOR_PORT).map(Self::Admin);
        }
        let mut words = arguments.into_iter();
        let verb = words.next();
        let mut demo = true;
        let mut port = EMULATOR_PORT;
        let mut handset_port = HANDSET_PORT;
        let mut plain = Vec::new();
        let mut passed = Vec::new();
        while let Some(word) = words.next() {
            let mut number = |name: &str| {
                let text = words.next().unwrap_or_default();
                text.parse::<u16>().map_err(|_| format!("{name} needs a port number"))
            };
            match word.as_str() {
                "--no-demo" => demo = false,
                "--port" => port = number("--port")?,
                "--handset-port" => handset_port = number("--handset-port")?,
                "--" => passed.extend(words.by_ref()),
                option if option.starts_with('-') => return Err(format!("unknown option {option}")),
                _ => plain.push(word),
            }
        }
        match (verb.as_deref(), plain.as_slice()) {
            (Some("up"), []) => Ok(Self::Up { demo, port, handset_port }),
            (Some("test"), []) => Ok(Self::Test { arguments: passed }),
            (Some("invoke"), [function, event_file]) => {
                Ok(Self::Invoke { function: function.clone(), event_file: event_file.clone(), port })
            }
            (Some("help" | "--help" | "-h"), _) => Ok(Self::Help),
            _ => Err("that is not a command".to_owned()),
        }
    }
}

/// Runs a command line, without the program's name.
#[must_use]
pub fn main(arguments: Vec<String>) -> ExitCode {
    let console = Console::new();
    let command = match Command::parse(arguments) {
        Ok(Command::Help) => {
            console.line(USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(command) => command,
        Err(sentence) => {
            console.error(&format!("{sentence}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console.error(&format!("The runtime did not start: {error}."));
            return ExitCode::FAILURE;
        }
    };
    // Dropping the unfinished work on a signal ends its child processes.
    runtime.block_on(async {
        let result = tokio::select! {
            result = Box::pin(run(&console, command)) => result,
            signal = interrupted() => Err(Failure::interrupted(signal)),
        };
        match result {
            Ok(code) => code,
            Err(failure) => failure.report(&console),
        }
    })
}

async fn run(console: &Console, command: Command) -> Result<ExitCode, Failure> {
    let layout = Layout::new()?;
    match command {
        Command::Help => Ok(ExitCode::SUCCESS),
        Command::Admin(order) => admin::run(console, &layout, &order).await.map(|()| ExitCode::SUCCESS),
        Command::Up { demo, port, handset_port } => up(console, &layout, demo, port, handset_port).await,
        Command::Test { arguments } => test(console, &layout, &arguments).await,
        Command::Invoke { function, event_file, port } => {
            let event = std::fs::read(&event_file)
                .map_err(|error| Failure::new(format!("The event file {event_file} cannot be read: {error}.")))?;
            let answer =
                emulator::Aws::new(port).invoke(&format!("{}{function}", deploy::FUNCTION_PREFIX), event).await?;
            console.line(&answer);
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn up(console: &Console, layout: &Layout, demo: bool, port: u16, handset_port: u16) -> Result<ExitCode, Failure> {
    // First of all, because it costs nothing and the rest takes minutes.
    ports::must_be_free(port, "--port")?;
    ports::must_be_free(handset_port, "--handset-port")?;
    let mut running = stack::start(console, layout, "up", port, handset_port).await?;
    if demo {
        demo::play(console, &running).await?;
    }
    let file = &running.file;
    console.line("");
    console.line("Ivy is up. Ctrl-C stops everything.");
    console.line(&format!("  handset    {}/handset", file.simulators_url));
    console.line(&format!("  API        {}", file.api_url));
    console.line(&format!("  docs       {}/docs   {0}/openapi.json", file.api_url));
    console.line(&format!("  operator   {}   password {}", file.operator_email, file.operator_password));
    console.line(&format!("  AWS        {}   (keys test/test, region {})", file.emulator_url, file.region));
    console.line(&format!("  logs       {}", layout.logs().display()));
    let sentence = running.emulator.ended().await;
    Err(Failure::new(sentence).with_log(&layout.log("emulator")))
}

async fn test(console: &Console, layout: &Layout, arguments: &[String]) -> Result<ExitCode, Failure> {
    let port = ports::free()?;
    let handset_port = ports::free()?;
    let running = stack::start(console, layout, "test", port, handset_port).await?;
    let file = layout.local().join("stack.json");
    running.file.write(&file)?;
    console.line("");
    let mut command = process::Tool::new("cargo", layout.root());
    // By their names and not by their package's: `--package` would select other features, and build every library anew.
    command.arguments(["test", "--no-fail-fast"]).environment("IVY_STACK", &file);
    for name in layout.tests_on_the_stack()? {
        command.argument("--test").argument(name);
    }
    if !arguments.is_empty() {
        command.argument("--").arguments(arguments);
    }
    let code = command.run_visibly(layout, &running.python).await?;
    console.line(if code == 0 { "The tests on the stack passed." } else { "The tests on the stack failed." });
    Ok(ExitCode::from(code))
}

/// Waits until somebody wants us to stop, and says how.
async fn interrupted() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        // Without handlers the signals keep their usual effect, and the guards theirs.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
        _ = hang_up.recv() => "SIGHUP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn the_command_line_is_read() {
        assert_eq!(parse("up"), Ok(Command::Up { demo: true, port: 4566, handset_port: 4570 }));
        assert_eq!(parse("up --no-demo --port 5000"), Ok(Command::Up { demo: false, port: 5000, handset_port: 4570 }));
        assert_eq!(
            parse("test -- --nocapture journey"),
            Ok(Command::Test { arguments: vec!["--nocapture".to_owned(), "journey".to_owned()] })
        );
        assert!(parse("up --port many").is_err());
        assert!(parse("down").is_err());
        assert!(parse("").is_err());
    }
}
