//! Workouts: planning, logging, correcting, and today's list.

pub mod create_workout;
pub mod delete_workout;
pub mod get_workout;
pub mod list_workouts;
pub mod todays_workouts;
pub mod update_workout;
pub mod view;
