//! `Idempotency-Key` on every creating route: repeats replay the first answer for 24 hours, with one effect; another body under
//! the same key is refused; keys of different people never meet.

#![allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]

use ivy_world::{Client, Person, Reply, World};
use jiff::SignedDuration;
use serde_json::{Value, json};

const PHONE: &str = "+447700900501";
const KEY: &str = "3f1c7e52-0b1e-4a51-9d3e-8f6f2f1d7a10";
/// The beginning of every number here.
const NUMBERS: &str = "+4477009005";

/// A creating request, and who makes it.
struct Case {
    name: &'static str,
    client: Client,
    path: &'static str,
    body: Value,
    other_body: Value,
    status: u16,
    /// The items whose number tells of the effect.
    entity: &'static str,
}

impl Case {
    /// Sends the request under a key of this route's own: one key never serves two routes of a person.
    async fn send(&self, key: &str, body: &Value) -> Reply {
        self.client.post_once(self.path, &format!("{}-{key}", self.name), body).await
    }
}

struct Setting {
    world: World,
    cases: Vec<Case>,
}

fn sign_up(phone: &str) -> Value {
    json!({"phone": phone, "first_name": "Mira"})
}

fn answers(track: &str) -> Value {
    json!({"track": track, "consents": {"calls": true, "messages": true, "data_processing": true}})
}

async fn setting() -> Setting {
    let world = World::new().await;
    let mara = world.person(PHONE).join(&world).await;
    let new = world.person("+447700900502").not_onboarded().join(&world).await;
    let case = |name, client: &Client, path, body, other_body, status, entity| Case {
        name,
        client: client.clone(),
        path,
        body,
        other_body,
        status,
        entity,
    };
    let cases = vec![
        case(
            "create-user",
            &world.client(),
            "/api/users",
            sign_up("+447700900503"),
            sign_up("+447700900504"),
            201,
            "user",
        ),
        case(
            "create-workout",
            &mara.client,
            "/api/workouts",
            json!({"planned_activity": "a run", "planned_time": "2026-11-24T17:00:00Z"}),
            json!({"planned_activity": "a run", "planned_time": "2026-11-24T17:30:00Z"}),
            201,
            "workout",
        ),
        case(
            "schedule-call",
            &mara.client,
            "/api/calls",
            json!({"call_type": "follow_up", "scheduled_time": "2026-11-26T12:00:00Z"}),
            json!({"call_type": "follow_up", "scheduled_time": "2026-11-26T13:00:00Z"}),
            201,
            "call",
        ),
        case(
            "initiate-call",
            &mara.client,
            "/api/calls/initiate",
            json!({"call_type": "follow_up"}),
            json!({"call_type": "rescue"}),
            201,
            "call",
        ),
        case(
            "record-score",
            &mara.client,
            "/api/users/me/transformation",
            json!({"energy": 7}),
            json!({"energy": 6}),
            201,
            "score",
        ),
        case(
            "record-marker",
            &mara.client,
            "/api/users/me/life-markers",
            json!({"text": "ran up the hill"}),
            json!({"text": "slept all night"}),
            201,
            "marker",
        ),
        case("onboard-user", &new.client, "/api/users/me/onboard", answers("focus"), answers("sleep"), 200, "progress"),
    ];
    Setting { world, cases }
}

