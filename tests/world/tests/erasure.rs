//! Forgetting a person: at once for whoever asks, wholly within a day, whatever goes wrong on the way. After it the table, the
//! voice provider and the payment provider are searched for everything that marked the person.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of tests says what broke by panicking")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use ivy_domain::UserId;
use ivy_simulators::{CallScript, Persona};
use ivy_store::Profile;
use ivy_world::{
    Person, Setup, World, at,
    gate::{Gate, Party, Passage, Ruling},
    talk,
};
use jiff::SignedDuration;
use serde_json::json;

const PHONE: &str = "+447700900170";
const CUSTOMER: &str = "cus_Qx1";
/// What marks the person, beside their id.
const MARKS: [&str; 12] = [
    "447700900170",
    "qxmail",
    "Qxfirst",
    "Qxlast",
    "Qxminimum",
    "Qxgift",
    "Qxwhy",
    "Qxobstacle",
    "Qxactivity",
    "Qxsaid",
    "Qxmarker",
    CUSTOMER,
];

fn script() -> CallScript {
    let analysis = json!({
        "planned_activity": "Qxactivity", "planned_time": "2026-11-23T17:00:00Z", "energy": 6, "mood": 7,
        "life_marker": "Qxmarker", "call_summary": "Qxsaid",
    });
    CallScript { transcript: "Agent: Hello.\nUser: Qxsaid".to_owned(), ..talk(analysis) }
}

/// A person with something of everything, at noon, with a call and a pause's end still ahead.
async fn lived(world: &World) -> Person {
    let person = world.person(PHONE).tier("b2c_elite").signing_up("first_name", json!("Qxfirst"));
    let person = person.signing_up("last_name", json!("Qxlast")).signing_up("email", json!("qxmail@example.com"));
    let person = person.onboarding("minimum_action", json!("Qxminimum")).onboarding("gift_frame", json!("Qxgift"));
    let person = person.onboarding("why_started", json!("Qxwhy")).onboarding("obstacles", json!(["Qxobstacle"]));
    let mara = Box::pin(person.join(world)).await;
    mara.can_be_mailed(world, "qxmail@example.com").await;
    pays_by_stripe(world, mara.id).await;
    world.simulators.set_persona(PHONE, Persona::Answers(script()));
    world.advance_to(at("10:00")).await;
    let workout = mara.plan("Qxactivity", at("11:00")).await;
    let body = json!({"planned_activity": "Qxactivity", "planned_time": "2026-11-25T17:00:00Z"});
    mara.client.post_once("/api/workouts", "3f1c7e52-0b1e-4a51-9d3e-8f6f2f1d7a10", &body).await.expect(201);
    mara.log(&workout, "completed").await;
    world.writes(&mara, "Qxsaid").await;
    world.simulators.reply_sms(PHONE, "Qxsaid");
    world.settle().await;
    world.simulators.set_on_whatsapp(PHONE, false);
    let workout = mara.plan("Qxactivity", at("12:00")).await;
    mara.log(&workout, "completed").await;
    world.advance_to(at("12:00")).await;
    mara.schedule("follow_up", at("15:00")).await;
    mara.client.post("/api/users/me/pause", json!({"reason": "paused", "until": "2026-11-23T14:00"}), 200).await;
    world.client().post("/api/auth/magic-link", json!({"phone": PHONE}), 202).await;
    world.settle().await;
    mara
}

/// Nobody can pay yet, so the id that checkout will leave is put in by hand.
async fn pays_by_stripe(world: &World, user: UserId) {
    let store = &world.ivy.store;
    let Profile { mut user, cipher } = store.profile(user).await.unwrap().unwrap();
    user.stripe_customer_id = Some(CUSTOMER.to_owned());
    let mut transaction = store.transaction();
    transaction.user(&Profile { user, cipher });
    transaction.commit().await.unwrap();
    world.simulators.add_customer(CUSTOMER, "qxmail@example.com");
}

