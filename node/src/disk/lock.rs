//! One node per data folder.

use rustix::fs::{FlockOperation, flock};
use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

/// Held while the node runs; the system gives it up when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock at `path`, or answers `None` where another process holds it.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // For people who look into the folder; nothing reads it.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Some(Self { _file: file }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_used_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let first = FolderLock::take(&path).unwrap();
        assert!(first.is_some());
        assert!(FolderLock::take(&path).unwrap().is_none());
        drop(first);
        assert!(FolderLock::take(&path).unwrap().is_some());
    }
}
