//! Reading what providers send without ever failing on it: a field of an unexpected type counts as absent.
//!
//! A webhook that cannot be decoded is delivered again for days and never gets better, so one odd field must not cost
//! the rest. What a flow needs it checks itself; here only ids are required.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// The field, or nothing when it is null or of another type. A list is never what is wanted here, and serde would
/// read one as a struct, field by field.
pub(crate) fn optional<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(one(Value::deserialize(deserializer)?))
}

/// The readable elements of a list; anything but a list is an empty one.
pub(crate) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(elements) => elements.into_iter().filter_map(one).collect(),
        _ => Vec::new(),
    })
}

fn one<T: DeserializeOwned>(value: Value) -> Option<T> {
    if value.is_array() { None } else { serde_json::from_value(value).ok() }
}

/// Text that holds something.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    })
}

/// A whole number, also as text or with a fraction (rounded). Negative and too large ones are absent.
pub(crate) fn whole_number<'de, D: Deserializer<'de>, T: TryFrom<u32>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let number = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    Ok(number.filter(|number| (0.0..=1_000_000.0).contains(number)).and_then(|number| {
        // In range by the line above, so nothing is cut off.
        T::try_from(number.round() as u32).ok()
    }))
}

const YES: [&str; 4] = ["true", "yes", "y", "1"];
const NO: [&str; 8] = ["false", "no", "n", "0", "none", "null", "n/a", ""];

/// Yes or no, also as a word; any other word is absent.
pub(crate) fn yes_no<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(answer) => Some(answer),
        Value::String(word) => match word.trim().to_lowercase().as_str() {
            word if YES.contains(&word) => Some(true),
            word if NO.contains(&word) => Some(false),
            _ => None,
        },
        _ => None,
    })
}

/// As [`yes_no`], but any other word is a yes: a warning is rather raised for nothing than lost.
pub(crate) fn warning<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Bool(answer) => Some(answer),
        Value::String(word) => Some(!NO.contains(&word.trim().to_lowercase().as_str())),
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        _ => None,
    })
}
