//! The built-in pipeline `tissue`: how much of a slide is tissue, and where.
//!
//! Glass and background are nearly grey, stained tissue has colour: the saturation of a small level is parted by
//! Otsu's threshold. A pure function of a slide; it knows no run, no network and no file but the slide's.

use super::otsu::{self, Histogram};
use microtome_slide::{Level, Rgb, Slide, SlideError};
use serde::Serialize;
use std::ops::{ControlFlow, Range, RangeInclusive};

/// The mask's larger side is at most this many pixels.
const MASK_SIDE_MAX: u64 = 4096;
/// Pixels are read in blocks of about this side: whole tiles, tens of megabytes at most.
const BLOCK_SIDE: u64 = 2048;
/// A pixel that is nearly black has no hue worth the name: a scanner's frame, a crack, ink.
const DARK_MAX: u8 = 24;
/// Classes whose mean saturations lie closer than this are one: noise on bare glass, or nothing but tissue.
const CONTRAST_MIN: f64 = 20.0;
/// The threshold for a slide with one class: paler is glass, the rest tissue.
const THRESHOLD_ALONE: u8 = 38;
/// What is kept of Otsu's threshold. Below lies the noise of cameras and of JPEG; above, a slide full of tissue would
/// be parted into pale and dark tissue.
const THRESHOLD_RANGE: RangeInclusive<u8> = 15..=64;
/// The first part of the progress is reading, the rest filtering.
const READING_SHARE: f64 = 0.95;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Tissue {
    /// Tissue's share of the slide, 0 to 1.
    pub(crate) fraction: f64,
    /// Tissue's area in square millimetres, where the slide tells its pixels' size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tissue_mm2: Option<f64>,
    /// The largest saturation, of 255, that still counts as glass.
    pub(crate) threshold: u8,
    /// The level that was looked at.
    pub(crate) level: usize,
    /// Width of the slide in level-0 pixels.
    pub(crate) width: u64,
    /// Height of the slide in level-0 pixels.
    pub(crate) height: u64,
    /// The mask's shape.
    pub(crate) mask: MaskShape,
    /// The mask, row by row: 255 is tissue, 0 is not.
    #[serde(skip)]
    pub(crate) pixels: Vec<u8>,
}

