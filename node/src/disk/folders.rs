//! The folders of materials: which there are, and where to put what is not wanted.

use super::{Layout, rename};
use microtome_proto::{MaterialId, Timestamp};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

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

/// Moves what is not understood where an operator can look at it. The cluster makes a new copy meanwhile.
pub(crate) fn set_aside(layout: &Layout, path: &Path, reason: &str) -> io::Result<()> {
    let to = layout.set_aside().join(unique_name(path));
    tracing::warn!(path = %path.display(), to = %to.display(), reason, "set aside; look at it, then delete it");
    rename(path, &to)
}

/// Moves a folder to the trash: when this returns it stays gone.
pub(crate) fn to_trash(layout: &Layout, path: &Path) -> io::Result<()> {
    rename(path, &layout.trash().join(unique_name(path)))
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
