//! Pixels between those of a level where the four around them lie in several tiles, or beyond the edge: what is seen there
//! when each tile is painted by itself.
//!
//! OpenSlide 4.0.1 (`read_tiles`, `read_region_area`) paints a level's tiles from the last row up and from the last column
//! to the left, each with nothing around it, by cairo's operator SATURATE: a tile gives what the tiles before it left
//! uncovered. Pixman (`combine_saturate_ca_float`, `float_to_unorm`) does so in 32-bit floats and keeps 8 bits of each
//! channel, of alpha too, from one tile to the next. At the slide's edge something stays uncovered, and white shows through.
//! Knows where tiles meet, but not what they are.

use crate::{
    Rgb,
    between::{Place, UNIT, of_four, step},
};
use std::ops::Range;

/// How one side of a level is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side {
    /// Pixels of the level; above 0.
    pub(crate) len: u32,
    /// Pixels of a tile; above 0.
    pub(crate) tile: u32,
}

/// What a pair of neighbours are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pair {
    /// They lie in one tile.
    One,
    /// Each is in a tile of its own.
    Two,
    /// The second lies beyond the edge.
    Last,
}

impl Side {
    /// The pair that begins at pixel `first`, one of the level's.
    fn pair(self, first: i64) -> Pair {
        match first + 1 {
            second if second >= i64::from(self.len) => Pair::Last,
            second if second % i64::from(self.tile) == 0 => Pair::Two,
            _ => Pair::One,
        }
    }

    /// Which of `count` pixels from `start` lie in the level.
    fn inside(self, start: i64, count: u32) -> Range<usize> {
        let place = |pixel: i64| pixel.saturating_sub(start).clamp(0, i64::from(count)) as usize;
        place(0)..place(i64::from(self.len))
    }
}

