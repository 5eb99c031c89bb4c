//! What each subscription includes: the product's table of tiers, in its one place.

use serde::{Deserialize, Serialize};

use crate::money::Pence;

/// `subscription_type`: who pays, and for how much of Ivy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    B2bSponsor,
    B2cPro,
    B2cElite,
    B2cConcierge,
}

/// `subscription_status`, as billing last reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStatus {
    Trialing,
    Active,
    PastDue,
    Cancelled,
}

/// How many calls a day's plan holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallRhythm {
    /// Morning and evening on preferred days, and the weekly planning call.
    Daily { monthly_check: bool, quarterly_review: bool },
    /// Weekly planning and one evening review, on the middle preferred day.
    TwiceAWeek,
}

/// A row of the table of tiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierRules {
    /// A month's price; `None` where a contract sets it.
    pub price: Option<Pence>,
    pub calls: CallRhythm,
    pub donation_per_completion: Pence,
    pub daily_cap: Pence,
    /// The monthly cap; a sponsor's company may set another.
    pub monthly_cap: Pence,
    /// Whether a missed call may be followed by a WhatsApp message.
    pub follow_up_after_missed_call: bool,
    pub calendar: bool,
    pub human_review: bool,
}

/// Bonus for a number of kept days in one run, the same for every tier.
pub const STREAK_BONUSES: [(u32, Pence); 3] = [(7, Pence(300)), (30, Pence(1000)), (90, Pence(2500))];

impl Tier {
    pub const ALL: [Self; 4] = [Self::B2bSponsor, Self::B2cPro, Self::B2cElite, Self::B2cConcierge];

    /// The wire name, such as `b2c_pro`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::B2bSponsor => "b2b_sponsor",
            Self::B2cPro => "b2c_pro",
            Self::B2cElite => "b2c_elite",
            Self::B2cConcierge => "b2c_concierge",
        }
    }

    #[must_use]
    pub const fn rules(self) -> TierRules {
        match self {
            Self::B2bSponsor => TierRules {
                price: None,
                calls: CallRhythm::Daily { monthly_check: false, quarterly_review: false },
                donation_per_completion: Pence(100),
                daily_cap: Pence(300),
                monthly_cap: Pence(2000),
                follow_up_after_missed_call: true,
                calendar: false,
                human_review: false,
            },
            Self::B2cPro => TierRules {
                price: Some(Pence(9900)),
                calls: CallRhythm::TwiceAWeek,
                donation_per_completion: Pence(100),
                daily_cap: Pence(300),
                monthly_cap: Pence(2000),
                follow_up_after_missed_call: false,
                calendar: false,
                human_review: false,
            },
            Self::B2cElite => TierRules {
                price: Some(Pence(19900)),
                calls: CallRhythm::Daily { monthly_check: true, quarterly_review: false },
                donation_per_completion: Pence(150),
                daily_cap: Pence(400),
                monthly_cap: Pence(3500),
                follow_up_after_missed_call: true,
                calendar: true,
                human_review: false,
            },
            Self::B2cConcierge => TierRules {
                price: Some(Pence(39900)),
                calls: CallRhythm::Daily { monthly_check: true, quarterly_review: true },
                donation_per_completion: Pence(200),
                daily_cap: Pence(500),
                monthly_cap: Pence(5000),
                follow_up_after_missed_call: true,
                calendar: true,
                human_review: true,
            },
        }
    }
}
