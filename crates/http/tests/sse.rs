//! The event stream decoder against its table of quirks, against a parser that
//! sees the whole input at once, and against arbitrary bytes.

#![expect(clippy::unwrap_used, reason = "in helpers of tests a panic is a failure")]

use bytes::Bytes;
use leverframe_http::sse::{Decoder, Event, Item, Limits, SseError};
use proptest::prelude::*;

/// Everything that comes out, and the error it ended with.
type Outcome = (Vec<Item>, Option<SseError>);

/// Decodes `pieces`. Fails if the decoder does not come to an end.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Outcome {
    let mut decoder = Decoder::new(limits);
    let mut items = Vec::new();
    let mut bytes = 0;
    for piece in pieces {
        bytes += piece.len();
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_item(), Err(error), "stays poisoned");
                    assert_eq!(decoder.finish(), Err(error), "stays poisoned");
                    return (items, Some(error));
                }
            }
        }
    }
    loop {
        match decoder.finish() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => break,
            Err(error) => return (items, Some(error)),
        }
        assert!(items.len() <= bytes + 1, "more items than bytes");
    }
    assert_eq!(decoder.finish(), Ok(None), "stays ended");
    (items, None)
}

fn event(name: &str, data: &str, truncated: bool) -> Item {
    let event = (!name.is_empty()).then(|| name.into());
    Item::Event(Event { event, data: data.into(), truncated })
}

fn whole(data: &str) -> Item {
    event("", data, false)
}

fn cut(data: &str) -> Item {
    event("", data, true)
}

fn foreign(line: &str) -> Item {
    Item::Foreign(line.into())
}

