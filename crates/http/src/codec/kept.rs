//! The bytes of a stream, kept until whoever forwards them takes them.

use std::mem;

/// Bytes that have arrived and were not taken yet.
#[derive(Debug)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    /// Most of them to hold.
    most: usize,
    /// How many of them belong to events that were read whole and without an error.
    whole: usize,
    /// How many were taken last: about as much comes until the next time.
    last: usize,
}

impl Kept {
    pub(super) fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most, whole: 0, last: 0 }
    }

    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Holds on to a chunk. Whether there was room for it.
    pub(super) fn push(&mut self, chunk: &[u8]) -> bool {
        let fits = self.bytes.len().saturating_add(chunk.len()) <= self.most;
        if fits {
            if self.bytes.is_empty() {
                self.bytes.reserve(self.last.max(chunk.len()));
            }
            self.bytes.extend_from_slice(chunk);
        }
        fits
    }

    /// All but the last `unread` bytes have been read.
    pub(super) fn read_up_to(&mut self, unread: usize) {
        self.whole = self.bytes.len().saturating_sub(unread);
    }

    /// How many bytes there are to take.
    pub(super) fn ready(&self) -> usize {
        self.whole
    }

    /// Adds what has been read to `into`.
    pub(super) fn take(&mut self, into: &mut Vec<u8>) {
        if self.whole == 0 {
            return;
        }
        self.last = self.whole;
        if into.is_empty() {
            let rest = self.bytes.split_off(self.whole);
            *into = mem::replace(&mut self.bytes, rest);
        } else {
            into.extend(self.bytes.drain(..self.whole));
        }
        self.whole = 0;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use leverframe_core::model::{Dialect, StreamEvent};
    use proptest::prelude::*;

    use crate::{codec::StreamDecoder, sse::Limits};

    const STREAM: &str = concat!(
        ": hello\n\n",
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"caf\u{e9}\"}}]}\r\n\r\n",
        ": still there\n",
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"!\"},\"finish_reason\":\"stop\"}],\"x\":1}\n\n",
        "data: [DONE]\n\n",
    );

    /// What can be taken of a stream that arrives in these pieces, when it is
    /// looked at after each, and whether the answer is whole.
    fn forwarded(pieces: &[&[u8]], most: usize) -> (Vec<u8>, bool) {
        let mut decoder = StreamDecoder::new(Dialect::OpenAiChat, Limits::default()).keeping(most);
        let (mut taken, mut whole) = (Vec::new(), false);
        let mut read = |decoder: &mut StreamDecoder| {
            while let Ok(Some(event)) = decoder.next_event() {
                whole |= event == StreamEvent::End;
            }
            decoder.take_original(&mut taken);
        };
        for piece in pieces {
            decoder.push(Bytes::copy_from_slice(piece));
            read(&mut decoder);
        }
        decoder.finish();
        read(&mut decoder);
        (taken, whole)
    }

    fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut from = 0;
        let mut pieces = Vec::new();
        for cut in cuts.into_iter().chain([stream.len()]) {
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        pieces
    }

    proptest! {
        #[test]
        fn a_whole_stream_is_taken_byte_for_byte_however_it_arrives(
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let (taken, whole) = forwarded(&pieces(STREAM.as_bytes(), &cuts), 1 << 20);
            prop_assert!(whole);
            prop_assert_eq!(taken, STREAM.as_bytes());
        }

        #[test]
        fn of_a_stream_that_breaks_whole_events_are_taken_and_no_more(
            end in 0..STREAM.len(),
            cuts in prop::collection::vec(any::<usize>(), 0..6),
        ) {
            let stream = &STREAM.as_bytes()[..end];
            let (taken, whole) = forwarded(&pieces(stream, &cuts), 1 << 20);
            prop_assert!(stream.starts_with(&taken));
            // What is left is part of one event, with comments before it.
            let rest = String::from_utf8_lossy(&stream[taken.len()..]).replace("\r\n", "\n");
            prop_assert!(!rest.contains("}\n\n"), "{rest:?}");
            prop_assert!(!whole || taken.windows(13).any(|word| word == b"finish_reason"));
        }

        #[test]
        fn an_event_that_cannot_be_read_is_not_taken_nor_what_follows(
            cuts in prop::collection::vec(any::<usize>(), 0..6),
        ) {
            let stream = STREAM.replacen("data: [DONE]", "data: {\"id\":1", 1);
            let good = stream.find("data: {\"id\":1").expect("it is there");
            let (taken, whole) = forwarded(&pieces(stream.as_bytes(), &cuts), 1 << 20);
            prop_assert!(!whole);
            prop_assert_eq!(taken, &stream.as_bytes()[..good]);
        }
    }

    #[test]
    fn what_nobody_takes_is_given_up_at_the_limit() {
        let mut decoder = StreamDecoder::new(Dialect::OpenAiChat, Limits::default()).keeping(100);
        for _ in 0..30 {
            decoder.push(Bytes::from_static(b": nothing\n\n"));
            assert_eq!(decoder.next_event().expect("a comment"), None);
        }
        assert!(!decoder.keeps());
        let mut taken = Vec::new();
        decoder.take_original(&mut taken);
        assert_eq!(taken, b"");
    }
}
