//! What operators see and do: the calls that are due, a call's outcome by hand, a message, a correction of donations. All of it
//! is on record, and none of it shows who a person is.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::collections::BTreeSet;

use ivy_domain::{
    CallId, UserId, Zone,
    call::{Call, CallState, CallType, CallWindow},
};
use ivy_simulators::Persona;
use ivy_store::StoredCall;
use ivy_world::{Client, Person, Reply, World, at, talk, talks};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const PHONE: &str = "+447700900180";

async fn noon(tier: &str) -> (World, Person, Client) {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let mara = Box::pin(world.person(PHONE).tier(tier).without_planned_calls().join(&world)).await;
    let operator = world.operator().await;
    (world, mara, operator)
}

/// The only audit entry, with its reason opened by the user's key.
async fn on_record(world: &World, mara: &Person) -> Vec<(String, String, Option<String>)> {
    let cipher = Box::pin(world.ivy.store.profile(mara.id)).await.unwrap().unwrap().cipher;
    let mut entries = Vec::new();
    for item in world.items("audit").await {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        assert_eq!(text("pk"), Some(format!("AUDIT#{}", mara.id)));
        assert!(text("by").is_some() && item.contains_key("expires_at"), "{item:?}");
        let reason = text("reason").map(|sealed| cipher.open("audit_reason", &sealed).unwrap());
        entries.push((text("action").unwrap(), text("about").unwrap(), reason));
    }
    entries
}

// The calls that are due

/// A call of somebody, as the table holds it. The list reads calls only, so nobody has to sign up.
fn call_of(user: UserId, due_at: Timestamp, now: Timestamp) -> StoredCall {
    let window = CallWindow { opens_at: due_at, closes_at: due_at + SignedDuration::from_mins(30) };
    let id = CallId::generate(now);
    StoredCall::new(Call::scheduled(id, user, CallType::FollowUp, due_at, window, Zone::default(), now))
}

async fn put(world: &World, stored: &StoredCall) -> StoredCall {
    let mut transaction = world.ivy.store.transaction();
    transaction.call(stored);
    Box::pin(transaction.commit()).await.unwrap();
    let mut stored = stored.clone();
    stored.call.version += 1;
    stored
}

/// Calls of many users: some at one and the same second, many of them one user's, some overdue, one far off.
async fn many_calls(world: &World) -> Vec<StoredCall> {
    let now = world.now();
    let busy = UserId::generate(now);
    let mut calls = Vec::new();
    for number in 0..24 {
        calls.push(put(world, &call_of(busy, at("12:30"), now)).await);
        let minutes = SignedDuration::from_mins(number * 5 - 15);
        calls.push(put(world, &call_of(UserId::generate(now), now + minutes, now)).await);
    }
    calls
}

async fn page(operator: &Client, query: &str) -> Value {
    operator.get(&format!("/api/calls/upcoming?{query}"), 200).await
}

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap().to_owned()).collect()
}

/// All pages of a list, and what happens between the first and the second.
async fn all_pages(operator: &Client, query: &str, between: impl AsyncFnOnce()) -> Vec<Vec<String>> {
    let mut found = page(operator, query).await;
    let mut pages = vec![ids(&found)];
    between().await;
    while let Some(cursor) = found["next_cursor"].as_str() {
        assert!(pages.len() < 100, "it comes to an end");
        found = page(operator, &format!("{query}&cursor={cursor}")).await;
        pages.push(ids(&found));
    }
    pages
}

fn due_by(calls: &[StoredCall], until: Timestamp) -> Vec<String> {
    let mut due: Vec<_> = calls.iter().filter(|stored| stored.call.due_at <= until).collect();
    due.sort_by_key(|stored| (stored.call.due_at, stored.call.id));
    due.into_iter().map(|stored| stored.call.id.to_string()).collect()
}

