//! What runs without a person's request: queues, the stream, jobs, and the providers' webhooks.
//!
//! One person's day is followed as it happens, and each step is measured: what a queue delivers, what the stream brings, what a
//! provider posts. Every webhook is delivered twice.

use ivy_flows::{planning::PlanJob, ports::Queue};
use ivy_simulators::{CallScript, Provider, Webhook};
use ivy_store::keys;
use ivy_world::{Job, Person, QueuedMessage, delivery, gate::Party, talks};
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use crate::{bench::Bench, meter::Cost};

const PHONE: &str = "+447700900305";
/// London's clocks, where nobody else of the bench lives: who else is on a page is then not a matter of chance.
const ZONE: &str = "Atlantic/Faroe";
/// A day that nothing was planned for yet.
const TUESDAY: Date = Date::constant(2026, 11, 24);

pub(crate) async fn measure(bench: &Bench) {
    let world = &bench.world;
    let person = world
        .person(PHONE)
        .tier("b2c_elite")
        .signing_up("timezone", json!(ZONE))
        .onboarding("evening_window", json!({"start": "17:00", "end": "19:00"}));
    let ned = Box::pin(person.join(world)).await;
    Box::pin(plan(bench, &ned)).await;
    let analysis = json!({"workout_status": "completed", "actual_duration_minutes": 30, "energy": 7, "mood": 8});
    world.simulators.set_persona(PHONE, talks(analysis));
    // The evening's review rings, is talked through, and its confirmation goes out.
    follow(bench, "2026-11-23T19:30:00Z".parse().unwrap()).await;
    world.simulators.reply(PHONE, "done");
    follow(bench, world.now() + SignedDuration::from_mins(30)).await;
    Box::pin(sms(bench)).await;
    Box::pin(inbound(bench)).await;
    Box::pin(job(bench, ("sweep-calls", "nothing late"), Job::SweepCalls, world.now())).await;
    Box::pin(digests(bench, &ned)).await;
    Box::pin(plan_who_writes(bench)).await;
}

/// The hour's jobs, a page without people, and the page with this one.
async fn plan(bench: &Bench, ned: &Person) {
    let world = &bench.world;
    let hour = "2026-11-23T03:00:00Z".parse().unwrap();
    job(bench, ("plan-day", "full hour"), Job::PlanDay, hour).await;
    job(bench, ("reset-wallets", "full hour"), Job::ResetWallets, hour).await;
    while world.queues.take().is_some() {}
    let page = |zone: &str, shard| PlanJob::Page { zone: zone.parse().unwrap(), shard, date: TUESDAY, after: None };
    let empty = page("Pacific/Apia", 0);
    let own = page(ZONE, keys::shard_of(ned.id));
    let wallets = PlanJob::Wallets { zone: ZONE.parse().unwrap(), shard: keys::shard_of(ned.id), after: None };
    for (case, job) in [("empty page", empty), ("a page of people", own), ("wallets of a page", wallets)] {
        plan_job(bench, case, &job).await;
    }
    world.settle().await;
}

async fn plan_job(bench: &Bench, case: &str, job: &PlanJob) {
    let body = serde_json::to_string(job).unwrap();
    let message = delivery(Queue::PlanUsers, &body, bench.world.now());
    let (done, cost) = bench.measure(bench.world.deliver_message(&message)).await;
    assert!(done, "{case}");
    bench.keep("plan-users", case, cost);
}

/// The page of somebody who has messages in place of calls.
async fn plan_who_writes(bench: &Bench) {
    let zone = "Atlantic/Canary";
    let person = bench.world.person("+447700900320").tier("b2c_elite").signing_up("timezone", json!(zone));
    let writes = Box::pin(person.onboarding("communication_preference", json!("async")).join(&bench.world)).await;
    bench.world.settle().await;
    let date = bench.world.now().to_zoned(TimeZone::UTC).date().saturating_add(2.days());
    let page = PlanJob::Page { zone: zone.parse().unwrap(), shard: keys::shard_of(writes.id), date, after: None };
    plan_job(bench, "a page of who writes", &page).await;
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
    world.simulators.reply_sms(phone, "status");
    follow(bench, world.now() + SignedDuration::from_mins(5)).await;
}

/// Somebody calls Ivy, known or not, and the agent uses its tools.
async fn inbound(bench: &Bench) {
    let world = &bench.world;
    for (case, phone) in [("a stranger", "+447700900398"), ("a user", PHONE)] {
        let (id, question) = world.simulators.call_in(phone);
        let (answer, cost) = bench.measure(world.post_webhook(&question)).await;
        bench.keep("retell-inbound", case, cost);
        world.simulators.begin_inbound(&id, phone, &answer.expect(200));
        follow(bench, world.now()).await;
        if case == "a user" {
            let score = json!({"kind": "energy", "value": 8});
            let plan = json!({"activity": "Swim", "time": "tomorrow 07:30"});
            let done = json!({"status": "completed", "activity": "Stretching"});
            let uses = [
                ("get_today", json!({})),
                ("record_score", score.clone()),
                ("plan_workout", plan),
                ("log_workout", done),
            ];
            for (name, args) in uses.into_iter().chain([("record_score, used before", score)]) {
                let tool = name.split(',').next().unwrap();
                let used = world.simulators.use_tool(&id, tool, &args);
                let (answer, cost) = bench.measure(world.post_webhook(&used)).await;
                assert_eq!(answer.expect(200)["ok"], json!(true), "{name}");
                bench.keep("retell-function", name, cost);
            }
        }
        let talk = CallScript { duration_seconds: 60, user_spoke: true, ..CallScript::default() };
        world.simulators.hang_up(&id, talk);
        follow(bench, world.now() + SignedDuration::from_mins(5)).await;
    }
}

