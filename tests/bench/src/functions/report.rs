//! The tables of a run, its budgets, and `measured.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Mode,
    measure::{Start, Summary, summarise},
    template::Template,
};
use crate::{
    failure::{Because as _, Failure},
    figures::{Table, ratio, round},
};

/// The budgets (docs/performance.md).
const MOST_INIT_RATIO: f64 = 2.0;
const MOST_FIRST_RATIO: f64 = 3.0;
const MOST_OWN_CPU_MS: f64 = 1.0;
const MOST_RESIDENT_MIB: f64 = 16.0;
const MOST_ZIP_MB: f64 = 6.0;

pub(crate) const HELLO: &str = "floor-hello";
pub(crate) const DYNAMODB: &str = "floor-dynamodb";

/// A whole run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// The template's memory of each function.
    pub(crate) memory_mb: BTreeMap<String, u32>,
    pub(crate) zip_bytes: BTreeMap<String, u64>,
    /// By mode and name.
    pub(crate) modes: BTreeMap<String, BTreeMap<String, Summary>>,
}

impl Measured {
    pub(crate) fn new(template: &Template) -> Self {
        let memory = template.functions.iter().map(|function| (function.name.clone(), function.memory_mb));
        Self { memory_mb: memory.collect(), ..Self::default() }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).because("measured.json cannot be read")
    }

    pub(crate) fn weigh(&mut self, name: &str, bytes: u64) {
        self.zip_bytes.insert(name.to_owned(), bytes);
    }

    pub(crate) fn add(&mut self, mode: Mode, starts: &BTreeMap<String, Vec<Start>>) {
        let summaries = starts.iter().map(|(name, starts)| (name.clone(), rounded(summarise(starts))));
        self.modes.insert(mode.name.to_owned(), summaries.collect());
    }

    pub(crate) fn json(&self) -> Result<String, Failure> {
        let text = serde_json::to_string_pretty(self).because("measured.json cannot be written")?;
        Ok(text + "\n")
    }

    /// The memory of a function in MB, and the CPU time of a warm request in milliseconds.
    pub(crate) fn memory_and_cpu(&self, function: &str) -> Result<(u32, f64), Failure> {
        let unknown = format!("measured.json does not know {function}: ivy-bench functions --write");
        let memory = self.memory_mb.get(function).because(&unknown)?;
        let summary = self.modes.get(super::PLAIN.name).and_then(|found| found.get(function)).because(&unknown)?;
        Ok((*memory, summary.warm_cpu_ms))
    }

    fn of_mode(&self, mode: Mode) -> BTreeMap<String, Summary> {
        self.modes.get(mode.name).cloned().unwrap_or_default()
    }

    pub(crate) fn table(&self, mode: Mode) -> String {
        let found = self.of_mode(mode);
        let Some(hello) = found.get(HELLO).cloned() else { return String::new() };
        let mut table = Table::new(&[
            "function",
            "zip MB",
            "init ms",
            "× hello",
            "init CPU ms",
            "× hello",
            "own init CPU × hello",
            "first ms",
            "warm p50",
            "p99",
            "first ÷ warm",
            "CPU/request ms",
            "− hello",
            "own",
            "RSS MiB",
            "AWS calls init",
            "/request",
        ]);
        let aws = AwsRequests::of(&found);
        let times = |value: f64, floor: f64| ratio(value, floor).map_or_else(String::new, |r| format!("{r:.2}"));
        let others = found.iter().filter(|(name, _)| ![HELLO, DYNAMODB].contains(&name.as_str()));
        let floors = [HELLO, DYNAMODB].into_iter().filter_map(|name| found.get_key_value(name));
        for (name, summary) in floors.chain(others) {
            let zip = self.zip_bytes.get(name).map_or(0.0, |bytes| megabytes(*bytes));
            let mark = if summary.bad_answers > 0 { " (!)" } else { "" };
            table.row([
                format!("{name}{mark}"),
                format!("{zip:.2}"),
                format!("{:.1}", summary.init_ms),
                times(summary.init_ms, hello.init_ms),
                format!("{:.1}", summary.init_cpu_ms),
                times(summary.init_cpu_ms, hello.init_cpu_ms),
                times(aws.init_without(summary), hello.init_cpu_ms),
                format!("{:.1}", summary.first_ms),
                format!("{:.2}", summary.warm_p50_ms),
                format!("{:.2}", summary.warm_p99_ms),
                times(summary.first_ms, summary.warm_p50_ms),
                format!("{:.2}", summary.warm_cpu_ms),
                format!("{:.2}", summary.warm_cpu_ms - hello.warm_cpu_ms),
                format!("{:.2}", aws.own_of_request(summary, &hello)),
                format!("{:.1}", summary.resident_mib),
                format!("{:.0}", summary.init_requests),
                format!("{:.1}", summary.requests),
            ]);
        }
        format!("\nMode: {}\n\n{}", mode.name, table.text())
    }

    /// Each budget, who comes nearest, and whether it holds.
    pub(crate) fn budgets(&self) -> String {
        let found = self.of_mode(super::PLAIN);
        let Some(hello) = found.get(HELLO).cloned() else { return String::new() };
        let functions: Vec<_> = found.iter().filter(|(name, _)| self.memory_mb.contains_key(*name)).collect();
        let mut table = Table::new(&["budget", "limit", "worst", "function", "over it"]);
        let mut row = |name: &str, limit: f64, of: &dyn Fn(&str, &Summary) -> f64| {
            let figures: Vec<(f64, &str)> = functions.iter().map(|(name, s)| (of(name, s), name.as_str())).collect();
            let Some((worst, who)) = figures.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)) else { return };
            let over = figures.iter().filter(|(figure, _)| *figure > limit).count();
            let cells = [name.to_owned(), format!("{limit}"), format!("{worst:.2}"), who.to_owned(), over.to_string()];
            table.row(cells);
        };
        let times = |value: f64, floor: f64| ratio(value, floor).unwrap_or_default();
        let aws = AwsRequests::of(&found);
        row("init CPU without warm-up, × hello", MOST_INIT_RATIO, &|_, s| {
            times(aws.init_without(s), hello.init_cpu_ms)
        });
        row("first request, × warm p50", MOST_FIRST_RATIO, &|_, s| times(s.first_ms, s.warm_p50_ms));
        row("own CPU of a warm request, ms", MOST_OWN_CPU_MS, &|_, s| aws.own_of_request(s, &hello));
        row("resident after the warm requests, MiB", MOST_RESIDENT_MIB, &|_, s| s.resident_mib);
        row("zip, MB", MOST_ZIP_MB, &|name, _| self.zip_bytes.get(name).map_or(0.0, |bytes| megabytes(*bytes)));
        format!("\nBudgets\n\n{}", table.text())
    }
}

