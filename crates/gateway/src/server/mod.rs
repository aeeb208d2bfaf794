//! The front door: an HTTP server that speaks the four dialects.
//!
//! `paths` says what a request is for, `door` who may ask, `ask` puts it to the
//! router, `reply` and `stream` write what came of it in the caller's dialect.
//! The router does the rest, as it does for those who use it as a library.

mod admin;
mod allowance;
mod ask;
mod body;
mod connection;
mod door;
mod list;
mod paths;
mod places;
mod reply;
mod settings;
mod socket;
mod spoken;
mod stream;
mod streams;
mod tls;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::{Request, Response, header};
use hyper::body::Incoming;
use leverframe_router::{Dialect, Router};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinSet,
};

use crate::metrics::Scraped;
pub use admin::Admin;
use body::{Arriving, Room};
pub use door::{Door, KeyError, VirtualKey};
use places::Places;
use reply::Reply;
pub use settings::Settings;
use spoken::Builders;
pub use tls::{Tls, TlsError};

/// What all connections share.
#[derive(Debug)]
struct Shared {
    live: RwLock<Arc<Live>>,
    settings: Settings,
    /// For the bodies of requests.
    room: Room,
    scraped: Option<Scraped>,
    admin: Arc<admin::Slot>,
    tls: Arc<tls::Slot>,
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

fn listen(address: SocketAddr, settings: &Settings) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As the standard library does it: on Windows it means something else.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // The sockets that are accepted inherit it.
    socket.set_send_buffer_size(settings.send_buffer)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Most connections that wait to be accepted.
const BACKLOG: u32 = 1024;

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
        let listener = listen(address, &settings).map_err(|error| ServerError::Listen { address, error })?;
        let live = RwLock::new(Arc::new(Live { router, door }));
        Ok(Self {
            listener,
            address,
            shared: Arc::new(Shared {
                live,
                settings,
                room: Room::new(settings.max_bodies),
                scraped: None,
                admin: Arc::default(),
                tls: Arc::default(),
            }),
        })
    }

    /// Tells Prometheus, at `/metrics`, what `scraped` counted.
    #[must_use]
    pub fn with_metrics(self, scraped: Scraped) -> Self {
        let live = RwLock::new(self.shared.live());
        let (settings, room) = (self.shared.settings, self.shared.room.clone());
        let (admin, tls) = (Arc::clone(&self.shared.admin), Arc::clone(&self.shared.tls));
        let shared = Shared { live, settings, room, scraped: Some(scraped), admin, tls };
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
        let (places, builders) = (Places::new(settings.connections), Arc::new(Builders::new(&settings)));
        let (stopping, stopped) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                match listener.accept().await {
                    Ok((stream, _)) => Some((stream, places.take().await)),
                    Err(_) => None,
                }
            };
            let accepted = tokio::select! {
                accepted = accepted => accepted,
                () = &mut stop => break,
            };
            while connections.try_join_next().is_some() {}
            let Some((stream, place)) = accepted else {
                // No file is left to open it with, say: others have to end first.
                places.free_one();
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let (shared, builders) = (Arc::clone(&shared), Arc::clone(&builders));
            let (tls, stopped) = (shared.tls.get(), stopped.clone());
            connections.spawn(async move {
                // A small piece of a stream is not to wait for the next one.
                let _ = stream.set_nodelay(true);
                let begun = tokio::select! {
                    biased;
                    stream = tls::begin(tls, stream, &settings) => stream,
                    () = place.wanted() => None,
                };
                if let Some(stream) = begun {
                    connection::serve(shared, builders, stream, place, stopped).await;
                }
            });
        }
        drop(listener);
        stopping.send_replace(true);
        let ended = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(settings.drain_within, ended).await;
        connections.shutdown().await;
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Reply> {
    let (head, body) = request.into_parts();
    let live = shared.live();
    if let Some(answered) = shared.admin.answer(&live.router, &head) {
        return answered;
    }
    let coding = head.headers.get(header::CONTENT_ENCODING).cloned();
    let body = Arriving { incoming: body, coding, room: shared.room.clone() };
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
