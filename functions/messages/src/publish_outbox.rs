//! `publish-outbox`: carries out the effects that the table's stream brings.

use std::sync::Arc;

use ivy_flows::{
    Clock, outbox,
    ports::{Queues, Timers},
};
use ivy_runtime::batch::Disposition;
use serde_json::Value;

/// One record of the stream: an inserted outbox item. Anything else is passed over.
///
/// # Errors
/// When a queue or the scheduler does not take it. An effect that cannot be read is none: it never will be, and those behind
/// it must not wait for it.
pub async fn publish_outbox(
    clock: Arc<dyn Clock>,
    queues: Arc<dyn Queues>,
    timers: Arc<dyn Timers>,
    record: Value,
) -> Result<(), Disposition> {
    let image = &record["dynamodb"]["NewImage"];
    if record["eventName"] != "INSERT" || image["entity"]["S"] != "outbox" {
        return Ok(());
    }
    let known = image["effect"]["S"].as_str().and_then(|json| serde_json::from_str(json).ok());
    match known {
        Some(effect) => outbox::publish(&effect, clock.now(), queues.as_ref(), timers.as_ref()).await?,
        None => outbox::put_aside(image, queues.as_ref()).await?,
    }
    Ok(())
}
