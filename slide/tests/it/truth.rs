//! Real slides beside what OpenSlide and other readers say of them, where the folder with them is there.

use crate::common::{
    pixels::{alike, at, decode_jpeg, decode_png, difference, farthest, read_jpeg},
    shared::{folder, mean, sha256, source, truth},
};
use microtome_slide::{Compression, Rgb, Slide};
use serde_json::Value;
use std::path::Path;

/// The files in a form that is read.
const FILES: &[&str] = &[
    "12bit.cropped.rgb.tiff",
    "BigTIFFMotorola.tif",
    "CMU-1-Small-Region.svs",
    "OS-1-detail.ome.tif",
    "boxes.tiff",
    "cramps-tile.tif",
    "flower_q85_422.jpg",
    "flower_q85_rgb.jpg",
    "grand-canyon-5000x3750.jpg",
    "gray.tiled.u1.tif",
    "gray.tiled.u2.tif",
    "hamamatsu-test3-DAPI.ndpi",
    "histoprep-slide.jpeg",
    "ihc.png",
    "ojpeg-tile.tif",
    "openslide-small.svs",
    "quad-tile.jpg.tiff",
    "rgb.tiled.jpeg.u1.tif",
    "rgb.tiled.lzw.u1.tif",
    "rgb.tiled.u1.tif",
    "rgb.tiled.webp.u1.tif",
    "rgb.tiled.zstd.u1.tif",
    "rgba.tiled.u1.tif",
    "rgba_geotiff.tiff",
    "tcga-j2k-cut.svs",
    "test_orient1.tif",
    "test_orient3.tif",
    "test_orient6.tif",
    "tiled-jpeg-rgb-u8.tif",
    "tiled-rect-rgb-u8.tif",
    "world.jp2",
    "yb10kx5k.zstd.tiff",
];

/// Files with a truth that is for another reader: what they are refused for.
const REFUSED: &[(&str, &str)] =
    &[("openslide-unopenable.tiff", "52479"), ("histolab-broken.svs", "does not begin like a TIFF")];

/// From this column on OpenSlide is wrong: libtiff reads tiles of 16-bit grey that go beyond the edge at a wrong step.
fn wrong_from(name: &str) -> u32 {
    if name == "gray.tiled.u2.tif" { 96 } else { u32::MAX }
}

fn check_picture(name: &str, what: &str, picture: &Rgb, truth: &Value, folder: &Path, lossless: bool) {
    let what = format!("{name} {what}");
    let number = |key: &str, all: u32| truth[key].as_u64().map_or(all, |number| number as u32);
    let inside = picture.crop(0, 0, number("inside_w", picture.width), number("inside_h", picture.height));
    // OpenSlide's regions are transparent beyond the edge, so black in the truth; ours are white.
    let mut on_black = Rgb { data: vec![0; picture.data.len()], ..*picture };
    on_black.paste((0, 0), &inside, (0, 0), (inside.width, inside.height));
    if inside != *picture {
        assert_eq!(at(picture, picture.width - 1, picture.height - 1), [255; 3], "{what}");
    }
    let means = truth["mean_rgb"].as_array().unwrap();
    let wrong_from = wrong_from(name);
    if means.len() == 1 {
        // The truth has the one sample as it is stored, where 0 is white; a slide shows white as white.
        let stored: Vec<u8> = picture.data.iter().step_by(3).map(|sample| 255 - sample).collect();
        assert_eq!(sha256(&stored), truth["sha256_rgb"].as_str().unwrap(), "{what}");
    } else if !lossless {
        for (have, want) in mean(&on_black).iter().zip(means) {
            assert!((have - want.as_f64().unwrap()).abs() < 0.5, "{what}: {have} {want}");
        }
    } else if wrong_from == u32::MAX {
        assert_eq!(sha256(&on_black.data), truth["sha256_rgb"].as_str().unwrap(), "{what}");
        // With alpha the truth blends with white inside too, and not only beyond the edge.
        if let Some(on_white) = truth["sha256_rgb_on_white"].as_str().filter(|_| !name.starts_with("rgba")) {
            assert_eq!(sha256(&picture.data), on_white, "{what}");
        }
    }
    if let Some(png) = truth["png"].as_str().filter(|_| means.len() == 3) {
        let want = decode_png(&std::fs::read(folder.join("truth").join(png)).unwrap());
        let right = |picture: &Rgb| picture.crop(0, 0, wrong_from, picture.height);
        let off = difference(&right(picture), &right(&want));
        eprintln!("{what}: {off:.4} from the truth");
        assert!(off < if lossless { 1e-9 } else { 1.0 }, "{what}: {off}");
    }
}

