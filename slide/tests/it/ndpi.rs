//! Hamamatsu's NDPI: levels that are one JPEG with restart markers, offsets of 64 bits in a classic file, and lists of
//! markers that are wrong.

use crate::common::{
    File, Value,
    pixels::{difference, jpeg, picture, read_jpeg, smaller},
};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use microtome_slide::{Rgb, Slide, SlideError};
use std::sync::Arc;

/// A JPEG cut into intervals of `interval` MCUs of 8 × 8 pixels, with the place of each interval.
fn restarting(picture: &Rgb, interval: u16) -> (Vec<u8>, Vec<u32>) {
    sampled(picture, SamplingFactor::F_1_1, interval)
}

/// The same where an MCU has less chroma and so more pixels.
fn sampled(picture: &Rgb, chroma: SamplingFactor, interval: u16) -> (Vec<u8>, Vec<u32>) {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, 92);
    encoder.set_sampling_factor(chroma);
    encoder.set_restart_interval(interval);
    encoder.encode(&picture.data, picture.width as u16, picture.height as u16, ColorType::Rgb).unwrap();
    let scan = out.windows(2).position(|marker| marker == [0xff, 0xda]).unwrap();
    let first = scan + 2 + usize::from(u16::from_be_bytes([out[scan + 2], out[scan + 3]]));
    let mut starts = vec![first as u32];
    for at in first..out.len() - 1 {
        if out[at] == 0xff && (0xd0..0xd8).contains(&out[at + 1]) {
            starts.push(at as u32 + 2);
        }
    }
    (out, starts)
}

/// One image of the file: its JPEG and what differs in its fields.
struct Image {
    jpeg: Vec<u8>,
    size: (u32, u32),
    lens: f32,
    plane: i32,
    starts: Vec<u32>,
}

impl Image {
    fn level(picture: &Rgb, interval: u16, lens: f32) -> Self {
        let (jpeg, starts) = restarting(picture, interval);
        Self { jpeg, size: (picture.width, picture.height), lens, plane: 0, starts }
    }
}

