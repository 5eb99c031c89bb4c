//! Users: signing up, onboarding, reading and changing what Ivy knows of a person, pausing, consents, export and erasure.

pub mod create_user;
pub mod delete_user;
pub mod erase_user;
pub mod export_user;
pub mod get_user;
pub mod onboard_user;
pub mod pause_user;
pub mod resume_user;
pub mod set_consents;
pub mod update_user;
pub mod view;
