//! Signing in without a password: a link by e-mail or SMS, with a six-digit code beside it, and rotating refresh tokens.
//!
//! - A request is kept under the keyed hash of the contact and holds only hashes. A newer request replaces it; using the link
//!   or the code uses up both; five wrong codes use it up as well.
//! - Whether an account exists shows neither in the answer nor in the work: an unknown contact gets a decoy request that
//!   nothing opens, written in a transaction of the same size.
//! - Only what is proven signs in (`contacts.rs`). The first sign-in, by the link that was sent to the phone, proves the
//!   phone; an e-mail address is proven later, from a session.
//! - A refresh token is `user.session.number.key.mac`: the token key named in it made the mac, and every live key verifies
//!   ([`ivy_store::TokenKey`]). Only the newest number of a session is good. For 20 seconds after its rotation
//!   each older one gets the *same* successor (parallel tabs), also when that was rotated meanwhile; any later use means that a
//!   token was stolen or copied, and ends the whole session.
//! - Whatever can be guessed is counted before it is looked at: codes for each address and each contact, five for each request,
//!   five links for each contact, those of sign-ups among them. What cannot be guessed (links, refresh tokens) is counted only
//!   when it was wrong, so that many people behind one address renew their sessions undisturbed, and so that whoever uses up
//!   somebody's codes does not keep them from using their link.

use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use ivy_domain::{
    MessageId, SessionId, User, UserId,
    message::{Notice, Via},
    values::Contact,
};
use ivy_store::{Profile, Session, SignInRequest, TokenKey, Transaction};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{
    Error, Ivy,
    messages::{self, Outgoing},
    outbox::{self, Effect},
    retrying::{contended, until_settled},
};

/// How long a link and its code are good.
const REQUEST_SECONDS: i64 = 15 * 60;
const CODE_TRIES: u32 = 5;
/// Requests that one address or contact may make in a window.
const LIMIT: u32 = 5;
const LIMIT_SECONDS: i64 = 15 * 60;
/// How long a session lives after its last refresh.
pub const SESSION_SECONDS: i64 = 30 * 86_400;
/// How long a token that was rotated still gets its successor.
const GRACE: SignedDuration = SignedDuration::from_secs(20);
/// Rotations that a session remembers for the grace; nobody's tabs make more of them in 20 seconds.
const MOST_REMEMBERED: usize = 20;
/// Sessions that one transaction ends; it takes at most 100 writes.
const MOST_ENDED_AT_ONCE: usize = 100;
/// Hex characters of the contact's hash at the front of a link's token.
const HASH_PREFIX: usize = 32;

/// A fresh or rotated session.
#[derive(Clone)]
pub struct SignIn {
    pub user_id: UserId,
    pub session_id: SessionId,
    pub refresh_token: String,
    pub refresh_expires_at: Timestamp,
}

impl std::fmt::Debug for SignIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignIn").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// Counts a request against the limit of auth routes: five a 15 minutes for each address and each contact.
pub(crate) async fn limit(ivy: &Ivy, name: &str, subject: &str) -> Result<(), Error> {
    let now = ivy.now();
    if ivy.store.count_requests(name, subject, 1, LIMIT, LIMIT_SECONDS, now).await?.is_some() {
        return Ok(());
    }
    Err(Error::RateLimited {
        limit: LIMIT,
        window_seconds: LIMIT_SECONDS.unsigned_abs(),
        retry_after_seconds: (LIMIT_SECONDS - now.as_second().rem_euclid(LIMIT_SECONDS)).unsigned_abs(),
    })
}

/// Counts a link against the limit of the contact that gets it, whether it was asked for or comes with a sign-up.
pub(crate) async fn limit_links(ivy: &Ivy, contact: &Contact) -> Result<(), Error> {
    limit(ivy, "sign_in_contact", contact.as_str()).await
}

/// What becomes of a wrong link or refresh token: refused, and after five from an address within 15 minutes limited.
async fn refused(ivy: &Ivy, name: &str, address: &str) -> Error {
    limit(ivy, name, address).await.err().unwrap_or(Error::Unauthorized)
}

