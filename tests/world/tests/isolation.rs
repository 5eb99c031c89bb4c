//! Whose door is whose: every operation of the OpenAPI document is tried as nobody, with an expired and a forged token, and as
//! another user, and what must come of it stands in one table. A new operation fails here until it has its row; the list of open
//! operations may only shrink.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use ivy_domain::{SessionId, UserId};
use ivy_runtime::Tokens;
use ivy_store::Keyring;
use ivy_world::{Client, Person, Reply, World, api};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Who may use an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Anybody; these are all the exceptions there are.
    Open,
    /// The provider, by its signature or shared token; refused with this status.
    Signed(u16),
    /// The person whose id, or `me`, stands in the path.
    OwnPath,
    /// The owner of the thing whose id stands in the path.
    OwnThing(Thing),
    /// Whoever is signed in; what it makes is theirs.
    SignedIn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Workout,
    Call,
}

const DOORS: [(&str, Door); 23] = [
    ("api-docs", Door::Open),
    ("api-docs-document", Door::Open),
    ("health", Door::Open),
    ("create-user", Door::Open),
    ("request-magic-link", Door::Open),
    ("verify-magic-link", Door::Open),
    ("refresh-session", Door::Open),
    ("retell-webhook", Door::Signed(401)),
    ("whatsapp-webhook", Door::Signed(401)),
    ("whatsapp-verify", Door::Signed(403)),
    ("get-user", Door::OwnPath),
    ("update-user", Door::OwnPath),
    ("onboard-user", Door::OwnPath),
    ("todays-workouts", Door::OwnPath),
    ("get-stats", Door::OwnPath),
    ("get-wallet", Door::OwnPath),
    ("list-calls", Door::OwnPath),
    ("list-messages", Door::OwnPath),
    ("update-workout", Door::OwnThing(Thing::Workout)),
    ("get-call", Door::OwnThing(Thing::Call)),
    ("cancel-call", Door::OwnThing(Thing::Call)),
    ("create-workout", Door::SignedIn),
    ("schedule-call", Door::SignedIn),
];

/// More open operations than these need a reason first.
const MOST_OPEN: usize = 7;

struct Operation {
    id: String,
    method: Method,
    path: String,
    open: bool,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&api::document()).unwrap();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            found.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                open: operation["security"] == json!([{}]),
            });
        }
    }
    found
}

fn door(operation: &Operation) -> Door {
    let row = DOORS.iter().find(|(id, _)| *id == operation.id);
    row.unwrap_or_else(|| panic!("{} has no row in the table of doors", operation.id)).1
}

/// A body that the operation would take from its owner.
fn body(operation: &str, now: Timestamp) -> Value {
    let soon = now + SignedDuration::from_hours(2);
    match operation {
        "update-user" => json!({"first_name": "Mallory"}),
        "onboard-user" => json!({
            "track": "sleep", "consents": {"calls": true, "messages": true, "data_processing": true},
        }),
        "update-workout" => json!({"status": "completed"}),
        "create-workout" => json!({"planned_activity": "a run", "planned_time": soon}),
        "schedule-call" => json!({"call_type": "follow_up", "scheduled_time": soon}),
        _ => json!({}),
    }
}

async fn ask(client: &Client, operation: &Operation, id: &str, now: Timestamp) -> Reply {
    let path = operation.path.replace("{id}", id);
    let headers = [("content-type", "application/json")];
    client.send(operation.method.clone(), &path, &headers, body(&operation.id, now).to_string()).await
}

struct Owner {
    person: Person,
    workout: String,
    call: String,
}

impl Owner {
    async fn new(world: &World, phone: &str) -> Self {
        let person = world.person(phone).join(world).await;
        let workout = person.plan("a run", world.now() + SignedDuration::from_hours(1)).await;
        let call = person.schedule("follow_up", world.now() + SignedDuration::from_hours(6)).await;
        world.settle().await;
        Self { person, workout, call }
    }

    /// The id that the operation's path takes to reach what is this person's.
    fn id_for(&self, door: Door) -> String {
        match door {
            Door::OwnThing(Thing::Workout) => self.workout.clone(),
            Door::OwnThing(Thing::Call) => self.call.clone(),
            Door::Open | Door::Signed(_) | Door::OwnPath | Door::SignedIn => self.person.id.to_string(),
        }
    }
}

#[test]
fn every_operation_has_a_door_and_few_are_open() {
    let operations = operations();
    let documented: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    let listed: BTreeSet<&str> = DOORS.iter().map(|(id, _)| *id).collect();
    assert_eq!(listed, documented);
    for operation in &operations {
        let needs_no_token = matches!(door(operation), Door::Open | Door::Signed(_));
        assert_eq!(operation.open, needs_no_token, "{}: the document says otherwise", operation.id);
    }
    assert_eq!(DOORS.iter().filter(|(_, door)| *door == Door::Open).count(), MOST_OPEN);
}

