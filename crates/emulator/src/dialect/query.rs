//! The query of a URL.

use std::borrow::Cow;

/// The part after the question mark, `name=value` joined by `&`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a>(pub(super) &'a str);

impl<'a> Query<'a> {
    /// The value of the first field of this name that has one.
    pub(super) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(of, value)| *of == name && !value.is_empty())?;
        Some(decoded(value))
    }
}

/// Undoes `%` escapes. What is no escape stays as it is.
fn decoded(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.split_at_checked(2).filter(|_| *first == b'%');
        let byte = escaped.and_then(|(digits, after)| {
            let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = byte.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_unescaped() {
        let query = Query("a=1&empty=&empty=2&b=x%40y%2Fz&c=100%&d=%zz%+f&alone");
        for (name, value) in [
            ("a", Some("1")),
            ("empty", Some("2")),
            ("b", Some("x@y/z")),
            ("c", Some("100%")),
            ("d", Some("%zz%+f")),
            ("alone", None),
            ("nothing", None),
        ] {
            assert_eq!(query.get(name).as_deref(), value, "{name}");
        }
    }
}
