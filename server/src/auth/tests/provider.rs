//! An identity provider that behaves or does not.

use super::forge::Forge;
use axum::{
    Router,
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde_json::Value;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio_util::sync::CancellationToken;

/// What the provider does when it is asked for its keys.
#[derive(Clone)]
pub(super) enum Does {
    Tells(Value),
    Says(StatusCode, &'static str),
    Redirects,
    SendsMuch,
    Hangs,
}

/// A provider.
pub(super) struct Fake {
    pub(super) url: String,
    does: Arc<Mutex<Does>>,
    asked: Arc<AtomicUsize>,
    pub(super) stop: CancellationToken,
}

impl Fake {
    pub(super) async fn start(does: Does) -> Self {
        let (does, asked, stop) = (Arc::new(Mutex::new(does)), Arc::<AtomicUsize>::default(), CancellationToken::new());
        let (now, count) = (Arc::clone(&does), Arc::clone(&asked));
        let keys = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let does = now.lock().unwrap().clone();
            async move { does.answer().await }
        };
        let listener = crate::listen("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let router = Router::new().route("/keys", get(keys)).route("/good", get(good));
        tokio::spawn(crate::serve(listener, None, None, router, stop.clone()));
        Self { url, does, asked, stop }
    }

    pub(super) fn now(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn good() -> Response {
    axum::Json(Forge::shared().jwks()).into_response()
}

impl Does {
    async fn answer(self) -> Response {
        match self {
            Self::Tells(keys) => axum::Json(keys).into_response(),
            Self::Says(status, text) => (status, text).into_response(),
            Self::Redirects => (StatusCode::FOUND, [(header::LOCATION, "/good")]).into_response(),
            Self::SendsMuch => Body::from(vec![b' '; 10 << 20]).into_response(),
            Self::Hangs => std::future::pending().await,
        }
    }
}
