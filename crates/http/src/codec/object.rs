//! Reading a request: an object whose fields are taken one by one. What is
//! left in the end is not modelled, and is kept.

use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{Block, Dialect, Extra, Field, Json},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{failure::position, path::Path, text::Text, writer::invalid};

/// A JSON object on its way into the model.
#[derive(Debug)]
pub(super) struct Object<'a> {
    dialect: Dialect,
    fields: Vec<(Text<'a>, &'a RawValue)>,
    kept: Vec<Field>,
}

impl<'a> Object<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] naming the place when it is none.
    pub(super) fn parse(dialect: Dialect, at: Path<'_>, text: &'a str) -> Result<Self, Failure> {
        match serde_json::from_str::<Entries<'a>>(text) {
            Ok(Entries(fields)) if fields.len() > MOST_FIELDS => {
                Err(invalid(at, &format!("has more than {MOST_FIELDS} fields")))
            }
            Ok(Entries(fields)) => Ok(Self { dialect, fields, kept: Vec::new() }),
            Err(source) => Err(invalid(at, "must be a JSON object").with_source(position(&source))),
        }
    }

    /// Reads an object whose names may be in snake case where the dialect has
    /// them in camel case (Google's JSON parser takes both).
    pub(super) fn parse_camel(dialect: Dialect, at: Path<'_>, text: &'a str) -> Result<Self, Failure> {
        let mut object = Self::parse(dialect, at, text)?;
        for (name, _) in &mut object.fields {
            if name.as_str().contains('_') {
                *name = camel(name.as_str()).into();
            }
        }
        Ok(object)
    }

    /// Takes a field out. `null` is the same as nothing.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut found = None;
        // The last of several holds, as with most parsers.
        self.fields.retain(|(known, value)| {
            let is_it = known.as_str() == name;
            if is_it {
                found = Some(*value);
            }
            !is_it
        });
        found.filter(|value| value.get() != "null")
    }

    /// A field's text, which stays where it is.
    pub(super) fn peek(&self, name: &str) -> Option<&'a str> {
        let found = self.fields.iter().rev().find(|(known, _)| known.as_str() == name);
        found.map(|(_, value)| value.get()).filter(|text| *text != "null")
    }

    /// Puts a field back, to be kept as it is.
    pub(super) fn put_back(&mut self, name: &'static str, value: &'a RawValue) {
        self.fields.push((name.into(), value));
    }

    /// What is kept beside the fields that are left.
    pub(super) fn keep(&mut self, fields: impl IntoIterator<Item = Field>) {
        self.kept.extend(fields);
    }

    /// Whether a field is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, value)| known.as_str() == name && value.get() != "null")
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.iter().all(|(_, value)| value.get() == "null")
    }

    fn typed<T: Deserialize<'a>>(
        &mut self,
        at: Path<'_>,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Failure> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        let wrong = |source| {
            let problem = format!("must be {expected}");
            invalid(at.field(name), &problem).with_source(position(&source))
        };
        serde_json::from_str(raw.get()).map(Some).map_err(wrong)
    }

    pub(super) fn string(&mut self, at: Path<'_>, name: &str) -> Result<Option<String>, Failure> {
        self.typed(at, name, "a string")
    }

    /// A string that has to be there.
    pub(super) fn required(&mut self, at: Path<'_>, name: &str) -> Result<String, Failure> {
        self.string(at, name)?.ok_or_else(|| invalid(at.field(name), "is missing"))
    }

    pub(super) fn flag(&mut self, at: Path<'_>, name: &str) -> Result<Option<bool>, Failure> {
        self.typed(at, name, "true or false")
    }

    pub(super) fn count(&mut self, at: Path<'_>, name: &str) -> Result<Option<u32>, Failure> {
        self.typed(at, name, "a whole number from 0 to 4294967295")
    }

    pub(super) fn number(&mut self, at: Path<'_>, name: &str) -> Result<Option<f64>, Failure> {
        self.typed(at, name, "a number")
    }

    pub(super) fn integer(&mut self, at: Path<'_>, name: &str) -> Result<Option<i64>, Failure> {
        self.typed(at, name, "a whole number")
    }

    pub(super) fn array(&mut self, at: Path<'_>, name: &str) -> Result<Vec<&'a RawValue>, Failure> {
        Ok(self.typed(at, name, "an array")?.unwrap_or_default())
    }

    /// A string, or an array of them.
    pub(super) fn strings(&mut self, at: Path<'_>, name: &str) -> Result<Vec<String>, Failure> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        Ok(match self.typed(at, name, "a string or an array of strings")? {
            None => Vec::new(),
            Some(OneOrMany::One(one)) => vec![one],
            Some(OneOrMany::Many(many)) => many,
        })
    }

    pub(super) fn object(&mut self, at: Path<'_>, name: &str) -> Result<Option<Self>, Failure> {
        let raw = self.take(name);
        raw.map(|raw| Self::parse(self.dialect, at.field(name), raw.get())).transpose()
    }

    pub(super) fn object_camel(&mut self, at: Path<'_>, name: &str) -> Result<Option<Self>, Failure> {
        let raw = self.take(name);
        raw.map(|raw| Self::parse_camel(self.dialect, at.field(name), raw.get())).transpose()
    }

    /// A field if it is of this type; it stays where it is if it is not.
    pub(super) fn lenient<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let (_, raw) = self.fields.iter().rev().find(|(known, _)| known.as_str() == name)?;
        let value = serde_json::from_str(raw.get()).ok()?;
        self.take(name)?;
        Some(value)
    }

    /// Content: nothing, a string, or parts, each of which `part` reads.
    pub(super) fn content(
        &mut self,
        at: Path<'_>,
        name: &str,
        part: impl Fn(Path<'_>, &'a RawValue) -> Result<Block, Failure>,
    ) -> Result<Vec<Block>, Failure> {
        let Some(raw) = self.take(name) else { return Ok(Vec::new()) };
        let at = at.field(name);
        if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
            return Ok(vec![Block::text(text)]);
        }
        let wrong = |_| invalid(at, "must be a string or an array of content parts");
        let parts: Vec<&'a RawValue> = serde_json::from_str(raw.get()).map_err(wrong)?;
        parts.into_iter().enumerate().map(|(nth, raw)| part(at.nth(nth), raw)).collect()
    }

    /// What is left, for keeping.
    pub(super) fn rest(self) -> Extra {
        let dialect = self.dialect;
        let left = self.fields.into_iter().filter(|(_, value)| value.get() != "null");
        let left = left.map(|(name, value)| Field { dialect, name: name.into_string(), value: value.into() });
        left.chain(self.kept).collect()
    }

    /// What is left but for these fields, which are said elsewhere and may be
    /// large: of those there is no copy.
    pub(super) fn rest_but(mut self, said: &[&str]) -> Extra {
        self.fields.retain(|(name, _)| !said.contains(&name.as_str()));
        self.kept.retain(|field| !said.contains(&field.name.as_str()));
        self.rest()
    }

    /// What is left, as one object for keeping under `name`. `None` when
    /// nothing is.
    pub(super) fn rest_as(self, name: &str) -> Option<Field> {
        let dialect = self.dialect;
        let left: Vec<String> = self
            .rest()
            .iter()
            .map(|field| format!("{}:{}", serde_json::Value::from(field.name.as_str()), field.value.as_str()))
            .collect();
        // Names and values that were parsed make an object that can be.
        let value = Json::parse(format!("{{{}}}", left.join(","))).ok()?;
        (!left.is_empty()).then(|| Field { dialect, name: name.to_owned(), value })
    }
}

