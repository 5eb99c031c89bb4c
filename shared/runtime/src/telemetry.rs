//! Log lines and metrics: one JSON object a line on standard output.
//!
//! Every line holds `timestamp`, `level`, `target`, the event's own fields, and the fields of the spans around it,
//! flat: a request's span carries `request_id`, so every line of that request does. Events are named by a field `event`
//! in snake_case. Metrics are lines of CloudWatch's embedded metric format, written through the same subscriber, so a
//! test that captures the output sees everything that would leave the process.
//!
//! Other crates log warnings only, whatever `LOG_LEVEL` says; debug events are not even compiled in (Cargo.toml).

use std::fmt;

pub use ivy_flows::metrics::{Unit, count, metric};
use ivy_flows::{Clock as _, SystemClock, metrics::METRIC_TARGET};
use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter,
        format::{JsonFields, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
};

use crate::config::LogLevel;

/// Sends all events to standard output. Called once per process; a second call changes nothing.
pub fn install(level: LogLevel) {
    // Only a second installation fails, and the first one stands.
    let _ = tracing::subscriber::set_global_default(subscriber(level, std::io::stdout));
}

/// The subscriber that [`install`] installs, writing to any place; tests capture with it.
pub fn subscriber<W>(level: LogLevel, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // `ivy` begins the targets of all our crates; metrics leave at every level.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("ivy", level.filter())
        .with_target(METRIC_TARGET, LevelFilter::INFO);
    tracing_subscriber::fmt()
        .with_ansi(false)
        .fmt_fields(JsonFields::new())
        .event_format(JsonLine)
        .with_writer(writer)
        .finish()
        .with(filter)
}

/// Formats an event and its spans as one flat JSON object.
#[derive(Debug, Clone, Copy)]
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Map::new();
        if event.metadata().target() == METRIC_TARGET {
            if let Some(Value::String(text)) = fields.0.remove("emf")
                && let Ok(Value::Object(metric)) = serde_json::from_str(&text)
            {
                line = metric;
            }
        } else {
            line.insert("timestamp".to_owned(), json!(SystemClock.now().to_string()));
            line.insert("level".to_owned(), json!(event.metadata().level().as_str()));
            line.insert("target".to_owned(), json!(event.metadata().target()));
            line.append(&mut fields.0);
        }
        for span in ctx.event_scope().into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            let extensions = span.extensions();
            let Some(formatted) = extensions.get::<FormattedFields<N>>() else { continue };
            let Ok(Value::Object(of_span)) = serde_json::from_str(&formatted.fields) else { continue };
            for (name, value) in of_span {
                // An event's own field wins over the span's of the same name.
                line.entry(name).or_insert(value);
            }
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Collects an event's fields as JSON.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, json!(value.to_string()));
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, json!(format!("{value:?}")));
    }
}

/// Swallows a failure that may be swallowed, and says so: `what` names the step in snake_case.
pub fn best_effort<T, E: fmt::Display>(what: &'static str, result: Result<T, E>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::warn!(event = "best_effort_failed", what, error = %error);
            None
        }
    }
}

/// Captures what a closure logs; for this crate's tests.
#[cfg(test)]
pub(crate) mod capture {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::subscriber::DefaultGuard;

    use super::{LogLevel, subscriber};

    #[derive(Debug, Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        /// Captures this thread's events until the guard is dropped.
        pub(crate) fn start() -> (Self, DefaultGuard) {
            let captured = Self::default();
            let writer = captured.clone();
            let guard = tracing::subscriber::set_default(subscriber(LogLevel::Info, move || writer.clone()));
            (captured, guard)
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        pub(crate) fn lines(&self) -> Vec<serde_json::Value> {
            self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{capture::Captured, *};

    #[test]
    fn what_nobody_would_see_is_not_compiled_in() {
        assert_eq!(tracing::level_filters::STATIC_MAX_LEVEL, LevelFilter::INFO);
        for level in [LogLevel::Error, LogLevel::Info] {
            assert_eq!(subscriber(level, std::io::sink).max_level_hint(), Some(LevelFilter::INFO), "{level:?}");
        }
    }

    #[test]
    fn a_line_is_one_flat_object_with_the_fields_of_its_spans() {
        let (captured, guard) = Captured::start();
        tracing::info_span!("request", request_id = "r-1").in_scope(|| {
            tracing::info!(event = "call_initiated", attempts = 2, ok = true, "dialling");
            metric("scheduler_lag", 1.5, Unit::Seconds, &[("call_type", "morning")]);
            assert_eq!(best_effort("warm_up", Err::<(), _>("no answer")), None);
        });
        tracing::info!(target: "hyper::client", "not ours");
        drop(guard);
        let lines = captured.lines();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0]["event"], "call_initiated");
        assert_eq!(lines[0]["attempts"], 2);
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["message"], "dialling");
        assert!(lines.iter().all(|line| line["request_id"] == "r-1"));
        assert_eq!(lines[1]["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"], "scheduler_lag");
        assert_eq!(lines[1]["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0][0], "call_type");
        assert_eq!(lines[1]["scheduler_lag"], 1.5);
        assert_eq!(lines[2]["what"], "warm_up");
    }
}
