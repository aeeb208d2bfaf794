//! An answer in the making.

use bytestring::ByteString;

use super::{
    Block, Dialect, Extra, Field, FinishReason, Json, Place, Refusal, Response, Signature, StreamEvent, Text,
    Thinking, ToolCall, Usage,
};

/// Folds stream events into the response a non-streaming call would give.
///
/// Total: every event of every order is accepted and nothing merges that does
/// not belong together. A delta whose block is of another kind opens a new
/// block rather than corrupting the old one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Partial {
    id: Option<ByteString>,
    model: Option<ByteString>,
    /// Blocks with the index they were opened under, in order of opening.
    blocks: Vec<(u32, Block)>,
    usage: Usage,
    message_extra: Extra,
    extra: Extra,
    /// Lists that are added to, each under its place and name.
    lists: Vec<List>,
    finish: Option<(FinishReason, ByteString, Option<ByteString>)>,
    ended: bool,
}

/// A list that grows. Its elements are joined as text and parsed once, when the
/// answer is whole: parsing it each time would take time quadratic in its length.
#[derive(Clone, Debug, PartialEq)]
struct List {
    of: Place,
    dialect: Dialect,
    name: String,
    elements: String,
}

/// Proof that the provider's own terminal frame was seen, without which a
/// stream cannot be completed.
///
/// Only a streaming lifecycle gives one
/// ([`Lifecycle::terminal_frame`](crate::lifecycle::Lifecycle::terminal_frame)),
/// and only after [`StreamEvent::End`].
#[derive(Debug)]
pub struct TerminalFrame(());

impl Partial {
    /// An answer of which nothing has arrived.
    pub fn new() -> Self {
        Self::default()
    }

    /// An answer that continues `text`, which the caller already has.
    pub(crate) fn continuing(text: &str) -> Self {
        let mut partial = Self::default();
        if !text.is_empty() {
            partial.blocks.push((0, Block::text(text)));
        }
        partial
    }

