//! HTTP/2 as no library would write it: frames by hand.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{BEGINS, EVENTS, Gateway, Growth, PATIENCE, PROVOKED_STREAM, delta, provoked, settings};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as HPACK writes what is in no table.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short"));
            assert!(text.len() < 127, "longer ones are written otherwise");
            block.extend(text.as_bytes());
        }
    }
    block
}

fn request() -> Vec<u8> {
    block(&[(":method", "POST"), (":scheme", "http"), (":path", "/v1/messages"), (":authority", "x")])
}

/// A connection that has begun, with settings of its own.
async fn begun(gateway: &Gateway, own: &[u8]) -> TcpStream {
    let mut socket = gateway.connect().await;
    socket.write_all(PREFACE).await.expect("is taken");
    socket.write_all(&frame(SETTINGS, 0, 0, own)).await.expect("is taken");
    socket
}

/// The next frame: its kind, flags, stream and payload. `None` at the end.
async fn next(socket: &mut (impl AsyncReadExt + Unpin)) -> Option<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    let read = timeout(PATIENCE, socket.read_exact(&mut head)).await.expect("it goes on or ends");
    read.ok()?;
    let [a, b, c, kind, flags, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    socket.read_exact(&mut payload).await.ok()?;
    Some((kind, flags, u32::from_be_bytes(stream), payload))
}

/// All kinds of frames until the end, and why it ended, if that was said.
async fn to_end(socket: &mut (impl AsyncReadExt + Unpin)) -> (Vec<u8>, Option<u32>) {
    let (mut kinds, mut why) = (Vec::new(), None);
    while let Some((kind, _, _, payload)) = next(socket).await {
        kinds.push(kind);
        if kind == GOAWAY {
            why = payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().expect("four")));
        }
    }
    (kinds, why)
}

#[tokio::test]
async fn what_is_no_http2_ends_the_connection() {
    let (gateway, world) = Gateway::emulated(settings()).await;
    let memory = Growth::from_now();
    let cases: [(&str, Vec<u8>); 9] = [
        ("garbage", vec![0x55; 4_000]),
        ("HTTP/1.1 after the preface", b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_vec()),
        ("a frame of 16 MB", [&[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1][..], &[0; 100_000]].concat()),
        ("data of no stream", frame(DATA, 0, 1, b"x")),
        ("a stream of the server's", frame(HEADERS, END_HEADERS, 2, &request())),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &request())),
        ("fields that are none", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 64])),
        ("a window of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        ("settings of half a size", frame(SETTINGS, 0, 0, &[0; 7])),
    ];
    for (what, bytes) in cases {
        let mut socket = gateway.connect().await;
        socket.write_all(PREFACE).await.expect("is taken");
        if what != "garbage" && what != "HTTP/1.1 after the preface" {
            socket.write_all(&frame(SETTINGS, 0, 0, &[])).await.expect("is taken");
        }
        let _ = socket.write_all(&bytes).await;
        let (kinds, why) = to_end(&mut socket).await;
        assert!(kinds.is_empty() || why.is_none_or(|why| why != 0), "{what}: {kinds:?} {why:?}");
        assert!(!kinds.contains(&HEADERS), "{what}: it is not answered");
    }
    assert_eq!(world.calls("claude"), 0);
    memory.at_most(8 << 20, "what is no HTTP/2");
    gateway.is_healthy().await;
}

/// CVE-2023-44487, CVE-2024-27316 and their kin: frames that cost the client
/// nothing.
#[tokio::test]
async fn floods_of_frames_end_the_connection() {
    let (gateway, world) = Gateway::emulated(settings()).await;
    let many = 20_000_u32;
    let ended = 50; // of so many rounds none is the last
    let flood = |what: &'static str, make: fn(u32) -> Vec<u8>| (what, make);
    let floods = [
        flood("resets", |nth| {
            let stream = nth * 2 + 1;
            [
                frame(HEADERS, END_HEADERS, stream, &request()),
                frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
            ]
            .concat()
        }),
        flood("continuations", |nth| match nth {
            0 => frame(HEADERS, 0, 1, &request()),
            _ => frame(CONTINUATION, 0, 1, &block(&[("x", &"y".repeat(100))])),
        }),
        flood("empty continuations", |nth| match nth {
            0 => frame(HEADERS, 0, 1, &request()),
            _ => frame(CONTINUATION, 0, 1, &[]),
        }),
        flood("resets the server has to send", |nth| {
            let stream = nth * 2 + 1;
            [frame(HEADERS, END_HEADERS, stream, &request()), frame(WINDOW_UPDATE, 0, stream, &[0; 4])]
                .concat()
        }),
    ];
    for (what, make) in floods {
        let memory = Growth::from_now();
        let socket = begun(&gateway, &[]).await;
        let (mut read, mut write) = socket.into_split();
        let mut sent = 0;
        let writes = async {
            for nth in 0..many {
                if write.write_all(&make(nth)).await.is_err() {
                    break;
                }
                sent = nth;
            }
        };
        let (kinds, why) = tokio::join!(writes, to_end(&mut read)).1;
        println!("{what}: ended after {sent} at most, {why:?}");
        assert!(why.is_none_or(|why| why != 0), "{what}: {kinds:?}");
        memory.at_most(16 << 20, what);
        gateway.is_healthy().await;
    }
    assert!(world.calls("claude") < 4 + ended, "{} calls of a provider", world.calls("claude"));
}

