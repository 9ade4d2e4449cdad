//! The tiles of a TIFF's image, as its tables list them. Strips are tiles as wide as the image. Owns how a tile's bytes
//! are found and become pixels.

use super::{
    Raster, Tiles,
    form::{Form, unsupported},
};
use crate::{
    Compression, ReadAt, Rgb, SlideError,
    error::Result,
    grid::{Grid, Part},
    jpeg,
    limits::{NATIVE_LEN_MAX, TILE_PIXELS_MAX},
    tiff::{Directory, Table, Tiff, tags},
};
use std::{cell::Cell, ops::Range};

/// Most bytes of memory for a JPEG that stay for the next one.
const JPEG_KEPT_LEN_MAX: usize = 1 << 20;

thread_local! {
    /// Memory for the JPEG that is being decoded.
    static JPEG: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Where an image's tiles are and in which form.
#[derive(Debug)]
pub(super) struct Stored {
    striped: bool,
    offsets: Table,
    /// Missing where an old writer of plain samples left it out.
    lengths: Option<Table>,
    pub(super) form: Form,
}

/// Where a tile's bytes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) len: usize,
}

impl Stored {
    /// Reads what the tags say of the image, but neither its tables nor its pixels.
    pub(super) fn read(tiff: &Tiff<'_>, directory: &Directory) -> Result<(Grid, Self)> {
        let side = |tag, default: Option<u32>| match tiff.uint(directory, tag)? {
            Some(value) => u32::try_from(value)
                .ok()
                .filter(|&value| value > 0)
                .ok_or_else(|| SlideError::Damaged(format!("tag {tag}, a size in pixels, is {value}"))),
            None => default.ok_or_else(|| SlideError::NotASlide(format!("an image lacks tag {tag}, a size in pixels"))),
        };
        let (width, height) = (side(tags::IMAGE_WIDTH, None)?, side(tags::IMAGE_LENGTH, None)?);
        let striped = !Raster::is_tiled(directory);
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
        let form = Form::read(tiff, directory, tile_width)?;
        let grid = Grid::new(width, height, tile_width, tile_height);
        let count = (u64::from(grid.columns) * u64::from(grid.rows)).saturating_mul(form.planes() as u64);
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
        let (offsets, lengths) = (enough(offsets)?, lengths.map(enough).transpose()?);
        Ok((grid, Self { striped, offsets, lengths, form }))
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

    /// Hands a tile of the grid's size over as a whole JPEG.
    fn with_jpeg<T>(
        &self,
        grid: &Grid,
        source: &dyn ReadAt,
        extent: Extent,
        row: u32,
        take: impl FnOnce(&[u8], &jpeg::Frame) -> Result<T>,
    ) -> Result<T> {
        let mut jpeg = JPEG.take();
        jpeg.clear();
        let taken = self.assembled(source, extent, &mut jpeg).and_then(|frame| {
            let height = u32::from(frame.height);
            if u32::from(frame.width) == grid.tile_width && self.heights(grid, row).contains(&height) {
                return take(&jpeg, &frame);
            }
            Err(SlideError::Damaged(format!(
                "the JPEG of a tile of {} × {} pixels has {} × {height}",
                grid.tile_width, grid.tile_height, frame.width
            )))
        });
        if jpeg.capacity() <= JPEG_KEPT_LEN_MAX {
            JPEG.set(jpeg);
        }
        taken
    }

    /// Where the tile is; nothing where the file says that it has none, which it does by a length or a place of 0.
    fn extent(&self, grid: &Grid, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Extent>> {
        self.extent_in(grid, source, (column, row), 0)
    }

    /// The same in one of the planes.
    pub(super) fn extent_in(
        &self,
        grid: &Grid,
        source: &dyn ReadAt,
        (column, row): (u32, u32),
        plane: usize,
    ) -> Result<Option<Extent>> {
        let index = plane as u64 * u64::from(grid.columns) * u64::from(grid.rows) + grid.index(column, row);
        let offset = self.offsets.get(source, index)?;
        let raw_len = self.form.raw_len(grid.tile_width, self.height_of(grid, row));
        let len = self.lengths.map_or(Ok(raw_len), |lengths| lengths.get(source, index))?;
        if offset == 0 || len == 0 {
            return Ok(None);
        }
        // Packing that fails makes tiles longer, but not without end: LZW at worst 12 bits for a byte. A last strip may be
        // filled up to the height of the others.
        let whole_len = self.form.raw_len(grid.tile_width, grid.tile_height);
        if len > whole_len * 2 + self.form.head_len_max() {
            return Err(SlideError::Damaged(format!(
                "tile {column}, {row} claims {len} bytes, but has {whole_len} bytes of samples"
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
    pub(super) fn height_of(&self, grid: &Grid, row: u32) -> u32 {
        match self.striped {
            true => (grid.height - row * grid.tile_height).min(grid.tile_height),
            false => grid.tile_height,
        }
    }

    /// The heights that a JPEG in this row may have: writers either shorten the last strip or fill it up.
    pub(super) fn heights(&self, grid: &Grid, row: u32) -> [u32; 2] {
        [grid.tile_height, self.height_of(grid, row)]
    }
}

impl Tiles for Stored {
    fn compression(&self) -> Compression {
        self.form.compression()
    }

    fn is_native(&self) -> bool {
        matches!(self.form, Form::Jpeg { inverted: false, .. })
    }

    fn native(&self, grid: &Grid, source: &dyn ReadAt, column: u32, row: u32, out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        let native = match self.extent(grid, source, column, row) {
            Ok(Some(extent)) if self.is_native() && extent.len <= NATIVE_LEN_MAX => self.assembled(source, extent, out),
            Ok(_) => return Ok(false),
            Err(error) => Err(error),
        };
        let fits = |frame: &jpeg::Frame| {
            frame.is_plain() && u32::from(frame.width) == grid.tile_width && u32::from(frame.height) == grid.tile_height
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

    fn any_missing(&self, source: &dyn ReadAt, tiles: Range<u64>) -> Result<bool> {
        self.lengths.map_or(Ok(false), |lengths| lengths.any_zero(source, tiles))
    }

    fn pixels(&self, grid: &Grid, source: &dyn ReadAt, column: u32, row: u32) -> Result<Option<Rgb>> {
        let Some(extent) = self.extent(grid, source, column, row)? else { return Ok(None) };
        let (mut data, height) = match &self.form {
            Form::Jpeg { inverted, .. } => self.with_jpeg(grid, source, extent, row, |jpeg, frame| {
                let mut pixels = jpeg::decode(jpeg, frame)?;
                if *inverted {
                    pixels.iter_mut().for_each(|sample| *sample = 255 - *sample);
                }
                Ok((pixels, u32::from(frame.height)))
            })?,
            Form::Samples(layout) => {
                let mut packed = vec![0; extent.len];
                source.read_exact_at(&mut packed, extent.offset)?;
                let height = self.height_of(grid, row);
                (layout.rgb(packed, grid.tile_width as usize, height as usize)?, height)
            }
            Form::Old(old) => {
                let mut scan = vec![0; extent.len];
                source.read_exact_at(&mut scan, extent.offset)?;
                let height = self.height_of(grid, row);
                let data = old.rgb(&scan, grid.tile_width as usize, height as usize);
                (data.map_err(|why| SlideError::Damaged(format!("a tile's old-style JPEG: {why}")))?, height)
            }
            Form::Planes { layout, tables } => {
                let Some(data) = self.joined((layout, tables.as_ref()), grid, source, (column, row))? else {
                    return Ok(None);
                };
                (data, self.height_of(grid, row))
            }
        };
        if height < grid.tile_height {
            data.resize(grid.tile_width as usize * grid.tile_height as usize * 3, 255);
        }
        Ok(Some(Rgb { width: grid.tile_width, height: grid.tile_height, data }))
    }

    fn draw(
        &self,
        grid: &Grid,
        source: &dyn ReadAt,
        (column, row): (u32, u32),
        part: Part,
        picture: &mut Rgb,
        at: (u32, u32),
    ) -> Result<bool> {
        if let Form::Jpeg { inverted, .. } = &self.form {
            let Some(extent) = self.extent(grid, source, column, row)? else { return Ok(false) };
            let drawn = self.with_jpeg(grid, source, extent, row, |jpeg, frame| {
                let whole = u32::from(frame.height) == grid.tile_height;
                whole.then(|| jpeg::draw(jpeg, frame, *inverted, part, picture, at)).transpose()
            })?;
            if drawn.is_some() {
                return Ok(true);
            }
        }
        let Some(tile) = self.pixels(grid, source, column, row)? else { return Ok(false) };
        part.draw(&tile, picture, at);
        Ok(true)
    }
}
