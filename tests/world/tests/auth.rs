//! Signing in: links and codes, their limits, sessions that rotate, access tokens, and the signatures of webhooks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what broke by panicking")]

use std::sync::{Arc, Mutex};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use axum::{
    body::Body,
    http::{HeaderMap, Method},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ivy_domain::{
    CompanyId, Email, SessionId, UserId,
    admin::{AdminRole, NewPassword},
};
use ivy_flows::admins;
use ivy_runtime::Tokens;
use ivy_simulators::{Provider, Webhook};
use ivy_store::{AdminAccount, Keyring, TokenKey};
use ivy_world::{
    ADMIN_PASSWORD, Client, Person, Reply, Setup, VERIFY_TOKEN, World,
    gate::{Gate, Party, Passage, Ruling},
};
use jiff::SignedDuration;
use serde_json::{Value, json};

const PHONE: &str = "+447700900201";
const STRANGER: &str = "+447700900299";
const EMAIL: &str = "mara@example.com";

/// Asks for a link or code, from an address of its own.
async fn request(world: &World, contact: Value) -> Reply {
    let reply = world.client().try_post("/api/auth/magic-link", &contact).await;
    world.settle().await;
    reply
}

async fn verify(client: &Client, proof: Value) -> Reply {
    client.try_post("/api/auth/verify", &proof).await
}

async fn refresh(world: &World, token: &str) -> Reply {
    world.client().try_post("/api/auth/refresh", &json!({"refresh_token": token})).await
}

/// The token of the newest link that was mailed.
fn mailed_token(world: &World) -> String {
    let mails = world.mailer.sent();
    let text = &mails.last().expect("a mail was sent").text;
    let link = text.split_whitespace().find(|word| word.contains("#token=")).expect("the mail holds a link");
    let (page, token) = link.split_once("#token=").unwrap();
    assert!(page.ends_with("/sign-in"), "{page}");
    token.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// An account with an e-mail address, and the newest link is in the mail.
async fn has_a_link_in_the_mail(world: &World) -> String {
    let mara = Box::pin(world.person(PHONE).not_onboarded().join(world)).await;
    mara.can_be_mailed(world, EMAIL).await;
    request(world, json!({"email": EMAIL})).await.expect(202);
    mara.id.to_string()
}

async fn signed_up_by_phone(world: &World) {
    world.client().post("/api/users", json!({"phone": PHONE, "first_name": "Mara"}), 201).await;
    world.settle().await;
}

/// A code that is not this one.
fn other_code(code: &str, offset: u32) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + offset) % 1_000_000)
}

