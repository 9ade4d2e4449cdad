//! `slide`: the slide reader alone, on files of this machine.

use super::WrongUsage;
use crate::terminal::{Terminal, output_failed};
use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Cell;
use microtome_slide::{FileSource, ReadAt, Rgb, Slide, encode};
use serde_json::json;
use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Quality of JPEGs that are made here.
const QUALITY: u8 = 90;

/// Reads slides.
#[derive(Debug, Subcommand)]
pub(crate) enum SlideCommand {
    /// Vendor, levels, tiles, associated images
    Info(Info),
    /// One tile: the file's own bytes where they are JPEG, or a PNG of its pixels
    Tile(Tile),
    /// A region, as OpenSlide's read_region cuts it
    Region(Region),
}

/// Tells what a slide is.
#[derive(Debug, Args)]
pub(crate) struct Info {
    /// The slide
    file: PathBuf,
}

/// Cuts out a tile.
#[derive(Debug, Args)]
pub(crate) struct Tile {
    /// The slide
    file: PathBuf,
    /// The level, 0 is the largest
    level: usize,
    /// The tile's column
    column: u32,
    /// The tile's row
    row: u32,
    /// Where to write it, '-' for standard output; what ends in .png is decoded
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Cuts out a region.
#[derive(Debug, Args)]
pub(crate) struct Region {
    /// The slide
    file: PathBuf,
    /// Left edge in pixels of level 0
    #[arg(allow_negative_numbers = true)]
    x: i64,
    /// Upper edge in pixels of level 0
    #[arg(allow_negative_numbers = true)]
    y: i64,
    /// The level, 0 is the largest
    level: usize,
    /// Width in pixels of the level
    width: u32,
    /// Height in pixels of the level
    height: u32,
    /// The output's format, told from its name otherwise
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where to write it, '-' for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Png,
    Jpg,
    /// 8-bit RGB, row after row
    Raw,
}

/// Runs one of them.
pub(crate) fn run(terminal: Terminal, command: SlideCommand) -> anyhow::Result<()> {
    match command {
        SlideCommand::Info(options) => info(terminal, &options),
        SlideCommand::Tile(options) => tile(terminal, &options),
        SlideCommand::Region(options) => region(terminal, &options),
    }
}

fn open(path: &Path) -> anyhow::Result<(Slide, Arc<dyn ReadAt>)> {
    let named = || path.display().to_string();
    let source: Arc<dyn ReadAt> = Arc::new(FileSource::open(path).with_context(named)?);
    Ok((Slide::open(Arc::clone(&source)).with_context(named)?, source))
}

fn info(terminal: Terminal, options: &Info) -> anyhow::Result<()> {
    let (slide, _) = open(&options.file)?;
    let first = slide.levels().first().context("the slide has no level")?;
    if terminal.json {
        let level = |level: &microtome_slide::Level| {
            json!({
                "width": level.width, "height": level.height, "downsample": level.downsample,
                "tile_width": level.tile_width, "tile_height": level.tile_height,
                "columns": level.columns, "rows": level.rows,
                "compression": level.compression.to_string(), "native": level.native,
            })
        };
        let image = |image: &microtome_slide::Associated| json!({ "name": image.name, "width": image.width, "height": image.height });
        return terminal.document(&json!({
            "vendor": slide.vendor(), "width": first.width, "height": first.height,
            "mpp_x": slide.mpp().map(|mpp| mpp.0), "mpp_y": slide.mpp().map(|mpp| mpp.1),
            "objective_power": slide.objective_power(),
            "levels": slide.levels().iter().map(level).collect::<Vec<_>>(),
            "associated": slide.associated().iter().map(image).collect::<Vec<_>>(),
            "properties": slide.properties(),
        }));
    }
    let mut pairs = vec![("vendor", slide.vendor().to_owned())];
    pairs.push(("size", format!("{} × {} pixels", first.width, first.height)));
    pairs.extend(slide.mpp().map(|(x, y)| ("resolution", format!("{x} × {y} µm per pixel"))));
    pairs.extend(slide.objective_power().map(|power| ("objective", format!("{power} ×"))));
    for image in slide.associated() {
        pairs.push(("associated", format!("{}, {} × {}", image.name, image.width, image.height)));
    }
    terminal.pairs(&pairs)?;
    terminal.line("")?;
    let row = |(index, level): (usize, &microtome_slide::Level)| {
        vec![
            Cell::new(index),
            Cell::new(format!("{} × {}", level.width, level.height)),
            Cell::new(format!("{:.2}", level.downsample)),
            Cell::new(format!("{} × {}", level.tile_width, level.tile_height)),
            Cell::new(format!("{} × {}", level.columns, level.rows)),
            Cell::new(level.compression),
            Cell::new(if level.native { "native" } else { "rendered" }),
        ]
    };
    let rows = slide.levels().iter().enumerate().map(row).collect();
    terminal.table(&["LEVEL", "PIXELS", "DOWNSAMPLE", "TILE", "TILES", "COMPRESSION", "ROAD"], rows, &[0, 1, 2, 3, 4])
}

fn tile(terminal: Terminal, options: &Tile) -> anyhow::Result<()> {
    let (slide, source) = open(&options.file)?;
    let decoded = extension(&options.output) == "png";
    let mut bytes = Vec::new();
    let native = !decoded && slide.native_tile(&*source, options.level, options.column, options.row, &mut bytes)?;
    if !native {
        let pixels = slide.tile(options.level, options.column, options.row)?;
        bytes = if decoded { encode::png(&pixels)? } else { encode::jpeg(&pixels, QUALITY)? };
    }
    write(&options.output, &bytes)?;
    told(terminal, &options.output, &json!({ "path": options.output, "bytes": bytes.len(), "native": native }))
}

fn region(terminal: Terminal, options: &Region) -> anyhow::Result<()> {
    let format = match (options.format, extension(&options.output).as_str()) {
        (Some(format), _) => format,
        (None, "png") => Format::Png,
        (None, "jpg" | "jpeg") => Format::Jpg,
        (None, "raw" | "rgb") => Format::Raw,
        (None, _) => return Err(WrongUsage("which format? Say it with --format png, jpg or raw").into()),
    };
    let (slide, _) = open(&options.file)?;
    let pixels: Rgb = slide.region(options.x, options.y, options.level, options.width, options.height)?;
    let bytes = match format {
        Format::Png => encode::png(&pixels)?,
        Format::Jpg => encode::jpeg(&pixels, QUALITY)?,
        Format::Raw => pixels.data,
    };
    write(&options.output, &bytes)?;
    told(terminal, &options.output, &json!({ "path": options.output, "bytes": bytes.len() }))
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if is_stdout(path) {
        let mut out = io::stdout().lock();
        return out.write_all(bytes).and_then(|()| out.flush()).map_err(output_failed);
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// What was written, unless the result itself went there.
fn told(terminal: Terminal, path: &Path, result: &serde_json::Value) -> anyhow::Result<()> {
    match (terminal.json, is_stdout(path)) {
        (_, true) => Ok(()),
        (true, false) => terminal.document(result),
        (false, false) => terminal.line(&path.display().to_string()),
    }
}
