//! Ventana BIF: levels are the images whose description says `level=`; the XMP of level 0 tells which parts of the slide
//! were scanned and by how much the camera's pictures, which are the tiles, overlap. All tiles are drawn at the mean of
//! those overlaps, as OpenSlide does. In lower levels a tile has several of level 0's in it, each made smaller for itself.
//! Without that XMP tiles lie side by side. From OpenSlide's reader; not tried on a real file.

use super::{Parts, Profile, properties, xml};
use crate::{
    SlideError,
    error::Result,
    limits::AREAS_MAX,
    raster::{Area, Raster},
    tiff::{Tiff, tags},
};
use roxmltree::Node;

/// What the XMP of level 0 tells.
struct Stitching {
    areas: Vec<Scanned>,
    /// Pixels from one tile to the next.
    advance: (f64, f64),
}

/// A scanned part of the slide, in tiles; its place in pixels.
struct Scanned {
    column: u32,
    row: u32,
    across: u32,
    down: u32,
    at: (f64, f64),
}

/// Opens a BIF; nothing where the file is none.
pub(super) fn open(tiff: &Tiff<'_>) -> Result<Option<Parts>> {
    let Some(first) = tiff.directories.first() else { return Ok(None) };
    if !tiff.text(first, tags::XMP)?.is_some_and(|xmp| xmp.contains("iScan")) {
        return Ok(None);
    }
    let Some(document) = xml::Xml::read(tiff, first, tags::XMP)? else { return Ok(None) };
    let Ok(document) = document.parse() else { return Ok(None) };
    let root = document.root_element();
    let scan = match root.tag_name().name() {
        "iScan" => Some(root),
        "Metadata" => xml::find(root, &["iScan"]),
        _ => None,
    };
    let Some(scan) = scan else { return Ok(None) };

    let mut parts = Parts::new("ventana");
    let (mut stitching, mut top) = (None, None);
    let mut last = f64::INFINITY;
    for (index, directory) in tiff.directories.iter().enumerate() {
        let description = tiff.text(directory, tags::IMAGE_DESCRIPTION)?.unwrap_or_default();
        if description.contains("level=") {
            let (level, magnification) = level_of(&description)?;
            if level != parts.levels.len() || magnification >= last {
                return Err(SlideError::Unsupported("a BIF whose levels are not in order".into()));
            }
            last = magnification;
            if !Raster::is_tiled(directory) {
                return Err(SlideError::Unsupported("a BIF with a level that is not tiled".into()));
            }
            let raster = Raster::read(tiff, directory)?;
            let tile = (raster.grid.tile_width, raster.grid.tile_height);
            if level == 0 {
                parts.properties = properties::of(tiff, directory)?;
                parts.profile = Profile::Directory(index);
                top = Some((magnification, tile));
                if let Some(document) = xml::Xml::read(tiff, directory, tags::XMP)? {
                    stitching = Some(Stitching::read(document.parse()?.root_element(), tile)?);
                }
            }
            let (magnification_0, tile_0) = top.unwrap_or((magnification, tile));
            if tile != tile_0 {
                return Err(SlideError::Unsupported("a BIF with tiles of different sizes".into()));
            }
            let downsample = magnification_0 / magnification;
            parts.downsamples.push(downsample);
            parts.levels.push(match &stitching {
                Some(stitching) => stitching.level(raster, downsample)?,
                None => raster,
            });
            continue;
        }
        let name = match description.as_str() {
            "Label Image" | "Label_Image" => "macro",
            "Thumbnail" => "thumbnail",
            _ => continue,
        };
        if parts.associated.iter().all(|(other, _)| other != name) {
            // A macro image that cannot be read must not keep the tissue from being seen.
            parts.associated.extend(Raster::read(tiff, directory).ok().map(|raster| (name.to_owned(), raster)));
        }
    }
    let smaller =
        |pair: &[Raster]| pair[1].grid.width < pair[0].grid.width && pair[1].grid.height < pair[0].grid.height;
    if parts.levels.is_empty() || !parts.levels.windows(2).all(smaller) {
        return Err(SlideError::Unsupported("a BIF without levels, or with levels out of order".into()));
    }
    for attribute in scan.attributes().filter(|attribute| !attribute.value().is_empty()) {
        parts.properties.insert(format!("ventana.{}", attribute.name()), attribute.value().to_owned());
    }
    let number = |name| xml::number::<f64>(scan, name).filter(|number| number.is_finite() && *number > 0.0);
    parts.objective_power = number("Magnification");
    parts.mpp = number("ScanRes").map(|mpp| (mpp, mpp));
    if let Some((stitching, (_, tile))) = stitching.zip(top) {
        properties::regions(&mut parts.properties, &stitching.regions(tile), false);
    }
    Ok(Some(parts))
}