#[tokio::test]
async fn a_link_by_mail_opens_one_session() {
    let world = World::new().await;
    let user = has_a_link_in_the_mail(&world).await;
    let mail = world.mailer.sent().pop().unwrap();
    assert_eq!(mail.to, EMAIL);
    assert_eq!(
        world.simulators.handset(PHONE).len(),
        1,
        "the first link goes to the phone, the next where it is asked for"
    );
    let token = mailed_token(&world);

    // A mail scanner opens the link, and tries the API's addresses with it: nothing is used up.
    for path in ["/api/auth/verify", &format!("/api/auth/verify?token={token}")] {
        world.client().try_get(path).await.problem(405, "wrong-method");
        let head = world.client().send(Method::HEAD, path, &[], Body::empty()).await;
        assert_eq!(head.status, 405);
    }
    world.client().try_get("/api/auth/magic-link").await.problem(405, "wrong-method");

    let session = verify(&world.client(), json!({"token": token})).await.expect(200);
    assert_eq!(session["user_id"], user);
    assert_eq!(session["token_type"], "Bearer");
    assert_eq!(session["expires_in"], 900);
    let mut client = world.client();
    client.token = Some(session["access_token"].as_str().unwrap().to_owned());
    assert_eq!(client.get("/api/users/me", 200).await["email"], EMAIL);

    verify(&world.client(), json!({"token": token})).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_code_by_sms_signs_in_and_uses_up_the_link_as_well() {
    let world = World::new().await;
    signed_up_by_phone(&world).await;
    let code = world.code_for(PHONE);
    let session = verify(&world.client(), json!({"phone": PHONE, "code": code})).await.expect(200);
    assert!(session["refresh_token"].is_string());
    verify(&world.client(), json!({"phone": PHONE, "code": code})).await.problem(401, "unauthorized");
    let text = &world.simulators.handset(PHONE)[0].text;
    let token: String = text.split("#token=").nth(1).unwrap().chars().take_while(char::is_ascii_alphanumeric).collect();
    verify(&world.client(), json!({"token": token})).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_newer_request_replaces_the_older_one() {
    let world = World::new().await;
    has_a_link_in_the_mail(&world).await;
    let older = mailed_token(&world);
    request(&world, json!({"email": EMAIL})).await.expect(202);
    let newer = mailed_token(&world);
    assert_ne!(older, newer);
    verify(&world.client(), json!({"token": older})).await.problem(401, "unauthorized");
    verify(&world.client(), json!({"token": newer})).await.expect(200);
}

#[tokio::test]
async fn an_address_in_capitals_is_the_same_address() {
    let world = World::new().await;
    has_a_link_in_the_mail(&world).await;
    let mails = world.mailer.sent().len();
    request(&world, json!({"email": EMAIL.to_uppercase()})).await.expect(202);
    assert_eq!(world.mailer.sent().len(), mails + 1);
    assert_eq!(world.mailer.sent()[mails].to, EMAIL, "to the address that is known");
}

#[tokio::test]
async fn five_wrong_codes_use_a_request_up() {
    for tries in [4, 5] {
        let world = World::new().await;
        signed_up_by_phone(&world).await;
        let code = world.code_for(PHONE);
        for number in 1..=tries {
            let wrong = json!({"phone": PHONE, "code": other_code(&code, number)});
            verify(&world.client(), wrong).await.problem(401, "unauthorized");
        }
        let right = verify(&world.client(), json!({"phone": PHONE, "code": code})).await;
        if tries < 5 {
            right.expect(200);
        } else {
            refused_for_long(&right, 900);
            // A quarter of an hour later codes are looked at again; this one's request is used up.
            world.clock.set(world.now() + SignedDuration::from_secs(899));
            refused_for_long(&verify(&world.client(), json!({"phone": PHONE, "code": code})).await, 1);
            world.clock.set(world.now() + SignedDuration::from_secs(1));
            verify(&world.client(), json!({"phone": PHONE, "code": code})).await.problem(401, "unauthorized");
        }
    }
}

/// Who tries codes for somebody else's number from many addresses locks its owner out of codes, but not out of their link.
#[tokio::test]
async fn codes_are_limited_for_each_contact_and_links_still_open() {
    let world = World::new().await;
    signed_up_by_phone(&world).await;
    let (code, text) = (world.code_for(PHONE), world.simulators.handset(PHONE)[0].text.clone());
    for offset in 1..=4 {
        let wrong = json!({"phone": PHONE, "code": other_code(&code, offset)});
        verify(&world.client(), wrong).await.problem(401, "unauthorized");
    }
    let other = json!({"phone": STRANGER, "code": code});
    verify(&world.client(), other).await.problem(401, "unauthorized");
    verify(&world.client(), json!({"phone": PHONE, "code": "no code"})).await.problem(401, "unauthorized");
    refused_for_long(&verify(&world.client(), json!({"phone": PHONE, "code": code})).await, 900);
    request(&world, json!({"phone": PHONE})).await.expect(202);
    let text = world.simulators.handset(PHONE).pop().map_or(text, |message| message.text);
    let token: String = text.split("#token=").nth(1).unwrap().chars().take_while(char::is_ascii_alphanumeric).collect();
    verify(&world.client(), json!({"token": token})).await.expect(200);
}

#[tokio::test]
async fn a_request_is_good_for_fifteen_minutes() {
    for (minutes, seconds, good) in [(14, 59, true), (15, 0, false)] {
        let world = World::new().await;
        has_a_link_in_the_mail(&world).await;
        let token = mailed_token(&world);
        world.advance(SignedDuration::from_secs(minutes * 60 + seconds)).await;
        let reply = verify(&world.client(), json!({"token": token})).await;
        assert_eq!(reply.status == 200, good, "after {minutes}:{seconds:02}: {}", reply.status);
    }
}

#[tokio::test]
async fn a_proof_is_a_link_or_a_code_and_not_both() {
    let world = World::new().await;
    for wrong in [
        json!({}),
        json!({"token": "x", "code": "123456"}),
        json!({"token": "x", "phone": PHONE}),
        json!({"code": "123456"}),
        json!({"code": "123456", "phone": PHONE, "email": EMAIL}),
    ] {
        verify(&world.client(), wrong).await.problem(422, "invalid-input");
    }
    for token in ["", "x", "é", &"é".repeat(40), &"0".repeat(80), &"x".repeat(256)] {
        verify(&world.client(), json!({"token": token})).await.problem(401, "unauthorized");
    }
    for (path, body, field) in [
        ("/api/auth/verify", json!({"token": "x".repeat(257)}), "token"),
        ("/api/auth/verify", json!({"phone": PHONE, "code": "1".repeat(17)}), "code"),
        ("/api/auth/refresh", json!({"refresh_token": "x".repeat(513)}), "refresh_token"),
        ("/api/admin/auth/login", json!({"email": EMAIL, "password": "x".repeat(201)}), "password"),
    ] {
        let reply = world.client().try_post(path, &body).await;
        reply.problem(422, "invalid-input");
        assert_eq!(reply.wrong_fields(), [field]);
    }
    for code in ["", "0", "1234567", "é"] {
        verify(&world.client(), json!({"phone": PHONE, "code": code})).await.problem(401, "unauthorized");
    }
}

fn comparable(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut headers: Vec<_> = headers
        .iter()
        .filter(|(name, _)| *name != "x-request-id")
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    headers
}

#[tokio::test]
async fn who_has_an_account_does_not_show() {
    let world = World::new().await;
    has_a_link_in_the_mail(&world).await;
    let mails = world.mailer.sent().len();
    let known = request(&world, json!({"email": EMAIL})).await;
    assert_eq!(world.mailer.sent().len(), mails + 1);
    let writes = world.items("sign_in").await.len();
    for contact in [json!({"email": "nobody@example.com"}), json!({"phone": STRANGER})] {
        let unknown = request(&world, contact).await;
        assert_eq!((unknown.status, &unknown.text), (known.status, &known.text));
        assert_eq!(comparable(&unknown.headers), comparable(&known.headers));
    }
    assert_eq!(known.status, 202);
    assert_eq!(world.items("sign_in").await.len(), writes + 2, "decoys");
    assert_eq!(world.mailer.sent().len(), mails + 1);
    assert!(world.simulators.handset(STRANGER).is_empty());
    assert!(world.queues.dead_letters().is_empty());
    // Nor does it show to who tries codes.
    let wrong = verify(&world.client(), json!({"email": EMAIL, "code": "000000"})).await;
    let stranger = verify(&world.client(), json!({"phone": STRANGER, "code": "000000"})).await;
    assert_eq!((wrong.status, &wrong.text), (stranger.status, &stranger.text));
}

fn refused_for_long(reply: &Reply, seconds: u64) {
    reply.problem(429, "rate-limited");
    let text = |name: &str| reply.headers[name].to_str().unwrap().to_owned();
    assert_eq!(text("retry-after"), seconds.to_string());
    assert_eq!(text("ratelimit"), format!("\"default\";r=0;t={seconds}"));
    assert_eq!(text("ratelimit-policy"), "\"default\";q=5;w=900");
}

#[tokio::test]
async fn links_are_limited_for_each_contact_and_each_address() {
    let world = World::new().await;
    has_a_link_in_the_mail(&world).await;
    world.advance(SignedDuration::from_secs(60)).await;
    let mails = world.mailer.sent().len();
    for _ in 0..4 {
        request(&world, json!({"email": EMAIL})).await.expect(202);
    }
    refused_for_long(&request(&world, json!({"email": EMAIL})).await, 14 * 60);
    assert_eq!(world.mailer.sent().len(), mails + 4, "a link was mailed before");

    // The same of a contact that nobody has: the limit does not tell either.
    for _ in 0..5 {
        request(&world, json!({"phone": STRANGER})).await.expect(202);
    }
    refused_for_long(&request(&world, json!({"phone": STRANGER})).await, 14 * 60);

    let one_address = world.client();
    for number in 0..5 {
        let contact = json!({"email": format!("person{number}@example.com")});
        one_address.post("/api/auth/magic-link", contact, 202).await;
    }
    let next = json!({"email": "person5@example.com"});
    refused_for_long(&one_address.try_post("/api/auth/magic-link", &next).await, 14 * 60);

    world.advance(SignedDuration::from_mins(14)).await;
    one_address.post("/api/auth/magic-link", next, 202).await;
    request(&world, json!({"email": EMAIL})).await.expect(202);
}

/// A contact gets five links in 15 minutes, whatever for: signing up again and again is no way to more of them.
#[tokio::test]
async fn sign_ups_and_links_share_the_count_of_the_contact_that_gets_them() {
    let world = World::new().await;
    let sign_up = async |phone: &str, email: &str| {
        let new = json!({"phone": phone, "first_name": "Mara", "email": email});
        let reply = world.client().try_post("/api/users", &new).await;
        world.settle().await;
        reply
    };
    sign_up(PHONE, EMAIL).await.expect(201);
    for number in 0..3 {
        sign_up(PHONE, &format!("other{number}@example.com")).await.expect(201);
    }
    request(&world, json!({"phone": PHONE})).await.expect(202);
    refused_for_long(&sign_up(PHONE, EMAIL).await, 900);
    refused_for_long(&request(&world, json!({"phone": PHONE})).await, 900);
    assert_eq!(world.simulators.handset(PHONE).len(), 5);
    // Nor does signing up with another phone bring anything to the owner of the e-mail address.
    for number in 0..6 {
        sign_up(&format!("+44770090023{number}"), EMAIL).await.expect(201);
    }
    assert!(world.mailer.sent().is_empty());
    assert_eq!(world.simulators.handset(PHONE).len(), 5);
}

#[tokio::test]
async fn codes_and_sign_ups_are_limited_for_each_address() {
    let world = World::new().await;
    let client = world.client();
    for number in 0..5 {
        let wrong = json!({"phone": format!("+44770090021{number}"), "code": "123456"});
        verify(&client, wrong).await.problem(401, "unauthorized");
    }
    refused_for_long(&verify(&client, json!({"phone": PHONE, "code": "123456"})).await, 900);

    let client = world.client();
    for number in 0..5 {
        client.post("/api/users", json!({"phone": format!("+44770090022{number}"), "first_name": "Mara"}), 201).await;
    }
    let before = world.snapshot().await;
    refused_for_long(&client.try_post("/api/users", &json!({"phone": PHONE, "first_name": "Mara"})).await, 900);
    world.assert_nothing_written(&before).await;
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_twin_gets_the_same() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let first = &mara.refresh_token;
    let second = refresh(&world, first).await.expect(200)["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(*first, second);
    world.advance(SignedDuration::from_secs(20)).await;
    let twin = refresh(&world, first).await.expect(200);
    assert_eq!(twin["refresh_token"], second, "a parallel tab gets the same successor");
    assert_eq!(twin["user_id"], mara.id.to_string());

    world.advance(SignedDuration::from_secs(1)).await;
    refresh(&world, first).await.problem(401, "unauthorized");
    refresh(&world, &second).await.problem(401, "unauthorized");
    assert!(world.items("session").await.is_empty(), "a token used again ends its whole family");
}

#[tokio::test]
async fn two_tabs_at_once_get_the_same_successor() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let (one, other) = tokio::join!(refresh(&world, &mara.refresh_token), refresh(&world, &mara.refresh_token));
    assert_eq!(one.expect(200)["refresh_token"], other.expect(200)["refresh_token"]);
}

#[tokio::test]
async fn a_token_that_was_rotated_twice_still_gets_its_own_successor_within_the_grace() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let next =
        async |token: &str| refresh(&world, token).await.expect(200)["refresh_token"].as_str().unwrap().to_owned();
    let first = mara.refresh_token.clone();
    let second = next(&first).await;
    world.advance(SignedDuration::from_secs(8)).await;
    let third = next(&second).await;
    world.advance(SignedDuration::from_secs(8)).await;
    let fourth = next(&third).await;
    for (old, successor) in [(&first, &second), (&second, &third), (&third, &fourth)] {
        assert_eq!(next(old).await, *successor);
    }
    // Each has 20 seconds of its own.
    world.advance(SignedDuration::from_secs(12)).await;
    assert_eq!((next(&second).await, next(&third).await), (third.clone(), fourth.clone()));
    refresh(&world, &first).await.problem(401, "unauthorized");
    refresh(&world, &fourth).await.problem(401, "unauthorized");
    assert!(world.items("session").await.is_empty());
}

#[tokio::test]
async fn a_token_far_behind_the_newest_ends_the_family() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let mut token = mara.refresh_token.clone();
    for _ in 0..30 {
        token = refresh(&world, &token).await.expect(200)["refresh_token"].as_str().unwrap().to_owned();
    }
    refresh(&world, &mara.refresh_token).await.problem(401, "unauthorized");
    refresh(&world, &token).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_forged_or_old_refresh_token_is_refused_and_ends_nothing() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let token = &mara.refresh_token;
    let parts: Vec<&str> = token.split('.').collect();
    let [user, session, number, key, mac] = parts[..] else { panic!("a refresh token has five parts") };
    let changed_number = format!("{user}.{session}.2.{key}.{mac}");
    let other_user = format!("{}.{session}.{number}.{key}.{mac}", UserId::generate(world.now()));
    let other_key = format!("{user}.{session}.{number}.other.{mac}");
    let without_key = format!("{user}.{session}.{number}.{mac}");
    for forged in [
        "",
        "x",
        "....",
        &changed_number,
        &other_user,
        &other_key,
        &without_key,
        &format!("{token}."),
        &token[..token.len() - 1],
    ] {
        refresh(&world, forged).await.problem(401, "unauthorized");
    }
    let next = refresh(&world, token).await.expect(200)["refresh_token"].as_str().unwrap().to_owned();
    world.advance(SignedDuration::from_hours(24 * 30)).await;
    refresh(&world, &next).await.problem(401, "unauthorized");
}

