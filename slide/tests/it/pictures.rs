//! Plain pictures: slides of one level, of which a few bytes are read until a tile is asked for.

use crate::common::pixels::{alike, decode_jpeg, jpeg, picture};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use microtome_slide::{Compression, ReadAt, Slide, SlideError, deep_zoom};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

fn png(data: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let mut out = Vec::new();
    PngEncoder::new(&mut out).write_image(data, width, height, color).unwrap();
    out
}

fn open(bytes: Vec<u8>) -> Result<Slide, SlideError> {
    Slide::open(Arc::new(bytes))
}

/// Counts the bytes that are read.
struct Counting {
    bytes: Vec<u8>,
    read: AtomicU64,
}

impl ReadAt for Counting {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.bytes.read_exact_at(buf, offset)
    }
}

#[test]
fn a_png_is_a_slide_of_one_level_whose_pixels_are_its_own() {
    let whole = picture(1300, 700);
    let slide = open(png(&whole.data, 1300, 700, ExtendedColorType::Rgb8)).unwrap();
    assert_eq!((slide.vendor(), slide.levels().len(), slide.mpp()), ("png", 1, None));
    let level = &slide.levels()[0];
    assert_eq!((level.width, level.height, level.columns, level.rows), (1300, 700, 3, 2));
    assert_eq!((level.compression, level.native), (Compression::Png, false));
    assert_eq!(slide.region(0, 0, 0, 1300, 700).unwrap(), whole);
    assert_eq!(slide.tile(0, 1, 0).unwrap(), whole.crop(512, 0, 512, 512));
    assert!(!slide.native_tile(&Vec::new(), 0, 0, 0, &mut Vec::new()).unwrap());
    assert_eq!(slide.icc_profile().unwrap(), None);
    let levels = deep_zoom::DeepZoom::new(&slide, None, 0);
    assert_eq!(levels.tile(&slide, 11, 1, 0).unwrap(), whole.crop(512, 0, 512, 512));
}

#[test]
fn every_kind_of_png_becomes_the_same_rgb_as_a_tiff_of_its_samples() {
    let wide = |samples: &[u16]| samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect::<Vec<u8>>();
    let cases = [
        (png(&[7, 9], 2, 1, ExtendedColorType::L8), vec![7, 7, 7, 9, 9, 9]),
        (png(&[7, 255, 9, 0], 2, 1, ExtendedColorType::La8), vec![7, 7, 7, 0, 0, 0]),
        (png(&wide(&[0x12ff, 0xff00]), 2, 1, ExtendedColorType::L16), vec![0x12, 0x12, 0x12, 0xff, 0xff, 0xff]),
        (png(&wide(&[0xffff, 129, 128]), 1, 1, ExtendedColorType::Rgb16), vec![255, 1, 0]),
        (png(&[200, 100, 3, 128], 1, 1, ExtendedColorType::Rgba8), vec![199, 99, 3]),
    ];
    for (index, (bytes, rgb)) in cases.into_iter().enumerate() {
        let slide = open(bytes).unwrap();
        let level = &slide.levels()[0];
        assert_eq!(slide.region(0, 0, 0, level.width as u32, 1).unwrap().data, rgb, "{index}");
    }
}

#[test]
fn opening_a_picture_reads_a_few_bytes_and_a_crowd_decodes_it_once() {
    let jpeg = jpeg(&picture(1100, 900), true);
    let whole = decode_jpeg(&jpeg);
    // A long comment before the frame header is passed by.
    let comment = [&[0xff, 0xfe, 0x80, 0x02][..], &[7; 0x8000]].concat();
    let bytes = [&jpeg[..2], &comment, &comment, &jpeg[2..]].concat();
    let source = Arc::new(Counting { bytes, read: AtomicU64::new(0) });
    let slide = Slide::open(source.clone()).unwrap();
    assert!(source.read.load(Ordering::Relaxed) < 200);
    std::thread::scope(|scope| {
        for index in 0..6 {
            let slide = &slide;
            let want = &whole;
            scope.spawn(move || {
                let (column, row) = (index % 3, index / 3);
                let tile = slide.tile(0, column, row).unwrap();
                let inside = want.crop(column * 512, row * 512, 512, 512);
                assert!(alike(&tile.crop(0, 0, inside.width, inside.height), &inside));
            });
        }
    });
    let read = source.read.load(Ordering::Relaxed);
    assert!(read < source.len() + 200, "{read} bytes were read of {}", source.len());
}

