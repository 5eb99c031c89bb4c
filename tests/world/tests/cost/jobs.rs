//! What runs without a person's request: queues, the stream, jobs, and the providers' webhooks.
//!
//! One person's day is followed as it happens, and each step is measured: what a queue delivers, what the stream brings, what a
//! provider posts. Every webhook is delivered twice.

use ivy_flows::{planning::PlanJob, ports::Queue};
use ivy_runtime::jobs as runtime_jobs;
use ivy_simulators::{Provider, Webhook};
use ivy_store::keys;
use ivy_world::{Person, QueuedMessage, delivery, gate::Party, talks};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde_json::{Value, json};

use crate::{bench::Bench, meter::Cost};

const PHONE: &str = "+447700900305";
/// A day that nothing was planned for yet.
const TUESDAY: Date = Date::constant(2026, 11, 24);

pub(crate) async fn measure(bench: &Bench) {
    let world = &bench.world;
    let person =
        world.person(PHONE).tier("b2c_elite").onboarding("evening_window", json!({"start": "17:00", "end": "19:00"}));
    let ned = Box::pin(person.join(world)).await;
    Box::pin(plan(bench, &ned)).await;
    let analysis = json!({"workout_status": "completed", "actual_duration_minutes": 30, "energy": 7, "mood": 8});
    world.simulators.set_persona(PHONE, talks(analysis));
    // The evening's review rings, is talked through, and its confirmation goes out.
    follow(bench, "2026-11-23T19:30:00Z".parse().unwrap()).await;
    world.simulators.reply(PHONE, "done");
    follow(bench, world.now() + SignedDuration::from_mins(30)).await;
    Box::pin(sms(bench)).await;
    Box::pin(jobs(bench)).await;
}

/// The hour's jobs, a page without people, and the page with this one.
async fn plan(bench: &Bench, ned: &Person) {
    let world = &bench.world;
    let hour = json!({"time": "2026-11-23T03:00:00Z"});
    let queues = world.queues.clone();
    let job = |hour| ivy_calls::plan_day::plan_day(queues, hour);
    let (done, cost) = bench.measure(runtime_jobs::handle(&hour, "world", job)).await;
    done.unwrap();
    bench.keep("plan-day", "full hour", cost);
    let queues = world.queues.clone();
    let job = |hour| ivy_donations::reset_wallets::reset_wallets(queues, hour);
    let (done, cost) = bench.measure(runtime_jobs::handle(&hour, "world", job)).await;
    done.unwrap();
    bench.keep("reset-wallets", "full hour", cost);
    while world.queues.take().is_some() {}
    let page = |zone: &str, shard| PlanJob::Page { zone: zone.parse().unwrap(), shard, date: TUESDAY, after: None };
    let empty = page("Pacific/Apia", 0);
    let own = page("Europe/London", keys::shard_of(ned.id));
    let wallets =
        PlanJob::Wallets { zone: "Europe/London".parse().unwrap(), shard: keys::shard_of(ned.id), after: None };
    for (case, job) in [("empty page", empty), ("a page of people", own), ("wallets of a page", wallets)] {
        let body = serde_json::to_string(&job).unwrap();
        let message = delivery(Queue::PlanUsers, &body, world.now());
        let (done, cost) = bench.measure(world.deliver_message(&message)).await;
        assert!(done, "{case}");
        bench.keep("plan-users", case, cost);
    }
    world.settle().await;
}

/// A message to somebody without WhatsApp.
async fn sms(bench: &Bench) {
    let world = &bench.world;
    let phone = "+447700900306";
    let person = Box::pin(world.person(phone).tier("b2c_elite").without_planned_calls().join(world)).await;
    world.simulators.set_on_whatsapp(phone, false);
    let workout = person.plan("Run", world.now()).await;
    person.log(&workout, "completed").await;
    follow(bench, world.now() + SignedDuration::from_mins(5)).await;
}

