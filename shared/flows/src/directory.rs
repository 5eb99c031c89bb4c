//! Charities and companies: few, and nearly constant. Each process keeps its copies: of a charity for ten minutes, of a
//! company for one, so that a new limit of a company holds everywhere a minute after it was set.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ivy_domain::{CharityId, CompanyId, User, charity::Charity, company::Company, wallet::Caps};
use jiff::{SignedDuration, Timestamp};

use crate::{Error, Ivy};

const CHARITY_KEPT: SignedDuration = SignedDuration::from_mins(10);
const COMPANY_KEPT: SignedDuration = SignedDuration::from_mins(1);

type Copies<Id, T> = Mutex<HashMap<Id, (T, Timestamp)>>;

/// The process's copies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory(Arc<Entries>);

#[derive(Debug, Default)]
struct Entries {
    charities: Copies<CharityId, Charity>,
    /// All of them at once, under the only key there is.
    list: Copies<(), Vec<Charity>>,
    companies: Copies<CompanyId, Company>,
}

fn fresh<Id: std::hash::Hash + Eq, T: Clone>(
    copies: &Copies<Id, T>,
    id: Id,
    now: Timestamp,
    kept: SignedDuration,
) -> Option<T> {
    let copies = copies.lock().unwrap_or_else(PoisonError::into_inner);
    copies.get(&id).filter(|(_, read_at)| now.duration_since(*read_at).abs() < kept).map(|(copy, _)| copy.clone())
}

fn keep<Id: std::hash::Hash + Eq, T: Clone>(copies: &Copies<Id, T>, id: Id, copy: &T, now: Timestamp) {
    copies.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (copy.clone(), now));
}

/// What a charity is called in the books after it was removed.
const FORMER: &str = "a former charity";

/// Stands for a charity that received something and is none of ours any more.
#[must_use]
pub fn former_charity(id: CharityId) -> Charity {
    Charity { id, name: FORMER.to_owned(), impact_unit: String::new(), impact_per_pound_milli: 0 }
}

impl Ivy {
    /// A charity by its id.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn charity(&self, id: CharityId) -> Result<Charity, Error> {
        let now = self.now();
        let copies = &self.directory.0.charities;
        if let Some(charity) = fresh(copies, id, now, CHARITY_KEPT) {
            return Ok(charity);
        }
        let charity = self.store.charity(id).await?.ok_or(Error::NotFound("charity"))?;
        keep(copies, id, &charity, now);
        Ok(charity)
    }

    /// Who received something, for the books: also a charity that was removed since.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn charity_or_former(&self, id: CharityId) -> Result<Charity, Error> {
        match self.charity(id).await {
            Err(Error::NotFound(_)) => Ok(former_charity(id)),
            found => found,
        }
    }

    /// All charities, by name.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn charities(&self) -> Result<Vec<Charity>, Error> {
        let now = self.now();
        let copies = &self.directory.0.list;
        if let Some(charities) = fresh(copies, (), now, CHARITY_KEPT) {
            return Ok(charities);
        }
        let mut charities = self.store.charities().await?;
        charities.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
        keep(copies, (), &charities, now);
        Ok(charities)
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

    /// A user's company, if they have one.
    ///
    /// # Errors
    /// [`Error::Impossible`] when the user's company is not in the table.
    pub async fn company_of(&self, user: &User) -> Result<Option<Company>, Error> {
        let Some(id) = user.company_id else { return Ok(None) };
        self.company(id).await.map(Some)
    }

    /// A company by its id, which something of ours holds.
    ///
    /// # Errors
    /// [`Error::Impossible`] when it is not in the table.
    pub async fn company(&self, id: CompanyId) -> Result<Company, Error> {
        let now = self.now();
        let copies = &self.directory.0.companies;
        if let Some(company) = fresh(copies, id, now, COMPANY_KEPT) {
            return Ok(company);
        }
        let company = self.store.company(id).await?;
        let company = company.ok_or_else(|| Error::Impossible("a user's company is not in the table".to_owned()))?;
        keep(copies, id, &company, now);
        Ok(company)
    }

    /// What may be donated for a user: the tier's caps, and the company's own limit.
    ///
    /// # Errors
    /// When the company cannot be read.
    pub async fn caps_of(&self, user: &User) -> Result<Caps, Error> {
        let company = self.company_of(user).await?;
        Ok(Caps::of(user.subscription_type, company.and_then(|company| company.monthly_wallet_per_employee)))
    }
}
