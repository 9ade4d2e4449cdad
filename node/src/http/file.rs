//! `/v1/materials/{id}/file`: the original, whole or in part.

use super::{
    elsewhere, known, range,
    range::Wanted,
    stream::{self, Reader},
};
use crate::{
    Node,
    blobs::{Blob, not_arrived},
    disk,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use microtome_proto::{Code, MaterialId, Problem};
use microtome_server::extract::Path;
use std::{io, sync::Arc};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

/// Bytes that a check is sent at once.
const CHECK_PIECE_LEN: usize = 256 << 10;

const NOSNIFF: (HeaderName, HeaderValue) = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

pub(super) async fn answer(
    State(node): State<Arc<Node>>,
    Path(id): Path<MaterialId>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if let Some(secret) = check_in(uri.query()) {
        return to_check(&node, &id, secret).await;
    }
    let Some(blob) = node.readable(&id) else { return elsewhere(&node, &id, &uri).await };
    give(&node, &id, &blob, &method, &uri, &headers).await
}

/// The secret of a check's address.
fn check_in(query: Option<&str>) -> Option<&str> {
    query?.split('&').find_map(|pair| pair.strip_prefix("check="))
}

/// An upload that is being checked, for its check alone: nothing of it counts yet.
async fn to_check(node: &Node, id: &MaterialId, secret: &str) -> Response {
    let gone = || Problem::new(Code::NotFound, format!("{id} is not being checked")).into_response();
    let Some(upload) = node.uploads.get(id).filter(|upload| upload.is_checked_by(secret)) else { return gone() };
    let file = match tokio::fs::File::open(upload.path()).await {
        Ok(file) => file.take(upload.size()),
        Err(error) => return disk::problem(&error).into_response(),
    };
    let body = Body::from_stream(ReaderStream::with_capacity(file, CHECK_PIECE_LEN));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(upload.size())),
        NOSNIFF,
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}

/// The file that is here, or what the headers ask for of it.
pub(super) async fn give(
    node: &Node,
    id: &MaterialId,
    blob: &Arc<Blob>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Response {
    match part(blob, method, headers, Reader::User).await {
        Ok(mut response) => {
            if response.status().is_success() {
                describe(&mut response, blob);
            }
            response
        }
        // Not here yet, dropped a moment ago, or damaged here: another node has it.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            let response = elsewhere(node, id, uri).await;
            if response.status().is_redirection() { response } else { disk::problem(&error).into_response() }
        }
        Err(error) => disk::problem(&error).into_response(),
    }
}

/// What the headers ask for, with what describes the bytes.
pub(super) async fn part(
    blob: &Arc<Blob>,
    method: &Method,
    headers: &HeaderMap,
    reader: Reader,
) -> io::Result<Response> {
    let len = blob.len();
    let etag = format!("\"{}\"", blob.manifest().blake3);
    if known::has(headers, etag.as_bytes()) || known::has_any(headers) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    // A range is defined for GET only.
    let wanted = if method == Method::GET { range::wanted(headers, len, &etag) } else { Wanted::Whole };
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..len),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Outside => {
            let problem = Problem::new(Code::RangeNotSatisfiable, format!("the file has {len} bytes"));
            return Ok(([(header::CONTENT_RANGE, format!("bytes */{len}"))], problem).into_response());
        }
    };
    if !blob.has(&range) {
        return Err(not_arrived(&range));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let own = response.headers_mut();
    own.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    own.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    own.insert(header::ETAG, HeaderValue::try_from(etag).map_err(io::Error::other)?);
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        own.insert(header::CONTENT_RANGE, HeaderValue::try_from(text).map_err(io::Error::other)?);
    }
    if method == Method::GET {
        *response.body_mut() = stream::body(Arc::clone(blob), range, reader).await?;
    }
    Ok(response)
}

/// What a browser needs to know to keep it. It is never shown in place: it came from anybody.
fn describe(response: &mut Response, blob: &Blob) {
    let manifest = blob.manifest();
    let headers = response.headers_mut();
    let media_type = HeaderValue::try_from(&manifest.media_type);
    let media_type = media_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(NOSNIFF.0, NOSNIFF.1);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(disposition) = HeaderValue::try_from(disposition(&manifest.name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
}

/// RFC 6266: an ASCII name for the old, RFC 5987's form for all others.
fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/' | '%') || c == ' ' { c } else { '_' })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        // `attr-char` of RFC 5987.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        let text = disposition("Prä\"parat\r\nX: y/..\\7 %.svs");
        assert_eq!(
            text,
            "attachment; filename=\"Pr__parat__X: y_.._7 _.svs\"; \
             filename*=UTF-8''Pr%C3%A4%22parat%0D%0AX%3A%20y%2F..%5C7%20%25.svs"
        );
        assert!(HeaderValue::try_from(text).is_ok());
    }
}
