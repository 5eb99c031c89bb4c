//! Signing in: links and codes, sessions that renew themselves, and passwords for operators and admins.

pub mod admin_login;
pub mod end_session;
pub mod refresh_session;
pub mod request_magic_link;
pub mod session;
pub mod verify_magic_link;
