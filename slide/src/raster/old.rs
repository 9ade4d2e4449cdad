//! The tags of old-style JPEG (compression 6; TIFF 6.0, section 22), from which what a JPEG says before its scan is put
//! together. Files that hold whole JPEGs instead (tag 513) were written in too many ways, and are refused.

use super::form::{unsupported, ycbcr};
use crate::{
    SlideError,
    codec::{ComponentTables, OldJpeg},
    error::Result,
    tiff::{Directory, Tiff, tags},
};

/// JPEGProc of sequential JPEG, the only one that tables of 8 bits can describe.
const BASELINE: u64 = 1;

pub(super) fn read(
    tiff: &Tiff<'_>,
    directory: &Directory,
    photometric: u64,
    count: u64,
    bits: u64,
    tile_width: u32,
) -> Result<OldJpeg> {
    let tag = |tag, default| tiff.uint(directory, tag).map(|value| value.unwrap_or(default));
    let (process, whole) = (tag(tags::JPEG_PROC, BASELINE)?, tag(tags::JPEG_INTERCHANGE_FORMAT, 0)?);
    if process != BASELINE || whole != 0 || bits != 8 || tag(tags::PLANAR_CONFIGURATION, 1)? == 2 && count > 1 {
        return Err(unsupported("old-style JPEG (compression 6) that is not described by its tables alone"));
    }
    let ycbcr = match (photometric, count) {
        (1, 1) => None,
        (6, 3) => Some(ycbcr(tiff, directory)?),
        _ => return Err(unsupported(&format!("old-style JPEG (compression 6) of {count} samples"))),
    };
    let places = |tag| {
        let places = tiff.uints(directory, tag, 4)?;
        (places.len() as u64 >= count)
            .then_some(places)
            .ok_or_else(|| SlideError::Damaged(format!("old-style JPEG lacks tables (tag {tag})")))
    };
    let (quantisation, dc, ac) =
        (places(tags::JPEG_Q_TABLES)?, places(tags::JPEG_DC_TABLES)?, places(tags::JPEG_AC_TABLES)?);
    let codes = |at: u64| {
        let counts = tiff.piece(at, 16)?;
        let values: u64 = counts.iter().map(|&count| u64::from(count)).sum();
        tiff.piece(at, 16 + values)
    };
    let tables = (0..count as usize)
        .map(|index| {
            Ok(ComponentTables {
                quantisation: tiff.piece(quantisation[index], 64)?,
                dc: codes(dc[index])?,
                ac: codes(ac[index])?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let width = u16::try_from(tile_width).map_err(|_| unsupported("old-style JPEG of more than 65535 columns"))?;
    let restart_interval = u16::try_from(tag(tags::JPEG_RESTART_INTERVAL, 0)?).unwrap_or(0);
    Ok(OldJpeg::new(width, restart_interval, &tables, ycbcr))
}
