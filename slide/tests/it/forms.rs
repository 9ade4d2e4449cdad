//! Every form of pixels that is read comes out as it went in; every other is refused by its name.

use crate::common::{
    DEFLATE, FILES, File, Form, Image, JPEG, LZW, NONE, OLD_DEFLATE, PACKBITS, Value, WEBP, ZSTD, compress, image,
    jpeg2000,
    pixels::{at, difference, jpeg, picture},
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
        for compression in [NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS, ZSTD] {
            for switches in 0..8 {
                for form in [Form::tiles(compression, 64), Form::strips(compression, 17)] {
                    let predictor = switches & 1 != 0 && !matches!(compression, NONE | PACKBITS);
                    let form = Form { predictor, wide: switches & 2 != 0, planar: switches & 4 != 0, ..form };
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
fn webp_without_loss_comes_back_exactly() {
    let picture = picture(150, 101);
    for form in [Form::tiles(WEBP, 64), Form::strips(WEBP, 17)] {
        let slide = open(FILES[0].write(&[image(FILES[0], &picture, form)])).unwrap();
        assert_eq!(whole(&slide), picture, "{form:?}");
        assert_eq!(slide.levels()[0].compression.to_string(), "webp");
        assert!(!slide.levels()[0].native);
    }
}

#[test]
fn jpeg_planes_come_back_nearly() {
    let picture = picture(150, 101);
    for form in [Form::tiles(JPEG, 64), Form::strips(JPEG, 16)] {
        let form = Form { planar: true, ..form };
        let slide = open(FILES[1].write(&[image(FILES[1], &picture, form)])).unwrap();
        let off = difference(&whole(&slide), &picture);
        assert!(off < 2.0, "{form:?}: {off}");
        assert!(!slide.levels()[0].native, "a plane alone is no picture");
    }
}

/// A table of a JPEG: its marker, DQT or DHT, its number and its bytes.
type JpegTable = (u8, u8, Vec<u8>);

/// The tables of a plain JPEG, and its scan.
fn taken_apart(jpeg: &[u8]) -> (Vec<JpegTable>, Vec<u8>) {
    let (mut tables, mut at) = (Vec::new(), 2);
    loop {
        let (marker, len) = (jpeg[at + 1], usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]])));
        let mut segment = &jpeg[at + 4..at + 2 + len];
        while let (0xc4 | 0xdb, [number, rest @ ..]) = (marker, segment) {
            let codes = || 16 + rest[..16].iter().map(|&count| usize::from(count)).sum::<usize>();
            let len = if marker == 0xdb { 64 } else { codes() };
            tables.push((marker, *number, rest[..len].to_vec()));
            segment = &rest[len..];
        }
        at += 2 + len;
        if marker == 0xda {
            return (tables, jpeg[at..jpeg.len() - 2].to_vec());
        }
    }
}

/// Old-style JPEG: the tables lie in the file where tags say so, and tiles are bare scans.
#[test]
fn old_style_jpeg_is_put_together_from_its_tags() {
    let picture = picture(64, 48);
    let (tables, scan) = taken_apart(&jpeg(&picture, true));
    let file = FILES[0];
    let mut bytes = file.header(0);
    let mut put = |piece: &[u8]| {
        bytes.extend(piece);
        (bytes.len() - piece.len()) as u32
    };
    let mut places = |marker: u8, number: u8| {
        let of = |number: u8| tables.iter().find(|table| (table.0, table.1) == (marker, number)).unwrap().2.clone();
        let (luma, chroma) = (put(&of(number)), put(&of(number + 1)));
        Value::Long(vec![luma, chroma, chroma])
    };
    let (quantisation, dc, ac) = (places(0xdb, 0), places(0xc4, 0), places(0xc4, 0x10));
    let at = put(&scan);
    let image = samples(3, 8, 6, &[], 64)
        .with(257, Value::Long(vec![48]))
        .with(323, Value::Long(vec![48]))
        .with(259, Value::Short(vec![6]))
        .with(512, Value::Short(vec![1]))
        .with(519, quantisation)
        .with(520, dc)
        .with(521, ac)
        .with(324, Value::Long(vec![at]))
        .with(325, Value::Long(vec![scan.len() as u32]));
    let write = |image: &Image| {
        let mut whole = bytes.clone();
        let header = file.header(bytes.len() as u64);
        whole[..header.len()].copy_from_slice(&header);
        whole.extend(file.directory(&image.fields, bytes.len() as u64, 0));
        open(whole)
    };
    let slide = write(&image).unwrap();
    let off = difference(&whole(&slide), &picture);
    assert!(off < 4.0, "{off}");
    assert!(!slide.levels()[0].native);
    assert_eq!(slide.levels()[0].compression.to_string(), "old-jpeg");
    // Half of the scan, and tables that lie outside the file.
    let short = image.clone().with(325, Value::Long(vec![scan.len() as u32 / 2]));
    assert!(matches!(write(&short).unwrap().tile(0, 0, 0), Err(SlideError::Damaged(_))));
    let outside = image.with(520, Value::Long(vec![at, at, u32::MAX]));
    assert!(matches!(write(&outside), Err(SlideError::Damaged(_))));
}

