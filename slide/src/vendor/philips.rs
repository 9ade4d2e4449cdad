//! Philips TIFF: the first description is XML whose root is a `DataObject`. Level sizes in the tags count the padding of
//! the last tiles in; the pixel spacings tell the true ones. Slides of several scanned regions lack the tiles between
//! them. Label and macro are images of the TIFF, or JPEGs in Base64 in the XML. From OpenSlide's reader; not tried on a
//! real file.

use super::{Parts, base64, properties, xml};
use crate::{
    Compression, ReadAt, Rgb, SlideError,
    error::Result,
    grid::Grid,
    jpeg,
    limits::ENCODED_IMAGE_LEN_MAX,
    raster::{Head, Pieces, Raster},
    tiff::{Tiff, tags},
};
use roxmltree::Node;
use std::collections::BTreeMap;

const SCANNED_IMAGES: &str = "PIM_DP_SCANNED_IMAGES";
const REPRESENTATIONS: &str = "PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE";
const SPACING: &str = "DICOM_PIXEL_SPACING";
const REDUCED: u64 = 1;

/// Opens a Philips TIFF; nothing where the file is none.
pub(super) fn open(source: &dyn ReadAt, tiff: &Tiff<'_>) -> Result<Option<Parts>> {
    let Some(first) = tiff.directories.first() else { return Ok(None) };
    if !tiff.text(first, tags::SOFTWARE)?.is_some_and(|software| software.starts_with("Philips")) {
        return Ok(None);
    }
    let Some(document) = xml::Xml::read(tiff, first, tags::IMAGE_DESCRIPTION)? else { return Ok(None) };
    let xml_at = document.at;
    let Ok(document) = document.parse() else { return Ok(None) };
    let root = document.root_element();
    if root.tag_name().name() != "DataObject" || root.attribute("ObjectType") != Some("DPUfsImport") {
        return Ok(None);
    }
    let images: Vec<Node<'_, '_>> = objects(root, SCANNED_IMAGES).collect();
    let mut slides = images.iter().filter(|image| value(**image, "PIM_DP_IMAGE_TYPE") == Some("WSI"));
    let (Some(&slide), None) = (slides.next(), slides.next()) else {
        return Err(SlideError::Unsupported("a Philips slide of none or several images".into()));
    };

    let mut parts = Parts::new("philips");
    for directory in &tiff.directories {
        if Raster::is_tiled(directory) {
            let reduced = tiff.uint(directory, tags::NEW_SUBFILE_TYPE)?.is_some_and(|kind| kind & REDUCED != 0);
            if !parts.levels.is_empty() && !reduced {
                return Err(SlideError::Unsupported("a Philips slide with a second image of full size".into()));
            }
            parts.levels.push(Raster::read(tiff, directory)?);
            continue;
        }
        let description = tiff.text(directory, tags::IMAGE_DESCRIPTION)?.unwrap_or_default();
        let names = [("Label", "label"), ("Macro", "macro")];
        if let Some((_, name)) = names.iter().find(|(start, _)| description.starts_with(start)) {
            // A label that cannot be read must not keep the tissue from being seen.
            parts.associated.extend(Raster::read(tiff, directory).ok().map(|raster| ((*name).to_owned(), raster)));
        }
    }
    correct_sizes(&mut parts, slide)?;
    for (kind, name) in [("LABELIMAGE", "label"), ("MACROIMAGE", "macro")] {
        if parts.associated.iter().all(|(other, _)| other != name) {
            let image = images.iter().find(|image| value(**image, "PIM_DP_IMAGE_TYPE") == Some(kind));
            let encoded = image.and_then(|image| attribute(*image, "PIM_DP_IMAGE_DATA")?.first_child());
            let encoded = encoded.filter(Node::is_text).map(|text| text.range());
            let raster = encoded.and_then(|place| Encoded::find(source, xml_at + place.start as u64, place.len()));
            parts.associated.extend(raster.map(|pieces| (name.to_owned(), Raster::cut(pieces))));
        }
    }

    parts.properties = properties::of(tiff, first)?;
    parts.properties.remove("tiff.ImageDescription");
    parts.properties.remove("openslide.comment");
    describe(&mut parts.properties, "philips", root, 0);
    parts.mpp = parts.properties.get("philips.DICOM_PIXEL_SPACING").and_then(|text| spacing(text));
    parts.mpp = parts.mpp.map(|(x, y)| (x * 1e3, y * 1e3));
    parts.objective_power = parts.properties.get("philips.DICOM_DERIVATION_DESCRIPTION").and_then(|text| power(text));
    let barcode = parts.properties.get("philips.PIM_DP_UFS_BARCODE").and_then(|text| base64::decode(text.as_bytes()));
    if let Some(barcode) = barcode.and_then(|bytes| String::from_utf8(bytes).ok()) {
        parts.properties.insert("openslide.barcode".into(), barcode);
    }
    Ok(Some(parts))
}

