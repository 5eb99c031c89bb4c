//! What a flow costs: the price file, the capacity ledger, and the measured time of the functions.
//!
//! A Lambda is billed for the time until its answer: its own CPU time, stretched by the share of a CPU that its memory buys, and the
//! waiting for others, which is latency by round trips and not measured here (the table in memory answers at once).

use std::{collections::BTreeMap, ops::AddAssign};

use serde::Deserialize;

use crate::{
    failure::{Because as _, Failure},
    functions::{Measured, cpu_share},
    ledger::Ledger,
};

#[derive(Debug, Clone, Deserialize)]
struct Price {
    usd: f64,
    #[allow(dead_code, reason = "it stands in the file for people, and must not be missing")]
    source: String,
}

/// `prices.json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Prices {
    pub(crate) date: String,
    aws: BTreeMap<String, Price>,
    providers: BTreeMap<String, Price>,
    usage: BTreeMap<String, f64>,
}

impl Prices {
    pub(crate) fn read() -> Result<Self, Failure> {
        let text = std::fs::read_to_string(crate::repository("tests/bench/prices.json"));
        serde_json::from_str(&text.because("prices.json cannot be read")?).because("prices.json")
    }

    pub(crate) fn aws(&self, name: &str) -> Result<f64, Failure> {
        self.aws.get(name).map(|price| price.usd).because(&format!("prices.json has no price {name}"))
    }

    pub(crate) fn provider(&self, name: &str) -> Result<f64, Failure> {
        self.providers.get(name).map(|price| price.usd).because(&format!("prices.json has no price {name}"))
    }

    pub(crate) fn usage(&self, name: &str) -> Result<f64, Failure> {
        self.usage.get(name).copied().because(&format!("prices.json has no usage {name}"))
    }
}

/// Dollars, by what they are paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Dollars {
    pub(crate) lambda: f64,
    pub(crate) table: f64,
    /// API Gateway, web ACL, queues, schedules, logs.
    pub(crate) around: f64,
    pub(crate) voice: f64,
    pub(crate) messages: f64,
}

impl Dollars {
    pub(crate) fn aws(&self) -> f64 {
        self.lambda + self.table + self.around
    }

    pub(crate) fn providers(&self) -> f64 {
        self.voice + self.messages
    }

    pub(crate) fn total(&self) -> f64 {
        self.aws() + self.providers()
    }

    pub(crate) fn times(self, count: f64) -> Self {
        Self {
            lambda: self.lambda * count,
            table: self.table * count,
            around: self.around * count,
            voice: self.voice * count,
            messages: self.messages * count,
        }
    }
}

impl AddAssign for Dollars {
    fn add_assign(&mut self, other: Self) {
        self.lambda += other.lambda;
        self.table += other.table;
        self.around += other.around;
        self.voice += other.voice;
        self.messages += other.messages;
    }
}

/// What starts a function, and is paid for beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    Api,
    /// A message: sent, received and deleted.
    Queue,
    /// A schedule that put it on a queue.
    Schedule,
    Stream,
}

/// The prices of flows.
#[derive(Debug)]
pub(crate) struct Till {
    pub(crate) prices: Prices,
    ledger: Ledger,
    measured: Measured,
}

impl Till {
    pub(crate) fn open() -> Result<Self, Failure> {
        let text = std::fs::read_to_string(crate::repository("tests/bench/measured.json"));
        let measured = Measured::parse(&text.because("measured.json cannot be read")?)?;
        Ok(Self { prices: Prices::read()?, ledger: Ledger::read()?, measured })
    }

    /// Seconds that a request of a function is billed for, without waiting for anybody.
    fn own_seconds(&self, function: &str) -> Result<(f64, f64), Failure> {
        let (memory_mb, cpu_ms) = self.measured.memory_and_cpu(function)?;
        Ok((f64::from(memory_mb) / 1024.0, cpu_ms / 1000.0 / cpu_share(memory_mb)))
    }

    /// One run of a function for a case of the ledger. `waiting` is for a provider, in milliseconds.
    pub(crate) fn flow(&self, function: &str, case: &str, trigger: Trigger, waiting: f64) -> Result<Dollars, Failure> {
        let units = self.ledger.of(function, case)?.clone();
        self.run(function, (units.read, units.write, units.round_trips), trigger, waiting)
    }

    /// One run of a function with units of its own.
    pub(crate) fn run(
        &self,
        function: &str,
        (read, write, round_trips): (f64, f64, f64),
        trigger: Trigger,
        waiting: f64,
    ) -> Result<Dollars, Failure> {
        let aws = |name: &str| self.prices.aws(name);
        let (gb, own) = self.own_seconds(function)?;
        let seconds = own + (round_trips * self.prices.usage("table_milliseconds")? + waiting) / 1000.0;
        let queue = 3.0 * aws("sqs_request")?;
        let trigger = match trigger {
            Trigger::Api => aws("api_gateway_request")? + aws("waf_request")?,
            Trigger::Queue => queue,
            Trigger::Schedule => queue + aws("schedule")?,
            Trigger::Stream => 0.0,
        };
        let logs = self.prices.usage("log_bytes_per_invocation")? / 1e9 * aws("log_gb")?;
        Ok(Dollars {
            lambda: aws("lambda_request")? + seconds * gb * aws("lambda_gb_second")?,
            table: read * aws("dynamodb_read_unit")? + write * aws("dynamodb_write_unit")?,
            around: trigger + logs,
            ..Dollars::default()
        })
    }

    pub(crate) fn units(&self, function: &str, case: &str) -> Result<(f64, f64, f64), Failure> {
        let units = self.ledger.of(function, case)?;
        Ok((units.read, units.write, units.round_trips))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_costs_its_time_its_units_and_what_starts_it() {
        let till = Till::open().unwrap();
        let plain = till.run("get-user", (0.0, 0.0, 0.0), Trigger::Stream, 0.0).unwrap();
        let waiting = till.run("get-user", (0.0, 0.0, 0.0), Trigger::Stream, 1000.0).unwrap();
        // A second of 256 MB.
        assert!((waiting.lambda - plain.lambda - 0.25 * 0.000_016_666_7).abs() < 1e-12);
        let units = till.run("get-user", (8.0, 2.0, 0.0), Trigger::Api, 0.0).unwrap();
        assert!((units.table - 0.000_002_25).abs() < 1e-12);
        assert!((units.around - plain.around - 0.000_004_1).abs() < 1e-12);
        assert!(till.flow("get-user", "nobody's", Trigger::Api, 0.0).is_err());
        assert!(plain.providers() == 0.0 && (plain.total() - plain.aws()).abs() < f64::EPSILON);
    }
}
