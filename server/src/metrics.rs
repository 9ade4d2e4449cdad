//! Metrics in the OpenMetrics text format, answered at `/metrics`.

use axum::{
    extract::{MatchedPath, Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

/// Labels of a request: the route's pattern, never the path, so that their number stays small.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    status: u16,
}

/// The server's metrics. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: Family<RouteLabels, Counter>,
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("microtome");
        let requests = Family::default();
        let seconds = Histogram::new([0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]);
        registry.register("http_requests", "Requests answered, by route and status", requests.clone());
        registry.register("http_request_seconds", "Time to the answer's head", seconds.clone());
        Self { registry: Arc::new(Mutex::new(registry)), requests, seconds }
    }
}

impl Metrics {
    /// Adds a part's own metrics.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Handler of `GET /metrics`.
    pub async fn answer(State(metrics): State<Self>) -> Response {
        let mut text = String::new();
        let registry = metrics.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = encode(&mut text, &registry);
        ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
    }

    /// The books of one route's good answers, for what is answered without the middleware.
    pub fn route(&self, route: &str) -> RouteMetrics {
        let labels = RouteLabels { route: route.to_owned(), status: 200 };
        RouteMetrics { requests: self.requests.get_or_create_owned(&labels), seconds: self.seconds.clone() }
    }

    /// Middleware that counts and times requests.
    pub async fn count(State(metrics): State<Self>, request: Request, next: Next) -> Response {
        let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
        let start = Instant::now();
        let response = next.run(request).await;
        metrics.seconds.observe(start.elapsed().as_secs_f64());
        metrics.requests.get_or_create(&RouteLabels { route, status: response.status().as_u16() }).inc();
        response
    }
}

/// Counts and times the good answers of one route.
#[derive(Debug, Clone)]
pub struct RouteMetrics {
    requests: Counter,
    seconds: Histogram,
}

impl RouteMetrics {
    /// Books an answer that was begun at `start`.
    pub fn count(&self, start: Instant) {
        self.seconds.observe(start.elapsed().as_secs_f64());
        self.requests.inc();
    }
}
