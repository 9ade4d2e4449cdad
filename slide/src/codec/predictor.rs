//! Horizontal differencing (predictor 2): each sample was stored as its difference to the one left of it.

use super::Samples;
use crate::tiff::ByteOrder;

/// Undoes it in rows of `row_len` bytes, of pixels of `count` samples.
pub(super) fn undo(raw: &mut [u8], row_len: usize, samples: &Samples, count: usize) {
    for row in raw.chunks_exact_mut(row_len) {
        match (samples.bits, samples.order) {
            (16, ByteOrder::Little) => undo_16(row, count, u16::from_le_bytes, u16::to_le_bytes),
            (16, ByteOrder::Big) => undo_16(row, count, u16::from_be_bytes, u16::to_be_bytes),
            _ => undo_8(row, count),
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

fn undo_16(row: &mut [u8], count: usize, read: fn([u8; 2]) -> u16, write: fn(u16) -> [u8; 2]) {
    let row = row.as_chunks_mut().0;
    for at in count..row.len() {
        row[at] = write(read(row[at - count]).wrapping_add(read(row[at])));
    }
}
