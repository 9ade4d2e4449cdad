//! Leica SCN: the first description is XML with a collection of images, each with its place on the slide in nanometres
//! and the directory of each of its levels. The slide is the whole of the collection; the images of tissue lie in it, with
//! nothing between them. The image that covers all of it is the macro. Bright field only; the first depth. From
//! OpenSlide's reader; not tried on a real file.

use super::{Parts, base64, properties, xml};
use crate::{
    SlideError,
    error::Result,
    limits::{AREAS_MAX, DIRECTORIES_MAX, LEVELS_MAX},
    raster::{Area, Raster},
    tiff::{Directory, Tiff, tags},
};
use roxmltree::Node;

const NAMESPACES: [&str; 2] =
    ["http://www.leica-microsystems.com/scn/2010/03/10", "http://www.leica-microsystems.com/scn/2010/10/01"];

/// An image of the collection; lengths in nanometres.
#[derive(Debug)]
struct Image<'a, 'input> {
    node: Node<'a, 'input>,
    width: f64,
    at: (f64, f64),
    is_macro: bool,
    objective: Option<&'a str>,
    /// Directory and width in pixels, largest first.
    levels: Vec<(usize, f64)>,
}

/// Opens an SCN; nothing where the file is none.
pub(super) fn open(tiff: &Tiff<'_>) -> Result<Option<Parts>> {
    let Some(first) = tiff.directories.first().filter(|first| Raster::is_tiled(first)) else { return Ok(None) };
    let start = tiff.text(first, tags::IMAGE_DESCRIPTION)?.unwrap_or_default();
    if !NAMESPACES.iter().any(|namespace| start.contains(namespace)) {
        return Ok(None);
    }
    let Some(document) = xml::Xml::read(tiff, first, tags::IMAGE_DESCRIPTION)? else { return Ok(None) };
    let document = document.parse()?;
    let missing = || SlideError::Damaged("an SCN without a collection".into());
    let collection = xml::find(document.root_element(), &["collection"]).ok_or_else(missing)?;
    let size: (f64, f64) = (xml::required(collection, "sizeX")?, xml::required(collection, "sizeY")?);
    let images: Vec<Image<'_, '_>> = xml::children(collection, "image")
        .take(AREAS_MAX)
        .map(|node| Image::read(node, size))
        .collect::<Result<_>>()?;
    let light = |image: &&Image<'_, '_>| {
        xml::text(image.node, &["scanSettings", "illuminationSettings", "illuminationSource"]) == Some("brightfield")
    };
    let (macros, slides): (Vec<_>, Vec<_>) = images.iter().filter(light).partition(|image| image.is_macro);
    let Some(main) = slides.first() else {
        return Err(SlideError::Unsupported("an SCN without an image in bright field".into()));
    };

    // Each is read and kept, also where several name one directory.
    if slides.len() * main.levels.len() > DIRECTORIES_MAX {
        return Err(SlideError::Unsupported(format!("an SCN of {} images in bright field", slides.len())));
    }
    let mut parts = Parts::new("leica");
    let mut regions = Vec::new();
    for index in 0..main.levels.len() {
        let (level, areas) = level(tiff, size, &slides, index)?;
        if index == 0 {
            regions = areas;
        }
        parts.levels.push(level);
    }
    let smaller =
        |pair: &[Raster]| pair[1].grid.width < pair[0].grid.width && pair[1].grid.height < pair[0].grid.height;
    if parts.levels.is_empty() || !parts.levels.windows(2).all(smaller) {
        return Err(SlideError::Unsupported("an SCN whose levels are not in order".into()));
    }
    let macro_image = macros.first().and_then(|image| image.levels.first());
    if let Some(directory) = macro_image.and_then(|(index, _)| tiff.directories.get(*index)) {
        // A macro image that cannot be read must not keep the tissue from being seen.
        parts.associated.extend(Raster::read(tiff, directory).ok().map(|raster| ("macro".into(), raster)));
    }

    let top = directory(tiff, main.levels.first().map_or(0, |level| level.0))?;
    parts.properties = properties::of(tiff, top)?;
    parts.properties.remove("tiff.ImageDescription");
    parts.properties.remove("openslide.comment");
    parts.mpp = properties::mpp(tiff, top)?;
    describe(&mut parts, collection, main);
    properties::regions(&mut parts.properties, &regions, true);
    Ok(Some(parts))
}

