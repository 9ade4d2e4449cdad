//! Pixels across tiles: regions at a level's own scale, and windows drawn smaller. Tiles are drawn one after the other
//! into the picture, so that what is in memory is the picture and one tile.

use crate::{
    Rgb, Slide, SlideError,
    between::Place,
    error::Result,
    grid::{Grid, Part, Window},
    limits::{
        DECODED_PER_PIXEL_MAX, DECODED_PIXELS_FREE, DECODED_PIXELS_MAX, KEPT_PIXELS_MAX, REGION_PIXELS_MAX,
        RENDER_PIXELS_MAX, TILE_COST_PIXELS,
    },
    raster::Raster,
    resample::{self, BoxMean},
    seams::{self, Side},
};
use std::ops::Range;

impl Slide {
    /// The pixels of a rectangle, as OpenSlide's `read_region`: `x`, `y` of its corner in pixels of level 0, `width` and
    /// `height` in pixels of `level`. What lies outside the slide is white.
    ///
    /// Where the corner falls between pixels of the level, the mean of the four around each place is taken, and white
    /// counts beyond the edge. It falls between them if it is more than 1/512 of a pixel away from one, across or down;
    /// left of the slide and above it, it never does, as fractions are cut off there. All this is OpenSlide's, to the bit,
    /// where a level's tiles lie side by side as they are in the file and are not see-through. In levels that are put
    /// together from areas that lie anywhere, the mean across them is taken at once; in an NDPI, OpenSlide weighs by 128ths
    /// what lies within one of its restart intervals, and a sample may be 1 apart. OpenSlide also cuts a region of more than
    /// 4096 pixels a side into pieces that begin at whole pixels of level 0, so that they may lie up to one of those apart
    /// from ours, which is one piece.
    ///
    /// # Errors
    /// `Outside` where there is no such level; `TooLarge` where it has more than 64 Mi pixels; `Damaged` or
    /// `Unsupported` where a tile in it cannot be decoded.
    pub fn region(&self, x: i64, y: i64, level: usize, width: u32, height: u32) -> Result<Rgb> {
        self.raster(level)?;
        let place = Place::new(x, y, self.levels()[level].downsample);
        self.seen(place, level, width, height)
    }

    /// The same with the corner, too, in pixels of `level`: its pixels as they are.
    ///
    /// # Errors
    /// As [`region`](Self::region).
    pub fn level_region(&self, x: u64, y: u64, level: usize, width: u32, height: u32) -> Result<Rgb> {
        let place = |at: u64| at.min(1 << 40) as i64;
        self.seen(Place::whole(place(x), place(y)), level, width, height)
    }

    fn seen(&self, place: Place, level: usize, width: u32, height: u32) -> Result<Rgb> {
        if u64::from(width) * u64::from(height) > REGION_PIXELS_MAX {
            return Err(SlideError::TooLarge(format!(
                "a region of {width} × {height} pixels; one request may ask for {REGION_PIXELS_MAX}"
            )));
        }
        let Raster { grid, tile, .. } = self.raster(level)?;
        if width == 0 || height == 0 {
            return Ok(Rgb::white(width, height));
        }
        let (right, below) = place.more();
        let (width, height) = (width + right, height + below);
        let (columns, rows) = (overlap(place.x, width, grid.width), overlap(place.y, height, grid.height));
        let draw =
            |tile: (u32, u32), part: Part, picture: &mut Rgb, at: (u32, u32)| self.draw(level, tile, part, picture, at);
        let mut region = paste(grid, &columns, &rows, 0, draw)?;
        if (region.width, region.height) != (width, height) {
            let mut whole = Rgb::white(width, height);
            let (across, down) = (i64::from(columns.start) - place.x, i64::from(rows.start) - place.y);
            whole.paste((across as u32, down as u32), &region, (0, 0), (region.width, region.height));
            region.done();
            region = whole;
        }
        if (right, below) == (0, 0) {
            return Ok(region);
        }
        let mut seen = place.seen(&region);
        let (across, down) = (Side { len: grid.width, tile: tile.0 }, Side { len: grid.height, tile: tile.1 });
        seams::paint(&region, place, across, down, &mut seen);
        region.done();
        Ok(seen)
    }
}

/// Draws `window` of an image as a picture of `width` × `height` pixels, each the mean of what it covers. `draw` draws
/// a part of one of the image's tiles into a picture at a place.
pub(crate) fn render(
    grid: &Grid,
    window: Window,
    width: u32,
    height: u32,
    mut draw: impl FnMut((u32, u32), Part, &mut Rgb, (u32, u32)) -> Result<()>,
) -> Result<Rgb> {
    let (columns, rows) = covered(grid, &window);
    if columns.len() as u64 * rows.len() as u64 > RENDER_PIXELS_MAX {
        return Err(SlideError::TooLarge(format!(
            "{width} × {height} pixels drawn from {} × {}: the slide has no smaller level to draw them from",
            columns.len(),
            rows.len()
        )));
    }
    // First the mean of whole squares of pixels, which needs no more memory than its result: what tiles do better
    // themselves, and then the rest.
    let square = ((window.width / f64::from(width)).min(window.height / f64::from(height)) + 1e-3).floor();
    let square = (square as u32).max(1);
    let kept = |pixels: &Range<u32>| pixels.len().div_ceil(square as usize) as u64;
    if kept(&columns) * kept(&rows) > KEPT_PIXELS_MAX {
        return Err(SlideError::TooLarge(format!(
            "{width} × {height} pixels drawn from a window of {:.0} × {:.0}: it is too long and thin",
            window.width, window.height
        )));
    }
    let shrink = grid.shrink(square.ilog2());
    let (shrunk, window) = (grid.shrunk(shrink), window.shrunk(f64::from(1 << shrink)));
    let (columns, rows) = covered(&shrunk, &window);
    let (picture, side) = match square >> shrink {
        1 => (paste(&shrunk, &columns, &rows, shrink, draw)?, 1),
        side => {
            let mut mean = BoxMean::new(columns.clone(), rows.clone(), side);
            let mut piece = Rgb::white(0, 0);
            tiles_in(&shrunk, &columns, &rows, shrink, |tile, across, down| {
                piece.reset(across.len() as u32, down.len() as u32);
                draw(tile, part(&shrunk, tile, &across, &down, shrink), &mut piece, (0, 0))?;
                mean.add(&piece, across.start, down.start, &across, &down);
                Ok(())
            })?;
            let side = mean.side();
            (mean.finish(), side)
        }
    };
    let window = Window { x: window.x - f64::from(columns.start), y: window.y - f64::from(rows.start), ..window };
    Ok(resample::resize(picture, window.shrunk(f64::from(side)), width, height))
}

