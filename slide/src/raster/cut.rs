//! Tiles cut out of pieces that can only be decoded as a whole: a plain picture, or a stretch of a long JPEG. The pieces
//! are decoded when they are first looked at and kept in the process's [cache](crate::cache); viewers see tiles of a
//! useful size. Owns the cutting; what a piece is, its [`Pieces`] know.

use super::{Raster, Tiles};
use crate::{
    Compression, ReadAt, Rgb,
    cache::Keeper,
    error::Result,
    grid::{Grid, Part},
    resample::BoxMean,
};
use std::{fmt, ops::Range, sync::Arc};

/// Side of the tiles in pixels.
const SIDE: u32 = 512;

/// Where the pieces of an image come from.
pub(crate) trait Pieces: fmt::Debug + Send + Sync {
    /// How the pieces are compressed.
    fn compression(&self) -> Compression;

    /// The size of the image, and of the pieces as its tiles.
    fn grid(&self) -> Grid;

    /// Width and height of the tiles that the file is cut into, of which a piece may have several.
    fn tile(&self) -> (u32, u32) {
        let grid = self.grid();
        (grid.tile_width, grid.tile_height)
    }

    /// Decodes a piece: what of it lies inside the image, or the whole of it.
    fn decode(&self, source: &dyn ReadAt, column: u32, row: u32) -> Result<Rgb>;
}

impl<P: Pieces> Pieces for Arc<P> {
    fn compression(&self) -> Compression {
        self.as_ref().compression()
    }

    fn grid(&self) -> Grid {
        self.as_ref().grid()
    }

    fn tile(&self) -> (u32, u32) {
        self.as_ref().tile()
    }

    fn decode(&self, source: &dyn ReadAt, column: u32, row: u32) -> Result<Rgb> {
        self.as_ref().decode(source, column, row)
    }
}

/// The tiles of an image that comes in pieces.
#[derive(Debug)]
pub(crate) struct Cut<P> {
    pieces: P,
    kept: Keeper,
}

impl Raster {
    /// An image that comes in pieces, as tiles of [`SIDE`] pixels.
    pub(crate) fn cut(pieces: impl Pieces + 'static) -> Self {
        let (grid, tile) = (pieces.grid(), pieces.tile());
        let tiles = Grid::new(grid.width, grid.height, SIDE.min(grid.width), SIDE.min(grid.height));
        Self { tile, ..Self::new(tiles, Cut { pieces, kept: Keeper::new() }) }
    }
}

impl<P: Pieces> Cut<P> {
    /// Calls `visit` with each piece that has pixels in `across` × `down`, its corner, and which pixels it has there.
    fn pieces_in(
        &self,
        source: &dyn ReadAt,
        across: &Range<u32>,
        down: &Range<u32>,
        mut visit: impl FnMut(&Rgb, (u32, u32), Range<u32>, Range<u32>),
    ) -> Result<()> {
        let grid = self.pieces.grid();
        let touched = |pixels: &Range<u32>, side: u32| pixels.start / side..pixels.end.div_ceil(side);
        let common = |pixels: &Range<u32>, start: u32, len: u32| pixels.start.max(start)..pixels.end.min(start + len);
        for row in touched(down, grid.tile_height) {
            for column in touched(across, grid.tile_width) {
                let pixels = u64::from(grid.tile_width) * u64::from(grid.tile_height);
                let decode = || self.pieces.decode(source, column, row);
                let piece = self.kept.get(grid.index(column, row), pixels, decode)?;
                let (x, y) = grid.corner(column, row);
                visit(&piece, (x, y), common(across, x, piece.width), common(down, y, piece.height));
            }
        }
        Ok(())
    }
}

impl<P: Pieces> Tiles for Cut<P> {
    fn compression(&self) -> Compression {
        self.pieces.compression()
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
        if part.shrink == 0 {
            self.pieces_in(source, &across, &down, |piece, (x, y), columns, rows| {
                let at = (at.0 + columns.start - across.start, at.1 + rows.start - down.start);
                let size = (columns.len() as u32, rows.len() as u32);
                picture.paste(at, piece, (columns.start - x, rows.start - y), size);
            })?;
            return Ok(true);
        }
        let mut mean = BoxMean::new(across.clone(), down.clone(), 1 << part.shrink);
        self.pieces_in(source, &across, &down, |piece, (x, y), columns, rows| mean.add(piece, x, y, &columns, &rows))?;
        picture.paste(at, &mean.finish(), (0, 0), (part.width, part.height));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces of a picture that is there.
    #[derive(Debug)]
    struct Made {
        picture: Rgb,
        grid: Grid,
    }

    impl Pieces for Made {
        fn compression(&self) -> Compression {
            Compression::None
        }

        fn grid(&self) -> Grid {
            self.grid
        }

        fn decode(&self, _source: &dyn ReadAt, column: u32, row: u32) -> Result<Rgb> {
            let (x, y) = self.grid.corner(column, row);
            Ok(self.picture.crop(x, y, self.grid.tile_width, self.grid.tile_height))
        }
    }

    fn picture(width: u32, height: u32) -> Rgb {
        Rgb { width, height, data: (0..width * height * 3).map(|i| (i % 251) as u8).collect() }
    }

    #[test]
    fn tiles_are_the_same_whatever_the_pieces_are() {
        let whole = picture(1300, 700);
        for (piece_width, piece_height) in [(1300, 700), (1300, 48), (400, 8), (77, 999)] {
            let grid = Grid::new(1300, 700, piece_width, piece_height);
            let raster = Raster::cut(Made { picture: whole.clone(), grid });
            assert_eq!((raster.grid.columns, raster.grid.rows), (3, 2));
            for (column, row) in [(0, 0), (1, 1), (2, 1)] {
                let mut want = Rgb::white(512, 512);
                let (x, y) = (column * 512, row * 512);
                want.paste((0, 0), &whole, (x, y), (512, 512));
                assert_eq!(raster.pixels(&Vec::new(), column, row).unwrap(), Some(want.clone()));
                let part = Part { x: 5, y: 3, width: 17, height: 12, shrink: 2 };
                let (mut have, mut mean) = (Rgb::white(20, 20), Rgb::white(20, 20));
                assert!(raster.draw(&Vec::new(), (column, row), part, &mut have, (1, 2)).unwrap());
                part.draw(&want, &mut mean, (1, 2));
                assert_eq!(have, mean);
            }
        }
    }
}
