//! A stream is the whole answer in pieces, and only when all of it came.

use http::HeaderMap;
use leverframe_core::model::Extra;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;
use crate::codec::anthropic::response;

/// A block whole, as it opens, and the deltas that complete it.
#[derive(Clone, Debug)]
struct Given {
    whole: Value,
    opens: Value,
    deltas: Vec<Value>,
}

fn pieces(text: &str, at: usize) -> [String; 2] {
    let at = text.char_indices().map(|(at, _)| at).nth(at).unwrap_or(text.len());
    let (first, rest) = text.split_at(at);
    [first.to_owned(), rest.to_owned()]
}

fn words() -> impl Strategy<Value = String> {
    "[a-zé\"\\\\\n😀]{1,9}"
}

fn text_block() -> impl Strategy<Value = Given> {
    let citation = select(vec![
        json!({"type": "char_location", "cited_text": "c", "document_title": "t"}),
        json!({"type": "web_search_result_location", "url": "u", "title": null}),
    ]);
    (words(), 0_usize..5, vec(citation, 0..3), option::of(Just(1))).prop_map(|(text, at, citations, new)| {
        let mut opens = json!({"type": "text", "text": ""});
        let mut whole = json!({"type": "text", "text": text});
        if !citations.is_empty() {
            opens["citations"] = json!([]);
            whole["citations"] = Value::from(citations.clone());
        }
        if let Some(new) = new {
            (opens["new"], whole["new"]) = (json!(new), json!(new));
        }
        let texts = pieces(&text, at).map(|text| json!({"type": "text_delta", "text": text}));
        let cited =
            citations.into_iter().map(|citation| json!({"type": "citations_delta", "citation": citation}));
        Given { whole, opens, deltas: texts.into_iter().chain(cited).collect() }
    })
}

fn thinking_block() -> impl Strategy<Value = Given> {
    (words(), 0_usize..5, option::of(words()), any::<bool>()).prop_map(|(text, at, signature, omitted)| {
        let text = if omitted { "" } else { &text };
        let mut deltas: Vec<_> =
            pieces(text, at).map(|text| json!({"type": "thinking_delta", "thinking": text})).into();
        let signature = signature.unwrap_or_default();
        deltas.push(json!({"type": "signature_delta", "signature": signature}));
        Given {
            whole: json!({"type": "thinking", "thinking": text, "signature": signature}),
            opens: json!({"type": "thinking", "thinking": "", "signature": ""}),
            deltas,
        }
    })
}

fn call_block() -> impl Strategy<Value = Given> {
    let kind = select(vec![
        json!({"type": "tool_use", "id": "t", "name": "f"}),
        json!({"type": "tool_use", "id": "t", "name": "f", "caller": {"type": "direct"}}),
        json!({"type": "tool_use", "id": "t", "name": "f", "caller": {"type": "program", "tool_id": "s"}}),
        json!({"type": "server_tool_use", "id": "s", "name": "web_search"}),
    ]);
    let input = select(vec![json!({}), json!({"a": [1, "ä"]}), json!({"big": 9_007_199_254_740_993_u64})]);
    (kind, input, 0_usize..9).prop_map(|(block, input, at)| {
        let (mut opens, mut whole) = (block.clone(), block);
        (opens["input"], whole["input"]) = (json!({}), input.clone());
        // Without arguments there is one piece, and nothing in it.
        let text = if input == json!({}) { String::new() } else { input.to_string() };
        let deltas = [String::new()].into_iter().chain(pieces(&text, at));
        let deltas = deltas.map(|json| json!({"type": "input_json_delta", "partial_json": json})).collect();
        Given { whole, opens, deltas }
    })
}

fn other_block() -> impl Strategy<Value = Given> {
    let block = select(vec![
        json!({"type": "redacted_thinking", "data": "x"}),
        json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u"}]}),
        json!({"type": "brand_new", "text": "", "n": 1.5}),
    ]);
    let at_once = block.prop_map(|block| Given { whole: block.clone(), opens: block, deltas: Vec::new() });
    let compaction = Just(Given {
        whole: json!({"type": "compaction", "content": "short", "encrypted_content": "e"}),
        opens: json!({"type": "compaction", "content": null}),
        deltas: vec![json!({"type": "compaction_delta", "content": "short", "encrypted_content": "e"})],
    });
    prop_oneof![3 => at_once, 1 => compaction]
}

#[derive(Clone, Debug)]
struct Answer {
    blocks: Vec<Given>,
    ending: Value,
    usage: Value,
    more: Value,
}

fn answers() -> impl Strategy<Value = Answer> {
    let block = prop_oneof![text_block(), thinking_block(), call_block(), other_block()];
    let ending = select(vec![
        json!({"stop_reason": "end_turn", "stop_sequence": null}),
        json!({"stop_reason": "stop_sequence", "stop_sequence": "END"}),
        json!({"stop_reason": "refusal", "stop_details": {"type": "refusal", "category": "bio"}}),
        json!({"stop_reason": "tool_use", "container": {"id": "c"}}),
    ]);
    let usage = select(vec![
        json!({"input_tokens": 8, "output_tokens": 25}),
        json!({"input_tokens": 8, "output_tokens": 25, "output_tokens_details": {"thinking_tokens": 5}}),
        json!({"input_tokens": 8, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 5},
            "output_tokens": 25, "server_tool_use": {"web_search_requests": 1}}),
    ]);
    let more = select(vec![json!({}), json!({"context_management": {"n": 1}})]);
    (vec(block, 0..5), ending, usage, more).prop_map(|(blocks, ending, usage, more)| Answer {
        blocks,
        ending,
        usage,
        more,
    })
}

