//! A company: the sponsor of its employees.

use serde::{Deserialize, Serialize};

use crate::{ids::CompanyId, money::Pence};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Company {
    pub id: CompanyId,
    pub name: String,
    /// The monthly cap of each employee's wallet; the tier's when the contract names none.
    #[serde(default)]
    pub monthly_wallet_per_employee: Option<Pence>,
}