pub(crate) fn contact_hash(ivy: &Ivy, contact: &Contact) -> String {
    let mut hash = ivy.store.keyring().keyed_hash("sign-in", contact.as_str());
    hash.truncate(HASH_PREFIX);
    hash
}

fn code_hash(ivy: &Ivy, contact_hash: &str, code: &str) -> String {
    ivy.store.keyring().keyed_hash("sign-in-code", &format!("{contact_hash}|{code}"))
}

fn random_hex(bytes: &mut [u8]) -> Result<String, Error> {
    rand::fill(bytes).map_err(|_| Error::Impossible("the random generator failed".to_owned()))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// The version of what replaces whatever was there: no other's, so that a try which had read the one before writes nothing
/// over it.
pub(crate) fn fresh_version() -> u64 {
    u64::from(Uuid::new_v4().as_fields().0) + 1
}

/// Adds a sign-in request to a transaction, and the message that carries its link and code; without a user, a decoy.
pub(crate) fn add_request(
    ivy: &Ivy,
    transaction: &mut Transaction<'_>,
    contact: &Contact,
    profile: Option<&Profile>,
    now: Timestamp,
) -> Result<(), Error> {
    let hash = contact_hash(ivy, contact);
    let secret = random_hex(&mut [0; 24])?;
    let code = format!("{:06}", Uuid::new_v4().as_u128() % 1_000_000);
    let request = SignInRequest {
        user_id: profile.map(|profile| profile.user.id),
        link_hash: ivy.store.keyring().keyed_hash("sign-in-link", &secret),
        code_hash: code_hash(ivy, &hash, &code),
        tries_left: CODE_TRIES,
        expires_at: now.as_second() + REQUEST_SECONDS,
        version: fresh_version(),
    };
    transaction.sign_in_request(&hash, &request);
    let Some(profile) = profile else {
        // The same number of writes as for a real account, so that the time taken tells nothing.
        transaction.processed_event("decoy", &Uuid::new_v4().to_string(), now);
        let (user_id, message_id) = (UserId::generate(now), MessageId::generate(now));
        return outbox::add(transaction, &Effect::SendMessage { user_id, message_id, not_before: now }, now);
    };
    let link = format!("{}/sign-in#token={hash}{secret}", ivy.settings.app_url);
    let outgoing = Outgoing {
        not_after: Some(now + SignedDuration::from_secs(REQUEST_SECONDS)),
        ..Outgoing::new(Via::to(contact), Notice::SignInLink { link, code })
    };
    messages::add(transaction, profile, outgoing, now)?;
    Ok(())
}

/// Sends a sign-in link to a contact if it is some user's; the caller learns nothing either way.
///
/// # Errors
/// [`Error::RateLimited`] after five requests from an address or for a contact within 15 minutes.
pub async fn request_magic_link(ivy: &Ivy, contact: &Contact, address: &str) -> Result<(), Error> {
    limit(ivy, "sign_in_address", address).await?;
    limit_links(ivy, contact).await?;
    let now = ivy.now();
    let owner = ivy.store.contact_owner(contact).await?;
    // An unknown contact costs the same read, of a user that does not exist.
    let profile = ivy.store.profile(owner.unwrap_or_else(|| UserId::generate(now))).await?;
    let mut transaction = ivy.store.transaction();
    add_request(ivy, &mut transaction, contact, profile.as_ref(), now)?;
    Ok(transaction.commit().await?)
}

/// What a person shows to sign in.
#[derive(Clone)]
pub enum Proof {
    /// The token of a link.
    Link { token: String },
    /// The code, with the contact that it was sent to.
    Code { contact: Contact, code: String },
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Link { .. }) { "Link" } else { "Code" })
    }
}

/// Opens a session for a link or a code. Every failure looks the same.
///
/// # Errors
/// [`Error::Unauthorized`] for a proof that is wrong, used up, replaced or too old; [`Error::RateLimited`] after five codes
/// from an address or for a contact, or five wrong links from an address, within 15 minutes.
pub async fn verify(ivy: &Ivy, proof: &Proof, address: &str) -> Result<SignIn, Error> {
    match (check(ivy, proof, address).await, proof) {
        (Err(Error::Unauthorized), Proof::Link { .. }) => Err(refused(ivy, "link_address", address).await),
        (result, Proof::Link { .. } | Proof::Code { .. }) => result,
    }
}

