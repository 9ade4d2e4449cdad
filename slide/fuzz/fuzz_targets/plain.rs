//! Samples as they are: what the tags say of them, and the step to RGB.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: microtome_slide_fuzz::start(),
    |input: &[u8]| {
        if let Some(file) = microtome_slide_fuzz::tiff(1, input) {
            microtome_slide_fuzz::read(file);
        }
    }
);
