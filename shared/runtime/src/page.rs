//! Pages of lists: `{items, next_cursor}`, with opaque signed cursors.
//!
//! A cursor is a position of the table under an HMAC whose scope names the route and the user, so a cursor of one list or
//! person opens in no other. It is signed, not hidden: a position holds ids and times of the caller's own items. A cursor
//! that does not open is a wrong field, since it came from the caller.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ivy_flows::FieldError;
use ivy_store::Keyring;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{input::SentCursor, problem::Problem};

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Give this as `cursor` for the next page; null on the last one.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

crate::query! {
    /// The parameters of a list that takes no others.
    pub struct PageQuery {
        /// How many items at most: 1 to 100, by default 20.
        #[param(value_type = Option<u8>, minimum = 1, maximum = 100, default = 20)]
        pub limit: Option<Limit>,
        /// Where the page before ended.
        #[param(value_type = Option<String>, max_length = 1024)]
        pub cursor: Option<SentCursor>,
    }
}

/// How many items a page has at most: 1 to 100, by default 20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Limit(u8);

impl Limit {
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl TryFrom<u64> for Limit {
    type Error = &'static str;
    fn try_from(number: u64) -> Result<Self, &'static str> {
        match u8::try_from(number) {
            Ok(limit @ 1..=100) => Ok(Self(limit)),
            _ => Err("must be a whole number from 1 to 100"),
        }
    }
}

/// Seals and opens cursors.
#[derive(Debug, Clone, Copy)]
pub struct Cursor;

impl Cursor {
    /// A cursor for a position within a scope, such as `list-calls/<user id>`.
    #[must_use]
    pub fn seal(keyring: &Keyring, scope: &str, position: &str) -> String {
        let tag = hmac::sign(&key(keyring), &signed(scope, position));
        format!("{}.{}", URL_SAFE_NO_PAD.encode(position), URL_SAFE_NO_PAD.encode(tag))
    }

    /// The position that was sealed within this scope.
    ///
    /// # Errors
    /// 422 on the field `cursor` when it was not.
    pub fn open(keyring: &Keyring, scope: &str, cursor: &str) -> Result<String, Problem> {
        let opened = || {
            let (position, tag) = cursor.split_once('.')?;
            let position = String::from_utf8(URL_SAFE_NO_PAD.decode(position).ok()?).ok()?;
            let tag = URL_SAFE_NO_PAD.decode(tag).ok()?;
            hmac::verify(&key(keyring), &signed(scope, &position), &tag).ok()?;
            Some(position)
        };
        opened().ok_or_else(|| Problem::invalid(vec![FieldError::new("cursor", "must be a next_cursor of this list")]))
    }
}

fn key(keyring: &Keyring) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &keyring.derive("cursor"))
}

/// The scope's length keeps the two apart.
fn signed(scope: &str, position: &str) -> Vec<u8> {
    let length = (scope.len() as u64).to_be_bytes();
    [&length, scope.as_bytes(), position.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Fields, FromFields as _};

    #[test]
    fn a_cursor_opens_only_where_it_was_sealed() {
        let keyring = Keyring::from_master_key(b"a master key of at least 32 bytes!");
        let cursor = Cursor::seal(&keyring, "list-calls/u1", "CALL#1");
        assert_eq!(Cursor::open(&keyring, "list-calls/u1", &cursor).unwrap(), "CALL#1");
        let other = Keyring::from_master_key(b"another master key of 32 bytes....");
        let forged = format!("{}.{}", URL_SAFE_NO_PAD.encode("CALL#2"), cursor.split_once('.').unwrap().1);
        for (ring, scope, cursor) in [
            (&keyring, "list-calls/u2", cursor.as_str()),
            (&keyring, "list-workouts/u1", &cursor),
            (&keyring, "list-calls/u1C", &cursor),
            (&other, "list-calls/u1", &cursor),
            (&keyring, "list-calls/u1", &forged),
            (&keyring, "list-calls/u1", ""),
            (&keyring, "list-calls/u1", "a.b.c"),
        ] {
            let problem = Cursor::open(ring, scope, cursor).unwrap_err();
            assert_eq!(problem.status(), 422);
            assert!(serde_json::to_string(&problem).unwrap().contains("\"cursor\""));
        }
    }

    #[test]
    fn a_limit_is_from_1_to_100() {
        let read = |query: &str| PageQuery::from_fields(Fields::from_query(query));
        assert_eq!(read("").unwrap().limit.unwrap_or_default().get(), 20);
        assert_eq!(read("limit=100&cursor=x").unwrap().limit.unwrap_or_default().get(), 100);
        for wrong in ["limit=0", "limit=101", "limit=1000"] {
            assert_eq!(read(wrong).unwrap_err()[0].message, "must be a whole number from 1 to 100", "{wrong}");
        }
        for wrong in ["limit=x", "limit=-1", "limit=1.5", "limit=", "page=2"] {
            assert_eq!(read(wrong).unwrap_err().len(), 1, "{wrong}");
        }
    }
}
