//! A slide like Aperio's: what is found in it, its native tiles, regions at all levels, and holes.

use crate::common::{
    DEFLATE, FILES, Form, Image, JPEG, LZW, NONE, Value, image,
    pixels::{alike, at, decode_jpeg, difference, farthest, picture, read_jpeg, smaller},
};
use microtome_slide::{Compression, Rgb, Slide, SlideError};
use std::sync::Arc;

const DESCRIPTION: &str = "Aperio Image Library v11.2.1 \r\n1000x700 [0,0 1000x700] (240x240) JPEG/RGB Q=30\
    |AppMag = 20|MPP = 0.4990|ScanScope ID = CPAPERIOCS|Empty = |OriginalWidth = 1|OriginalWidth = 2";
const FILE: crate::common::File = FILES[0];

struct Made {
    levels: Vec<Rgb>,
    images: Vec<Image>,
}

/// Level 0, thumbnail, two levels, label and macro, in the order of the scanner.
fn made(compression: u16, ycbcr: bool) -> Made {
    let top = picture(1000, 700);
    let levels = vec![top.clone(), smaller(&top, 4), smaller(&top, 16)];
    let form = Form { ycbcr, ..Form::tiles(compression, 64) };
    let level = |index: usize| image(FILE, &levels[index], form).described(DESCRIPTION);
    let images = vec![
        level(0),
        image(FILE, &smaller(&top, 10), Form::strips(JPEG, 16))
            .described("Aperio Image Library \r\n1000x700 -> 100x70 - "),
        level(1),
        level(2),
        image(FILE, &picture(40, 50), Form { predictor: true, ..Form::strips(LZW, 7) })
            .described("Aperio Image Library v11.2.1 \r\nlabel 40x50")
            .with(254, Value::Long(vec![1])),
        image(FILE, &picture(130, 45), Form::strips(JPEG, 16))
            .described("Aperio Image Library v11.2.1 \nmacro 130x45")
            .with(254, Value::Long(vec![9])),
    ];
    Made { levels, images }
}

fn open(images: &[Image]) -> Slide {
    Slide::open(Arc::new(FILE.write(images))).unwrap()
}

#[test]
fn levels_associated_images_and_properties_are_found() {
    let made = made(JPEG, false);
    let slide = open(&made.images);
    assert_eq!((slide.vendor(), slide.mpp(), slide.objective_power()), ("aperio", Some((0.499, 0.499)), Some(20.0)));
    let sizes: Vec<_> = slide.levels().iter().map(|l| (l.width, l.height, l.columns, l.rows)).collect();
    assert_eq!(sizes, [(1000, 700, 16, 11), (250, 175, 4, 3), (62, 43, 1, 1)]);
    assert_eq!(slide.levels()[1].downsample, 4.0);
    assert_eq!(slide.levels()[2].downsample, (1000.0 / 62.0 + 700.0 / 43.0) / 2.0);
    assert!(slide.levels().iter().all(|level| level.native && level.compression == Compression::Jpeg));
    let associated: Vec<_> = slide.associated().iter().map(|a| (a.name.as_str(), a.width, a.height)).collect();
    assert_eq!(associated, [("thumbnail", 100, 70), ("label", 40, 50), ("macro", 130, 45)]);
    let property = |name: &str| slide.properties().get(name).map(String::as_str);
    assert_eq!(property("aperio.AppMag"), Some("20"));
    assert_eq!(property("aperio.ScanScope ID"), Some("CPAPERIOCS"));
    assert_eq!(property("aperio.Empty"), Some(""));
    assert_eq!(property("aperio.OriginalWidth"), Some("2"), "the last one counts");
    assert_eq!(property("openslide.mpp-x"), Some("0.499"));
    assert_eq!(property("openslide.level[1].tile-width"), Some("64"));
    assert_eq!(property("openslide.comment"), Some(DESCRIPTION));
    assert_eq!(slide.associated_image("label").unwrap(), picture(40, 50));
    assert!(difference(&slide.associated_image("macro").unwrap(), &picture(130, 45)) < 2.0);
    assert!(matches!(slide.associated_image("barcode"), Err(SlideError::Outside(_))));
}

