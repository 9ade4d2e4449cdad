//! JPEG 2000, in RGB, in YCbCr, and as it says itself.
#![no_main]

use microtome_slide_fuzz::{Head, read, start, tiff};

libfuzzer_sys::fuzz_target!(init: start(), |input: &[u8]| {
    // No tile of this codec has a predictor: its bits choose among the three numbers.
    let kind = Head::read(input).map_or(0, |(head, _)| u32::from(head.form >> 1) % 3);
    if let Some(file) = tiff(33003 + kind, input) {
        read(file);
    }
});
