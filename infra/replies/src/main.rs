//! `cargo run --release -p ivy-replies`: learns the weights of [`ivy_domain::replies::classifier`] from the labelled replies.
//!
//! It tells how well the replies are understood that nothing was learnt from. `--check` writes nothing and takes minutes: it tells how
//! well each hand's replies are understood when the classifier has learnt from the others alone. The rules were written with the
//! replies of the hand `rules` in view.

mod training;

use std::{collections::BTreeSet, io::Write, process::ExitCode};

use ivy_domain::replies::{Ruling, by_rules, classifier::judge};
use ivy_replies::corpus::{OURS, Row, Tally, UNSEEN, read, workspace};
use training::{Example, train};

const WEIGHTS: &str = "shared/domain/src/replies/weights.bin";
const SHOWN: [&str; 6] = ["done", "skip", "stop", "help", "partial", "reschedule"];

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

/// A line of the table: how well these are understood with such weights.
fn told(name: &str, rows: &[&Row], weights: &[u8]) -> String {
    let (mut by_rules, mut by_both) = (Vec::new(), Vec::new());
    for row in rows {
        let (rules, both) = understood(weights, row);
        by_rules.push((row.intent.as_str(), rules));
        by_both.push((row.intent.as_str(), both));
    }
    let right = |judged: &[(&str, &str)]| {
        judged.iter().filter(|(meant, found)| meant == found).count() as f64 / judged.len().max(1) as f64
    };
    let by_intent = SHOWN.map(|intent| {
        let tally = Tally::of(intent, &by_both);
        format!("{:.2}/{:.2}", tally.precision(), tally.recall())
    });
    let (rules, both) = (right(&by_rules), right(&by_both));
    format!("{name:<12}{:>6}{rules:>8.3}{both:>8.3}   {}", rows.len(), by_intent.join("  "))
}

fn head() -> String {
    format!("{:<12}{:>6}{:>8}{:>8}   precision/recall of {}", "hand", "rows", "rules", "both", SHOWN.join(", "))
}

/// Learns from all hands, tells how well the unseen replies are understood by that, and writes the weights.
fn write(rows: &[Row], unseen: &[Row], out: &mut impl Write) -> Result<(), String> {
    let weights = learn(rows)?;
    say(out, &head())?;
    say(out, &told("unseen", &unseen.iter().collect::<Vec<_>>(), &weights))?;
    std::fs::write(workspace(WEIGHTS), weights).map_err(|error| format!("{WEIGHTS}: {error}"))
}

/// Tells for each hand what the others teach.
fn check(rows: &[Row], out: &mut impl Write) -> Result<(), String> {
    say(out, &head())?;
    let hands: BTreeSet<&str> = rows.iter().map(|row| row.hand.as_str()).collect();
    for hand in hands {
        let (theirs, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.hand == hand);
        say(out, &told(hand, &theirs, &learn(others)?))?;
    }
    Ok(())
}

fn say(out: &mut impl Write, line: &str) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|error| error.to_string())
}

fn run() -> Result<(), String> {
    let out = &mut std::io::stdout().lock();
    match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => write(&read(&workspace(OURS))?, &read(&workspace(UNSEEN))?, out),
        [flag] if flag == "--check" => check(&read(&workspace(OURS))?, out),
        _ => Err("usage: ivy-replies [--check]".to_owned()),
    }
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
