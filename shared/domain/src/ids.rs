//! Ids: each kind is a type of its own, so that a call's id is never taken for a user's.
//!
//! All are UUIDs of version 7: their first 48 bits are a time in milliseconds, so ids sort by it and the
//! table can page by id. Ids that must come out the same when a step is repeated (a day's calls) are
//! derived from what they name instead of drawn.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::values::Invalid;

/// Our name space for derived ids (UUID version 5 hashes).
const DERIVED: Uuid = Uuid::from_u128(0x6976_795f_6465_7269_7665_645f_6964_7331);

fn version_7(unix_milliseconds: i64, entropy: Uuid) -> Uuid {
    let mut random = [0_u8; 10];
    random.copy_from_slice(&entropy.as_bytes()[6..16]);
    // The hash's own version and variant bits stand in bytes 6 and 8; mix in bytes that carry none.
    random[0] ^= entropy.as_bytes()[0];
    random[2] ^= entropy.as_bytes()[1];
    let milliseconds = u64::try_from(unix_milliseconds).unwrap_or_default();
    Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
}

/// Milliseconds since 1970 of a date's midnight, taken as if in UTC: a sortable number for a local date.
fn date_milliseconds(date: Date) -> i64 {
    date.to_zoned(jiff::tz::TimeZone::UTC).map_or(0, |z| z.timestamp().as_millisecond())
}

/// A stable hash of some words, for derived ids and for spreading work.
#[must_use]
pub fn stable_hash(words: &[&str]) -> u64 {
    let hash = Uuid::new_v5(&DERIVED, words.join("|").as_bytes());
    let (_, low) = hash.as_u64_pair();
    let (high, _) = hash.as_u64_pair();
    high ^ low.rotate_left(17)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A new id whose time part is `now`.
            #[must_use]
            pub fn generate(now: Timestamp) -> Self {
                Self(version_7(now.as_millisecond(), Uuid::new_v4()))
            }

            /// A new id whose time part is a local date, so that ids sort by that date.
            #[must_use]
            pub fn generate_for_date(date: Date) -> Self {
                Self(version_7(date_milliseconds(date), Uuid::new_v4()))
            }

            /// The id that always comes out for this date and these words.
            #[must_use]
            pub fn derive(date: Date, words: &[&str]) -> Self {
                Self(version_7(date_milliseconds(date), Uuid::new_v5(&DERIVED, words.join("|").as_bytes())))
            }

            /// The UTC date of the id's time part.
            #[must_use]
            pub fn date(self) -> Date {
                let milliseconds = self.0.get_timestamp().map_or(0, |t| {
                    let (seconds, nanoseconds) = t.to_unix();
                    i64::try_from(seconds).unwrap_or_default() * 1000 + i64::from(nanoseconds / 1_000_000)
                });
                Timestamp::from_millisecond(milliseconds)
                    .unwrap_or(Timestamp::UNIX_EPOCH)
                    .to_zoned(jiff::tz::TimeZone::UTC)
                    .date()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                // Only the canonical form: one id has one spelling, so that it has one key.
                match Uuid::parse_str(text) {
                    Ok(id) if id.hyphenated().to_string() == text => Ok(Self(id)),
                    _ => Err(Invalid::new("must be a UUID in lower case with hyphens")),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

id!(
    /// A person whom Ivy calls.
    UserId
);
id!(
    /// One planned activity. Its time part is the local date it was first planned for.
    WorkoutId
);
id!(
    /// One call with all its attempts.
    CallId
);
id!(
    /// One donation.
    DonationId
);
id!(
    /// One message in or out.
    MessageId
);
id!(
    /// One word on a consent.
    ConsentId
);
id!(
    /// One family of refresh tokens: a sign-in on one device.
    SessionId
);
id!(
    /// What a user scored at one time. Its time part is the day that the scores are of.
    ScoreId
);
id!(
    /// A life marker.
    MarkerId
);
id!(
    /// A charity.
    CharityId
);
id!(
    /// A company.
    CompanyId
);
id!(
    /// Somebody who signs in with a password: an operator, or a company's admin.
    AdminId
);

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_derived_id_repeats_and_sorts_by_its_date() {
        let monday = CallId::derive(date(2026, 11, 23), &["user", "morning_planning"]);
        assert_eq!(monday, CallId::derive(date(2026, 11, 23), &["user", "morning_planning"]));
        assert_ne!(monday, CallId::derive(date(2026, 11, 23), &["user", "evening_review"]));
        assert!(monday < CallId::derive(date(2026, 11, 24), &["user", "morning_planning"]));
        assert_eq!(monday.date(), date(2026, 11, 23));
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = UserId::generate(Timestamp::UNIX_EPOCH);
        assert_eq!(id.to_string().parse::<UserId>(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<UserId>().is_err());
        assert!("me".parse::<UserId>().is_err());
    }
}
