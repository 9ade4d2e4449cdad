//! Regions whose corner lies between pixels of their level: what OpenSlide shows there, which is a mean of four.

use crate::common::{
    DEFLATE, FILES, Form, image,
    pixels::{at, picture, smaller},
};
use microtome_slide::{Rgb, Slide};
use std::sync::Arc;

/// A slide of levels that are 1, 2 and 4 times smaller, in tiles of 16 pixels, and its levels.
fn made() -> (Slide, [Rgb; 3]) {
    let top = picture(400, 240);
    let levels = [top.clone(), smaller(&top, 2), smaller(&top, 4)];
    let described = "Aperio Image Library v11.2.1 \r\n400x240 [0,0 400x240] (16x16)|AppMag = 20";
    let images: Vec<_> =
        levels.iter().map(|level| image(FILES[0], level, Form::tiles(DEFLATE, 16)).described(described)).collect();
    (Slide::open(Arc::new(FILES[0].write(&images))).unwrap(), levels)
}

/// The sample in quarters of a pixel from `x`, `y`, white beyond the edge: in sixteenths, as whole numbers.
fn sixteenths(level: &Rgb, x: u32, y: u32, channel: usize) -> u32 {
    let (across, down) = (x % 4, y % 4);
    let sample = |x: u32, y: u32| match x < level.width && y < level.height {
        true => u32::from(at(level, x, y)[channel]),
        false => 255,
    };
    let (x, y) = (x / 4, y / 4);
    let row = |y: u32| sample(x, y) * (4 - across) + sample(x + 1, y) * across;
    row(y) * (4 - down) + row(y + 1) * down
}

/// Steps from black to white are 256 and equal, so it is not rounded to the nearest. On the very step both will do.
fn is_shown(sixteenths: u32, shown: u8) -> bool {
    let step = (sixteenths * 16 / 255).min(255);
    let on_step = (sixteenths * 16).is_multiple_of(255);
    u32::from(shown) == step || on_step && u32::from(shown) + 1 == step
}

/// Across tiles and the edge each tile's part is rounded by itself, and there are up to four.
fn is_about(sixteenths: u32, shown: u8) -> bool {
    u32::from(shown).abs_diff((sixteenths * 16 / 255).min(255)) <= 3
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
                let beyond = |at: u32, more: u32, side: u32| quarters(at) / 4 + more >= side;
                let outside = beyond(x, column, picture.width) || beyond(y, row, picture.height);
                let meets = |at: u32, more: u32, side: u32| {
                    let second = quarters(at) / 4 + more + 1;
                    quarters(at) % 4 > 0 && (second.is_multiple_of(16) || second >= side)
                };
                let is_seam = meets(x, column, picture.width) || meets(y, row, picture.height);
                for (channel, shown) in at(&region, column, row).into_iter().enumerate() {
                    let mean = sixteenths(picture, quarters(x) + column * 4, quarters(y) + row * 4, channel);
                    let what = format!("{x}, {y} at {level}: {shown} at {column}, {row} for {mean}/16");
                    let is_right = match (outside, is_seam) {
                        (true, _) => shown == 255,
                        (false, true) => is_about(mean, shown),
                        (false, false) => is_shown(mean, shown),
                    };
                    assert!(is_right, "{what}");
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
        let mean = sixteenths(&levels[2], (column - 1) * 4, row * 4 + 2, 0);
        let shown = at(&region, column, row)[0];
        let is_right = if (row + 1).is_multiple_of(16) { is_about(mean, shown) } else { is_shown(mean, shown) };
        assert!(is_right, "{column}, {row}: the other side is left alone");
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