fn same(one: &Reply, other: &Reply, name: &str) {
    assert_eq!(one.status, other.status, "{name}: {} {}", one.text, other.text);
    assert_eq!(one.text, other.text, "{name}");
    assert_eq!(one.headers["content-type"], other.headers["content-type"], "{name}");
    assert_ne!(one.request_id(), other.request_id(), "{name}: the id is of the request, not of the answer");
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_does_nothing() {
    let Setting { world, cases } = setting().await;
    for case in cases {
        let first = case.send(KEY, &case.body).await;
        assert_eq!(first.status.as_u16(), case.status, "{}: {}", case.name, first.text);
        assert_eq!(first.headers["content-type"], "application/json");
        world.settle().await;
        let (after, handset) = (world.snapshot().await, world.simulators.handset("+447700900503").len());
        for _ in 0..3 {
            same(&case.send(KEY, &case.body).await, &first, case.name);
        }
        world.settle().await;
        world.assert_nothing_written(&after).await;
        assert_eq!(world.simulators.handset("+447700900503").len(), handset);
        case.send(KEY, &case.other_body).await.problem(422, "idempotency-key-reused");
        world.assert_nothing_written(&after).await;
        same(&case.send(KEY, &case.body).await, &first, case.name);
    }
}

#[tokio::test]
async fn two_at_once_have_one_effect_and_one_answer() {
    for round in 0..4 {
        let Setting { world, cases } = setting().await;
        for case in cases {
            let before = world.items(case.entity).await.len();
            let key = format!("round-{round}");
            let (one, other, third) =
                tokio::join!(case.send(&key, &case.body), case.send(&key, &case.body), case.send(&key, &case.body));
            assert_eq!(one.status.as_u16(), case.status, "{}: {}", case.name, one.text);
            same(&one, &other, case.name);
            same(&one, &third, case.name);
            let made = world.items(case.entity).await.len() - before;
            assert!(made <= 1, "{}: {made} effects", case.name);
            assert!(made == 1 || case.name == "onboard-user");
            world.settle().await;
        }
    }
}

#[tokio::test]
async fn without_a_key_a_repeat_is_a_new_request() {
    let Setting { world, cases } = setting().await;
    for case in cases {
        let before = world.items(case.entity).await.len();
        let first = case.client.try_post(case.path, &case.body).await;
        assert_eq!(first.status.as_u16(), case.status, "{}: {}", case.name, first.text);
        let second = case.client.try_post(case.path, &case.body).await;
        match case.name {
            // The answer does not tell that the number has an account by now, and no other is made.
            "create-user" => {
                assert_ne!(second.expect(201)["id"], first.body["id"]);
                assert_eq!(world.items(case.entity).await.len(), before + 1);
            }
            "onboard-user" => assert_eq!(second.problem(409, "already-onboarded")["status"], 409),
            "initiate-call" => assert_eq!(second.problem(409, "call-under-way")["status"], 409),
            _ => {
                assert_ne!(second.expect(201)["id"], first.body["id"]);
                assert_eq!(world.items(case.entity).await.len(), before + 2);
            }
        }
    }
}

/// The table's TTL deletes late, so the record may still be there.
#[tokio::test]
async fn after_24_hours_a_key_is_new() {
    let Setting { world, cases } = setting().await;
    let mut firsts = Vec::new();
    for case in &cases {
        firsts.push(case.send(KEY, &case.body).await);
    }
    world.advance(SignedDuration::from_secs(86_400 - 1)).await;
    for (case, first) in cases.iter().zip(&firsts) {
        same(&case.send(KEY, &case.body).await, first, case.name);
    }
    world.advance(SignedDuration::from_secs(1)).await;
    for (case, first) in cases.iter().zip(&firsts) {
        let again = case.send(KEY, &case.body).await;
        match case.name {
            "onboard-user" => assert_eq!(again.problem(409, "already-onboarded")["status"], 409),
            _ => {
                assert_eq!(again.status, 201, "{}: {}", case.name, again.text);
                assert_ne!(again.body["id"], first.body["id"], "{}", case.name);
                same(&case.send(KEY, &case.body).await, &again, case.name);
                // And another body may take the key, since nothing of the first request counts any more.
            }
        }
    }
    world.advance(SignedDuration::from_hours(25)).await;
    let workout = &cases[1];
    let other = json!({"planned_activity": "a walk", "planned_time": "2026-11-27T17:00:00Z"});
    assert_eq!(workout.send(KEY, &other).await.expect(201)["planned_activity"], "a walk");
}

#[tokio::test]
async fn keys_of_two_people_do_not_meet() {
    let world = World::new().await;
    let mara: Person = world.person(PHONE).join(&world).await;
    let noor: Person = world.person("+447700900505").join(&world).await;
    let plan = |activity: &str| json!({"planned_activity": activity, "planned_time": "2026-11-23T17:00:00Z"});
    let hers = mara.client.post_once("/api/workouts", KEY, &plan("a run")).await.expect(201);
    let his = noor.client.post_once("/api/workouts", KEY, &plan("a walk")).await.expect(201);
    assert_eq!(hers["user_id"], mara.id.to_string());
    assert_eq!(his["user_id"], noor.id.to_string());
    let same_words = noor.client.post_once("/api/workouts", "key-2", &plan("a run")).await.expect(201);
    let and_hers = mara.client.post_once("/api/workouts", "key-2", &plan("a run")).await.expect(201);
    assert_ne!(same_words["id"], and_hers["id"]);
    // Who signs up has no account yet: the address keeps strangers' keys apart.
    let one = world.client().post_once("/api/users", KEY, &sign_up("+447700900506")).await.expect(201);
    let other = world.client().post_once("/api/users", KEY, &sign_up("+447700900507")).await.expect(201);
    assert_ne!(one["id"], other["id"]);
    let stranger = world.client().post_once("/api/users", KEY, &sign_up("+447700900506")).await;
    assert_ne!(stranger.expect(201)["id"], one["id"], "a key and a body do not open another's answer");
}

#[tokio::test]
async fn a_key_is_tied_to_its_route() {
    let world = World::new().await;
    let mara = world.person(PHONE).join(&world).await;
    let plan = json!({"planned_activity": "a run", "planned_time": "2026-11-23T17:00:00Z"});
    mara.client.post_once("/api/workouts", KEY, &plan).await.expect(201);
    let call = json!({"call_type": "follow_up", "scheduled_time": "2026-11-23T12:00:00Z"});
    mara.client.post_once("/api/calls", KEY, &call).await.problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let world = World::new().await;
    let mara = world.person(PHONE).join(&world).await;
    let before = world.snapshot().await;
    let wrong = json!({"planned_activity": "", "planned_time": "2026-11-23T17:00:00Z"});
    mara.client.post_once("/api/workouts", KEY, &wrong).await.problem(422, "invalid-input");
    let past = json!({"planned_activity": "a run", "planned_time": "2026-11-20T17:00:00Z"});
    mara.client.post_once("/api/workouts", KEY, &past).await.problem(422, "invalid-input");
    world.assert_nothing_written(&before).await;
    let right = json!({"planned_activity": "a run", "planned_time": "2026-11-23T17:00:00Z"});
    mara.client.post_once("/api/workouts", KEY, &right).await.expect(201);
}

#[tokio::test]
async fn a_malformed_key_is_refused_and_nothing_is_done() {
    let Setting { world, cases } = setting().await;
    let before = world.snapshot().await;
    let long = "k".repeat(256);
    for case in &cases {
        for key in ["", " ", "a b", "schl\u{fc}ssel", "tab\tkey", &long] {
            let reply = case.client.post_once(case.path, key, &case.body).await;
            reply.problem(422, "invalid-input");
            assert_eq!(reply.wrong_fields(), ["Idempotency-Key"], "{}: {key:?}", case.name);
        }
    }
    world.assert_nothing_written(&before).await;
    let longest = "k".repeat(255);
    let reply = cases[1].client.post_once(cases[1].path, &longest, &cases[1].body).await;
    reply.expect(201);
}

#[tokio::test]
async fn an_answer_is_kept_sealed() {
    let Setting { world, cases } = setting().await;
    for case in &cases {
        case.send(KEY, &case.body).await.expect(case.status);
    }
    for line in world.snapshot().await {
        assert!(!line.contains(KEY), "the key itself is kept: {line}");
        assert!(!line.contains(NUMBERS), "a number stands in the table: {line}");
    }
}
