//! A duration in minutes, as requests give it.

use serde::Deserialize;

/// 1 to 1440 minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Minutes(u16);

impl Minutes {
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<i64> for Minutes {
    type Error = &'static str;
    fn try_from(minutes: i64) -> Result<Self, &'static str> {
        match u16::try_from(minutes) {
            Ok(minutes @ 1..=1440) => Ok(Self(minutes)),
            _ => Err("must be a whole number from 1 to 1440"),
        }
    }
}
