//! Files that lie: loops, absurd sizes, truncation and random damage. Whatever they say, the answer is an error or
//! pixels, soon, and without the memory that they claim.

use crate::common::{
    DEFLATE, FILES, Form, Image, JPEG, LZW, NONE, PACKBITS, Value, WEBP, ZSTD, compress, field_at, image, jpeg2000,
    memory::{Cost, cost},
    pixels::{picture, smaller, webp},
    shared,
};
use microtome_slide::{
    Rgb, Slide, SlideError,
    deep_zoom::DeepZoom,
    iiif::{Plan, Request, Version},
};
use std::{sync::Arc, time::Duration};

const FILE: crate::common::File = FILES[0];

/// Reads what there is to read, and gives the first error.
fn use_all(bytes: &[u8]) -> Result<(), SlideError> {
    let source: Arc<Vec<u8>> = Arc::new(bytes.to_vec());
    let slide = Slide::open(source.clone())?;
    let mut result = Ok(());
    let mut keep = |tried: Result<(), SlideError>| {
        if result.is_ok() {
            result = tried;
        }
    };
    for (index, level) in slide.levels().iter().enumerate() {
        let last = (level.columns - 1, level.rows - 1);
        for (column, row) in [(0, 0), last] {
            let mut out = Vec::new();
            keep(slide.native_tile(&*source, index, column, row, &mut out).map(drop));
            keep(slide.tile(index, column, row).map(|tile| {
                assert_eq!(tile.data.len(), level.tile_width as usize * level.tile_height as usize * 3);
            }));
        }
        keep(slide.region(-3, -3, index, 100, 100).map(drop));
        keep(slide.region(level.width as i64 / 2, level.height as i64 / 2, index, 200, 50).map(drop));
    }
    for associated in slide.associated() {
        keep(slide.associated_image(&associated.name).map(drop));
    }
    keep(slide.icc_profile().map(drop));
    keep(DeepZoom::new(&slide, None, 0).tile(&slide, 0, 0, 0).map(drop));
    result
}

/// Most that a small file may take, in bytes: a tile of 16 Mi pixels of eight samples of 16 bits, beside its pixels.
const MEMORY_MAX: u64 = 400 << 20;
/// Longest that all the questions about a small file may take together.
const TIME_MAX: Duration = Duration::from_secs(2);

pub(crate) fn bounded<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (done, Cost { peak, time, .. }) = cost(work);
    assert!(peak < MEMORY_MAX && time < TIME_MAX, "{what}: {} MiB, {} ms", peak >> 20, time.as_millis());
    done
}

fn level(compression: u16) -> Image {
    image(FILE, &picture(150, 100), Form::tiles(compression, 64)).described("Aperio Library |MPP = 0.5")
}

/// A file with all that the reader knows, small enough to be damaged at every byte.
fn rich(compression: u16) -> Vec<u8> {
    let top = picture(40, 30);
    let level = |picture: &Rgb| match compression {
        33005 => {
            let image = image(FILE, picture, Form { tile_height: 12, ..Form::tiles(compression, 16) });
            Image { tiles: vec![jpeg2000::bytes(jpeg2000::RGB); image.tiles.len()], ..image }
        }
        _ => image(FILE, picture, Form::tiles(compression, 16)),
    };
    let small = level(&smaller(&top, 2));
    let associated =
        |name: &str| image(FILE, &picture(12, 9), Form::strips(LZW, 4)).described(&format!("Aperio\n{name}"));
    FILE.write(&[
        level(&top).described("Aperio Library |MPP = 0.5"),
        associated("1x1 -> 1x1"),
        small,
        associated("label"),
        associated("macro"),
    ])
}

#[test]
fn a_file_cut_off_anywhere_is_an_error_or_a_smaller_file() {
    for file in FILES {
        for compression in [NONE, LZW, DEFLATE, JPEG, PACKBITS, ZSTD, WEBP] {
            let images = [image(file, &picture(40, 30), Form::tiles(compression, 16))];
            let bytes = file.write(&images);
            use_all(&bytes).unwrap();
            for len in 0..bytes.len() {
                assert!(use_all(&bytes[..len]).is_err(), "{len} of {} bytes of {file:?} {compression}", bytes.len());
            }
        }
    }
}

