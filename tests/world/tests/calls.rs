//! Calls: the ladder, its windows, what a provider can do wrong, and that no phone rings twice for one attempt.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use ivy_domain::CallId;
use ivy_flows::{planning::PlanJob, ports::Queue};
use ivy_simulators::{Fault, Persona, Provider, Webhook};
use ivy_store::{Line, Slot};
use ivy_world::{Person, QueuedMessage, Reply, World, at, delivery, talk, talks, without_ids};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PHONE: &str = "+447700900150";

/// Noon on a Monday; calls ring only when the test schedules them.
async fn noon(tier: &str) -> (World, Person) {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let mara = Box::pin(world.person(PHONE).tier(tier).without_planned_calls().join(&world)).await;
    (world, mara)
}

async fn elite() -> (World, Person) {
    noon("b2c_elite").await
}

fn logs_a_workout() -> Persona {
    talks(json!({"workout_status": "completed", "actual_duration_minutes": 30, "energy": 7}))
}

/// Sweeps every five minutes, as the schedule does.
async fn sweep_until(world: &World, until: Timestamp) {
    sweep_every(world, 5, until).await;
}

/// Sweeps every so many minutes, for ladders whose sweeps may be few.
async fn sweep_every(world: &World, minutes: i64, until: Timestamp) {
    while world.now() < until {
        world.advance(SignedDuration::from_mins(minutes)).await;
        world.sweep().await;
    }
}

/// What Retell has to tell; the carrier has its own word about every end.
fn of_retell(world: &World) -> Vec<Webhook> {
    world.simulators.take_webhooks().into_iter().filter(|webhook| webhook.provider == Provider::Retell).collect()
}

/// The wake-up of the only call, taken out of the timers.
async fn only_wake_up(world: &World) -> QueuedMessage {
    world.settle().await;
    let timers = world.timers.set_timers();
    assert_eq!(timers.len(), 1, "{timers:?}");
    world.timers.lose_all();
    delivery(Queue::DueCalls, &timers[0].body, world.now())
}

fn steps(call: &Value) -> Vec<String> {
    let text = |step: &Value, name: &str| step[name].as_str().unwrap().to_owned();
    let line = |step: &Value| {
        format!(
            "{} {} → {} {} {}",
            &text(step, "at")[11..16],
            text(step, "from"),
            text(step, "to"),
            text(step, "cause"),
            step["attempt"]
        )
    };
    call["history"].as_array().unwrap().iter().map(line).collect()
}

// The ladder

#[tokio::test]
async fn a_call_that_nobody_answers_is_tried_three_times_and_followed_by_one_message() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;

    world.advance_to(at("13:01")).await;
    let first = mara.call(&call).await;
    assert_eq!((&first["state"], &first["attempts"]), (&json!("retry"), &json!(1)));
    assert_eq!(first["next_attempt_at"], "2026-11-23T13:30:00Z");
    world.advance_to(at("13:31")).await;
    let second = mara.call(&call).await;
    assert_eq!((&second["state"], &second["attempts"]), (&json!("retry"), &json!(2)));
    assert_eq!(second["next_attempt_at"], "2026-11-23T14:30:00Z");
    world.advance_to(at("20:00")).await;
    let last = mara.call(&call).await;
    assert_eq!((&last["state"], &last["attempts"], &last["cause"]), (&json!("failed"), &json!(3), &json!("no_answer")));
    assert_eq!(last["next_attempt_at"], json!(null));
    assert_eq!(
        steps(&last),
        [
            "13:00 scheduled → initiating claimed 1",
            "13:00 initiating → missed no_answer 1",
            "13:00 missed → retry no_answer 1",
            "13:30 retry → initiating claimed 2",
            "13:30 initiating → missed no_answer 2",
            "13:30 missed → retry no_answer 2",
            "14:30 retry → initiating claimed 3",
            "14:30 initiating → missed no_answer 3",
            "14:30 missed → failed no_answer 3",
        ]
    );
    assert_eq!(world.ring_times(), ["13:00", "13:30", "14:30"]);
    let keys: std::collections::BTreeSet<_> =
        world.simulators.rings().into_iter().map(|ring| ring.idempotency_key).collect();
    assert_eq!(keys.len(), 3, "every attempt has a key of its own");

    let follow_ups = mara.messages_of("missed_call_follow_up").await;
    assert_eq!(follow_ups.len(), 1, "{follow_ups:?}");
    assert_eq!(follow_ups[0]["call_id"], call.as_str());
    let arrived: Vec<_> = world
        .simulators
        .handset(PHONE)
        .into_iter()
        .filter(|m| m.template.as_deref() == Some("missed_call_follow_up"))
        .collect();
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].at, at("13:05"), "five minutes after the first miss");
}

#[tokio::test]
async fn done_on_whatsapp_after_a_missed_call_counts_once() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("15:00")).await;
    world.writes(&mara, "done").await;
    let today = mara.today().await;
    assert_eq!(today.len(), 1, "{today:?}");
    assert_eq!((&today[0]["status"], &today[0]["source"]), (&json!("completed"), &json!("whatsapp")));
    let stats = mara.stats().await;
    assert_eq!((&stats["current_streak"], &stats["total_workouts"]), (&json!(1), &json!(1)));
    assert_eq!(world.donations().await, [150]);
    assert_eq!(world.arrived(&mara, "£1.50").len(), 1);

    let wallet = mara.wallet().await;
    world.advance(SignedDuration::from_mins(1)).await;
    world.writes(&mara, "Done!").await;
    assert_eq!(mara.today().await, today);
    assert_eq!(mara.stats().await, stats);
    assert_eq!(mara.wallet().await, wallet);
    assert_eq!(world.donations().await, [150]);
    assert_eq!(world.arrived(&mara, "£1.50").len(), 1);
    assert_eq!(world.arrived(&mara, "in the book already").len(), 1);
}

#[tokio::test]
async fn pro_gets_no_message_after_a_missed_call() {
    let (world, mara) = noon("b2c_pro").await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("20:00")).await;
    assert_eq!(mara.call(&call).await["state"], "failed");
    assert_eq!(world.simulators.rings().len(), 3);
    assert_eq!(mara.messages_of("missed_call_follow_up").await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_follow_up_is_suppressed_when_the_user_wrote_meanwhile() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:02")).await;
    world.writes(&mara, "skip").await;
    world.advance_to(at("20:00")).await;
    let follow_ups = mara.messages_of("missed_call_follow_up").await;
    assert_eq!(follow_ups.len(), 1);
    assert_eq!(
        (&follow_ups[0]["status"], &follow_ups[0]["failure"]),
        (&json!("suppressed"), &json!("heard_meanwhile"))
    );
    assert!(world.arrived(&mara, "missed").is_empty());
}

#[tokio::test]
async fn the_follow_up_is_suppressed_when_another_call_was_answered_meanwhile() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    mara.schedule_until("evening_review", at("13:00"), at("13:01")).await;
    mara.schedule_until("follow_up", at("13:02"), at("13:10")).await;
    world.advance_to(at("13:01")).await;
    world.simulators.set_persona(PHONE, talks(json!({})));
    world.advance_to(at("13:10")).await;
    let follow_ups = mara.messages_of("missed_call_follow_up").await;
    assert_eq!(follow_ups.len(), 1);
    assert_eq!(
        (&follow_ups[0]["status"], &follow_ups[0]["failure"]),
        (&json!("suppressed"), &json!("heard_meanwhile"))
    );
}