/// Number and magnification of a level, from `level=0 mag=40 quality=95`.
fn level_of(description: &str) -> Result<(usize, f64)> {
    let value = |key: &str| {
        let pairs = description.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).next_back()
    };
    let level = value("level").and_then(|level| level.trim().parse().ok());
    let magnification =
        value("mag").and_then(|mag| mag.trim().parse::<f64>().ok()).filter(|mag| mag.is_finite() && *mag > 0.0);
    level
        .zip(magnification)
        .ok_or_else(|| SlideError::Damaged("a BIF with a level of no number or magnification".into()))
}

impl Stitching {
    fn read(root: Node<'_, '_>, tile: (u32, u32)) -> Result<Self> {
        let damaged = |why: &str| SlideError::Damaged(format!("the XMP of a BIF's level 0: {why}"));
        let stitch = xml::find(root, &["SlideStitchInfo"]).filter(|_| root.tag_name().name() == "EncodeInfo");
        let infos: Vec<Node<'_, '_>> =
            stitch.into_iter().flat_map(|stitch| xml::children(stitch, "ImageInfo")).collect();
        let origins = xml::find(root, &["AoiOrigin"]);
        let origins: Vec<Node<'_, '_>> =
            origins.into_iter().flat_map(|origins| origins.children().filter(Node::is_element)).collect();
        if infos.is_empty() || infos.len() != origins.len() || infos.len() > AREAS_MAX {
            return Err(damaged("scanned areas are missing, or have no origins"));
        }
        let (mut areas, mut sums, mut weights) = (Vec::new(), [0.0; 2], [0.0; 2]);
        for (info, origin) in infos.into_iter().zip(origins) {
            if xml::required::<i64>(info, "AOIScanned")? == 0 {
                continue;
            }
            if (xml::required::<u32>(info, "Width")?, xml::required::<u32>(info, "Height")?) != tile {
                return Err(damaged("tiles of another size"));
            }
            let (x, y) = (xml::required::<u32>(origin, "OriginX")?, xml::required::<u32>(origin, "OriginY")?);
            let (across, down) = (xml::required::<u32>(info, "NumCols")?, xml::required::<u32>(info, "NumRows")?);
            if x % tile.0 != 0 || y % tile.1 != 0 || across == 0 || down == 0 {
                return Err(damaged("an area that is not made of tiles"));
            }
            let at: (f64, f64) = (xml::required(info, "Pos-X")?, xml::required(info, "Pos-Y")?);
            if !at.0.is_finite() || !at.1.is_finite() {
                return Err(damaged("an area that is nowhere"));
            }
            let area = Scanned { column: x / tile.0, row: y / tile.1, across, down, at: (at.0.trunc(), at.1.trunc()) };
            for joint in xml::children(info, "TileJointInfo") {
                let (one, two) = (area.tile(joint, "Tile1")?, area.tile(joint, "Tile2")?);
                let (axis, overlap) = match joint.attribute("Direction") {
                    Some("RIGHT") if two == (one.0 + 1, one.1) => (0, "OverlapX"),
                    Some("UP") if (two.0, two.1 + 1) == one => (1, "OverlapY"),
                    _ => return Err(damaged("tiles that are not neighbours are joined")),
                };
                let weight: f64 = xml::required(joint, "Confidence")?;
                sums[axis] -= weight * xml::required::<f64>(joint, overlap)?;
                weights[axis] += weight;
            }
            areas.push(area);
        }
        let advance = |axis: usize, tile: u32| {
            let mean = if weights[axis] > 0.0 { sums[axis] / weights[axis] } else { 0.0 };
            Some(f64::from(tile) + mean)
                .filter(|advance| advance.is_finite() && *advance >= (f64::from(tile) / 2.0).max(1.0))
        };
        let advance = advance(0, tile.0).zip(advance(1, tile.1));
        let advance = advance.ok_or_else(|| damaged("tiles that overlap by more than half of each"))?;
        // Heights are told from a line below all areas to each one's lower edge.
        let height = |area: &Scanned| (f64::from(area.down - 1) * advance.1 + f64::from(tile.1)).trunc();
        let top = areas.iter().map(|area| area.at.1 + height(area)).fold(0.0, f64::max);
        for area in &mut areas {
            area.at.1 = top - area.at.1 - height(area);
        }
        match areas.is_empty() {
            true => Err(damaged("no area was scanned")),
            false => Ok(Self { areas, advance }),
        }
    }

