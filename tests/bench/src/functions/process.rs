//! A function's process: started as Lambda would, and looked at through `/proc`.
//!
//! A shell joins the control group, waits for a line, and becomes the function by `exec`; the stop-watch starts with the line, so
//! neither the shell's start nor joining is measured. CPU time is the scheduler's own figure in nanoseconds, summed over the
//! threads (`/proc/<pid>/task/*/schedstat`); the ticks of `/proc/<pid>/stat` are ten times as long as a whole start.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
    time::sleep,
};

use super::share::Group;
use crate::failure::{Because as _, Failure};

/// What the shell does before it is the function: `$0` is the door of the group, or empty.
const SHELL: &str = r#"if [ -n "$0" ]; then echo $$ > "$0" || exit 97; fi; read -r go; exec "$@""#;
/// The shell stands at its `read` long before.
const SETTLE: Duration = Duration::from_millis(8);

/// What is started, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) name: String,
    /// A program and its arguments.
    pub(crate) command: Vec<String>,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    id: u32,
    pub(crate) started: Instant,
    /// CPU time that the shell had used.
    before: Duration,
}

/// Resident memory, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) resident_kib: u64,
    /// The part that is not a file: heap and stacks.
    pub(crate) anonymous_kib: u64,
}

impl Process {
    pub(crate) async fn start(
        launch: &Launch,
        environment: &BTreeMap<String, String>,
        group: Option<&Group>,
    ) -> Result<Self, Failure> {
        let doing = format!("{} does not start", launch.name);
        let log = File::options().create(true).append(true).open(&launch.log).because(&doing)?;
        let errors = log.try_clone().because(&doing)?;
        let door = group.map(|group| group.door().display().to_string()).unwrap_or_default();
        let mut child = Command::new("/bin/sh")
            .args(["-c", SHELL, &door])
            .args(&launch.command)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .because(&doing)?;
        let id = child.id().because(&doing)?;
        sleep(SETTLE).await;
        let before = cpu_time(id);
        let mut stdin = child.stdin.take().because(&doing)?;
        let started = Instant::now();
        stdin.write_all(b"go\n").await.because(&doing)?;
        Ok(Self { child, id, started, before })
    }

    /// CPU time since the start, of all its threads.
    pub(crate) fn cpu_time(&self) -> Duration {
        cpu_time(self.id).saturating_sub(self.before)
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or_default()
        };
        Memory { resident_kib: kib("VmRSS:"), anonymous_kib: kib("RssAnon:") }
    }

    /// Ends it, as Lambda does: without asking.
    pub(crate) async fn end(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }
}

fn cpu_time(id: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// What a file weighs in a zip, in bytes: deflated at the level that `sam package` takes, plus the zip's own words.
pub(crate) fn zip_size(file: &Path) -> Result<u64, Failure> {
    const WORDS: u64 = 130;
    let mut source = File::open(file).because(&format!("{} is not built", file.display()))?;
    let mut deflated = flate2::write::DeflateEncoder::new(Counter(0), flate2::Compression::new(6));
    std::io::copy(&mut source, &mut deflated).because("a binary cannot be deflated")?;
    Ok(deflated.finish().because("a binary cannot be deflated")?.0 + WORDS)
}

struct Counter(u64);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += u64::try_from(bytes.len()).unwrap_or_default();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
