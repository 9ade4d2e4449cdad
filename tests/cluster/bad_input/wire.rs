//! HTTP by hand: what no client library would send.

use crate::harness::eventually;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// An answer as it came.
pub struct Answer {
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{}", self.head))
    }

    /// The problem that it must be.
    pub fn problem(&self) -> Value {
        assert!(self.head.contains("content-type: application/problem+json"), "{}\n{}", self.head, self.body);
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status());
        assert!(!problem["detail"].as_str().unwrap().is_empty() && !problem["way_out"].as_str().unwrap().is_empty());
        problem
    }

    pub fn code(&self) -> String {
        self.problem()["code"].as_str().unwrap().to_owned()
    }
}

/// `HOST:PORT` of a server's URL.
pub fn address(url: &str) -> &str {
    url.strip_prefix("http://").unwrap()
}

pub async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(address(url)).await.unwrap()
}

/// Sends these bytes and reads until the server closes; again where it says so (503).
pub async fn say(url: &str, request: &[u8]) -> Answer {
    eventually("an answer", || async {
        let mut stream = connect(url).await;
        // A server that has heard enough may close before it has all.
        let _ = stream.write_all(request).await;
        let answer = read(&mut stream).await;
        (answer.status() != 503).then_some(answer)
    })
    .await
}

/// Reads until the server closes, or breaks off.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Answer { head: head.to_owned(), body: body.to_owned() }
}

/// A request with these headers, each of which ends its line itself, that is the connection's last.
pub fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}
