//! The blocks of a few MCUs on their way from bits to samples: read one after the other, then transformed, so that each of
//! the two loops has the processor's registers for itself.

use super::{
    bits::Bits,
    huffman::END,
    idct::{self, Block, PLACES, Quanta},
    need::{Needs, Strips},
    plan::{Codes, Plan, Tables},
};
use fearless_simd::Simd;
use std::{array, ops::Range};

/// Most blocks of an MCU: four of luminance and two of chrominance.
const UNITS_MAX: usize = 6;
/// Most blocks that are read before they are transformed.
const BLOCKS_MAX: usize = 8 * UNITS_MAX;
/// Places of a block after DC.
const LAST: usize = 63;

/// One of the blocks that an MCU has, and what is needed of its like.
pub(super) struct Unit<'a> {
    /// Of its component.
    index: usize,
    codes: Codes<'a>,
    quanta: &'a Quanta,
    /// Blocks of the component in an MCU, and the place of this one among them, across and down.
    blocks: (usize, usize),
    place: (usize, usize),
    /// The first block that is needed, and how many are, across and down.
    columns: (usize, usize),
    rows: (usize, usize),
    shrink: u32,
}

impl<'a> Unit<'a> {
    /// The blocks of an MCU of `plan`, in the order of the scan. Nothing where tables are missing.
    pub(super) fn all(plan: &'a Plan, tables: &'a Tables, needs: &Needs) -> Option<Vec<Self>> {
        let mut units = Vec::with_capacity(UNITS_MAX);
        for (index, (component, need)) in plan.components.iter().zip(&needs.components).enumerate() {
            let (codes, quanta) = (tables.codes(component)?, plan.quanta(component)?);
            let blocks = component.blocks;
            for place in 0..blocks.0 * blocks.1 {
                units.push(Unit {
                    index,
                    codes,
                    quanta,
                    blocks,
                    place: (place % blocks.0, place / blocks.0),
                    columns: (need.columns.start, need.columns.len()),
                    rows: (need.rows.start, need.rows.len()),
                    shrink: need.shrink,
                });
            }
        }
        Some(units)
    }

    /// The rows of MCUs that any of `units` is needed of, and the end of the columns.
    pub(super) fn needed(units: &[Self]) -> (Range<usize>, usize) {
        let first = |(start, _): (usize, usize), of: usize| start / of;
        let end = |(start, len): (usize, usize), of: usize| (start + len).div_ceil(of);
        let first_row = units.iter().map(|unit| first(unit.rows, unit.blocks.1)).min().unwrap_or(0);
        let end_row = units.iter().map(|unit| end(unit.rows, unit.blocks.1)).max().unwrap_or(0);
        let end_column = units.iter().map(|unit| end(unit.columns, unit.blocks.0)).max().unwrap_or(0);
        (first_row..end_row, end_column)
    }

    /// The block's column, counted from the first that is needed, where it is in an MCU that is needed.
    #[inline(always)]
    fn column(&self, (column, row): (usize, usize)) -> Option<usize> {
        let column = (column * self.blocks.0 + self.place.0).wrapping_sub(self.columns.0);
        let row = (row * self.blocks.1 + self.place.1).wrapping_sub(self.rows.0);
        (column < self.columns.1 && row < self.rows.1).then_some(column)
    }
}

/// A block's place: its unit, and its column, counted from the first that is needed.
#[derive(Debug, Clone, Copy, Default)]
struct Spot {
    unit: usize,
    column: usize,
}

/// Blocks that were read and are needed: those that have coefficients, and those that have DC alone. As they are kept
/// apart, what becomes of one need not be guessed anew.
pub(super) struct Blocks {
    full: [(Spot, Block); BLOCKS_MAX],
    full_len: usize,
    flat: [(Spot, i32); BLOCKS_MAX],
    flat_len: usize,
}

impl Default for Blocks {
    fn default() -> Self {
        let (full, flat) = ((Spot::default(), Block::ZERO), (Spot::default(), 0));
        Self { full: array::from_fn(|_| full.clone()), full_len: 0, flat: [flat; BLOCKS_MAX], flat_len: 0 }
    }
}

