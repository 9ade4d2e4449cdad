//! One long JPEG of which parts are decoded: restart markers cut it into intervals, each a part of a row of MCUs that can
//! be decoded by itself. Intervals that lie one below the other make a piece: a JPEG of its own, with the long one's
//! header and another size in it. Owns how intervals are found: by a list that the file has, each entry of which is held
//! against the bytes there, and by looking for the markers where there is none or it is wrong.

use super::{Head, JpegPieces, cut::Pieces};
use crate::{
    Compression, ReadAt, Rgb, SlideError,
    error::Result,
    grid::Grid,
    jpeg,
    limits::{RESTART_SCAN_LEN_MAX, TILE_PIXELS_MAX},
    tiff::Table,
};
use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

/// Height that a piece has where its width allows it: that of the tiles that are cut from it.
const PIECE_HEIGHT: u32 = 512;
/// Pixels that a piece of several intervals may have.
const PIECE_PIXELS: u32 = 2 << 20;
/// Every so many intervals it is kept where one begins, once they had to be looked for.
const MARKED: u64 = 256;

/// A JPEG cut by restart markers.
#[derive(Debug)]
pub(crate) struct Restarts {
    head: Head,
    /// The image, and the pieces as its tiles.
    grid: Grid,
    /// Intervals below each other in a piece.
    deep: u32,
    /// Intervals that a row of MCUs has, and rows.
    across: u32,
    down: u32,
    /// Where the JPEG is in the file.
    bytes: Range<u64>,
    /// Where the intervals begin, from the JPEG's start: the lower and the upper 32 bits.
    starts: Option<(Table, Option<Table>)>,
    /// Where every [`MARKED`]th interval begins in the file, as far as they were found.
    marks: Mutex<Option<Arc<[u64]>>>,
}

impl Restarts {
    /// The JPEG with this head in `bytes` of the file, an image of `width` × `height` pixels, which the head may not be
    /// able to say. `starts` tells where its intervals begin; it is not trusted. Nothing where no markers cut the rows.
    pub(crate) fn new(
        head: Head,
        (width, height): (u32, u32),
        bytes: Range<u64>,
        starts: Option<(Table, Option<Table>)>,
    ) -> Option<Self> {
        let mcus = width.div_ceil(head.mcu.0);
        let fits = head.plain && head.interval > 0 && mcus.checked_rem(head.interval) == Some(0);
        let (interval_width, interval_height) = (head.interval.saturating_mul(head.mcu.0), head.mcu.1);
        // A side of a part must fit into its header.
        if !fits || interval_width > 0xffff || u64::from(interval_width * interval_height) > TILE_PIXELS_MAX {
            return None;
        }
        let most = PIECE_PIXELS / (interval_width * interval_height);
        let deep = (PIECE_HEIGHT / interval_height).min(most).max(1);
        let grid = Grid::new(width, height, interval_width, interval_height * deep);
        let (across, down) = (grid.columns, height.div_ceil(interval_height));
        let count = u64::from(across) * u64::from(down);
        let usable = |table: &Table| table.count == count;
        let starts = starts.filter(|(low, high)| usable(low) && high.as_ref().is_none_or(usable));
        Some(Self { head, grid, deep, across, down, bytes, starts, marks: Mutex::default() })
    }

    /// The codes of an interval, without the marker at its end.
    fn interval(&self, source: &dyn ReadAt, index: u64, len_max: u64) -> Result<Vec<u8>> {
        if let Some(found) = self.listed(source, index)?
            && let Some(codes) = self.codes(source, index, found, len_max)?
        {
            return Ok(codes);
        }
        let found = self.found(source, index)?;
        let codes = self.codes(source, index, found, len_max)?;
        codes.ok_or_else(|| damaged(&format!("restart interval {index} has no codes or too many")))
    }

    /// Where the interval is by the file's list; nothing where that cannot be true.
    fn listed(&self, source: &dyn ReadAt, index: u64) -> Result<Option<Range<u64>>> {
        let Some((low, high)) = &self.starts else { return Ok(None) };
        let first = self.bytes.start + self.head.len();
        let start = |index: u64| -> Result<Option<u64>> {
            let upper = high.as_ref().map_or(Ok(0), |high| high.get(source, index))?;
            let start = low.get(source, index)? | (upper << 32);
            Ok(self.bytes.start.checked_add(start).filter(|&start| start >= first))
        };
        let start_of = |index: u64| match index {
            0 => Ok(Some(first)),
            index if index < low.count => start(index),
            _ => Ok(Some(self.bytes.end)),
        };
        let (start, end) = (start_of(index)?, start_of(index + 1)?);
        Ok(start.zip(end).map(|(start, end)| start..end).filter(|range| range.end <= self.bytes.end))
    }

    /// Where the interval is, by looking for the markers before it.
    fn found(&self, source: &dyn ReadAt, index: u64) -> Result<Range<u64>> {
        let missing = || damaged(&format!("restart interval {index} is not in the file"));
        let marks = self.marks(source)?;
        let mark = *marks.get((index / MARKED) as usize).ok_or_else(missing)?;
        let mut markers = Markers::new(source, mark..self.bytes.end);
        let (mut start, mut left) = (mark, index % MARKED);
        while left > 0 {
            let (marker, after) = markers.next()?.ok_or_else(missing)?;
            if marker != restart(index - left) {
                return Err(damaged("its restart markers are out of order"));
            }
            (start, left) = (after, left - 1);
        }
        Ok(start..markers.next()?.map_or(self.bytes.end, |(_, after)| after))
    }

