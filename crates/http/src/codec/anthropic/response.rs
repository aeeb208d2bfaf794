//! Reading a whole message.

use http::HeaderMap;
use leverframe_core::{
    error::Failure,
    model::{Block, Response},
};

use super::{
    error,
    wire::{self, Message, UsageBody},
};
use crate::codec::failure::{position, unreadable};

/// Reads the body of a successful answer.
pub(in crate::codec) fn decode(headers: &HeaderMap, text: &str) -> Result<Response, Failure> {
    read(headers, text).map_err(|failure| {
        let id = failure.provider_request_id.clone().or_else(|| error::request_id(headers));
        failure.with_provider_request_id(id)
    })
}

fn read(headers: &HeaderMap, text: &str) -> Result<Response, Failure> {
    let wrong = |source| unreadable("a message", text).with_source(position(&source));
    let body: Message<'_> = serde_json::from_str(text).map_err(wrong)?;
    if body.kind.is_some_and(|kind| kind.as_str() == "error") {
        return Err(error::read(200, headers, text));
    }
    let Some(content) = body.content else {
        return Err(unreadable("a message with content", text));
    };
    let mut blocks = Vec::with_capacity(content.len());
    for raw in content {
        match wire::block(raw).map_err(wrong)? {
            // Says nothing, and may not be sent back.
            Block::Text(text) if text.is_empty() => {}
            block => blocks.push(block),
        }
        blocks.extend(wire::citations_of(raw));
    }
    let raw = body.stop_reason.map(|raw| raw.into_string());

    let mut response = Response::new(blocks, wire::finish(raw.as_deref().unwrap_or_default()));
    response.id = body.id.map(|id| id.into_string());
    response.model = body.model.map(|model| model.into_string());
    response.finish_raw = raw;
    response.stop_sequence = body.stop_sequence.map(|sequence| sequence.into_string());
    response.usage = body.usage.map(UsageBody::read).unwrap_or_default().into();
    Ok(response)
}

#[cfg(test)]
mod tests {
    use leverframe_core::{
        error::ErrorKind,
        model::{FinishReason, Tokens},
    };

    use super::*;

    fn message(reason: &str) -> Result<Response, Failure> {
        let body = format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","stop_sequence":null,
                "content":[{{"type":"thinking","thinking":"hm","signature":"s"}},{{"type":"text","text":"Hi \u00e9"}}],
                "stop_reason":{reason},"usage":{{"input_tokens":3,"output_tokens":5}}}}"#
        );
        decode(&HeaderMap::new(), &body)
    }

    #[test]
    fn every_stop_reason_has_a_meaning_and_keeps_its_word() {
        for (raw, finish) in [
            ("end_turn", FinishReason::Stop),
            ("max_tokens", FinishReason::Length),
            ("stop_sequence", FinishReason::StopSequence),
            ("tool_use", FinishReason::ToolCalls),
            ("pause_turn", FinishReason::Pause),
            ("refusal", FinishReason::Refusal),
            ("model_context_window_exceeded", FinishReason::ContextWindow),
            ("something_new", FinishReason::Other),
        ] {
            let response = message(&format!("\"{raw}\"")).expect("valid");
            assert_eq!((response.finish, response.finish_raw.as_deref()), (finish, Some(raw)));
        }
    }

    #[test]
    fn a_message_is_read() {
        let response = message("\"end_turn\"").expect("valid");
        assert_eq!(response.text(), "Hi é");
        assert!(matches!(&response.content[0], Block::Thinking(t) if t.signature.as_deref() == Some("s")));
        assert_eq!(response.usage.input, Tokens::Reported(3));
        assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("msg_1"), Some("claude-x")));
    }

    #[test]
    fn what_is_not_a_message_is_unreadable_and_an_error_an_error() {
        for text in ["", "<html>", "[]", "{}", "{\"content\": 1}", "{\"content\": [1]}", "null"] {
            let failure = decode(&HeaderMap::new(), text).expect_err(text);
            assert_eq!(failure.kind, ErrorKind::Unreadable, "{text}");
        }
        let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        assert_eq!(decode(&HeaderMap::new(), error).expect_err("error").kind, ErrorKind::Overloaded);
    }
}
