//! The chunk that nearly every chunk is: more text and nothing else.
//!
//! The full reading of a chunk looks for two dozen fields; of a stream of text
//! all but a few chunks have one. This one takes the text if the chunk says
//! nothing else that matters, and gives up otherwise: then the full reading
//! takes over, from the beginning.
//!
//! What comes before the text (id, model and so on) is the same in chunk after
//! chunk. Where it is, byte for byte, it has been read already.

use crate::codec::{scan::Scan, text::Text};

/// Most bytes before the text that are remembered.
const MOST: usize = 1 << 10;

/// What came before the text of the last chunk that had nothing else.
#[derive(Debug, Default)]
pub(super) struct Known(String);

/// The text of a chunk that has nothing else. `None` where it has, or is no
/// chunk.
pub(super) fn text<'a>(data: &'a str, known: &mut Known) -> Option<Text<'a>> {
    if !known.0.is_empty() && data.starts_with(known.0.as_str()) {
        return rest(data, known.0.len());
    }
    let mut found = None;
    Scan::whole(data, |scan, name| chunk(scan, name, &mut found))?;
    let Found { before, text } = found?;
    if let Some(before) = data.get(..before).filter(|before| before.len() <= MOST) {
        known.0.clear();
        known.0.push_str(before);
    }
    Some(text)
}

/// The text at `at`, if nothing that matters comes after it. What comes before
/// it leads there as in [`text`].
fn rest(data: &str, at: usize) -> Option<Text<'_>> {
    let mut scan = Scan::from(data, at);
    let mut found = Some(Found::at(&mut scan)?);
    scan.object_rest(|scan, name| delta(scan, name, &mut found))?;
    scan.object_rest(|scan, name| choice(scan, name, &mut found))?;
    scan.array_rest(|_| None)?; // there are others
    scan.object_rest(|scan, name| chunk(scan, name, &mut found))?;
    found.filter(|_| scan.is_over()).map(|found| found.text)
}

struct Found<'a> {
    /// How much there is before it.
    before: usize,
    text: Text<'a>,
}

impl<'a> Found<'a> {
    fn at(scan: &mut Scan<'a>) -> Option<Self> {
        Some(Self { before: scan.at(), text: scan.string()? })
    }
}

fn chunk<'a>(scan: &mut Scan<'a>, name: &str, found: &mut Option<Found<'a>>) -> Option<()> {
    match name {
        "choices" if found.is_none() => scan.array(|scan| match found {
            None => scan.object(|scan, name| choice(scan, name, found)),
            Some(_) => None, // there are others
        }),
        "choices" => None,
        "usage" | "error" | "x_groq" => nothing(scan),
        _ => scan.skip().map(|_| ()),
    }
}

fn choice<'a>(scan: &mut Scan<'a>, name: &str, found: &mut Option<Found<'a>>) -> Option<()> {
    match name {
        "delta" => scan.object(|scan, name| delta(scan, name, found)),
        "index" => scan.zero(),
        "finish_reason" | "logprobs" | "error" | "message" => nothing(scan),
        _ => scan.skip().map(|_| ()),
    }
}

fn delta<'a>(scan: &mut Scan<'a>, name: &str, found: &mut Option<Found<'a>>) -> Option<()> {
    match name {
        "content" if found.is_none() => {
            *found = Some(Found::at(scan)?);
            Some(())
        }
        "role" => scan.skip().map(|_| ()),
        _ => nothing(scan),
    }
}

/// Passes over what says nothing: `null`, `""`, `[]`.
fn nothing(scan: &mut Scan<'_>) -> Option<()> {
    if scan.skip_empty()? || scan.skip()? { Some(()) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHUNK: &str = r#"{"id":"1","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"a \"word\"","refusal":null},"finish_reason":null}],"usage":null,"obfuscation":"xyz"}"#;

    fn read(data: &str, known: &mut Known) -> Option<String> {
        text(data, known).map(Text::into_string)
    }

    #[test]
    fn what_is_the_same_again_is_not_read_again() {
        let mut known = Known::default();
        assert_eq!(read(CHUNK, &mut known).as_deref(), Some("a \"word\""));
        assert!(known.0.ends_with("\"content\":"));
        let next = CHUNK.replace("a \\\"word\\\"", "more").replace("xyz", "");
        assert_eq!(read(&next, &mut known).as_deref(), Some("more"));
        // What would be refused at the beginning is not looked at there.
        known.0 = "no JSON".to_owned();
        assert_eq!(read("no JSON\"x\"}}]}", &mut known).as_deref(), Some("x"));
    }

    proptest! {
        /// However a chunk differs from the one before, it is read as if there
        /// had been none.
        #[test]
        fn a_chunk_reads_the_same_whatever_came_before(
            edits in prop::collection::vec((0..CHUNK.len(), 0..8_usize, "[\\[\\]{},:\"a0\\\\ ]{0,4}|,\\{\"delta\":\\{\\}\\}|,\"content\":\"b\"|,\"usage\":1"), 0..3),
        ) {
            let mut edited = CHUNK.to_owned();
            for (at, length, new) in edits {
                let at = at.min(edited.len());
                let end = (at + length).min(edited.len());
                edited.replace_range(at..end, &new);
            }
            let mut known = Known::default();
            prop_assert!(text(CHUNK, &mut known).is_some());
            prop_assert_eq!(read(&edited, &mut known), read(&edited, &mut Known::default()));
        }
    }
}
