//! Pictures of the IIIF Image API are those of the slide, and no address breaks anything.

use crate::common::{
    DEFLATE, FILES, Form, JPEG, image,
    pixels::{at, decode_jpeg, decode_png, difference, picture, smaller},
};
use microtome_slide::{
    ReadAt, Rgb, Slide,
    deep_zoom::DeepZoom,
    iiif::{Plan, Refused, Request, Version, info},
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

const FILE: crate::common::File = FILES[0];
const WIDTH: u32 = 1000;
const HEIGHT: u32 = 700;

fn slide(compression: u16, tile: u32, steps: &[u32]) -> Slide {
    let top = picture(WIDTH, HEIGHT);
    let level = |by: &u32| image(FILE, &smaller(&top, *by), Form::tiles(compression, tile)).described("Aperio");
    Slide::open(Arc::new(FILE.write(&steps.iter().map(level).collect::<Vec<_>>()))).unwrap()
}

fn plan(slide: &Slide, version: Version, address: &str) -> Result<Plan, Refused> {
    let parts: Vec<&str> = address.split('/').collect();
    Plan::new(slide, &Request::parse(version, parts[0], parts[1], parts[2], parts[3])?)
}

fn drawn(slide: &Slide, address: &str) -> Rgb {
    plan(slide, Version::V3, address).unwrap().draw(slide).unwrap()
}

#[test]
fn regions_at_their_own_size_are_the_slides_pixels() {
    let slide = slide(DEFLATE, 64, &[1, 4]);
    let top = picture(WIDTH, HEIGHT);
    for (address, x, y, width, height) in [
        ("full/max/0/default.png", 0, 0, WIDTH, HEIGHT),
        ("square/max/0/default.png", 150, 0, HEIGHT, HEIGHT),
        ("100,50,300,200/max/0/color.png", 100, 50, 300, 200),
        ("900,600,300,200/max/0/default.png", 900, 600, 100, 100),
        ("pct:10,10,20,20/max/0/default.png", 100, 70, 200, 140),
        ("999,699,1,1/max/0/default.png", 999, 699, 1, 1),
    ] {
        assert_eq!(drawn(&slide, address), top.crop(x, y, width, height), "{address}");
    }
    let turned = drawn(&slide, "100,50,300,200/max/90/default.png");
    assert_eq!((turned.width, turned.height), (200, 300));
    assert_eq!(at(&turned, 199, 0), at(&top, 100, 50));
    assert_eq!(at(&drawn(&slide, "100,50,300,200/max/!180/default.png"), 0, 0), at(&top, 100, 249));
}

#[test]
fn smaller_pictures_are_the_mean_of_what_they_show() {
    let top = picture(WIDTH, HEIGHT);
    for steps in [&[1][..], &[1, 4], &[1, 2, 4, 16]] {
        let slide = slide(DEFLATE, 64, steps);
        let half = drawn(&slide, "0,0,1000,700/500,350/0/default.png");
        assert_eq!(half, smaller(&top, 2).crop(0, 0, 500, 350), "{steps:?}");
        let quarter = drawn(&slide, "0,0,1000,700/250,/0/default.png");
        assert!(difference(&quarter, &smaller(&top, 4)) < 0.6, "{steps:?}");
        // As wide as the slide and a fifth as tall: the level is chosen by the side that keeps more.
        let flat = drawn(&slide, "full/1000,140/0/default.png");
        let mean = |x: u32, y: u32| (0..5).map(|row| u32::from(at(&top, x, 5 * y + row)[0])).sum::<u32>() / 5;
        for (x, y) in [(0, 0), (500, 70), (999, 139)] {
            assert!(u32::from(at(&flat, x, y)[0]).abs_diff(mean(x, y)) <= 1, "{steps:?}: {x}, {y}");
        }
        let one = drawn(&slide, "full/1,1/0/default.png");
        let mean = top.data.iter().step_by(3).map(|&v| f64::from(v)).sum::<f64>() / f64::from(WIDTH * HEIGHT);
        assert!((f64::from(one.data[0]) - mean).abs() < 8.0, "{steps:?}: {one:?} {mean}");
    }
}

/// What OpenSeadragon asks for: tiles at powers of two, cut off at the edges, with sizes rounded up.
fn tiles(zoom: &DeepZoom, power: u32) -> Vec<(u32, u32, String)> {
    let step = zoom.tile_size() << power;
    let (across, down) = (WIDTH.div_ceil(step), HEIGHT.div_ceil(step));
    let tile = |column: u32, row: u32| {
        let (x, y) = (column * step, row * step);
        let (width, height) = (step.min(WIDTH - x), step.min(HEIGHT - y));
        let size = (width.div_ceil(1 << power), height.div_ceil(1 << power));
        (column, row, format!("{x},{y},{width},{height}/{},{}/0/default.jpg", size.0, size.1))
    };
    (0..down).flat_map(|row| (0..across).map(move |column| tile(column, row))).collect()
}

#[test]
fn the_tiles_that_viewers_ask_for_are_those_of_deep_zoom() {
    for steps in [&[1][..], &[1, 4], &[1, 2, 4]] {
        let slide = slide(DEFLATE, 64, steps);
        let zoom = DeepZoom::new(&slide, None, 0);
        for power in 0..5 {
            for (column, row, address) in tiles(&zoom, power) {
                let level = zoom.levels() - 1 - power as usize;
                let (own, other) = (drawn(&slide, &address), zoom.tile(&slide, level, column, row).unwrap());
                assert_eq!((own.width, own.height), (other.width, other.height), "{steps:?}: {address}");
                // 700 is no multiple of 8: there Deep Zoom fits the slide into a whole number of pixels.
                let far = if power < 3 { 0.0 } else { 8.0 };
                let found = difference(&own, &other);
                assert!(found <= far, "{steps:?}: {address}: {found}");
            }
        }
    }
}

#[test]
fn whole_tiles_of_the_file_pass_through_also_from_its_smaller_levels() {
    let slide = slide(JPEG, 64, &[1, 4]);
    let zoom = DeepZoom::new(&slide, None, 0);
    let mut passed = [0; 5];
    for power in 0..5 {
        for (column, row, address) in tiles(&zoom, power) {
            let native = plan(&slide, Version::V3, &address).unwrap().native(&slide);
            assert_eq!(native, zoom.native(zoom.levels() - 1 - power as usize, column, row), "{address}");
            if let Some((level, column, row)) = native {
                passed[power as usize] += 1;
                assert_eq!(drawn(&slide, &address), slide.tile(level, column, row).unwrap(), "{address}");
            }
        }
    }
    assert_eq!(passed, [15 * 10, 0, 3 * 2, 0, 0], "of 16 × 11 and 4 × 3");
    let native = |version, address: &str| plan(&slide, version, address).unwrap().native(&slide);
    for (version, address) in [
        (Version::V2, "64,128,64,64/full/0/default.jpg"),
        (Version::V2, "64,128,64,64/64,/0/color.jpg"),
        (Version::V3, "64,128,64,64/max/0/default.jpg"),
        (Version::V3, "64,128,64,64/!64,64/360/color.jpg"),
    ] {
        assert_eq!(native(version, address), Some((0, 1, 2)), "{address}");
    }
    for address in [
        "64,128,64,64/max/0/default.png",
        "64,128,64,64/max/0/gray.jpg",
        "64,128,64,64/max/90/default.jpg",
        "64,128,64,64/max/!0/default.jpg",
        "65,128,64,64/max/0/default.jpg",
        "64,120,64,64/max/0/default.jpg",
        "64,128,64,64/32,32/0/default.jpg",
        "64,128,128,64/max/0/default.jpg",
        "64,128,192,192/64,64/0/default.jpg",
        "128,0,256,256/64,64/0/default.jpg",
        "0,0,256,255/64,64/0/default.jpg",
    ] {
        assert_eq!(native(Version::V3, address), None, "{address}");
    }
}

#[test]
fn what_is_asked_for_in_other_words_is_one_picture_with_one_address() {
    let slide = slide(DEFLATE, 64, &[1]);
    for (version, same, canonical) in [
        (
            Version::V3,
            &["full/max/0/default.jpg", "0,0,1000,700/1000,/360/color.jpg", "pct:0,0,100,100/^1000,700/0/color.jpg"][..],
            "full/max/0/default.jpg",
        ),
        (
            Version::V2,
            &["full/full/0/default.jpg", "full/max/0/color.jpg", "0,0,2000,2000/1000,700/0/color.jpg"],
            "full/full/0/default.jpg",
        ),
        (
            Version::V3,
            &[
                "10,20,100,50/50,/!90/gray.png",
                "10,20,100,50/pct:50/!90.0/gray.png",
                "10,20,100,50/!50,50/!90/gray.png",
            ],
            "10,20,100,50/50,25/!90/gray.png",
        ),
        (
            Version::V2,
            &["10,20,100,50/50,/0/bitonal.png", "10,20,100,50/,25/0/bitonal.png", "10,20,100,50/50,25/0/bitonal.png"],
            "10,20,100,50/50,/0/bitonal.png",
        ),
        (Version::V2, &["10,20,100,50/50,50/0/default.jpg"], "10,20,100,50/50,50/0/default.jpg"),
    ] {
        for address in same {
            let found = plan(&slide, version, address).unwrap();
            assert_eq!(found, plan(&slide, version, same[0]).unwrap(), "{address}");
            assert_eq!(found.canonical(&slide, version), canonical, "{address}");
        }
        assert_eq!(plan(&slide, version, canonical).unwrap(), plan(&slide, version, same[0]).unwrap());
    }
}

#[test]
fn qualities_take_colours_away_in_both_formats() {
    let slide = slide(DEFLATE, 64, &[1]);
    let top = picture(WIDTH, HEIGHT);
    let encoded = |picture: &str| {
        let plan = plan(&slide, Version::V3, &format!("0,0,200,100/max/0/{picture}")).unwrap();
        plan.encode(plan.draw(&slide).unwrap(), 90).unwrap()
    };
    let light = |x: u32, y: u32| {
        let [red, green, blue] = at(&top, x, y).map(f64::from);
        0.299 * red + 0.587 * green + 0.114 * blue
    };
    let (gray, bitonal) = (decode_png(&encoded("gray.png")), decode_png(&encoded("bitonal.png")));
    for (x, y) in [(0, 0), (17, 40), (100, 50), (199, 99)] {
        let [value, ..] = at(&gray, x, y);
        assert!((f64::from(value) - light(x, y)).abs() <= 1.0, "{x}, {y}");
        assert_eq!(at(&bitonal, x, y), [if value >= 128 { 255 } else { 0 }; 3], "{x}, {y}");
    }
    assert_eq!(decode_png(&encoded("color.png")), top.crop(0, 0, 200, 100));
    assert!(difference(&decode_jpeg(&encoded("gray.jpg")), &gray) < 3.0);
    assert!(difference(&decode_jpeg(&encoded("bitonal.jpg")), &bitonal) < 20.0);
    assert!(difference(&decode_jpeg(&encoded("default.jpg")), &top.crop(0, 0, 200, 100)) < 5.0);
}

#[test]
fn the_description_tells_sizes_tiles_and_limits() {
    let slide = slide(DEFLATE, 64, &[1, 4]);
    let parsed = |version| -> Value { serde_json::from_str(&info(version, &slide, "http://h:1/iiif/3/m-1")).unwrap() };
    let three = parsed(Version::V3);
    for (key, value) in [
        ("@context", json!("http://iiif.io/api/image/3/context.json")),
        ("id", json!("http://h:1/iiif/3/m-1")),
        ("type", json!("ImageService3")),
        ("protocol", json!("http://iiif.io/api/image")),
        ("profile", json!("level2")),
        ("width", json!(1000)),
        ("height", json!(700)),
        ("maxArea", json!(16 << 20)),
        ("tiles", json!([{ "width": 64, "height": 64, "scaleFactors": [1, 2, 4, 8, 16] }])),
        (
            "sizes",
            json!([
                { "width": 125, "height": 88 },
                { "width": 250, "height": 175 },
                { "width": 500, "height": 350 },
                { "width": 1000, "height": 700 }
            ]),
        ),
    ] {
        assert_eq!(three[key], value, "{key}");
    }
    let two = parsed(Version::V2);
    assert_eq!(two["@context"], "http://iiif.io/api/image/2/context.json");
    assert_eq!(two["@id"], "http://h:1/iiif/3/m-1");
    assert_eq!(two["profile"][0], "http://iiif.io/api/image/2/level2.json");
    assert_eq!(two["profile"][1]["maxArea"], 16 << 20);
    assert_eq!((&two["tiles"], &two["sizes"], two.get("type")), (&three["tiles"], &three["sizes"], None));
    let strange: Value = serde_json::from_str(&info(Version::V3, &slide, "a\"b\\c\n")).unwrap();
    assert_eq!(strange["id"], "a\"b\\c\n");
    // All sizes and a tile of each scale are there.
    for size in three["sizes"].as_array().unwrap() {
        let address = format!("full/{},{}/0/default.jpg", size["width"], size["height"]);
        assert!(plan(&slide, Version::V3, &address).unwrap().draw(&slide).is_ok(), "{address}");
    }
}

/// A slide of one huge level would have to be read as a whole for its small pictures: they are neither promised nor made.
#[test]
fn what_costs_too_much_is_refused_and_not_promised() {
    let file = crate::common::File { big_endian: false, big: true };
    let mut image = image(file, &picture(256, 256), Form::tiles(JPEG, 256));
    image.tiles = vec![vec![]; 1 << 16];
    let side = crate::common::Value::Long(vec![1 << 16]);
    let slide = Slide::open(Arc::new(file.write(&[image.with(256, side.clone()).with(257, side)]))).unwrap();
    let info: Value = serde_json::from_str(&info(Version::V3, &slide, "http://h/iiif/3/m-1")).unwrap();
    assert_eq!(info["tiles"][0]["scaleFactors"], json!([1, 2, 4, 8, 16, 32, 64]));
    assert_eq!(info["sizes"], json!([]));
    let refused = plan(&slide, Version::V3, "full/500,/0/default.jpg").unwrap().draw(&slide);
    assert!(matches!(refused, Err(microtome_slide::SlideError::TooLarge(_))), "{refused:?}");
    assert!(plan(&slide, Version::V3, "0,0,16384,16384/256,256/0/default.jpg").unwrap().draw(&slide).is_ok());
}

/// A picture that is drawn in bands, so as to bound the memory, shows no seams.
#[test]
fn large_pictures_are_drawn_in_bands_without_seams() {
    let (width, height) = (3000, 2000);
    let top = picture(width, height);
    let image = image(FILE, &top, Form::tiles(crate::common::NONE, 512));
    let slide = Slide::open(Arc::new(FILE.write(&[image]))).unwrap();
    // 6 Mi pixels are kept for it, in bands of at most 4.
    let drawn = drawn(&slide, "full/1600,/0/default.png");
    assert_eq!((drawn.width, drawn.height), (1600, 1067));
    let row = |y: u32| (f64::from(y) + 0.5) * 2000.0 / 1067.0;
    for y in 0..1067 {
        let [_, green, _] = at(&drawn, 800, y);
        let expected = 127.0 + 100.0 * ((row(y) - 0.5) / 11.0).sin();
        assert!((f64::from(green) - expected).abs() < 6.0, "row {y}: {green} for {expected:.1}");
    }
}

/// Counts how often long stretches of a file are read: its tiles.
struct Counted {
    bytes: Vec<u8>,
    reads: AtomicU32,
}

impl ReadAt for Counted {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.reads.fetch_add(u32::from(buf.len() > 1000), Ordering::Relaxed);
        self.bytes.read_exact_at(buf, offset)
    }
}

