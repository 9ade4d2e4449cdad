//! Coefficients to samples, at a block's own size or at a half, a quarter or an eighth of it.
//!
//! At its own size it is the transform of libjpeg's jidctint.c (after Loeffler, Ligtenberg and Moschytz), with the same
//! integers, so that samples are the same as OpenSlide's to the bit.
//!
//! The smaller ones are means of squares of these samples, found without them. The transform makes of the coefficient
//! X(k) the samples X(k) · cos((2n + 1)kπ/16); the mean of two neighbours is cos(kπ/16) · X(k) · cos((2m + 1)kπ/8),
//! which is a transform of four points in which k and 8 − k fall together with opposite signs. The same again gives
//! the mean of four. Only rounding differs, and samples that were clamped. The integers are those of libjpeg's jidctred.c,
//! twice and four times the factors, so that levels which OpenSlide has it draw smaller are the same to the bit.

use super::plan::ZIGZAG;
use fearless_simd::{Bytes, Simd, SimdBase, i16x16, i32x4, i32x8, u8x32};

/// Fractional bits of the factors.
const FACTOR_BITS: u32 = 13;
/// Bits that the first pass keeps of the fraction.
const KEPT_BITS: u32 = 2;
/// Bits to drop after each of the two passes. The last three are the transform's own factor of 8.
const DROPPED: [u32; 2] = [FACTOR_BITS - KEPT_BITS, FACTOR_BITS + KEPT_BITS + 3];

const fn fixed(factor: f64) -> i32 {
    (factor * (1 << FACTOR_BITS) as f64 + if factor < 0.0 { -0.5 } else { 0.5 }) as i32
}

/// Where coefficients are in a [`Block`], in the order of the scan; those beyond its end take DC's place. As the transform
/// takes them in pairs, the coefficient of row v and column u stands beside that of row v ± 4.
pub(super) const PLACES: [u8; 256] = {
    let mut places = [0; 256];
    let mut index = 0;
    while index < 64 {
        places[index] = place(ZIGZAG[index]);
        index += 1;
    }
    places
};

/// The place of a coefficient that has this one row by row.
const fn place(natural: u8) -> u8 {
    (natural << 1 | natural >> 5) & 63
}

/// The coefficients of a block, not yet multiplied by their quantisation.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Block([i16; 64]);

/// The factors of a block's coefficients, at their places. They are unsigned; the lower 16 bits of products are the same.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Quanta(pub(super) [i16; 64]);

impl Block {
    pub(super) const ZERO: Self = Self([0; 64]);

    #[inline(always)]
    pub(super) fn set(&mut self, place: u8, value: i32) {
        self.0[usize::from(place & 63)] = value as i16;
    }

    /// Makes all coefficients 0.
    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.0 = [0; 64];
    }

    #[cfg(test)]
    pub(super) fn coefficients(&self) -> [i16; 64] {
        self.0
    }

    /// A coefficient in its natural place, multiplied.
    #[inline(always)]
    fn get(&self, quanta: &Quanta, natural: usize) -> i32 {
        let place = usize::from(place(natural as u8 & 63));
        self.0[place].wrapping_mul(quanta.0[place]).into()
    }

    /// All coefficients, multiplied: pairs of those of the rows 0 and 4, 1 and 5, 2 and 6, 3 and 7.
    #[inline(always)]
    fn pairs<S: Simd>(&self, simd: S, quanta: &Quanta) -> [i16x16<S>; 4] {
        let pair = |index: usize| {
            let range = index * 16..(index + 1) * 16;
            i16x16::from_slice(simd, &self.0[range.clone()]) * i16x16::from_slice(simd, &quanta.0[range])
        };
        [pair(0), pair(1), pair(2), pair(3)]
    }
}

