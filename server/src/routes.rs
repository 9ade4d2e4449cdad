//! Routes and layers that every server has.

use crate::{Auth, Metrics};
use axum::{
    Router,
    http::{Method, Uri},
    middleware,
    routing::get,
};
use microtome_proto::{Code, Problem};
use std::sync::Arc;

/// Whether the server can do its work, asked by `/readyz`.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Puts a server together: `users` for what users call, `servers` for what servers say to each other, `open` for what
/// needs no token (the console's page), and `/healthz`, `/readyz` and `/metrics`.
pub fn assemble(auth: &Auth, metrics: &Metrics, ready: Ready, users: Router, servers: Router, open: Router) -> Router {
    let own = Router::new().route("/metrics", get(Metrics::answer)).with_state(metrics.clone());
    let own = own.route_layer(middleware::from_fn(crate::auth::administrators));
    let users = users.merge(own).layer(middleware::from_fn_with_state(auth.clone(), crate::auth::user));
    let servers = servers.layer(middleware::from_fn_with_state(auth.clone(), crate::auth::server));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { ready().map(|()| "ready\n").map_err(not_ready) }))
        .merge(users)
        .merge(servers)
        .merge(open)
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(metrics.clone(), Metrics::count))
        .layer(middleware::from_fn(crate::cors::allow_any_origin))
}

fn not_ready(reason: String) -> Problem {
    Problem::new(Code::NotReady, reason)
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("nothing is served at {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Code::MethodNotAllowed, format!("{method} is not served at {}", uri.path()))
}
