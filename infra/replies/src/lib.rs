//! Labelled replies, for who learns from them (`ivy-replies`) and who tests with them (`tests/world/tests/reply_corpus.rs`).

pub mod corpus;
