//! Which tiles of a pyramid lie over holes. Aperio's encoder leaves tiles out now and then, and tiles of smaller levels
//! that show the same place are sometimes corrupt: OpenSlide trusts none of them, and looks through all tables when it
//! opens a file. These may have megabytes, and are looked through here piece by piece when a tile over them is asked for;
//! of each piece a byte is kept. Knows nothing of pixels.

use crate::{
    ReadAt,
    error::Result,
    limits::{HOLES_TILES_MAX, LEVELS_COVERED_MAX, TILES_COVERED_MAX},
    raster::Raster,
};
use std::{
    ops::Range,
    sync::atomic::{AtomicU8, Ordering},
};

/// Tiles that are looked at together.
const CHUNK: u64 = 1024;

const UNKNOWN: u8 = 0;
const WHOLE: u8 = 1;
const HOLED: u8 = 2;

/// What is known of the holes of each level but the last, in pieces of [`CHUNK`] tiles.
#[derive(Debug)]
pub(crate) struct Holes(Vec<Box<[AtomicU8]>>);

impl Holes {
    /// Nothing is known yet.
    pub(crate) fn new(levels: &[Raster]) -> Self {
        let finer = &levels[..levels.len().saturating_sub(1)];
        let chunks = |level: &Raster| level.grid.tiles().min(HOLES_TILES_MAX).div_ceil(CHUNK);
        Self(finer.iter().map(|level| (0..chunks(level)).map(|_| AtomicU8::new(UNKNOWN)).collect()).collect())
    }

    /// Whether a tile, which lies in its grid, covers one that is missing in one of the next finer levels. Those of
    /// which it covers very many tiles are not asked.
    pub(crate) fn under(
        &self,
        source: &dyn ReadAt,
        levels: &[Raster],
        level: usize,
        (column, row): (u32, u32),
    ) -> Result<bool> {
        let (mut columns, mut rows) = (column..column + 1, row..row + 1);
        for finer in (0..level).rev().take(LEVELS_COVERED_MAX) {
            let (Some(above), Some(below)) = (levels.get(finer), levels.get(finer + 1)) else { break };
            columns = covered(columns, above.grid.columns, below.grid.columns);
            rows = covered(rows, above.grid.rows, below.grid.rows);
            if columns.len().max(rows.len()) > TILES_COVERED_MAX {
                break;
            }
            for row in rows.clone() {
                let tiles = above.grid.index(columns.start, row)..above.grid.index(columns.end, row);
                if self.any(source, finer, above, tiles)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether one of these tiles of a level is missing.
    fn any(&self, source: &dyn ReadAt, level: usize, raster: &Raster, tiles: Range<u64>) -> Result<bool> {
        let Some(known) = self.0.get(level) else { return Ok(false) };
        for chunk in tiles.start / CHUNK..tiles.end.div_ceil(CHUNK) {
            let Some(known) = usize::try_from(chunk).ok().and_then(|chunk| known.get(chunk)) else { break };
            let all = chunk * CHUNK..((chunk + 1) * CHUNK).min(raster.grid.tiles());
            let mut state = known.load(Ordering::Relaxed);
            if state == UNKNOWN {
                state = if raster.any_missing(source, all.clone())? { HOLED } else { WHOLE };
                known.store(state, Ordering::Relaxed);
            }
            let asked = tiles.start.max(all.start)..tiles.end.min(all.end);
            if state == HOLED && raster.any_missing(source, asked)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The tiles of a finer level that tiles of the one below it cover, by the ratio of their numbers as OpenSlide has it.
fn covered(tiles: Range<u32>, finer: u32, coarser: u32) -> Range<u32> {
    let ratio = (f64::from(finer) / f64::from(coarser)).round().max(1.0) as u32;
    let at = |tile: u32| tile.saturating_mul(ratio).min(finer);
    at(tiles.start)..at(tiles.end)
}
