//! OME-TIFF: OME-XML in the first description tells which images there are, which planes they are made of, and in which
//! directory each plane is; smaller levels hang below a plane as SubIFDs. The first image that is no label, macro or
//! thumbnail is the slide, at its first depth and time. Channels in planes of their own are blended; samples of 16 bits are
//! shown by their upper 8, as everywhere, and not stretched to what the camera used. From the OME model's specification and files of Bio-Formats.

use super::{Parts, Profile, generic, properties, xml};
use crate::{
    SlideError,
    error::Result,
    limits::{CHANNELS_MAX, DIRECTORIES_MAX},
    raster::Raster,
    tiff::{Directory, Tiff, tags},
};
use roxmltree::Node;
use std::collections::HashSet;

/// The names under which pictures beside the slide are known; a part of an image's name tells them.
const ASSOCIATED: &[&str] = &["label", "macro", "thumbnail", "overview"];
/// Colours of channels that have none, one after the other and then again.
const COLORS: [[u8; 3]; 6] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 0, 255], [0, 255, 255], [255, 255, 0]];

/// An image of the document: the directory of the plane of each channel, and the channels' colours.
#[derive(Debug)]
struct Image {
    name: String,
    planes: Vec<usize>,
    colors: Vec<Option<[u8; 3]>>,
    names: Vec<String>,
    mpp: Option<(f64, f64)>,
}

/// Opens an OME-TIFF; nothing where the file is none, or its document is in another file or cannot be read.
pub(super) fn open(tiff: &Tiff<'_>) -> Result<Option<Parts>> {
    let Some(first) = tiff.directories.first() else { return Ok(None) };
    let start = tiff.text(first, tags::IMAGE_DESCRIPTION)?.unwrap_or_default();
    if !start.contains("openmicroscopy.org/Schemas/") {
        return Ok(None);
    }
    let Some(document) = xml::Xml::read(tiff, first, tags::IMAGE_DESCRIPTION)? else { return Ok(None) };
    let Ok(document) = document.parse() else { return Ok(None) };
    let root = document.root_element();
    if root.tag_name().name() != "OME" || xml::children(root, "Image").next().is_none() {
        return Ok(None);
    }
    let (mut images, mut nodes) = (Vec::new(), Vec::new());
    let mut next = 0;
    for node in xml::children(root, "Image") {
        nodes.push(node);
        images.push(Image::read(tiff, root, node, &mut next)?);
    }
    let beside = |image: &Image| {
        let name = image.name.to_lowercase();
        ASSOCIATED.iter().find(|known| name.contains(**known)).copied()
    };
    let main = images.iter().position(|image| beside(image).is_none()).unwrap_or(0);
    let mut parts = Parts::new("ome-tiff");
    let mut tried = HashSet::new();
    let planes: HashSet<usize> = images.iter().flat_map(|image| image.planes.iter().copied()).collect();
    for (index, image) in images.iter().enumerate() {
        match beside(image) {
            _ if index == main => {
                // Levels that no plane is in are the slide's, where they are marked as such.
                let others = tiff.directories.iter().enumerate().filter(|(index, _)| !planes.contains(index));
                let others: Vec<&Directory> = others.map(|(_, directory)| directory).collect();
                parts.levels = image.levels(tiff, &others)?;
            }
            // The first of each name; one that cannot be read must not keep the tissue from being seen.
            Some(name) if tried.insert(name) => {
                let top = image.levels(tiff, &[]).ok().and_then(|levels| levels.into_iter().next());
                parts.associated.extend(top.map(|top| (name.to_owned(), top)));
            }
            _ => {}
        }
    }
    parts.objective_power = objective(root, nodes[main]);
    let main = &images[main];
    parts.profile = Profile::Directory(main.planes.first().copied().unwrap_or(0));
    parts.properties = properties::of(tiff, main.directory(tiff, 0)?)?;
    parts.properties.remove("tiff.ImageDescription");
    parts.properties.remove("openslide.comment");
    parts.properties.insert("ome.Image.Name".into(), main.name.clone());
    for (index, name) in main.names.iter().enumerate() {
        parts.properties.insert(format!("ome.Channel[{index}].Name"), name.clone());
    }
    parts.mpp = match main.mpp {
        Some(mpp) => Some(mpp),
        None => properties::mpp(tiff, main.directory(tiff, 0)?)?,
    };
    Ok(Some(parts))
}

