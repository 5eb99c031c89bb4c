//! What the person sees: one line a step with its duration, a moving line while a long step runs.
//!
//! Where standard output is no terminal (CI), the moving line becomes one line every 20 seconds, so that a log stays short and
//! nobody takes a long build for a hang.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

const QUIET_INTERVAL: Duration = Duration::from_secs(20);
const MOVING_INTERVAL: Duration = Duration::from_millis(100);
/// Columns of the moving line; more would wrap and leave traces.
const COLUMNS: usize = 100;

#[derive(Debug)]
pub(crate) struct Console {
    moving: bool,
}

impl Console {
    pub(crate) fn new() -> Self {
        Self { moving: io::stdout().is_terminal() }
    }

    pub(crate) fn line(&self, text: &str) {
        // A closed pipe is no reason to stop a running stack.
        let _ = writeln!(io::stdout(), "{text}");
    }

    pub(crate) fn error(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    pub(crate) fn step(&self, name: &'static str) -> Step<'_> {
        let now = Instant::now();
        let mut step = Step { console: self, name, started: now, shown: None };
        if self.moving {
            step.progress("");
        }
        step
    }
}

/// A step that runs. It is done when [`Step::done`] says so; dropped before, it failed.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    console: &'a Console,
    name: &'static str,
    started: Instant,
    shown: Option<Instant>,
}

impl Step<'_> {
    /// Shows what the step is at, not more often than a person reads.
    pub(crate) fn progress(&mut self, what: &str) {
        let interval = if self.console.moving { MOVING_INTERVAL } else { QUIET_INTERVAL };
        if self.shown.unwrap_or(self.started).elapsed() < interval && !(self.console.moving && self.shown.is_none()) {
            return;
        }
        self.shown = Some(Instant::now());
        let line = format!("  {:<11}{:>6.0} s  {}", self.name, self.started.elapsed().as_secs_f64(), what.trim());
        let line: String = line.chars().filter(|c| !c.is_control()).take(COLUMNS).collect();
        if self.console.moving {
            let mut out = io::stdout();
            let _ = write!(out, "\r\x1b[2K{line}");
            let _ = out.flush();
        } else {
            self.console.line(&line);
        }
    }

    pub(crate) fn done(self, result: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.clear();
        self.console.line(&format!("  {:<11}{seconds:>6.1} s  {result}", self.name));
    }

    fn clear(&self) {
        if self.console.moving {
            let mut out = io::stdout();
            let _ = write!(out, "\r\x1b[2K");
            let _ = out.flush();
        }
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}
