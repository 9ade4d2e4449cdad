//! An image of which less is shown than its tags say: some writers count the padding of the last tiles in.

use super::{Raster, Tiles};
use crate::{
    Compression, ReadAt, Rgb,
    error::Result,
    grid::{Grid, Part},
};

/// The tiles of the larger image.
#[derive(Debug)]
struct Clipped {
    of: Raster,
}

impl Raster {
    /// The upper left `width` × `height` pixels of the image, where it is larger.
    pub(crate) fn clipped(self, width: u32, height: u32) -> Self {
        let grid = self.grid;
        let (width, height) = (width.clamp(1, grid.width), height.clamp(1, grid.height));
        if (width, height) == (grid.width, grid.height) {
            return self;
        }
        Self::new(Grid::new(width, height, grid.tile_width, grid.tile_height), Clipped { of: self })
    }
}

impl Tiles for Clipped {
    fn compression(&self) -> Compression {
        self.of.compression()
    }

    fn is_native(&self) -> bool {
        self.of.is_native()
    }

    fn native(&self, _grid: &Grid, source: &dyn ReadAt, column: u32, row: u32, out: &mut Vec<u8>) -> Result<bool> {
        self.of.native(source, column, row, out)
    }

    fn pixels(&self, _grid: &Grid, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Rgb>> {
        self.of.pixels(source, column, row)
    }

    fn draw(
        &self,
        _grid: &Grid,
        source: &dyn ReadAt,
        tile: (u32, u32),
        part: Part,
        picture: &mut Rgb,
        at: (u32, u32),
    ) -> Result<bool> {
        self.of.draw(source, tile, part, picture, at)
    }
}
