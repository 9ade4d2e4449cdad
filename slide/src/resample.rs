//! Pictures made smaller, each pixel the mean of those it covers.

use crate::{
    Rgb,
    grid::{Part, Window},
};
use fearless_simd::{Level, dispatch};
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
        let mut columns = vec![0; across.len() * 3];
        let mut row = down.start;
        while row < down.end {
            // Rows of the same squares are added up first, as that is done for many columns at once.
            let square = (row - self.rows.start) / self.side;
            let end = (self.rows.start + (square + 1) * self.side).min(down.end);
            columns.fill(0);
            for row in row..end {
                let start = ((row - y) as usize * tile.width as usize + (across.start - x) as usize) * 3;
                let pixels = &tile.data[start..start + across.len() * 3];
                columns.iter_mut().zip(pixels).for_each(|(sum, &sample)| *sum += u32::from(sample));
            }
            let sums = &mut self.sums[square as usize * row_len..][..row_len];
            add_columns(sums, &columns, across.start - self.columns.start, self.side);
            row = end;
        }
    }

    /// The means, rounded.
    pub(crate) fn finish(self) -> Rgb {
        let height = self.sums.len().checked_div(self.width as usize * 3).unwrap_or(0) as u32;
        let covered = |pixels: &Range<u32>, index: u32| (pixels.len() as u32 - index * self.side).min(self.side);
        let mut data = Vec::with_capacity(self.sums.len());
        for (row, sums) in (0..height).zip(self.sums.chunks_exact((self.width as usize * 3).max(1))) {
            let tall = covered(&self.rows, row);
            // Only the last square may be narrower.
            let (whole, last) = sums.split_at(sums.len() - 3);
            push_means(whole, tall * self.side, &mut data);
            push_means(last, tall * covered(&self.columns, self.width - 1), &mut data);
        }
        Rgb { width: self.width, height, data }
    }
}

/// Adds sums of columns of pixels, the first of which is column `first`, to the sums of squares of `side`.
fn add_columns(sums: &mut [u32], mut columns: &[u32], first: u32, side: u32) {
    let mut at = first;
    while !columns.is_empty() {
        let square = at / side;
        let count = ((square + 1) * side - at).min(columns.len() as u32 / 3);
        let (here, rest) = columns.split_at(count as usize * 3);
        if let Some(into) = sums[square as usize * 3..].first_chunk_mut::<3>() {
            for pixel in here.as_chunks::<3>().0 {
                *into = [into[0] + pixel[0], into[1] + pixel[1], into[2] + pixel[2]];
            }
        }
        at += count;
        columns = rest;
    }
}

/// The means of `count` samples each, rounded, at the end of `out`.
fn push_means(sums: &[u32], count: u32, out: &mut Vec<u8>) {
    let half = count / 2;
    match count.is_power_of_two() {
        true => out.extend(sums.iter().map(|sum| ((sum + half) >> count.trailing_zeros()) as u8)),
        false => out.extend(sums.iter().map(|sum| ((sum + half) / count) as u8)),
    }
}

impl Part {
    /// Draws it from the whole tile.
    pub(crate) fn draw(&self, tile: &Rgb, picture: &mut Rgb, at: (u32, u32)) {
        if self.shrink == 0 {
            return picture.paste(at, tile, (self.x, self.y), (self.width, self.height));
        }
        let end = |start: u32, len: u32, side: u32| ((start + len) << self.shrink).min(side);
        let across = self.x << self.shrink..end(self.x, self.width, tile.width);
        let down = self.y << self.shrink..end(self.y, self.height, tile.height);
        let mut mean = BoxMean::new(across.clone(), down.clone(), 1 << self.shrink);
        mean.add(tile, 0, 0, &across, &down);
        picture.paste(at, &mean.finish(), (0, 0), (self.width, self.height));
    }
}

