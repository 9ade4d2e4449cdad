//! One image of a TIFF as a grid of tiles. Strips are tiles as wide as the image. Owns how a tile's bytes are found and
//! become pixels; knows nothing of pyramids.

mod form;

use crate::{
    Compression, ReadAt, Rgb, SlideError, codec,
    error::Result,
    jpeg,
    limits::{NATIVE_LEN_MAX, REGION_PIXELS_MAX, TILE_PIXELS_MAX},
    tiff::{Directory, Table, Tiff, tags},
};
use form::{Form, unsupported};

/// An image's size, its grid, where its tiles are and in which form.
#[derive(Debug)]
pub(crate) struct Raster {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) tile_width: u32,
    pub(crate) tile_height: u32,
    /// Tiles across.
    pub(crate) columns: u32,
    /// Tiles down.
    pub(crate) rows: u32,
    striped: bool,
    offsets: Table,
    /// Missing where an old writer of plain samples left it out.
    lengths: Option<Table>,
    form: Form,
}

/// Where a tile's bytes are.
#[derive(Debug, Clone, Copy)]
struct Extent {
    offset: u64,
    len: usize,
}

impl Raster {
    /// Whether the image is cut into tiles, not strips.
    pub(crate) fn is_tiled(directory: &Directory) -> bool {
        directory.has(tags::TILE_WIDTH)
    }

    /// Reads what the tags say of the image, but neither its tables nor its pixels.
    pub(crate) fn read(tiff: &Tiff<'_>, directory: &Directory) -> Result<Self> {
        let side = |tag, default: Option<u32>| match tiff.uint(directory, tag)? {
            Some(value) => u32::try_from(value)
                .ok()
                .filter(|&value| value > 0)
                .ok_or_else(|| SlideError::Damaged(format!("tag {tag}, a size in pixels, is {value}"))),
            None => default.ok_or_else(|| SlideError::NotASlide(format!("an image lacks tag {tag}, a size in pixels"))),
        };
        let (width, height) = (side(tags::IMAGE_WIDTH, None)?, side(tags::IMAGE_LENGTH, None)?);
        let striped = !Self::is_tiled(directory);
        let (tile_width, tile_height) = match striped {
            true => (width, side(tags::ROWS_PER_STRIP, Some(height))?.min(height)),
            false => (side(tags::TILE_WIDTH, None)?, side(tags::TILE_LENGTH, None)?),
        };
        if u64::from(tile_width) * u64::from(tile_height) > TILE_PIXELS_MAX {
            return Err(unsupported(&format!(
                "{} of {tile_width} × {tile_height} pixels; up to {TILE_PIXELS_MAX} are read",
                if striped { "strips" } else { "tiles" }
            )));
        }
        let form = Form::read(tiff, directory)?;
        let (columns, rows) = (width.div_ceil(tile_width), height.div_ceil(tile_height));
        let count = u64::from(columns) * u64::from(rows);
        let table = |tile_tag, strip_tag| match tiff.table(directory, if striped { strip_tag } else { tile_tag })? {
            // libtiff reads tiles whose places are in the tags for strips.
            None if !striped => tiff.table(directory, strip_tag),
            found => Ok(found),
        };
        let enough = |table: Table| {
            (table.count >= count).then_some(table).ok_or_else(|| {
                SlideError::Damaged(format!("an image of {count} tiles has places for {} of them", table.count))
            })
        };
        let offsets = table(tags::TILE_OFFSETS, tags::STRIP_OFFSETS)?
            .ok_or_else(|| SlideError::NotASlide("an image has neither tiles nor strips".into()))?;
        let lengths = table(tags::TILE_BYTE_COUNTS, tags::STRIP_BYTE_COUNTS)?;
        if lengths.is_none() && form.compression() != Compression::None {
            return Err(SlideError::Damaged("an image's tiles have no lengths".into()));
        }
        Ok(Self {
            width,
            height,
            tile_width,
            tile_height,
            columns,
            rows,
            striped,
            offsets: enough(offsets)?,
            lengths: lengths.map(enough).transpose()?,
            form,
        })
    }

