//! Progress: streaks, counts, impact, transformation.

pub mod get_stats;