/// The part `window` of `image` at `width` × `height` pixels, each the mean of what it covers, with its share of pixels
/// that it covers in part. Nothing beyond the window counts, so pictures cut from windows side by side have no seams. An
/// image that has the size already is left as it is.
pub(crate) fn resize(mut image: Rgb, window: Window, width: u32, height: u32) -> Rgb {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-3;
    let fits = near(window.x, 0.0) && near(window.y, 0.0);
    let fits = fits && near(window.width, f64::from(width)) && near(window.height, f64::from(height));
    if fits && (image.width, image.height) == (width, height) {
        return image;
    }
    if image.data.is_empty() {
        return Rgb::white(width, height);
    }
    let is_move = near(window.width, f64::from(width)) && near(window.height, f64::from(height));
    if let Some(by) = Move::of(&image, window, (width, height)).filter(|_| is_move) {
        dispatch!(Level::new(), _ => by.apply(&mut image, width, height));
        return image;
    }
    let mut data = vec![0; width as usize * height as usize * 3];
    let across = covers(window.x, window.width, width, image.width);
    let down = covers(window.y, window.height, height, image.height);
    dispatch!(Level::new(), _ => means(&image, &across, &down, &mut data));
    image.done();
    Rgb { width, height, data }
}

/// The mean of what each pixel of `out` covers: first of rows, for all columns at once, and then of columns, for the
/// three samples of a pixel at once.
#[inline(always)]
fn means(image: &Rgb, across: &[Cover], down: &[Cover], out: &mut [u8]) {
    let row_len = image.width as usize * 3;
    // One more, so that each pixel can be taken as four samples.
    let mut mean_row = vec![0f32; row_len + 1];
    for (cover, out) in down.iter().zip(out.chunks_exact_mut(across.len() * 3)) {
        let rows = image.data.chunks_exact(row_len).skip(cover.first);
        for (index, (row, &share)) in rows.zip(&cover.shares).enumerate() {
            match index {
                0 => mean_row.iter_mut().zip(row).for_each(|(mean, &sample)| *mean = share * f32::from(sample)),
                _ => mean_row.iter_mut().zip(row).for_each(|(mean, &sample)| *mean += share * f32::from(sample)),
            }
        }
        for (cover, out) in across.iter().zip(out.as_chunks_mut::<3>().0) {
            let mut mean = [0.5f32; 4];
            let pixels = mean_row[cover.first * 3..].windows(4).step_by(3);
            for (pixel, share) in pixels.zip(&cover.shares) {
                for (mean, sample) in mean.iter_mut().zip(pixel) {
                    *mean += share * sample;
                }
            }
            *out = [mean[0] as u8, mean[1] as u8, mean[2] as u8];
        }
    }
}

/// A window of pixels as large as the image's, which lie between them: all have the same shares of their neighbours.
#[derive(Debug, Clone, Copy)]
struct Move {
    /// The pixel at the window's corner or before it, across and down.
    first: (usize, usize),
    /// The shares of the pixels to the right and below, of [`Move::WHOLE`].
    shares: (u32, u32),
}

impl Move {
    /// The square of it times the largest sample just fits into 32 bits.
    const WHOLE: u32 = 1 << 12;

    /// How a window of `size` pixels lies in `image`; nothing where it goes beyond.
    fn of(image: &Rgb, window: Window, (width, height): (u32, u32)) -> Option<Self> {
        let side = |start: f64, len: u32, side: u32| {
            let place = (start.max(0.0) * f64::from(Self::WHOLE)).round() as u64;
            let (first, share) = (place / u64::from(Self::WHOLE), (place % u64::from(Self::WHOLE)) as u32);
            let end = first + u64::from(len) + u64::from(share > 0);
            (end <= u64::from(side)).then_some((first as usize, share))
        };
        let (x, right) = side(window.x, width, image.width)?;
        let (y, below) = side(window.y, height, image.height)?;
        Some(Self { first: (x, y), shares: (right, below) })
    }

