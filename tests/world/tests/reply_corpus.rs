//! How well replies are understood: a corpus labelled by hand against [`ivy_domain::replies::understand`].
//!
//! `IVY_REPLY_CORPUS` names another file of the same kind: CSV with the columns `text` and `intent`. A relative name is
//! looked for where cargo was called, then in the workspace. Ours must be understood to 90 % in every intent and, as any
//! other must, to 97 % in those that change what is donated or whether somebody is written to again. Since the classifier has
//! learnt from ours, what strangers can expect is told by replies that neither it nor the rules have learnt from.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use ivy_domain::replies::understand;
use ivy_replies::corpus::{self, OURS, Row, Tally, UNSEEN, intents, rows, workspace};

/// What must be understood to 97 % in any corpus.
const GRAVE: [&str; 4] = ["done", "skip", "stop", "help"];

/// Tests run in their package's directory; `PWD` is still that of the person who called cargo.
fn found(name: &str) -> Result<PathBuf, String> {
    let called_from = std::env::var_os("PWD").map(PathBuf::from);
    let places = [Some(PathBuf::from(name)), called_from.map(|at| at.join(name)), Some(workspace(name))];
    places
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .ok_or_else(|| format!("the corpus {name} was not found, neither as it stands nor in the workspace"))
}

fn read(name: &str) -> Vec<Row> {
    found(name).and_then(|path| corpus::read(&path)).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Prints what is understood of the corpus, and how often each intent was.
#[allow(clippy::print_stdout, reason = "the figures are for who runs the test")]
fn tallied(name: &str, rows: &[Row]) -> BTreeMap<&'static str, Tally> {
    let judged: Vec<_> = rows.iter().map(|row| (row.intent.as_str(), understand(&row.text).name())).collect();
    let tallies = intents().map(|intent| (intent, Tally::of(intent, &judged)));
    let wrong: Vec<_> = rows.iter().zip(&judged).filter(|(_, (meant, found))| meant != found).collect();
    println!("{name}: {} replies, {} understood", rows.len(), rows.len() - wrong.len());
    println!("{:<12}{:>6}{:>11}{:>8}", "intent", "rows", "precision", "recall");
    for (intent, tally) in tallies {
        println!("{intent:<12}{:>6}{:>11.3}{:>8.3}", tally.meant, tally.precision(), tally.recall());
    }
    for (row, (meant, found)) in wrong {
        println!("row {:5}: {meant} understood as {found}: {:?}", row.number, row.text);
    }
    tallies.into()
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

/// What nobody has learnt from. It is below what our own corpus must reach, and the figures say by how much.
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
        assert!(tally.precision() >= 0.95, "{intent}: a precision of {:.3}", tally.precision());
        assert!(tally.recall() >= 0.95, "{intent}: a recall of {:.3}", tally.recall());
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