async fn jobs(bench: &Bench) {
    let world = &bench.world;
    let (ivy, retell, queues) = (world.ivy.clone(), world.retell.clone(), world.queues.clone());
    let tick = json!({"time": world.now()});
    let job = |_| ivy_calls::sweep_calls::sweep_calls(ivy, retell, queues);
    let (done, cost) = bench.measure(runtime_jobs::handle(&tick, "world", job)).await;
    done.unwrap();
    bench.keep("sweep-calls", "nothing late", cost);
}

/// As [`World::advance_to`](ivy_world::World::advance_to), with each step measured.
pub(crate) async fn follow(bench: &Bench, until: Timestamp) {
    let world = &bench.world;
    loop {
        Box::pin(work_off(bench)).await;
        let timer = world.timers.set_timers().first().map(|timer| timer.at);
        let next = [timer, world.queues.next_visible_at()].into_iter().flatten().min();
        let Some(at) = next.filter(|at| *at <= until) else { break };
        let at = at.max(world.now());
        world.clock.set(at);
        world.simulators.set_time(at);
    }
    world.advance_to(until).await;
}

/// Lets happen what is due, until nothing moves any more.
async fn work_off(bench: &Bench) {
    let world = &bench.world;
    loop {
        let mut moved = false;
        let effects = world.take_stream(usize::MAX);
        if !effects.is_empty() {
            moved = true;
            let (done, cost) = bench.measure(world.carry_out(&effects[..1])).await;
            assert_eq!(done, 1);
            bench.keep("publish-outbox", "an effect", cost);
            world.carry_out(&effects[1..]).await;
        }
        for timer in world.timers.take_due(world.now()) {
            world.queues.put(timer.queue, timer.body, world.now());
        }
        while let Some(message) = world.queues.take() {
            moved = true;
            let (done, cost) = bench.measure(world.deliver_message(&message)).await;
            let (function, case) = of_a_queue(&message, &cost);
            bench.keep(function, case, cost);
            if !done {
                world.queues.give_back(message);
            }
        }
        for webhook in world.simulators.take_webhooks() {
            moved = true;
            if let Some((function, case)) = of_a_provider(&webhook) {
                for case in [case.clone(), format!("{case}, seen before")] {
                    let (status, cost) = bench.measure(world.deliver(&webhook)).await;
                    assert!(status.is_success(), "{function}, {case}: {status}");
                    bench.keep(function, &case, cost);
                }
            } else {
                world.deliver(&webhook).await;
            }
        }
        if !moved {
            return;
        }
    }
}

/// Whose message it is, and what came of it.
fn of_a_queue(message: &QueuedMessage, cost: &Cost) -> (&'static str, &'static str) {
    let worker = "send-message-worker";
    match message.queue {
        Queue::DueCalls if cost.asked(Party::Retell) => ("place-call", "due"),
        Queue::DueCalls => ("place-call", "not due any more"),
        Queue::Messages if cost.asked(Party::WhatsApp) => (worker, "by WhatsApp"),
        Queue::Messages if cost.asked(Party::Twilio) => (worker, "by SMS"),
        Queue::Messages if cost.asked(Party::Mail) => (worker, "by e-mail"),
        Queue::Messages => (worker, "not to be sent"),
        Queue::PlanUsers => ("plan-users", "one person"),
        Queue::EraseUsers => ("erase-user", "a person"),
        Queue::MessagesDead => panic!("a message was given up"),
        Queue::OutboxDead => panic!("an effect cannot be read"),
        Queue::Reviews => panic!("no function reads reviews"),
    }
}

/// The function that takes a webhook, and what it is about.
fn of_a_provider(webhook: &Webhook) -> Option<(&'static str, String)> {
    let body: Value = serde_json::from_slice(&webhook.body).unwrap_or_default();
    match webhook.provider {
        Provider::Retell => Some(("retell-webhook", body["event"].as_str().unwrap().to_owned())),
        Provider::WhatsApp => {
            let value = &body["entry"][0]["changes"][0]["value"];
            let case = if value["messages"].is_array() { "message" } else { "status" };
            Some(("whatsapp-webhook", case.to_owned()))
        }
        _ => None,
    }
}
