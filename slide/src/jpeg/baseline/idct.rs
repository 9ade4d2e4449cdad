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

use fearless_simd::{Simd, SimdBase, i16x16, i32x4, i32x8};

/// Fractional bits of the factors.
const FACTOR_BITS: u32 = 13;
/// Bits that the first pass keeps of the fraction.
const KEPT_BITS: u32 = 2;
/// Bits to drop after each of the two passes. The last three are the transform's own factor of 8.
const DROPPED: [u32; 2] = [FACTOR_BITS - KEPT_BITS, FACTOR_BITS + KEPT_BITS + 3];

const fn fixed(factor: f64) -> i32 {
    (factor * (1 << FACTOR_BITS) as f64 + if factor < 0.0 { -0.5 } else { 0.5 }) as i32
}

/// The coefficients of a block, row by row, multiplied by their quantisation.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Block(pub(super) [i16; 64]);

/// Which coefficients may differ from 0: all places that do, each a number of six bits, joined by OR.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen(pub(super) u8);

impl Seen {
    const LOW_COLUMNS: u8 = 4;
    const LOW_ROWS: u8 = 32;

    fn lacks(self, bit: u8) -> bool {
        self.0 & bit == 0
    }
}

/// Makes samples of a block: a square of `8 >> shrink` a side at `at` of `plane`, whose rows are `stride` apart.
#[inline(always)]
pub(super) fn samples<S: Simd>(
    simd: S,
    block: &Block,
    seen: Seen,
    shrink: u32,
    plane: &mut [u8],
    (at, stride): (usize, usize),
) {
    let plane = &mut plane[at..];
    if seen.0 == 0 || shrink == 3 {
        let sample = ((i32::from(block.0[0]) + 4) >> 3).saturating_add(128).clamp(0, 255) as u8;
        let side = 8 >> shrink;
        for row in 0..side {
            plane[row * stride..][..side].fill(sample);
        }
        return;
    }
    match (shrink, seen.lacks(Seen::LOW_ROWS), seen.lacks(Seen::LOW_COLUMNS)) {
        (0, true, true) => own::<S, true, true>(simd, block, plane, stride),
        (0, true, false) => own::<S, true, false>(simd, block, plane, stride),
        (0, false, true) => own::<S, false, true>(simd, block, plane, stride),
        (0, false, false) => own::<S, false, false>(simd, block, plane, stride),
        (1, ..) => half(simd, block, plane, stride),
        _ => quarter(block, plane, stride),
    }
}

/// At the block's own size. The flags say that the lower rows and the right columns are 0.
#[inline(always)]
fn own<S: Simd, const LOW_ROWS: bool, const LOW_COLUMNS: bool>(
    simd: S,
    block: &Block,
    plane: &mut [u8],
    stride: usize,
) {
    let zero = i32x8::splat(simd, 0);
    let mut rows = [zero; 8];
    for (two, loaded) in rows.chunks_exact_mut(2).zip(block.0.chunks_exact(16)).take(if LOW_ROWS { 2 } else { 4 }) {
        let (even, odd) = simd.widen_i16x16(i16x16::from_slice(simd, loaded));
        two.copy_from_slice(&[even, odd]);
    }
    let mut columns = transposed(simd, pass::<S, LOW_ROWS>(rows, DROPPED[0]));
    if LOW_COLUMNS {
        columns[4..].fill(zero);
    }
    let columns = pass::<S, LOW_COLUMNS>(columns, DROPPED[1]);
    // Four samples of a row in each lane, and then eight.
    let white = i32x8::splat(simd, 255);
    let mut halves = [zero; 2];
    for (half, columns) in halves.iter_mut().zip(columns.chunks_exact(4)) {
        for (shift, &column) in [0, 8, 16, 24].into_iter().zip(columns) {
            *half |= (column + 128).max(zero).min(white) << shift;
        }
    }
    let [left, right] = halves;
    let (upper, lower) = simd.interleave_i32x8(left, right);
    let mut lanes = [0; 16];
    upper.store_slice(&mut lanes[..8]);
    lower.store_slice(&mut lanes[8..]);
    for (row, [left, right]) in lanes.as_chunks().0.iter().enumerate() {
        let samples = &mut plane[row * stride..][..8];
        samples[..4].copy_from_slice(&left.to_le_bytes());
        samples[4..].copy_from_slice(&right.to_le_bytes());
    }
}