    /// Makes `image` what is seen of it so, `width` × `height` pixels. That takes no second picture: no row ends behind
    /// the one that it is made of.
    #[inline(always)]
    fn apply(self, image: &mut Rgb, width: u32, height: u32) {
        const HALF: u32 = Move::WHOLE / 2;
        let Self { first: (x, y), shares: (right, below) } = self;
        let (row_len, len) = (image.width as usize * 3, width as usize * 3);
        let (beside, next) = (if right > 0 { 3 } else { 0 }, if below > 0 { row_len } else { 0 });
        let mut mean_row = vec![0; len];
        for row in 0..height as usize {
            let start = (y + row) * row_len + x * 3;
            if (right, below) == (0, 0) {
                image.data.copy_within(start..start + len, row * len);
                continue;
            }
            let (upper, lower) = (&image.data[start..][..len + beside], &image.data[start + next..][..len + beside]);
            match (right, below) {
                // As below, with smaller numbers.
                (HALF, 0) | (0, HALF) => {
                    for ((out, &a), &b) in mean_row.iter_mut().zip(upper).zip(&lower[beside..]) {
                        *out = (u16::from(a) + u16::from(b)).div_ceil(2) as u8;
                    }
                }
                (HALF, HALF) => {
                    let four = upper.iter().zip(lower).zip(upper[beside..].iter().zip(&lower[beside..]));
                    for (out, ((&a, &c), (&b, &d))) in mean_row.iter_mut().zip(four) {
                        let sum = u16::from(a) + u16::from(b) + u16::from(c) + u16::from(d);
                        *out = ((sum + 2) >> 2) as u8;
                    }
                }
                _ => {
                    let four = upper.iter().zip(lower).zip(upper[beside..].iter().zip(&lower[beside..]));
                    for (out, ((&a, &c), (&b, &d))) in mean_row.iter_mut().zip(four) {
                        let down = |up: u8, low: u8| u32::from(up) * (Self::WHOLE - below) + u32::from(low) * below;
                        let sum = down(a, c) * (Self::WHOLE - right) + down(b, d) * right;
                        *out = ((sum + (1 << 23)) >> 24) as u8;
                    }
                }
            }
            image.data[row * len..][..len].copy_from_slice(&mean_row);
        }
        image.data.truncate(len * height as usize);
        (image.width, image.height) = (width, height);
    }
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
    fn a_picture_that_is_only_moved_has_the_means_that_any_other_has() {
        let image = ramp(40, 30);
        for (x, y) in [(0.5, 0.0), (0.25, 0.75), (3.0, 2.5), (7.5, 2.5), (7.1, 0.9), (3.25, 2.0), (4.0, 4.0)] {
            let window = Window { x, y, width: 30.0, height: 20.0 };
            assert!(Move::of(&image, window, (30, 20)).is_some());
            let moved = resize(image.clone(), window, 30, 20);
            let mut means_of_covered = vec![0; 30 * 20 * 3];
            means(&image, &covers(x, 30.0, 30, 40), &covers(y, 20.0, 20, 30), &mut means_of_covered);
            let most = moved.data.iter().zip(&means_of_covered).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(most <= Some(u8::from((x * 4.0).fract() + (y * 4.0).fract() > 0.0)), "{x}, {y}: {most:?}");
        }
        let beyond = Window { x: 10.5, y: 0.0, width: 30.0, height: 20.0 };
        assert!(Move::of(&image, beyond, (30, 20)).is_none());
        assert_eq!(
            resize(Rgb::white(9, 9), Window { x: 0.3, y: 0.6, width: 8.0, height: 8.0 }, 8, 8),
            Rgb::white(8, 8)
        );
    }

    #[test]
    fn white_stays_white_at_every_scale() {
        for count in 1..40 {
            let window = Window { x: 0.3, y: 0.7, width: 36.1, height: 35.3 };
            assert_eq!(resize(Rgb::white(37, 37), window, count, count), Rgb::white(count, count));
        }
    }
}
