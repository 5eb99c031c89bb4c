//! What the functions log, caught for a test to read.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use ivy_runtime::{config::LogLevel, telemetry};
use serde_json::Value;

/// The log of this process. Only for a test in a file of its own: the subscriber is the process's, so nothing else may run beside
/// it.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Catches from here on, all that a function can log.
    #[must_use]
    pub fn install() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing::subscriber::set_global_default(telemetry::subscriber(LogLevel::Info, move || writer.clone())).unwrap();
        log
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }

    /// Its lines, each of which has to be JSON.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let read = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        text.lines().map(read).collect()
    }

    /// The lines of a metric.
    #[must_use]
    pub fn metric(&self, name: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line[name].is_number()).collect()
    }
}