/// The transform of eight vectors, lane by lane; `LOW` says that the last four are 0.
#[inline(always)]
fn pass<S: Simd, const LOW: bool>(x: [i32x8<S>; 8], dropped: u32) -> [i32x8<S>; 8] {
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
    // The even part.
    let (low, high, sum, difference) = if LOW {
        (x[2] * F0541, x[2] * (F0541 + F0765), x[0] << FACTOR_BITS, x[0] << FACTOR_BITS)
    } else {
        let z1 = (x[2] + x[6]) * F0541;
        (z1 - x[6] * F1847, z1 + x[2] * F0765, (x[0] + x[4]) << FACTOR_BITS, (x[0] - x[4]) << FACTOR_BITS)
    };
    let round = 1 << (dropped - 1);
    let (sum, difference) = (sum + round, difference + round);
    let even = [sum + high, difference + low, difference - low, sum - high];
    // The odd part.
    let odd = if LOW {
        let z5 = (x[3] + x[1]) * F1175;
        let (z3, z4) = (z5 - x[3] * F1961, z5 - x[1] * F0390);
        let (z1, z2) = (x[1] * F0899, x[3] * F2562);
        [x[1] * F1501 - z1 + z4, x[3] * F3072 - z2 + z3, z4 - z2, z3 - z1]
    } else {
        let (z1, z2, z3, z4) = (x[7] + x[1], x[5] + x[3], x[7] + x[3], x[5] + x[1]);
        let z5 = (z3 + z4) * F1175;
        let (z1, z2, z3, z4) = (z1 * F0899, z2 * F2562, z5 - z3 * F1961, z5 - z4 * F0390);
        [x[1] * F1501 - z1 + z4, x[3] * F3072 - z2 + z3, x[5] * F2053 - z2 + z4, x[7] * F0298 - z1 + z3]
    };
    let mut out = x;
    for i in 0..4 {
        out[i] = (even[i] + odd[i]) >> dropped;
        out[7 - i] = (even[i] - odd[i]) >> dropped;
    }
    out
}

