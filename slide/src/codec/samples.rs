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
    /// Alpha, by which the colours are multiplied already.
    Associated,
    /// Alpha, and colours as they are.
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
    pub(super) fn rgb(&self, raw: &[u8]) -> Vec<u8> {
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
            Alpha::Ignored => color,
            Alpha::Associated => color.map(|sample| divided(sample, narrow(after))),
            Alpha::Unassociated => color.map(|sample| divided(multiplied(sample, narrow(after)), narrow(after))),
        }
    }
}

/// A colour multiplied by alpha, as OpenSlide hands it out. What is lost by its 8 bits is lost here too, so that both
/// give the same pixels.
fn multiplied(sample: u8, alpha: u8) -> u8 {
    ((u32::from(sample) * u32::from(alpha) + 127) / 255) as u8
}

/// The colour that was multiplied by alpha; black where nothing of it is left.
fn divided(sample: u8, alpha: u8) -> u8 {
    (u32::from(sample) * 255).checked_div(alpha.into()).map_or(0, |color| color.min(255) as u8)
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
        let cases: [(Samples, &[u8], &[u8]); 8] = [
            (samples(1, false, Color::Grey, Alpha::Ignored), &[7, 9], &[7, 7, 7, 9, 9, 9]),
            (samples(1, false, Color::GreyInverted, Alpha::Ignored), &[7], &[248, 248, 248]),
            (samples(1, true, Color::Grey, Alpha::Ignored), &[0x12, 0xff], &[0x12; 3]),
            (samples(3, true, Color::Rgb, Alpha::Ignored), &[0xff, 0xff, 0, 129, 0, 128], &[255, 1, 0]),
            (samples(4, false, Color::Rgb, Alpha::Unassociated), &[200, 100, 3, 128], &[199, 99, 3]),
            (samples(4, false, Color::Rgb, Alpha::Unassociated), &[200, 100, 3, 0], &[0, 0, 0]),
            (samples(4, false, Color::Rgb, Alpha::Associated), &[100, 50, 200, 128], &[199, 99, 255]),
            (samples(4, false, Color::Rgb, Alpha::Ignored), &[200, 100, 3, 0], &[200, 100, 3]),
        ];
        for (samples, raw, rgb) in cases {
            assert_eq!(samples.rgb(raw), rgb, "{samples:?}");
        }
    }
}
