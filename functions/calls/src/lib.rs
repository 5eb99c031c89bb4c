//! Calls: what users do with them (schedule, cancel, look up), and the functions that plan, place and sweep them.

pub mod cancel_call;
pub mod get_call;
pub mod list_calls;
pub mod place_call;
pub mod plan_day;
pub mod plan_users;
pub mod schedule_call;
pub mod sweep_calls;
pub mod view;
