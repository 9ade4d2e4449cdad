//! Listening, serving, stopping.

use crate::{
    deadlines::Deadlines,
    lanes::{Lanes, Within},
    linger::Lingering,
    open_files::raise_open_files_max,
    refusals::{HEAD_LEN_MAX, Understood, Worded},
    scheme::Scheme,
    tls::{Acceptor, Opened},
};
use axum::{Router, body::Body};
use bytes::Bytes;
use futures_util::{FutureExt as _, future};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{Either, Full};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::TokioIo,
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use std::{
    convert::Infallible,
    error::Error,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::Semaphore,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Connections served at once, or half as many as the system lets files be open, so that there are always some for what
/// else a server does; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 20_000;
/// Time in which a request's headers must arrive, and before them the handshake of one that is encrypted: slow writers hold
/// a socket, not the server.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// Longest time in ms that bytes may wait for a reader that takes none: the kernel then ends the connection, and with it
/// what the answer keeps in memory.
const STILL_MS_MAX: u32 = 120_000;
/// Bodies of so many bytes are read to their end also where they are refused.
const DRAINED_LEN: u64 = 4096;
/// Time that requests under way get to end when the server stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What a server answers at once where it can, without a wait and before its router is asked; `None` leaves the request
/// to the router. It is for the few roads on which the router itself would be most of the cost, and must answer as the
/// router would. Where it answers it may take the request's headers apart: hyper makes the next request's of what they
/// leave, so that an answer that stands in them costs no memory of its own.
pub type AtHand = Arc<dyn Fn(&mut Request<Incoming>) -> Option<Response<Bytes>> + Send + Sync>;

/// The address at the other end of a request's connection: among the extensions of all that the router answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// A server cannot listen; the text tells how to go on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address does not resolve.
    #[error("'{0}' is no address to listen on: write HOST:PORT, 127.0.0.1:7400 for example")]
    Address(String),
    /// Somebody else has the port.
    #[error("{0} is taken by another program: stop that one, or choose another port with --listen")]
    InUse(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {0}: {1}")]
    Io(SocketAddr, io::Error),
}

/// Binds `address` (`HOST:PORT`; port 0 lets the system choose).
///
/// # Errors
/// [`ListenError`] with a way out.
pub async fn listen(address: &str) -> Result<TcpListener, ListenError> {
    let resolved = address.to_socket_addrs().ok().and_then(|mut all| all.next());
    let address = resolved.ok_or_else(|| ListenError::Address(address.to_owned()))?;
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address),
        _ => ListenError::Io(address, error),
    })
}

/// Serves `router`, and what is at hand before it where anything ever is, until `stop` is cancelled; then lets requests
/// under way end for a few seconds. Where something may be at hand, connections have threads of their own, which end with this.
/// With `tls` the same is answered over TLS as well.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Acceptor>,
    at_hand: Option<AtHand>,
    router: Router,
    stop: CancellationToken,
) {
    let lanes = if at_hand.is_some() { Lanes::start() } else { Lanes::none() };
    let router = TowerToHyperService::new(router);
    let half = usize::try_from(raise_open_files_max() / 2).unwrap_or(CONNECTIONS_MAX);
    let slots = Arc::new(Semaphore::new(half.clamp(1, CONNECTIONS_MAX)));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, peer, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, say: wait for some to come free rather than spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (at_hand, router, runtime) = (at_hand.clone(), router.clone(), Handle::current());
        let (scheme, understood) = (Scheme::Http, Understood::default());
        let answers = Answers { at_hand, router, runtime, peer, scheme, understood };
        let (watcher, tls, stop) = (graceful.watcher(), tls.clone(), stop.clone());
        lanes.spawn(async move {
            if let Err(error) = connection(stream, tls, answers, watcher, stop).await {
                tracing::debug!(error, "connection ended early");
            }
            drop(slot);
        });
    }
    let _ = timeout(STOP_WITHIN, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(std::net::TcpStream, Peer, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, from) = listener.accept().await?;
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, STILL_MS_MAX);
    // The thread that serves it is to be told of its requests, not the one that accepted it.
    Ok((stream.into_std()?, Peer(from.ip()), slot))
}

/// Serves one connection to its end.
async fn connection(
    stream: std::net::TcpStream,
    tls: Option<Acceptor>,
    mut answers: Answers,
    watcher: Watcher,
    stop: CancellationToken,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::from_std(stream)?;
    let Some(tls) = tls else { return speak(Lingering::new(stream), answers, watcher).await };
    match stop.run_until_cancelled(timeout(HEADERS_WITHIN, tls.open(stream))).await {
        None => Ok(()),
        Some(opened) => match opened?? {
            Opened::Plain(stream) => speak(stream, answers, watcher).await,
            Opened::Encrypted(stream) => {
                answers.scheme = Scheme::Https;
                Box::pin(speak(stream, answers, watcher)).await
            }
        },
    }
}

/// Answers the requests of one connection.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    answers: Answers,
    watcher: Watcher,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let stream = TokioIo::new(Worded::new(stream, answers.understood.clone()));
    let service = service_fn(|request| answers.answer(request));
    let mut builder = http1::Builder::new();
    builder.timer(Deadlines::default()).header_read_timeout(HEADERS_WITHIN);
    // The buffer's size is no limit of its own: what is read last may go beyond it.
    builder.max_buf_size(HEAD_LEN_MAX).max_header_size(HEAD_LEN_MAX);
    Ok(watcher.watch(builder.serve_connection(stream, service)).await?)
}

