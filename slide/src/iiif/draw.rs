//! Drawing: from the smallest of the slide's levels that has the picture's pixels, in bands that bound the memory, then
//! turned, then its colours taken away.

use super::{Format, Plan, Quality, plan::sides, region::Rectangle};
use crate::{
    Level, Rgb, Slide, SlideError, encode,
    error::Result,
    grid::Window,
    limits::{IIIF_BAND_PIXELS_MAX, RENDER_PIXELS_MAX},
    region,
};
use std::ops::Range;

/// How much of a pixel of a level's size may have been rounded away.
const ROUNDING: f64 = 1.0;

impl Plan {
    /// Draws the picture in the colours that the slide has, turned.
    ///
    /// # Errors
    /// `TooLarge` where the slide has no level small enough to draw it from; `Damaged` or `Unsupported` where the slide's
    /// data cannot be decoded.
    pub fn draw(&self, slide: &Slide) -> Result<Rgb> {
        let source = Source::of(slide, self);
        let Window { x, y, width, height } = source.window(self.region);
        if width * height > RENDER_PIXELS_MAX as f64 {
            return Err(SlideError::TooLarge(format!(
                "{} × {} pixels drawn from {width:.0} × {height:.0}: the slide has no smaller level to draw them from",
                self.width, self.height
            )));
        }
        let grid = &slide.raster(source.level)?.grid;
        let bands = self.bands(y, width, height, grid.tile_height);
        let step = height / f64::from(self.height);
        let window = |band: &Range<u32>| {
            let (y, height) = (y + f64::from(band.start) * step, band.len() as f64 * step);
            Window { x, y, width, height }
        };
        // Tiles that lie in several bands are decoded for each of them.
        region::check_cost(grid, bands.iter().map(window))?;
        let mut picture: Option<Rgb> = None;
        for band in &bands {
            let (first, end) = (band.start, band.end);
            let drawn = region::render(grid, window(band), self.width, end - first, |tile, part, picture, at| {
                slide.draw(source.level, tile, part, picture, at)
            })?;
            if bands.len() == 1 {
                picture = Some(drawn);
            } else {
                let whole = picture.get_or_insert_with(|| Rgb::white(self.width, self.height));
                whole.paste((0, first), &drawn, (0, 0), (drawn.width, drawn.height));
            }
        }
        let picture = picture.unwrap_or_else(|| Rgb::white(self.width, self.height));
        Ok(self.turn.apply(picture))
    }

    /// Takes away the colours that are not wanted, and encodes. `jpeg_quality` is libjpeg's: 1 to 100.
    ///
    /// # Errors
    /// Those of [`encode`].
    pub fn encode(&self, mut picture: Rgb, jpeg_quality: u8) -> Result<Vec<u8>> {
        let encoded = self.encoded(&mut picture, jpeg_quality);
        picture.done();
        encoded
    }

    fn encoded(&self, picture: &mut Rgb, jpeg_quality: u8) -> Result<Vec<u8>> {
        if self.quality == Quality::Color {
            return match self.format {
                Format::Jpeg => encode::jpeg(picture, jpeg_quality),
                Format::Png => encode::png(picture),
            };
        }
        let bitonal = self.quality == Quality::Bitonal;
        let gray = |pixel: &[u8; 3]| match luminance(pixel) {
            light if !bitonal => light,
            128.. => 255,
            _ => 0,
        };
        let (pixels, _) = picture.data.as_chunks_mut::<3>();
        match self.format {
            Format::Jpeg => {
                pixels.iter_mut().for_each(|pixel| *pixel = [gray(pixel); 3]);
                encode::jpeg(picture, jpeg_quality)
            }
            Format::Png => {
                let pixels: Vec<u8> = pixels.iter().map(gray).collect();
                encode::png_gray(picture.width, picture.height, &pixels)
            }
        }
    }

