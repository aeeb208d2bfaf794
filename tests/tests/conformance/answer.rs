//! What both a stream and a whole answer come to.

use bytes::Bytes;
use leverframe_core::{
    error::Failure,
    model::{Block, Dialect, Extra, Partial, Response, StreamEvent, Usage},
};
use leverframe_http::{codec::StreamDecoder, sse::Limits};

/// Everything a stream gave, up to and including the failure that ended it.
#[derive(Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) events: Vec<StreamEvent>,
    pub(crate) failure: Option<Failure>,
}

pub(crate) fn read(dialect: Dialect, chunks: impl IntoIterator<Item = Bytes>) -> Reading {
    let mut decoder = StreamDecoder::new(dialect, Limits::default());
    let mut events = Vec::new();
    let mut drain = |decoder: &mut StreamDecoder| -> Result<(), Failure> {
        while let Some(event) = decoder.next_event()? {
            events.push(event);
        }
        Ok(())
    };
    let decode = || {
        for chunk in chunks {
            decoder.push(chunk);
            drain(&mut decoder)?;
        }
        decoder.finish();
        drain(&mut decoder)
    };
    let failure = decode().err();
    Reading { events, failure }
}

/// An answer, with what the SDKs' readings can be compared to.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) text: String,
    pub(crate) thinking: Vec<String>,
    pub(crate) refusal: String,
    pub(crate) calls: Vec<(String, String, String)>,
    pub(crate) finish: String,
    pub(crate) stop_sequence: String,
    pub(crate) usage: Usage,
    /// What kind each block is, in the words of the dialect.
    pub(crate) kinds: Vec<String>,
    pub(crate) signatures: u64,
    pub(crate) citations: u64,
    pub(crate) extra: Extra,
}

impl Answer {
    /// What a stream came to, even one that broke off.
    pub(crate) fn of_stream(dialect: Dialect, events: &[StreamEvent]) -> Self {
        let mut partial = Partial::new();
        events.iter().cloned().for_each(|event| partial.push(event));
        if partial.is_whole() {
            return Self::of_response(dialect, partial.whole().expect("it is whole"));
        }
        let mut answer = Self { usage: *partial.usage(), ..Self::default() };
        partial.content().for_each(|block| answer.take(dialect, block));
        answer
    }

    pub(crate) fn of_response(dialect: Dialect, response: Response) -> Self {
        let mut answer = Self {
            id: response.id.unwrap_or_default(),
            model: response.model.unwrap_or_default(),
            finish: response.finish_raw.unwrap_or_default(),
            stop_sequence: response.stop_sequence.unwrap_or_default(),
            usage: response.usage,
            extra: response.extra,
            ..Self::default()
        };
        response.content.iter().for_each(|block| answer.take(dialect, block));
        answer
    }

    fn take(&mut self, dialect: Dialect, block: &Block) {
        self.kinds.extend(kind(dialect, block));
        match block {
            Block::Text(text) => {
                self.text.push_str(&text.text);
                self.signatures += u64::from(text.signature.is_some());
                self.citations += u64::try_from(text.citations.len()).unwrap_or(u64::MAX);
            }
            Block::Refusal(refusal) => self.refusal.push_str(&refusal.text),
            Block::Thinking(thinking) => {
                self.thinking.push(thinking.text.clone());
                self.signatures += u64::from(thinking.signature.is_some());
            }
            Block::ToolCall(call) => {
                self.calls.push((call.id.clone(), call.name.clone(), call.arguments.clone()));
                self.signatures += u64::from(call.signature.is_some());
            }
            Block::Opaque(opaque) if dialect == Dialect::Gemini => {
                self.signatures += u64::from(opaque.json.as_str().contains("\"thoughtSignature\""));
            }
            _ => {}
        }
    }
}

/// What the dialect calls a block, or the item that it begins.
fn kind(dialect: Dialect, block: &Block) -> Option<String> {
    let word =
        match (dialect, block) {
            (Dialect::OpenAiResponses, Block::Text(_) | Block::Refusal(_)) => {
                // Later parts of a message are of the same item.
                let begins = block.extra().is_some_and(|extra| extra.get(dialect, "item").is_some());
                return begins.then(|| "message".to_owned());
            }
            (_, Block::Opaque(opaque)) => {
                let json: serde_json::Value = serde_json::from_str(opaque.json.as_str()).expect("JSON");
                return match dialect {
                    Dialect::Gemini => {
                        let keys = json.as_object().expect("an object").keys();
                        keys.filter(|key| !key.starts_with("thought")).map(|key| snake(key)).next()
                    }
                    _ => json["type"].as_str().map(str::to_owned),
                };
            }
            (Dialect::OpenAiResponses, Block::ToolCall(call)) => {
                if call.extra.get(dialect, "type").is_some() { "custom_tool_call" } else { "function_call" }
            }
            (Dialect::OpenAiResponses, Block::Thinking(_)) => "reasoning",
            (Dialect::Anthropic, Block::ToolCall(_)) => "tool_use",
            (Dialect::Gemini, Block::ToolCall(_)) => "function_call",
            (Dialect::Gemini, Block::Thinking(_)) => "thought:text",
            (_, Block::Thinking(_)) => "thinking",
            (_, block) => block.kind(),
        };
    Some(word.to_owned())
}

fn snake(name: &str) -> String {
    name.chars()
        .flat_map(|c| if c.is_ascii_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] })
        .collect()
}