fn merged(into: &mut Value, from: &Value) {
    for (name, value) in from.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}

impl Answer {
    fn whole(&self) -> String {
        let content: Vec<_> = self.blocks.iter().map(|block| block.whole.clone()).collect();
        let mut usage = json!({"service_tier": "standard"});
        merged(&mut usage, &self.usage);
        let mut whole = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
            "content": content, "usage": usage});
        merged(&mut whole, &self.ending);
        merged(&mut whole, &self.more);
        whole.to_string()
    }

    fn streamed(&self) -> Vec<String> {
        let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 1, "output_tokens": 3, "service_tier": "standard"}});
        let mut events = vec![json!({"type": "message_start", "message": message})];
        for (index, block) in self.blocks.iter().enumerate() {
            events.push(json!({"type": "content_block_start", "index": index, "content_block": block.opens}));
            let deltas = block.deltas.iter();
            events.extend(
                deltas.map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
            );
            events.push(json!({"type": "content_block_stop", "index": index}));
        }
        let mut ending = json!({"type": "message_delta", "delta": self.ending, "usage": self.usage});
        merged(&mut ending, &self.more);
        events.extend([ending, json!({"type": "message_stop"})]);
        events.iter().map(Value::to_string).collect()
    }
}

/// Fields of an object have no order, and those of an answer come in any.
fn normal(mut response: Response) -> Response {
    let mut fields: Vec<_> = response.extra.into_iter().collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    response.extra = Extra::from_iter(fields);
    for block in &mut response.content {
        if let Block::Opaque(opaque) = block {
            let value: Value = serde_json::from_str(opaque.json.as_str()).expect("JSON");
            opaque.json = Json::parse(value.to_string()).expect("JSON");
        }
    }
    response
}

proptest! {
    #[test]
    fn a_stream_is_what_the_whole_answer_would_be(answer in answers(), crlf in any::<bool>()) {
        let mut body = framed(&answer.streamed());
        if crlf {
            body = body.replace('\n', "\r\n");
        }
        let (events, failure) = events(body);
        prop_assert_eq!(failure, None);
        let whole = response::decode(&HeaderMap::new(), &answer.whole()).expect("an answer");
        prop_assert_eq!(normal(fold(events).expect("its end")), normal(whole));
    }

    #[test]
    fn how_the_bytes_are_split_makes_no_difference(answer in answers(), size in 1_usize..50) {
        let body = framed(&answer.streamed());
        let mut decoder = StreamDecoder::new(Dialect::Anthropic, sse::Limits::default());
        let mut partial = Partial::new();
        for chunk in body.as_bytes().chunks(size) {
            decoder.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = decoder.next_event().expect("valid") {
                partial.push(event);
            }
        }
        prop_assert_eq!(partial.whole(), fold(events(body).0));
    }

    #[test]
    fn damaged_streams_are_read_without_panic(
        answer in answers(),
        cut in 0_usize..3000,
        change in (0_usize..3000, any::<u8>()),
        order in vec(0_usize..40, 0..40),
    ) {
        let streamed = answer.streamed();
        let shuffled: Vec<_> = order.iter().filter_map(|at| streamed.get(*at)).collect();
        let mut body = framed(&shuffled).into_bytes();
        if let Some(byte) = body.get_mut(change.0) {
            *byte = change.1;
        }
        body.truncate(cut);
        let _ = response::decode(&HeaderMap::new(), &String::from_utf8_lossy(&body));
        let _ = error::read(500, &HeaderMap::new(), &String::from_utf8_lossy(&body));
        let (events, failure) = events(body);
        prop_assert!(failure.is_none() || !events.contains(&StreamEvent::End));
    }
}

/// Wherever a body is cut, it was interrupted: nobody takes half for the whole.
#[test]
fn a_body_that_is_cut_is_interrupted() {
    let data = [
        START.to_owned(),
        open(0, r#"{"type":"thinking","thinking":"","signature":""}"#),
        delta(0, r#"{"type":"signature_delta","signature":"sig"}"#),
        close(0),
        open(1, TEXT),
        text(1, "håll 😀"),
        close(1),
        open(2, r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#),
        input(2, "{\"q\":\"}\"}"),
        close(2),
        r#"{"type":"ping"}"#.to_owned(),
        FINISH.to_owned(),
        STOP.to_owned(),
    ];
    for body in [framed(&data), framed(&data).replace('\n', "\r\n")] {
        // The frame is whole without the blank line after it.
        let whole = body.trim_end().len();
        for cut in 0..whole {
            let (given, failure) = events(Bytes::copy_from_slice(&body.as_bytes()[..cut]));
            let kind = failure.map(|failure| failure.kind);
            assert_eq!(
                kind,
                Some(ErrorKind::Interrupted),
                "{}",
                String::from_utf8_lossy(&body.as_bytes()[..cut])
            );
            assert!(!given.contains(&StreamEvent::End));
        }
        assert_eq!(events(body[..whole].to_owned()).1, None);
    }
}
