//! Plain pictures: JPEG, PNG and JPEG 2000 files, each a slide of one level. OpenSlide reads none of them. A few bytes
//! tell their size; the pixels are decoded when they are first looked at. Orientation in Exif is not followed.

pub(super) mod profile;
mod walk;

use super::{Parts, Profile};
use crate::{
    ReadAt, SlideError,
    error::Result,
    raster::{Coding, Picture, Raster},
};
use walk::{bytes, in_boxes, in_jpeg, long};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JP2: &[u8; 12] = b"\0\0\0\x0cjP  \r\n\x87\n";
const CODESTREAM: &[u8] = b"\xff\x4f\xff\x51";
const JPEG: &[u8] = b"\xff\xd8\xff";

/// Opens a picture; nothing where the file begins like none.
pub(super) fn open(source: &dyn ReadAt) -> Result<Option<Parts>> {
    let mut head = [0; 12];
    let have = source.len().min(12) as usize;
    source.read_exact_at(&mut head[..have], 0)?;
    let (vendor, coding, size) = if head.starts_with(PNG) {
        ("png", Coding::Png, png_size(source)?)
    } else if head.starts_with(JP2) {
        ("jpeg2000", Coding::Jpeg2000, codestream_size(source, codestream_in_boxes(source)?)?)
    } else if head.starts_with(CODESTREAM) {
        ("jpeg2000", Coding::Jpeg2000, codestream_size(source, 0)?)
    } else if head.starts_with(JPEG) {
        ("jpeg", Coding::Jpeg, jpeg_size(source)?)
    } else {
        return Ok(None);
    };
    let raster = Raster::cut(Picture::new(coding, size, 0, source.len())?);
    Ok(Some(Parts { levels: vec![raster], profile: Profile::Picture(coding), ..Parts::new(vendor) }))
}

fn is_jp2(source: &dyn ReadAt) -> Result<bool> {
    Ok(&bytes::<{ JP2.len() }>(source, 0)? == JP2)
}

/// IHDR is always the first chunk.
fn png_size(source: &dyn ReadAt) -> Result<(u32, u32)> {
    if &bytes(source, 12)? != b"IHDR" {
        return Err(SlideError::Damaged("a PNG picture without its header".into()));
    }
    Ok((long(bytes(source, 16)?), long(bytes(source, 20)?)))
}

/// From the frame header, past all segments before it.
fn jpeg_size(source: &dyn ReadAt) -> Result<(u32, u32)> {
    let size = in_jpeg(source, |(marker, place)| {
        // DHT, JPG and DAC lie among the frame headers.
        if !matches!(marker, 0xc0..=0xcf) || matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return Ok(None);
        }
        let [precision, h1, h0, w1, w0, components] = bytes(source, place.start)?;
        if precision != 8 || !matches!(components, 1 | 3) {
            let what = format!("a JPEG picture of {components} components of {precision} bits");
            return Err(SlideError::Unsupported(what));
        }
        Ok(Some((u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into())))
    })?;
    size.ok_or_else(|| SlideError::Damaged("a JPEG picture without a frame header".into()))
}

/// Where the codestream is in a JP2 file.
fn codestream_in_boxes(source: &dyn ReadAt) -> Result<u64> {
    let start = in_boxes(source, 0..source.len(), |(kind, place)| Ok((&kind == b"jp2c").then_some(place.start)))?;
    start.ok_or_else(|| SlideError::Damaged("a JP2 file without a codestream".into()))
}

/// From SIZ, which is always the first marker segment: ISO/IEC 15444-1, A.5.1.
fn codestream_size(source: &dyn ReadAt, at: u64) -> Result<(u32, u32)> {
    if bytes::<4>(source, at)? != CODESTREAM {
        return Err(SlideError::Damaged("a JPEG 2000 codestream without its header".into()));
    }
    let number = |index: u64| Ok::<_, SlideError>(long(bytes(source, at + 8 + 4 * index)?));
    let (width, height) = (number(0)?.checked_sub(number(2)?), number(1)?.checked_sub(number(3)?));
    let components = u16::from_be_bytes(bytes(source, at + 40)?);
    if !(1..=4).contains(&components) {
        return Err(SlideError::Unsupported(format!("a JPEG 2000 picture of {components} components")));
    }
    width.zip(height).ok_or_else(|| SlideError::Damaged("a JPEG 2000 picture that ends before it begins".into()))
}