/// Asks for the own profile with a token.
async fn me_with(world: &World, token: &str) -> Reply {
    let mut client = world.client();
    client.token = Some(token.to_owned());
    client.try_get("/api/users/me").await
}

#[tokio::test]
async fn an_access_token_lives_for_fifteen_minutes_whatever_becomes_of_its_session() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let token = mara.client.access_token().await.unwrap();
    // The session ends: its first token is used again, late.
    refresh(&world, &mara.refresh_token).await.expect(200);
    world.advance(SignedDuration::from_secs(60)).await;
    refresh(&world, &mara.refresh_token).await.problem(401, "unauthorized");

    world.advance(SignedDuration::from_mins(13)).await;
    me_with(&world, &token).await.expect(200);
    world.advance(SignedDuration::from_secs(66)).await;
    let refused = me_with(&world, &token).await;
    refused.problem(401, "unauthorized");
    assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Signs claims with a key, under the header of a genuine token.
fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let kid = header["kid"].as_str().unwrap().to_owned();
    let header = jsonwebtoken::Header { kid: Some(kid), ..jsonwebtoken::Header::default() };
    jsonwebtoken::encode(&header, claims, &jsonwebtoken::EncodingKey::from_secret(key)).unwrap()
}

#[tokio::test]
async fn forged_access_tokens_are_refused() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let token = mara.client.access_token().await.unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
    let key = world.ivy.store.keyring().derive("access-token");
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    // The tool itself forges nothing: with the right key and claims its token is good.
    me_with(&world, &signed(&header, &claims, &key)).await.expect(200);

    let somebody = json!(UserId::generate(world.now()).to_string());
    let mut none = header.clone();
    none["alg"] = json!("none");
    let mut without_kid = header.clone();
    without_kid.as_object_mut().unwrap().remove("kid");
    let mut later = claims.clone();
    later["exp"] = json!(claims["exp"].as_i64().unwrap() + 86_400);
    let other_keyring = Keyring::from_master_key(b"the master key of somebody else, as long");
    let (user, session) = (mara.id, SessionId::generate(world.now()));
    let mut without_exp = claims.clone();
    without_exp.as_object_mut().unwrap().remove("exp");
    let forgeries = [
        ("another master key", Tokens::new(&other_keyring).issue(user, session, world.now()).unwrap()),
        ("another key under our kid", signed(&header, &claims, b"another key")),
        ("alg none", format!("{}.{}.", encoded(&none), parts[1])),
        ("alg none with a signature", format!("{}.{}.{}", encoded(&none), parts[1], parts[2])),
        ("no kid", format!("{}.{}.{}", encoded(&without_kid), parts[1], parts[2])),
        ("another user", format!("{}.{}.{}", parts[0], encoded(&with("sub", somebody)), parts[2])),
        ("a later end", format!("{}.{}.{}", parts[0], encoded(&later), parts[2])),
        ("another audience", signed(&header, &with("aud", json!("ivy-admin")), &key)),
        ("another issuer", signed(&header, &with("iss", json!("evi")), &key)),
        ("no end", signed(&header, &without_exp, &key)),
        ("not yet", signed(&header, &with("nbf", json!(world.now().as_second() + 60)), &key)),
        ("a refresh token", mara.refresh_token.clone()),
        ("nothing", String::new()),
        ("half a token", token[..token.len() / 2].to_owned()),
    ];
    for (what, forged) in forgeries {
        let reply = me_with(&world, &forged).await;
        assert_eq!(reply.status, 401, "{what}");
        reply.problem(401, "unauthorized");
    }
    for headers in [
        vec![("authorization", format!("Basic {token}"))],
        vec![("authorization", token.clone())],
        vec![("authorization", format!("Bearer {token}")), ("authorization", format!("Bearer {token}"))],
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = world.client().send(Method::GET, "/api/users/me", &headers, Body::empty()).await;
        reply.problem(401, "unauthorized");
    }
}

