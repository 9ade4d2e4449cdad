//! An opened slide: what it is, and its tiles. Pixels across tiles are in `region`.

use crate::{
    ReadAt, Rgb, SlideError,
    error::Result,
    grid::{Part, Window},
    holes::Holes,
    limits::{FILL_RATIO_MAX, FILLS_MAX, PROPERTIES_LEN_MAX},
    raster::Raster,
    region,
    vendor::{self, Profile},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// How the tiles of a level are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Plain samples.
    None,
    /// LZW as in TIFF 6.0.
    Lzw,
    /// zlib.
    Deflate,
    /// PackBits: runs of bytes.
    PackBits,
    /// Zstandard.
    Zstd,
    /// JPEG, with tables in the tile or shared by all.
    Jpeg,
    /// JPEG as TIFF 6.0 first had it, told by tags.
    OldJpeg,
    /// JPEG 2000.
    Jpeg2000,
    /// WebP, lossy or not.
    WebP,
    /// A PNG picture as a whole.
    Png,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lzw => "lzw",
            Self::Deflate => "deflate",
            Self::PackBits => "packbits",
            Self::Zstd => "zstd",
            Self::Jpeg => "jpeg",
            Self::OldJpeg => "old-jpeg",
            Self::Jpeg2000 => "jpeg2000",
            Self::WebP => "webp",
            Self::Png => "png",
        })
    }
}

/// One level of the pyramid; level 0 is the largest.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Width in pixels of this level.
    pub width: u64,
    /// Height in pixels of this level.
    pub height: u64,
    /// How much smaller than level 0, from the sizes as OpenSlide does; 1 for level 0, seldom a whole number.
    pub downsample: f64,
    /// Width of its tiles in pixels.
    pub tile_width: u32,
    /// Height of its tiles in pixels.
    pub tile_height: u32,
    /// Tiles across.
    pub columns: u32,
    /// Tiles down.
    pub rows: u32,
    /// How its tiles are compressed.
    pub compression: Compression,
    /// Whether its tiles can be had as JPEG without decoding them; single ones may still have to be rendered.
    pub native: bool,
}

impl Level {
    fn new(raster: &Raster, top: &Raster) -> Self {
        let ratio = |top: u32, this: u32| f64::from(top) / f64::from(this);
        let (grid, top) = (&raster.grid, &top.grid);
        Self {
            width: grid.width.into(),
            height: grid.height.into(),
            downsample: (ratio(top.width, grid.width) + ratio(top.height, grid.height)) / 2.0,
            tile_width: grid.tile_width,
            tile_height: grid.tile_height,
            columns: grid.columns,
            rows: grid.rows,
            compression: raster.compression(),
            native: raster.is_native(),
        }
    }
}

/// A picture beside the pyramid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Associated {
    /// `label`, `macro`, `thumbnail`, …
    pub name: String,
    /// Width in pixels.
    pub width: u64,
    /// Height in pixels.
    pub height: u64,
}

/// An opened slide. It costs kilobytes, whatever the file's size; all reading goes to the source each time.
pub struct Slide {
    source: Arc<dyn ReadAt>,
    vendor: &'static str,
    levels: Vec<Level>,
    rasters: Vec<Raster>,
    /// What is known of holes, where tiles over them are not to be trusted.
    holes: Option<Holes>,
    associated: Vec<Associated>,
    associated_rasters: Vec<Raster>,
    mpp: Option<(f64, f64)>,
    objective_power: Option<f64>,
    properties: BTreeMap<String, String>,
    profile: Profile,
}

impl fmt::Debug for Slide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slide").field("vendor", &self.vendor).field("levels", &self.levels).finish_non_exhaustive()
    }
}

