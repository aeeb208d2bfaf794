//! The event that nearly every event is: more text, or more arguments, and
//! nothing else.
//!
//! Gives up where an event is of another type: then the full reading takes
//! over, from the beginning.

use crate::codec::{scan::Scan, text::Text};

/// More of a part.
#[derive(Debug)]
pub(super) struct Delta<'a> {
    /// Whether it is of a text; otherwise of a function call's arguments.
    pub(super) is_text: bool,
    /// The item's place in the output, and the part's in the item.
    pub(super) at: (u32, u32),
    pub(super) text: Text<'a>,
}

/// The delta of an event that is nothing else. `None` where it is of another
/// type, or no event.
pub(super) fn delta(data: &str) -> Option<Delta<'_>> {
    let (mut is_text, mut item, mut part, mut text) = (None, 0, 0, None);
    Scan::whole(data, |scan, name| match name {
        "type" => {
            is_text = match scan.string()?.as_str() {
                "response.output_text.delta" => Some(true),
                "response.function_call_arguments.delta" => Some(false),
                _ => return None,
            };
            Some(())
        }
        "output_index" => {
            item = u32::try_from(scan.count()?).ok()?;
            Some(())
        }
        "content_index" => {
            part = u32::try_from(scan.count()?).ok()?;
            Some(())
        }
        "delta" if text.is_none() => {
            text = Some(scan.string()?);
            Some(())
        }
        "item_id" | "logprobs" | "obfuscation" | "sequence_number" => scan.skip().map(|_| ()),
        _ => None,
    })?;
    Some(Delta { is_text: is_text?, at: (item, part), text: text? })
}