#[tokio::test]
async fn upcoming_calls_come_by_due_time_overdue_first_each_once() {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let operator = world.operator().await;
    let calls = many_calls(&world).await;
    assert_eq!(ids(&page(&operator, "limit=100").await), due_by(&calls, at("13:00")), "an hour when nothing is said");
    for (limit, until) in [(1, "12:20"), (7, "12:30"), (20, "13:00"), (100, "14:00")] {
        let pages = all_pages(&operator, &format!("limit={limit}&until=2026-11-23T{until}:00Z"), async || {}).await;
        assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit), "{limit}: full pages but the last");
        assert_eq!(pages.concat(), due_by(&calls, at(until)), "{limit} until {until}");
    }
    let first = &page(&operator, "limit=1").await["items"][0];
    assert!(first["next_attempt_at"].as_str().unwrap() < "2026-11-23T12:00", "{first}");
    let fields: BTreeSet<&str> = first.as_object().unwrap().keys().map(String::as_str).collect();
    let known = "attempts call_type cause id next_attempt_at scheduled_time state user_id window_end window_start";
    assert_eq!(fields, known.split(' ').collect(), "ids and times, nobody's name or number");
}

#[tokio::test]
async fn calls_that_stay_come_once_whatever_moves_between_two_pages() {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let operator = world.operator().await;
    let mut calls = many_calls(&world).await;
    calls.sort_by_key(|stored| (stored.call.due_at, stored.call.id));
    let (earlier, later, over) = (calls[25].clone(), calls[6].clone(), calls[28].clone());
    let pages = all_pages(&operator, "limit=5&until=2026-11-23T14:00:00Z", async || {
        for (stored, due_at) in [(&earlier, at("11:00")), (&later, at("13:55"))] {
            let mut moved = stored.clone();
            moved.call.due_at = due_at;
            put(&world, &moved).await;
        }
        let mut cancelled = over.clone();
        cancelled.call.state = CallState::Cancelled;
        put(&world, &cancelled).await;
    })
    .await;
    let shown = pages.concat();
    let moved: BTreeSet<String> = [&earlier, &later, &over].iter().map(|stored| stored.call.id.to_string()).collect();
    let stayed = |ids: Vec<String>| ids.into_iter().filter(|id| !moved.contains(id)).collect::<Vec<_>>();
    assert!(!shown.contains(&over.call.id.to_string()));
    assert_eq!(stayed(shown), stayed(due_by(&calls, at("14:00"))));
}

#[tokio::test]
async fn calls_that_ring_or_are_over_are_not_upcoming_and_pages_are_filled_up() {
    let (world, mara, operator) = noon("b2c_elite").await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    mara.schedule_until("evening_review", at("12:10"), at("12:40")).await;
    let waits = mara.schedule_until("follow_up", at("12:20"), at("12:40")).await;
    let last = mara.schedule_until("follow_up", at("12:59"), at("13:40")).await;
    let cancelled = mara.schedule_until("follow_up", at("12:30"), at("12:40")).await;
    mara.client.delete(&format!("/api/calls/{cancelled}"), 200).await;
    world.advance_to(at("12:10")).await;
    // The lease of the call that rings ends at 12:13, before the others are due.
    let found = page(&operator, "limit=1").await;
    assert_eq!(ids(&found), [waits.as_str()]);
    let text = found.to_string();
    assert!(!text.contains("Mara") && !text.contains(PHONE));
    let cursor = found["next_cursor"].as_str().unwrap();
    let next = page(&operator, &format!("limit=1&cursor={cursor}")).await;
    assert_eq!((ids(&next), &next["next_cursor"]), (vec![last], &json!(null)));
}

#[tokio::test]
async fn how_far_ahead_and_whose_cursor() {
    let world = World::at("2026-11-23T12:00:00Z").await;
    let operator = world.operator().await;
    many_calls(&world).await;
    for until in ["2026-11-23T12:00:00Z", "2026-11-24T12:00:01Z", "2026-01-01T00:00:00Z"] {
        let reply = operator.try_get(&format!("/api/calls/upcoming?until={until}")).await;
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), ["until"]);
    }
    page(&operator, "until=2026-11-24T12:00:00Z").await;
    let wrong = operator.try_get("/api/calls/upcoming?until=soon&limit=0&from=now").await;
    assert_eq!(wrong.wrong_fields(), ["until", "limit", "from"]);
    let first = page(&operator, "limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    for (client, query) in
        [(world.operator().await, "limit=2"), (operator.clone(), "limit=2&until=2026-11-23T12:40:00Z")]
    {
        let reply = client.try_get(&format!("/api/calls/upcoming?{query}&cursor={cursor}")).await;
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), ["cursor"]);
    }
}

