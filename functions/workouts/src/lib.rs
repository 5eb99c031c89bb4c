//! Workouts: planning, logging, correcting, and today's list.

pub mod create_workout;
pub mod todays_workouts;
pub mod update_workout;
pub mod view;