    /// The rows of the bands in which the picture is drawn from a window that begins at `y` of an image: what is in memory
    /// of one, after whole squares of pixels became one each, has a bound. Where a row of pixels ends with a row of tiles,
    /// so does a band, unless it would be less than half as high as it may be.
    fn bands(&self, y: f64, width: f64, height: f64, tile_height: u32) -> Vec<Range<u32>> {
        let square = (width / f64::from(self.width)).min(height / f64::from(self.height)).floor().max(1.0);
        let kept = width * height / (square * square);
        let count = ((kept / IIIF_BAND_PIXELS_MAX as f64).ceil() as u32).clamp(1, self.height);
        let (rows, step, tile) = (self.height.div_ceil(count), height / f64::from(self.height), f64::from(tile_height));
        let mut bands = Vec::new();
        let mut first = 0;
        while first < self.height {
            let most = (first + rows).min(self.height);
            let border = ((y + f64::from(most) * step + 1e-3) / tile).floor() * tile;
            let at = (border - y) / step;
            let exact = (at - at.round()).abs() * step < 1e-3 && at.round() >= f64::from(first + rows.div_ceil(2));
            let end = if most < self.height && exact { at.round() as u32 } else { most };
            bands.push(first..end);
            first = end;
        }
        bands
    }
}

/// Rec. 601, as JPEG has it.
fn luminance([red, green, blue]: &[u8; 3]) -> u8 {
    ((299 * u32::from(*red) + 587 * u32::from(*green) + 114 * u32::from(*blue) + 500) / 1000) as u8
}

/// The level that a picture is drawn from.
struct Source {
    level: usize,
    /// Its size.
    width: f64,
    height: f64,
    /// Pixels of level 0 for one of its own.
    across: f64,
    down: f64,
}

impl Source {
    fn of(slide: &Slide, plan: &Plan) -> Self {
        let scale = plan.scale();
        let all = slide.levels().iter().enumerate();
        let mut fitting = all.map(|(level, shape)| Self::new(slide, level, shape));
        let top = fitting.next();
        // A scale that is no fraction may pass the level's by a hair.
        let fits = |source: &Self| source.across.max(source.down) <= scale * (1.0 + 1e-6);
        let best = fitting.rfind(fits).or(top);
        best.unwrap_or(Self { level: 0, width: 1.0, height: 1.0, across: 1.0, down: 1.0 })
    }

    fn new(slide: &Slide, level: usize, shape: &Level) -> Self {
        let (top_width, top_height) = sides(slide);
        let (width, height) = (shape.width as f64, shape.height as f64);
        let (across, down) = (f64::from(top_width) / width, f64::from(top_height) / height);
        // Levels are rounded to whole pixels: what was made four times smaller has tiles that are, too.
        let whole = ((across + down) / 2.0).round();
        let near = |side: f64, top: u32| (side - f64::from(top) / whole).abs() < ROUNDING;
        let (across, down) = match near(width, top_width) && near(height, top_height) {
            true => (whole, whole),
            false => (across, down),
        };
        Self { level, width, height, across, down }
    }

    /// What a part of level 0 is in this level.
    fn window(&self, region: Rectangle) -> Window {
        let side = |start: u32, len: u32, by: f64, side: f64| {
            // The last pixel stands in for one that was rounded away.
            let start = (f64::from(start) / by).min(side - 1.0).max(0.0);
            (start, (f64::from(len) / by).min(side - start))
        };
        let (x, width) = side(region.x, region.width, self.across, self.width);
        let (y, height) = side(region.y, region.height, self.down, self.height);
        Window { x, y, width, height }
    }
}

impl Plan {
    /// How many times smaller the picture is than its region. Viewers ask for tiles at the edges in sizes rounded to whole
    /// pixels: these are as much smaller as the tiles beside them.
    fn scale(&self) -> f64 {
        let (across, down) = (self.region.width, self.region.height);
        let ratio = f64::from(across) / f64::from(self.width);
        let scale = ratio.min(f64::from(down) / f64::from(self.height));
        let power = 2f64.powi(ratio.max(f64::from(down) / f64::from(self.height)).log2().round() as i32);
        let rounded = |region: u32, side: u32| (f64::from(region) / power).ceil() == f64::from(side);
        if rounded(across, self.width) && rounded(down, self.height) { power } else { scale }
    }
}