// A call's outcome

fn outcome(mara: &Person, outcome: &str) -> Value {
    json!({"user_id": mara.id, "outcome": outcome, "reason": "Mara said so on the phone."})
}

/// Time passes, and the operator, whose token lives for an hour, signs in again.
async fn later(world: &World, until: &str) -> Client {
    world.advance_to(until.parse().unwrap()).await;
    world.operator().await
}

async fn records(operator: &Client, call: &str, body: &Value) -> Reply {
    operator.try_post(&format!("/api/calls/{call}/outcome"), body).await
}

#[tokio::test]
async fn an_operator_says_what_a_call_achieved_and_it_is_on_record() {
    let (world, mara, _) = noon("b2c_elite").await;
    world.simulators.set_persona(PHONE, talks(json!({})));
    let call = mara.schedule_until("rescue", at("13:00"), at("13:20")).await;
    let operator = later(&world, "2026-11-23T13:05:00Z").await;
    let before = (mara.stats().await, mara.wallet().await, world.donations().await);
    let told = records(&operator, &call, &outcome(&mara, "rescue_success")).await.expect(200);
    assert_eq!((&told["outcome"], &told["state"]), (&json!("rescue_success"), &json!("completed")));
    assert_eq!(mara.call(&call).await["outcome"], "rescue_success");
    assert_eq!((mara.stats().await, mara.wallet().await, world.donations().await), before, "nothing else follows");
    let reason = Some("Mara said so on the phone.".to_owned());
    assert_eq!(on_record(&world, &mara).await, [("record-outcome".to_owned(), call, reason)]);
    assert!(!format!("{:?}", world.items("audit").await).contains("said so"), "the reason is sealed");
}

#[tokio::test]
async fn an_analysis_that_comes_later_does_not_overrule_the_operator() {
    let (world, mara, operator) = noon("b2c_elite").await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    let call = mara.schedule_until("rescue", at("13:00"), at("13:20")).await;
    world.advance_to(at("13:00")).await;
    let ringing = world.simulators.rings()[0].call_id.clone();
    world.simulators.pick_up(&ringing);
    world.settle().await;
    world.simulators.hang_up(&ringing, talk(json!({"workout_status": "completed"})));
    // The end is told; the analysis is late.
    let webhooks = world.simulators.take_webhooks();
    let (late, told): (Vec<_>, Vec<_>) =
        webhooks.into_iter().partition(|webhook| String::from_utf8_lossy(&webhook.body).contains("call_analyzed"));
    assert_eq!((late.len(), told.is_empty()), (1, false));
    for webhook in &told {
        world.deliver(webhook).await;
    }
    assert_eq!(mara.call(&call).await["state"], "completed");
    records(&operator, &call, &outcome(&mara, "rescue_failed")).await.expect(200);
    world.deliver(&late[0]).await;
    world.settle().await;
    let call = mara.call(&call).await;
    assert_eq!(call["outcome"], "rescue_failed");
    assert!(call["transcript"].as_str().is_some(), "the rest of the analysis was taken in");
    assert_eq!(world.donations().await, [150]);
}

#[tokio::test]
async fn an_outcome_is_recorded_of_a_call_that_is_over_by_operators_only() {
    let (world, mara, operator) = noon("b2c_elite").await;
    world.simulators.set_persona(PHONE, Persona::Handset);
    let call = mara.schedule_until("rescue", at("13:00"), at("13:20")).await;
    world.settle().await;
    let before = world.snapshot().await;
    let body = outcome(&mara, "rescue_success");
    let refused = records(&operator, &call, &body).await;
    assert!(refused.problem(409, "call-not-over")["detail"].as_str().unwrap().contains("scheduled"));
    records(&mara.client, &call, &body).await.problem(401, "unauthorized");
    let nobody = json!({"user_id": UserId::generate(world.now()), "outcome": "voicemail", "reason": "x"});
    records(&operator, &call, &nobody).await.problem(404, "not-found");
    records(&operator, &CallId::generate(world.now()).to_string(), &body).await.problem(404, "not-found");
    records(&operator, "nonsense", &body).await.problem(404, "not-found");
    let wrong = records(&operator, &call, &json!({"user_id": "me", "outcome": "fine", "reason": " "})).await;
    wrong.problem(422, "invalid-input");
    assert_eq!(wrong.wrong_fields(), ["user_id", "outcome", "reason"]);
    world.assert_nothing_written(&before).await;
    world.advance_to(at("13:00")).await;
    let rings = records(&operator, &call, &body).await;
    assert!(rings.problem(409, "call-not-over")["detail"].as_str().unwrap().contains("initiating"));
    world.simulators.pick_up(&world.simulators.rings()[0].call_id);
    world.settle().await;
    let talks = records(&operator, &call, &body).await;
    assert!(talks.problem(409, "call-not-over")["detail"].as_str().unwrap().contains("in_progress"));
    assert_eq!(world.items("audit").await.len(), 0);
}

