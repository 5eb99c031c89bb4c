//! The capacity ledger: what each flow consumes (`tests/world/cost.tsv`, measured) beside the least that its access pattern
//! could take (`tests/bench/least.tsv`, thought out), with every unit between the two accounted for.
//!
//! The least is what remains if each item that the pattern is about is touched once, by itself: reads of up to 4 kB for one unit,
//! half for those that may be a moment behind, writes of up to 1 kB for one unit, no transaction, no index. A difference has
//! reasons, each with its units; a test adds them up, so neither file can change without the other.

use std::collections::BTreeMap;

use crate::{
    failure::{Because as _, Failure},
    figures::Table,
};

/// What a flow consumes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Units {
    pub(crate) round_trips: f64,
    pub(crate) read: f64,
    pub(crate) write: f64,
}

type Key = (String, String);

/// `cost.tsv`, by function and case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(BTreeMap<Key, Units>);

fn numbered(text: &str, line: &str) -> Result<f64, Failure> {
    text.parse().because(&format!("no number in the row: {line}"))
}

fn rows(text: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    text.lines().skip(1).filter(|line| !line.is_empty()).map(|line| (line, line.split('\t').collect()))
}

impl Ledger {
    pub(crate) fn read() -> Result<Self, Failure> {
        let text =
            std::fs::read_to_string(crate::repository("tests/world/cost.tsv")).because("cost.tsv cannot be read")?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let mut found = BTreeMap::new();
        for (line, cells) in rows(text) {
            let [function, case, round_trips, read, write, ..] = cells[..] else {
                return Err(Failure::new(format!("too few cells in the row: {line}")));
            };
            let units = Units {
                round_trips: numbered(round_trips, line)?,
                read: numbered(read, line)?,
                write: numbered(write, line)?,
            };
            found.insert((function.to_owned(), case.to_owned()), units);
        }
        Ok(Self(found))
    }

    pub(crate) fn of(&self, function: &str, case: &str) -> Result<&Units, Failure> {
        let key = (function.to_owned(), case.to_owned());
        self.0.get(&key).because(&format!("cost.tsv has no row {function}, {case}"))
    }
}

/// A reason for units above the least.
#[derive(Debug, Clone, PartialEq)]
struct Reason {
    word: String,
    units: f64,
}

/// The least of a flow, and why it takes more.
#[derive(Debug, Clone, PartialEq)]
struct Least {
    read: f64,
    write: f64,
    read_reasons: Vec<Reason>,
    write_reasons: Vec<Reason>,
}

/// What the words of `least.tsv` mean.
const WORDS: [(&str, &str); 18] = [
    (
        "batch",
        "a batch rounds each item up to a unit of its own; the state of a user in one query would be one unit, but brings no item of another prefix, and would be a second round trip",
    ),
    (
        "strong",
        "a consistent read costs twice the one that may be a moment behind, and what is decided on it must not be",
    ),
    ("size", "items or pages beyond 4 kB a read, or 1 kB a write"),
    ("seen", "the marker of the event, so that a webhook that comes twice is taken once (decision 0004)"),
    ("owner", "whose number or address it is: a look-up by keyed hash"),
    ("limit", "counting against a limit: of the auth routes, of a channel's pace"),
    ("profile", "the profile, for its time zone, its salt or its name"),
    ("key", "the kept answer of an Idempotency-Key"),
    ("shards", "the same query on each of the other shards, so that no partition is hot"),
    ("transaction", "a transaction costs twice the units, for all or nothing"),
    ("index", "an item that is in an index is written there as well; one that moves in it, twice"),
    ("outbox", "the effect that leaves after the commit, in the same transaction (decision 0002)"),
    (
        "totals",
        "month's totals of charity and company, and the user's receipt: read in one read where they would be sums over everything",
    ),
    ("state", "what rides along in the user's present state: open plans, counters, when we last heard from them"),
    (
        "record",
        "what is kept to answer for it later: audit entries, words on consents, what an agent was told, sessions that end",
    ),
    ("code", "the code that was sent to another phone or address, kept until it comes back"),
    ("message", "the message that follows, written down with its cause so that it is sent once and can be shown"),
    ("lease", "the slot and the user's line, so that nobody is rung twice and the provider's limit holds"),
];

fn reasons(text: &str, line: &str) -> Result<Vec<Reason>, Failure> {
    let pairs = text.split(", ").filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (word, units) = pair.rsplit_once(' ').because(&format!("no reason with units in the row: {line}"))?;
            if !WORDS.iter().any(|(known, _)| *known == word) {
                return Err(Failure::new(format!("{word} is no reason: {line}")));
            }
            Ok(Reason { word: word.to_owned(), units: numbered(units, line)? })
        })
        .collect()
}

fn least(text: &str) -> Result<BTreeMap<Key, Least>, Failure> {
    let mut found = BTreeMap::new();
    for (line, cells) in rows(text) {
        let [function, case, read, read_reasons, write, write_reasons] = cells[..] else {
            return Err(Failure::new(format!("a row of least.tsv has six cells: {line}")));
        };
        let least = Least {
            read: numbered(read, line)?,
            write: numbered(write, line)?,
            read_reasons: reasons(read_reasons, line)?,
            write_reasons: reasons(write_reasons, line)?,
        };
        found.insert((function.to_owned(), case.to_owned()), least);
    }
    Ok(found)
}

