//! Whether a provider has what our files say.
//!
//! Providers answer with more than was sent: defaults, ids, times. So what we want must be contained in what is there, field by field; lists
//! must have the same length. Where an object maps names of ours (a function's parameters, default variables), a name too many is a
//! difference as well, because a removed one would stay for ever. No value, `null` and an empty list are the same.

use serde_json::{Map, Value};

/// Maps whose names are ours.
const WHOLE: [&str; 2] = ["properties", "default_dynamic_variables"];
const LONGEST: usize = 60;
/// Characters shown before the place where two texts part.
const CONTEXT: usize = 15;

/// A field that differs, with both values shortened for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `general_tools[3].timeout_ms`.
    pub field: String,
    pub old: String,
    pub new: String,
}

impl Difference {
    pub(crate) fn new(field: &str, old: &str, new: &str) -> Self {
        Self { field: field.to_owned(), old: old.to_owned(), new: new.to_owned() }
    }

    /// Two texts that differ.
    pub(crate) fn texts(field: &str, old: &str, new: &str) -> Self {
        let (old, new) = parting(old, new);
        Self { field: field.to_owned(), old, new }
    }

    /// The field of the object itself that it lies in.
    fn root(&self) -> &str {
        self.field.split(['.', '[']).next().unwrap_or_default()
    }
}

/// Every field of `wanted` that `found` does not have.
pub(crate) fn differences(wanted: &Map<String, Value>, found: &Map<String, Value>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, value) in wanted {
        compare(name, name, value, found.get(name), &mut differences);
    }
    differences
}

/// The fields of `wanted` in which something differs.
pub(crate) fn differing(wanted: &Map<String, Value>, differences: &[Difference]) -> Map<String, Value> {
    let differs = |name: &str| differences.iter().any(|difference| difference.root() == name);
    wanted.iter().filter(|(name, _)| differs(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn compare(path: &str, name: &str, wanted: &Value, found: Option<&Value>, differences: &mut Vec<Difference>) {
    let found = found.unwrap_or(&Value::Null);
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, value) in wanted {
                compare(&format!("{path}.{name}"), name, value, found.get(name), differences);
            }
            if WHOLE.contains(&name) {
                for (name, value) in found.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
                    let path = format!("{path}.{name}");
                    differences.push(Difference { field: path, old: shown(value), new: shown(&Value::Null) });
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{path}[{index}]"), "", wanted, Some(found), differences);
            }
        }
        (Value::String(wanted), Value::String(found)) if wanted != found => {
            let (old, new) = parting(found, wanted);
            differences.push(Difference { field: path.to_owned(), old, new });
        }
        _ if same(wanted, found) => {}
        _ => differences.push(Difference { field: path.to_owned(), old: shown(found), new: shown(wanted) }),
    }
}

fn same(wanted: &Value, found: &Value) -> bool {
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match (wanted.as_f64(), found.as_f64()) {
        (Some(wanted), Some(found)) => (wanted - found).abs() < 1e-9,
        _ => wanted == found || (empty(wanted) && empty(found)),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(nothing)".to_owned(),
        Value::Array(entries) if value.to_string().len() > LONGEST => format!("{} entries", entries.len()),
        _ => shortened(&value.to_string(), 0),
    }
}

/// Two texts from shortly before the place where they part.
fn parting(old: &str, new: &str) -> (String, String) {
    let common = old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count();
    let start =
        if old.chars().count().max(new.chars().count()) <= LONGEST { 0 } else { common.saturating_sub(CONTEXT) };
    (format!("\"{}\"", shortened(old, start)), format!("\"{}\"", shortened(new, start)))
}

fn shortened(text: &str, start: usize) -> String {
    let part: String = text.chars().skip(start).take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if text.chars().count() > start + LONGEST { "…" } else { "" };
    format!("{before}{part}{after}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(wanted: &Value, found: &Value) -> Vec<String> {
        let (Value::Object(wanted), Value::Object(found)) = (wanted, found) else { panic!("objects") };
        differences(wanted, found).into_iter().map(|difference| difference.field).collect()
    }

    #[test]
    fn what_a_provider_adds_is_no_difference_and_what_it_lacks_is() {
        let found = json!({"a": 1.0, "list": [{"name": "x", "default": true}], "more": 1, "none": []});
        assert!(fields(&json!({"a": 1, "list": [{"name": "x"}], "none": null, "gone": null}), &found).is_empty());
        assert_eq!(fields(&json!({"a": 2, "list": [{"name": "y"}], "new": ""}), &found), ["a", "list[0].name", "new"]);
        assert_eq!(fields(&json!({"list": [{"name": "x"}, {"name": "y"}]}), &found), ["list"]);
        assert_eq!(fields(&json!({"more": null}), &found), ["more"]);
    }

    #[test]
    fn a_removed_parameter_is_a_difference() {
        let found = json!({"parameters": {"properties": {"time": {"type": "string"}, "old": {"type": "string"}}}});
        let wanted = json!({"parameters": {"properties": {"time": {"type": "string"}}}});
        assert_eq!(fields(&wanted, &found), ["parameters.properties.old"]);
    }

    #[test]
    fn long_texts_are_shown_where_they_part() {
        let old = format!("{}ring them later.\nBye", "a ".repeat(100));
        let new = format!("{}ring them at once.\nBye", "a ".repeat(100));
        let (old, new) = parting(&old, &new);
        assert_eq!(old, "\"… a a ring them later. Bye\"");
        assert_eq!(new, "\"… a a ring them at once. Bye\"");
    }
}