/// What still names the person anywhere. Outbox items hold ids and go by themselves after 7 days.
async fn traces(world: &World, user: UserId) -> Vec<String> {
    let id = user.to_string();
    let mut found = Vec::new();
    for item in world.items("").await {
        let text = format!("{item:?}");
        let entity = item["entity"].as_s().unwrap().as_str();
        let allowed = matches!(entity, "erasure" | "outbox");
        let marks = MARKS.iter().copied().chain((!allowed).then_some(id.as_str()));
        found.extend(marks.filter(|mark| text.contains(mark)).map(|mark| format!("{mark} in {entity}: {text}")));
    }
    for call in world.simulators.calls() {
        found.push(format!("a call at Retell: {}", call.call_id));
    }
    found.extend(world.simulators.texts_at_twilio(PHONE).iter().map(|id| format!("a text at Twilio: {id}")));
    found.extend(world.simulators.customers().keys().map(|id| format!("{id} at Stripe")));
    found.extend(
        world.timers.set_timers().into_iter().filter(|t| t.body.contains(&id) || t.name.contains(&id)).map(|t| t.name),
    );
    found.extend(world.queues.dead_letters().into_iter().map(|letter| letter.body));
    found
}

/// Sums by charity: what its months say, and what donations and ledger lines add up to.
async fn sums(world: &World) -> (BTreeMap<String, i64>, BTreeMap<String, i64>) {
    let number = |item: &ivy_store::Item, name: &str| item[name].as_n().unwrap().parse::<i64>().unwrap();
    let (mut totals, mut lines) = (BTreeMap::new(), BTreeMap::new());
    for item in world.items("charity_total").await {
        let charity = item["pk"].as_s().unwrap().trim_start_matches("CHARITY#").to_owned();
        *totals.entry(charity).or_insert(0) += number(&item, "donated");
    }
    for entity in ["donation", "ledger_line"] {
        for item in world.items(entity).await {
            *lines.entry(item["charity_id"].as_s().unwrap().clone()).or_insert(0) += number(&item, "amount");
        }
    }
    (totals, lines)
}

async fn erased(world: &World) {
    world.advance(SignedDuration::from_mins(10)).await;
}

#[tokio::test]
async fn everything_is_gone_but_the_tombstone_and_the_sums() {
    let world = World::new().await;
    let mara = lived(&world).await;
    let (before, _) = sums(&world).await;
    assert!(before.values().sum::<i64>() > 0);
    let kinds: Vec<String> = world.items("").await.iter().map(|item| item["entity"].as_s().unwrap().clone()).collect();
    for kind in [
        "call",
        "transcript",
        "donation",
        "message",
        "message_owner",
        "score",
        "marker",
        "session",
        "consent",
        "workout",
        "idempotency",
        "sign_in",
    ] {
        assert!(kinds.iter().any(|known| known == kind), "no {kind} was there, so this proves little");
    }
    assert!(world.simulators.texts_at_twilio(PHONE).len() >= 3, "texts of either direction");
    let receipt = mara.client.delete("/api/users/me", 202).await;
    assert_eq!(receipt["requested_at"], "2026-11-23T12:00:00Z");
    assert_eq!(receipt["erased_by"], "2026-11-24T12:00:00Z");
    erased(&world).await;
    assert_eq!(traces(&world, mara.id).await, Vec::<String>::new());
    let tombstone = world.items("erasure").await;
    assert_eq!(tombstone.len(), 1);
    let mut fields: Vec<&str> = tombstone[0].keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["entity", "erased_at", "pk", "receipt_id", "requested_at", "sk", "version"]);
    assert_eq!(world.items("audit").await.len(), 1);
    let (totals, lines) = sums(&world).await;
    assert_eq!((&totals, &lines), (&before, &before), "the charity lost nothing");
    assert!(world.items("ledger_line").await.iter().all(|line| !line.contains_key("user_id")));
    // Nothing rings or arrives any more, whatever the clock says.
    let (rings, arrived) = (world.simulators.rings().len(), world.simulators.handset(PHONE).len());
    world.advance(SignedDuration::from_hours(48)).await;
    world.plan_day(world.now()).await;
    world.sweep().await;
    assert_eq!((world.simulators.rings().len(), world.simulators.handset(PHONE).len()), (rings, arrived));
    // The same number is somebody new.
    let again = world.person(PHONE).join(&world).await;
    assert_ne!(again.id, mara.id);
    assert_eq!(again.stats().await["total_workouts"], 0);
}