#[test]
fn damage_anywhere_neither_panics_nor_hangs_nor_takes_memory() {
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let jpeg_2000 = 33005;
    for compression in [NONE, LZW, DEFLATE, JPEG, PACKBITS, ZSTD, WEBP, jpeg_2000] {
        let whole = rich(compression);
        use_all(&whole).unwrap();
        for round in 0..1500 {
            let mut bytes = whole.clone();
            // One byte in turn, or several at random.
            for change in 0..=round % 3 {
                let at = if change == 0 { round * 7 % bytes.len() } else { random(bytes.len()) };
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
            }
            let _any_answer_will_do = bounded(&format!("{compression} round {round}"), || use_all(&bytes));
        }
    }
}

fn refused(bytes: &[u8], part: &str) {
    match bounded(part, || use_all(bytes)) {
        Err(error) => assert!(error.to_string().contains(part), "{part}: {error}"),
        Ok(()) => panic!("{part}: accepted"),
    }
}

/// Overwrites a LONG of a classic little-endian file.
fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn loops_of_directories_are_refused() {
    let mut bytes = FILE.write(&[level(NONE), level(NONE)]);
    let first = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
    let next = |bytes: &[u8], at: u32| at as usize + 2 + 12 * usize::from(bytes[at as usize]);
    let at = next(&bytes, first);
    let second = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let last = next(&bytes, second);
    for to in [first, second] {
        put(&mut bytes, last, to);
        refused(&bytes, "loop");
    }
    put(&mut bytes, last, 0xffff_fff0);
    refused(&bytes, "outside the file");
}

#[test]
fn more_directories_or_fields_than_anyone_writes_are_refused() {
    let one = Image::default().with(256, Value::Long(vec![1]));
    refused(&FILE.write(&vec![one; 1001]), "more than 1000 images");
    let fields = (1..=1001).fold(Image::default(), |image, tag| image.with(tag, Value::Long(vec![1])));
    refused(&FILE.write(&[fields]), "claims 1001 fields");
}

#[test]
fn sizes_and_counts_beyond_the_file_are_refused() {
    let with = |tag: u16, value: u32| FILE.write(&[level(NONE).with(tag, Value::Long(vec![value]))]);
    refused(&with(256, 0), "a size in pixels, is 0");
    refused(&with(322, 0), "a size in pixels, is 0");
    refused(&with(256, u32::MAX), "has places for");
    refused(&with(322, 65520), "cannot hold");
    let huge = level(NONE).with(322, Value::Long(vec![65520])).with(323, Value::Long(vec![65520]));
    refused(&FILE.write(&[huge]), "tiles of 65520 × 65520");
    let strips = image(FILE, &picture(50, 50), Form::strips(NONE, 50));
    let strips = strips.with(256, Value::Long(vec![1 << 16])).with(257, Value::Long(vec![1 << 16]));
    refused(&FILE.write(&[strips.with(278, Value::Long(vec![u32::MAX]))]), "strips of 65536 × 65536");

    // A field that claims more values than the file has bytes.
    for (tag, part) in [(324, "tag 324 claims"), (325, "tag 325 claims"), (270, "tag 270 claims"), (258, "tag 258")] {
        let mut bytes = FILE.write(&[level(NONE)]);
        let at = field_at(&bytes, 0, tag);
        put(&mut bytes, at - 4, 0x7fff_ffff);
        refused(&bytes, part);
    }
    let mut bytes = FILE.write(&[level(JPEG)]);
    let at = field_at(&bytes, 0, 347);
    put(&mut bytes, at - 4, 0x7fff_ffff);
    refused(&bytes, "tag 347 has");
}

#[test]
fn tiles_that_claim_too_much_are_refused() {
    // A place behind the end, and a length that no packing explains.
    for (tag, value, part) in [(324, 0x7fff_0000, "outside the file"), (325, 0x7fff_0000, "claims 2147418112 bytes")] {
        let image = level(NONE);
        let count = image.tiles.len();
        let other = if tag == 324 { (325, 12288) } else { (324, 8) };
        let image = image.with(tag, Value::Long(vec![value; count])).with(other.0, Value::Long(vec![other.1; count]));
        refused(&FILE.write(&[image]), part);
    }
    // A few bytes that claim to be a large tile.
    for compression in [NONE, LZW, DEFLATE, JPEG, PACKBITS, ZSTD, WEBP] {
        let mut image = level(compression).with(256, Value::Long(vec![4096])).with(257, Value::Long(vec![4096]));
        image = image.with(322, Value::Long(vec![4096])).with(323, Value::Long(vec![4096]));
        image.tiles.truncate(1);
        if compression == WEBP {
            image.tiles[0] = webp(&Rgb::white(64, 64));
            // 14 bits each for the sides, less one, after the signature of what is without loss.
            let header = u32::from_le_bytes(image.tiles[0][21..25].try_into().unwrap());
            let header = header >> 28 << 28 | 4095 << 14 | 4095;
            image.tiles[0][21..25].copy_from_slice(&header.to_le_bytes());
        } else if compression != JPEG {
            image.tiles[0] = compress(&[0; 3000], compression);
        } else {
            let tile = &mut image.tiles[0];
            let sof = tile.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
            tile[sof + 5..sof + 9].copy_from_slice(&[16, 0, 16, 0]);
        }
        refused(&FILE.write(&[image]), "cannot hold");
    }
}