async fn check(ivy: &Ivy, proof: &Proof, address: &str) -> Result<SignIn, Error> {
    let (hash, candidate) = match proof {
        Proof::Link { token } => {
            let (hash, secret) = token.split_at_checked(HASH_PREFIX).ok_or(Error::Unauthorized)?;
            (hash.to_owned(), ivy.store.keyring().keyed_hash("sign-in-link", secret))
        }
        Proof::Code { contact, code } => {
            limit(ivy, "verify_address", address).await?;
            limit(ivy, "verify_contact", contact.as_str()).await?;
            let hash = contact_hash(ivy, contact);
            let candidate = code_hash(ivy, &hash, code);
            (hash, candidate)
        }
    };
    let (hash, candidate) = (&hash, &candidate);
    until_settled(ivy, || async move {
        let now = ivy.now();
        let request = ivy.store.sign_in_request(hash).await?.ok_or(Error::Unauthorized)?;
        if request.expires_at <= now.as_second() || request.tries_left == 0 {
            return Err(Error::Unauthorized);
        }
        let expected = match proof {
            Proof::Link { .. } => &request.link_hash,
            Proof::Code { .. } => &request.code_hash,
        };
        let right = verify_slices_are_equal(expected.as_bytes(), candidate.as_bytes()).is_ok();
        match request.user_id {
            Some(user) if right => open_session(ivy, hash, &request, user, now).await,
            _ => {
                // A wrong link cannot be guessed, so only wrong codes count.
                if matches!(proof, Proof::Code { .. }) {
                    let tried = SignInRequest { tries_left: request.tries_left - 1, ..request };
                    let mut transaction = ivy.store.transaction();
                    transaction.sign_in_try(hash, &tried);
                    transaction.commit().await.map_err(contended)?;
                }
                Err(Error::Unauthorized)
            }
        }
    })
    .await
}

async fn open_session(
    ivy: &Ivy,
    hash: &str,
    request: &SignInRequest,
    user: UserId,
    now: Timestamp,
) -> Result<SignIn, Error> {
    let session = Session {
        id: SessionId::generate(now),
        user_id: user,
        current: 1,
        rotated_at: now,
        earlier: Vec::new(),
        created_at: now,
        expires_at: now.as_second() + SESSION_SECONDS,
        version: 0,
    };
    let profile = ivy.store.profile(user).await?.ok_or(Error::Unauthorized)?;
    let mut transaction = ivy.store.transaction();
    transaction.use_sign_in_request(hash, request).session(&session);
    if proves_the_phone(ivy, hash, &profile) {
        add_proof(&mut transaction, profile, now);
    }
    transaction.commit().await.map_err(contended)?;
    Ok(grant(ivy, &session, session.current))
}

/// Whether a request went to the phone that somebody signed up with, and nobody has proven it yet.
fn proves_the_phone(ivy: &Ivy, hash: &str, profile: &Profile) -> bool {
    let phone = Contact::Phone(profile.user.phone.clone());
    profile.user.phone_proven_at.is_none() && contact_hash(ivy, &phone) == hash
}

/// Adds to a first sign-in that the phone is proven the user's.
fn add_proof(transaction: &mut Transaction<'_>, profile: Profile, now: Timestamp) {
    let profile = Profile { user: User { phone_proven_at: Some(now), updated_at: now, ..profile.user }, ..profile };
    transaction.user(&profile);
    tracing::info!(event = "phone_proven", user_id = %profile.user.id);
}

fn mac(key: &TokenKey, user: UserId, session: SessionId, number: u64) -> String {
    key.mac("refresh-token", &format!("{user}.{session}.{number}"))
}

/// The session with one of its tokens: the newest, or one that was given before.
fn grant(ivy: &Ivy, session: &Session, number: u64) -> SignIn {
    let (user, id) = (session.user_id, session.id);
    let key = ivy.store.keyring().signing_key();
    SignIn {
        user_id: user,
        session_id: id,
        refresh_token: format!("{user}.{id}.{number}.{}.{}", key.id(), mac(key, user, id, number)),
        refresh_expires_at: Timestamp::from_second(session.expires_at).unwrap_or(session.rotated_at),
    }
}

