//! Who is asking: access tokens and the extractors that turn one into a typed caller.
//!
//! An access token is a JWT (HS256). Its audience says whose it is: a user's (15 minutes, renewed by the session), a company
//! admin's or an operator's (one hour). Its `kid` names the token key that signed it ([`ivy_store::TokenKey`]): the first key
//! signs, every live key verifies, so a new key signs nobody out. It is checked without a read of the table: a session that
//! ended keeps its access token for at most 15 minutes, a disabled admin for at most an hour, and every flow loads the
//! owner, so an erased user gets nothing. Admins have no refresh token, as the spec has none: an hour is long enough to work
//! and short enough that switching an account off works without asking the table at each request. Times are checked
//! against the injected clock, which the library cannot do; its own time checks are off. Any fault answers the same 401,
//! a token of another audience too.
//!
//! The permission is in the type: a handler gets a user's id only from [`SignedIn`] or [`Own`], never from a path, and what
//! admins and operators may do needs [`CompanyAdmin`] or [`Operator`]. Another person's id answers 404, as if it did not exist.

use std::{fmt, str::FromStr, sync::Arc};

use axum::extract::{FromRef, FromRequestParts, RawPathParams};
use http::{header, request::Parts};
use ivy_domain::{AdminId, CompanyId, SessionId, UserId, admin::AdminRole};
use ivy_flows::Ivy;
use ivy_store::Keyring;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};

use crate::{
    limits::{self, Limits},
    problem::Problem,
};

/// How long a user's access token is good for.
pub const ACCESS_TOKEN_SECONDS: i64 = 15 * 60;
/// How long the token of an operator or a company's admin is good for.
pub const ADMIN_TOKEN_SECONDS: i64 = 60 * 60;
const LEEWAY_SECONDS: i64 = 5;
const ISSUER: &str = "ivy";
const AUDIENCES: [&str; 3] = ["ivy-user", "ivy-admin", "ivy-operator"];

/// The state of every router: cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState {
    pub ivy: Ivy,
    pub tokens: Tokens,
    pub limits: Limits,
}

impl AppState {
    #[must_use]
    pub fn new(ivy: Ivy) -> Self {
        let tokens = Tokens::new(ivy.store.keyring());
        Self { ivy, tokens, limits: Limits::default() }
    }
}

impl FromRef<AppState> for Limits {
    fn from_ref(state: &AppState) -> Self {
        state.limits.clone()
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
    /// At least one; the first signs.
    keys: Vec<Key>,
    validation: Validation,
}

struct Key {
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    #[serde(flatten)]
    bearer: Bearer,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Whose token it is: the audience, and what each audience's tokens say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "aud")]
enum Bearer {
    #[serde(rename = "ivy-user")]
    User { sub: UserId, sid: SessionId },
    #[serde(rename = "ivy-admin")]
    CompanyAdmin { sub: AdminId, company_id: CompanyId },
    #[serde(rename = "ivy-operator")]
    Operator { sub: AdminId },
}

impl Tokens {
    #[must_use]
    pub fn new(keyring: &Keyring) -> Self {
        let keys = keyring.token_keys().iter().map(|token_key| {
            let key = token_key.derive("access-token");
            let id = token_key.id().to_owned();
            Key { id, encoding: EncodingKey::from_secret(&key), decoding: DecodingKey::from_secret(&key) }
        });
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&AUDIENCES);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        Self(Arc::new(Keys { keys: keys.collect(), validation }))
    }

    /// A fresh access token for a user's session.
    ///
    /// # Errors
    /// [`ivy_flows::Error::Impossible`] if the signature cannot be made.
    pub fn issue(&self, user_id: UserId, session_id: SessionId, now: Timestamp) -> Result<String, ivy_flows::Error> {
        self.sign(Bearer::User { sub: user_id, sid: session_id }, ACCESS_TOKEN_SECONDS, now)
    }

    /// A token for an operator or a company's admin.
    ///
    /// # Errors
    /// [`ivy_flows::Error::Impossible`] if the signature cannot be made.
    pub fn issue_admin(&self, id: AdminId, role: AdminRole, now: Timestamp) -> Result<String, ivy_flows::Error> {
        let bearer = match role {
            AdminRole::Operator => Bearer::Operator { sub: id },
            AdminRole::CompanyAdmin { company_id } => Bearer::CompanyAdmin { sub: id, company_id },
        };
        self.sign(bearer, ADMIN_TOKEN_SECONDS, now)
    }

