//! The chunk that nearly every chunk of a text is: one text, and usage.
//!
//! Takes both if the chunk says nothing else that matters, and gives up
//! otherwise: then the full reading takes over, from the beginning.

use leverframe_core::model::Usage;

use super::usage;
use crate::codec::{scan::Scan, text::Text};

/// What such a chunk says.
#[derive(Debug)]
pub(super) struct TextChunk<'a> {
    pub(super) text: Text<'a>,
    pub(super) usage: Option<Usage>,
}

/// The text of a chunk that has nothing else and belongs to the answer with
/// this id and model. `None` where it has more, or is no chunk.
pub(super) fn text<'a>(data: &'a str, id: Option<&str>, model: Option<&str>) -> Option<TextChunk<'a>> {
    let (mut text, mut usage) = (None, None);
    let same = |scan: &mut Scan<'a>, known: Option<&str>| {
        let given = scan.string()?;
        (Some(given.as_str()) == known).then_some(())
    };
    Scan::whole(data, |scan, name| match name {
        "candidates" if text.is_none() => scan.array(|scan| candidate(scan, &mut text)),
        "usageMetadata" if usage.is_none() => {
            usage = Some(usage::scan(scan)?);
            Some(())
        }
        "responseId" => same(scan, id),
        "modelVersion" => same(scan, model),
        "createTime" => scan.skip().map(|_| ()),
        _ => None,
    })?;
    Some(TextChunk { text: text?, usage })
}

fn candidate<'a>(scan: &mut Scan<'a>, text: &mut Option<Text<'a>>) -> Option<()> {
    if text.is_some() {
        return None; // there are others
    }
    scan.object(|scan, name| match name {
        "content" => scan.object(|scan, name| match name {
            "parts" => scan.array(|scan| part(scan, text)),
            "role" => scan.skip().map(|_| ()),
            _ => None,
        }),
        "index" => scan.zero(),
        _ => None,
    })
}

fn part<'a>(scan: &mut Scan<'a>, text: &mut Option<Text<'a>>) -> Option<()> {
    if text.is_some() {
        return None; // there are others
    }
    scan.object(|scan, name| match name {
        "text" if text.is_none() => {
            *text = Some(scan.string()?);
            Some(())
        }
        _ => None,
    })
}
