//! What the samples of a pixel are, and how they become 8-bit RGB. The arithmetic is libtiff's, so that lossless files
//! give the same pixels everywhere.

use super::{Pixels, YCbCr};
use crate::tiff::ByteOrder;

/// What the first samples of a pixel are.
#[derive(Debug)]
pub(crate) enum Color {
    /// One sample, 0 is black.
    Grey,
    /// One sample, 0 is white.
    GreyInverted,
    /// Red, green, blue.
    Rgb,
    /// One sample, the index of a colour in this list; beyond its end is black.
    Palette(Box<[[u8; 3]]>),
    YCbCr(Box<YCbCr>),
    /// Cyan, magenta, yellow, black; 0 is no ink.
    Cmyk,
}

impl Color {
    /// Samples that make a colour.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Grey | Self::GreyInverted | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr(_) => 3,
            Self::Cmyk => 4,
        }
    }
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
#[derive(Debug)]
pub(crate) struct Samples {
    /// Samples of a pixel; at least as many as its colour and its alpha take.
    pub(crate) count: usize,
    /// Bits of a sample: 1, 2, 4, 8, 12 or 16.
    pub(crate) bits: u32,
    /// The order of the bytes in a sample of 16 bits.
    pub(crate) order: ByteOrder,
    pub(crate) color: Color,
    pub(crate) alpha: Alpha,
}

impl Samples {
    /// Bytes of pixels of `count` samples before they are packed. Each row begins with a byte.
    pub(super) fn raw_len(&self, size: Pixels, count: usize) -> usize {
        match &self.color {
            Color::YCbCr(ycbcr) if ycbcr.is_subsampled() => ycbcr.raw_len(size),
            _ => (size.width * count * self.bits as usize).div_ceil(8) * size.height,
        }
    }

    /// All pixels of `raw` as RGB.
    pub(super) fn rgb(&self, raw: Vec<u8>, size: Pixels) -> Vec<u8> {
        match &self.color {
            Color::YCbCr(ycbcr) if ycbcr.is_subsampled() => ycbcr.unsubsampled(&raw, size),
            _ => self.rgb_of_8(self.narrowed(raw, size, self.count), self.count),
        }
    }

    /// Planes of samples of 8 bits, as many as are [wanted](Self::wanted) and all of one length, as RGB.
    pub(crate) fn joined(&self, planes: &[Vec<u8>]) -> Vec<u8> {
        let mut samples = vec![0; planes.iter().map(Vec::len).sum()];
        for (index, plane) in planes.iter().enumerate() {
            for (to, from) in samples.iter_mut().skip(index).step_by(planes.len()).zip(plane) {
                *to = *from;
            }
        }
        self.rgb_of_8(samples, planes.len())
    }

    /// All pixels, of `count` samples of 8 bits, as RGB.
    fn rgb_of_8(&self, samples: Vec<u8>, count: usize) -> Vec<u8> {
        let wanted = self.wanted();
        let samples = match count {
            count if count == wanted => samples,
            count => without_rest(&samples, count, wanted),
        };
        let alpha = self.alpha;
        match (&self.color, alpha) {
            (Color::Grey, Alpha::Ignored) => map(&samples, |[grey]| [grey; 3]),
            (Color::Grey, _) => map(&samples, |[grey, a]| alpha.shown([grey; 3], a)),
            (Color::GreyInverted, Alpha::Ignored) => map(&samples, |[grey]| [255 - grey; 3]),
            (Color::GreyInverted, _) => map(&samples, |[grey, a]| alpha.shown([255 - grey; 3], a)),
            (Color::Rgb, Alpha::Ignored) => samples,
            (Color::Rgb, _) => map(&samples, |[r, g, b, a]| alpha.shown([r, g, b], a)),
            (Color::Palette(colors), _) => {
                map(&samples, |[index]| colors.get(usize::from(index)).copied().unwrap_or_default())
            }
            (Color::YCbCr(ycbcr), _) => map(&samples, |pixel| ycbcr.rgb(pixel)),
            (Color::Cmyk, _) => map(&samples, |[c, m, y, k]| {
                [c, m, y].map(|ink| (u32::from(255 - k) * u32::from(255 - ink) / 255) as u8)
            }),
        }
    }

    /// Samples of a pixel that its RGB is made from.
    pub(crate) fn wanted(&self) -> usize {
        let alpha =
            matches!(self.color, Color::Grey | Color::GreyInverted | Color::Rgb) && self.alpha != Alpha::Ignored;
        self.color.count() + usize::from(alpha)
    }
}