// ---- Signing out ----

async fn log_out(client: &Client, body: Option<Value>) -> Reply {
    match body {
        Some(body) => client.try_post("/api/auth/logout", &body).await,
        None => client.send(Method::POST, "/api/auth/logout", &[], Body::empty()).await,
    }
}

/// Signs in once more, on another device; answers the client and its refresh token.
async fn another_device(world: &World) -> (Client, String) {
    request(world, json!({"phone": PHONE})).await.expect(202);
    let proof = json!({"phone": PHONE, "code": world.code_for(PHONE)});
    let session = verify(&world.client(), proof).await.expect(200);
    let text = |name: &str| session[name].as_str().unwrap().to_owned();
    let mut client = world.client();
    client.token = Some(text("access_token"));
    (client, text("refresh_token"))
}

#[tokio::test]
async fn signing_out_ends_this_session_and_no_other() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let (phone, phones_token) = another_device(&world).await;
    for body in [None, Some(json!({})), Some(json!({"everywhere": false}))] {
        assert_eq!(log_out(&phone, body).await.status, 204, "again, and still over");
    }
    refresh(&world, &phones_token).await.problem(401, "unauthorized");
    assert_eq!(world.items("session").await.len(), 1);
    refresh(&world, &mara.refresh_token).await.expect(200);
    // The access token that is out runs for what is left of its 15 minutes.
    phone.get("/api/users/me", 200).await;
    world.clock.set(world.now() + SignedDuration::from_secs(906));
    phone.get("/api/users/me", 401).await;
    log_out(&phone, None).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn signing_out_everywhere_ends_all_sessions_of_one_person() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let other = world.person("+447700900202").not_onboarded().join(&world).await;
    let (phone, phones_token) = another_device(&world).await;
    assert_eq!(log_out(&phone, Some(json!({"everywhere": true}))).await.status, 204);
    for token in [&mara.refresh_token, &phones_token] {
        refresh(&world, token).await.problem(401, "unauthorized");
    }
    assert_eq!(world.items("session").await.len(), 1);
    refresh(&world, &other.refresh_token).await.expect(200);
    assert_eq!(log_out(&phone, Some(json!({"everywhere": true}))).await.status, 204);
    let (_, token) = another_device(&world).await;
    refresh(&world, &token).await.expect(200);
}

