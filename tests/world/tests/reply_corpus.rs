//! How well replies are understood: a corpus labelled by hand against [`ivy_domain::replies::understand`].
//!
//! `IVY_REPLY_CORPUS` names another file of the same kind: CSV with the columns `text` and `intent`. A relative name is
//! looked for where cargo was called, then in the workspace. Ours must be understood to 90 % in every intent and, as any
//! other must, to 97 % in those that change what is donated or whether somebody is written to again. Since the classifier has
//! learnt from ours, what strangers can expect is told by replies that neither it nor the rules have seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use ivy_domain::replies::{classifier, understand};

const OURS: &str = "tests/world/data/replies.csv";
const UNSEEN: &str = "tests/world/data/replies_unseen.csv";
/// What must be understood to 97 % in any corpus.
const GRAVE: [&str; 4] = ["done", "skip", "stop", "help"];

#[derive(Debug)]
struct Row {
    /// Counted as a table does, the header being the first.
    number: usize,
    text: String,
    intent: String,
}

/// How often an intent was meant, was found, and was both.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    meant: u32,
    found: u32,
    both: u32,
}

impl Tally {
    fn precision(self) -> f64 {
        if self.found == 0 { 1.0 } else { f64::from(self.both) / f64::from(self.found) }
    }

    fn recall(self) -> f64 {
        if self.meant == 0 { 1.0 } else { f64::from(self.both) / f64::from(self.meant) }
    }
}

fn intents() -> [&'static str; classifier::INTENTS.len()] {
    classifier::INTENTS.map(|intent| intent.name())
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Tests run in their package's directory; `PWD` is still that of the person who called cargo.
fn found(name: &str) -> Result<PathBuf, String> {
    let called_from = std::env::var_os("PWD").map(PathBuf::from);
    let places = [Some(PathBuf::from(name)), called_from.map(|at| at.join(name)), Some(workspace().join(name))];
    places
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .ok_or_else(|| format!("the corpus {name} was not found, neither as it stands nor in the workspace"))
}

fn rows(csv: &str) -> Result<Vec<Row>, String> {
    let csv = csv.strip_prefix('\u{feff}').unwrap_or(csv);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv.as_bytes());
    let headers = reader.headers().map_err(|error| format!("the corpus has no header: {error}"))?.clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header.trim().eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("the corpus has no column {name:?}; it needs text,intent"))
    };
    let (text, intent) = (column("text")?, column("intent")?);
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
        rows.push(Row { number, text: field(text)?.to_owned(), intent: named });
    }
    if rows.is_empty() { Err("the corpus has no rows".to_owned()) } else { Ok(rows) }
}

fn read(name: &str) -> Vec<Row> {
    let path = found(name).unwrap_or_else(|problem| panic!("{problem}"));
    let csv = std::fs::read_to_string(&path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
    rows(&csv).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

/// Prints what is understood of the corpus, and how often each intent was.
#[allow(clippy::print_stdout, reason = "the figures are for who runs the test")]
fn tallied(name: &str, rows: &[Row]) -> BTreeMap<&'static str, Tally> {
    let mut tallies: BTreeMap<&str, Tally> = intents().map(|intent| (intent, Tally::default())).into();
    let mut wrong = Vec::new();
    for row in rows {
        let found = understand(&row.text).name();
        tallies.entry(found).or_default().found += 1;
        let meant = tallies.get_mut(row.intent.as_str()).expect("the reader takes known intents only");
        meant.meant += 1;
        if found == row.intent {
            meant.both += 1;
        } else {
            wrong.push(format!("row {:5}: {} understood as {found}: {:?}", row.number, row.intent, row.text));
        }
    }
    println!("{name}: {} replies, {} understood", rows.len(), rows.len() - wrong.len());
    println!("{:<12}{:>6}{:>11}{:>8}", "intent", "rows", "precision", "recall");
    for intent in intents() {
        let tally = tallies[intent];
        println!("{intent:<12}{:>6}{:>11.3}{:>8.3}", tally.meant, tally.precision(), tally.recall());
    }
    for line in &wrong {
        println!("{line}");
    }
    tallies
}

#[test]
fn replies_are_understood() {
    let named = std::env::var("IVY_REPLY_CORPUS").ok().filter(|name| !name.is_empty());
    let ours = named.is_none();
    let name = named.as_deref().unwrap_or(OURS);
    for (intent, tally) in tallied(name, &read(name)) {
        let least = match (GRAVE.contains(&intent), ours) {
            (true, _) => 0.97,
            (false, true) => 0.90,
            (false, false) => continue,
        };
        assert!(tally.precision() >= least, "{intent}: a precision of {:.3} is below {least}", tally.precision());
        assert!(tally.recall() >= least, "{intent}: a recall of {:.3} is below {least}", tally.recall());
    }
}

/// What nobody has tuned or learnt on. It is below what our own corpus must reach, and the figures say by how much.
#[test]
fn replies_that_nobody_has_seen_are_understood() {
    let (ours, unseen) = (read(OURS), read(UNSEEN));
    // But for emoji alone, which are what they are.
    let plain = |row: &Row| row.text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let known: BTreeSet<String> = ours.iter().map(plain).filter(|text| !text.is_empty()).collect();
    let seen: Vec<_> = unseen.iter().filter(|row| known.contains(&plain(row))).collect();
    assert!(seen.is_empty(), "these are in both corpora: {seen:?}");
    let tallies = tallied(UNSEEN, &unseen);
    for intent in GRAVE {
        let tally = tallies[intent];
        assert!(tally.precision() >= 0.93, "{intent}: a precision of {:.3}", tally.precision());
        assert!(tally.recall() >= 0.93, "{intent}: a recall of {:.3}", tally.recall());
    }
}

#[test]
fn a_corpus_may_have_quotes_line_ends_of_windows_and_a_mark_of_its_bytes() {
    let read = rows("\u{feff}text,intent\r\n\"did it, \"\"all\"\" of it\",done\r\nSTOP,stop\r\n").unwrap();
    assert_eq!((read[0].text.as_str(), read[0].intent.as_str()), ("did it, \"all\" of it", "done"));
    assert_eq!((read[1].text.as_str(), read[1].number), ("STOP", 3));
}

#[test]
fn a_corpus_that_says_nothing_is_refused_in_a_sentence() {
    assert_eq!(rows("text,intent\n").unwrap_err(), "the corpus has no rows");
    assert!(rows("text,intent\nhello,greeting\n").unwrap_err().contains("unknown intent \"greeting\""));
    assert!(rows("words,label\nhello,other\n").unwrap_err().contains("no column \"text\""));
    assert!(found("no/such/corpus.csv").unwrap_err().contains("no/such/corpus.csv"));
}
