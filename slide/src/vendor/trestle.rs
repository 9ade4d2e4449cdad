//! Trestle: a TIFF of tiled images, each a level, whose tiles overlap by as many pixels as the first description says.
//! From OpenSlide's reader; not tried on a real file. The macro image lies in another file and is left out.

use super::{Parts, properties};
use crate::{
    SlideError,
    error::Result,
    raster::{Area, Raster},
    tiff::{Tiff, tags},
};

/// Opens a Trestle slide; nothing where the file is none.
pub(super) fn open(tiff: &Tiff<'_>) -> Result<Option<Parts>> {
    let Some(first) = tiff.directories.first() else { return Ok(None) };
    let software = tiff.text(first, tags::SOFTWARE)?.unwrap_or_default();
    let description = tiff.text(first, tags::IMAGE_DESCRIPTION)?;
    let tiled = tiff.directories.iter().all(Raster::is_tiled);
    let Some(description) = description.filter(|_| tiled && software.starts_with("MedScan")) else { return Ok(None) };

    let mut parts = Parts::new("trestle");
    parts.properties = properties::of(tiff, first)?;
    for (key, value) in description.split(';').filter_map(|pair| pair.split_once('=')) {
        parts.properties.insert(format!("trestle.{}", key.trim()), value.trim().to_owned());
    }
    let property = |key: &str| parts.properties.get(key);
    let overlaps: Vec<u32> = property("trestle.OverlapsXY")
        .map(|text| text.split(' ').filter(|word| !word.is_empty()).map(|word| word.parse().unwrap_or(0)).collect())
        .unwrap_or_default();
    parts.objective_power = property("trestle.Objective Power").and_then(|text| text.parse().ok());
    let background = property("trestle.Background Color").and_then(|text| u32::from_str_radix(text, 16).ok());
    // These tags have the micrometres of a pixel here, and no resolution.
    let mpp = |tag| tiff.number(first, tag).map(|number| number.filter(|number| *number > 0.0));
    parts.mpp = mpp(tags::X_RESOLUTION)?.zip(mpp(tags::Y_RESOLUTION)?);
    let background = background.map(|color| format!("{:06X}", color & 0xff_ffff));
    parts.properties.extend(background.map(|color| ("openslide.background-color".to_owned(), color)));
    for (index, directory) in tiff.directories.iter().enumerate() {
        let overlap = |at: usize| overlaps.get(2 * index + at).copied().unwrap_or(0);
        parts.levels.push(overlapping(Raster::read(tiff, directory)?, overlap(0), overlap(1))?);
    }
    let smaller =
        |pair: &[Raster]| pair[1].grid.width < pair[0].grid.width && pair[1].grid.height < pair[0].grid.height;
    match parts.levels.windows(2).all(smaller) {
        true => Ok(Some(parts)),
        false => Err(SlideError::Unsupported("a Trestle slide whose levels are not in order".into())),
    }
}

/// The image with its tiles pushed together.
fn overlapping(image: Raster, x: u32, y: u32) -> Result<Raster> {
    let grid = image.grid;
    if (x, y) == (0, 0) {
        return Ok(image);
    }
    if x > grid.tile_width / 2 || y > grid.tile_height / 2 {
        return Err(SlideError::Damaged(format!("tiles that overlap by {x} × {y} pixels, more than half of each")));
    }
    // An image of less than a tile has nothing to take off.
    let side = |side: u32, tile: u32, count: u32, overlap: u32| match side >= tile {
        true => side.saturating_sub((count - 1).saturating_mul(overlap)).max(1),
        false => side,
    };
    let width = side(grid.width, grid.tile_width, grid.columns, x);
    let height = side(grid.height, grid.tile_height, grid.rows, y);
    let area = Area {
        image: 0,
        columns: 0..grid.columns,
        rows: 0..grid.rows,
        piece: (grid.tile_width.into(), grid.tile_height.into()),
        advance: ((grid.tile_width - x).into(), (grid.tile_height - y).into()),
        at: (0.0, 0.0),
    };
    Ok(Raster::mosaic(width, height, vec![image], vec![area]))
}