#[test]
fn pictures_that_are_cut_off_or_overwritten_are_damaged_and_never_half_grey() {
    let whole = picture(300, 200);
    for bytes in [jpeg(&whole, true), jpeg(&whole, false), png(&whole.data, 300, 200, ExtendedColorType::Rgb8)] {
        for len in [12, 20, 30, 200, bytes.len() / 2, bytes.len() - 60] {
            let error = open(bytes[..len].to_vec()).and_then(|slide| slide.region(0, 0, 0, 300, 200));
            assert!(matches!(error, Err(SlideError::Damaged(_))), "{len}: {error:?}");
        }
    }
    for bytes in
        [&b"\xff\xd8\xff"[..], b"\xff\xd8\xff\xd9", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0jp2c"]
    {
        assert!(matches!(open(bytes.to_vec()), Err(SlideError::Damaged(_))), "{bytes:?}");
    }
    // A box that goes nowhere must not be walked for ever.
    let mut boxes = b"\0\0\0\x0cjP  \r\n\x87\n".to_vec();
    boxes.extend(b"\0\0\0\x08free".repeat(100_000));
    assert!(matches!(open(boxes), Err(SlideError::Damaged(_))));
}

#[test]
fn a_picture_that_claims_to_be_huge_is_refused_before_anything_is_read_of_it() {
    let mut bytes = png(&[0; 3], 1, 1, ExtendedColorType::Rgb8);
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let error = open(bytes).unwrap_err();
    assert!(matches!(&error, SlideError::Unsupported(why) if why.contains("65536 × 65536")), "{error}");
    let mut bytes = png(&[0; 3], 1, 1, ExtendedColorType::Rgb8);
    // Sizes that the pixels contradict are found when they are decoded.
    bytes[16..24].copy_from_slice(&[0, 0, 16, 0, 0, 0, 16, 0]);
    assert!(matches!(open(bytes).unwrap().tile(0, 0, 0), Err(SlideError::Damaged(_))));
}

/// A codestream of one colour, 8 × 8 pixels, grey: too small to need an encoder. SIZ, COD, QCD, one empty packet.
fn codestream() -> Vec<u8> {
    let siz = [&[0xff, 0x51, 0, 41, 0, 0][..], &[0, 0, 0, 8], &[0, 0, 0, 8], &[0; 8], &[0, 0, 0, 8], &[0, 0, 0, 8]];
    let mut out = [&[0xff, 0x4f][..], &siz.concat(), &[0; 8], &[0, 1, 7, 1, 1]].concat();
    // No decompositions, code blocks of 64 × 64, the reversible filter; no quantisation.
    out.extend([0xff, 0x52, 0, 12, 0, 0, 0, 1, 0, 0, 4, 4, 0, 1]);
    out.extend([0xff, 0x5c, 0, 4, 0x40, 0x40]);
    out.extend([0xff, 0x90, 0, 10, 0, 0, 0, 0, 0, 15, 0, 1, 0xff, 0x93, 0]);
    out.extend([0xff, 0xd9]);
    out
}

#[test]
fn a_jpeg_2000_codestream_is_read_with_boxes_and_without() {
    let bare = codestream();
    let boxes = [
        &b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 \0\0\0\x2djp2h\0\0\0\x16ihdr"[..],
        &[0, 0, 0, 8, 0, 0, 0, 8, 0, 1, 7, 7, 0, 0],
        b"\0\0\0\x0fcolr\x01\0\0\0\0\0\x11\0\0\0\0jp2c",
        &bare,
    ]
    .concat();
    for bytes in [bare, boxes] {
        let slide = open(bytes).unwrap();
        assert_eq!((slide.vendor(), slide.levels()[0].compression), ("jpeg2000", Compression::Jpeg2000));
        assert_eq!((slide.levels()[0].width, slide.levels()[0].height), (8, 8));
        // Nothing said of any coefficient: the middle grey.
        assert_eq!(slide.region(0, 0, 0, 8, 8).unwrap().data, [128; 192]);
    }
}
