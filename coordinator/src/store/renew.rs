//! What the system shows of a file, and what its disk has.

use redb::{DatabaseError, StorageError};
use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
};

/// Bytes that are written at once.
const PIECE_LEN: usize = 1 << 20;

/// Writes the bytes of a database's file anew, where they are. After a sync that failed, the system may go on to show what
/// the disk does not have, and not try it again: a process that is started then would build on it. When this returns, the
/// disk has what is shown.
pub(super) fn renew(path: &Path) -> Result<(), DatabaseError> {
    let failed = |error| DatabaseError::Storage(StorageError::Io(error));
    let file = match File::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    // As redb locks it.
    match file.try_lock() {
        Ok(()) => write_again(&file).map_err(failed),
        Err(TryLockError::WouldBlock) => Err(DatabaseError::DatabaseAlreadyOpen),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn write_again(file: &File) -> io::Result<()> {
    let mut bytes = vec![0; PIECE_LEN];
    let mut at = 0;
    loop {
        let len = file.read_at(&mut bytes, at)?;
        if len == 0 {
            return file.sync_all();
        }
        file.write_all_at(&bytes[..len], at)?;
        at += len as u64;
    }
}