// A message

fn template(mara: &Person, name: &str, parameters: Value) -> Value {
    json!({"user_id": mara.id, "kind": "template", "template": name, "parameters": parameters})
}

fn text(mara: &Person, words: &str) -> Value {
    json!({"user_id": mara.id, "kind": "text", "content": words})
}

async fn sends(operator: &Client, body: &Value) -> Reply {
    operator.try_post("/api/messages/send", body).await
}

#[tokio::test]
async fn an_operator_sends_the_templates_that_a_person_can_know_better() {
    let (world, mara, operator) = noon("b2c_elite").await;
    let cases = [
        ("completion_check", json!({"activity": "a run"}), "how did it go with a run today?"),
        ("rescue_support", json!({"minimum_action": "one push-up"}), "smallest version still counts: one push-up."),
        ("rescue_support", json!({}), "smallest version still counts: put on the shoes."),
        ("celebration", json!({"milestone": "30 days kept in a row"}), "pause: 30 days kept in a row."),
        ("payment_problem", json!(null), "did not go through"),
    ];
    for (number, (name, parameters, words)) in cases.into_iter().enumerate() {
        let queued = sends(&operator, &template(&mara, name, parameters)).await.expect(202);
        assert_eq!((&queued["status"], &queued["via"]), (&json!("queued"), &json!("whatsapp")));
        assert_eq!(queued["user_id"], mara.id.to_string());
        world.settle().await;
        let arrived = world.arrived(&mara, words);
        assert_eq!(arrived.len(), 1, "{name}: {:?}", mara.messages_out().await);
        assert_eq!(arrived[0].template.as_deref(), Some(name));
        assert!(mara.messages_out().await.iter().any(|message| message["id"] == queued["id"]));
        let record = on_record(&world, &mara).await;
        assert_eq!(record.len(), number + 1);
        let entry = ("send-message".to_owned(), queued["id"].as_str().unwrap().to_owned(), None);
        assert!(record.contains(&entry), "{record:?}");
    }
}

#[tokio::test]
async fn free_text_goes_while_the_conversation_is_open_and_by_sms_at_any_time() {
    let (world, mara, operator) = noon("b2c_elite").await;
    let words = text(&mara, "Shall we look at your mornings together?");
    let closed = sends(&operator, &words).await;
    assert!(closed.problem(409, "conversation-closed")["detail"].as_str().unwrap().contains("template"));
    let mut by_sms = words.clone();
    by_sms["via"] = json!("sms");
    sends(&operator, &by_sms).await.expect(202);
    world.settle().await;
    assert_eq!(world.arrived(&mara, "your mornings").len(), 1);
    world.writes(&mara, "hello there").await;
    sends(&operator, &words).await.expect(202);
    world.settle().await;
    assert_eq!(world.arrived(&mara, "your mornings").len(), 2);
    let operator = later(&world, "2026-11-24T12:00:00Z").await;
    sends(&operator, &words).await.problem(409, "conversation-closed");
}

