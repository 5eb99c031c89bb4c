//! `cargo run --release -p ivy-replies`: learns the weights of [`ivy_domain::replies::classifier`] from the labelled replies.
//!
//! Before it writes them it tells how well each hand's replies are understood when the classifier has learnt from the others alone
//! (`--check` does only that), and last the replies that nothing was learnt from. The rules were written with the replies of the hand
//! `rules` in view, so what the other hands' lines say is what strangers can expect.

mod training;

use std::{collections::BTreeSet, io::Write as _, process::ExitCode};

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
    format!("{name:<8}{:>6}{rules:>8.3}{both:>8.3}   {}", rows.len(), by_intent.join("  "))
}

fn check(rows: &[Row], unseen: &[Row], weights: &[u8], out: &mut impl std::io::Write) -> Result<(), String> {
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
    lines.push(told("unseen", &unseen.iter().collect::<Vec<_>>(), weights));
    lines.into_iter().try_for_each(|line| writeln!(out, "{line}")).map_err(|error| error.to_string())
}

fn run() -> Result<(), String> {
    let only_check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("usage: ivy-replies [--check]".to_owned()),
    };
    let (rows, unseen) = (read(&workspace(OURS))?, read(&workspace(UNSEEN))?);
    let weights = learn(&rows)?;
    check(&rows, &unseen, &weights, &mut std::io::stdout().lock())?;
    if only_check {
        return Ok(());
    }
    std::fs::write(workspace(WEIGHTS), weights).map_err(|error| format!("{WEIGHTS}: {error}"))
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
