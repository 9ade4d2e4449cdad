//! Pictures made smaller, each pixel the mean of those it covers.

use crate::{Rgb, region::Window};
use std::ops::Range;

/// The mean of squares of pixels, gathered tile by tile.
pub(crate) struct BoxMean {
    columns: Range<u32>,
    rows: Range<u32>,
    side: u32,
    width: u32,
    sums: Vec<u32>,
}

impl BoxMean {
    /// For the pixels `columns` × `rows`, in squares of `side` pixels. Squares at the right and lower edge have fewer.
    pub(crate) fn new(columns: Range<u32>, rows: Range<u32>, side: u32) -> Self {
        // Of more pixels than these the sum of whites would not fit; nobody draws a slide 4000 times smaller.
        let side = side.clamp(1, 4000);
        let (width, height) = (columns.len().div_ceil(side as usize), rows.len().div_ceil(side as usize));
        Self { columns, rows, side, width: width as u32, sums: vec![0; width * height * 3] }
    }

    /// Side of the squares.
    pub(crate) fn side(&self) -> u32 {
        self.side
    }

    /// Adds the part `across` × `down` of `tile`, whose corner is at `x`, `y`; all in the pixels of the whole.
    pub(crate) fn add(&mut self, tile: &Rgb, x: u32, y: u32, across: &Range<u32>, down: &Range<u32>) {
        let row_len = self.width as usize * 3;
        for row in down.clone() {
            let start = ((row - y) as usize * tile.width as usize + (across.start - x) as usize) * 3;
            let pixels = &tile.data[start..start + across.len() * 3];
            let into = ((row - self.rows.start) / self.side) as usize * row_len;
            add_row(&mut self.sums[into..into + row_len], pixels, across.start - self.columns.start, self.side);
        }
    }

    /// The means, rounded.
    pub(crate) fn finish(self) -> Rgb {
        let height = self.sums.len().checked_div(self.width as usize * 3).unwrap_or(0) as u32;
        let covered = |pixels: &Range<u32>, index: u32| (pixels.len() as u32 - index * self.side).min(self.side);
        let mut data = Vec::with_capacity(self.sums.len());
        for (row, sums) in (0..height).zip(self.sums.chunks_exact((self.width as usize * 3).max(1))) {
            let tall = covered(&self.rows, row);
            for (column, sums) in (0..self.width).zip(sums.chunks_exact(3)) {
                let count = tall * covered(&self.columns, column);
                data.extend(sums.iter().map(|sum| ((sum + count / 2) / count) as u8));
            }
        }
        Rgb { width: self.width, height, data }
    }
}

/// Adds a row of pixels that begins at column `first` to the sums of squares of `side`.
fn add_row(sums: &mut [u32], mut pixels: &[u8], first: u32, side: u32) {
    let mut at = first;
    while !pixels.is_empty() {
        let square = at / side;
        let count = ((square + 1) * side - at).min(pixels.len() as u32 / 3);
        let (here, rest) = pixels.split_at(count as usize * 3);
        let mut sum = [0u32; 3];
        for pixel in here.chunks_exact(3) {
            for (sum, sample) in sum.iter_mut().zip(pixel) {
                *sum += u32::from(*sample);
            }
        }
        for (into, sum) in sums[square as usize * 3..].iter_mut().zip(sum) {
            *into += sum;
        }
        at += count;
        pixels = rest;
    }
}

/// The part `window` of `image` at `width` × `height` pixels, each the mean of what it covers, with its share of pixels
/// that it covers in part. Nothing beyond the window counts, so pictures cut from windows side by side have no seams. An
/// image that has the size already is left as it is.
pub(crate) fn resize(image: Rgb, window: Window, width: u32, height: u32) -> Rgb {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-3;
    let fits = near(window.x, 0.0) && near(window.y, 0.0);
    let fits = fits && near(window.width, f64::from(width)) && near(window.height, f64::from(height));
    if fits && (image.width, image.height) == (width, height) {
        return image;
    }
    if image.data.is_empty() {
        return Rgb::white(width, height);
    }
    let across = covers(window.x, window.width, width, image.width);
    let down = covers(window.y, window.height, height, image.height);
    let row_len = image.width as usize * 3;
    let mut data = Vec::with_capacity(width as usize * height as usize * 3);
    let mut mean_row = vec![0f32; row_len];
    for cover in &down {
        mean_row.fill(0.0);
        let rows = image.data.chunks_exact(row_len).skip(cover.first);
        for (row, share) in rows.zip(&cover.shares) {
            for (mean, sample) in mean_row.iter_mut().zip(row) {
                *mean += share * f32::from(*sample);
            }
        }
        for cover in &across {
            let mut mean = [0f32; 3];
            let pixels = mean_row.chunks_exact(3).skip(cover.first);
            for (pixel, share) in pixels.zip(&cover.shares) {
                for (mean, sample) in mean.iter_mut().zip(pixel) {
                    *mean += share * sample;
                }
            }
            data.extend(mean.map(|mean| (mean + 0.5) as u8));
        }
    }
    Rgb { width, height, data }
}