#[tokio::test]
async fn a_refresh_that_meets_a_sign_out_leaves_no_session() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let (refreshed, over) = tokio::join!(refresh(&world, &mara.refresh_token), log_out(&mara.client, None));
    assert_eq!(over.status, 204);
    assert!([200, 401].contains(&refreshed.status.as_u16()), "{}", refreshed.text);
    assert!(world.items("session").await.is_empty(), "a refresh must not bring a session back");
}

// ---- Keys ----

fn token_key(id: &str) -> TokenKey {
    TokenKey::new(id, format!("the token key {id}, of 32 bytes at least").as_bytes())
}

#[tokio::test]
async fn keys_of_tokens_rotate_without_signing_anybody_out() {
    let mut world = World::new().await;
    world.rotate_token_keys(vec![token_key("a")]);
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let operator = world.operator().await.token.unwrap();
    let access = mara.client.access_token().await.unwrap();
    assert_eq!(mara.refresh_token.split('.').nth(3), Some("a"));

    let mut old_process = world.client();
    world.rotate_token_keys(vec![token_key("b"), token_key("a")]);
    me_with(&world, &access).await.expect(200);
    let renewed = refresh(&world, &mara.refresh_token).await.expect(200);
    let text = |name: &str| renewed[name].as_str().unwrap().to_owned();
    assert_eq!(text("refresh_token").split('.').nth(3), Some("b"));
    assert_eq!(decoded(text("access_token").split('.').next().unwrap())["kid"], "b");
    me_with(&world, &text("access_token")).await.expect(200);
    // A process that still runs with the old key alone does not know the new one, which is why both come first.
    old_process.token = Some(text("access_token"));
    old_process.try_get("/api/users/me").await.problem(401, "unauthorized");

    world.rotate_token_keys(vec![token_key("b")]);
    me_with(&world, &access).await.problem(401, "unauthorized");
    me_with(&world, &operator).await.problem(401, "unauthorized");
    refresh(&world, &mara.refresh_token).await.problem(401, "unauthorized");
    assert_eq!(world.items("session").await.len(), 1, "a token of a removed key ends nothing");
    me_with(&world, &text("access_token")).await.expect(200);
    refresh(&world, &text("refresh_token")).await.expect(200);
}

#[tokio::test]
async fn the_masters_own_token_key_can_be_left_behind() {
    let mut world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let access = mara.client.access_token().await.unwrap();
    let master = world.ivy.store.keyring().signing_key().clone();
    assert_eq!(master.id(), Keyring::MASTER_TOKEN_KEY);
    world.rotate_token_keys(vec![token_key("a"), master]);
    me_with(&world, &access).await.expect(200);
    let renewed = refresh(&world, &mara.refresh_token).await.expect(200);
    world.rotate_token_keys(vec![token_key("a")]);
    me_with(&world, &access).await.problem(401, "unauthorized");
    refresh(&world, renewed["refresh_token"].as_str().unwrap()).await.expect(200);
}

// ---- Operators and companies' admins ----

const ADMIN: &str = "sam@ivy.example";

async fn log_in(client: &Client, email: &str, password: &str) -> Reply {
    client.try_post("/api/admin/auth/login", &json!({"email": email, "password": password})).await
}

