//! Writing long files so that nothing else waits for it.

use rustix::fs::{Advice, fadvise};
use std::{fs::File, io, num::NonZeroU64, os::unix::fs::FileExt as _};

/// Writes `bytes` at `offset` and has the system begin to carry them to the disk.
///
/// Left alone it would keep hundreds of megabytes back until a sync asks for all of them at once; whoever else writes to
/// the same file system, a raft log say, waits for them, too. Linux begins to write out dirty pages when it is told that
/// they are not needed, and drops only those that are written already (`generic_fadvise` in mm/fadvise.c).
///
/// # Errors
/// Where the bytes cannot be written.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)?;
    // Only a hint: without it the bytes are carried later.
    let _ = fadvise(file, offset, NonZeroU64::new(bytes.len() as u64), Advice::DontNeed);
    Ok(())
}
