//! Money: integer pence inside, a decimal number of pounds in JSON.

use std::{fmt, iter::Sum, ops::Add, ops::AddAssign, ops::Sub};

use serde::{Deserialize, Serialize};

use crate::values::Invalid;

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

/// An amount that an operator adds to what was donated, or takes back: whole pence, not 0, at most £1000 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Adjustment(Pence);

impl Adjustment {
    const MOST: f64 = 100_000.0;

    #[must_use]
    pub const fn amount(self) -> Pence {
        self.0
    }
}

impl TryFrom<f64> for Adjustment {
    type Error = Invalid;

    #[expect(clippy::cast_possible_truncation, reason = "the amount is checked to be small and whole")]
    fn try_from(pounds: f64) -> Result<Self, Invalid> {
        let pence = (pounds * 100.0).round();
        // Decimal pounds have no exact binary form; a tenth of a penny too much is no rounding.
        let whole = (pounds * 100.0 - pence).abs() < 1e-6;
        if whole && pence != 0.0 && pence.abs() <= Self::MOST {
            Ok(Self(Pence(pence as i64)))
        } else {
            Err(Invalid::new("must be pounds with at most two decimals, not 0, from -1000 to 1000"))
        }
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
    use super::{Adjustment, Pence};

    #[test]
    fn pence_read_as_pounds() {
        assert_eq!(Pence(150).to_string(), "£1.50");
        assert_eq!(Pence(8950).pounds().to_string(), "89.5");
        assert_eq!(Pence(5).to_string(), "£0.05");
    }

    #[test]
    fn an_adjustment_is_whole_pence() {
        for (pounds, pence) in [(0.29, 29), (1.1, 110), (-2.5, -250), (1000.0, 100_000), (-1000.0, -100_000)] {
            assert_eq!(Adjustment::try_from(pounds).map(Adjustment::amount), Ok(Pence(pence)));
        }
        for wrong in [0.0, 0.001, 1.005, 1000.01, -1000.01, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Adjustment::try_from(wrong).is_err(), "{wrong}");
        }
    }
}
