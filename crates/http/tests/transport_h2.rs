//! The transport over TLS and HTTP/2, against hyper's own server.

#![expect(clippy::unwrap_used, reason = "in helpers of tests a panic is a failure")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Body as HttpBody, Frame};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use leverframe_core::error::Clock;
use leverframe_http::transport::{Clocks, Transport, TransportConfig, TransportError};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Sends one chunk, then nothing; says so when it is dropped.
struct Endless {
    first: Option<Bytes>,
    dropped: mpsc::UnboundedSender<()>,
}

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => Poll::Pending,
        }
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.dropped.send(());
    }
}

struct Provider {
    address: SocketAddr,
    connections: mpsc::UnboundedReceiver<()>,
    dropped: mpsc::UnboundedReceiver<()>,
    trusting: rustls::ClientConfig,
    _tasks: JoinSet<()>,
}

fn ring() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

async fn provider() -> Provider {
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = signed.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let trusting = rustls::ClientConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut server = rustls::ServerConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];

    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connected, connections) = mpsc::unbounded_channel();
    let (ended, dropped) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, connected, ended) = (acceptor.clone(), connected.clone(), ended.clone());
            open.spawn(async move {
                let Ok(socket) = acceptor.accept(socket).await else { return };
                let _ = connected.send(());
                let service = service_fn(move |_| {
                    let body =
                        Endless { first: Some(Bytes::from_static(b"data: x\n\n")), dropped: ended.clone() };
                    async move { Ok::<_, Infallible>(Response::new(body)) }
                });
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), service)
                    .await;
            });
        }
    });
    Provider { address, connections, dropped, trusting, _tasks: tasks }
}

impl Provider {
    fn request(&self) -> Request<Bytes> {
        Request::post(format!("https://{}/", self.address)).body(Bytes::from_static(b"{}")).unwrap()
    }

    fn transport(&self) -> Transport {
        Transport::with_tls(TransportConfig::default(), self.trusting.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn http2_is_used_where_offered_and_dropping_resets_the_stream_only() {
    let mut provider = provider().await;
    let transport = provider.transport();
    for _ in 0..2 {
        let mut response = transport.send(provider.request(), &Clocks::default()).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.body_mut().chunk().await.unwrap().unwrap(), "data: x\n\n");
        drop(response);
        provider.dropped.recv().await.unwrap();
    }
    provider.connections.recv().await.unwrap();
    assert!(provider.connections.try_recv().is_err(), "the connection was not used again");
}

#[tokio::test(start_paused = true)]
async fn a_crowd_shares_one_connection() {
    let mut provider = provider().await;
    let transport = provider.transport();
    let clocks = Clocks::default();
    let asking = (0..20).map(|_| transport.send(provider.request(), &clocks));
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(provider.connections.try_recv().is_ok() && provider.connections.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn keep_alive_pings_do_not_hold_back_the_idle_clock() {
    let provider = provider().await;
    let clocks = Clocks { idle: Duration::from_secs(90), ..Clocks::default() };
    let mut body = provider.transport().send(provider.request(), &clocks).await.unwrap().into_body();
    assert!(body.chunk().await.unwrap().is_ok());
    body.first_token_seen();
    let error = body.chunk().await.unwrap().unwrap_err();
    assert!(matches!(error, TransportError::Timeout(Clock::Idle)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_not_trusted_is_a_tls_error() {
    let provider = provider().await;
    let transport = Transport::new(TransportConfig::default()).unwrap();
    let error = transport.send(provider.request(), &Clocks::default()).await.unwrap_err();
    assert!(matches!(error, TransportError::Tls(_)), "{error:?}");
}
