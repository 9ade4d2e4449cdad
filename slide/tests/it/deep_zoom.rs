//! Deep Zoom tiles are those of the slide, at every level.

use crate::common::{
    DEFLATE, FILES, Form, JPEG, image,
    pixels::{decode_jpeg, decode_png, difference, picture, smaller},
};
use microtome_slide::{Rgb, Slide, SlideError, deep_zoom::DeepZoom, encode};
use std::sync::Arc;

const FILE: crate::common::File = FILES[0];

fn slide(compression: u16, tile: u32, steps: &[u32]) -> Slide {
    let top = picture(1000, 700);
    let level = |by: &u32| image(FILE, &smaller(&top, *by), Form::tiles(compression, tile)).described("Aperio");
    Slide::open(Arc::new(FILE.write(&steps.iter().map(level).collect::<Vec<_>>()))).unwrap()
}

/// All tiles of a level put together, without their overlap.
fn whole(zoom: &DeepZoom, slide: &Slide, level: usize, overlap: u32) -> Rgb {
    let (columns, rows) = zoom.grid(level).unwrap();
    let mut whole = Rgb::white(0, 0);
    for row in 0..rows {
        for column in 0..columns {
            let tile = zoom.tile(slide, level, column, row).unwrap();
            let lead = |index: u32| if index > 0 { overlap } else { 0 };
            let (x, y) = (column * zoom.tile_size(), row * zoom.tile_size());
            if whole.data.is_empty() {
                let last = zoom.tile(slide, level, columns - 1, rows - 1).unwrap();
                let side = |count: u32, last: u32| (count - 1) * zoom.tile_size() + last - lead(count - 1);
                whole = Rgb::white(side(columns, last.width), side(rows, last.height));
            }
            whole.paste((x, y), &tile, (lead(column), lead(row)), (zoom.tile_size(), zoom.tile_size()));
        }
    }
    whole
}

#[test]
fn the_descriptor_tells_size_tiles_and_format() {
    let slide = slide(JPEG, 64, &[1]);
    let text = DeepZoom::new(&slide, None, 0).descriptor("jpg");
    for part in ["deepzoom/2008", "TileSize=\"64\"", "Overlap=\"0\"", "Format=\"jpg\"", "Width=\"1000\" Height=\"700\""]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(
        DeepZoom::new(&slide, Some(254), 1).descriptor("png").contains("TileSize=\"254\" Overlap=\"1\" Format=\"png\"")
    );
    assert_eq!(DeepZoom::new(&slide, Some(1 << 20), 0).tile_size(), 2048);
}

#[test]
fn every_level_is_the_mean_of_the_slide() {
    let top = picture(1000, 700);
    for steps in [&[1][..], &[1, 4], &[1, 2, 4, 16]] {
        let slide = slide(DEFLATE, 64, steps);
        for (tile_size, overlap) in [(None, 0), (Some(100), 1), (Some(254), 3)] {
            let zoom = DeepZoom::new(&slide, tile_size, overlap);
            assert_eq!(zoom.levels(), 11);
            assert_eq!(whole(&zoom, &slide, 10, overlap), top);
            let half = whole(&zoom, &slide, 9, overlap);
            assert_eq!(half, smaller(&top, 2), "{steps:?} {tile_size:?}");
            let quarter = whole(&zoom, &slide, 8, overlap);
            assert!(difference(&quarter, &smaller(&top, 4)) < 0.6, "{steps:?} {tile_size:?}");
            // 125 × 88 is no whole part of 1000 × 700: the mean of the picture stays.
            let eighth = whole(&zoom, &slide, 7, overlap);
            assert_eq!((eighth.width, eighth.height), (125, 88));
            let off = difference(&eighth.crop(0, 0, 125, 44), &smaller(&top, 8).crop(0, 0, 125, 44));
            assert!(off < 12.0, "{steps:?} {tile_size:?}: {off}");
            let one = zoom.tile(&slide, 0, 0, 0).unwrap();
            assert_eq!((one.width, one.height), (1, 1));
            let mean = top.data.iter().step_by(3).map(|&v| f64::from(v)).sum::<f64>() / 700_000.0;
            assert!((f64::from(one.data[0]) - mean).abs() < 8.0, "{one:?} {mean}");
        }
    }
}

