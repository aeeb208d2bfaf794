//! The gateway: the same router behind the four dialects.

use std::net::SocketAddr;

use leverframe_gateway::server::{Door, Server, Settings};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::stage::Stage;
use crate::{
    chain,
    show::{self, Problem},
};

/// A question in one dialect, and where its answer has the text.
struct Asked {
    dialect: &'static str,
    path: String,
    body: Value,
    text: &'static str,
}

/// Each asks a model of somebody else's.
fn questions() -> [Asked; 4] {
    let message = json!([{"role": "user", "content": "Hello"}]);
    [
        Asked {
            dialect: "OpenAI Chat",
            path: "/v1/chat/completions".to_owned(),
            body: json!({"model": "claude-sonnet-5", "messages": message}),
            text: "/choices/0/message/content",
        },
        Asked {
            dialect: "OpenAI Responses",
            path: "/v1/responses".to_owned(),
            body: json!({"model": "gemini-3.6-flash", "input": "Hello"}),
            text: "/output/0/content/0/text",
        },
        Asked {
            dialect: "Anthropic",
            path: "/v1/messages".to_owned(),
            body: json!({"model": "gpt-4.1", "max_tokens": 100, "messages": message}),
            text: "/content/0/text",
        },
        Asked {
            dialect: "Gemini",
            path: "/v1beta/models/claude-sonnet-5:generateContent".to_owned(),
            body: json!({"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}),
            text: "/candidates/0/content/parts/0/text",
        },
    ]
}

pub(super) async fn show(stage: &Stage) -> Result<(), Problem> {
    show::scene(
        6,
        "The front door",
        "A gateway on this machine: any OpenAI, Anthropic or Google SDK is pointed at it, whoever answers.",
    );
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(any, stage.router.clone(), Door::default(), Settings::default()).await;
    let server = server.map_err(|error| chain(&error))?;
    let address = server.local_addr().map_err(|error| chain(&error))?;
    // Served for as long as is asked.
    tokio::select! {
        () = server.run(std::future::pending()) => Ok(()),
        asked = ask(address) => asked,
    }
}

async fn ask(address: SocketAddr) -> Result<(), Problem> {
    for Asked { dialect, path, body, text } in questions() {
        let body = body.to_string();
        show::note(&format!("curl http://{address}{path} -d '{body}'"));
        let answer = post(address, &path, &body).await.map_err(|error| chain(&error))?;
        let answered: Option<Value> =
            answer.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
        match answered.as_ref().and_then(|answer| answer.pointer(text)).and_then(Value::as_str) {
            Some(said) => show::good(&format!("{dialect}: {said}")),
            None => return Err(Problem(format!("the gateway answered otherwise than expected: {answer}"))),
        }
    }
    Ok(())
}

/// What curl sends, and what comes back.
async fn post(address: SocketAddr, path: &str, body: &str) -> std::io::Result<String> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}
