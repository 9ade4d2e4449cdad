//! A whole JPEG to pixels: all of them, or a part of them made smaller.

use super::{Frame, baseline, header::damaged, refuse};
use crate::{Rgb, error::Result, grid::Part};
use std::panic::{AssertUnwindSafe, catch_unwind};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// No JPEG says more than this many pixels with one byte: each block of 64 samples takes a bit at the least, and chroma
/// blocks come on top.
const PIXELS_PER_BYTE_MAX: usize = 512;
/// Scans of a progressive JPEG; encoders write about ten, and each costs a walk over all pixels.
pub(crate) const SCANS_MAX: usize = 32;

/// Decodes `jpeg`, whose header [`assemble`](super::assemble) has read as `frame`, to RGB. A JPEG that ends too early
/// is damaged: what is missing must not turn into grey tissue.
pub(crate) fn decode(jpeg: &[u8], frame: &Frame) -> Result<Vec<u8>> {
    check(jpeg, frame)?;
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    let mut picture = Rgb::white(width, height);
    match baseline::draw(jpeg, Part { x: 0, y: 0, width, height, shrink: 0 }, false, &mut picture, (0, 0))? {
        true => Ok(picture.data),
        false => foreign(jpeg, frame),
    }
}

/// Draws `part` of what [`decode`] gives into `picture` with its corner at `at`; with each sample taken from 255 where
/// `inverted`. Unless the part is shrunk, pixels are the same; means differ by rounding and where samples were clamped,
/// and by a little more where chroma is subsampled, as its own samples are taken for the mean.
pub(crate) fn draw(
    jpeg: &[u8],
    frame: &Frame,
    inverted: bool,
    part: Part,
    picture: &mut Rgb,
    at: (u32, u32),
) -> Result<()> {
    check(jpeg, frame)?;
    if !baseline::draw(jpeg, part, inverted, picture, at)? {
        let mut data = foreign(jpeg, frame)?;
        if inverted {
            data.iter_mut().for_each(|sample| *sample = 255 - *sample);
        }
        let whole = Rgb { width: u32::from(frame.width), height: u32::from(frame.height), data };
        part.draw(&whole, picture, at);
    }
    Ok(())
}

/// The whole picture, each square of `1 << shrink` pixels one of it, as long as squares fill it and its form is a usual one:
/// the mean is taken of what the JPEG has, before colours become red, green and blue.
pub(crate) fn shrunk(jpeg: &[u8], frame: &Frame, shrink: u32) -> Result<Option<Rgb>> {
    check(jpeg, frame)?;
    let (width, height) = (u32::from(frame.width) >> shrink, u32::from(frame.height) >> shrink);
    let mut picture = Rgb::white(width, height);
    let drawn = baseline::draw(jpeg, Part { x: 0, y: 0, width, height, shrink }, false, &mut picture, (0, 0))?;
    Ok(drawn.then_some(picture))
}

/// Refuses what is not decoded, and what cannot be as large as it says.
pub(crate) fn check(jpeg: &[u8], frame: &Frame) -> Result<()> {
    if let Some(refusal) = refuse(frame) {
        return Err(refusal);
    }
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    if width * height > jpeg.len() * PIXELS_PER_BYTE_MAX {
        return Err(damaged(&format!("{} bytes cannot hold {width} × {height} pixels", jpeg.len())));
    }
    Ok(())
}

/// Decodes what [`baseline`] does not: progressive JPEG, odd sampling, several scans. The decoder takes an end that comes
/// too early for the right one and what is missing for grey, so that this is looked for before.
pub(super) fn foreign(jpeg: &[u8], frame: &Frame) -> Result<Vec<u8>> {
    baseline::check_whole(jpeg)?;
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
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