#[test]
fn native_tiles_end_with_the_files_own_bytes_and_decode_to_the_same_pixels() {
    for ycbcr in [false, true] {
        let made = made(JPEG, ycbcr);
        let bytes = FILE.write(&made.images);
        let slide = Slide::open(Arc::new(bytes.clone())).unwrap();
        let before = b"what was there before".to_vec();
        for (level, image) in [0, 2, 3].into_iter().enumerate() {
            for (index, tile) in made.images[image].tiles.iter().enumerate() {
                let columns = slide.levels()[level].columns;
                let (column, row) = (index as u32 % columns, index as u32 / columns);
                let mut out = before.clone();
                assert!(slide.native_tile(&bytes, level, column, row, &mut out).unwrap());
                let native = out.strip_prefix(before.as_slice()).unwrap();
                assert!(native.starts_with(&[0xff, 0xd8]) && native.ends_with(&tile[2..]));
                assert_eq!(native.windows(5).any(|part| part == b"Adobe"), !ycbcr);
                let own = slide.tile(level, column, row).unwrap();
                assert_eq!(read_jpeg(native), own);
                let shown = decode_jpeg(native);
                assert!(alike(&shown, &own) && (ycbcr || farthest(&shown, &own) <= 1));
                assert_eq!((own.width, own.height), (64, 64), "edge tiles come padded");
            }
        }
    }
}

#[test]
fn what_no_browser_shows_at_the_tiles_size_is_not_native() {
    let small = picture(64, 64);
    let slide = |tile: Vec<u8>| {
        let mut image = image(FILE, &small, Form::tiles(JPEG, 64)).described("Aperio");
        image.tiles = vec![tile];
        let bytes = FILE.write(&[image]);
        (Slide::open(Arc::new(bytes.clone())).unwrap(), bytes)
    };
    let good = crate::common::pixels::jpeg_tile(&small, false).1;
    let sof = good.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let changed = |at: usize, byte: u8| {
        let mut tile = good.clone();
        tile[at] = byte;
        tile
    };
    let cases = [
        ("no SOI", changed(0, 0)),
        ("progressive", changed(sof + 1, 0xc2)),
        ("12 bits", changed(sof + 4, 12)),
        ("another width", changed(sof + 8, 63)),
        ("two components", changed(sof + 9, 2)),
        ("no bytes", vec![]),
        ("a few bytes", good[..20].to_vec()),
    ];
    for (what, tile) in cases {
        let (slide, bytes) = slide(tile);
        let mut out = vec![1, 2, 3];
        assert!(!slide.native_tile(&bytes, 0, 0, 0, &mut out).unwrap(), "{what}");
        assert_eq!(out, [1, 2, 3], "{what}");
    }
    let (slide, bytes) = slide(good);
    assert!(slide.native_tile(&bytes, 0, 0, 0, &mut Vec::new()).unwrap());
    for (level, column, row) in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, u32::MAX, u32::MAX)] {
        let native = slide.native_tile(&bytes, level, column, row, &mut Vec::new());
        assert!(matches!(native, Err(SlideError::Outside(_))), "{level}: {column}, {row}");
        assert!(matches!(slide.tile(level, column, row), Err(SlideError::Outside(_))), "{level}: {column}, {row}");
    }
}

