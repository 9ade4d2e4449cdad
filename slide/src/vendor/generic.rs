//! Plain pyramidal TIFF: the first image is level 0, and the smaller ones of the same shape are the others, whether
//! they follow it or hang below it as SubIFDs. An image alone is a slide of one level.

use super::{Parts, properties};
use crate::{
    SlideError,
    error::Result,
    raster::Raster,
    tiff::{Directory, Tiff, tags},
};

const REDUCED: u64 = 1;
const MASK: u64 = 4;

/// Opens any TIFF.
pub(super) fn open(tiff: &Tiff<'_>) -> Result<Parts> {
    let (first, others) =
        tiff.directories.split_first().ok_or_else(|| SlideError::NotASlide("the TIFF is empty".into()))?;
    let children = tiff.children(first)?;
    Ok(Parts {
        levels: pyramid(tiff, first, children.iter().chain(others))?,
        mpp: properties::mpp(tiff, first)?,
        properties: properties::of(tiff, first)?,
        ..Parts::new("generic-tiff")
    })
}

/// The pyramid of the image `first` and those of the others that are tiled, smaller and of its shape.
pub(super) fn pyramid<'d>(
    tiff: &Tiff<'_>,
    first: &Directory,
    others: impl Iterator<Item = &'d Directory>,
) -> Result<Vec<Raster>> {
    let mut levels = vec![Raster::read(tiff, first)?];
    for directory in others.filter(|directory| Raster::is_tiled(directory)) {
        levels.extend(smaller(tiff, directory, &levels[0])?);
    }
    levels.sort_by_key(|level| std::cmp::Reverse(level.grid.width));
    levels.dedup_by(|next, last| next.grid.width >= last.grid.width || next.grid.height >= last.grid.height);
    Ok(levels)
}

/// The image as a level below `top`; nothing where it is another picture.
fn smaller(tiff: &Tiff<'_>, directory: &Directory, top: &Raster) -> Result<Option<Raster>> {
    let kind = tiff.uint(directory, tags::NEW_SUBFILE_TYPE)?.unwrap_or(0);
    let size = |tag| Ok::<_, SlideError>(tiff.uint(directory, tag)?.unwrap_or(0) as f64);
    let (width, height) = (size(tags::IMAGE_WIDTH)?, size(tags::IMAGE_LENGTH)?);
    let (across, down) = (f64::from(top.grid.width) / width, f64::from(top.grid.height) / height);
    // Writers round sizes in all ways, so the one may be a pixel off where the other is not.
    let alike = (across * height - f64::from(top.grid.height)).abs() <= 1.5 * across
        || (down * width - f64::from(top.grid.width)).abs() <= 1.5 * down;
    let is_level = kind & MASK == 0 && width > 0.0 && height > 0.0 && across > 1.0 && down > 1.0 && alike;
    // Without the mark it must be much smaller: pages of one size are a stack, not a pyramid.
    match is_level && (kind & REDUCED != 0 || across > 1.5) {
        true => Raster::read(tiff, directory).map(Some),
        false => Ok(None),
    }
}
