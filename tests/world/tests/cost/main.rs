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
use meter::{Cost, RATES};
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

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
    roles(&rows);
}

/// Writes that roles allow and no row of the file makes. A new entry needs a reason; the list may only shrink.
const ALLOWED_UNSEEN: [(&str, &str, &str); 18] = [
    ("refresh-session", "DeleteItem", "a token that is used again ends its session"),
    ("admin-login", "PutItem", "a password's hash is renewed when its parameters are"),
    ("create-workout", "UpdateItem", "a plan may make a bonus due, which the charity's month counts"),
    ("update-workout", "DeleteItem", "a workout moves to another day"),
    ("delete-workout", "UpdateItem", "as with a plan"),
    ("initiate-call", "DeleteItem", "a line that an attempt left behind is freed"),
    ("whatsapp-webhook", "UpdateItem", "a completion reported in writing"),
    ("whatsapp-webhook", "DeleteItem", "a message that turns to SMS forgets WhatsApp's id"),
    ("retell-function", "UpdateItem", "a completion told in a call, which the charity's month counts"),
    ("retell-function", "DeleteItem", "a plan moves to another day"),
    ("twilio-sms", "UpdateItem", "a completion reported in writing"),
    ("twilio-sms", "DeleteItem", "a plan moves to another day"),
    ("plan-users", "UpdateItem", "a bonus that is due, which the charity's month counts"),
    ("place-call", "DeleteItem", "an attempt that failed gives slot and line back"),
    ("sweep-calls", "PutItem", "calls that nothing ended are ended"),
    ("sweep-calls", "UpdateItem", "what an attempt was told is kept when it turns out to have been made"),
    ("sweep-calls", "DeleteItem", "their slots and lines are given back"),
    ("send-message-worker", "DeleteItem", "a message that is sent anew forgets the provider's id"),
];

/// Reads that roles allow and no row of the file makes. A new entry needs a reason; the list may only shrink.
const ALLOWED_UNSEEN_READS: &[(&str, &[&str], &str)] = &[
    ("end-session", &["Query"], "signing out everywhere"),
    ("onboard-user", &["GetItem"], "the charity, where the process does not know it; a kept answer"),
    ("update-workout", &["GetItem"], "a workout that was moved to another day; the charity"),
    ("get-workout", &["GetItem"], "a workout that was moved to another day"),
    ("delete-workout", &["GetItem"], "a workout that was moved to another day; the charity"),
    ("get-stats", &["GetItem"], "the charity"),
    ("get-wallet", &["GetItem"], "the charity; a company's limit"),
    ("get-impact", &["GetItem"], "the charity"),
    ("record-score", &["GetItem"], "a kept answer"),
    ("record-marker", &["GetItem"], "a kept answer"),
    ("list-charities", &["Query"], "the list, where the process does not know it"),
    ("schedule-call", &["GetItem"], "a kept answer"),
    ("reschedule-call", &["GetItem"], "a kept answer"),
    ("upcoming-calls", &["BatchGetItem"], "the calls that the index names"),
    (
        "retell-webhook",
        &["GetItem", "Query"],
        "the charity, a call back that was agreed on; the calls that a pause withdraws",
    ),
    ("retell-function", &["GetItem", "Query"], "a call back, the charity; what a pause withdraws"),
    ("twilio-status", &["Query"], "what a miss leads to"),
    ("twilio-sms", &["Query"], "the calls that STOP withdraws"),
    ("whatsapp-webhook", &["Query"], "the calls that STOP withdraws"),
    ("sweep-calls", &["GetItem", "BatchGetItem"], "the line; the calls that the index names"),
    ("send-message-worker", &["GetItem"], "whether the user's line is busy"),
];