/// The bound on a tile's length must leave room for packing at its worst: LZW makes noise longer, by a third and more.
#[test]
fn tiles_that_packing_made_longer_are_read() {
    let mut state = 1_u32;
    let mut sample = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let noise = Rgb { width: 512, height: 512, data: (0..512 * 512 * 3).map(|_| sample()).collect() };
    let image = image(FILE, &noise, Form::tiles(LZW, 512));
    assert!(image.tiles[0].len() > noise.data.len() * 5 / 4, "{}", image.tiles[0].len());
    let slide = Slide::open(Arc::new(FILE.write(&[image]))).unwrap();
    assert_eq!(slide.tile(0, 0, 0).unwrap(), noise);
}

/// A window may have few pixels in sum and be too long to be drawn, or touch little of tiles that are huge: a file of a few
/// kilobytes must not cost gigabytes, or an hour.
#[test]
fn shapes_that_would_cost_more_than_they_show_are_refused() {
    let shaped = |width: u32, height: u32, tile: (u32, u32)| {
        let mut image = image(FILE, &picture(64, 64), Form::tiles(DEFLATE, 64));
        image.tiles = vec![vec![1, 2, 3]; (width.div_ceil(tile.0) * height.div_ceil(tile.1)) as usize];
        for (tag, value) in [(256, width), (257, height), (322, tile.0), (323, tile.1)] {
            image = image.with(tag, Value::Long(vec![value]));
        }
        Slide::open(Arc::new(FILE.write(&[image]))).unwrap()
    };
    let too_large = |result: Result<Rgb, SlideError>, part: &str| match result {
        Err(SlideError::TooLarge(reason)) => assert!(reason.contains(part), "{reason}"),
        other => panic!("{part}: {:?}", other.map(|picture| (picture.width, picture.height))),
    };
    let long = shaped(1 << 28, 16, (1 << 20, 16));
    let pyramid = DeepZoom::new(&long, None, 0);
    for level in 0..9 {
        let answer = bounded("long", || pyramid.tile(&long, level, 0, 0));
        assert!(matches!(answer, Err(SlideError::TooLarge(_))), "level {level}");
    }
    let thin = shaped(1 << 28, 1, (1 << 24, 1));
    too_large(bounded("thin", || DeepZoom::new(&thin, None, 0).tile(&thin, 8, 0, 0)), "too long and thin");
    let tall = shaped(1 << 16, 1, (16, 1 << 20));
    too_large(bounded("tall", || tall.region(0, 0, 0, 1 << 16, 1)), "would be decoded");
    // Tiles that have next to no pixels take their time, too.
    let tiny = shaped(1100, 1000, (1, 1));
    too_large(bounded("tiny", || tiny.region(0, 0, 0, 1100, 1000)), "would be decoded");
}

/// A picture that is drawn in 64 bands had each of its tiles, which were higher than the bands, decoded for 16 of them: 4 Gi
/// pixels, and up to 64 Gi, where one request may have 1 Gi decoded.
#[test]
fn what_is_drawn_in_many_bands_may_cost_no_more_than_what_is_drawn_at_once() {
    let mut image = image(FILE, &picture(64, 64), Form::tiles(DEFLATE, 64));
    image.tiles = vec![compress(&[0; 4096 * 4096 * 3], DEFLATE)];
    let (len, side) = (image.tiles[0].len() as u32, 1 << 14);
    for (tag, value) in [(256, side), (257, side), (322, 4096), (323, 4096)] {
        image = image.with(tag, Value::Long(vec![value]));
    }
    let image = image.with(324, Value::Long(vec![8; 16])).with(325, Value::Long(vec![len; 16]));
    let slide = Slide::open(Arc::new(FILE.write(&[image]))).unwrap();
    let request = Request::parse(Version::V3, "full", "16384,1024", "0", "default.png").unwrap();
    let plan = Plan::new(&slide, &request).unwrap();
    match bounded("bands", || plan.draw(&slide)) {
        Err(SlideError::TooLarge(reason)) => assert!(reason.contains("would be decoded"), "{reason}"),
        other => panic!("{:?}", other.map(|picture| (picture.width, picture.height))),
    }
}

