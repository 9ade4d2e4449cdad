//! Deep Zoom: a slide cut for viewers into levels that halve and tiles of one size. Where a tile is one of the file's
//! own, [`DeepZoom::native`] says which, and nothing need be decoded.

use crate::{Rgb, Slide, SlideError, error::Result, grid::Window, region};

/// Side of the tiles where the file's own are not square or beyond reason.
const TILE_SIZE_DEFAULT: u32 = 256;
/// Largest side of a tile.
const TILE_SIZE_MAX: u32 = 2048;
/// Sizes from which on a pixel more or less does not count: levels are rounded up here and down in files.
const ROUNDED_FROM: u32 = 256;

/// The Deep Zoom form of a slide. It remembers sizes only and is cheap to make.
#[derive(Debug, Clone)]
pub struct DeepZoom {
    tile_size: u32,
    overlap: u32,
    /// Smallest first: 1 × 1.
    levels: Vec<Size>,
    /// For each level the slide's level to draw it from.
    sources: Vec<Source>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    width: u32,
    height: u32,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    level: usize,
    size: Size,
    /// Pixel for pixel, at most one is missing at the right and lower edge.
    same_scale: bool,
    /// The tiles are the file's own.
    native: bool,
}

/// A tile's rectangle in its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl DeepZoom {
    /// The Deep Zoom form of `slide`, by default with tiles of the size that the file's own have. Tiles have up to 2048
    /// pixels a side, and the overlap is at most half of that.
    pub fn new(slide: &Slide, tile_size: Option<u32>, overlap: u32) -> Self {
        let side = |side: u64| u32::try_from(side).unwrap_or(u32::MAX);
        let size = |level: &crate::Level| Size { width: side(level.width), height: side(level.height) };
        let tops = slide.levels();
        let own = tops.first().map(|top| (top.tile_width, top.tile_height));
        let own = own.filter(|(width, height)| width == height && (64..=TILE_SIZE_MAX).contains(width));
        let tile_size = tile_size.or(own.map(|(width, _)| width)).unwrap_or(TILE_SIZE_DEFAULT).clamp(1, TILE_SIZE_MAX);
        let overlap = overlap.min(tile_size / 2);

        let levels = halved(tops.first().map_or(Size { width: 1, height: 1 }, size));
        let best = |wanted: &Size| {
            let (level, top) = tops
                .iter()
                .enumerate()
                .rfind(|(_, level)| size(level).covers(*wanted) || size(level).matches(*wanted))?;
            let same_scale = size(top).matches(*wanted);
            let same_tiles = (top.tile_width, top.tile_height, overlap) == (tile_size, tile_size, 0);
            Some(Source { level, size: size(top), same_scale, native: top.native && same_scale && same_tiles })
        };
        let mut sources = Vec::with_capacity(levels.len());
        sources.extend(levels.iter().filter_map(best));
        Self { tile_size, overlap, levels, sources }
    }

    /// The descriptor, a `.dzi` file, for tiles of this format: `jpg`, `jpeg` or `png`.
    pub fn descriptor(&self, format: &str) -> String {
        let Size { width, height } = self.levels[self.levels.len() - 1];
        let (tile_size, overlap) = (self.tile_size, self.overlap);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Image xmlns=\"http://schemas.microsoft.com/deepzoom/2008\" \
             TileSize=\"{tile_size}\" Overlap=\"{overlap}\" Format=\"{format}\">\
             <Size Width=\"{width}\" Height=\"{height}\"/></Image>\n"
        )
    }

    /// How many levels there are; level 0 is one pixel, the last one is the slide's level 0.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// Side of the tiles in pixels, without their overlap.
    pub fn tile_size(&self) -> u32 {
        self.tile_size
    }

    /// Pixels across and down of a level.
    ///
    /// # Errors
    /// `Outside` where there is no such level.
    pub fn dimensions(&self, level: usize) -> Result<(u32, u32)> {
        let size = self.levels.get(level);
        size.map(|size| (size.width, size.height))
            .ok_or_else(|| SlideError::Outside(format!("Deep Zoom level {level} of {}", self.levels.len())))
    }

    /// Tiles across and down of a level.
    ///
    /// # Errors
    /// `Outside` where there is no such level.
    pub fn grid(&self, level: usize) -> Result<(u32, u32)> {
        let (width, height) = self.dimensions(level)?;
        Ok((width.div_ceil(self.tile_size), height.div_ceil(self.tile_size)))
    }

    /// Draws a tile. `slide` must be the one that this was made of.
    ///
    /// # Errors
    /// `Outside` where there is no such level or tile; `TooLarge` where the slide has no level small enough to draw it
    /// from; `Damaged` or `Unsupported` where the slide's data cannot be decoded.
    pub fn tile(&self, slide: &Slide, level: usize, column: u32, row: u32) -> Result<Rgb> {
        let place = self.place(level, column, row)?;
        let (size, source) = self
            .levels
            .get(level)
            .zip(self.sources.get(level))
            .ok_or_else(|| SlideError::Outside(format!("Deep Zoom level {level}")))?;
        let window = source.window(place, *size);
        let grid = &slide.raster(source.level)?.grid;
        region::render(grid, window, place.width, place.height, |tile, part, picture, at| {
            slide.draw(source.level, tile, part, picture, at)
        })
    }

    /// The slide's level, column and row of the file's own tile that is this one; nothing where it must be drawn. Tiles
    /// at the right and lower edge must be, as Deep Zoom wants them without padding.
    pub fn native(&self, level: usize, column: u32, row: u32) -> Option<(usize, u32, u32)> {
        let source = self.sources.get(level).filter(|source| source.native)?;
        let place = self.place(level, column, row).ok()?;
        let fits = |start: u32, side: u32| side.saturating_sub(start) >= self.tile_size;
        let inside = fits(place.x, source.size.width) && fits(place.y, source.size.height);
        let whole = place.width == self.tile_size && place.height == self.tile_size;
        (inside && whole).then_some((source.level, column, row))
    }

    fn place(&self, level: usize, column: u32, row: u32) -> Result<Place> {
        let (columns, rows) = self.grid(level)?;
        if column >= columns || row >= rows {
            return Err(SlideError::Outside(format!(
                "tile {column}, {row} of Deep Zoom level {level}, which has {columns} × {rows}"
            )));
        }
        let side = |index: u32, side: u32| {
            let start = (index * self.tile_size).saturating_sub(self.overlap);
            let end = (index * self.tile_size).saturating_add(self.tile_size + self.overlap).min(side);
            (start, end - start)
        };
        let size = self.levels[level];
        let ((x, width), (y, height)) = (side(column, size.width), side(row, size.height));
        Ok(Place { x, y, width, height })
    }
}