/// Makes samples of a block: a square of `8 >> shrink` a side at `at` of `plane`, whose rows are `stride` apart.
#[inline(always)]
pub(super) fn samples<S: Simd>(
    simd: S,
    block: &Block,
    quanta: &Quanta,
    shrink: u32,
    plane: &mut [u8],
    (at, stride): (usize, usize),
) {
    match shrink {
        0 => own(simd, block.pairs(simd, quanta), &mut plane[at..], stride),
        1 => half(simd, block.pairs(simd, quanta), &mut plane[at..], stride),
        2 => quarter(block, quanta, &mut plane[at..], stride),
        _ => flat(block.0[0].into(), quanta, shrink, plane, (at, stride)),
    }
}

/// The same of a block that has DC alone.
#[inline(always)]
pub(super) fn flat(dc: i32, quanta: &Quanta, shrink: u32, plane: &mut [u8], (at, stride): (usize, usize)) {
    let dc = (dc as i16).wrapping_mul(quanta.0[0]);
    let sample = (((i32::from(dc) + 4) >> 3) + 128).clamp(0, 255) as u8;
    let plane = &mut plane[at..];
    match shrink {
        0 => fill::<8>(sample, plane, stride),
        1 => fill::<4>(sample, plane, stride),
        2 => fill::<2>(sample, plane, stride),
        _ => fill::<1>(sample, plane, stride),
    }
}

#[inline(always)]
fn fill<const SIDE: usize>(sample: u8, plane: &mut [u8], stride: usize) {
    for row in 0..SIDE {
        plane[row * stride..][..SIDE].copy_from_slice(&[sample; SIDE]);
    }
}

/// At the block's own size.
#[inline(always)]
fn own<S: Simd>(simd: S, pairs: [i16x16<S>; 4], plane: &mut [u8], stride: usize) {
    let rows = pass(simd, pairs, DROPPED[0]);
    let narrow = |a: i32x8<S>, b: i32x8<S>| simd.saturating_narrow_i32x8(a, b);
    let two = |a: [i16x16<S>; 4]| {
        let ((a, b), (c, d)) = (simd.deinterleave_i16x16(a[0], a[1]), simd.deinterleave_i16x16(a[2], a[3]));
        [a, c, b, d]
    };
    let [a, b, c, d, e, f, g, h] = rows;
    // Of 64 values in the order of row and column, 3 bits each, the last two bits come first.
    let pairs = two(two([narrow(a, b), narrow(c, d), narrow(e, f), narrow(g, h)]));
    let [a, b, c, d, e, f, g, h] = pass(simd, pairs, DROPPED[1]);
    let left = simd.saturating_narrow_i16x16(narrow(a, b), narrow(c, d));
    let right = simd.saturating_narrow_i16x16(narrow(e, f), narrow(g, h));
    let (left, right) = simd.interleave_i8x32(left, right);
    let (left, right) = simd.interleave_i8x32(left, right);
    let (upper, lower) = simd.interleave_i8x32(left, right);
    let middle = u8x32::splat(simd, 128);
    let mut samples = [0; 64];
    (upper.bitcast::<u8x32<S>>() ^ middle).store_slice(&mut samples[..32]);
    (lower.bitcast::<u8x32<S>>() ^ middle).store_slice(&mut samples[32..]);
    for (row, samples) in samples.as_chunks::<8>().0.iter().enumerate() {
        plane[row * stride..][..8].copy_from_slice(samples);
    }
}

/// Sixteen factors: two in turns.
#[inline(always)]
fn factors<S: Simd>(simd: S, first: i32, second: i32) -> i16x16<S> {
    i32x8::splat(simd, (first & 0xffff) | (second << 16)).bitcast()
}

