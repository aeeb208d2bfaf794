//! What reading a stream costs in memory: nothing per delta, and no more for a
//! longer stream.

use bytes::{Bytes, BytesMut};
use leverframe_core::model::{Dialect, StreamEvent};
use leverframe_http::{codec::StreamDecoder, sse::Limits};

/// What comes before the deltas, and one delta with `text` in it.
fn stream(dialect: Dialect, text: &str) -> (&'static str, String) {
    match dialect {
        Dialect::Anthropic => (
            concat!(
                "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"content\":[]}}\n\n",
                "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            ),
            format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}   }}\n\n"
            ),
        ),
        Dialect::Gemini => (
            "data: {\"candidates\":[],\"modelVersion\":\"g\",\"responseId\":\"r\"}\r\n\r\n",
            format!(
                "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}],\"role\":\"model\"}},\"index\":0}}],\"usageMetadata\":{{\"promptTokenCount\":9,\"candidatesTokenCount\":2}},\"modelVersion\":\"g\",\"responseId\":\"r\"}}\r\n\r\n"
            ),
        ),
        Dialect::OpenAiChat => (
            "data: {\"id\":\"c\",\"model\":\"g\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            format!(
                "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"g\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"logprobs\":null,\"finish_reason\":null}}],\"obfuscation\":\"x\"}}\n\n"
            ),
        ),
        Dialect::OpenAiResponses => (
            "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"g\"}}\n\n",
            format!(
                "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"{text}\",\"logprobs\":[],\"sequence_number\":4}}\n\n"
            ),
        ),
    }
}

/// A chunk as hyper hands it out: shared memory, so that slicing only counts.
fn chunk(text: &str) -> Bytes {
    BytesMut::from(text).split().freeze()
}

/// How many deltas there were before the stream had no more, or failed.
fn drain(decoder: &mut StreamDecoder) -> usize {
    let mut deltas = 0;
    while let Ok(Some(event)) = decoder.next_event() {
        deltas += usize::from(matches!(event, StreamEvent::TextDelta { .. }));
    }
    deltas
}

/// A decoder that has read the beginning and one delta.
fn begun(dialect: Dialect) -> StreamDecoder {
    let (opening, delta) = stream(dialect, "a");
    let mut decoder = StreamDecoder::new(dialect, Limits::default());
    decoder.push(chunk(&(opening.to_owned() + &delta)));
    assert_eq!(drain(&mut decoder), 1, "{dialect}");
    decoder
}

#[test]
fn a_text_delta_costs_no_allocation_and_one_with_escapes_one() {
    const DELTAS: usize = 200;
    for dialect in Dialect::ALL {
        for (text, most) in [("plain wörds", 0), ("an \\\"escape\\\" and a\\nline", DELTAS)] {
            let mut decoder = begun(dialect);
            let (_, delta) = stream(dialect, text);
            let input = chunk(&delta.repeat(DELTAS));
            let mut deltas = 0;
            let cost = allocation_counter::measure(|| {
                decoder.push(input);
                deltas = drain(&mut decoder);
            });
            assert_eq!(deltas, DELTAS, "{dialect}");
            let count = usize::try_from(cost.count_total).expect("few");
            assert!(count <= most, "{dialect}, {text:?}: {count} allocations for {DELTAS} deltas");
        }
    }
}

#[test]
fn a_longer_stream_takes_no_more_memory() {
    const CHUNK: usize = 16 << 10;
    const MOST: u64 = 64 << 10;
    for dialect in Dialect::ALL {
        let (_, delta) = stream(dialect, "some words and a\\nline of them");
        for megabytes in [1, 8] {
            let mut decoder = begun(dialect);
            let text = delta.repeat((megabytes << 20) / delta.len());
            let expected = text.len() / delta.len();
            let mut deltas = 0;
            let cost = allocation_counter::measure(|| {
                for piece in text.as_bytes().chunks(CHUNK) {
                    decoder.push(Bytes::copy_from_slice(piece));
                    deltas += drain(&mut decoder);
                }
            });
            assert_eq!(deltas, expected, "{dialect}");
            assert!(cost.bytes_max <= MOST, "{dialect}: {} bytes for {megabytes} MiB", cost.bytes_max);
        }
    }
}

#[test]
fn many_tool_calls_blocks_and_items_have_a_limit_that_is_named() {
    let chat: String = (0..2000)
        .map(|nth| {
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":{nth},\"id\":\"c{nth}\",\"function\":{{\"name\":\"f\",\"arguments\":\"\"}}}}]}}}}]}}\n\n")
        })
        .collect();
    let anthropic: String = (0..2000)
        .map(|nth| format!("data: {{\"type\":\"content_block_start\",\"index\":{nth},\"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n"))
        .collect();
    let responses: String = (0..2000)
        .map(|nth| format!("data: {{\"type\":\"response.output_text.delta\",\"output_index\":{nth},\"content_index\":0,\"delta\":\"a\"}}\n\n"))
        .collect();
    for (dialect, text, limit) in [
        (Dialect::OpenAiChat, chat, "at most 1024 tool calls"),
        (Dialect::Anthropic, anthropic, "fewer open blocks"),
        (Dialect::OpenAiResponses, responses, "fewer open items"),
    ] {
        let mut decoder = StreamDecoder::new(dialect, Limits::default());
        decoder.push(chunk(&text));
        let failure = std::iter::from_fn(|| decoder.next_event().transpose()).find_map(Result::err);
        let failure = failure.expect("it has a limit");
        assert!(failure.message.contains(limit), "{dialect}: {failure}");
    }
}
