//! Why a measurement could not be made, in one sentence.

use std::fmt::Display;

/// A sentence for the person who runs the measurement.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl Failure {
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Turns what went wrong elsewhere into a [`Failure`] that says what was being done.
pub(crate) trait Because<T> {
    fn because(self, doing: &str) -> Result<T, Failure>;
}

impl<T, E: Display> Because<T> for Result<T, E> {
    fn because(self, doing: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("{doing}: {error}")))
    }
}

impl<T> Because<T> for Option<T> {
    fn because(self, doing: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure(doing.to_owned()))
    }
}