#[test]
fn whole_tiles_of_the_file_pass_through_and_the_others_are_drawn() {
    let slide = slide(JPEG, 64, &[1, 4]);
    let zoom = DeepZoom::new(&slide, None, 0);
    assert_eq!(zoom.native(10, 3, 2), Some((0, 3, 2)));
    assert_eq!(zoom.native(10, 14, 9), Some((0, 14, 9)));
    assert_eq!(zoom.native(10, 15, 0), None, "the last column is 40 pixels wide");
    assert_eq!(zoom.native(10, 0, 10), None);
    assert_eq!(zoom.native(10, 16, 0), None, "outside");
    assert_eq!(zoom.native(9, 0, 0), None, "the slide has no such level");
    assert_eq!(zoom.native(8, 1, 1), Some((1, 1, 1)));
    assert_eq!(zoom.native(11, 0, 0), None);
    for (level, column, row) in [(10, 3, 2), (8, 1, 1)] {
        let (own, column_own, row_own) = zoom.native(level, column, row).unwrap();
        assert_eq!(zoom.tile(&slide, level, column, row).unwrap(), slide.tile(own, column_own, row_own).unwrap());
    }
    assert_eq!(DeepZoom::new(&slide, None, 1).native(10, 3, 2), None, "overlap");
    assert_eq!(DeepZoom::new(&slide, Some(128), 0).native(10, 1, 1), None, "another size");
    assert!(matches!(zoom.tile(&slide, 10, 16, 0), Err(SlideError::Outside(_))));
    assert!(matches!(zoom.tile(&slide, 11, 0, 0), Err(SlideError::Outside(_))));
}

/// 1001 pixels make 251 at a quarter here and 250 in the file. The column that the file rounded away must not leave a
/// tile without pixels.
#[test]
fn levels_that_the_file_rounded_down_are_used() {
    let top = picture(2049, 1025);
    let level = |by: u32| image(FILE, &smaller(&top, by), Form::tiles(JPEG, 256)).described("Aperio");
    let slide = Slide::open(Arc::new(FILE.write(&[level(1), level(4)]))).unwrap();
    let zoom = DeepZoom::new(&slide, None, 0);
    assert_eq!((slide.levels()[1].width, slide.levels()[1].height), (512, 256));
    let level = zoom.levels() - 3;
    assert_eq!(zoom.grid(level).unwrap(), (3, 2), "513 × 257");
    assert_eq!(zoom.native(level, 0, 0), Some((1, 0, 0)));
    assert_eq!(zoom.native(level, 2, 0), None);
    let edge = zoom.tile(&slide, level, 2, 1).unwrap();
    assert_eq!((edge.width, edge.height), (1, 1));
}

/// A slide of one huge level would have to be read as a whole for its small tiles.
#[test]
fn a_tile_that_costs_too_much_is_refused() {
    let file = crate::common::File { big_endian: false, big: true };
    let side = 1 << 16;
    let mut image = image(file, &picture(256, 256), Form::tiles(JPEG, 256));
    image.tiles = vec![vec![]; 1 << 16];
    let image =
        image.with(256, crate::common::Value::Long(vec![side])).with(257, crate::common::Value::Long(vec![side]));
    let slide = Slide::open(Arc::new(file.write(&[image]))).unwrap();
    let zoom = DeepZoom::new(&slide, None, 0);
    assert!(matches!(zoom.tile(&slide, 0, 0, 0), Err(SlideError::TooLarge(_))));
    assert!(zoom.tile(&slide, 16, 0, 0).is_ok());
    assert_eq!(zoom.native(16, 255, 255), Some((0, 255, 255)));
}

#[test]
fn what_is_encoded_decodes_to_the_same() {
    let picture = picture(250, 130);
    assert!(difference(&decode_jpeg(&encode::jpeg(&picture, 90).unwrap()), &picture) < 4.0);
    assert_eq!(decode_png(&encode::png(&picture).unwrap()), picture);
    let gray: Vec<u8> = (0..200).collect();
    let back = decode_png(&encode::png_gray(20, 10, &gray).unwrap());
    assert_eq!(back.data, gray.iter().flat_map(|&v| [v; 3]).collect::<Vec<_>>());
    assert!(encode::png_gray(20, 11, &gray).is_err());
    assert!(encode::png(&Rgb::white(0, 0)).is_err() && encode::jpeg(&Rgb::white(0, 0), 80).is_err());
    assert!(matches!(encode::jpeg(&Rgb::white(1 << 16, 1), 80), Err(SlideError::TooLarge(_))));
}
