//! The API as a client sees it. Every call says which status it expects.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{Handset, Stack, until};

/// The first request to a function starts it, on a machine that may be busy.
const WAIT: Duration = Duration::from_secs(60);

/// An answer: status, and the body as text and as JSON (null where it is none).
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub body: Value,
    pub text: String,
}

impl Reply {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let status = response.status();
        let text = response.text().await.unwrap();
        Self { status, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    /// # Panics
    /// When the status is another.
    #[track_caller]
    #[must_use]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.body
    }

    /// # Panics
    /// When it is anything but a problem document of this kind.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.body["type"], format!("/problems/{kind}"), "{}", self.text);
    }
}

/// A client of the API.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    /// Stands in X-Forwarded-For, which the emulator takes for the caller's address.
    pub address: String,
    pub token: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Client {
    async fn request(&self, method: Method, path: &str, body: Option<String>) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).timeout(WAIT);
        request = request.header("x-forwarded-for", &self.address);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        Reply::of(request.send().await.unwrap()).await
    }

    pub async fn try_get(&self, path: &str) -> Reply {
        self.request(Method::GET, path, None).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.try_get(path).await.expect(200)
    }

    pub async fn post(&self, path: &str, body: &Value, status: u16) -> Value {
        self.request(Method::POST, path, Some(body.to_string())).await.expect(status)
    }

    /// A body as it stands, readable or not.
    pub async fn post_text(&self, path: &str, body: &str) -> Reply {
        self.request(Method::POST, path, Some(body.to_owned())).await
    }

    pub async fn patch(&self, path: &str, body: &Value, status: u16) -> Value {
        self.request(Method::PATCH, path, Some(body.to_string())).await.expect(status)
    }

    pub async fn delete(&self, path: &str, status: u16) -> Value {
        self.request(Method::DELETE, path, None).await.expect(status)
    }
}

/// A user with a signed-in client and a phone.
#[derive(Clone)]
pub struct Person {
    pub id: String,
    pub phone: String,
    pub client: Client,
    pub handset: Handset,
    /// The answer to signing in: both tokens.
    pub session: Value,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Person {
    /// Signs up and signs in with the code that arrives by SMS. `sign_up` needs a phone and a first name, and no e-mail address.
    pub async fn sign_up(stack: &Stack, sign_up: &Value) -> Self {
        let mut client = stack.client();
        let user = client.post("/api/users", sign_up, 201).await;
        let phone = sign_up["phone"].as_str().unwrap().to_owned();
        let handset = stack.handset(&phone);
        let code = until("the sign-in code", WAIT, async || {
            handset.arrived().await.iter().rev().find_map(|message| six_digits(message["text"].as_str().unwrap()))
        })
        .await;
        let session = client.post("/api/auth/verify", &json!({"phone": phone, "code": code}), 200).await;
        client.token = Some(session["access_token"].as_str().unwrap().to_owned());
        Self { id: user["id"].as_str().unwrap().to_owned(), phone, client, handset, session }
    }

    /// Onboards with the answers that every test needs, and these.
    pub async fn onboard(&self, answers: Value) -> Value {
        let mut all = json!({
            "track": "fitness",
            "weekly_goal": 3,
            "minimum_action": "put on the shoes",
            "gift_frame": "a calmer evening",
            "why_started": "to keep up with the children",
            "obstacles": ["rain"],
            "consents": {"calls": true, "messages": true, "data_processing": true},
        });
        for (name, value) in answers.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.client.post("/api/users/me/onboard", &all, 200).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.client.get(path).await
    }

    /// Asks for a call and answers its id.
    pub async fn schedule(&self, call_type: &str, at: jiff::Timestamp, window_end: jiff::Timestamp) -> String {
        let body = json!({"call_type": call_type, "scheduled_time": at, "window_end": window_end});
        self.client.post("/api/calls", &body, 201).await["id"].as_str().unwrap().to_owned()
    }

    pub async fn call(&self, id: &str) -> Value {
        self.get(&format!("/api/calls/{id}")).await
    }

    /// The call, as soon as it is in this state.
    pub async fn call_in_state(&self, id: &str, state: &str, limit: Duration) -> Value {
        until(&format!("the call to be {state}"), limit, async || {
            let call = self.call(id).await;
            let final_state = ["completed", "failed", "cancelled"].iter().find(|end| call["state"] == **end);
            assert!(final_state.is_none_or(|end| *end == state), "the call ended otherwise: {call}");
            (call["state"] == state).then_some(call)
        })
        .await
    }

    /// The calls in the order of their time.
    pub async fn calls(&self) -> Vec<Value> {
        let mut calls = list(&self.get("/api/users/me/calls").await);
        calls.sort_by_key(|call| call["scheduled_time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        calls
    }

    pub async fn messages(&self) -> Vec<Value> {
        list(&self.get("/api/users/me/messages").await)
    }

    pub async fn workouts_today(&self) -> Vec<Value> {
        list(&self.get("/api/users/me/workouts/today").await)
    }

    /// Waits until nothing that goes out is on its way any more: every message but the waiting ones has reached the handset.
    pub async fn messages_delivered(&self) -> Vec<Value> {
        until("the messages to be delivered", WAIT, async || {
            let messages = self.messages().await;
            let on_their_way = |m: &&Value| ["queued", "sending", "sent"].iter().any(|status| m["status"] == *status);
            let moving = messages.iter().filter(|m| m["via"] == "whatsapp").filter(on_their_way).count();
            (moving == 0).then_some(messages)
        })
        .await
    }
}

fn list(page: &Value) -> Vec<Value> {
    page["items"].as_array().unwrap().clone()
}

/// A group of exactly six digits.
fn six_digits(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '+')
        .find(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
}