#[test]
fn real_files_agree_with_other_readers() {
    let Some(folder) = folder() else { return };
    for name in FILES {
        let truth = truth(&folder, name);
        let slide = Slide::open(source(&folder.join(name))).unwrap_or_else(|error| panic!("{name}: {error}"));
        let sizes: Vec<_> = slide.levels().iter().map(|level| serde_json::json!([level.width, level.height])).collect();
        assert_eq!(truth["level_dimensions"], Value::Array(sizes), "{name}");
        if let Some(downsamples) = truth["level_downsamples"].as_array() {
            for (level, want) in slide.levels().iter().zip(downsamples) {
                assert!((level.downsample - want.as_f64().unwrap()).abs() < 1e-9, "{name}");
            }
        }
        if let Some(vendor) = truth["vendor"].as_str() {
            assert_eq!(slide.vendor(), vendor, "{name}");
            check_properties(name, &slide, &truth);
        }
        for region in truth["regions"].as_array().unwrap() {
            let number = |key: &str| region[key].as_i64().unwrap();
            let level = number("level") as usize;
            // Beyond the edge OpenSlide's regions go on, whether its truth says so or not; other readers' end there.
            let size = &slide.levels()[level];
            let inside = |at: &str, side: u64, len: &str| {
                let at = (region[at].as_f64().unwrap() / size.downsample).round() as u64;
                region[len].as_u64().unwrap().min(side.saturating_sub(at))
            };
            let inside = [("w", inside("x", size.width, "w")), ("h", inside("y", size.height, "h"))];
            let mut region = region.clone();
            for (len, inside) in inside {
                match truth["vendor"].is_string() {
                    true => region[format!("inside_{len}")] = inside.into(),
                    false => region[len] = inside.into(),
                }
            }
            let number = |key: &str| region[key].as_i64().unwrap();
            let picture =
                slide.region(number("x"), number("y"), level, number("w") as u32, number("h") as u32).unwrap();
            let region = &region;
            let lossy = [Compression::Jpeg, Compression::Jpeg2000, Compression::OldJpeg, Compression::WebP];
            // The other reader of 12 bits takes them for 16, which is darker by a level or two.
            let darker = *name == "12bit.cropped.rgb.tiff";
            let lossless = !lossy.contains(&slide.levels()[level].compression) && !darker;
            check_picture(name, &region["kind"].to_string(), &picture, region, &folder, lossless);
        }
        let associated = truth["associated"].as_object().into_iter().flatten();
        let mut names = Vec::new();
        for (image, want) in associated {
            let picture = slide.associated_image(image).unwrap();
            assert_eq!(
                (Some(picture.width.into()), Some(picture.height.into())),
                (want["width"].as_u64(), want["height"].as_u64())
            );
            check_picture(name, image, &picture, want, &folder, image == "label");
            names.push(image.clone());
        }
        assert_eq!(slide.associated().len(), names.len(), "{name}");
    }
}

fn check_properties(name: &str, slide: &Slide, truth: &Value) {
    for (key, want) in truth["properties"].as_object().unwrap() {
        let want = want.as_str().unwrap();
        // OpenSlide shows an NDPI's restart intervals as its tiles, which nobody wants to look at.
        if key == "openslide.quickhash-1" || (name.ends_with(".ndpi") && key.contains("].tile-")) {
            continue;
        }
        let have = slide.properties().get(key).unwrap_or_else(|| panic!("{name}: {key} is missing"));
        // OpenSlide reads resolutions as 32-bit floats here and there, and writes out more digits than they have.
        let near = have
            .parse::<f64>()
            .ok()
            .zip(want.parse::<f64>().ok())
            .is_some_and(|(a, b)| (a - b).abs() <= b.abs() * 1e-6);
        assert!(have == want || near, "{name}: {key} is '{have}', not '{want}'");
    }
}

#[test]
fn real_files_in_other_forms_are_refused_by_name() {
    let Some(folder) = folder() else { return };
    for (name, part) in REFUSED {
        let error = Slide::open(source(&folder.join(name))).unwrap_err().to_string();
        assert!(error.contains(part), "{name}: {error}");
    }
    for name in ["openslide-unreadable.svs", "truncated.jpg"] {
        let slide = Slide::open(source(&folder.join(name))).unwrap();
        assert!(slide.tile(0, 0, 0).unwrap_err().to_string().starts_with("damaged"), "{name}");
    }
}

#[test]
fn native_tiles_of_a_real_slide_are_its_own_bytes_and_show_the_right_colours() {
    let Some(folder) = folder() else { return };
    let path = folder.join("CMU-1-Small-Region.svs");
    let (bytes, slide) = (std::fs::read(&path).unwrap(), Slide::open(source(&path)).unwrap());
    let level = &slide.levels()[0];
    assert!(level.native && (level.columns, level.rows) == (10, 13));
    // The tables are found without the reader's help: classic, little-endian, one directory after the pixels.
    let long = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (offsets, lens) =
        (long(crate::common::field_at(&bytes, 0, 324)), long(crate::common::field_at(&bytes, 0, 325)));
    let mut out = Vec::new();
    for index in 0..130 {
        let (column, row) = (index % 10, index / 10);
        out.clear();
        assert!(slide.native_tile(&bytes, 0, column, row, &mut out).unwrap());
        let (offset, len) = (long(offsets + index as usize * 4), long(lens + index as usize * 4));
        assert!(out.ends_with(&bytes[offset + 2..offset + len]), "{column}, {row}");
        assert_eq!(&out[2..18], b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0", "the mark of RGB");
        assert_eq!(out.len(), 18 + 285 + len - 2, "SOI, mark, tables, tile without its SOI");
        let tile = slide.tile(0, column, row).unwrap();
        assert_eq!(read_jpeg(&out), tile, "{column}, {row}");
        assert!(farthest(&decode_jpeg(&out), &tile) <= 1, "another decoder: {column}, {row}");
    }
}

#[test]
fn a_jfif_tile_under_an_rgb_tag_passes_without_a_mark() {
    let Some(folder) = folder() else { return };
    let path = folder.join("OS-1-detail.ome.tif");
    let slide = Slide::open(source(&path)).unwrap();
    let mut out = Vec::new();
    assert!(slide.native_tile(source(&path).as_ref(), 0, 0, 0, &mut out).unwrap());
    assert!(!out.windows(5).any(|part| part == b"Adobe"));
    let tile = slide.tile(0, 0, 0).unwrap();
    assert_eq!(read_jpeg(&out), tile);
    assert!(alike(&decode_jpeg(&out), &tile), "another decoder");
}