#[tokio::test]
async fn an_answered_retry_completes_the_call() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:10")).await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    world.advance_to(at("20:00")).await;
    let call = mara.call(&call).await;
    assert_eq!(
        (&call["state"], &call["outcome"], &call["attempts"]),
        (&json!("completed"), &json!("workout_logged"), &json!(2))
    );
    assert_eq!(call["duration_seconds"], 120);
    assert_eq!(world.ring_times(), ["13:00", "13:30"]);
    assert_eq!(world.donations().await, [150]);
}

// Windows

async fn rings_of_an_unanswered_call(time: &str, window_end: &str) -> (Vec<String>, Value) {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let call = mara.schedule_until("evening_review", at(time), at(window_end)).await;
    world.advance_to("2026-11-24T09:00:00Z".parse().unwrap()).await;
    world.sweep().await;
    (world.ring_times(), mara.call(&call).await)
}

#[tokio::test]
async fn retries_move_earlier_or_are_dropped_at_the_end_of_the_window() {
    for (window_end, expected) in [
        ("13:30", vec!["13:00", "13:30", "13:59"]),
        ("13:10", vec!["13:00", "13:30", "13:39"]),
        ("13:05", vec!["13:00", "13:30"]),
    ] {
        let (rings, call) = rings_of_an_unanswered_call("13:00", window_end).await;
        assert_eq!(rings, expected, "window until {window_end}");
        assert_eq!((&call["state"], &call["cause"]), (&json!("failed"), &json!("no_answer")));
    }
}

#[tokio::test]
async fn retries_never_ring_in_quiet_hours_unless_the_window_itself_reaches_into_them() {
    let (rings, call) = rings_of_an_unanswered_call("21:00", "21:30").await;
    assert_eq!(rings, ["21:00", "21:29"]);
    assert_eq!(call["state"], "failed");
    let (rings, _) = rings_of_an_unanswered_call("21:10", "21:20").await;
    assert_eq!(rings, ["21:10", "21:29"]);
    let (rings, _) = rings_of_an_unanswered_call("21:00", "23:30").await;
    assert_eq!(rings, ["21:00", "21:30", "22:30"]);
}

#[tokio::test]
async fn a_call_is_never_dialled_after_its_window() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    let late = only_wake_up(&world).await;
    world.advance_to(at("13:20")).await;
    assert!(world.deliver_message(&late).await);
    world.settle().await;
    let call = mara.call(&call).await;
    assert_eq!((&call["state"], &call["cause"]), (&json!("failed"), &json!("window_closed")));
    assert_eq!((&call["attempts"], call["next_attempt_at"].is_null()), (&json!(0), true));
    assert!(world.simulators.rings().is_empty());
    assert!(mara.messages_of("missed_call_follow_up").await.is_empty(), "nobody is told of a call that never rang");
}

#[tokio::test]
async fn the_sweep_ends_calls_whose_window_closed_unseen() {
    let (world, mara) = elite().await;
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    only_wake_up(&world).await;
    sweep_until(&world, at("12:55")).await;
    world.advance_to(at("13:30")).await;
    world.sweep().await;
    let call = mara.call(&call).await;
    assert_eq!((&call["state"], &call["cause"]), (&json!("failed"), &json!("window_closed")));
    assert!(world.simulators.rings().is_empty());
}

#[tokio::test]
async fn a_wake_up_that_comes_early_waits_for_its_time() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    let early = only_wake_up(&world).await;
    assert!(world.deliver_message(&early).await);
    world.advance_to(at("12:59")).await;
    assert!(world.simulators.rings().is_empty());
    world.advance_to(at("13:20")).await;
    assert_eq!(world.simulators.rings().len(), 1);
    assert_eq!(mara.call(&call).await["state"], "completed");
}

// How a phone can be answered

#[tokio::test]
async fn busy_voicemail_and_drops_are_misses() {
    for (persona, cause, outcome) in [
        (Persona::Busy, "busy", json!(null)),
        (Persona::Voicemail, "voicemail", json!("voicemail")),
        (Persona::Drops, "too_short", json!(null)),
    ] {
        let (world, mara) = elite().await;
        world.simulators.set_persona(PHONE, persona);
        let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
        world.advance_to(at("13:01")).await;
        let missed = mara.call(&call).await;
        assert_eq!(
            (&missed["state"], &missed["cause"], &missed["outcome"]),
            (&json!("retry"), &json!(cause), &outcome)
        );
        world.advance_to(at("16:00")).await;
        let failed = mara.call(&call).await;
        assert_eq!(
            (&failed["state"], &failed["cause"], &failed["outcome"]),
            (&json!("failed"), &json!(cause), &outcome)
        );
        assert_eq!(world.simulators.rings().len(), 3, "{cause}");
        assert!(mara.today().await.is_empty());
    }
}

#[tokio::test]
async fn a_declined_call_ends_the_ladder_and_offers_a_text() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::Declines);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("18:00")).await;
    let call = mara.call(&call).await;
    assert_eq!((&call["state"], &call["cause"], &call["attempts"]), (&json!("failed"), &json!("declined"), &json!(1)));
    assert_eq!(world.simulators.rings().len(), 1);
    assert_eq!(world.arrived(&mara, "not a good moment").len(), 1, "{:?}", mara.messages_out().await);
    assert!(mara.messages_of("missed_call_follow_up").await.is_empty());
}

#[tokio::test]
async fn a_number_that_cannot_be_called_fails_at_once() {
    for (persona, cause, rings) in
        [(Persona::InvalidNumber, "invalid_number", 0), (Persona::DeadNumber, "never_redial", 1)]
    {
        let (world, mara) = elite().await;
        world.simulators.set_persona(PHONE, persona);
        let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
        world.advance_to(at("18:00")).await;
        let call = mara.call(&call).await;
        assert_eq!((&call["state"], &call["cause"]), (&json!("failed"), &json!(cause)));
        assert_eq!(world.simulators.rings().len(), rings);
        let slots = world.ivy.store.held_slots(world.now()).await.unwrap();
        assert!(slots.is_empty(), "the slot is given back: {slots:?}");
    }
}

// Webhooks, in any order and number

#[derive(Debug, Clone, Copy, Default)]
struct Unkindness {
    webhooks_twice: bool,
    webhooks_reversed: bool,
    queues_twice: bool,
    queues_reversed: bool,
    outbox_again: bool,
}

