//! What the TIFF's own fields say of a slide, under OpenSlide's names.

use crate::{
    error::Result,
    tiff::{Directory, Tiff, tags},
};
use std::collections::BTreeMap;

const TEXTS: &[(u16, &str)] = &[
    (tags::ARTIST, "tiff.Artist"),
    (tags::COPYRIGHT, "tiff.Copyright"),
    (tags::DATE_TIME, "tiff.DateTime"),
    (tags::DOCUMENT_NAME, "tiff.DocumentName"),
    (tags::HOST_COMPUTER, "tiff.HostComputer"),
    (tags::IMAGE_DESCRIPTION, "tiff.ImageDescription"),
    (tags::MAKE, "tiff.Make"),
    (tags::MODEL, "tiff.Model"),
    (tags::SOFTWARE, "tiff.Software"),
];

/// The properties that the first image's fields give.
pub(super) fn of(tiff: &Tiff<'_>, directory: &Directory) -> Result<BTreeMap<String, String>> {
    let mut properties = BTreeMap::new();
    for &(tag, name) in TEXTS {
        if let Some(text) = tiff.text(directory, tag)? {
            properties.insert(name.to_owned(), text);
        }
    }
    for (tag, name) in [(tags::X_RESOLUTION, "tiff.XResolution"), (tags::Y_RESOLUTION, "tiff.YResolution")] {
        if let Some(resolution) = tiff.number(directory, tag)? {
            properties.insert(name.to_owned(), resolution.to_string());
        }
    }
    let unit = match tiff.uint(directory, tags::RESOLUTION_UNIT)?.unwrap_or(2) {
        1 => Some("none"),
        2 => Some("inch"),
        3 => Some("centimeter"),
        _ => None,
    };
    if let Some(unit) = unit {
        properties.insert("tiff.ResolutionUnit".into(), unit.into());
    }
    if let Some(profile) = directory.field(tags::ICC_PROFILE) {
        properties.insert("openslide.icc-size".into(), profile.count.to_string());
    }
    if let Some(comment) = properties.get("tiff.ImageDescription").cloned() {
        properties.insert("openslide.comment".into(), comment);
    }
    Ok(properties)
}

/// Micrometres per pixel from the resolution fields.
pub(super) fn mpp(tiff: &Tiff<'_>, directory: &Directory) -> Result<Option<(f64, f64)>> {
    let micrometres = match tiff.uint(directory, tags::RESOLUTION_UNIT)?.unwrap_or(2) {
        2 => 25_400.0,
        3 => 10_000.0,
        _ => return Ok(None),
    };
    let side = |tag| -> Result<Option<f64>> {
        let pixels = tiff.number(directory, tag)?.filter(|&pixels| pixels > 0.0);
        Ok(pixels.map(|pixels| micrometres / pixels).filter(|mpp| mpp.is_finite()))
    };
    Ok(side(tags::X_RESOLUTION)?.zip(side(tags::Y_RESOLUTION)?))
}

/// Adds the scanned regions of level 0, each as x, y, width and height, and the bounds of all of them where `bounds` says
/// so.
pub(super) fn regions(properties: &mut BTreeMap<String, String>, regions: &[[u32; 4]], bounds: bool) {
    const NAMES: [&str; 4] = ["x", "y", "width", "height"];
    for (index, region) in regions.iter().enumerate() {
        for (name, number) in NAMES.iter().zip(region) {
            properties.insert(format!("openslide.region[{index}].{name}"), number.to_string());
        }
    }
    let first = |at: usize| regions.iter().map(|region| region[at]).min();
    let end = |at: usize| regions.iter().map(|region| u64::from(region[at]) + u64::from(region[at + 2])).max();
    if let (true, Some(x), Some(y), Some(right), Some(below)) = (bounds, first(0), first(1), end(0), end(1)) {
        let numbers = [u64::from(x), u64::from(y), right - u64::from(x), below - u64::from(y)];
        for (name, number) in NAMES.iter().zip(numbers) {
            properties.insert(format!("openslide.bounds-{name}"), number.to_string());
        }
    }
}
