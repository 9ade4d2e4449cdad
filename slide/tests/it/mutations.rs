//! Files of every maker with bytes overwritten anywhere: an error or pixels, and never a panic or a long time.

use crate::{bif, common::pixels, ndpi, philips, qptiff, scn};
use jpeg_encoder::SamplingFactor;
use microtome_slide::Slide;
use std::{sync::Arc, time::Instant};

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

/// Opens it and looks at a little of everything.
fn look(bytes: Vec<u8>) {
    let Ok(slide) = Slide::open(Arc::new(bytes)) else { return };
    for level in 0..slide.levels().len().min(8) {
        let (width, height) = (slide.levels()[level].width as i64, slide.levels()[level].height as i64);
        let downsample = slide.levels()[level].downsample;
        for (x, y) in [(0, 0), (width - 20, height - 20)] {
            let place = |at: i64| (at as f64 * downsample) as i64;
            let _pixels_or_an_error = slide.region(place(x), place(y), level, 40, 40);
        }
        let _pixels_or_an_error = slide.tile(level, 0, 0);
    }
    for image in slide.associated() {
        let _pixels_or_an_error = slide.associated_image(&image.name);
    }
}

#[test]
fn overwritten_bytes_give_errors_or_pixels() {
    let files = [
        ("ndpi", ndpi::made(SamplingFactor::F_1_1)),
        ("philips", philips::file().0),
        ("leica", scn::file().0),
        ("ventana", bif::file()),
        ("trestle", bif::trestle()),
        ("qptiff", qptiff::file()),
        ("jpeg", pixels::jpeg(&pixels::picture(100, 80), true)),
    ];
    let mut numbers = Numbers(7);
    for (name, file) in files {
        // What is not pixels lies in the last part of the made files, and at the start.
        let from_end = file.len().min(6000);
        for round in 0..150 {
            let mut bytes = file.clone();
            for _ in 0..=numbers.next(4) {
                let at = match numbers.next(4) {
                    0 => numbers.next(bytes.len()),
                    1 => numbers.next(bytes.len().min(400)),
                    _ => bytes.len() - 1 - numbers.next(from_end),
                };
                bytes[at] = match numbers.next(3) {
                    0 => 0xff,
                    1 => b'0' + numbers.next(10) as u8,
                    _ => numbers.next(256) as u8,
                };
            }
            if numbers.next(10) == 0 {
                bytes.truncate(numbers.next(bytes.len()));
            }
            let start = Instant::now();
            look(bytes);
            let took = start.elapsed();
            assert!(took.as_secs() < 20, "{name}, round {round}: {took:?}");
        }
    }
}