impl Image {
    /// Reads an image. `next` is the directory of its first plane where it does not say which, and afterwards that of
    /// the next image's.
    fn read(tiff: &Tiff<'_>, root: Node<'_, '_>, node: Node<'_, '_>, next: &mut usize) -> Result<Self> {
        let pixels = xml::find(node, &["Pixels"]);
        let pixels = pixels.ok_or_else(|| SlideError::Damaged("an OME image has no Pixels".into()))?;
        let size = |name: &str| xml::number::<usize>(pixels, name).unwrap_or(1).max(1);
        let channels: Vec<Node<'_, '_>> = xml::children(pixels, "Channel").collect();
        let samples = match channels.first().and_then(|channel| xml::number::<usize>(*channel, "SamplesPerPixel")) {
            Some(samples) => samples,
            // Older writers leave it to the TIFF.
            None => match tiff.directories.get(*next) {
                Some(directory) => tiff.uint(directory, tags::SAMPLES_PER_PIXEL)?.unwrap_or(1) as usize,
                None => 1,
            },
        };
        let count = (size("SizeC") / samples.max(1)).max(1);
        if count > CHANNELS_MAX {
            return Err(SlideError::Unsupported(format!("{count} channels; up to {CHANNELS_MAX} are shown")));
        }
        let sizes = [("C", count), ("Z", size("SizeZ")), ("T", size("SizeT"))];
        let order = pixels.attribute("DimensionOrder").unwrap_or("XYCZT");
        // How many planes one step in this dimension is.
        let step = |name: &str| {
            let before = order.chars().take_while(|other| !name.starts_with(*other));
            before
                .filter_map(|other| sizes.iter().find(|(name, _)| name.starts_with(other)))
                .fold(1usize, |step, (_, len)| step.saturating_mul(*len))
        };
        let steps = [("FirstC", step("C")), ("FirstZ", step("Z")), ("FirstT", step("T"))];
        let total: usize = sizes.iter().map(|(_, len)| len).fold(1, |total, len| total.saturating_mul(*len));
        let blocks: Vec<Block> = xml::children(pixels, "TiffData")
            .map(|block| Block::read(root, block, &steps, total))
            .collect::<Result<_>>()?;
        let planes = (0..count).map(|channel| {
            let plane = channel.saturating_mul(steps[0].1);
            match blocks.iter().find_map(|block| block.directory(plane)) {
                Some(directory) => Ok(directory),
                None if blocks.is_empty() => Ok(next.saturating_add(plane)),
                None => Err(SlideError::Damaged(format!("no directory has channel {channel} of an OME image"))),
            }
        });
        let planes = planes.collect::<Result<Vec<usize>>>()?;
        *next = next.saturating_add(total);
        let color = |node: &Node<'_, '_>| {
            let [red, green, blue, _] = xml::number::<i32>(*node, "Color")?.to_be_bytes();
            Some([red, green, blue])
        };
        Ok(Self {
            name: node.attribute("Name").unwrap_or_default().to_owned(),
            colors: (0..count).map(|index| channels.get(index).and_then(color)).collect(),
            names: channels.iter().filter_map(|channel| channel.attribute("Name")).map(str::to_owned).collect(),
            mpp: physical_size(pixels, "X").zip(physical_size(pixels, "Y")),
            planes,
        })
    }

    fn directory<'t>(&self, tiff: &'t Tiff<'_>, channel: usize) -> Result<&'t Directory> {
        let found = self.planes.get(channel).and_then(|&index| tiff.directories.get(index));
        found.ok_or_else(|| SlideError::Damaged("an OME image has a plane that the file lacks".into()))
    }