impl Slide {
    /// Opens a slide by its tags alone: kilobytes are read, whatever its size.
    ///
    /// # Errors
    /// `NotASlide`, `Unsupported` and `Damaged` say what is wrong with the file, `Io` that it could not be read.
    pub fn open(source: Arc<dyn ReadAt>) -> Result<Self> {
        let parts = vendor::open(source.as_ref())?;
        let top = parts.levels.first().ok_or_else(|| SlideError::NotASlide("the file has no level".into()))?;
        let mut levels: Vec<Level> = parts.levels.iter().map(|raster| Level::new(raster, top)).collect();
        for (level, downsample) in levels.iter_mut().zip(&parts.downsamples) {
            level.downsample = *downsample;
        }
        let (names, associated_rasters): (Vec<_>, Vec<_>) = parts.associated.into_iter().unzip();
        let associated: Vec<Associated> = names
            .into_iter()
            .zip(&associated_rasters)
            .map(|(name, raster)| Associated {
                name,
                width: raster.grid.width.into(),
                height: raster.grid.height.into(),
            })
            .collect();
        let mut slide = Self {
            source,
            vendor: parts.vendor,
            levels,
            holes: parts.holes_spoil.then(|| Holes::new(&parts.levels)),
            rasters: parts.levels,
            associated,
            associated_rasters,
            mpp: parts.mpp,
            objective_power: parts.objective_power,
            properties: bounded(parts.properties),
            profile: parts.profile,
        };
        slide.describe();
        Ok(slide)
    }

    /// Adds to the properties what OpenSlide derives from the rest.
    fn describe(&mut self) {
        let mut put = |key: String, value: String| self.properties.insert(key, value);
        put("openslide.vendor".into(), self.vendor.into());
        put("openslide.level-count".into(), self.levels.len().to_string());
        if let Some((x, y)) = self.mpp {
            put("openslide.mpp-x".into(), x.to_string());
            put("openslide.mpp-y".into(), y.to_string());
        }
        if let Some(power) = self.objective_power {
            put("openslide.objective-power".into(), power.to_string());
        }
        for (index, level) in self.levels.iter().enumerate() {
            put(format!("openslide.level[{index}].width"), level.width.to_string());
            put(format!("openslide.level[{index}].height"), level.height.to_string());
            put(format!("openslide.level[{index}].downsample"), level.downsample.to_string());
            put(format!("openslide.level[{index}].tile-width"), level.tile_width.to_string());
            put(format!("openslide.level[{index}].tile-height"), level.tile_height.to_string());
        }
        for image in &self.associated {
            put(format!("openslide.associated.{}.width", image.name), image.width.to_string());
            put(format!("openslide.associated.{}.height", image.name), image.height.to_string());
        }
    }

    /// The kind of file: `aperio`, `generic-tiff`, `jpeg`, …
    pub fn vendor(&self) -> &str {
        self.vendor
    }

    /// The pyramid, largest first; there is at least one level.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Micrometres per pixel of level 0, across and down.
    pub fn mpp(&self) -> Option<(f64, f64)> {
        self.mpp
    }

    /// The objective's magnification.
    pub fn objective_power(&self) -> Option<f64> {
        self.objective_power
    }

    /// What the file says of itself, under OpenSlide's names where it has one.
    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    /// The pictures beside the pyramid.
    pub fn associated(&self) -> &[Associated] {
        &self.associated
    }

    /// The tile in the file's own grid as a whole JPEG, at the end of `out`: never decoded, edge tiles padded as the
    /// file has them. `false`, with nothing in `out`, says that the tile is to be rendered by [`tile`](Self::tile).
    ///
    /// `source` must have the bytes that the slide was opened from; reading goes there and not to the slide's own.
    /// Nothing is allocated but in `out`, and no lock is taken.
    ///
    /// # Errors
    /// `Outside` where there is no such level or tile, `Io` where reading failed.
    pub fn native_tile(
        &self,
        source: &dyn ReadAt,
        level: usize,
        column: u32,
        row: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let raster = self.raster(level)?;
        if self.is_spoilt(source, level, (column, row))? {
            return Ok(false);
        }
        raster.native(source, column, row, out)
    }

    /// The tile in the file's own grid, decoded, at the whole size of the level's tiles: edge tiles are padded with what
    /// the file has there. A tile that the file lacks is drawn from the level above (Aperio's encoder leaves such holes)
    /// and white at level 0; so is one of an Aperio slide that lies over such a hole.
    ///
    /// # Errors
    /// `Outside` where there is no such level or tile; `Damaged` or `Unsupported` where its data cannot be decoded.
    pub fn tile(&self, level: usize, column: u32, row: u32) -> Result<Rgb> {
        let raster = self.raster(level)?;
        let source = self.source.as_ref();
        let stored = match self.is_spoilt(source, level, (column, row))? {
            true => None,
            false => raster.pixels(source, column, row)?,
        };
        match stored {
            Some(tile) => Ok(tile),
            None => self.fill(level, raster, (column, row), &mut { FILLS_MAX }),
        }
    }