    /// How the tiles are compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.form.compression()
    }

    /// Whether tiles can be had as JPEG without decoding them.
    pub(crate) fn is_native(&self) -> bool {
        matches!(self.form, Form::Jpeg { inverted: false, .. })
    }

    /// The tile as a whole JPEG at the end of `out`; `false`, and nothing in `out`, where it is none that a browser
    /// shows at the tile's size.
    pub(crate) fn native_tile(&self, source: &dyn ReadAt, column: u32, row: u32, out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        let native = match self.extent(source, column, row) {
            Ok(Some(extent)) if self.is_native() && extent.len <= NATIVE_LEN_MAX => self.assembled(source, extent, out),
            Ok(_) => return Ok(false),
            Err(error) => Err(error),
        };
        let fits = |frame: &jpeg::Frame| {
            frame.is_plain() && u32::from(frame.width) == self.tile_width && u32::from(frame.height) == self.tile_height
        };
        let native = match native {
            Ok(frame) => Ok(fits(&frame)),
            Err(SlideError::Damaged(_)) => Ok(false),
            Err(error) => Err(error),
        };
        if !matches!(native, Ok(true)) {
            out.truncate(start);
        }
        native
    }

    /// The tile's pixels at its whole size, white where a last strip is shorter; nothing where the file has no such
    /// tile.
    pub(crate) fn tile(&self, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Rgb>> {
        let Some(extent) = self.extent(source, column, row)? else { return Ok(None) };
        let (mut data, height) = match &self.form {
            Form::Jpeg { inverted, .. } => {
                let mut jpeg = Vec::new();
                let frame = self.assembled(source, extent, &mut jpeg)?;
                let height = u32::from(frame.height);
                if u32::from(frame.width) != self.tile_width || !self.heights(row).contains(&height) {
                    return Err(SlideError::Damaged(format!(
                        "the JPEG of a tile of {} × {} pixels has {} × {height}",
                        self.tile_width, self.tile_height, frame.width
                    )));
                }
                let mut pixels = jpeg::decode(&jpeg, &frame)?;
                if *inverted {
                    pixels.iter_mut().for_each(|sample| *sample = 255 - *sample);
                }
                (pixels, height)
            }
            Form::Samples { compression, samples, predicted } => {
                let mut packed = vec![0; extent.len];
                source.read_exact_at(&mut packed, extent.offset)?;
                let height = self.height_of(row);
                let (width, rows) = (self.tile_width as usize, height as usize);
                (codec::decode(packed, *compression, samples, *predicted, width, rows)?, height)
            }
        };
        if height < self.tile_height {
            data.resize(self.tile_width as usize * self.tile_height as usize * 3, 255);
        }
        Ok(Some(Rgb { width: self.tile_width, height: self.tile_height, data }))
    }

    /// The whole image, which must not be larger than a region may be.
    pub(crate) fn whole(&self, source: &dyn ReadAt) -> Result<Rgb> {
        if u64::from(self.width) * u64::from(self.height) > REGION_PIXELS_MAX {
            return Err(SlideError::TooLarge(format!(
                "an image of {} × {} pixels; one request may cost {REGION_PIXELS_MAX}",
                self.width, self.height
            )));
        }
        let mut whole: Option<Rgb> = None;
        for row in 0..self.rows {
            for column in 0..self.columns {
                let tile = self
                    .tile(source, column, row)?
                    .ok_or_else(|| SlideError::Damaged(format!("tile {column}, {row} of an image is missing")))?;
                let (x, y) = (column * self.tile_width, row * self.tile_height);
                // Only now is it sure that the file has pixels at all.
                let whole = whole.get_or_insert_with(|| Rgb::white(self.width, self.height));
                whole.paste((x, y), &tile, (0, 0), (tile.width, tile.height));
            }
        }
        whole.ok_or_else(|| SlideError::Damaged("an image has no tiles".into()))
    }

    fn assembled(&self, source: &dyn ReadAt, extent: Extent, out: &mut Vec<u8>) -> Result<jpeg::Frame> {
        let Form::Jpeg { tables, tagged, .. } = &self.form else {
            return Err(SlideError::Damaged("a tile is no JPEG".into()));
        };
        let read = |tile: &mut [u8]| Ok(source.read_exact_at(tile, extent.offset)?);
        let frame = jpeg::assemble(tables.as_ref(), *tagged, extent.len, read, out)?;
        if (frame.components == 1) != (*tagged == jpeg::Tagged::Grey) {
            return Err(SlideError::Damaged(format!("a tile's JPEG has {} components", frame.components)));
        }
        Ok(frame)
    }

    /// Where the tile is; nothing where the file says that it has none, which it does by a length or a place of 0.
    fn extent(&self, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Extent>> {
        if column >= self.columns || row >= self.rows {
            return Err(SlideError::Outside(format!(
                "tile {column}, {row} of a grid of {} × {}",
                self.columns, self.rows
            )));
        }
        let index = u64::from(row) * u64::from(self.columns) + u64::from(column);
        let offset = self.offsets.get(source, index)?;
        let raw_len = u64::from(self.tile_width) * u64::from(self.height_of(row)) * self.form.pixel_len() as u64;
        let len = self.lengths.map_or(Ok(raw_len), |lengths| lengths.get(source, index))?;
        if offset == 0 || len == 0 {
            return Ok(None);
        }
        // Packing that fails makes tiles longer, but not without end: LZW at worst 12 bits for a byte.
        if len > raw_len * 2 + (64 << 10) {
            return Err(SlideError::Damaged(format!(
                "tile {column}, {row} claims {len} bytes, but has {raw_len} bytes of samples"
            )));
        }
        match offset.checked_add(len) {
            Some(end) if end <= source.len() => Ok(Some(Extent { offset, len: len as usize })),
            _ => Err(SlideError::Damaged(format!(
                "tile {column}, {row} of {len} bytes at byte {offset} lies outside the file"
            ))),
        }
    }

    /// Rows of pixels that the tiles of a row have: fewer in a last strip.
    fn height_of(&self, row: u32) -> u32 {
        match self.striped {
            true => (self.height - row * self.tile_height).min(self.tile_height),
            false => self.tile_height,
        }
    }

    /// The heights that a JPEG in this row may have: writers either shorten the last strip or fill it up.
    fn heights(&self, row: u32) -> [u32; 2] {
        [self.tile_height, self.height_of(row)]
    }
}
