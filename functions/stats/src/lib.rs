//! Progress: streaks, counts, impact, transformation.

pub mod delete_scores;
pub mod get_activity;
pub mod get_call_stats;
pub mod get_stats;
pub mod get_streak;
pub mod get_transformation;
pub mod record_marker;
pub mod record_score;