#[tokio::test]
async fn a_message_in_the_night_waits_and_a_text_that_would_come_too_late_is_refused() {
    let (world, mara, _) = noon("b2c_elite").await;
    let operator = later(&world, "2026-11-23T22:00:00Z").await;
    sends(&operator, &template(&mara, "payment_problem", json!(null))).await.expect(202);
    world.advance_to("2026-11-24T06:59:00Z".parse().unwrap()).await;
    assert!(world.arrived(&mara, "did not go through").is_empty());
    world.writes(&mara, "hello there").await;
    world.advance_to("2026-11-24T07:01:00Z".parse().unwrap()).await;
    assert_eq!(world.arrived(&mara, "did not go through").len(), 1);
    // Open until 06:59 of the next day: a text of that night could leave only at 07:00.
    let operator = later(&world, "2026-11-24T21:29:00Z").await;
    sends(&operator, &text(&mara, "Good evening.")).await.expect(202);
    world.advance_to("2026-11-24T21:30:00Z".parse().unwrap()).await;
    sends(&operator, &text(&mara, "Good night.")).await.problem(409, "conversation-closed");
}

#[tokio::test]
async fn without_consent_no_message_goes_neither_now_nor_when_it_was_taken_back_meanwhile() {
    let (world, mara, _) = noon("b2c_elite").await;
    let operator = later(&world, "2026-11-23T22:00:00Z").await;
    let body = template(&mara, "payment_problem", json!(null));
    sends(&operator, &body).await.expect(202);
    let less = json!({"calls": true, "messages": false, "data_processing": true});
    let headers = [("content-type", "application/json")];
    let put = mara.client.send("PUT".parse().unwrap(), "/api/users/me/consents", &headers, less.to_string()).await;
    put.expect(200);
    world.settle().await;
    let before = world.snapshot().await;
    sends(&operator, &body).await.problem(409, "messages-not-allowed");
    world.assert_nothing_written(&before).await;
    world.advance_to("2026-11-24T07:01:00Z".parse().unwrap()).await;
    assert!(world.arrived(&mara, "did not go through").is_empty());
    assert_eq!(mara.messages_of("payment_problem").await[0]["failure"], "no_consent");
}

#[tokio::test]
async fn a_repeat_is_one_message() {
    let (world, mara, operator) = noon("b2c_elite").await;
    let body = template(&mara, "celebration", json!({"milestone": "a first week"}));
    let (one, two) = tokio::join!(
        operator.post_once("/api/messages/send", "message-1", &body),
        operator.post_once("/api/messages/send", "message-1", &body)
    );
    let late = operator.post_once("/api/messages/send", "message-1", &body).await;
    for reply in [&two, &late] {
        assert_eq!((reply.status.as_u16(), &reply.text), (202, &one.text));
    }
    world.settle().await;
    assert_eq!(world.arrived(&mara, "a first week").len(), 1);
    assert_eq!(world.items("audit").await.len(), 1);
    // Another operator's key is another key, and it lies in nobody's partition.
    world.operator().await.post_once("/api/messages/send", "message-1", &body).await.expect(202);
    let records = world.items("idempotency").await;
    assert!(records.iter().all(|item| item["pk"].as_s().unwrap().starts_with("IDEMPOTENCY#operator-")), "{records:?}");
}

#[tokio::test]
async fn what_does_not_go_together_is_told_at_once() {
    let (world, mara, operator) = noon("b2c_elite").await;
    let before = world.snapshot().await;
    let with = |mut body: Value, field: &str, value: Value| {
        body[field] = value;
        body
    };
    for (body, fields) in [
        (json!({"user_id": mara.id, "kind": "text"}), vec!["content"]),
        (json!({"user_id": mara.id, "kind": "template"}), vec!["template"]),
        (
            with(with(text(&mara, "Hi"), "template", json!("celebration")), "parameters", json!({})),
            vec!["template", "parameters"],
        ),
        (
            with(template(&mara, "celebration", json!({"activity": "a run"})), "content", json!("Hi")),
            vec!["content", "parameters.milestone", "parameters.activity"],
        ),
        (template(&mara, "completion_check", json!(null)), vec!["parameters.activity"]),
        (template(&mara, "payment_problem", json!({"milestone": "x"})), vec!["parameters.milestone"]),
        (template(&mara, "sign_in_link", json!({})), vec!["template"]),
        (template(&mara, "celebration", json!({"milestone": "x", "link": "y"})), vec!["parameters.link"]),
        (with(text(&mara, "Hi"), "via", json!("email")), vec!["via"]),
        (with(text(&mara, "Hi"), "kind", json!("voice_note")), vec!["kind"]),
        (text(&mara, &"x".repeat(1601)), vec!["content"]),
    ] {
        let reply = sends(&operator, &body).await;
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), fields, "{body}");
    }
    let nobody = json!({"user_id": UserId::generate(world.now()), "kind": "text", "content": "Hi"});
    sends(&operator, &nobody).await.problem(404, "not-found");
    sends(&mara.client, &text(&mara, "Hi")).await.problem(401, "unauthorized");
    world.assert_nothing_written(&before).await;
}

