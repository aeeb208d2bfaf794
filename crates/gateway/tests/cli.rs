//! The binary as people and scripts use it: what it prints where, and what it
//! exits with. Here and not in the workspace's `tests`, because cargo builds a
//! binary for the tests of its own package only.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, their helpers too"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// What no output may have in it.
const SECRET: &str = "sk-not-for-anyones-eyes-0123456789";

/// A folder to work in, and nothing in the environment.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leverframe"));
        command.args(arguments).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Told {
        Told::of(self.command(arguments).output().expect("runs"))
    }

    fn run_with(&self, arguments: &[&str], (name, value): (&str, &str)) -> Told {
        Told::of(self.command(arguments).env(name, value).output().expect("runs"))
    }

    /// What is piped into it.
    fn pipe(&self, arguments: &[&str], text: &str) -> Told {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("read");
        Told::of(child.wait_with_output().expect("ends"))
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.0.path().join(file), text).expect("written");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// What a command told.
#[derive(Debug)]
struct Told {
    code: i32,
    out: String,
    err: String,
}

impl Told {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let told = Self {
            code: output.status.code().expect("exits"),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        assert!(!told.out.contains(SECRET) && !told.err.contains(SECRET), "{told:?}");
        assert!(
            !told.out.contains('\u{1b}') && !told.err.contains('\u{1b}'),
            "no colours in a pipe: {told:?}"
        );
        assert!(!told.err.contains("panicked"), "{told:?}");
        told
    }
}

/// A gateway over emulated providers, ended with the test.
struct Serving {
    child: Child,
    url: String,
}

