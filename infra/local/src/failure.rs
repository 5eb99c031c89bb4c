//! Why a command could not be carried out: one sentence, and the last lines of the tool that failed.

use std::{path::Path, process::ExitCode};

use crate::console::Console;

/// How many lines of a tool's output are shown when it fails.
const TAIL: usize = 25;

#[derive(Debug)]
pub(crate) struct Failure {
    sentence: String,
    details: Vec<String>,
    /// 130 for an interruption, as shells have it.
    code: u8,
}

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), details: Vec::new(), code: 1 }
    }

    pub(crate) fn interrupted(signal: &str) -> Self {
        Self { sentence: format!("Stopped by {signal}; nothing is left running."), details: Vec::new(), code: 130 }
    }

    pub(crate) fn with_details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }

    /// Adds the end of a log file, where there is one.
    pub(crate) fn with_log(self, file: &Path) -> Self {
        let text = std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| (*line).to_owned());
        self.with_details(tail.chain([format!("(the whole log: {})", file.display())]).collect::<Vec<_>>())
    }

    pub(crate) fn report(self, console: &Console) -> ExitCode {
        for line in &self.details {
            console.error(&format!("    {line}"));
        }
        console.error(&self.sentence);
        ExitCode::from(self.code)
    }
}
