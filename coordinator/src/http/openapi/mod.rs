//! The description of the API: `/openapi.json`, and the pages `/docs` and `/docs/problems`.
//!
//! It is written down by [`themes`], a file each, in plain [`words`]; forms of requests and answers come from the types
//! themselves. It owns no route but its own: a test of the cluster asks a server for each address that is described, and
//! looks in the sources for those that are not.

mod common;
mod document;
mod forms;
mod page;
mod themes;
mod words;

#[cfg(test)]
mod tests;

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use std::sync::{Arc, OnceLock};

/// The pages need nothing but their own style.
const CONTENT_SECURITY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'");

/// Makes what is sent, for a cluster that checks tokens, or none.
type Make = fn(bool) -> String;

/// What is sent at one address, made when it is first asked for.
struct Sent {
    media_type: &'static str,
    make: Make,
    checks_tokens: bool,
    made: OnceLock<(Bytes, HeaderValue)>,
}

/// The routes, which want no token.
pub(super) fn routes(checks_tokens: bool) -> Router {
    let json = |checks_tokens| document::document(&themes::all(), checks_tokens).to_string();
    let docs = |_| page::operations(&themes::all());
    let all: [(&str, &str, Make); 3] = [
        ("/openapi.json", "application/json", json),
        ("/docs", "text/html; charset=utf-8", docs),
        ("/docs/problems", "text/html; charset=utf-8", |_| page::problems()),
    ];
    all.into_iter().fold(Router::new(), |router, (path, media_type, make)| {
        let sent = Arc::new(Sent { media_type, make, checks_tokens, made: OnceLock::new() });
        let answer = move |headers: HeaderMap| async move { sent.answer(&headers) };
        router.route(path, get(answer))
    })
}

impl Sent {
    fn answer(&self, asked: &HeaderMap) -> Response {
        let (bytes, tag) = self.made.get_or_init(|| {
            let text = (self.make)(self.checks_tokens);
            let tag = format!("\"{}\"", &blake3::hash(text.as_bytes()).to_hex()[..16]);
            (Bytes::from(text), HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"none\"")))
        });
        let known = asked.get_all(header::IF_NONE_MATCH).into_iter().any(|value| {
            let mut tags = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            tags.any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
        });
        let headers: [(HeaderName, HeaderValue); 5] = [
            (header::CONTENT_TYPE, HeaderValue::from_static(self.media_type)),
            (header::ETAG, tag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY),
        ];
        match known {
            true => (StatusCode::NOT_MODIFIED, headers).into_response(),
            false => (headers, bytes.clone()).into_response(),
        }
    }
}
