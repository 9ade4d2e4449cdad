//! Rows of samples to rows of RGB. Loops are plain, for the compiler to make them wide.
//!
//! The numbers are those of libjpeg's jdcolor.c and jdsample.c ('fancy' upsampling), so that pixels are the same as
//! OpenSlide's to the bit.

const FRACTION_BITS: u32 = 16;
const HALF: i32 = 1 << (FRACTION_BITS - 1);

const fn fixed(factor: f64) -> i32 {
    (factor * (1 << FRACTION_BITS) as f64 + 0.5) as i32
}

const RED_OF_CR: i32 = fixed(1.402);
const GREEN_OF_CB: i32 = fixed(0.34414);
const GREEN_OF_CR: i32 = fixed(0.71414);
const BLUE_OF_CB: i32 = fixed(1.772);

/// Luminance and chrominance to colours; `out` has three bytes a pixel.
#[inline(always)]
pub(super) fn ycbcr(luma: &[u8], blue: &[u8], red: &[u8], out: &mut [u8]) {
    for (((pixel, &y), &cb), &cr) in out.as_chunks_mut::<3>().0.iter_mut().zip(luma).zip(blue).zip(red) {
        let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
        let r = y + ((RED_OF_CR * cr + HALF) >> FRACTION_BITS);
        let g = y + ((HALF - GREEN_OF_CB * cb - GREEN_OF_CR * cr) >> FRACTION_BITS);
        let b = y + ((BLUE_OF_CB * cb + HALF) >> FRACTION_BITS);
        *pixel = [r.clamp(0, 255) as u8, g.clamp(0, 255) as u8, b.clamp(0, 255) as u8];
    }
}

/// Three rows of samples that are colours already.
#[inline(always)]
pub(super) fn rgb(red: &[u8], green: &[u8], blue: &[u8], out: &mut [u8]) {
    for (((pixel, &r), &g), &b) in out.as_chunks_mut::<3>().0.iter_mut().zip(red).zip(green).zip(blue) {
        *pixel = [r, g, b];
    }
}

/// The row of half as many samples `near` at twice their number, each an upper or lower neighbour's quarter more where
/// `far` is given. The rows have one sample more at each end, as `out` has two.
#[inline(always)]
pub(super) fn wider(near: &[u8], far: Option<&[u8]>, sums: &mut Vec<u16>, out: &mut [u8]) {
    sums.resize(near.len(), 0);
    // Halves are rounded up and down in turns, in the numbers of each case.
    let (shift, round) = match far {
        Some(far) => {
            for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
                *sum = 3 * u16::from(near) + u16::from(far);
            }
            (4, [8, 7])
        }
        None => {
            for (sum, &near) in sums.iter_mut().zip(near) {
                *sum = u16::from(near);
            }
            (2, [1, 2])
        }
    };
    let neighbours = sums.iter().zip(sums.get(1..).unwrap_or_default()).zip(sums.get(2..).unwrap_or_default());
    for (pair, ((left, own), right)) in out.as_chunks_mut::<2>().0.iter_mut().zip(neighbours) {
        *pair = [((3 * own + left + round[0]) >> shift) as u8, ((3 * own + right + round[1]) >> shift) as u8];
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
