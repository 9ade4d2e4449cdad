//! Pixels across tiles: regions at a level's own scale, and windows drawn smaller. Tiles are decoded one after the
//! other into the picture, so that what is in memory is the picture and one tile.

use crate::{
    Rgb, Slide, SlideError,
    error::Result,
    limits::{DECODED_PIXELS_MAX, KEPT_PIXELS_MAX, REGION_PIXELS_MAX, RENDER_PIXELS_MAX},
    raster::Raster,
    resample::{self, BoxMean},
};
use std::ops::Range;

/// A rectangle of a level, in its pixels; sides may fall between pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Slide {
    /// The pixels of a rectangle, as OpenSlide's `read_region`: `x`, `y` of its corner in pixels of level 0, `width` and
    /// `height` in pixels of `level`. Where the corner falls between pixels of the level the nearest one is taken. What
    /// lies outside the slide is white.
    ///
    /// # Errors
    /// `Outside` where there is no such level; `TooLarge` where it has more than 64 Mi pixels; `Damaged` or
    /// `Unsupported` where a tile in it cannot be decoded.
    pub fn region(&self, x: i64, y: i64, level: usize, width: u32, height: u32) -> Result<Rgb> {
        if u64::from(width) * u64::from(height) > REGION_PIXELS_MAX {
            return Err(SlideError::TooLarge(format!(
                "a region of {width} × {height} pixels; one request may ask for {REGION_PIXELS_MAX}"
            )));
        }
        let raster = self.raster(level)?;
        let downsample = self.levels()[level].downsample;
        // Beyond 2^40 everything is outside, and sums cannot overflow.
        let place = |value: i64| ((value as f64 / downsample).round() as i64).clamp(-1 << 40, 1 << 40);
        let (left, top) = (place(x), place(y));
        let columns = overlap(left, width, raster.width);
        let rows = overlap(top, height, raster.height);
        let inside = paste(raster, &columns, &rows, |column, row| self.tile(level, column, row))?;
        if (inside.width, inside.height) == (width, height) {
            return Ok(inside);
        }
        let mut region = Rgb::white(width, height);
        let (right, down) = (i64::from(columns.start) - left, i64::from(rows.start) - top);
        region.paste((right as u32, down as u32), &inside, (0, 0), (inside.width, inside.height));
        Ok(region)
    }
}

/// Draws `window` of `raster` as a picture of `width` × `height` pixels, each the mean of what it covers. `tile` gives
/// the raster's tiles.
pub(crate) fn render(
    raster: &Raster,
    window: Window,
    width: u32,
    height: u32,
    mut tile: impl FnMut(u32, u32) -> Result<Rgb>,
) -> Result<Rgb> {
    let columns = whole(window.x, window.width, raster.width);
    let rows = whole(window.y, window.height, raster.height);
    if u64::from(columns.end - columns.start) * u64::from(rows.end - rows.start) > RENDER_PIXELS_MAX {
        return Err(SlideError::TooLarge(format!(
            "{width} × {height} pixels drawn from {} × {}: the slide has no smaller level to draw them from",
            columns.end - columns.start,
            rows.end - rows.start
        )));
    }
    let square = ((window.width / f64::from(width)).min(window.height / f64::from(height)) + 1e-3).floor();
    let kept = |pixels: &Range<u32>| u64::from((pixels.end - pixels.start).div_ceil((square as u32).max(1)));
    if kept(&columns) * kept(&rows) > KEPT_PIXELS_MAX {
        return Err(SlideError::TooLarge(format!(
            "{width} × {height} pixels drawn from a window of {:.0} × {:.0}: it is too long and thin",
            window.width, window.height
        )));
    }
    let (picture, side) = if square < 2.0 {
        (paste(raster, &columns, &rows, tile)?, 1)
    } else {
        // First the mean of whole squares of pixels, which needs no more memory than its result.
        let mut mean = BoxMean::new(columns.clone(), rows.clone(), square as u32);
        tiles_in(raster, &columns, &rows, |column, row, across, down| {
            let (x, y) = (column * raster.tile_width, row * raster.tile_height);
            mean.add(&tile(column, row)?, x, y, &across, &down);
            Ok(())
        })?;
        let side = mean.side();
        (mean.finish(), side)
    };
    let side = f64::from(side);
    let window = Window {
        x: (window.x - f64::from(columns.start)) / side,
        y: (window.y - f64::from(rows.start)) / side,
        width: window.width / side,
        height: window.height / side,
    };
    Ok(resample::resize(picture, window, width, height))
}

/// The pixels `columns` × `rows` of `raster`, whose tiles `tile` gives.
fn paste(
    raster: &Raster,
    columns: &Range<u32>,
    rows: &Range<u32>,
    mut tile: impl FnMut(u32, u32) -> Result<Rgb>,
) -> Result<Rgb> {
    let mut picture = Rgb::white(columns.end - columns.start, rows.end - rows.start);
    tiles_in(raster, columns, rows, |column, row, across, down| {
        let at = (across.start - columns.start, down.start - rows.start);
        let tile_at = (across.start - column * raster.tile_width, down.start - row * raster.tile_height);
        picture.paste(at, &tile(column, row)?, tile_at, (across.end - across.start, down.end - down.start));
        Ok(())
    })?;
    Ok(picture)
}

/// Calls `visit` for each tile that has pixels in `columns` × `rows`, with the columns and rows of pixels that it has
/// there.
fn tiles_in(
    raster: &Raster,
    columns: &Range<u32>,
    rows: &Range<u32>,
    mut visit: impl FnMut(u32, u32, Range<u32>, Range<u32>) -> Result<()>,
) -> Result<()> {
    let grid = |pixels: &Range<u32>, tile: u32| pixels.start / tile..pixels.end.div_ceil(tile);
    let part = |pixels: &Range<u32>, index: u32, tile: u32| {
        let start = index * tile;
        pixels.start.max(start)..pixels.end.min(start.saturating_add(tile))
    };
    if columns.is_empty() || rows.is_empty() {
        return Ok(());
    }
    let (across, down) = (grid(columns, raster.tile_width), grid(rows, raster.tile_height));
    let tiles = across.len() as u64 * down.len() as u64;
    let tile_pixels = u64::from(raster.tile_width) * u64::from(raster.tile_height);
    if tiles.saturating_mul(tile_pixels) > DECODED_PIXELS_MAX {
        return Err(SlideError::TooLarge(format!("{tiles} tiles of {tile_pixels} pixels would be decoded for it")));
    }
    for row in down {
        for column in across.clone() {
            let across = part(columns, column, raster.tile_width);
            visit(column, row, across, part(rows, row, raster.tile_height))?;
        }
    }
    Ok(())
}

/// The pixels that a stretch of `len` from `start` has in common with a side of `side` pixels.
fn overlap(start: i64, len: u32, side: u32) -> Range<u32> {
    let inside = |at: i64| at.clamp(0, i64::from(side)) as u32;
    inside(start)..inside(start + i64::from(len))
}

/// The pixels that a stretch touches, in a side of `side` pixels.
fn whole(start: f64, len: f64, side: u32) -> Range<u32> {
    // Sums of fractions may pass a pixel's border by a hair.
    let first = (start + 1e-6).floor().clamp(0.0, f64::from(side)) as u32;
    let end = (start + len - 1e-6).ceil().clamp(0.0, f64::from(side)) as u32;
    first..end.max(first)
}