/// Paints what `place` [sees](Place::seen) of `pixels` where it is not within one tile. `seen` is that, all of it taken for
/// one tile; `across` and `down` tell how the level is cut.
pub(crate) fn paint(pixels: &Rgb, place: Place, across: Side, down: Side, seen: &mut Rgb) {
    let (right, below) = place.more();
    if (right, below) == (0, 0) || seen.data.is_empty() {
        return;
    }
    let pair = |side: Side, start: i64, index: usize, more: u32| match more {
        0 => Pair::One,
        _ => side.pair(start + index as i64),
    };
    let columns: Vec<(usize, Pair)> =
        across.inside(place.x, seen.width).map(|column| (column, pair(across, place.x, column, right))).collect();
    let cut: Vec<(usize, Pair)> = columns.iter().copied().filter(|(_, pair)| *pair != Pair::One).collect();
    let (row_len, seen_len) = (pixels.width as usize * 3, seen.width as usize * 3);
    for row in down.inside(place.y, seen.height) {
        let vertical = pair(down, place.y, row, below);
        let columns = if vertical == Pair::One { &cut } else { &columns };
        let (upper, lower) = (row * row_len, (row + below as usize) * row_len);
        let shares = [Pair::One, Pair::Two, Pair::Last].map(|horizontal| Parts::new(place, horizontal, vertical));
        for &(column, horizontal) in columns {
            let at = |row: usize, column: usize| -> [u8; 3] {
                pixels.data.get(row + column * 3..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([255; 3])
            };
            let beside = column + right as usize;
            let four = [at(upper, column), at(upper, beside), at(lower, column), at(lower, beside)];
            let start = row * seen_len + column * 3;
            seen.data[start..start + 3].copy_from_slice(&shares[horizontal as usize].painted(four));
        }
    }
}

/// The shares that four pixels have in what is seen between them, tile by tile in the order in which they are painted.
struct Parts {
    shares: [[f32; 4]; 4],
    count: usize,
}

impl Parts {
    fn new(place: Place, horizontal: Pair, vertical: Pair) -> Self {
        // The pixels of each of the tiles, the later tile first; those beyond the edge have none.
        let tiles: fn(Pair) -> &'static [[bool; 2]] = |pair| match pair {
            Pair::One => &[[true, true]],
            Pair::Two => &[[false, true], [true, false]],
            Pair::Last => &[[true, false]],
        };
        let mut parts = Self { shares: [[0.0; 4]; 4], count: 0 };
        let all = place.shares();
        for [upper, lower] in tiles(vertical) {
            for [left, right] in tiles(horizontal) {
                let has = [upper & left, upper & right, lower & left, lower & right];
                for (share, (all, has)) in parts.shares[parts.count].iter_mut().zip(all.into_iter().zip(has)) {
                    *share = if has { all } else { 0.0 };
                }
                parts.count += 1;
            }
        }
        parts
    }

    /// The colour of four pixels' mean, on white.
    fn painted(&self, four: [[u8; 3]; 4]) -> [u8; 3] {
        let (mut colors, mut alpha) = ([0u8; 3], 0u8);
        for &shares in &self.shares[..self.count] {
            let covers = of_four([255; 4], shares);
            let factor = match covers == 0.0 {
                true => 1.0,
                false => ((1.0 - f32::from(alpha) * UNIT) / covers).clamp(0.0, 1.0),
            };
            let saturated = |there: u8, mean: f32| step((mean * factor + f32::from(there) * UNIT).min(1.0));
            for (channel, color) in colors.iter_mut().enumerate() {
                *color = saturated(*color, of_four(four.map(|pixel| pixel[channel]), shares));
            }
            alpha = saturated(alpha, covers);
        }
        // Colours are never above alpha, as they were multiplied by it.
        colors.map(|color| color.saturating_add(255 - alpha))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The grey that is seen of four greys in a row, where the level is cut as `side` says.
    fn seen(place: Place, across: Side, greys: [u8; 4]) -> Vec<u8> {
        let pixels = Rgb { width: 4, height: 1, data: greys.iter().flat_map(|&grey| [grey; 3]).collect() };
        let mut seen = place.seen(&pixels);
        paint(&pixels, place, across, Side { len: 1, tile: 1 }, &mut seen);
        seen.data.into_iter().step_by(3).collect()
    }

    /// By hand. Steps are 1/256: a quarter of 103 is 25.75 of 255, and so 25 of 256 steps, with an alpha of 64; three
    /// quarters of 201 are 150.75, of which 191/255 ÷ 3/4 is what the other leaves uncovered: 150.55 and 25 make 175.55, and
    /// so 176 steps. At once it is 176.5 of 255, and so 177 of 256 steps.
    #[test]
    fn of_two_tiles_each_is_rounded_and_the_left_one_gives_what_the_right_one_left_uncovered() {
        let quarter = Place::new(1, 0, 4.0);
        let one = Side { len: 4, tile: 4 };
        assert_eq!(seen(quarter, one, [0, 201, 103, 0]), [50, 177, 77]);
        assert_eq!(seen(quarter, Side { tile: 2, ..one }, [0, 201, 103, 0]), [50, 176, 77]);
    }

    /// Half of 100 is 50.2 of 256 steps, with an alpha of 128; white shows through 127 of 255.
    #[test]
    fn at_the_edge_the_last_pixel_covers_its_share_and_white_shows_through() {
        let half = Place::new(1, 0, 2.0);
        assert_eq!(seen(half, Side { len: 4, tile: 4 }, [0, 0, 100, 100])[2], 100);
        assert_eq!(seen(half, Side { len: 3, tile: 3 }, [0, 0, 100, 255])[2], 50 + 127);
        assert_eq!(
            seen(half, Side { len: 2, tile: 2 }, [0, 0, 255, 255])[1..],
            [127, 255],
            "beyond it nothing is painted"
        );
    }

    #[test]
    fn four_tiles_of_one_colour_are_one_colour_but_for_a_step() {
        for grey in 0..=255 {
            for fraction in 1..16 {
                let place = Place::new(fraction, 16 - fraction, 16.0);
                let pixels = Rgb { width: 2, height: 2, data: vec![grey; 12] };
                let mut seen = place.seen(&pixels);
                let side = Side { len: 9, tile: 1 };
                paint(&pixels, place, side, side, &mut seen);
                assert!(seen.data.iter().all(|sample| sample.abs_diff(grey) <= 3), "{grey} {fraction} {:?}", seen.data);
            }
        }
    }

    #[test]
    fn where_a_side_is_not_between_pixels_its_tiles_do_not_matter() {
        let place = Place::new(0, 1, 2.0);
        let pixels = Rgb { width: 2, height: 2, data: [[10u8; 6], [200; 6]].concat() };
        let side = |len, tile| Side { len, tile };
        let mut seen = place.seen(&pixels);
        let whole = seen.clone();
        paint(&pixels, place, side(2, 1), side(2, 2), &mut seen);
        assert_eq!(seen, whole);
        paint(&pixels, place, side(2, 2), side(2, 1), &mut seen);
        assert_eq!(seen.data, [105; 6], "100 and 5 steps; at once they are 105");
    }

    #[test]
    fn left_of_the_slide_and_beyond_nothing_is_painted() {
        let place = Place::new(-3, 1, 2.0);
        let pixels = Rgb { width: 3, height: 2, data: vec![255; 18] };
        let mut seen = place.seen(&pixels);
        paint(&pixels, place, Side { len: 1, tile: 1 }, Side { len: 1, tile: 1 }, &mut seen);
        assert_eq!(seen.data, [[255; 3], [255; 3], [255; 3]].concat());
        let far = Place::new(i64::MAX, 1, 2.0);
        let mut seen = far.seen(&pixels);
        paint(&pixels, far, Side { len: 1, tile: 1 }, Side { len: 1, tile: 1 }, &mut seen);
        assert_eq!(seen.data, [255; 9]);
    }
}
