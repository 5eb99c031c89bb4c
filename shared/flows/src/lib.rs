//! What happens in Ivy, told once.
//!
//! A flow loads what it needs, asks the domain what follows, and writes one transaction. HTTP handlers, WhatsApp,
//! the voice agent's events and the jobs call the same flows; nothing else joins the table with the providers.
//!
//! Side effects never leave from here after a commit: the transaction that changes state also writes an outbox item
//! ([`outbox::Effect`]), and `publish-outbox` carries it out. The only exceptions are the functions whose work *is* the
//! side effect (dialling, sending): they claim first, act, then record what happened.

pub mod accounts;
pub mod adjustments;
pub mod admins;
pub mod audit;
pub mod calls;
pub mod carrier;
pub mod clock;
pub mod completions;
mod contacts;
mod conversation;
pub mod dialling;
pub mod digests;
mod directory;
pub mod erasure;
pub mod error;
pub mod export;
pub mod idempotency;
pub mod inbound;
pub mod inbound_calls;
pub mod messages;
pub mod metrics;
pub mod outbox;
pub mod planning;
pub mod ports;
mod retrying;
pub mod scores;
pub mod settings;
pub mod sign_in;
pub mod voice_events;
pub mod voice_tools;
pub mod wallets;
pub mod workouts;

use std::{future::Future, sync::Arc};

use ivy_domain::UserId;
use ivy_store::{Me, Profile, Store, StoreError};

use directory::Directory;

pub use directory::former_charity;

pub use clock::{Clock, SystemClock};
pub use error::{Error, FieldError};
pub use settings::Settings;

/// What every flow works with: the table, the clock, and the deployment's settings.
#[derive(Clone, Debug)]
pub struct Ivy {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub settings: Arc<Settings>,
    directory: Directory,
}

impl Ivy {
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, settings: Arc<Settings>) -> Self {
        Self { store, clock, settings, directory: Directory::default() }
    }

    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// A user's present state, or not found. A pause whose time is over is over, whether or not somebody wrote it down.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user (any more).
    pub async fn me(&self, user: UserId) -> Result<Me, Error> {
        let me = self.store.me(user).await?.ok_or(Error::NotFound("user"))?;
        Ok(me.at(self.now()))
    }

    /// What a read brings of a user who is still there, with their profile. Both are asked for at once, so it takes one round
    /// trip: an access token outlives its account for up to 15 minutes, and must not open what waits to be erased.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user (any more), whatever else was found.
    pub async fn of_user<T>(
        &self,
        user: UserId,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<(Profile, T), Error> {
        let (profile, found) = tokio::try_join!(Box::pin(self.store.profile(user)), Box::pin(read))?;
        Ok((profile.ok_or(Error::NotFound("user"))?, found))
    }
}