/// A gateway that says what happens is asked with a secret in every place, and
/// what it said until it ended.
fn said_while_serving(desk: &Desk, arguments: &[&str]) -> String {
    let mut command = desk.command(&["serve", "--emulated", "--listen", "127.0.0.1:0", "--no-log"]);
    let mut child = command.args(arguments).stderr(Stdio::piped()).spawn().expect("starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("says where it is");
    let address = line.trim().strip_prefix("leverframe listens on http://").expect("an address");
    let body =
        format!(r#"{{"model":"gpt-test","messages":[{{"role":"user","content":"my secret is {SECRET}"}}]}}"#);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SECRET}\r\nx-api-key: {SECRET}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = std::net::TcpStream::connect(address).expect("connects");
    socket.write_all(request.as_bytes()).expect("sends");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    child.wait().expect("ends");
    assert!(!rest.contains(SECRET) && !rest.contains('\u{1b}'), "{rest}");
    rest
}

#[test]
fn a_request_is_one_line_in_the_trace_and_no_secret_is_in_it() {
    let desk = Desk::new();
    let said = said_while_serving(&desk, &["--trace", "info", "--trace-format", "json"]);
    let lines: Vec<Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [line] = lines.as_slice() else { panic!("{said}") };
    assert_eq!(line["span"]["gen_ai.response.model"], "gpt-test", "{line}");
    assert_eq!(line["span"]["leverframe.request.attempts"], 1, "{line}");
    let said = said_while_serving(&desk, &["--trace", "info"]);
    assert!(said.contains("gen_ai.response.model") && said.contains("time.busy"), "{said}");
    assert!(!said_while_serving(&desk, &[]).contains("gen_ai"), "no line for each unless it is asked for");
}

impl Serving {
    fn start(desk: &Desk) -> Self {
        let mut command = desk.command(&["serve", "--emulated", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("starts");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("says where it is");
        let url = line.trim().strip_prefix("leverframe listens on ").expect("an address").to_owned();
        // What else it says is read, so that it can be said.
        std::thread::spawn(move || said.read_to_string(&mut String::new()));
        Self { child, url }
    }

    fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().expect("an address")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_question_is_answered_on_standard_output() {
    let desk = Desk::new();
    let told = desk.run(&["chat", "--emulated", "Are you there?"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    assert!(
        told.out.contains("Are you there?") && told.out.ends_with('\n'),
        "it quotes the question: {told:?}"
    );
}

#[test]
fn what_is_piped_in_is_the_question() {
    let desk = Desk::new();
    let told = desk.pipe(&["chat", "--emulated", "--model", "gpt-4.1"], "Two\nlines\n");
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("gpt-4.1") && told.out.contains("Two\nlines"), "{told:?}");
    let told = desk.pipe(&["chat", "--emulated"], " \n");
    assert_eq!((told.code, told.out.as_str()), (1, ""), "{told:?}");
    assert!(told.err.contains("there is no question"), "{told:?}");
}

#[test]
fn why_an_answer_came_from_where_it_came_goes_to_standard_error() {
    let desk = Desk::new();
    let told = desk.run(&["chat", "--emulated", "--explain", "--system", "Be brief.", "Hello"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.err.contains("policy priority") && told.err.contains("answered"), "{told:?}");
    assert!(!told.out.contains("policy"), "{told:?}");
}

#[test]
fn without_a_key_it_says_which_would_do() {
    let told = Desk::new().run(&["chat", "Hello"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.err.contains("ANTHROPIC_API_KEY"), "{told:?}");
}

#[test]
fn a_wrong_command_line_is_2_and_help_has_examples() {
    let desk = Desk::new();
    for wrong in [&["nonsense"][..], &["chat", "--nonsense"], &["explain"], &["keys", "new"], &[]] {
        let told = desk.run(wrong);
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{wrong:?}: {told:?}");
        assert!(told.err.contains("Usage"), "{told:?}");
    }
    let commands = [
        "demo",
        "serve",
        "doctor",
        "config",
        "keys",
        "chat",
        "providers",
        "logs",
        "stats",
        "explain",
        "export",
        "completions",
    ];
    let help = desk.run(&["--help"]);
    assert!(help.code == 0 && help.out.contains("Exit codes:"), "{help:?}");
    for command in commands {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command}: {help:?}");
        let told = desk.run(&[command, "--help"]);
        assert!(told.code == 0 && told.out.contains("Examples:"), "{command}: {told:?}");
    }
}

#[test]
fn completions_know_every_command() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let told = desk.run(&["completions", shell]);
        assert_eq!(told.code, 0, "{told:?}");
        assert!(told.out.contains("doctor") && told.out.contains("providers"), "{shell}: {}", told.out);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let desk = Desk::new();
    for arguments in
        [&["completions", "zsh"][..], &["chat", "--emulated", "Hello"], &["doctor", "--emulated"]]
    {
        let mut command = desk.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        drop(child.stdout.take());
        let told = Told::of(child.wait_with_output().expect("ends"));
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{arguments:?}: {told:?}");
    }
}

#[test]
fn a_configuration_is_checked_and_what_is_wrong_is_told_with_its_line() {
    let desk = Desk::new();
    let written = desk.run(&["config", "init"]);
    assert_eq!(written.code, 0, "{written:?}");
    assert_eq!(desk.run(&["config", "init"]).code, 1, "never over a file that is there");
    let mut check = desk.command(&["config", "check"]);
    let check = check.env("ANTHROPIC_API_KEY", SECRET).env("OPENAI_API_KEY", SECRET).output();
    assert_eq!(Told::of(check.expect("runs")).code, 0);
    desk.write("wrong.toml", "[gateway]\nlissten = \"127.0.0.1:1\"\n");
    for arguments in [&["config", "check", "wrong.toml"][..], &["serve", "--config", "wrong.toml"]] {
        let told = desk.run(arguments);
        assert_eq!((told.code, told.out.as_str()), (1, ""), "{told:?}");
        assert!(told.err.contains("line 2") && told.err.contains("did you mean `listen`?"), "{told:?}");
    }
    let told = desk.run(&["doctor", "--config", "wrong.toml"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.out.starts_with("failed") && told.out.contains("did you mean `listen`?"), "{told:?}");
}

fn checks(told: &Told) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!(report["ok"], told.code == 0, "{report}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = report["checks"].as_array().expect("a list").iter();
    all.map(|check| (text(&check["what"]), text(&check["state"]), text(&check["to_do"]))).collect()
}

#[test]
fn the_doctor_finds_nothing_wrong_with_emulated_providers() {
    let desk = Desk::new();
    desk.write("leverframe.toml", "[gateway]\nlisten = \"127.0.0.1:0\"\n");
    let told = desk.run(&["doctor", "--emulated"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    let lines: Vec<_> = told.out.lines().collect();
    assert!(lines.len() == 6 && lines.iter().all(|line| line.starts_with("ok ")), "{told:?}");
    let checks = checks(&desk.run(&["doctor", "--emulated", "--json"]));
    assert!(checks.len() == 6 && checks.iter().all(|(_, state, _)| state == "ok"), "{checks:?}");
    assert!(!desk.path().join("leverframe.redb").exists(), "it leaves things as they are");
}

/// A server that answers every request with 401, and quotes its key.
fn refuses() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            let mut head = [0; 4096];
            let _ = socket.read(&mut head);
            let body = format!(
                r#"{{"error":{{"message":"Incorrect API key provided: {SECRET}","code":"invalid_api_key"}}}}"#
            );
            let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\nconnection: close\r\n";
            let _ = write!(socket, "{head}content-length: {}\r\n\r\n{body}", body.len());
        }
    });
    address
}

#[test]
fn the_doctor_says_what_to_do() {
    let desk = Desk::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let configuration = format!(
        r#"
        [gateway]
        listen = "{}"
        [log]
        file = "no/such/folder/log.redb"
        [[providers]]
        name = "nobody"
        kind = "anthropic"
        base_url = "http://127.0.0.1:1"
        key_env = ["THE_KEY"]
        [[providers]]
        name = "stranger"
        kind = "openai"
        base_url = "http://{}/v1"
        key_env = ["THE_KEY"]
        [[providers]]
        name = "keyless"
        kind = "gemini"
        key_env = ["NOT_SET"]
        "#,
        taken.local_addr().expect("an address"),
        refuses(),
    );
    desk.write("leverframe.toml", &configuration);
    let told = desk.run_with(&["doctor", "--json"], ("THE_KEY", SECRET));
    let checks = checks(&told);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(checks.iter().all(|(_, state, _)| state == "failed"), "{checks:?}");
    let cases = [
        ("provider nobody (key THE_KEY)", "firewall"),
        ("provider stranger (key THE_KEY)", "put a key that is valid into THE_KEY"),
        ("provider keyless", ""),
        ("log ", "make the folder no/such/folder"),
        ("address ", "another port"),
    ];
    for (what, to_do) in cases {
        let check = checks.iter().find(|(of, ..)| of.starts_with(what)).expect(what);
        assert!(check.2.contains(to_do), "{check:?}");
    }
    // One line for each, also where people read them.
    let told = desk.run_with(&["doctor"], ("THE_KEY", SECRET));
    assert_eq!((told.code, told.out.lines().count()), (1, checks.len()), "{told:?}");
    assert!(told.out.contains("NOT_SET is not set"), "{told:?}");
}

#[test]
fn an_address_others_reach_needs_keys() {
    let desk = Desk::new();
    desk.write("leverframe.toml", "[gateway]\nlisten = \"0.0.0.0:0\"\n");
    for arguments in [&["doctor", "--emulated"][..], &["serve", "--emulated", "--no-log"]] {
        let told = desk.run(arguments);
        assert_eq!(told.code, 1, "{told:?}");
        assert!(format!("{}{}", told.out, told.err).contains("no key is asked for"), "{told:?}");
    }
}

#[test]
fn a_gateway_that_runs_is_asked_how_its_providers_stand() {
    let desk = Desk::new();
    let made = desk.run(&["keys", "new", "--admin"]);
    let (key, lines) = (made.out.trim(), made.err.split_once("[admin]").expect("a table").1);
    assert!(key.starts_with("lf-") && !lines.contains(key), "{made:?}");
    let closed = Serving::start(&desk);
    let told = desk.run_with(&["providers", "--url", &closed.url], ("LEVERFRAME_ADMIN_KEY", key));
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.err.contains("keys new --admin"), "{told:?}");
    drop(closed);
    desk.write("leverframe.toml", &format!("[admin]{lines}"));
    let serving = Serving::start(&desk);

    let told = desk.run_with(&["providers", "--url", &serving.url, "--json"], ("LEVERFRAME_ADMIN_KEY", key));
    assert_eq!(told.code, 0, "{told:?}");
    let standing: Value = serde_json::from_str(&told.out).expect("JSON");
    let names: Vec<_> =
        standing["providers"].as_array().expect("a list").iter().map(|p| &p["name"]).collect();
    assert_eq!(names, ["claude", "openai", "gemini"]);
    let other = ["providers", "--url", &serving.url, "--key-from-env", "OTHER"];
    let told = desk.run_with(&other, ("OTHER", key));
    assert!(told.code == 0 && told.out.contains("claude (Anthropic Messages) healthy"), "{told:?}");

    for (arguments, variable, says) in [
        (&other[..], ("LEVERFRAME_ADMIN_KEY", key), "OTHER is not set"),
        (&other[..], ("OTHER", "lf-another-key-altogether"), "does not take the key in OTHER"),
        (&["providers", "--url", "nonsense"][..], ("LEVERFRAME_ADMIN_KEY", key), "nonsense"),
        (&["providers", "--url", "http://127.0.0.1:1"][..], ("LEVERFRAME_ADMIN_KEY", key), "cannot connect"),
    ] {
        let told = desk.run_with(arguments, variable);
        assert_eq!((told.code, told.out.as_str()), (1, ""), "{told:?}");
        assert!(told.err.contains(says) && !told.err.contains(key), "{told:?}");
    }

    // The doctor knows a gateway when it meets one, and so reads its log.
    desk.write("leverframe.toml", &format!("[gateway]\nlisten = \"{}\"\n", serving.address()));
    let told = desk.run(&["doctor", "--emulated"]);
    assert!(told.code == 0 && told.out.contains("a gateway answers there already"), "{told:?}");
}

#[test]
fn the_log_says_how_providers_stood() {
    let desk = Desk::new();
    let told = desk.run(&["providers"]);
    assert!(told.code == 1 && told.err.contains("leverframe.redb does not exist"), "{told:?}");
    // The demo's Claude overloads itself, and its breaker opens.
    assert_eq!(desk.run(&["demo", "--log", "leverframe.redb"]).code, 0);
    let told = desk.run(&["providers", "--json"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.err.contains("As noted in leverframe.redb"), "{told:?}");
    let standing: Value = serde_json::from_str(&told.out).expect("JSON");
    assert!(standing["providers"].as_array().is_some_and(|list| !list.is_empty()), "{told:?}");
    // The configuration's providers are told of without their keys.
    desk.write(
        "leverframe.toml",
        "[[providers]]\nname = \"mine\"\nkind = \"openai\"\nkey_file = [\"/no/such/file\"]\n[providers.limits]\nrequests_per_minute = 7\n",
    );
    let told = desk.run(&["providers"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("mine") && told.out.contains("0 of 7 requests per minute"), "{told:?}");
    for arguments in [&["logs", "--limit", "3"][..], &["stats"], &["export"]] {
        let told = desk.run(arguments);
        assert!(told.code == 0 && !told.out.is_empty(), "{arguments:?}: {told:?}");
    }
}