    /// Its pyramid.
    fn levels(&self, tiff: &Tiff<'_>, others: &[&Directory]) -> Result<Vec<Raster>> {
        let mut channels = Vec::new();
        for channel in 0..self.planes.len() {
            let directory = self.directory(tiff, channel)?;
            let children = tiff.children(directory)?;
            // Each is read and kept for each channel, also where several name one directory.
            if self.planes.len() * (children.len() + 1) > DIRECTORIES_MAX {
                return Err(SlideError::Unsupported(format!(
                    "{} channels of {} levels",
                    self.planes.len(),
                    children.len() + 1
                )));
            }
            let marked = others.iter().copied().filter(|_| self.planes.len() == 1 && children.is_empty());
            channels.push(generic::pyramid(tiff, directory, children.iter().chain(marked))?);
        }
        // White says nothing where several are to be told apart.
        let told = |color: &&[u8; 3]| self.planes.len() == 1 || **color != [255; 3];
        let color = |index: usize| match self.colors.get(index).and_then(|color| color.as_ref()).filter(told) {
            Some(color) => *color,
            None if self.planes.len() == 1 => [255; 3],
            None => COLORS[index % COLORS.len()],
        };
        if channels.len() == 1 && color(0) == [255; 3] || self.is_rgb(tiff)? {
            return Ok(channels.swap_remove(0));
        }
        let depth = channels.iter().map(Vec::len).min().unwrap_or(0);
        let mut channels: Vec<_> = channels.into_iter().map(Vec::into_iter).collect();
        (0..depth)
            .map(|_| {
                let level = channels.iter_mut().enumerate();
                Raster::blended(level.filter_map(|(index, channel)| Some((channel.next()?, color(index)))).collect())
            })
            .collect()
    }

    /// Whether it has all its colours in one plane.
    fn is_rgb(&self, tiff: &Tiff<'_>) -> Result<bool> {
        let samples = tiff.uint(self.directory(tiff, 0)?, tags::SAMPLES_PER_PIXEL)?.unwrap_or(1);
        Ok(self.planes.len() == 1 && samples >= 3)
    }
}

/// Planes that lie in directories one after the other.
#[derive(Debug)]
struct Block {
    directory: usize,
    plane: usize,
    count: usize,
}

impl Block {
    fn read(root: Node<'_, '_>, node: Node<'_, '_>, steps: &[(&str, usize)], total: usize) -> Result<Self> {
        let own = root.attribute("UUID");
        let other = xml::text(node, &["UUID"]).filter(|uuid| own.is_some_and(|own| own != *uuid));
        if other.is_some() {
            return Err(SlideError::Unsupported("an OME-TIFF whose planes lie in several files".into()));
        }
        let directory = xml::number::<usize>(node, "IFD");
        let plane =
            steps.iter().map(|(name, step)| xml::number::<usize>(node, name).unwrap_or(0).saturating_mul(*step));
        Ok(Self {
            directory: directory.unwrap_or(0),
            plane: plane.fold(0, usize::saturating_add),
            count: xml::number(node, "PlaneCount").unwrap_or(if directory.is_some() { 1 } else { total }),
        })
    }

    /// The directory of this plane.
    fn directory(&self, plane: usize) -> Option<usize> {
        let index = plane.checked_sub(self.plane).filter(|&index| index < self.count)?;
        self.directory.checked_add(index)
    }
}

/// Micrometres of a pixel.
fn physical_size(pixels: Node<'_, '_>, side: &str) -> Option<f64> {
    let size: f64 = xml::number(pixels, &format!("PhysicalSize{side}"))?;
    let unit = pixels.attribute(format!("PhysicalSize{side}Unit").as_str()).unwrap_or("µm");
    let micrometres = match unit {
        // The micro sign and the Greek letter.
        "µm" | "\u{3bc}m" | "um" => 1.0,
        "nm" => 1e-3,
        "pm" => 1e-6,
        "Å" | "\u{212b}" => 1e-4,
        "mm" => 1e3,
        "cm" => 1e4,
        "m" => 1e6,
        "in" => 25_400.0,
        _ => return None,
    };
    Some(size * micrometres).filter(|size| size.is_finite() && *size > 0.0)
}

/// The magnification of the objective that the image names, or of the only one.
fn objective(root: Node<'_, '_>, image: Node<'_, '_>) -> Option<f64> {
    let objectives = || xml::children(root, "Instrument").flat_map(|instrument| xml::children(instrument, "Objective"));
    let named = xml::find(image, &["ObjectiveSettings"]).and_then(|settings| settings.attribute("ID"));
    let found = match named {
        Some(id) => objectives().find(|objective| objective.attribute("ID") == Some(id)),
        None => objectives().next().filter(|_| objectives().count() == 1),
    };
    xml::number(found?, "NominalMagnification").filter(|power: &f64| power.is_finite() && *power > 0.0)
}
