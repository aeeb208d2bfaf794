//! Strings that stay where they arrived.

use std::borrow::Cow;

use bytestring::ByteString;
use serde::Deserialize;

/// A JSON string: borrowed from the text it was parsed from when it has no
/// escapes, owned otherwise.
///
/// `Option<Text>` borrows as well, which `Option<Cow<str>>` does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Text<'a> {
    /// The string.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The string for keeping. A slice of `data`, without a copy, if it was
    /// borrowed from there.
    pub(super) fn keep(self, data: &ByteString) -> ByteString {
        match self.0 {
            Cow::Borrowed(part) if is_within(part, data) => data.slice_ref(part),
            other => other.into_owned().into(),
        }
    }

    /// A copy, for what is kept as long as the answer: a slice would hold on to
    /// the whole network buffer.
    pub(super) fn copied(self) -> ByteString {
        self.0.into_owned().into()
    }

    /// The string for keeping, whatever it was borrowed from.
    pub(super) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// Whether `part` is a slice of `whole`'s memory; `ByteString::slice_ref`
/// panics when it is not.
fn is_within(part: &str, whole: &str) -> bool {
    let (part, whole) = (part.as_bytes().as_ptr_range(), whole.as_bytes().as_ptr_range());
    whole.start <= part.start && part.end <= whole.end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_escapes_is_not_copied() {
        #[derive(Deserialize)]
        struct Two<'a> {
            #[serde(borrow)]
            plain: Option<Text<'a>>,
            #[serde(borrow)]
            escaped: Option<Text<'a>>,
        }
        let data = ByteString::from(String::from(r#"{"plain":"håll","escaped":"a\nb"}"#));
        let two: Two<'_> = serde_json::from_str(&data).expect("JSON");
        let (plain, escaped) = (two.plain.expect("present"), two.escaped.expect("present"));
        assert!(matches!(plain.0, Cow::Borrowed(_)));
        let kept = plain.keep(&data);
        assert_eq!(kept, "håll");
        assert!(is_within(&kept, &data));
        assert_eq!(escaped.keep(&data), "a\nb");
        assert_eq!(Text::from("elsewhere").keep(&data), "elsewhere");
    }
}
