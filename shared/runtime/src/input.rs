//! Strict input that reports every wrong field at once.
//!
//! [`input!`](crate::input!) declares a body's struct and [`query!`](crate::query!) a query string's. Each present field
//! is read on its own by serde, so one wrong field hides no other; values of the domain check themselves and their
//! refusal becomes the field's message. A missing field, an unknown one (by name) and a wrong JSON type are all listed
//! in one 422. No message holds what was sent: a refused value may be personal, and messages are logged by clients.
//!
//! Field types: `T` is required; `Option<T>` may be absent or null; [`Patch<T>`] tells absent, null and a value apart
//! (merge patch); [`Change<T>`] may be absent but not null. A struct made by `input!` is itself a field type: its wrong
//! fields are reported by dotted names. The kinds are told apart by how a type answers "there is no value", which is
//! serde's own protocol for missing fields, so the macro needs no rule per kind.

use std::{any::type_name, borrow::Cow, fmt, marker::PhantomData};

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use ivy_flows::FieldError;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IntoDeserializer, Visitor, value::StrDeserializer},
    forward_to_deserialize_any,
};
use serde_json::{Map, Value};
use utoipa::{PartialSchema, ToSchema, openapi};

use crate::problem::Problem;

/// How deep objects and lists may lie in one another.
pub const NESTING_LIMIT: usize = 16;

/// Separates the list of a nested input's wrong fields from an ordinary message.
const NESTED: char = '\u{1}';

/// The name by which [`Patch`] and [`Change`] ask whether there is a value at all.
const ABSENT_ASKED: &str = "$ivy::absent";

/// A struct that is read field by field. Implemented by [`input!`](crate::input!) and [`query!`](crate::query!).
pub trait FromFields: Sized {
    /// # Errors
    /// Every wrong field.
    fn from_fields(fields: Fields) -> Result<Self, Vec<FieldError>>;
}

/// The fields that were sent, and the faults found so far.
#[derive(Debug)]
pub struct Fields {
    values: Map<String, Value>,
    errors: Vec<FieldError>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    /// All values came as text: a number or boolean is read from it where the type asks for one.
    Text,
}

impl Fields {
    #[must_use]
    pub const fn from_json(values: Map<String, Value>) -> Self {
        Self { values, errors: Vec::new(), kind: Kind::Json }
    }

    /// From a query string (without its `?`).
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let mut fields = Self { values: Map::new(), errors: Vec::new(), kind: Kind::Text };
        // A URL of ours only lends its parser for the pairs.
        if let Ok(mut url) = reqwest::Url::parse("http://ivy.invalid/") {
            url.set_query((!query.is_empty()).then_some(query));
            for (name, value) in url.query_pairs() {
                if fields.values.insert(name.clone().into_owned(), Value::String(value.into_owned())).is_some() {
                    fields.errors.push(FieldError::new(shown(&name), "must be given once"));
                }
            }
        }
        fields
    }

    /// Reads one field; a fault is noted and answered with `None`.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let read = match (self.values.remove(name), self.kind) {
            (None, _) => T::deserialize(Absent),
            (Some(value), Kind::Json) => serde_json::from_value(value).map_err(Fault::from),
            (Some(value), Kind::Text) => from_text(value),
        };
        match read {
            Ok(value) => Some(value),
            Err(fault) => {
                self.errors.append(&mut fault.into_errors::<T>(name));
                None
            }
        }
    }

    /// Whether something is wrong so far: a field that could not be read, or one that nobody took.
    #[must_use]
    pub fn are_wrong(&self) -> bool {
        !self.errors.is_empty() || !self.values.is_empty()
    }

    /// Adds faults, but for a field that has one already.
    pub fn note(&mut self, faults: impl IntoIterator<Item = FieldError>) {
        for fault in faults {
            if self.errors.iter().all(|known| known.field != fault.field) {
                self.errors.push(fault);
            }
        }
    }

    /// # Errors
    /// Every fault found, and every field that nobody took.
    pub fn finish(mut self) -> Result<(), Vec<FieldError>> {
        self.errors.extend(self.values.keys().map(|name| FieldError::new(shown(name), "is not a known field")));
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

/// A name that a stranger chose, cut to what an answer should repeat.
fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Text first; where the type wants a number or a boolean, what the text says in JSON.
fn from_text<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    let literal = match &value {
        Value::String(text) => serde_json::from_str::<Value>(text).ok().filter(|v| v.is_number() || v.is_boolean()),
        _ => None,
    };
    serde_json::from_value(value).or_else(|error| match literal {
        Some(literal) => serde_json::from_value(literal).map_err(Fault::from),
        None => Err(Fault::from(error)),
    })
}

