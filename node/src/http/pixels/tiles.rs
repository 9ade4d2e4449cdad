//! `/tiles/{id}/{level}/{column}_{row}.jpg`: the file's own grid and levels. The road that has to be fast.

use super::{
    Refusal, bad_request, held, number, opened, read, reply,
    tagged::{NATIVE, RENDERED, Tagged},
    tile_name,
};
use crate::{
    Node,
    pixels::{Format, Picture},
};
use axum::{
    extract::{Request, State},
    http::request::Parts,
    response::Response,
};
use std::sync::{Arc, atomic::Ordering};

pub(super) async fn tile(State(node): State<Arc<Node>>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    reply(&node, &head.uri, answer(&node, &head).await).await
}

async fn answer(node: &Node, head: &Parts) -> Result<Response, Refusal> {
    let path = head.uri.path();
    let (id, level, column, row) =
        address(path).ok_or_else(|| bad_request(format!("'{path}' is not /tiles/ID/LEVEL/COLUMN_ROW.jpg")))?;
    let blob = held(node, id)?;
    let tagged = Tagged::new(&blob.manifest().blake3, format_args!("{level}-{column}-{row}"), &head.headers)?;
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
