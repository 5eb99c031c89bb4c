//! The world, in one process: every function's router merged into one API, the real DynamoDB client against an in-memory table,
//! queues and timers that deliver at least once and in any order, the providers' simulators with really signed webhooks, and a
//! clock that only moves when a test says so.
//!
//! A test builds a [`World`], signs people up through the public door, and moves time with [`World::advance`]: timers fire,
//! queues deliver, calls ring, webhooks come back, until nothing moves any more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test harness says what broke by panicking"
)]

mod admins;
pub mod api;
mod clock;
mod doubles;
pub mod gate;
mod log;
mod people;
mod relay;
mod table;
mod telling;
mod world;

pub use admins::ADMIN_PASSWORD;
pub use clock::TestClock;
pub use doubles::{QueuedMessage, TestMailer, TestQueues, TestTimers};
pub use log::Log;
pub use people::{Client, Person, PersonBuilder, Reply};
pub use telling::{at, delivery, talk, talks, without_ids};
pub use world::{Job, Setup, TABLE, VERIFY_TOKEN, World};
