//! The ICC profile inside a plain picture.

use super::walk::{content, in_boxes, in_jpeg, in_png};
use crate::{ReadAt, SlideError, error::Result, limits::ICC_PROFILE_LEN_MAX, raster::Coding};
use flate2::read::ZlibDecoder;
use std::{collections::BTreeMap, io::Read as _, ops::Range};

/// What a JPEG's piece of a profile begins with; its number, from 1, and how many there are follow.
const JPEG_PIECE: &[u8] = b"ICC_PROFILE\0";

/// The profile of a picture that is coded so.
///
/// # Errors
/// `Damaged` where it is not whole, or over 16 MiB.
pub(in crate::vendor) fn read(source: &dyn ReadAt, coding: Coding) -> Result<Option<Vec<u8>>> {
    let profile = match coding {
        Coding::Jpeg => of_jpeg(source),
        Coding::Png => of_png(source),
        Coding::Jpeg2000 => of_jp2(source),
    }?;
    match profile {
        Some(profile) if profile.len() as u64 > ICC_PROFILE_LEN_MAX => Err(damaged("it is over 16 MiB")),
        profile => Ok(profile),
    }
}

/// From the APP2 segments that it was cut into, at most 255 of 64 KiB: ICC.1:2010, B.4.
fn of_jpeg(source: &dyn ReadAt) -> Result<Option<Vec<u8>>> {
    let (mut pieces, mut want) = (BTreeMap::new(), 0);
    in_jpeg(source, |(marker, place)| {
        if marker == 0xe2 {
            let segment = content(source, &place)?;
            if let Some(&[number, count, ref piece @ ..]) = segment.strip_prefix(JPEG_PIECE) {
                want = count;
                pieces.insert(number, piece.to_vec());
            }
        }
        Ok(None::<()>)
    })?;
    if pieces.is_empty() {
        return Ok(None);
    }
    if !pieces.keys().copied().eq(1..=want) {
        return Err(damaged("pieces of it are missing"));
    }
    Ok(Some(pieces.into_values().collect::<Vec<_>>().concat()))
}

/// From the chunk iCCP: a name, a zero, how it is packed (0 for zlib), and the profile. PNG, third edition, 11.3.2.3.
fn of_png(source: &dyn ReadAt) -> Result<Option<Vec<u8>>> {
    let chunk = in_png(source, |(kind, place)| (&kind == b"iCCP").then(|| bounded(source, &place)).transpose())?;
    let Some(chunk) = chunk else { return Ok(None) };
    let name_len = chunk.iter().position(|&byte| byte == 0).ok_or_else(|| damaged("its name has no end"))?;
    let Some((0, packed)) = chunk[name_len + 1..].split_first() else {
        return Err(damaged("it is packed in an unknown way"));
    };
    let mut profile = Vec::new();
    // One more than may be shows that it is too long.
    let unpacked = ZlibDecoder::new(packed).take(ICC_PROFILE_LEN_MAX + 1).read_to_end(&mut profile);
    unpacked.map_err(|error| damaged(&error.to_string()))?;
    Ok(Some(profile))
}

/// From the box colr in the box jp2h: how colours are told (2 and 3: by a profile), two bytes, and the profile.
/// ISO/IEC 15444-1, I.5.3.3. A bare codestream has none.
fn of_jp2(source: &dyn ReadAt) -> Result<Option<Vec<u8>>> {
    if !super::is_jp2(source)? {
        return Ok(None);
    }
    let header = in_boxes(source, 0..source.len(), |(kind, place)| Ok((&kind == b"jp2h").then_some(place)))?;
    let Some(header) = header else { return Ok(None) };
    if header.end > source.len() {
        return Err(damaged("it goes on beyond the file's end"));
    }
    in_boxes(source, header, |(kind, place)| {
        if &kind != b"colr" {
            return Ok(None);
        }
        let colours = bounded(source, &place)?;
        Ok(colours
            .split_at_checked(3)
            .filter(|(head, _)| matches!(head[0], 2 | 3))
            .map(|(_, profile)| profile.to_vec()))
    })
}

/// The content of `part` where it is not longer than a profile may be.
fn bounded(source: &dyn ReadAt, part: &Range<u64>) -> Result<Vec<u8>> {
    match part.end.saturating_sub(part.start) {
        ..=ICC_PROFILE_LEN_MAX => content(source, part),
        len => Err(damaged(&format!("it has {len} bytes"))),
    }
}

fn damaged(why: &str) -> SlideError {
    SlideError::Damaged(format!("the picture's ICC profile: {why}"))
}
