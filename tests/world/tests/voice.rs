//! Voice beyond the ladder: calls to us, tools, the carrier as backup, analyses that do not come, machines, and a burst.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ivy_domain::{
    CallId, User, UserId,
    call::{Call, CallType, CallWindow},
};
use ivy_flows::ports::Queue;
use ivy_simulators::{CallScript, Provider};
use ivy_store::{Profile, StoredCall};
use ivy_world::{
    Person, QueuedMessage, Setup, World,
    gate::{Gate, Passage, Ruling},
};
use jiff::{SignedDuration, Timestamp, civil::date};
use serde_json::{Value, json};

const PHONE: &str = "+447700900155";

async fn mara(world: &World) -> Person {
    let person = world.person(PHONE).tier("b2c_elite");
    let person = person.onboarding("morning_window", Value::Null).onboarding("evening_window", Value::Null);
    person.join(world).await
}

/// A call that was picked up: our id and the provider's.
async fn picked_up(world: &World, person: &Person, call_type: &str) -> (String, String) {
    let id = person.schedule(call_type, world.now() + SignedDuration::from_mins(10)).await;
    world.advance(SignedDuration::from_mins(10)).await;
    let ring = world.simulators.rings().pop().unwrap().call_id;
    world.simulators.pick_up(&ring);
    world.settle().await;
    (id, ring)
}

/// The calls that a person should look at, each with the reason.
fn reviews(world: &World) -> Vec<(String, String)> {
    let messages = [world.queues.dead_letters(), world.queues.waiting()].concat();
    let of_reviews = messages.iter().filter(|message| message.queue == Queue::Reviews);
    let read = |message: &QueuedMessage| {
        let review: Value = serde_json::from_str(&message.body).unwrap();
        let word = |name: &str| review[name].as_str().unwrap().to_owned();
        (word("call_id"), word("reason"))
    };
    of_reviews.map(read).collect()
}

fn talk(analysis: Value) -> CallScript {
    CallScript {
        duration_seconds: 90,
        user_spoke: true,
        analysis,
        user_sentiment: None,
        transcript: "Agent: Hi.\nUser: Hello.\n".into(),
    }
}

#[tokio::test]
async fn a_caller_is_known_with_full_context_and_a_stranger_learns_nothing() {
    let world = World::new().await;
    let person = mara(&world).await;
    person.plan("Run", world.now() + SignedDuration::from_hours(2)).await;
    let (provider_id, answer) = world.call_in(PHONE).await;
    let setup = &answer["call_inbound"];
    assert_eq!(setup["override_agent_id"], "agent_premium");
    assert_eq!(setup["dynamic_variables"].as_object().unwrap().len(), 36);
    assert_eq!(setup["dynamic_variables"]["call_type"], "rescue");
    assert_eq!(setup["dynamic_variables"]["todays_plan"], "Run at 8am");
    let id = setup["metadata"]["call_id"].as_str().unwrap();
    assert_eq!(person.call(id).await["state"], "in_progress");
    let analysis = json!({"workout_status": "partial"});
    world.simulators.hang_up(&provider_id, talk(analysis));
    world.settle().await;
    let call = person.call(id).await;
    let found = [&call["state"], &call["outcome"], &call["direction"]];
    assert_eq!(found, [&json!("completed"), &json!("rescue_success"), &json!("inbound")]);
    let (_, stranger) = world.call_in("+447700900888").await;
    let expected = json!({"call_inbound": {
        "override_agent_id": "agent_welcome", "override_agent_version": "latest_published",
        "dynamic_variables": {}, "metadata": {},
    }});
    assert_eq!(stranger, expected);
}

/// Who speaks American hears an American, with American numbers for help; of other languages the nearest that there is.
#[tokio::test]
async fn the_agent_goes_by_tier_and_language() {
    for (tier, locale, agent) in [
        ("b2c_pro", "en-US", "agent_premium_us"),
        ("b2c_concierge", "en", "agent_premium"),
        ("b2c_elite", "de-DE", "agent_premium"),
    ] {
        let world = World::new().await;
        let person = Box::pin(world.person(PHONE).tier(tier).signing_up("locale", json!(locale)).join(&world)).await;
        let rescue = json!({"call_type": "rescue"});
        person.client.post("/api/calls/initiate", rescue, 201).await;
        world.settle().await;
        let calls = world.simulators.calls();
        assert_eq!(calls[0].agent_id.as_deref(), Some(agent), "{tier} {locale}");
        let (_, answer) = world.call_in(PHONE).await;
        assert_eq!(answer["call_inbound"]["override_agent_id"], agent, "{tier} {locale}");
    }
}

