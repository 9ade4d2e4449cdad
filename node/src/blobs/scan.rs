//! What is found of a copy at a start.

use super::{FILE, MANIFEST, Manifest};
use crate::disk::is_lost;
use microtome_proto::MaterialId;
use rustix::io::Errno;
use std::{fs, io, path::Path};

/// How often more what the disk cannot read is tried.
const READ_AGAIN: usize = 2;

/// The manifest in a copy's folder and how many of its bytes are there, or why it is no copy.
///
/// # Errors
/// What may pass, as too few open files do: nothing is said of the copy then.
pub(super) fn copy(id: &MaterialId, folder: &Path) -> io::Result<Result<(Manifest, u64), String>> {
    let bytes = match read_again(&folder.join(MANIFEST)) {
        Err(error) if is_lost(&error) => return Ok(Err(format!("its manifest cannot be read: {error}"))),
        bytes => bytes?,
    };
    let manifest = match Manifest::read(&bytes) {
        Ok(manifest) if manifest.material == *id => manifest,
        Ok(manifest) => return Ok(Err(format!("its manifest speaks of {}", manifest.material))),
        Err(reason) => return Ok(Err(format!("its manifest cannot be read: {reason}"))),
    };
    let len = match fs::metadata(folder.join(FILE)) {
        Err(error) if is_lost(&error) => 0,
        metadata => metadata?.len(),
    };
    Ok(Ok((manifest, len)))
}

/// What a disk cannot read at first it may read after all.
fn read_again(path: &Path) -> io::Result<Vec<u8>> {
    let mut read = fs::read(path);
    for _ in 0..READ_AGAIN {
        match &read {
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => read = fs::read(path),
            _ => break,
        }
    }
    read
}
