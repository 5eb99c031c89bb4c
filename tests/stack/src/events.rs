//! The captured events under `events/`, and what the template says about functions.

use std::{collections::BTreeSet, fs, path::PathBuf};

/// One file: `events/<function>/<scenario>.json`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    pub function: String,
    pub scenario: String,
    pub text: String,
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// All events, by function and scenario.
#[must_use]
pub fn event_files() -> Vec<Event> {
    let mut events = Vec::new();
    for directory in fs::read_dir(repository("events")).unwrap().map(|entry| entry.unwrap().path()) {
        if !directory.is_dir() {
            continue;
        }
        for file in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            events.push(Event {
                function: directory.file_name().unwrap().to_str().unwrap().to_owned(),
                scenario: file.file_stem().unwrap().to_str().unwrap().to_owned(),
                text: fs::read_to_string(&file).unwrap(),
            });
        }
    }
    events.sort();
    events
}

/// The names of the template's functions.
#[must_use]
pub fn functions_of_the_template() -> BTreeSet<String> {
    let template = fs::read_to_string(repository("template.yaml")).unwrap();
    let name = |line: &str| Some(line.trim().strip_prefix("FunctionName: !Sub ${AWS::StackName}-")?.to_owned());
    template.lines().filter_map(name).collect()
}