    fn sign(&self, bearer: Bearer, seconds: i64, now: Timestamp) -> Result<String, ivy_flows::Error> {
        let impossible = || ivy_flows::Error::Impossible("an access token cannot be signed".to_owned());
        let key = self.0.keys.first().ok_or_else(impossible)?;
        let issued = now.as_second();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            bearer,
            jti: uuid::Uuid::new_v4().to_string(),
            iat: issued,
            nbf: issued,
            exp: issued.saturating_add(seconds),
        };
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &key.encoding).map_err(|_| impossible())
    }

    /// Whose token this is, if one of our keys signed it and it is good at `now`.
    fn check(&self, token: &str, now: Timestamp) -> Option<Bearer> {
        let kid = decode_header(token).ok()?.kid?;
        let key = self.0.keys.iter().find(|key| key.id == kid)?;
        let claims = decode::<Claims>(token, &key.decoding, &self.0.validation).ok()?.claims;
        let now = now.as_second();
        let good = now < claims.exp.saturating_add(LEEWAY_SECONDS) && now >= claims.nbf.saturating_sub(LEEWAY_SECONDS);
        good.then_some(claims.bearer)
    }
}

/// The bearer of the valid token that came as `Authorization: Bearer …`.
fn bearer<S>(parts: &Parts, state: &S) -> Result<Bearer, Problem>
where
    Ivy: FromRef<S>,
    Tokens: FromRef<S>,
{
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

/// Counts the request against the account's limit, and leaves for the answer how it stands.
async fn count<S>(parts: &Parts, state: &S, account: impl fmt::Display) -> Result<(), Problem>
where
    Ivy: FromRef<S>,
    Limits: FromRef<S>,
{
    let standing = Limits::from_ref(state).count(&Ivy::from_ref(state), &account.to_string()).await?;
    if let Some(slot) = parts.extensions.get::<limits::Slot>() {
        slot.leave(standing);
    }
    Ok(())
}

/// Declares who a token of one audience makes of its bearer; the first field names the account.
macro_rules! caller {
    ($(#[$meta:meta])* $name:ident { $account:ident: $id:ty $(, $field:ident: $type:ty)? } from $pattern:pat) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            pub $account: $id,
            $(pub $field: $type,)?
        }

        impl<S> FromRequestParts<S> for $name
        where
            S: Send + Sync,
            Ivy: FromRef<S>,
            Tokens: FromRef<S>,
            Limits: FromRef<S>,
        {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
                // Whoever else the token is for, this door knows only its own audience.
                let $pattern = bearer(parts, state)? else { return Err(Problem::unauthorized()) };
                count(parts, state, $account).await?;
                Ok(Self { $account, $($field)? })
            }
        }
    };
}