/// A missed attempt, then one that plans and logs; everything that can be seen of it afterwards.
async fn an_afternoon(unkind: Unkindness) -> Value {
    let (world, mara) = elite().await;
    world.simulators.faults().duplicate_webhooks(unkind.webhooks_twice);
    world.simulators.faults().reverse_webhooks(unkind.webhooks_reversed);
    world.queues.twice.store(unkind.queues_twice, std::sync::atomic::Ordering::Relaxed);
    world.queues.reversed.store(unkind.queues_reversed, std::sync::atomic::Ordering::Relaxed);
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    mara.plan("Run", at("12:30")).await;
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:10")).await;
    let analysis = json!({
        "workout_status": "completed", "actual_duration_minutes": 25, "energy": 7, "mood": 8, "life_marker": "slept well",
        "planned_activity": "Yoga", "planned_time": "2026-11-23T18:00:00Z", "planned_duration_minutes": 20,
    });
    world.simulators.set_persona(PHONE, talks(analysis));
    world.advance_to(at("15:00")).await;
    if unkind.outbox_again {
        world.republish_outbox().await;
        world.settle().await;
    }
    let mut messages: Vec<String> = mara
        .messages_out()
        .await
        .iter()
        .map(|m| format!("{} {} {}", m["template"], m["status"], m["content"]))
        .collect();
    messages.sort();
    let mut handset: Vec<String> = world.simulators.handset(PHONE).into_iter().map(|m| m.text).collect();
    handset.retain(|text| !text.contains("code"));
    json!({
        "call": without_ids(&mara.call(&call).await),
        "stats": without_ids(&mara.stats().await),
        "wallet": without_ids(&mara.wallet().await),
        "today": without_ids(&json!(mara.today().await)),
        "messages": messages.into_iter().filter(|line| !line.contains("sign_in_link")).collect::<Vec<_>>(),
        "handset": handset,
        "donations": world.donations().await,
        "rings": world.ring_times(),
        "slots held": world.ivy.store.held_slots(world.now()).await.unwrap().len(),
        "dead letters": world.queues.dead_letters().len(),
    })
}

#[tokio::test]
async fn duplicates_and_any_order_lead_to_the_same_end() {
    let plain = an_afternoon(Unkindness::default()).await;
    assert_eq!(plain["call"]["outcome"], "workout_logged", "{plain}");
    assert_eq!(plain["donations"], json!([150]));
    assert_eq!(plain["rings"], json!(["13:00", "13:30"]));
    assert_eq!(plain["today"].as_array().unwrap().len(), 2);
    assert_eq!((&plain["dead letters"], &plain["slots held"]), (&json!(0), &json!(0)));
    let kind = Unkindness::default();
    for unkind in [
        Unkindness { webhooks_twice: true, ..kind },
        Unkindness { webhooks_reversed: true, ..kind },
        Unkindness { webhooks_twice: true, webhooks_reversed: true, ..kind },
        Unkindness { queues_twice: true, ..kind },
        Unkindness { queues_twice: true, queues_reversed: true, ..kind },
        Unkindness { outbox_again: true, ..kind },
        Unkindness {
            webhooks_twice: true,
            webhooks_reversed: true,
            queues_twice: true,
            queues_reversed: true,
            outbox_again: true,
        },
    ] {
        assert_eq!(an_afternoon(unkind).await, plain, "{unkind:?}");
    }
}

#[tokio::test]
async fn the_late_analysis_of_a_missed_attempt_does_not_stand_for_the_next_one() {
    let (world, mara) = elite().await;
    world.hold_webhooks(true);
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:01")).await;
    let first = of_retell(&world);
    assert_eq!(first.len(), 2, "ended and analysed");
    assert_eq!(world.deliver(&first[0]).await.as_u16(), 204);
    assert_eq!(mara.call(&call).await["state"], "retry");
    world.simulators.set_persona(PHONE, Persona::Handset);
    world.advance_to(at("13:31")).await;
    let ring = world.simulators.rings()[1].call_id.clone();
    world.simulators.pick_up(&ring);
    for webhook in world.simulators.take_webhooks() {
        world.deliver(&webhook).await;
    }
    let late = world.simulators.sign(Provider::Retell, &first[1].path, first[1].body.clone());
    assert_eq!(world.deliver(&late).await.as_u16(), 204);
    world.simulators.hang_up(&ring, talk(json!({"workout_status": "completed"})));
    world.hold_webhooks(false);
    world.settle().await;
    let call = mara.call(&call).await;
    assert_eq!((&call["state"], &call["outcome"]), (&json!("completed"), &json!("workout_logged")));
    assert_eq!(world.donations().await, [150]);
}

#[tokio::test]
async fn what_was_said_in_an_attempt_that_was_given_up_still_counts_once() {
    let (world, mara) = elite().await;
    world.hold_webhooks(true);
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:01")).await;
    let first = of_retell(&world);
    world.deliver(&first[0]).await;
    assert_eq!(mara.call(&call).await["state"], "retry");
    // The provider corrects itself: there was a talk after all.
    let mut event: serde_json::Value = serde_json::from_slice(&first[1].body).unwrap();
    event["call"]["call_status"] = json!("ended");
    event["call"]["disconnection_reason"] = json!("user_hangup");
    event["call"]["duration_ms"] = json!(120_000);
    event["call"]["call_analysis"]["custom_analysis_data"] = json!({"workout_status": "completed"});
    for _ in 0..2 {
        let late = world.simulators.sign(Provider::Retell, &first[1].path, event.to_string().into_bytes());
        assert_eq!(world.deliver(&late).await.as_u16(), 204);
    }
    assert_eq!(mara.call(&call).await["outcome"], json!(null), "the call itself goes by its present attempt");
    assert_eq!(world.donations().await, [150]);
    assert_eq!(mara.stats().await["total_workouts"], 1);
}

// One ring for one attempt

#[tokio::test]
async fn workers_at_once_dial_once() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    let due = only_wake_up(&world).await;
    world.advance_to(at("13:00")).await;
    let again = || delivery(Queue::DueCalls, &due.body, world.now());
    let (a, b, c) = (again(), again(), again());
    let done = tokio::join!(
        Box::pin(world.deliver_message(&a)),
        Box::pin(world.deliver_message(&b)),
        Box::pin(world.deliver_message(&c))
    );
    assert_eq!(done, (true, true, true));
    world.settle().await;
    assert_eq!(world.simulators.rings().len(), 1);
    assert_eq!(mara.call(&call).await["state"], "completed");
    assert_eq!(world.donations().await, [150]);
}

#[tokio::test]
async fn a_lost_or_refused_answer_still_rings_once() {
    for faults in [
        vec![Fault::TimeoutAfterDoingTheWork],
        vec![Fault::TimeoutBefore],
        vec![Fault::Status(429)],
        vec![Fault::Status(429), Fault::Status(429)],
        vec![Fault::Status(500)],
        vec![Fault::Status(503), Fault::Status(503), Fault::Status(503)],
        vec![Fault::Status(402)],
        vec![Fault::TimeoutAfterDoingTheWork, Fault::TimeoutBefore],
        vec![Fault::TimeoutAfterDoingTheWork, Fault::Status(500)],
    ] {
        let (world, mara) = elite().await;
        world.simulators.set_persona(PHONE, logs_a_workout());
        let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
        for fault in &faults {
            world.simulators.faults().next(Provider::Retell, *fault);
        }
        world.advance_to(at("13:00")).await;
        sweep_until(&world, at("13:10")).await;
        world.advance_to(at("15:00")).await;
        assert_eq!(world.simulators.faults().pending(), 0);
        assert_eq!(world.simulators.rings().len(), 1, "{faults:?}");
        let call = mara.call(&call).await;
        assert_eq!((&call["state"], &call["outcome"]), (&json!("completed"), &json!("workout_logged")), "{faults:?}");
        assert_eq!(world.donations().await, [150]);
    }
}