/// The transform of eight vectors, lane by lane, of which those that are four apart come as pairs.
#[inline(always)]
fn pass<S: Simd>(simd: S, [x04, x15, x26, x37]: [i16x16<S>; 4], dropped: u32) -> [i32x8<S>; 8] {
    const F0298: i32 = fixed(0.298_631_336);
    const F0390: i32 = fixed(0.390_180_644);
    const F0541: i32 = fixed(0.541_196_100);
    const F0765: i32 = fixed(0.765_366_865);
    const F0899: i32 = fixed(0.899_976_223);
    const F1175: i32 = fixed(1.175_875_602);
    const F1501: i32 = fixed(1.501_321_110);
    const F1847: i32 = fixed(1.847_759_065);
    const F1961: i32 = fixed(1.961_570_560);
    const F2053: i32 = fixed(2.053_119_869);
    const F2562: i32 = fixed(2.562_915_447);
    const F3072: i32 = fixed(3.072_711_026);
    const ONE: i32 = 1 << FACTOR_BITS;
    let sum = |x: i16x16<S>, first: i32, second: i32| simd.pairwise_dot_product_i16x16(x, factors(simd, first, second));
    let round = 1 << (dropped - 1);
    let (x0, x4) = (sum(x04, ONE, ONE) + round, sum(x04, ONE, -ONE) + round);
    let (high, low) = (sum(x26, F0541 + F0765, F0541), sum(x26, F0541, F0541 - F1847));
    let even = [x0 + high, x4 + low, x4 - low, x0 - high];
    // What jidctint.c adds up in steps, for each sample at once.
    let odd = [
        sum(x15, F1501 - F0899 + F1175 - F0390, F1175 - F0390) + sum(x37, F1175, F1175 - F0899),
        sum(x15, F1175, F1175 - F2562) + sum(x37, F3072 - F2562 + F1175 - F1961, F1175 - F1961),
        sum(x15, F1175 - F0390, F2053 - F2562 + F1175 - F0390) + sum(x37, F1175 - F2562, F1175),
        sum(x15, F1175 - F0899, F1175) + sum(x37, F1175 - F1961, F0298 - F0899 + F1175 - F1961),
    ];
    let mut out = [x0; 8];
    for i in 0..4 {
        out[i] = (even[i] + odd[i]) >> dropped;
        out[7 - i] = (even[i] - odd[i]) >> dropped;
    }
    out
}

/// What of four points' odd part each odd coefficient gives: cos(π/16) and the like, times √8 · cos(π/8) and cos(3π/8).
const HALF_ODD: [[i32; 4]; 2] = [
    [fixed(2.562_915_447), fixed(0.899_976_223), fixed(-0.601_344_887), fixed(-0.509_795_579)],
    [fixed(1.061_594_337), fixed(-2.172_734_803), fixed(1.451_774_981), fixed(-0.211_164_243)],
];
/// Twice cos(π/8) and sin(π/8).
const HALF_EVEN: [i32; 2] = [fixed(1.847_759_065), fixed(0.765_366_865)];

/// The transform of eight vectors to four, lane by lane. A macro, as lanes are eight at first and then four.
macro_rules! half_pass {
    ($x:expr, $dropped:expr) => {{
        let x = $x;
        let dropped = $dropped + 1;
        let dc = (x[0] << (FACTOR_BITS + 1)) + (1 << (dropped - 1));
        let even = x[2] * HALF_EVEN[0] - x[6] * HALF_EVEN[1];
        let [f, g] = HALF_ODD;
        let outer_odd = x[1] * f[0] + x[3] * f[1] + x[5] * f[2] + x[7] * f[3];
        let inner_odd = x[1] * g[0] + x[3] * g[1] + x[5] * g[2] + x[7] * g[3];
        let (outer, inner) = (dc + even, dc - even);
        [
            (outer + outer_odd) >> dropped,
            (inner + inner_odd) >> dropped,
            (inner - inner_odd) >> dropped,
            (outer - outer_odd) >> dropped,
        ]
    }};
}

