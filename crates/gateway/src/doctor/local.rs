//! What there is on this machine: the log's file and the address.

use std::{
    fs::OpenOptions,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use leverframe_gateway::config::Config;
use leverframe_router::store::{Reader, StoreError};
use tokio::net::TcpListener;

use super::{Check, WITHIN};
use crate::{chain, logs, remote::Gateway, serve};

/// Whether the log can be read and written.
pub(super) async fn log(config: &Config) -> Check {
    if config.log.enabled == Some(false) {
        return Check::ok("log", "none is kept");
    }
    let file = config.log.file.clone().unwrap_or_else(|| PathBuf::from(logs::DEFAULT_FILE));
    let what = format!("log {}", file.display());
    // A disk that hangs is not to hang this.
    let looked = tokio::task::spawn_blocking({
        let what = what.clone();
        move || of_file(what, &file)
    });
    match tokio::time::timeout(WITHIN, looked).await {
        Ok(Ok(check)) => check,
        Ok(Err(_)) => Check::failed(what, "it could not be looked at", "try again"),
        Err(_) => Check::failed(what, "the disk does not answer", "check the disk, or name another file"),
    }
}

fn of_file(what: String, file: &Path) -> Check {
    if !file.exists() {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        // Has no name, and is gone when it is closed.
        return match tempfile::tempfile_in(folder) {
            Ok(_) => Check::ok(what, "is made when the gateway starts"),
            Err(error) => Check::failed(
                what,
                format!("cannot be made: {error}"),
                format!("make the folder {} and let the gateway write to it", folder.display()),
            ),
        };
    }
    match Reader::open(file).and_then(|reader| reader.end()) {
        Ok(_) => {}
        Err(StoreError::Outdated { found }) => {
            let found = format!("has the older schema version {found}");
            return Check::doubtful(what, found, "the gateway brings it up to date when it starts");
        }
        Err(StoreError::Unclosed) => {
            let found = "was not closed by the process that wrote it";
            return Check::doubtful(what, found, "the gateway puts it right when it starts");
        }
        Err(error) => return Check::failed(what, chain(&error).0, ""),
    }
    // Opened as for writing at its end, and not written.
    match OpenOptions::new().append(true).open(file).and_then(|file| file.metadata()) {
        Ok(metadata) => {
            Check::ok(what, format!("can be read and written, {} KiB", metadata.len().div_ceil(1024)))
        }
        Err(error) => Check::failed(
            what,
            format!("can be read and not written: {error}"),
            "let the gateway's user write to it, or name another file",
        ),
    }
}

/// Whether the address can be listened on, or a gateway is there already.
pub(super) async fn listen(config: &Config) -> Check {
    let address = config.gateway.listen.unwrap_or_else(serve::default_address);
    let what = format!("address {address}");
    if !address.ip().is_loopback() && config.keys.is_empty() {
        let found = "other machines can reach it, and no key is asked for";
        return Check::failed(what, found, "make a key with leverframe keys new, or listen on 127.0.0.1");
    }
    match TcpListener::bind(address).await {
        Ok(_) => Check::ok(what, "is free"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match is_gateway(address).await {
            true => Check::ok(what, "a gateway answers there already"),
            false => Check::failed(
                what,
                "another program listens there",
                "stop it, or set gateway.listen to another port",
            ),
        },
        Err(error) => Check::failed(
            what,
            format!("cannot be listened on: {error}"),
            "set gateway.listen to an address of this machine, with a port above 1023",
        ),
    }
}

async fn is_gateway(mut address: SocketAddr) -> bool {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    let asked = Gateway::at(&format!("http://{address}"), None);
    let Ok(gateway) = asked else { return false };
    gateway.get("/readyz").await.is_ok_and(|(status, body)| status == 200 && body.as_ref() == b"ready\n")
}
