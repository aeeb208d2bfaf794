//! From the bytes of a streamed answer to stream events.

use std::collections::VecDeque;

use bytes::Bytes;
use leverframe_core::{
    error::{ErrorKind, Failure},
    model::{Dialect, StreamEvent},
};

use super::{anthropic, gemini, kept::Kept, openai_chat, openai_responses};
use crate::sse::{self, SseError};

/// Decodes a streamed answer: bytes in, [`StreamEvent`]s out.
///
/// Hand over chunks with [`push`](Self::push) and take events with
/// [`next_event`](Self::next_event) until there is none; call
/// [`finish`](Self::finish) when the body has ended, and take the rest. How the
/// bytes are split makes no difference.
#[derive(Debug)]
pub struct StreamDecoder {
    sse: sse::Decoder,
    dialect: DialectDecoder,
    ready: VecDeque<StreamEvent>,
    /// What ended the stream, until the events before it are taken.
    failure: Option<Failure>,
    /// Nothing more is read: the answer has ended, or broken off.
    over: bool,
    /// The bytes as they came, where someone wants them.
    kept: Option<Kept>,
}

/// One dialect's reading of server-sent events.
///
/// An implementation pushes [`StreamEvent::End`] when its terminal rule is met
/// and ignores whatever follows.
pub(super) trait ReadStream {
    /// Reads one item.
    fn read(&mut self, item: sse::Item, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure>;

    /// The body has ended: pushes [`StreamEvent::End`] where that completes the
    /// answer, and fails as [`interrupted`] where it does not.
    fn end(&mut self, ready: &mut VecDeque<StreamEvent>) -> Result<(), Failure>;
}

#[derive(Debug)]
enum DialectDecoder {
    Anthropic(anthropic::stream::Reader),
    Gemini(gemini::stream::Reader),
    OpenAiChat(openai_chat::stream::Reader),
    OpenAiResponses(openai_responses::stream::Reader),
}

/// Events for which there is room all the time: few chunks have more.
const READY: usize = 4;

impl StreamDecoder {
    /// A decoder for one answer in `dialect`.
    pub fn new(dialect: Dialect, limits: sse::Limits) -> Self {
        let dialect = match dialect {
            Dialect::Anthropic => DialectDecoder::Anthropic(anthropic::stream::Reader::default()),
            Dialect::Gemini => DialectDecoder::Gemini(gemini::stream::Reader::default()),
            Dialect::OpenAiChat => DialectDecoder::OpenAiChat(openai_chat::stream::Reader::default()),
            Dialect::OpenAiResponses => {
                DialectDecoder::OpenAiResponses(openai_responses::stream::Reader::default())
            }
        };
        Self {
            sse: sse::Decoder::new(limits),
            dialect,
            ready: VecDeque::new(),
            failure: None,
            over: false,
            kept: None,
        }
    }

    /// Keeps the bytes as well, for [`take_original`](Self::take_original) to take.
    /// From before the first [`push`](Self::push) on; later calls change how much
    /// is kept. Beyond `most` bytes it is given up.
    #[must_use]
    pub fn keeping(mut self, most: usize) -> Self {
        match &mut self.kept {
            Some(kept) => kept.set_most(most),
            None => self.kept = Some(Kept::new(most)),
        }
        self
    }

    /// Gives up keeping the bytes.
    pub fn forget(&mut self) {
        self.kept = None;
    }

    /// Whether every byte that was pushed is kept until it is taken.
    pub fn keeps(&self) -> bool {
        self.kept.is_some()
    }

    /// Adds to `into` the bytes of all events that were read without an error
    /// and not taken yet, with what is between them. Of an event that is not
    /// whole nothing is taken.
    pub fn take_original(&mut self, into: &mut Vec<u8>) {
        if let Some(kept) = &mut self.kept {
            kept.take(into);
        }
    }

    /// How many bytes [`take_original`](Self::take_original) would add.
    pub fn original_ready(&self) -> usize {
        self.kept.as_ref().map_or(0, Kept::ready)
    }

    /// Hands over the next bytes of the body.
    pub fn push(&mut self, chunk: Bytes) {
        if let Some(kept) = &mut self.kept
            && !self.over
            && !kept.push(&chunk)
        {
            self.kept = None;
        }
        self.sse.push(chunk);
    }

    /// The next event, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`] for what is not in the dialect or passes a
    /// limit; the provider's own error when it reports one mid-stream. Once,
    /// after the events before it; then nothing more comes.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, Failure> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if self.ready.is_empty() && self.ready.capacity() > READY {
                    self.ready.shrink_to(READY);
                }
                // Whatever follows the end does not concern the answer, not even if it is broken.
                if matches!(event, StreamEvent::End) {
                    (self.over, self.failure) = (true, None);
                }
                return Ok(Some(event));
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if self.over {
                return Ok(None);
            }
            let read = match self.sse.next_item() {
                Ok(None) => {
                    self.note_place();
                    return Ok(None);
                }
                Ok(Some(item)) => self.dialect.reader().read(item, &mut self.ready),
                Err(error) => Err(broken_framing(error)),
            };
            self.note(read);
        }
    }

    /// The body has ended. What remains is taken with
    /// [`next_event`](Self::next_event): events, and then
    /// [`ErrorKind::Interrupted`] if the provider has not said that the answer
    /// is complete.
    pub fn finish(&mut self) {
        while !self.over {
            let read = match self.sse.finish() {
                Ok(Some(item)) => self.dialect.reader().read(item, &mut self.ready),
                // A body cut inside a character was cut, not written wrongly.
                Err(SseError::InvalidUtf8) => Err(interrupted("the rest of its last event")),
                Err(error) => Err(broken_framing(error)),
                Ok(None) => {
                    let end = self.dialect.reader().end(&mut self.ready);
                    return self.note(end);
                }
            };
            // Without its blank line an event is whole only if the answer is.
            if let Err(failure) = read {
                self.broke(failure);
            }
        }
    }

    fn note(&mut self, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => self.note_place(),
            Err(failure) => self.broke(failure),
        }
    }

    fn broke(&mut self, failure: Failure) {
        self.over = true;
        self.failure = Some(failure);
    }

    /// Everything up to here may be taken, unless an event is open.
    fn note_place(&mut self) {
        if let Some(kept) = &mut self.kept
            && self.sse.is_between_events()
        {
            kept.read_up_to(self.sse.unread());
        }
    }
}

impl DialectDecoder {
    fn reader(&mut self) -> &mut dyn ReadStream {
        match self {
            Self::Anthropic(reader) => reader,
            Self::Gemini(reader) => reader,
            Self::OpenAiChat(reader) => reader,
            Self::OpenAiResponses(reader) => reader,
        }
    }
}

/// The failure of a body that ended too early. `missing` is the frame that
/// would have completed it.
pub(super) fn interrupted(missing: &str) -> Failure {
    Failure::new(ErrorKind::Interrupted, format!("the stream ended without {missing}"))
}

fn broken_framing(error: SseError) -> Failure {
    Failure::new(ErrorKind::Unreadable, "the event stream cannot be read").with_source(error)
}