#[tokio::test]
async fn admins_sign_in_with_a_password_and_get_a_token_of_their_role() {
    let world = World::new().await;
    let company = CompanyId::generate(world.now());
    world.add_admin(ADMIN, AdminRole::Operator).await;
    world.add_admin("kim@company.example", AdminRole::CompanyAdmin { company_id: company }).await;
    for (email, role, audience, company_id) in [
        (ADMIN, "operator", "ivy-operator", Value::Null),
        (" KIM@Company.example", "company_admin", "ivy-admin", json!(company)),
    ] {
        let answer = log_in(&world.client(), email, ADMIN_PASSWORD).await.expect(200);
        assert_eq!((&answer["role"], &answer["company_id"]), (&json!(role), &company_id));
        assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(3600)));
        let claims = decoded(answer["access_token"].as_str().unwrap().split('.').nth(1).unwrap());
        assert_eq!((&claims["aud"], &claims["sub"]), (&json!(audience), &answer["admin_id"]));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    }
    let stored = format!("{:?}", world.items("").await).to_lowercase();
    for private in [ADMIN, "kim@company.example", ADMIN_PASSWORD] {
        assert!(!stored.contains(private), "{private} is in the table");
    }
    assert!(stored.contains("$argon2id$v=19$m=19456,t=2,p=1$"));
}

#[tokio::test]
async fn no_answer_tells_which_admins_there_are() {
    let world = World::new().await;
    world.add_admin(ADMIN, AdminRole::Operator).await;
    let gone: Email = "gone@ivy.example".parse().unwrap();
    world.add_admin(gone.as_str(), AdminRole::Operator).await;
    admins::change(&world.ivy.store, &gone, &admins::Change::Disable, world.now()).await.unwrap();
    let before = world.snapshot().await;
    let mut texts = Vec::new();
    for (email, password) in [
        (ADMIN, "another password"),
        (ADMIN, ""),
        ("nobody@ivy.example", ADMIN_PASSWORD),
        (gone.as_str(), ADMIN_PASSWORD),
    ] {
        let refused = log_in(&world.client(), email, password).await;
        refused.problem(401, "unauthorized");
        texts.push(refused.text);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    world.assert_nothing_written(&before).await;
    admins::change(&world.ivy.store, &gone, &admins::Change::Enable, world.now()).await.unwrap();
    log_in(&world.client(), gone.as_str(), ADMIN_PASSWORD).await.expect(200);
    let changed = admins::Change::SetPassword("an even longer one".parse().unwrap());
    admins::change(&world.ivy.store, &gone, &changed, world.now()).await.unwrap();
    log_in(&world.client(), gone.as_str(), ADMIN_PASSWORD).await.problem(401, "unauthorized");
    log_in(&world.client(), gone.as_str(), "an even longer one").await.expect(200);
    admins::remove(&world.ivy.store, &gone).await.unwrap();
    let removed = log_in(&world.client(), gone.as_str(), "an even longer one").await;
    assert!(removed.status == 401 && removed.text == texts[0], "{}", removed.text);
}

#[tokio::test]
async fn passwords_are_tried_five_times_for_each_account_and_each_address() {
    let world = World::new().await;
    world.add_admin(ADMIN, AdminRole::Operator).await;
    for email in [ADMIN, "nobody@ivy.example"] {
        for _ in 0..5 {
            log_in(&world.client(), email, "a wrong password").await.problem(401, "unauthorized");
        }
        // Nobody learns whether it would have been the right one.
        refused_for_long(&log_in(&world.client(), email, ADMIN_PASSWORD).await, 900);
    }
    let one_address = world.client();
    for number in 0..5 {
        log_in(&one_address, &format!("sam{number}@ivy.example"), "x").await.problem(401, "unauthorized");
    }
    refused_for_long(&log_in(&one_address, "sam5@ivy.example", "x").await, 900);
    world.advance(SignedDuration::from_mins(15)).await;
    log_in(&one_address, ADMIN, ADMIN_PASSWORD).await.expect(200);
}

#[tokio::test]
async fn an_account_is_made_once_and_its_hash_is_renewed() {
    let world = World::new().await;
    let email: Email = ADMIN.parse().unwrap();
    world.add_admin(ADMIN, AdminRole::Operator).await;
    let password = ADMIN_PASSWORD.parse().unwrap();
    let again = admins::add(&world.ivy.store, &email, AdminRole::Operator, &password, world.now()).await;
    assert_eq!(again.unwrap_err().name(), "admin-exists");
    for wrong in ["eleven char", &"x".repeat(201)] {
        assert!(wrong.parse::<NewPassword>().is_err());
    }
    // As it was hashed with the parameters of another year.
    let parameters = Params::new(8, 1, 1, None).unwrap();
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_with_salt(ADMIN_PASSWORD.as_bytes(), b"sixteen bytes !!")
        .unwrap()
        .to_string();
    let account = world.ivy.store.admin_account(&email).await.unwrap().unwrap();
    let mut transaction = world.ivy.store.transaction();
    transaction.admin_account(&email, &AdminAccount { password: weak.clone(), ..account });
    transaction.commit().await.unwrap();
    log_in(&world.client(), ADMIN, "another password").await.problem(401, "unauthorized");
    assert_eq!(world.ivy.store.admin_account(&email).await.unwrap().unwrap().password, weak, "not by a wrong one");
    log_in(&world.client(), ADMIN, ADMIN_PASSWORD).await.expect(200);
    let renewed = world.ivy.store.admin_account(&email).await.unwrap().unwrap().password;
    assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
    log_in(&world.client(), ADMIN, ADMIN_PASSWORD).await.expect(200);
}

// ---- What the work tells ----

/// Notes what is asked of the table.
#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(String, usize)>>);

#[async_trait::async_trait]
impl Gate for Recorder {
    async fn enter(&self, passage: &Passage) -> Ruling {
        if passage.party == Party::Table {
            self.0.lock().unwrap().push((passage.operation.clone(), passage.entities.len()));
        }
        Ruling::Pass
    }
}

/// The same requests to the table, of the same number of items and in the same order, whoever is asked for.
#[tokio::test]
async fn no_work_tells_who_has_an_account() {
    let recorder = Arc::new(Recorder::default());
    let setup = Setup { gate: Some(recorder.clone()), ..Setup::default() };
    let world = Box::pin(World::with("2026-11-23T06:00:00Z", setup)).await;
    has_a_link_in_the_mail(&world).await;
    world.add_admin(ADMIN, AdminRole::Operator).await;
    let take = || std::mem::take(&mut *recorder.0.lock().unwrap());
    let asked = async |path: &str, body: Value, status: u16| {
        take();
        world.client().try_post(path, &body).await.expect(status);
        take()
    };
    let signs_up = |phone: &str, email: &str| json!({"phone": phone, "email": email, "first_name": "Somebody"});
    let pairs = [
        ("/api/users", 201, signs_up(PHONE, "new@example.com"), signs_up("+447700900797", "newer@example.com")),
        ("/api/users", 201, signs_up("+447700900798", EMAIL), signs_up("+447700900799", "newest@example.com")),
        ("/api/auth/magic-link", 202, json!({"phone": PHONE}), json!({"phone": STRANGER})),
        ("/api/auth/magic-link", 202, json!({"email": EMAIL}), json!({"email": "nobody@example.com"})),
        (
            "/api/auth/verify",
            401,
            json!({"phone": PHONE, "code": "no code"}),
            json!({"phone": STRANGER, "code": "no code"}),
        ),
        (
            "/api/admin/auth/login",
            401,
            json!({"email": ADMIN, "password": "a wrong password"}),
            json!({"email": "nobody@ivy.example", "password": "a wrong password"}),
        ),
    ];
    for (path, status, known, unknown) in pairs {
        let (of_known, of_unknown) = (asked(path, known, status).await, asked(path, unknown, status).await);
        assert!(!of_known.is_empty(), "{path}");
        assert_eq!(of_known, of_unknown, "{path}");
    }
}

#[tokio::test]
async fn signing_up_with_a_phone_that_has_an_account_leads_into_that_account() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let users = world.items("user").await.len();
    let again = json!({"phone": PHONE, "first_name": "Mara again", "email": "other@example.com"});
    let answer = world.client().post("/api/users", again, 201).await;
    assert_eq!((&answer["first_name"], &answer["phone"]), (&json!("Mara again"), &json!(PHONE)));
    assert_ne!(answer["id"], mara.id.to_string());
    world.settle().await;
    assert_eq!(world.items("user").await.len(), users, "no second account");
    assert!(world.mailer.sent().is_empty(), "the link goes to the phone");
    let code = world.code_for(PHONE);
    let session = world.client().post("/api/auth/verify", json!({"phone": PHONE, "code": code}), 200).await;
    assert_eq!(session["user_id"], mara.id.to_string());
    assert_eq!(mara.get("/api/users/me").await["first_name"], "Mara");
}

