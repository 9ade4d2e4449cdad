//! Native tiles that are at hand: the slide is open, and the tile's bytes are proven and in the page cache. They are
//! answered before the router is asked, as its handlers would answer: nothing is waited for, and no layers are gone
//! through, which would cost more than the tile itself. Whatever is not plain is left to the router.

use super::{
    deep_zoom::{self, Grid},
    tagged, tiles,
};
use crate::{
    Node,
    pixels::{Format, Opened},
};
use axum::http::{HeaderValue, Method, Request, Response, header};
use bytes::Bytes;
use microtome_server::{AtHand, cors};
use std::{
    fmt, mem,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// The answers at hand.
pub(crate) fn at_hand(node: &Arc<Node>) -> AtHand {
    let (tiles, zoom) = (node.metrics.route(tiles::ROUTE), node.metrics.route(deep_zoom::ROUTE));
    let node = Arc::clone(node);
    Arc::new(move |request| {
        let start = Instant::now();
        if !is_plain(request) {
            return None;
        }
        let path = request.uri().path();
        let (tile, tag, books) = if let Some(address) = tiles::Address::parse(path) {
            let place = |_: &Opened| Some((address.level, address.column, address.row));
            let (tile, tag) = read(&node, request, address.id, place, address.name(None))?;
            (tile, tag, &tiles)
        } else {
            let address = deep_zoom::Address::parse(path).filter(|address| address.format == Format::Jpeg)?;
            let place = |opened: &Opened| opened.zoom.native(address.level, address.column, address.row);
            let (tile, tag) = read(&node, request, address.id, place, address.name(Grid::default()))?;
            (tile, tag, &zoom)
        };
        let mut headers = mem::take(request.headers_mut());
        tagged::describe_native(&mut headers, Format::Jpeg.media_type(), tag);
        cors::allow(&mut headers);
        node.tiles_served.fetch_add(1, Ordering::Relaxed);
        books.count(start);
        let mut response = Response::new(tile);
        *response.headers_mut() = headers;
        Some(response)
    })
}

/// Whether nothing but the picture is asked for, as it is.
fn is_plain<B>(request: &Request<B>) -> bool {
    let token_alone = |query: &str| query.starts_with("token=") && !query.contains('&');
    request.method() == Method::GET
        && request.uri().query().is_none_or(token_alone)
        && !request.headers().contains_key(header::IF_NONE_MATCH)
}

/// The tile of the material `id` that `place` names by level, column and row, and its tag.
fn read<B>(
    node: &Node,
    request: &Request<B>,
    id: &str,
    place: impl Fn(&Opened) -> Option<(usize, u32, u32)>,
    name: impl fmt::Display,
) -> Option<(Bytes, HeaderValue)> {
    if !node.auth.at_hand(request.method(), request.uri(), request.headers()) {
        return None;
    }
    let blob = || node.readable(&id.parse().ok()?);
    let (tile, hash) = node.pixels.native_at_hand(id, blob, place)?;
    Some((tile, tagged::tag(&hash, name).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_more_than_the_picture_is_left_to_the_router() {
        let request = |method: &str, uri: &str| Request::builder().method(method).uri(uri).body(()).unwrap();
        assert!(is_plain(&request("GET", "/tiles/m-1/0/0_0.jpg")));
        assert!(is_plain(&request("GET", "/tiles/m-1/0/0_0.jpg?token=a.b.c")));
        for uri in ["/x?icc=srgb", "/x?token=a&icc=srgb", "/x?tile_size=254&overlap=1", "/x?"] {
            assert!(!is_plain(&request("GET", uri)), "{uri}");
        }
        assert!(!is_plain(&request("HEAD", "/x")));
        let mut known = request("GET", "/x");
        known.headers_mut().insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        assert!(!is_plain(&known));
    }
}