/// Each small tile could claim 64 KiB, all of them in one place: gigabytes to be read for one request.
#[test]
fn tiles_longer_than_any_packing_makes_them_are_refused_however_small_they_are() {
    let mut image = image(FILE, &picture(16, 16), Form::tiles(DEFLATE, 16));
    image.tiles[0].resize(40 << 10, 0);
    refused(&FILE.write(&[image]), "claims 40960 bytes");
}

/// Some writers fill the last strip up to the height of the others.
#[test]
fn a_last_strip_that_is_as_long_as_the_others_is_read() {
    let whole = picture(400, 102);
    let mut image = image(FILE, &whole, Form::strips(NONE, 100));
    let full = image.tiles[0].len();
    image.tiles[1].resize(full, 0);
    let slide = Slide::open(Arc::new(FILE.write(&[image]))).unwrap();
    assert_eq!(slide.region(0, 0, 0, 400, 102).unwrap(), whole);
}

/// Each tile of each level missing: filling one must not walk down all levels.
#[test]
fn a_pyramid_of_holes_is_drawn_in_bounded_time() {
    let file = crate::common::File { big_endian: false, big: true };
    let level = |shift: u32| {
        let side = 1 << (16 - 2 * shift);
        let mut image = image(file, &picture(64, 64), Form::tiles(DEFLATE, 64)).described("Aperio");
        image.tiles = vec![vec![]; ((side / 64) * (side / 64)) as usize];
        image.with(256, Value::Long(vec![side])).with(257, Value::Long(vec![side]))
    };
    let slide = Slide::open(Arc::new(file.write(&[level(0), level(1), level(2), level(3), level(4)]))).unwrap();
    assert_eq!(bounded("tile", || slide.tile(4, 0, 0)).unwrap(), Rgb::white(64, 64));
    assert_eq!(bounded("region", || slide.region(0, 0, 3, 1024, 1024)).unwrap(), Rgb::white(1024, 1024));
}

/// A hole below a level that is a hundred times larger would cost as much as a small slide.
#[test]
fn a_hole_too_far_below_the_next_level_is_an_error() {
    let top = picture(1200, 900);
    let mut small = image(FILE, &smaller(&top, 10), Form::tiles(NONE, 64)).described("Aperio");
    small.tiles[0].clear();
    let top = image(FILE, &top, Form::tiles(NONE, 64)).described("Aperio");
    let slide = Slide::open(Arc::new(FILE.write(&[top, small]))).unwrap();
    assert!(matches!(slide.tile(1, 0, 0), Err(SlideError::Damaged(_))));
    assert!(slide.tile(1, 1, 0).is_ok());
}

/// A Zstandard frame hands nothing out before it has decoded its window: one of 4 KB that repeats a byte without end in a
/// window of 128 MiB took that much memory and its time for each tile of 16 pixels a side, thousands of them in a region.
#[test]
fn a_small_tile_whose_frame_goes_on_without_end_costs_little() {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3];
    for index in 0..1100u32 {
        let head = u32::from(index == 1099) | (1 << 1) | ((128 << 10) << 3);
        frame.extend(&head.to_le_bytes()[..3]);
        frame.push(7);
    }
    let image = image(FILE, &picture(16, 16), Form::tiles(ZSTD, 16));
    let slide = Slide::open(Arc::new(FILE.write(&[Image { tiles: vec![frame], ..image }]))).unwrap();
    let (answer, Cost { peak, time, .. }) = cost(|| slide.tile(0, 0, 0));
    assert!(answer.unwrap_err().to_string().contains("goes on"));
    assert!(peak < 16 << 20 && time < Duration::from_millis(100), "{} MiB, {time:?}", peak >> 20);
}

/// Columns times rows of tiles fit into 64 bits, but not three planes of them: the product was small again, and any table
/// long enough for it.
#[test]
fn more_tiles_in_planes_than_numbers_can_say_are_refused() {
    let mut image = level(NONE).with(284, Value::Short(vec![2]));
    for (tag, value) in [(256, u32::MAX), (257, u32::MAX), (322, 1), (323, 1)] {
        image = image.with(tag, Value::Long(vec![value]));
    }
    refused(&FILE.write(&[image]), "has places for");
}

