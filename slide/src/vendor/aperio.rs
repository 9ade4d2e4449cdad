//! Aperio SVS: a TIFF whose descriptions begin with "Aperio". The tiled images are the levels; those in strips are the
//! thumbnail, always second in the file, the label and the macro, which are named in their descriptions. Facts from
//! OpenSlide's reader and from files.

use super::{Parts, properties};
use crate::{
    SlideError,
    error::Result,
    raster::Raster,
    tiff::{Directory, Tiff, tags},
};

/// Opens an Aperio slide; nothing where the file is none.
pub(super) fn open(tiff: &Tiff<'_>) -> Result<Option<Parts>> {
    let Some(first) = tiff.directories.first().filter(|first| Raster::is_tiled(first)) else { return Ok(None) };
    let description = tiff.text(first, tags::IMAGE_DESCRIPTION)?.unwrap_or_default();
    if !description.starts_with("Aperio") {
        return Ok(None);
    }

    let (mut levels, mut associated) = (Vec::<Raster>::new(), Vec::<(String, Raster)>::new());
    for (index, directory) in tiff.directories.iter().enumerate() {
        if tiff.uint(directory, tags::IMAGE_DEPTH)?.is_some_and(|depth| depth > 1) {
            return Err(SlideError::Unsupported("an Aperio slide with several planes of focus in one image".into()));
        }
        if Raster::is_tiled(directory) {
            let level = Raster::read(tiff, directory)?;
            // Planes of focus repeat the sizes: the first is the sharpest one's pyramid.
            if levels
                .last()
                .is_none_or(|last| level.grid.width < last.grid.width && level.grid.height < last.grid.height)
            {
                levels.push(level);
            }
        } else if let Some(name) = associated_name(tiff, directory, index)? {
            // A label that cannot be read must not keep the tissue from being seen.
            let raster = Raster::read(tiff, directory).ok();
            let new = associated.iter().all(|(other, _)| *other != name);
            associated.extend(raster.filter(|_| new).map(|raster| (name, raster)));
        }
    }

    let mut properties = properties::of(tiff, first)?;
    for pair in description.split('|').skip(1) {
        if let Some((key, value)) = pair.split_once('=') {
            properties.insert(format!("aperio.{}", key.trim()), value.trim().to_owned());
        }
    }
    let number =
        |key: &str| properties.get(key)?.parse().ok().filter(|&number: &f64| number.is_finite() && number > 0.0);
    let (mpp, objective_power) = (number("aperio.MPP"), number("aperio.AppMag"));
    Ok(Some(Parts {
        levels,
        associated,
        mpp: mpp.map(|mpp| (mpp, mpp)),
        objective_power,
        properties,
        holes_spoil: true,
        ..Parts::new("aperio")
    }))
}

/// The name of an image in strips: the first word of its description's second line, which newer scanners leave out.
fn associated_name(tiff: &Tiff<'_>, directory: &Directory, index: usize) -> Result<Option<String>> {
    if index == 1 {
        return Ok(Some("thumbnail".into()));
    }
    let description = tiff.text(directory, tags::IMAGE_DESCRIPTION)?.unwrap_or_default();
    let second = description.split(['\r', '\n']).filter(|line| !line.trim().is_empty()).nth(1);
    let word = second.and_then(|line| line.split_whitespace().next()).map(str::to_lowercase);
    Ok(match (word, tiff.uint(directory, tags::NEW_SUBFILE_TYPE)?) {
        (Some(word), _) if matches!(word.as_str(), "label" | "macro" | "thumbnail") => Some(word),
        (_, Some(1)) => Some("label".into()),
        (_, Some(9)) => Some("macro".into()),
        _ => None,
    })
}
