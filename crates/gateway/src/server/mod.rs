//! The front door: an HTTP server that speaks the four dialects.
//!
//! `paths` says what a request is for, `door` who may ask, `ask` puts it to the
//! router, `reply` and `stream` write what came of it in the caller's dialect.
//! The router does the rest, as it does for those who use it as a library.

mod admin;
mod allowance;
mod ask;
mod body;
mod door;
mod list;
mod paths;
mod reply;
mod socket;
mod stream;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use leverframe_router::{Dialect, Router};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use crate::metrics::Scraped;
pub use admin::Admin;
pub use door::{Door, KeyError, VirtualKey};
use reply::Reply;
use socket::Socket;

/// How the server treats its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most bytes of a request's body.
    pub max_body: usize,
    /// Most bytes of a request's head.
    pub max_head: usize,
    /// How long a request's head may take to arrive.
    pub head_within: Duration,
    /// How long its body may take.
    pub body_within: Duration,
    /// How long a client may leave what is sent to it unread.
    pub write_within: Duration,
    /// How long requests have to end when the server does.
    pub drain_within: Duration,
    /// Most connections at a time. More wait to be accepted.
    pub connections: usize,
}

impl Default for Settings {
    /// 32 MiB, 64 KiB, 10 s, 60 s, 60 s, 30 s, 20 000.
    fn default() -> Self {
        Self {
            max_body: 32 << 20,
            max_head: 64 << 10,
            head_within: Duration::from_secs(10),
            body_within: Duration::from_secs(60),
            write_within: Duration::from_secs(60),
            drain_within: Duration::from_secs(30),
            connections: 20_000,
        }
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    live: RwLock<Arc<Live>>,
    settings: Settings,
    scraped: Option<Scraped>,
    admin: Arc<admin::Slot>,
}

/// What a reload replaces as a whole.
#[derive(Debug)]
struct Live {
    router: Router,
    door: Door,
}

impl Shared {
    /// What a request that begins now is answered with, to its end.
    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Changes a server that runs.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Handle {
    /// Answers with these from the next request on. Requests under way end as
    /// they began. A key that keeps its name and its limits keeps what it has used.
    ///
    /// # Errors
    /// [`ServerError::OpenToAll`]; then nothing changes.
    pub fn reload(&self, router: Router, door: Door) -> Result<(), ServerError> {
        check(self.address, &door)?;
        let door = door.in_place_of(&self.shared.live().door);
        let live = Arc::new(Live { router, door });
        *self.shared.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        Ok(())
    }
}

/// Whoever reaches an address from elsewhere needs a key.
fn check(address: SocketAddr, door: &Door) -> Result<(), ServerError> {
    match !address.ip().is_loopback() && door.is_open() {
        true => Err(ServerError::OpenToAll(address)),
        false => Ok(()),
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    /// What it was asked to listen on.
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// Why a server cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Anyone who reaches the address could spend the providers' money.
    #[error(
        "{0} can be reached from other machines, and no key is asked for; configure keys ([[keys]]), or listen on \
         127.0.0.1"
    )]
    OpenToAll(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose another port, or stop what uses it")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        error: io::Error,
    },
}

impl Server {
    /// Listens. Nothing is accepted before [`run`](Self::run).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn bind(
        address: SocketAddr,
        router: Router,
        door: Door,
        settings: Settings,
    ) -> Result<Self, ServerError> {
        check(address, &door)?;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| ServerError::Listen { address, error })?;
        let live = RwLock::new(Arc::new(Live { router, door }));
        Ok(Self {
            listener,
            address,
            shared: Arc::new(Shared { live, settings, scraped: None, admin: Arc::default() }),
        })
    }

    /// Tells Prometheus, at `/metrics`, what `scraped` counted.
    #[must_use]
    pub fn with_metrics(self, scraped: Scraped) -> Self {
        let (live, settings) = (RwLock::new(self.shared.live()), self.shared.settings);
        let admin = Arc::clone(&self.shared.admin);
        let shared = Shared { live, settings, scraped: Some(scraped), admin };
        Self { shared: Arc::new(shared), ..self }
    }

    /// What changes it while it runs.
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared), address: self.address }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is ready, then lets what is under way end, for as
    /// long as the settings say.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, shared, .. } = self;
        let settings = shared.settings;
        let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(settings.connections)));
        let builder = Arc::new(builder(&settings));
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                // Never closed.
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut stop => break,
            };
            while connections.try_join_next().is_some() {}
            let Ok((socket, _)) = accepted else {
                // No file is left to open it with, say: others have to end first.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let (shared, builder) = (Arc::clone(&shared), Arc::clone(&builder));
            let watcher = graceful.watcher();
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    // Boxed: it is large, and a connection is kept for longer than it takes.
                    let answer = Box::pin(answer(shared, request));
                    async move { Ok::<_, std::convert::Infallible>(answer.await) }
                });
                let socket = TokioIo::new(prepared(socket, &settings));
                let connection = builder.serve_connection(socket, service);
                // What went wrong with a connection was its client's to hear.
                let _ = watcher.watch(connection.into_owned()).await;
                drop(place);
            });
        }
        drop(listener);
        let _ = tokio::time::timeout(settings.drain_within, graceful.shutdown()).await;
        connections.shutdown().await;
    }
}

fn prepared(socket: TcpStream, settings: &Settings) -> Socket {
    // A small piece of a stream is not to wait for the next one.
    let _ = socket.set_nodelay(true);
    Socket::new(socket, settings.write_within)
}

fn builder(settings: &Settings) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.head_within)
        .max_buf_size(settings.max_head.max(MIN_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(settings.max_head).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(30)));
    builder
}

/// The least hyper takes.
const MIN_BUFFER: usize = 8_192;

/// Most requests at a time on one HTTP/2 connection.
const MOST_STREAMS: u32 = 250;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Reply> {
    let (head, body) = request.into_parts();
    let live = shared.live();
    if let Some(answered) = shared.admin.answer(&live.router, &head) {
        return answered;
    }
    match paths::target(&head) {
        Ok(paths::Target::Health) => reply::text("ok\n"),
        Ok(paths::Target::Ready) => reply::text("ready\n"),
        // What is asked for, and what it costs, is not for everyone.
        Ok(paths::Target::Metrics) => match (live.door.enter(&head), &shared.scraped) {
            (Err(failure), _) => door::refuse(Dialect::OpenAiChat, &failure),
            (Ok(_), Some(Scraped { metrics, log })) => {
                reply::metrics(metrics.text(&live.router, log.as_deref()))
            }
            (Ok(_), None) => reply::metrics("# EOF\n".to_owned()),
        },
        Ok(paths::Target::Ask(ask)) => ask::answer(&live, &shared.settings, &head, ask, body).await,
        Ok(paths::Target::Count { dialect, model }) => {
            ask::count(&live, &shared.settings, &head, dialect, model, body).await
        }
        Ok(paths::Target::Models(dialect)) => list::models(&live, &head, dialect).await,
        Ok(paths::Target::Model(dialect, name)) => list::model(&live, &head, dialect, &name).await,
        Err(refused) => refused.reply(),
    }
}

/// Seconds since the Unix epoch, for `created` and its like.
#[expect(clippy::disallowed_methods, reason = "what clients are told is the time of day")]
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
