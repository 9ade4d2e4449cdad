//! Addresses of the IIIF Image API: what they are on slides of several shapes, and that the address which is preferred for
//! a picture asks for the same one.
#![no_main]

use microtome_slide::{
    Slide,
    iiif::{Plan, Request, Version},
};
use microtome_slide_fuzz::{Head, bounded, start, tiff};
use std::sync::{Arc, LazyLock};

/// Pictures of more pixels are not drawn: drawing has targets of its own.
const DRAWN_MAX: u32 = 4096;

static SLIDES: LazyLock<Vec<Slide>> = LazyLock::new(|| {
    let slide = |(width, height): (u16, u16)| {
        let head = Head { width, height, samples: 1, form: 1 << 4, tables: 0 };
        let samples = vec![9; usize::from(width) * usize::from(height)];
        let file = tiff(1, &[&head.bytes()[..], &samples].concat())?;
        Slide::open(Arc::new(file)).ok()
    };
    [(300, 200), (1, 1), (60_000, 3), (7, 4096)].into_iter().filter_map(slide).collect()
});

libfuzzer_sys::fuzz_target!(init: start(), |input: &[u8]| {
    let Some((kind, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let version = if kind & 1 == 0 { Version::V3 } else { Version::V2 };
    let parts: Vec<&str> = text.splitn(4, '/').collect();
    let [region, size, rotation, picture] = parts.as_slice() else { return };
    let Ok(request) = bounded("parse", || Request::parse(version, region, size, rotation, picture)) else { return };
    for slide in SLIDES.iter() {
        let Ok(plan) = bounded("plan", || Plan::new(slide, &request)) else { continue };
        let (width, height) = plan.size();
        assert!(width > 0 && height > 0 && u64::from(width) * u64::from(height) <= 16 << 20, "{width} × {height}");
        let _ = plan.native(slide);
        let canonical = plan.canonical(slide, version);
        let parts: Vec<&str> = canonical.split('/').collect();
        let same = Request::parse(version, parts[0], parts[1], parts[2], parts[3]);
        assert_eq!(same.and_then(|request| Plan::new(slide, &request)), Ok(plan), "{text} is {canonical}");
        if width * height <= DRAWN_MAX {
            let drawn = bounded("draw", || plan.draw(slide)).map(|drawn| (drawn.width, drawn.height));
            assert_eq!(drawn.ok(), Some((width, height)), "{text}");
        }
    }
});
