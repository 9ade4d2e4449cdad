//! Plain pictures: JPEG, PNG and JPEG 2000 files, each a slide of one level. OpenSlide reads none of them. A few bytes
//! tell their size; the pixels are decoded when they are first looked at. Orientation in Exif is not followed.

use super::Parts;
use crate::{
    ReadAt, SlideError,
    error::Result,
    limits::PICTURE_SEGMENTS_MAX,
    raster::{Coding, Picture, Raster},
};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JP2: &[u8] = b"\0\0\0\x0cjP  \r\n\x87\n";
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
    Ok(Some(Parts { levels: vec![raster], ..Parts::new(vendor) }))
}

/// The bytes at `at`, which must be there.
fn bytes<const LEN: usize>(source: &dyn ReadAt, at: u64) -> Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    match at.checked_add(LEN as u64) {
        Some(end) if end <= source.len() => source.read_exact_at(&mut bytes, at)?,
        _ => return Err(SlideError::Damaged("the picture ends before its size is told".into())),
    }
    Ok(bytes)
}

fn long(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes)
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
    let mut at = 2;
    for _ in 0..PICTURE_SEGMENTS_MAX {
        let [fill, marker, high, low] = bytes(source, at)?;
        match marker {
            _ if fill != 0xff => break,
            0xff => at += 1,
            // DHT, JPG and DAC lie among the frame headers.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let [precision, h1, h0, w1, w0, components] = bytes(source, at + 4)?;
                if precision != 8 || !matches!(components, 1 | 3) {
                    let what = format!("a JPEG picture of {components} components of {precision} bits");
                    return Err(SlideError::Unsupported(what));
                }
                return Ok((u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into()));
            }
            0xd8..=0xda => break,
            _ => at += 2 + u64::from(u16::from_be_bytes([high, low]).max(2)),
        }
    }
    Err(SlideError::Damaged("a JPEG picture without a frame header".into()))
}

/// Where the codestream is in a JP2 file: ISO/IEC 15444-1, annex I.
fn codestream_in_boxes(source: &dyn ReadAt) -> Result<u64> {
    let mut at = 0u64;
    for _ in 0..PICTURE_SEGMENTS_MAX {
        let (len, kind) = (long(bytes(source, at)?), bytes::<4>(source, at + 4)?);
        let (head_len, len) = match len {
            1 => (16, u64::from_be_bytes(bytes(source, at + 8)?)),
            // To the file's end.
            0 => (8, source.len() - at),
            len => (8, len.into()),
        };
        if &kind == b"jp2c" {
            return Ok(at + head_len);
        }
        match at.checked_add(len).filter(|_| len >= head_len) {
            Some(next) => at = next,
            None => break,
        }
    }
    Err(SlideError::Damaged("a JP2 file without a codestream".into()))
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
