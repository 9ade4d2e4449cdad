//! Answers with a picture: what names it for caches, and how it was made.

use crate::http::known;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use microtome_proto::{Code, Problem};
use std::fmt::{self, Write as _};

/// A picture never changes under its address: an id is never given to other bytes.
const CACHE: HeaderValue = HeaderValue::from_static("private, max-age=3600");
/// Digits of the file's hash in an ETag.
const TAG_DIGITS: usize = 16;
/// Room for an ETag.
const TAG_LEN: usize = 64;

/// How a tile was made.
const TILE: HeaderName = HeaderName::from_static("microtome-tile");
pub(super) const NATIVE: HeaderValue = HeaderValue::from_static("native");
pub(super) const RENDERED: HeaderValue = HeaderValue::from_static("rendered");

/// The name of what is asked for, and what its asker has already.
pub(super) struct Tagged<'a> {
    tag: HeaderValue,
    wanted: &'a HeaderMap,
}

impl<'a> Tagged<'a> {
    /// `what` tells one picture of the file with this hash from all others.
    pub(super) fn new(blake3: &str, what: impl fmt::Display, wanted: &'a HeaderMap) -> Result<Self, Problem> {
        Ok(Self { tag: tag(blake3, what)?, wanted })
    }

    /// The answer for an asker that has the picture already: known before any work.
    pub(super) fn unchanged(&self) -> Option<Response> {
        known::has(self.wanted, self.tag.as_bytes()).then(|| self.not_modified())
    }

    /// The answer with the picture.
    pub(super) fn picture<B: From<Bytes> + Default>(&self, media_type: &'static str, bytes: Bytes) -> Response<B> {
        // Whoever has any picture of this address wants none: known only now that there is one.
        if known::has_any(self.wanted) {
            return self.not_modified();
        }
        let mut response = Response::new(B::from(bytes));
        describe(response.headers_mut(), media_type, self.tag.clone());
        response
    }

    /// The same for a tile.
    pub(super) fn tile<B: From<Bytes> + Default>(
        &self,
        media_type: &'static str,
        bytes: Bytes,
        made: HeaderValue,
    ) -> Response<B> {
        let mut response = self.picture(media_type, bytes);
        response.headers_mut().insert(TILE, made);
        response
    }

    fn not_modified<B: Default>(&self) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        name(response.headers_mut(), self.tag.clone());
        response
    }
}

/// The tag of the picture that `what` tells from all others of the file with this hash.
pub(super) fn tag(blake3: &str, what: impl fmt::Display) -> Result<HeaderValue, Problem> {
    let hash = blake3.get(..TAG_DIGITS).unwrap_or(blake3);
    // Of the names few are longer.
    let mut tag = String::with_capacity(TAG_LEN);
    let written = write!(tag, "\"{hash}-{what}\"");
    written
        .ok()
        .and_then(|()| HeaderValue::try_from(tag).ok())
        .ok_or_else(|| Problem::new(Code::BadRequest, "the address has a character that no header can have"))
}

/// The headers of a native tile in place of those that were there.
pub(super) fn describe_native(headers: &mut HeaderMap, media_type: &'static str, tag: HeaderValue) {
    headers.clear();
    describe(headers, media_type, tag);
    headers.insert(TILE, NATIVE);
}

fn describe(headers: &mut HeaderMap, media_type: &'static str, tag: HeaderValue) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    name(headers, tag);
}

fn name(headers: &mut HeaderMap, tag: HeaderValue) {
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, CACHE);
}
