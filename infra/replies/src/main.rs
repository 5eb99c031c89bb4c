//! `cargo run --release -p ivy-replies`: learns the weights of [`ivy_domain::replies::classifier`] from the labelled replies.
//!
//! Before it writes them it tells how well each hand's replies are understood when the classifier has learnt from the others alone
//! (`--check` does only that), and last the replies that nothing was learnt from. The rules were written with the replies of the hand
//! `rules` in view, so what the other hands' lines say is what strangers can expect.

mod training;

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use ivy_domain::replies::{Ruling, by_rules, classifier::judge};
use training::{Example, train};

const CORPUS: &str = "tests/world/data/replies.csv";
const UNSEEN: &str = "tests/world/data/replies_unseen.csv";
const WEIGHTS: &str = "shared/domain/src/replies/weights.bin";
const SHOWN: [&str; 6] = ["done", "skip", "stop", "help", "partial", "reschedule"];

struct Row {
    text: String,
    intent: String,
    hand: String,
}

fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The rows of a corpus, with who wrote them where it tells.
fn rows(name: &str) -> Result<Vec<Row>, String> {
    let mut reader = csv::Reader::from_path(workspace(name)).map_err(|error| format!("{name}: {error}"))?;
    reader
        .records()
        .map(|record| {
            let record = record.map_err(|error| format!("{name}: {error}"))?;
            let field = |at: usize| record.get(at).unwrap_or_default().to_owned();
            Ok(Row { text: field(0), intent: field(1), hand: field(2) })
        })
        .collect()
}

fn learn<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Result<Vec<u8>, String> {
    let examples = rows
        .into_iter()
        .map(|row| Example::new(&row.text, &row.intent).ok_or_else(|| format!("unknown intent {:?}", row.intent)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(train(&examples))
}

/// What is made of a row: by the rules alone, and with the classifier.
fn understood(weights: &[u8], row: &Row) -> (&'static str, &'static str) {
    match by_rules(&row.text) {
        Ruling::Certain(intent) => (intent.name(), intent.name()),
        Ruling::Read(intent) => (intent.name(), judge(weights, &row.text, intent).name()),
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// A line of the table: how well these are understood with such weights.
fn told(name: &str, rows: &[&Row], weights: &[u8]) -> String {
    let judged: Vec<(&str, &str, &str)> = rows
        .iter()
        .map(|row| {
            let (rules, both) = understood(weights, row);
            (row.intent.as_str(), rules, both)
        })
        .collect();
    let count = |of: &dyn Fn(&(&str, &str, &str)) -> bool| judged.iter().filter(|row| of(row)).count();
    let by_intent: Vec<String> = SHOWN
        .iter()
        .map(|intent| {
            let (meant, found) = (count(&|(meant, _, _)| meant == intent), count(&|(_, _, found)| found == intent));
            let both = count(&|(meant, _, found)| meant == intent && found == intent);
            format!("{:.2}/{:.2}", share(both, found), share(both, meant))
        })
        .collect();
    let rules = share(count(&|(meant, rules, _)| meant == rules), judged.len());
    let both = share(count(&|(meant, _, both)| meant == both), judged.len());
    format!("{name:<8}{:>6}{rules:>8.3}{both:>8.3}   {}", judged.len(), by_intent.join("  "))
}

fn check(rows: &[Row], unseen: &[Row], out: &mut impl std::io::Write) -> Result<(), String> {
    let mut lines = vec![format!(
        "{:<8}{:>6}{:>8}{:>8}   precision/recall of {}",
        "hand",
        "rows",
        "rules",
        "both",
        SHOWN.join(", ")
    )];
    let hands: BTreeSet<&str> = rows.iter().map(|row| row.hand.as_str()).collect();
    for hand in hands {
        let (theirs, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.hand == hand);
        lines.push(told(hand, &theirs, &learn(others)?));
    }
    lines.push(told("unseen", &unseen.iter().collect::<Vec<_>>(), &learn(rows)?));
    lines.into_iter().try_for_each(|line| writeln!(out, "{line}")).map_err(|error| error.to_string())
}

fn run() -> Result<(), String> {
    let only_check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("usage: ivy-replies [--check]".to_owned()),
    };
    let (rows, unseen) = (rows(CORPUS)?, rows(UNSEEN)?);
    check(&rows, &unseen, &mut std::io::stdout().lock())?;
    if only_check {
        return Ok(());
    }
    std::fs::write(workspace(WEIGHTS), learn(&rows)?).map_err(|error| format!("{WEIGHTS}: {error}"))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}
