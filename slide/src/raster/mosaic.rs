//! One image put together from areas that lie anywhere in it: several scanned regions on one slide, or tiles that
//! overlap. Nothing lies between them but white. Where they overlap, what lies further right and below is seen, and
//! earlier areas before later ones, as OpenSlide paints them. Places are rounded to whole pixels; OpenSlide interpolates
//! between them.

use super::{Raster, Tiles};
use crate::{
    Compression, ReadAt, Rgb, SlideError,
    error::Result,
    grid::{Grid, Part},
    limits::{MOSAIC_PIXELS_MAX, TILE_PIXELS_MAX},
    resample::BoxMean,
};
use std::{collections::HashMap, ops::Range};

/// Side of the tiles in pixels.
const SIDE: u32 = 512;
/// What a piece costs at the least, in decoded pixels, also where nothing of it is seen.
const PIECE_COST: u64 = 1 << 10;

/// Pieces of one size of an image, in rows and columns, and where they lie in the whole.
#[derive(Debug)]
pub(crate) struct Area {
    /// Which of the images has it.
    pub(crate) image: usize,
    /// Columns and rows of pieces.
    pub(crate) columns: Range<u32>,
    pub(crate) rows: Range<u32>,
    /// Width and height of a piece in pixels; above 0.
    pub(crate) piece: (f64, f64),
    /// Pixels of the whole from one piece to the next; above 0.
    pub(crate) advance: (f64, f64),
    /// Where in the whole the image's piece 0, 0 lies or would lie.
    pub(crate) at: (f64, f64),
}

#[derive(Debug)]
struct Mosaic {
    images: Vec<Raster>,
    areas: Vec<Area>,
}

impl Raster {
    /// A whole of `width` × `height` pixels, above 0, put together from areas of the images, of which there is one.
    pub(crate) fn mosaic(width: u32, height: u32, images: Vec<Self>, areas: Vec<Area>) -> Self {
        let grid = Grid::new(width, height, SIDE.min(width), SIDE.min(height));
        Self::new(grid, Mosaic { images, areas })
    }
}

impl Mosaic {
    /// Draws what lies in `across` × `down` of the whole into a picture of that.
    fn paint(&self, source: &dyn ReadAt, across: &Range<u32>, down: &Range<u32>, picture: &mut Rgb) -> Result<()> {
        let mut decoder = Decoder { source, left: MOSAIC_PIXELS_MAX, kept: HashMap::new(), kept_pixels: 0 };
        for area in self.areas.iter().rev() {
            let Some(image) = self.images.get(area.image) else { continue };
            let near = |pixels: &Range<u32>, pieces: &Range<u32>, at: f64, advance: f64, piece: f64| {
                let first = ((f64::from(pixels.start) - at - piece - 1.0) / advance).floor().max(0.0) as u32;
                let end = ((f64::from(pixels.end) - at + 1.0) / advance).ceil().max(0.0) as u32;
                first.max(pieces.start)..end.min(pieces.end)
            };
            let columns = near(across, &area.columns, area.at.0, area.advance.0, area.piece.0);
            for row in near(down, &area.rows, area.at.1, area.advance.1, area.piece.1) {
                let (y, rows) = placed(row, area.at.1, area.advance.1, area.piece.1, image.grid.height);
                for column in columns.clone() {
                    let (x, columns) = placed(column, area.at.0, area.advance.0, area.piece.0, image.grid.width);
                    decoder.spend(PIECE_COST)?;
                    let image = (area.image, image);
                    decoder.copy(image, area.piece, (&columns, &rows), (x, y), (across, down), picture)?;
                }
            }
        }
        Ok(())
    }
}

/// Where a piece lies in the whole, and which pixels of its image it is.
fn placed(index: u32, at: f64, advance: f64, piece: f64, side: u32) -> (i64, Range<u32>) {
    let pixel = |index: u32| (f64::from(index) * piece).round().min(f64::from(side)) as u32;
    ((at + f64::from(index) * advance).round() as i64, pixel(index)..pixel(index + 1))
}

/// Decodes tiles of the images for one picture, with a bound: what overlaps may be told to overlap a thousand times.
struct Decoder<'s> {
    source: &'s dyn ReadAt,
    /// Pixels that may still be decoded.
    left: u64,
    /// Tiles that have several small pieces in them, by image, column and row; nothing where the file lacks one.
    kept: HashMap<(usize, u32, u32), Option<Rgb>>,
    kept_pixels: u64,
}

