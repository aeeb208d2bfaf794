//! The gateway with a certificate of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use leverframe_emulator::Step;
use leverframe_gateway::server::{Door, Server, Settings, Tls, TlsError};
use leverframe_tests::World;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate and its key in files, and the certificate for whoever is to
/// trust it.
fn certificate() -> (TempDir, CertificateDer<'static>) {
    let signed = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("cert.pem"), signed.cert.pem()).expect("written");
    std::fs::write(folder.path().join("key.pem"), signed.signing_key.serialize_pem()).expect("written");
    (folder, signed.cert.der().clone())
}

fn tls(folder: &TempDir) -> Result<Tls, TlsError> {
    Tls::from_pem_files(&folder.path().join("cert.pem"), &folder.path().join("key.pem"))
}

async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
}

#[tokio::test]
async fn clients_are_spoken_to_over_tls_and_nothing_else() {
    let (folder, trusted) = certificate();
    let world = World::with(&["claude"], |builder| builder).await;
    world.always("claude", Step::text("one two three").between_tokens(Duration::from_millis(5)));
    let settings = Settings { head_within: Duration::from_millis(300), ..Settings::default() };
    let any = "127.0.0.1:0".parse().expect("an address");
    let server = Server::bind(any, world.router.clone(), Door::default(), settings).await.expect("listens");
    let server = server.with_tls(Some(tls(&folder).expect("a certificate")));
    let address = server.local_addr().expect("an address");
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));

    let mut stream = connect(address, &trusted, "http/1.1").await.expect("shakes hands");
    let body =
        r#"{"model":"claude-test","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("ends as TLS ends");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("message_stop"), "{answer}");

    let stream = connect(address, &trusted, "h2").await.expect("shakes hands");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));

    // Neither one who does not speak it nor one who says nothing is kept.
    for said in ["GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", ""] {
        let mut socket = TcpStream::connect(address).await.expect("connects");
        socket.write_all(said.as_bytes()).await.expect("sends");
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await;
        ended.expect("it is closed").ok();
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    assert!(connect(address, &trusted, "http/1.1").await.is_ok(), "healthy afterwards");
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_without_a_pause() {
    let (folder, trusted) = certificate();
    let world = World::with(&["claude"], |builder| builder).await;
    let any = "127.0.0.1:0".parse().expect("an address");
    let settings = Settings::default();
    let server = Server::bind(any, world.router.clone(), Door::default(), settings).await.expect("listens");
    let server = server.with_tls(Some(tls(&folder).expect("a certificate")));
    let (address, handle) = (server.local_addr().expect("an address"), server.handle());
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));
    let mut before = connect(address, &trusted, "http/1.1").await.expect("shakes hands");

    let (newer, newly_trusted) = certificate();
    assert!(handle.renew(Some(tls(&newer).expect("a certificate"))));
    assert!(connect(address, &newly_trusted, "http/1.1").await.is_ok());
    assert!(connect(address, &trusted, "http/1.1").await.is_err(), "the old one is not shown any more");
    assert!(!handle.renew(None), "clients do not expect to be spoken to in the open");
    assert!(connect(address, &newly_trusted, "http/1.1").await.is_ok());

    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    before.write_all(request.as_bytes()).await.expect("it is still there");
    let mut answer = String::new();
    before.read_to_string(&mut answer).await.expect("to its end");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_certificate_that_is_none_is_told_with_its_file() {
    let (folder, _) = certificate();
    let (other, _) = certificate();
    std::fs::copy(other.path().join("key.pem"), folder.path().join("key.pem")).expect("copied");
    assert!(matches!(tls(&folder), Err(TlsError::Unusable(_))), "the key is another's");
    std::fs::write(folder.path().join("cert.pem"), "nothing").expect("written");
    let error = tls(&folder).expect_err("no certificate");
    assert!(matches!(&error, TlsError::NoCertificate(path) if path.ends_with("cert.pem")), "{error}");
    std::fs::remove_file(folder.path().join("key.pem")).expect("removed");
    std::fs::copy(other.path().join("cert.pem"), folder.path().join("cert.pem")).expect("copied");
    let error = tls(&folder).expect_err("no key").to_string();
    assert!(error.contains("key.pem"), "{error}");
}
