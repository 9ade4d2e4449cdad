//! A small load generator: some connections that are kept open, each asking for one tile after the other.
//!
//! It shares two cores with what it measures, so it does as little as it can: one thread, requests made beforehand, an
//! answer's head searched for its status and length and nothing else.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stats::percentile;

/// Longest answer that is taken.
const ANSWER_MAX: usize = 64 << 20;
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a load run saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// A request for each path, ready to be sent.
pub(crate) fn requests(paths: &[String], host: SocketAddr) -> Vec<Vec<u8>> {
    paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()).collect()
}

/// Asks for as long as `duration`, beginning with the request number `from` and going round.
///
/// Blocks; runs on the calling thread.
pub(crate) fn run(
    address: SocketAddr,
    requests: &[Vec<u8>],
    from: usize,
    connections: usize,
    duration: Duration,
) -> io::Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let requests: Rc<Vec<Vec<u8>>> = Rc::new(requests.to_vec());
    local.block_on(&runtime, async move {
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(address).await?);
        }
        let next = Rc::new(std::cell::Cell::new(from));
        let started = Instant::now();
        let tasks: Vec<_> = open
            .into_iter()
            .map(|mut connection| {
                let (requests, next) = (Rc::clone(&requests), Rc::clone(&next));
                tokio::task::spawn_local(async move {
                    let (mut times, mut bytes) = (Vec::new(), 0);
                    while started.elapsed() < duration {
                        let index = next.replace(next.get() + 1) % requests.len();
                        let asked = Instant::now();
                        let answer = tokio::time::timeout(ANSWER_WITHIN, connection.ask(&requests[index])).await;
                        bytes += answer.map_err(|_| io::Error::other("no answer in time"))?? as u64;
                        times.push(asked.elapsed().as_nanos() as u64);
                    }
                    Ok::<_, io::Error>((times, bytes))
                })
            })
            .collect();
        let (mut times, mut bytes) = (Vec::new(), 0);
        for task in tasks {
            let (some, more) = task.await.map_err(io::Error::other)??;
            times.extend(some);
            bytes += more;
        }
        let seconds = started.elapsed().as_secs_f64();
        times.sort_unstable();
        let milliseconds = |share| percentile(&times, share) as f64 / 1e6;
        Ok::<_, io::Error>(Seen {
            requests: times.len() as u64,
            bytes,
            seconds,
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
        })
    })
}

/// A connection of HTTP/1.1 that is kept open.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: vec![0; 64 * 1024] })
    }

    /// Sends a request and takes its answer; answers with the body's length.
    async fn ask(&mut self, request: &[u8]) -> io::Result<usize> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let whole = loop {
            filled += self.read(filled).await?;
            if let Some(whole) = whole_length(&self.buffer[..filled])? {
                break whole;
            }
        };
        if self.buffer.len() < whole.answer {
            self.buffer.resize(whole.answer, 0);
        }
        while filled < whole.answer {
            filled += self.read(filled).await?;
        }
        Ok(whole.body)
    }

    async fn read(&mut self, filled: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[filled..]).await? {
            0 => Err(io::Error::other("the server ended the connection, or its answer is too long")),
            count => Ok(count),
        }
    }
}

/// How many bytes an answer has with its head, and without.
#[derive(Debug, PartialEq)]
struct Lengths {
    answer: usize,
    body: usize,
}

/// Reads the lengths from the head once it has come; an error for anything but a 200 whose length is stated.
fn whole_length(bytes: &[u8]) -> io::Result<Option<Lengths>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other(format!("the server answered '{status}'")));
    }
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    match length {
        Some(body) if body <= ANSWER_MAX => Ok(Some(Lengths { answer: end + 4 + body, body })),
        Some(body) => Err(io::Error::other(format!("an answer of {body} bytes"))),
        None => Err(io::Error::other("an answer without its length")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    #[test]
    fn the_head_tells_where_the_answer_ends() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhello";
        assert_eq!(whole_length(answer).unwrap(), Some(Lengths { answer: answer.len(), body: 5 }));
        assert_eq!(whole_length(&answer[..30]).unwrap(), None);
        assert!(whole_length(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(whole_length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }

    /// Answers every request on every connection with `body` bytes, in two writes.
    fn server(body: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut request = [0; 1024];
                    while stream.read(&mut request).is_ok_and(|count| count > 0) {
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
                        if stream.write_all(head.as_bytes()).is_err() || stream.write_all(&vec![7; body]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        address
    }

    #[test]
    fn every_answer_is_counted_with_its_bytes() {
        let address = server(100_000);
        let requests = requests(&["/a".into(), "/b".into()], address);
        let seen = run(address, &requests, 1, 3, Duration::from_secs(1)).unwrap();
        assert!(seen.requests >= 3);
        assert_eq!(seen.bytes, seen.requests * 100_000);
        assert!(seen.p50_ms > 0.0 && seen.p99_ms >= seen.p50_ms && seen.seconds >= 1.0);
    }
}
