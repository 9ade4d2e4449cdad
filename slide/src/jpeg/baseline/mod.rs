//! Baseline JPEG to pixels, and no more of it than is wanted: only a part, or a picture made smaller. Bits have to be
//! read up to the part's last block, as no block says where it begins; but only blocks of the part are transformed,
//! and pixels are written where they are wanted.
//!
//! Owns JPEGs of 8 bits, Huffman-coded in one scan, grey or of three components of which the last two may have half the
//! columns or rows (ITU-T T.81, its sequential mode). All others are for another decoder.

mod bits;
mod color;
mod huffman;
mod idct;
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
use fearless_simd::{Level, Simd, dispatch};
use huffman::{END, Table};
use idct::{Block, Seen};
use need::{Needs, Strips};
use plan::{Plan, Step, Tables};
use std::cell::Cell;

/// Most blocks of an MCU: four of luminance and two of chrominance.
const UNITS_MAX: usize = 6;

/// What stays from one JPEG to the next: memory, and tables that are likely the same.
#[derive(Default)]
struct Scratch {
    tables: Tables,
    stretch: Stretch,
    strips: Strips,
}

thread_local! {
    static SCRATCH: Cell<Box<Scratch>> = Cell::default();
}

/// Draws `part` of `jpeg` into `picture` with its corner at `at`; `false`, and nothing drawn, where the JPEG is for
/// another decoder. The part lies in the JPEG's picture, whose sides squares of `1 << shrink` pixels fill.
///
/// # Errors
/// `Damaged` where bits are none that the tables have, or end before the part does.
pub(super) fn draw(jpeg: &[u8], part: Part, inverted: bool, picture: &mut Rgb, at: (u32, u32)) -> Result<bool> {
    let mut scratch = SCRATCH.take();
    let drawn = match Plan::read(jpeg, &mut scratch.tables) {
        Some(plan) => scratch.draw(jpeg, &plan, part, inverted, picture, at),
        None => Ok(false),
    };
    scratch.stretch.trim();
    SCRATCH.set(scratch);
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
    #[inline(always)]
    fn scan<S: Simd>(
        &mut self,
        simd: S,
        jpeg: &[u8],
        plan: &Plan,
        needs: &Needs,
        mut target: Target<'_>,
    ) -> Result<()> {
        let Self { tables, stretch, strips } = self;
        let mut order = Vec::with_capacity(UNITS_MAX);
        for (index, (component, need)) in plan.components.iter().zip(&needs.components).enumerate() {
            let (across, down) = component.blocks;
            let (Some(dc), Some(ac), Some(steps)) = (tables.dc(component), tables.ac(component), plan.steps(component))
            else {
                return Err(damaged("its scan lacks tables"));
            };
            for place in 0..across * down {
                order.push(Unit {
                    index,
                    dc,
                    ac,
                    steps,
                    blocks: (across, down),
                    place: (place % across, place / across),
                    columns: (need.columns.start, need.columns.len()),
                    rows: (need.rows.start, need.rows.len()),
                    shrink: need.shrink,
                });
            }
        }
        let blocks = plan.components.first().map_or((1, 1), |luma| luma.blocks);
        let (across, down) = (plan.width.div_ceil(8 * blocks.0), plan.height.div_ceil(8 * blocks.1));
        // The rows of MCUs that anything is needed of, and the columns of the last of them.
        let touched = |start: usize, len: usize, of: usize| (start / of, (start + len).div_ceil(of));
        let first_row = order.iter().map(|unit| touched(unit.rows.0, unit.rows.1, unit.blocks.1).0).min().unwrap_or(0);
        let end_row = order.iter().map(|unit| touched(unit.rows.0, unit.rows.1, unit.blocks.1).1).max().unwrap_or(0);
        let end_column =
            order.iter().map(|unit| touched(unit.columns.0, unit.columns.1, unit.blocks.0).1).max().unwrap_or(0);
        let (end_row, end_column) = (end_row.min(down), end_column.min(across));

        let mut scan = &jpeg[plan.scan..];
        scan = &scan[stretch.fill(scan)..];
        let mut bits = stretch.bits();
        let mut last_dc = [0i32; 3];
        let mut block = Block([0; 64]);
        let (mut until_restart, mut restarts) = (plan.restart, 0u8);
        for mcu_row in 0..end_row {
            let is_needed = mcu_row >= first_row;
            if is_needed {
                strips.next(needs);
            }
            for mcu_column in 0..if mcu_row + 1 == end_row { end_column } else { across } {
                if plan.restart > 0 {
                    if until_restart == 0 {
                        check(&bits)?;
                        scan = after_restart(scan, restarts)?;
                        scan = &scan[stretch.fill(scan)..];
                        bits = stretch.bits();
                        last_dc = [0; 3];
                        (until_restart, restarts) = (plan.restart, restarts.wrapping_add(1));
                    }
                    until_restart -= 1;
                }
                for unit in &order {
                    let column = (mcu_column * unit.blocks.0 + unit.place.0).wrapping_sub(unit.columns.0);
                    let row = (mcu_row * unit.blocks.1 + unit.place.1).wrapping_sub(unit.rows.0);
                    let last_dc = &mut last_dc[unit.index];
                    if column >= unit.columns.1 || row >= unit.rows.1 {
                        read::<false>(&mut bits, unit, last_dc, &mut block).ok_or_else(no_code)?;
                        continue;
                    }
                    let seen = read::<true>(&mut bits, unit, last_dc, &mut block).ok_or_else(no_code)?;
                    let (plane, place) = strips.block(needs, unit.index, (column, unit.place.1));
                    simd.vectorize(
                        #[inline(always)]
                        || idct::samples(simd, &block, seen, unit.shrink, plane, place),
                    );
                    if seen.0 != 0 {
                        block.0 = [0; 64];
                    }
                }
            }
            check(&bits)?;
            if is_needed {
                simd.vectorize(
                    #[inline(always)]
                    || strips.draw(needs, mcu_row, mcu_row + 1 == down, &mut target),
                );
            }
        }
        Ok(())
    }
}

