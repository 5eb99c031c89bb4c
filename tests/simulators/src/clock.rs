//! The real clock, used until a test sets its own. This crate is no function, so it may ask the machine for the time, here only.

use jiff::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the simulators stand outside of Ivy and have no injected clock")]
pub(crate) fn real_now() -> Timestamp {
    Timestamp::now()
}