/// Measures a job of the calendar.
async fn job(bench: &Bench, (function, case): (&str, &str), job: Job, at: Timestamp) {
    let (done, cost) = bench.measure(bench.world.try_job(job, at)).await;
    assert!(done, "{function}, {case}");
    bench.keep(function, case, cost);
}

/// Messages that the calendar sends: the jobs, and then their pages.
async fn digests(bench: &Bench, ned: &Person) {
    let world = &bench.world;
    let minutes = SignedDuration::from_mins;
    // In which of the shards somebody stands is chance; each page of people is one message to the queue more.
    job(bench, ("send-reminders", "nobody to remind"), Job::SendReminders, world.now()).await;
    ned.plan("Run", world.now() + minutes(45)).await;
    follow(bench, world.now() + minutes(5)).await;
    assert!(world.try_job(Job::SendReminders, world.now()).await);
    follow(bench, world.now() + minutes(5)).await;
    world.advance_to("2026-11-29T18:00:00Z".parse().unwrap()).await;
    job(bench, ("weekly-summaries", "six in the evening"), Job::WeeklySummaries, world.now()).await;
    follow(bench, world.now() + minutes(5)).await;
    // A month in which nobody else donates.
    world.advance_to("2026-12-02T12:00:00Z".parse().unwrap()).await;
    let workout = ned.plan("Run", world.now()).await;
    ned.log(&workout, "completed").await;
    world.advance_to("2027-01-01T12:00:00Z".parse().unwrap()).await;
    job(bench, ("monthly-receipts", "first of the month"), Job::MonthlyReceipts, world.now()).await;
    follow(bench, world.now() + minutes(5)).await;
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
            let (function, case) = of_a_provider(&webhook);
            for case in [case.clone(), format!("{case}, seen before")] {
                let (status, cost) = bench.measure(world.deliver(&webhook)).await;
                assert!(status.is_success(), "{function}, {case}: {status}");
                bench.keep(function, &case, cost);
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
        Queue::PlanUsers => ("plan-users", of_a_plan(&message.body, cost)),
        Queue::EraseUsers => ("erase-user", "a person"),
        Queue::MessagesDead => panic!("a message was given up"),
        Queue::OutboxDead => panic!("an effect cannot be read"),
        Queue::Reviews => panic!("no function reads reviews"),
    }
}

/// What a job of `plan-users` is. Of pages, only one with people is of interest.
fn of_a_plan(body: &str, cost: &Cost) -> &'static str {
    match serde_json::from_str(body).unwrap() {
        PlanJob::Page { .. } | PlanJob::Wallets { .. } | PlanJob::Weekly { .. } | PlanJob::Receipts { .. }
            if cost.round_trips() == 1 =>
        {
            "empty page"
        }
        PlanJob::Page { .. } => "a page of people",
        PlanJob::Wallets { .. } => "wallets of a page",
        PlanJob::User { .. } => "one person",
        PlanJob::Resume { .. } => "a pause that ends",
        PlanJob::PauseAfterCall { .. } => "a pause after a call",
        PlanJob::StopCallsAfterCall { .. } => "no more calls after a call",
        PlanJob::Remind { .. } => "reminders",
        PlanJob::Weekly { .. } => "a page of summaries",
        PlanJob::Receipts { .. } => "a page of receipts",
    }
}

/// The function that takes a webhook, and what it is about.
fn of_a_provider(webhook: &Webhook) -> (&'static str, String) {
    let body: Value = serde_json::from_slice(&webhook.body).unwrap_or_default();
    match webhook.provider {
        Provider::Retell => ("retell-webhook", body["event"].as_str().unwrap().to_owned()),
        Provider::WhatsApp => {
            let value = &body["entry"][0]["changes"][0]["value"];
            let case = if value["messages"].is_array() { "message" } else { "status" };
            ("whatsapp-webhook", case.to_owned())
        }
        Provider::Twilio if webhook.path.starts_with("/webhooks/twilio/sms") => ("twilio-sms", "message".to_owned()),
        Provider::Twilio => {
            let form = String::from_utf8_lossy(&webhook.body);
            let status = form.split('&').find_map(|pair| pair.strip_prefix("MessageStatus="));
            let case = status.map_or("status of a call".to_owned(), |status| format!("message {status}"));
            ("twilio-status", case)
        }
    }
}
