//! What the samples of a pixel are, and how they become 8-bit RGB. The arithmetic is libtiff's, so that lossless files
//! give the same pixels everywhere.

use crate::tiff::ByteOrder;

/// What the first samples of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Color {
    /// One sample, 0 is black.
    Grey,
    /// One sample, 0 is white.
    GreyInverted,
    /// Red, green, blue.
    Rgb,
}

/// What the sample after the colours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alpha {
    /// Nothing, or something without a meaning for colours.
    Ignored,
    /// The colours are multiplied by it only on the way out. Then it is dropped.
    Unassociated,
}

/// The form of a pixel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Samples {
    /// Samples of a pixel.
    pub(crate) count: usize,
    /// 16 bits a sample, else 8.
    pub(crate) wide: bool,
    /// The order of the bytes in a wide sample.
    pub(crate) order: ByteOrder,
    pub(crate) color: Color,
    pub(crate) alpha: Alpha,
}

impl Samples {
    /// Bytes of a pixel.
    pub(crate) fn pixel_len(&self) -> usize {
        self.count * if self.wide { 2 } else { 1 }
    }

    /// The wide sample at byte `at`.
    pub(super) fn wide_at(&self, raw: &[u8], at: usize) -> u16 {
        let bytes = [raw[at], raw[at + 1]];
        match self.order {
            ByteOrder::Little => u16::from_le_bytes(bytes),
            ByteOrder::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn set_wide_at(&self, raw: &mut [u8], at: usize, sample: u16) {
        raw[at..at + 2].copy_from_slice(&match self.order {
            ByteOrder::Little => sample.to_le_bytes(),
            ByteOrder::Big => sample.to_be_bytes(),
        });
    }

    /// All pixels of `raw` as RGB.
    pub(super) fn to_rgb(&self, raw: &[u8]) -> Vec<u8> {
        if self.color == Color::Rgb && self.count == 3 && !self.wide {
            return raw.to_vec();
        }
        let mut rgb = Vec::with_capacity(raw.len() / self.pixel_len() * 3);
        for pixel in raw.chunks_exact(self.pixel_len()) {
            rgb.extend(self.pixel(pixel));
        }
        rgb
    }

    fn pixel(&self, pixel: &[u8]) -> [u8; 3] {
        let narrow = |index: usize| if self.wide { scaled(self.wide_at(pixel, index * 2)) } else { pixel[index] };
        let (color, after) = match self.color {
            // libtiff takes the high byte of grey, but rounds colours.
            Color::Grey | Color::GreyInverted => {
                let grey = if self.wide { (self.wide_at(pixel, 0) >> 8) as u8 } else { pixel[0] };
                ([if self.color == Color::Grey { grey } else { 255 - grey }; 3], 1)
            }
            Color::Rgb => ([narrow(0), narrow(1), narrow(2)], 3),
        };
        match self.alpha {
            Alpha::Unassociated => {
                let alpha = u32::from(narrow(after));
                color.map(|sample| ((u32::from(sample) * alpha + 127) / 255) as u8)
            }
            Alpha::Ignored => color,
        }
    }
}

/// 16 bits to 8, rounded: 65535 is 255.
fn scaled(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: usize, wide: bool, color: Color, alpha: Alpha) -> Samples {
        Samples { count, wide, order: ByteOrder::Big, color, alpha }
    }

    #[test]
    fn every_form_of_a_pixel_becomes_rgb() {
        let cases: [(Samples, &[u8], &[u8]); 6] = [
            (samples(1, false, Color::Grey, Alpha::Ignored), &[7, 9], &[7, 7, 7, 9, 9, 9]),
            (samples(1, false, Color::GreyInverted, Alpha::Ignored), &[7], &[248, 248, 248]),
            (samples(1, true, Color::Grey, Alpha::Ignored), &[0x12, 0xff], &[0x12; 3]),
            (samples(3, true, Color::Rgb, Alpha::Ignored), &[0xff, 0xff, 0, 129, 0, 128], &[255, 1, 0]),
            (samples(4, false, Color::Rgb, Alpha::Unassociated), &[200, 100, 3, 128], &[100, 50, 2]),
            (samples(4, false, Color::Rgb, Alpha::Ignored), &[200, 100, 3, 0], &[200, 100, 3]),
        ];
        for (samples, raw, rgb) in cases {
            assert_eq!(samples.to_rgb(raw), rgb, "{samples:?}");
        }
    }
}
