//! Draws a slide: H&E-stained tissue that never was, as a real Aperio-style pyramid, the number of its nuclei known.
//!
//! For demonstrations that download nothing, and for tests that must know the truth. The pictures come from integer
//! hashing and exact arithmetic: a seed gives the same slide whatever the number of threads (and the same pixels before
//! compression on every machine; the JPEG encoder rounds a little differently where it lacks AVX2). A slide is drawn in
//! squares of 4×4 tiles, each by itself, so memory stays bounded whatever its size.

mod cells;
mod ground;
mod jpeg;
mod label;
mod noise;
mod paint;
mod planes;
mod scatter;
mod scene;
mod shape;
mod stain;
mod svs;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use cells::{Cells, LATTICE_MARGIN};
use jpeg::Coder;
use paint::{Painter, TILE};
use planes::{Gather, Planes};
use scene::{Lattice, Scene};
use svs::{Place, Writer};

/// Longest side of a synthetic slide, in pixels.
pub const SIDE_MAX: u32 = 200_000;

const JPEG_QUALITY: u16 = 72;
const THREADS_MAX: usize = 16;
/// Side of the square drawn at once: one tile of level 1.
const SQUARE: u32 = 4 * TILE;
const THUMBNAIL: (u32, u32) = (1024, 768);

/// What to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Width of level 0 in pixels, 1 to [`SIDE_MAX`].
    pub width: u32,
    /// Height of level 0 in pixels, 1 to [`SIDE_MAX`].
    pub height: u32,
    /// Another seed, another slide.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { width: 12_000, height: 9_000, seed: 1 }
    }
}

/// What is true of the slide that was drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Number of nuclei. Each lies wholly on the slide, and between any two there are more than 3 pixels of level 0.
    pub nuclei: u64,
    /// Share of the slide's area that is visibly stained, counted on level 1; lumens, clefts and emptied fat cells do not
    /// count.
    pub tissue_fraction: f64,
    /// Length of the file.
    pub bytes: u64,
}

