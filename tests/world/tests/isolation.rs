//! Whose door is whose: every operation of the OpenAPI document is tried by every kind of caller, and what must come of it stands
//! in one table, [`verdict`]: a door and a caller make an answer. Callers are nobody, bearers of tokens that are expired, forged,
//! unsigned or for another audience, another user, the company's admin, another company's admin, and an operator.
//!
//! A new operation fails here until it has its row in `DOORS`: name its door, and in `body` what it would take, if it takes
//! anything. The list of open operations, `open_routes.txt`, may only shrink.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what broke by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ivy_domain::{CompanyId, SessionId, UserId};
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
    /// Operators of the service.
    Operators,
    /// The admins of the company whose id stands in the path.
    OwnCompany,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Workout,
    Call,
}

const DOORS: &[(&str, Door)] = &[
    ("api-docs", Door::Open),
    ("api-docs-document", Door::Open),
    ("health", Door::Open),
    ("create-user", Door::Open),
    ("request-magic-link", Door::Open),
    ("verify-magic-link", Door::Open),
    ("refresh-session", Door::Open),
    ("admin-login", Door::Open),
    ("end-session", Door::SignedIn),
    ("retell-webhook", Door::Signed(401)),
    ("retell-inbound", Door::Signed(401)),
    ("retell-function", Door::Signed(401)),
    ("twilio-status", Door::Signed(401)),
    ("twilio-sms", Door::Signed(401)),
    ("whatsapp-webhook", Door::Signed(401)),
    ("whatsapp-verify", Door::Signed(403)),
    ("get-user", Door::OwnPath),
    ("update-user", Door::OwnPath),
    ("onboard-user", Door::OwnPath),
    ("pause-user", Door::OwnPath),
    ("resume-user", Door::OwnPath),
    ("set-consents", Door::OwnPath),
    ("export-user", Door::OwnPath),
    ("delete-user", Door::OwnPath),
    ("todays-workouts", Door::OwnPath),
    ("list-workouts", Door::OwnPath),
    ("get-stats", Door::OwnPath),
    ("get-streak", Door::OwnPath),
    ("get-activity", Door::OwnPath),
    ("get-transformation", Door::OwnPath),
    ("get-call-stats", Door::OwnPath),
    ("record-score", Door::OwnPath),
    ("delete-scores", Door::OwnPath),
    ("record-marker", Door::OwnPath),
    ("get-wallet", Door::OwnPath),
    ("list-donations", Door::OwnPath),
    ("get-impact", Door::OwnPath),
    ("list-receipts", Door::OwnPath),
    ("list-calls", Door::OwnPath),
    ("list-messages", Door::OwnPath),
    ("get-workout", Door::OwnThing(Thing::Workout)),
    ("update-workout", Door::OwnThing(Thing::Workout)),
    ("delete-workout", Door::OwnThing(Thing::Workout)),
    ("get-call", Door::OwnThing(Thing::Call)),
    ("cancel-call", Door::OwnThing(Thing::Call)),
    ("reschedule-call", Door::OwnThing(Thing::Call)),
    ("create-workout", Door::SignedIn),
    ("list-charities", Door::SignedIn),
    ("schedule-call", Door::SignedIn),
    ("initiate-call", Door::SignedIn),
    ("upcoming-calls", Door::Operators),
    ("record-outcome", Door::Operators),
    ("send-message", Door::Operators),
    ("log-donation", Door::Operators),
];

/// The operations that need no token, a line each.
const OPEN_ROUTES: &str = include_str!("../open_routes.txt");
/// There were never more; lower it with the list.
const MOST_OPEN: usize = 8;

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    Expired,
    /// Signed with a key of somebody else, under our key's id.
    Forged,
    /// A genuine token's claims without a signature.
    AlgNone,
    /// Signed by us for an audience that is none of ours.
    UnknownAudience,
    RefreshToken,
    AnotherUser,
    CompanyAdmin,
    AnotherCompanysAdmin,
    Operator,
}