/// The one error type of reading a field, before it is put into words.
#[derive(Debug)]
enum Fault {
    Missing,
    Message(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is required"),
            Self::Message(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::Message(message.to_string())
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Message(error.to_string())
    }
}

impl Fault {
    fn into_errors<T>(self, name: &str) -> Vec<FieldError> {
        match self {
            Self::Missing => vec![FieldError::new(name, "is required")],
            Self::Message(message) => match message.strip_prefix(NESTED) {
                Some(list) => serde_json::from_str::<Vec<(String, String)>>(list)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(field, message)| FieldError::new(format!("{name}.{field}"), message))
                    .collect(),
                None => vec![FieldError::new(name, in_words(&message, type_name::<T>()))],
            },
        }
    }
}

/// Packs a nested input's faults into the one message that serde lets pass.
#[doc(hidden)]
#[must_use]
pub fn nested_message(errors: Vec<FieldError>) -> String {
    let list: Vec<(String, String)> = errors.into_iter().map(|e| (e.field, e.message)).collect();
    format!("{NESTED}{}", serde_json::to_string(&list).unwrap_or_default())
}

/// Turns serde's words into ours, without the value that they repeat.
fn in_words(message: &str, type_name: &str) -> String {
    // Our own types say what a value must be.
    if message.starts_with("must ") || message.starts_with("is ") || message.starts_with("has ") {
        return message.to_owned();
    }
    if let Some((_, variants)) = message.strip_prefix("unknown variant ").and_then(|m| m.split_once("expected ")) {
        let variants: Vec<&str> = variants.split('`').skip(1).step_by(2).collect();
        return format!("must be one of {}", variants.join(", "));
    }
    if let Some(name) = message.strip_prefix("missing field `").and_then(|m| m.split('`').next()) {
        return format!("must have the field {name}");
    }
    if message.starts_with("unknown field ") {
        return "must not have other fields than the documented ones".to_owned();
    }
    // The last "expected", since the value before it may hold that word.
    if message.starts_with("invalid ")
        && let Some((_, expected)) = message.rsplit_once(", expected ")
    {
        return format!("must be {}", kind_in_words(expected));
    }
    by_type(type_name).to_owned()
}

fn kind_in_words(expected: &str) -> Cow<'_, str> {
    match expected {
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" | "u64" | "usize" => "a whole number from 0".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "bool" | "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a map" => "an object".into(),
        other if other.starts_with("struct ") => "an object".into(),
        other if other.starts_with("enum ") => "one of the documented values".into(),
        other => Cow::Borrowed(other),
    }
}

/// For types of others, whose own messages repeat the value.
fn by_type(type_name: &str) -> &'static str {
    if type_name.contains("jiff::timestamp::Timestamp") {
        "must be a time in RFC 3339, such as 2026-11-23T07:30:00Z"
    } else if type_name.contains("jiff::civil::date::Date") {
        "must be a date, such as 2026-11-23"
    } else if type_name.contains("jiff::civil::time::Time") {
        "must be a time of day, such as 07:30"
    } else {
        "is not valid"
    }
}

/// Stands for a field that was not sent.
struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Fault> {
        Err(Fault::Missing)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        if name == ABSENT_ASKED { visitor.visit_none() } else { visitor.visit_newtype_struct(self) }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

/// A field of a merge patch (RFC 7396): left alone, removed, or set.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<T> Patch<T> {
    /// What the field becomes: nothing to do, or its new value, which may be none.
    pub fn change(self) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
        }
    }

    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// A field of a merge patch that can be set but not removed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Change<T>(pub Option<T>);

impl<T> Default for Change<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> fmt::Debug for Patch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Null => "Null",
            Self::Value(_) => "Value",
        })
    }
}

impl<T> fmt::Debug for Change<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Change" } else { "Absent" })
    }
}

/// A string of at most `MAX` characters, otherwise as it was sent: proofs and positions, which are compared and never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Sent<const MAX: usize>(pub String);

/// Where a page ended: no `next_cursor` of ours is longer.
pub type SentCursor = Sent<1024>;

impl<const MAX: usize> TryFrom<String> for Sent<MAX> {
    type Error = ivy_domain::Invalid;
    fn try_from(text: String) -> Result<Self, ivy_domain::Invalid> {
        if text.chars().count() > MAX {
            return Err(ivy_domain::Invalid::new(format!("must have at most {MAX} characters")));
        }
        Ok(Self(text))
    }
}