/// What stands for black in YCbCr is any fraction; the fuzzer found that one beyond 32 bits was taken from a sample, which
/// overflowed when the file was opened.
#[test]
fn a_black_that_no_sample_can_be_is_read() {
    let black_and_white: Vec<u8> = [u32::MAX, 1].repeat(6).iter().flat_map(|number| number.to_le_bytes()).collect();
    let image = image(FILE, &picture(16, 16), Form::tiles(DEFLATE, 16));
    let image = image.with(262, Value::Short(vec![6])).with(530, Value::Short(vec![1, 1]));
    let mut bytes = FILE.write(&[image.with(532, Value::Bytes(black_and_white))]);
    // Six fractions, not bytes.
    let at = field_at(&bytes, 0, 532);
    bytes[at - 6] = 5;
    put(&mut bytes, at - 4, 6);
    bounded("black", || use_all(&bytes)).unwrap();
}

/// Sixty pixels in a row, of tiles of 16 Mi pixels each that all lie at one place: a file of 50 KB had a thousand million
/// pixels decoded for them.
#[test]
fn a_few_pixels_do_not_cost_as_much_as_all_tiles_that_they_touch() {
    let mut image = image(FILE, &picture(16, 16), Form::tiles(DEFLATE, 16));
    image.tiles = vec![compress(&vec![9; 48 << 20], DEFLATE)];
    let (count, len) = (100, image.tiles[0].len() as u32);
    for (tag, value) in [(256, count), (257, 16 << 20), (322, 1), (323, 16 << 20)] {
        image = image.with(tag, Value::Long(vec![value]));
    }
    let image = image.with(324, Value::Long(vec![8; count as usize])).with(325, Value::Long(vec![len; count as usize]));
    let slide = Slide::open(Arc::new(FILE.write(&[image]))).unwrap();
    assert_eq!(bounded("two tiles", || slide.region(0, 0, 0, 2, 1)).unwrap().data, [9; 6]);
    let refusal = bounded("sixty tiles", || slide.region(0, 0, 0, 60, 1)).unwrap_err();
    assert!(matches!(refusal, SlideError::TooLarge(_)), "{refusal}");
}

/// A picture of the IIIF Image API is drawn in bands, and each had its own bound: tiles that lie in many of them were
/// decoded for each, four thousand million pixels for one request.
#[test]
fn a_flat_picture_of_large_tiles_is_refused() {
    let mut image = image(FILE, &picture(16, 16), Form::tiles(DEFLATE, 16));
    image.tiles = vec![compress(&vec![9; 48 << 20], DEFLATE)];
    let len = image.tiles[0].len() as u32;
    for (tag, value) in [(256, 4 * 4096), (257, 4 * 4096), (322, 4096), (323, 4096)] {
        image = image.with(tag, Value::Long(vec![value]));
    }
    let image = image.with(324, Value::Long(vec![8; 16])).with(325, Value::Long(vec![len; 16]));
    let slide = Slide::open(Arc::new(FILE.write(&[image]))).unwrap();
    let request = Request::parse(Version::V3, "full", "16384,1024", "0", "default.png").unwrap();
    let plan = Plan::new(&slide, &request).unwrap();
    let refusal = bounded("flat", || plan.draw(&slide)).unwrap_err();
    assert!(matches!(refusal, SlideError::TooLarge(_)), "{refusal}");
}

/// Real files, malformed by fuzzers or by nature.
#[test]
fn files_known_for_crashing_readers_do_not_crash_this_one() {
    let Some(folder) = shared::folder() else { return };
    let mut count = 0;
    let names = |dir: &str| std::fs::read_dir(folder.join(dir)).unwrap().map(|entry| entry.unwrap().path());
    for path in names("fuzz").chain(names(".")).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).unwrap();
        let _any_answer_will_do = bounded(&path.display().to_string(), || use_all(&bytes));
        count += 1;
    }
    assert!(count > 70, "{count}");
    for entry in names("truth").filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let name = entry.file_stem().unwrap().to_string_lossy().into_owned();
        if shared::truth(&folder, &name)["expect"] == "error" {
            let error = use_all(&std::fs::read(folder.join(&name)).unwrap()).unwrap_err();
            eprintln!("{name}: {error}");
        }
    }
}
