//! Who is asking: access tokens and the extractors that turn one into a typed owner.
//!
//! An access token is a JWT (HS256, 15 minutes) whose key comes from the master secret by [`Keyring::derive`], so it
//! rotates with it; `kid` names the key by its hash. It is checked without a read of the table: a session that ended
//! keeps its access token for at most 15 minutes, and every flow loads the owner, so an erased user gets nothing.
//! Times are checked against the injected clock, which the library cannot do; its own time checks are off. Any fault
//! answers the same 401.
//!
//! The permission is in the type: a handler gets a user's id only from [`SignedIn`] or [`Own`], never from a path.
//! Another person's id answers 404, as if it did not exist.

use std::{fmt, str::FromStr, sync::Arc};

use axum::extract::{FromRef, FromRequestParts, RawPathParams};
use http::{header, request::Parts};
use ivy_domain::{SessionId, UserId};
use ivy_flows::Ivy;
use ivy_store::Keyring;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// How long an access token is good for.
pub const ACCESS_TOKEN_SECONDS: i64 = 15 * 60;
const LEEWAY_SECONDS: i64 = 5;
const ISSUER: &str = "ivy";
const AUDIENCE: &str = "ivy-user";

/// The state of every router: cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    pub ivy: Ivy,
    pub tokens: Tokens,
}

impl AppState {
    #[must_use]
    pub fn new(ivy: Ivy) -> Self {
        let tokens = Tokens::new(ivy.store.keyring());
        Self { ivy, tokens }
    }
}

impl FromRef<AppState> for Ivy {
    fn from_ref(state: &AppState) -> Self {
        state.ivy.clone()
    }
}

impl FromRef<AppState> for Tokens {
    fn from_ref(state: &AppState) -> Self {
        state.tokens.clone()
    }
}

/// Issues and checks access tokens.
#[derive(Clone)]
pub struct Tokens(Arc<Keys>);

struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    kid: String,
    validation: Validation,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

impl Tokens {
    #[must_use]
    pub fn new(keyring: &Keyring) -> Self {
        let key = keyring.derive("access-token");
        let hash = crate::idempotency::hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key).as_ref());
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        Self(Arc::new(Keys {
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
            kid: hash[..16].to_owned(),
            validation,
        }))
    }

    /// A fresh access token for a session.
    ///
    /// # Errors
    /// [`ivy_flows::Error::Impossible`] if the signature cannot be made.
    pub fn issue(&self, user_id: UserId, session_id: SessionId, now: Timestamp) -> Result<String, ivy_flows::Error> {
        let issued = now.as_second();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user_id,
            sid: session_id,
            jti: uuid::Uuid::new_v4().to_string(),
            iat: issued,
            nbf: issued,
            exp: issued.saturating_add(ACCESS_TOKEN_SECONDS),
        };
        let header = Header { kid: Some(self.0.kid.clone()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &self.0.encoding)
            .map_err(|_| ivy_flows::Error::Impossible("an access token cannot be signed".to_owned()))
    }

    /// Whose token this is, if it is ours and good at `now`.
    #[must_use]
    pub fn check(&self, token: &str, now: Timestamp) -> Option<SignedIn> {
        let data = decode::<Claims>(token, &self.0.decoding, &self.0.validation).ok()?;
        let now = now.as_second();
        let good = data.header.kid.as_deref() == Some(self.0.kid.as_str())
            && now < data.claims.exp.saturating_add(LEEWAY_SECONDS)
            && now >= data.claims.nbf.saturating_sub(LEEWAY_SECONDS);
        good.then_some(SignedIn { user_id: data.claims.sub, session_id: data.claims.sid })
    }
}

/// The user whose valid access token came as `Authorization: Bearer …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn {
    pub user_id: UserId,
    pub session_id: SessionId,
}

impl<S> FromRequestParts<S> for SignedIn
where
    S: Send + Sync,
    Ivy: FromRef<S>,
    Tokens: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        // Two headers are refused: which of them counts must not depend on who reads first.
        let (Some(value), None) = (values.next(), values.next()) else { return Err(Problem::unauthorized()) };
        let (scheme, token) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or_else(Problem::unauthorized)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Problem::unauthorized());
        }
        let now = Ivy::from_ref(state).now();
        Tokens::from_ref(state).check(token.trim(), now).ok_or_else(Problem::unauthorized)
    }
}

/// The signed-in user, whose own path this is: `{id}` is `me` or their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    pub user_id: UserId,
    pub session_id: SessionId,
}

impl<S> FromRequestParts<S> for Own
where
    S: Send + Sync,
    Ivy: FromRef<S>,
    Tokens: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let SignedIn { user_id, session_id } = SignedIn::from_request_parts(parts, state).await?;
        let id = path_parameter(parts, state).await?;
        if id == "me" || id.parse() == Ok(user_id) {
            Ok(Self { user_id, session_id })
        } else {
            Err(Problem::not_found())
        }
    }
}

/// The path's `{id}`; a malformed one is as unknown as any other: 404.
///
/// It says nothing of who may see what it names: take [`SignedIn`] before it and load by the owner's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathId<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        path_parameter(parts, state).await?.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