/// One tile of 16 × 16 pixels: its first pixels.
fn first_pixels(image: Image) -> Vec<u8> {
    whole(&open(FILES[0].write(&[image])).unwrap()).data[..12].to_vec()
}

#[test]
fn samples_of_few_and_of_twelve_bits_are_scaled() {
    let grey = |levels: [u8; 4]| levels.map(|level| [level; 3]).concat();
    let rows = |row: &[u8]| row.repeat(16);
    assert_eq!(first_pixels(samples(1, 1, 1, &rows(&[0b1010_0000, 0]), 16)), grey([255, 0, 255, 0]));
    assert_eq!(first_pixels(samples(1, 1, 0, &rows(&[0b1010_0000, 0]), 16)), grey([0, 255, 0, 255]));
    assert_eq!(first_pixels(samples(1, 2, 1, &rows(&[0b0001_1011, 0, 0, 0]), 16)), grey([0, 85, 170, 255]));
    let four = rows(&[0x0f, 0x81, 0, 0, 0, 0, 0, 0]);
    assert_eq!(first_pixels(samples(1, 4, 1, &four, 16)), grey([0, 255, 136, 17]));
    let twelve = rows(&[&[0xff, 0xf8, 0x00, 0x00, 0xf7, 0xff][..], &[0; 66]].concat());
    assert_eq!(first_pixels(samples(3, 12, 2, &twelve, 16))[..6], [255, 128, 1, 127, 0, 0]);
    let reversed = samples(1, 1, 1, &[], 16).with(266, Value::Short(vec![2])).with(259, Value::Short(vec![NONE]));
    let reversed = Image { tiles: vec![rows(&[0b0000_0101, 0])], ..reversed };
    assert_eq!(first_pixels(reversed), grey([255, 0, 255, 0]), "the lowest bit first");
}

#[test]
fn palettes_inks_and_subsampled_chroma_become_rgb() {
    let mut map = vec![0; 3 * 16];
    (map[3], map[16 + 3], map[32 + 3], map[32 + 15]) = (0xff00, 0x80ff, 0x0100, 0xffff);
    let palette = samples(1, 4, 3, &[0x3f, 0x30, 0, 0, 0, 0, 0, 0].repeat(16), 16).with(320, Value::Short(map));
    assert_eq!(first_pixels(palette), [255, 128, 1, 0, 0, 255, 255, 128, 1, 0, 0, 0]);
    let narrow: Vec<u16> = (0..768).map(|index| index / 3).collect();
    let eight = samples(1, 8, 3, &[200; 256], 16).with(320, Value::Short(narrow));
    assert_eq!(first_pixels(eight)[..3], [66, 152, 237], "a map that fills 8 of its 16 bits");
    let cmyk = samples(4, 8, 5, &[0, 255, 51, 51].repeat(256), 16);
    assert_eq!(first_pixels(cmyk)[..3], [204, 0, 163]);
    // Units of 2 × 2 pixels: four of luma, Cb, Cr.
    let units = [[16, 32, 48, 64, 128, 128], [100, 100, 100, 100, 128, 255]].concat().repeat(32);
    let ycbcr = samples(3, 8, 6, &units, 16).with(530, Value::Short(vec![2, 2]));
    let picture = whole(&open(FILES[0].write(&[ycbcr])).unwrap());
    assert_eq!(
        [at(&picture, 0, 0), at(&picture, 1, 0), at(&picture, 0, 1), at(&picture, 1, 1)],
        [[16; 3], [32; 3], [48; 3], [64; 3]]
    );
    assert_eq!(at(&picture, 2, 1), [255, 9, 100]);
}

