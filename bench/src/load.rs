//! A small load generator: some connections that are kept open, each asking for one thing after the other.
//!
//! It shares the machine's cores with what it measures, so it does as little as it can: one thread, requests made
//! beforehand, an answer's head searched for its status and length and nothing else.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::answer::{self, ANSWER_MAX, Framing};
use crate::stats::percentile;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What a load run saw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

/// What is asked of a server: a path, and a part of what is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) path: String,
    /// Bytes of the file; the whole where none are named.
    pub(crate) range: Option<Range<u64>>,
}

impl From<String> for Wanted {
    fn from(path: String) -> Self {
        Wanted { path, range: None }
    }
}

impl Wanted {
    /// The request, ready to be sent.
    pub(crate) fn request(&self, host: SocketAddr) -> Vec<u8> {
        let range = match &self.range {
            Some(range) => format!("Range: bytes={}-{}\r\n", range.start, range.end.saturating_sub(1)),
            None => String::new(),
        };
        format!("GET {} HTTP/1.1\r\nHost: {host}\r\n{range}\r\n", self.path).into_bytes()
    }
}

/// Asks with the requests of these numbers, going round where they are more than there are, until all are asked or
/// `duration` is over.
///
/// Blocks; runs on the calling thread.
pub(crate) fn run(
    address: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    numbers: Range<usize>,
    connections: usize,
    duration: Duration,
) -> io::Result<Seen> {
    answers(address, requests, numbers, connections, duration).map(|answers| Seen::of(&answers))
}

/// As [`run`], with the time of each answer.
pub(crate) fn answers(
    address: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    numbers: Range<usize>,
    connections: usize,
    duration: Duration,
) -> io::Result<Answers> {
    alone(async move {
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Asking { connection: Connection::open(address).await?, requests: Arc::clone(requests) });
        }
        ask_all(open, numbers, duration).await
    })
}

/// A client that asks for one thing after the other.
pub(crate) trait Client: 'static {
    /// Asks for the thing of this number; answers with the answer's length.
    async fn ask(&mut self, number: usize) -> io::Result<usize>;
}

/// One that asks over HTTP/1.1.
struct Asking {
    connection: Connection,
    requests: Arc<Vec<Vec<u8>>>,
}

impl Client for Asking {
    async fn ask(&mut self, number: usize) -> io::Result<usize> {
        Ok(self.connection.ask(&self.requests[number % self.requests.len()]).await?.1)
    }
}

/// All answers of a load run.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) began: Instant,
    /// Of each, when it came after the beginning and how long it had taken, in nanoseconds.
    pub(crate) times: Vec<(u64, u64)>,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
}

