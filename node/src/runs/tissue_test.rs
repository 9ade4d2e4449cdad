use super::*;
use crate::pixels::drawn;
use std::sync::Arc;

const GLASS: [u8; 3] = [243, 241, 244];
const TISSUE: [u8; 3] = [196, 120, 180];

fn found(slide: &Slide) -> Tissue {
    find(slide, &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Noise of ±3 per channel that is the same at every run.
fn noisy(rgb: [u8; 3], x: u32, y: u32) -> [u8; 3] {
    let mut state = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77);
    rgb.map(|value| {
        state = (state ^ (state >> 15)).wrapping_mul(0x2c1b_3c6d);
        (value - 3).saturating_add((state >> 16) as u8 % 7)
    })
}

#[test]
fn finds_the_share_that_was_drawn() {
    // A disc of radius 150 in 640 × 400 pixels.
    let inside = |x: u32, y: u32| (f64::from(x) - 320.0).hypot(f64::from(y) - 200.0) < 150.0;
    let slide = drawn::slide(&[(640, 400)], |x, y| noisy(if inside(x, y) { TISSUE } else { GLASS }, x, y));
    let tissue = found(&slide);
    let drawn = std::f64::consts::PI * 150.0 * 150.0 / (640.0 * 400.0);
    assert!((tissue.fraction - drawn).abs() < 0.003, "{} is not {drawn}", tissue.fraction);
    assert_eq!((tissue.level, tissue.width, tissue.height), (0, 640, 400));
    assert_eq!(tissue.mask, MaskShape { width: 640, height: 400, downsample: 1.0 });
    assert_eq!(tissue.tissue_mm2, None);
    let at = |x: usize, y: usize| tissue.pixels[y * 640 + x];
    assert_eq!((at(320, 200), at(320, 55), at(320, 45), at(0, 0)), (255, 255, 0, 0));
}

#[test]
fn bare_glass_has_no_tissue_and_a_full_slide_no_glass() {
    let glass = found(&drawn::slide(&[(200, 200)], |x, y| noisy(GLASS, x, y)));
    assert_eq!(glass.fraction, 0.0, "threshold {}", glass.threshold);
    // The tint of some cameras: coloured, but all over.
    let tinted = found(&drawn::slide(&[(200, 200)], |x, y| noisy([236, 232, 218], x, y)));
    assert_eq!(tinted.fraction, 0.0, "threshold {}", tinted.threshold);
    let full = found(&drawn::slide(&[(200, 200)], |x, y| noisy(TISSUE, x, y)));
    assert_eq!(full.fraction, 1.0, "threshold {}", full.threshold);
    // Pale and dark tissue are two classes for Otsu, and both are tissue.
    let both = found(&drawn::slide(&[(200, 200)], |x, _| if x < 100 { [230, 170, 200] } else { [110, 50, 130] }));
    assert_eq!(both.fraction, 1.0, "threshold {}", both.threshold);
}

#[test]
fn a_black_frame_is_no_tissue() {
    let slide = drawn::slide(&[(200, 200)], |x, y| if x < 50 { [9, 3, 14] } else { noisy(GLASS, x, y) });
    assert_eq!(found(&slide).fraction, 0.0);
}

#[test]
fn looks_at_the_largest_level_that_fits() {
    let left = |x: u32, _: u32| if x < 2048 { TISSUE } else { GLASS };
    let slide = drawn::slide(&[(8192, 64), (2048, 16), (512, 4)], left);
    let tissue = found(&slide);
    assert_eq!((tissue.level, tissue.width, tissue.mask.width, tissue.mask.height), (1, 8192, 2048, 16));
    assert!((tissue.mask.downsample - 4.0).abs() < 1e-9);
    assert!((tissue.fraction - 0.25).abs() < 0.002, "{}", tissue.fraction);
}

#[test]
fn a_slide_with_one_huge_level_is_averaged_in_boxes_over_all_blocks() {
    // Fine stripes that only an average sees as what they are; 3 × 3 boxes, several blocks, a cut off box at the edge.
    let paint = |x: u32, y: u32| if x < 5000 && y.is_multiple_of(3) { [150, 60, 140] } else { GLASS };
    let slide = drawn::slide(&[(10_000, 100)], paint);
    let mut steps = Vec::new();
    let tissue = find(&slide, &mut |value| {
        steps.push(value);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((tissue.mask.width, tissue.mask.height), (3334, 34));
    assert!((tissue.mask.downsample - 3.0).abs() < 1e-9);
    assert!((tissue.fraction - 0.5).abs() < 0.002, "{}", tissue.fraction);
    assert!(steps.len() > 4 && steps.is_sorted() && steps.last() == Some(&1.0), "{steps:?}");
}

#[test]
fn stops_when_told_to() {
    let slide = drawn::slide(&[(5000, 64)], |_, _| GLASS);
    let mut steps = 0;
    let result = find(&slide, &mut |_| {
        steps += 1;
        if steps == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(TissueError::Stopped)));
    assert_eq!(steps, 2);
}

#[test]
fn the_median_takes_specks_and_closes_holes() {
    let mut mask = vec![0; 10 * 10];
    mask[5 * 10 + 8] = 255;
    for y in 0..5 {
        for x in 0..5 {
            mask[y * 10 + x] = 255;
        }
    }
    mask[2 * 10 + 2] = 0;
    median(&mut mask, 10);
    assert_eq!((mask[5 * 10 + 8], mask[2 * 10 + 2], mask[0]), (0, 255, 255));
}

#[test]
#[allow(clippy::print_stderr, reason = "a test that is left out says so")]
fn the_real_slide_is_mostly_tissue() {
    let folder = std::env::var("MICROTOME_TEST_DATA")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data").to_owned());
    let folder = std::path::Path::new(&folder);
    let path = folder.join("CMU-1-Small-Region.svs");
    // With its truth beside it, so that it is the file that is meant.
    for needed in [&path, &folder.join("truth/CMU-1-Small-Region.svs.json")] {
        if !needed.is_file() {
            eprintln!("skipped: {} is not there", needed.display());
            return;
        }
    }
    let slide = Slide::open(Arc::new(microtome_slide::FileSource::open(&path).unwrap())).unwrap();
    let tissue = found(&slide);
    assert_eq!((tissue.width, tissue.height, tissue.level), (2220, 2967, 0));
    // Pillow's decoder and median filter with the same rule give 0.285; nearly two thirds of the picture are bare glass.
    assert!((0.26..0.30).contains(&tissue.fraction), "{}", tissue.fraction);
    let whole_mm2 = 2220.0 * 2967.0 * 0.499 * 0.499 / 1e6;
    assert!((tissue.tissue_mm2.unwrap() - whole_mm2 * tissue.fraction).abs() < 1e-6);
}
