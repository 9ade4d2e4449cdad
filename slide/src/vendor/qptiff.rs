//! PerkinElmer's (Akoya's) QPTIFF: each image has XML of its own that tells what it is: a channel or all colours of the
//! full or a reduced resolution, a thumbnail, an overview or a label. Channels in images of their own are blended in the
//! colours that the XML gives. From the maker's published description of the tags; not tried on a real file.

use super::{Parts, properties, xml};
use crate::{
    SlideError,
    error::Result,
    limits::{CHANNELS_MAX, XML_LEN_MAX},
    raster::Raster,
    tiff::{Directory, Tiff, tags},
};

const ROOT: &str = "PerkinElmer-QPI-ImageDescription";

/// One image of the slide.
struct Plane<'d> {
    directory: &'d Directory,
    size: (u64, u64),
    name: Option<String>,
    color: [u8; 3],
    rgb: bool,
}

/// Opens a QPTIFF; nothing where the file is none.
pub(super) fn open(tiff: &Tiff<'_>) -> Result<Option<Parts>> {
    let Some(first) = tiff.directories.first() else { return Ok(None) };
    if !tiff.text(first, tags::IMAGE_DESCRIPTION)?.unwrap_or_default().contains(ROOT) {
        return Ok(None);
    }
    let mut parts = Parts::new("qptiff");
    let mut planes = Vec::<Plane<'_>>::new();
    // All directories may name one long text.
    let mut left = XML_LEN_MAX;
    for directory in &tiff.directories {
        let Some(document) = xml::Xml::read(tiff, directory, tags::IMAGE_DESCRIPTION)? else { continue };
        let too_long = || SlideError::Unsupported(format!("a QPTIFF with more than {XML_LEN_MAX} bytes of XML"));
        left = left.checked_sub(document.len()).ok_or_else(too_long)?;
        let document = document.parse()?;
        let root = document.root_element();
        let kind = xml::text(root, &["ImageType"]).unwrap_or_default();
        let associated = match kind {
            "FullResolution" | "ReducedResolution" => None,
            "Thumbnail" => Some("thumbnail"),
            "Overview" => Some("macro"),
            "Label" => Some("label"),
            _ => continue,
        };
        match associated {
            None => planes.push(Plane::read(tiff, directory, root)?),
            Some(name) if parts.associated.iter().all(|(other, _)| other != name) => {
                // A label that cannot be read must not keep the tissue from being seen.
                parts.associated.extend(Raster::read(tiff, directory).ok().map(|raster| (name.to_owned(), raster)));
            }
            _ => {}
        }
        if std::ptr::eq(directory, first) {
            for (key, path) in [("Objective", "Objective"), ("SlideID", "SlideID"), ("Barcode", "Barcode")] {
                let value = xml::text(root, &[path]);
                parts.properties.extend(value.map(|value| (format!("qptiff.{key}"), value.to_owned())));
            }
            let objective = xml::text(root, &["Objective"]).map(|text| text.trim_end_matches(['x', 'X']).trim());
            parts.objective_power =
                objective.and_then(|text| text.parse().ok()).filter(|power: &f64| power.is_finite() && *power > 0.0);
        }
    }
    let channels = match planes.first() {
        Some(top) => planes.iter().take_while(|plane| plane.size == top.size).count(),
        None => return Err(SlideError::NotASlide("the QPTIFF has no image of full resolution".into())),
    };
    if channels > CHANNELS_MAX {
        return Err(SlideError::Unsupported(format!("{channels} channels; up to {CHANNELS_MAX} are shown")));
    }
    for level in planes.chunks(channels) {
        parts.levels.push(shown(tiff, level, channels)?);
    }
    let smaller =
        |pair: &[Raster]| pair[1].grid.width < pair[0].grid.width && pair[1].grid.height < pair[0].grid.height;
    if !parts.levels.windows(2).all(smaller) {
        return Err(SlideError::Unsupported("a QPTIFF whose images are not in order".into()));
    }
    for (index, plane) in planes.iter().take(channels).enumerate() {
        parts.properties.extend(plane.name.clone().map(|name| (format!("qptiff.Channel[{index}].Name"), name)));
    }
    parts.properties.extend(properties::of(tiff, first)?);
    parts.properties.remove("tiff.ImageDescription");
    parts.properties.remove("openslide.comment");
    parts.mpp = properties::mpp(tiff, first)?;
    Ok(Some(parts))
}

impl<'d> Plane<'d> {
    fn read(tiff: &Tiff<'_>, directory: &'d Directory, root: roxmltree::Node<'_, '_>) -> Result<Self> {
        let number = |tag| tiff.uint(directory, tag).map(Option::unwrap_or_default);
        let color = xml::text(root, &["Color"]).and_then(|text| {
            let mut numbers = text.split(',').map(|number| number.trim().parse::<u8>().ok());
            Some([numbers.next()??, numbers.next()??, numbers.next()??])
        });
        Ok(Self {
            directory,
            size: (number(tags::IMAGE_WIDTH)?, number(tags::IMAGE_LENGTH)?),
            name: xml::text(root, &["Name"]).map(str::to_owned),
            color: color.unwrap_or([255; 3]),
            rgb: number(tags::SAMPLES_PER_PIXEL)? >= 3,
        })
    }
}

/// The channels of a level as one image.
fn shown(tiff: &Tiff<'_>, level: &[Plane<'_>], channels: usize) -> Result<Raster> {
    let alike = level.len() == channels && level.iter().all(|plane| plane.size == level[0].size);
    match level {
        _ if !alike => Err(SlideError::Damaged("a level of a QPTIFF lacks channels".into())),
        [plane] if plane.rgb => Raster::read(tiff, plane.directory),
        planes if planes.iter().any(|plane| plane.rgb) => {
            Err(SlideError::Unsupported("a QPTIFF with several images in colours".into()))
        }
        planes => {
            let read = |plane: &Plane<'_>| Ok((Raster::read(tiff, plane.directory)?, plane.color));
            Raster::blended(planes.iter().map(read).collect::<Result<_>>()?)
        }
    }
}
