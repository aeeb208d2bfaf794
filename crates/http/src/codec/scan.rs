//! A scanner for the few JSON shapes that nearly all events of a stream have.
//!
//! It walks over a text once, without building anything and without checking
//! what it passes over beyond its structure, and gives up at the first
//! surprise. Whoever uses it then reads the text with `serde_json`, which also
//! says what is wrong with it. It exists because passing over the strings of
//! an event takes `serde_json` most of the time an event has
//! (`benches/benches/codec.rs`).

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::text::Text;

/// Deepest nesting that is passed over.
const MAX_DEPTH: u32 = 32;

/// A place in a JSON text. `None` from any of its methods is a surprise.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// Walks over an object, which has to be all of the text. `field` is given
    /// each name and has to pass over the value.
    pub(super) fn whole(text: &'a str, field: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        let mut scan = Self { text, at: 0 };
        scan.object(field)?;
        scan.is_over().then_some(())
    }

    /// Goes on at a place in a text, within whatever is open there.
    pub(super) fn from(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// Where it is.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether nothing is left.
    pub(super) fn is_over(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Walks over an object.
    #[inline]
    pub(super) fn object(&mut self, mut field: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        self.field(&mut field)?;
        self.object_rest(field)
    }

    /// Walks over what is left of an object after a value in it.
    #[inline]
    pub(super) fn object_rest(
        &mut self,
        mut field: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        loop {
            match self.next()? {
                b',' => self.field(&mut field)?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    #[inline]
    fn field(&mut self, field: &mut impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        let name = self.name()?;
        self.expect(b':')?;
        field(self, name)
    }

    /// Walks over an array. `element` has to pass over each element.
    #[inline]
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        element(self)?;
        self.array_rest(element)
    }

    /// Walks over what is left of an array after an element.
    #[inline]
    pub(super) fn array_rest(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        loop {
            match self.next()? {
                b',' => element(self)?,
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// A string, borrowed where it has no escapes.
    pub(super) fn string(&mut self) -> Option<Text<'a>> {
        let start = self.at_value()?;
        let escaped = self.skip_string()?;
        let inside = self.text.get(start + 1..self.at.checked_sub(1)?)?;
        // Control characters have to be escaped; serde_json says so.
        if inside.bytes().any(|byte| byte < 0x20) {
            return None;
        }
        match escaped {
            false => Some(Text::from(inside)),
            true => unescape(inside).map(Text::from),
        }
    }

    /// Passes over a value. Whether it is `null`.
    pub(super) fn skip(&mut self) -> Option<bool> {
        self.skip_at(0)
    }

    /// Passes over a value, and says where it is.
    pub(super) fn range(&mut self) -> Option<Range<usize>> {
        let start = self.at_value()?;
        self.skip()?;
        Some(start..self.at)
    }

    /// Passes over a value, and gives it as it is.
    pub(super) fn raw(&mut self) -> Option<&'a str> {
        let place = self.range()?;
        self.text.get(place)
    }

    /// A whole number without a sign.
    pub(super) fn count(&mut self) -> Option<u64> {
        let start = self.at_value()?;
        self.skip_word()?;
        self.text.get(start..self.at)?.parse().ok()
    }

    /// Passes over the number 0.
    pub(super) fn zero(&mut self) -> Option<()> {
        let start = self.at_value()?;
        self.skip_word()?;
        (self.text.get(start..self.at)? == "0").then_some(())
    }

    /// Whether the value at hand is an empty list or an empty string, which is passed over if so.
    pub(super) fn skip_empty(&mut self) -> Option<bool> {
        let start = self.at_value()?;
        let rest = self.text.as_bytes().get(start..)?;
        let empty = rest.starts_with(b"[]") || rest.starts_with(b"\"\"");
        if empty {
            self.at = start + 2;
        }
        Some(empty)
    }

    fn skip_at(&mut self, depth: u32) -> Option<bool> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'"' => self.skip_string().map(|_| false),
            b'{' => self.object(|scan, _| scan.skip_at(depth + 1).map(|_| ())).map(|()| false),
            b'[' => self.array(|scan| scan.skip_at(depth + 1).map(|_| ())).map(|()| false),
            _ => self.skip_word(),
        }
    }

    /// A number or a word. Whether it is `null`.
    fn skip_word(&mut self) -> Option<bool> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let word = rest.get(..length)?;
        let number =
            || word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
        if word.is_empty() || !(matches!(word, b"null" | b"true" | b"false") || number()) {
            return None;
        }
        self.at += length;
        Some(word == b"null")
    }

    /// Passes over a string. Whether it has escapes.
    #[inline]
    fn skip_string(&mut self) -> Option<bool> {
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            let found = memchr2(b'"', b'\\', rest)?;
            match rest.get(found)? {
                b'"' => {
                    self.at += found + 1;
                    return Some(escaped);
                }
                _ => {
                    escaped = true;
                    self.at += found + 2;
                }
            }
        }
    }

    /// A name without escapes.
    #[inline]
    fn name(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = memchr2(b'"', b'\\', rest)?;
        let name = self.text.get(self.at..self.at + length)?;
        self.at += length;
        self.expect(b'"')?;
        Some(name)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// The next byte that is no white space, which is taken.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    #[inline]
    fn at_value(&mut self) -> Option<usize> {
        self.peek()?;
        Some(self.at)
    }
}

/// A string without its escapes (RFC 8259, section 7), in one allocation of
/// the right size. `None` for what is no escape, and for half a surrogate pair.
fn unescape(text: &str) -> Option<String> {
    let length: usize = pieces(text).map(|piece| piece.map(Piece::length)).sum::<Option<usize>>()?;
    let mut plain = String::with_capacity(length);
    for piece in pieces(text) {
        match piece? {
            Piece::Plain(text) => plain.push_str(text),
            Piece::Escaped(c) => plain.push(c),
        }
    }
    Some(plain)
}

enum Piece<'a> {
    Plain(&'a str),
    Escaped(char),
}

impl Piece<'_> {
    const fn length(self) -> usize {
        match self {
            Self::Plain(text) => text.len(),
            Self::Escaped(c) => c.len_utf8(),
        }
    }
}

