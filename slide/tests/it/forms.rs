//! Every form of pixels that is read comes out as it went in; every other is refused by its name.

use crate::common::{
    DEFLATE, FILES, File, Form, Image, JPEG, LZW, NONE, OLD_DEFLATE, Value, compress, image,
    pixels::{difference, jpeg, picture},
};
use microtome_slide::{Rgb, Slide, SlideError};
use std::sync::Arc;

fn open(bytes: Vec<u8>) -> Result<Slide, SlideError> {
    Slide::open(Arc::new(bytes))
}

fn whole(slide: &Slide) -> Rgb {
    let level = &slide.levels()[0];
    slide.region(0, 0, 0, level.width as u32, level.height as u32).unwrap()
}

#[test]
fn lossless_pixels_come_back_exactly_from_every_form() {
    let picture = picture(150, 101);
    for file in FILES {
        for compression in [NONE, LZW, DEFLATE, OLD_DEFLATE] {
            for (predictor, wide) in [(false, false), (true, false), (false, true), (true, true)] {
                for form in [Form::tiles(compression, 64), Form::strips(compression, 17)] {
                    let predictor = predictor && compression != NONE;
                    let form = Form { predictor, wide, ..form };
                    let slide = open(file.write(&[image(file, &picture, form)])).unwrap();
                    assert_eq!(whole(&slide), picture, "{file:?} {form:?}");
                    assert_eq!(slide.vendor(), "generic-tiff");
                    assert!(!slide.levels()[0].native);
                }
            }
        }
    }
}

#[test]
fn jpeg_pixels_come_back_nearly_in_both_kinds_of_colours() {
    let picture = picture(150, 101);
    for file in FILES {
        for (ycbcr, limit) in [(false, 2.0), (true, 4.0)] {
            for form in [Form::tiles(JPEG, 64), Form { tile_width: 48, tile_height: 32, ..Form::tiles(JPEG, 0) }] {
                let form = Form { ycbcr, ..form };
                let slide = open(file.write(&[image(file, &picture, form)])).unwrap();
                let off = difference(&whole(&slide), &picture);
                assert!(off < limit, "{file:?} {form:?}: {off}");
                assert!(slide.levels()[0].native);
            }
            let form = Form { ycbcr, ..Form::strips(JPEG, 16) };
            let slide = open(file.write(&[image(file, &picture, form)])).unwrap();
            let off = difference(&whole(&slide), &picture);
            assert!(off < limit, "{file:?} {form:?}: {off}");
        }
    }
}

