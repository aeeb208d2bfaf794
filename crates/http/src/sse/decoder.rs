//! The decoder: chunks in, items out.

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;

use super::{Event, Item, Limits, SseError};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Decodes a stream of server-sent events.
///
/// Push a chunk, take items until there are none, push the next; at the end of
/// the body call [`end`](Self::end) and take what remains.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// What of the last chunk was not looked at yet.
    chunk: Bytes,
    /// The beginning of a line that is not complete yet, from earlier chunks.
    carry: BytesMut,
    event: Option<Bytes>,
    data: Data,
    /// The line before ended in CR: a LF right after it belongs to it.
    after_cr: bool,
    first_line: bool,
    ended: bool,
    failed: Option<SseError>,
}

/// The data of the event in the making.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// One line: a slice of the chunk it came in.
    Line(Bytes),
    /// Several lines, joined by LF.
    Lines(BytesMut),
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk: Bytes::new(),
            carry: BytesMut::new(),
            event: None,
            data: Data::None,
            after_cr: false,
            first_line: true,
            ended: false,
            failed: None,
        }
    }

    /// Hands over the next chunk. All items of the one before must have been taken.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            // Whoever pushes early loses nothing but the saved copy.
            let mut joined = BytesMut::from(self.chunk.as_ref());
            joined.extend_from_slice(&chunk);
            self.chunk = joined.freeze();
        }
    }

    /// The body has ended. What is pending comes out of
    /// [`next_item`](Self::next_item).
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The next item, or `None` until more is pushed.
    ///
    /// # Errors
    /// [`SseError`], and the same again ever after.
    pub fn next_item(&mut self) -> Result<Option<Item>, SseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let next = self.advance();
        if let Err(error) = next {
            self.failed = Some(error);
            // Nothing more will be read: let go of what was kept.
            self.chunk = Bytes::new();
            self.carry = BytesMut::new();
            self.data = Data::None;
        }
        next
    }

    fn advance(&mut self) -> Result<Option<Item>, SseError> {
        loop {
            if self.after_cr
                && let Some(byte) = self.chunk.first()
            {
                self.after_cr = false;
                if *byte == b'\n' {
                    self.chunk.advance(1);
                }
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', &self.chunk) else {
                self.keep_incomplete_line()?;
                return if self.ended { self.flush() } else { Ok(None) };
            };
            self.after_cr = self.chunk.get(end) == Some(&b'\r');
            let line = if self.carry.is_empty() {
                let line = self.chunk.split_to(end);
                self.chunk.advance(1);
                line
            } else {
                self.check_line(self.carry.len().saturating_add(end))?;
                self.carry.extend_from_slice(self.chunk.get(..end).unwrap_or_default());
                self.chunk.advance(end.saturating_add(1));
                self.carry.split().freeze()
            };
            self.check_line(line.len())?;
            if let Some(item) = self.line(line)? {
                return Ok(Some(item));
            }
        }
    }

    fn keep_incomplete_line(&mut self) -> Result<(), SseError> {
        self.check_line(self.carry.len().saturating_add(self.chunk.len()))?;
        self.carry.extend_from_slice(&self.chunk);
        self.chunk = Bytes::new();
        Ok(())
    }

    /// What is left at the end of the body: an unterminated line, an unclosed event.
    fn flush(&mut self) -> Result<Option<Item>, SseError> {
        if !self.carry.is_empty() {
            let line = self.carry.split().freeze();
            if let Some(item) = self.line(line)? {
                return Ok(Some(item));
            }
        }
        self.dispatch(true)
    }

    fn check_line(&self, length: usize) -> Result<(), SseError> {
        match length > self.limits.line {
            true => Err(SseError::LineTooLong { limit: self.limits.line }),
            false => Ok(()),
        }
    }

    fn line(&mut self, mut line: Bytes) -> Result<Option<Item>, SseError> {
        if self.first_line {
            self.first_line = false;
            if line.starts_with(BYTE_ORDER_MARK) {
                line.advance(BYTE_ORDER_MARK.len());
            }
        }
        if line.is_empty() {
            return self.dispatch(false);
        }
        if line.starts_with(b"data:") {
            line.advance(b"data:".len());
            return self.data(value(line)).map(|()| None);
        }
        match memchr::memchr(b':', &line) {
            Some(0) => return Ok(None), // a comment
            Some(colon) => {
                let mut rest = line.clone();
                rest.advance(colon.saturating_add(1));
                match line.get(..colon) {
                    Some(b"event") => self.event = Some(value(rest)),
                    Some(b"id" | b"retry") => {}
                    _ => return text(line).map(|line| Some(Item::Foreign(line))),
                }
            }
            // A field without a colon has an empty value.
            None => match line.as_ref() {
                b"data" => self.data(Bytes::new())?,
                b"event" => self.event = None,
                b"id" | b"retry" => {}
                _ => return text(line).map(|line| Some(Item::Foreign(line))),
            },
        }
        Ok(None)
    }

    fn data(&mut self, value: Bytes) -> Result<(), SseError> {
        let before = match &self.data {
            Data::None => 0,
            Data::Line(line) => line.len().saturating_add(1),
            Data::Lines(lines) => lines.len().saturating_add(1),
        };
        if before.saturating_add(value.len()) > self.limits.event {
            return Err(SseError::EventTooLarge { limit: self.limits.event });
        }
        self.data = match std::mem::take(&mut self.data) {
            Data::None => Data::Line(value),
            Data::Line(line) => Data::Lines(joined(BytesMut::from(line.as_ref()), &value)),
            Data::Lines(lines) => Data::Lines(joined(lines, &value)),
        };
        Ok(())
    }

    fn dispatch(&mut self, truncated: bool) -> Result<Option<Item>, SseError> {
        let event = self.event.take();
        let data = match std::mem::take(&mut self.data) {
            Data::None => return Ok(None),
            Data::Line(line) => line,
            Data::Lines(lines) => lines.freeze(),
        };
        let event = event.map(text).transpose()?;
        Ok(Some(Item::Event(Event { event, data: text(data)?, truncated })))
    }
}

