//! Whether what sled brings back can be trusted.
//!
//! Its flush is no fsync, so after a power cut it may hold any older state, a mixture, or nothing. An opening walks all
//! records, and compares them with the ledger that came with the last batch.

use super::{
    StoreError,
    ledger::{self, Ledger},
};
use std::{
    fs, io,
    ops::Bound::{Excluded, Unbounded},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The one key that is not a record of the core's: no table has the tag 0.
pub(super) const ABOUT: &[u8] = b"\0about";
/// The form of what stands there.
const VERSION: u8 = 1;
/// sled's page cache, in bytes.
const CACHE_LEN: u64 = 128 << 20;
/// What has just ended may hold the files a little longer. Another process never does: the folder's lock is taken first.
const OPEN_WITHIN: Duration = Duration::from_secs(60);

/// A state that is what its ledger says.
pub(super) struct Found {
    pub(super) db: sled::Db,
    pub(super) ledger: Ledger,
    /// Where it stands; empty where nothing is in it.
    pub(super) stamp: Vec<u8>,
}

/// What stands at [`ABOUT`].
pub(super) fn about(ledger: &Ledger, stamp: &[u8]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&ledger.to_bytes());
    bytes.extend_from_slice(stamp);
    bytes
}

/// Opens sled and compares its records with its ledger: what it holds, or why it cannot be trusted.
pub(super) fn examine(path: &Path) -> Result<Result<Found, String>, StoreError> {
    let path = path.to_owned();
    // sled may panic on damaged files: in a thread of its own that is one more way of telling so.
    let examined = thread::spawn(move || {
        let db = match open(&path) {
            Ok(db) => db,
            Err(sled::Error::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(StoreError::io(&path, error));
            }
            Err(error) => return Ok(Err(error.to_string())),
        };
        Ok(compare(&db).map(|(ledger, stamp)| Found { db, ledger, stamp }))
    });
    examined.join().unwrap_or_else(|_| Ok(Err("it cannot be opened".to_owned())))
}

/// The ledger that fits the records, and the stamp.
fn compare(db: &sled::Db) -> Result<(Ledger, Vec<u8>), String> {
    let mut found = Ledger::default();
    for entry in db.range::<&[u8], _>((Excluded(ABOUT), Unbounded)) {
        let (key, record) = entry.map_err(|error| error.to_string())?;
        found.add(&key, &record);
    }
    let Some(about) = db.get(ABOUT).map_err(|error| error.to_string())? else {
        return if found == Ledger::default() {
            Ok((found, Vec::new()))
        } else {
            Err("its ledger is missing".to_owned())
        };
    };
    let (version, rest) = about.split_first().ok_or("its ledger is empty")?;
    let (ledger, stamp) = rest.split_first_chunk::<{ ledger::LEN }>().ok_or("its ledger is cut off")?;
    if *version != VERSION {
        return Err(format!("its format is {version}"));
    }
    let ledger = Ledger::from_bytes(ledger);
    if ledger != found {
        return Err(format!(
            "it holds {} records that are not the {} it should hold",
            found.records(),
            ledger.records()
        ));
    }
    Ok((ledger, stamp.to_vec()))
}

fn open(path: &Path) -> sled::Result<sled::Db> {
    let begin = Instant::now();
    loop {
        let opened = sled::Config::new().path(path).cache_capacity(CACHE_LEN).open();
        match opened {
            Err(sled::Error::Io(error)) if is_busy(&error) && begin.elapsed() < OPEN_WITHIN => {
                thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// sled tells of a lock that is held as `Other`, with `WouldBlock` in its text.
fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.to_string().contains("WouldBlock")
}

/// Begins anew with nothing.
pub(super) fn empty(path: &Path) -> Result<sled::Db, StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io(path, error)),
        _ => {}
    }
    let db = open(path).map_err(|error| StoreError::io(path, io_error(error)))?;
    match fs::remove_file(distrust_marker(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, error)),
        _ => Ok(db),
    }
}

/// The file that says that the state at `path` could not be read while it was used.
pub(super) fn distrust_marker(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

pub(super) fn io_error(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}