#[tokio::test]
async fn nobody_gets_in_without_a_valid_token() {
    let world = World::new().await;
    let mara = Owner::new(&world, "+447700900401").await;
    let expired = mara.person.client.access_token().await.unwrap();
    world.advance(SignedDuration::from_mins(16)).await;
    let session = SessionId::generate(world.now());
    let stranger_key = Keyring::from_master_key(b"the master key of somebody else, as long");
    let forged = Tokens::new(&stranger_key).issue(mara.person.id, session, world.now()).unwrap();
    let before = world.snapshot().await;
    for token in [None, Some(expired), Some(forged), Some(mara.person.refresh_token.clone())] {
        for operation in operations() {
            let mut client = world.client();
            client.token.clone_from(&token);
            let ids = [mara.id_for(door(&operation)), "me".to_owned(), "nonsense".to_owned()];
            match door(&operation) {
                Door::Open => {
                    // No token changes what an open operation answers; it refuses the empty body, or reads.
                    let status = ask(&client, &operation, "", world.now()).await.status.as_u16();
                    assert!(matches!(status, 200 | 422), "{}: {status}", operation.id);
                }
                Door::Signed(status) => {
                    let kind = if status == 401 { "unauthorized" } else { "forbidden" };
                    ask(&client, &operation, "", world.now()).await.problem(status, kind);
                }
                Door::OwnPath | Door::OwnThing(_) | Door::SignedIn => {
                    for id in ids {
                        let reply = ask(&client, &operation, &id, world.now()).await;
                        assert_eq!(reply.status, 401, "{} of {id}: {}", operation.id, reply.text);
                        reply.problem(401, "unauthorized");
                    }
                }
            }
        }
    }
    world.assert_nothing_written(&before).await;
}

/// What is another's, what never was, and what is no id answer the same.
#[tokio::test]
async fn what_is_anothers_does_not_exist() {
    let world = World::new().await;
    let mara = Owner::new(&world, "+447700900401").await;
    let mallory = Owner::new(&world, "+447700900402").await;
    let before = world.snapshot().await;
    let mut tried = 0;
    for operation in operations() {
        let door = door(&operation);
        if !matches!(door, Door::OwnPath | Door::OwnThing(_)) {
            continue;
        }
        tried += 1;
        let client = &mallory.person.client;
        let anothers = ask(client, &operation, &mara.id_for(door), world.now()).await;
        let unknown = ask(client, &operation, &UserId::generate(world.now()).to_string(), world.now()).await;
        let nonsense = ask(client, &operation, "nonsense", world.now()).await;
        for reply in [&anothers, &unknown, &nonsense] {
            assert_eq!(reply.status, 404, "{}: {}", operation.id, reply.text);
            reply.problem(404, "not-found");
        }
        assert_eq!(anothers.text, unknown.text);
        assert_eq!(anothers.text, nonsense.text);
        if matches!(door, Door::OwnThing(_)) {
            // `me` is no name of a thing.
            ask(client, &operation, "me", world.now()).await.problem(404, "not-found");
        }
    }
    assert_eq!(tried, DOORS.iter().filter(|(_, door)| matches!(door, Door::OwnPath | Door::OwnThing(_))).count());
    world.assert_nothing_written(&before).await;
}

#[tokio::test]
async fn people_reach_what_is_their_own_and_nothing_else() {
    let world = World::new().await;
    let mara = Owner::new(&world, "+447700900401").await;
    let mallory = Owner::new(&world, "+447700900402").await;
    let untouched: BTreeMap<String, String> = everything_of(&mara, &world).await;
    for operation in operations() {
        let door = door(&operation);
        if matches!(door, Door::Open | Door::Signed(_)) {
            continue;
        }
        let expected = match operation.id.as_str() {
            "onboard-user" => 409,
            "create-workout" | "schedule-call" => 201,
            _ => 200,
        };
        let client = &mallory.person.client;
        let reply = ask(client, &operation, &mallory.id_for(door), world.now()).await;
        assert_eq!(reply.status.as_u16(), expected, "{}: {}", operation.id, reply.text);
        let by_me = match door {
            Door::OwnPath => ask(client, &operation, "me", world.now()).await.text,
            Door::Open | Door::Signed(_) | Door::OwnThing(_) | Door::SignedIn => String::new(),
        };
        for text in [&reply.text, &by_me] {
            for secret in [&mara.person.id.to_string(), &mara.person.phone, &mara.workout, &mara.call] {
                assert!(!text.contains(secret.as_str()), "{} shows another's data", operation.id);
            }
        }
        if let Some(owner) = reply.body["user_id"].as_str() {
            assert_eq!(owner, mallory.person.id.to_string(), "{}", operation.id);
        }
    }
    world.settle().await;
    assert_eq!(everything_of(&mara, &world).await, untouched);
}

/// All that a person can read of themselves, by operation.
async fn everything_of(owner: &Owner, world: &World) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for operation in operations() {
        let door = door(&operation);
        if operation.method == Method::GET && matches!(door, Door::OwnPath | Door::OwnThing(_)) {
            let reply = ask(&owner.person.client, &operation, &owner.id_for(door), world.now()).await;
            assert_eq!(reply.status, 200, "{}", operation.id);
            found.insert(operation.id, reply.text);
        }
    }
    found
}