fn parse_refresh_token(ivy: &Ivy, token: &str) -> Option<(UserId, SessionId, u64)> {
    let mut parts = token.split('.');
    let (user, session, number) = (parts.next()?, parts.next()?, parts.next()?);
    let (key, seal) = (parts.next()?, parts.next()?);
    let (user, session, number) = (user.parse().ok()?, session.parse().ok()?, number.parse().ok()?);
    let expected = mac(ivy.store.keyring().token_key(key)?, user, session, number);
    let genuine = parts.next().is_none() && verify_slices_are_equal(expected.as_bytes(), seal.as_bytes()).is_ok();
    genuine.then_some((user, session, number))
}

/// Exchanges a refresh token for its successor.
///
/// # Errors
/// [`Error::Unauthorized`] for a forged, old or revoked token; a token used again after its grace ends its session.
/// [`Error::RateLimited`] after five of these from an address within 15 minutes.
pub async fn refresh(ivy: &Ivy, token: &str, address: &str) -> Result<SignIn, Error> {
    match exchange(ivy, token).await {
        Err(Error::Unauthorized) => Err(refused(ivy, "refresh_address", address).await),
        result => result,
    }
}

/// Ends one session. Its refresh tokens are worthless from then on; doing it again changes nothing.
///
/// # Errors
/// When the table does not answer.
pub async fn end_session(ivy: &Ivy, user: UserId, session: SessionId) -> Result<(), Error> {
    let mut transaction = ivy.store.transaction();
    transaction.end_session_of(user, session);
    Ok(transaction.commit().await?)
}

/// Ends every session of a user that is open at this moment.
///
/// # Errors
/// When the table does not answer; some may then be over.
pub async fn end_all_sessions(ivy: &Ivy, user: UserId) -> Result<(), Error> {
    for some in ivy.store.sessions(user).await?.chunks(MOST_ENDED_AT_ONCE) {
        let mut transaction = ivy.store.transaction();
        for session in some {
            transaction.end_session(session);
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// The session with its next token. It remembers when the tokens before were replaced, as long as the grace needs it.
fn rotated(session: Session, now: Timestamp) -> Session {
    let before = std::iter::once(session.rotated_at).chain(session.earlier);
    Session {
        current: session.current + 1,
        rotated_at: now,
        earlier: before.filter(|at| now.duration_since(*at) <= GRACE).take(MOST_REMEMBERED).collect(),
        expires_at: now.as_second() + SESSION_SECONDS,
        ..session
    }
}

/// When a token of a session was replaced by its successor, if that is not long ago.
fn replaced_at(session: &Session, number: u64) -> Option<Timestamp> {
    match session.current.checked_sub(number)? {
        0 => None,
        1 => Some(session.rotated_at),
        back => session.earlier.get(usize::try_from(back - 2).ok()?).copied(),
    }
}

async fn exchange(ivy: &Ivy, token: &str) -> Result<SignIn, Error> {
    let (user, id, number) = parse_refresh_token(ivy, token).ok_or(Error::Unauthorized)?;
    until_settled(ivy, || async move {
        let now = ivy.now();
        // Of a user who is gone no session is good, whatever became of its item.
        let session = ivy.store.session(user, id).await?.ok_or(Error::Unauthorized)?;
        if session.expires_at <= now.as_second() {
            return Err(Error::Unauthorized);
        }
        if number == session.current {
            let rotated = rotated(session, now);
            let mut transaction = ivy.store.transaction();
            transaction.session(&rotated);
            transaction.commit().await.map_err(contended)?;
            return Ok(grant(ivy, &rotated, rotated.current));
        }
        if replaced_at(&session, number).is_some_and(|at| now.duration_since(at) <= GRACE) {
            return Ok(grant(ivy, &session, number + 1));
        }
        let mut transaction = ivy.store.transaction();
        transaction.end_session(&session);
        transaction.commit().await?;
        tracing::warn!(event = "refresh_token_reused", user_id = %user, session_id = %id);
        Err(Error::Unauthorized)
    })
    .await
}
