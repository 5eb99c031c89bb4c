//! Whose a phone and an e-mail address are: what they sign in, ring and get before and after a code came back, and who may have
//! them.

#![allow(clippy::unwrap_used, reason = "a helper of tests says what broke by panicking")]

use std::sync::Arc;

use ivy_world::{Person, Reply, Setup, World, at, gate::HoldsOne, talks};
use jiff::SignedDuration;
use serde_json::{Value, json};

const PHONE: &str = "+447700900201";
const NEW: &str = "+447700900203";
const EMAIL: &str = "mara@example.com";
const MALLORY: &str = "mallory@example.com";
const MALLORYS_PHONE: &str = "+447700900298";

async fn signs_up(world: &World, phone: &str, email: &str, name: &str) {
    let new = json!({"phone": phone, "first_name": name, "email": email});
    world.client().post("/api/users", new, 201).await;
    world.settle().await;
}

/// How many mails came to an address after somebody asked for a sign-in link there.
async fn links_mailed(world: &World, email: &str) -> usize {
    let to_them =
        || world.mailer.sent().iter().filter(|mail| mail.to == email && mail.text.contains("#token=")).count();
    let before = to_them();
    world.client().post("/api/auth/magic-link", json!({"email": email}), 202).await;
    world.settle().await;
    to_them() - before
}

async fn try_patch(person: &Person, body: Value) -> Reply {
    person.client.try_patch("/api/users/me", &body).await
}

async fn me(person: &Person) -> Value {
    person.get("/api/users/me").await
}

/// The fields that a code was refused for.
async fn refused(person: &Person, body: Value) -> Vec<String> {
    let reply = try_patch(person, body).await;
    reply.problem(422, "invalid-input");
    reply.wrong_fields().into_iter().map(str::to_owned).collect()
}

fn other_than(code: &str) -> &'static str {
    if code == "111111" { "222222" } else { "111111" }
}

#[tokio::test]
async fn an_address_signs_in_once_its_code_came_back_from_a_session() {
    let world = World::new().await;
    let new = world.person(PHONE).signing_up("email", json!(EMAIL)).not_onboarded();
    assert_eq!(links_mailed(&world, EMAIL).await, 0);
    let mara = Box::pin(new.join(&world)).await;
    world.settle().await;
    let user = me(&mara).await;
    assert_eq!((&user["email"], &user["unproven_email"]), (&Value::Null, &json!(EMAIL)));
    // Nothing goes there before its user asks for a code; it signs nobody in before that came back, and opens no session.
    assert!(world.mailer.sent().is_empty());
    mara.client.patch("/api/users/me", json!({"email": EMAIL}), 200).await;
    world.settle().await;
    let code = world.mailed_code(EMAIL);
    assert_eq!(links_mailed(&world, EMAIL).await, 0);
    let proof = json!({"email": EMAIL, "code": code});
    world.client().try_post("/api/auth/verify", &proof).await.problem(401, "unauthorized");
    assert_eq!(refused(&mara, json!({"email_code": other_than(&code)})).await, ["email_code"]);
    let user = mara.client.patch("/api/users/me", json!({"email_code": code}), 200).await;
    assert_eq!((&user["email"], &user["unproven_email"]), (&json!(EMAIL), &Value::Null));
    assert_eq!(links_mailed(&world, EMAIL).await, 1);
    let session =
        world.client().post("/api/auth/verify", json!({"email": EMAIL, "code": world.mailed_code(EMAIL)}), 200).await;
    assert_eq!(session["user_id"], mara.id.to_string());
    // The same code again proves nothing, and changes nothing.
    assert_eq!(refused(&mara, json!({"email_code": code})).await, ["email_code"]);
    assert_eq!(me(&mara).await["email"], EMAIL);
}