/// Draws a slide into a file at `path`, which is replaced. `progress` hears the share that is done, from 0 to 1.
///
/// # Errors
/// `InvalidInput` for a side outside 1..=[`SIDE_MAX`]; whatever the file system says.
pub fn write(path: &Path, options: &Options, progress: &mut dyn FnMut(f64)) -> io::Result<Truth> {
    for (name, side) in [("width", options.width), ("height", options.height)] {
        if !(1..=SIDE_MAX).contains(&side) {
            let message = format!("a synthetic slide's {name} must be 1 to {SIDE_MAX} pixels, not {side}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
    }
    let scene = Scene::new(options);
    let artist = Artist::new(scene)?;
    let mut pyramid = Pyramid::new(Writer::create(path)?, options);
    let (columns, rows) = (options.width.div_ceil(SQUARE), options.height.div_ceil(SQUARE));
    let count = u64::from(columns) * u64::from(rows);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    progress(0.0);
    std::thread::scope(|scope| {
        // Every thread draws each n-th square, and they are taken in turn: in order, and never far ahead.
        let drawn: Vec<Receiver<io::Result<Square>>> = (0..threads as u64)
            .map(|first| {
                let (sender, receiver) = sync_channel(4);
                let artist = &artist;
                scope.spawn(move || artist.draw_every(first, threads, count, columns, options, &sender));
                receiver
            })
            .collect();
        for index in 0..count {
            let receiver = &drawn[(index % threads as u64) as usize];
            let gone = |_| io::Error::other("a thread that draws the slide ended early");
            pyramid.take(&receiver.recv().map_err(gone)??, &artist.coder)?;
            progress((index + 1) as f64 / count as f64);
        }
        Ok::<(), io::Error>(())
    })?;
    pyramid.finish(&artist.coder)
}

/// A square of 4×4 tiles of level 0 as drawn by a thread.
struct Square {
    column: u32,
    row: u32,
    /// Column, row and data of its tiles.
    tiles: Vec<(u32, u32, Vec<u8>)>,
    /// The same as one tile of level 1, and as its data.
    quarter: Planes,
    quarter_data: Vec<u8>,
    nuclei: u64,
}

/// Draws squares; shared by all threads.
struct Artist {
    scene: Scene,
    painter: Painter,
    coder: Coder,
    /// Bare glass and its data, some variants: most of a slide is glass, and drawing it again and again is waste.
    glass: Vec<(Planes, Vec<u8>)>,
}

impl Artist {
    fn new(scene: Scene) -> io::Result<Self> {
        const VARIANTS: u32 = 8;
        let (painter, coder) = (Painter::new(&scene), Coder::new(JPEG_QUALITY)?);
        let mut glass = Vec::new();
        for variant in 0..VARIANTS {
            let planes = painter.glass(variant);
            let data = coder.encode(&planes)?;
            glass.push((planes, data));
        }
        Ok(Artist { scene, painter, coder, glass })
    }

    fn draw_every(
        &self,
        first: u64,
        step: usize,
        count: u64,
        columns: u32,
        options: &Options,
        sender: &SyncSender<io::Result<Square>>,
    ) {
        for index in (first..count).step_by(step) {
            let (column, row) = ((index % u64::from(columns)) as u32, (index / u64::from(columns)) as u32);
            if sender.send(self.square(column, row, options)).is_err() {
                return;
            }
        }
    }

    fn square(&self, column: u32, row: u32, options: &Options) -> io::Result<Square> {
        let (x, y) = (i64::from(column * SQUARE), i64::from(row * SQUARE));
        let margin = i64::from(LATTICE_MARGIN);
        let from = (x - margin, y - margin);
        let lattice = Lattice::over(&self.scene, from.0, from.1, SQUARE + 2 * LATTICE_MARGIN);
        let cells = Cells::in_window(&self.scene, &lattice, x, y, SQUARE);
        let mut tiles = Vec::with_capacity(16);
        let mut quarter = Planes::new(TILE, TILE);
        for (down, across) in (0..4).flat_map(|down| (0..4).map(move |across| (down, across))) {
            let (left, top) = (x + i64::from(across * TILE), y + i64::from(down * TILE));
            let painted = self.painter.tile(&lattice, from, &cells, left, top);
            let (glass, glass_data) = &self.glass[noise::hash(self.scene.seed, left, top) as usize % self.glass.len()];
            let tile = painted.as_ref().unwrap_or(glass);
            tile.quarter_onto(&mut quarter, across * TILE / 4, down * TILE / 4);
            if left < i64::from(options.width) && top < i64::from(options.height) {
                let data = painted.as_ref().map_or_else(|| Ok(glass_data.clone()), |tile| self.coder.encode(tile))?;
                tiles.push((column * 4 + across, row * 4 + down, data));
            }
        }
        let quarter_data = self.coder.encode(&quarter)?;
        Ok(Square { column, row, tiles, quarter, quarter_data, nuclei: cells.owned })
    }
}

/// A level's size and where its tiles lie, row by row.
struct Level {
    width: u64,
    height: u64,
    columns: u32,
    rows: u32,
    places: Vec<Place>,
}

impl Level {
    fn new(options: &Options, downsample: u32) -> Self {
        let (width, height) = (options.width / downsample, options.height / downsample);
        let (columns, rows) = (width.div_ceil(TILE), height.div_ceil(TILE));
        let places = vec![Place::default(); columns as usize * rows as usize];
        Level { width: width.into(), height: height.into(), columns, rows, places }
    }

    fn add(&mut self, column: u32, row: u32, data: &[u8], writer: &mut Writer) -> io::Result<()> {
        if column < self.columns && row < self.rows {
            self.places[row as usize * self.columns as usize + column as usize] = writer.append(data)?;
        }
        Ok(())
    }
}

/// The file as it grows.
struct Pyramid {
    options: Options,
    writer: Writer,
    levels: [Level; 3],
    /// The row of level 2's tiles that is being filled.
    strip: Planes,
    thumbnail: Gather,
    nuclei: u64,
    stained: u64,
}

impl Pyramid {
    fn new(writer: Writer, options: &Options) -> Self {
        let levels = [1, 4, 16].map(|downsample| Level::new(options, downsample));
        let strip = Planes::new(options.width.div_ceil(4 * SQUARE) * TILE, TILE);
        let thumbnail = Gather::new((levels[1].width.max(1), levels[1].height.max(1)), THUMBNAIL);
        Pyramid { options: *options, writer, levels, strip, thumbnail, nuclei: 0, stained: 0 }
    }

    fn take(&mut self, square: &Square, coder: &Coder) -> io::Result<()> {
        let (column, row) = (square.column, square.row);
        for (column, row, data) in &square.tiles {
            self.levels[0].add(*column, *row, data, &mut self.writer)?;
        }
        self.levels[1].add(column, row, &square.quarter_data, &mut self.writer)?;
        let (x, y) = (u64::from(column * TILE), u64::from(row * TILE));
        self.thumbnail.add(&square.quarter, x, y);
        self.stained += self.count_stained(&square.quarter, x, y);
        self.nuclei += square.nuclei;

        square.quarter.quarter_onto(&mut self.strip, column * TILE / 4, row % 4 * TILE / 4);
        let last_column = column == self.options.width.div_ceil(SQUARE) - 1;
        let last_row = row == self.options.height.div_ceil(SQUARE) - 1;
        if last_column && (row % 4 == 3 || last_row) {
            for column in 0..self.levels[2].columns {
                let data = coder.encode(&self.strip.cut(column * TILE, 0, TILE))?;
                self.levels[2].add(column, row / 4, &data, &mut self.writer)?;
            }
        }
        Ok(())
    }

    /// Pixels of level 1 whose colour is further from grey than glass and the camera's noise make it.
    fn count_stained(&self, part: &Planes, x: u64, y: u64) -> u64 {
        const CHROMA: u8 = 12;
        let columns = u64::from(TILE).min(self.levels[1].width.saturating_sub(x)) as usize;
        let rows = u64::from(TILE).min(self.levels[1].height.saturating_sub(y)) as usize;
        let stained = |index: usize| {
            let pixel = part.channels.each_ref().map(|plane| plane[index]);
            let least = pixel[0].min(pixel[1]).min(pixel[2]);
            pixel[0].max(pixel[1]).max(pixel[2]) - least > CHROMA
        };
        let row = |row: usize| (0..columns).filter(|column| stained(row * TILE as usize + column)).count();
        (0..rows).map(row).sum::<usize>() as u64
    }

    fn finish(mut self, coder: &Coder) -> io::Result<Truth> {
        const LIBRARY: &str = "Aperio Image Library v12.0.0";
        let Options { width, height, seed } = self.options;
        let whole = format!("{LIBRARY} \r\n{width}x{height} [0,0 {width}x{height}] ({TILE}x{TILE})");
        let thumbnail = self.thumbnail.finish();
        let label = label::label(seed);
        let photograph = label::macro_image(&label, &thumbnail, seed);
        for (index, level) in self.levels.iter().enumerate() {
            let size = (level.width, level.height);
            if size.0 == 0 || size.1 == 0 {
                continue;
            }
            let description = if index == 0 {
                format!(
                    "{whole} JPEG/RGB Q={JPEG_QUALITY}|AppMag = 20|MPP = 0.4990|ScanScope ID = SYNTHETIC|Filename = \
                     synthetic-{seed}|Title = Synthetic H&E by Microtome|Synthetic Seed = {seed}|Synthetic Nuclei = {}",
                    self.nuclei
                )
            } else {
                format!("{whole} -> {}x{} JPEG/RGB Q={JPEG_QUALITY}", size.0, size.1)
            };
            self.writer.add_level(size, TILE, &level.places, coder, description);
            if index == 0 {
                let size = (thumbnail.width, thumbnail.height);
                let description = format!("{LIBRARY} \r\n{width}x{height} -> {}x{} - |AppMag = 20", size.0, size.1);
                self.writer.add_strips(&thumbnail, 0, coder, description)?;
            }
        }
        let description = |name: &str, of: &Planes| format!("{LIBRARY} \r\n{name} {}x{}", of.width, of.height);
        self.writer.add_lossless(&label, 1, description("label", &label))?;
        self.writer.add_strips(&photograph, 9, coder, description("macro", &photograph))?;
        let counted = (self.levels[1].width * self.levels[1].height).max(1);
        let tissue_fraction = self.stained as f64 / counted as f64;
        Ok(Truth { nuclei: self.nuclei, tissue_fraction, bytes: self.writer.finish()? })
    }
}
