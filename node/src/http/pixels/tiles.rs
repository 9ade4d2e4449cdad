//! `/tiles/{id}/{level}/{column}_{row}.jpg`: the file's own grid and levels. The road that has to be fast.

use super::{
    Colours, Icc, Refusal, bad_request, held, number, opened, read, reply, srgb,
    tagged::{NATIVE, RENDERED, Tagged},
    tile_name,
};
use crate::{
    Node,
    pixels::{Format, Picture},
};
use axum::{
    extract::{OriginalUri, State},
    http::HeaderMap,
    response::Response,
};
use microtome_server::extract::Query;
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

/// The route in the router's words.
pub(super) const ROUTE: &str = "/tiles/{id}/{level}/{tile}";

/// A tile's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address<'a> {
    pub(super) id: &'a str,
    pub(super) level: usize,
    pub(super) column: u32,
    pub(super) row: u32,
}

impl<'a> Address<'a> {
    /// Taken apart by hand: an address of digits needs no decoding, and this is asked most of all.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        let (id, rest) = path.strip_prefix("/tiles/")?.split_once('/')?;
        let (level, name) = rest.split_once('/')?;
        let (column, row, suffix) = tile_name(name)?;
        (suffix == "jpg").then_some(Self { id, level: number(level)? as usize, column, row })
    }

    /// What tells the tile from all other pictures of its file.
    pub(super) fn name(self, icc: Option<Icc>) -> impl fmt::Display {
        let Self { level, column, row, .. } = self;
        fmt::from_fn(move |f| write!(f, "{level}-{column}-{row}{}", Icc::tag(icc)))
    }
}

pub(super) async fn tile(
    State(node): State<Arc<Node>>,
    Query(colours): Query<Colours>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    reply(&node, &uri, answer(&node, uri.path(), colours.icc, &headers).await).await
}

async fn answer(node: &Node, path: &str, icc: Option<Icc>, headers: &HeaderMap) -> Result<Response, Refusal> {
    let nonsense = || bad_request(format!("'{path}' is not /tiles/ID/LEVEL/COLUMN_ROW.jpg"));
    let address = Address::parse(path).ok_or_else(nonsense)?;
    let blob = held(node, address.id)?;
    let tagged = Tagged::new(&blob.manifest().blake3, address.name(icc), headers)?;
    if let Some(unchanged) = tagged.unchanged() {
        return Ok(unchanged);
    }
    let slide = opened(node, &blob).await?;
    node.tiles_served.fetch_add(1, Ordering::Relaxed);
    let to_srgb = srgb(node, &blob, &slide, icc).await?;
    let Address { level, column, row, .. } = address;
    if to_srgb.is_none()
        && let Some(tile) = read(&blob, node.pixels.native(&slide, level, column, row).await)?
    {
        return Ok(tagged.tile(Format::Jpeg.media_type(), tile, NATIVE));
    }
    let picture = Picture::Tile { level, column, row };
    let tile = read(&blob, node.pixels.picture(&slide, picture, to_srgb).await)?;
    Ok(tagged.tile(Format::Jpeg.media_type(), tile, RENDERED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let address = Address::parse("/tiles/m-1/0/12_3.jpg").unwrap();
        assert_eq!(address, Address { id: "m-1", level: 0, column: 12, row: 3 });
        assert_eq!(address.name(Some(Icc::Srgb)).to_string(), "0-12-3-srgb");
        for path in ["/tiles/m-1/0/1_2.png", "/tiles/m-1/x/1_2.jpg", "/tiles/m-1/0/1_2.jpg/", "/tiles/m-1/1_2.jpg"] {
            assert_eq!(Address::parse(path), None, "{path}");
        }
    }
}
