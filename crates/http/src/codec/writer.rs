//! What all encoders share: noting losses, and writing back what is not modelled.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use leverframe_core::{
    error::{ErrorKind, Failure},
    loss::{Loss, LossReport, Weight},
    model::{CacheControl, Dialect, Extra, Json, Losses, Opaque, Signature},
};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use super::{path::Path, text::Text};

/// Keeps the account of what a dialect cannot say.
#[derive(Debug)]
pub(super) struct Writer {
    dialect: Dialect,
    report: LossReport,
}

impl Writer {
    pub(super) fn new(dialect: Dialect, allowed: Losses) -> Self {
        Self { dialect, report: LossReport::new(allowed) }
    }

    /// Notes a loss that leaves the question as it is.
    pub(super) fn minor(&mut self, at: Path<'_>, why: &str) -> Result<(), Failure> {
        self.report.note(Weight::Minor, at.to_string(), why)
    }

    /// Notes a loss that may change the answer.
    pub(super) fn major(&mut self, at: Path<'_>, why: &str) -> Result<(), Failure> {
        self.report.note(Weight::Major, at.to_string(), why)
    }

    /// Notes, where `set`, that the dialect has no such setting.
    pub(super) fn absent(&mut self, weight: Weight, set: bool, field: &'static str) -> Result<(), Failure> {
        if !set {
            return Ok(());
        }
        let why = format!("is not part of {}; it is left out", self.dialect);
        self.report.note(weight, field, why)
    }

    /// The fields to be written as they came. Those of other dialects are
    /// losses, and so is one that would be written twice.
    pub(super) fn fields<'a>(
        &mut self,
        at: Path<'_>,
        extra: &'a Extra,
        weight: Weight,
        taken: &[&str],
    ) -> Result<Fields<'a>, Failure> {
        let mut fields = Fields::default();
        for field in extra.iter() {
            let name = field.name.as_str();
            if field.dialect != self.dialect {
                let why = format!("a field of {} is not sent to {}", field.dialect, self.dialect);
                self.report.note(weight, at.field(name).to_string(), why)?;
            } else if taken.contains(&name) {
                let why = "the request says it elsewhere; it is sent once";
                self.report.note(weight, at.field(name).to_string(), why)?;
            } else {
                fields.0.push((name, field.value.as_raw()));
            }
        }
        Ok(fields)
    }

    /// An opaque value that is this dialect's own. Any other is a loss.
    pub(super) fn opaque<'a>(
        &mut self,
        at: Path<'_>,
        opaque: &'a Opaque,
    ) -> Result<Option<&'a RawValue>, Failure> {
        if opaque.dialect == self.dialect {
            return match opaque.json.as_str().trim_start().starts_with('{') {
                true => Ok(Some(opaque.json.as_raw())),
                false => Err(invalid(at, "an opaque value must be a JSON object")),
            };
        }
        // What a provider keeps of its own thoughts means nothing to another.
        let weight = if is_thought(opaque) { Weight::Minor } else { Weight::Major };
        let why = format!("what {} keeps for itself cannot be sent to {}", opaque.dialect, self.dialect);
        self.report.note(weight, at.to_string(), why)?;
        Ok(None)
    }

    /// A signature that is this dialect's own. Any other is a loss.
    pub(super) fn signature<'a>(
        &mut self,
        at: Path<'_>,
        signature: Option<&'a Signature>,
    ) -> Result<Option<&'a str>, Failure> {
        match signature {
            Some(signature) if signature.dialect != self.dialect => {
                let why = format!("a signature of {} cannot be read by {}", signature.dialect, self.dialect);
                self.minor(at.field("signature"), &why)?;
                Ok(None)
            }
            signature => Ok(signature.map(|signature| signature.value.as_str())),
        }
    }

    /// Notes that the end of a prompt cache cannot be set here.
    pub(super) fn no_cache(&mut self, at: Path<'_>, cache: Option<&CacheControl>) -> Result<(), Failure> {
        match cache {
            None => Ok(()),
            Some(_) => {
                let why = format!("{} chooses by itself what to cache", self.dialect);
                self.minor(at.field("cache"), &why)
            }
        }
    }

    /// All that was lost.
    pub(super) fn into_losses(self) -> Vec<Loss> {
        self.report.into_losses()
    }
}

/// Fields that are written as they came, for `#[serde(flatten)]`.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'a> Fields<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one out, to be merged into something that is written anyway.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(at).1)
    }

    /// The fields of an object, to be merged into another one. None of what
    /// is no object.
    pub(super) fn of_object(raw: Option<&'a RawValue>, taken: &[&str]) -> OwnedFields<'a> {
        let fields: Option<OwnedFields<'a>> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let mut fields = fields.unwrap_or_default();
        fields.0.retain(|name, _| !taken.contains(&name.as_str()));
        fields
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The fields of an object that was parsed for them.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct OwnedFields<'a>(#[serde(borrow)] std::collections::BTreeMap<String, &'a RawValue>);

impl<'a> OwnedFields<'a> {
    /// These and one more.
    pub(super) fn with(mut self, name: &str, value: &'a RawValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The names of what is written: a field that is not may come from what is not
/// modelled.
pub(super) fn set<'a>(names: &[(&'a str, bool)]) -> Vec<&'a str> {
    names.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name).collect()
}

/// A request that is wrong, whoever it is sent to.
pub(super) fn invalid(at: Path<'_>, problem: &str) -> Failure {
    Failure::new(ErrorKind::InvalidRequest, format!("{at}: {problem}"))
}

/// A request that this dialect cannot take, though another may.
pub(super) fn unsupported(at: Path<'_>, problem: &str) -> Failure {
    Failure::new(ErrorKind::Unsupported, format!("{at}: {problem}"))
}

/// `data:` URL of inline media (RFC 2397).
pub(super) fn data_url(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", BASE64_STANDARD.encode(bytes))
}

/// A tool call's arguments, if they are the JSON object they should be.
pub(super) fn object(text: &str) -> Option<&RawValue> {
    let json: &RawValue = serde_json::from_str(text).ok()?;
    json.get().starts_with('{').then_some(json)
}

/// Arguments that are never empty: no arguments are `{}`.
pub(super) fn arguments(text: &str) -> &str {
    if text.trim().is_empty() { "{}" } else { text }
}

/// An id of a tool call in letters that every provider takes (Anthropic:
/// `^[a-zA-Z0-9_-]+$`). A call and its result get the same one.
pub(super) fn plain_id(id: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match id.chars().all(plain) {
        true => Cow::Borrowed(id),
        false => Cow::Owned(id.chars().map(|c| if plain(c) { c } else { '_' }).collect()),
    }
}

/// The `type` of an opaque object.
pub(super) fn kind_of(json: &Json) -> Option<String> {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Text<'a>>,
    }
    serde_json::from_str::<Probe<'_>>(json.as_str()).ok()?.kind.map(Text::into_string)
}

fn is_thought(opaque: &Opaque) -> bool {
    kind_of(&opaque.json).is_some_and(|kind| kind.contains("thinking") || kind.contains("reasoning"))
}
