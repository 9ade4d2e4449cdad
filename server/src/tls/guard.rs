//! What servers say to each other has to be encrypted.

use super::Tls;
use crate::{Peer, Scheme};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use microtome_proto::{Code, Problem, tls::BetweenServers};

/// Middleware: refuses what came plain from another machine, before its token is looked at.
pub(crate) async fn encrypted(State(tls): State<Tls>, request: Request, next: Next) -> Response {
    let scheme = Scheme::of(request.extensions());
    let from = request.extensions().get::<Peer>().map(|peer| peer.0.to_canonical());
    match from {
        Some(from) if tls.between == BetweenServers::On && scheme == Scheme::Http && !from.is_loopback() => {
            let detail = format!("{from} called without encryption, and could be heard by everybody on the way");
            Problem::new(Code::EncryptionNeeded, detail).into_response()
        }
        _ => next.run(request).await,
    }
}