    /// Draws a part of a tile into `picture` with its corner at `at`.
    pub(crate) fn draw(
        &self,
        level: usize,
        tile: (u32, u32),
        part: Part,
        picture: &mut Rgb,
        at: (u32, u32),
    ) -> Result<()> {
        let raster = self.raster(level)?;
        let source = self.source.as_ref();
        if self.is_spoilt(source, level, tile)? || !raster.draw(source, tile, part, picture, at)? {
            part.draw(&self.fill(level, raster, tile, &mut { FILLS_MAX })?, picture, at);
        }
        Ok(())
    }

    /// Whether a tile lies over a hole and so is not to be trusted.
    fn is_spoilt(&self, source: &dyn ReadAt, level: usize, tile: (u32, u32)) -> Result<bool> {
        let Some(holes) = self.holes.as_ref().filter(|_| level > 0) else { return Ok(false) };
        self.raster(level)?.grid.check(tile.0, tile.1)?;
        holes.under(source, &self.rasters, level, tile)
    }

    /// The associated image of this name.
    ///
    /// # Errors
    /// `Outside` where there is none; `TooLarge` where it has more than 64 Mi pixels; `Damaged` or `Unsupported` where
    /// its data cannot be decoded.
    pub fn associated_image(&self, name: &str) -> Result<Rgb> {
        let index = self.associated.iter().position(|image| image.name == name);
        match index.and_then(|index| self.associated_rasters.get(index)) {
            Some(raster) => raster.whole(self.source.as_ref()),
            None => Err(SlideError::Outside(format!("there is no associated image '{name}'"))),
        }
    }

    /// The ICC profile that level 0 carries, or the picture. Native tiles come without it.
    ///
    /// # Errors
    /// `Damaged` where it is not whole, lies outside the file or is over 16 MiB.
    pub fn icc_profile(&self) -> Result<Option<Vec<u8>>> {
        self.profile.read(self.source.as_ref())
    }

    pub(crate) fn raster(&self, level: usize) -> Result<&Raster> {
        self.rasters.get(level).ok_or_else(|| SlideError::Outside(format!("level {level} of {}", self.rasters.len())))
    }

    /// Draws a tile that the file lacks. Holes in the level above are filled likewise, but no more of them than are `left`,
    /// so that the cost has a bound: other holes stay white, and what lies over holes is taken as it is.
    fn fill(&self, level: usize, raster: &Raster, (column, row): (u32, u32), left: &mut u32) -> Result<Rgb> {
        let grid = &raster.grid;
        let mut tile = Rgb::white(grid.tile_width, grid.tile_height);
        let Some(above) = level.checked_sub(1) else { return Ok(tile) };
        let finer = self.raster(above)?;
        let scale_x = f64::from(finer.grid.width) / f64::from(grid.width);
        let scale_y = f64::from(finer.grid.height) / f64::from(grid.height);
        if scale_x.max(scale_y) > FILL_RATIO_MAX {
            return Err(SlideError::Damaged(format!("tile {column}, {row} of level {level} is missing")));
        }
        // The part of the tile inside the level; the padding stays white.
        let (x, y) = grid.corner(column, row);
        let (width, height) = (grid.tile_width.min(grid.width - x), grid.tile_height.min(grid.height - y));
        let from = Window {
            x: f64::from(x) * scale_x,
            y: f64::from(y) * scale_y,
            width: f64::from(width) * scale_x,
            height: f64::from(height) * scale_y,
        };
        let drawn = region::render(&finer.grid, from, width, height, |tile, part, picture, at| {
            let source = self.source.as_ref();
            let fills = *left > 0 && above > 0;
            let stored =
                !(fills && self.is_spoilt(source, above, tile)?) && finer.draw(source, tile, part, picture, at)?;
            if !stored && fills {
                *left -= 1;
                part.draw(&self.fill(above, finer, tile, left)?, picture, at);
            }
            // What is not drawn stays white, as the picture was.
            Ok(())
        })?;
        tile.paste((0, 0), &drawn, (0, 0), (width, height));
        Ok(tile)
    }
}

/// The properties as far as they have room: crafted files have megabytes of them, and an open slide costs kilobytes.
fn bounded(mut properties: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut len = 0;
    properties.retain(|key, value| {
        len += key.len() + value.len();
        len <= PROPERTIES_LEN_MAX
    });
    properties
}
