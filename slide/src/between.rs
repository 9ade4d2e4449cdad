//! Pixels between those of a level: where in a level a place of level 0 lies, and what is seen there.
//!
//! The numbers are those of OpenSlide 4.0.1, so that its regions and ours are the same. It has cairo draw the level's tiles
//! moved by a fraction of a pixel. Cairo (`_cairo_matrix_is_pixel_exact`) takes a move for whole where both sides, as
//! multiples of 1/256, are; else it hands pixman the move as a multiple of 1/65536, rounded to even, and pixman
//! (`bilinear_interpolation_float`, `float_to_unorm`) takes the mean of four pixels in 32-bit floats, and of its 256 equal
//! steps from black to white the one that it falls into. Nothing here knows tiles; what is seen across them is for
//! [`seams`](crate::seams).

use crate::Rgb;
use fearless_simd::{Level, dispatch};

/// A place in a level: the pixel there or before, and how far beyond it, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) x: i64,
    pub(crate) y: i64,
    /// How far to the right of `x`.
    across: f32,
    /// How far below `y`.
    down: f32,
}

impl Place {
    /// A pixel itself.
    pub(crate) fn whole(x: i64, y: i64) -> Self {
        Self { x, y, across: 0.0, down: 0.0 }
    }

    /// The pixel `x`, `y` of level 0 in a level that is `downsample` times smaller. Left of the slide and above it the
    /// fraction is cut off, as OpenSlide does.
    pub(crate) fn new(x: i64, y: i64, downsample: f64) -> Self {
        let split = |value: i64| {
            // Beyond 2^40 everything is outside, and sums cannot overflow.
            let place = (value as f64 / downsample).clamp(-(2f64.powi(40)), 2f64.powi(40));
            match value < 0 {
                true => (place.trunc(), 0.0),
                false => (place.floor(), place - place.floor()),
            }
        };
        let ((x, across), (y, down)) = (split(x), split(y));
        let is_whole = |fraction: f64| (fraction * 256.0).round_ties_even() % 256.0 == 0.0;
        if is_whole(across) && is_whole(down) {
            return Self::whole((x + across.round()) as i64, (y + down.round()) as i64);
        }
        let fixed = |fraction: f64| ((fraction * 65536.0).round_ties_even() / 65536.0) as f32;
        Self { x: x as i64, y: y as i64, across: fixed(across), down: fixed(down) }
    }

    /// What each of four pixels has in their mean: the place's own, to the right, below, and both. Sums of floats depend on
    /// the order, which is pixman's.
    pub(crate) fn shares(self) -> [f32; 4] {
        let Self { across, down, .. } = self;
        [(1.0 - across) * (1.0 - down), across * (1.0 - down), (1.0 - across) * down, across * down]
    }

    /// How many pixels more than shown it takes to the right and below.
    pub(crate) fn more(self) -> (u32, u32) {
        (u32::from(self.across > 0.0), u32::from(self.down > 0.0))
    }

    /// What is seen from here, where `pixels` has what [`more`](Self::more) it takes and all are of one tile.
    pub(crate) fn seen(self, pixels: &Rgb) -> Rgb {
        let (right, below) = self.more();
        let (width, height) = (pixels.width.saturating_sub(right), pixels.height.saturating_sub(below));
        let mut seen = Rgb::white(width, height);
        if !seen.data.is_empty() {
            dispatch!(Level::new(), _ => means(pixels, self, &mut seen));
        }
        seen
    }
}

/// What an 8-bit sample counts.
pub(crate) const UNIT: f32 = 1.0 / 255.0;

/// The mean of four samples, from 0 to 1.
#[inline(always)]
pub(crate) fn of_four([a, b, c, d]: [u8; 4], shares: [f32; 4]) -> f32 {
    let share = |sample: u8, share: f32| f32::from(sample) * UNIT * share;
    share(a, shares[0]) + share(b, shares[1]) + share(c, shares[2]) + share(d, shares[3])
}

/// Of 256 equal steps from 0 to 1 the one that `value` falls into.
#[inline(always)]
pub(crate) fn step(value: f32) -> u8 {
    (value * 256.0) as u8
}

