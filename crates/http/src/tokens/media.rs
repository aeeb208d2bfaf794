//! What pictures, documents and sound come to.
//!
//! Providers count pictures by their size in pixels, which stands in the first
//! bytes of a file. What is given by address or file id has no size here and
//! is taken to be a picture of 1024 by 1024, a document of four pages, or half
//! a minute of sound.
//!
//! Sources: Anthropic's guides on vision and PDF support, OpenAI's guides on
//! images and vision, audio and PDF files, Gemini's guides on tokens, image
//! and document understanding.

use leverframe_core::model::{Family, Media, MediaSource};

/// Pixels of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    width: u64,
    height: u64,
}

/// What a picture is taken for whose size is not known.
const UNKNOWN: Size = Size { width: 1024, height: 1024 };

/// How many pages a document is taken for when they cannot be counted.
const PAGES: u64 = 4;

/// How many seconds of sound there are when that cannot be told.
const SECONDS: u64 = 30;

/// Bytes of compressed sound in a second: 128 kbit/s.
const SOUND: u64 = 16_000;

/// Tokens of a picture.
pub(super) fn image(family: Family, media: &Media) -> u64 {
    let size = inline(media).and_then(size).unwrap_or(UNKNOWN);
    match family {
        // One token for 750 pixels, of which no more than 1568 by 784 are kept.
        Family::Anthropic => (size.width.saturating_mul(size.height) / 750).clamp(16, 1640),
        // 85 and 170 for each tile of 512, after the shorter side is at most 768.
        Family::OpenAi => {
            let (longer, shorter) = fit(size, 2048, 768);
            170 * longer.div_ceil(512) * shorter.div_ceil(512) + 85
        }
        // 258 for a small picture or for each tile of 768.
        Family::Google if size.width <= 384 && size.height <= 384 => 258,
        Family::Google => {
            let unit = (size.width.min(size.height) * 2 / 3).clamp(256, 768);
            258 * (size.width.div_ceil(unit).min(8) * size.height.div_ceil(unit).min(8))
        }
    }
}

/// Tokens of a document, whose text the caller counts if it is one.
pub(super) fn document(family: Family, media: &Media) -> u64 {
    let pages = inline(media).map_or(PAGES, pages);
    let per_page = match family {
        // Text and a picture of each page.
        Family::Anthropic => 2_000,
        Family::OpenAi => 500,
        Family::Google => 258,
    };
    pages.saturating_mul(per_page)
}

/// Tokens of sound.
pub(super) fn audio(family: Family, media: &Media) -> u64 {
    let seconds = inline(media)
        .map_or(SECONDS, |bytes| (bytes.len() as u64 / byte_rate(bytes).unwrap_or(SOUND)).saturating_add(1));
    let per_second = match family {
        Family::Google => 32,
        Family::OpenAi | Family::Anthropic => 10,
    };
    seconds.saturating_mul(per_second)
}

/// The text of a document that is one.
pub(super) fn text(media: &Media) -> Option<&str> {
    let kind = media.media_type.as_deref()?;
    let is_text = kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml");
    std::str::from_utf8(inline(media).filter(|_| is_text)?).ok()
}

fn inline(media: &Media) -> Option<&[u8]> {
    match &media.source {
        MediaSource::Inline(bytes) => Some(bytes),
        MediaSource::Url(_) | MediaSource::File { .. } => None,
    }
}

/// The longer and the shorter side, made to fit.
fn fit(size: Size, longer: u64, shorter: u64) -> (u64, u64) {
    let (mut long, mut short) = (size.width.max(size.height).max(1), size.width.min(size.height).max(1));
    if long > longer {
        short = (short.saturating_mul(longer) / long).max(1);
        long = longer;
    }
    if short > shorter {
        long = (long.saturating_mul(shorter) / short).max(1);
        short = shorter;
    }
    (long, short)
}