/// Has the clients ask for the things of these numbers until all are asked for or `duration` is over. Only in [`alone`].
pub(crate) async fn ask_all<C: Client>(
    clients: Vec<C>,
    numbers: Range<usize>,
    duration: Duration,
) -> io::Result<Answers> {
    let next = Rc::new(std::cell::RefCell::new(numbers));
    let began = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let next = Rc::clone(&next);
            tokio::task::spawn_local(async move {
                let (mut times, mut bytes) = (Vec::new(), 0);
                while began.elapsed() < duration {
                    let Some(number) = next.borrow_mut().next() else { break };
                    let asked = Instant::now();
                    bytes += client.ask(number).await? as u64;
                    times.push((began.elapsed().as_nanos() as u64, asked.elapsed().as_nanos() as u64));
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
    Ok(Answers { began, times, bytes, seconds: began.elapsed().as_secs_f64() })
}

impl Seen {
    pub(crate) fn of(answers: &Answers) -> Seen {
        let mut times: Vec<u64> = answers.times.iter().map(|(_, time)| *time).collect();
        times.sort_unstable();
        let milliseconds = |share| percentile(&times, share) as f64 / 1e6;
        Seen {
            requests: times.len() as u64,
            bytes: answers.bytes,
            seconds: answers.seconds,
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
            max_ms: milliseconds(1.0),
        }
    }
}

/// Asks once, on a connection of its own, and answers with the body.
///
/// Blocks; runs on the calling thread.
pub(crate) fn once(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    alone(async move {
        let mut connection = Connection::open(address).await?;
        let (head, _) = connection.ask(request).await?;
        Ok(match head.framing {
            Framing::Length(len) => connection.buffer[head.len..head.len + len].to_vec(),
            Framing::Chunked => {
                let chunks = answer::chunks(&connection.buffer, head.len)?;
                let pieces = chunks.map_or_else(Vec::new, |chunks| chunks.pieces);
                pieces.into_iter().flat_map(|piece| connection.buffer[piece].iter().copied()).collect()
            }
        })
    })
}

/// Runs on this thread alone.
pub(crate) fn alone<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// A connection of HTTP/1.1 that is kept open.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The server has said that it ends it.
    ended: bool,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = connect(address).await?;
        Ok(Connection { address, stream, buffer: vec![0; 64 * 1024], ended: false })
    }

    /// Sends a request and takes its answer into the buffer; answers with its head and the body's length.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<(answer::Head, usize)> {
        if self.ended {
            self.stream = connect(self.address).await?;
        }
        let answered = tokio::time::timeout(ANSWER_WITHIN, self.exchange(request)).await;
        let (head, body) = answered.map_err(|_| io::Error::other("no answer in time"))??;
        self.ended = head.last;
        Ok((head, body))
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<(answer::Head, usize)> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled).await?;
            if let Some(head) = answer::head(&self.buffer[..filled])? {
                break head;
            }
        };
        match head.framing {
            Framing::Length(body) => {
                let whole = head.len + body;
                if self.buffer.len() < whole {
                    self.buffer.resize(whole, 0);
                }
                while filled < whole {
                    filled += self.read(filled).await?;
                }
                Ok((head, body))
            }
            Framing::Chunked => loop {
                if let Some(chunks) = answer::chunks(&self.buffer[..filled], head.len)? {
                    return Ok((head, chunks.pieces.iter().map(Range::len).sum()));
                }
                if filled == self.buffer.len() && filled < ANSWER_MAX {
                    self.buffer.resize(filled * 2, 0);
                }
                filled += self.read(filled).await?;
            },
        }
    }

    async fn read(&mut self, filled: usize) -> io::Result<usize> {
        match self.stream.read(&mut self.buffer[filled..]).await? {
            0 => Err(io::Error::other("the server ended the connection, or its answer is too long")),
            count => Ok(count),
        }
    }
}

pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// Answers every request on every connection with `answer`, in two writes; the latter has `body`.
    fn server(head: String, body: Vec<u8>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, head, body) = (stream.unwrap(), head.clone(), body.clone());
                std::thread::spawn(move || {
                    let mut request = [0; 1024];
                    while stream.read(&mut request).is_ok_and(|count| count > 0) {
                        if stream.write_all(head.as_bytes()).is_err()
                            || stream.write_all(&body).is_err()
                            || head.contains("close")
                        {
                            break;
                        }
                    }
                });
            }
        });
        address
    }

    fn two(address: SocketAddr) -> Arc<Vec<Vec<u8>>> {
        Arc::new(["/a", "/b"].map(|path| Wanted::from(path.to_owned()).request(address)).into())
    }

    #[test]
    fn every_answer_is_counted_with_its_bytes() {
        let address = server("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".into(), vec![7; 100_000]);
        let seen = run(address, &two(address), 1..usize::MAX, 3, Duration::from_millis(300)).unwrap();
        assert!(seen.requests >= 3);
        assert_eq!(seen.bytes, seen.requests * 100_000);
        assert!(seen.p50_ms > 0.0 && seen.p99_ms >= seen.p50_ms && seen.seconds >= 0.3);
    }

    #[test]
    fn a_bounded_run_asks_for_each_number_once() {
        let address = server("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n".into(), vec![7]);
        let seen = run(address, &two(address), 3..10, 2, Duration::from_secs(10)).unwrap();
        assert_eq!((seen.requests, seen.bytes), (7, 7));
    }

    #[test]
    fn a_server_that_ends_its_connections_is_asked_on_new_ones() {
        let address =
            server("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n".into(), b"abc".to_vec());
        assert_eq!(run(address, &two(address), 0..5, 1, Duration::from_secs(10)).unwrap().requests, 5);
    }

    #[test]
    fn a_body_in_chunks_is_put_together() {
        let body = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".to_vec();
        let address = server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(), body);
        assert_eq!(once(address, &two(address)[0]).unwrap(), b"abcde");
        assert_eq!(run(address, &two(address), 0..4, 1, Duration::from_secs(10)).unwrap().bytes, 20);
    }

    #[test]
    fn a_part_of_a_file_is_asked_for_by_its_first_and_last_byte() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let request = Wanted { path: "/x".into(), range: Some(10..20) }.request(address);
        assert_eq!(request, b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:80\r\nRange: bytes=10-19\r\n\r\n");
    }
}