// Donations

fn adjustment(mara: &Person, pounds: f64) -> Value {
    json!({"user_id": mara.id, "amount": pounds, "reason": "A workout that the call did not hear."})
}

async fn adjusts(operator: &Client, key: &str, body: &Value) -> Reply {
    operator.post_once("/api/donations", key, body).await
}

async fn completes(world: &World, mara: &Person) {
    let workout = mara.plan("Run", world.now() + SignedDuration::from_mins(1)).await;
    mara.log(&workout, "completed").await;
}

/// What must hold whatever happened: wallet, list, impact, receipts and the charity's months are the sum of the donations.
async fn check_the_money(world: &World, mara: &Person) -> i64 {
    let donations = world.donations().await;
    let donated: i64 = donations.iter().sum();
    let pence = |value: &Value| (value.as_f64().unwrap() * 100.0).round() as i64;
    let wallet = mara.wallet().await;
    assert_eq!((pence(&wallet["amount_used"]), pence(&wallet["lifetime_donated"])), (donated, donated));
    assert_eq!(pence(&wallet["monthly_remaining"]), pence(&wallet["monthly_cap"]) - donated);
    assert!(pence(&wallet["amount_used"]) <= pence(&wallet["monthly_cap"]));
    let listed = mara.get("/api/users/me/donations?limit=100").await;
    let listed: Vec<i64> = listed["items"].as_array().unwrap().iter().map(|item| pence(&item["amount"])).collect();
    assert_eq!((listed.len(), listed.iter().sum::<i64>()), (donations.len(), donated));
    assert_eq!(pence(&mara.stats().await["impact"]["total_donated"]), donated);
    for entity in ["charity_total", "receipt"] {
        let (mut sum, mut count) = (0, 0);
        for item in world.items(entity).await {
            for (name, value) in &item {
                let number = || value.as_n().unwrap().parse::<i64>().unwrap();
                if name.starts_with("donations") {
                    count += number();
                } else if value.is_n() {
                    sum += number();
                }
            }
        }
        assert_eq!((sum, count), (donated, i64::try_from(donations.len()).unwrap()), "{entity}");
    }
    donated
}

#[tokio::test]
async fn an_adjustment_is_a_donation_that_every_sum_follows() {
    let (world, mara, operator) = noon("b2c_elite").await;
    completes(&world, &mara).await;
    let given = adjusts(&operator, "adjust-1", &adjustment(&mara, 2.29)).await.expect(201);
    assert_eq!((&given["kind"], &given["amount"]), (&json!("adjustment"), &json!(2.29)));
    assert_eq!((&given["workout_id"], &given["charity"]["name"]), (&json!(null), &json!("Mind")));
    assert_eq!(check_the_money(&world, &mara).await, 379);
    let taken = adjusts(&operator, "adjust-2", &adjustment(&mara, -3.0)).await.expect(201);
    assert_eq!(taken["amount"], json!(-3.0));
    assert_eq!(check_the_money(&world, &mara).await, 79);
    assert_eq!(world.donations().await, [-300, 150, 229]);
    let record = on_record(&world, &mara).await;
    let reason = Some("A workout that the call did not hear.".to_owned());
    for donation in [&given, &taken] {
        let about = donation["id"].as_str().unwrap().to_owned();
        assert!(record.contains(&("log-donation".to_owned(), about, reason.clone())), "{record:?}");
    }
    world.settle().await;
    assert_eq!(mara.stats().await["total_workouts"], 1, "no workout comes of it");
    completes(&world, &mara).await;
    assert_eq!(check_the_money(&world, &mara).await, 229);
}

