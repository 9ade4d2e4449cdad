//! A copy that reads while it writes, both past the page cache: what the disk can do for a clone that costs nothing else.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::{io, thread};

use anyhow::{Context as _, anyhow};
use rustix::fs::OFlags;

use super::PIECE;

/// While one of them reads another one writes.
const WORKERS: usize = 4;
/// What direct access wants of memory.
const ALIGNMENT: usize = 4096;

/// Copies `size` bytes, a multiple of [`PIECE`], and makes them durable.
///
/// # Errors
/// The disk's, also where its file system cannot be read and written past the cache.
pub(super) fn copy(from: &Path, to: &Path, size: u64) -> anyhow::Result<()> {
    let source = open(File::options().read(true), from).context("this disk cannot be read past the cache")?;
    let target = open(File::options().write(true).create(true).truncate(true), to)
        .context("this disk cannot be written past the cache")?;
    let pieces = size / PIECE as u64;
    thread::scope(|scope| {
        let (source, target) = (&source, &target);
        let workers: Vec<_> = (0..WORKERS as u64)
            .map(|worker| scope.spawn(move || work(source, target, (worker..pieces).step_by(WORKERS))))
            .collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow!("a copying thread ended"))??;
        }
        Ok(target.sync_all()?)
    })
}

fn open(options: &OpenOptions, path: &Path) -> io::Result<File> {
    options.clone().custom_flags(OFlags::DIRECT.bits().cast_signed()).open(path)
}

fn work(source: &File, target: &File, pieces: impl Iterator<Item = u64>) -> io::Result<()> {
    let mut memory = vec![0; PIECE + ALIGNMENT];
    let start = memory.as_ptr().align_offset(ALIGNMENT);
    let piece = &mut memory[start..start + PIECE];
    for offset in pieces.map(|index| index * PIECE as u64) {
        source.read_exact_at(piece, offset)?;
        target.write_all_at(piece, offset)?;
    }
    Ok(())
}