/// The file, and where each image's JPEG and list begin in it.
fn file(images: &[Image]) -> (Vec<u8>, Vec<(usize, usize)>) {
    let (mut out, mut places) = (b"II*\0\0\0\0\0\0\0\0\0".to_vec(), Vec::new());
    let mut next_at = 4;
    for image in images {
        let jpeg_at = out.len();
        out.extend(&image.jpeg);
        let text_at = out.len();
        out.extend(b"Created=2020/01/02\r\nProduct=Made\r\nEmpty=\r\nOdd=a=b\r\n\0ab\0");
        let resolution_at = out.len();
        out.extend([40000u32, 1].iter().flat_map(|number| number.to_le_bytes()));
        let starts_at = out.len();
        out.extend(image.starts.iter().flat_map(|start| start.to_le_bytes()));
        let texts = (text_at as u32, resolution_at as u32, image.starts.len() as u32);
        let mut fields = vec![
            (256u16, 4u16, 1, image.size.0),
            (257, 4, 1, image.size.1),
            (259, 3, 1, 7),
            (262, 3, 1, 6),
            // Texts lie outside, however short.
            (271, 2, 3, texts.0 + 52),
            (273, 4, 1, jpeg_at as u32),
            (279, 4, 1, image.jpeg.len() as u32),
            (282, 5, 1, texts.1),
            (283, 5, 1, texts.1),
            (296, 3, 1, 3),
            (65420, 3, 1, 1),
            (65421, 11, 1, image.lens.to_bits()),
            (65422, 9, 1, (-5i32) as u32),
            (65424, 9, 1, image.plane as u32),
            (65449, 2, 52, texts.0),
        ];
        if texts.2 > 0 {
            fields.insert(14, (65426, 4, texts.2, if texts.2 == 1 { image.starts[0] } else { starts_at as u32 }));
        }
        let directory_at = out.len() as u64;
        out[next_at..next_at + 8].copy_from_slice(&directory_at.to_le_bytes());
        out.extend((fields.len() as u16).to_le_bytes());
        for &(tag, kind, count, value) in &fields {
            out.extend(tag.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        next_at = out.len();
        out.extend([0; 8]);
        // The upper halves.
        out.extend(vec![0; 4 * fields.len()]);
        places.push((jpeg_at, starts_at));
    }
    (out, places)
}

fn open(bytes: Vec<u8>) -> Result<Slide, SlideError> {
    Slide::open(Arc::new(bytes))
}

fn images() -> Vec<Image> {
    let top = picture(640, 328);
    let macro_image =
        Image { jpeg: jpeg(&picture(60, 20), true), size: (60, 20), lens: -1.0, plane: 0, starts: Vec::new() };
    vec![
        // Two intervals in a row of MCUs.
        Image::level(&top, 40, 20.0),
        Image { plane: 500, ..Image::level(&picture(640, 328), 80, 20.0) },
        Image::level(&smaller(&top, 4), 20, 5.0),
        macro_image,
    ]
}

/// A file of levels whose sides MCUs fill, as OpenSlide shows no others whole; the first has two intervals in a row.
pub(crate) fn made(chroma: SamplingFactor) -> Vec<u8> {
    let across = if chroma == SamplingFactor::F_1_1 { 8 } else { 16 };
    let level = |picture: &Rgb, interval: u32, lens: f32| {
        let (jpeg, starts) = sampled(picture, chroma, (interval / across) as u16);
        Image { jpeg, size: (picture.width, picture.height), lens, plane: 0, starts }
    };
    let top = picture(640, 320);
    file(&[level(&top, 320, 20.0), level(&smaller(&top, 4), 160, 5.0)]).0
}

#[test]
fn the_levels_of_the_middle_plane_and_their_halves_are_shown() {
    let images = images();
    let slide = open(file(&images).0).unwrap();
    assert_eq!((slide.vendor(), slide.objective_power()), ("hamamatsu", Some(20.0)));
    assert_eq!(slide.mpp(), Some((0.25, 0.25)));
    let sizes: Vec<_> = slide.levels().iter().map(|level| (level.width, level.height)).collect();
    assert_eq!(sizes, [(640, 328), (320, 164), (160, 82), (80, 41), (40, 20), (20, 10)]);
    let property = |key: &str| slide.properties().get(key).map(String::as_str);
    assert_eq!(property("hamamatsu.Created"), Some("2020/01/02"));
    assert_eq!(property("hamamatsu.Odd"), Some("a=b"));
    assert_eq!(property("hamamatsu.Empty"), None);
    assert_eq!(property("hamamatsu.SourceLens"), Some("20"));
    assert_eq!(property("hamamatsu.XOffsetFromSlideCentre"), Some("-5"));
    assert_eq!(property("tiff.Make"), Some("ab"));
    let associated: Vec<_> = slide.associated().iter().map(|image| (image.name.as_str(), image.width)).collect();
    assert_eq!(associated, [("macro", 60)]);
    assert_eq!(slide.associated_image("macro").unwrap(), read_jpeg(&images[3].jpeg));
}

#[test]
fn parts_of_the_long_jpeg_have_the_pixels_of_the_whole() {
    let images = images();
    let slide = open(file(&images).0).unwrap();
    let whole = read_jpeg(&images[0].jpeg);
    assert_eq!(slide.region(0, 0, 0, 640, 328).unwrap(), whole);
    assert_eq!(slide.region(311, 97, 0, 33, 41).unwrap(), whole.crop(311, 97, 33, 41));
    assert_eq!(slide.region(0, 0, 2, 160, 82).unwrap(), read_jpeg(&images[2].jpeg));
    // Between them each pixel is the mean of four, but for rounding.
    assert!(difference(&slide.region(0, 0, 1, 320, 164).unwrap(), &smaller(&whole, 2)) < 0.7);
    assert!(difference(&slide.region(0, 0, 5, 20, 10).unwrap(), &smaller(&read_jpeg(&images[2].jpeg), 8)) < 0.7);
}

#[test]
fn a_wrong_list_of_restart_markers_gives_the_right_pixels_all_the_same() {
    let right = images();
    let whole = read_jpeg(&right[0].jpeg);
    let count = right[0].starts.len();
    let shifted = |by: i64| right[0].starts.iter().map(|&start| (i64::from(start) + by) as u32).collect::<Vec<_>>();
    let mut swapped = right[0].starts.clone();
    swapped.swap(10, 11);
    // Eight further on the marker has the same number.
    let mut eight = right[0].starts.clone();
    eight[20] = eight[28];
    let wrong: [Vec<u32>; 8] = [
        vec![0; count],
        vec![u32::MAX; count],
        shifted(1),
        shifted(-2),
        right[0].starts[..count - 1].to_vec(),
        Vec::new(),
        swapped,
        eight,
    ];
    for (index, starts) in wrong.into_iter().enumerate() {
        let mut images = images();
        images[0].starts = starts;
        let slide = open(file(&images).0).unwrap();
        assert_eq!(slide.region(0, 0, 0, 640, 328).unwrap(), whole, "{index}");
    }
}

#[test]
fn markers_that_are_lost_or_out_of_order_are_damage_and_not_other_pixels() {
    let images = images();
    let (bytes, places) = file(&images);
    let whole = read_jpeg(&images[0].jpeg);
    for (interval, marker) in [(20, [0xff, 0xd5]), (20, [0x11, 0x11]), (33, [0xff, 0xd9])] {
        let mut bytes = bytes.clone();
        let at = places[0].0 + images[0].starts[interval] as usize - 2;
        assert_ne!(bytes[at..at + 2], marker);
        bytes[at..at + 2].copy_from_slice(&marker);
        let slide = open(bytes).unwrap();
        match slide.region(0, 0, 0, 640, 328) {
            Err(SlideError::Damaged(why)) => assert!(why.contains("JPEG"), "{why}"),
            other => assert_eq!(other.unwrap(), whole, "{interval}"),
        }
    }
}

#[test]
fn a_level_without_restart_markers_is_decoded_as_a_whole_and_has_the_size_of_its_jpeg() {
    let top = picture(96, 64);
    let bytes = jpeg(&top, true);
    // The tags are wrong, as those of small levels are at times.
    let image = Image { jpeg: bytes.clone(), size: (97, 63), lens: 10.0, plane: 0, starts: Vec::new() };
    let slide = open(file(&[image]).0).unwrap();
    assert_eq!(slide.levels().len(), 4);
    assert_eq!(slide.region(0, 0, 0, 96, 64).unwrap(), read_jpeg(&bytes));

    let (bytes, starts) = restarting(&top, 12);
    let image = Image { jpeg: bytes, size: (97, 63), lens: 10.0, plane: 0, starts };
    assert!(matches!(open(file(&[image]).0), Err(SlideError::Damaged(_))));
    // Intervals that do not end with a row are not cut, but decoded with the rest.
    let (bytes, starts) = restarting(&top, 5);
    let image = Image { jpeg: bytes.clone(), size: (96, 64), lens: 10.0, plane: 0, starts };
    assert_eq!(open(file(&[image]).0).unwrap().region(0, 0, 0, 96, 64).unwrap(), read_jpeg(&bytes));
}

/// A long file of zeros with `parts` in it.
struct Sparse {
    len: u64,
    parts: Vec<(u64, Vec<u8>)>,
}

impl microtome_slide::ReadAt for Sparse {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        buf.fill(0);
        for (start, part) in &self.parts {
            for (index, byte) in part.iter().enumerate() {
                if let Some(at) = (start + index as u64).checked_sub(offset).filter(|&at| at < buf.len() as u64) {
                    buf[at as usize] = *byte;
                }
            }
        }
        Ok(())
    }
}

#[test]
fn offsets_beyond_4_gb_are_told_by_the_halves_behind_a_directory() {
    let top = picture(640, 328);
    let (jpeg, starts) = restarting(&top, 80);
    let (far, list_at, directory_at) = (5u64 << 30, 6u64 << 30, 7u64 << 30);
    let list = starts.iter().flat_map(|start| start.to_le_bytes()).collect();
    let fields: [(u16, u16, u32, u64); 10] = [
        (256, 4, 1, 640),
        (257, 4, 1, 328),
        (259, 3, 1, 7),
        (273, 4, 1, far),
        (279, 4, 1, jpeg.len() as u64),
        (65420, 3, 1, 1),
        (65421, 11, 1, u64::from(20f32.to_bits())),
        (65424, 9, 1, 0),
        (65426, 4, starts.len() as u32, list_at),
        (65427, 2, 2, far - 2),
    ];
    let mut directory = (fields.len() as u16).to_le_bytes().to_vec();
    for (tag, kind, count, value) in fields {
        directory.extend(tag.to_le_bytes());
        directory.extend(kind.to_le_bytes());
        directory.extend(count.to_le_bytes());
        directory.extend((value as u32).to_le_bytes());
    }
    directory.extend([0; 8]);
    directory.extend(fields.iter().flat_map(|(_, _, _, value)| ((value >> 32) as u32).to_le_bytes()));
    let mut head = b"II*\0".to_vec();
    head.extend(directory_at.to_le_bytes());
    let want = read_jpeg(&jpeg);
    let len = directory_at + directory.len() as u64;
    let parts = vec![(0, head), (far, jpeg), (far - 2, b"R\0".to_vec()), (list_at, list), (directory_at, directory)];
    let slide = Slide::open(Arc::new(Sparse { len, parts })).unwrap();
    assert_eq!(slide.properties().get("hamamatsu.Reference").map(String::as_str), Some("R"));
    assert_eq!(slide.region(3, 5, 0, 600, 300).unwrap(), want.crop(3, 5, 600, 300));
}

#[test]
fn a_classic_file_whose_first_directory_looks_far_away_is_no_ndpi() {
    // What follows the offset in a plain file is anything.
    let file = File { big_endian: false, big: false };
    let image = crate::common::image(file, &picture(64, 64), crate::common::Form::tiles(crate::common::NONE, 64));
    let mut bytes = file.write(&[image.with(65000, Value::Short(vec![1]))]);
    bytes[8..12].copy_from_slice(&[0; 4]);
    assert_eq!(open(bytes).unwrap().vendor(), "generic-tiff");
}
