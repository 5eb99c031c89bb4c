//! Signing in: links and codes, and sessions that renew themselves.

pub mod refresh_session;
pub mod request_magic_link;
pub mod session;
pub mod verify_magic_link;