impl Blocks {
    /// MCUs of so many blocks that can be read at once.
    pub(super) fn room(units: &[Unit<'_>]) -> usize {
        BLOCKS_MAX / units.len().max(1)
    }

    /// Reads the blocks of the MCUs `columns` of a row.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        scan: &mut Bits<'_>,
        units: &[Unit<'_>],
        (columns, row): (Range<usize>, usize),
        last_dc: &mut [i32; 3],
    ) -> Option<()> {
        // A copy stays in registers.
        let mut bits = *scan;
        let (mut full_len, mut flat_len) = (0, 0);
        for mcu_column in columns {
            for (index, unit) in units.iter().enumerate() {
                let last_dc = &mut last_dc[unit.index];
                let Some(column) = unit.column((mcu_column, row)) else {
                    skip(&mut bits, &unit.codes, last_dc)?;
                    continue;
                };
                let spot = Spot { unit: index, column };
                if start(&mut bits, &unit.codes, last_dc)? {
                    *self.flat.get_mut(flat_len)? = (spot, *last_dc);
                    flat_len += 1;
                } else {
                    let (own_spot, block) = self.full.get_mut(full_len)?;
                    *own_spot = spot;
                    full_len += 1;
                    read(&mut bits, &unit.codes, block)?;
                    // What lay beyond the block's end was set here, too.
                    block.set(0, *last_dc);
                }
            }
        }
        (self.full_len, self.flat_len) = (full_len, flat_len);
        *scan = bits;
        Some(())
    }

    /// Makes samples of them.
    #[inline(always)]
    pub(super) fn transform<S: Simd>(&self, simd: S, units: &[Unit<'_>], needs: &Needs, strips: &mut Strips) {
        for (spot, block) in self.full.iter().take(self.full_len) {
            let Some(unit) = units.get(spot.unit) else { continue };
            let (plane, place) = strips.block(needs, unit.index, (spot.column, unit.place.1));
            idct::samples(simd, block, unit.quanta, unit.shrink, plane, place);
        }
        for (spot, dc) in self.flat.iter().take(self.flat_len) {
            let Some(unit) = units.get(spot.unit) else { continue };
            let (plane, place) = strips.block(needs, unit.index, (spot.column, unit.place.1));
            idct::flat(*dc, unit.quanta, unit.shrink, plane, place);
        }
    }
}

/// The start of a block: the sum of DC, and whether the block ends with it.
#[inline(always)]
fn start(bits: &mut Bits<'_>, codes: &Codes<'_>, last_dc: &mut i32) -> Option<bool> {
    bits.refill();
    let start = codes.looks.start(bits.next());
    if start.len == 0 {
        let (difference, _) = bits.value(codes.dc)?;
        *last_dc = last_dc.wrapping_add(difference);
        return Some(false);
    }
    bits.skip(start.len.into());
    *last_dc = last_dc.wrapping_add(start.difference.into());
    Some(start.flat)
}

/// Reads the bits of a block after its start, and its coefficients but DC into `block`.
#[inline(always)]
fn read(bits: &mut Bits<'_>, codes: &Codes<'_>, block: &mut Block) -> Option<()> {
    block.clear();
    let mut at = 0;
    'block: loop {
        bits.refill();
        for _ in 0..2 {
            let next = bits.next();
            let pair = codes.looks.pair(next);
            if pair.len == 0 {
                let (value, steps) = bits.value(codes.ac)?;
                at += steps;
                block.set(PLACES[at & 255], value);
                if at < LAST {
                    break;
                }
                break 'block;
            }
            let first_at = at + usize::from(pair.steps);
            at = first_at + usize::from(pair.more);
            // Where there is no second one, the first overwrites it.
            block.set(PLACES[at & 255], pair.second.into());
            block.set(PLACES[first_at & 255], pair.first(next));
            if at < LAST {
                bits.skip(pair.len.into());
                continue;
            }
            if first_at == LAST && pair.more > 0 {
                // It is of the next block.
                at = first_at;
                bits.skip(pair.first_len());
            } else {
                bits.skip(pair.len.into());
            }
            break 'block;
        }
    }
    ended(at).then_some(())
}

/// Reads over a block.
#[inline(always)]
fn skip(bits: &mut Bits<'_>, codes: &Codes<'_>, last_dc: &mut i32) -> Option<()> {
    let mut at = if start(bits, codes, last_dc)? { END } else { 0 };
    while at < LAST {
        bits.refill();
        for _ in 0..2 {
            let over = codes.looks.over(bits.next());
            let to = at + usize::from(over.steps);
            if over.len == 0 || (to > LAST && !ended(to)) {
                bits.refill();
                at += bits.value(codes.ac)?.1;
                break;
            }
            bits.skip(over.len.into());
            at = to;
            if at >= LAST {
                break;
            }
        }
    }
    ended(at).then_some(())
}

/// Whether a block ends well with so many steps: all places were told, or its end was while some were not.
#[inline(always)]
fn ended(at: usize) -> bool {
    at == LAST || (END..END + LAST).contains(&at)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{bits::Stretch, huffman::Table, looks::Looks},
        *,
    };