#[tokio::test]
async fn a_provider_that_takes_nothing_uses_no_attempt_up() {
    // A missing agent, a number of ours that Retell does not know, a request that it does not read: none is the number's fault.
    for (status, cause) in
        [(429, "provider_busy"), (402, "our_account"), (404, "not_found"), (422, "not_found"), (400, "invalid_request")]
    {
        let (world, mara) = elite().await;
        world.simulators.set_persona(PHONE, logs_a_workout());
        let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
        world.simulators.faults().next(Provider::Retell, Fault::Status(status));
        world.advance_to(at("13:00")).await;
        let waiting = mara.call(&call).await;
        assert_eq!(
            (&waiting["state"], &waiting["cause"], &waiting["attempts"]),
            (&json!("scheduled"), &json!(cause), &json!(0))
        );
        let next: Timestamp = waiting["next_attempt_at"].as_str().unwrap().parse().unwrap();
        assert!(next > at("13:00") && next < at("13:06"), "{next}");
        let slots = world.ivy.store.held_slots(world.now()).await.unwrap();
        assert!(slots.is_empty(), "the slot is given back: {slots:?}");
        world.advance_to(at("13:06")).await;
        let done = mara.call(&call).await;
        assert_eq!((&done["state"], &done["attempts"]), (&json!("completed"), &json!(1)));
        assert_eq!(world.simulators.rings().len(), 1);
    }
}

#[tokio::test]
async fn an_attempt_of_unknown_fate_rings_nothing_until_the_sweep_settles_it() {
    for (fault, rang) in [(Fault::TimeoutAfterDoingTheWork, 1), (Fault::TimeoutBefore, 0)] {
        let (world, mara) = elite().await;
        world.hold_webhooks(true);
        world.simulators.set_persona(PHONE, logs_a_workout());
        let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
        world.simulators.faults().next(Provider::Retell, fault);
        world.simulators.faults().next(Provider::Retell, Fault::TimeoutBefore);
        world.advance_to(at("13:02")).await;
        world.sweep().await;
        world.advance(SignedDuration::from_secs(30)).await;
        assert_eq!(mara.call(&call).await["state"], "initiating");
        assert_eq!(world.simulators.rings().len(), rang);
        // The list of calls fails once more: the attempt stays unknown, and the next sweep asks again.
        world.simulators.faults().next(Provider::Retell, Fault::Status(500));
        world.advance_to(at("13:05")).await;
        world.sweep().await;
        assert_eq!(mara.call(&call).await["state"], "initiating");
        sweep_until(&world, at("13:10")).await;
        assert_eq!(world.simulators.rings().len(), rang);
        let settled = mara.call(&call).await;
        if rang == 1 {
            assert_eq!((&settled["state"], &settled["outcome"]), (&json!("completed"), &json!("workout_logged")));
        } else {
            assert_eq!(
                (&settled["state"], &settled["cause"], &settled["attempts"]),
                (&json!("scheduled"), &json!("provider_unavailable"), &json!(0)),
                "nothing rang"
            );
        }
        sweep_every(&world, 15, at("15:00")).await;
        assert_eq!(world.simulators.rings().len(), 1);
        world.hold_webhooks(false);
        world.settle().await;
        assert_eq!(mara.call(&call).await["state"], "completed");
        assert_eq!(world.donations().await, [150]);
    }
}

#[tokio::test]
async fn an_outage_of_the_provider_uses_no_attempt_up_and_tells_nobody_of_a_missed_call() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:30")).await;
    // For twenty minutes neither the request nor any question about it is answered.
    for _ in 0..6 {
        world.simulators.faults().next(Provider::Retell, Fault::Status(503));
    }
    world.advance_to(at("13:00")).await;
    sweep_until(&world, at("13:06")).await;
    let waiting = mara.call(&call).await;
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("initiating"), &json!(1)));
    sweep_until(&world, at("13:45")).await;
    let done = mara.call(&call).await;
    assert_eq!((&done["state"], &done["attempts"]), (&json!("completed"), &json!(1)), "{:?}", steps(&done));
    assert_eq!(world.simulators.rings().len(), 1);
    assert!(mara.messages_of("missed_call_follow_up").await.is_empty());
}

#[tokio::test]
async fn a_call_that_the_list_does_not_show_yet_rings_no_second_time() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.hold_webhooks(true);
    world.simulators.faults().unlisted(true);
    world.simulators.faults().next(Provider::Retell, Fault::TimeoutAfterDoingTheWork);
    world.simulators.faults().after(1, Provider::Retell, Fault::TimeoutBefore);
    world.advance_to(at("13:00")).await;
    assert_eq!(world.simulators.rings().len(), 1);
    sweep_until(&world, at("13:05")).await;
    let waiting = mara.call(&call).await;
    assert_eq!((&waiting["state"], &waiting["cause"]), (&json!("scheduled"), &json!("provider_unavailable")));
    world.simulators.faults().unlisted(false);
    sweep_until(&world, at("13:20")).await;
    assert_eq!(world.simulators.rings().len(), 1, "made again under the same key");
    let done = mara.call(&call).await;
    assert_eq!((&done["state"], &done["attempts"]), (&json!("completed"), &json!(1)));
    assert_eq!(world.donations().await, [150]);
}

#[tokio::test]
async fn what_the_provider_took_and_did_not_place_is_no_miss() {
    for (reason, cause, back) in [
        ("concurrency_limit_reached", "provider_busy", at("13:01")),
        ("no_concurrency_fallback", "provider_busy", at("13:01")),
        ("telephony_provider_unavailable", "provider_busy", at("13:01")),
        ("credit_exhausted", "our_account", at("13:06")),
        ("no_valid_payment", "our_account", at("13:06")),
        ("budget_reached", "our_account", at("13:06")),
    ] {
        let (world, mara) = elite().await;
        world.simulators.set_persona(PHONE, Persona::NeverAnswers);
        let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
        world.hold_webhooks(true);
        world.advance_to(at("13:00")).await;
        for webhook in of_retell(&world) {
            let mut event: Value = serde_json::from_slice(&webhook.body).unwrap();
            event["call"]["disconnection_reason"] = json!(reason);
            let told = world.simulators.sign(Provider::Retell, &webhook.path, event.to_string().into_bytes());
            assert_eq!(world.deliver(&told).await.as_u16(), 204);
        }
        world.hold_webhooks(false);
        let waiting = mara.call(&call).await;
        let found = [&waiting["state"], &waiting["cause"], &waiting["attempts"]];
        assert_eq!(found, [&json!("scheduled"), &json!(cause), &json!(0)], "{reason}");
        world.simulators.set_persona(PHONE, logs_a_workout());
        world.advance_to(back).await;
        let done = mara.call(&call).await;
        assert_eq!((&done["state"], &done["attempts"]), (&json!("completed"), &json!(1)), "{reason}");
        assert!(mara.messages_of("missed_call_follow_up").await.is_empty(), "no phone rang");
    }
}

#[tokio::test]
async fn what_the_agent_is_told_is_kept_also_where_the_providers_answer_is_lost() {
    let (world, mara) = elite().await;
    world.hold_webhooks(true);
    world.simulators.set_persona(PHONE, Persona::Handset);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.simulators.faults().next(Provider::Retell, Fault::TimeoutAfterDoingTheWork);
    world.simulators.faults().next(Provider::Retell, Fault::TimeoutBefore);
    world.advance_to(at("13:00")).await;
    assert_eq!(mara.call(&call).await["state"], "initiating");
    let kept = world.items("transcript").await;
    assert!(kept.len() == 1 && kept[0].contains_key("context"), "{kept:?}");
}