/// The units that no reason accounts for: reads, writes.
fn unexplained(units: &Units, least: &Least) -> (f64, f64) {
    let sum = |reasons: &[Reason]| reasons.iter().map(|reason| reason.units).sum::<f64>();
    (units.read - least.read - sum(&least.read_reasons), units.write - least.write - sum(&least.write_reasons))
}

/// `docs/capacity.md`, from both files.
pub(crate) fn document() -> Result<String, Failure> {
    let ledger = Ledger::read()?;
    let text =
        std::fs::read_to_string(crate::repository("tests/bench/least.tsv")).because("least.tsv cannot be read")?;
    let least = least(&text)?;
    let mut table = Table::new(&["flow", "reads", "least", "because", "writes", "least", "because"]);
    let said = |reasons: &[Reason]| {
        reasons.iter().map(|reason| format!("{} {}", reason.word, reason.units)).collect::<Vec<_>>().join(", ")
    };
    let number = |units: f64| if units == 0.0 { "–".to_owned() } else { units.to_string() };
    let mut sums = [0.0; 4];
    for ((function, case), units) in &ledger.0 {
        let key = (function.clone(), case.clone());
        let least = least.get(&key).because(&format!("least.tsv has no row {function}, {case}"))?;
        if unexplained(units, least) != (0.0, 0.0) {
            return Err(Failure::new(format!("{function}, {case}: units without a reason in least.tsv")));
        }
        for (sum, figure) in sums.iter_mut().zip([units.read, least.read, units.write, least.write]) {
            *sum += figure;
        }
        table.row([
            format!("{function}: {case}"),
            number(units.read),
            number(least.read),
            said(&least.read_reasons),
            number(units.write),
            number(least.write),
            said(&least.write_reasons),
        ]);
    }
    let mut legend = Table::new(&["reason", "what it is"]);
    for (word, meaning) in WORDS {
        legend.row([word, meaning]);
    }
    let [read, least_read, write, least_write] = sums;
    Ok(format!(
        "# Capacity\n\n\
        Read and write units of every flow, as the table counts them (`ReturnConsumedCapacity`), beside the least that its access\n\
        pattern could take, and the reason for each unit between the two. Measured figures: `tests/world/cost.tsv`, by\n\
        `cargo test -p ivy-world --test cost`. The least and the reasons: `tests/bench/least.tsv`. This page is made of both by\n\
        `cargo run --release -p ivy-bench -- capacity --write`; a test adds up every row, so a flow that takes more fails until somebody says why.\n\n\
        The least: each item that the pattern is about, touched once and by itself, 4 kB a read unit (half where a moment's delay does no\n\
        harm), 1 kB a write unit, without transaction and index. Nobody could build Ivy on it, for what it leaves out is what keeps the\n\
        promises: all or nothing, nothing twice, no scan. Over all rows, {read} read units where the least is {least_read}, and {write}\n\
        write units where it is {least_write}.\n\n{}\n## Reasons\n\n{}",
        table.text(),
        legend.text(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledger_every_unit_above_the_least_has_a_reason() {
        let ledger = Ledger::read().unwrap();
        let least = least(&std::fs::read_to_string(crate::repository("tests/bench/least.tsv")).unwrap()).unwrap();
        let wrong: Vec<String> = ledger
            .0
            .iter()
            .filter_map(|(key, units)| match least.get(key).map(|least| unexplained(units, least)) {
                Some((0.0, 0.0)) => None,
                Some((read, write)) => Some(format!("{key:?}: {read} reads and {write} writes have no reason")),
                None => Some(format!("{key:?}: no row in tests/bench/least.tsv")),
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let gone: Vec<_> = least.keys().filter(|key| !ledger.0.contains_key(*key)).collect();
        assert!(gone.is_empty(), "rows of nothing: {gone:?}");
        for least in least.values() {
            let all = least.read_reasons.iter().chain(&least.write_reasons);
            assert!(all.clone().all(|reason| reason.units > 0.0), "{least:?}");
        }
    }

    #[test]
    fn ledger_page_is_that_of_the_files() {
        let path = crate::repository("docs/capacity.md");
        let document = document().unwrap();
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(known == document, "docs/capacity.md is another: cargo run --release -p ivy-bench -- capacity --write");
    }

    #[test]
    fn what_nobody_explained_shows() {
        let units = Units { round_trips: 2.0, read: 6.0, write: 5.0 };
        let text = "function\tcase\tread\twhy\twrite\twhy\nf\tc\t1\tbatch 5\t2\ttransaction 2\n";
        let least = least(text).unwrap();
        assert_eq!(unexplained(&units, &least[&("f".to_owned(), "c".to_owned())]), (0.0, 1.0));
        assert!(super::least("h\nf\tc\t1\tluck 5\t2\t\n").is_err());
        assert!(super::least("h\nf\tc\t1\n").is_err());
    }
}
