//! People and their clients: typed doors to the API. Every call says which status it expects.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
};
use http_body_util::BodyExt as _;
use ivy_domain::UserId;
use ivy_flows::Clock as _;
use jiff::{SignedDuration, Timestamp};
use lambda_http::{aws_lambda_events::apigw::ApiGatewayProxyRequestContext, request::RequestContext};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use tokio::sync::Mutex;

use crate::{TestClock, World};

/// An answer: status, headers, and the body as JSON (null where there is none).
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Reply {
    /// # Panics
    /// When the status is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.body
    }

    /// Expects a problem document of this kind, in its whole shape; answers its body.
    ///
    /// # Panics
    /// When it is anything else.
    #[track_caller]
    pub fn problem(&self, status: u16, kind: &str) -> &Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{}", self.text);
        assert_eq!(self.body["type"], format!("/problems/{kind}"), "{}", self.text);
        assert_eq!(self.body["status"], status, "{}", self.text);
        assert!(self.body["title"].as_str().is_some_and(|title| !title.is_empty()), "{}", self.text);
        let known = ["type", "title", "status", "detail", "errors"];
        assert!(self.body.as_object().unwrap().keys().all(|name| known.contains(&name.as_str())), "{}", self.text);
        assert!(!self.request_id().is_empty());
        &self.body
    }

    /// The names of the wrong fields in a problem document, in its order.
    #[must_use]
    pub fn wrong_fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }

    /// The request's id as it came back.
    #[must_use]
    pub fn request_id(&self) -> &str {
        self.headers["x-request-id"].to_str().unwrap()
    }
}

/// The tokens of a signed-in client.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    access: String,
    refresh: String,
    issued_at: Timestamp,
}

/// A client of the API, signed in or not, with an address of its own. It renews its session as an app does: shortly before the
/// access token runs out.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) app: Router,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) session: Option<Arc<Mutex<Tokens>>>,
    /// A token to send as it is, good or bad.
    pub token: Option<String>,
    pub address: String,
}

/// Access tokens live for 15 minutes.
const RENEWED_AFTER: SignedDuration = SignedDuration::from_mins(14);

impl Tokens {
    fn of(session: &Value, now: Timestamp) -> Self {
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), issued_at: now }
    }
}

impl Client {
    /// The access token that the next request carries.
    pub async fn access_token(&self) -> Option<String> {
        let Some(session) = &self.session else { return self.token.clone() };
        let mut tokens = session.lock().await;
        if self.clock.now().duration_since(tokens.issued_at) > RENEWED_AFTER {
            let anyone = Self { session: None, token: None, ..self.clone() };
            let body = json!({"refresh_token": tokens.refresh}).to_string();
            let headers = [("content-type", "application/json")];
            let renewed = anyone.request(Method::POST, "/api/auth/refresh", &headers, None, body).await.expect(200);
            *tokens = Tokens::of(&renewed, self.clock.now());
        }
        Some(tokens.access.clone())
    }

    /// Sends a request as it is.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        let token = Box::pin(self.access_token()).await;
        self.request(method, path, headers, token, body).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        token: Option<String>,
        body: impl Into<Body>,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.into()).unwrap();
        let mut context = ApiGatewayProxyRequestContext::default();
        context.identity.source_ip = Some(self.address.clone());
        request.extensions_mut().insert(RequestContext::ApiGatewayV1(context));
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    async fn json(&self, method: Method, path: &str, body: &Value) -> Reply {
        self.send(method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    pub async fn try_get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], Body::empty()).await
    }

    pub async fn try_post(&self, path: &str, body: &Value) -> Reply {
        self.json(Method::POST, path, body).await
    }

    pub async fn get(&self, path: &str, status: u16) -> Value {
        self.try_get(path).await.expect(status)
    }

    pub async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.json(Method::POST, path, &body).await.expect(status)
    }

    pub async fn patch(&self, path: &str, body: Value, status: u16) -> Value {
        self.try_patch(path, &body).await.expect(status)
    }

    pub async fn try_patch(&self, path: &str, body: &Value) -> Reply {
        self.json(Method::PATCH, path, body).await
    }

    pub async fn put(&self, path: &str, body: Value, status: u16) -> Value {
        self.json(Method::PUT, path, &body).await.expect(status)
    }

    pub async fn delete(&self, path: &str, status: u16) -> Value {
        self.send(Method::DELETE, path, &[], Body::empty()).await.expect(status)
    }

    /// A POST with an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Reply {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.send(Method::POST, path, &headers, body.to_string()).await
    }
}

/// A user of Ivy with a signed-in client.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: UserId,
    pub phone: String,
    /// The session's first refresh token.
    pub refresh_token: String,
    pub client: Client,
}

impl Person {
    pub async fn get(&self, path: &str) -> Value {
        self.client.get(path, 200).await
    }

    pub async fn stats(&self) -> Value {
        self.get("/api/users/me/stats").await
    }

