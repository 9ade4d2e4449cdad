//! Pixels to JPEG and PNG.

mod jpeg;

use crate::{Rgb, SlideError, error::Result};
use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

/// A baseline JPEG, YCbCr 4:2:0. `quality` is libjpeg's: 1 to 100.
///
/// # Errors
/// `TooLarge` where a side is over JPEG's 65,535 pixels; `Unsupported` where there is no pixel.
pub fn jpeg(image: &Rgb, quality: u8) -> Result<Vec<u8>> {
    let side = |side: u32| {
        u16::try_from(side)
            .map_err(|_| SlideError::TooLarge(format!("a JPEG has sides up to 65535 pixels, not {side}")))
    };
    let (width, height) = (side(image.width)?, side(image.height)?);
    if width == 0 || height == 0 || image.data.len() != usize::from(width) * usize::from(height) * 3 {
        return Err(SlideError::Unsupported(format!(
            "a JPEG of {width} × {height} pixels: {} bytes were given",
            image.data.len()
        )));
    }
    Ok(jpeg::encode(image, quality))
}

/// A PNG, compressed fast rather than well.
///
/// # Errors
/// `Unsupported` where the image has no pixel.
pub fn png(image: &Rgb) -> Result<Vec<u8>> {
    write_png(image.width, image.height, &image.data, ExtendedColorType::Rgb8)
}

/// A grey PNG of `width * height` bytes: masks, mostly.
///
/// # Errors
/// `Unsupported` where `gray` has not that length, or there is no pixel.
pub fn png_gray(width: u32, height: u32, gray: &[u8]) -> Result<Vec<u8>> {
    write_png(width, height, gray, ExtendedColorType::L8)
}

fn write_png(width: u32, height: u32, data: &[u8], color: ExtendedColorType) -> Result<Vec<u8>> {
    let refuse = |why: &str| SlideError::Unsupported(format!("a PNG of {width} × {height} pixels: {why}"));
    if u64::from(width) * u64::from(height) * u64::from(color.channel_count()) != data.len() as u64 {
        return Err(refuse(&format!("{} bytes were given", data.len())));
    }
    let mut out = Vec::with_capacity(data.len() / 2 + 1024);
    PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Adaptive)
        .write_image(data, width, height, color)
        .map_err(|error| refuse(&error.to_string()))?;
    Ok(out)
}