    /// Looks for all markers, once.
    fn marks(&self, source: &dyn ReadAt) -> Result<Arc<[u64]>> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(marks) = marks.as_ref() {
            return Ok(marks.clone());
        }
        let first = self.bytes.start + self.head.len();
        if self.bytes.end - first > RESTART_SCAN_LEN_MAX {
            return Err(damaged(
                "its list of restart markers is missing or wrong, and it is too long to look for them",
            ));
        }
        let mut found = vec![first];
        let mut markers = Markers::new(source, first..self.bytes.end);
        for index in 1..u64::from(self.across) * u64::from(self.down) {
            match markers.next()? {
                Some((marker, after)) if marker == restart(index - 1) => {
                    if index.is_multiple_of(MARKED) {
                        found.push(after);
                    }
                }
                _ => break,
            }
        }
        Ok(marks.insert(found.into()).clone())
    }

    /// Reads an interval and holds it against what must be there: the right markers before and behind it and none
    /// inside. Nothing where it is something else.
    fn codes(&self, source: &dyn ReadAt, index: u64, found: Range<u64>, len_max: u64) -> Result<Option<Vec<u8>>> {
        if found.is_empty() || found.end - found.start > len_max {
            return Ok(None);
        }
        let mut bytes = vec![0; (found.end - found.start) as usize + 2];
        source.read_exact_at(&mut bytes, found.start - 2)?;
        let mut codes = bytes.split_off(2);
        if index > 0 && bytes != [0xff, restart(index - 1)] {
            return Ok(None);
        }
        let last = index + 1 == u64::from(self.across) * u64::from(self.down);
        let marker = codes.windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0);
        let right = match marker {
            // What follows the last interval is EOI, and what writers fill up with.
            Some(at) if last => codes[at + 1] == 0xd9 || codes[at + 1] == 0xff,
            Some(at) => at + 2 == codes.len() && codes[at + 1] == restart(index),
            None => false,
        };
        Ok(marker.filter(|&at| right && at > 0).map(|at| {
            codes.truncate(at);
            codes
        }))
    }
}

impl Pieces for Restarts {
    fn compression(&self) -> Compression {
        Compression::Jpeg
    }

    fn grid(&self) -> Grid {
        self.grid
    }

    /// An interval.
    fn tile(&self) -> (u32, u32) {
        (self.grid.tile_width, self.head.mcu.1)
    }

    fn decode(&self, source: &dyn ReadAt, column: u32, row: u32) -> Result<Rgb> {
        let (bytes, frame) = self.jpeg(source, column, row)?;
        Ok(Rgb { width: frame.width.into(), height: frame.height.into(), data: jpeg::decode(&bytes, &frame)? })
    }
}

impl JpegPieces for Restarts {
    fn jpeg(&self, source: &dyn ReadAt, column: u32, row: u32) -> Result<(Vec<u8>, jpeg::Frame)> {
        let (x, y) = self.grid.corner(column, row);
        let width = self.grid.tile_width.min(self.grid.width - x);
        let height = self.grid.tile_height.min(self.grid.height - y);
        let mut whole = self.head.sized(width as u16, height as u16);
        // No interval takes more than twice the bytes of its samples.
        let len_max = u64::from(self.grid.tile_width * self.head.mcu.1) * 6 + (4 << 10);
        let first = row * self.deep;
        let rows = first..(first + self.deep).min(self.down);
        for (number, interval_row) in rows.clone().enumerate() {
            let index = u64::from(interval_row) * u64::from(self.across) + u64::from(column);
            whole.extend(self.interval(source, index, len_max)?);
            // The decoder counts from the piece's first interval on.
            let last = number + 1 == rows.len();
            whole.extend([0xff, if last { 0xd9 } else { restart(number as u64) }]);
        }
        let mut assembled = Vec::new();
        let copy = |bytes: &mut [u8]| {
            bytes.copy_from_slice(&whole);
            Ok(())
        };
        let frame = jpeg::assemble(None, jpeg::Tagged::YCbCr, whole.len(), copy, &mut assembled)?;
        Ok((assembled, frame))
    }
}

/// The marker behind an interval.
fn restart(index: u64) -> u8 {
    0xd0 + (index % 8) as u8
}

/// Walks over the markers in a stretch of a file, piece by piece.
struct Markers<'a> {
    source: &'a dyn ReadAt,
    rest: Range<u64>,
    read: Vec<u8>,
    at: usize,
}

impl<'a> Markers<'a> {
    fn new(source: &'a dyn ReadAt, rest: Range<u64>) -> Self {
        Self { source, rest, read: Vec::new(), at: 0 }
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        if self.at == self.read.len() {
            let len = (self.rest.end - self.rest.start).min(64 << 10);
            self.read.resize(len as usize, 0);
            self.source.read_exact_at(&mut self.read, self.rest.start)?;
            self.rest.start += len;
            self.at = 0;
        }
        let byte = self.read.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        Ok(byte)
    }

    /// The next marker and the place behind it.
    fn next(&mut self) -> Result<Option<(u8, u64)>> {
        let mut after_ff = false;
        while let Some(byte) = self.byte()? {
            match (after_ff, byte) {
                (_, 0xff) => after_ff = true,
                (true, 0) | (false, _) => after_ff = false,
                (true, marker) => {
                    return Ok(Some((marker, self.rest.start - (self.read.len() - self.at) as u64)));
                }
            }
        }
        Ok(None)
    }
}

fn damaged(why: &str) -> SlideError {
    SlideError::Damaged(format!("a level's JPEG: {why}"))
}