/// Each sample the mean of four: its own place, to the right, below, and both.
#[inline(always)]
fn means(pixels: &Rgb, place: Place, seen: &mut Rgb) {
    let shares = place.shares();
    let (right, below) = place.more();
    let (row_len, len) = (pixels.width as usize * 3, seen.width as usize * 3);
    let row_at = |row: usize| &pixels.data[row * row_len..][..row_len];
    for (index, out) in seen.data.chunks_exact_mut(len).enumerate() {
        let (upper, lower) = (row_at(index), row_at(index + below as usize));
        let beside = right as usize * 3;
        let four = upper.iter().zip(&upper[beside..]).zip(lower.iter().zip(&lower[beside..]));
        for (out, ((&a, &b), (&c, &d))) in out.iter_mut().zip(four) {
            *out = step(of_four([a, b, c, d], shares));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, samples: &[u8]) -> Rgb {
        Rgb { width, height, data: samples.iter().flat_map(|&sample| [sample; 3]).collect() }
    }

    fn seen(place: Place, width: u32, height: u32, samples: &[u8]) -> Vec<u8> {
        place.seen(&grey(width, height, samples)).data.into_iter().step_by(3).collect()
    }

    #[test]
    fn a_place_is_a_pixel_and_a_fraction_and_whole_within_a_512th() {
        let place = |x: i64, y: i64, across: f32, down: f32| Place { x, y, across, down };
        assert_eq!(Place::new(5, 6, 4.0), place(1, 1, 0.25, 0.5));
        assert_eq!(Place::new(8, 12, 4.0), Place::whole(2, 3));
        assert_eq!(Place::new(1, 0, 3.0), place(0, 0, (21845.0 / 65536.0) as f32, 0.0), "a multiple of 1/65536");
        assert_eq!(Place::new(1, 511, 512.0), Place::whole(0, 1), "a 512th from the first and from the second");
        assert_eq!(Place::new(2, 0, 512.0), place(0, 0, 2.0 / 512.0, 0.0));
        assert_eq!(Place::new(1, 256, 512.0), place(0, 0, 1.0 / 512.0, 0.5), "both sides or none");
        assert_eq!(Place::new(512 * 7 + 1, 512 * 3 - 1, 512.0), Place::whole(7, 3));
    }

    #[test]
    fn left_of_the_slide_and_above_it_the_fraction_is_cut_off() {
        assert_eq!(Place::new(-1, -4, 4.0), Place::whole(0, -1));
        assert_eq!(Place::new(-7, 6, 4.0), Place { x: -1, y: 1, across: 0.0, down: 0.5 });
        assert_eq!(Place::new(i64::MIN, i64::MAX, 1.0), Place::whole(-1 << 40, 1 << 40));
    }

    /// By hand: the mean, times 256/255, rounded down. 150 is shown as 150 and 150.5 as 151, but 50.5 as 50.
    #[test]
    fn halves_and_quarters_are_the_mean_of_their_neighbours() {
        let half = Place::new(1, 0, 2.0);
        assert_eq!(half.more(), (1, 0));
        assert_eq!(seen(half, 4, 1, &[100, 200, 101, 0]), [150, 151, 50]);
        let quarter = Place::new(0, 1, 4.0);
        assert_eq!(quarter.more(), (0, 1));
        assert_eq!(seen(quarter, 1, 3, &[100, 200, 0]), [125, 150]);
        let both = Place::new(1, 2, 4.0);
        assert_eq!(both.more(), (1, 1));
        assert_eq!(seen(both, 2, 2, &[0, 80, 160, 240]), [100], "10 of 80, 60 of 160, 30 of 240");
    }

    #[test]
    fn what_is_flat_stays_as_it_is_at_every_fraction() {
        for sample in 0..=255 {
            for fraction in 0..64 {
                let place = Place::new(fraction, 63 - fraction, 64.0);
                let (right, below) = place.more();
                let samples = vec![sample; ((20 + right) * (2 + below)) as usize];
                assert_eq!(seen(place, 20 + right, 2 + below, &samples), [sample; 40], "{fraction}");
            }
        }
    }

    #[test]
    fn a_whole_place_shows_the_pixels_themselves_and_nothing_shows_nothing() {
        let pixels = grey(2, 2, &[1, 2, 3, 4]);
        assert_eq!(Place::whole(5, 5).seen(&pixels), pixels);
        assert_eq!(Place::new(1, 1, 2.0).seen(&grey(1, 3, &[1, 2, 3])), grey(0, 2, &[]));
    }
}