#[test]
fn regions_are_cut_from_all_levels_and_white_outside() {
    let made = made(DEFLATE, false);
    let slide = open(&made.images);
    let levels = slide.levels();
    for (x, y, level, width, height) in [
        (0, 0, 0, 1000, 700),
        (333, 123, 0, 200, 300),
        (-30, -20, 0, 100, 90),
        (950, 650, 0, 100, 100),
        (0, 0, 1, 260, 180),
        (-10, -10, 0, 1100, 800),
        (400, 200, 1, 150, 200),
        (404, 204, 1, 20, 20),
        (0, 0, 2, 70, 50),
        (-500, -300, 2, 80, 80),
        (5000, 5000, 1, 30, 20),
        (-5000, 0, 0, 30, 20),
        (i64::MIN, i64::MAX, 0, 3, 3),
    ] {
        let region = slide.region(x, y, level, width, height).unwrap();
        assert_eq!((region.width, region.height), (width, height));
        let place = |at: i64| (at as f64 / levels[level].downsample).trunc() as i64;
        let (left, top) = (place(x), place(y));
        let whole = &made.levels[level];
        for row in 0..height {
            for column in 0..width {
                let (from_x, from_y) = (left.saturating_add(column.into()), top.saturating_add(row.into()));
                let inside =
                    (0..i64::from(whole.width)).contains(&from_x) && (0..i64::from(whole.height)).contains(&from_y);
                let want = if inside { at(whole, from_x as u32, from_y as u32) } else { [255; 3] };
                assert_eq!(at(&region, column, row), want, "{x}, {y} at {level}: {column}, {row}");
            }
        }
    }
    assert!(slide.region(0, 0, 0, 0, 10).unwrap().data.is_empty());
    assert!(matches!(slide.region(0, 0, 3, 10, 10), Err(SlideError::Outside(_))));
    assert!(matches!(slide.region(0, 0, 0, 1 << 14, (1 << 12) + 1), Err(SlideError::TooLarge(_))));
    assert!(matches!(slide.region(0, 0, 0, u32::MAX, u32::MAX), Err(SlideError::TooLarge(_))));
}

/// Aperio's encoder leaves tiles out now and then, with a length of 0. Black holes looked like artefacts of the tissue.
#[test]
fn a_missing_tile_is_drawn_from_the_level_above_and_white_at_the_top() {
    let mut made = made(DEFLATE, false);
    made.images[0].tiles[0].clear();
    made.images[0].tiles[10 * 16 + 15].clear();
    made.images[2].tiles[4 + 2].clear();
    made.images[3].tiles[0].clear();
    let slide = open(&made.images);
    assert_eq!(slide.tile(0, 0, 0).unwrap(), Rgb::white(64, 64));
    assert_eq!(slide.tile(0, 15, 10).unwrap(), Rgb::white(64, 64));
    assert_eq!(at(&slide.region(0, 0, 0, 70, 70).unwrap(), 63, 63), [255; 3]);
    assert_ne!(at(&slide.region(0, 0, 0, 70, 70).unwrap(), 64, 64), [255; 3]);
    // The tile at column 2 and row 1 of level 1.
    let filled = slide.tile(1, 2, 1).unwrap();
    assert_eq!(filled, made.levels[1].crop(128, 64, 64, 64), "the mean of 4 × 4 pixels each");
    // Level 2 has one tile, whose source has holes of its own.
    let filled = slide.tile(2, 0, 0).unwrap();
    assert_eq!((filled.width, filled.height), (64, 64));
    assert_eq!(at(&filled, 63, 63), [255; 3], "padding");
    assert_eq!(at(&filled, 2, 2), [255; 3], "a hole of level 0");
    let far = difference(&filled.crop(5, 5, 50, 30), &below_whole_levels(DEFLATE).crop(5, 5, 50, 30));
    assert!(far < 1.0, "as if level 1 had no holes: {far}");
    let bytes = FILE.write(&made.images);
    assert!(!slide.native_tile(&bytes, 0, 0, 0, &mut Vec::new()).unwrap());
}

/// The one tile of level 2, drawn from a level 1 without holes.
fn below_whole_levels(compression: u16) -> Rgb {
    let mut made = made(compression, false);
    made.images[3].tiles[0].clear();
    open(&made.images).tile(2, 0, 0).unwrap()
}

