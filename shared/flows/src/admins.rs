//! Operators and companies' admins: their accounts, and signing in with a password.
//!
//! - A deployer makes accounts (`ivy-local admin`); no endpoint does. An account is kept under the keyed hash of its e-mail
//!   address and holds no address itself.
//! - A password is kept as Argon2id with the parameters that OWASP names (19 MiB, 2 passes, 1 lane) in a PHC string. Signing in with
//!   an account whose hash has other parameters writes it anew.
//! - Who has an account shows neither in the answer nor in the work: an unknown address and a disabled account cost the
//!   same two counts, one read and one hash as a wrong password, and answer the same.
//! - Five tries in 15 minutes for each address and each account, as for sign-in links; successful ones count too, so that
//!   the limit cannot tell who was right. That somebody can so keep an admin out for a quarter of an hour is the price.

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version, password_hash::phc::PasswordHash,
};
use aws_lc_rs::rand;
use ivy_domain::{
    AdminId, Email,
    admin::{AdminRole, NewPassword},
};
use ivy_store::{AdminAccount, Store};
use jiff::Timestamp;

use crate::{Error, Ivy, retrying::contended, sign_in::limit};

/// OWASP's second choice for Argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Who signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminSignIn {
    pub id: AdminId,
    pub role: AdminRole,
}

/// Signs an operator or a company's admin in. Every failure looks the same.
///
/// # Errors
/// [`Error::Unauthorized`] for an unknown address, a wrong password or a disabled account; [`Error::RateLimited`] after
/// five tries from an address or for an account within 15 minutes.
pub async fn sign_in(ivy: &Ivy, email: &Email, password: &str, address: &str) -> Result<AdminSignIn, Error> {
    limit(ivy, "admin_address", address).await?;
    limit(ivy, "admin_account", email.as_str()).await?;
    let account = ivy.store.admin_account(email).await?;
    let right = matches(account.as_ref().map(|account| account.password.as_str()), password)?;
    let account = account.filter(|account| right && account.disabled_at.is_none()).ok_or(Error::Unauthorized)?;
    if is_outdated(&account.password)? {
        rehash(ivy, email, &account, password).await;
    }
    Ok(AdminSignIn { id: account.id, role: account.role })
}

/// Best effort: if it fails, or somebody changed the account meanwhile, the next sign-in tries again.
async fn rehash(ivy: &Ivy, email: &Email, account: &AdminAccount, password: &str) {
    let work = async {
        let renewed = AdminAccount { password: hash(password)?, ..account.clone() };
        let mut transaction = ivy.store.transaction();
        transaction.admin_account(email, &renewed);
        Ok::<_, Error>(transaction.commit().await?)
    };
    if let Err(error) = work.await {
        tracing::warn!(event = "best_effort_failed", what = "rehash_password", %error);
    }
}

/// Makes an account.
///
/// # Errors
/// A conflict `admin-exists` when the address has one.
pub async fn add(
    store: &Store,
    email: &Email,
    role: AdminRole,
    password: &NewPassword,
    now: Timestamp,
) -> Result<AdminId, Error> {
    let account = AdminAccount {
        id: AdminId::generate(now),
        role,
        password: hash(password.as_str())?,
        created_at: now,
        disabled_at: None,
        version: 0,
    };
    let mut transaction = store.transaction();
    transaction.admin_account(email, &account);
    match transaction.commit().await {
        Ok(()) => Ok(account.id),
        Err(error) if error.failed("admin") => {
            Err(Error::Conflict { slug: "admin-exists", detail: "This address has an account.".to_owned() })
        }
        Err(error) => Err(error.into()),
    }
}

/// What can be done to an account that exists.
#[derive(Debug, Clone)]
pub enum Change {
    /// Sign-in ends; tokens that are out end within the hour.
    Disable,
    Enable,
    SetPassword(NewPassword),
}

/// Changes an account.
///
/// # Errors
/// [`Error::NotFound`] when the address has none.
pub async fn change(store: &Store, email: &Email, change: &Change, now: Timestamp) -> Result<(), Error> {
    let account = store.admin_account(email).await?.ok_or(Error::NotFound("admin"))?;
    let changed = match change {
        Change::Disable => AdminAccount { disabled_at: Some(account.disabled_at.unwrap_or(now)), ..account },
        Change::Enable => AdminAccount { disabled_at: None, ..account },
        Change::SetPassword(password) => AdminAccount { password: hash(password.as_str())?, ..account },
    };
    let mut transaction = store.transaction();
    transaction.admin_account(email, &changed);
    transaction.commit().await.map_err(contended)
}

/// Removes an account; there may be none.
///
/// # Errors
/// When the table does not answer.
pub async fn remove(store: &Store, email: &Email) -> Result<(), Error> {
    let mut transaction = store.transaction();
    transaction.remove_admin_account(email);
    Ok(transaction.commit().await?)
}

fn parameters() -> Result<Params, Error> {
    Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| impossible())
}

fn impossible() -> Error {
    Error::Impossible("a password cannot be hashed or read".to_owned())
}

fn hash(password: &str) -> Result<String, Error> {
    let mut salt = [0_u8; 16];
    rand::fill(&mut salt).map_err(|_| impossible())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters()?);
    Ok(argon2.hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| impossible())?.to_string())
}

/// Whether a password is the one of a hash. Without a hash it is not, after the same work.
fn matches(stored: Option<&str>, password: &str) -> Result<bool, Error> {
    let Some(stored) = stored else {
        hash(password)?;
        return Ok(false);
    };
    let stored = PasswordHash::new(stored).map_err(|_| impossible())?;
    // The parameters are the hash's own.
    Ok(Argon2::default().verify_password(password.as_bytes(), &stored).is_ok())
}

fn is_outdated(stored: &str) -> Result<bool, Error> {
    let stored = PasswordHash::new(stored).map_err(|_| impossible())?;
    let used = Params::try_from(&stored).map_err(|_| impossible())?;
    let now = parameters()?;
    let same = (used.m_cost(), used.t_cost(), used.p_cost()) == (now.m_cost(), now.t_cost(), now.p_cost());
    Ok(!same || stored.algorithm.as_str() != "argon2id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_argon2id_with_the_parameters_of_owasp_and_a_salt_of_its_own() {
        let made = hash("correct horse battery").unwrap();
        assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
        assert_ne!(made, hash("correct horse battery").unwrap());
        assert!(matches(Some(&made), "correct horse battery").unwrap());
        assert!(!matches(Some(&made), "correct horse batterz").unwrap());
        assert!(!matches(None, "correct horse battery").unwrap());
        assert!(!is_outdated(&made).unwrap());
    }

    #[test]
    fn a_hash_with_other_parameters_is_read_and_outdated() {
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8 * 1024, 1, 1, None).unwrap());
        let made = weak.hash_password_with_salt(b"correct horse battery", b"sixteen bytes !!").unwrap().to_string();
        assert!(matches(Some(&made), "correct horse battery").unwrap());
        assert!(is_outdated(&made).unwrap());
        assert!(matches(Some("not a hash"), "x").is_err());
    }
}
