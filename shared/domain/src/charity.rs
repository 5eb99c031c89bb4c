//! A charity: who receives, and what a pound does there.

use serde::{Deserialize, Serialize};

use crate::ids::CharityId;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Charity {
    pub id: CharityId,
    pub name: String,
    /// What is counted, in the plural: "helpline calls".
    pub impact_unit: String,
    /// Thousandths of a unit that one pound pays for, so that the sum stays in integers.
    pub impact_per_pound_milli: i64,
}
