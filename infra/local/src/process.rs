//! Child processes that cannot outlive us.
//!
//! Each runs under `guard.py` with a pipe as its standard input that we hold open and never write to. When we let go of it, in
//! whatever way, the guard ends the command and everything that the command started. The guard stands in a process group of
//! its own, so that Ctrl-C reaches us alone and we decide the order.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
};

use crate::{console::Step, failure::Failure, layout::Layout};

/// How long an ended child gets before we go on without it; the guard itself kills after 2 seconds.
const PATIENCE: Duration = Duration::from_secs(4);
/// Lines of output kept for the report of a failure.
const TAIL: usize = 25;

/// A command to run.
#[derive(Debug)]
pub(crate) struct Tool {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    clean: bool,
}

impl Tool {
    pub(crate) fn new(program: impl AsRef<OsStr>, directory: &Path) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: directory.to_owned(),
            clean: false,
        }
    }

    pub(crate) fn argument(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn arguments(&mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub(crate) fn environment(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Starts with no variables but those named here.
    pub(crate) fn clean(&mut self) -> &mut Self {
        self.clean = true;
        self
    }

    fn guarded(&self, layout: &Layout, python: &Path) -> Command {
        let mut command = Command::new(python);
        command.arg(layout.infra("guard.py")).arg(&self.program).args(&self.arguments).current_dir(&self.directory);
        if self.clean {
            command.env_clear();
        } else {
            // What `cargo run` says about this package would be taken by an inner cargo as being about its own.
            for (name, _) in std::env::vars_os() {
                let of_this_package = name.to_str().is_some_and(|name| {
                    ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
                        || matches!(name, "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE")
                });
                if of_this_package {
                    command.env_remove(name);
                }
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).process_group(0);
        command
    }

    fn name(&self) -> String {
        Path::new(&self.program).file_name().unwrap_or(&self.program).to_string_lossy().into_owned()
    }

    fn spawn(&self, mut command: Command) -> Result<Guarded, Failure> {
        let mut child =
            command.spawn().map_err(|error| Failure::new(format!("{} did not start: {error}.", self.name())))?;
        let pipe = child.stdin.take();
        Ok(Guarded { child, pipe })
    }

    /// Runs to the end; each line of output goes to the log file and moves the step's line.
    ///
    /// # Errors
    /// When it does not start or ends badly: `sentence` and its last lines.
    pub(crate) async fn run(
        &self,
        layout: &Layout,
        python: &Path,
        log: &str,
        step: &mut Step<'_>,
        sentence: &str,
    ) -> Result<(), Failure> {
        let mut command = self.guarded(layout, python);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut guarded = self.spawn(command)?;
        let (sender, mut lines) = mpsc::channel(64);
        if let Some(output) = guarded.child.stdout.take() {
            tokio::spawn(forward(output, sender.clone()));
        }
        if let Some(output) = guarded.child.stderr.take() {
            tokio::spawn(forward(output, sender.clone()));
        }
        drop(sender);
        let path = layout.log(log);
        let mut file = File::create(&path)
            .map_err(|error| Failure::new(format!("{} cannot be written: {error}.", path.display())))?;
        let mut tail = VecDeque::new();
        let mut last = String::new();
        loop {
            match tokio::time::timeout(Duration::from_secs(1), lines.recv()).await {
                Ok(Some(line)) => {
                    // The log is a convenience; a full disk will show elsewhere.
                    let _ = writeln!(file, "{line}");
                    if !line.trim().is_empty() {
                        last.clone_from(&line);
                    }
                    tail.push_back(line);
                    if tail.len() > TAIL {
                        tail.pop_front();
                    }
                    step.progress(&last);
                }
                Ok(None) => break,
                Err(_) => step.progress(&last),
            }
        }
        let code = guarded.wait().await;
        if code == 0 {
            Ok(())
        } else {
            Err(Failure::new(format!(
                "{sentence} ({} ended with {code}; the whole log: {})",
                self.name(),
                path.display()
            ))
            .with_details(tail))
        }
    }

    /// Runs to the end with our own output, and answers the exit code.
    pub(crate) async fn run_visibly(&self, layout: &Layout, python: &Path) -> Result<u8, Failure> {
        Ok(self.spawn(self.guarded(layout, python))?.wait().await)
    }

    /// Starts it beside us; its output goes to the log file.
    pub(crate) fn start(&self, layout: &Layout, python: &Path, log: &str) -> Result<Guarded, Failure> {
        let path = layout.log(log);
        let (out, err) = File::create(&path)
            .and_then(|file| Ok((file.try_clone()?, file)))
            .map_err(|error| Failure::new(format!("{} cannot be written: {error}.", path.display())))?;
        let mut command = self.guarded(layout, python);
        command.stdout(out).stderr(err);
        self.spawn(command)
    }
}

async fn forward(output: impl AsyncRead + Unpin, sender: mpsc::Sender<String>) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).await.is_err() {
            return;
        }
    }
}

/// A child under its guard. Dropping it ends the child and waits for that.
#[derive(Debug)]
pub(crate) struct Guarded {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guarded {
    /// Waits for the end. A child that was killed counts as 1.
    pub(crate) async fn wait(&mut self) -> u8 {
        let status = self.child.wait().await;
        status.ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let deadline = Instant::now() + PATIENCE;
        while !self.has_ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