impl<'a, 'input: 'a> Image<'a, 'input> {
    fn read(node: Node<'a, 'input>, collection: (f64, f64)) -> Result<Self> {
        let missing = || SlideError::Damaged("an image of an SCN has no view".into());
        let view = xml::find(node, &["view"]).ok_or_else(missing)?;
        let size: (f64, f64) = (xml::required(view, "sizeX")?, xml::required(view, "sizeY")?);
        let at: (f64, f64) = (xml::required(view, "offsetX")?, xml::required(view, "offsetY")?);
        let mut levels = Vec::new();
        let dimensions = xml::find(node, &["pixels"]).into_iter().flat_map(|pixels| xml::children(pixels, "dimension"));
        for dimension in dimensions.filter(|dimension| dimension.attribute("z").is_none_or(|z| z == "0")) {
            let width: f64 = xml::required(dimension, "sizeX")?;
            levels.push((xml::required::<usize>(dimension, "ifd")?, width));
        }
        if levels.len() > LEVELS_MAX {
            return Err(SlideError::Unsupported(format!("an image of an SCN with {} levels", levels.len())));
        }
        let sane = |number: f64| number.is_finite() && number > 0.0;
        if !sane(size.0) || !sane(size.1) || !levels.iter().all(|level| sane(level.1)) {
            return Err(SlideError::Damaged("an image of an SCN has no size".into()));
        }
        levels.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(Self {
            node,
            width: size.0,
            at,
            is_macro: at == (0.0, 0.0) && size == collection,
            objective: xml::text(node, &["scanSettings", "objectiveSettings", "objective"]),
            levels,
        })
    }
}

fn directory<'t>(tiff: &'t Tiff<'_>, index: usize) -> Result<&'t Directory> {
    let missing = || SlideError::Damaged(format!("an SCN names directory {index}, which is not there"));
    tiff.directories.get(index).ok_or_else(missing)
}

/// A level of all images together, and where each lies in it: x, y, width and height.
fn level(
    tiff: &Tiff<'_>,
    size: (f64, f64),
    slides: &[&Image<'_, '_>],
    index: usize,
) -> Result<(Raster, Vec<[u32; 4]>)> {
    let unlike = || SlideError::Unsupported("an SCN with images of different resolutions".into());
    let main = slides.first().ok_or_else(unlike)?;
    let mut finest = f64::INFINITY;
    for image in slides {
        if image.levels.len() != main.levels.len() || image.objective != main.objective {
            return Err(unlike());
        }
        // Nanometres of a pixel, which may differ by rounding.
        let (this, first) = (image.width / image.levels[index].1, main.width / main.levels[index].1);
        if 1.0 - ((this - first) / first).abs() < 0.98 {
            return Err(unlike());
        }
        finest = finest.min(this);
    }
    let side = |nanometres: f64| (nanometres / finest).ceil();
    let (width, height) = (side(size.0), side(size.1));
    if !(1.0..=f64::from(u32::MAX)).contains(&width) || !(1.0..=f64::from(u32::MAX)).contains(&height) {
        return Err(SlideError::Damaged(format!("an SCN of {width} × {height} pixels")));
    }
    let (mut images, mut areas, mut regions) = (Vec::new(), Vec::new(), Vec::new());
    for image in slides {
        let raster = Raster::read(tiff, directory(tiff, image.levels[index].0)?)?;
        let piece = (f64::from(raster.grid.width), f64::from(raster.grid.height));
        let at = ((image.at.0 / finest).trunc(), (image.at.1 / finest).trunc());
        areas.push(Area { image: images.len(), columns: 0..1, rows: 0..1, piece, advance: piece, at });
        regions.push([at.0 as u32, at.1 as u32, raster.grid.width, raster.grid.height]);
        images.push(raster);
    }
    Ok((Raster::mosaic(width as u32, height as u32, images, areas), regions))
}

/// Adds what the XML says.
fn describe(parts: &mut Parts, collection: Node<'_, '_>, main: &Image<'_, '_>) {
    let barcode = match xml::text(collection, &["barcode"]) {
        Some(encoded) => base64::decode(encoded.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok()),
        None => collection.attribute("barcode").map(str::to_owned),
    };
    let illumination = ["scanSettings", "illuminationSettings", "illuminationSource"];
    let aperture = ["scanSettings", "illuminationSettings", "numericalAperture"];
    let device = xml::find(main.node, &["device"]);
    let of_device = |name| device.and_then(|device: Node<'_, '_>| device.attribute(name).map(str::to_owned));
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let found = [
        ("openslide.barcode", barcode.clone()),
        ("leica.barcode", barcode),
        ("leica.aperture", owned(xml::text(main.node, &aperture))),
        ("leica.creation-date", owned(xml::text(main.node, &["creationDate"]))),
        ("leica.device-model", of_device("model")),
        ("leica.device-version", of_device("version")),
        ("leica.illumination-source", owned(xml::text(main.node, &illumination))),
        ("leica.objective", owned(main.objective)),
    ];
    for (key, value) in found {
        parts.properties.extend(value.map(|value| (key.to_owned(), value)));
    }
    parts.objective_power = main.objective.and_then(|text| text.parse().ok()).filter(|power: &f64| *power > 0.0);
}
