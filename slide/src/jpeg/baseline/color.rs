//! Rows of samples to rows of RGB. Most loops are plain, for the compiler to make them wide.
//!
//! The numbers are those of libjpeg's jdcolor.c and jdsample.c ('fancy' upsampling), so that pixels are the same as
//! OpenSlide's to the bit.

use fearless_simd::{Simd, SimdBase, SimdFrom, u8x32};

/// Pixels that are made at once.
const PIXELS: usize = 32;
const FRACTION_BITS: u32 = 16;
const HALF: i32 = 1 << (FRACTION_BITS - 1);

const fn fixed(factor: f64) -> i32 {
    (factor * (1 << FRACTION_BITS) as f64 + 0.5) as i32
}

// Factors without their whole part, where they are not small, so that 16 bits hold them.
const RED_OF_CR: i32 = fixed(1.402) - (1 << FRACTION_BITS);
const GREEN_OF_CB: i32 = -fixed(0.34414);
const GREEN_OF_CR: i32 = (1 << FRACTION_BITS) - fixed(0.71414);
const BLUE_OF_CB: i32 = fixed(1.772) - (2 << FRACTION_BITS);

/// Luminance and chrominance to colours; `out` has three bytes a pixel.
#[inline(always)]
pub(super) fn ycbcr<S: Simd>(simd: S, luma: &[u8], blue: &[u8], red: &[u8], out: &mut [u8]) {
    each(simd, [luma, blue, red], out, color);
}

#[inline(always)]
fn color([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i16::from(luma), i16::from(blue) - 128, i16::from(red) - 128);
    let green = i32::from(cb) * GREEN_OF_CB + i32::from(cr) * GREEN_OF_CR + HALF;
    let sample = |sample: i16| sample.clamp(0, 255) as u8;
    [
        sample(y + cr + times(cr, RED_OF_CR)),
        sample(y - cr + (green >> FRACTION_BITS) as i16),
        sample(y + 2 * cb + times(cb, BLUE_OF_CB)),
    ]
}

/// A small number times a factor that 16 bits hold, rounded: what is kept of the product's half is its upper 16 bits.
#[inline(always)]
fn times(x: i16, factor: i32) -> i16 {
    (((i32::from(2 * x) * factor) >> FRACTION_BITS) as i16 + 1) >> 1
}

/// Three rows of samples that are colours already.
#[inline(always)]
pub(super) fn rgb<S: Simd>(simd: S, red: &[u8], green: &[u8], blue: &[u8], out: &mut [u8]) {
    each(simd, [red, green, blue], out, |pixel| pixel);
}

/// Makes pixels of three rows of samples, so many at once; where that does not fill a row, the last of them once more.
#[inline(always)]
fn each<S: Simd>(simd: S, rows: [&[u8]; 3], out: &mut [u8], color: impl Fn([u8; 3]) -> [u8; 3]) {
    let [first, second, third] = rows;
    let width = out.len() / 3;
    let mut at = 0;
    while at < width {
        at = at.min(width.saturating_sub(PIXELS));
        let (Some(first), Some(second), Some(third), Some(out)) = (
            first.get(at..).and_then(|row| row.first_chunk::<PIXELS>()),
            second.get(at..).and_then(|row| row.first_chunk::<PIXELS>()),
            third.get(at..).and_then(|row| row.first_chunk::<PIXELS>()),
            out.get_mut(3 * at..).and_then(|out| out.first_chunk_mut()),
        ) else {
            // It is a narrow one.
            let samples = first.iter().zip(second).zip(third);
            for (pixel, ((&first, &second), &third)) in out.as_chunks_mut().0.iter_mut().zip(samples) {
                *pixel = color([first, second, third]);
            }
            return;
        };
        let mut colors = [[0; PIXELS]; 3];
        for index in 0..PIXELS {
            let color = color([first[index], second[index], third[index]]);
            (colors[0][index], colors[1][index], colors[2][index]) = (color[0], color[1], color[2]);
        }
        woven(simd, &colors, out);
        at += PIXELS;
    }
}

/// For each of three pieces of 16 bytes that 16 pixels have, which of the pixels a byte is of, and twice for twice as many
/// pixels; and for each colour which bytes are its own.
const WEAVE: [([u8; PIXELS], [[u8; PIXELS]; 3]); 3] = {
    let mut weave = [([0; PIXELS], [[0; PIXELS]; 3]); 3];
    let mut at = 0;
    while at < 3 * PIXELS {
        let (piece, byte) = (at / PIXELS, at % PIXELS);
        let of_all = piece * 16 + byte % 16;
        weave[piece].0[byte] = (of_all / 3) as u8;
        weave[piece].1[of_all % 3][byte] = 0xff;
        at += 1;
    }
    weave
};

