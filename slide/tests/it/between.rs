//! Regions whose corner lies between pixels of their level: what OpenSlide shows there, which is a mean of four.

use crate::common::{
    DEFLATE, FILES, Form, image,
    pixels::{at, picture, smaller},
};
use microtome_slide::{Rgb, Slide};
use std::{collections::BTreeMap, sync::Arc};

/// Side of the tiles.
const TILE: u32 = 16;

/// A slide of levels that are 1, 2 and 4 times smaller, in tiles of 16 pixels, and its levels.
fn made() -> (Slide, [Rgb; 3]) {
    let top = picture(400, 240);
    let levels = [top.clone(), smaller(&top, 2), smaller(&top, 4)];
    let described = "Aperio Image Library v11.2.1 \r\n400x240 [0,0 400x240] (16x16)|AppMag = 20";
    let images: Vec<_> =
        levels.iter().map(|level| image(FILES[0], level, Form::tiles(DEFLATE, TILE)).described(described)).collect();
    (Slide::open(Arc::new(FILES[0].write(&images))).unwrap(), levels)
}

/// What may be seen at `x`, `y`, in quarters of a pixel. A tile has its share of the mean of the four pixels around; tiles
/// are painted from the last to the first, each where those before it left something uncovered; alpha has as many steps
/// as colours, and what stays uncovered is white.
fn seen(level: &Rgb, x: u32, y: u32, channel: usize) -> Vec<u8> {
    let pair = |at: u32| [(at / 4, f64::from(4 - at % 4) / 4.0), (at / 4 + 1, f64::from(at % 4) / 4.0)];
    let mut tiles = BTreeMap::<_, (f64, f64)>::new();
    for ((y, down), (x, across)) in pair(y).into_iter().flat_map(|down| pair(x).map(|across| (down, across))) {
        let share = down * across;
        if share > 0.0 && x < level.width && y < level.height {
            let (color, alpha) = tiles.entry((y / TILE, x / TILE)).or_default();
            *color += share * f64::from(at(level, x, y)[channel]) / 255.0;
            *alpha += share;
        }
    }
    let mut painted = vec![(0, 0)];
    for (color, alpha) in tiles.into_values().rev() {
        let onto = |(there, covered): (u8, u8)| {
            let share = ((1.0 - f64::from(covered) / 255.0) / alpha).min(1.0);
            let all = move |there: u8, more: f64| steps(f64::from(there) / 255.0 + share * more);
            all(there, color).flat_map(move |color| all(covered, alpha).map(move |alpha| (color, alpha)))
        };
        painted = painted.into_iter().flat_map(onto).collect();
    }
    painted.into_iter().map(|(color, alpha)| color.saturating_add(255 - alpha)).collect()
}

/// Steps from black to white are 256 and equal, so it is not rounded to the nearest. On the very step both will do.
fn steps(value: f64) -> impl Iterator<Item = u8> {
    let step = |value: f64| (value * 256.0).floor().min(255.0) as u8;
    step(value - 1e-6)..=step(value + 1e-6)
}

#[test]
fn halves_and_quarters_of_a_pixel_show_the_mean_of_four_across_tiles_and_the_edge() {
    let (slide, levels) = made();
    for (level, by) in [(1, 2), (2, 4)] {
        let picture = &levels[level];
        let (right, lower) = (400 - 20 * by, 240 - 20 * by);
        for (x, y) in [(1, 0), (0, 1), (1, 1), (3, 1), (2, 3), (5 * by + 1, 7 * by + 1), (right + 1, lower + 1)] {
            let region = slide.region(x.into(), y.into(), level, 40, 35).unwrap();
            assert_eq!((region.width, region.height), (40, 35));
            let quarters = |at: u32| at * 4 / by;
            for (column, row) in (0..35).flat_map(|row| (0..40).map(move |column| (column, row))) {
                for (channel, shown) in at(&region, column, row).into_iter().enumerate() {
                    let may_be = seen(picture, quarters(x) + column * 4, quarters(y) + row * 4, channel);
                    assert!(may_be.contains(&shown), "{x}, {y} at {level}: {shown} at {column}, {row} for {may_be:?}");
                }
            }
        }
    }
}

#[test]
fn left_of_the_slide_and_above_it_the_fraction_is_cut_off() {
    let (slide, levels) = made();
    let region = slide.region(-7, -3, 2, 20, 20).unwrap();
    let mut want = Rgb::white(20, 20);
    want.paste((1, 0), &levels[2], (0, 0), (19, 20));
    assert_eq!(region, want, "1.75 and 0.75 pixels");
    let region = slide.region(-7, 2, 2, 20, 20).unwrap();
    for (column, row) in (0..20).flat_map(|row| (1..20).map(move |column| (column, row))) {
        let may_be = seen(&levels[2], (column - 1) * 4, row * 4 + 2, 0);
        assert!(may_be.contains(&at(&region, column, row)[0]), "{column}, {row}: the other side is left alone");
    }
}

#[test]
fn a_region_in_pixels_of_its_level_shows_them_as_they_are() {
    let (slide, levels) = made();
    assert_eq!(slide.level_region(7, 9, 2, 50, 40).unwrap(), levels[2].crop(7, 9, 50, 40));
    assert_eq!(slide.level_region(7, 9, 2, 50, 40).unwrap(), slide.region(28, 36, 2, 50, 40).unwrap());
    let mut want = Rgb::white(20, 20);
    want.paste((0, 0), &levels[1], (190, 110), (20, 20));
    assert_eq!(slide.level_region(190, 110, 1, 20, 20).unwrap(), want, "white beyond the edge");
    assert_eq!(slide.level_region(u64::MAX, 0, 1, 3, 3).unwrap(), Rgb::white(3, 3));
}
