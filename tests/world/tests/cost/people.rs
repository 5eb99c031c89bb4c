//! What people's requests cost, from signing up on. The rows follow one person through a morning; a new endpoint gets a line
//! where its area is.

use axum::{body::Body, http::Method};
use ivy_domain::admin::AdminRole;
use ivy_world::{ADMIN_PASSWORD, Person, World};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{bench::Bench, jobs};

const PHONE: &str = "+447700900301";
const NOBODY: &str = "+447700900302";

fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap()
}

fn soon(world: &World) -> jiff::Timestamp {
    world.now() + SignedDuration::from_mins(30)
}

pub(crate) async fn measure(bench: &Bench) {
    Box::pin(open_doors(bench)).await;
    let mara = Box::pin(bench.world.person("+447700900303").tier("b2c_elite").join(&bench.world)).await;
    Box::pin(sessions(bench)).await;
    Box::pin(workouts(bench, &mara)).await;
    Box::pin(calls(bench, &mara)).await;
    Box::pin(operators(bench, &mara)).await;
    Box::pin(users(bench, &mara)).await;
    Box::pin(lists(bench, &mara)).await;
}

async fn open_doors(bench: &Bench) {
    let anyone = bench.world.client();
    for (function, path) in [("health", "/health"), ("api-docs", "/docs"), ("api-docs-document", "/openapi.json")] {
        bench.request((function, "get"), &anyone, path, None, 200).await;
    }
    let question = "/webhooks/whatsapp?hub.mode=subscribe&hub.verify_token=whatsapp_verify_token_test&hub.challenge=1";
    bench.request(("whatsapp-verify", "subscribe"), &anyone, question, None, 200).await;
    let asks = [("origin", "https://app.ivy.test"), ("access-control-request-method", "PATCH")];
    let preflight = anyone.send(Method::OPTIONS, "/api/users/me", &asks, Body::empty());
    let (reply, cost) = bench.measure(preflight).await;
    assert_eq!(reply.status, 204);
    bench.keep("answer-preflight", "known origin", cost);
    let nothing = Some(json!({}));
    bench.request(("retell-webhook", "unsigned"), &anyone, "/webhooks/retell", nothing.clone(), 401).await;
    bench.request(("whatsapp-webhook", "unsigned"), &anyone, "/webhooks/whatsapp", nothing, 401).await;
}

/// Signing up and in; whether there is an account must not show, so both cases stand here.
async fn sessions(bench: &Bench) {
    let anyone = || bench.world.client();
    let new = json!({"phone": PHONE, "first_name": "Mara", "email": "mara@example.com"});
    bench.request(("create-user", "new"), &anyone(), "/api/users", Some(new.clone()), 201).await;
    let link = |phone: &str| Some(json!({"phone": phone}));
    bench.request(("request-magic-link", "known"), &anyone(), "/api/auth/magic-link", link(PHONE), 202).await;
    bench.request(("request-magic-link", "unknown"), &anyone(), "/api/auth/magic-link", link(NOBODY), 202).await;
    bench.world.settle().await;
    let code = bench.world.code_for(PHONE);
    let wrong = if code == "111111" { "222222" } else { "111111" };
    let tried = |code: &str| Some(json!({"phone": PHONE, "code": code}));
    let unknown = Some(json!({"phone": NOBODY, "code": wrong}));
    bench.request(("verify-magic-link", "wrong code"), &anyone(), "/api/auth/verify", tried(wrong), 401).await;
    bench.request(("verify-magic-link", "unknown"), &anyone(), "/api/auth/verify", unknown, 401).await;
    let session = bench.request(("verify-magic-link", "code"), &anyone(), "/api/auth/verify", tried(&code), 200).await;
    let token = Some(json!({"refresh_token": session["refresh_token"]}));
    bench.request(("refresh-session", "good"), &anyone(), "/api/auth/refresh", token, 200).await;
    let mut signed_in = anyone();
    signed_in.token = session["access_token"].as_str().map(str::to_owned);
    bench.request(("end-session", "this one"), &signed_in, "/api/auth/logout", None, 204).await;
    let email = "olu@example.com";
    bench.world.add_admin(email, AdminRole::Operator).await;
    let login = |email: &str, password: &str| Some(json!({"email": email, "password": password}));
    let path = "/api/admin/auth/login";
    bench.request(("admin-login", "operator"), &anyone(), path, login(email, ADMIN_PASSWORD), 200).await;
    bench.request(("admin-login", "wrong password"), &anyone(), path, login(email, "not the password"), 401).await;
    bench.request(("admin-login", "unknown"), &anyone(), path, login("nobody@example.com", "a password"), 401).await;
}