#[tokio::test]
async fn pings_nobody_reads_the_answers_of_take_no_memory() {
    let (gateway, _world) = Gateway::emulated(settings()).await;
    let memory = Growth::from_now();
    let mut socket = gateway.connect_narrow().await;
    socket.write_all(PREFACE).await.expect("is taken");
    let floods = [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])].concat().repeat(1_000);
    let writes = async { while socket.write_all(&floods).await.is_ok() {} };
    timeout(PATIENCE, writes).await.expect("given up, for nothing is read");
    memory.at_most(8 << 20, "pings");
    gateway.is_healthy().await;
}

#[tokio::test]
async fn a_request_of_hundreds_of_fields_is_refused_alone() {
    let (gateway, world) = Gateway::emulated(settings()).await;
    let mut socket = begun(&gateway, &[]).await;
    let mut fields = request();
    for _ in 0..600 {
        fields.extend(block(&[("x", "y")]));
    }
    socket.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields)).await.expect("is taken");
    let get = block(&[(":method", "GET"), (":scheme", "http"), (":path", "/healthz"), (":authority", "x")]);
    socket.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &get)).await.expect("is taken");
    let (mut refused, mut answered) = (false, false);
    while !(refused && answered) {
        let (kind, _, stream, payload) = next(&mut socket).await.expect("the connection lives on");
        refused |= stream == 1 && (kind == RST_STREAM || kind == HEADERS && !payload.is_empty());
        answered |= stream == 3 && kind == HEADERS;
    }
    assert_eq!(world.calls("claude"), 0);
}

/// A connection whose client answers every ping and asks nothing.
#[tokio::test]
async fn a_connection_nothing_is_asked_on_is_closed() {
    let (gateway, _world) = Gateway::emulated(settings()).await;
    for asks in [false, true] {
        let mut socket = begun(&gateway, &[]).await;
        if asks {
            let get =
                block(&[(":method", "GET"), (":scheme", "http"), (":path", "/healthz"), (":authority", "x")]);
            socket.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &get)).await.expect("is taken");
            // And one whose head has no end.
            socket.write_all(&frame(HEADERS, 0, 3, &request())).await.expect("is taken");
        }
        let (mut kinds, mut polite) = (Vec::new(), false);
        while let Some((kind, flags, _, payload)) = next(&mut socket).await {
            kinds.push(kind);
            polite |= kind == GOAWAY;
            if kind == PING && flags & ACK == 0 {
                let _ = socket.write_all(&frame(PING, ACK, 0, &payload)).await;
            }
        }
        assert!(polite, "asks {asks}: {kinds:?}");
    }
    gateway.is_healthy().await;
}

/// The connection is read and pings are answered, but a stream is left without
/// room: nothing waits to be written, so nothing ever ran out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_room_is_given_up_and_its_provider_let_go() {
    let (told, mut gone) = tokio::sync::mpsc::unbounded_channel();
    let piece = Arc::<str>::from(delta(4 << 10));
    let provider = move |mut stream: TcpStream| {
        let (told, piece) = (told.clone(), Arc::clone(&piece));
        async move {
            if provoked(&mut stream).await {
                stream.write_all(format!("{EVENTS}{BEGINS}").as_bytes()).await.expect("is taken");
                while stream.write_all(piece.as_bytes()).await.is_ok() {}
                let _ = told.send(());
            }
        }
    };
    let within = leverframe_gateway::server::Settings {
        write_within: Duration::from_millis(300),
        idle_within: PATIENCE * 5,
        ..settings()
    };
    let (gateway, _provider) = Gateway::over_with(within, PATIENCE, provider).await;
    let memory = Growth::from_now();
    // SETTINGS_INITIAL_WINDOW_SIZE: none, and room for a little.
    for window in [0_u32, 20_000] {
        let own = [&[0, 4][..], &window.to_be_bytes()].concat();
        let mut socket = begun(&gateway, &own).await;
        for stream in (1..20).step_by(2) {
            socket.write_all(&frame(HEADERS, END_HEADERS, stream, &request())).await.expect("is taken");
            socket
                .write_all(&frame(DATA, END_STREAM, stream, PROVOKED_STREAM.as_bytes()))
                .await
                .expect("is taken");
        }
        let mut reset = 0;
        while reset < 10 {
            let (kind, flags, _, payload) = next(&mut socket).await.expect("the connection lives on");
            reset += usize::from(kind == RST_STREAM);
            if kind == PING && flags & ACK == 0 {
                socket.write_all(&frame(PING, ACK, 0, &payload)).await.expect("is taken");
            }
        }
        for _ in 0..10 {
            timeout(PATIENCE, gone.recv()).await.expect("the provider is let go").expect("it runs");
        }
    }
    memory.at_most(24 << 20, "streams without room");
    gateway.is_healthy().await;
}
