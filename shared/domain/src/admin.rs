//! Who works with Ivy rather than being called by her: operators of the service, and the admins of a company.
//!
//! They sign in with a password, are no users, and have nothing in a user's partition. What each may do stands in the type
//! that its token becomes (`ivy-runtime`'s extractors), so a role is never compared in a handler.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{ids::CompanyId, values::Invalid};

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum AdminRole {
    /// Runs the service: sees the calls that are due, sends messages, corrects donations, opens companies.
    Operator,
    /// Looks after one company's plan: sees its totals, invites and removes its employees.
    CompanyAdmin { company_id: CompanyId },
}

impl AdminRole {
    /// The role's name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::CompanyAdmin { .. } => "company_admin",
        }
    }

    #[must_use]
    pub const fn company_id(self) -> Option<CompanyId> {
        match self {
            Self::Operator => None,
            Self::CompanyAdmin { company_id } => Some(company_id),
        }
    }
}

/// A password that somebody chooses: 12 to 200 characters, any of them. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct NewPassword(String);

impl NewPassword {
    const LEAST: usize = 12;
    const MOST: usize = 200;

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

impl FromStr for NewPassword {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        // Spaces at its ends are part of a password; nothing is trimmed.
        if (Self::LEAST..=Self::MOST).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::new(format!("must have {} to {} characters", Self::LEAST, Self::MOST)))
        }
    }
}