/// What requests to AWS take of a function's CPU time, by the floors of the same run: the first what a first request takes the second
/// floor more than the first one, each other what a warm one does.
#[derive(Debug, Clone, Copy)]
struct AwsRequests {
    first_ms: f64,
    other_ms: f64,
}

impl AwsRequests {
    fn of(found: &BTreeMap<String, Summary>) -> Self {
        let above = |of: fn(&Summary) -> f64| {
            let [hello, dynamodb] = [HELLO, DYNAMODB].map(|floor| found.get(floor).map(of).unwrap_or_default());
            (dynamodb - hello).max(0.0)
        };
        Self { first_ms: above(|summary| summary.first_cpu_ms), other_ms: above(|summary| summary.warm_cpu_ms) }
    }

    /// The CPU time of a start without them.
    fn init_without(self, summary: &Summary) -> f64 {
        let first = summary.init_requests.min(1.0);
        self.first_ms.mul_add(-first, summary.init_cpu_ms) - self.other_ms * (summary.init_requests - first)
    }

    /// What a warm request takes above hello and without them.
    fn own_of_request(self, summary: &Summary, hello: &Summary) -> f64 {
        self.other_ms.mul_add(-summary.requests, summary.warm_cpu_ms - hello.warm_cpu_ms)
    }
}