/// Each sample the mean of four.
#[inline(always)]
fn half<S: Simd>(simd: S, pairs: [i16x16<S>; 4], plane: &mut [u8], stride: usize) {
    let mut rows = [i32x8::splat(simd, 0); 8];
    for (index, pair) in pairs.into_iter().enumerate() {
        let pair: i32x8<S> = pair.bitcast();
        (rows[index], rows[index + 4]) = (pair << 16 >> 16, pair >> 16);
    }
    let [a, b, c, d] = half_pass!(rows, DROPPED[0]);
    let ((ac, ac_right), (bd, bd_right)) = (simd.interleave_i32x8(a, c), simd.interleave_i32x8(b, d));
    let (left, right) = (simd.interleave_i32x8(ac, bd), simd.interleave_i32x8(ac_right, bd_right));
    let ((x0, x1), (x2, x3)) = (simd.split_i32x8(left.0), simd.split_i32x8(left.1));
    let ((x4, x5), (x6, x7)) = (simd.split_i32x8(right.0), simd.split_i32x8(right.1));
    let columns = half_pass!([x0, x1, x2, x3, x4, x5, x6, x7], DROPPED[1]);
    let (zero, white) = (i32x4::splat(simd, 0), i32x4::splat(simd, 255));
    let mut joined = zero;
    for (shift, column) in [0, 8, 16, 24].into_iter().zip(columns) {
        joined |= (column + 128).max(zero).min(white) << shift;
    }
    let mut lanes = [0; 4];
    joined.store_slice(&mut lanes);
    for (row, lane) in lanes.iter().enumerate() {
        plane[row * stride..][..4].copy_from_slice(&lane.to_le_bytes());
    }
}

/// √32 · cos(kπ/16) · cos(kπ/8) · cos(kπ/4) for k of 1, 3, 5 and 7.
const QUARTER_ODD: [i32; 4] =
    [fixed(3.624_509_785), fixed(-1.272_758_580), fixed(0.850_430_095), fixed(-0.720_959_822)];

