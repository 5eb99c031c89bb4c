//! What Ivy needs at its providers, put there from the files of this repository: Retell's agents and number bindings (`infra/retell`),
//! WhatsApp's templates (`infra/whatsapp`) and webhook subscription, and where Twilio posts texts and call statuses.
//!
//! A run walks over every object, asks the provider for it and compares. Planning prints what it finds; applying walks once more
//! and writes what differs. Nothing is remembered between runs: an object is found again by its name (`ivy-<stage>-<agent>`), so a run that broke
//! off between two steps is finished by the next one. Retell's language models have no name; they carry ours among their default
//! variables. There is no state file that could be wrong or lost.
//!
//! Fields that our files don't name are left as they are. Nothing is ever deleted: what is superfluous is reported for a person.
//! Secrets come from a file or the environment and are never printed.

mod api;
mod compare;
mod data;
mod failure;
mod hands;
mod report;
mod retell;
mod settings;
mod twilio;
mod whatsapp;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

pub use crate::{
    compare::Difference,
    data::{Agent, Data},
    failure::Failure,
    report::{Action, Item, Report},
    settings::{Provider, Settings},
};

use crate::{
    api::{Api, Key},
    report::Reporter,
};

const USAGE: &str = "\
usage: ivy-provision [plan]  [--env FILE] [--only retell,whatsapp,twilio] [--set NAME=VALUE]...   shows what would change
       ivy-provision apply   [--env FILE] [--only retell,whatsapp,twilio] [--set NAME=VALUE]...   changes it

Settings come from --set, the environment and the lines NAME=VALUE of FILE, in this order:
  IVY_STAGE IVY_API_URL
  RETELL_API_KEY RETELL_NUMBERS
  WHATSAPP_TOKEN WHATSAPP_BUSINESS_ACCOUNT_ID [WHATSAPP_APP_ID]
  TWILIO_ACCOUNT_SID TWILIO_AUTH_TOKEN TWILIO_NUMBERS
  [RETELL_BASE_URL] [WHATSAPP_BASE_URL] [TWILIO_BASE_URL]
Numbers are in international form, separated by commas.";

/// Whether anything may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Plan,
    Apply,
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Run { mode: Mode, options: settings::Options },
    Help,
}

impl Command {
    fn parse(arguments: Vec<String>) -> Result<Self, String> {
        let mut mode = None;
        let mut options = settings::Options::default();
        let mut words = arguments.into_iter();
        while let Some(word) = words.next() {
            let mut value = |name: &str| words.next().ok_or_else(|| format!("{name} needs a value"));
            match word.as_str() {
                "help" | "--help" | "-h" => return Ok(Self::Help),
                "plan" if mode.is_none() => mode = Some(Mode::Plan),
                "apply" if mode.is_none() => mode = Some(Mode::Apply),
                "--env" => options.file = Some(value("--env")?.into()),
                "--only" => options.only = Provider::list(&value("--only")?)?,
                "--set" => options.set(&value("--set")?)?,
                _ => return Err(format!("{word} is not understood")),
            }
        }
        Ok(Self::Run { mode: mode.unwrap_or(Mode::Plan), options })
    }
}

/// Runs a command line, without the program's name.
#[must_use]
pub fn main(arguments: Vec<String>) -> ExitCode {
    // A closed pipe is no reason to stop half-way through.
    let mut line = |text: &str| drop(writeln!(io::stdout(), "{text}"));
    let (mode, options) = match Command::parse(arguments) {
        Ok(Command::Run { mode, options }) => (mode, options),
        Ok(Command::Help) => {
            line(USAGE);
            return ExitCode::SUCCESS;
        }
        Err(sentence) => {
            drop(writeln!(io::stderr(), "{sentence}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    match from_options(mode, &options, &mut line) {
        Ok(report) if mode == Mode::Apply && report.blocked() => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            drop(writeln!(io::stderr(), "{failure}"));
            ExitCode::FAILURE
        }
    }
}

fn from_options(mode: Mode, options: &settings::Options, line: &mut dyn FnMut(&str)) -> Result<Report, Failure> {
    let settings = Settings::load(options)?;
    let data = Data::of_repository()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("The runtime did not start: {error}.")))?;
    runtime.block_on(Box::pin(run(mode, &settings, &data, line)))
}

/// Prints the plan and, when applying, carries it out. The report is that of the plan.
///
/// # Errors
/// When a provider refuses or does not answer, or when what is there cannot be understood: a sentence. What was done before stays,
/// and the next run finds it.
pub async fn run(mode: Mode, settings: &Settings, data: &Data, line: &mut dyn FnMut(&str)) -> Result<Report, Failure> {
    let http = api::http_client();
    let planned = Box::pin(walk(&http, settings, data, Reporter::new(Mode::Plan, line))).await?;
    line("");
    line(&planned.summary());
    let agents = match mode {
        Mode::Apply if planned.changes() > 0 => {
            line("");
            let applied = Box::pin(walk(&http, settings, data, Reporter::new(Mode::Apply, line))).await?;
            line("Applied.");
            applied.agents
        }
        Mode::Plan | Mode::Apply => planned.agents.clone(),
    };
    line("");
    for sentence in hands::left_by_hand(settings, &agents) {
        line(&sentence);
    }
    Ok(planned)
}

async fn walk(
    http: &reqwest::Client,
    settings: &Settings,
    data: &Data,
    mut reporter: Reporter<'_>,
) -> Result<Report, Failure> {
    if let Some(retell) = &settings.retell {
        let api = Api::new("Retell", http, &retell.base, Key::Bearer(retell.key.clone()));
        Box::pin(retell::walk(api, &retell.numbers, settings, data, &mut reporter)).await?;
    }
    if let Some(whatsapp) = &settings.whatsapp {
        let api = Api::new("WhatsApp", http, &whatsapp.base, Key::Bearer(whatsapp.token.clone()));
        Box::pin(whatsapp::walk(&api, whatsapp, data, &mut reporter)).await?;
    }
    if let Some(twilio) = &settings.twilio {
        let key = Key::Basic { user: twilio.account_sid.clone(), password: twilio.auth_token.clone() };
        let api = Api::new("Twilio", http, &twilio.base, key);
        Box::pin(twilio::walk(&api, twilio, settings, &mut reporter)).await?;
    }
    Ok(reporter.report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn nothing_is_applied_unless_that_is_the_word() {
        for line in ["", "plan", "--only twilio", "plan --env dev.env"] {
            assert!(matches!(parse(line), Ok(Command::Run { mode: Mode::Plan, .. })), "{line}");
        }
        assert!(matches!(parse("apply --env dev.env"), Ok(Command::Run { mode: Mode::Apply, .. })));
        assert_eq!(parse("plan --help"), Ok(Command::Help));
        for line in ["applly", "plan apply", "--env", "--only telegram", "--set IVY_STAGE", "--dry-run"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