/// Most fields of one object: each takes many times the memory of the few bytes
/// it may be written in. No API has objects of its own with a tenth of them.
const MOST_FIELDS: usize = 1_024;

/// An object's fields in the order they come.
struct Entries<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(entry) = map.next_entry()? {
                    // One more, so that it shows.
                    if fields.len() <= MOST_FIELDS {
                        fields.push(entry);
                    }
                }
                Ok(Entries(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// `snake_case` as `camelCase`.
pub(super) fn camel(name: &str) -> String {
    let mut upper = false;
    let mut camel = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                camel.extend(c.to_uppercase());
                upper = false;
            }
            c => camel.push(c),
        }
    }
    camel
}

/// The body of a request as text.
///
/// # Errors
/// [`ErrorKind::InvalidRequest`] when it is not UTF-8.
pub(super) fn body_text(body: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(body).map_err(|error| {
        Failure::new(ErrorKind::InvalidRequest, "the request is not UTF-8").with_source(error)
    })
}

/// Inline media out of base64, with or without padding.
pub(super) fn base64(at: Path<'_>, text: &str) -> Result<bytes::Bytes, Failure> {
    use base64::{
        Engine,
        alphabet::{STANDARD, URL_SAFE},
        engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    };
    // Google's parsers take both alphabets, and padding is optional everywhere.
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = |alphabet| GeneralPurpose::new(alphabet, config);
    engine(&STANDARD)
        .decode(text)
        .or_else(|_| engine(&URL_SAFE).decode(text))
        .map(Into::into)
        .map_err(|_| invalid(at, "is not base64"))
}

