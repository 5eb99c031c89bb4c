//! One start of one function, and what it is measured by.

use std::{collections::BTreeMap, time::Duration};

use super::{
    aws::Aws,
    process::{Launch, Memory, Process},
    runtime_api::RuntimeApi,
    share::Group,
};
use crate::{
    failure::Failure,
    figures::{median, percentile, to_f64},
};

/// What one start showed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Start {
    /// From `exec` to the first poll.
    pub(crate) init: Duration,
    pub(crate) init_cpu: Duration,
    pub(crate) init_requests: usize,
    pub(crate) first: Duration,
    pub(crate) first_cpu: Duration,
    pub(crate) warm: Vec<Duration>,
    /// CPU time of all warm requests together.
    pub(crate) warm_cpu: Duration,
    pub(crate) warm_requests: usize,
    pub(crate) memory: Memory,
    /// Answers that were not the expected ones, and the first of them.
    pub(crate) bad: usize,
    pub(crate) first_bad: Option<String>,
}

/// How a start is done.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) launch: &'a Launch,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) timeout_seconds: u32,
    /// The memory whose share of a CPU it gets after init; all of it without.
    pub(crate) memory_mb: Option<u32>,
    pub(crate) group: Option<&'a Group>,
    pub(crate) aws: &'a Aws,
}

/// Starts a function, sends it all events one by one, and ends it.
pub(crate) async fn start(
    setting: Setting<'_>,
    events: &[String],
    is_good: &(dyn Fn(&[u8]) -> bool + Sync),
) -> Result<Start, Failure> {
    let Setting { launch, mut environment, timeout_seconds, memory_mb, group, aws } = setting;
    let mut api = RuntimeApi::start(timeout_seconds).await?;
    environment.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), api.address.clone());
    if let Some(group) = group {
        group.limit(None)?;
    }
    aws.take_requests();
    let process = Process::start(launch, &environment, group).await?;
    let named =
        |failure: Failure| Failure::new(format!("{}: {failure}; its log is {}", launch.name, launch.log.display()));
    let polled = api.polled().await.map_err(named)?;
    let init_cpu = process.cpu_time();
    let mut start = Start {
        init: polled.duration_since(process.started),
        init_cpu,
        init_requests: aws.take_requests(),
        ..Start::default()
    };
    if let (Some(group), Some(memory)) = (group, memory_mb) {
        group.limit(Some(memory))?;
    }
    for (index, event) in events.iter().enumerate() {
        let answer = api.invoke(event).await.map_err(named)?;
        if !is_good(&answer.body) {
            start.bad += 1;
            start.first_bad.get_or_insert_with(|| String::from_utf8_lossy(&answer.body).chars().take(300).collect());
        }
        if index == 0 {
            start.first = answer.took;
            start.first_cpu = process.cpu_time().saturating_sub(init_cpu);
            aws.take_requests();
        } else {
            start.warm.push(answer.took);
        }
    }
    start.warm_cpu = process.cpu_time().saturating_sub(init_cpu).saturating_sub(start.first_cpu);
    start.warm_requests = aws.take_requests();
    start.memory = process.memory();
    process.end().await;
    Ok(start)
}

/// What several starts of one function come to. Times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Summary {
    pub(crate) init_ms: f64,
    pub(crate) init_cpu_ms: f64,
    pub(crate) init_requests: f64,
    pub(crate) first_ms: f64,
    pub(crate) first_cpu_ms: f64,
    pub(crate) warm_p50_ms: f64,
    pub(crate) warm_p99_ms: f64,
    /// CPU time of a warm request, in the function's own process.
    pub(crate) warm_cpu_ms: f64,
    /// Requests to AWS that a warm request makes.
    pub(crate) requests: f64,
    pub(crate) resident_mib: f64,
    pub(crate) anonymous_mib: f64,
    pub(crate) bad_answers: usize,
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Medians over the starts; warm figures over all warm requests together.
pub(crate) fn summarise(starts: &[Start]) -> Summary {
    let middle = |of: &dyn Fn(&Start) -> f64| median(&starts.iter().map(of).collect::<Vec<_>>()).unwrap_or_default();
    let warm: Vec<f64> = starts.iter().flat_map(|start| &start.warm).map(|took| milliseconds(*took)).collect();
    let per_request = |total: f64| if warm.is_empty() { 0.0 } else { total / to_f64(warm.len()) };
    let with_warm = || starts.iter().filter(|start| !start.warm.is_empty());
    let mib = |kib: u64| crate::figures::wide(kib) / 1024.0;
    let last = starts.iter().rev().find(|start| !start.warm.is_empty()).or_else(|| starts.last());
    let memory = last.map(|start| start.memory).unwrap_or_default();
    Summary {
        init_ms: middle(&|start| milliseconds(start.init)),
        init_cpu_ms: middle(&|start| milliseconds(start.init_cpu)),
        init_requests: middle(&|start| to_f64(start.init_requests)),
        first_ms: middle(&|start| milliseconds(start.first)),
        first_cpu_ms: middle(&|start| milliseconds(start.first_cpu)),
        warm_p50_ms: percentile(&warm, 50.0).unwrap_or_default(),
        warm_p99_ms: percentile(&warm, 99.0).unwrap_or_default(),
        warm_cpu_ms: per_request(with_warm().map(|start| milliseconds(start.warm_cpu)).sum()),
        requests: per_request(with_warm().map(|start| to_f64(start.warm_requests)).sum()),
        resident_mib: mib(memory.resident_kib),
        anonymous_mib: mib(memory.anonymous_kib),
        bad_answers: starts.iter().map(|start| start.bad).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_medians_of_starts_and_percentiles_of_warm_requests() {
        let ms = Duration::from_millis;
        let start = |init: u64, warm: &[u64]| Start {
            init: ms(init),
            first: ms(7),
            warm: warm.iter().map(|took| ms(*took)).collect(),
            warm_cpu: ms(warm.len() as u64),
            warm_requests: 2 * warm.len(),
            memory: Memory { resident_kib: 2048, anonymous_kib: 1024 },
            bad: 1,
            ..Start::default()
        };
        let summary = summarise(&[start(10, &[]), start(30, &[1, 2, 3, 4]), start(20, &[])]);
        assert_eq!((summary.init_ms, summary.first_ms), (20.0, 7.0));
        assert_eq!((summary.warm_p50_ms, summary.warm_p99_ms), (2.0, 4.0));
        assert_eq!((summary.warm_cpu_ms, summary.requests, summary.resident_mib), (1.0, 2.0, 2.0));
        assert_eq!(summary.bad_answers, 3);
    }
}
