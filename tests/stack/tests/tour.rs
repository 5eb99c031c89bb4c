//! The tour of `docs/api.md`, block by block: what the page says is what the API does.
//!
//! All `sh` blocks of the page run in one bash, in their order, as somebody would paste them; `API` and `HANDSET` are those of
//! the running stack. Each block prints one JSON document, which has to be that of the `json` block below it:
//!
//! - the same fields, no more and no fewer, and as many items in each list;
//! - the same values, but where both are an id (a UUID), a time (RFC 3339), a date or a code of six digits, they may differ;
//! - … in a string of the page stands for any text.
//!
//! Ids need not only look like ids: an id that the page shows in two places has to be one id in the run as well. A `sh` block
//! without its answer, or an answer without a block, is a mistake of the page. Code that is indented is not run.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ivy_stack::Stack;
use jiff::{Timestamp, civil::Date};
use serde_json::Value;
use uuid::Uuid;

/// The functions start one after another, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(120);
/// Printed after each block.
const END_OF_BLOCK: &str = "-- end of block --";

/// A block and the answer below it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// The heading that it stands under.
    title: String,
    commands: String,
    answer: String,
}

#[test]
fn the_tour_answers_as_the_page_says() {
    let stack = Stack::running();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md")).unwrap();
    let steps = steps(&page).unwrap();
    let printed = run(&steps, &stack.file.api_url, &stack.file.simulators_url);
    let mut ids = Ids::default();
    for (step, printed) in steps.iter().zip(&printed) {
        let title = &step.title;
        let said: Value = serde_json::from_str(&step.answer).unwrap_or_else(|error| panic!("{title}: {error}"));
        let was: Value = serde_json::from_str(printed).unwrap_or_else(|error| panic!("{title}: {error}: {printed}"));
        compare("", &said, &was, &mut ids).unwrap_or_else(|reason| panic!("{title}: {reason}\n{was:#}"));
    }
}

/// The page's blocks, each with its answer.
fn steps(page: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut title = String::new();
    let mut asked: Option<String> = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix('#') {
            title = heading.trim_start_matches('#').trim().to_owned();
        }
        let Some(kind) = line.strip_prefix("```") else { continue };
        let block: String = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        asked = match (kind, asked.take()) {
            ("sh", None) => Some(block),
            ("sh", Some(_)) => return Err(format!("{title}: the block before this one has no answer")),
            ("json", Some(commands)) => {
                steps.push(Step { title: title.clone(), commands, answer: block });
                None
            }
            ("json", None) => return Err(format!("{title}: an answer stands without a block")),
            (other, _) => return Err(format!("{title}: what is a block of {other:?}?")),
        };
    }
    if asked.is_some() {
        return Err(format!("{title}: the last block has no answer"));
    }
    Ok(steps)
}

