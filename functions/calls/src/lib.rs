//! Calls: what users do with them (schedule, ask for one now, move, cancel, look up), what operators see and correct, and the
//! functions that plan, place and sweep them.

pub mod cancel_call;
pub mod get_call;
pub mod initiate_call;
pub mod list_calls;
pub mod place_call;
pub mod plan_day;
pub mod plan_users;
pub mod record_outcome;
pub mod reschedule_call;
pub mod schedule_call;
pub mod sweep_calls;
pub mod upcoming_calls;
pub mod view;
