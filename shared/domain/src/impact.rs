//! What donated money does, in the charity's own unit. Integers throughout: a rounded-up promise would be
//! a promise that nobody paid for.

use crate::{charity::Charity, money::Pence};

/// What an amount pays for at a charity, rounded down: `179 helpline calls`.
#[must_use]
pub fn equivalent(donated: Pence, charity: &Charity) -> String {
    let units = i128::from(donated.0.max(0)) * i128::from(charity.impact_per_pound_milli) / 100_000;
    format!("{units} {}", charity.impact_unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CharityId;
    use jiff::Timestamp;

    #[test]
    fn impact_is_rounded_down_and_has_its_unit() {
        let charity = Charity {
            id: CharityId::generate(Timestamp::UNIX_EPOCH),
            name: "Mind".into(),
            impact_unit: "helpline calls".into(),
            impact_per_pound_milli: 2000,
        };
        assert_eq!(equivalent(Pence(8950), &charity), "179 helpline calls");
        assert_eq!(equivalent(Pence(8949), &charity), "178 helpline calls");
        assert_eq!(equivalent(Pence::ZERO, &charity), "0 helpline calls");
    }
}