#[tokio::test]
async fn a_repeated_question_about_a_call_is_answered_alike_and_writes_once() {
    let world = World::new().await;
    let person = mara(&world).await;
    let (_, question) = world.simulators.call_in(PHONE);
    let first = world.post_webhook(&question).await.expect(200);
    let again = world.post_webhook(&question).await.expect(200);
    assert_eq!(first["call_inbound"]["metadata"], again["call_inbound"]["metadata"]);
    assert_eq!(first["call_inbound"]["dynamic_variables"], again["call_inbound"]["dynamic_variables"]);
    assert_eq!(person.get("/api/users/me/calls").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_rings_who_is_talking_with_us_already() {
    let world = World::new().await;
    let person = mara(&world).await;
    let id = person.schedule("evening_review", world.now() + SignedDuration::from_mins(10)).await;
    world.advance(SignedDuration::from_mins(9)).await;
    let (inbound, _) = world.call_in(PHONE).await;
    world.advance(SignedDuration::from_mins(3)).await;
    assert!(world.simulators.rings().is_empty(), "the line is theirs");
    world.simulators.hang_up(&inbound, CallScript::nothing());
    world.advance(SignedDuration::from_mins(2)).await;
    assert_eq!(world.simulators.rings().len(), 1);
    assert_eq!(person.call(&id).await["attempts"], 1);
}

#[tokio::test]
async fn a_call_that_retell_never_ends_is_ended_by_the_carriers_word() {
    let world = World::new().await;
    let person = mara(&world).await;
    let (id, ring) = picked_up(&world, &person, "evening_review").await;
    world.hold_webhooks(true);
    world.simulators.hang_up(&ring, talk(json!({"workout_status": "completed"})));
    let webhooks = world.simulators.take_webhooks();
    let carrier = webhooks.iter().find(|webhook| webhook.provider == Provider::Twilio).unwrap();
    assert_eq!(world.deliver(carrier).await, 204);
    assert_eq!(world.deliver(carrier).await, 204, "told twice");
    assert_eq!(person.call(&id).await["state"], "in_progress", "Retell, who knows more, has a minute to say so");
    world.advance(SignedDuration::from_mins(2)).await;
    world.sweep().await;
    let call = person.call(&id).await;
    assert_eq!(
        (&call["state"], &call["outcome"]),
        (&json!("completed"), &json!("workout_logged")),
        "asked, Retell tells all"
    );
}

#[tokio::test]
async fn a_carrier_that_is_not_twilio_ends_nothing() {
    let world = World::new().await;
    let person = mara(&world).await;
    let (id, _) = picked_up(&world, &person, "evening_review").await;
    let body = b"CallSid=CA1&CallStatus=completed&CallDuration=10&To=%2B447700900155&From=%2B447700900991".to_vec();
    let mut forged = world.simulators.sign(Provider::Twilio, "/webhooks/twilio", body);
    for (name, value) in &mut forged.headers {
        if name == "X-Twilio-Signature" {
            *value = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned();
        }
    }
    assert_eq!(world.deliver(&forged).await, 401);
    assert_eq!(person.call(&id).await["state"], "in_progress");
}

#[tokio::test]
async fn an_analysis_that_is_never_told_is_fetched() {
    let world = World::new().await;
    let person = mara(&world).await;
    let (id, ring) = picked_up(&world, &person, "evening_review").await;
    world.hold_webhooks(true);
    world.simulators.hang_up(&ring, talk(json!({"workout_status": "completed"})));
    for webhook in world.simulators.take_webhooks() {
        let lost = String::from_utf8_lossy(&webhook.body).contains("call_analyzed");
        if !lost && webhook.provider == Provider::Retell {
            assert_eq!(world.deliver(&webhook).await, 204);
        }
    }
    world.hold_webhooks(false);
    assert_eq!(person.call(&id).await["state"], "completed");
    world.sweep().await;
    assert_eq!(person.wallet().await["lifetime_donated"], 0.0, "it may only be slow");
    world.advance(SignedDuration::from_mins(15)).await;
    world.sweep().await;
    world.sweep().await;
    assert_eq!(person.wallet().await["lifetime_donated"], 1.5, "once");
    assert_eq!(person.call(&id).await["outcome"], "workout_logged");
}

#[tokio::test]
async fn a_talk_that_ends_in_an_error_is_a_talk() {
    let world = World::new().await;
    let person = mara(&world).await;
    let (id, ring) = picked_up(&world, &person, "evening_review").await;
    let call = world.simulators.calls().into_iter().find(|call| call.call_id == ring).unwrap();
    let mut object = call.object();
    object["call_status"] = json!("error");
    object["disconnection_reason"] = json!("error_asr");
    object["end_timestamp"] = json!((world.now() + SignedDuration::from_mins(4)).as_millisecond());
    let body = json!({"event": "call_ended", "call": object}).to_string().into_bytes();
    assert_eq!(world.deliver(&world.simulators.sign(Provider::Retell, "/webhooks/retell", body)).await, 204);
    assert_eq!(person.call(&id).await["state"], "completed");
}

/// Retell heard it, not our agent: no call of that person's rings again, and a later word of theirs stands.
#[tokio::test]
async fn who_tells_the_provider_to_stop_calling_is_not_called_again() {
    let world = World::new().await;
    let person = mara(&world).await;
    let (id, ring) = picked_up(&world, &person, "rescue").await;
    let tomorrow = person.schedule("follow_up", world.now() + SignedDuration::from_hours(5)).await;
    let call = world.simulators.calls().into_iter().find(|call| call.call_id == ring).unwrap();
    let mut object = call.object();
    object["call_status"] = json!("ended");
    object["disconnection_reason"] = json!("user_requested_dnc");
    object["end_timestamp"] = json!((world.now() + SignedDuration::from_secs(40)).as_millisecond());
    object["duration_ms"] = json!(40_000);
    let told = |kind: &str| {
        let body = json!({"event": kind, "call": object}).to_string().into_bytes();
        world.simulators.sign(Provider::Retell, "/webhooks/retell", body)
    };
    world.advance(SignedDuration::from_secs(41)).await;
    assert_eq!(world.deliver(&told("call_ended")).await, 204);
    world.settle().await;
    assert_eq!(person.call(&id).await["state"], "completed");
    let user = person.get("/api/users/me").await;
    assert_eq!(
        (&user["consents"]["calls"]["granted"], &user["consents"]["calls"]["source"]),
        (&json!(false), &json!("call"))
    );
    let waiting = person.call(&tomorrow).await;
    assert_eq!((&waiting["state"], &waiting["cause"]), (&json!("cancelled"), &json!("consent_withdrawn")));
    let agreed = json!({"calls": true, "messages": true, "data_processing": true});
    person.client.put("/api/users/me/consents", agreed, 200).await;
    assert_eq!(world.deliver(&told("call_analyzed")).await, 204);
    assert_eq!(person.get("/api/users/me").await["consents"]["calls"]["granted"], true);
}

#[tokio::test]
async fn a_machine_that_only_the_analysis_heard_is_a_miss_in_either_order() {
    for reversed in [false, true] {
        let world = World::at("2026-11-23T12:00:00Z").await;
        let person = mara(&world).await;
        let (id, ring) = picked_up(&world, &person, "evening_review").await;
        world.hold_webhooks(true);
        world.simulators.hang_up(&ring, talk(json!({})));
        let mut webhooks = world.simulators.take_webhooks();
        webhooks.retain(|webhook| webhook.provider == Provider::Retell);
        if reversed {
            webhooks.reverse();
        }
        for webhook in webhooks {
            let mut event: Value = serde_json::from_slice(&webhook.body).unwrap();
            if event["call"]["call_analysis"].is_object() {
                event["call"]["call_analysis"]["in_voicemail"] = json!(true);
            }
            let body = event.to_string().into_bytes();
            assert_eq!(world.deliver(&world.simulators.sign(Provider::Retell, "/webhooks/retell", body)).await, 204);
        }
        world.hold_webhooks(false);
        let call = person.call(&id).await;
        assert_eq!((&call["state"], &call["outcome"]), (&json!("retry"), &json!("voicemail")), "reversed: {reversed}");
        world.advance(SignedDuration::from_mins(6)).await;
        let last = world.simulators.handset(PHONE).pop().unwrap();
        assert_eq!(last.template.as_deref(), Some("missed_call_follow_up"), "nobody was heard");
    }
}

#[tokio::test]
async fn a_word_of_danger_is_looked_at_also_where_the_analysis_takes_the_person_for_a_machine() {
    let world = World::new().await;
    let person = mara(&world).await;
    let (id, ring) = picked_up(&world, &person, "evening_review").await;
    world.hold_webhooks(true);
    world.simulators.hang_up(&ring, talk(json!({"safety_flag": true})));
    for webhook in world.simulators.take_webhooks() {
        if webhook.provider != Provider::Retell {
            continue;
        }
        let mut event: Value = serde_json::from_slice(&webhook.body).unwrap();
        if event["call"]["call_analysis"].is_object() {
            event["call"]["call_analysis"]["in_voicemail"] = json!(true);
        }
        let body = event.to_string().into_bytes();
        assert_eq!(world.deliver(&world.simulators.sign(Provider::Retell, "/webhooks/retell", body)).await, 204);
    }
    world.hold_webhooks(false);
    world.settle().await;
    assert_eq!(person.call(&id).await["state"], "completed", "nobody rings into it as if it had been a machine");
    assert_eq!(reviews(&world), [(id, "safety".to_owned())]);
}

#[tokio::test]
async fn no_retry_rings_in_quiet_hours_that_the_user_did_not_open() {
    let world = World::at("2026-11-23T21:20:00Z").await;
    let person = mara(&world).await;
    let id = person.schedule("follow_up", world.now() + SignedDuration::from_mins(5)).await;
    world.advance(SignedDuration::from_mins(7)).await;
    assert_eq!(world.simulators.rings().len(), 1);
    world.advance(SignedDuration::from_hours(1)).await;
    assert_eq!(world.simulators.rings().len(), 1, "21:30 has come");
    assert_eq!(person.call(&id).await["state"], "failed");
}

#[tokio::test]
async fn a_safety_flag_reaches_people_for_every_tier() {
    let world = World::new().await;
    let person = world.person(PHONE).tier("b2c_pro").onboarding("morning_window", Value::Null);
    let person = person.onboarding("evening_window", Value::Null).join(&world).await;
    let (id, ring) = picked_up(&world, &person, "follow_up").await;
    world.simulators.hang_up(&ring, talk(json!({"safety_flag": "self-harm"})));
    world.settle().await;
    assert!(reviews(&world).contains(&(id, "safety".to_owned())), "{:?}", reviews(&world));
}

/// People with a call each, all due at the same moment, written as sign-up and planning leave them.
async fn crowd(world: &World, people: u32, due_at: Timestamp, closes_at: Timestamp) -> Vec<(UserId, CallId)> {
    let mut made = Vec::new();
    for number in 0..people {
        let id = UserId::derive(date(2026, 1, 1), &["burst", &number.to_string()]);
        let consent = json!({"granted": true, "at": world.now(), "source": "onboarding", "wording_version": "2026-11"});
        let user: User = serde_json::from_value(json!({
            "id": id, "phone": format!("+44770{number:05}55"), "first_name": "Ann", "timezone": "Europe/London",
            "locale": "en-GB", "subscription_type": "b2c_pro", "subscription_status": "active", "track": "fitness",
            "weekly_goal": 3, "preferred_days": [], "communication_preference": "calls", "obstacles": [],
            "status": "active", "consents": {"calls": consent, "messages": consent, "data_processing": consent},
            "created_at": world.now(), "updated_at": world.now(), "onboarded_at": world.now(), "phone_proven_at": world.now(),
            "version": 0,
        }))
        .unwrap();
        let store = &world.ivy.store;
        let window = CallWindow { opens_at: due_at, closes_at };
        let call_id = CallId::derive(date(2026, 11, 23), &["burst", &number.to_string()]);
        let zone = user.timezone.clone();
        let call = Call::scheduled(call_id, id, CallType::EveningReview, due_at, window, zone, world.now());
        let profile = Profile { cipher: store.keyring().new_user_cipher(id), user };
        let mut transaction = store.transaction();
        transaction.user(&profile).own_phone(&profile).call(&StoredCall::new(call));
        Box::pin(transaction.commit()).await.unwrap();
        let body = json!({"user_id": id, "call_id": call_id, "due_at": due_at}).to_string();
        world.queues.put(Queue::DueCalls, body, due_at);
        made.push((id, call_id));
    }
    made
}

#[tokio::test]
async fn a_thousand_calls_at_once_with_twenty_slots_are_called_in_time_or_end_with_a_cause() {
    let world = Box::pin(World::at("2026-11-23T18:00:00Z")).await;
    let due_at = world.now() + SignedDuration::from_mins(5);
    let closes_at = due_at + SignedDuration::from_secs(110);
    let made = crowd(&world, 1000, due_at, closes_at).await;
    // Nobody answers, so each holds a slot for the 30 seconds that it rings; that it ends is told when it ends.
    while world.now() < closes_at {
        world.advance(SignedDuration::from_secs(10)).await;
    }
    world.advance_to(closes_at + SignedDuration::from_mins(45)).await;
    world.sweep().await;
    let mut dialled = 0;
    for (user, id) in made {
        let call = Box::pin(world.ivy.store.call(user, id)).await.unwrap().unwrap().call;
        assert!(call.state.is_terminal(), "none is lost: {:?}", call.state);
        assert!(call.cause.is_some(), "each says why it ended");
        dialled += usize::from(call.attempts > 0);
    }
    let rings = world.simulators.calls();
    let last = closes_at + SignedDuration::from_mins(30);
    assert!(rings.iter().all(|ring| ring.placed_at < last), "none is dialled late");
    let at_once = |at: Timestamp| {
        rings.iter().filter(|ring| ring.placed_at <= at && ring.ended_at.is_none_or(|ended| ended > at)).count()
    };
    let most = rings.iter().map(|ring| at_once(ring.placed_at)).max().unwrap();
    assert!(most <= 16, "four slots stay free for rescues and inbound calls, but {most} rang at once");
    assert!(dialled >= 48, "the slots were used while the window was open: {dialled}");
}

/// Once it is armed every transaction takes half a second and then finds another at its items; and one read takes longer than a
/// tool may go on, if that is wanted.
#[derive(Debug, Default)]
struct SlowAndContended {
    armed: AtomicBool,
    slow_read: AtomicBool,
    tries: AtomicU32,
}

#[async_trait]
impl Gate for SlowAndContended {
    async fn enter(&self, passage: &Passage) -> Ruling {
        let armed = self.armed.load(Ordering::Relaxed);
        if armed && !passage.writes && self.slow_read.swap(false, Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1600)).await;
        }
        if !armed || passage.operation != "TransactWriteItems" {
            return Ruling::Pass;
        }
        self.tries.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ruling::Conflict
    }
}

