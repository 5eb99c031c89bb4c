//! The deployed API against its own document: schemathesis makes requests from `docs/openapi.json`, right ones and wrong ones, and
//! checks that every answer is one that the document promises.
//!
//! Checked are, for every operation: no 5xx; the status, the content type, the headers and the body are documented; wrong input is
//! refused; nobody is held back by a limit of accounts. Three phases: the document's examples, every boundary that its schemas have, and
//! requests drawn from a fixed choice, so that the same code gives the same requests. What the document cannot say (who is
//! signed in, what they own) is in `tests/stack/contract/ivy_hooks.py`.
//!
//! What it does not check: whether an answer is the right one (the other tests), whether tokens and other people's ids are refused
//! (`isolation.rs` of the world), and which methods a path does not take (the gateway's word here is not AWS's).
//!
//! schemathesis stands in `infra/local/requirements.txt`; `cargo stack` installs it. The whole report is
//! `target/local/contract/report.txt`.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ivy_stack::{Person, Stack, now};
use jiff::{SignedDuration, Unit};
use serde_json::{Value, json};

/// The last one is for what ends an account. Of each of the others there are under 120 requests in a minute, which is
/// what an account may make (decision 0014).
const PEOPLE: usize = 30;
/// Requests of one operation that are drawn; examples and boundaries come on top.
const DRAWN: u32 = 15;
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,negative_data_rejection,not_held_back";
/// It takes about a minute; a machine that is busy gets more.
const LIMIT: Duration = Duration::from_secs(300);

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap().join(path)
}

#[tokio::test]
async fn every_answer_is_one_that_the_document_promises() {
    let stack = Stack::running();
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(Box::pin(person(&stack, number)).await);
    }
    let login = json!({"email": stack.file.operator_email, "password": stack.file.operator_password});
    let operator = stack.client().post("/api/admin/auth/login", &login, 200).await;
    // A fresh one: schemathesis remembers there which operations it need not try again.
    let directory = repository("target/local/contract");
    if directory.exists() {
        fs::remove_dir_all(&directory).unwrap();
    }
    fs::create_dir_all(&directory).unwrap();
    let report = directory.join("report.txt");
    let mut run = Command::new(repository("target/local/venv/bin/schemathesis"));
    run.arg("run").arg(repository("docs/openapi.json")).args(["--url", &stack.file.api_url]);
    run.args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS, "--max-examples", &DRAWN.to_string()]);
    // One worker: with two, hypothesis 6 on Python 3.11 fails in its own parser now and then.
    run.args(["--generation-deterministic", "--no-shrink", "--continue-on-failure", "--workers", "1"]);
    run.args(["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "60", "--no-color"]);
    run.env("SCHEMATHESIS_HOOKS", "ivy_hooks").env("PYTHONPATH", repository("tests/stack/contract"));
    run.env("PYTHONDONTWRITEBYTECODE", "1").env("IVY_PEOPLE", Value::from(people).to_string());
    run.env("IVY_OPERATOR", operator["access_token"].as_str().unwrap());
    // Everything is on this machine; a proxy of the environment has no business with it.
    run.env("NO_PROXY", "*").env("no_proxy", "*").current_dir(&directory).stdin(Stdio::null());
    let file = File::create(&report).unwrap();
    let (out, err) = (file.try_clone().unwrap(), file);
    let passed = ended(run.stdout(out).stderr(err));
    assert!(passed, "{}", fs::read_to_string(&report).unwrap());
}

/// Somebody who is signed in and onboarded, and has a workout and a call tomorrow.
async fn person(stack: &Stack, number: usize) -> Value {
    let phone = format!("+4477009006{:02}", number + 40);
    let person = Person::sign_up(stack, &json!({"phone": phone, "first_name": "Con"})).await;
    person.onboard(json!({"communication_preference": "async"})).await;
    let tomorrow = (now() + SignedDuration::from_hours(24)).round(Unit::Second).unwrap();
    let plan = json!({"planned_activity": "Run", "planned_time": tomorrow});
    let workout = person.client.post("/api/workouts", &plan, 201).await;
    let call = person.schedule("rescue", tomorrow, tomorrow + SignedDuration::from_mins(30)).await;
    json!({"token": person.client.token, "workout": workout["id"], "call": call})
}

/// Runs to the end, within the limit; whether it ended well.
fn ended(command: &mut Command) -> bool {
    let mut child = command.spawn().unwrap_or_else(|error| panic!("schemathesis did not start: {error}"));
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if started.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        thread::sleep(Duration::from_millis(100));
    }
}