/// Width and height of a PNG, GIF, WebP or JPEG.
fn size(bytes: &[u8]) -> Option<Size> {
    let size = match bytes {
        [0x89, b'P', b'N', b'G', ..] => {
            Size { width: big(bytes.get(16..20)?), height: big(bytes.get(20..24)?) }
        }
        [b'G', b'I', b'F', b'8', ..] => {
            Size { width: little(bytes.get(6..8)?), height: little(bytes.get(8..10)?) }
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', rest @ ..] => webp(rest)?,
        [0xff, 0xd8, rest @ ..] => jpeg(rest)?,
        _ => return None,
    };
    (size.width > 0 && size.height > 0).then_some(size)
}

/// The three kinds of WebP (RFC 9649), after `WEBP`.
fn webp(bytes: &[u8]) -> Option<Size> {
    match bytes.get(..4)? {
        b"VP8X" => {
            Some(Size { width: little(bytes.get(12..15)?) + 1, height: little(bytes.get(15..18)?) + 1 })
        }
        b"VP8L" => {
            let bits = little(bytes.get(9..13)?);
            Some(Size { width: (bits & 0x3fff) + 1, height: (bits >> 14 & 0x3fff) + 1 })
        }
        b"VP8 " => Some(Size {
            width: little(bytes.get(14..16)?) & 0x3fff,
            height: little(bytes.get(16..18)?) & 0x3fff,
        }),
        _ => None,
    }
}

/// The frame header of a JPEG (ITU T.81), after its first marker.
fn jpeg(mut bytes: &[u8]) -> Option<Size> {
    loop {
        let [0xff, marker, rest @ ..] = bytes else { return None };
        match marker {
            // Fill bytes and markers without content.
            0xff => bytes = bytes.get(1..)?,
            0x01 | 0xd0..=0xd8 => bytes = rest,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some(Size { width: big(rest.get(5..7)?), height: big(rest.get(3..5)?) });
            }
            // The picture itself begins, or it ends: no header came.
            0xd9 | 0xda => return None,
            _ => bytes = rest.get(usize::try_from(big(rest.get(..2)?)).ok()?.max(2)..)?,
        }
    }
}

/// Bytes in a second of a WAV.
fn byte_rate(bytes: &[u8]) -> Option<u64> {
    let is_wav = bytes.starts_with(b"RIFF") && bytes.get(8..16) == Some(b"WAVEfmt ");
    bytes.get(28..32).filter(|_| is_wav).map(little).filter(|rate| *rate > 0)
}

/// Pages of a PDF, as far as they can be seen without unpacking it.
fn pages(bytes: &[u8]) -> u64 {
    /// Bytes of a page in a packed PDF of text and drawings, roughly.
    const PAGE: usize = 50_000;
    let seen = memchr::memmem::find_iter(bytes, b"/Type")
        .filter(|at| {
            let rest = bytes.get(at + 5..).unwrap_or_default().trim_ascii_start();
            rest.strip_prefix(b"/Page").is_some_and(|rest| rest.first() != Some(&b's'))
        })
        .count();
    if seen > 0 { seen as u64 } else { bytes.len().div_ceil(PAGE).max(1) as u64 }
}

fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(kind: &str, bytes: &[u8]) -> Media {
        Media::inline(kind, bytes.to_vec())
    }

    #[test]
    fn sizes_are_read_from_the_first_bytes() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 4, 0, 0, 0, 2, 0, 8, 6]);
        let jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2\x00\x11\x08\x02\x00\x04\x00\x03";
        let webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x03\x00\xff\x01\x00";
        let lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\xff\xc3\x7f\x00";
        let lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a\x00\x04\x00\x02";
        for picture in [png.as_slice(), b"GIF89a\x00\x04\x00\x02", jpeg, webp, lossless, lossy] {
            assert_eq!(size(picture), Some(Size { width: 1024, height: 512 }), "{picture:?}");
            for end in 0..picture.len() {
                // Whatever is cut off, nothing is read beyond the end.
                let _ = size(picture.get(..end).unwrap_or_default());
            }
        }
        assert_eq!(size(b"\xff\xd8\xff\xda\x00\x02"), None);
        assert_eq!(size(b"<svg/>"), None);
    }

    #[test]
    fn pictures_cost_what_the_guides_say() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend([0, 0, 4, 0, 0, 0, 4, 0, 8, 6]);
        let square = media("image/png", &png);
        assert_eq!(image(Family::OpenAi, &square), 765, "OpenAI's example: 1024 by 1024, high");
        assert_eq!(image(Family::Anthropic, &square), 1398, "1024 * 1024 / 750");
        assert_eq!(image(Family::OpenAi, &Media::url("https://x/y.png")), 765);
        png.splice(16..24, [0, 0, 1, 0, 0, 0, 1, 0]);
        assert_eq!(image(Family::Google, &media("image/png", &png)), 258);
    }

    #[test]
    fn pages_and_seconds_are_counted_where_they_can_be_seen() {
        let pdf = b"%PDF /Type /Pages /Type /Page\n /Type/Page>>";
        assert_eq!(document(Family::Google, &media("application/pdf", pdf)), 2 * 258);
        assert_eq!(document(Family::Google, &media("application/pdf", b"packed")), 258);
        let mut wav = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        wav.resize(28, 0);
        wav.extend(100u32.to_le_bytes());
        wav.resize(1000, 0);
        assert_eq!(audio(Family::Google, &media("audio/wav", &wav)), 11 * 32);
        assert_eq!(text(&media("text/plain", b"hello")), Some("hello"));
        assert_eq!(text(&media("application/pdf", b"hello")), None);
    }
}