/// One of the blocks that an MCU has, and what is needed of its like.
struct Unit<'a> {
    /// Of its component.
    index: usize,
    dc: &'a Table,
    ac: &'a Table,
    steps: &'a [Step; 64],
    /// Blocks of the component in an MCU, and the place of this one among them, across and down.
    blocks: (usize, usize),
    place: (usize, usize),
    /// The first block that is needed, and how many are, across and down.
    columns: (usize, usize),
    rows: (usize, usize),
    shrink: u32,
}

/// Reads a block's bits and, where it is `KEPT`, its coefficients, which were 0.
#[inline(always)]
fn read<const KEPT: bool>(scan: &mut Bits<'_>, unit: &Unit<'_>, last_dc: &mut i32, block: &mut Block) -> Option<Seen> {
    let Unit { dc, ac, steps, .. } = *unit;
    // A copy stays in registers.
    let mut bits = *scan;
    bits.refill();
    let (difference, _) = match bits.short(dc) {
        Some(short) => short,
        None => bits.long(dc)?,
    };
    *last_dc = last_dc.wrapping_add(difference);
    if KEPT {
        block.0[0] = last_dc.wrapping_mul(steps[0].quantum.into()) as i16;
    }
    let (mut at, mut seen) = (0, 0);
    let mut keep = |at: usize, value: i32| {
        if KEPT {
            let step = steps[at];
            block.0[usize::from(step.place & 63)] = value.wrapping_mul(step.quantum.into()) as i16;
            seen |= step.place;
        }
    };
    while at < 63 {
        bits.refill();
        let (value, onward) = match bits.short(ac) {
            Some(short) => short,
            None => bits.long(ac)?,
        };
        at += onward;
        if at > 63 {
            break;
        }
        keep(at, value);
        // After a long value and a short one there are bits enough for a short one, but to know it takes longer.
        if at < 63
            && let Some((value, onward)) = bits.short(ac)
        {
            at += onward;
            if at > 63 {
                break;
            }
            keep(at, value);
        }
    }
    *scan = bits;
    (at == 63 || at >= END).then_some(Seen(seen))
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
