//! Charities and donations as the API shows them.

use ivy_domain::{
    charity::Charity,
    wallet::{Donation, DonationKind},
};
use ivy_flows::adjustments::Adjusted;
use serde::Serialize;
use utoipa::ToSchema;

/// Who receives.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CharityView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::CharityId,
    #[schema(example = "Mind")]
    pub name: String,
}

impl From<Charity> for CharityView {
    fn from(charity: Charity) -> Self {
        Self { id: charity.id, name: charity.name }
    }
}

/// A donation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DonationView {
    #[schema(value_type = String, format = Uuid)]
    pub id: ivy_domain::DonationId,
    /// Pounds; below zero where an adjustment takes back.
    #[schema(example = 1.0)]
    pub amount: f64,
    /// `completion`, `streak_bonus`, or `adjustment`: a correction by an operator.
    #[schema(example = "completion")]
    pub kind: &'static str,
    /// Of a bonus: how many kept days earned it.
    #[schema(example = json!(null))]
    pub kept_days: Option<u32>,
    pub charity: CharityView,
    /// Of a completion: the workout, which may have been deleted since.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub workout_id: Option<ivy_domain::WorkoutId>,
    /// The local day that earned it.
    #[schema(value_type = String, format = Date)]
    pub date: jiff::civil::Date,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
}

impl DonationView {
    #[must_use]
    pub fn new(donation: &Donation, charity: Charity) -> Self {
        let (kind, kept_days) = match donation.kind {
            DonationKind::Completion => ("completion", None),
            DonationKind::StreakBonus { kept_days } => ("streak_bonus", Some(kept_days)),
            DonationKind::Adjustment => ("adjustment", None),
        };
        Self {
            id: donation.id,
            amount: donation.amount.pounds(),
            kind,
            kept_days,
            charity: charity.into(),
            workout_id: donation.workout_id,
            date: donation.date,
            created_at: donation.created_at,
        }
    }
}

impl From<&Adjusted> for DonationView {
    fn from(adjusted: &Adjusted) -> Self {
        Self::new(&adjusted.donation, adjusted.charity.clone())
    }
}
