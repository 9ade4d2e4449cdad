//! One image as a grid of tiles, wherever its tiles come from: each kind of them has a file here. Knows nothing of
//! pyramids.

mod blended;
mod clipped;
mod cut;
mod form;
mod halved;
mod head;
mod mosaic;
mod old;
mod picture;
mod planes;
mod restart;
mod stored;
mod turned;

pub(crate) use cut::Pieces;
pub(crate) use halved::{Halved, JpegPieces};
pub(crate) use head::Head;
pub(crate) use mosaic::Area;
pub(crate) use picture::{Coding, Picture};
pub(crate) use restart::Restarts;

use crate::{
    Compression, ReadAt, Rgb, SlideError,
    error::Result,
    grid::{Grid, Part},
    limits::REGION_PIXELS_MAX,
    resample::BoxMean,
    tiff::{Directory, Tiff, tags},
};
use std::{fmt, ops::Range};
use stored::Stored;
use turned::Turned;

/// Where the tiles of an image come from. Columns and rows that are asked for lie in the grid.
pub(crate) trait Tiles: fmt::Debug + Send + Sync {
    /// How the tiles are compressed.
    fn compression(&self) -> Compression;

    /// Whether tiles can be had as JPEG without decoding them.
    fn is_native(&self) -> bool {
        false
    }

    /// The tile as a whole JPEG at the end of `out`; `false`, and nothing in `out`, where it is none that a browser
    /// shows at the tile's size.
    fn native(&self, grid: &Grid, source: &dyn ReadAt, column: u32, row: u32, out: &mut Vec<u8>) -> Result<bool> {
        let _ = (grid, source, column, row, out);
        Ok(false)
    }

    /// Whether the file lacks one of the tiles with these indices. Where that is not told by a table none is missing.
    fn any_missing(&self, source: &dyn ReadAt, tiles: Range<u64>) -> Result<bool> {
        let _ = (source, tiles);
        Ok(false)
    }

    /// The tile's pixels at its whole size, white where a last strip is shorter; nothing where the file has no such
    /// tile.
    fn pixels(&self, grid: &Grid, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Rgb>>;

    /// Draws a part of a tile into `picture` with its corner at `at`; `false`, and nothing drawn, where the file has no
    /// such tile. The mean that a shrunk pixel is may differ by rounding between the kinds of tiles.
    fn draw(
        &self,
        grid: &Grid,
        source: &dyn ReadAt,
        (column, row): (u32, u32),
        part: Part,
        picture: &mut Rgb,
        at: (u32, u32),
    ) -> Result<bool> {
        let Some(tile) = self.pixels(grid, source, column, row)? else { return Ok(false) };
        part.draw(&tile, picture, at);
        Ok(true)
    }
}

/// An image: its grid, and where its tiles come from.
#[derive(Debug)]
pub(crate) struct Raster {
    pub(crate) grid: Grid,
    /// Width and height of the tiles that the file has, which the grid's may be cut from anew.
    pub(crate) tile: (u32, u32),
    tiles: Box<dyn Tiles>,
}

impl Raster {
    pub(crate) fn new(grid: Grid, tiles: impl Tiles + 'static) -> Self {
        Self { grid, tile: (grid.tile_width, grid.tile_height), tiles: Box::new(tiles) }
    }

    /// Whether the image is cut into tiles, not strips.
    pub(crate) fn is_tiled(directory: &Directory) -> bool {
        directory.has(tags::TILE_WIDTH)
    }

    /// Reads what the tags say of the image, but neither its tables nor its pixels.
    pub(crate) fn read(tiff: &Tiff<'_>, directory: &Directory) -> Result<Self> {
        let (grid, stored) = Stored::read(tiff, directory)?;
        Ok(match stored.form.turn(tiff, directory, !Self::is_tiled(directory))? {
            None => Self::new(grid, stored),
            Some(turn) => Self::new(grid, Turned { stored, turn }),
        })
    }

    /// How the tiles are compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.tiles.compression()
    }

    /// Whether tiles can be had as JPEG without decoding them.
    pub(crate) fn is_native(&self) -> bool {
        self.tiles.is_native()
    }

    /// See [`Tiles::native`].
    pub(crate) fn native(&self, source: &dyn ReadAt, column: u32, row: u32, out: &mut Vec<u8>) -> Result<bool> {
        self.grid.check(column, row)?;
        self.tiles.native(&self.grid, source, column, row, out)
    }

    /// See [`Tiles::any_missing`].
    pub(crate) fn any_missing(&self, source: &dyn ReadAt, tiles: Range<u64>) -> Result<bool> {
        self.tiles.any_missing(source, tiles)
    }

    /// See [`Tiles::pixels`].
    pub(crate) fn pixels(&self, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Rgb>> {
        self.grid.check(column, row)?;
        self.tiles.pixels(&self.grid, source, column, row)
    }

    /// See [`Tiles::draw`]. What a shrunk pixel at the image's edge covers beyond it does not count.
    pub(crate) fn draw(
        &self,
        source: &dyn ReadAt,
        (column, row): (u32, u32),
        part: Part,
        picture: &mut Rgb,
        at: (u32, u32),
    ) -> Result<bool> {
        self.grid.check(column, row)?;
        let Some(edge) = self.grid.beyond_edge(column, row, part) else {
            return self.tiles.draw(&self.grid, source, (column, row), part, picture, at);
        };
        let mut whole = Rgb::white(edge.width, edge.height);
        if !self.tiles.draw(&self.grid, source, (column, row), edge, &mut whole, (0, 0))? {
            return Ok(false);
        }
        let (across, down) = (0..edge.width, 0..edge.height);
        let mut mean = BoxMean::new(across.clone(), down.clone(), 1 << part.shrink);
        mean.add(&whole, 0, 0, &across, &down);
        let mean = mean.finish();
        picture.paste(at, &mean, (0, 0), (part.width, part.height));
        Ok(true)
    }

    /// The whole image, which must not be larger than a region may be.
    pub(crate) fn whole(&self, source: &dyn ReadAt) -> Result<Rgb> {
        let Grid { width, height, .. } = self.grid;
        if u64::from(width) * u64::from(height) > REGION_PIXELS_MAX {
            return Err(SlideError::TooLarge(format!(
                "an image of {width} × {height} pixels; one request may cost {REGION_PIXELS_MAX}"
            )));
        }
        let mut whole: Option<Rgb> = None;
        for row in 0..self.grid.rows {
            for column in 0..self.grid.columns {
                let tile = self
                    .pixels(source, column, row)?
                    .ok_or_else(|| SlideError::Damaged(format!("tile {column}, {row} of an image is missing")))?;
                // Only now is it sure that the file has pixels at all.
                let whole = whole.get_or_insert_with(|| Rgb::white(width, height));
                whole.paste(self.grid.corner(column, row), &tile, (0, 0), (tile.width, tile.height));
            }
        }
        whole.ok_or_else(|| SlideError::Damaged("an image has no tiles".into()))
    }
}
