//! A story: who lives in it, how unkind its world is, how long it lasts, and its end in quiet.
//!
//! Short ones (hours to four days) have calls by plan; long ones (up to 40 days, over a change of month or of clocks) have
//! messages in their place and a habit of logging daily, so that runs grow to their bonuses. Every story ends with a quiet
//! time without faults in which everything that was held back is delivered, calls are hung up and sweeps run.

use std::sync::Arc;

use ivy_domain::{CharityId, User, UserId, charity::Charity};
use ivy_flows::Settings;
use ivy_simulators::{CallScript, CallStatus};
use ivy_store::{Profile, Session};
use ivy_world::{Setup, World, gate::Ruling};
use jiff::{SignedDuration, civil::date};
use serde_json::{Value, json};

use crate::{
    chance::Chance,
    driver::{Driver, Someone},
    invariants,
    schedule::{Counts, Schedule},
};

/// What came of a seed.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) seed: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) trace: Vec<String>,
    pub(crate) counts: Counts,
    /// The requests that changed something, or sent something.
    pub(crate) telling: Vec<u64>,
    pub(crate) happenings: u64,
}

pub(crate) fn charities(world: &World) -> [CharityId; 2] {
    [world.charity(), CharityId::derive(date(2026, 1, 1), &["charity", "second"])]
}

const NAMES: [&str; 2] = ["Ann", "Ben"];
const STARTS: [&str; 6] = [
    "2026-11-23T06:00:00Z",
    "2026-11-28T15:00:00Z",
    "2026-10-23T10:00:00Z",
    "2026-12-30T17:00:00Z",
    "2026-03-27T12:00:00Z",
    "2026-11-23T19:00:00Z",
];

/// How a story is meant to go.
struct Plot {
    bursts: usize,
    /// The longest pause between two bursts, in minutes.
    pause: i64,
    called: bool,
    /// Somebody does their bit every day.
    habit: bool,
    per_mille: u32,
    budget: u32,
}

impl Plot {
    fn of(chance: &mut Chance) -> Self {
        let (per_mille, budget) = chance.pick(&[(0, 0), (15, 12), (30, 20), (60, 30), (120, 40)]);
        let bursts = usize::try_from(chance.between(4, 9)).unwrap();
        match chance.below(10) {
            0..=5 => Self { bursts, pause: 45, called: true, habit: false, per_mille, budget },
            6..=7 => Self { bursts, pause: 14 * 60, called: true, habit: false, per_mille, budget },
            _ => Self { bursts, pause: 6 * 24 * 60, called: false, habit: true, per_mille, budget },
        }
    }
}

/// Runs a seed's story and checks its end.
pub(crate) async fn tell(seed: u64) -> Told {
    tell_with(seed, None).await
}

/// A seed's story without chance's faults, in which one request's function crashes before it or after it; or none.
pub(crate) async fn tell_with_a_crash(seed: u64, crash: Option<(u64, Ruling)>) -> Told {
    tell_with(seed, Some(crash)).await
}

async fn tell_with(seed: u64, crash: Option<Option<(u64, Ruling)>>) -> Told {
    let mut chance = Chance::new(seed, 3);
    let mut plot = Plot::of(&mut chance);
    if crash.is_some() {
        (plot.per_mille, plot.budget) = (0, 0);
    }
    let start = chance.pick(&STARTS);
    let schedule = Arc::new(Schedule::new(seed, start.parse().unwrap()));
    let mut settings = Settings::for_testing();
    // One slot for all, or one and another that is reserved: calls wait for each other, and no id chooses among slots.
    if let Some(few) = chance.pick(&[Some((1, 0)), Some((2, 1)), None]) {
        (settings.call_slots, settings.reserved_call_slots) = few;
    }
    let table_attempts = chance.pick(&[3, 3, 1]);
    if let Some((request, ruling)) = crash.flatten() {
        schedule.crash_at(request, ruling);
    }
    let setup = Setup { gate: Some(schedule.clone()), table_attempts, settings };
    let world = Arc::new(Box::pin(World::with(start, setup)).await);
    let mut driver = Driver::new(world, schedule, seed);
    Box::pin(settle_in(&mut driver, &plot, seed, &mut chance)).await;
    Box::pin(live(&mut driver, &plot, &mut chance)).await;
    Box::pin(rest(&mut driver)).await;
    let violations = Box::pin(invariants::check(&mut driver)).await;
    Told {
        seed,
        violations,
        trace: driver.schedule.trace(),
        counts: driver.schedule.counts(),
        telling: driver.schedule.telling(),
        happenings: driver.happenings,
    }
}

/// The people of the story, written as sign-up and onboarding leave them: with ids that the seed knows.
async fn settle_in(driver: &mut Driver, plot: &Plot, seed: u64, chance: &mut Chance) {
    let second = Charity {
        id: charities(&driver.world)[1],
        name: "Shelter".to_owned(),
        impact_unit: "nights".to_owned(),
        impact_per_pound_milli: 100,
    };
    Box::pin(driver.world.ivy.store.put_charity(&second)).await.unwrap();
    let limit = chance.pick(&[300, 700, 2000]);
    Box::pin(driver.world.ivy.store.put_company(&crate::driver::company(limit))).await.unwrap();
    for name in &NAMES[..=chance.below(2)] {
        let zone = chance.pick(&["Europe/London", "Europe/London", "America/New_York", "Asia/Kolkata"]);
        let tier = chance.pick(&["b2c_pro", "b2c_elite", "b2c_elite", "b2c_concierge", "b2b_sponsor", "b2b_sponsor"]);
        let preference = if plot.called { chance.pick(&["calls", "calls", "mixed"]) } else { "async" };
        let someone = Box::pin(person(driver, name, seed, zone, tier, preference)).await;
        driver.schedule.note(format!("{name}: {tier}, {zone}, {preference}"));
        driver.people.push(Someone { called: plot.called, ..someone });
    }
    Box::pin(driver.run_due(Vec::new())).await;
}