/// Tiles that lie over a hole were shown as the file has them, which is black or another place at times.
#[test]
fn a_tile_over_a_hole_is_not_trusted_and_drawn_from_the_level_above() {
    for compression in [DEFLATE, JPEG] {
        let mut made = made(compression, false);
        made.images[0].tiles[6 * 16 + 5].clear();
        let (over, wrong) = (made.images[2].tiles[0].clone(), made.images[2].tiles[11].clone());
        made.images[2].tiles[4 + 1] = wrong;
        made.images[3].tiles[0] = over;
        let (slide, bytes) = (open(&made.images), FILE.write(&made.images));
        let off = |tile: &Rgb, (x, y): (u32, u32), (width, height): (u32, u32)| {
            difference(&tile.crop(x, y, width, height), &made.levels[1].crop(64 + x, 64 + y, width, height))
        };
        // The tile at column 1 and row 1 of level 1, a sixteenth of which is the hole.
        let tile = slide.tile(1, 1, 1).unwrap();
        assert_eq!((at(&tile, 17, 33), at(&tile, 30, 46)), ([255; 3], [255; 3]));
        assert!(off(&tile, (0, 0), (64, 32)) < 4.0 && off(&tile, (32, 0), (32, 64)) < 4.0);
        assert_eq!(slide.region(256, 256, 1, 64, 64).unwrap(), tile);
        let tile = slide.tile(2, 0, 0).unwrap();
        assert_eq!(at(&tile, 22, 26), [255; 3]);
        let far = difference(&tile.crop(0, 0, 62, 22), &below_whole_levels(compression).crop(0, 0, 62, 22));
        assert!(far < 2.0, "{far}");
        for (level, column, row, native) in
            [(0, 5, 5, true), (1, 0, 0, true), (1, 2, 1, true), (1, 1, 1, false), (2, 0, 0, false)]
        {
            let passed = slide.native_tile(&bytes, level, column, row, &mut Vec::new()).unwrap();
            assert_eq!(passed, native && compression == JPEG, "{level}: {column}, {row}");
        }
        assert!(matches!(slide.native_tile(&bytes, 1, 4, 0, &mut Vec::new()), Err(SlideError::Outside(_))));
    }
}

/// Filling holes from levels that have holes themselves must not cost without end.
#[test]
fn of_many_holes_below_a_hole_only_a_few_are_filled() {
    let mut made = made(DEFLATE, false);
    made.images[2].tiles.iter_mut().for_each(Vec::clear);
    let tile = open(&made.images).tile(2, 0, 0).unwrap();
    assert_ne!(at(&tile, 40, 8), [255; 3]);
    assert_eq!((at(&tile, 56, 8), at(&tile, 10, 30)), ([255; 3], [255; 3]));
}

#[test]
fn a_damaged_tile_spoils_its_own_place_only() {
    let mut made = made(JPEG, false);
    let tile = &mut made.images[0].tiles[17];
    tile.truncate(tile.len() / 2);
    let slide = open(&made.images);
    assert!(matches!(slide.tile(0, 1, 1), Err(SlideError::Damaged(_))));
    assert!(matches!(slide.region(100, 100, 0, 10, 10), Err(SlideError::Damaged(_))));
    assert!(slide.tile(0, 0, 0).is_ok() && slide.region(500, 500, 0, 100, 100).is_ok());
}

#[test]
fn planes_of_focus_are_no_levels_and_a_label_that_cannot_be_read_is_left_out() {
    let mut made = made(NONE, false);
    made.images.insert(3, made.images[2].clone());
    made.images[5] = made.images[5].clone().with(259, Value::Short(vec![34925]));
    let slide = open(&made.images);
    assert_eq!(slide.levels().len(), 3);
    let names: Vec<_> = slide.associated().iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["thumbnail", "macro"]);
}

#[test]
fn an_icc_profile_is_given_as_it_is() {
    let profile = vec![7; 3000];
    let image = image(FILE, &picture(64, 64), Form::tiles(NONE, 64));
    let slide = open(&[image.clone().with(34675, Value::Bytes(profile.clone()))]);
    assert_eq!(slide.icc_profile().unwrap(), Some(profile));
    assert_eq!(open(&[image]).icc_profile().unwrap(), None);
}