/// Refuses windows for which more would be decoded, taken together, than one request may have decoded.
pub(crate) fn check_cost(grid: &Grid, windows: impl Iterator<Item = Window>) -> Result<()> {
    let cost = |window: Window| {
        let (columns, rows) = covered(grid, &window);
        Cost::of(grid, &columns, &rows, 0)
    };
    windows.map(cost).fold(Cost::default(), Cost::plus).check()
}

/// What it costs to decode tiles, in pixels of the image.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    /// Of the tiles.
    decoded: u64,
    /// Of what is wanted of them.
    wanted: u64,
}

impl Cost {
    /// Of the tiles that have pixels in `columns` × `rows`.
    fn of(grid: &Grid, columns: &Range<u32>, rows: &Range<u32>, shrink: u32) -> Self {
        let tiles = touched(columns, grid.tile_width).len() as u64 * touched(rows, grid.tile_height).len() as u64;
        let tile_pixels = (u64::from(grid.tile_width) * u64::from(grid.tile_height)) << (2 * shrink);
        let wanted = (columns.len() as u64 * rows.len() as u64) << (2 * shrink);
        Self { decoded: tiles.saturating_mul(tile_pixels.max(TILE_COST_PIXELS)), wanted }
    }

    fn plus(self, other: Self) -> Self {
        let Self { decoded, wanted } = other;
        Self { decoded: self.decoded.saturating_add(decoded), wanted: self.wanted.saturating_add(wanted) }
    }

    fn check(self) -> Result<()> {
        let most = DECODED_PIXELS_FREE.saturating_add(self.wanted.saturating_mul(DECODED_PER_PIXEL_MAX));
        if self.decoded > most.min(DECODED_PIXELS_MAX) {
            return Err(SlideError::TooLarge(format!("tiles of {} pixels would be decoded for it", self.decoded)));
        }
        Ok(())
    }
}

/// The tiles of a side that have pixels in a stretch.
fn touched(pixels: &Range<u32>, tile: u32) -> Range<u32> {
    if pixels.is_empty() { 0..0 } else { pixels.start / tile..pixels.end.div_ceil(tile) }
}

/// The pixels that a window touches, across and down.
fn covered(grid: &Grid, window: &Window) -> (Range<u32>, Range<u32>) {
    (whole(window.x, window.width, grid.width), whole(window.y, window.height, grid.height))
}

/// The pixels `columns` × `rows` of an image whose tiles are drawn `shrink` times halved, as `grid` is.
fn paste(
    grid: &Grid,
    columns: &Range<u32>,
    rows: &Range<u32>,
    shrink: u32,
    mut draw: impl FnMut((u32, u32), Part, &mut Rgb, (u32, u32)) -> Result<()>,
) -> Result<Rgb> {
    let mut picture = Rgb::white_again(columns.len() as u32, rows.len() as u32);
    tiles_in(grid, columns, rows, shrink, |tile, across, down| {
        let at = (across.start - columns.start, down.start - rows.start);
        draw(tile, part(grid, tile, &across, &down, shrink), &mut picture, at)
    })?;
    Ok(picture)
}

/// The pixels `across` × `down` as a part of a tile.
fn part(grid: &Grid, (column, row): (u32, u32), across: &Range<u32>, down: &Range<u32>, shrink: u32) -> Part {
    let (left, top) = grid.corner(column, row);
    let (width, height) = (across.len() as u32, down.len() as u32);
    Part { x: across.start - left, y: down.start - top, width, height, shrink }
}

/// Calls `visit` for each tile that has pixels in `columns` × `rows`, with the columns and rows of pixels that it has
/// there.
fn tiles_in(
    grid: &Grid,
    columns: &Range<u32>,
    rows: &Range<u32>,
    shrink: u32,
    mut visit: impl FnMut((u32, u32), Range<u32>, Range<u32>) -> Result<()>,
) -> Result<()> {
    let part = |pixels: &Range<u32>, index: u32, tile: u32| {
        let start = index * tile;
        pixels.start.max(start)..pixels.end.min(start.saturating_add(tile))
    };
    Cost::of(grid, columns, rows, shrink).check()?;
    let across = touched(columns, grid.tile_width);
    for row in touched(rows, grid.tile_height) {
        for column in across.clone() {
            visit((column, row), part(columns, column, grid.tile_width), part(rows, row, grid.tile_height))?;
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