#[test]
fn jpeg_2000_shows_the_colours_that_its_compression_number_stands_for() {
    let tile = |stream: &str, compression: u16, photometric: u16, count: u16| {
        let image = samples(count, 8, photometric, &[], 16).with(259, Value::Short(vec![compression]));
        let image = image.with(257, Value::Long(vec![12])).with(323, Value::Long(vec![12]));
        open(FILES[0].write(&[Image { tiles: vec![jpeg2000::bytes(stream)], ..image }])).unwrap()
    };
    let rgb = jpeg2000::picture();
    for compression in [33004, 33005, 34712] {
        let slide = tile(jpeg2000::RGB, compression, 2, 3);
        assert_eq!(whole(&slide).data, rgb, "{compression}");
        assert_eq!(slide.levels()[0].compression.to_string(), "jpeg2000");
        assert!(!slide.levels()[0].native);
    }
    assert_eq!(whole(&tile(jpeg2000::PLAIN, 33005, 2, 3)).data, rgb);
    let grey: Vec<u8> = rgb.iter().step_by(3).flat_map(|&level| [level; 3]).collect();
    assert_eq!(whole(&tile(jpeg2000::GREY, 33004, 1, 1)).data, grey);
    // The same components as YCbCr, by the equations of ITU-R BT.601.
    for (compression, photometric) in [(33003, 2), (33004, 6)] {
        let slide = tile(jpeg2000::PLAIN, compression, photometric, 3);
        for (have, from) in whole(&slide).data.chunks_exact(3).zip(rgb.chunks_exact(3)) {
            let [y, cb, cr] = [f64::from(from[0]), f64::from(from[1]) - 128.0, f64::from(from[2]) - 128.0];
            let want = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
            for (have, want) in have.iter().zip(want) {
                assert!((f64::from(*have) - want.clamp(0.0, 255.0)).abs() <= 1.0, "{from:?}");
            }
        }
    }
    let wrong = samples(3, 8, 2, &[], 16).with(259, Value::Short(vec![33005]));
    let wrong = open(FILES[0].write(&[Image { tiles: vec![jpeg2000::bytes(jpeg2000::RGB)], ..wrong }])).unwrap();
    assert!(matches!(wrong.tile(0, 0, 0), Err(SlideError::Damaged(_))), "12 rows in a tile of 16");
}

/// As OpenSlide shows them: what libtiff decodes is mirrored inside its tile, as far as that lies in the image; what
/// OpenSlide decodes by itself is not.
#[test]
fn tiles_that_run_the_other_way_are_mirrored_one_by_one() {
    let (picture, file) = (picture(100, 70), FILES[0]);
    let turned = |form: Form, orientation: u16| {
        open(file.write(&[image(file, &picture, form).with(274, Value::Short(vec![orientation]))]))
    };
    for (orientation, across, down) in [
        (0, false, false),
        (1, false, false),
        (2, true, false),
        (3, true, true),
        (4, false, true),
        (5, false, false),
        (6, true, false),
        (7, true, true),
        (8, false, true),
    ] {
        let shown = whole(&turned(Form::tiles(DEFLATE, 64), orientation).unwrap());
        let mirrored = |at: u32, side: u32, mirror: bool| {
            let (start, end) = (at / 64 * 64, (at / 64 * 64 + 64).min(side));
            if mirror { start + end - 1 - at } else { at }
        };
        for (x, y) in [(0, 0), (1, 63), (63, 5), (64, 0), (99, 69), (70, 66)] {
            let from = (mirrored(x, 100, across), mirrored(y, 70, down));
            assert_eq!(at(&shown, x, y), at(&picture, from.0, from.1), "{orientation}: {x}, {y}");
        }
        let jpeg = turned(Form::tiles(JPEG, 64), orientation).unwrap();
        assert!(jpeg.levels()[0].native && difference(&whole(&jpeg), &picture) < 2.0, "{orientation}");
    }
    match turned(Form::strips(DEFLATE, 16), 3) {
        Err(SlideError::Unsupported(why)) => assert!(why.contains("Orientation 3"), "{why}"),
        other => panic!("{other:?}"),
    }
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
        (base().with(259, short(6)).with(262, short(6)).with(513, Value::Long(vec![8])), "its tables alone"),
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