#[tokio::test]
async fn the_account_is_closed_at_once() {
    let world = World::new().await;
    let mara = lived(&world).await;
    let code = world.code_for(PHONE);
    world.stop_outbox(true);
    let receipt = mara.client.delete("/api/users/me", 202).await;
    let handset = world.simulators.handset(PHONE).len();
    for path in ["/api/users/me", "/api/users/me/stats", "/api/users/me/messages", "/api/users/me/export"] {
        mara.client.try_get(path).await.problem(404, "not-found");
    }
    mara.client
        .try_post("/api/workouts", &json!({"planned_activity": "a run", "planned_time": at("17:00")}))
        .await
        .problem(404, "not-found");
    let anyone = world.client();
    anyone
        .try_post("/api/auth/refresh", &json!({"refresh_token": mara.refresh_token}))
        .await
        .problem(401, "unauthorized");
    anyone.try_post("/api/auth/verify", &json!({"phone": PHONE, "code": code})).await.problem(401, "unauthorized");
    assert!(world.items("session").await.is_empty());
    world.stop_outbox(false);
    anyone.post("/api/auth/magic-link", json!({"phone": PHONE}), 202).await;
    world.settle().await;
    assert_eq!(world.simulators.handset(PHONE).len(), handset, "no link, and nothing that was queued");
    // Asked again, before and after the job, the answer is the same.
    assert_eq!(mara.client.delete("/api/users/me", 202).await, receipt);
    erased(&world).await;
    assert_eq!(mara.client.delete("/api/users/me", 202).await, receipt);
    assert_eq!(world.items("audit").await.len(), 1);
}

#[tokio::test]
async fn two_who_ask_at_once_get_one_receipt_and_the_job_twice_is_once() {
    let world = World::new().await;
    let mara = lived(&world).await;
    world.queues.twice.store(true, Ordering::Relaxed);
    let (one, other) = tokio::join!(mara.client.delete("/api/users/me", 202), mara.client.delete("/api/users/me", 202));
    assert_eq!(one, other);
    erased(&world).await;
    world.republish_outbox().await;
    erased(&world).await;
    assert_eq!(traces(&world, mara.id).await, Vec::<String>::new());
    assert_eq!(world.items("audit").await.len(), 1);
    let (totals, lines) = sums(&world).await;
    assert_eq!(totals, lines);
}

#[tokio::test]
async fn a_call_under_way_is_ended_and_its_late_news_write_nothing() {
    let world = World::new().await;
    let mara = lived(&world).await;
    let call = mara.client.try_post("/api/users/me/resume", &json!({})).await;
    assert_eq!(call.status, 200);
    world.simulators.set_persona(PHONE, Persona::Handset);
    mara.schedule("follow_up", at("12:30")).await;
    world.advance_to(at("12:30")).await;
    let ringing = world.simulators.rings().pop().unwrap().call_id;
    world.simulators.pick_up(&ringing);
    world.settle().await;
    world.hold_webhooks(true);
    mara.client.delete("/api/users/me", 202).await;
    erased(&world).await;
    assert_eq!(traces(&world, mara.id).await, Vec::<String>::new());
    // The end of the call and its analysis come late, and so does what the person writes, who has WhatsApp again.
    world.simulators.set_on_whatsapp(PHONE, true);
    world.simulators.reply(PHONE, "done");
    let before = world.snapshot().await;
    world.hold_webhooks(false);
    world.settle().await;
    world.assert_nothing_written(&before).await;
}