/// Takes the padding off all levels but the first.
fn correct_sizes(parts: &mut Parts, slide: Node<'_, '_>) -> Result<()> {
    let spacings: Vec<_> = objects(slide, REPRESENTATIONS)
        .filter(|level| level.attribute("ObjectType") == Some("PixelDataRepresentation"))
        .filter_map(|level| value(level, SPACING).and_then(spacing))
        .collect();
    let Some((&(top_x, top_y), top)) = spacings.first().zip(parts.levels.first()) else {
        return Err(SlideError::Damaged("a Philips slide without levels or their pixel spacings".into()));
    };
    if spacings.len() != parts.levels.len() {
        return Err(SlideError::Damaged("a Philips slide with other levels than its XML says".into()));
    }
    let (width, height) = (top.grid.width, top.grid.height);
    // Whole numbers in all files that were seen, and told with less than exact spacings.
    parts.downsamples = spacings.iter().map(|(x, y)| ((x / top_x + y / top_y) / 2.0).round().max(1.0)).collect();
    let levels = std::mem::take(&mut parts.levels).into_iter().zip(&parts.downsamples);
    let side = |whole: u32, downsample: f64| (f64::from(whole) / downsample) as u32;
    parts.levels = levels.map(|(level, &by)| level.clipped(side(width, by), side(height, by))).collect();
    let smaller =
        |pair: &[Raster]| pair[1].grid.width < pair[0].grid.width && pair[1].grid.height <= pair[0].grid.height;
    match parts.levels.windows(2).all(smaller) {
        true => Ok(()),
        false => Err(SlideError::Unsupported("a Philips slide whose levels are not in order".into())),
    }
}

/// The element `Attribute` of this name.
fn attribute<'a, 'input: 'a>(object: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    xml::children(object, "Attribute").find(|attribute| attribute.attribute("Name") == Some(name))
}

/// The text of the attribute of this name.
fn value<'a>(object: Node<'a, '_>, name: &str) -> Option<&'a str> {
    attribute(object, name)?.text().map(str::trim)
}

/// The objects in the array that the attribute of this name is.
fn objects<'a, 'input: 'a>(object: Node<'a, 'input>, name: &str) -> impl Iterator<Item = Node<'a, 'input>> {
    let array = attribute(object, name).and_then(|attribute| xml::find(attribute, &["Array"]));
    array.into_iter().flat_map(|array| xml::children(array, "DataObject"))
}

/// Adds the attributes of an object, of the slide's image in it and of that one's levels.
fn describe(properties: &mut BTreeMap<String, String>, prefix: &str, object: Node<'_, '_>, depth: u32) {
    for node in xml::children(object, "Attribute") {
        let Some(name) = node.attribute("Name") else { continue };
        match name {
            // Deeper the format has nothing.
            _ if depth > 2 => {}
            SCANNED_IMAGES => {
                let slide = objects(object, name).find(|image| value(*image, "PIM_DP_IMAGE_TYPE") == Some("WSI"));
                if let Some(slide) = slide {
                    describe(properties, prefix, slide, depth + 1);
                }
            }
            REPRESENTATIONS => {
                for (index, level) in objects(object, name).enumerate() {
                    describe(properties, &format!("{prefix}.{name}[{index}]"), level, depth + 1);
                }
            }
            _ if node.children().any(|child| child.is_element()) => {}
            _ => {
                properties.insert(format!("{prefix}.{name}"), node.text().unwrap_or_default().to_owned());
            }
        }
    }
}

/// Millimetres across and down, from `"down" "across"`.
fn spacing(text: &str) -> Option<(f64, f64)> {
    let mut numbers = text.split(' ').map(|number| number.replace('"', " ").trim().parse::<f64>());
    let (Some(Ok(down)), Some(Ok(across)), None) = (numbers.next(), numbers.next(), numbers.next()) else {
        return None;
    };
    Some((across, down)).filter(|(x, y)| x.is_finite() && y.is_finite() && *x > 0.0 && *y > 0.0)
}

/// The magnification, which stands before the level numbers in some files.
fn power(description: &str) -> Option<f64> {
    // The name of the source may hold anything.
    let items = description.split('-').take_while(|item| !item.starts_with("sourceFilename="));
    let levels = items.filter_map(|item| item.split_once('=')).find(|(key, _)| *key == "levels")?.1;
    let first: u32 = levels.split(',').next()?.parse().ok()?;
    (1..=200).contains(&first).then(|| f64::from(first))
}

/// A JPEG that is written in Base64 into the file.
#[derive(Debug)]
struct Encoded {
    at: u64,
    len: usize,
    size: (u32, u32),
}

impl Encoded {
    /// Nothing where there is none, or one too long.
    fn find(source: &dyn ReadAt, at: u64, len: usize) -> Option<Self> {
        let mut encoded = Self { at, len, size: (0, 0) };
        let bytes = encoded.bytes(source).ok()?;
        let head = Head::read(&bytes, 0, ReadAt::len(&bytes)).ok()?;
        encoded.size = head.size;
        (head.size.0 > 0 && head.size.1 > 0).then_some(encoded)
    }

    fn bytes(&self, source: &dyn ReadAt) -> Result<Vec<u8>> {
        let damaged = || SlideError::Damaged("an image in the XML is no Base64".into());
        if self.len > ENCODED_IMAGE_LEN_MAX {
            return Err(SlideError::TooLarge(format!("an image of {} bytes in the XML", self.len)));
        }
        let mut text = vec![0; self.len];
        source.read_exact_at(&mut text, self.at)?;
        base64::decode(&text).ok_or_else(damaged)
    }
}

impl Pieces for Encoded {
    fn compression(&self) -> Compression {
        Compression::Jpeg
    }

    fn grid(&self) -> Grid {
        Grid::new(self.size.0, self.size.1, self.size.0, self.size.1)
    }

    fn decode(&self, source: &dyn ReadAt, _column: u32, _row: u32) -> Result<Rgb> {
        let bytes = self.bytes(source)?;
        let mut whole = Vec::new();
        let copy = |into: &mut [u8]| {
            into.copy_from_slice(&bytes);
            Ok(())
        };
        let frame = jpeg::assemble(None, jpeg::Tagged::YCbCr, bytes.len(), copy, &mut whole)?;
        let (width, height) = (u32::from(frame.width), u32::from(frame.height));
        Ok(Rgb { width, height, data: jpeg::decode(&whole, &frame)? })
    }
}