/// Pixels of `count` samples without those after the first `wanted`.
pub(super) fn without_rest(samples: &[u8], count: usize, wanted: usize) -> Vec<u8> {
    let mut kept = vec![0; samples.len() / count * wanted];
    for (to, from) in kept.chunks_exact_mut(wanted).zip(samples.chunks_exact(count)) {
        to.copy_from_slice(&from[..wanted]);
    }
    kept
}

fn map<const COUNT: usize>(samples: &[u8], rgb: impl Fn([u8; COUNT]) -> [u8; 3]) -> Vec<u8> {
    let pixels = samples.as_chunks::<COUNT>().0;
    let mut all = vec![0; pixels.len() * 3];
    for (to, from) in all.as_chunks_mut().0.iter_mut().zip(pixels) {
        *to = rgb(*from);
    }
    all
}

impl Alpha {
    /// The colour that OpenSlide's callers get: it hands out colours multiplied by alpha, and they divide. What its 8
    /// bits lose is lost here too, so that both give the same pixels; black where nothing of it is left.
    fn shown(self, color: [u8; 3], alpha: u8) -> [u8; 3] {
        match (self, alpha) {
            (_, 255) | (Self::Ignored, _) => color,
            (Self::Associated, alpha) => color.map(|sample| divided(sample, alpha)),
            (Self::Unassociated, alpha) => color.map(|sample| divided(multiplied(sample, alpha), alpha)),
        }
    }
}

fn multiplied(sample: u8, alpha: u8) -> u8 {
    ((u32::from(sample) * u32::from(alpha) + 127) / 255) as u8
}

fn divided(sample: u8, alpha: u8) -> u8 {
    (u32::from(sample) * 255).checked_div(alpha.into()).map_or(0, |color| color.min(255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_pixel_becomes_rgb() {
        let palette = || Color::Palette([[1, 2, 3], [4, 5, 6]].into());
        let ycbcr = || Color::YCbCr(Box::new(YCbCr::full()));
        type Case<'a> = (usize, u32, Color, Alpha, &'a [u8], &'a [u8]);
        let cases: [Case<'_>; 17] = [
            (1, 8, Color::Grey, Alpha::Ignored, &[7, 9], &[7, 7, 7, 9, 9, 9]),
            (2, 8, Color::Grey, Alpha::Ignored, &[7, 1, 9, 1], &[7, 7, 7, 9, 9, 9]),
            (2, 8, Color::Grey, Alpha::Associated, &[64, 128], &[127; 3]),
            (1, 8, Color::GreyInverted, Alpha::Ignored, &[7], &[248, 248, 248]),
            (1, 1, Color::GreyInverted, Alpha::Ignored, &[0x80], &[0, 0, 0]),
            (1, 16, Color::Grey, Alpha::Ignored, &[0x12, 0xff], &[0x12; 3]),
            (3, 8, Color::Rgb, Alpha::Ignored, &[1, 2, 3], &[1, 2, 3]),
            (3, 16, Color::Rgb, Alpha::Ignored, &[0xff, 0xff, 0, 129, 0, 128], &[255, 1, 0]),
            (4, 8, Color::Rgb, Alpha::Unassociated, &[200, 100, 3, 128], &[199, 99, 3]),
            (4, 8, Color::Rgb, Alpha::Unassociated, &[200, 100, 3, 0], &[0, 0, 0]),
            (4, 8, Color::Rgb, Alpha::Associated, &[100, 50, 200, 128], &[199, 99, 255]),
            (4, 8, Color::Rgb, Alpha::Associated, &[100, 50, 200, 255], &[100, 50, 200]),
            (4, 8, Color::Rgb, Alpha::Ignored, &[200, 100, 3, 0], &[200, 100, 3]),
            (7, 8, Color::Rgb, Alpha::Ignored, &[1, 2, 3, 4, 5, 6, 7], &[1, 2, 3]),
            (1, 8, palette(), Alpha::Ignored, &[1, 0, 2], &[4, 5, 6, 1, 2, 3, 0, 0, 0]),
            (3, 8, ycbcr(), Alpha::Ignored, &[255, 128, 128], &[255; 3]),
            (4, 8, Color::Cmyk, Alpha::Ignored, &[0, 255, 51, 51], &[204, 0, 163]),
        ];
        for (count, bits, color, alpha, raw, rgb) in cases {
            let samples = Samples { count, bits, order: ByteOrder::Big, color, alpha };
            let size = Pixels { width: rgb.len() / 3, height: 1 };
            assert_eq!(samples.rgb(raw.to_vec(), size), rgb, "{samples:?}");
        }
    }
}