/// Bands ended in the midst of tiles, which were then decoded twice.
#[test]
fn bands_end_where_tiles_do_so_that_each_is_read_once() {
    let top = picture(3000, 2000);
    let bytes = FILE.write(&[image(FILE, &top, Form::tiles(crate::common::NONE, 512))]);
    let source = Arc::new(Counted { bytes, reads: AtomicU32::new(0) });
    let slide = Slide::open(source.clone()).unwrap();
    source.reads.store(0, Ordering::Relaxed);
    assert_eq!(drawn(&slide, "full/max/0/default.png"), top);
    assert_eq!(source.reads.load(Ordering::Relaxed), 6 * 4);
}

/// Addresses of all kinds, put together from what stands in real ones: each is refused or becomes a plan within the
/// limits, whose canonical address is the same plan. The seed is fixed, so that a failure comes again.
#[test]
fn no_address_breaks_anything() {
    const WORDS: [&str; 34] = [
        "full",
        "square",
        "max",
        "pct:",
        "^",
        "!",
        ",",
        ".",
        "0",
        "1",
        "7",
        "64",
        "100",
        "90",
        "180",
        "1000",
        "700",
        "default",
        "color",
        "gray",
        "bitonal",
        "jpg",
        "png",
        "65536",
        "4294967295",
        "4294967296",
        "18446744073709551615",
        "99999999999999999999",
        "-",
        "e",
        "%",
        " ",
        "é",
        "\u{0}",
    ];
    let slide = slide(JPEG, 64, &[1, 4]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut plans = 0;
    for _ in 0..60_000 {
        let word = |next: &mut dyn FnMut(usize) -> usize, most: usize| -> String {
            (0..next(most)).map(|_| WORDS[next(WORDS.len())]).collect()
        };
        let number = |next: &mut dyn FnMut(usize) -> usize| [0, 1, 10, 64, 500, 1000, 70_000][next(7)] + next(9);
        let region = match next(4) {
            0 => "full".to_owned(),
            1 => format!("{},{},{},{}", number(&mut next), number(&mut next), number(&mut next), number(&mut next)),
            2 => format!("pct:{}.{},{},{},{}", next(110), next(99), next(110), next(110), next(110)),
            _ => word(&mut next, 9),
        };
        let size = match next(4) {
            0 => "max".to_owned(),
            1 => format!("{}{},{}", ["", "!", "^", "^!"][next(4)], number(&mut next), number(&mut next)),
            2 => format!("{}{}", ["pct:", "^pct:", ",", ""][next(4)], number(&mut next)) + ["", ","][next(2)],
            _ => word(&mut next, 6),
        };
        let rotation = if next(2) == 0 { ["0", "!90", "270"][next(3)].to_owned() } else { word(&mut next, 3) };
        let last = if next(3) > 0 { "default.jpg".to_owned() } else { word(&mut next, 5) };
        for version in [Version::V2, Version::V3] {
            let address = format!("{region}/{size}/{rotation}/{last}");
            let request = Request::parse(version, &region, &size, &rotation, &last);
            let Ok(plan) = request.and_then(|request| Plan::new(&slide, &request)) else { continue };
            plans += 1;
            let (width, height) = plan.size();
            assert!(width > 0 && height > 0 && width.max(height) <= WIDTH, "{address}: {width} × {height}");
            let _ = plan.native(&slide);
            let canonical = plan.canonical(&slide, version);
            assert_eq!(self::plan(&slide, version, &canonical).as_ref(), Ok(&plan), "{address}: {canonical}");
        }
    }
    assert!(plans > 1000, "{plans}");
}
