//! The system itself: whether it is well, and its documents.

pub mod answer_preflight;
pub mod api_docs;
pub mod health;
