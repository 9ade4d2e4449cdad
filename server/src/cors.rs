//! Cross-origin requests: any origin may ask, and sees the headers that viewers and tus clients look at. What it may do is
//! for the token check to say, see [`crate::auth`].
//!
//! Only preflight requests are answered here; a plain OPTIONS, which tus gives a meaning of its own, reaches its route.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "content-digest, content-range, accept-ranges, etag, link, location, microtome-tile, microtome-width, microtome-height, \
     retry-after, tus-resumable, \
     tus-version, tus-extension, tus-max-size, tus-checksum-algorithm, upload-offset, upload-length, upload-defer-length, upload-metadata, upload-expires, \
     upload-concat",
);
/// How a tile was made: whoever has it has no use for the others.
const TILE: HeaderName = HeaderName::from_static("microtome-tile");
/// Of an answer with a tile, of which there are many.
const EXPOSED_OF_TILE: HeaderValue = HeaderValue::from_static("etag, microtome-tile");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("3600");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Middleware.
pub(crate) async fn allow_any_origin(request: Request, next: Next) -> Response {
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight {
        let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(ANY));
        return response;
    }
    let mut response = next.run(request).await;
    allow(response.headers_mut());
    response
}

/// Says in an answer's headers that any origin may read it.
pub fn allow(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    let exposed = if headers.contains_key(TILE) { EXPOSED_OF_TILE } else { EXPOSED };
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
}
