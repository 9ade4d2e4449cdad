//! YCbCr to RGB, and samples of YCbCr that were stored with fewer of chroma (TIFF 6.0, section 21). The arithmetic is
//! libtiff's.

use super::Pixels;

/// Bits after the point.
const SHIFT: i32 = 16;
const HALF: i32 = 1 << (SHIFT - 1);

/// How an image's YCbCr is to be understood.
#[derive(Debug)]
pub(crate) struct YCbCr {
    /// Pixels across and down that share their chroma; 1, 2 or 4.
    pub(crate) across: usize,
    pub(crate) down: usize,
    luma: [i32; 256],
    /// What is added to luma: of Cr for red, and of Cb for blue.
    red: [i32; 256],
    blue: [i32; 256],
    /// What is added for green, before the shift.
    green: [[i32; 256]; 2],
}

impl YCbCr {
    /// `coefficients` are the parts of red, green and blue in luma; `range` is black and white of luma, Cb and Cr.
    pub(crate) fn new((across, down): (usize, usize), coefficients: [f32; 3], range: [f32; 6]) -> Self {
        let [red, green, blue] = coefficients;
        let fixed = |value: f32| (f64::from(value.clamp(0.0, 2.0)) * f64::from(1 << SHIFT) + 0.5) as i32;
        let (from_cr, from_cb) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
        let (to_red, to_blue) = (fixed(from_cr), fixed(from_cb));
        let (cr_to_green, cb_to_green) = (-fixed(red * from_cr / green), -fixed(blue * from_cb / green));
        let value = |code: i32, black: f32, white: f32, full: f32| {
            let span = if white == black { 1.0 } else { white - black };
            (code.saturating_sub(black as i32) as f32 * full / span).clamp(-4096.0, 4096.0) as i32
        };
        let table = |of: &dyn Fn(i32) -> i32| std::array::from_fn(|code| of(code as i32));
        let cb = |code: i32| value(code - 128, range[2] - 128.0, range[3] - 128.0, 127.0);
        let cr = |code: i32| value(code - 128, range[4] - 128.0, range[5] - 128.0, 127.0);
        Self {
            across,
            down,
            luma: table(&|code| value(code, range[0], range[1], 255.0)),
            red: table(&|code| (to_red * cr(code) + HALF) >> SHIFT),
            blue: table(&|code| (to_blue * cb(code) + HALF) >> SHIFT),
            green: [table(&|code| cb_to_green * cb(code) + HALF), table(&|code| cr_to_green * cr(code))],
        }
    }

    /// The full range of ITU-R BT.601, as JPEG has it, a chroma sample for each pixel.
    pub(crate) fn full() -> Self {
        Self::new((1, 1), [0.299, 0.587, 0.114], [0.0, 255.0, 128.0, 255.0, 128.0, 255.0])
    }

    /// Whether chroma has fewer samples than luma.
    pub(crate) fn is_subsampled(&self) -> bool {
        self.across * self.down > 1
    }

    /// Bytes of a subsampled image: the units of `across` × `down` pixels that it is cut into, whole ones at the edges.
    pub(super) fn raw_len(&self, size: Pixels) -> usize {
        size.width.div_ceil(self.across) * size.height.div_ceil(self.down) * (self.across * self.down + 2)
    }

    pub(super) fn rgb(&self, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let (y, cb, cr) = (self.luma[usize::from(y)], usize::from(cb), usize::from(cr));
        let green = (self.green[0][cb] + self.green[1][cr]) >> SHIFT;
        [y + self.red[cr], y + green, y + self.blue[cb]].map(|sample| sample.clamp(0, 255) as u8)
    }

    /// Subsampled units as RGB: each the luma of its pixels, row by row, then Cb and Cr.
    pub(super) fn unsubsampled(&self, raw: &[u8], size: Pixels) -> Vec<u8> {
        let mut rgb = vec![0; size.count() * 3];
        let unit_len = self.across * self.down + 2;
        let units_across = size.width.div_ceil(self.across);
        let band_rows = rgb.chunks_mut(size.width * 3 * self.down);
        for (band, units) in band_rows.zip(raw.chunks_exact(units_across * unit_len)) {
            for (row, pixels) in band.chunks_exact_mut(size.width * 3).enumerate() {
                for (columns, unit) in pixels.chunks_mut(self.across * 3).zip(units.chunks_exact(unit_len)) {
                    let (luma, chroma) = unit.split_at(unit_len - 2);
                    for (pixel, y) in columns.as_chunks_mut().0.iter_mut().zip(&luma[row * self.across..]) {
                        *pixel = self.rgb([*y, chroma[0], chroma[1]]);
                    }
                }
            }
        }
        rgb
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_recommendation() {
        let full = YCbCr::full();
        for (ycbcr, rgb) in [
            ([255, 128, 128], [255, 255, 255]),
            ([0, 128, 128], [0, 0, 0]),
            ([76, 85, 255], [254, 0, 0]),
            ([150, 44, 21], [0, 255, 1]),
            ([29, 255, 107], [0, 0, 254]),
        ] {
            assert_eq!(full.rgb(ycbcr), rgb, "{ycbcr:?}");
        }
        let video = YCbCr::new((1, 1), [0.299, 0.587, 0.114], [16.0, 235.0, 128.0, 240.0, 128.0, 240.0]);
        assert_eq!((video.rgb([16, 128, 128]), video.rgb([235, 128, 128])), ([0; 3], [255; 3]));
    }

    #[test]
    fn pixels_of_a_unit_share_its_chroma_also_at_the_edges() {
        let (size, full) = (Pixels { width: 3, height: 3 }, YCbCr::full());
        let half = YCbCr { across: 2, down: 2, ..YCbCr::full() };
        assert_eq!(half.raw_len(size), 4 * 6);
        let unit = |first: u8, cb, cr| [first, first + 1, first + 2, first + 3, cb, cr];
        let raw = [unit(10, 100, 130), unit(20, 110, 140), unit(30, 120, 150), unit(40, 130, 160)].concat();
        let rgb = half.unsubsampled(&raw, size);
        let pixels: Vec<[u8; 3]> = [[10, 100, 130], [11, 100, 130], [20, 110, 140], [12, 100, 130], [13, 100, 130]]
            .into_iter()
            .chain([[22, 110, 140], [30, 120, 150], [31, 120, 150], [40, 130, 160]])
            .map(|ycbcr| full.rgb(ycbcr))
            .collect();
        assert_eq!(rgb, pixels.concat());
    }
}