#[tokio::test]
async fn a_pause_that_was_wished_for_in_a_call_is_told_twice_and_answered_once() {
    let (world, mara) = elite().await;
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    let job = PlanJob::PauseAfterCall { user_id: mara.id, call_id: call.parse().unwrap() };
    let wish = delivery(Queue::PlanUsers, &serde_json::to_string(&job).unwrap(), world.now());
    // They pause by themselves before the wish is carried out, and resume after it.
    mara.client.post("/api/users/me/pause", json!({"reason": "paused"}), 200).await;
    assert!(world.deliver_message(&wish).await);
    mara.client.post("/api/users/me/resume", json!({}), 200).await;
    assert!(world.deliver_message(&wish).await);
    assert_eq!(mara.get("/api/users/me").await["status"], "active", "the wish was answered");
}

#[tokio::test]
async fn without_any_webhook_every_call_still_ends() {
    for (persona, state, rings, donations) in [
        (logs_a_workout(), "completed", 1, vec![150]),
        (Persona::NeverAnswers, "failed", 3, vec![]),
        (Persona::Voicemail, "failed", 3, vec![]),
        (Persona::Declines, "failed", 1, vec![]),
    ] {
        let (world, mara) = elite().await;
        world.hold_webhooks(true);
        world.simulators.set_persona(PHONE, persona);
        let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
        world.advance_to(at("13:00")).await;
        sweep_every(&world, 15, at("16:00")).await;
        let ended = mara.call(&call).await;
        assert_eq!(ended["state"], state, "{ended}");
        assert_eq!(world.simulators.rings().len(), rings);
        assert_eq!(world.donations().await, donations);
        // When they come after all, they change nothing more.
        let wallet = mara.wallet().await;
        world.hold_webhooks(false);
        world.settle().await;
        assert_eq!(mara.call(&call).await, ended);
        assert_eq!(mara.wallet().await, wallet);
    }
}

#[tokio::test]
async fn a_call_that_the_provider_never_ends_is_given_up() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:30")).await;
    world.advance_to(at("13:00")).await;
    world.simulators.pick_up(&world.simulators.rings()[0].call_id);
    world.settle().await;
    assert_eq!(mara.call(&call).await["state"], "in_progress");
    sweep_until(&world, at("14:00")).await;
    assert_eq!(mara.call(&call).await["state"], "in_progress");
    sweep_until(&world, at("14:30")).await;
    let call = mara.call(&call).await;
    assert_eq!((&call["state"], &call["cause"]), (&json!("completed"), &json!("lease_expired")));
    assert_eq!(world.simulators.rings().len(), 1);
}

#[tokio::test]
async fn a_call_whose_timer_was_lost_is_woken_by_the_sweep_in_its_window() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    while world.now() < at("16:30") {
        world.timers.lose_all();
        sweep_until(&world, world.now() + SignedDuration::from_mins(5)).await;
    }
    assert_eq!(world.ring_times(), ["13:05", "13:40", "14:45"]);
    assert_eq!(mara.call(&call).await["state"], "failed");
}

// The user's word

#[tokio::test]
async fn a_cancelled_call_never_rings() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.settle().await;
    let due = delivery(Queue::DueCalls, &world.timers.set_timers()[0].body, world.now());
    let path = format!("/api/calls/{call}");
    let cancelled = mara.client.delete(&path, 200).await;
    assert_eq!((&cancelled["state"], &cancelled["cause"]), (&json!("cancelled"), &json!("user")));
    world.settle().await;
    assert!(world.timers.set_timers().is_empty());
    world.advance_to(at("13:01")).await;
    assert!(world.deliver_message(&due).await);
    sweep_until(&world, at("13:20")).await;
    assert!(world.simulators.rings().is_empty());
    assert_eq!(mara.client.delete(&path, 200).await["state"], "cancelled");
}

#[tokio::test]
async fn a_waiting_retry_can_be_cancelled_and_a_completed_call_cannot() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let missed = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:10")).await;
    assert_eq!(mara.client.delete(&format!("/api/calls/{missed}"), 200).await["state"], "cancelled");
    world.advance_to(at("15:00")).await;
    assert_eq!(world.simulators.rings().len(), 1);

    world.simulators.set_persona(PHONE, logs_a_workout());
    let talked = mara.schedule_until("evening_review", at("15:30"), at("16:00")).await;
    world.advance_to(at("15:31")).await;
    let refused = mara.client.delete(&format!("/api/calls/{talked}"), 409).await;
    assert_eq!(refused["type"], "/problems/call-not-cancellable");
    assert!(refused["detail"].as_str().unwrap().contains("completed"), "{refused}");
}

#[tokio::test]
async fn who_logged_after_the_missed_review_is_not_rung_up_again() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let workout = mara.plan("Run", at("12:30")).await;
    let review = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:10")).await;
    mara.log(&workout, "completed").await;
    world.advance_to(at("16:00")).await;
    assert_eq!(world.ring_times(), ["13:00"]);
    let review = mara.call(&review).await;
    assert_eq!((&review["state"], &review["cause"]), (&json!("cancelled"), &json!("logged_meanwhile")));
}

#[tokio::test]
async fn a_talk_whose_beginning_was_never_told_is_not_rung_into() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.hold_webhooks(true);
    world.advance_to(at("13:00")).await;
    let ringing = world.simulators.rings()[0].call_id.clone();
    world.simulators.pick_up(&ringing);
    sweep_until(&world, at("13:20")).await;
    assert_eq!(mara.call(&call).await["state"], "in_progress");
    // Nobody ever says that it ended: no retry rings all the same, and the call ends.
    sweep_until(&world, at("15:00")).await;
    assert_eq!(mara.call(&call).await["state"], "completed");
    world.simulators.hang_up(&ringing, talk(json!({"workout_status": "completed"})));
    world.hold_webhooks(false);
    world.settle().await;
    assert_eq!(mara.today().await.len(), 1, "what was said counts, late or not");
    assert_eq!(world.ring_times(), ["13:00"]);
}

#[tokio::test]
async fn stop_on_whatsapp_ends_messages_and_not_calls() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.writes(&mara, "STOP").await;
    world.advance_to(at("20:00")).await;
    assert_eq!(world.simulators.rings().len(), 3);
    assert!(mara.messages_of("missed_call_follow_up").await.is_empty());
}

#[tokio::test]
async fn nobody_is_called_without_consent() {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let consents = json!({"calls": false, "messages": true, "data_processing": true});
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").onboarding("consents", consents).join(&world)).await;
    assert!(mara.calls().await.is_empty());
    let body = json!({"call_type": "evening_review", "scheduled_time": at("13:00")});
    let refused = mara.client.post("/api/calls", body, 409).await;
    assert_eq!(refused["type"], "/problems/calls-not-allowed");
    world.advance_to(at("21:00")).await;
    assert!(world.simulators.rings().is_empty());
}

// Slots

async fn occupy(world: &World, slots: std::ops::Range<u32>, until: Timestamp) {
    for number in slots {
        let slot = Slot { number, attempt_id: format!("another-{number}"), lease_until: until };
        let mut transaction = world.ivy.store.transaction();
        transaction.take_slot(&slot, world.now());
        Box::pin(transaction.commit()).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_without_a_free_slot_waits_for_one() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    occupy(&world, 0..20, at("13:03")).await;
    world.advance_to(at("13:03")).await;
    let waiting = mara.call(&call).await;
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&json!("scheduled"), &json!(0)));
    assert!(world.simulators.rings().is_empty());
    world.advance_to(at("13:04")).await;
    assert_eq!(mara.call(&call).await["state"], "completed");
    assert_eq!(world.simulators.rings().len(), 1);
}