#[tokio::test]
async fn a_tool_that_cannot_write_gives_up_while_its_caller_still_listens() {
    let gate = Arc::new(SlowAndContended::default());
    let setup = Setup { gate: Some(gate.clone()), table_attempts: 1, ..Setup::default() };
    let world = Box::pin(World::with("2026-11-23T06:00:00Z", setup)).await;
    let person = mara(&world).await;
    let (_, ring) = picked_up(&world, &person, "evening_review").await;
    gate.armed.store(true, Ordering::Relaxed);
    let question = world.simulators.use_tool(&ring, "log_workout", &json!({"status": "completed"}));
    let answer = world.post_webhook(&question).await.expect(200);
    gate.armed.store(false, Ordering::Relaxed);
    assert_eq!(answer["ok"], json!(false), "{answer}");
    let tries = gate.tries.load(Ordering::Relaxed);
    assert!((1..=3).contains(&tries), "Retell waits three seconds, and the tool went on for {tries} halves of one");
    gate.slow_read.store(true, Ordering::Relaxed);
    gate.armed.store(true, Ordering::Relaxed);
    let answer = world.post_webhook(&question).await.expect(200);
    gate.armed.store(false, Ordering::Relaxed);
    assert_eq!(answer["ok"], json!(false), "{answer}");
    assert_eq!(gate.tries.load(Ordering::Relaxed), tries, "nothing is begun that its caller may not hear of");
    assert_eq!(person.wallet().await["lifetime_donated"], 0.0);
}
