//! Connections that are kept to be used again.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Uri, uri::Authority};
use http_body_util::Full;
use hyper::client::conn::http2;
use tokio::{runtime::Handle, sync::watch, task::AbortHandle, time::Instant};

use super::{TransportConfig, TransportError, clocks::after, http1::Http1};

/// Whom a connection is to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Host {
    pub(super) secure: bool,
    pub(super) authority: Authority,
}

impl Host {
    /// `None` for an address without one.
    pub(super) fn of(address: &Uri) -> Option<Self> {
        let secure = address.scheme_str() == Some("https");
        Some(Self { secure, authority: address.authority()?.clone() })
    }
}

/// A connection that an exchange can begin on.
pub(super) enum Ready {
    Http1(Box<Http1>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// The connections to all hosts.
#[derive(Debug)]
pub(super) struct Pool {
    hosts: Mutex<Hosts>,
    idle_timeout: Duration,
    max_idle: usize,
}

#[derive(Debug, Default)]
struct Hosts {
    kept: HashMap<Host, Kept>,
    /// Whoever sees to it that what is kept is let go of again.
    sweeper: Option<AbortHandle>,
}

#[derive(Debug)]
struct Kept {
    /// Not in use, and since when; that used last comes last.
    idle: Vec<(Box<Http1>, Instant)>,
    /// Shared by all exchanges, and when one last began on it.
    shared: Option<(http2::SendRequest<Full<Bytes>>, Instant)>,
    /// Whether the host speaks HTTP/2. `None` until it has been asked.
    speaks_http2: Option<bool>,
    /// Whoever connects for all, while it is not known that each needs a
    /// connection of its own.
    leader: Option<watch::Receiver<Outcome>>,
    /// When a connection was last asked for.
    asked_at: Instant,
}

/// What became of connecting: `None` for as long as it is under way, and when it
/// went well.
pub(super) type Outcome = Option<TransportError>;

/// Who makes a connection where there is none.
pub(super) enum Turn {
    /// Each its own.
    Alone,
    /// This one, perhaps for all. Others wait until the sender is dropped, or has
    /// an error for them.
    First(watch::Sender<Outcome>),
    /// Another one, who is to be waited for.
    After(watch::Receiver<Outcome>),
}

impl Kept {
    fn new(host: &Host, now: Instant) -> Self {
        Self {
            asked_at: now,
            idle: Vec::new(),
            shared: None,
            // HTTP/2 is settled on in the TLS handshake (RFC 9113, 3.2) and nowhere else.
            speaks_http2: (!host.secure).then_some(false),
            leader: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.shared.is_none()
    }

    fn is_being_connected(&self) -> bool {
        // One that is done, or was given up, has dropped its end.
        self.leader.as_ref().is_some_and(|leader| leader.has_changed().is_ok())
    }

    /// Takes out what is not to be kept.
    fn sweep(&mut self, unused_since: Instant, gone: &mut Vec<Ready>) {
        for (mut connection, since) in mem::take(&mut self.idle) {
            if since > unused_since && connection.is_idle() {
                self.idle.push((connection, since));
            } else {
                gone.push(Ready::Http1(connection));
            }
        }
        let is_over = |(connection, since): &mut (http2::SendRequest<_>, Instant)| {
            *since <= unused_since || connection.is_closed()
        };
        gone.extend(self.shared.take_if(is_over).map(|(connection, _)| Ready::Http2(connection)));
    }
}

impl Pool {
    pub(super) fn new(config: &TransportConfig) -> Self {
        Self {
            hosts: Mutex::default(),
            idle_timeout: config.pool_idle_timeout,
            max_idle: config.pool_max_idle_per_host,
        }
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        // Nothing panics while it is held; what is kept could be used if it did.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is there already.
    pub(super) fn take(&self, host: &Host, now: Instant) -> Option<Ready> {
        loop {
            let (mut connection, since) = {
                let mut hosts = self.hosts();
                let kept = hosts.kept.get_mut(host)?;
                if let Some((shared, used)) = &mut kept.shared
                    && shared.is_ready()
                {
                    *used = now;
                    return Some(Ready::Http2(shared.clone()));
                }
                kept.idle.pop()?
            };
            // Asked outside of the lock: it may have to read from its socket.
            if after(since, self.idle_timeout) > now && connection.is_idle() {
                return Some(Ready::Http1(connection));
            }
        }
    }

    /// Whose turn it is to connect.
    pub(super) fn turn(&self, host: &Host, now: Instant) -> Turn {
        let mut hosts = self.hosts();
        let kept = hosts.kept.entry(host.clone()).or_insert_with(|| Kept::new(host, now));
        kept.asked_at = now;
        if kept.speaks_http2 == Some(false) {
            return Turn::Alone;
        }
        if kept.is_being_connected()
            && let Some(leader) = &kept.leader
        {
            return Turn::After(leader.clone());
        }
        let (first, leader) = watch::channel(None);
        kept.leader = Some(leader);
        Turn::First(first)
    }

    /// A connection was made. `shared` is one that speaks HTTP/2.
    pub(super) fn connected(
        self: &Arc<Self>,
        host: &Host,
        shared: Option<http2::SendRequest<Full<Bytes>>>,
        now: Instant,
    ) {
        let mut hosts = self.hosts();
        let kept = hosts.kept.entry(host.clone()).or_insert_with(|| Kept::new(host, now));
        kept.speaks_http2 = Some(shared.is_some());
        if let Some(shared) = shared {
            kept.shared = Some((shared, now));
            drop(hosts);
            self.keep_swept();
        }
    }

    /// Keeps a connection whose exchange is over, if it is good for another.
    pub(super) fn put(self: &Arc<Self>, host: &Host, mut connection: Box<Http1>, now: Instant) {
        if !connection.is_idle() {
            return;
        }
        {
            let mut hosts = self.hosts();
            let kept = hosts.kept.entry(host.clone()).or_insert_with(|| Kept::new(host, now));
            if kept.idle.len() < self.max_idle {
                kept.idle.push((connection, now));
            }
        }
        self.keep_swept();
    }

    /// Sees to it that connections are let go of which have not been used for
    /// too long, or which their servers have closed.
    fn keep_swept(self: &Arc<Self>) {
        let mut hosts = self.hosts();
        if hosts.sweeper.as_ref().is_some_and(|sweeper| !sweeper.is_finished()) {
            return;
        }
        // Who reads an answer outside of a runtime leaves that to the next.
        let Ok(runtime) = Handle::try_current() else { return };
        let pool = Arc::downgrade(self);
        let pause = (self.idle_timeout / 4).max(LEAST_PAUSE);
        // Ends by itself when nothing is kept, and with the pool.
        let sweeping = runtime.spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                if !pool.upgrade().is_some_and(|pool| pool.sweep(Instant::now())) {
                    return;
                }
            }
        });
        hosts.sweeper = Some(sweeping.abort_handle());
    }

    /// Whether anything is left.
    fn sweep(&self, now: Instant) -> bool {
        // Closed once the lock is open again.
        let mut gone = Vec::new();
        let mut hosts = self.hosts();
        if let Some(unused_since) = now.checked_sub(self.idle_timeout) {
            hosts.kept.values_mut().for_each(|kept| kept.sweep(unused_since, &mut gone));
        }
        // What a host speaks is worth knowing for longer than a connection to it is.
        let is_known = |kept: &Kept| kept.is_being_connected() || after(kept.asked_at, KNOWN_FOR) > now;
        hosts.kept.retain(|_, kept| !kept.is_empty() || is_known(kept));
        let is_left = hosts.kept.values().any(|kept| !kept.is_empty());
        if !is_left {
            // Another one begins with the next connection that is kept.
            hosts.sweeper = None;
        }
        is_left
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let hosts = self.hosts.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(sweeper) = &hosts.sweeper {
            sweeper.abort();
        }
    }
}

/// How long it is remembered what a host speaks that nobody asks any more.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);

const LEAST_PAUSE: Duration = Duration::from_millis(50);
