//! Published limits, and the settings of ours that limit as well. Sources stand in `docs/performance.md`.

/// DynamoDB: what one partition takes in a second.
pub(crate) const PARTITION_READS: f64 = 3000.0;
pub(crate) const PARTITION_WRITES: f64 = 1000.0;
/// EventBridge Scheduler: `CreateSchedule` a second in the primary regions, and in the others.
pub(crate) const CREATES_PRIMARY: f64 = 5000.0;
pub(crate) const CREATES_OTHER: f64 = 250.0;
/// EventBridge Scheduler: invocations a second in the primary regions.
pub(crate) const INVOCATIONS: f64 = 1000.0;
/// Retell: calls started a second. One by default; on a SIP trunk of one's own a twentieth of the slots.
pub(crate) fn calls_per_second(slots: u32) -> f64 {
    (f64::from(slots) / 20.0).max(1.0)
}
/// Calls that Retell allows at once without asking.
pub(crate) const DEFAULT_SLOTS: u32 = 20;

/// `template.yaml`: batches of `due-calls` at once, and calls in a batch.
pub(crate) const PLACE_CALL_WORKERS: f64 = 4.0 * 4.0;
/// `dialling.rs`: a call without a slot asks again after so many seconds.
pub(crate) const NO_SLOT_SECONDS: i64 = 20;
/// `template.yaml` and a fresh table: batches of the stream that are carried out at once.
pub(crate) const STREAM_BATCHES: f64 = 4.0 * 4.0;
/// `planning.rs`: users of a page.
pub(crate) const PAGE: f64 = 25.0;

/// Seconds that steps take, for what no document says: an answer of DynamoDB, of the scheduler, of Retell.
pub(crate) const TABLE_SECONDS: f64 = 0.005;
pub(crate) const TRANSACTION_SECONDS: f64 = 0.012;
pub(crate) const CREATE_SCHEDULE_SECONDS: f64 = 0.020;
pub(crate) const DIAL_SECONDS: f64 = 0.600;
/// A call that finds no slot: two reads and a write.
pub(crate) const POLL_SECONDS: f64 = 0.025;
/// A page hands on the next one after a query and a message.
pub(crate) const NEXT_PAGE_SECONDS: f64 = 0.020;
/// Lambda's pollers of a queue: so many at first, and so many more a second.
pub(crate) const POLLERS_AT_FIRST: f64 = 5.0;
pub(crate) const POLLERS_A_SECOND: f64 = 5.0;
pub(crate) const MOST_POLLERS: f64 = 1000.0;
/// A slot's item, in bytes.
pub(crate) const SLOT_BYTES: f64 = 170.0;
