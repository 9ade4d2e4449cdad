//! Horizontal differencing (predictor 2): each sample was stored as its difference to the one left of it.

use super::Samples;

/// Undoes it in rows of `row_len` bytes.
pub(super) fn undo(raw: &mut [u8], row_len: usize, samples: &Samples) {
    for row in raw.chunks_exact_mut(row_len) {
        if samples.wide {
            undo_16(row, samples);
        } else {
            undo_8(row, samples.count);
        }
    }
}

fn undo_8(row: &mut [u8], count: usize) {
    // With the step known the compiler keeps the left pixel in registers.
    match count {
        1 => undo_8_by::<1>(row),
        3 => undo_8_by::<3>(row),
        4 => undo_8_by::<4>(row),
        _ => {
            for at in count..row.len() {
                row[at] = row[at].wrapping_add(row[at - count]);
            }
        }
    }
}

fn undo_8_by<const COUNT: usize>(row: &mut [u8]) {
    let mut left = [0u8; COUNT];
    for pixel in row.chunks_exact_mut(COUNT) {
        for (sample, left) in pixel.iter_mut().zip(&mut left) {
            *left = left.wrapping_add(*sample);
            *sample = *left;
        }
    }
}

fn undo_16(row: &mut [u8], samples: &Samples) {
    for at in (samples.count * 2..row.len().saturating_sub(1)).step_by(2) {
        let left = at - samples.count * 2;
        let sum = samples.wide_at(row, left).wrapping_add(samples.wide_at(row, at));
        samples.set_wide_at(row, at, sum);
    }
}