/// The text between escapes, and what they stand for. Ends with the first
/// thing that is neither.
fn pieces(text: &str) -> impl Iterator<Item = Option<Piece<'_>>> {
    let mut rest = text;
    let mut over = false;
    std::iter::from_fn(move || {
        if rest.is_empty() || over {
            return None;
        }
        let piece = match memchr(b'\\', rest.as_bytes()) {
            Some(0) => escape(rest).map(|(c, after)| {
                rest = after;
                Piece::Escaped(c)
            }),
            found => rest.split_at_checked(found.unwrap_or(rest.len())).map(|(plain, after)| {
                rest = after;
                Piece::Plain(plain)
            }),
        };
        over = piece.is_none();
        Some(piece)
    })
}

/// The character of the escape that a text begins with, and what follows it.
fn escape(text: &str) -> Option<(char, &str)> {
    let (word, after) = text.split_at_checked(2)?;
    let c = match word.as_bytes().get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(after),
        _ => return None,
    };
    Some((c, after))
}

/// The character behind `\u`, which may take another escape.
fn unicode(text: &str) -> Option<(char, &str)> {
    let unit = |text: &'_ str| -> Option<u16> {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (first, after) = (unit(text)?, text.get(4..)?);
    if let Some(c) = char::from_u32(first.into()) {
        return Some((c, after));
    }
    let second = unit(after.strip_prefix("\\u")?)?;
    let c = char::decode_utf16([first, second]).next()?.ok()?;
    Some((c, after.get(6..)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passes(text: &str) -> bool {
        let mut scan = Scan { text, at: 0 };
        scan.skip().is_some() && scan.peek().is_none()
    }

    #[test]
    fn the_text_is_found_wherever_it_is() {
        let text = r#" { "a" : [ {"b": "x\"y", "c": -1.5e3 } , null ] , "d" : "z" } "#;
        let (mut found, mut names) = (Vec::new(), Vec::new());
        let whole = Scan::whole(text, |scan, name| {
            names.push(name);
            match name {
                "a" => scan.array(|scan| match scan.peek()? {
                    b'{' => scan.object(|scan, name| {
                        match name {
                            "b" => found.push(scan.string()?.into_string()),
                            _ => drop(scan.skip()?),
                        }
                        Some(())
                    }),
                    _ => scan.skip().map(|null| assert!(null)),
                }),
                _ => scan.string().map(|text| found.push(text.into_string())),
            }
        });
        assert_eq!((whole, names), (Some(()), vec!["a", "d"]));
        assert_eq!(found, ["x\"y", "z"]);
    }

    #[test]
    fn surprises_are_noticed() {
        for text in [
            "",
            "{",
            "{]",
            "[}",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "\"a",
            "\"\\",
            "nul",
            "truee",
            "1x",
            "[1] 2",
            "{\"\\u0061\":1}",
            "'a'",
            "}",
            ",",
        ] {
            assert!(!passes(text), "{text}");
        }
        assert!(!passes(&("[".repeat(100) + &"]".repeat(100))));
    }

    #[test]
    fn what_is_no_escape_is_a_surprise() {
        for text in
            ["\\x", "\\", "\\u12", "\\u12g4", "\\u+123", "\\ud800", "\\ud800x", "\\ud800\\u0041", "\\udc00"]
        {
            assert_eq!(unescape(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn escapes_are_read_as_serde_json_reads_them(text in ".*", escaped in "(\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}|[a-zé])*") {
            let json = serde_json::Value::from(text.as_str()).to_string();
            for inside in [&json[1..json.len() - 1], escaped.as_str()] {
                let read = serde_json::from_str::<String>(&format!("\"{inside}\"")).ok();
                let ours = unescape(inside);
                prop_assert!(ours.as_ref().is_none_or(|ours| ours.capacity() == ours.len()));
                prop_assert_eq!(ours, read);
            }
        }

        #[test]
        fn what_serde_json_takes_is_passed_over(keys in prop::collection::vec("[a-z]{1,9}", 0..5), text in ".*", number in any::<f64>()) {
            let fields: serde_json::Map<String, serde_json::Value> = keys.into_iter()
                .map(|key| (key, serde_json::json!([text, {"n": number, "t": [true, null, {}]}])))
                .collect();
            let json = serde_json::Value::Object(fields);
            prop_assert!(passes(&json.to_string()));
            prop_assert!(passes(&serde_json::to_string_pretty(&json).expect("JSON")));
        }

        #[test]
        fn no_text_panics(text in ".*", json in "[\\[\\]{}\",:\\\\ a1nu]{0,40}") {
            let _ = (passes(&text), passes(&json));
        }
    }
}