    /// A table with the lengths that the standard proposes for AC (its K.3.2); short ones for an end and for small values
    /// after few zeros.
    fn table() -> Table {
        let counts = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125];
        let mut symbols: Vec<u8> = (0..=255).filter(|symbol| (1..=10).contains(&(symbol & 15))).collect();
        symbols.sort_by_key(|symbol| (symbol >> 4) + (symbol & 15));
        symbols.splice(2..2, [0]);
        symbols.splice(30..30, [0xf0]);
        Table::new(&[&counts[..], &symbols].concat()).unwrap()
    }

    /// The same code by code.
    fn plain(bits: &mut Bits<'_>, codes: &Codes<'_>, last_dc: &mut i32) -> Option<[i16; 64]> {
        let mut block = [0; 64];
        bits.refill();
        *last_dc += bits.value(codes.dc)?.0;
        let mut at = 0;
        while at < LAST {
            bits.refill();
            let (value, steps) = bits.value(codes.ac)?;
            at += steps;
            if at <= LAST {
                block[usize::from(PLACES[at])] = value as i16;
            }
        }
        block[0] = *last_dc as i16;
        ended(at).then_some(block)
    }

    #[test]
    fn looks_read_the_same_blocks_as_code_by_code_and_skip_as_many_bits() {
        let dc = Table::new(
            &[&[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0][..], &[3, 0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]].concat(),
        );
        let (dc, ac) = (dc.unwrap(), table());
        let looks = Looks::new(&dc, &ac);
        let codes = Codes { dc: &dc, ac: &ac, looks: &looks };
        let (mut random, mut good, mut bad, mut whole) = (1u64, 0, 0, 0);
        for _ in 0..3000 {
            let bytes: Vec<u8> = (0..200)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    // No 0xff, which would end it; and often few bits, so that values are small.
                    ((random >> 40) as u8 & (random >> 50) as u8) | (random >> 33) as u8 & 0x55
                })
                .collect();
            let mut stretch = Stretch::default();
            stretch.fill(&bytes);
            let (mut a, mut b, mut c) = (stretch.bits(), stretch.bits(), stretch.bits());
            let (mut a_dc, mut b_dc, mut c_dc) = (0, 0, 0);
            while a.left() > 0 {
                let expected = plain(&mut a, &codes, &mut a_dc);
                let mut block = Block::ZERO;
                let read = start(&mut b, &codes, &mut b_dc)
                    .and_then(|flat| if flat { Some(()) } else { read(&mut b, &codes, &mut block) });
                block.set(0, b_dc);
                let skipped = skip(&mut c, &codes, &mut c_dc);
                assert_eq!((read.is_some(), skipped.is_some()), (expected.is_some(), expected.is_some()));
                let Some(expected) = expected else {
                    bad += 1;
                    break;
                };
                assert_eq!(block.coefficients(), expected);
                assert_eq!((b.left(), c.left()), (a.left(), a.left()));
                assert_eq!((b_dc, c_dc), (a_dc, a_dc));
                good += 1;
                whole += u32::from(expected[63] != 0);
            }
        }
        assert!(good > 10_000 && bad > 100 && whole > 10, "{good} {bad} {whole}");
    }
}