/// QuPath and Bio-Formats call tiles RGB whose bytes are plain JFIF, YCbCr 4:2:0.
#[test]
fn a_jpegs_own_markers_are_believed_before_the_tags() {
    let picture = picture(64, 64);
    let with = |tile: Vec<u8>, photometric: u16| {
        let mut image = image(FILES[0], &picture, Form::tiles(JPEG, 64)).without(347);
        image.tiles = vec![tile];
        open(FILES[0].write(&[image.with(262, Value::Short(vec![photometric]))])).unwrap()
    };
    let jfif = jpeg(&picture, true);
    assert!(difference(&whole(&with(jfif.clone(), 2)), &picture) < 4.0, "JFIF");
    let without_jfif = [&jfif[..2], &jfif[20..]].concat();
    assert!(difference(&whole(&with(without_jfif, 2)), &picture) < 4.0, "subsampled");
    let rgb = jpeg(&picture, false);
    let adobe = |transform: u8| [&rgb[..2], b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0", &[transform], &rgb[20..]].concat();
    assert!(difference(&whole(&with(adobe(0), 6)), &picture) < 2.0, "Adobe says RGB");
    let other = whole(&with(adobe(1), 2));
    assert!(difference(&other, &picture) > 20.0, "Adobe says YCbCr, which these components are not");
}

fn samples(count: u16, bits: u16, photometric: u16, raw: &[u8], side: u32) -> Image {
    Image { tiles: vec![compress(raw, DEFLATE)], ..Image::default() }
        .with(256, Value::Long(vec![side]))
        .with(257, Value::Long(vec![side]))
        .with(258, Value::Short(vec![bits; count.into()]))
        .with(259, Value::Short(vec![DEFLATE]))
        .with(262, Value::Short(vec![photometric]))
        .with(277, Value::Short(vec![count]))
        .with(322, Value::Long(vec![side]))
        .with(323, Value::Long(vec![side]))
}

#[test]
fn grey_inverted_and_transparent_pixels_become_rgb() {
    let file = FILES[0];
    let first = |image: Image| whole(&open(file.write(&[image])).unwrap()).data[..3].to_vec();
    assert_eq!(first(samples(1, 8, 1, &[9; 256], 16)), [9, 9, 9]);
    assert_eq!(first(samples(1, 8, 0, &[9; 256], 16)), [246, 246, 246]);
    assert_eq!(first(samples(1, 16, 1, &[9; 512], 16)), [9, 9, 9]);
    let rgba = [200, 100, 50, 128].repeat(256);
    assert_eq!(first(samples(4, 8, 2, &rgba, 16)), [200, 100, 50], "alpha of no meaning");
    let unassociated = samples(4, 8, 2, &rgba, 16).with(338, Value::Short(vec![2]));
    assert_eq!(first(unassociated), [199, 99, 49], "multiplied and divided in 8 bits, as OpenSlide");
}

#[test]
fn what_is_not_read_is_named() {
    let file = FILES[0];
    let short = |value| Value::Short(vec![value]);
    let picture = picture(64, 64);
    let base = || image(file, &picture, Form::tiles(NONE, 64));
    let jpeg = || image(file, &picture, Form::tiles(JPEG, 64));
    let cases = [
        (base().with(259, short(34925)), "LZMA"),
        (base().with(259, short(34887)), "LERC"),
        (base().with(259, short(34661)), "JBIG"),
        (base().with(259, short(50002)), "JPEG XL"),
        (base().with(259, short(34934)), "JPEG XR"),
        (base().with(259, short(6)), "old-style JPEG"),
        (base().with(259, short(52479)), "compression 52479"),
        (base().with(262, short(8)), "CIE Lab"),
        (base().with(262, short(5)).with(277, short(4)).with(332, short(2)), "InkSet 2"),
        (base().with(258, Value::Short(vec![32; 3])), "32 bits"),
        (base().with(258, Value::Short(vec![8, 8, 16])), "different kinds"),
        (base().with(339, Value::Short(vec![3; 3])), "floating"),
        (image(file, &picture, Form::tiles(LZW, 64)).with(317, short(3)), "predictor 3"),
        (jpeg().with(258, Value::Short(vec![12; 3])), "JPEG of 12 bits"),
        (jpeg().with(262, short(5)).with(277, short(4)), "CMYK"),
        (base().described("<scn xmlns=\"http://www.leica-microsystems.com/scn/2010\">"), "Leica"),
    ];
    for (image, part) in cases {
        match open(file.write(&[image])) {
            Err(SlideError::Unsupported(why)) => assert!(why.contains(part), "{part}: {why}"),
            other => panic!("{part}: {other:?}"),
        }
    }
}

#[test]
fn odd_writers_are_understood() {
    let picture = picture(100, 70);
    let file = File { big_endian: false, big: false };
    // Tiles whose places are in the tags for strips.
    let mut moved = image(file, &picture, Form::tiles(NONE, 64));
    moved.striped = true;
    assert_eq!(whole(&open(file.write(&[moved])).unwrap()), picture);
    // Plain strips without lengths, and without the number of rows: one strip.
    let one = image(file, &picture, Form::strips(NONE, 70)).without(278);
    let mut bytes = file.write(&[one]);
    let at = crate::common::field_at(&bytes, 0, 279) - 8;
    bytes[at..at + 2].copy_from_slice(&60000u16.to_le_bytes());
    assert_eq!(whole(&open(bytes).unwrap()), picture);
}
