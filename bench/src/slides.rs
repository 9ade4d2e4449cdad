//! The slides that are asked about, and where the file itself has its tiles.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use microtome_slide::synthetic::{self, Options};
use microtome_slide::{FileSource, Slide};

use crate::report::note;

/// Most tiles that a file may say it has.
const TILES_MAX: u64 = 16 << 20;

/// Which slide a road goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    /// An Aperio slide with JPEG tiles and levels far apart.
    Aperio,
    /// A TIFF with JPEG tiles and levels that halve, as iipsrv wants it.
    Pyramid,
    /// An Aperio slide with JPEG 2000 tiles.
    Jpeg2000,
}

impl Which {
    /// The slide's name in the addresses of peers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Which::Aperio => "aperio",
            Which::Pyramid => "pyramid",
            Which::Jpeg2000 => "jpeg2000",
        }
    }
}

/// Where the slides are.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// An Aperio slide with JPEG tiles [default: a synthetic one of 24000×18000, drawn first]
    #[arg(long, value_name = "FILE")]
    slide: Option<PathBuf>,
    /// A TIFF with 256-pixel JPEG tiles in YCbCr and levels that halve, for the roads beside iipsrv
    #[arg(long, value_name = "FILE")]
    pyramid: Option<PathBuf>,
    /// An Aperio slide with JPEG 2000 tiles
    #[arg(long, value_name = "FILE")]
    jp2k: Option<PathBuf>,
}

/// A slide that is asked about.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) which: Which,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) slide: Slide,
}

impl Asked {
    pub(crate) fn open(which: Which, path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot open {}", path.display());
        // Servers that are given it work in other folders.
        let path = path.canonicalize().with_context(cannot)?;
        let source = FileSource::open(&path).with_context(cannot)?;
        let bytes = path.metadata()?.len();
        Ok(Asked { which, slide: Slide::open(Arc::new(source)).with_context(cannot)?, path, bytes })
    }

    /// In a few words.
    pub(crate) fn describe(&self) -> String {
        let Some(top) = self.slide.levels().first() else { return String::new() };
        let downsamples: Vec<_> = self.slide.levels().iter().map(|level| format!("{:.0}", level.downsample)).collect();
        format!(
            "{}, {}×{}, levels {}, tiles {}×{} {}, {:.2} GB",
            self.slide.vendor(),
            top.width,
            top.height,
            downsamples.join("/"),
            top.tile_width,
            top.tile_height,
            top.compression,
            self.bytes as f64 / 1e9
        )
    }
}

impl Files {
    /// Of the Aperio slide alone.
    pub(crate) fn only(slide: Option<PathBuf>) -> Self {
        Files { slide, pyramid: None, jp2k: None }
    }

    /// The Aperio slide; drawn in `folder` where none is given.
    pub(crate) fn aperio(&self, folder: &Path) -> anyhow::Result<Asked> {
        let path = match &self.slide {
            Some(slide) => slide.clone(),
            None => {
                note("drawing a slide");
                let path = folder.join("synthetic.svs");
                let options = Options { width: 24_000, height: 18_000, seed: 1 };
                synthetic::write(&path, &options, &mut |_| {}).context("cannot draw a slide")?;
                path
            }
        };
        Asked::open(Which::Aperio, &path)
    }

    /// All that there are; says what is missing, and what cannot be opened.
    pub(crate) fn all(&self, folder: &Path) -> anyhow::Result<Vec<Asked>> {
        let mut all = vec![self.aperio(folder)?];
        for (which, path, how) in [
            (Which::Pyramid, &self.pyramid, "--pyramid FILE, see bench/README.md for how to make one"),
            (Which::Jpeg2000, &self.jp2k, "--jp2k FILE"),
        ] {
            match path.as_ref().map(|path| Asked::open(which, path)) {
                Some(Ok(slide)) => all.push(slide),
                Some(Err(error)) => note(&format!("left out: {error:#}")),
                None => note(&format!("no {} slide: its roads are left out ({how})", which.name())),
            }
        }
        Ok(all)
    }
}

