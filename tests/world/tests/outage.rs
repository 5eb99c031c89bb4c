//! An outage of WhatsApp is seen: by the metric that the alarm counts, and by what ends in the dead letters.
//!
//! One test in a file of its own, for it reads the process's log.

use ivy_flows::ports::Queue;
use ivy_simulators::{Fault, Provider};
use ivy_world::{Job, Log, World, at};
use jiff::SignedDuration;
use serde_json::json;

const PHONE: &str = "+447700900150";

#[tokio::test]
async fn what_has_lost_its_point_during_an_outage_fails_and_rings_an_alarm() {
    let log = Log::install();
    let world = World::at("2026-11-23T12:00:00Z").await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").without_planned_calls().join(&world)).await;
    mara.plan("Run", at("13:30")).await;
    world.advance_to(at("12:45")).await;
    for _ in 0..50 {
        world.simulators.faults().next(Provider::WhatsApp, Fault::Status(503));
    }
    world.run_job(Job::SendReminders, at("12:45")).await;
    world.advance_to(at("14:00")).await;
    let reminder = || async { mara.messages_of("workout_reminder").await.remove(0) };
    let expired = reminder().await;
    assert_eq!((&expired["status"], &expired["failure"]), (&json!("failed"), &json!("expired")));
    let dead = world.queues.dead_letters();
    assert_eq!(dead.iter().map(|message| message.queue).collect::<Vec<_>>(), [Queue::MessagesDead]);
    let errors = log.metric("message_provider_error");
    assert!(errors.len() > 5, "the alarm's threshold: {}", errors.len());
    assert!(errors.iter().all(|line| line["provider"] == "whatsapp" && line["kind"] == "unavailable"), "{errors:?}");
    // Nobody wants to be reminded of what was to be done, whoever sends it back.
    world.simulators.faults().clear();
    assert_eq!(world.queues.send_messages_back(), 1);
    world.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(reminder().await, expired);
    assert!(world.arrived(&mara, "Run").is_empty());
    assert!(world.queues.dead_letters().is_empty() && world.queues.waiting().is_empty());
}