caller!(
    /// The user who is signed in.
    SignedIn { user_id: UserId, session_id: SessionId }
    from Bearer::User { sub: user_id, sid: session_id }
);
caller!(
    /// The admin of one company. Load what is the company's by `company_id`, never by a path's id.
    CompanyAdmin { admin_id: AdminId, company_id: CompanyId }
    from Bearer::CompanyAdmin { sub: admin_id, company_id }
);
caller!(
    /// An operator of the service.
    Operator { operator_id: AdminId }
    from Bearer::Operator { sub: operator_id }
);

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
    Limits: FromRef<S>,
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
    use ivy_store::{Store, TokenKey};
    use tower::ServiceExt as _;

    use super::*;

    #[derive(Debug)]
    pub(crate) struct TestClock(pub(crate) Mutex<Timestamp>);

    #[async_trait::async_trait]
    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }

        async fn sleep(&self, _: std::time::Duration) {}
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
        let expected = Bearer::User { sub: user, sid: session };
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
        let key = &state.tokens.0.keys[0];
        let none = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"none","kid":"{}"}}"#, key.id));
        let strangers = Tokens::new(&Keyring::from_master_key(b"another master key of 32 bytes...."));
        let claims = |change: fn(&mut serde_json::Value)| {
            let second = now().as_second();
            let mut claims = serde_json::json!({"iss": ISSUER, "aud": "ivy-user", "sub": user, "sid": session,
                "jti": "j", "iat": second, "nbf": second, "exp": second + 900});
            change(&mut claims);
            claims
        };
        let signed = |algorithm: Algorithm, kid: Option<&str>, change: fn(&mut serde_json::Value)| {
            let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
            encode(&header, &claims(change), &key.encoding).unwrap()
        };
        let with = |change| signed(Algorithm::HS256, Some(&key.id), change);
        assert!(state.tokens.check(&with(|_| {}), now()).is_some(), "the helper makes good tokens");
        for forged in [
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            strangers.issue(user, session, now()).unwrap(),
            with(|claims| claims["aud"] = "ivy-nobody".into()),
            // Another audience's token has that audience's claims.
            with(|claims| claims["aud"] = "ivy-admin".into()),
            with(|claims| claims["aud"] = serde_json::json!(["ivy-user", "ivy-operator"])),
            with(|claims| claims["iss"] = "elsewhere".into()),
            with(|claims| claims["sub"] = "me".into()),
            signed(Algorithm::HS512, Some(&key.id), |_| {}),
            signed(Algorithm::HS256, Some("another"), |_| {}),
            signed(Algorithm::HS256, None, |_| {}),
            String::new(),
            "a.b.c".to_owned(),
        ] {
            assert_eq!(state.tokens.check(&forged, now()), None, "{forged}");
        }
    }

    #[test]
    fn the_first_key_signs_and_every_live_key_verifies() {
        let keyring = |ids: &[&str]| {
            let keys =
                ids.iter().map(|id| TokenKey::new(*id, format!("{id}: 32 bytes at least, as it must be").as_bytes()));
            Tokens::new(
                &Keyring::from_master_key(b"a master key of at least 32 bytes!").with_token_keys(keys.collect()),
            )
        };
        let (user, session) = ids();
        let (before, during, after) = (keyring(&["a"]), keyring(&["b", "a"]), keyring(&["b"]));
        let old = before.issue(user, session, now()).unwrap();
        let new = during.issue(user, session, now()).unwrap();
        assert_eq!(decode_header(&new).unwrap().kid.as_deref(), Some("b"));
        assert!(during.check(&old, now()).is_some() && during.check(&new, now()).is_some());
        assert!(after.check(&old, now()).is_none() && after.check(&new, now()).is_some());
        assert!(before.check(&new, now()).is_none());
        // A key counts under its own id only.
        let renamed = Keyring::from_master_key(&[])
            .with_token_keys(vec![TokenKey::new("b", b"a: 32 bytes at least, as it must be")]);
        assert!(during.check(&Tokens::new(&renamed).issue(user, session, now()).unwrap(), now()).is_none());
    }

    #[tokio::test]
    async fn a_token_opens_the_doors_of_its_own_audience_only() {
        let (state, clock) = state();
        let (user, session) = ids();
        let (admin, company) = (AdminId::generate(now()), CompanyId::generate(now()));
        let role = AdminRole::CompanyAdmin { company_id: company };
        let tokens = [
            state.tokens.issue(user, session, now()).unwrap(),
            state.tokens.issue_admin(admin, role, now()).unwrap(),
            state.tokens.issue_admin(admin, AdminRole::Operator, now()).unwrap(),
        ];
        let app: Router = Router::new()
            .route("/0", get(|caller: SignedIn| async move { caller.user_id.to_string() }))
            .route(
                "/1",
                get(|caller: CompanyAdmin| async move { format!("{} {}", caller.admin_id, caller.company_id) }),
            )
            .route("/2", get(|caller: Operator| async move { caller.operator_id.to_string() }))
            .with_state(state);
        let ask = async |door: usize, token: &str| {
            let request = Request::get(format!("/{door}")).header("authorization", format!("Bearer {token}"));
            app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
        };
        for door in 0..3 {
            for (index, token) in tokens.iter().enumerate() {
                assert_eq!(ask(door, token).await, if door == index { 200 } else { 401 }, "{door}: {index}");
            }
        }
        *clock.0.lock().unwrap() = seconds(3604);
        assert_eq!((ask(0, &tokens[0]).await, ask(1, &tokens[1]).await, ask(2, &tokens[2]).await), (401, 200, 200));
        *clock.0.lock().unwrap() = seconds(3605);
        assert_eq!((ask(1, &tokens[1]).await, ask(2, &tokens[2]).await), (401, 401));
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
