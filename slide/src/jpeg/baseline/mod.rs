//! Baseline JPEG to pixels, and no more of it than is wanted: only a part, or a picture made smaller. Bits have to be
//! read up to the part's last block, as no block says where it begins; but only blocks of the part are transformed,
//! and pixels are written where they are wanted.
//!
//! Owns JPEGs of 8 bits, Huffman-coded in one scan, grey or of three components of which the last two may have half the
//! columns or rows (ITU-T T.81, its sequential mode). All others are for another decoder.

mod bits;
mod blocks;
mod color;
mod huffman;
mod idct;
mod looks;
mod need;
mod plan;
#[cfg(test)]
mod tests;
mod whole;

pub(crate) use plan::ZIGZAG;
pub(crate) use whole::check_whole;

use super::header::damaged;
use crate::{Rgb, SlideError, error::Result, grid::Part};
use bits::{Bits, Stretch};
use blocks::{Blocks, Unit};
use fearless_simd::{Level, Simd, dispatch};
use need::{Needs, Strips};
use plan::{Plan, Tables};
use std::cell::Cell;

/// What stays from one JPEG to the next: memory, and tables that are likely the same.
#[derive(Default)]
struct Scratch {
    tables: Tables,
    stretch: Stretch,
    strips: Strips,
    blocks: Blocks,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Draws `part` of `jpeg` into `picture` with its corner at `at`; `false`, and nothing drawn, where the JPEG is for
/// another decoder. The part lies in the JPEG's picture, whose sides squares of `1 << shrink` pixels fill.
///
/// # Errors
/// `Damaged` where bits are none that the tables have, or end before the part does.
pub(super) fn draw(jpeg: &[u8], part: Part, inverted: bool, picture: &mut Rgb, at: (u32, u32)) -> Result<bool> {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let drawn = match Plan::read(jpeg, &mut scratch.tables) {
        Some(plan) => scratch.draw(jpeg, &plan, part, inverted, picture, at),
        None => Ok(false),
    };
    scratch.stretch.trim();
    SCRATCH.set(Some(scratch));
    drawn
}

impl Scratch {
    fn draw(
        &mut self,
        jpeg: &[u8],
        plan: &Plan,
        mut part: Part,
        inverted: bool,
        picture: &mut Rgb,
        at: (u32, u32),
    ) -> Result<bool> {
        let sides = plan.width | plan.height;
        if part.shrink > 3 || sides & ((1 << part.shrink) - 1) != 0 {
            return Ok(false);
        }
        let rest = |side: usize, start: u32| ((side >> part.shrink) as u32).saturating_sub(start);
        part.width = part.width.min(rest(plan.width, part.x)).min(picture.width.saturating_sub(at.0));
        part.height = part.height.min(rest(plan.height, part.y)).min(picture.height.saturating_sub(at.1));
        if part.width == 0 || part.height == 0 {
            return Ok(true);
        }
        let needs = Needs::new(plan, part);
        self.strips.prepare(plan, &needs);
        let target = Target { picture, at, width: part.width, inverted };
        dispatch!(Level::new(), simd => self.scan(simd, jpeg, plan, &needs, target))?;
        Ok(true)
    }

    /// Reads the scan as far as it is needed.
    fn scan<S: Simd>(
        &mut self,
        simd: S,
        jpeg: &[u8],
        plan: &Plan,
        needs: &Needs,
        mut target: Target<'_>,
    ) -> Result<()> {
        let Self { tables, stretch, strips, blocks } = self;
        let units = Unit::all(plan, tables, needs).ok_or_else(|| damaged("its scan lacks tables"))?;
        let luma = plan.components.first().map_or((1, 1), |luma| luma.blocks);
        let (across, down) = (plan.width.div_ceil(8 * luma.0), plan.height.div_ceil(8 * luma.1));
        let (needed_rows, end_column) = Unit::needed(&units);
        let (end_row, end_column) = (needed_rows.end.min(down), end_column.min(across));

        let mut scan = &jpeg[plan.scan..];
        scan = &scan[stretch.fill(scan)..];
        let mut bits = stretch.bits();
        let mut last_dc = [0i32; 3];
        let (mut until_restart, mut restarts) = (plan.restart, 0u8);
        for row in 0..end_row {
            let is_needed = row >= needed_rows.start;
            if is_needed {
                strips.next(needs);
            }
            let end_column = if row + 1 == end_row { end_column } else { across };
            let mut column = 0;
            while column < end_column {
                let mut columns = column..end_column.min(column + Blocks::room(&units));
                if plan.restart > 0 {
                    if until_restart == 0 {
                        check(&bits)?;
                        scan = after_restart(scan, restarts)?;
                        scan = &scan[stretch.fill(scan)..];
                        bits = stretch.bits();
                        last_dc = [0; 3];
                        (until_restart, restarts) = (plan.restart, restarts.wrapping_add(1));
                    }
                    columns.end = columns.end.min(column + until_restart);
                    until_restart -= columns.len();
                }
                column = columns.end;
                let read = apart(
                    simd,
                    #[inline(always)]
                    || blocks.read(&mut bits, &units, (columns.clone(), row), &mut last_dc),
                );
                read.ok_or_else(no_code)?;
                if is_needed {
                    apart(
                        simd,
                        #[inline(always)]
                        || blocks.transform(simd, &units, needs, strips),
                    );
                }
            }
            check(&bits)?;
            if is_needed {
                apart(
                    simd,
                    #[inline(always)]
                    || strips.draw(simd, needs, row, row + 1 == down, &mut target),
                );
            }
        }
        Ok(())
    }
}

/// Does `work` as a function of its own: loops that are made one function share its registers, and have too few.
#[inline(never)]
fn apart<S: Simd, T>(simd: S, work: impl FnOnce() -> T) -> T {
    simd.vectorize(work)
}

/// Refuses what ended before its pixels.
fn check(bits: &Bits<'_>) -> Result<()> {
    if bits.left() < 0 { Err(damaged("it ends before its pixels")) } else { Ok(()) }
}

fn no_code() -> SlideError {
    damaged("its bits are no code of its tables")
}

/// What follows the restart marker at the start of `scan`; they are counted from 0 to 7 (T.81, E.2.4).
fn after_restart(scan: &[u8], count: u8) -> Result<&[u8]> {
    let fill = scan.iter().take_while(|&&byte| byte == 0xff).count();
    match scan.get(fill) {
        Some(&marker) if fill > 0 && marker == 0xd0 + count % 8 => Ok(&scan[fill + 1..]),
        _ => Err(damaged("a restart marker is missing")),
    }
}

/// Where pixels go.
struct Target<'a> {
    picture: &'a mut Rgb,
    at: (u32, u32),
    width: u32,
    inverted: bool,
}

impl Target<'_> {
    /// A row of the part.
    #[inline(always)]
    fn row(&mut self, row: usize) -> &mut [u8] {
        let start = (self.at.1 as usize + row) * self.picture.width as usize + self.at.0 as usize;
        &mut self.picture.data[start * 3..(start + self.width as usize) * 3]
    }

    /// Does what is to be done to a row that was written.
    #[inline(always)]
    fn finish(&mut self, row: usize) {
        if self.inverted {
            self.row(row).iter_mut().for_each(|sample| *sample = 255 - *sample);
        }
    }
}
