//! `cargo run --release -p ivy-replies`: learns the weights of [`ivy_domain::replies::classifier`] from the labelled replies.
//!
//! Before it writes them it tells how well each hand's replies are understood when the classifier has learnt from the others alone
//! (`--check` does only that). The rules were written with the replies of the hand `rules` in view, the classifier never was: what
//! the other hands' rows say is what strangers can expect.

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

fn rows() -> Result<Vec<Row>, String> {
    let path = workspace(CORPUS);
    let mut reader = csv::Reader::from_path(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let headers = reader.headers().map_err(|error| error.to_string())?.clone();
    if headers.iter().ne(["text", "intent", "hand"]) {
        return Err(format!("{CORPUS} has the columns {headers:?} and not text, intent and hand"));
    }
    reader
        .records()
        .map(|record| {
            let record = record.map_err(|error| format!("{CORPUS}: {error}"))?;
            Ok(Row { text: record[0].to_owned(), intent: record[1].to_owned(), hand: record[2].to_owned() })
        })
        .collect()
}

fn learn<'a>(rows: impl Iterator<Item = &'a Row>) -> Result<Vec<u8>, String> {
    let examples = rows
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

fn check(rows: &[Row], out: &mut impl std::io::Write) -> Result<(), String> {
    let hands: BTreeSet<&str> = rows.iter().map(|row| row.hand.as_str()).collect();
    let say = |out: &mut dyn std::io::Write, line: String| writeln!(out, "{line}").map_err(|error| error.to_string());
    say(
        out,
        format!("{:<8}{:>6}{:>8}{:>8}   precision/recall of {}", "hand", "rows", "rules", "both", SHOWN.join(", ")),
    )?;
    for hand in hands {
        let weights = learn(rows.iter().filter(|row| row.hand != hand))?;
        let judged: Vec<(&str, &str, &str)> = rows
            .iter()
            .filter(|row| row.hand == hand)
            .map(|row| {
                let (rules, both) = understood(&weights, row);
                (row.intent.as_str(), rules, both)
            })
            .collect();
        let right = |of: fn(&(&str, &str, &str)) -> bool| judged.iter().filter(|row| of(row)).count();
        let by_intent: Vec<String> = SHOWN
            .iter()
            .map(|intent| {
                let meant = judged.iter().filter(|(meant, _, _)| meant == intent).count();
                let found = judged.iter().filter(|(_, _, found)| found == intent).count();
                let both = judged.iter().filter(|(meant, _, found)| meant == intent && found == intent).count();
                format!("{:.2}/{:.2}", share(both, found), share(both, meant))
            })
            .collect();
        let rules = share(right(|(meant, rules, _)| meant == rules), judged.len());
        let both = share(right(|(meant, _, both)| meant == both), judged.len());
        say(out, format!("{hand:<8}{:>6}{rules:>8.3}{both:>8.3}   {}", judged.len(), by_intent.join("  ")))?;
    }
    Ok(())
}

fn run() -> Result<(), String> {
    let only_check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("usage: ivy-replies [--check]".to_owned()),
    };
    let rows = rows()?;
    check(&rows, &mut std::io::stdout().lock())?;
    if only_check {
        return Ok(());
    }
    std::fs::write(workspace(WEIGHTS), learn(rows.iter())?).map_err(|error| format!("{WEIGHTS}: {error}"))
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