// ---- Limits of what was wrong ----

#[tokio::test]
async fn only_wrong_refresh_tokens_count_for_an_address() {
    let world = World::new().await;
    let mara = world.person(PHONE).not_onboarded().join(&world).await;
    let office = world.client();
    let renew = async |token: &str| office.try_post("/api/auth/refresh", &json!({"refresh_token": token})).await;
    let mut token = mara.refresh_token.clone();
    for _ in 0..12 {
        token = renew(&token).await.expect(200)["refresh_token"].as_str().unwrap().to_owned();
    }
    for _ in 0..5 {
        renew("not a token").await.problem(401, "unauthorized");
    }
    refused_for_long(&renew("not a token").await, 900);
    renew(&token).await.expect(200);
}

#[tokio::test]
async fn only_wrong_links_count_for_an_address() {
    let world = World::new().await;
    has_a_link_in_the_mail(&world).await;
    let office = world.client();
    let wrong = json!({"token": format!("{}{}", "0".repeat(32), "1".repeat(48))});
    for proof in [&wrong, &wrong, &wrong, &wrong, &json!({"token": "short"})] {
        verify(&office, proof.clone()).await.problem(401, "unauthorized");
    }
    refused_for_long(&verify(&office, wrong).await, 900);
    verify(&office, json!({"token": mailed_token(&world)})).await.expect(200);
}

/// However many addresses guess and however many codes are sent: five guesses in 15 minutes.
#[tokio::test]
async fn the_guesses_for_one_contact_stay_few_across_its_requests() {
    let world = World::new().await;
    signed_up_by_phone(&world).await;
    for number in 0..4 {
        request(&world, json!({"phone": PHONE})).await.expect(202);
        let code = world.code_for(PHONE);
        for offset in 1..=5 {
            let wrong = json!({"phone": PHONE, "code": other_code(&code, offset)});
            let reply = verify(&world.client(), wrong).await;
            assert_eq!(reply.status, if number == 0 { 401 } else { 429 });
        }
    }
    refused_for_long(&request(&world, json!({"phone": PHONE})).await, 900);
}

// ---- Webhooks ----

