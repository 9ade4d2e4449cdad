//! Tiles whose rows or columns run the other way (tag 274, Orientation).
//!
//! A viewer would expect the whole image mirrored or turned. OpenSlide, whose pixels are the measure here, does
//! otherwise: it keeps the size and the places of tiles, and has libtiff decode each tile by itself, which mirrors the
//! pixels inside it, as far as it lies in the image, and leaves out the quarter turn of orientations 5 to 8. Where a slide has more than one tile that
//! is a puzzle of mirrored pieces. JPEG in colour and JPEG 2000 it decodes without libtiff and does not mirror at all.
//! The same is done here, so that coordinates of one reader are those of the other. No scanner is known to write such
//! tiles.

use super::{Stored, Tiles};
use crate::{Compression, ReadAt, Rgb, error::Result, grid::Grid};

/// How the pixels of a tile are mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    across: bool,
    down: bool,
}

impl Turn {
    /// What libtiff makes of an orientation where the first row and column are to be at the top left. Numbers beyond 8
    /// mean nothing; 0 is written by some.
    pub(super) fn of(orientation: u64) -> Option<Self> {
        match orientation {
            2 | 6 => Some(Self { across: true, down: false }),
            3 | 7 => Some(Self { across: true, down: true }),
            4 | 8 => Some(Self { across: false, down: true }),
            _ => None,
        }
    }
}

/// Tiles that are mirrored when they are decoded. None of them can be passed on as it is.
#[derive(Debug)]
pub(super) struct Turned {
    pub(super) stored: Stored,
    pub(super) turn: Turn,
}

impl Tiles for Turned {
    fn compression(&self) -> Compression {
        self.stored.compression()
    }

    fn pixels(&self, grid: &Grid, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Rgb>> {
        let Some(mut tile) = self.stored.pixels(grid, source, column, row)? else { return Ok(None) };
        let (x, y) = grid.corner(column, row);
        let inside = |len: u32, side: u32, corner: u32| len.min(side - corner) as usize;
        let (width, height) = (inside(tile.width, grid.width, x), inside(tile.height, grid.height, y));
        let tile_width = tile.width as usize;
        let pixels = tile.data.as_chunks_mut::<3>().0;
        if self.turn.across {
            pixels.chunks_exact_mut(tile_width).take(height).for_each(|row| row[..width].reverse());
        }
        if self.turn.down {
            for upper in 0..height / 2 {
                let (above, below) = pixels.split_at_mut((height - 1 - upper) * tile_width);
                above[upper * tile_width..][..width].swap_with_slice(&mut below[..width]);
            }
        }
        Ok(Some(tile))
    }
}
