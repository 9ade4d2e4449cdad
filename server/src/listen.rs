//! Listening, serving, stopping.

use axum::{Router, body::Body};
use bytes::Bytes;
use futures_util::{FutureExt as _, TryFutureExt as _, future};
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 20_000;
/// Time in which a request's headers must arrive: slow writers hold a socket, not the server.
const HEADERS_WITHIN: Duration = Duration::from_secs(20);
/// Longest time in ms that bytes may wait for a reader that takes none: the kernel then ends the connection, and with it
/// what the answer keeps in memory.
const STILL_MS_MAX: u32 = 120_000;
/// Largest head of a request, in bytes.
const HEAD_LEN_MAX: usize = 64 << 10;
/// Time that requests under way get to end when the server stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What a server answers at once where it can, without a wait and before its router is asked; `None` leaves the request
/// to the router. It is for the few roads on which the router itself would be most of the cost, and must answer as the
/// router would.
pub type AtHand = Arc<dyn Fn(&Request<Incoming>) -> Option<Response<Bytes>> + Send + Sync>;

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

/// Serves what is at hand, and `router` for all else, until `stop` is cancelled; then lets requests under way end for a
/// few seconds.
pub async fn serve(listener: TcpListener, at_hand: AtHand, router: Router, stop: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(HEAD_LEN_MAX);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, say: wait for some to come free rather than spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, STILL_MS_MAX);
        let (at_hand, routed) = (Arc::clone(&at_hand), TowerToHyperService::new(router.clone()));
        let service = service_fn(move |request| answer(&at_hand, &routed, request));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
            drop(slot);
        });
    }
    let _ = tokio::time::timeout(STOP_WITHIN, graceful.shutdown()).await;
}

type Answer = Result<Response<Either<Full<Bytes>, Body>>, Infallible>;

/// What is at hand, or else what the router answers.
fn answer(
    at_hand: &AtHand,
    router: &TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> impl Future<Output = Answer> + Send + use<> {
    match at_hand(&request) {
        Some(ready) => future::ready(Ok(ready.map(|bytes| Either::Left(Full::new(bytes))))).left_future(),
        None => router.call(request).map_ok(|routed| routed.map(Either::Right)).right_future(),
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}