    pub async fn wallet(&self) -> Value {
        self.get("/api/users/me/wallet").await
    }

    /// Signs in anew with the code that arrives at a phone, and goes on with that session.
    ///
    /// # Panics
    /// When the phone is not theirs.
    pub async fn signs_in_at(&self, world: &World, phone: &str) {
        let anyone = world.client();
        anyone.post("/api/auth/magic-link", json!({"phone": phone}), 202).await;
        world.settle().await;
        let proof = json!({"phone": phone, "code": world.code_for(phone)});
        let session = anyone.post("/api/auth/verify", proof, 200).await;
        assert_eq!(session["user_id"], self.id.to_string());
        *self.client.session.as_ref().unwrap().lock().await = Tokens::of(&session, world.now());
        world.settle().await;
    }

    /// Has an e-mail address: it is named, and its code comes back.
    pub async fn can_be_mailed(&self, world: &World, email: &str) -> Value {
        self.client.patch("/api/users/me", json!({"email": email}), 200).await;
        world.settle().await;
        self.client.patch("/api/users/me", json!({"email_code": world.mailed_code(email)}), 200).await
    }

    /// Plans a workout and answers its id.
    pub async fn plan(&self, activity: &str, time: jiff::Timestamp) -> String {
        let body = json!({"planned_activity": activity, "planned_time": time, "planned_duration_minutes": 30});
        self.client.post("/api/workouts", body, 201).await["id"].as_str().unwrap().to_owned()
    }

    /// Reports a workout's status.
    pub async fn log(&self, workout: &str, status: &str) -> Value {
        self.client.patch(&format!("/api/workouts/{workout}"), json!({"status": status}), 200).await
    }

    /// Schedules a call and answers its id.
    pub async fn schedule(&self, call_type: &str, time: jiff::Timestamp) -> String {
        let body = json!({"call_type": call_type, "scheduled_time": time});
        self.client.post("/api/calls", body, 201).await["id"].as_str().unwrap().to_owned()
    }

    pub async fn call(&self, id: &str) -> Value {
        self.get(&format!("/api/calls/{id}")).await
    }
}

/// A person to sign up; the defaults make a Pro user in London with both windows, who agreed to everything.
#[derive(Debug, Clone)]
pub struct PersonBuilder {
    phone: String,
    sign_up: Value,
    onboarding: Option<Value>,
}

impl PersonBuilder {
    #[must_use]
    pub fn new(phone: &str) -> Self {
        Self {
            phone: phone.to_owned(),
            sign_up: json!({"phone": phone, "first_name": "Mara", "timezone": "Europe/London"}),
            onboarding: Some(json!({
                "track": "fitness",
                "weekly_goal": 3,
                "morning_window": {"start": "07:30", "end": "09:00"},
                "evening_window": {"start": "18:00", "end": "20:00"},
                "minimum_action": "put on the shoes",
                "gift_frame": "a calmer evening",
                "why_started": "to keep up with the kids",
                "obstacles": ["rain"],
                "consents": {"calls": true, "messages": true, "data_processing": true},
            })),
        }
    }

    #[must_use]
    pub fn tier(self, tier: &str) -> Self {
        self.signing_up("subscription_type", json!(tier))
    }

    /// Sets a field of the sign-up.
    #[must_use]
    pub fn signing_up(mut self, field: &str, value: Value) -> Self {
        self.sign_up[field] = value;
        self
    }

    /// Sets a field of the onboarding; null takes it out.
    #[must_use]
    pub fn onboarding(mut self, field: &str, value: Value) -> Self {
        if let Some(answers) = self.onboarding.as_mut().and_then(Value::as_object_mut) {
            if value.is_null() {
                answers.remove(field);
            } else {
                answers.insert(field.to_owned(), value);
            }
        }
        self
    }

    /// Signs up and in, and stops there.
    #[must_use]
    pub fn not_onboarded(mut self) -> Self {
        self.onboarding = None;
        self
    }

    /// Signs up, signs in with the code that arrives by SMS, and onboards.
    ///
    /// # Panics
    /// When any step is refused.
    pub async fn join(self, world: &World) -> Person {
        let anyone = world.client();
        let user = anyone.post("/api/users", self.sign_up, 201).await;
        world.settle().await;
        let code = world.code_for(&self.phone);
        let session = anyone.post("/api/auth/verify", json!({"phone": self.phone, "code": code}), 200).await;
        let tokens = Tokens::of(&session, world.now());
        let refresh_token = tokens.refresh.clone();
        let client = Client { session: Some(Arc::new(Mutex::new(tokens))), ..anyone };
        if let Some(answers) = self.onboarding {
            client.post("/api/users/me/onboard", answers, 200).await;
            world.settle().await;
        }
        Person { id: user["id"].as_str().unwrap().parse().unwrap(), phone: self.phone, refresh_token, client }
    }
}