async fn users(bench: &Bench, mara: &Person) {
    let new = Box::pin(bench.world.person("+447700900304").not_onboarded().join(&bench.world)).await;
    let answers = json!({"track": "fitness", "consents": {"calls": true, "messages": true, "data_processing": true}});
    bench.request(("onboard-user", "first time"), &new.client, "/api/users/me/onboard", Some(answers), 200).await;
    let me = "/api/users/me";
    bench.request(("get-user", "own"), &mara.client, me, None, 200).await;
    let patch = Some(json!({"first_name": "Maria"}));
    bench.request(("update-user", "name"), &mara.client, me, patch, 200).await;
    let patch = Some(json!({"weekly_goal": 4, "timezone": "Europe/Dublin"}));
    bench.request(("update-user", "time zone"), &mara.client, me, patch, 200).await;
    let (email, patch) = ("mara.lane@example.com", Some(json!({"email": "mara.lane@example.com"})));
    bench.request(("update-user", "another e-mail address"), &mara.client, me, patch, 200).await;
    bench.world.settle().await;
    let patch = Some(json!({"email_code": bench.world.mailed_code(email)}));
    bench.request(("update-user", "its code"), &mara.client, me, patch, 200).await;
    bench.request(("export-user", "first page"), &mara.client, "/api/users/me/export", None, 200).await;
    let less = Some(json!({"calls": true, "messages": false, "data_processing": true}));
    bench.request(("set-consents", "withdrawn"), &new.client, "/api/users/me/consents", less, 200).await;
    let away = Some(json!({"reason": "traveling", "until": "2026-12-01"}));
    bench.request(("pause-user", "until a date"), &new.client, "/api/users/me/pause", away, 200).await;
    bench.request(("resume-user", "paused"), &new.client, "/api/users/me/resume", None, 200).await;
    bench.request(("delete-user", "first time"), &new.client, me, None, 202).await;
    bench.request(("delete-user", "again"), &new.client, me, None, 202).await;
    jobs::follow(bench, bench.world.now() + SignedDuration::from_mins(10)).await;
}

async fn workouts(bench: &Bench, mara: &Person) {
    let plan = || Some(json!({"planned_activity": "30 minute run", "planned_time": soon(&bench.world)}));
    let client = &mara.client;
    let workout = bench.request(("create-workout", "plan"), client, "/api/workouts", plan(), 201).await;
    let keyed = plan();
    for case in ["with a key", "repeated with its key"] {
        bench.keyed(("create-workout", case), client, "/api/workouts", keyed.clone(), Some("a-key"), 201).await;
    }
    let path = format!("/api/workouts/{}", id(&workout));
    for (case, change) in [
        ("other words", json!({"planned_activity": "Walk"})),
        ("completed", json!({"status": "completed"})),
        ("completed again", json!({"status": "completed"})),
        ("corrected", json!({"status": "skipped"})),
    ] {
        bench.request(("update-workout", case), client, &path, Some(change), 200).await;
    }
    bench.request(("get-workout", "own"), client, &path, None, 200).await;
    bench.request(("todays-workouts", "own"), client, "/api/users/me/workouts/today", None, 200).await;
    let spare = id(&bench.request(("create-workout", "plan"), client, "/api/workouts", plan(), 201).await).to_owned();
    let spare = format!("/api/workouts/{spare}");
    bench.request(("delete-workout", "a plan"), client, &spare, None, 204).await;
    for _ in 0..2 {
        let more = mara.plan("Walk", bench.world.now()).await;
        mara.log(&more, "completed").await;
    }
    bench.world.settle().await;
}

