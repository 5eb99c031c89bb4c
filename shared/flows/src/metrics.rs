//! Metrics: lines of CloudWatch's embedded metric format, written through the log's subscriber, so a test that captures the
//! output sees everything that would leave the process. Names are those that the template's alarms watch.
//!
//! The line is made by hand: a metrics crate would bring a second writer and a background task for 30 lines.

use serde_json::{Map, Value, json};

use crate::{Clock as _, SystemClock};

/// The tracing target of metric lines; `ivy-runtime` writes their field `emf` as it is.
pub const METRIC_TARGET: &str = "ivy::metric";
const NAMESPACE: &str = "Ivy";

/// CloudWatch's names of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    Seconds,
    Milliseconds,
    Percent,
    None,
}

impl Unit {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Seconds => "Seconds",
            Self::Milliseconds => "Milliseconds",
            Self::Percent => "Percent",
            Self::None => "None",
        }
    }
}

/// Records one value of a metric in the namespace `Ivy`.
///
/// Each different set of dimension values is a metric of its own and costs as one: never an id.
pub fn metric(name: &'static str, value: f64, unit: Unit, dimensions: &[(&'static str, &str)]) {
    let line = metric_line(name, value, unit, dimensions, SystemClock.now().as_millisecond());
    tracing::info!(target: METRIC_TARGET, emf = %line);
}

/// One more of something.
pub fn count(name: &'static str, dimensions: &[(&'static str, &str)]) {
    metric(name, 1.0, Unit::Count, dimensions);
}

/// A duration in whole seconds.
pub fn seconds(name: &'static str, seconds: i64) {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 seconds")]
    metric(name, seconds as f64, Unit::Seconds, &[]);
}

fn metric_line(
    name: &'static str,
    value: f64,
    unit: Unit,
    dimensions: &[(&'static str, &str)],
    milliseconds: i64,
) -> Value {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    // Alarms watch the whole, so every metric is also kept without its dimensions.
    let rollups = if names.is_empty() { json!([[]]) } else { json!([names, []]) };
    let mut line = Map::new();
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": milliseconds,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": rollups,
                "Metrics": [{"Name": name, "Unit": unit.as_str()}],
            }],
        }),
    );
    for (dimension, value) in dimensions {
        line.insert((*dimension).to_owned(), json!(value));
    }
    line.insert(name.to_owned(), json!(value));
    Value::Object(line)
}
