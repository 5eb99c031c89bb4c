//! Charities: few, and nearly constant. Each process reads one once in ten minutes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ivy_domain::{CharityId, User, charity::Charity};
use jiff::{SignedDuration, Timestamp};

use crate::{Error, Ivy};

const KEPT: SignedDuration = SignedDuration::from_mins(10);

/// The process's copies.
#[derive(Debug, Clone, Default)]
pub struct Charities(Arc<Mutex<HashMap<CharityId, (Charity, Timestamp)>>>);

impl Ivy {
    /// A charity by its id.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn charity(&self, id: CharityId) -> Result<Charity, Error> {
        let now = self.now();
        let cached = self.charities.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some((charity, read_at)) = cached
            && now.duration_since(read_at).abs() < KEPT
        {
            return Ok(charity);
        }
        let charity = self.store.charity(id).await?.ok_or(Error::NotFound("charity"))?;
        self.charities.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (charity.clone(), now));
        Ok(charity)
    }

    /// Who receives a user's donations: the chosen charity, else the stage's default.
    ///
    /// # Errors
    /// [`Error::Impossible`] when the default charity was never seeded.
    pub async fn charity_of(&self, user: &User) -> Result<Charity, Error> {
        if let Some(id) = user.charity_id {
            match self.charity(id).await {
                Err(Error::NotFound(_)) => {}
                found => return found,
            }
        }
        let default = self.charity(self.settings.default_charity_id).await;
        default.map_err(|error| match error {
            Error::NotFound(_) => Error::Impossible("the default charity is not in the table".to_owned()),
            other => other,
        })
    }
}
