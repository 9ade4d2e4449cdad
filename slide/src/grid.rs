//! Places: of tiles in an image, of parts in tiles, of windows in levels. Numbers only; knows no pixels.

use crate::{SlideError, error::Result};
use std::ops::Range;

/// Largest shrinking that a tile can be drawn with: 8 × 8 pixels to one, the side of JPEG's blocks.
pub(crate) const SHRINK_MAX: u32 = 3;

/// An image's size and how it is cut, in pixels. No side is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) tile_width: u32,
    pub(crate) tile_height: u32,
    /// Tiles across.
    pub(crate) columns: u32,
    /// Tiles down.
    pub(crate) rows: u32,
}

/// A rectangle of a tile, in pixels of the tile after it was made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Each pixel is the mean of a square of `1 << shrink` pixels; at most [`SHRINK_MAX`].
    pub(crate) shrink: u32,
}

impl Grid {
    /// An image of `width` × `height` pixels in tiles of `tile_width` × `tile_height`; none of them 0.
    pub(crate) fn new(width: u32, height: u32, tile_width: u32, tile_height: u32) -> Self {
        let (columns, rows) = (width.div_ceil(tile_width), height.div_ceil(tile_height));
        Self { width, height, tile_width, tile_height, columns, rows }
    }

    /// Refuses a tile outside the grid.
    pub(crate) fn check(&self, column: u32, row: u32) -> Result<()> {
        if column < self.columns && row < self.rows {
            return Ok(());
        }
        Err(SlideError::Outside(format!("tile {column}, {row} of a grid of {} × {}", self.columns, self.rows)))
    }

    /// Tiles in all.
    pub(crate) fn tiles(&self) -> u64 {
        u64::from(self.columns) * u64::from(self.rows)
    }

    /// A tile's index, row by row.
    pub(crate) fn index(&self, column: u32, row: u32) -> u64 {
        u64::from(row) * u64::from(self.columns) + u64::from(column)
    }

    /// The pixel at a tile's upper left corner.
    pub(crate) fn corner(&self, column: u32, row: u32) -> (u32, u32) {
        (column * self.tile_width, row * self.tile_height)
    }

    /// The largest shrinking up to `wanted` that tiles can be drawn with and still lie side by side.
    pub(crate) fn shrink(&self, wanted: u32) -> u32 {
        let even = |shrink: &u32| (self.tile_width | self.tile_height).trailing_zeros() >= *shrink;
        (0..=wanted.min(SHRINK_MAX)).rev().find(even).unwrap_or(0)
    }

    /// The grid when each square of `1 << shrink` pixels has become one. Tiles must be [able](Self::shrink) to.
    pub(crate) fn shrunk(&self, shrink: u32) -> Self {
        let side = |pixels: u32| pixels.div_ceil(1 << shrink);
        Self {
            width: side(self.width),
            height: side(self.height),
            tile_width: side(self.tile_width),
            tile_height: side(self.tile_height),
            ..*self
        }
    }

    /// The columns and rows of the image's pixels that `part` of a tile covers, cut off at the image's edge.
    pub(crate) fn covered(&self, (column, row): (u32, u32), part: Part) -> (Range<u32>, Range<u32>) {
        let (left, top) = self.corner(column, row);
        let pixels = |corner: u32, start: u32, len: u32, side: u32| {
            let first = corner + (start << part.shrink);
            first.min(side)..(first + (len << part.shrink)).min(side)
        };
        (pixels(left, part.x, part.width, self.width), pixels(top, part.y, part.height, self.height))
    }

    /// Where `part` has pixels that cover something beyond the image's edge: the part that they cover inside of it, at
    /// its own size.
    pub(crate) fn beyond_edge(&self, column: u32, row: u32, part: Part) -> Option<Part> {
        let (left, top) = self.corner(column, row);
        let (x, y) = (part.x << part.shrink, part.y << part.shrink);
        let (width, height) = (part.width << part.shrink, part.height << part.shrink);
        let inside = |corner: u32, start: u32, len: u32, side: u32| len.min(side.saturating_sub(corner + start));
        let inside = (inside(left, x, width, self.width), inside(top, y, height, self.height));
        let beyond = part.shrink > 0 && inside != (width, height);
        beyond.then_some(Part { x, y, width: inside.0, height: inside.1, shrink: 0 })
    }
}

impl Part {
    /// A tile of `grid`, whole and at its own size.
    pub(crate) fn whole(grid: &Grid) -> Self {
        Self { x: 0, y: 0, width: grid.tile_width, height: grid.tile_height, shrink: 0 }
    }
}

/// A rectangle of a level, in its pixels; sides may fall between pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Window {
    /// The same when each square of `by` pixels a side has become one.
    pub(crate) fn shrunk(self, by: f64) -> Self {
        Self { x: self.x / by, y: self.y / by, width: self.width / by, height: self.height / by }
    }
}
