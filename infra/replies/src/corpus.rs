//! The corpora of replies: CSV with the columns `text` and `intent`, and `hand` where it tells who wrote them.

use std::path::{Path, PathBuf};

use ivy_domain::replies::classifier;

/// What rules and classifier know.
pub const OURS: &str = "tests/world/data/replies.csv";
/// What neither has learnt from.
pub const UNSEEN: &str = "tests/world/data/replies_unseen.csv";

/// A labelled reply.
#[derive(Debug)]
pub struct Row {
    /// Counted as a table does, the header being the first.
    pub number: usize,
    /// What somebody wrote.
    pub text: String,
    /// The name of what they meant.
    pub intent: String,
    /// Who wrote it; empty where the corpus does not tell.
    pub hand: String,
}

/// The names of the intents.
#[must_use]
pub fn intents() -> [&'static str; classifier::INTENTS.len()] {
    classifier::INTENTS.map(|intent| intent.name())
}

/// A path of the workspace.
#[must_use]
pub fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Reads a file.
///
/// # Errors
/// A sentence that names the file, when it cannot be read or is no corpus.
pub fn read(path: &Path) -> Result<Vec<Row>, String> {
    let csv = std::fs::read_to_string(path).map_err(|problem| format!("{}: {problem}", path.display()))?;
    rows(&csv).map_err(|problem| format!("{}: {problem}", path.display()))
}

/// Reads the text of a corpus.
///
/// # Errors
/// A sentence, when a column is missing, an intent is unknown or there is nothing.
pub fn rows(csv: &str) -> Result<Vec<Row>, String> {
    let csv = csv.strip_prefix('\u{feff}').unwrap_or(csv);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv.as_bytes());
    let headers = reader.headers().map_err(|error| format!("the corpus has no header: {error}"))?.clone();
    let place = |name: &str| headers.iter().position(|header| header.trim().eq_ignore_ascii_case(name));
    let column =
        |name: &str| place(name).ok_or_else(|| format!("the corpus has no column {name:?}; it needs text,intent"));
    let (text, intent, hand) = (column("text")?, column("intent")?, place("hand"));
    let mut rows = Vec::new();
    for (number, record) in (2..).zip(reader.records()) {
        let record = record.map_err(|error| format!("the corpus cannot be read: {error}"))?;
        let field = |at: usize| record.get(at).ok_or_else(|| format!("row {number} of the corpus has no intent"));
        let named = field(intent)?.trim().to_lowercase();
        if !intents().contains(&named.as_str()) {
            return Err(format!(
                "row {number} of the corpus has the unknown intent {named:?}; known are {}",
                intents().join(", ")
            ));
        }
        let hand = hand.and_then(|at| record.get(at)).unwrap_or_default().to_owned();
        rows.push(Row { number, text: field(text)?.to_owned(), intent: named, hand });
    }
    if rows.is_empty() { Err("the corpus has no rows".to_owned()) } else { Ok(rows) }
}

/// How often an intent was meant, was found, and was both.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    /// How often it was meant.
    pub meant: u32,
    found: u32,
    both: u32,
}

impl Tally {
    /// Of replies as (what was meant, what was found).
    #[must_use]
    pub fn of(intent: &str, judged: &[(&str, &str)]) -> Self {
        let mut tally = Self { meant: 0, found: 0, both: 0 };
        for (meant, found) in judged {
            let (meant, found) = (*meant == intent, *found == intent);
            tally.meant += u32::from(meant);
            tally.found += u32::from(found);
            tally.both += u32::from(meant && found);
        }
        tally
    }

    /// Of what was found, the part that was meant.
    #[must_use]
    pub fn precision(self) -> f64 {
        if self.found == 0 { 1.0 } else { f64::from(self.both) / f64::from(self.found) }
    }

    /// Of what was meant, the part that was found.
    #[must_use]
    pub fn recall(self) -> f64 {
        if self.meant == 0 { 1.0 } else { f64::from(self.both) / f64::from(self.meant) }
    }
}
