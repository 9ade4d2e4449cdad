//! What a node answers. Each file speaks for one family of addresses; none of them decides anything.

mod blobs;
mod elsewhere;
mod file;
mod known;
mod pixels;
mod range;
mod stream;
mod uploads;

pub(crate) use elsewhere::{Locator, elsewhere};
pub(crate) use pixels::at_hand;

use crate::Node;
use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::Response,
    routing::{any, get, post},
};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use microtome_server::{
    Scheme,
    routes::{Ready, assemble},
};
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

/// The whole node.
pub(crate) fn router(node: &Arc<Node>) -> Router {
    let users = Router::new()
        .route("/v1/uploads/{id}", any(uploads::answer))
        .route("/v1/materials/{id}/file", get(file::answer))
        .route("/v1/{*rest}", any(elsewhere::to_coordinator))
        .merge(pixels::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(node), elsewhere::ask_the_books))
        .layer(middleware::from_fn_with_state(Arc::clone(node), count_active))
        .layer(middleware::from_fn(stay_encrypted))
        .with_state(Arc::clone(node));
    let servers = Router::new()
        .route("/internal/v1/uploads", post(blobs::reserve))
        .route("/internal/v1/orders/due", post(orders_due))
        .route("/internal/v1/blobs/{id}/leaves", get(blobs::leaves))
        .route("/internal/v1/blobs/{id}/data", get(blobs::data))
        .layer(middleware::from_fn_with_state(Arc::clone(node), count_active))
        .with_state(Arc::clone(node));
    let open = Router::new()
        .route("/", get(elsewhere::to_coordinator))
        .route("/view/{id}", get(elsewhere::to_coordinator))
        .route("/v1/login", post(elsewhere::to_coordinator))
        .route("/v1/login/refresh", post(elsewhere::to_coordinator))
        .route("/openapi.json", get(elsewhere::to_coordinator))
        .route("/docs", get(elsewhere::to_coordinator))
        .route("/docs/problems", get(elsewhere::to_coordinator))
        .layer(middleware::from_fn(stay_encrypted))
        .with_state(Arc::clone(node));
    let owner = Arc::clone(node);
    let ready: Ready = Arc::new(move || match owner.id() {
        _ if owner.stop.is_cancelled() => Err("the node is stopping".to_owned()),
        None => Err("the node has not reached a coordinator yet".to_owned()),
        Some(_) => Ok(()),
    });
    assemble((&node.auth, &node.tls), &node.metrics, ready, users, servers, open)
}

/// There is something to do: the next heartbeat, which brings it, need not wait for its time.
async fn orders_due(State(node): State<Arc<Node>>) -> StatusCode {
    node.orders_due.notify_one();
    StatusCode::NO_CONTENT
}

/// Whoever came encrypted is led on so.
async fn stay_encrypted(scheme: Scheme, request: Request, next: Next) -> Response {
    scheme.lead_on(next.run(request).await)
}

/// Counts the requests being answered: the coordinators send readers to the nodes that have less to do.
async fn count_active(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let active = Active::new(node);
    next.run(request).await.map(|body| Body::new(Counted { body, _active: active }))
}

struct Active(Arc<Node>);

impl Active {
    fn new(node: Arc<Node>) -> Self {
        node.requests_active.fetch_add(1, Ordering::Relaxed);
        Self(node)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.requests_active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body whose request counts until it is sent.
struct Counted {
    body: Body,
    _active: Active,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