impl<const MAX: usize> std::ops::Deref for Sent<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Sent<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sent")
    }
}

/// Answers `None` for an absent field, else what `T` reads.
struct AbsentOr<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AbsentOr<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        T::deserialize(deserializer).map(Some)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = deserializer.deserialize_newtype_struct(ABSENT_ASKED, AbsentOr::<Option<T>>(PhantomData))?;
        Ok(match read {
            None => Self::Absent,
            Some(None) => Self::Null,
            Some(Some(value)) => Self::Value(value),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(ABSENT_ASKED, AbsentOr::<T>(PhantomData)).map(Self)
    }
}

impl<T: PartialSchema> PartialSchema for Patch<T> {
    fn schema() -> openapi::RefOr<openapi::Schema> {
        T::schema()
    }
}

impl<T: ToSchema> ToSchema for Patch<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }
}

impl<T: PartialSchema> PartialSchema for Change<T> {
    fn schema() -> openapi::RefOr<openapi::Schema> {
        T::schema()
    }
}

impl<T: ToSchema> ToSchema for Change<T> {
    fn name() -> Cow<'static, str> {
        T::name()
    }
}

/// Reads an enum's stable name through its serde implementation; for values that come as plain text.
///
/// # Errors
/// A sentence part for the field's message.
pub fn from_name<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    let deserializer: StrDeserializer<'_, Fault> = name.into_deserializer();
    T::deserialize(deserializer).map_err(|fault| in_words(&fault.to_string(), type_name::<T>()))
}

/// Declares the struct of a request's body, read strictly with all wrong fields at once.
///
/// ```ignore
/// input! {
///     /// A workout to plan.
///     pub struct NewWorkout {
///         /// What the person plans to do.
///         #[schema(value_type = String, max_length = 200)]
///         pub planned_activity: Text<200>,
///         #[schema(value_type = Option<String>)]
///         pub note: Option<Text<500>>,
///     }
/// }
/// ```
/// What is wrong with several fields together can follow: `also(from, to) { … }` is asked where something else is wrong already, so
/// that all wrong fields are told at once; whoever uses the input checks it in any case. It sees each field as it was read, `None`
/// for one that could not be, and answers faults.
///
/// Derives the OpenAPI schema; a [`Patch`] or [`Change`] field takes `#[schema(required = false, …)]`. Its `Debug` prints
/// the struct's name only.
#[macro_export]
macro_rules! input {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($fields:tt)* } $($also:tt)*) => {
        $crate::__fields! { [#[derive(::utoipa::ToSchema)] $(#[$meta])*] $vis $name { $($fields)* } $($also)* }

        impl<'de> $crate::macros::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::macros::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let values = <$crate::macros::serde_json::Map<
                    ::std::string::String,
                    $crate::macros::serde_json::Value,
                > as $crate::macros::serde::Deserialize>::deserialize(deserializer)?;
                <Self as $crate::input::FromFields>::from_fields($crate::input::Fields::from_json(values)).map_err(
                    |errors| {
                        <D::Error as $crate::macros::serde::de::Error>::custom($crate::input::nested_message(errors))
                    },
                )
            }
        }
    };
}

/// Declares the struct of a query string; like [`input!`](crate::input!), but its fields are parameters
/// (`#[param(value_type = …)]`) in the OpenAPI document.
#[macro_export]
macro_rules! query {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($fields:tt)* } $($also:tt)*) => {
        $crate::__fields! {
            [#[derive(::utoipa::IntoParams)] #[into_params(parameter_in = Query)] $(#[$meta])*]
            $vis $name { $($fields)* } $($also)*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __fields {
    ([$(#[$meta:meta])*] $vis:vis $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty),* $(,)?
    } $(also($($seen:ident),* $(,)?) $check:block)*) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl $crate::input::FromFields for $name {
            fn from_fields(
                mut fields: $crate::input::Fields,
            ) -> ::std::result::Result<Self, ::std::vec::Vec<$crate::macros::FieldError>> {
                $(let $field = fields.take::<$type>(stringify!($field));)*
                $(
                    if fields.are_wrong() {
                        $(let $seen = $seen.as_ref();)*
                        fields.note($check);
                    }
                )*
                fields.finish()?;
                match ($($field,)*) {
                    ($(::std::option::Option::Some($field),)*) => ::std::result::Result::Ok(Self { $($field),* }),
                    // A field that could not be read was noted as a fault, so `finish` answered.
                    #[allow(unreachable_patterns)]
                    _ => ::std::result::Result::Err(::std::vec::Vec::new()),
                }
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

/// A request's JSON body.
#[derive(Debug, Clone, Copy)]
pub struct Input<T>(pub T);

impl<T: FromFields, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let body = raw_body(request, state).await?;
        parse(&headers, &body).map(Self)
    }
}

/// A request's query string.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: FromFields, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        T::from_fields(Fields::from_query(parts.uri.query().unwrap_or_default())).map(Self).map_err(Problem::invalid)
    }
}

/// The raw body, up to the route's limit.
pub(crate) async fn raw_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    use axum::response::IntoResponse as _;
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.into_response().status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            Problem::too_large()
        } else {
            Problem::malformed("the body broke off")
        }
    })
}