/// A field's value: one space after the colon is not part of it.
fn value(mut rest: Bytes) -> Bytes {
    if rest.first() == Some(&b' ') {
        rest.advance(1);
    }
    rest
}

fn joined(mut lines: BytesMut, line: &[u8]) -> BytesMut {
    lines.extend_from_slice(b"\n");
    lines.extend_from_slice(line);
    lines
}

fn text(bytes: Bytes) -> Result<ByteString, SseError> {
    ByteString::try_from(bytes).map_err(|_| SseError::InvalidUtf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode_split(chunks: impl IntoIterator<Item = Bytes>, limits: Limits) -> Result<Vec<Item>, SseError> {
        let mut decoder = Decoder::new(limits);
        let mut items = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(item) = decoder.next_item()? {
                items.push(item);
            }
        }
        decoder.end();
        while let Some(item) = decoder.next_item()? {
            items.push(item);
        }
        Ok(items)
    }

    fn decode(bytes: &[u8]) -> Result<Vec<Item>, SseError> {
        decode_split([Bytes::copy_from_slice(bytes)], Limits::default())
    }

    fn event(data: &'static str) -> Item {
        Item::Event(Event { event: None, data: data.into(), truncated: false })
    }

    fn named(name: &'static str, data: &'static str) -> Item {
        Item::Event(Event { event: Some(name.into()), data: data.into(), truncated: false })
    }

    fn cut(data: &'static str) -> Item {
        Item::Event(Event { event: None, data: data.into(), truncated: true })
    }

    fn foreign(line: &'static str) -> Item {
        Item::Foreign(line.into())
    }

    #[test]
    fn what_the_format_allows() {
        let cases: &[(&str, Vec<Item>)] = &[
            ("data: a\n\ndata: b\n\n", vec![event("a"), event("b")]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec![event("a"), event("b")]),
            ("data: a\r\rdata: b\r\r", vec![event("a"), event("b")]),
            ("data:a\n\n", vec![event("a")]),
            ("data:  a \n\n", vec![event(" a ")]),
            ("data: a\ndata: b\ndata\n\n", vec![event("a\nb\n")]),
            ("data\n\n", vec![event("")]),
            ("\u{feff}data: a\n\n", vec![event("a")]),
            (": OPENROUTER PROCESSING\n\ndata: a\n\n", vec![event("a")]),
            ("event: ping\ndata: {}\n\n", vec![named("ping", "{}")]),
            ("event: lonely\n\ndata: a\n\n", vec![event("a")]),
            ("id: 7\nretry: 10\ndata: a\n\n", vec![event("a")]),
            ("data: a: b\n\n", vec![event("a: b")]),
            ("data: \u{1F600}\n\n", vec![event("\u{1F600}")]),
            ("\n\n\n", vec![]),
            ("", vec![]),
        ];
        for (bytes, items) in cases {
            assert_eq!(decode(bytes.as_bytes()).as_ref(), Ok(items), "{bytes:?}");
        }
    }

    #[test]
    fn what_the_end_of_the_body_cuts_short_is_marked() {
        assert_eq!(decode(b"data: [DONE]"), Ok(vec![cut("[DONE]")]));
        assert_eq!(decode(b"data: [DONE]\n"), Ok(vec![cut("[DONE]")]));
        assert_eq!(decode(b"data: a\n\ndata: {\"b"), Ok(vec![event("a"), cut("{\"b")]));
        assert_eq!(decode(b"data: a\n{\"x"), Ok(vec![foreign("{\"x"), cut("a")]));
    }

    #[test]
    fn what_is_not_part_of_the_format_is_handed_out_in_order() {
        let bytes = b"data: a\n\n{\n  \"error\": {}\n}\n\ndata: b\n\n";
        let items = vec![event("a"), foreign("{"), foreign("  \"error\": {}"), foreign("}"), event("b")];
        assert_eq!(decode(bytes), Ok(items));
    }

    #[test]
    fn a_line_in_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: hello\n\n");
        let items = decode_split([chunk.clone()], Limits::default()).expect("valid");
        let [Item::Event(event)] = items.as_slice() else { panic!("{items:?}") };
        assert_eq!(event.data.as_bytes().as_ptr(), chunk[6..].as_ptr());
    }

    #[test]
    fn limits_are_typed_errors_and_final() {
        let limits = Limits { line: 20, event: 24 };
        let line = SseError::LineTooLong { limit: 20 };
        let large = SseError::EventTooLarge { limit: 24 };
        let cases: [(&[u8], SseError); 4] = [
            (b"data: 0123456789012345\n\n", line),
            (b"data: 0123456789012345", line),
            (b"data: 0123456789\ndata: 0123456789\ndata: 0123456789\n\n", large),
            (b"data: \xff\n\n", SseError::InvalidUtf8),
        ];
        for (bytes, error) in cases {
            for size in [1, 7, 100] {
                let chunks = bytes.chunks(size).map(Bytes::copy_from_slice);
                assert_eq!(decode_split(chunks, limits), Err(error));
            }
        }
        let mut decoder = Decoder::new(limits);
        decoder.push(Bytes::from_static(&[b'x'; 100]));
        for _ in 0..3 {
            assert_eq!(decoder.next_item(), Err(line));
            decoder.push(Bytes::from_static(b"data: a\n\n"));
        }
    }

    /// The standard's algorithm over the whole input at once.
    fn reference(bytes: &[u8]) -> Result<Vec<Item>, SseError> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map(ByteString::from).map_err(|_| SseError::InvalidUtf8)
        };
        let mut lines: Vec<Vec<u8>> = vec![vec![]];
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'\r' if bytes.get(at + 1) == Some(&b'\n') => {
                    at += 1;
                    lines.push(vec![]);
                }
                b'\r' | b'\n' => lines.push(vec![]),
                byte => lines.last_mut().expect("one at least").push(byte),
            }
            at += 1;
        }
        let last = lines.pop().expect("one at least");
        if !last.is_empty() {
            lines.push(last);
        }
        let (mut items, mut name, mut data): (_, Option<Vec<u8>>, Option<Vec<u8>>) = (vec![], None, None);
        let mut dispatch = |name: &mut Option<Vec<u8>>, data: &mut Option<Vec<u8>>, items: &mut Vec<Item>, truncated| {
            let name = name.take();
            if let Some(data) = data.take() {
                let event = name.as_deref().map(text).transpose()?;
                items.push(Item::Event(Event { event, data: text(&data)?, truncated }));
            }
            Ok(())
        };
        for line in &lines {
            if line.is_empty() {
                dispatch(&mut name, &mut data, &mut items, false)?;
                continue;
            }
            let (field, value) = match line.iter().position(|byte| *byte == b':') {
                Some(0) => continue,
                Some(colon) => (&line[..colon], Some(&line[colon + 1..])),
                None => (&line[..], None),
            };
            let unspaced = value.map(|value| value.strip_prefix(b" ").unwrap_or(value));
            match field {
                b"data" => {
                    let value = unspaced.unwrap_or_default();
                    data = Some(data.map_or_else(|| value.to_vec(), |data| [&data[..], b"\n", value].concat()));
                }
                b"event" => name = unspaced.map(<[u8]>::to_vec),
                b"id" | b"retry" => {}
                _ => items.push(Item::Foreign(text(line)?)),
            }
        }
        dispatch(&mut name, &mut data, &mut items, true)?;
        Ok(items)
    }

    /// Bytes that are mostly about the format.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just(b"data: ".to_vec()),
            2 => Just(b"data".to_vec()),
            2 => Just(b"event: ".to_vec()),
            1 => Just(b"id: 1".to_vec()),
            1 => Just(b": comment".to_vec()),
            1 => Just(BYTE_ORDER_MARK.to_vec()),
            6 => prop_oneof![Just(b"\n".to_vec()), Just(b"\r".to_vec()), Just(b"\r\n".to_vec())],
            3 => prop_oneof![Just("\u{e9}\u{1F600}".as_bytes().to_vec()), Just(b"{}".to_vec()), Just(b":".to_vec())],
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_split_gives_what_the_standard_gives(
            bytes in stream(),
            cuts in prop::collection::vec(0usize..200, 0..30),
        ) {
            let expected = reference(&bytes);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|cut| Bytes::copy_from_slice(&bytes[cut[0]..cut[1]]));
            prop_assert_eq!(&decode_split(chunks, Limits::default()), &expected);
            let bytewise = bytes.chunks(1).map(Bytes::copy_from_slice);
            prop_assert_eq!(&decode_split(bytewise, Limits::default()), &expected);
        }

        #[test]
        fn any_bytes_end_in_items_or_one_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_split([Bytes::from(bytes)], Limits { line: 50, event: 60 });
        }
    }
}
