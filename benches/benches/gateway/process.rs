//! What is measured, as processes on a core of their own.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{net::TcpStream, time::Instant};

/// A process that listens. Ends when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// The gateway with its log, and how long it took to listen.
    pub(crate) async fn gateway(binary: &str, folder: &Path, upstream: SocketAddr) -> (Self, Duration) {
        let (address, log, file) = (free(), folder.join("log.redb"), folder.join("leverframe.toml"));
        let config = format!(
            "[gateway]\nlisten = \"{address}\"\n[log]\nfile = {log:?}\n[[providers]]\nname = \"up\"\n\
             kind = \"openai\"\nbase_url = \"http://{upstream}/v1\"\nkey_env = [\"BENCH_KEY\"]\n"
        );
        fs::write(&file, config).expect("a file");
        let mut command = on_one_core(binary);
        command.args(["serve", "--config"]).arg(&file).env("BENCH_KEY", "a-key");
        Self::start(command, address).await
    }

    pub(crate) async fn haproxy(folder: &Path, upstream: SocketAddr) -> Self {
        let (address, file) = (free(), folder.join("haproxy.cfg"));
        let config = format!(
            "global\n  nbthread 1\n  maxconn 2000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  \
             timeout server 60s\n  http-reuse always\nfrontend in\n  bind {address}\n  default_backend out\n\
             backend out\n  server up {upstream}\n"
        );
        fs::write(&file, config).expect("a file");
        let mut command = on_one_core("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        Self::start(command, address).await.0
    }

    async fn start(mut command: Command, address: SocketAddr) -> (Self, Duration) {
        let began = Instant::now();
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it is installed");
        let process = Self { child, address };
        while TcpStream::connect(address).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(10), "it does not listen");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        (process, began.elapsed())
    }

    /// CPU time so far, in the kernel and out of it.
    pub(crate) fn cpu(&self) -> Duration {
        /// Ticks in a second, on every Linux there is.
        const TICKS: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        // The name before it may have spaces in it.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks =
            fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().expect("ticks"));
        Duration::from_secs_f64(ticks.sum::<f64>() / TICKS)
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> usize {
        const PAGE: usize = 4096;
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("it runs");
        let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
        pages.expect("a number") * PAGE
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_one_core(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0", program]);
    command
}

/// An address nobody listens on.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}