#[tokio::test]
async fn a_call_that_never_finds_a_slot_ends_with_its_window() {
    let (world, mara) = elite().await;
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:10")).await;
    occupy(&world, 0..20, at("14:00")).await;
    world.advance_to(at("13:30")).await;
    let call = mara.call(&call).await;
    assert_eq!((&call["state"], &call["cause"]), (&json!("failed"), &json!("window_closed")));
    assert!(world.simulators.rings().is_empty());
    assert!(world.queues.waiting().is_empty());
}

#[tokio::test]
async fn some_slots_are_kept_for_rescues() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let review = mara.schedule_until("evening_review", at("13:00"), at("13:10")).await;
    let rescue = mara.schedule_until("rescue", at("13:00"), at("13:10")).await;
    occupy(&world, 0..16, at("14:00")).await;
    world.advance_to(at("13:05")).await;
    assert_eq!(mara.call(&review).await["state"], "scheduled");
    let rescued = mara.call(&rescue).await;
    assert_eq!((&rescued["state"], &rescued["outcome"]), (&json!("completed"), &json!("rescue_success")));
    let _: CallId = rescue.parse().unwrap();
}

// One line a user

/// Two calls of one user that are due at the same second, and a phone that somebody has to pick up.
async fn two_at_once(world: &World, mara: &Person) -> (String, String) {
    world.simulators.set_persona(PHONE, Persona::Handset);
    let review = mara.schedule_until("evening_review", at("13:00"), at("13:40")).await;
    let other = mara.schedule_until("follow_up", at("13:00"), at("13:40")).await;
    (review, other)
}

fn ring(world: &World, number: usize) -> String {
    world.simulators.rings()[number].call_id.clone()
}

#[tokio::test]
async fn two_calls_of_one_user_ring_one_after_the_other() {
    let (world, mara) = elite().await;
    let (review, other) = two_at_once(&world, &mara).await;
    world.advance_to(at("13:00")).await;
    assert_eq!(world.ring_times(), ["13:00"]);
    world.simulators.pick_up(&ring(&world, 0));
    sweep_until(&world, at("13:20")).await;
    assert_eq!(world.ring_times(), ["13:00"], "nothing rings into a talk");
    world.simulators.hang_up(&ring(&world, 0), talk(json!({})));
    world.advance(SignedDuration::from_secs(20)).await;
    assert_eq!(world.ring_times(), ["13:00", "13:20"]);
    world.simulators.pick_up(&ring(&world, 1));
    world.settle().await;
    world.simulators.hang_up(&ring(&world, 1), talk(json!({})));
    world.advance_to(at("14:00")).await;
    for call in [review, other] {
        let call = mara.call(&call).await;
        assert_eq!((&call["state"], &call["attempts"]), (&json!("completed"), &json!(1)), "{call}");
    }
    assert_eq!(world.simulators.rings().len(), 2);
    assert!(world.items("line").await.is_empty(), "the line is given back");
}

#[tokio::test]
async fn two_workers_at_once_dial_one_call_of_a_user() {
    let (world, mara) = elite().await;
    two_at_once(&world, &mara).await;
    world.settle().await;
    let due: Vec<_> =
        world.timers.set_timers().iter().map(|timer| delivery(Queue::DueCalls, &timer.body, at("13:00"))).collect();
    world.timers.lose_all();
    world.advance_to(at("13:00")).await;
    let (one, two) = tokio::join!(world.deliver_message(&due[0]), world.deliver_message(&due[1]));
    assert!(one && two);
    world.settle().await;
    assert_eq!(world.simulators.rings().len(), 1);
    // The call that did not get the line waits for it, and is lost to nobody.
    world.simulators.decline(&ring(&world, 0));
    world.advance_to(at("13:01")).await;
    assert_eq!(world.simulators.rings().len(), 2);
    assert_eq!(world.queues.dead_letters(), []);
}

/// Writes the lease of a line as an attempt does.
async fn hold_line(world: &World, person: &Person, call: &str, attempt: &str, until: Timestamp) {
    let line = Line { call_id: call.parse().unwrap(), attempt_id: attempt.to_owned(), lease_until: until };
    let mut transaction = world.ivy.store.transaction();
    transaction.take_line(person.id, &line, world.now());
    Box::pin(transaction.commit()).await.unwrap();
}

#[tokio::test]
async fn a_line_that_nobody_gave_back_is_freed_by_the_next_call() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let over = mara.schedule_until("follow_up", at("12:30"), at("12:40")).await;
    world.advance_to(at("12:45")).await;
    assert_eq!(mara.call(&over).await["state"], "completed");
    hold_line(&world, &mara, &over, "an attempt that is over", at("14:00")).await;
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    world.advance_to(at("13:02")).await;
    assert_eq!(mara.call(&call).await["state"], "completed");
    let rung = world.simulators.rings()[1].at;
    assert!(rung.duration_since(at("13:00")) <= SignedDuration::from_secs(30), "{rung}");
    assert!(world.items("line").await.is_empty());
}

#[tokio::test]
async fn the_line_of_one_user_is_not_in_the_way_of_another() {
    let (world, mara) = elite().await;
    let olu = Box::pin(world.person("+447700900151").without_planned_calls().join(&world)).await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    world.simulators.set_persona(&olu.phone, Persona::Handset);
    for person in [&mara, &olu] {
        person.schedule_until("follow_up", at("13:00"), at("13:20")).await;
    }
    world.advance_to(at("13:00")).await;
    let rung: std::collections::BTreeSet<_> = world.simulators.rings().into_iter().map(|ring| ring.to).collect();
    assert_eq!(rung.len(), 2);
}

// Now

async fn initiates(person: &Person, call_type: &str) -> Reply {
    person.client.try_post("/api/calls/initiate", &json!({"call_type": call_type})).await
}

#[tokio::test]
async fn a_call_that_is_asked_for_now_rings_now_also_in_the_night() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    world.advance_to(at("23:10")).await;
    let call = initiates(&mara, "rescue").await.expect(201);
    assert_eq!((&call["state"], &call["attempts"]), (&json!("scheduled"), &json!(0)));
    assert_eq!(call["next_attempt_at"], "2026-11-23T23:10:00Z");
    assert_eq!(call["window_end"], "2026-11-23T23:25:00Z");
    world.publish_outbox().await;
    assert!(world.timers.set_timers().is_empty(), "no timer is as quick as the queue");
    world.settle().await;
    assert_eq!(world.simulators.rings()[0].at, at("23:10"));
    let call = mara.call(call["id"].as_str().unwrap()).await;
    assert_eq!((&call["state"], &call["attempts"]), (&json!("completed"), &json!(1)));
    assert_eq!(world.simulators.rings().len(), 1);
}

