//! Money: integer pence inside, a decimal number of pounds in JSON.

use std::{fmt, iter::Sum, ops::Add, ops::AddAssign, ops::Sub};

use serde::{Deserialize, Serialize};

/// An amount of money in pence. Stored as an integer; [`Pence::pounds`] is for JSON answers only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pence(pub i64);

impl Pence {
    pub const ZERO: Self = Self(0);

    /// Pounds as JSON shows them: 150 pence are `1.5`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "amounts stay far below 2^53 pence")]
    pub fn pounds(self) -> f64 {
        self.0 as f64 / 100.0
    }

    /// What is left of `self` after `spent`, never below zero.
    #[must_use]
    pub fn remaining_after(self, spent: Self) -> Self {
        Self((self.0 - spent.0).max(0))
    }
}

/// As people write and voices say it: `£1.50`.
impl fmt::Display for Pence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}£{}.{:02}", self.0.abs() / 100, self.0.abs() % 100)
    }
}

impl Add for Pence {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Pence {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Pence {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for Pence {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::Pence;

    #[test]
    fn pence_read_as_pounds() {
        assert_eq!(Pence(150).to_string(), "£1.50");
        assert_eq!(Pence(8950).pounds().to_string(), "89.5");
        assert_eq!(Pence(5).to_string(), "£0.05");
    }
}
