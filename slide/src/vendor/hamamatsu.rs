//! Hamamatsu NDPI: each image is one JPEG in one strip, and each JPEG of a level is cut by restart markers, so that parts
//! of it can be decoded. Facts from OpenSlide's reader and from a file.

use super::{Parts, properties};
use crate::{
    ReadAt, SlideError,
    error::Result,
    raster::{Coding, Halved, Head, JpegPieces, Picture, Raster, Restarts},
    tiff::{Directory, Tiff, tags},
};
use std::sync::Arc;

/// A JPEG's sides are told with 16 bits, of which libjpeg takes no more than this; larger ones are told by the tags.
const JPEG_SIDE_MAX: u32 = 65500;

/// Opens an NDPI; nothing where the file is none.
pub(super) fn open(source: &dyn ReadAt, tiff: &Tiff<'_>) -> Result<Option<Parts>> {
    let Some(first) = tiff.directories.first().filter(|first| first.has(tags::NDPI_FORMAT)) else { return Ok(None) };
    let (mut stored, mut parts) = (Vec::<Level>::new(), Parts::new("hamamatsu"));
    for directory in &tiff.directories {
        let lens = tiff.number(directory, tags::NDPI_SOURCE_LENS)?;
        let plane = tiff.int(directory, tags::NDPI_FOCAL_PLANE)?.unwrap_or(0);
        match lens {
            Some(lens) if lens > 0.0 && plane == 0 => {
                let level = Level::read(source, tiff, directory)?;
                if stored.last().is_some_and(|last| level.raster.grid.width >= last.raster.grid.width) {
                    return Err(SlideError::Unsupported("an NDPI whose levels are not in order".into()));
                }
                stored.push(level);
            }
            // A macro image that cannot be read must not keep the tissue from being seen.
            Some(-1.0) if parts.associated.is_empty() => {
                parts
                    .associated
                    .extend(macro_image(source, tiff, directory).ok().map(|raster| ("macro".into(), raster)));
            }
            _ => {}
        }
    }
    if stored.is_empty() {
        return Err(SlideError::NotASlide("the NDPI has no level".into()));
    }
    parts.levels = with_halves(stored);
    parts.mpp = properties::mpp(tiff, first)?;
    parts.objective_power = tiff.number(first, tags::NDPI_SOURCE_LENS)?;
    parts.properties = properties::of(tiff, first)?;
    let mut put = |key: &str, value: String| parts.properties.insert(format!("hamamatsu.{key}"), value);
    if let Some(lens) = parts.objective_power {
        put("SourceLens", lens.to_string());
    }
    for (tag, key) in [(tags::NDPI_X_OFFSET, "XOffsetFromSlideCentre"), (tags::NDPI_Y_OFFSET, "YOffsetFromSlideCentre")]
    {
        if let Some(offset) = tiff.int(first, tag)? {
            put(key, offset.to_string());
        }
    }
    if let Some(reference) = tiff.text(first, tags::NDPI_REFERENCE)? {
        put("Reference", reference);
    }
    let lines = tiff.text(first, tags::NDPI_PROPERTIES)?.unwrap_or_default();
    for (key, value) in lines.split("\r\n").filter_map(|line| line.split_once('=')) {
        if !key.is_empty() && !value.is_empty() {
            put(key, value.into());
        }
    }
    Ok(Some(parts))
}

/// A level that is in the file, and the same halved once, twice and three times, as often as its JPEG can be evenly.
struct Level {
    raster: Raster,
    halved: Vec<Raster>,
}

impl Level {
    fn read(source: &dyn ReadAt, tiff: &Tiff<'_>, directory: &Directory) -> Result<Self> {
        let (offset, len) = strip(tiff, directory)?;
        let tagged = size(tiff, directory)?;
        let head = Head::read(source, offset, len)?;
        let told = tagged.0.max(tagged.1) <= JPEG_SIDE_MAX;
        if head.interval == 0 {
            // The sizes in the tags of small levels are wrong at times.
            let size = if told { head.size } else { tagged };
            return Ok(Self::of(Picture::new(Coding::Jpeg, size, offset, len)?, size));
        }
        if told && head.size != tagged {
            let ((width, height), (tag_width, tag_height)) = (head.size, tagged);
            return Err(SlideError::Damaged(format!(
                "a level's JPEG has {width} × {height} pixels, its tags say {tag_width} × {tag_height}"
            )));
        }
        // A list that makes no sense is as good as none.
        let table = |tag| tiff.table(directory, tag).unwrap_or(None);
        let starts = table(tags::NDPI_MCU_STARTS_LOW).map(|low| (low, table(tags::NDPI_MCU_STARTS_HIGH)));
        let interval = (head.interval.saturating_mul(head.mcu.0), head.mcu.1);
        Ok(match Restarts::new(head, tagged, offset..offset + len, starts) {
            Some(restarts) => Self::of(restarts, interval),
            None => Self::of(Picture::new(Coding::Jpeg, tagged, offset, len)?, interval),
        })
    }

    /// The level with these pieces; `unit` is the size of what must remain whole in the smaller ones.
    fn of(pieces: impl JpegPieces + 'static, unit: (u32, u32)) -> Self {
        let grid = pieces.grid();
        let pieces = Arc::new(pieces);
        let halves = (unit.0 | unit.1 | 8).trailing_zeros();
        let halves = (1..=halves).filter(|times| grid.width >> times > 0 && grid.height >> times > 0);
        let halved = halves.map(|times| Raster::cut(Halved::new(pieces.clone(), times))).collect();
        Self { raster: Raster::cut(pieces), halved }
    }
}

/// The levels, and between and below them those that OpenSlide shows besides: each halved up to three times, where the
/// file has none as small.
fn with_halves(stored: Vec<Level>) -> Vec<Raster> {
    let mut levels = Vec::new();
    let mut stored = stored.into_iter().peekable();
    while let Some(level) = stored.next() {
        let next = stored.peek().map_or(0, |next| next.raster.grid.width);
        levels.push(level.raster);
        levels.extend(level.halved.into_iter().filter(|halved| halved.grid.width > next));
    }
    levels
}

fn macro_image(source: &dyn ReadAt, tiff: &Tiff<'_>, directory: &Directory) -> Result<Raster> {
    let (offset, len) = strip(tiff, directory)?;
    let size = Head::read(source, offset, len)?.size;
    Ok(Raster::cut(Picture::new(Coding::Jpeg, size, offset, len)?))
}

/// The one strip of an image.
fn strip(tiff: &Tiff<'_>, directory: &Directory) -> Result<(u64, u64)> {
    let compression = tiff.uint(directory, tags::COMPRESSION)?.unwrap_or(1);
    if compression != 7 {
        return Err(SlideError::Unsupported(format!("an NDPI with compression {compression}")));
    }
    let one = |tag| match tiff.uints(directory, tag, 1)?.first() {
        Some(&number) => Ok(number),
        None => Err(SlideError::Damaged("an image of an NDPI has no strip".into())),
    };
    Ok((one(tags::STRIP_OFFSETS)?, one(tags::STRIP_BYTE_COUNTS)?))
}

fn size(tiff: &Tiff<'_>, directory: &Directory) -> Result<(u32, u32)> {
    let side = |tag| {
        let side = tiff.uint(directory, tag)?.and_then(|side| u32::try_from(side).ok()).filter(|&side| side > 0);
        side.ok_or_else(|| SlideError::Damaged(format!("tag {tag}, a size in pixels, is missing or wrong")))
    };
    Ok((side(tags::IMAGE_WIDTH)?, side(tags::IMAGE_LENGTH)?))
}
