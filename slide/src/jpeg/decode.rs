//! A whole JPEG to pixels.

use super::{Frame, header::damaged, refuse};
use crate::error::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// No JPEG says more than this many pixels with one byte: each block of 64 samples takes a bit at the least, and chroma
/// blocks come on top.
const PIXELS_PER_BYTE_MAX: usize = 512;
/// Scans of a progressive JPEG; encoders write about ten, and each costs a walk over all pixels.
const SCANS_MAX: usize = 32;

/// Decodes `jpeg`, whose header [`assemble`](super::assemble) has read as `frame`, to RGB. A JPEG that ends too early
/// is damaged: what is missing must not turn into grey tissue.
pub(crate) fn decode(jpeg: &[u8], frame: &Frame) -> Result<Vec<u8>> {
    if let Some(refusal) = refuse(frame) {
        return Err(refusal);
    }
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    if width * height > jpeg.len() * PIXELS_PER_BYTE_MAX {
        return Err(damaged(&format!("{} bytes cannot hold {width} × {height} pixels", jpeg.len())));
    }
    let options = DecoderOptions::default()
        .set_max_width(width)
        .set_max_height(height)
        .set_strict_mode(true)
        .jpeg_set_max_scans(SCANS_MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    // The decoder has indices that crafted scans can drive out of bounds: that is the tile's fault, not the caller's.
    match catch_unwind(AssertUnwindSafe(|| decoder.decode())) {
        Ok(Ok(pixels)) if pixels.len() == width * height * 3 => Ok(pixels),
        Ok(Ok(_)) => Err(damaged("it has another size than its header says")),
        Ok(Err(error)) => Err(damaged(&format!("{error:?}"))),
        Err(_) => Err(damaged("its scans contradict its header")),
    }
}