    /// A level of all areas together.
    fn level(&self, image: Raster, downsample: f64) -> Result<Raster> {
        let by = |number: f64| number / downsample;
        let tile = (f64::from(image.grid.tile_width), f64::from(image.grid.tile_height));
        let (piece, advance) = ((by(tile.0), by(tile.1)), (by(self.advance.0), by(self.advance.1)));
        let (mut areas, mut right, mut below) = (Vec::new(), 0f64, 0f64);
        for area in &self.areas {
            let (columns, rows) =
                (area.column..area.column.saturating_add(area.across), area.row..area.row.saturating_add(area.down));
            let at = (
                by(area.at.0 - f64::from(area.column) * self.advance.0),
                by(area.at.1 - f64::from(area.row) * self.advance.1),
            );
            right = right.max(at.0 + f64::from(columns.end - 1) * advance.0 + piece.0);
            below = below.max(at.1 + f64::from(rows.end - 1) * advance.1 + piece.1);
            areas.push(Area { image: 0, columns, rows, piece, advance, at });
        }
        let (width, height) = (right.ceil(), below.ceil());
        let sane = |side: f64| (1.0..=f64::from(u32::MAX)).contains(&side);
        if !sane(width) || !sane(height) {
            return Err(SlideError::Damaged(format!("a BIF of {width} × {height} pixels")));
        }
        Ok(Raster::mosaic(width as u32, height as u32, vec![image], areas))
    }

    /// Where the areas lie in level 0, as OpenSlide tells it: x, y, width and height.
    fn regions(&self, tile: (u32, u32)) -> Vec<[u32; 4]> {
        let len =
            |count: u32, advance: f64, tile: u32| (f64::from(count - 1) * advance + f64::from(tile)).ceil() as u32;
        let region = |area: &Scanned| {
            let (x, y) = (f64::from(area.column) * self.advance.0, f64::from(area.row) * self.advance.1);
            [x as u32, y as u32, len(area.across, self.advance.0, tile.0), len(area.down, self.advance.1, tile.1)]
        };
        self.areas.iter().map(region).collect()
    }
}

impl Scanned {
    /// Column and row of a tile that a joint names: they are numbered from 1, from the lower left, every second row of
    /// them from the right.
    fn tile(&self, joint: Node<'_, '_>, attribute: &str) -> Result<(u32, u32)> {
        let number: u64 = xml::required(joint, attribute)?;
        let count = u64::from(self.across) * u64::from(self.down);
        let index = number.checked_sub(1).filter(|&index| index < count);
        let index = index.ok_or_else(|| SlideError::Damaged(format!("a BIF joins tile {number} of {count}")))?;
        let (column, row) = ((index % u64::from(self.across)) as u32, (index / u64::from(self.across)) as u32);
        let column = if row % 2 == 1 { self.across - column - 1 } else { column };
        Ok((column, self.down - row - 1))
    }
}