#[tokio::test]
async fn a_repeat_of_the_same_wish_rings_once() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let body = json!({"call_type": "rescue"});
    let first = mara.client.post_once("/api/calls/initiate", "now-1", &body).await;
    let again = mara.client.post_once("/api/calls/initiate", "now-1", &body).await;
    world.settle().await;
    let late = mara.client.post_once("/api/calls/initiate", "now-1", &body).await;
    for reply in [&first, &again, &late] {
        assert_eq!((reply.status.as_u16(), &reply.text), (201, &first.text));
    }
    world.advance_to(at("13:00")).await;
    assert_eq!(world.simulators.rings().len(), 1);
    let other = mara.client.post_once("/api/calls/initiate", "now-1", &json!({"call_type": "follow_up"})).await;
    other.problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn a_repeat_at_any_moment_after_the_first_gets_its_answer() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::Declines);
    let body = json!({"call_type": "rescue"});
    for steps in 0..24 {
        let key = format!("now-{steps}");
        let repeat = async {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
            mara.client.post_once("/api/calls/initiate", &key, &body).await
        };
        let (first, again) = tokio::join!(mara.client.post_once("/api/calls/initiate", &key, &body), repeat);
        assert_eq!((first.status.as_u16(), &again.text), (201, &first.text), "{steps} steps later");
        world.advance(SignedDuration::from_secs(61)).await;
        assert_eq!(world.simulators.rings().len(), steps + 1);
    }
}

#[tokio::test]
async fn two_wishes_at_once_ring_once() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    let (one, two) = tokio::join!(initiates(&mara, "rescue"), initiates(&mara, "rescue"));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, two.text);
    let refused = if one.status == 409 { &one } else { &two };
    refused.problem(409, "call-under-way");
    world.settle().await;
    initiates(&mara, "rescue").await.problem(409, "call-under-way");
    world.simulators.pick_up(&ring(&world, 0));
    world.settle().await;
    initiates(&mara, "rescue").await.problem(409, "call-under-way");
    world.simulators.hang_up(&ring(&world, 0), talk(json!({})));
    world.settle().await;
    initiates(&mara, "rescue").await.expect(201);
    world.settle().await;
    assert_eq!(world.simulators.rings().len(), 2);
    assert_eq!(mara.calls().await.len(), 2, "what was refused left nothing");
}

#[tokio::test]
async fn a_planned_call_waits_for_the_one_that_was_asked_for() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    let planned = mara.schedule_until("evening_review", at("13:00"), at("13:30")).await;
    let due = only_wake_up(&world).await;
    world.advance_to(at("13:00")).await;
    let now = initiates(&mara, "rescue").await.expect(201);
    // The planned call's worker is quicker than that of the call for which the line is kept.
    assert!(world.deliver_message(&due).await);
    world.settle().await;
    assert_eq!(mara.call(now["id"].as_str().unwrap()).await["state"], "initiating");
    assert_eq!(mara.call(&planned).await["state"], "scheduled");
    assert_eq!(world.simulators.rings().len(), 1);
}

#[tokio::test]
async fn a_lost_line_keeps_nobody_from_asking() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let over = initiates(&mara, "rescue").await.expect(201);
    world.settle().await;
    hold_line(&world, &mara, over["id"].as_str().unwrap(), "an attempt that is over", at("14:00")).await;
    initiates(&mara, "rescue").await.expect(201);
    world.settle().await;
    assert_eq!(world.simulators.rings().len(), 2);
}

#[tokio::test]
async fn who_may_not_be_called_is_not_called_now() {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let consents = json!({"calls": false, "messages": true, "data_processing": true});
    let mara = Box::pin(world.person(PHONE).onboarding("consents", consents).join(&world)).await;
    let before = world.snapshot().await;
    initiates(&mara, "rescue").await.problem(409, "calls-not-allowed");
    world.assert_nothing_written(&before).await;
}

// Another time

async fn moves(person: &Person, call: &str, body: Value) -> Reply {
    person.client.try_post(&format!("/api/calls/{call}/reschedule"), &body).await
}

#[tokio::test]
async fn a_moved_call_rings_at_its_new_time_only() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    world.settle().await;
    let old = delivery(Queue::DueCalls, &world.timers.set_timers()[0].body, at("13:00"));
    let moved =
        moves(&mara, &call, json!({"scheduled_time": at("15:00"), "window_end": at("15:30")})).await.expect(200);
    assert_eq!((&moved["id"], &moved["state"]), (&json!(call), &json!("scheduled")));
    assert_eq!(moved["next_attempt_at"], "2026-11-23T15:00:00Z");
    assert_eq!(
        (&moved["window_start"], &moved["window_end"]),
        (&moved["scheduled_time"], &json!("2026-11-23T15:30:00Z"))
    );
    assert_eq!(moved, mara.calls().await[0]);
    world.settle().await;
    assert_eq!(world.timers.set_timers().len(), 1, "the old timer is gone");
    world.advance_to(at("13:00")).await;
    assert!(world.deliver_message(&old).await, "an old wake-up may come all the same");
    sweep_until(&world, at("14:55")).await;
    assert!(world.simulators.rings().is_empty());
    world.advance_to(at("15:01")).await;
    assert_eq!(world.ring_times(), ["15:00"]);
    let call = mara.call(&call).await;
    assert_eq!(call["state"], "completed");
    assert_eq!(steps(&call)[0], "12:00 scheduled → scheduled rescheduled 0");
}

#[tokio::test]
async fn a_call_that_keeps_its_time_keeps_its_timer() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    world.settle().await;
    moves(&mara, &call, json!({"scheduled_time": at("13:00"), "window_end": at("14:00")})).await.expect(200);
    // Effects come in no promised order.
    let mut effects = world.take_stream(usize::MAX);
    effects.reverse();
    assert_eq!(world.carry_out(&effects).await, effects.len());
    world.advance_to(at("13:01")).await;
    assert_eq!(world.ring_times(), ["13:00"]);
}

#[tokio::test]
async fn a_waiting_retry_can_be_moved_and_its_attempts_stay_made() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:10")).await;
    let moved =
        moves(&mara, &call, json!({"scheduled_time": at("14:00"), "window_end": at("18:00")})).await.expect(200);
    assert_eq!((&moved["state"], &moved["attempts"]), (&json!("retry"), &json!(1)));
    world.advance_to(at("20:00")).await;
    assert_eq!(world.ring_times(), ["13:00", "14:00", "15:00"]);
    let call = mara.call(&call).await;
    assert_eq!((&call["state"], &call["attempts"]), (&json!("failed"), &json!(3)));
    assert_eq!(mara.messages_of("missed_call_follow_up").await.len(), 1);
}

#[tokio::test]
async fn a_waiting_retry_that_is_moved_into_the_night_rings_there_once() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::NeverAnswers);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:10")).await;
    moves(&mara, &call, json!({"scheduled_time": at("22:00")})).await.expect(200);
    world.advance_to("2026-11-24T09:00:00Z".parse().unwrap()).await;
    assert_eq!(world.ring_times(), ["13:00", "22:00"]);
    assert_eq!(mara.call(&call).await["state"], "failed");
}

#[tokio::test]
async fn only_a_waiting_call_can_be_moved() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    let cancelled = mara.schedule_until("follow_up", at("15:00"), at("15:20")).await;
    mara.client.delete(&format!("/api/calls/{cancelled}"), 200).await;
    let later = json!({"scheduled_time": at("17:00")});
    world.advance_to(at("13:00")).await;
    for (state, id) in [("initiating", &call), ("cancelled", &cancelled)] {
        let reply = moves(&mara, id, later.clone()).await;
        let refused = reply.problem(409, "call-not-reschedulable");
        assert!(refused["detail"].as_str().unwrap().contains(state), "{refused}");
    }
    world.simulators.pick_up(&ring(&world, 0));
    world.settle().await;
    moves(&mara, &call, later.clone()).await.problem(409, "call-not-reschedulable");
    world.simulators.hang_up(&ring(&world, 0), talk(json!({})));
    world.settle().await;
    moves(&mara, &call, later).await.problem(409, "call-not-reschedulable");
}