const CALLERS: [Caller; 10] = [
    Caller::Nobody,
    Caller::Expired,
    Caller::Forged,
    Caller::AlgNone,
    Caller::UnknownAudience,
    Caller::RefreshToken,
    Caller::AnotherUser,
    Caller::CompanyAdmin,
    Caller::AnotherCompanysAdmin,
    Caller::Operator,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Refused(u16),
    /// The answer is whatever the request deserves.
    Through,
}

/// The table: what comes of a caller at a door that is not made for them in person.
fn verdict(door: Door, caller: Caller) -> Verdict {
    use Verdict::{Refused, Through};
    let without_right = match caller {
        Caller::Nobody
        | Caller::Expired
        | Caller::Forged
        | Caller::AlgNone
        | Caller::UnknownAudience
        | Caller::RefreshToken => true,
        Caller::AnotherUser | Caller::CompanyAdmin | Caller::AnotherCompanysAdmin | Caller::Operator => false,
    };
    match (door, caller) {
        (Door::Open, _) => Through,
        (Door::Signed(status), _) => Refused(status),
        (_, _) if without_right => Refused(401),
        (Door::OwnPath | Door::OwnThing(_), Caller::AnotherUser) => Refused(404),
        (Door::OwnCompany, Caller::AnotherCompanysAdmin) => Refused(404),
        (Door::SignedIn, Caller::AnotherUser) => Through,
        (Door::Operators, Caller::Operator) => Through,
        (Door::OwnCompany, Caller::CompanyAdmin) => Through,
        // A valid token of another audience is no token here.
        (Door::OwnPath | Door::OwnThing(_) | Door::SignedIn | Door::Operators | Door::OwnCompany, _) => Refused(401),
    }
}

struct Operation {
    id: String,
    method: Method,
    path: String,
    security: Value,
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
                security: operation["security"].clone(),
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
        "pause-user" => json!({"reason": "sick"}),
        "set-consents" => json!({"calls": true, "messages": true, "data_processing": true}),
        "update-workout" => json!({"status": "completed"}),
        "record-score" => json!({"energy": 7}),
        "record-marker" => json!({"text": "ran up the hill"}),
        "create-workout" => json!({"planned_activity": "a run", "planned_time": soon}),
        "schedule-call" => json!({"call_type": "follow_up", "scheduled_time": soon}),
        "initiate-call" => json!({"call_type": "rescue"}),
        "reschedule-call" => json!({"scheduled_time": soon}),
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
    company: CompanyId,
}

impl Owner {
    async fn new(world: &World, phone: &str) -> Self {
        let person = world.person(phone).join(world).await;
        let workout = person.plan("a run", world.now() + SignedDuration::from_hours(1)).await;
        let call = person.schedule("follow_up", world.now() + SignedDuration::from_hours(6)).await;
        world.settle().await;
        Self { person, workout, call, company: CompanyId::generate(world.now()) }
    }

    /// The id that the operation's path takes to reach what is this person's.
    fn id_for(&self, door: Door) -> String {
        match door {
            Door::OwnThing(Thing::Workout) => self.workout.clone(),
            Door::OwnThing(Thing::Call) => self.call.clone(),
            // An operator's route with an id is of somebody's call, message or company; a user's id is refused after the token.
            Door::Open | Door::Signed(_) | Door::OwnPath | Door::SignedIn | Door::Operators => {
                self.person.id.to_string()
            }
            Door::OwnCompany => self.company.to_string(),
        }
    }
}

