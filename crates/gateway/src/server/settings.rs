//! What the server lets its clients do.

use std::time::Duration;

/// How the server treats its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most bytes of a request's body.
    pub max_body: usize,
    /// Most bytes of all requests' bodies that are held at a time. Beyond it
    /// requests are told to come again.
    pub max_bodies: usize,
    /// Most bytes of a request's head.
    pub max_head: usize,
    /// How long a request's head may take to arrive, and a connection's first
    /// one to begin.
    pub head_within: Duration,
    /// How long its body may take.
    pub body_within: Duration,
    /// How long a client may leave what is sent to it unread, on its
    /// connection and, with HTTP/2, on each stream.
    pub write_within: Duration,
    /// How long a connection is kept on which nothing is asked. One of
    /// HTTP/1.1 is given up after `head_within` already.
    pub idle_within: Duration,
    /// How long a client that was refused may go on sending. It reads why only
    /// when it is done, and would not if its connection were gone by then.
    pub linger_within: Duration,
    /// Bytes the system may hold of what a connection is sent. It would come to
    /// megabytes, for each client that does not read.
    pub send_buffer: u32,
    /// How long requests have to end when the server does.
    pub drain_within: Duration,
    /// Most connections at a time. For one more, the one on which nothing has
    /// been asked for longest is closed; if all are in use, it waits.
    pub connections: usize,
}

impl Default for Settings {
    /// 32 MiB, 1 GiB, 64 KiB, 10 s, 60 s, 60 s, 120 s, 5 s, 256 KiB, 30 s, 20 000.
    fn default() -> Self {
        Self {
            max_body: 32 << 20,
            max_bodies: 1 << 30,
            max_head: 64 << 10,
            head_within: Duration::from_secs(10),
            body_within: Duration::from_secs(60),
            write_within: Duration::from_secs(60),
            idle_within: Duration::from_secs(120),
            linger_within: Duration::from_secs(5),
            send_buffer: 256 << 10,
            drain_within: Duration::from_secs(30),
            connections: 20_000,
        }
    }
}
