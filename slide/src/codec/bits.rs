//! Samples of any width to 8 bits. The arithmetic is libtiff's where libtiff has one.

use super::{Color, Pixels, Samples};
use crate::tiff::ByteOrder;

impl Samples {
    /// Stored samples, `count` of them a pixel, with 8 bits each: indices of a palette as they are, others scaled.
    pub(super) fn narrowed(&self, raw: Vec<u8>, size: Pixels, count: usize) -> Vec<u8> {
        match self.bits {
            8 => raw,
            16 => self.halved(&raw),
            bits => {
                let (max, scaled) = ((1u32 << bits) - 1, !matches!(self.color, Color::Palette(_)));
                // Up to 4 bits this is exact, as 255 is a multiple of their largest number.
                let scale = |sample: u32| if scaled { (sample * 255 + max / 2) / max } else { sample } as u8;
                let (row_len, row_samples) = (self.raw_len(Pixels { height: 1, ..size }, count), size.width * count);
                let mut narrowed = Vec::with_capacity(row_samples * size.height);
                for row in raw.chunks_exact(row_len) {
                    match bits {
                        12 => narrowed.extend(twelve(row).map(scale).take(row_samples)),
                        bits => narrowed.extend(few(row, bits).map(scale).take(row_samples)),
                    }
                }
                narrowed
            }
        }
    }

    /// Samples of 16 bits: libtiff takes the high byte of grey, but rounds colours.
    fn halved(&self, raw: &[u8]) -> Vec<u8> {
        let pairs = raw.as_chunks::<2>().0.iter();
        let grey = matches!(self.color, Color::Grey | Color::GreyInverted);
        match (grey, self.order) {
            (true, ByteOrder::Little) => pairs.map(|pair| pair[1]).collect(),
            (true, ByteOrder::Big) => pairs.map(|pair| pair[0]).collect(),
            (false, ByteOrder::Little) => pairs.map(|&pair| rounded(u16::from_le_bytes(pair))).collect(),
            (false, ByteOrder::Big) => pairs.map(|&pair| rounded(u16::from_be_bytes(pair))).collect(),
        }
    }
}

/// 16 bits to 8, rounded: 65535 is 255.
fn rounded(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

/// Samples of 1, 2 or 4 bits, the highest first.
fn few(row: &[u8], bits: u32) -> impl Iterator<Item = u32> {
    let mask = (1 << bits) - 1;
    row.iter().flat_map(move |&byte| (1..=8 / bits).map(move |place| (u32::from(byte) >> (8 - place * bits)) & mask))
}

/// Samples of 12 bits, two in three bytes; an odd one takes two.
fn twelve(row: &[u8]) -> impl Iterator<Item = u32> {
    row.chunks(3).flat_map(|bytes| {
        let byte = |index: usize| bytes.get(index).copied().map_or(0, u32::from);
        [(byte(0) << 4) | (byte(1) >> 4), ((byte(1) & 15) << 8) | byte(2)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Alpha;

    fn narrowed(bits: u32, color: Color, raw: &[u8], width: usize, height: usize) -> Vec<u8> {
        let samples = Samples { count: 1, bits, order: ByteOrder::Big, color, alpha: Alpha::Ignored };
        samples.narrowed(raw.to_vec(), Pixels { width, height }, 1)
    }

    #[test]
    fn few_bits_are_spread_over_all_of_a_byte_and_rows_begin_with_a_byte() {
        assert_eq!(narrowed(1, Color::Grey, &[0b1010_0000, 0b0100_0000], 3, 2), [255, 0, 255, 0, 255, 0]);
        assert_eq!(narrowed(2, Color::Grey, &[0b0001_1011, 0b1100_0000], 5, 1), [0, 85, 170, 255, 255]);
        assert_eq!(narrowed(4, Color::Grey, &[0x0f, 0x10, 0x80, 0], 3, 2), [0, 255, 17, 136, 0, 0]);
        assert_eq!(narrowed(4, Color::Palette(Box::new([])), &[0x3c], 2, 1), [3, 12]);
    }

    #[test]
    fn more_bits_are_scaled_to_eight() {
        assert_eq!(narrowed(12, Color::Grey, &[0xff, 0xf0, 0x10, 0x7f, 0xf0, 0, 0, 0x80], 3, 1), [255, 1, 127]);
        assert_eq!(narrowed(16, Color::Grey, &[0x12, 0xff], 1, 1), [0x12]);
        assert_eq!(narrowed(16, Color::Rgb, &[0x12, 0xff, 0, 129, 0, 128], 3, 1), [0x13, 1, 0]);
    }
}
