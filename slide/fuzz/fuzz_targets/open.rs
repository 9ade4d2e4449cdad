//! Whole files.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: microtome_slide_fuzz::start(),
    |input: &[u8]| microtome_slide_fuzz::read(input.to_vec())
);
