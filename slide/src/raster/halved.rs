//! An image made smaller by halving each piece of a JPEG before its colours become red, green and blue: as libjpeg and
//! so OpenSlide do it, where colours beyond what RGB can say count with what they are.

use super::cut::Pieces;
use crate::{Compression, ReadAt, Rgb, SlideError, error::Result, grid::Grid, jpeg, resample::BoxMean};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

/// Pieces that are JPEGs.
pub(crate) trait JpegPieces: Pieces {
    /// A piece as a whole JPEG, and what its header says.
    fn jpeg(&self, source: &dyn ReadAt, column: u32, row: u32) -> Result<(Vec<u8>, jpeg::Frame)>;
}

/// Pieces of an image halved so many times.
pub(crate) struct Halved<P> {
    of: Arc<P>,
    times: u32,
}

impl<P> fmt::Debug for Halved<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halved").field("times", &self.times).finish_non_exhaustive()
    }
}

impl<P> Halved<P> {
    /// The image halved `times` times, at most three; its pieces' sides must allow it where there are several.
    pub(crate) fn new(of: Arc<P>, times: u32) -> Self {
        Self { of, times }
    }
}

impl<P: JpegPieces> Pieces for Halved<P> {
    fn compression(&self) -> Compression {
        self.of.compression()
    }

    fn grid(&self) -> Grid {
        let grid = self.of.grid();
        let half = |side: u32| (side >> self.times).max(1);
        Grid::new(half(grid.width), half(grid.height), half(grid.tile_width), half(grid.tile_height))
    }

    fn tile(&self) -> (u32, u32) {
        let (width, height) = self.of.tile();
        ((width >> self.times).max(1), (height >> self.times).max(1))
    }

    fn decode(&self, source: &dyn ReadAt, column: u32, row: u32) -> Result<Rgb> {
        let (bytes, frame) = self.of.jpeg(source, column, row)?;
        if let Some(smaller) = jpeg::shrunk(&bytes, &frame, self.times)? {
            return Ok(smaller);
        }
        let (mut whole, color) = planes(&bytes, &frame)?;
        // What remains of an odd side is left out.
        let (width, height) = ((whole.width >> self.times).max(1), (whole.height >> self.times).max(1));
        let across = 0..whole.width.min(width << self.times);
        let down = 0..whole.height.min(height << self.times);
        let mut mean = BoxMean::new(across.clone(), down.clone(), 1 << self.times);
        mean.add(&whole, 0, 0, &across, &down);
        whole = mean.finish();
        if color == ColorSpace::YCbCr {
            whole.data.chunks_exact_mut(3).for_each(rgb);
        }
        Ok(whole)
    }
}

/// The pixels in the colours that the JPEG has them in, grey as three alike.
fn planes(bytes: &[u8], frame: &jpeg::Frame) -> Result<(Rgb, ColorSpace)> {
    jpeg::check_whole(bytes)?;
    let wrong = |why: String| SlideError::Damaged(format!("a level's JPEG: {why}"));
    let (width, height) = (u32::from(frame.width), u32::from(frame.height));
    jpeg::check(bytes, frame)?;
    let options = DecoderOptions::default().set_max_width(width as usize).set_max_height(height as usize);
    let options = options.jpeg_set_max_scans(jpeg::SCANS_MAX);
    let decode = || {
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options.set_strict_mode(true));
        decoder.decode_headers()?;
        let color = decoder.input_colorspace().unwrap_or(ColorSpace::YCbCr);
        decoder.set_options(options.set_strict_mode(true).jpeg_set_out_colorspace(color));
        Ok::<_, zune_jpeg::errors::DecodeErrors>((decoder.decode()?, color))
    };
    // Crafted scans may drive the decoder out of bounds: that is the file's fault, not the caller's.
    let decoded =
        catch_unwind(AssertUnwindSafe(decode)).map_err(|_| wrong("its scans contradict its header".into()))?;
    let (samples, color) = decoded.map_err(|error| wrong(format!("{error:?}")))?;
    let pixels = width as usize * height as usize;
    let data = match color {
        ColorSpace::Luma => samples.iter().flat_map(|&grey| [grey; 3]).collect(),
        ColorSpace::YCbCr | ColorSpace::RGB => samples,
        other => return Err(SlideError::Unsupported(format!("a level's JPEG in {other:?}"))),
    };
    match data.len() == pixels * 3 {
        true => Ok((Rgb { width, height, data }, color)),
        false => Err(wrong("it has another size than its header says".into())),
    }
}

/// YCbCr to RGB as JFIF has it.
fn rgb(pixel: &mut [u8]) {
    if let [y, cb, cr] = pixel {
        let (luma, blue, red) = (f32::from(*y), f32::from(*cb) - 128.0, f32::from(*cr) - 128.0);
        // Casts from float end at 0 and 255.
        *y = (luma + 1.402 * red).round() as u8;
        *cb = (luma - 0.344_136 * blue - 0.714_136 * red).round() as u8;
        *cr = (luma + 1.772 * blue).round() as u8;
    }
}
