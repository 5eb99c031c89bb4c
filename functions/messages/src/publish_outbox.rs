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
/// When the effect cannot be read, or a queue or the scheduler does not take it.
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
    let effect = image["effect"]["S"].as_str().and_then(|json| serde_json::from_str(json).ok());
    let effect =
        effect.ok_or_else(|| Disposition::Poison("the outbox item holds no effect that we know".to_owned()))?;
    outbox::publish(&effect, clock.now(), queues.as_ref(), timers.as_ref()).await?;
    Ok(())
}
