//! The export: everything that is a person's, opened, in parts that an answer can hold; and its description, which may not fall
//! behind the table's kinds.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

use ivy_flows::export::{FORMAT_VERSION, LISTS};
use ivy_simulators::{CallScript, Persona};
use ivy_store::{StoredCall, Transcript};
use ivy_world::{Person, World, at, talk};
use jiff::SignedDuration;
use serde_json::{Value, json};

const PHONE: &str = "+447700900180";

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// Somebody with something in every list.
async fn lived(world: &World) -> Person {
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").join(world)).await;
    let analysis = json!({"energy": 6, "mood": 7, "life_marker": "slept well", "call_summary": "a good talk"});
    let script = CallScript { transcript: "Agent: Hello.\nUser: I will run.".to_owned(), ..talk(analysis) };
    world.simulators.set_persona(PHONE, Persona::Answers(script));
    world.advance_to(at("10:00")).await;
    let workout = mara.plan("a run in the park", at("11:00")).await;
    mara.log(&workout, "completed").await;
    mara.plan("a swim", "2026-11-25T17:00:00Z".parse().unwrap()).await;
    world.writes(&mara, "status please").await;
    mara
}

/// An operator corrects somebody's donations, and says why.
async fn acted_on(world: &World, mara: &Person) {
    let gift = json!({"user_id": mara.id, "amount": 2.5, "reason": "A workout that the call did not hear."});
    world.operator().await.post_once("/api/donations", "a-gift", &gift).await.expect(201);
}

#[tokio::test]
async fn what_operators_did_and_why_is_the_users_to_know() {
    let world = World::new().await;
    let mara = lived(&world).await;
    acted_on(&world, &mara).await;
    let other = world.person("+447700900181").join(&world).await;
    let export = mara.get("/api/users/me/export").await;
    let acts = export["operator_acts"].as_array().unwrap();
    assert_eq!(acts.len(), 1);
    let donations = export["donations"].as_array().unwrap();
    let given = donations.iter().find(|donation| donation["kind"] == "adjustment").unwrap();
    assert_eq!((&acts[0]["action"], &acts[0]["about"]), (&json!("log-donation"), &given["id"]));
    assert_eq!(acts[0]["reason"], "A workout that the call did not hear.");
    assert_eq!(other.get("/api/users/me/export").await["operator_acts"], json!([]));
}

fn ids(list: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> = list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn it_holds_everything_opened_and_nothing_of_ours() {
    let world = World::new().await;
    let mara = lived(&world).await;
    let reply = mara.client.try_get("/api/users/me/export").await;
    assert_eq!(reply.headers["cache-control"], "no-store");
    let export = reply.expect(200);
    assert_eq!((&export["format"], &export["version"]), (&json!("ivy-export"), &json!(FORMAT_VERSION)));
    assert_eq!(export["next_cursor"], Value::Null);
    for list in LISTS {
        assert!(!export[list].as_array().unwrap().is_empty(), "{list} is empty, so this proves little");
    }
    let profile = mara.get("/api/users/me").await;
    for (name, value) in profile.as_object().unwrap() {
        assert_eq!(&export["profile"][name], value, "{name}");
    }
    // The same things as the API shows one list at a time.
    assert_eq!(ids(&export["calls"]), ids(&mara.get("/api/users/me/calls?limit=100").await["items"]));
    assert_eq!(ids(&export["messages"]), ids(&mara.get("/api/users/me/messages?limit=100").await["items"]));
    let talked = export["calls"].as_array().unwrap().iter().find(|call| call["state"] == "completed").unwrap();
    assert_eq!(talked["transcript"], "Agent: Hello.\nUser: I will run.");
    assert!(talked["recording_url"].is_string() && talked["agent_was_told"].is_object());
    assert_eq!(export["life_markers"][0]["text"], "slept well");
    assert_eq!((&export["scores"][0]["energy"], &export["scores"][0]["mood"]), (&json!(6), &json!(7)));
    assert_eq!(export["donations"][0]["amount"], 1.5);
    assert_eq!(export["present"]["wallet"]["lifetime_donated"], 1.5);
    assert_eq!(export["present"]["streak"]["current"], 1);
    assert!(export["messages"].to_string().contains("status please"));
    // Neither keys nor hashes, salts, ciphertexts or links that open something.
    let text = export.to_string();
    let profile_item = world.items("user").await.remove(0);
    let mut ours: Vec<String> =
        vec![profile_item["salt"].as_s().unwrap().clone(), profile_item["phone"].as_s().unwrap().clone()];
    assert!(world.items("contact").await[0].contains_key("whatsapp_user_id"), "so this proves little");
    for entity in ["message", "marker", "transcript", "sign_in", "phone", "contact"] {
        for item in world.items(entity).await {
            let sealed = [
                "body",
                "notice",
                "provider_id",
                "marker",
                "transcript",
                "context",
                "link_hash",
                "code_hash",
                "whatsapp_user_id",
            ];
            ours.extend(sealed.iter().filter_map(|name| item.get(*name)?.as_s().ok().cloned()));
        }
    }
    assert!(ours.len() > 5);
    for secret in ours.iter().map(String::as_str).chain(["USER#", "ME#", "#token=", &mara.refresh_token]) {
        assert!(!text.contains(secret), "{secret} stands in the export");
    }
}

#[tokio::test]
async fn more_than_an_answer_holds_comes_in_parts() {
    let world = World::new().await;
    let mara = lived(&world).await;
    let store = &world.ivy.store;
    let profile = store.profile(mara.id).await.unwrap().unwrap();
    let model = mara.calls().await[0]["id"].as_str().unwrap().parse().unwrap();
    let model = store.call(mara.id, model).await.unwrap().unwrap();
    for _ in 0..40 {
        let mut call = model.call.clone();
        (call.id, call.version) = (ivy_domain::CallId::generate(world.now()), 0);
        let stored = StoredCall::new(call);
        let words = Transcript { transcript: Some("word ".repeat(45_000)), ..Transcript::default() };
        let mut transaction = store.transaction();
        transaction.call(&stored).transcript(&stored, &words, &profile.cipher, world.now());
        transaction.commit().await.unwrap();
    }
    let (mut parts, mut found) = (0, Vec::new());
    let mut path = "/api/users/me/export".to_owned();
    loop {
        let reply = mara.client.try_get(&path).await;
        assert!(reply.text.len() < 5_500_000, "{} bytes are more than Lambda answers", reply.text.len());
        let export = reply.expect(200);
        parts += 1;
        for list in LISTS.iter().filter(|list| **list != "receipts") {
            found.extend(ids(&export[list]).into_iter().map(str::to_owned));
        }
        let Some(cursor) = export["next_cursor"].as_str() else { break };
        path = format!("/api/users/me/export?cursor={cursor}");
    }
    assert!(parts > 2, "{parts}");
    let whole = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), whole, "nothing comes twice");
    let kept = ["call", "consent", "donation", "marker", "message", "score", "session", "workout"];
    let mut there = 0;
    for kind in kept {
        there += world.items(kind).await.len();
    }
    assert_eq!(whole, there, "nothing is left out");
    // Another person's cursor, or another list's, opens nothing here.
    let other = world.person("+447700900181").join(&world).await;
    other.client.try_get(&path).await.problem(422, "invalid-input");
    world.advance(SignedDuration::from_mins(1)).await;
}