/// Offset and length of each tile of a TIFF's first image, row by row.
///
/// TIFF 6.0 and BigTIFF; the tags 324 (TileOffsets) and 325 (TileByteCounts).
pub(crate) fn tile_ranges(path: &Path) -> anyhow::Result<Vec<std::ops::Range<u64>>> {
    let tiff = Tiff::open(path).with_context(|| format!("cannot read the tiles' places in {}", path.display()))?;
    let (offsets, lengths) = (tiff.numbers(324)?, tiff.numbers(325)?);
    ensure!(offsets.len() == lengths.len() && !offsets.is_empty(), "the file tells no place of its tiles");
    Ok(offsets.into_iter().zip(lengths).map(|(offset, length)| offset..offset.saturating_add(length)).collect())
}

struct Tiff {
    file: File,
    big_endian: bool,
    /// Eight bytes for offsets and counts, as BigTIFF has them.
    big: bool,
    /// The entries of the first directory, with the place of each.
    entries: Vec<(u16, u64)>,
}

impl Tiff {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path)?;
        let mut start = [0; 4];
        file.read_exact_at(&mut start, 0)?;
        let mut tiff = Tiff { file, big_endian: &start[..2] == b"MM", big: false, entries: Vec::new() };
        tiff.big = match tiff.number(2, 2)? {
            42 => false,
            43 => true,
            version => bail!("a TIFF of version {version}"),
        };
        let (first, count_len) = if tiff.big { (tiff.number(8, 8)?, 8) } else { (tiff.number(4, 4)?, 2) };
        for index in 0..tiff.number(first, count_len)?.min(4096) {
            let entry = first + count_len + index * tiff.entry_len();
            tiff.entries.push((tiff.number(entry, 2)? as u16, entry));
        }
        Ok(tiff)
    }

    fn entry_len(&self) -> u64 {
        if self.big { 20 } else { 12 }
    }

    /// The number in `len` bytes, at most eight.
    fn number(&self, offset: u64, len: u64) -> anyhow::Result<u64> {
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..len as usize];
        self.file.read_exact_at(bytes, offset)?;
        Ok(self.value(bytes))
    }

    fn value(&self, bytes: &[u8]) -> u64 {
        let add = |sum, byte: &u8| sum << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }

    /// All numbers of a field.
    fn numbers(&self, tag: u16) -> anyhow::Result<Vec<u64>> {
        let found = self.entries.iter().find(|(found, _)| *found == tag);
        let &(_, entry) = found.with_context(|| format!("no tag {tag}"))?;
        let len: u64 = match self.number(entry + 2, 2)? {
            3 => 2,
            4 => 4,
            16 => 8,
            kind => bail!("the tag {tag} has the type {kind}"),
        };
        let room = if self.big { 8 } else { 4 };
        let count = self.number(entry + 4, room)?;
        ensure!(count <= TILES_MAX, "the tag {tag} has {count} values");
        let place = entry + 4 + room;
        let place = if count * len <= room { place } else { self.number(place, room)? };
        let mut bytes = vec![0; (count * len) as usize];
        self.file.read_exact_at(&mut bytes, place)?;
        Ok(bytes.chunks_exact(len as usize).map(|bytes| self.value(bytes)).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_tile_are_found_where_the_reader_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slide.svs");
        synthetic::write(&path, &Options { width: 1000, height: 700, seed: 3 }, &mut |_| {}).unwrap();
        let asked = Asked::open(Which::Aperio, &path).unwrap();
        let top = &asked.slide.levels()[0];
        let ranges = tile_ranges(&path).unwrap();
        assert_eq!(ranges.len() as u64, u64::from(top.columns) * u64::from(top.rows));
        let file = std::fs::read(&path).unwrap();
        for (index, range) in ranges.iter().enumerate() {
            let mut native = Vec::new();
            let (column, row) = (index as u32 % top.columns, index as u32 / top.columns);
            let source = FileSource::open(&path).unwrap();
            assert!(asked.slide.native_tile(&source, 0, column, row, &mut native).unwrap());
            // The tile without its SOI stands behind the tables.
            let tile = &file[range.start as usize + 2..range.end as usize];
            assert!(native.ends_with(tile), "{column}, {row}");
        }
    }
}