/// Anybody can sign up with anybody's number and an address of their own, and wait for its owner to prove it.
#[tokio::test]
async fn who_signs_up_with_somebody_elses_number_never_gets_in() {
    let world = World::new().await;
    signs_up(&world, PHONE, MALLORY, "Mallory").await;
    assert_eq!(links_mailed(&world, MALLORY).await, 0);
    // The owner signs up, and gets what they said.
    signs_up(&world, PHONE, EMAIL, "Mara").await;
    let proof = json!({"phone": PHONE, "code": world.code_for(PHONE)});
    let session = world.client().post("/api/auth/verify", proof, 200).await;
    let mut owner = world.client();
    owner.token = session["access_token"].as_str().map(str::to_owned);
    let user = owner.get("/api/users/me", 200).await;
    assert_eq!((&user["first_name"], &user["unproven_email"]), (&json!("Mara"), &json!(EMAIL)));
    assert_eq!(world.items("user").await.len(), 1);
    owner.patch("/api/users/me", json!({"email": EMAIL}), 200).await;
    world.settle().await;
    owner.patch("/api/users/me", json!({"email_code": world.mailed_code(EMAIL)}), 200).await;
    for _ in 0..2 {
        assert_eq!(links_mailed(&world, MALLORY).await, 0);
        // Nor does signing up again with the number change the account, now that its owner is in.
        signs_up(&world, PHONE, MALLORY, "Mallory").await;
    }
    assert!(world.mailer.sent().iter().all(|mail| mail.to == EMAIL));
    let user = owner.get("/api/users/me", 200).await;
    let (name, email, unproven) = (&user["first_name"], &user["email"], &user["unproven_email"]);
    assert_eq!((name, email, unproven), (&json!("Mara"), &json!(EMAIL), &Value::Null));
}