/// The pixels that a larger pixel covers along one side.
struct Cover {
    first: usize,
    /// The share of each, from the first on; together 1.
    shares: Vec<f32>,
}

/// What each of `count` pixels covers, that together show the stretch of `len` from `start` of a side of `side` pixels.
fn covers(start: f64, len: f64, count: u32, side: u32) -> Vec<Cover> {
    // No stretch is empty, also where sums of fractions pass the end by a hair.
    const LEAST: f64 = 1e-3;
    let (step, side) = (len / f64::from(count), f64::from(side));
    let cover = |index: u32| {
        let from = (start + f64::from(index) * step).min(side - LEAST).max(0.0);
        let to = (from + step).min(side).max(from + LEAST);
        let pixels = from.floor() as usize..to.min(side).ceil() as usize;
        let share = |pixel: usize| (to.min(pixel as f64 + 1.0) - from.max(pixel as f64)) / (to - from);
        Cover { first: pixels.start, shares: pixels.map(|pixel| share(pixel) as f32).collect() }
    };
    (0..count).map(cover).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: u32, height: u32) -> Rgb {
        let data = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, (x * y) as u8])).collect();
        Rgb { width, height, data }
    }

    fn mean_by_tiles(image: &Rgb, tile: u32, side: u32) -> Rgb {
        let mut mean = BoxMean::new(0..image.width, 0..image.height, side);
        for y in (0..image.height).step_by(tile as usize) {
            for x in (0..image.width).step_by(tile as usize) {
                let part = image.crop(x, y, tile, tile);
                mean.add(&part, x, y, &(x..x + part.width), &(y..y + part.height));
            }
        }
        mean.finish()
    }

    #[test]
    fn a_mean_does_not_depend_on_how_the_image_was_cut() {
        let image = ramp(50, 37);
        for side in [1, 2, 3, 7, 50] {
            let whole = mean_by_tiles(&image, 64, side);
            assert_eq!((whole.width, whole.height), (50u32.div_ceil(side), 37u32.div_ceil(side)));
            assert_eq!(whole, mean_by_tiles(&image, 5, side), "{side}");
        }
        assert_eq!(mean_by_tiles(&image, 8, 1), image);
    }

    #[test]
    fn a_mean_is_the_mean_also_where_a_square_is_cut_off() {
        let mean = mean_by_tiles(&ramp(5, 5), 2, 2);
        assert_eq!(mean.data[..3], [1, 1, 0], "0.5, 0.5 and 0.25 rounded");
        assert_eq!(mean.data[mean.data.len() - 3..], [4, 4, 16]);
        assert_eq!(mean.data[6..9], [4, 1, 2], "column 4 of rows 0 and 1");
    }

    #[test]
    fn a_window_between_pixels_takes_its_share_of_them() {
        let image = Rgb { width: 4, height: 1, data: [0u8, 100, 200, 40].iter().flat_map(|&v| [v; 3]).collect() };
        let window = |x: f64, width: f64| Window { x, y: 0.0, width, height: 1.0 };
        let drawn = |x: f64, width: f64, count: u32| resize(image.clone(), window(x, width), count, 1).data;
        assert_eq!(drawn(0.5, 2.0, 1), [100; 3], "half of 0, 100, half of 200");
        assert_eq!(drawn(1.0, 2.0, 2), [100, 100, 100, 200, 200, 200]);
        assert_eq!(drawn(0.0, 4.0, 4), image.data);
        assert_eq!(drawn(2.0, 2.0, 4)[..6], [200; 6], "made larger");
        assert_eq!(drawn(3.5, 2.0, 1), [40; 3], "beyond the edge");
    }

    #[test]
    fn white_stays_white_at_every_scale() {
        for count in 1..40 {
            let window = Window { x: 0.3, y: 0.7, width: 36.1, height: 35.3 };
            assert_eq!(resize(Rgb::white(37, 37), window, count, count), Rgb::white(count, count));
        }
    }
}
