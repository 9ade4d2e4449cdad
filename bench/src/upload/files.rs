//! The file that is sent and copied, and what is done to it without a server.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use anyhow::Context as _;
use rand::{RngCore as _, SeedableRng as _, rngs::StdRng};

use super::PIECE;

/// Writes a file of noise.
pub(super) fn write_random(path: &Path, size: u64) -> anyhow::Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let (mut chance, mut buffer) = (StdRng::seed_from_u64(1), vec![0; PIECE]);
    for _ in 0..size / PIECE as u64 {
        chance.fill_bytes(&mut buffer);
        file.write_all(&buffer)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Makes the file another one.
pub(super) fn stamp(path: &Path, round: u32) -> anyhow::Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("round {round:10}").as_bytes())?;
    file.sync_all()?;
    Ok(())
}

/// As `dd bs=1M conv=fsync` copies: copying within the kernel would let some file systems share the blocks.
pub(super) fn through_cache(from: &Path, to: &Path) -> anyhow::Result<()> {
    let (mut source, mut target) = (File::open(from)?, File::create(to)?);
    let mut buffer = vec![0; PIECE];
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(target.sync_all()?);
        }
        target.write_all(&buffer[..count])?;
    }
}

/// Has the system forget what it has of a file in memory.
pub(super) fn forget(file: &Path) -> anyhow::Result<()> {
    Ok(rustix::fs::fadvise(File::open(file)?, 0, None, rustix::fs::Advice::DontNeed)?)
}
