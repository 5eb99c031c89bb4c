//! Ivy's rules: pure types and functions.
//!
//! Nothing here waits, reads a clock, touches a network or knows how things are stored. Time comes in
//! as a value, money is integer pence ([`Pence`]), personal data has types that do not print themselves
//! ([`Text`], [`Phone`], [`Email`]). What the words mean stands in `docs/architecture.md` under "Words".

pub mod activity;
pub mod admin;
pub mod call;
pub mod call_stats;
pub mod charity;
pub mod company;
pub mod days;
pub mod ids;
pub mod impact;
pub mod local_days;
pub mod message;
pub mod money;
pub mod planning;
pub mod replies;
pub mod scores;
pub mod stats;
pub mod streak;
pub mod tier;
pub mod times;
pub mod user;
pub mod values;
pub mod variables;
pub mod wallet;
pub mod workout;

pub use ids::{
    AdminId, CallId, CharityId, CompanyId, ConsentId, DonationId, MarkerId, MessageId, ScoreId, SessionId, UserId,
    WorkoutId,
};
pub use money::Pence;
pub use tier::{SubscriptionStatus, Tier};
pub use user::User;
pub use values::{Email, Invalid, Phone, Text, Zone};
