//! The crash-safe write: beside, fsync, rename, fsync the folder.
//!
//! After a crash a reader finds the old file or the new one, never a part of one.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

/// Writes `bytes` to `path`: durable when this returns.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path)?;
    let mut beside = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder)?;
    beside.write_all(bytes)?;
    beside.as_file().sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Gives `temporary`, whose bytes are already synced, its final name: durable when this returns.
pub(crate) fn publish(temporary: tempfile::TempPath, path: &Path) -> io::Result<()> {
    temporary.persist(path).map_err(|error| error.error)?;
    sync_folder(folder_of(path)?)
}

/// Makes renames and removals in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes what interrupted writes have left in `folder`.
pub(crate) fn remove_temporary(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// How the names of unfinished files begin.
pub(crate) const TEMPORARY: &str = ".new-";

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file needs a folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_interrupted_write_left_is_removed_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        write_file(&folder.path().join("kept"), b"first").unwrap();
        write_file(&folder.path().join("kept"), b"second").unwrap();
        fs::write(folder.path().join(".new-abc"), b"half").unwrap();
        remove_temporary(folder.path()).unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["kept"]);
        assert_eq!(fs::read(folder.path().join("kept")).unwrap(), b"second");
    }
}