#[tokio::test]
async fn an_adjustment_breaks_no_cap_and_takes_back_no_more_than_was_given() {
    let (world, mara, operator) = noon("b2c_pro").await;
    completes(&world, &mara).await;
    let before = world.snapshot().await;
    let refused = adjusts(&operator, "a", &adjustment(&mara, 19.01)).await;
    assert!(refused.problem(409, "cap-reached")["detail"].as_str().unwrap().contains("£19.00"), "{}", refused.text);
    let refused = adjusts(&operator, "b", &adjustment(&mara, -1.01)).await;
    assert!(refused.problem(409, "more-than-was-donated")["detail"].as_str().unwrap().contains("£1.00"));
    world.assert_nothing_written(&before).await;
    adjusts(&operator, "c", &adjustment(&mara, 19.0)).await.expect(201);
    assert_eq!(check_the_money(&world, &mara).await, 2000);
    completes(&world, &mara).await;
    assert_eq!(check_the_money(&world, &mara).await, 2000, "the cap holds for what comes after");
    adjusts(&operator, "d", &adjustment(&mara, -20.0)).await.expect(201);
    assert_eq!(check_the_money(&world, &mara).await, 0);
}

#[tokio::test]
async fn what_another_charity_received_is_not_taken_from_this_one() {
    let (world, mara, operator) = noon("b2c_pro").await;
    completes(&world, &mara).await;
    let other = ivy_domain::CharityId::generate(world.now());
    let charity = ivy_domain::charity::Charity {
        id: other,
        name: "WaterAid".to_owned(),
        impact_unit: "days of water".to_owned(),
        impact_per_pound_milli: 1000,
    };
    Box::pin(world.ivy.store.put_charity(&charity)).await.unwrap();
    mara.client.patch("/api/users/me", json!({"charity_id": other.to_string()}), 200).await;
    let refused = adjusts(&operator, "a", &adjustment(&mara, -1.0)).await;
    refused.problem(409, "more-than-was-donated");
    adjusts(&operator, "b", &adjustment(&mara, 1.5)).await.expect(201);
    adjusts(&operator, "c", &adjustment(&mara, -1.5)).await.expect(201);
    assert_eq!(world.donations().await, [-150, 100, 150]);
}

#[tokio::test]
async fn an_adjustment_needs_a_key_and_is_made_once() {
    let (world, mara, operator) = noon("b2c_pro").await;
    let before = world.snapshot().await;
    let body = adjustment(&mara, 2.0);
    let without = operator.try_post("/api/donations", &body).await;
    without.problem(422, "invalid-input");
    assert_eq!(without.wrong_fields(), ["Idempotency-Key"]);
    adjusts(&mara.client, "a", &body).await.problem(401, "unauthorized");
    let nobody = json!({"user_id": UserId::generate(world.now()), "amount": 1, "reason": "x"});
    adjusts(&operator, "a", &nobody).await.problem(404, "not-found");
    for amount in [json!(0), json!(0.001), json!(1.005), json!(1000.01), json!("1.00"), json!(null), json!([1])] {
        let wrong = adjusts(&operator, "a", &json!({"user_id": mara.id, "amount": amount, "reason": ""})).await;
        wrong.problem(422, "invalid-input");
        assert_eq!(wrong.wrong_fields(), ["amount", "reason"]);
    }
    world.assert_nothing_written(&before).await;
    let (one, two) = tokio::join!(adjusts(&operator, "b", &body), adjusts(&operator, "b", &body));
    let late = adjusts(&operator, "b", &body).await;
    for reply in [&two, &late] {
        assert_eq!((reply.status.as_u16(), &reply.text), (201, &one.text));
    }
    adjusts(&operator, "b", &adjustment(&mara, 3.0)).await.problem(422, "idempotency-key-reused");
    assert_eq!(check_the_money(&world, &mara).await, 200);
}

#[tokio::test]
async fn adjustments_and_completions_at_once_all_count_within_the_cap() {
    let (world, mara, operator) = noon("b2c_pro").await;
    let workout = mara.plan("Run", world.now() + SignedDuration::from_mins(1)).await;
    let body = adjustment(&mara, 19.0);
    let (one, two, _) =
        tokio::join!(adjusts(&operator, "a", &body), adjusts(&operator, "b", &body), mara.log(&workout, "completed"));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, two.text);
    assert_eq!(check_the_money(&world, &mara).await, 2000);
    assert_eq!(world.items("audit").await.len(), 1);
}