/// Posts a webhook as it is but for the given headers and body.
async fn post_webhook(world: &World, webhook: &Webhook, signature: Option<&str>, body: &[u8]) -> Reply {
    let is_signature = |name: &str| name.to_lowercase().contains("signature");
    let mut headers: Vec<(&str, &str)> = Vec::new();
    for (name, value) in &webhook.headers {
        match signature {
            _ if !is_signature(name) => headers.push((name, value)),
            Some(signature) => headers.push((name, signature)),
            None => {}
        }
    }
    world.client().send(Method::POST, &webhook.path, &headers, Body::from(body.to_vec())).await
}

fn signature_of(webhook: &Webhook) -> String {
    webhook.headers.iter().find(|(name, _)| name.to_lowercase().contains("signature")).unwrap().1.clone()
}

/// Every way in which a signature can be wrong is refused and writes nothing; the webhook itself is then taken.
async fn refuses_what_is_not_signed(world: &World, webhook: &Webhook) {
    let before = world.snapshot().await;
    let genuine = signature_of(webhook);
    let mut wrong = genuine.clone();
    let last = if wrong.pop() == Some('0') { '1' } else { '0' };
    wrong.push(last);
    let cases = [None, Some(""), Some("sha256="), Some("v=,d="), Some(&wrong), Some(&genuine[..genuine.len() - 2])];
    for signature in cases {
        post_webhook(world, webhook, signature, &webhook.body).await.problem(401, "unauthorized");
    }
    let mut body = webhook.body.clone();
    *body.last_mut().unwrap() = b' ';
    post_webhook(world, webhook, Some(&genuine), &body).await.problem(401, "unauthorized");
    body = webhook.body.clone();
    body.push(b' ');
    post_webhook(world, webhook, Some(&genuine), &body).await.problem(401, "unauthorized");
    world.assert_nothing_written(&before).await;
    assert_eq!(post_webhook(world, webhook, Some(&genuine), &webhook.body).await.status, 204);
}

async fn called(world: &World) -> Person {
    let mara = world.person(PHONE).onboarding("preferred_days", json!(["mon"])).join(world).await;
    world.advance(SignedDuration::from_hours(3)).await;
    assert_eq!(world.simulators.calls().len(), 1);
    mara
}

/// Retell's events of a call that just ended, not delivered yet.
async fn held_retell_events(world: &World) -> Vec<Webhook> {
    let mara = called(world).await;
    let id = mara.schedule("follow_up", world.now() + SignedDuration::from_mins(5)).await;
    world.settle().await;
    world.hold_webhooks(true);
    world.advance(SignedDuration::from_mins(5)).await;
    assert_eq!(mara.call(&id).await["state"], "initiating", "asked for, and nothing heard yet");
    let held = world.simulators.take_webhooks();
    world.hold_webhooks(false);
    held.into_iter().filter(|webhook| webhook.provider == Provider::Retell).collect()
}

#[tokio::test]
async fn retell_must_sign() {
    let world = World::new().await;
    let events = held_retell_events(&world).await;
    assert!(!events.is_empty());
    let before = world.snapshot().await;
    refuses_what_is_not_signed(&world, &events[0]).await;
    assert_ne!(world.snapshot().await, before, "the genuine event was taken");
    // A key of another provider does not do.
    let other = world.simulators.sign(Provider::WhatsApp, "/webhooks/whatsapp", events[0].body.clone());
    post_webhook(&world, &events[0], Some(&signature_of(&other)), &events[0].body).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_retell_event_is_refused_after_five_minutes() {
    let world = World::new().await;
    let events = held_retell_events(&world).await;
    let before = world.snapshot().await;
    world.clock.set(world.now() + SignedDuration::from_secs(301));
    assert_eq!(world.deliver(&events[0]).await, 401);
    world.assert_nothing_written(&before).await;
    world.clock.set(world.now() - SignedDuration::from_secs(602));
    assert_eq!(world.deliver(&events[0]).await, 401, "from the future");
    world.assert_nothing_written(&before).await;
    world.clock.set(world.now() + SignedDuration::from_secs(301 + 299));
    assert_eq!(world.deliver(&events[0]).await, 204);
}

#[tokio::test]
async fn whatsapp_must_sign() {
    let world = World::new().await;
    let mara = world.person(PHONE).join(&world).await;
    world.simulators.reply(PHONE, "all good");
    let webhook = world.simulators.take_webhooks().into_iter().find(|webhook| webhook.path == "/webhooks/whatsapp");
    let webhook = webhook.expect("the reply came as a webhook");
    refuses_what_is_not_signed(&world, &webhook).await;
    let messages = mara.get("/api/users/me/messages").await;
    let inbound = messages["items"].as_array().unwrap().iter().filter(|message| message["direction"] == "in");
    assert_eq!(inbound.count(), 1);
}

#[tokio::test]
async fn metas_challenge_is_answered_to_meta_alone() {
    let world = World::new().await;
    let ask = async |query: &str| world.client().try_get(&format!("/webhooks/whatsapp{query}")).await;
    let good = ask(&format!("?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=11582012")).await;
    assert_eq!((good.status.as_u16(), good.text.as_str()), (200, "11582012"));
    assert!(good.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    for query in [
        String::new(),
        format!("?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}"),
        format!("?hub.mode=unsubscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1"),
        "?hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=11582012".to_owned(),
        "?hub.mode=subscribe&hub.verify_token=&hub.challenge=11582012".to_owned(),
        "?hub.mode=subscribe&hub.challenge=11582012".to_owned(),
        format!("?hub.verify_token={VERIFY_TOKEN}&hub.verify_token={VERIFY_TOKEN}&hub.mode=subscribe&hub.challenge=1"),
    ] {
        let reply = ask(&query).await;
        reply.problem(403, "forbidden");
        assert!(!reply.text.contains("11582012"));
    }
}