/// The type and the bytes of a `data:` URL; `None` for any other address.
pub(super) fn data_url(at: Path<'_>, url: &str) -> Result<Option<(String, bytes::Bytes)>, Failure> {
    let Some(rest) = url.strip_prefix("data:") else { return Ok(None) };
    let Some((kind, data)) = rest.split_once(";base64,") else { return Ok(None) };
    Ok(Some((kind.to_owned(), base64(at, data)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_kept_in_order() {
        let text = r#"{"b":1,"a":"x","n":null,"c":[1,  2]}"#;
        let mut object = Object::parse(Dialect::Gemini, Path::ROOT, text).expect("an object");
        assert_eq!(object.string(Path::ROOT, "a").expect("a string"), Some("x".to_owned()));
        assert_eq!(object.string(Path::ROOT, "a").expect("taken"), None);
        let left = object.rest();
        let left: Vec<_> = left.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
        assert_eq!(left, [("b", "1"), ("c", "[1,  2]")]);
    }

    #[test]
    fn fields_without_end_are_refused() {
        let object = |fields: usize| {
            let fields: Vec<_> = (0..fields).map(|nth| format!("\"{nth}\":0")).collect();
            format!("{{{}}}", fields.join(","))
        };
        let at = Path::ROOT.field("outer");
        assert!(Object::parse(Dialect::Gemini, at, &object(MOST_FIELDS)).is_ok());
        let failure =
            Object::parse(Dialect::Gemini, at, &object(MOST_FIELDS + 1)).map(|_| ()).expect_err("refused");
        assert_eq!(failure.message, "outer: has more than 1024 fields");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let text = r#"{"b":1,"a":[{"t":"x"}],"stop":7}"#;
        let mut object = Object::parse(Dialect::Gemini, Path::ROOT, text).expect("an object");
        let at = Path::ROOT.field("outer");
        for (problem, field) in [
            (object.string(at, "b").err(), "outer.b: must be a string"),
            (object.required(at, "z").err(), "outer.z: is missing"),
            (object.strings(at, "stop").err(), "outer.stop: must be"),
            (object.object(at, "a").err(), "outer.a: must be a JSON object"),
        ] {
            let failure = problem.expect(field);
            assert_eq!(failure.kind, ErrorKind::InvalidRequest);
            assert!(failure.message.starts_with(field), "{failure}");
        }
    }

    #[test]
    fn names_in_snake_case_are_read_as_camel_case() {
        let text = r#"{"function_call":{"a_b":1},"plain":2}"#;
        let object = Object::parse_camel(Dialect::Gemini, Path::ROOT, text).expect("an object");
        assert!(object.has("functionCall") && object.has("plain") && !object.has("function_call"));
    }

    #[test]
    fn media_is_read_in_either_alphabet() {
        let read = |url: &str| {
            data_url(Path::ROOT, url).map(|found| found.map(|(kind, bytes)| (kind, bytes.to_vec())))
        };
        let png = |bytes: &[u8]| Some(("image/png".to_owned(), bytes.to_vec()));
        assert_eq!(read("data:image/png;base64,-_8="), Ok(png(&[251, 255])));
        assert_eq!(read("data:image/png;base64,+/8"), Ok(png(&[251, 255])));
        assert_eq!(read("https://example.org"), Ok(None));
        assert!(read("data:image/png;base64,!").is_err());
    }
}