#[tokio::test]
async fn every_wrong_time_is_told_at_once() {
    let (world, mara) = elite().await;
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    world.settle().await;
    let before = world.snapshot().await;
    let all = json!({"scheduled_time": at("11:00"), "window_start": at("11:30"), "window_end": at("10:00")});
    let reply = moves(&mara, &call, all).await;
    reply.problem(422, "invalid-input");
    assert_eq!(reply.wrong_fields(), ["scheduled_time", "window_start", "window_end"]);
    for (body, field) in [
        (json!({"scheduled_time": world.now()}), "scheduled_time"),
        (json!({"scheduled_time": "2026-12-25T12:00:01Z"}), "scheduled_time"),
        (json!({"scheduled_time": at("14:00"), "window_end": "2026-11-24T14:00:01Z"}), "window_end"),
        (json!({"scheduled_time": at("14:00"), "call_type": "rescue"}), "call_type"),
    ] {
        let reply = moves(&mara, &call, body).await;
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), [field]);
    }
    world.assert_nothing_written(&before).await;
}

#[tokio::test]
async fn a_call_cannot_be_moved_on_for_ever() {
    let (world, mara) = elite().await;
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    let december = |day: u8| json!({"scheduled_time": format!("2026-12-{day}T12:00:00Z")});
    moves(&mara, &call, december(20)).await.expect(200);
    world.advance_to("2026-12-10T12:00:00Z".parse().unwrap()).await;
    let reply = moves(&mara, &call, december(25)).await;
    reply.problem(422, "invalid-input");
    assert!(reply.text.contains("of when the call was created"), "{}", reply.text);
    moves(&mara, &call, december(24)).await.expect(200);
}

#[tokio::test]
async fn a_repeated_move_is_answered_as_the_first() {
    let (world, mara) = elite().await;
    let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
    let path = format!("/api/calls/{call}/reschedule");
    let body = json!({"scheduled_time": at("15:00")});
    let first = mara.client.post_once(&path, "move-1", &body).await;
    assert_eq!(first.status, 200, "{}", first.text);
    mara.client.post_once(&path, "move-2", &json!({"scheduled_time": at("16:00")})).await.expect(200);
    world.settle().await;
    let before = world.snapshot().await;
    let again = mara.client.post_once(&path, "move-1", &body).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    world.assert_nothing_written(&before).await;
    assert_eq!(mara.call(&call).await["next_attempt_at"], "2026-11-23T16:00:00Z");
    let elsewhere = mara.schedule_until("follow_up", at("13:00"), at("13:20")).await;
    let reply = mara.client.post_once(&format!("/api/calls/{elsewhere}/reschedule"), "move-1", &body).await;
    reply.problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn a_call_that_is_moved_as_it_is_claimed_rings_once_and_where_it_says() {
    for claimed_first in [true, false] {
        let (world, mara) = elite().await;
        world.simulators.set_persona(PHONE, Persona::NeverAnswers);
        let call = mara.schedule_until("evening_review", at("13:00"), at("13:20")).await;
        let due = only_wake_up(&world).await;
        world.advance_to(at("13:00")).await;
        let later = json!({"scheduled_time": at("15:00"), "window_end": at("15:01")});
        let moved = if claimed_first {
            tokio::join!(world.deliver_message(&due), moves(&mara, &call, later)).1
        } else {
            tokio::join!(moves(&mara, &call, later), world.deliver_message(&due)).0
        };
        world.settle().await;
        match moved.status.as_u16() {
            200 => assert!(world.simulators.rings().is_empty()),
            409 => assert_eq!(world.ring_times(), ["13:00"]),
            other => panic!("{other}: {}", moved.text),
        }
    }
}

#[tokio::test]
async fn planning_again_leaves_a_moved_call_where_its_user_wants_it() {
    let world = World::at("2026-11-23T02:00:00Z").await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").join(&world)).await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    world.advance_to(at("06:00")).await;
    world.plan_day(at("03:00")).await;
    let reviews = async || -> Vec<Value> {
        mara.calls().await.into_iter().filter(|call| call["call_type"] == "evening_review").collect()
    };
    let call = reviews().await[0]["id"].as_str().unwrap().to_owned();
    moves(&mara, &call, json!({"scheduled_time": at("12:15")})).await.expect(200);
    let window = json!({"evening_window": {"start": "19:00", "end": "21:00"}});
    mara.client.patch("/api/users/me", window, 200).await;
    world.settle().await;
    let planned = reviews().await;
    assert_eq!(planned.len(), 1, "{planned:?}");
    assert_eq!(planned[0]["next_attempt_at"], "2026-11-23T12:15:00Z");
    world.advance_to(at("22:00")).await;
    assert_eq!(world.ring_times().iter().filter(|time| time.as_str() >= "12:00").collect::<Vec<_>>(), ["12:15"]);
}

// What an analysis may say

#[tokio::test]
async fn a_call_that_reports_and_names_the_activity_logs_one_workout() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, talks(json!({"workout_status": "completed", "planned_activity": "Rowing"})));
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.advance_to(at("13:05")).await;
    assert_eq!(mara.call(&call).await["outcome"], "workout_logged");
    let today = mara.today().await;
    assert_eq!(today.len(), 1, "{today:?}");
    assert_eq!((&today[0]["planned_activity"], &today[0]["status"]), (&json!("Rowing"), &json!("completed")));
    assert_eq!(world.donations().await, [150]);
}

#[tokio::test]
async fn at_seven_said_in_the_evening_is_tomorrow() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, talks(json!({"planned_activity": "Swim", "planned_time": "07:00"})));
    mara.schedule_until("evening_review", at("19:00"), at("20:00")).await;
    world.advance_to(at("19:05")).await;
    assert!(mara.today().await.is_empty(), "nothing for a time that is over");
    world.advance_to("2026-11-24T06:00:00Z".parse().unwrap()).await;
    let tomorrow = mara.today().await;
    assert_eq!(tomorrow[0]["planned_time"], "2026-11-24T07:00:00Z", "{tomorrow:?}");
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_leaves_the_attempt_open() {
    let (world, mara) = elite().await;
    world.simulators.set_persona(PHONE, logs_a_workout());
    // The first answer is lost, and neither the list nor what follows says anything of use: nobody may dial again yet.
    world.simulators.faults().next(Provider::Retell, Fault::TimeoutBefore);
    let call = mara.schedule_until("evening_review", at("13:00"), at("16:00")).await;
    world.simulators.faults().next(Provider::Retell, Fault::Status(200));
    world.simulators.faults().next(Provider::Retell, Fault::Status(429));
    world.advance_to(at("13:02")).await;
    assert_eq!(mara.call(&call).await["state"], "initiating");
    assert_eq!(world.simulators.rings().len(), 0);
    sweep_until(&world, at("14:00")).await;
    assert_eq!(mara.call(&call).await["state"], "completed");
    assert_eq!(world.simulators.rings().len(), 1);
}