#[tokio::test]
async fn more_than_one_delivery_can_hold_is_erased_by_several() {
    let world = World::new().await;
    let mara = lived(&world).await;
    let store = &world.ivy.store;
    let profile = store.profile(mara.id).await.unwrap().unwrap();
    for _ in 0..1100 {
        let word = ivy_store::ConsentWord {
            id: ivy_domain::ConsentId::generate(world.now()),
            purpose: "calls".to_owned(),
            consent: profile.user.consents.calls.clone().unwrap(),
        };
        let mut transaction = store.transaction();
        transaction.consent(mara.id, &word);
        transaction.commit().await.unwrap();
    }
    mara.client.delete("/api/users/me", 202).await;
    erased(&world).await;
    assert_eq!(traces(&world, mara.id).await, Vec::<String>::new());
}

/// Lets one request of the erasing job go wrong: the nth that it makes.
#[derive(Debug)]
struct OneFault {
    /// Requests until the fault; not counting while it is 0.
    left: AtomicUsize,
    ruling: Ruling,
}

#[async_trait]
impl Gate for OneFault {
    async fn enter(&self, passage: &Passage) -> Ruling {
        let counts = matches!(passage.party, Party::Table | Party::Retell | Party::Twilio | Party::Queue);
        if counts && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1) {
            return self.ruling;
        }
        Ruling::Pass
    }
}

#[tokio::test]
async fn whatever_step_fails_the_person_is_forgotten_and_the_sums_hold() {
    let mut steps = 0;
    for ruling in [Ruling::LostBefore, Ruling::LostAfter] {
        for step in 1.. {
            let gate = Arc::new(OneFault { left: AtomicUsize::new(0), ruling });
            let setup = Setup { gate: Some(gate.clone()), table_attempts: 1, ..Setup::default() };
            let world = World::with("2026-11-23T06:00:00Z", setup).await;
            let mara = lived(&world).await;
            mara.client.delete("/api/users/me", 202).await;
            world.settle().await;
            gate.left.store(step, Ordering::SeqCst);
            // The job's own moment, and then what comes again.
            world.advance(SignedDuration::from_mins(2)).await;
            let met = gate.left.swap(0, Ordering::SeqCst) == 0;
            erased(&world).await;
            assert_eq!(traces(&world, mara.id).await, Vec::<String>::new(), "{ruling:?} at step {step}");
            assert_eq!(world.items("audit").await.len(), 1, "{ruling:?} at step {step}");
            let (totals, lines) = sums(&world).await;
            assert_eq!(totals, lines, "{ruling:?} at step {step}");
            if !met {
                break;
            }
            steps += 1;
        }
    }
    assert!(steps >= 16, "the job has {steps} steps at which something can go wrong; so few prove little");
}

/// Reads that show nothing of a person: the same for everybody who is signed in, or for anybody.
const NOTHING_PERSONAL: [&str; 4] = ["list-charities", "health", "api-docs", "api-docs-document"];

/// The access token outlives the account for some minutes; until the job comes, so do the items.
#[tokio::test]
async fn after_the_deletion_no_route_shows_anything_to_the_old_token() {
    let world = World::new().await;
    let mara = lived(&world).await;
    let (workout, call) = (mara.plan("Qxactivity", at("13:00")).await, mara.calls().await[0]["id"].clone());
    world.stop_outbox(true);
    mara.client.delete("/api/users/me", 202).await;
    let document: serde_json::Value = serde_json::from_str(&ivy_world::api::document()).unwrap();
    let mut walked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let Some(operation) = methods.get("get") else { continue };
        let id = operation["operationId"].as_str().unwrap();
        let of_users = operation["security"].is_null() && !path.starts_with("/webhooks/");
        if NOTHING_PERSONAL.contains(&id) || !of_users {
            continue;
        }
        let thing = match () {
            () if path.starts_with("/api/workouts/") => workout.as_str(),
            () if path.starts_with("/api/calls/") => call.as_str().unwrap(),
            () => "me",
        };
        let reply = mara.client.try_get(&path.replace("{id}", thing)).await;
        assert!([401, 404].contains(&reply.status.as_u16()), "{id}: {} {}", reply.status, reply.text);
        walked += 1;
    }
    assert!(walked >= 17, "{walked} routes; so few prove little");
}

