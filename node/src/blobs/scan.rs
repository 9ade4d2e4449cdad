//! What is found on disk at a start, and where to put what is not wanted.

use super::{FILE, MANIFEST, Manifest};
use crate::disk::{self, Layout};
use microtome_proto::{MaterialId, Timestamp};
use rustix::io::Errno;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// How often more what the disk cannot read is tried.
const READ_AGAIN: usize = 2;

/// The folders in `parent` that are named like a material. Anything else there is set aside.
pub(crate) fn entries(layout: &Layout, parent: &Path) -> io::Result<Vec<(MaterialId, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let id = entry.file_name().to_str().and_then(|name| name.parse::<MaterialId>().ok());
        match id {
            Some(id) if entry.file_type()?.is_dir() => found.push((id, entry.path())),
            _ => set_aside(layout, &entry.path(), "it is no material's folder")?,
        }
    }
    Ok(found)
}

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

/// Whether it says that something is not there, or that the disk cannot read it.
pub(crate) fn is_lost(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::IO.raw_os_error())
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

/// Moves what is not understood where an operator can look at it. The cluster makes a new copy meanwhile.
pub(crate) fn set_aside(layout: &Layout, path: &Path, reason: &str) -> io::Result<()> {
    let to = layout.set_aside().join(unique_name(path));
    tracing::warn!(path = %path.display(), to = %to.display(), reason, "set aside; look at it, then delete it");
    disk::rename(path, &to)
}

/// Moves a folder to the trash: when this returns it stays gone.
pub(crate) fn to_trash(layout: &Layout, path: &Path) -> io::Result<()> {
    disk::rename(path, &layout.trash().join(unique_name(path)))
}

/// Deletes what is in the trash. Blocks; big files take the file system a while.
pub(crate) fn empty_trash(layout: &Layout) {
    let emptied = fs::read_dir(layout.trash()).and_then(|entries| {
        for entry in entries {
            let entry = entry?;
            let removed = if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())
            } else {
                fs::remove_file(entry.path())
            };
            match removed {
                // Two may empty it at once.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    });
    if let Err(error) = emptied {
        tracing::warn!(folder = %layout.trash().display(), %error, "the trash cannot be emptied");
    }
}

/// A name that nothing else in the trash has, which still tells what it was.
fn unique_name(path: &Path) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (millis, counter) = (Timestamp::now().as_millis(), COUNTER.fetch_add(1, Ordering::Relaxed));
    format!("{name}.{millis}-{counter}")
}
