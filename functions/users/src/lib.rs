//! Users: signing up, onboarding, reading and changing what Ivy knows of a person.

pub mod create_user;
pub mod get_user;
pub mod onboard_user;
pub mod update_user;
pub mod view;
