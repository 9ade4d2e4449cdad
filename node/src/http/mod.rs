//! What a node answers. Each file speaks for one family of addresses; none of them decides anything.

mod blobs;
mod elsewhere;
mod file;
mod pixels;
mod range;
mod stream;
mod uploads;

pub(crate) use elsewhere::{Locator, elsewhere};

use crate::Node;
use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{any, get, post},
};
use microtome_server::routes::{Ready, assemble};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// The whole node.
pub(crate) fn router(node: &Arc<Node>) -> Router {
    let users = Router::new()
        .route("/v1/uploads/{id}", any(uploads::answer))
        .route("/v1/materials/{id}/file", get(file::answer))
        .route("/v1/{*rest}", any(elsewhere::to_coordinator))
        .merge(pixels::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(node), count_active))
        .with_state(Arc::clone(node));
    let servers = Router::new()
        .route("/internal/v1/uploads", post(blobs::reserve))
        .route("/internal/v1/blobs/{id}/leaves", get(blobs::leaves))
        .route("/internal/v1/blobs/{id}/data", get(blobs::data))
        .layer(middleware::from_fn_with_state(Arc::clone(node), count_active))
        .with_state(Arc::clone(node));
    let open = Router::new()
        .route("/", get(elsewhere::to_coordinator))
        .route("/view/{id}", get(elsewhere::to_coordinator))
        .with_state(Arc::clone(node));
    let owner = Arc::clone(node);
    let ready: Ready = Arc::new(move || match owner.id() {
        _ if owner.stop.is_cancelled() => Err("the node is stopping".to_owned()),
        None => Err("the node has not reached a coordinator yet".to_owned()),
        Some(_) => Ok(()),
    });
    assemble(&node.auth, &node.metrics, ready, users, servers, open)
}

/// Counts the requests being answered: the coordinators send readers to the nodes that have less to do.
async fn count_active(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let _active = Active::new(&node.requests_active);
    next.run(request).await
}

struct Active<'a>(&'a AtomicU32);

impl<'a> Active<'a> {
    fn new(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