async fn person(driver: &Driver, name: &'static str, seed: u64, zone: &str, tier: &str, preference: &str) -> Someone {
    let (world, now) = (&driver.world, driver.world.now());
    let id = UserId::derive(date(2026, 1, 1), &["faults", &seed.to_string(), name]);
    let company = (tier == "b2b_sponsor").then(|| crate::driver::company(0).id);
    let preferred: &[&str] = match seed % 4 {
        0 => &["mon", "wed", "fri", "sun"],
        1 => &["tue"],
        _ => &[],
    };
    let phone = if name == "Ann" { "+447700900151" } else { "+447700900252" };
    let consent = json!({"granted": true, "at": now, "source": "onboarding", "wording_version": "2026-11"});
    let user: User = serde_json::from_value(json!({
        "id": id, "phone": phone, "first_name": name, "timezone": zone, "locale": "en-GB",
        "subscription_type": tier, "subscription_status": "active", "track": "fitness", "weekly_goal": 3,
        "morning_window": {"start": "07:30", "end": "09:00"}, "evening_window": {"start": "18:00", "end": "20:00"},
        "preferred_days": preferred, "company_id": company, "communication_preference": preference, "obstacles": [], "status": "active",
        "consents": {"calls": consent, "messages": consent, "data_processing": consent},
        "created_at": now, "updated_at": now, "onboarded_at": now, "phone_proven_at": now, "version": 0,
    }))
    .unwrap();
    let store = &world.ivy.store;
    let profile = Profile { cipher: store.keyring().new_user_cipher(id), user };
    let session = Session {
        id: ivy_domain::SessionId::generate(now),
        user_id: id,
        current: 1,
        rotated_at: now,
        earlier: Vec::new(),
        created_at: now,
        expires_at: now.as_second() + 40 * 86_400,
        version: 0,
    };
    let mut transaction = store.transaction();
    transaction.user(&profile).own_phone(&profile).session(&session);
    Box::pin(transaction.commit()).await.unwrap();
    let token = format!("{id}.{}.1", session.id);
    let refresh_token = format!("{token}.{}", store.keyring().keyed_hash("refresh-token", &token));
    Someone { name, id, phone: phone.to_owned(), zone: zone.to_owned(), called: false, refresh_token }
}

async fn live(driver: &mut Driver, plot: &Plot, chance: &mut Chance) {
    driver.schedule.disturb(plot.per_mille, plot.budget);
    driver.twice = chance.pick(&[0, 50, 200]);
    driver.late = chance.pick(&[0, 300, 1000]);
    for number in 0..plot.bursts {
        let pause = driver.chance.between(1, plot.pause);
        let until = driver.world.now() + SignedDuration::from_mins(pause);
        if plot.habit {
            Box::pin(keep_the_habit(driver, until)).await;
        }
        Box::pin(driver.advance_to(until)).await;
        driver.schedule.note(format!("burst {}", number + 1));
        let mut doings = Vec::new();
        for _ in 0..driver.chance.between(2, 5) {
            doings.extend(driver.happen());
        }
        Box::pin(driver.run_due(doings)).await;
    }
}

/// "Done" at noon on each day that passes.
async fn keep_the_habit(driver: &mut Driver, until: jiff::Timestamp) {
    let ann = driver.people[0].clone();
    loop {
        let next = driver.world.now() + SignedDuration::from_hours(24);
        if next >= until {
            return;
        }
        Box::pin(driver.advance_to(next)).await;
        driver.schedule.note("a day of the habit");
        driver.world.simulators.reply(&ann.phone, "done");
        let doings = driver.fresh_webhooks();
        driver.happenings += 1;
        Box::pin(driver.run_due(doings)).await;
    }
}

/// No more faults; all that was held back comes; and two days pass in which every pause with an end, every call of the day that it
/// ends on, every lease and every retry has its end.
async fn rest(driver: &mut Driver) {
    driver.schedule.note("quiet");
    driver.schedule.disturb(0, 0);
    driver.world.simulators.faults().clear();
    driver.late = 0;
    (driver.twice, driver.stream_stopped, driver.webhooks_held, driver.sweep_minutes) = (0, false, false, 5);
    for someone in &mut driver.people {
        someone.called = false;
    }
    for call in driver.world.simulators.calls() {
        if call.status == CallStatus::Ongoing {
            driver.world.simulators.hang_up(&call.call_id, CallScript::nothing());
        }
    }
    let until = driver.world.now() + SignedDuration::from_hours(54);
    Box::pin(driver.advance_to(until)).await;
    Box::pin(driver.run_due(Vec::new())).await;
}

/// A raw item of the table, as plain JSON.
pub(crate) fn raw(item: &ivy_store::Item) -> Value {
    item.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<serde_json::Map<_, _>>().into()
}

fn plain(value: &aws_sdk_dynamodb::types::AttributeValue) -> Value {
    use aws_sdk_dynamodb::types::AttributeValue;
    match value {
        AttributeValue::N(number) => serde_json::from_str(number).unwrap(),
        AttributeValue::S(text) => json!(text),
        AttributeValue::Bool(yes) => json!(yes),
        AttributeValue::M(fields) => raw(fields),
        AttributeValue::L(values) => values.iter().map(plain).collect(),
        _ => Value::Null,
    }
}