/// Reads a JSON body strictly.
///
/// # Errors
/// 415 for another media type, 400 for what is no JSON object or lies too deep, 422 with every wrong field.
pub fn parse<T: FromFields>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    if !is_json(headers) {
        return Err(Problem::unsupported_media_type());
    }
    if nesting(body) > NESTING_LIMIT {
        return Err(Problem::malformed(format!("the body nests deeper than {NESTING_LIMIT} levels")));
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(values)) => T::from_fields(Fields::from_json(values)).map_err(Problem::invalid),
        Ok(_) => Err(Problem::malformed("the body must be a JSON object")),
        Err(error) => {
            Err(Problem::malformed(format!("the body is not JSON; line {}, column {}", error.line(), error.column())))
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let mut parts = value.split(';').map(str::trim);
    parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
        && parts.all(|parameter| {
            parameter.is_empty()
                || parameter.split_once('=').is_some_and(|(name, value)| {
                    !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
                })
        })
}

/// The deepest level of brackets outside strings; counted before parsing, so that parsing needs no limit of its own.
fn nesting(body: &[u8]) -> usize {
    let (mut level, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                level += 1;
                deepest = deepest.max(level);
            }
            (false, b'}' | b']') => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, routing::post};
    use http::Request;
    use ivy_domain::{Email, Phone};
    use jiff::Timestamp;
    use serde_json::json;
    use tower::ServiceExt as _;

    use super::*;
    use crate::problem::tests::body;

    input! {
        /// A window of a day.
        struct Window {
            start: String,
            length: u8,
        }
    }

    input! {
        /// A person.
        struct NewPerson {
            #[schema(value_type = String)]
            phone: Phone,
            #[schema(value_type = Option<String>)]
            email: Option<Email>,
            #[schema(value_type = String)]
            at: Timestamp,
            count: u32,
            window: Option<Window>,
        }
    }

    input! {
        struct PersonPatch {
            #[schema(value_type = String, required = false)]
            phone: Change<Phone>,
            #[schema(value_type = Option<String>, required = false)]
            email: Patch<Email>,
        }
    }

    query! {
        struct Filter {
            limit: Option<u8>,
            name: Option<String>,
        }
    }

    fn errors<T: FromFields>(value: Value) -> Vec<(String, String)> {
        let Value::Object(values) = value else { panic!("an object") };
        match T::from_fields(Fields::from_json(values)) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_iter().map(|e| (e.field, e.message)).collect(),
        }
    }

    fn pair(field: &str, message: &str) -> (String, String) {
        (field.to_owned(), message.to_owned())
    }

    #[test]
    fn every_wrong_field_is_reported_at_once_and_none_echoes_its_value() {
        let found = errors::<NewPerson>(json!({
            "phone": "marked-0770", "email": 7, "at": "marked-tomorrow", "window": {"start": 1, "size": 2},
            "colour": "marked-green",
        }));
        assert_eq!(
            found,
            vec![
                pair("phone", "must be a phone number in E.164 form, such as +447700900123"),
                pair("email", "must be a string"),
                pair("at", "must be a time in RFC 3339, such as 2026-11-23T07:30:00Z"),
                pair("count", "is required"),
                pair("window.start", "must be a string"),
                pair("window.length", "is required"),
                pair("window.size", "is not a known field"),
                pair("colour", "is not a known field"),
            ]
        );
    }

    #[test]
    fn a_right_body_is_read() {
        let values = json!({"phone": "+447700900123", "email": null, "at": "2026-11-23T07:30:00Z", "count": 3,
            "window": {"start": "07:00", "length": 60}});
        let Value::Object(values) = values else { panic!() };
        let person = NewPerson::from_fields(Fields::from_json(values)).unwrap();
        assert_eq!((person.phone.as_str(), person.count), ("+447700900123", 3));
        assert!(person.email.is_none() && person.at.as_second() > 0);
        assert!(person.window.is_some_and(|w| w.start == "07:00" && w.length == 60));
    }

    #[test]
    fn wrong_types_are_named_in_words() {
        let wrong = |value: Value| {
            errors::<NewPerson>(json!({"phone": "+447700900123", "at": "2026-11-23T07:30:00Z", "count": value}))
        };
        for value in [json!("3"), json!(null), json!(-1), json!(1.5), json!({}), json!([])] {
            assert_eq!(wrong(value.clone()), vec![pair("count", "must be a whole number from 0")], "{value}");
        }
        assert!(wrong(json!(3)).is_empty());
        let window = errors::<NewPerson>(
            json!({"phone": "+447700900123", "at": "2026-11-23T07:30:00Z", "count": 3, "window": "x, expected marked"}),
        );
        assert_eq!(window, vec![pair("window", "must be an object")]);
    }

    #[test]
    fn a_patch_tells_absent_null_and_value_apart() {
        let read = |value: Value| {
            let Value::Object(values) = value else { panic!() };
            PersonPatch::from_fields(Fields::from_json(values))
        };
        let absent = read(json!({})).unwrap();
        assert!(absent.email.is_absent() && absent.phone.0.is_none());
        assert!(matches!(read(json!({"email": null})).unwrap().email, Patch::Null));
        assert!(matches!(read(json!({"email": "mara@example.com"})).unwrap().email, Patch::Value(_)));
        assert!(read(json!({"phone": "+447700900123"})).unwrap().phone.0.is_some());
        assert_eq!(
            errors::<PersonPatch>(json!({"phone": null, "email": "x"})),
            vec![pair("phone", "must be a string"), pair("email", "must be an e-mail address")]
        );
    }

    #[test]
    fn a_query_is_strict_too() {
        let read = |query: &str| Filter::from_fields(Fields::from_query(query));
        let filter = read("limit=7&name=12").unwrap();
        assert_eq!((filter.limit, filter.name.as_deref()), (Some(7), Some("12")));
        assert_eq!(read("").unwrap().limit, None);
        assert_eq!(
            read("limit=marked&colour=green&name=a&name=b").unwrap_err(),
            vec![
                FieldError::new("name", "must be given once"),
                FieldError::new("limit", "must be a whole number from 0 to 255"),
                FieldError::new("colour", "is not a known field"),
            ]
        );
    }

    #[test]
    fn schemas_know_what_is_required() {
        let schema = serde_json::to_value(NewPerson::schema()).unwrap();
        assert_eq!(schema["required"], json!(["phone", "at", "count"]));
        let patch = serde_json::to_value(PersonPatch::schema()).unwrap();
        assert_eq!(patch.get("required"), None, "{patch}");
    }

    async fn answer(content_type: &str, text: String) -> (u16, Value) {
        async fn take(Input(person): Input<NewPerson>) -> String {
            format!("\"{}\"", person.count)
        }
        let app: Router = Router::new().route("/", post(take)).layer(crate::http::body_limit(4096));
        let request = Request::post("/").header("content-type", content_type).body(Body::from(text)).unwrap();
        let response = app.oneshot(request).await.unwrap();
        (response.status().as_u16(), body(response).await)
    }

    #[tokio::test]
    async fn bodies_that_are_no_json_object_are_told_apart() {
        let right = r#"{"phone":"+447700900123","at":"2026-11-23T07:30:00Z","count":3}"#.to_owned();
        assert_eq!(answer("application/json; charset=utf-8", right.clone()).await.0, 200);
        assert_eq!(answer("text/plain", right.clone()).await.0, 415);
        assert_eq!(answer("application/json; charset=latin1", right).await.0, 415);
        assert_eq!(answer("application/json", "{".to_owned()).await.0, 400);
        assert_eq!(answer("application/json", "[]".to_owned()).await.0, 400);
        assert_eq!(answer("application/json", String::new()).await.0, 400);
        let (status, problem) = answer("application/json", "{}".to_owned()).await;
        assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 3));
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(16), "]".repeat(16));
        assert_eq!(answer("application/json", deep).await.0, 400);
        let level = format!(r#"{{"a":{}{}}}"#, "[".repeat(15), "]".repeat(15));
        assert_eq!(answer("application/json", level).await.0, 422);
        assert_eq!(answer("application/json", format!("\"{}\"", "x".repeat(5000))).await.0, 413);
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert_eq!(nesting(br#"{"a":"[[[\"[[["}"#), 1);
        assert_eq!(nesting(br#"{"a":[{"b":[]}]}"#), 4);
    }
}
