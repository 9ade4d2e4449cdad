//! The viewer and the console, built into the program.
//!
//! It owns the page's files and how browsers may keep them. It knows nothing of the cluster: the page itself asks the
//! API, with the token of whoever looks at it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// A file of the page.
struct Asset {
    /// Its path without a leading slash.
    path: &'static str,
    /// Changes with its content.
    tag: &'static str,
    bytes: &'static [u8],
    /// The same, compressed, where that pays.
    gzip: Option<&'static [u8]>,
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The page that every address of the console answers with.
const INDEX: &str = "index.html";

/// Scripts come from the program alone; OpenSeadragon writes a style of its own into the page. Tiles, pictures and
/// answers come from nodes and coordinators, whose addresses the page learns from the cluster. The page's address may
/// carry a token: it is told to nobody.
const PAGE_HEADERS: [(header::HeaderName, HeaderValue); 2] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
             img-src 'self' blob: data: http: https:; connect-src 'self' http: https:; base-uri 'none'; \
             form-action 'none'",
        ),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// The console: `/`, `/view/{id}` and the files that they need. Where the program was built without npm, a plain page
/// says so.
pub fn console() -> Router {
    let index = |headers: HeaderMap| async move { answer(find(INDEX), &headers) };
    let router = Router::new().route("/", get(index)).route("/view/{id}", get(index));
    ASSETS.iter().filter(|asset| asset.path != INDEX).fold(router, |router, asset| {
        let serve = move |headers: HeaderMap| async move { answer(Some(asset), &headers) };
        router.route(&format!("/{}", asset.path), get(serve))
    })
}

fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

fn answer(asset: Option<&'static Asset>, request: &HeaderMap) -> Response {
    let Some(asset) = asset else { return StatusCode::NOT_FOUND.into_response() };
    let gzip = asset.gzip.filter(|_| accepts_gzip(request));
    // The two forms are different bytes, and a strong tag speaks of bytes.
    let tag = if gzip.is_some() { format!("\"{}-gz\"", asset.tag) } else { format!("\"{}\"", asset.tag) };
    let mut response = if is_known(request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Bytes::from_static(gzip.unwrap_or(asset.bytes)).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(asset.path)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control(asset.path)));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if gzip.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if asset.path == INDEX {
        headers.extend(PAGE_HEADERS);
    }
    response
}

/// Whether gzip is named, and not with a weight of nought.
fn accepts_gzip(request: &HeaderMap) -> bool {
    list_items(request, header::ACCEPT_ENCODING).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let named = matches!(parts.next(), Some("gzip" | "*"));
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok());
        named && weight.is_none_or(|weight| weight > 0.0)
    })
}

/// Whether the browser has these very bytes already.
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    list_items(request, header::IF_NONE_MATCH).any(|item| item == "*" || item.trim_start_matches("W/") == tag)
}

fn list_items(request: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = request.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',').map(str::trim))
}

/// Files under `assets/` carry a hash of their content in their names; all others may change under the same name.
fn cache_control(path: &str) -> &'static str {
    if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SCRIPT: Asset =
        Asset { path: "assets/index-1a2b.js", tag: "77", bytes: b"let plain", gzip: Some(b"compressed") };

    fn request(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn the_page_is_there_and_is_asked_for_again_each_time() {
        let response = answer(find(INDEX), &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
        assert!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        let _ = console();
    }

    #[test]
    fn hashed_files_are_kept_for_good() {
        let response = answer(Some(&SCRIPT), &HeaderMap::new());
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert!(!response.headers().contains_key(header::CONTENT_SECURITY_POLICY));
    }

    #[test]
    fn each_form_has_a_tag_of_its_own() {
        let plain = answer(Some(&SCRIPT), &request(&[(header::ACCEPT_ENCODING, "br, gzip;q=0")]));
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        assert_eq!(plain.headers()[header::ETAG], "\"77\"");
        let small = answer(Some(&SCRIPT), &request(&[(header::ACCEPT_ENCODING, "br, gzip")]));
        assert_eq!(small.headers()[header::CONTENT_ENCODING], "gzip");
        assert_eq!(small.headers()[header::ETAG], "\"77-gz\"");
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        for known in ["\"77\"", "W/\"77\"", "\"1\", \"77\"", "*"] {
            let response = answer(Some(&SCRIPT), &request(&[(header::IF_NONE_MATCH, known)]));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[header::ETAG], "\"77\"");
        }
        let response = answer(Some(&SCRIPT), &request(&[(header::IF_NONE_MATCH, "\"78\"")]));
        assert_eq!(response.status(), StatusCode::OK);
    }
}
