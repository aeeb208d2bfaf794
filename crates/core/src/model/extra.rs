//! What a provider says or takes that is not modelled, kept as it came.

use serde_json::value::RawValue;

use super::Dialect;

/// A JSON value kept as its text.
///
/// Two values are equal when their texts are.
#[derive(Clone, Debug)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Checks that `text` is JSON and keeps it as it is.
    ///
    /// # Errors
    /// The parser's error when it is not.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text.into()).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The text as serde_json's own type, for embedding in a larger value.
    pub fn as_raw(&self) -> &RawValue {
        &self.0
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}

impl From<&RawValue> for Json {
    fn from(raw: &RawValue) -> Self {
        Self(raw.to_owned())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

/// A provider's own JSON, kept byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// The only dialect it may be returned to.
    pub dialect: Dialect,
    /// The JSON as it came.
    pub json: Json,
}

/// A field of one dialect that is not modelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The only dialect that understands it.
    pub dialect: Dialect,
    /// Its name there.
    pub name: String,
    /// Its value as it came.
    pub value: Json,
}

/// The fields of one object that are not modelled, in the order they came.
///
/// They are written back to the dialect they are of; for every other dialect
/// they are a loss. Empty most of the time, and then nothing is allocated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra(Vec<Field>);

impl Extra {
    /// No fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// All fields, of whatever dialect.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.0.iter()
    }

    /// The value of one field.
    pub fn get(&self, dialect: Dialect, name: &str) -> Option<&Json> {
        self.0.iter().find(|field| field.dialect == dialect && field.name == name).map(|field| &field.value)
    }

    /// Sets a field, in the place of one of the same name.
    pub fn set(&mut self, field: Field) {
        match self.position(&field) {
            Some(known) => known.value = field.value,
            None => self.0.push(field),
        }
    }

    /// Adds the elements of a field that is an array to those there are. Sets
    /// the field if it or what is there is no array.
    pub fn append(&mut self, field: Field) {
        let Some(known) = self.position(&field) else { return self.0.push(field) };
        known.value = joined(&known.value, &field.value).unwrap_or(field.value);
    }

    fn position(&mut self, field: &Field) -> Option<&mut Field> {
        self.0.iter_mut().find(|known| known.dialect == field.dialect && known.name == field.name)
    }
}

impl FromIterator<Field> for Extra {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl IntoIterator for Extra {
    type Item = Field;
    type IntoIter = std::vec::IntoIter<Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extend<Field> for Extra {
    fn extend<I: IntoIterator<Item = Field>>(&mut self, fields: I) {
        self.0.extend(fields);
    }
}

/// Two arrays as one.
fn joined(first: &Json, second: &Json) -> Option<Json> {
    let elements = |json: &'_ Json| -> Option<String> {
        Some(json.as_str().trim().strip_prefix('[')?.strip_suffix(']')?.trim().to_owned())
    };
    let (first, second) = (elements(first)?, elements(second)?);
    let comma = if first.is_empty() || second.is_empty() { "" } else { "," };
    Json::parse(format!("[{first}{comma}{second}]")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, json: &str) -> Field {
        Field { dialect: Dialect::Gemini, name: name.to_owned(), value: Json::parse(json).expect("JSON") }
    }

    #[test]
    fn setting_replaces_and_appending_adds() {
        let mut extra = Extra::new();
        for (json, expected) in [
            ("[]", "[]"),
            ("[1]", "[1]"),
            ("[]", "[1]"),
            ("[ 2 , {} ]", "[1,2 , {}]"),
            ("7", "7"),
            ("[3]", "[3]"),
        ] {
            extra.append(field("a", json));
            let value = extra.get(Dialect::Gemini, "a").map(Json::as_str);
            assert_eq!(value, Some(expected));
        }
        extra.set(field("a", "[4]"));
        extra.set(field("b", "5"));
        assert_eq!(extra.get(Dialect::Gemini, "a").map(Json::as_str), Some("[4]"));
        assert_eq!((extra.len(), extra.get(Dialect::Anthropic, "a")), (2, None));
    }
}