impl Decoder<'_> {
    fn spend(&mut self, pixels: u64) -> Result<()> {
        self.left = self.left.checked_sub(pixels).ok_or_else(|| {
            SlideError::TooLarge(format!("more than {MOSAIC_PIXELS_MAX} pixels lie one above the other in a tile"))
        })?;
        Ok(())
    }

    /// Copies the pixels `from` of an image in pieces of this size, which lie at `at` in the whole, into a picture of the
    /// `seen` part of the whole.
    fn copy(
        &mut self,
        (index, image): (usize, &Raster),
        piece: (f64, f64),
        from: (&Range<u32>, &Range<u32>),
        at: (i64, i64),
        seen: (&Range<u32>, &Range<u32>),
        picture: &mut Rgb,
    ) -> Result<()> {
        // The image's pixels that are seen, and what to add to them to get places in the picture.
        let common = |from: &Range<u32>, at: i64, seen: &Range<u32>| {
            let shift = at - i64::from(from.start);
            let clamp = |place: u32| (i64::from(place) - shift).clamp(from.start.into(), from.end.into()) as u32;
            (clamp(seen.start)..clamp(seen.end), shift - i64::from(seen.start))
        };
        let (columns, right) = common(from.0, at.0, seen.0);
        let (rows, below) = common(from.1, at.1, seen.1);
        if columns.is_empty() || rows.is_empty() {
            return Ok(());
        }
        let grid = &image.grid;
        let small = piece.0 * 2.0 <= f64::from(grid.tile_width) && piece.1 * 2.0 <= f64::from(grid.tile_height);
        let touched = |pixels: &Range<u32>, tile: u32| pixels.start / tile..pixels.end.div_ceil(tile);
        for row in touched(&rows, grid.tile_height) {
            for column in touched(&columns, grid.tile_width) {
                let (left, top) = grid.corner(column, row);
                let x = columns.start.max(left)..columns.end.min(left.saturating_add(grid.tile_width));
                let y = rows.start.max(top)..rows.end.min(top.saturating_add(grid.tile_height));
                let part = Part {
                    x: x.start - left,
                    y: y.start - top,
                    width: x.end - x.start,
                    height: y.end - y.start,
                    shrink: 0,
                };
                let into = ((i64::from(x.start) + right) as u32, (i64::from(y.start) + below) as u32);
                // What the file lacks stays white.
                if !small {
                    self.spend(u64::from(grid.tile_width) * u64::from(grid.tile_height))?;
                    image.draw(self.source, (column, row), part, picture, into)?;
                } else if let Some(tile) = self.whole((index, image), column, row)? {
                    part.draw(tile, picture, into);
                }
            }
        }
        Ok(())
    }

    /// A tile as a whole, decoded once.
    fn whole(&mut self, (index, image): (usize, &Raster), column: u32, row: u32) -> Result<Option<&Rgb>> {
        let key = (index, column, row);
        if !self.kept.contains_key(&key) {
            let pixels = u64::from(image.grid.tile_width) * u64::from(image.grid.tile_height);
            self.spend(pixels)?;
            self.kept_pixels += pixels;
            if self.kept_pixels > TILE_PIXELS_MAX {
                self.kept.clear();
                self.kept_pixels = pixels;
            }
            self.kept.insert(key, image.pixels(self.source, column, row)?);
        }
        Ok(self.kept.get(&key).and_then(Option::as_ref))
    }
}

impl Tiles for Mosaic {
    fn compression(&self) -> Compression {
        self.images.first().map_or(Compression::None, Raster::compression)
    }

    fn pixels(&self, grid: &Grid, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Rgb>> {
        let mut tile = Rgb::white(grid.tile_width, grid.tile_height);
        Ok(self.draw(grid, source, (column, row), Part::whole(grid), &mut tile, (0, 0))?.then_some(tile))
    }

    fn draw(
        &self,
        grid: &Grid,
        source: &dyn ReadAt,
        tile: (u32, u32),
        part: Part,
        picture: &mut Rgb,
        at: (u32, u32),
    ) -> Result<bool> {
        let (across, down) = grid.covered(tile, part);
        let mut seen = Rgb::white(across.len() as u32, down.len() as u32);
        self.paint(source, &across, &down, &mut seen)?;
        if part.shrink > 0 {
            let mut mean = BoxMean::new(across.clone(), down.clone(), 1 << part.shrink);
            mean.add(&seen, across.start, down.start, &across, &down);
            seen = mean.finish();
        }
        picture.paste(at, &seen, (0, 0), (part.width, part.height));
        Ok(true)
    }
}
