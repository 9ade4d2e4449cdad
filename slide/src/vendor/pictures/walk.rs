//! What the parts of a picture's file are: a JPEG's segments, a PNG's chunks, a JP2's boxes. Each is told with its kind
//! and where its content lies; how many are looked at has a bound.

use crate::{ReadAt, SlideError, error::Result, limits::PICTURE_SEGMENTS_MAX};
use std::ops::Range;

/// A part's kind and where in the file its content is. The content may end beyond the file.
pub(super) type Part<Kind> = (Kind, Range<u64>);

/// The bytes at `at`, which must be there.
pub(super) fn bytes<const LEN: usize>(source: &dyn ReadAt, at: u64) -> Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    match at.checked_add(LEN as u64) {
        Some(end) if end <= source.len() => source.read_exact_at(&mut bytes, at)?,
        _ => return Err(SlideError::Damaged("the picture ends before its size is told".into())),
    }
    Ok(bytes)
}

/// The bytes of `part`, all of which must be there.
pub(super) fn content(source: &dyn ReadAt, part: &Range<u64>) -> Result<Vec<u8>> {
    if part.start > part.end || part.end > source.len() {
        return Err(SlideError::Damaged("a part of the picture's file goes on beyond its end".into()));
    }
    let mut content = vec![0; (part.end - part.start) as usize];
    source.read_exact_at(&mut content, part.start)?;
    Ok(content)
}

pub(super) fn long(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes)
}

/// The first of a JPEG's segments before its pixels of which `wanted` makes something; nothing where none is.
pub(super) fn in_jpeg<T>(
    source: &dyn ReadAt,
    mut wanted: impl FnMut(Part<u8>) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let mut at = 2;
    for _ in 0..PICTURE_SEGMENTS_MAX {
        let [fill, marker, high, low] = bytes(source, at)?;
        match marker {
            _ if fill != 0xff => break,
            // Any number of 0xff may stand before a marker.
            0xff => at += 1,
            0xd8..=0xda => break,
            _ => {
                let end = at + 2 + u64::from(u16::from_be_bytes([high, low]).max(2));
                if let Some(found) = wanted((marker, at + 4..end))? {
                    return Ok(Some(found));
                }
                at = end;
            }
        }
    }
    Ok(None)
}

/// The same of a PNG's chunks before its pixels.
pub(super) fn in_png<T>(
    source: &dyn ReadAt,
    mut wanted: impl FnMut(Part<[u8; 4]>) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let mut at = 8;
    for _ in 0..PICTURE_SEGMENTS_MAX {
        let (len, kind) = (u64::from(long(bytes(source, at)?)), bytes::<4>(source, at + 4)?);
        if matches!(&kind, b"IDAT" | b"IEND") {
            break;
        }
        if let Some(found) = wanted((kind, at + 8..at + 8 + len))? {
            return Ok(Some(found));
        }
        // The checksum follows.
        at += 12 + len;
    }
    Ok(None)
}

/// The same of the boxes that lie in `within` of a JP2 file (ISO/IEC 15444-1, annex I).
pub(super) fn in_boxes<T>(
    source: &dyn ReadAt,
    within: Range<u64>,
    mut wanted: impl FnMut(Part<[u8; 4]>) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let mut at = within.start;
    for _ in 0..PICTURE_SEGMENTS_MAX {
        if at >= within.end {
            break;
        }
        let (len, kind) = (long(bytes(source, at)?), bytes::<4>(source, at + 4)?);
        let (head_len, len) = match len {
            1 => (16, u64::from_be_bytes(bytes(source, at + 8)?)),
            // To the end of what it lies in.
            0 => (8, within.end - at),
            len => (8, len.into()),
        };
        let Some(end) = at.checked_add(len).filter(|_| len >= head_len) else { break };
        if let Some(found) = wanted((kind, at + head_len..end))? {
            return Ok(Some(found));
        }
        at = end;
    }
    Ok(None)
}
