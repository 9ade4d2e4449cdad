//! `/dzi/{id}.dzi` and `/dzi/{id}_files/{level}/{column}_{row}.{jpg,jpeg,png}`.
//!
//! Viewers copy the descriptor's query to each tile's address: the tiles' size and overlap travel with it.

use super::{
    Icc, Refusal, bad_request, held, number, opened, read, reply, srgb,
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
use bytes::Bytes;
use microtome_proto::{Code, Problem};
use microtome_server::extract::{Path, Query};
use serde::Deserialize;
use std::{
    fmt,
    ops::RangeInclusive,
    sync::{Arc, atomic::Ordering},
};

/// The tiles' route in the router's words.
pub(super) const ROUTE: &str = "/dzi/{name}/{level}/{tile}";
/// The upper end is the reader's own limit: it would cut what is larger.
const TILE_SIZE_RANGE: RangeInclusive<u32> = 32..=2048;
const OVERLAP_MAX: u32 = 64;

/// The grid that a viewer wants; the file's own without overlap where it does not say.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Grid {
    tile_size: Option<u32>,
    #[serde(default)]
    overlap: u32,
    /// The colours of the tiles.
    icc: Option<Icc>,
}

impl Grid {
    fn checked(self) -> Result<Self, Problem> {
        if let Some(size) = self.tile_size.filter(|size| !TILE_SIZE_RANGE.contains(size)) {
            let (min, max) = TILE_SIZE_RANGE.into_inner();
            return Err(bad_request(format!("tile_size is {min} to {max} pixels, not {size}")));
        }
        let overlap_max = self.tile_size.map_or(OVERLAP_MAX, |size| OVERLAP_MAX.min(size / 2));
        if self.overlap > overlap_max {
            return Err(bad_request(format!("overlap is 0 to {overlap_max} pixels, not {}", self.overlap)));
        }
        Ok(self)
    }
}

/// A tile's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address<'a> {
    pub(super) id: &'a str,
    pub(super) level: usize,
    pub(super) column: u32,
    pub(super) row: u32,
    pub(super) format: Format,
}

impl<'a> Address<'a> {
    /// From a path in which nothing is percent-encoded.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        let (name, rest) = path.strip_prefix("/dzi/")?.split_once('/')?;
        let (level, tile) = rest.split_once('/')?;
        Self::of([name, level, tile])
    }

    /// From the path's parts: `ID_files`, the level, `COLUMN_ROW.FORMAT`.
    fn of([name, level, tile]: [&'a str; 3]) -> Option<Self> {
        let id = name.strip_suffix("_files")?;
        let (column, row, suffix) = tile_name(tile)?;
        Some(Self { id, level: number(level)? as usize, column, row, format: Format::of_suffix(suffix)? })
    }

    /// What tells the tile in this grid from all other pictures of its file.
    pub(super) fn name(self, grid: Grid) -> impl fmt::Display {
        let (Grid { tile_size, overlap, icc }, Self { level, column, row, format, .. }) = (grid, self);
        let (tile_size, suffix, icc) = (tile_size.unwrap_or(0), format.suffix(), Icc::tag(icc));
        fmt::from_fn(move |f| write!(f, "dz-{tile_size}-{overlap}-{level}-{column}-{row}-{suffix}{icc}"))
    }
}

pub(super) async fn descriptor(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    Query(grid): Query<Grid>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    reply(&node, &uri, describe(&node, &name, grid, &headers).await).await
}

async fn describe(node: &Node, name: &str, grid: Grid, headers: &HeaderMap) -> Result<Response, Refusal> {
    let id =
        name.strip_suffix(".dzi").ok_or_else(|| Problem::new(Code::NotFound, format!("'{name}' is not ID.dzi")))?;
    let Grid { tile_size, overlap, .. } = grid.checked()?;
    let blob = held(node, id)?;
    let tagged =
        Tagged::new(&blob.manifest().blake3, format_args!("dzi-{}-{overlap}", tile_size.unwrap_or(0)), headers)?;
    if let Some(unchanged) = tagged.unchanged() {
        return Ok(unchanged);
    }
    let slide = opened(node, &blob).await?;
    let xml = slide.zoom_in(tile_size, overlap).descriptor("jpg");
    Ok(tagged.picture("application/xml", Bytes::from(xml)))
}

pub(super) async fn tile(
    State(node): State<Arc<Node>>,
    Path((name, level, tile)): Path<(String, String, String)>,
    Query(grid): Query<Grid>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    reply(&node, &uri, cut(&node, [&name, &level, &tile], grid, &headers).await).await
}

async fn cut(node: &Node, parts: [&str; 3], grid: Grid, headers: &HeaderMap) -> Result<Response, Refusal> {
    let nonsense =
        || bad_request(format!("'{}' is not ID_files/LEVEL/COLUMN_ROW.jpg (or .jpeg, .png)", parts.join("/")));
    let address = Address::of(parts).ok_or_else(nonsense)?;
    let grid = grid.checked()?;
    let blob = held(node, address.id)?;
    let tagged = Tagged::new(&blob.manifest().blake3, address.name(grid), headers)?;
    if let Some(unchanged) = tagged.unchanged() {
        return Ok(unchanged);
    }
    let slide = opened(node, &blob).await?;
    node.tiles_served.fetch_add(1, Ordering::Relaxed);
    let to_srgb = srgb(node, &blob, &slide, grid.icc).await?;
    let (Grid { tile_size, overlap, .. }, Address { level, column, row, format, .. }) = (grid, address);
    // With an overlap no tile is the file's own, and which are need not be worked out.
    if format == Format::Jpeg
        && to_srgb.is_none()
        && overlap == 0
        && let Some((level, column, row)) = slide.zoom_in(tile_size, overlap).native(level, column, row)
        && let Some(tile) = read(&blob, node.pixels.native(&slide, level, column, row).await)?
    {
        return Ok(tagged.tile(format.media_type(), tile, NATIVE));
    }
    let picture = Picture::DeepZoom { tile_size, overlap, level, column, row, format };
    let tile = read(&blob, node.pixels.picture(&slide, picture, to_srgb).await)?;
    Ok(tagged.tile(format.media_type(), tile, RENDERED))
}