/// A client of each caller; who needs time to pass comes first.
async fn callers(world: &World, owner: &Owner, another: &Owner) -> Vec<(Caller, Client)> {
    let genuine = owner.person.client.access_token().await.unwrap();
    world.advance(SignedDuration::from_mins(16)).await;
    let key = world.ivy.store.keyring().signing_key();
    let session = SessionId::generate(world.now());
    let fresh = Tokens::new(world.ivy.store.keyring()).issue(owner.person.id, session, world.now()).unwrap();
    let claims = fresh.split('.').nth(1).unwrap();
    let foreign = Keyring::from_master_key(b"the master key of somebody else, as long");
    let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = encoded(json!({"typ": "JWT", "alg": "none", "kid": key.id()}));
    let mut elsewhere: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    elsewhere["aud"] = json!("ivy-elsewhere");
    let header = jsonwebtoken::Header { kid: Some(key.id().to_owned()), ..jsonwebtoken::Header::default() };
    let encoding = jsonwebtoken::EncodingKey::from_secret(&key.derive("access-token"));
    let mut found = Vec::new();
    for caller in CALLERS {
        let mut client = world.client();
        client.token = match caller {
            Caller::Nobody => None,
            Caller::Expired => Some(genuine.clone()),
            Caller::Forged => Some(Tokens::new(&foreign).issue(owner.person.id, session, world.now()).unwrap()),
            Caller::AlgNone => Some(format!("{none}.{claims}.")),
            Caller::UnknownAudience => Some(jsonwebtoken::encode(&header, &elsewhere, &encoding).unwrap()),
            Caller::RefreshToken => Some(owner.person.refresh_token.clone()),
            Caller::AnotherUser => another.person.client.access_token().await,
            Caller::CompanyAdmin => world.company_admin(owner.company).await.token,
            Caller::AnotherCompanysAdmin => world.company_admin(another.company).await.token,
            Caller::Operator => world.operator().await.token,
        };
        found.push((caller, client));
    }
    found
}

/// Nobody may ask more than 120 times a minute, and the world's clock stands still.
fn a_minute_later(world: &World) {
    world.clock.set(world.now() + SignedDuration::from_mins(1));
}

#[test]
fn every_operation_has_a_door_and_few_are_open() {
    let operations = operations();
    let documented: BTreeSet<&str> = operations.iter().map(|operation| operation.id.as_str()).collect();
    let listed: BTreeSet<&str> = DOORS.iter().map(|(id, _)| *id).collect();
    assert_eq!(listed, documented);
    for operation in &operations {
        let documented = match door(operation) {
            Door::Open | Door::Signed(_) => json!([{}]),
            Door::OwnPath | Door::OwnThing(_) | Door::SignedIn => Value::Null,
            Door::Operators => json!([{"operator": []}]),
            Door::OwnCompany => json!([{"company_admin": []}]),
        };
        assert_eq!(operation.security, documented, "{}: the document says otherwise", operation.id);
    }
    let open: Vec<&str> = DOORS.iter().filter(|(_, door)| *door == Door::Open).map(|(id, _)| *id).collect();
    let allowed: BTreeSet<&str> = OPEN_ROUTES.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(open.iter().copied().collect::<BTreeSet<_>>(), allowed, "open_routes.txt says otherwise");
    assert_eq!(allowed.len(), MOST_OPEN, "an open route more needs a reason first, one less a lower MOST_OPEN");
}

/// The table in full, so that a change of it is seen.
#[test]
fn the_table_of_doors_and_callers() {
    let doors = [
        (Door::Open, "-   -   -   -   -   -   -   -   -   -"),
        (Door::Signed(401), "401 401 401 401 401 401 401 401 401 401"),
        (Door::OwnPath, "401 401 401 401 401 401 404 401 401 401"),
        (Door::OwnThing(Thing::Call), "401 401 401 401 401 401 404 401 401 401"),
        (Door::SignedIn, "401 401 401 401 401 401 -   401 401 401"),
        (Door::Operators, "401 401 401 401 401 401 401 401 401 -"),
        (Door::OwnCompany, "401 401 401 401 401 401 401 -   404 401"),
    ];
    for (door, row) in doors {
        let cell = |caller| match verdict(door, caller) {
            Verdict::Refused(status) => status.to_string(),
            Verdict::Through => "-  ".to_owned(),
        };
        let found: Vec<String> = CALLERS.into_iter().map(cell).collect();
        assert_eq!(found.join(" ").trim_end(), row, "{door:?}");
    }
}