impl Size {
    fn covers(self, other: Self) -> bool {
        self.width >= other.width && self.height >= other.height
    }

    /// Whether it is the same but for rounding.
    fn matches(self, other: Self) -> bool {
        let near = |a: u32, b: u32| a == b || (a.abs_diff(b) == 1 && a >= ROUNDED_FROM);
        near(self.width, other.width) && near(self.height, other.height)
    }
}

impl Source {
    /// The part of the slide's level that a tile shows.
    fn window(&self, place: Place, of: Size) -> Window {
        let side = |start: u32, len: u32, own: u32, of: u32| {
            let scale = if self.same_scale { 1.0 } else { f64::from(own) / f64::from(of) };
            // The last pixel stands in for one that was rounded away.
            let start = (f64::from(start) * scale).min(f64::from(own) - 1.0);
            (start, (f64::from(len) * scale).min(f64::from(own) - start))
        };
        let (x, width) = side(place.x, place.width, self.size.width, of.width);
        let (y, height) = side(place.y, place.height, self.size.height, of.height);
        Window { x, y, width, height }
    }
}

/// All levels of a picture, from one pixel to its own size. Each is half of the next, rounded up.
fn halved(top: Size) -> Vec<Size> {
    let mut levels = Vec::with_capacity(1 + u32::BITS as usize);
    let mut size = top;
    levels.push(top);
    while size.width > 1 || size.height > 1 {
        size = Size { width: size.width.div_ceil(2), height: size.height.div_ceil(2) };
        levels.push(size);
    }
    levels.reverse();
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_halve_from_the_top_to_one_pixel() {
        let levels = halved(Size { width: 5000, height: 3750 });
        assert_eq!(levels.len(), 14, "ceil(log2(5000)) + 1");
        assert_eq!(levels[0], Size { width: 1, height: 1 });
        assert_eq!(levels[12], Size { width: 2500, height: 1875 });
        assert_eq!(levels[11], Size { width: 1250, height: 938 });
        assert_eq!(halved(Size { width: 1, height: 1 }).len(), 1);
    }

    /// NIST's pyramidio wrote these tiles of a picture of 5000 × 3750, with an overlap of 1.
    #[test]
    fn tiles_have_the_places_and_sizes_that_other_writers_give_them() {
        let levels = halved(Size { width: 5000, height: 3750 });
        let zoom = DeepZoom { tile_size: 254, overlap: 1, levels, sources: Vec::new() };
        let known =
            [(13, 0, 0, 255, 255), (13, 1, 1, 256, 256), (13, 19, 14, 175, 195), (8, 0, 0, 157, 118), (0, 0, 0, 1, 1)];
        for (level, column, row, width, height) in known {
            let place = zoom.place(level, column, row).unwrap();
            assert_eq!((place.width, place.height), (width, height), "{level}: {column}, {row}");
        }
        assert_eq!(zoom.grid(13).unwrap(), (20, 15));
        for (level, column, row) in [(14, 0, 0), (13, 20, 0), (13, 0, 15), (0, 1, 0)] {
            assert!(matches!(zoom.place(level, column, row), Err(SlideError::Outside(_))), "{level}: {column}, {row}");
        }
    }

    /// Width, height, tile size, overlap: levels and tiles in all; then for some levels: level, tiles across and down, and
    /// width and height of its first, middle and last tile. Told by openslide-python 1.4's DeepZoomGenerator.
    const OPENSLIDE: &str = "\
        2220 2967 254 1: 13 160, 8 1 1 139 186 139 186 139 186, 11 5 6 255 255 256 256 95 215, 12 9 12 255 255 256 256 189 174
        2220 2967 240 0: 13 190, 8 1 1 139 186 139 186 139 186, 11 5 7 240 240 240 240 150 44, 12 10 13 240 240 240 240 60 87
        2220 2967 256 0: 13 160, 11 5 6 256 256 256 256 86 204, 12 9 12 256 256 256 256 172 151
        46000 32914 254 1: 17 31644, 12 12 9 255 255 256 256 82 27, 15 91 65 255 255 256 256 141 202, 16 182 130 255 255 256 256 27 149
        46000 32914 240 0: 17 35392, 12 12 9 240 240 240 240 235 138, 15 96 69 240 240 240 240 200 137, 16 192 138 240 240 240 240 160 34
        1 1 254 1: 1 1, 0 1 1 1 1 1 1 1 1
        255 254 254 1: 9 10, 4 1 1 16 16 16 16 16 16, 7 1 1 128 127 128 127 128 127, 8 2 1 255 254 2 254 2 254
        255 254 240 0: 9 12, 8 2 2 240 240 15 14 15 14
        255 254 256 0: 9 9, 8 1 1 255 254 255 254 255 254
        1000 700 254 1: 11 25, 6 1 1 63 44 63 44 63 44, 9 2 2 255 255 247 97 247 97, 10 4 3 255 255 256 256 239 193
        1000 700 240 0: 11 31, 9 3 2 240 240 240 110 20 110, 10 5 3 240 240 240 240 40 220
        100000 3 254 1: 18 800, 13 25 1 255 1 256 1 155 1, 16 197 1 255 2 256 2 217 2, 17 394 1 255 3 256 3 179 3
        100000 3 240 0: 18 847, 13 27 1 240 1 240 1 10 1, 17 417 1 240 3 240 3 160 3";

    #[test]
    fn levels_tiles_and_their_sizes_are_openslides() {
        let numbers = |text: &str| -> Vec<u32> { text.split_whitespace().map(|word| word.parse().unwrap()).collect() };
        for line in OPENSLIDE.lines() {
            let (of, told) = line.split_once(':').unwrap();
            let mut told = told.split(',').map(numbers);
            let [width, height, tile_size, overlap] = numbers(of)[..] else { panic!("{line}") };
            let levels = halved(Size { width, height });
            let zoom = DeepZoom { tile_size, overlap, levels, sources: Vec::new() };
            let tiles = (0..zoom.levels()).map(|level| zoom.grid(level).unwrap());
            let all = tiles.map(|(columns, rows)| columns * rows).sum();
            assert_eq!(told.next(), Some(vec![zoom.levels() as u32, all]), "{of}");
            for level in told {
                let (columns, rows) = zoom.grid(level[0] as usize).unwrap();
                let mut found = vec![level[0], columns, rows];
                for (column, row) in [(0, 0), (columns / 2, rows / 2), (columns - 1, rows - 1)] {
                    let place = zoom.place(level[0] as usize, column, row).unwrap();
                    found.extend([place.width, place.height]);
                }
                assert_eq!(found, level, "{of}");
            }
        }
    }
}
