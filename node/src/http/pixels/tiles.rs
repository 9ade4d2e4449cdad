//! `/tiles/{id}/{level}/{column}_{row}.jpg`: the file's own grid and levels. The road that has to be fast.

use super::{
    Refusal, bad_request, held, number, opened, read, reply,
    tagged::{NATIVE, RENDERED, Tagged},
    tile_name,
};
use crate::{
    Node,
    blobs::Blob,
    pixels::{Format, Picture},
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, Method, Request, header, request::Parts},
    response::Response,
};
use bytes::Bytes;
use microtome_proto::{Problem, token::Role};
use microtome_server::{RouteMetrics, cors};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// The route in the router's words.
pub(super) const ROUTE: &str = "/tiles/{id}/{level}/{tile}";

pub(super) async fn tile(State(node): State<Arc<Node>>, request: Request<Body>) -> Response {
    let (head, _) = request.into_parts();
    reply(&node, &head.uri, answer(&node, &head).await).await
}

async fn answer(node: &Node, head: &Parts) -> Result<Response, Refusal> {
    let path = head.uri.path();
    let (id, level, column, row) =
        address(path).ok_or_else(|| bad_request(format!("'{path}' is not /tiles/ID/LEVEL/COLUMN_ROW.jpg")))?;
    let blob = held(node, id)?;
    let tagged = tagged(&blob, level, column, row, &head.headers)?;
    if let Some(unchanged) = tagged.unchanged() {
        return Ok(unchanged);
    }
    let slide = opened(node, &blob).await?;
    node.tiles_served.fetch_add(1, Ordering::Relaxed);
    if let Some(tile) = read(&blob, node.pixels.native(&slide, level, column, row).await)? {
        return Ok(tagged.tile(Format::Jpeg.media_type(), tile, NATIVE));
    }
    let tile = read(&blob, node.pixels.picture(&slide, Picture::Tile { level, column, row }).await)?;
    Ok(tagged.tile(Format::Jpeg.media_type(), tile, RENDERED))
}

/// The answer of the same road where all that it needs is at hand: the slide is open, and the tile's bytes are proven
/// and in the page cache. It waits for nothing and goes through no layers, which would cost more than the tile itself;
/// whatever is not plain is left to [`tile`].
pub(crate) fn at_hand<B>(node: &Node, books: &RouteMetrics, request: &Request<B>) -> Option<Response<Bytes>> {
    let start = Instant::now();
    let (uri, headers) = (request.uri(), request.headers());
    let (id, level, column, row) = address(uri.path()).filter(|_| request.method() == Method::GET)?;
    if headers.contains_key(header::IF_NONE_MATCH) {
        return None;
    }
    node.auth.check_request(Role::Administrator, request.method(), uri, headers).ok()?;
    let blob = node.blobs.get(&id.parse().ok()?)?;
    let tile = node.pixels.native_at_hand(&blob, level, column, row)?;
    let tagged = tagged(&blob, level, column, row, headers).ok()?;
    let mut response = tagged.tile(Format::Jpeg.media_type(), tile, NATIVE);
    cors::allow(response.headers_mut());
    node.tiles_served.fetch_add(1, Ordering::Relaxed);
    books.count(start);
    Some(response)
}

fn tagged<'a>(blob: &Blob, level: usize, column: u32, row: u32, headers: &'a HeaderMap) -> Result<Tagged<'a>, Problem> {
    Tagged::new(&blob.manifest().blake3, format_args!("{level}-{column}-{row}"), headers)
}

/// Taken apart by hand: an address of digits needs no decoding, and this is asked most of all.
fn address(path: &str) -> Option<(&str, usize, u32, u32)> {
    let (id, rest) = path.strip_prefix("/tiles/")?.split_once('/')?;
    let (level, name) = rest.split_once('/')?;
    let (column, row, suffix) = tile_name(name)?;
    (suffix == "jpg").then_some((id, number(level)? as usize, column, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(address("/tiles/m-1/0/12_3.jpg"), Some(("m-1", 0, 12, 3)));
        for path in ["/tiles/m-1/0/1_2.png", "/tiles/m-1/x/1_2.jpg", "/tiles/m-1/0/1_2.jpg/", "/tiles/m-1/1_2.jpg"] {
            assert_eq!(address(path), None, "{path}");
        }
    }
}
