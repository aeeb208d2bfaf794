//! Keeping secrets out of messages.
//!
//! Providers quote parts of a wrong key back. Whatever of theirs goes into an
//! error passes through here first.

use std::borrow::Cow;

/// What stands in for a secret.
const MARK: &str = "[redacted]";

/// How keys of the providers and of servers like them begin.
const PREFIXES: [&str; 9] = ["sk-", "sk_", "AIza", "gsk_", "xai-", "pplx-", "r8_", "ya29.", "eyJ"];

/// `text` without anything that looks like an API key or a bearer token.
pub(crate) fn secrets(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut kept = 0;
    let mut before = "";
    for (start, word) in words(text) {
        if start < kept {
            continue; // the rest of a secret
        }
        let assigned = text.get(..start).is_some_and(|text| text.ends_with('=')) && names_a_key(before);
        // Shorter words after "bearer" are prose.
        let borne = before.eq_ignore_ascii_case("bearer") && word.len() >= 8;
        let secret = assigned || borne || PREFIXES.iter().any(|prefix| word.starts_with(prefix));
        before = word;
        if secret {
            clean.push_str(text.get(kept..start).unwrap_or_default());
            clean.push_str(MARK);
            kept = start + secret_length(text.get(start..).unwrap_or_default());
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(clean)
}

/// Whether what is assigned to a parameter of this name is secret.
fn names_a_key(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "token", "secret"].iter().any(|ending| name.ends_with(ending))
}

/// How far a secret reaches: it may go on in characters that end a word, such
/// as the `/` and `=` of base64.
fn secret_length(rest: &str) -> usize {
    let ends = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(
                c,
                '"' | '\'' | '`' | '\\' | '&' | ',' | ';' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}'
            )
    };
    rest.find(ends).unwrap_or(rest.len())
}

/// A provider's message as it is kept: without secrets, and not at any length.
pub(crate) fn message(text: &str) -> String {
    const LENGTH: usize = 2048;
    let clean = secrets(text);
    match clean.char_indices().nth(LENGTH) {
        None => clean.into_owned(),
        Some((end, _)) => format!("{}…", clean.get(..end).unwrap_or_default()),
    }
}

/// The words of a text, with where they start. Masked keys (`sk-ab***cd`) are
/// one word.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let part_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '~' | '+');
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + rest.find(part_of_word)?;
        let rest = text.get(start..)?;
        let length = rest.find(|c| !part_of_word(c)).unwrap_or(rest.len());
        at = start + length;
        Some((start, rest.get(..length)?))
    })
}

/// The beginning of a body, for an error message: at most 200 characters,
/// without secrets and control characters.
pub(crate) fn excerpt(text: &str) -> String {
    const LENGTH: usize = 200;
    // Redacted before it is cut, so that half a key cannot pass for none.
    let window: String = text.chars().take(4 * LENGTH).collect();
    let clean = secrets(&window);
    let mut excerpt: String =
        clean.chars().take(LENGTH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().count() > LENGTH {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_do_not_pass() {
        let cases = [
            (
                "Incorrect API key provided: sk-proj-abc***xyz. See docs",
                "Incorrect API key provided: [redacted] See docs",
            ),
            ("key AIzaSyA-1234_5 is bad", "key [redacted] is bad"),
            ("Authorization: Bearer abcdef123456", "Authorization: Bearer [redacted]"),
            ("https://x/?key=abcdefgh12&alt=sse", "https://x/?key=[redacted]&alt=sse"),
            ("{\"k\":\"gsk_1\"}", "{\"k\":\"[redacted]\"}"),
            ("Bearer abc+def12/ghi345+jk==, sent", "Bearer [redacted], sent"),
            ("?api_key=1a/b&x=1 access_token=Zm9v", "?api_key=[redacted]&x=1 access_token=[redacted]"),
            ("token eyJhbGciOiJ9.eyJzdWIi.abc", "token [redacted]"),
        ];
        for (text, clean) in cases {
            assert_eq!(secrets(text), clean);
        }
    }

    #[test]
    fn ordinary_words_do() {
        let text = "The model is overloaded. Your key is bad; bearer of bad news, task-force, risk-free.";
        assert!(matches!(secrets(text), Cow::Borrowed(same) if same == text));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_key_survives(before in ".*", after in ".*") {
            let text = format!("{before} sk-ant-SECRET1234 {after}");
            prop_assert!(!secrets(&text).contains("SECRET"));
            prop_assert!(!excerpt(&text).contains("SECRET"));
            prop_assert!(excerpt(&text).chars().count() <= 201);
        }
    }
}