/// Each row in one piece, byte by byte, and cut in two at every place.
#[test]
fn quirks_come_out_the_same_however_they_are_cut() {
    let rows: &[(&str, &[u8], Vec<Item>)] = &[
        ("nothing", b"", vec![]),
        ("LF", b"data: a\n\ndata: b\n\n", vec![whole("a"), whole("b")]),
        ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", vec![whole("a"), whole("b")]),
        ("CR", b"data: a\r\rdata: b\r\r", vec![whole("a"), whole("b")]),
        (
            "mixed line ends",
            b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r",
            vec![whole("a"), whole("b"), whole("c")],
        ),
        ("BOM", b"\xEF\xBB\xBFdata: a\n\n", vec![whole("a")]),
        ("BOM and comment", b"\xEF\xBB\xBF: hi\ndata: a\n\n", vec![whole("a")]),
        ("BOM only", b"\xEF\xBB\xBF", vec![]),
        ("only one BOM", b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n", vec![foreign("\u{feff}data: a")]),
        ("a later BOM", b"\n\xEF\xBB\xBFdata: a\n\n", vec![foreign("\u{feff}data: a")]),
        ("comments", b": OPENROUTER PROCESSING\n\n:\n\ndata: a\n: x\n\n", vec![whole("a")]),
        ("no space, two spaces", b"data:a\n\ndata:  b\n\n", vec![whole("a"), whole(" b")]),
        ("lines are joined", b"data: a\ndata\ndata: b\n\n", vec![whole("a\n\nb")]),
        ("empty data is an event", b"data\n\ndata:\n\n", vec![whole(""), whole("")]),
        ("name", b"event: ping\ndata: {}\n\ndata: x\n\n", vec![event("ping", "{}", false), whole("x")]),
        ("last name counts", b"event: a\nevent:b\ndata: x\n\n", vec![event("b", "x", false)]),
        ("an empty name is none", b"event: a\nevent\ndata: x\n\n", vec![whole("x")]),
        ("a name without data is dropped", b"event: a\n\ndata: x\n\n", vec![whole("x")]),
        ("id and retry", b"id: 1\nretry: 5\nid\ndata: x\n\n", vec![whole("x")]),
        ("foreign", b"error: {\"detail\":1}\n", vec![foreign("error: {\"detail\":1}")]),
        (
            "Gemini's bare JSON after an event, cut off",
            b"data: 1\r\n\r\n{\r\n  \"error\": {}\r\n}",
            vec![whole("1"), foreign("{"), foreign("  \"error\": {}"), foreign("}")],
        ),
        (
            "foreign inside an open event",
            b"event: e\ndata: 1\n{\ndata: 2\n\n",
            vec![foreign("{"), event("e", "1\n2", false)],
        ),
        ("blank line missing", b"data: a\n", vec![cut("a")]),
        ("line end missing", b"data: a\ndata: {\"b", vec![cut("a\n{\"b")]),
        ("ends in CR", b"data: a\r", vec![cut("a")]),
        ("ends within a field name", b"data: a\n\ndat", vec![whole("a"), foreign("dat")]),
        ("open event and foreign", b"data: a\n}", vec![foreign("}"), cut("a")]),
        ("the name comes last", b"data: a\nevent: e", vec![event("e", "a", true)]),
        ("characters of many bytes", "data: é€😀\n\n".as_bytes(), vec![whole("é€😀")]),
        (
            "other line ends are text",
            "data: a\u{2028}b\u{85}\x0bc\n\n".as_bytes(),
            vec![whole("a\u{2028}b\u{85}\x0bc")],
        ),
        ("NUL", b"data: \0\n\n", vec![whole("\0")]),
    ];
    for (name, input, expected) in rows {
        let expected = (expected.clone(), None);
        assert_eq!(decode([*input], Limits::default()), expected, "{name}: in one piece");
        assert_eq!(decode(input.chunks(1), Limits::default()), expected, "{name}: byte by byte");
        for at in 0..input.len() {
            let (head, tail) = input.split_at(at);
            assert_eq!(decode([head, tail], Limits::default()), expected, "{name}: cut at {at}");
        }
    }
}

#[test]
fn errors_are_the_same_however_the_input_is_cut() {
    let limits = Limits { line: 12, event: 9 };
    let long = Some(SseError::LineTooLong { limit: 12 });
    let large = Some(SseError::EventTooLarge { limit: 9 });
    let text = Some(SseError::InvalidUtf8);
    let rows: &[(&[u8], Vec<Item>, Option<SseError>)] = &[
        (b"data: 123456\n\n", vec![whole("123456")], None),
        (b"data: 1\n\ndata: 1234567\n\n", vec![whole("1")], long),
        (b"data: 1\n\ndata: 1234567", vec![whole("1")], long),
        (b":34567890123", vec![], None),
        (b":345678901234", vec![], long),
        (b"data: 1234\ndata: 1234\n\n", vec![whole("1234\n1234")], None),
        (b"data: 1234\ndata: 12345\n\n", vec![], large),
        (b"data: 1234\ndata: 12345", vec![], large),
        (b"data:1234567\ndata\ndata\ndata\n\n", vec![], large),
        (b"data: 1\n\ndata: \xC3\n\n", vec![whole("1")], text),
        (b"data: \xC3\ndata: \xA9\n\n", vec![], text),
        (b"event: \xFF\ndata: 1\n\n", vec![], text),
        (b"{\n\xFF\n", vec![foreign("{")], text),
        (b"data: \xE2\x82", vec![], text),
        (b": \xFF\nid: \xFF\ndata: 1\n\n", vec![whole("1")], None),
    ];
    for (input, items, error) in rows {
        let name = input.escape_ascii();
        let expected = (items.clone(), *error);
        assert_eq!(decode([*input], limits), expected, "{name}: in one piece");
        assert_eq!(decode(input.chunks(1), limits), expected, "{name}: byte by byte");
    }
}

#[test]
fn chunks_pushed_ahead_wait_their_turn() {
    let mut decoder = Decoder::new(Limits::default());
    for chunk in ["data: 1\n\nda", "ta: 2\n", "", "\ndata: 3\n\n"] {
        decoder.push(Bytes::from(chunk));
    }
    let mut items = Vec::new();
    while let Some(item) = decoder.finish().unwrap() {
        items.push(item);
    }
    assert_eq!(items, [whole("1"), whole("2"), whole("3")]);
}

#[test]
fn one_line_of_data_in_one_chunk_is_a_slice_of_it() {
    let chunk = Bytes::from("\ndata: hello\n\n");
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(chunk.clone());
    let Ok(Some(Item::Event(event))) = decoder.next_item() else { panic!("an event") };
    assert!(chunk.as_ptr_range().contains(&event.data.as_ptr()));
}

/// The standard's rules and our exceptions, written as simply as possible: the
/// whole input at once, no limits.
fn reference(input: &[u8]) -> Outcome {
    let mut items = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
    let input = input.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(input);
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut bytes = input.iter().peekable();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if(|next| **next == b'\n');
                lines.push((std::mem::take(&mut line), true));
            }
            b'\n' => lines.push((std::mem::take(&mut line), true)),
            other => line.push(other),
        }
    }
    if !line.is_empty() {
        lines.push((line, false));
    }
    let mut name = String::new();
    let mut data: Option<Vec<u8>> = None;
    for (line, _) in &lines {
        if line.is_empty() {
            if let Some(data) = data.take() {
                let Ok(data) = text(&data) else { return (items, Some(SseError::InvalidUtf8)) };
                items.push(event(&name, &data, false));
            }
            name.clear();
            continue;
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let field = halves.next().unwrap();
        let value = halves.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"" | b"id" | b"retry" => {}
            b"data" => match &mut data {
                None => data = Some(value.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            },
            b"event" => match text(value) {
                Ok(value) => name = value,
                Err(_) => return (items, Some(SseError::InvalidUtf8)),
            },
            _ => match text(line) {
                Ok(line) => items.push(foreign(&line)),
                Err(_) => return (items, Some(SseError::InvalidUtf8)),
            },
        }
    }
    if let Some(data) = data {
        match text(&data) {
            Ok(data) => items.push(event(&name, &data, true)),
            Err(_) => return (items, Some(SseError::InvalidUtf8)),
        }
    }
    (items, None)
}

