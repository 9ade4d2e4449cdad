//! Plain pyramids: which images are levels.

use crate::common::{
    FILES, Form, Image, NONE, Value, image,
    pixels::{picture, smaller},
};
use microtome_slide::Slide;
use std::sync::Arc;

const FILE: crate::common::File = FILES[0];

fn level(width: u32, height: u32) -> Image {
    image(FILE, &picture(width, height), Form::tiles(NONE, 64))
}

fn sizes(images: &[Image]) -> Vec<(u64, u64)> {
    let slide = Slide::open(Arc::new(FILE.write(images))).unwrap();
    slide.levels().iter().map(|level| (level.width, level.height)).collect()
}

#[test]
fn smaller_images_of_the_same_shape_are_levels_and_others_are_not() {
    let reduced = |image: Image| image.with(254, Value::Long(vec![1]));
    let top = || level(601, 401);
    assert_eq!(sizes(&[top(), level(300, 200), level(150, 100)]), [(601, 401), (300, 200), (150, 100)]);
    assert_eq!(
        sizes(&[top(), reduced(level(150, 100)), reduced(level(301, 201))]),
        [(601, 401), (301, 201), (150, 100)]
    );
    assert_eq!(sizes(&[top(), level(601, 401)]), [(601, 401)], "a stack");
    assert_eq!(sizes(&[top(), level(500, 333)]), [(601, 401)], "hardly smaller and not marked");
    assert_eq!(sizes(&[top(), reduced(level(500, 333))]), [(601, 401), (500, 333)]);
    assert_eq!(sizes(&[top(), reduced(level(300, 300))]), [(601, 401)], "another shape");
    assert_eq!(sizes(&[top(), level(300, 200).with(254, Value::Long(vec![5]))]), [(601, 401)], "a mask");
    let stripped = image(FILE, &picture(300, 200), Form::strips(NONE, 50));
    assert_eq!(sizes(&[top(), stripped.clone()]), [(601, 401)], "strips below tiles");
    assert_eq!(sizes(&[stripped]), [(300, 200)], "strips alone");
}

#[test]
fn levels_that_hang_below_the_first_image_are_found() {
    let top = picture(600, 400);
    let below = smaller(&top, 4);
    // The same file with the second image taken out of the chain and named in SubIFDs.
    let write = |at: u32| {
        let first = image(FILE, &top, Form::tiles(NONE, 64)).with(330, Value::Long(vec![at]));
        FILE.write(&[first, image(FILE, &below, Form::tiles(NONE, 64))])
    };
    let bytes = write(0);
    let first = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let next = first + 2 + 12 * usize::from(bytes[first]);
    let at = u32::from_le_bytes(bytes[next..next + 4].try_into().unwrap());
    let mut bytes = write(at);
    bytes[next..next + 4].fill(0);
    let slide = Slide::open(Arc::new(bytes)).unwrap();
    assert_eq!(slide.levels().len(), 2);
    assert_eq!(slide.region(0, 0, 1, below.width, below.height).unwrap(), below);
}

#[test]
fn the_resolution_gives_the_size_of_a_pixel() {
    let mpp = |unit: u16, x: (u32, u32), y: (u32, u32)| {
        let image = level(64, 64)
            .with(282, Value::Ratio(x.0, x.1))
            .with(283, Value::Ratio(y.0, y.1))
            .with(296, Value::Short(vec![unit]));
        Slide::open(Arc::new(FILE.write(&[image]))).unwrap().mpp()
    };
    assert_eq!(mpp(3, (20000, 1), (40000, 1)), Some((0.5, 0.25)));
    assert_eq!(mpp(2, (50800, 1), (50800, 1)), Some((0.5, 0.5)));
    assert_eq!(mpp(1, (50800, 1), (50800, 1)), None);
    assert_eq!(mpp(3, (0, 1), (1, 1)), None);
    assert_eq!(mpp(3, (1, 0), (1, 1)), None);
}