    /// Takes the next event in.
    pub fn push(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Start { id, model } => {
                self.id = id.or_else(|| self.id.take());
                self.model = model.or_else(|| self.model.take());
            }
            StreamEvent::TextDelta { index, text } => match self.block(index) {
                Some(Block::Text(whole)) => whole.text.push_str(&text),
                _ => self.open(index, Block::text(&*text)),
            },
            StreamEvent::RefusalDelta { index, text } => match self.block(index) {
                Some(Block::Refusal(whole)) => whole.text.push_str(&text),
                _ => self.open(index, Block::Refusal(Refusal::from(&*text))),
            },
            StreamEvent::ThinkingDelta { index, text } => match self.block(index) {
                Some(Block::Thinking(thinking)) => thinking.text.push_str(&text),
                _ => self.open(index, Block::Thinking(Thinking::new(&*text))),
            },
            StreamEvent::Signature { index, dialect, signature } => {
                self.sign(index, Signature { dialect, value: signature.to_string() });
            }
            StreamEvent::Citation { index, citation } => match self.block(index) {
                Some(Block::Text(text)) => text.citations.push(*citation),
                _ => self.open(index, Block::Text(Text { citations: vec![*citation], ..Text::default() })),
            },
            StreamEvent::ToolCallStart { index, id, name } => {
                self.open(index, Block::ToolCall(ToolCall::new(&*id, &*name, "")));
            }
            StreamEvent::ToolCallDelta { index, arguments } => match self.block(index) {
                Some(Block::ToolCall(call)) => call.arguments.push_str(&arguments),
                _ => self.open(index, Block::ToolCall(ToolCall::new("", "", &*arguments))),
            },
            StreamEvent::Extra { of, field, append: true } => self.append(of, *field),
            StreamEvent::Extra { of, field, append: false } => self.set(of, *field),
            StreamEvent::Opaque { index, block } => self.open(index, Block::Opaque(block)),
            StreamEvent::BlockEnd { .. } | StreamEvent::Switched(_) => {}
            StreamEvent::Usage(usage) => self.usage = usage,
            StreamEvent::Finish { reason, raw, stop_sequence } => {
                self.finish = Some((reason, raw, stop_sequence));
            }
            StreamEvent::End => self.ended = true,
        }
    }

    fn set(&mut self, of: Place, field: Field) {
        let extra = match of {
            Place::Block(index) => self.block(index).and_then(Block::extra_mut),
            Place::Message => Some(&mut self.message_extra),
            Place::Answer => Some(&mut self.extra),
        };
        // A field of a block that is not there belongs to nothing.
        if let Some(extra) = extra {
            extra.set(field);
        }
    }

    fn append(&mut self, of: Place, field: Field) {
        let text = field.value.as_str().trim();
        let Some(elements) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
            return self.set(of, field);
        };
        let elements = elements.trim();
        let same =
            |list: &&mut List| list.of == of && list.dialect == field.dialect && list.name == field.name;
        match self.lists.iter_mut().find(same) {
            Some(list) => {
                let comma = if list.elements.is_empty() || elements.is_empty() { "" } else { "," };
                list.elements.push_str(comma);
                list.elements.push_str(elements);
            }
            None => {
                let Field { dialect, name, .. } = &field;
                let (name, elements) = (name.clone(), elements.to_owned());
                self.lists.push(List { of, dialect: *dialect, name, elements });
            }
        }
    }

    /// Makes fields of the lists.
    fn close_lists(&mut self) {
        for List { of, dialect, name, elements } in std::mem::take(&mut self.lists) {
            // Elements of arrays that were parsed make one that can be.
            if let Ok(value) = Json::parse(format!("[{elements}]")) {
                self.set(of, Field { dialect, name, value });
            }
        }
    }

    fn sign(&mut self, index: u32, signature: Signature) {
        let place = match self.block(index) {
            Some(Block::Text(text)) => Some(&mut text.signature),
            Some(Block::Thinking(thinking)) => Some(&mut thinking.signature),
            Some(Block::ToolCall(call)) => Some(&mut call.signature),
            _ => None,
        };
        match place {
            Some(place) => *place = Some(signature),
            None => {
                let thinking = Thinking { signature: Some(signature), ..Thinking::default() };
                self.open(index, Block::Thinking(thinking));
            }
        }
    }

    fn block(&mut self, index: u32) -> Option<&mut Block> {
        self.blocks.iter_mut().rev().find(|(at, _)| *at == index).map(|(_, block)| block)
    }

    fn open(&mut self, index: u32, block: Block) {
        // Most answers have one, and a stream keeps it for long.
        if self.blocks.is_empty() {
            self.blocks.reserve_exact(1);
        }
        self.blocks.push((index, block));
    }

    /// All text so far, joined.
    pub fn text(&self) -> String {
        self.content()
            .filter_map(|block| match block {
                Block::Text(text) => Some(text.text.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The blocks so far, in order of opening.
    pub fn content(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().map(|(_, block)| block)
    }

    /// The latest usage the provider reported.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Whether nothing but plain text has arrived, so that another model could
    /// go on from where this one stopped.
    pub fn is_plain_text(&self) -> bool {
        self.content().all(|block| matches!(block, Block::Text(_)))
    }

    /// Whether the provider has said that the answer is whole.
    pub fn is_whole(&self) -> bool {
        self.ended
    }

    /// The whole answer, if the provider has said that it is whole.
    pub fn whole(self) -> Option<Response> {
        let proof = self.terminal_frame()?;
        Some(self.into_response(proof))
    }

    /// The evidence that completes a stream, once [`StreamEvent::End`] was seen.
    pub(crate) fn terminal_frame(&self) -> Option<TerminalFrame> {
        self.ended.then_some(TerminalFrame(()))
    }

    /// The whole answer.
    pub(crate) fn into_response(mut self, _proof: TerminalFrame) -> Response {
        self.close_lists();
        let (finish, raw, stop_sequence) = match self.finish {
            Some((reason, raw, stop)) => (reason, Some(raw.to_string()), stop),
            None => (FinishReason::Other, None, None),
        };
        Response {
            id: self.id.map(|id| id.to_string()),
            model: self.model.map(|model| model.to_string()),
            content: self.blocks.into_iter().map(|(_, block)| finished(block)).collect(),
            message_extra: self.message_extra,
            finish,
            finish_raw: raw,
            stop_sequence: stop_sequence.map(|sequence| sequence.to_string()),
            usage: self.usage,
            extra: self.extra,
        }
    }
}

/// A tool call without arguments streams none; its value is the empty object.
fn finished(mut block: Block) -> Block {
    if let Block::ToolCall(call) = &mut block
        && call.arguments.is_empty()
    {
        call.arguments.push_str("{}");
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(events: impl IntoIterator<Item = StreamEvent>) -> Partial {
        let mut partial = Partial::new();
        for event in events {
            partial.push(event);
        }
        partial
    }

    fn text(index: u32, text: &'static str) -> StreamEvent {
        StreamEvent::TextDelta { index, text: text.into() }
    }

    #[test]
    fn without_the_terminal_frame_there_is_no_response() {
        let finish =
            StreamEvent::Finish { reason: FinishReason::Stop, raw: "stop".into(), stop_sequence: None };
        let mut partial = fold([text(0, "Hel"), text(0, "lo"), finish]);
        assert!(partial.terminal_frame().is_none());
        partial.push(StreamEvent::End);
        let proof = partial.terminal_frame().expect("End was pushed");
        assert_eq!(partial.into_response(proof).text(), "Hello");
    }

    /// Found in review: each piece used to parse the whole list again.
    #[test]
    fn a_list_that_grows_takes_time_in_proportion() {
        const PIECES: usize = 200_000;
        let piece = |nth: usize| StreamEvent::Extra {
            of: Place::Answer,
            field: Box::new(Field {
                dialect: Dialect::OpenAiChat,
                name: "logprobs.content".to_owned(),
                value: Json::parse(format!("[ {nth} ]")).expect("JSON"),
            }),
            append: true,
        };
        let response = fold((0..PIECES).map(piece).chain([StreamEvent::End])).whole().expect("whole");
        let list = response.extra.get(Dialect::OpenAiChat, "logprobs.content").expect("kept").as_str();
        let numbers: Vec<usize> = serde_json::from_str(list).expect("a list of numbers");
        assert!(numbers.into_iter().eq(0..PIECES));
    }

    #[test]
    fn interleaved_tool_calls_do_not_merge() {
        let start =
            |index, id: &'static str| StreamEvent::ToolCallStart { index, id: id.into(), name: "f".into() };
        let delta = |index, json: &'static str| StreamEvent::ToolCallDelta { index, arguments: json.into() };
        let partial =
            fold([start(0, "a"), start(1, "b"), delta(0, "{\"x\":"), delta(1, "{}"), delta(0, "1}")]);
        let arguments: Vec<_> = partial
            .content()
            .map(|block| match block {
                Block::ToolCall(call) => (call.id.as_str(), call.arguments.as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(arguments, [("a", "{\"x\":1}"), ("b", "{}")]);
    }

    #[test]
    fn a_delta_of_another_kind_opens_a_block_of_its_own() {
        let thinking = StreamEvent::ThinkingDelta { index: 0, text: "hm".into() };
        let partial = fold([text(0, "a"), thinking, text(0, "b")]);
        assert_eq!(partial.content().count(), 3);
        assert!(!partial.is_plain_text());
    }
}