/// The mask's shape.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct MaskShape {
    /// Width in mask pixels.
    pub(crate) width: u32,
    /// Height in mask pixels.
    pub(crate) height: u32,
    /// How many level-0 pixels a mask pixel is wide.
    pub(crate) downsample: f64,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TissueError {
    /// The slide cannot be read.
    #[error(transparent)]
    Slide(#[from] SlideError),
    /// `step` said to stop.
    #[error("stopped")]
    Stopped,
}

/// Finds the tissue of `slide`. `step` is told the progress, 0 to 1, and may end the work.
///
/// # Errors
/// [`TissueError`]
pub(crate) fn find(slide: &Slide, step: &mut dyn FnMut(f64) -> ControlFlow<()>) -> Result<Tissue, TissueError> {
    let view = View::choose(slide.levels())?;
    let (columns, rows) = (view.columns as usize, view.rows as usize);
    let mut saturations = vec![0_u8; columns * rows];
    let blocks = view.blocks();
    for (done, block) in blocks.iter().enumerate() {
        if step(READING_SHARE * done as f64 / blocks.len() as f64).is_break() {
            return Err(TissueError::Stopped);
        }
        let pixels = view.read(slide, block)?;
        view.fold(&pixels, block, &mut saturations);
    }
    if step(READING_SHARE).is_break() {
        return Err(TissueError::Stopped);
    }

    let threshold = threshold(&saturations);
    for value in &mut saturations {
        *value = if *value > threshold { u8::MAX } else { 0 };
    }
    median(&mut saturations, columns);
    let count = saturations.iter().filter(|&&value| value != 0).count();
    let fraction = count as f64 / saturations.len() as f64;
    let (width, height) = slide.levels().first().map_or((0, 0), |level| (level.width, level.height));
    let _ = step(1.0);
    Ok(Tissue {
        fraction,
        tissue_mm2: slide.mpp().map(|(x, y)| fraction * (width as f64 * x / 1e3) * (height as f64 * y / 1e3)),
        threshold,
        level: view.level,
        width,
        height,
        mask: MaskShape { width: view.columns, height: view.rows, downsample: view.downsample * view.factor as f64 },
        pixels: saturations,
    })
}

/// A level, seen through boxes of `factor` × `factor` pixels, each a pixel of the mask.
struct View {
    level: usize,
    downsample: f64,
    width: u64,
    height: u64,
    factor: u64,
    columns: u32,
    rows: u32,
    block_width: u64,
    block_height: u64,
}

/// A part of a level, in its own pixels.
struct Block {
    x: Range<u64>,
    y: Range<u64>,
}

impl View {
    /// The largest level that fits; where none does, the smallest one in boxes.
    fn choose(levels: &[Level]) -> Result<Self, SlideError> {
        let side = |level: &Level| level.width.max(level.height);
        let fitting = levels.iter().enumerate().find(|(_, level)| side(level) <= MASK_SIDE_MAX);
        let smallest = || levels.iter().enumerate().min_by_key(|(_, level)| side(level));
        let (index, level) = fitting
            .or_else(smallest)
            .filter(|(_, level)| level.width > 0 && level.height > 0)
            .ok_or_else(|| SlideError::Damaged("the slide has no pixels".into()))?;
        let factor = side(level).div_ceil(MASK_SIDE_MAX);
        let cells = |pixels: u64| {
            u32::try_from(pixels.div_ceil(factor)).map_err(|_| SlideError::TooLarge("the slide's side".into()))
        };
        Ok(Self {
            level: index,
            downsample: level.downsample,
            width: level.width,
            height: level.height,
            factor,
            columns: cells(level.width)?,
            rows: cells(level.height)?,
            block_width: block_side(factor, level.tile_width),
            block_height: block_side(factor, level.tile_height),
        })
    }

    fn blocks(&self) -> Vec<Block> {
        let cut =
            |length: u64, side: u64| (0..length.div_ceil(side)).map(move |i| i * side..length.min((i + 1) * side));
        cut(self.height, self.block_height)
            .flat_map(|y| cut(self.width, self.block_width).map(move |x| Block { x, y: y.clone() }))
            .collect()
    }

    fn read(&self, slide: &Slide, block: &Block) -> Result<Rgb, SlideError> {
        let length = |range: &Range<u64>| u32::try_from(range.end - range.start).unwrap_or(u32::MAX);
        slide.level_region(block.x.start, block.y.start, self.level, length(&block.x), length(&block.y))
    }

    /// Averages the block's boxes and writes their saturations where they belong.
    fn fold(&self, pixels: &Rgb, block: &Block, saturations: &mut [u8]) {
        let factor = self.factor as usize;
        let stride = pixels.width as usize * 3;
        let left = (block.x.start / self.factor) as usize;
        let top = (block.y.start / self.factor) as usize;
        for (i, band) in pixels.data.chunks(stride * factor).enumerate() {
            let start = (top + i) * self.columns as usize + left;
            let cells = (pixels.width as usize).div_ceil(factor);
            let out = &mut saturations[start..start + cells];
            if factor == 1 {
                for (cell, rgb) in out.iter_mut().zip(band.chunks_exact(3)) {
                    *cell = saturation([rgb[0], rgb[1], rgb[2]]);
                }
                continue;
            }
            for (j, cell) in out.iter_mut().enumerate() {
                let columns = j * factor * 3..stride.min((j + 1) * factor * 3);
                *cell = saturation(mean(band.chunks_exact(stride).map(|row| &row[columns.clone()])));
            }
        }
    }
}

/// A block's side: a multiple of the box's, and of the tile's too where that stays within bounds, so that no tile is
/// decoded twice.
fn block_side(factor: u64, tile_side: u32) -> u64 {
    let aligned = factor * u64::from(tile_side.max(1));
    let unit = if aligned <= 2 * BLOCK_SIDE { aligned } else { factor };
    unit * (BLOCK_SIDE / unit).max(1)
}

fn mean<'a>(rows: impl Iterator<Item = &'a [u8]>) -> [u8; 3] {
    let (mut sums, mut count) = ([0_u64; 3], 0_u64);
    for row in rows {
        for rgb in row.chunks_exact(3) {
            for (sum, &value) in sums.iter_mut().zip(rgb) {
                *sum += u64::from(value);
            }
            count += 1;
        }
    }
    sums.map(|sum| u8::try_from((sum + count / 2) / count.max(1)).unwrap_or(u8::MAX))
}

/// The saturation of the HSV colour model, 0 to 255.
fn saturation(rgb: [u8; 3]) -> u8 {
    let [r, g, b] = rgb;
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max <= DARK_MAX {
        return 0;
    }
    let (spread, max) = (u32::from(max - min), u32::from(max));
    u8::try_from((spread * 255 + max / 2) / max).unwrap_or(u8::MAX)
}

fn threshold(saturations: &[u8]) -> u8 {
    let mut histogram: Histogram = [0; 256];
    for &value in saturations {
        histogram[usize::from(value)] += 1;
    }
    match otsu::split(&histogram) {
        Some(split) if split.mean_high - split.mean_low >= CONTRAST_MIN => {
            split.threshold.clamp(*THRESHOLD_RANGE.start(), *THRESHOLD_RANGE.end())
        }
        _ => THRESHOLD_ALONE,
    }
}

/// The 3 × 3 median of a mask of 0 and 255: single specks go, single holes close. Outside counts as the nearest pixel.
fn median(mask: &mut [u8], columns: usize) {
    let rows = mask.len() / columns.max(1);
    let sums = |row: &[u8]| -> Vec<u8> {
        let bit = |i: usize| row[i] & 1;
        (0..columns).map(|i| bit(i.saturating_sub(1)) + bit(i) + bit((i + 1).min(columns - 1))).collect()
    };
    if rows == 0 {
        return;
    }
    let mut above = sums(&mask[..columns]);
    let mut here = above.clone();
    for y in 0..rows {
        let next = (y + 1).min(rows - 1) * columns;
        let below = sums(&mask[next..next + columns]);
        for (x, cell) in mask[y * columns..(y + 1) * columns].iter_mut().enumerate() {
            *cell = if above[x] + here[x] + below[x] > 4 { u8::MAX } else { 0 };
        }
        above = here;
        here = below;
    }
}

#[cfg(test)]
#[path = "tissue_test.rs"]
mod tests;