#[tokio::test]
async fn closing_an_account_ends_all_its_sessions_at_once() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let mut tokens = vec![mara.refresh_token.clone()];
    let store = &world.ivy.store;
    for _ in 0..24 {
        world.advance(SignedDuration::from_mins(15)).await;
        let anyone = world.client();
        anyone.post("/api/auth/magic-link", json!({"phone": PHONE}), 202).await;
        world.settle().await;
        let session =
            anyone.post("/api/auth/verify", json!({"phone": PHONE, "code": world.code_for(PHONE)}), 200).await;
        tokens.push(session["refresh_token"].as_str().unwrap().to_owned());
    }
    assert_eq!(store.sessions(mara.id).await.unwrap().len(), 25);
    let kept = store.sessions(mara.id).await.unwrap().remove(0);
    world.stop_outbox(true);
    mara.client.delete("/api/users/me", 202).await;
    assert!(store.sessions(mara.id).await.unwrap().is_empty());
    // One that was opened at that very moment is worth nothing either.
    let mut transaction = store.transaction();
    transaction.session(&ivy_store::Session { version: 0, ..kept });
    transaction.commit().await.unwrap();
    for token in tokens {
        let reply = world.client().try_post("/api/auth/refresh", &json!({"refresh_token": token})).await;
        reply.problem(401, "unauthorized");
    }
}

/// A provider that is down: it answers nothing for as long as this is set.
#[derive(Debug, Default)]
struct Outage(std::sync::atomic::AtomicBool);

#[async_trait]
impl Gate for Outage {
    async fn enter(&self, passage: &Passage) -> Ruling {
        let down = passage.party == Party::Retell && self.0.load(Ordering::SeqCst);
        if down { Ruling::Status(500) } else { Ruling::Pass }
    }
}

async fn with_an_outage() -> (Arc<Outage>, World, Person) {
    let gate = Arc::new(Outage::default());
    let setup = Setup { gate: Some(gate.clone()), ..Setup::default() };
    let world = Box::pin(World::with("2026-11-23T06:00:00Z", setup)).await;
    let mara = lived(&world).await;
    gate.0.store(true, Ordering::SeqCst);
    mara.client.delete("/api/users/me", 202).await;
    (gate, world, mara)
}

#[tokio::test]
async fn a_provider_that_is_down_delays_nothing_but_its_own_part() {
    let (gate, world, mara) = with_an_outage().await;
    erased(&world).await;
    let left: Vec<String> = world.items("").await.iter().map(|item| format!("{item:?}")).collect();
    let left: Vec<_> = left
        .iter()
        .filter(|item| item.contains(&format!("USER#{}", mara.id)) && !item.contains("\"ERASURE\""))
        .collect();
    assert!(left.is_empty(), "our own table does not wait for Retell: {left:?}");
    assert!(world.simulators.customers().is_empty(), "nor does Stripe");
    assert!(!world.simulators.calls().is_empty());
    // Ten hours later, longer than the queue's own deliveries last, it is there again.
    world.advance(SignedDuration::from_hours(10)).await;
    assert!(world.queues.dead_letters().is_empty());
    gate.0.store(false, Ordering::SeqCst);
    world.advance(SignedDuration::from_mins(20)).await;
    assert_eq!(traces(&world, mara.id).await, Vec::<String>::new());
    assert_eq!(world.items("audit").await.len(), 1);
}

#[tokio::test]
async fn a_provider_that_stays_down_is_a_matter_for_people_before_the_day_is_over() {
    let (_gate, world, _) = with_an_outage().await;
    world.advance(SignedDuration::from_hours(23)).await;
    let letters = world.queues.dead_letters();
    assert!(letters.iter().any(|letter| letter.queue == ivy_flows::ports::Queue::EraseUsers), "{letters:?}");
    let wish = world.items("erasure").await;
    assert!(!wish[0].contains_key("erased_at") || wish[0]["erased_at"].as_s().is_err(), "it is not said to be done");
}