fn megabytes(bytes: u64) -> f64 {
    crate::figures::wide(bytes) / 1e6
}

fn rounded(summary: Summary) -> Summary {
    let short = |value| round(value, 3);
    Summary {
        init_ms: short(summary.init_ms),
        init_cpu_ms: short(summary.init_cpu_ms),
        init_requests: summary.init_requests,
        first_ms: short(summary.first_ms),
        first_cpu_ms: short(summary.first_cpu_ms),
        warm_p50_ms: short(summary.warm_p50_ms),
        warm_p99_ms: short(summary.warm_p99_ms),
        warm_cpu_ms: short(summary.warm_cpu_ms),
        requests: short(summary.requests),
        resident_mib: short(summary.resident_mib),
        anonymous_mib: short(summary.anonymous_mib),
        bad_answers: summary.bad_answers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let summary = |init: f64, cpu: f64| Summary {
            init_ms: init,
            init_cpu_ms: init,
            first_ms: 2.0,
            warm_p50_ms: 1.0,
            warm_cpu_ms: cpu,
            resident_mib: 10.0,
            requests: 1.0,
            ..Summary::default()
        };
        let floors = [(HELLO, summary(3.0, 0.1)), (DYNAMODB, summary(8.0, 0.6))];
        let found = floors.into_iter().chain([("get-user", summary(5.0, 0.5)), ("heavy", summary(9.0, 2.0))]);
        let found = found.map(|(name, summary)| (name.to_owned(), summary));
        let memory = [("get-user".to_owned(), 256), ("heavy".to_owned(), 256)];
        Measured {
            memory_mb: memory.into_iter().collect(),
            zip_bytes: [("heavy".to_owned(), 7_000_000)].into_iter().collect(),
            modes: [(super::super::PLAIN.name.to_owned(), found.into_iter().collect())].into_iter().collect(),
        }
    }

    #[test]
    fn a_budget_names_the_worst_and_counts_who_is_over_it() {
        let budgets = measured().budgets();
        let line = |name: &str| budgets.lines().find(|line| line.contains(name)).unwrap().to_owned();
        for (name, worst) in [("init CPU without", "3.00"), ("own CPU of a warm", "1.40"), ("zip", "7.00")] {
            let line = line(name);
            assert!(line.contains(worst) && line.contains("heavy") && line.trim_end().ends_with(" 1 |"), "{line}");
        }
        assert!(line("first request").trim_end().ends_with(" 0 |"), "{budgets}");
    }

    #[test]
    fn a_request_to_aws_is_what_one_takes_the_floors() {
        let floor = |first_cpu_ms, warm_cpu_ms| Summary { first_cpu_ms, warm_cpu_ms, ..Summary::default() };
        let floors = [(HELLO, floor(0.5, 0.25)), (DYNAMODB, floor(1.5, 0.75))];
        let aws = AwsRequests::of(&floors.map(|(name, summary)| (name.to_owned(), summary)).into_iter().collect());
        let asking = |init_requests| Summary { init_cpu_ms: 6.0, init_requests, ..Summary::default() };
        let left = [0.0, 1.0, 2.0].map(|requests| aws.init_without(&asking(requests)));
        assert_eq!(left, [6.0, 5.0, 4.5]);
        let warm = |requests| Summary { warm_cpu_ms: 2.0, requests, ..Summary::default() };
        let hello = floor(0.5, 0.25);
        assert_eq!([0.0, 1.0, 3.0].map(|requests| aws.own_of_request(&warm(requests), &hello)), [1.75, 1.25, 0.25]);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let measured = measured();
        let again = Measured::parse(&measured.json().unwrap()).unwrap();
        assert_eq!(again.modes, measured.modes);
        assert!(measured.table(super::super::PLAIN).contains("1.67"));
    }
}