/// Cuts `input` at the given places, taken modulo its length.
fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    cuts.sort_unstable();
    let mut rest = input;
    let mut from = 0;
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, tail) = rest.split_at(cut - from);
        pieces.push(piece);
        (rest, from) = (tail, cut);
    }
    pieces.push(rest);
    pieces
}

/// Bytes made of the pieces that matter to a parser, so that they meet often.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => Just(b"\n".to_vec()),
        2 => Just(b"\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
        4 => Just(b"data: ".to_vec()),
        1 => Just(b"data".to_vec()),
        2 => Just(b"event: ".to_vec()),
        1 => Just(b"id: ".to_vec()),
        1 => Just(b"retry:".to_vec()),
        1 => Just(b":".to_vec()),
        1 => Just(b" ".to_vec()),
        1 => Just(b"\xEF\xBB\xBF".to_vec()),
        1 => Just(b"\xC3".to_vec()),
        2 => Just("é😀".as_bytes().to_vec()),
        3 => "[a-z{}\"]{1,20}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_agrees_with_the_reference(input in stream(), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        let expected = reference(&input);
        prop_assert_eq!(&decode([input.as_slice()], Limits::default()), &expected);
        prop_assert_eq!(&decode(input.chunks(1), Limits::default()), &expected);
        prop_assert_eq!(&decode(pieces(&input, &cuts), Limits::default()), &expected);
    }

    #[test]
    fn limits_do_not_depend_on_the_cut(
        input in stream(),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
        line in 0_usize..40,
        event in 0_usize..40,
    ) {
        let limits = Limits { line, event };
        let expected = decode([input.as_slice()], limits);
        prop_assert_eq!(&decode(input.chunks(1), limits), &expected);
        prop_assert_eq!(&decode(pieces(&input, &cuts), limits), &expected);
    }

    #[test]
    fn arbitrary_bytes_come_to_an_end(
        input in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let expected = reference(&input);
        prop_assert_eq!(&decode(pieces(&input, &cuts), Limits::default()), &expected);
    }
}
