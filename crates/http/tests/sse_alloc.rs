//! An event that lies in one chunk costs no allocation.

use bytes::{Bytes, BytesMut};
use leverframe_http::sse::{Decoder, Item, Limits};

/// A chunk as hyper hands it out: shared memory, so that slicing only counts.
fn chunk(text: &str) -> Bytes {
    let mut buffer = BytesMut::from(text);
    buffer.split().freeze()
}

#[test]
fn an_event_within_a_chunk_costs_no_allocation() {
    let text = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"text\":\"hé\"}\n\n";
    let mut decoder = Decoder::new(Limits::default());
    // The first line of a stream may hold a byte order mark and is copied.
    decoder.push(chunk(": first line\n"));
    assert_eq!(decoder.next_item(), Ok(None));

    let input = chunk(&text.repeat(200));
    let mut events = 0;
    let cost = allocation_counter::measure(|| {
        decoder.push(input);
        while let Ok(Some(Item::Event(event))) = decoder.next_item() {
            assert!(event.event.is_some());
            events += 1;
        }
    });
    assert_eq!(events, 200);
    assert_eq!(cost.count_total, 0);
}

#[test]
fn events_that_span_chunks_share_a_buffer() {
    let text = "data: {\"type\":\"content_block_delta\",\"text\":\"hello\"}\n\n".repeat(2000);
    let pieces: Vec<Bytes> = text.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
    let mut decoder = Decoder::new(Limits::default());
    let mut events = 0;
    let cost = allocation_counter::measure(|| {
        for piece in pieces {
            decoder.push(piece);
            while let Ok(Some(_)) = decoder.next_item() {
                events += 1;
            }
        }
    });
    assert_eq!(events, 2000);
    assert!(cost.count_total < 100, "{} allocations for {events} events", cost.count_total);
}

#[test]
fn a_used_up_chunk_is_let_go() {
    let input = chunk("data: 1\n\ndata: 2\n\nda");
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(input.clone());
    while let Ok(Some(_)) = decoder.next_item() {}
    assert!(input.is_unique(), "the decoder still holds the chunk");
}
