//! Times that people name, where they live.

use jiff::{Timestamp, civil::Time};

use crate::{
    days::{instant, local_date, plus_days},
    values::Zone,
};

/// The future instant that a text names.
#[must_use]
pub fn named_time(text: &str, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let today = local_date(now, zone);
    if let Ok(at) = text.parse::<Timestamp>() {
        return (at >= now).then_some(at);
    }
    let local: Time = text.parse().ok()?;
    let first = instant(today, local, zone);
    Some(if first < now { instant(plus_days(today, 1), local, zone) } else { first })
}

/// The date from which somebody is back who says until when they pause.
#[must_use]
pub fn pause_until(_text: &str, _today: jiff::civil::Date) -> Option<jiff::civil::Date> {
    None
}

/// A text without the words that name its time.
#[must_use]
pub fn without_time(text: &str) -> String {
    text.to_owned()
}