/// Rows become columns.
#[inline(always)]
fn transposed<S: Simd>(simd: S, mut rows: [i32x8<S>; 8]) -> [i32x8<S>; 8] {
    for _ in 0..3 {
        let [a, b, c, d, e, f, g, h] = rows;
        let (ae, bf) = (simd.interleave_i32x8(a, e), simd.interleave_i32x8(b, f));
        let (cg, dh) = (simd.interleave_i32x8(c, g), simd.interleave_i32x8(d, h));
        rows = [ae.0, ae.1, bf.0, bf.1, cg.0, cg.1, dh.0, dh.1];
    }
    rows
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
fn half<S: Simd>(simd: S, block: &Block, plane: &mut [u8], stride: usize) {
    let mut rows = [i32x8::splat(simd, 0); 8];
    for (two, loaded) in rows.chunks_exact_mut(2).zip(block.0.chunks_exact(16)) {
        let (even, odd) = simd.widen_i16x16(i16x16::from_slice(simd, loaded));
        two.copy_from_slice(&[even, odd]);
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
fn quarter(block: &Block, plane: &mut [u8], stride: usize) {
    let pass = |dc: i32, odd: [i32; 4], dropped: u32| {
        let dropped = dropped + 2;
        let dc = (dc << (FACTOR_BITS + 2)).wrapping_add(1 << (dropped - 1));
        let odd = odd.iter().zip(QUARTER_ODD).fold(0i32, |sum, (&x, f)| sum.wrapping_add(x.wrapping_mul(f)));
        [dc.wrapping_add(odd) >> dropped, dc.wrapping_sub(odd) >> dropped]
    };
    let mut columns = [[0; 2]; 8];
    for (index, column) in columns.iter_mut().enumerate() {
        let x = |row: usize| i32::from(block.0[row * 8 + index]);
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
    fn defined(block: &Block) -> [[f64; 8]; 8] {
        let scale = |k: usize| if k == 0 { FRAC_1_SQRT_2 } else { 1.0 };
        let cos = |n: usize, k: usize| ((2 * n + 1) as f64 * k as f64 * PI / 16.0).cos();
        let mut samples = [[0.0; 8]; 8];
        for (y, row) in samples.iter_mut().enumerate() {
            for (x, sample) in row.iter_mut().enumerate() {
                let term = |i: usize| {
                    let (v, u) = (i / 8, i % 8);
                    f64::from(block.0[i]) * scale(u) * scale(v) * cos(x, u) * cos(y, v)
                };
                *sample = (0..64).map(term).sum::<f64>() / 4.0 + 128.0;
            }
        }
        samples
    }

    fn drawn(level: Level, block: &Block, seen: Seen, shrink: u32) -> Vec<u8> {
        let side = 8 >> shrink;
        let mut plane = vec![9; 12 * 8 + 3];
        dispatch!(level, simd => samples(simd, block, seen, shrink, &mut plane, (3, 12)));
        let rows = plane[3..].chunks_exact(12).take(side);
        rows.flat_map(|row| row[..side].to_vec()).collect()
    }

    /// Blocks with few or many coefficients, small enough that no sample is clamped.
    fn blocks() -> impl Iterator<Item = (Block, Seen)> {
        let mut random = 1u32;
        let mut next = move |of: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % of
        };
        (0..400).map(move |index| {
            let (mut block, mut seen) = (Block([0; 64]), Seen::default());
            block.0[0] = next(600) as i16 - 300;
            for _ in 0..index % 40 {
                let place = (next([2, 4, 8][index % 3]) * 8 + next([8, 4, 2][index % 3])) as u8;
                block.0[usize::from(place)] = if place == 0 { continue } else { next(61) as i16 - 30 };
                seen.0 |= place;
            }
            (block, seen)
        })
    }

    #[test]
    fn samples_are_those_of_the_definition_and_smaller_ones_their_means() {
        for (block, seen) in blocks() {
            let defined = defined(&block);
            for shrink in 0..=3 {
                let side = 1 << shrink;
                for (index, sample) in drawn(Level::new(), &block, seen, shrink).into_iter().enumerate() {
                    let (y, x) = (index / (8 >> shrink) * side, index % (8 >> shrink) * side);
                    let square = (0..side * side).map(|i| defined[y + i / side][x + i % side]);
                    let mean = square.sum::<f64>() / (side * side) as f64;
                    assert!((f64::from(sample) - mean).abs() < 0.6, "{shrink} {index}: {sample}, not {mean} {seen:?}");
                }
            }
        }
    }

    #[test]
    fn samples_do_not_depend_on_the_processor_nor_on_what_is_known_of_zeros() {
        for (mut block, seen) in blocks() {
            for shrink in 0..=3 {
                let samples = drawn(Level::new(), &block, seen, shrink);
                assert_eq!(drawn(Level::baseline(), &block, seen, shrink), samples);
                assert_eq!(drawn(Level::new(), &block, Seen(63), shrink), samples);
            }
            // Those beyond reason overflow, alike everywhere.
            block.0.iter_mut().for_each(|x| *x = x.wrapping_mul(1111));
            for shrink in 0..=3 {
                let samples = drawn(Level::new(), &block, Seen(63), shrink);
                assert_eq!(drawn(Level::baseline(), &block, Seen(63), shrink), samples);
            }
        }
    }
}