type Answer = Result<Response<Either<Full<Bytes>, Within<Body>>>, Infallible>;

/// What is answered.
#[derive(Clone)]
struct Answers {
    at_hand: Option<AtHand>,
    router: TowerToHyperService<Router>,
    /// Where all runs that handlers start.
    runtime: Handle,
    peer: Peer,
    scheme: Scheme,
    understood: Understood,
}

impl Answers {
    /// What is at hand, or else what the router answers.
    fn answer(&self, mut request: Request<Incoming>) -> impl Future<Output = Answer> + Send + use<> {
        self.understood.set();
        match self.at_hand.as_ref().and_then(|at_hand| at_hand(&mut request)) {
            Some(ready) => future::ready(Ok(ready.map(|bytes| Either::Left(Full::new(bytes))))).left_future(),
            None => {
                request.extensions_mut().insert(self.peer);
                request.extensions_mut().insert(self.scheme);
                let is_large = is_large(request.body());
                let (runtime, routed) = (self.runtime.clone(), self.router.call(request));
                let routed = Within::new(self.runtime.clone(), Box::pin(routed));
                let answered = move |mut response: Response<Body>| {
                    if is_large && (response.status().is_client_error() || response.status().is_server_error()) {
                        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                    }
                    response.map(|body| Either::Right(Within::new(runtime, body)))
                };
                routed.map(|routed| routed.map(answered)).right_future()
            }
        }
    }
}

/// Whether a body is so large that a refusal may leave some of it unread: the connection ends then, and the client has to know
/// before it sends its next request there.
fn is_large(body: &Incoming) -> bool {
    body.size_hint().upper().is_none_or(|len| len > DRAINED_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use std::thread;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        sync::Notify,
        task::JoinHandle,
    };

    const LIKE_A_REFUSAL: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";

    /// What looks like a refusal may be anybody's file: no byte of it is another.
    #[tokio::test]
    async fn a_body_that_looks_like_a_refusal_is_left_as_it_is() {
        let Started { address, .. } = started(None).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET /like_a_refusal HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(body, LIKE_A_REFUSAL);
    }

    fn here() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    /// A server that says which threads do what.
    struct Started {
        address: SocketAddr,
        /// Told when `/slow` begins.
        begun: Arc<Notify>,
        stop: CancellationToken,
        serving: JoinHandle<()>,
    }

    async fn started(at_hand: Option<AtHand>) -> Started {
        let elsewhere = || async {
            let (task, blocking) = (tokio::spawn(async { here() }), tokio::task::spawn_blocking(here));
            tokio::time::sleep(Duration::from_millis(1)).await;
            format!("{}, {}", task.await.unwrap(), blocking.await.unwrap())
        };
        let begun = Arc::new(Notify::new());
        let slow = {
            let begun = Arc::clone(&begun);
            || async move {
                begun.notify_one();
                tokio::time::sleep(Duration::from_millis(50)).await;
                "done"
            }
        };
        let refused = || async { http::StatusCode::INSUFFICIENT_STORAGE };
        // A file that somebody has stored, of which the first bytes come when the head is out.
        let like_a_refusal = || async {
            let bytes = futures_util::stream::once(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok::<_, Infallible>(LIKE_A_REFUSAL)
            });
            ([(header::CONTENT_LENGTH, LIKE_A_REFUSAL.len())], Body::from_stream(bytes))
        };
        let router = Router::new()
            .route("/routed", get(elsewhere))
            .route("/slow", get(slow))
            .route("/refused", post(refused))
            .route("/like_a_refusal", get(like_a_refusal));
        let listener = listen("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        Started {
            address,
            begun,
            stop: stop.clone(),
            serving: tokio::spawn(serve(listener, None, at_hand, router, stop)),
        }
    }

    fn at_hand() -> Option<AtHand> {
        Some(Arc::new(|request| (request.uri().path() == "/at_hand").then(|| Response::new(here().into()))))
    }

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_at_hand_has_its_own_threads_and_what_handlers_start_runs_on_the_programs() {
        let Started { address, .. } = started(at_hand()).await;
        assert!(ask(address, "/at_hand").await.starts_with("lane-"));
        let routed = ask(address, "/routed").await;
        assert!(routed.len() > 4 && !routed.contains("lane-"), "{routed}");
    }

    #[tokio::test]
    async fn where_nothing_is_ever_at_hand_no_thread_is_started() {
        let Started { address, .. } = started(None).await;
        assert!(!ask(address, "/routed").await.contains("lane-"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_reaches_a_client_that_sends_a_large_body_all_the_same() {
        let Started { address, .. } = started(None).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let body = vec![0; 32 << 20];
        let head = format!("POST /refused HTTP/1.1\r\nhost: here\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 507"), "{answer}");
        assert!(answer.contains("connection: close"), "the client must not send its next request there: {answer}");
    }

    #[tokio::test]
    async fn a_server_that_stops_ends_what_is_under_way_and_closes_what_is_idle() {
        let Started { address, begun, stop, serving } = started(at_hand()).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /at_hand HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);
        let under_way = tokio::spawn(ask(address, "/slow"));
        begun.notified().await;
        stop.cancel();
        assert_eq!(under_way.await.unwrap(), "done");
        assert_eq!(idle.read(&mut [0; 1024]).await.unwrap(), 0);
        timeout(STOP_WITHIN / 2, serving).await.unwrap().unwrap();
    }
}
