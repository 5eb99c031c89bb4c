//! What each function asks of the table, and that it stays within the table of spec 10.
//!
//! `tests/world/cost.tsv` has one row for each function and case: the requests to the table in their order, how many round trips
//! they are, and the read and write units that they consume. A change of the code that changes a figure fails here until
//! somebody has looked at it and written it down:
//!
//! ```sh
//! IVY_UPDATE=1 cargo test -p ivy-world --test cost
//! ```
//!
//! Measured is a process that is warm: the charity is in its memory, the account is within what a process counts by itself
//! (decision 0014), and the person is signed in. Every function of the template has a row, for its good path at least: those
//! behind the API in `people.rs`, queues, jobs and webhooks in `jobs.rs`. The limits of the spec stand in [`limits`]; a
//! figure that is new and breaks one fails whatever the file says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

mod bench;
mod jobs;
mod meter;
mod people;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use bench::Bench;
use ivy_world::{api, gate::Party};
use meter::Cost;
use serde_json::Value;

/// Rows by function and case.
pub(crate) type Rows = BTreeMap<(String, String), Cost>;

async fn measured() -> Rows {
    let bench = Bench::new().await;
    Box::pin(people::measure(&bench)).await;
    Box::pin(jobs::measure(&bench)).await;
    bench.into_rows()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn written_down(rows: &Rows) -> String {
    let mut text = String::from("function\tcase\tround trips\tread units\twrite units\trequests\n");
    for ((function, case), cost) in rows {
        let (read, write) = (cost.read_units, cost.write_units);
        text += &format!("{function}\t{case}\t{}\t{read}\t{write}\t{}\n", cost.round_trips(), cost.operations());
    }
    text
}

#[tokio::test]
async fn every_function_costs_what_is_written_down_and_what_the_spec_allows() {
    let rows = Box::pin(measured()).await;
    let text = written_down(&rows);
    let path = root().join("tests/world/cost.tsv");
    if std::env::var_os("IVY_UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    let (known, now): (BTreeSet<_>, BTreeSet<_>) = (known.lines().collect(), text.lines().collect());
    let gone: Vec<_> = known.difference(&now).collect();
    let fresh: Vec<_> = now.difference(&known).collect();
    assert!(
        gone.is_empty() && fresh.is_empty(),
        "tests/world/cost.tsv says otherwise; if it is meant, write it: IVY_UPDATE=1 cargo test -p ivy-world --test cost\n\
         written down {gone:#?}\nmeasured {fresh:#?}"
    );
    every_function_has_a_row(&rows);
    limits(&rows);
}

/// Reads that take more round trips than one, how many, and why. Spec 10 allows one for `list-messages`; of the others it does
/// not speak. This list may only shrink.
const MORE_THAN_ONE_READ: [(&str, usize, &str); 8] = [
    ("list-messages", 2, "the words are sealed, and the salt that opens them is the profile's"),
    ("todays-workouts", 2, "which day is today is for the profile's time zone to say"),
    ("list-receipts", 2, "a receipt carries the profile's name"),
    ("get-activity", 3, "the profile's time zone, workouts, donations"),
    ("get-call-stats", 2, "the profile's time zone, calls"),
    ("get-transformation", 3, "the profile, scores, life markers"),
    ("upcoming-calls", 8, "calls that are due are spread over eight shards, and operators see all of them"),
    ("export-user", 3, "everything, page by page"),
];
/// More exceptions need a reason first.
const MOST_EXCEPTIONS: usize = 8;

/// The table of spec 10, "what they may cost".
#[track_caller]
fn limits(rows: &Rows) {
    let row = |function: &str, case: &str| {
        let key = (function.to_owned(), case.to_owned());
        rows.get(&key).unwrap_or_else(|| panic!("{function}, {case}: no such row"))
    };
    let of = |function: &str| -> Vec<(&String, &Cost)> {
        rows.iter().filter(|((name, _), _)| name == function).map(|((_, case), cost)| (case, cost)).collect()
    };
    // One entity by id; profile with streak and wallet; lists; stats: one read.
    for (function, ..) in operations().into_iter().filter(|(_, method, _)| method == "get") {
        let known = MORE_THAN_ONE_READ.iter().find(|(name, ..)| *name == function);
        let most = known.map_or(1, |(_, most, _)| *most);
        for (case, cost) in of(&function) {
            assert!(cost.round_trips() <= most, "{function}, {case}: {most} read(s), not {}", cost.operations());
            assert!(known.is_none() || cost.round_trips() == most, "{function} is no exception any more");
            assert_eq!(cost.writes(), 0, "{function}, {case}: a read writes nothing, not {}", cost.operations());
            assert_eq!(cost.count("Scan"), 0, "{function}, {case}");
        }
    }
    assert!(MORE_THAN_ONE_READ.len() <= MOST_EXCEPTIONS);
    assert_eq!(row("get-stats", "own").count("Query"), 1, "the whole of the stats is one query");
    // Log a completion: one read and one transaction.
    let completion = row("update-workout", "completed");
    let (reads, transactions) =
        (completion.round_trips() - completion.writes(), completion.count("TransactWriteItems"));
    assert_eq!((reads, transactions, completion.writes()), (1, 1, 1), "{}", completion.operations());
    // Claim a due call: one conditional write, and the phone rings after it.
    let claim = row("place-call", "due");
    assert!(claim.asked(Party::Retell));
    assert_eq!(claim.writes_before(Party::Retell), 1, "{}", claim.operations());
    // A webhook that was seen before: decision 0004 has one read in place of one conditional write. WhatsApp's names a phone
    // number, and whose it is takes a read of its own.
    for ((function, case), cost) in rows.iter().filter(|((_, case), _)| case.ends_with(", seen before")) {
        let most = 1 + usize::from(function == "whatsapp-webhook");
        assert!(cost.round_trips() <= most && cost.writes() == 0, "{function}, {case}: {}", cost.operations());
    }
    // Users of a time zone to plan for: one query a page.
    for case in ["empty page", "a page of people", "wallets of a page"] {
        let page = row("plan-users", case);
        assert_eq!(page.queries_of("tz"), 1, "{case}: {}", page.operations());
    }
    assert_eq!(row("plan-users", "empty page").round_trips(), 1);
    for (key, cost) in rows {
        assert_eq!(cost.count("Scan"), 0, "{key:?} reads the whole table");
    }
}

#[track_caller]
fn every_function_has_a_row(rows: &Rows) {
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let deployed = template.lines().filter_map(|line| line.trim().strip_prefix("CodeUri: target/lambda/"));
    let deployed = deployed.map(|name| name.trim_end_matches('/').to_owned());
    let all: BTreeSet<String> = operations().into_iter().map(|(id, ..)| id).chain(deployed).collect();
    let with: BTreeSet<String> = rows.keys().map(|(function, _)| function.clone()).collect();
    let without: Vec<_> = all.difference(&with).collect();
    assert!(without.is_empty(), "no row, so nobody knows what they cost (tests/world/tests/cost): {without:?}");
    let unknown: Vec<_> = with.difference(&all).collect();
    assert!(unknown.is_empty(), "rows of no function: {unknown:?}");
}

/// Id, method and path of each operation of the OpenAPI document.
pub(crate) fn operations() -> Vec<(String, String, String)> {
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            found.push((operation["operationId"].as_str().unwrap().to_owned(), method.clone(), path.clone()));
        }
    }
    found
}