/// Each sample the mean of sixteen.
#[inline(always)]
fn quarter(block: &Block, quanta: &Quanta, plane: &mut [u8], stride: usize) {
    let pass = |dc: i32, odd: [i32; 4], dropped: u32| {
        let dropped = dropped + 2;
        let dc = (dc << (FACTOR_BITS + 2)).wrapping_add(1 << (dropped - 1));
        let odd = odd.iter().zip(QUARTER_ODD).fold(0i32, |sum, (&x, f)| sum.wrapping_add(x.wrapping_mul(f)));
        [dc.wrapping_add(odd) >> dropped, dc.wrapping_sub(odd) >> dropped]
    };
    let mut columns = [[0; 2]; 8];
    for (index, column) in columns.iter_mut().enumerate() {
        let x = |row: usize| block.get(quanta, row * 8 + index);
        *column = pass(x(0), [x(1), x(3), x(5), x(7)], DROPPED[0]);
    }
    for index in 0..2 {
        let x = |column: usize| columns[column][index];
        let pair = pass(x(0), [x(1), x(3), x(5), x(7)], DROPPED[1]);
        plane[index * stride..][..2]
            .copy_from_slice(&pair.map(|sample| sample.saturating_add(128).clamp(0, 255) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::{Level, dispatch};
    use std::f64::consts::{FRAC_1_SQRT_2, PI};

    /// The transform as it is defined (T.81, A.3.3), before it is rounded.
    fn defined(block: &Block, quanta: &Quanta) -> [[f64; 8]; 8] {
        let scale = |k: usize| if k == 0 { FRAC_1_SQRT_2 } else { 1.0 };
        let cos = |n: usize, k: usize| ((2 * n + 1) as f64 * k as f64 * PI / 16.0).cos();
        let mut samples = [[0.0; 8]; 8];
        for (y, row) in samples.iter_mut().enumerate() {
            for (x, sample) in row.iter_mut().enumerate() {
                let term = |i: usize| {
                    let (v, u) = (i / 8, i % 8);
                    f64::from(block.get(quanta, i)) * scale(u) * scale(v) * cos(x, u) * cos(y, v)
                };
                *sample = (0..64).map(term).sum::<f64>() / 4.0 + 128.0;
            }
        }
        samples
    }

    fn drawn(level: Level, block: &Block, quanta: &Quanta, shrink: u32) -> Vec<u8> {
        let side = 8 >> shrink;
        let mut plane = vec![9; 12 * 8 + 3];
        dispatch!(level, simd => samples(simd, block, quanta, shrink, &mut plane, (3, 12)));
        let rows = plane[3..].chunks_exact(12).take(side);
        rows.flat_map(|row| row[..side].to_vec()).collect()
    }

    /// Blocks with few or many coefficients, small enough that no sample is clamped.
    fn blocks() -> impl Iterator<Item = (Block, Quanta)> {
        let mut random = 1u32;
        let mut next = move |of: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % of
        };
        (0..400).map(move |index| {
            let (mut block, mut quanta) = (Block::ZERO, Quanta([1; 64]));
            quanta.0.iter_mut().skip(1).for_each(|quantum| *quantum = next(3) as i16 + 1);
            block.set(0, next(600) as i32 - 300);
            for _ in 0..index % 40 {
                let natural = (next([2, 4, 8][index % 3]) * 8 + next([8, 4, 2][index % 3])) as u8;
                let place = place(natural);
                let most = 30 / i32::from(quanta.0[usize::from(place)]);
                if natural > 0 {
                    block.set(place, next(2 * most as u32 + 1) as i32 - most);
                }
            }
            (block, quanta)
        })
    }

    #[test]
    fn samples_are_those_of_the_definition_and_smaller_ones_their_means() {
        for (block, quanta) in blocks() {
            let defined = defined(&block, &quanta);
            for shrink in 0..=3 {
                let side = 1 << shrink;
                for (index, sample) in drawn(Level::new(), &block, &quanta, shrink).into_iter().enumerate() {
                    let (y, x) = (index / (8 >> shrink) * side, index % (8 >> shrink) * side);
                    let square = (0..side * side).map(|i| defined[y + i / side][x + i % side]);
                    let mean = square.sum::<f64>() / (side * side) as f64;
                    assert!((f64::from(sample) - mean).abs() < 0.6, "{shrink} {index}: {sample}, not {mean}");
                }
            }
        }
    }

    #[test]
    fn a_flat_block_is_one_whose_coefficients_are_all_0_but_one() {
        for dc in -3000..3000 {
            let (mut block, mut quanta) = (Block::ZERO, Quanta([99; 64]));
            quanta.0[0] = 3;
            block.set(0, dc);
            for shrink in 0..=3 {
                let side = 8 >> shrink;
                let mut plane = vec![9; 8 * 8];
                flat(dc, &quanta, shrink, &mut plane, (0, 8));
                let rows = plane.chunks_exact(8).take(side);
                let flat: Vec<u8> = rows.flat_map(|row| row[..side].to_vec()).collect();
                assert_eq!(flat, drawn(Level::new(), &block, &quanta, shrink), "{dc} {shrink}");
            }
        }
    }

    #[test]
    fn samples_do_not_depend_on_the_processor() {
        for (mut block, mut quanta) in blocks() {
            for shrink in 0..=3 {
                let samples = drawn(Level::new(), &block, &quanta, shrink);
                assert_eq!(drawn(Level::baseline(), &block, &quanta, shrink), samples);
            }
            // Those beyond reason overflow, alike everywhere.
            block.0.iter_mut().for_each(|x| *x = x.wrapping_mul(1111));
            quanta.0.iter_mut().for_each(|x| *x = x.wrapping_mul(-257));
            for shrink in 0..=3 {
                let samples = drawn(Level::new(), &block, &quanta, shrink);
                assert_eq!(drawn(Level::baseline(), &block, &quanta, shrink), samples);
            }
        }
    }
}
