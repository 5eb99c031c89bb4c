//! What every function is started with and wrapped in: configuration, secrets, clients, telemetry, the HTTP layers,
//! extractors, and the loops over batches.
//!
//! Runtime sits above flows and below the functions. It turns what flows answer into what the outside expects, in one
//! place each: [`problem`] makes problem documents, [`batch`] makes partial failures. It decides nothing about Ivy.
//!
//! A binary is one line: [`start::run`] with a closure that takes a [`start::Start`], asks it for the clients it needs,
//! and hands a router to [`start::Start::serve`] or a handler to [`batch`] or [`jobs`].

pub mod auth;
pub mod aws;
pub mod batch;
pub mod caller;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test says what broke by panicking")]
mod canned;
pub mod config;
pub mod endpoint;
pub mod http;
pub mod idempotency;
pub mod input;
pub mod jobs;
pub mod limits;
pub mod minutes;
pub mod page;
pub mod problem;
pub mod responses;
mod roots;
pub mod secrets;
mod secrets_manager;
pub mod span;
pub mod start;
pub mod telemetry;
pub mod webhook;

pub use auth::{AppState, CompanyAdmin, Operator, Own, PathId, SignedIn, Tokens};
pub use caller::CallerAddress;
pub use idempotency::{AlwaysKeyed, BareKey, Keyed, RequestKey};
pub use input::{Change, Input, Patch, Query, Sent, SentCursor};
pub use minutes::Minutes;
pub use page::{Cursor, Limit, Page};
pub use problem::Problem;
pub use responses::{ReadProblems, WebhookProblems, WriteProblems};
pub use start::{Start, StartError};
#[cfg(feature = "document")]
pub use utoipa_axum::routes;

/// What the macros of this crate need at the place where they are used. Not for people.
#[doc(hidden)]
pub mod macros {
    pub use ivy_flows::FieldError;
    pub use serde;
    pub use serde_json;
    pub use utoipa_axum::paste;
}