#[tokio::test]
async fn every_operation_answers_every_caller_as_the_table_says() {
    let world = World::new().await;
    let mara = Owner::new(&world, "+447700900401").await;
    let mallory = Owner::new(&world, "+447700900402").await;
    let callers = callers(&world, &mara, &mallory).await;
    let before = world.snapshot().await;
    for operation in operations() {
        let door = door(&operation);
        for (caller, client) in &callers {
            let Verdict::Refused(status) = verdict(door, *caller) else { continue };
            let kind = match status {
                401 => "unauthorized",
                403 => "forbidden",
                _ => "not-found",
            };
            for id in [mara.id_for(door), "nonsense".to_owned()] {
                let reply = ask(client, &operation, &id, world.now()).await;
                assert_eq!(reply.status, status, "{} of {id} by {caller:?}: {}", operation.id, reply.text);
                reply.problem(status, kind);
            }
            // `me` is everybody's own; to those who are nobody it is nothing.
            if status == 401 {
                let reply = ask(client, &operation, "me", world.now()).await;
                assert_eq!(reply.status, 401, "{} of me by {caller:?}: {}", operation.id, reply.text);
            }
        }
    }
    world.assert_nothing_written(&before).await;
    for operation in operations() {
        let door = door(&operation);
        for (caller, client) in &callers {
            if verdict(door, *caller) == Verdict::Through {
                let status = ask(client, &operation, &mara.id_for(door), world.now()).await.status.as_u16();
                let refused = [401, 403, 405, 429].contains(&status) || status >= 500;
                assert!(!refused, "{} by {caller:?}: {status}", operation.id);
                // No token changes what an open operation answers; it refuses the empty body, or reads.
                assert!(door != Door::Open || matches!(status, 200 | 422), "{} by {caller:?}: {status}", operation.id);
            }
        }
    }
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
        if usize::is_multiple_of(tried, 25) {
            a_minute_later(&world);
        }
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
    let start = world.now();
    let untouched: BTreeMap<String, String> = everything_of(&mara, &world).await;
    let mut operations = operations();
    // Nothing is left to be reached after these.
    operations.sort_by_key(|operation| {
        ["cancel-call", "end-session", "delete-user"].iter().position(|last| *last == operation.id)
    });
    for (index, operation) in operations.into_iter().enumerate() {
        let door = door(&operation);
        if matches!(door, Door::Open | Door::Signed(_) | Door::Operators | Door::OwnCompany) {
            continue;
        }
        if index % 25 == 24 {
            a_minute_later(&world);
        }
        let expected = match operation.id.as_str() {
            "onboard-user" => 409,
            "create-workout" | "schedule-call" | "initiate-call" | "record-score" | "record-marker" => 201,
            "delete-workout" | "delete-scores" | "end-session" => 204,
            "delete-user" => 202,
            _ => 200,
        };
        let client = &mallory.person.client;
        // What is deleted is one that no other operation needs.
        let id = match operation.id.as_str() {
            "delete-workout" => mallory.person.plan("a walk", world.now() + SignedDuration::from_hours(1)).await,
            _ => mallory.id_for(door),
        };
        let reply = ask(client, &operation, &id, world.now()).await;
        assert_eq!(reply.status.as_u16(), expected, "{}: {}", operation.id, reply.text);
        let by_me = match door {
            Door::OwnPath => ask(client, &operation, "me", world.now()).await.text,
            Door::Open | Door::Signed(_) | Door::OwnThing(_) | Door::SignedIn | Door::Operators | Door::OwnCompany => {
                String::new()
            }
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
    // Some answers name their time.
    world.clock.set(start);
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