/// What each block printed.
fn run(steps: &[Step], api: &str, handset: &str) -> Vec<String> {
    let mut script = String::new();
    for step in steps {
        script += &format!("{}printf '\\n%s\\n' '{END_OF_BLOCK}'\n", step.commands);
    }
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-s"]).env("API", api).env("HANDSET", handset);
    // Everything is on this machine; a proxy of the environment has no business with it.
    bash.env("NO_PROXY", "*").env("no_proxy", "*");
    bash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut bash = bash.spawn().unwrap();
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let (mut out, mut err) = (bash.stdout.take().unwrap(), bash.stderr.take().unwrap());
    let out = thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text).unwrap()
    });
    let err = thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).map(|_| text).unwrap()
    });
    let started = Instant::now();
    let status = loop {
        if let Some(status) = bash.try_wait().unwrap() {
            break status.to_string();
        }
        if started.elapsed() > LIMIT {
            bash.kill().unwrap();
            bash.wait().unwrap();
            break format!("stopped after {} s", LIMIT.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    };
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    let end = format!("\n{END_OF_BLOCK}\n");
    let mut printed: Vec<String> = out.split(&end).map(str::to_owned).collect();
    let rest = printed.pop().unwrap_or_default();
    if printed.len() < steps.len() {
        let title = &steps[printed.len()].title;
        panic!("{title}: the block failed ({status}).\nprinted: {rest}\n{err}");
    }
    printed
}

/// Ids of the page, and the ids of the run that they stand for.
#[derive(Debug, Default)]
struct Ids(BTreeMap<Uuid, Uuid>);

impl Ids {
    fn are_one(&mut self, said: Uuid, was: Uuid) -> bool {
        *self.0.entry(said).or_insert(was) == was
    }
}

/// Whether an answer is that of the page; otherwise where it is not.
fn compare(at: &str, said: &Value, was: &Value, ids: &mut Ids) -> Result<(), String> {
    let differs = || Err(format!("{at}: the page says {said}, the API said {was}"));
    match (said, was) {
        (Value::Object(said), Value::Object(was)) => {
            let missing: Vec<_> = said.keys().filter(|name| !was.contains_key(*name)).collect();
            let more: Vec<_> = was.keys().filter(|name| !said.contains_key(*name)).collect();
            if !missing.is_empty() || !more.is_empty() {
                return Err(format!(
                    "{at}: of the page's fields {missing:?} are missing; not on the page are {more:?}"
                ));
            }
            said.iter().try_for_each(|(name, value)| compare(&format!("{at}/{name}"), value, &was[name], ids))
        }
        (Value::Array(said), Value::Array(was)) if said.len() == was.len() => {
            let mut items = said.iter().zip(was).enumerate();
            items.try_for_each(|(index, (said, was))| compare(&format!("{at}/{index}"), said, was, ids))
        }
        (Value::String(said), Value::String(was)) if alike(said, was, ids) => Ok(()),
        (Value::Null | Value::Bool(_) | Value::Number(_), _) if said == was => Ok(()),
        _ => differs(),
    }
}

fn alike(said: &str, was: &str, ids: &mut Ids) -> bool {
    let six_digits = |text: &str| text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let both = |is: &dyn Fn(&str) -> bool| is(said) && is(was);
    if let (Ok(said), Ok(was)) = (said.parse::<Uuid>(), was.parse::<Uuid>()) {
        return ids.are_one(said, was);
    }
    said == was
        || both(&|text| text.parse::<Timestamp>().is_ok())
        || both(&|text| text.len() == 10 && text.parse::<Date>().is_ok())
        || both(&six_digits)
        || (said.contains('…') && fits(said, was))
}

/// Whether a text has the parts between the page's … in their order.
fn fits(said: &str, was: &str) -> bool {
    let mut parts: Vec<&str> = said.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    let mut rest = was;
    for (index, part) in parts.into_iter().enumerate() {
        match rest.find(part) {
            Some(0) => rest = &rest[part.len()..],
            Some(found) if index > 0 => rest = &rest[found + part.len()..],
            _ => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod rules {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_block_without_its_answer_is_a_mistake_of_the_page() {
        let good = "### One\n```sh\necho 1\n```\n```json\n1\n```\n";
        let one = Step { title: "One".to_owned(), commands: "echo 1\n".to_owned(), answer: "1\n".to_owned() };
        assert_eq!(steps(good), Ok(vec![one]));
        assert!(steps("### One\n```sh\necho 1\n```\n").unwrap_err().contains("no answer"));
        assert!(steps("```sh\necho 1\n```\n```sh\necho 2\n```\n```json\n2\n```\n").unwrap_err().contains("no answer"));
        assert!(steps("```json\n1\n```\n").unwrap_err().contains("without a block"));
    }

    fn same(said: &Value, was: &Value) -> bool {
        compare("", said, was, &mut Ids::default()).is_ok()
    }

    #[test]
    fn ids_times_and_codes_may_differ_and_nothing_else() {
        let (one, other) = ("01a1fe79-3e97-75ba-890f-525fa0c9a3ed", "01a1fb67-1800-7a14-ade9-d86d35297df4");
        assert!(same(
            &json!([one, "2026-11-21T14:18:41Z", "2026-11-21", "123456"]),
            &json!([other, "2027-01-01T00:00:00.5Z", "2027-01-01", "654321"])
        ));
        assert!(same(&json!({"token": "eyJ…", "text": "a … c … e"}), &json!({"token": "eyJ0", "text": "a b c d e"})));
        for (said, was) in [
            (json!({"a": 1}), json!({})),
            (json!({}), json!({"a": 1})),
            (json!([1]), json!([1, 1])),
            (json!(1.0), json!(2.0)),
            (json!(null), json!(one)),
            (json!("planned"), json!("completed")),
            (json!("2026-11-21"), json!("2026-11-21T14:18:41Z")),
            (json!("eyJ…"), json!("xeyJ")),
            (json!("a … c … e"), json!("a c e f")),
            (json!([one, one]), json!([one, other])),
        ] {
            assert!(!same(&said, &was), "{said} is not {was}");
        }
    }
}