#[tokio::test]
async fn its_description_names_every_kind_of_the_partition() {
    let described = file("docs/export.md");
    let keys = file("shared/store/src/keys.rs");
    let mut kinds = BTreeSet::new();
    for row in keys.lines().filter(|row| row.starts_with("//! |") && row.contains("| `USER#<id>` |")) {
        let sort_keys = row.split('|').nth(3).unwrap();
        kinds.extend(
            sort_keys
                .split('`')
                .filter(|part| part.chars().next().is_some_and(char::is_uppercase))
                .map(|key| key.split(['<']).next().unwrap().trim_end_matches('#').to_owned()),
        );
    }
    assert!(kinds.len() >= 17, "{kinds:?}");
    for kind in &kinds {
        assert!(described.contains(&format!("`{kind}`")), "docs/export.md says nothing of `{kind}`");
    }
    for list in LISTS {
        assert!(described.contains(&format!("`{list}`")), "docs/export.md says nothing of the list {list}");
    }
    assert!(described.contains(&format!("version {FORMAT_VERSION}")));
    // Every field that a real export has.
    let world = World::new().await;
    let mara = lived(&world).await;
    acted_on(&world, &mara).await;
    let export = mara.get("/api/users/me/export").await;
    for (section, value) in export.as_object().unwrap() {
        assert!(described.contains(&format!("`{section}`")), "docs/export.md says nothing of {section}");
        let Some(first) = value.as_array().and_then(|list| list.first()).or(value.is_object().then_some(value)) else {
            continue;
        };
        for field in first.as_object().unwrap().keys() {
            assert!(described.contains(&format!("`{field}`")), "docs/export.md says nothing of {section}.{field}");
        }
    }
}

/// The table deletes late, and an analysis that came late prolonged what it told.
#[tokio::test]
async fn what_was_said_is_shown_for_90_days_from_the_calls_end() {
    let world = World::new().await;
    let mara = lived(&world).await;
    let talked = mara.calls().await.into_iter().find(|call| call["state"] == "completed").unwrap();
    let path = format!("/api/calls/{}", talked["id"].as_str().unwrap());
    let ended_at: jiff::Timestamp = mara.get(&path).await["ended_at"].as_str().unwrap().parse().unwrap();
    let over = ended_at + SignedDuration::from_hours(90 * 24);
    let mut kept_until: Vec<String> =
        world.items("transcript").await.iter().map(|item| item["expires_at"].as_n().unwrap().clone()).collect();
    kept_until.retain(|at| *at == over.as_second().to_string());
    assert_eq!(kept_until.len(), 1);
    let said = async || {
        mara.signs_in_at(&world, PHONE).await;
        let export = mara.get("/api/users/me/export").await;
        let exported = export["calls"].as_array().unwrap().iter().find(|call| call["id"] == talked["id"]).unwrap();
        (mara.get(&path).await["transcript"].clone(), exported["transcript"].clone(), ids(&export["sessions"]).len())
    };
    world.clock.set(over - SignedDuration::from_mins(2));
    let (shown, exported, sessions) = said().await;
    assert!(shown.is_string() && exported.is_string());
    assert_eq!(sessions, 1, "the session of 90 days ago is over");
    world.clock.set(over + SignedDuration::from_secs(1));
    let (shown, exported, _) = said().await;
    assert_eq!((shown, exported), (Value::Null, Value::Null));
    assert!(!world.items("transcript").await.is_empty(), "the table has not deleted it yet");
}
