//! The one crash-safe write, and its kin for folders. All errors name the path; all functions block.

use std::{
    ffi::OsString,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// The system's own default, of which the process's mask takes away.
const MODE: u32 = 0o666;
/// Its owner reads and writes it, and nobody else.
const PRIVATE: u32 = 0o600;

/// Replaces the file at `path` by `bytes`: after a crash it holds the old bytes or the new ones, whole. When this
/// returns, the new ones are durable.
///
/// # Errors
/// Where any step fails; the old file is untouched then, unless only the folder's sync failed.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_as(path, bytes, MODE)
}

/// The same, for the owner's eyes only.
///
/// # Errors
/// As [`write`].
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_as(path, bytes, PRIVATE)
}

fn write_as(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = beside(path);
    let written = (|| {
        let mut file = File::options().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        if mode == PRIVATE {
            // A leftover that others may read stays so otherwise.
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(naming(path)(error));
    }
    sync_parent(path)
}

/// Removes a file durably. One that is not there is no error.
///
/// # Errors
/// Where it cannot be removed, or its folder not synced.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(naming(path)(error)),
        _ => {}
    }
    sync_parent(path)
}

/// Creates a folder durably. One that is there already is no error.
///
/// # Errors
/// Where it cannot be made or synced.
pub fn create_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(naming(path)(error)),
        _ => {}
    }
    sync_parent(path)
}

/// Renames a file or folder durably: both folders are synced.
///
/// # Errors
/// Where the rename or a sync fails.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to).map_err(naming(from))?;
    sync_parent(to)?;
    if from.parent() != to.parent() {
        sync_parent(from)?;
    }
    Ok(())
}

/// Makes a folder's entries durable.
///
/// # Errors
/// Where it cannot be opened or synced.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(naming(path))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_folder)
}

/// Where a file is prepared. A leftover of a crash is overwritten by the next write, and read by nobody.
fn beside(path: &Path) -> PathBuf {
    let mut name: OsString = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn naming(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_private_others_cannot_read_also_where_a_leftover_could_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(beside(&path), b"half").unwrap();
        write_private(&path, b"whole").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_error_names_the_path_and_keeps_its_kind() {
        let dir = tempfile::tempdir().unwrap();
        let error = write(&dir.path().join("nowhere/state.json"), b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("nowhere/state.json"), "{error}");
    }
}