async fn path_parameter<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let parameters = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
    let id = parameters.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned());
    id.ok_or_else(Problem::not_found)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Router, body::Body, routing::get};
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use http::Request;
    use ivy_domain::CallId;
    use ivy_flows::{Clock, Settings};
    use ivy_store::Store;
    use tower::ServiceExt as _;

    use super::*;

    #[derive(Debug)]
    pub(crate) struct TestClock(pub(crate) Mutex<Timestamp>);

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    pub(crate) fn now() -> Timestamp {
        "2026-11-23T07:30:00Z".parse().unwrap()
    }

    /// A state whose table is never asked, and its clock.
    pub(crate) fn state() -> (AppState, Arc<TestClock>) {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodb::config::Region::new("eu-west-2"))
            .build();
        let keyring = Keyring::from_master_key(b"a master key of at least 32 bytes!");
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "ivy-test".to_owned(), keyring);
        let clock = Arc::new(TestClock(Mutex::new(now())));
        let settings = Arc::new(Settings::for_testing());
        (AppState::new(Ivy::new(store, clock.clone(), settings)), clock)
    }

    fn ids() -> (UserId, SessionId) {
        (UserId::generate(now()), SessionId::generate(now()))
    }

    fn seconds(count: i64) -> Timestamp {
        Timestamp::from_second(now().as_second() + count).unwrap()
    }

    #[test]
    fn a_token_is_good_for_15_minutes_by_the_injected_clock() {
        let (state, _) = state();
        let (user, session) = ids();
        let token = state.tokens.issue(user, session, now()).unwrap();
        let expected = SignedIn { user_id: user, session_id: session };
        assert_eq!(state.tokens.check(&token, now()), Some(expected));
        assert_eq!(state.tokens.check(&token, seconds(904)), Some(expected));
        assert_eq!(state.tokens.check(&token, seconds(905)), None);
        assert_eq!(state.tokens.check(&token, seconds(-5)), Some(expected));
        assert_eq!(state.tokens.check(&token, seconds(-6)), None);
        assert_ne!(token, state.tokens.issue(user, session, now()).unwrap(), "each has its own jti");
    }

    #[test]
    fn forged_tokens_are_refused() {
        let (state, _) = state();
        let (user, session) = ids();
        let token = state.tokens.issue(user, session, now()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"none","kid":"{}"}}"#, state.tokens.0.kid));
        let strangers = Tokens::new(&Keyring::from_master_key(b"another master key of 32 bytes...."));
        let other_claims = |change: fn(&mut Claims)| {
            let mut claims = Claims {
                iss: ISSUER.to_owned(),
                aud: AUDIENCE.to_owned(),
                sub: user,
                sid: session,
                jti: "j".to_owned(),
                iat: now().as_second(),
                nbf: now().as_second(),
                exp: now().as_second() + 900,
            };
            change(&mut claims);
            let header = Header { kid: Some(state.tokens.0.kid.clone()), ..Header::new(Algorithm::HS256) };
            encode(&header, &claims, &state.tokens.0.encoding).unwrap()
        };
        assert!(state.tokens.check(&other_claims(|_| {}), now()).is_some(), "the helper makes good tokens");
        for forged in [
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            strangers.issue(user, session, now()).unwrap(),
            other_claims(|c| c.aud = "ivy-admin".to_owned()),
            other_claims(|c| c.iss = "elsewhere".to_owned()),
            encode(
                &Header { kid: Some(state.tokens.0.kid.clone()), ..Header::new(Algorithm::HS512) },
                &serde_json::json!({"iss": ISSUER, "aud": AUDIENCE, "sub": user, "sid": session, "jti": "j",
                    "iat": 0, "nbf": 0, "exp": i64::MAX}),
                &state.tokens.0.encoding,
            )
            .unwrap(),
            String::new(),
            "a.b.c".to_owned(),
        ] {
            assert_eq!(state.tokens.check(&forged, now()), None, "{forged}");
        }
    }

    #[tokio::test]
    async fn the_path_must_be_ones_own() {
        let (state, clock) = state();
        let (user, session) = ids();
        let token = state.tokens.issue(user, session, now()).unwrap();
        let app: Router = Router::new()
            .route("/users/{id}", get(|own: Own| async move { own.user_id.to_string() }))
            .route("/calls/{id}", get(|_: SignedIn, PathId(id): PathId<CallId>| async move { id.to_string() }))
            .with_state(state);
        let ask = async |path: String, authorization: Option<String>| {
            let mut request = Request::get(path);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
        };
        let bearer = || Some(format!("Bearer {token}"));
        assert_eq!(ask("/users/me".to_owned(), bearer()).await, 200);
        assert_eq!(ask(format!("/users/{user}"), bearer()).await, 200);
        assert_eq!(ask(format!("/users/{}", UserId::generate(now())), bearer()).await, 404);
        assert_eq!(ask("/users/not-an-id".to_owned(), bearer()).await, 404);
        assert_eq!(ask(format!("/calls/{}", CallId::generate(now())), bearer()).await, 200);
        assert_eq!(ask("/calls/7".to_owned(), bearer()).await, 404);
        assert_eq!(ask("/calls/7".to_owned(), None).await, 401);
        assert_eq!(ask(format!("/users/{}", UserId::generate(now())), None).await, 401);
        assert_eq!(ask("/users/me".to_owned(), Some(format!("Basic {token}"))).await, 401);
        assert_eq!(ask("/users/me".to_owned(), Some("Bearer".to_owned())).await, 401);
        *clock.0.lock().unwrap() = seconds(3600);
        assert_eq!(ask("/users/me".to_owned(), bearer()).await, 401);
    }
}