/// Each role allows what its function was seen to do, and nothing that it was not seen to do.
#[track_caller]
fn roles(rows: &Rows) {
    let mut done: BTreeMap<&str, BTreeSet<&'static str>> = BTreeMap::new();
    for ((function, _), cost) in rows {
        done.entry(function).or_default().extend(cost.actions());
    }
    let template = fs::read_to_string(root().join("template.yaml")).unwrap();
    let template = YamlLoader::load_from_str(&template).unwrap().remove(0);
    let mut wrong = Vec::new();
    for resource in template["Resources"].as_hash().unwrap().values() {
        let properties = &resource["Properties"];
        let Some(name) = properties["FunctionName"].as_str().and_then(|name| name.strip_prefix("${AWS::StackName}-"))
        else {
            continue;
        };
        let allowed = allowed(properties);
        let done = done.remove(name).unwrap_or_default();
        for action in &done {
            let enough = allowed.contains(*action) || *action == RATES && allowed.contains("UpdateItem");
            if !enough {
                wrong.push(format!("{name} may not {action}, and does"));
            }
        }
        for action in ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem"] {
            let known = ALLOWED_UNSEEN.iter().any(|(function, unseen, _)| (*function, *unseen) == (name, action))
                || ALLOWED_UNSEEN_READS
                    .iter()
                    .any(|(function, unseen, _)| *function == name && unseen.contains(&action));
            if allowed.contains(action) && !done.contains(action) && !known {
                wrong.push(format!("{name} may {action}, and is never seen to"));
            }
            if known && (done.contains(action) || !allowed.contains(action)) {
                wrong.push(format!("{name} and {action} are no exception any more"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table's actions that a function's role allows.
fn allowed(properties: &Yaml) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    for policy in properties["Policies"].as_vec().into_iter().flatten() {
        for statement in policy["Statement"].as_vec().into_iter().flatten() {
            let actions = &statement["Action"];
            let one = actions.as_str().into_iter();
            let several = actions.as_vec().into_iter().flatten().filter_map(Yaml::as_str);
            for action in one.chain(several).filter_map(|action| action.strip_prefix("dynamodb:")) {
                let rates = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"][0].as_str();
                let of_rates = rates == Some("RATE#*") && action == "UpdateItem";
                allowed.insert(if of_rates { RATES.to_owned() } else { action.to_owned() });
            }
        }
    }
    allowed
}

/// Reads that take more round trips than one, how many, and why. Of none of them spec 10 speaks; what is asked at once is one
/// round trip, so a list brings its owner's profile, without which a closed account could still be read. Of the others it does
/// not speak. This list may only shrink.
const MORE_THAN_ONE_READ: [(&str, usize, &str); 6] = [
    ("todays-workouts", 2, "which day is today is for the profile's time zone to say"),
    ("get-activity", 2, "the profile's time zone, then workouts and donations"),
    ("get-call-stats", 2, "the profile's time zone, calls"),
    ("get-transformation", 2, "the profile, which opens the markers, then scores and life markers"),
    ("upcoming-calls", 8, "calls that are due are spread over eight shards, and operators see all of them"),
    ("export-user", 3, "everything, page by page"),
];
/// More exceptions need a reason first.
const MOST_EXCEPTIONS: usize = 6;

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
        (completion.round_trips() - completion.writing_trips(), completion.count("TransactWriteItems"));
    assert_eq!((reads, transactions, completion.writes()), (1, 1, 1), "{}", completion.operations());
    // Claim a due call: one conditional write, and the phone rings after it.
    let claim = row("place-call", "due");
    assert!(claim.asked(Party::Retell));
    assert_eq!(claim.writes_before(Party::Retell), 1, "{}", claim.operations());
    // A webhook that was seen before: decision 0004 has one read in place of one conditional write. A message, and the carrier's
    // word on a call, name a phone number, and whose it is takes a read of its own.
    for ((function, case), cost) in rows.iter().filter(|((_, case), _)| case.ends_with(", seen before")) {
        let by_phone =
            matches!(function.as_str(), "whatsapp-webhook" | "twilio-sms") || case.starts_with("status of a call");
        let most = 1 + usize::from(by_phone);
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