/// Where the owner of the number follows the link of somebody else's sign-up, that one's address gets nothing and stays outside.
#[tokio::test]
async fn an_address_from_somebody_elses_sign_up_stays_unproven() {
    let world = World::new().await;
    signs_up(&world, PHONE, MALLORY, "Mallory").await;
    let proof = json!({"phone": PHONE, "code": world.code_for(PHONE)});
    let session = world.client().post("/api/auth/verify", proof, 200).await;
    world.settle().await;
    assert_eq!(links_mailed(&world, MALLORY).await, 0);
    assert!(world.mailer.sent().is_empty());
    let mut owner = world.client();
    owner.token = session["access_token"].as_str().map(str::to_owned);
    let user = owner.patch("/api/users/me", json!({"email": null}), 200).await;
    assert_eq!((&user["email"], &user["unproven_email"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn naming_an_address_or_a_number_keeps_nobody_from_it() {
    let world = World::new().await;
    let mallory = Box::pin(world.person(MALLORYS_PHONE).join(&world)).await;
    let wishes = json!({"email": EMAIL, "phone": PHONE});
    let free = mallory.client.patch("/api/users/me", wishes.clone(), 200).await;
    world.settle().await;
    let (mailed, texted) = (world.mailed_code(EMAIL), world.code_for(PHONE));
    assert_eq!((&free["unproven_email"], &free["unproven_phone"]), (&json!(EMAIL), &json!(PHONE)));
    // Their owner signs up with both, and has both.
    let new = world.person(PHONE).signing_up("email", json!(EMAIL)).not_onboarded();
    let mara = Box::pin(new.join(&world)).await;
    assert_ne!(mara.id, mallory.id);
    mara.can_be_mailed(&world, EMAIL).await;
    // Naming what is taken looks as naming what is free does.
    let taken = mallory.client.patch("/api/users/me", wishes, 200).await;
    let without_time = |user: &Value| {
        let mut user = user.clone();
        user["updated_at"].take();
        user
    };
    assert_eq!(without_time(&taken), without_time(&free));
    world.settle().await;
    // Who can read what comes to a contact that another account has is told so, and has it not.
    for (code, slug) in [
        (json!({"email_code": world.mailed_code(EMAIL)}), "email-taken"),
        (json!({"phone_code": world.code_for(PHONE)}), "phone-taken"),
    ] {
        try_patch(&mallory, code).await.problem(409, slug);
    }
    // The first codes were replaced.
    let old = json!({"email_code": mailed, "phone_code": texted});
    assert_eq!(refused(&mallory, old).await, ["phone_code", "email_code"]);
    let mallorys = me(&mallory).await;
    assert_eq!((&mallorys["email"], &mallorys["phone"]), (&Value::Null, &json!(MALLORYS_PHONE)));
    assert_eq!(me(&mara).await["email"], EMAIL);
    assert_eq!(links_mailed(&world, EMAIL).await, 1);
}

#[tokio::test]
async fn of_two_who_prove_one_address_at_once_one_has_it() {
    for _ in 0..4 {
        let world = World::new().await;
        let (mut people, mut codes) = (Vec::new(), Vec::new());
        for phone in [PHONE, NEW] {
            let person = Box::pin(world.person(phone).not_onboarded().join(&world)).await;
            person.client.patch("/api/users/me", json!({"email": EMAIL}), 200).await;
            world.settle().await;
            codes.push(json!({"email_code": world.mailed_code(EMAIL)}));
            people.push(person);
        }
        let (one, other) =
            tokio::join!(try_patch(&people[0], codes[0].clone()), try_patch(&people[1], codes[1].clone()));
        let mut statuses = [one.status.as_u16(), other.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let (first, second) = (me(&people[0]).await, me(&people[1]).await);
        let have_it = [first, second].iter().filter(|user| user["email"] == EMAIL).count();
        assert_eq!(have_it, 1);
    }
}

/// Two requests with one code, as an impatient finger sends them.
#[tokio::test]
async fn a_code_that_comes_twice_at_once_is_used_once() {
    let world = World::new().await;
    let mara = Box::pin(world.person(PHONE).not_onboarded().join(&world)).await;
    mara.client.patch("/api/users/me", json!({"phone": NEW}), 200).await;
    world.settle().await;
    let code = json!({"phone_code": world.code_for(NEW)});
    let (one, other) = tokio::join!(try_patch(&mara, code.clone()), try_patch(&mara, code));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422]);
    let user = me(&mara).await;
    assert_eq!((&user["phone"], &user["unproven_phone"]), (&json!(NEW), &Value::Null));
}

#[tokio::test]
async fn another_number_takes_the_old_ones_place_once_its_code_came_back() {
    let world = World::new().await;
    let mara = Box::pin(world.person(PHONE).tier("b2c_elite").join(&world)).await;
    world.simulators.set_persona(PHONE, talks(json!({})));
    world.simulators.set_persona(NEW, talks(json!({})));
    world.advance_to(at("09:30")).await;
    world.writes(&mara, "STATUS").await;
    world.client().post("/api/auth/magic-link", json!({"phone": PHONE}), 202).await;
    world.settle().await;
    let link_code = world.code_for(PHONE);
    let completes = async || {
        let workout = mara.plan("Run", world.now() + SignedDuration::from_mins(1)).await;
        mara.log(&workout, "completed").await;
        world.settle().await;
    };
    // Named, it gets its code and nothing else; all goes on at the old one.
    let before = me(&mara).await;
    let named = mara.client.patch("/api/users/me", json!({"phone": NEW}), 200).await;
    assert_eq!((&named["phone"], &named["unproven_phone"]), (&json!(PHONE), &json!(NEW)));
    assert_eq!(named["phone_proven_at"], before["phone_proven_at"]);
    let export = mara.get("/api/users/me/export").await;
    assert_eq!(export["profile"]["unproven_phone"], NEW, "and of the code's hash nothing");
    let at_old = world.simulators.handset(PHONE).len();
    completes().await;
    assert_eq!(world.simulators.handset(PHONE).len(), at_old + 1);
    assert_eq!(world.simulators.handset(NEW).len(), 1);
    world.simulators.reply(NEW, "done");
    world.settle().await;
    assert_eq!(mara.stats().await["total_workouts"], 1, "what comes from there is nobody's");
    // Its code makes it the user's.
    let code = world.code_for(NEW);
    let user = mara.client.patch("/api/users/me", json!({"phone_code": code}), 200).await;
    assert_eq!((&user["phone"], &user["unproven_phone"]), (&json!(NEW), &Value::Null));
    let proof = json!({"phone": PHONE, "code": link_code});
    world.client().try_post("/api/auth/verify", &proof).await.problem(401, "unauthorized");
    let (at_old, at_new) = (world.simulators.handset(PHONE).len(), world.simulators.handset(NEW).len());
    // Free text needs a message from the number itself; the template goes to the new one.
    completes().await;
    assert_eq!((world.simulators.handset(PHONE).len(), world.simulators.handset(NEW).len()), (at_old, at_new + 1));
    assert_eq!(mara.messages_of("completion_confirmation").await[0]["via"], "whatsapp");
    let rings = world.simulators.rings().len();
    world.advance_to(at("20:30")).await;
    assert!(world.simulators.rings().len() > rings, "what was planned rings at the new one");
    mara.signs_in_at(&world, NEW).await;
    // The old number is free, and what it writes is nobody's.
    let someone = Box::pin(world.person(PHONE).join(&world)).await;
    assert_ne!(someone.id, mara.id);
}

#[tokio::test]
async fn a_code_is_good_for_five_tries_and_fifteen_minutes() {
    let world = World::new().await;
    let mara = Box::pin(world.person(PHONE).not_onboarded().join(&world)).await;
    let named = async || {
        mara.client.patch("/api/users/me", json!({"phone": NEW}), 200).await;
        world.settle().await;
        world.code_for(NEW)
    };
    assert_eq!(refused(&mara, json!({"phone_code": "123456"})).await, ["phone_code"]);
    let code = named().await;
    for _ in 0..4 {
        assert_eq!(refused(&mara, json!({"phone_code": other_than(&code)})).await, ["phone_code"]);
    }
    // Of a user five are looked at in a quarter of an hour, right ones too.
    try_patch(&mara, json!({"phone_code": code})).await.problem(429, "rate-limited");
    world.advance(SignedDuration::from_mins(15)).await;
    assert_eq!(refused(&mara, json!({"phone_code": code})).await, ["phone_code"]);
    let code = named().await;
    world.advance(SignedDuration::from_secs(15 * 60)).await;
    assert_eq!(refused(&mara, json!({"phone_code": code})).await, ["phone_code"]);
    let code = named().await;
    world.advance(SignedDuration::from_secs(15 * 60 - 1)).await;
    let user = mara.client.patch("/api/users/me", json!({"phone_code": code, "first_name": "Mira"}), 200).await;
    assert_eq!((&user["phone"], &user["first_name"]), (&json!(NEW), &json!("Mira")));
}

#[tokio::test]
async fn a_wrong_code_changes_nothing_else_and_codes_are_of_one_contact() {
    let world = World::new().await;
    let mara = Box::pin(world.person(PHONE).not_onboarded().join(&world)).await;
    mara.client.patch("/api/users/me", json!({"phone": NEW, "email": EMAIL}), 200).await;
    world.settle().await;
    let (texted, mailed) = (world.code_for(NEW), world.mailed_code(EMAIL));
    let before = me(&mara).await;
    assert_eq!(refused(&mara, json!({"email_code": texted, "first_name": "Mira"})).await, ["email_code"]);
    let both = json!({"phone_code": mailed, "email_code": mailed, "first_name": "Mira"});
    assert_eq!(refused(&mara, both).await, ["phone_code"]);
    for together in [json!({"phone": NEW, "phone_code": texted}), json!({"email": null, "email_code": mailed})] {
        assert_eq!(refused(&mara, together.clone()).await.len(), 1, "{together}");
    }
    for wrong in [json!(123_456), Value::Null, json!("1".repeat(17)), json!("")] {
        assert_eq!(refused(&mara, json!({"phone_code": wrong})).await, ["phone_code"]);
    }
    assert_eq!(me(&mara).await, before);
    // Another wish ends the one before, code and all; the own number ends it as well.
    mara.client.patch("/api/users/me", json!({"phone": "+447700900204"}), 200).await;
    assert_eq!(refused(&mara, json!({"phone_code": texted})).await, ["phone_code"]);
    let user = mara.client.patch("/api/users/me", json!({"phone": PHONE}), 200).await;
    assert_eq!((&user["phone"], &user["unproven_phone"]), (&json!(PHONE), &Value::Null));
}

#[tokio::test]
async fn an_address_that_is_taken_out_is_free() {
    let world = World::new().await;
    let mara = Box::pin(world.person(PHONE).not_onboarded().join(&world)).await;
    mara.can_be_mailed(&world, EMAIL).await;
    world.client().post("/api/auth/magic-link", json!({"email": EMAIL}), 202).await;
    world.settle().await;
    let code = world.mailed_code(EMAIL);
    mara.client.patch("/api/users/me", json!({"email": null}), 200).await;
    let proof = json!({"email": EMAIL, "code": code});
    world.client().try_post("/api/auth/verify", &proof).await.problem(401, "unauthorized");
    assert_eq!(links_mailed(&world, EMAIL).await, 0);
    let other = Box::pin(world.person(NEW).not_onboarded().join(&world)).await;
    assert_eq!(other.can_be_mailed(&world, EMAIL).await["email"], EMAIL);
}

/// Free and taken ones are counted alike: who names numbers or addresses brings few messages to them.
#[tokio::test]
async fn wishes_for_a_phone_or_an_address_are_counted() {
    let world = World::new().await;
    Box::pin(world.person(PHONE).not_onboarded().join(&world)).await;
    for (own, taken) in [("+447700900171", true), ("+447700900172", false)] {
        let someone = Box::pin(world.person(own).not_onboarded().join(&world)).await;
        for number in 0..5 {
            // Other changes, and what the user has, are not counted.
            try_patch(&someone, json!({"first_name": format!("Mira {number}"), "phone": own})).await.expect(200);
            let address = json!({"email": format!("{number}{}@example.com", &own[1..])});
            try_patch(&someone, if taken && number < 4 { json!({"phone": PHONE}) } else { address }).await.expect(200);
        }
        try_patch(&someone, json!({"phone": PHONE})).await.problem(429, "rate-limited");
        try_patch(&someone, json!({"email": "another@example.com"})).await.problem(429, "rate-limited");
        try_patch(&someone, json!({"email": null})).await.expect(200);
    }
    // The number got four codes, and gets one more; whoever names it after that is refused.
    for (own, status) in [("+447700900173", 200), ("+447700900174", 429)] {
        let someone = Box::pin(world.person(own).not_onboarded().join(&world)).await;
        assert_eq!(try_patch(&someone, json!({"phone": PHONE})).await.status, status);
        assert_eq!(me(&someone).await["unproven_phone"].is_string(), status == 200);
    }
    world.settle().await;
    assert_eq!(world.simulators.handset(PHONE).len(), 1 + 5);
    // Its owner gets in all the while.
    world.client().post("/api/auth/magic-link", json!({"phone": PHONE}), 202).await;
    world.settle().await;
    let proof = json!({"phone": PHONE, "code": world.code_for(PHONE)});
    world.client().post("/api/auth/verify", proof, 200).await;
}

/// A try that is held before it writes, until another code was sent.
async fn while_held(
    gate: &HoldsOne,
    tries: impl Future<Output = Reply>,
    sends: impl Future<Output = String>,
) -> (Reply, String) {
    gate.arm();
    let again = async {
        gate.held().await;
        let code = sends.await;
        gate.let_go();
        code
    };
    tokio::join!(tries, again)
}

/// A wrong try that was looked at before another code was sent must not bring the old one back.
#[tokio::test]
async fn a_try_of_the_code_before_leaves_the_new_one_alone() {
    let gate = Arc::new(HoldsOne::of(|passage| {
        passage.operation == "PutItem" && ["contact_code", "sign_in"].contains(&passage.entities[0].as_str())
    }));
    let setup = Setup { gate: Some(gate.clone()), ..Setup::default() };
    let world = World::with("2026-11-23T12:00:00Z", setup).await;
    let mara = Box::pin(world.person(PHONE).not_onboarded().join(&world)).await;
    let named = async || {
        mara.client.patch("/api/users/me", json!({"phone": NEW}), 200).await;
        world.settle().await;
        world.code_for(NEW)
    };
    let first = named().await;
    let tries = try_patch(&mara, json!({"phone_code": other_than(&first)}));
    let (reply, code) = while_held(&gate, tries, named()).await;
    reply.problem(422, "invalid-input");
    assert_eq!(mara.client.patch("/api/users/me", json!({"phone_code": code}), 200).await["phone"], NEW);

    // The same of the codes that sign in.
    let asks = async || {
        world.client().post("/api/auth/magic-link", json!({"phone": NEW}), 202).await;
        world.settle().await;
        world.code_for(NEW)
    };
    let first = asks().await;
    let wrong = json!({"phone": NEW, "code": other_than(&first)});
    let anyone = world.client();
    let (reply, code) = while_held(&gate, anyone.try_post("/api/auth/verify", &wrong), asks()).await;
    reply.problem(401, "unauthorized");
    world.client().post("/api/auth/verify", json!({"phone": NEW, "code": code}), 200).await;
}

/// That a number said STOP once, or is none, is known to its owner alone.
#[tokio::test]
async fn why_a_code_did_not_arrive_is_not_told() {
    const DEAD: &str = "+447700900207";
    let world = World::new().await;
    let mara = Box::pin(world.person(PHONE).not_onboarded().join(&world)).await;
    world.simulators.reply_sms(DEAD, "STOP");
    world.settle().await;
    mara.client.patch("/api/users/me", json!({"phone": DEAD}), 200).await;
    world.settle().await;
    let code = mara.messages_of("contact_code").await.remove(0);
    assert_eq!((&code["status"], &code["failure"]), (&json!("failed"), &Value::Null));
    assert_eq!(code["content"], Value::Null);
}
