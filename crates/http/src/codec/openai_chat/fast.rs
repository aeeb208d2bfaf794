//! The chunk that nearly every chunk is: more text and nothing else.
//!
//! The full reading of a chunk looks for two dozen fields; of a stream of text
//! all but a few chunks have one. This one takes the text if the chunk says
//! nothing else that matters, and gives up otherwise: then the full reading
//! takes over, from the beginning.

use crate::codec::{scan::Scan, text::Text};

/// The text of a chunk that has nothing else. `None` where it has, or is no
/// chunk.
pub(super) fn text(data: &str) -> Option<Text<'_>> {
    let mut text = None;
    Scan::whole(data, |scan, name| match name {
        "choices" if text.is_none() => scan.array(|scan| choice(scan, &mut text)),
        "choices" => None,
        "usage" | "error" | "x_groq" => nothing(scan),
        _ => scan.skip().map(|_| ()),
    })?;
    text
}

fn choice<'a>(scan: &mut Scan<'a>, text: &mut Option<Text<'a>>) -> Option<()> {
    if text.is_some() {
        return None; // there are others
    }
    scan.object(|scan, name| match name {
        "delta" => scan.object(|scan, name| match name {
            "content" if text.is_none() => {
                *text = Some(scan.string()?);
                Some(())
            }
            "role" => scan.skip().map(|_| ()),
            _ => nothing(scan),
        }),
        "index" => scan.zero(),
        "finish_reason" | "logprobs" | "error" | "message" => nothing(scan),
        _ => scan.skip().map(|_| ()),
    })
}

/// Passes over what says nothing: `null`, `""`, `[]`.
fn nothing(scan: &mut Scan<'_>) -> Option<()> {
    if scan.skip_empty()? || scan.skip()? { Some(()) } else { None }
}
