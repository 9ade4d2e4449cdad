//! Samples to quantised coefficients: the transform of Arai, Agui and Nakajima, as in libjpeg's jfdctflt.c.

use super::mcu::SIDE;
use fearless_simd::{Simd, SimdBase, SimdFloat, f32x8, i16x16};

/// The coefficients of a block, column by column.
#[repr(align(64))]
pub(super) struct Block(pub(super) [i16; 64]);

/// Transforms the block that begins `samples`, whose rows are those of an MCU, and says by a bit for each coefficient
/// which of them are not 0. What the transform leaves to be done is in `factors`.
#[inline(always)]
pub(super) fn quantized<S: Simd>(simd: S, samples: &[f32], factors: &[f32; 64], block: &mut Block) -> u64 {
    let samples = &samples[..7 * SIDE + 8];
    let mut rows = [f32x8::splat(simd, 0.0); 8];
    for (index, row) in rows.iter_mut().enumerate() {
        *row = f32x8::from_slice(simd, &samples[index * SIDE..index * SIDE + 8]);
    }
    let columns = pass(transposed(simd, pass(rows)));
    let mut places = 0;
    for (index, out) in block.0.chunks_exact_mut(16).enumerate() {
        let coefficients = |column: usize| {
            let factors = f32x8::from_slice(simd, &factors[column * 8..column * 8 + 8]);
            simd.cvt_i32_f32x8((columns[column] * factors).round_ties_even())
        };
        let two = simd.saturating_narrow_i32x8(coefficients(2 * index), coefficients(2 * index + 1));
        two.store_slice(out);
        places |= simd.to_bitmask_mask16x16(simd.simd_ne_i16x16(two, i16x16::splat(simd, 0))) << (16 * index);
    }
    places
}

/// The transform of eight vectors, lane by lane.
#[inline(always)]
fn pass<S: Simd>(x: [f32x8<S>; 8]) -> [f32x8<S>; 8] {
    let (s07, s16, s25, s34) = (x[0] + x[7], x[1] + x[6], x[2] + x[5], x[3] + x[4]);
    let (d07, d16, d25, d34) = (x[0] - x[7], x[1] - x[6], x[2] - x[5], x[3] - x[4]);
    // The even part.
    let (outer, outer_difference, inner, inner_difference) = (s07 + s34, s07 - s34, s16 + s25, s16 - s25);
    let turned = (inner_difference + outer_difference) * 0.707_106_77;
    // The odd part.
    let (a, b, c) = (d34 + d25, d25 + d16, d16 + d07);
    let z5 = (a - c) * 0.382_683_43;
    let (z2, z4, z3) = (a * 0.541_196_1 + z5, c * 1.306_563 + z5, b * 0.707_106_77);
    let (z11, z13) = (d07 + z3, d07 - z3);
    [
        outer + inner,
        z11 + z4,
        outer_difference + turned,
        z13 - z2,
        outer - inner,
        z13 + z2,
        outer_difference - turned,
        z11 - z4,
    ]
}

/// Rows become columns.
#[inline(always)]
fn transposed<S: Simd>(simd: S, mut rows: [f32x8<S>; 8]) -> [f32x8<S>; 8] {
    for _ in 0..3 {
        let [a, b, c, d, e, f, g, h] = rows;
        let (ae, bf) = (simd.interleave_f32x8(a, e), simd.interleave_f32x8(b, f));
        let (cg, dh) = (simd.interleave_f32x8(c, g), simd.interleave_f32x8(d, h));
        rows = [ae.0, ae.1, bf.0, bf.1, cg.0, cg.1, dh.0, dh.1];
    }
    rows
}
