//! Clients and webhook verification of the outside services: one module for each, thin and typed.
//!
//! A client does one request and says what is known afterwards, as a [`ProviderError`]. It never repeats a request:
//! only the flow knows whether a repeat could ring a phone or send a text twice. Base URLs and keys come from the
//! caller, so a simulator stands in without a client noticing.
//!
//! Webhooks are verified over the bytes as received, in constant time, before anything is parsed. Several keys may
//! be valid at once, for rotation; blank keys never match, because anyone can sign with one.
//!
//! Phone numbers, names, message texts, transcripts and scores pass through these types. None of them appears in a
//! `Debug` or `Display` output of this crate, and no error keeps a provider's message, since providers quote numbers.

/// `Debug` that shows the named fields only; what is not named is personal.
macro_rules! redacted_debug {
    ($($type:ident { $($field:ident),* })+) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        }
    )+};
}

mod error;
mod http;
mod lenient;
pub mod retell;
mod signature;
pub mod stripe;
pub mod twilio;
pub mod whatsapp;

pub use error::{Class, Failure, ProviderError};
pub use http::{http_client, http_client_with_timeouts};
pub use secrecy::SecretString as Secret;
pub use signature::SignatureError;
