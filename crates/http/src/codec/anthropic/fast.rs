//! The event that nearly every event is: more of a block and nothing else.
//!
//! Gives up where an event says anything else that matters: then the full
//! reading takes over, from the beginning.

use crate::codec::{scan::Scan, text::Text};

/// More of a block.
#[derive(Debug)]
pub(super) struct Delta<'a> {
    /// The block, by Anthropic's index.
    pub(super) at: u32,
    /// What kind of delta it says it is.
    pub(super) kind: Text<'a>,
    /// What is added, and the name of the field it is in.
    pub(super) field: &'a str,
    pub(super) text: Text<'a>,
}

/// The delta of an event that is nothing else. `None` where it is more, or
/// none.
pub(super) fn delta(data: &str) -> Option<Delta<'_>> {
    let (mut at, mut is_delta, mut kind, mut added) = (None, false, None, None);
    Scan::whole(data, |scan, name| match name {
        "type" => {
            is_delta = scan.string()?.as_str() == "content_block_delta";
            is_delta.then_some(())
        }
        "index" => {
            at = Some(u32::try_from(scan.count()?).ok()?);
            Some(())
        }
        "delta" => scan.object(|scan, name| match name {
            "type" => {
                kind = Some(scan.string()?);
                Some(())
            }
            "text" | "thinking" | "partial_json" if added.is_none() => {
                added = Some((name, scan.string()?));
                Some(())
            }
            _ => None,
        }),
        _ => None,
    })?;
    let (field, text) = added?;
    is_delta.then_some(Delta { at: at?, kind: kind?, field, text })
}
