//! TLS towards clients, where it does not end at something in front.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Handle, Server, Settings};

/// A certificate and its key. `Debug` shows neither.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is no PEM.
    #[error("cannot read {}: {error}; it has to be a PEM file", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: pem::Error,
    },
    /// There is no certificate in it.
    #[error("there is no certificate in {}", .0.display())]
    NoCertificate(PathBuf),
    /// The key is not the certificate's, say.
    #[error("the certificate cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads a certificate, with those between it and its authority after it,
    /// and its key. HTTP/2 and HTTP/1.1 are offered, over TLS 1.2 and 1.3.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let unread = |path: &Path| {
            let path = path.to_owned();
            |error| TlsError::File { path, error }
        };
        let chain = CertificateDer::pem_file_iter(certificate).map_err(unread(certificate))?;
        let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(unread(certificate))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(certificate.to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(unread(key))?;
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// The certificate of the moment: a reload may bring one that is valid for longer.
#[derive(Debug, Default)]
pub(super) struct Slot(RwLock<Option<Tls>>);

impl Slot {
    pub(super) fn get(&self) -> Option<Tls> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, tls: Option<Tls>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tls;
    }
}

impl Server {
    /// Speaks TLS with its clients, and nothing else.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        self.shared.tls.set(tls);
        self
    }
}

impl Handle {
    /// Connections from now on get this certificate. Whether that is so: one who
    /// speaks TLS does not stop to while it runs, and one who does not does not
    /// begin to.
    pub fn renew(&self, tls: Option<Tls>) -> bool {
        let is_renewed = tls.is_some() == self.shared.tls.get().is_some();
        if is_renewed {
            self.shared.tls.set(tls);
        }
        is_renewed
    }
}

/// The connection, behind the handshake if there is to be one. `None` if that
/// comes to nothing: the client is told by TLS itself, or says nothing.
pub(super) async fn begin(tls: Option<Tls>, stream: TcpStream, settings: &Settings) -> Option<Stream> {
    let Some(Tls(acceptor)) = tls else { return Some(Stream::Plain(stream)) };
    let shaken = tokio::time::timeout(settings.head_within, acceptor.accept(stream)).await;
    Some(Stream::Tls(Box::new(shaken.ok()?.ok()?)))
}

/// A connection with or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