/// Three rows as one.
#[inline(always)]
fn woven<S: Simd>(simd: S, [red, green, blue]: &[[u8; PIXELS]; 3], out: &mut [u8; 3 * PIXELS]) {
    let (red, green, blue) =
        (u8x32::simd_from(simd, *red), u8x32::simd_from(simd, *green), u8x32::simd_from(simd, *blue));
    let (left, right) = out.split_at_mut(3 * PIXELS / 2);
    let pieces = left.as_chunks_mut::<16>().0.iter_mut().zip(right.as_chunks_mut::<16>().0);
    for ((places, [reds, greens, blues]), (left, right)) in WEAVE.into_iter().zip(pieces) {
        let places = u8x32::simd_from(simd, places);
        let red = simd.swizzle_dyn_within_blocks_u8x32(red, places) & u8x32::simd_from(simd, reds);
        let green = simd.swizzle_dyn_within_blocks_u8x32(green, places) & u8x32::simd_from(simd, greens);
        let blue = simd.swizzle_dyn_within_blocks_u8x32(blue, places) & u8x32::simd_from(simd, blues);
        let (first, second) = simd.split_u8x32(red | green | blue);
        first.store_slice(left);
        second.store_slice(right);
    }
}

/// The row of half as many samples `near` at twice their number, each an upper or lower neighbour's quarter more where
/// `far` is given. The rows have one sample more at each end, as `out` has two.
#[inline(always)]
pub(super) fn wider(near: &[u8], far: Option<&[u8]>, sums: &mut Vec<u16>, out: &mut [u8]) {
    sums.resize(near.len(), 0);
    // Halves are rounded up and down in turns, in the numbers of each case.
    match far {
        Some(far) => {
            for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
                *sum = 3 * u16::from(near) + u16::from(far);
            }
            spread::<4, 8, 7>(sums, out);
        }
        None => {
            for (sum, &near) in sums.iter_mut().zip(near) {
                *sum = u16::from(near);
            }
            spread::<2, 1, 2>(sums, out);
        }
    }
}

/// Two samples for each sum, rounded after a quarter of the one before or after was added.
#[inline(always)]
fn spread<const SHIFT: u32, const LEFT: u16, const RIGHT: u16>(sums: &[u16], out: &mut [u8]) {
    let neighbours = sums.iter().zip(sums.get(1..).unwrap_or_default()).zip(sums.get(2..).unwrap_or_default());
    for (pair, ((before, own), after)) in out.as_chunks_mut::<2>().0.iter_mut().zip(neighbours) {
        let (left, right) = ((3 * own + before + LEFT) >> SHIFT, (3 * own + after + RIGHT) >> SHIFT);
        // Both are below 256; as one number they are stored without a shuffle.
        *pair = (left | (right << 8)).to_le_bytes();
    }
}

/// Three quarters of a row and one of its neighbour, which is the lower one or not.
#[inline(always)]
pub(super) fn between(near: &[u8], far: &[u8], lower: bool, out: &mut [u8]) {
    let round = if lower { 2 } else { 1 };
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = ((3 * u16::from(near) + u16::from(far) + round) >> 2) as u8;
    }
}

/// The mean of two rows.
#[inline(always)]
pub(super) fn mean(a: &[u8], b: &[u8], out: &mut [u8]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = (u16::from(a) + u16::from(b)).div_ceil(2) as u8;
    }
}

/// The mean of pairs in a row.
#[inline(always)]
pub(super) fn mean_of_pairs(row: &[u8], out: &mut [u8]) {
    for (out, &[a, b]) in out.iter_mut().zip(row.as_chunks::<2>().0) {
        *out = (u16::from(a) + u16::from(b)).div_ceil(2) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::{Level, dispatch};

    /// In whole numbers of 32 bits, as jdcolor.c has it.
    fn defined([y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
        let round = |sum: i32| (sum + HALF) >> FRACTION_BITS;
        let green = -fixed(0.34414) * cb - fixed(0.71414) * cr;
        [y + round(fixed(1.402) * cr), y + round(green), y + round(fixed(1.772) * cb)].map(|x| x.clamp(0, 255) as u8)
    }

    #[test]
    fn colours_are_those_of_libjpeg_for_every_chroma() {
        let all: Vec<u8> = (0..=255).collect();
        for luma in [0, 1, 77, 128, 254, 255] {
            for cb in 0..=255 {
                let mut out = [0; 3 * 256];
                dispatch!(Level::new(), simd => ycbcr(simd, &[luma; 256], &[cb; 256], &all, &mut out));
                for (cr, pixel) in (0..=255).zip(out.as_chunks::<3>().0) {
                    assert_eq!(*pixel, defined([luma, cb, cr]), "{luma} {cb} {cr}");
                }
            }
        }
    }

    #[test]
    fn rows_of_every_width_have_all_their_pixels_and_no_more() {
        let rows: [Vec<u8>; 3] = [3, 5, 7].map(|step| (0..200u8).map(|i| i.wrapping_mul(step)).collect());
        for level in [Level::new(), Level::baseline()] {
            for width in 0..130 {
                let mut out = vec![9; 3 * width];
                dispatch!(level, simd => rgb(simd, &rows[0], &rows[1], &rows[2], &mut out));
                let expected: Vec<u8> = (0..width).flat_map(|i| [rows[0][i], rows[1][i], rows[2][i]]).collect();
                assert_eq!(out, expected, "{width}");
                dispatch!(level, simd => ycbcr(simd, &rows[0], &rows[1], &rows[2], &mut out));
                let expected: Vec<u8> =
                    (0..width).flat_map(|i| defined([rows[0][i], rows[1][i], rows[2][i]])).collect();
                assert_eq!(out, expected, "{width}");
            }
        }
    }
}