async fn calls(bench: &Bench, mara: &Person) {
    let client = &mara.client;
    let wanted = Some(json!({"call_type": "rescue", "scheduled_time": soon(&bench.world)}));
    let call = bench.request(("schedule-call", "new"), client, "/api/calls", wanted, 201).await;
    let path = format!("/api/calls/{}", id(&call));
    bench.request(("get-call", "own"), client, &path, None, 200).await;
    let later = Some(json!({"scheduled_time": soon(&bench.world) + SignedDuration::from_hours(1)}));
    bench.request(("reschedule-call", "waiting"), client, &format!("{path}/reschedule"), later, 200).await;
    bench.request(("cancel-call", "waiting"), client, &path, None, 200).await;
    let now = Some(json!({"call_type": "rescue"}));
    bench.request(("initiate-call", "now"), client, "/api/calls/initiate", now, 201).await;
    bench.world.advance(SignedDuration::from_hours(2)).await;
}

/// What operators do to somebody's calls, messages and money.
async fn operators(bench: &Bench, mara: &Person) {
    let operator = bench.world.operator().await;
    bench.request(("upcoming-calls", "first page"), &operator, "/api/calls/upcoming", None, 200).await;
    let calls = mara.calls().await;
    let had = calls.iter().find(|call| call["state"] == "failed").unwrap_or(&calls[0]);
    let path = format!("/api/calls/{}/outcome", id(had));
    let outcome = Some(json!({"user_id": mara.id, "outcome": "no_commitment", "reason": "Nobody answered."}));
    bench.keyed(("record-outcome", "a call"), &operator, &path, outcome, Some("outcome"), 200).await;
    let operator = bench.world.operator().await;
    let message = json!({"user_id": mara.id, "kind": "template", "template": "celebration", "parameters": {"milestone": "7 days"}});
    bench
        .keyed(("send-message", "template"), &operator, "/api/messages/send", Some(message), Some("message"), 202)
        .await;
    let money = Some(json!({"user_id": mara.id, "amount": 2.5, "reason": "A workout that the call did not hear."}));
    bench.keyed(("log-donation", "adjustment"), &operator, "/api/donations", money, Some("money"), 201).await;
}

/// A page that has a next one, and the next one; and what is one document.
async fn lists(bench: &Bench, mara: &Person) {
    let client = &mara.client;
    for (function, path) in [
        ("list-calls", "/api/users/me/calls"),
        ("list-messages", "/api/users/me/messages"),
        ("list-workouts", "/api/users/me/workouts"),
        ("list-donations", "/api/users/me/donations"),
    ] {
        let first = format!("{path}?limit=1");
        let page = bench.request((function, "first page"), client, &first, None, 200).await;
        let cursor = page["next_cursor"].as_str().unwrap_or_else(|| panic!("{function} has one page only"));
        let next = format!("{path}?limit=1&cursor={cursor}");
        bench.request((function, "next page"), client, &next, None, 200).await;
    }
    let scores = Some(json!({"energy": 6, "mood": 7}));
    bench.request(("record-score", "two scores"), client, "/api/users/me/transformation", scores, 201).await;
    bench.request(("delete-scores", "some"), client, "/api/users/me/transformation", None, 204).await;
    bench.request(("delete-scores", "none"), client, "/api/users/me/transformation", None, 204).await;
    let marker = Some(json!({"text": "took the stairs"}));
    bench.request(("record-marker", "a marker"), client, "/api/users/me/life-markers", marker, 201).await;
    for (function, path) in [
        ("get-wallet", "wallet"),
        ("get-impact", "impact"),
        ("list-receipts", "receipts"),
        ("get-stats", "stats"),
        ("get-streak", "stats/streak"),
        ("get-activity", "stats/activity?by=week"),
        ("get-call-stats", "stats/calls"),
        ("get-transformation", "transformation"),
    ] {
        bench.request((function, "own"), client, &format!("/api/users/me/{path}"), None, 200).await;
    }
    bench.request(("list-charities", "all"), client, "/api/charities", None, 200).await;
}
