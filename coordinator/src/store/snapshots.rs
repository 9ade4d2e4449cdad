//! The folder of snapshots: the newest one, and the one before.

use super::{
    StoreError,
    snapshot::{Header, Snapshot, VERSION},
    walk::Record,
};
use microtome_server::durable;
use parking_lot::Mutex;
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// How many are kept: should the newest be damaged, the one before and the log behind it still tell everything.
const KEPT: usize = 2;
const EXTENSION: &str = "snapshot";
/// How the names of files begin that are still written.
const UNFINISHED: &str = ".new-";

/// The folder of snapshots.
#[derive(Debug)]
pub(crate) struct Snapshots {
    folder: PathBuf,
    newest: Mutex<Option<Snapshot>>,
}

impl Snapshots {
    /// Opens the folder and checks the newest snapshot; a damaged one is set aside for the one before.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let wrap = |error| StoreError::io(folder, error);
        durable::create_folder(folder).map_err(wrap)?;
        // A rename that a former life did not live to sync is shown, and the disk may not have it: the log behind a snapshot
        // goes only when that is there.
        durable::sync_folder(folder).map_err(wrap)?;
        remove_unfinished(folder).map_err(wrap)?;
        let mut newest = None;
        for path in files(folder).map_err(wrap)? {
            match Snapshot::check(File::open(&path).map_err(wrap)?) {
                Ok(snapshot) => {
                    newest = Some(snapshot);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    return Err(StoreError::Newer { path, found: VERSION + 1 });
                }
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "a snapshot is damaged; trying the one before");
                    fs::rename(&path, path.with_extension("damaged")).map_err(wrap)?;
                }
            }
        }
        Ok(Self { folder: folder.to_owned(), newest: Mutex::new(newest) })
    }

    /// The newest snapshot.
    pub(crate) fn newest(&self) -> Option<Snapshot> {
        self.newest.lock().as_ref().map(Snapshot::share)
    }

    /// Writes a snapshot: `next` brings its records. Durable when this returns.
    pub(crate) fn write(
        &self,
        header: &Header,
        next: impl FnMut() -> io::Result<Option<Vec<Record>>>,
    ) -> io::Result<Snapshot> {
        self.keep(Snapshot::write(self.temporary()?, header, next)?)
    }

    /// A file to receive a snapshot into.
    pub(crate) fn receive(&self) -> io::Result<Receiving> {
        let (file, path) = self.temporary()?.into_parts();
        Ok(Receiving { file, path })
    }

    /// Puts a snapshot in its place, where it stays the newest until there is a newer one. Durable when this returns.
    /// What is in its place already stays as it is.
    pub(crate) fn keep(&self, snapshot: Snapshot) -> io::Result<Snapshot> {
        let is_here =
            snapshot.received.is_some() || self.newest.lock().as_ref().is_some_and(|newest| newest.is(&snapshot));
        let mut snapshot = if is_here { snapshot } else { self.copy(&snapshot)? };
        if let Some(received) = snapshot.received.take() {
            let path = received.keep().map_err(|error| error.error)?;
            durable::rename(&path, &self.folder.join(format!("{:020}.{EXTENSION}", snapshot.header().index)))?;
            let mut newest = self.newest.lock();
            if newest.as_ref().is_none_or(|newest| newest.header().index <= snapshot.header().index) {
                *newest = Some(snapshot.share());
            }
            drop(newest);
            for path in files(&self.folder)?.into_iter().skip(KEPT) {
                fs::remove_file(path)?;
            }
        }
        Ok(snapshot)
    }

    /// Forgets snapshots that end before `index`: the log behind them is gone, so they lead nowhere.
    pub(crate) fn forget_before(&self, index: u64) {
        let mut newest = self.newest.lock();
        if newest.as_ref().is_some_and(|snapshot| snapshot.header().index < index) {
            tracing::warn!(index, "the newest snapshot that is whole is older than the log");
            *newest = None;
        }
    }

    /// A snapshot of another folder, brought into this one.
    fn copy(&self, snapshot: &Snapshot) -> io::Result<Snapshot> {
        let mut receiving = self.receive()?;
        io::copy(&mut snapshot.reader(), &mut receiving.file)?;
        receiving.finish()
    }

    fn temporary(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.folder)
    }
}

/// A snapshot that arrives.
#[derive(Debug)]
pub(crate) struct Receiving {
    file: File,
    path: tempfile::TempPath,
}

impl Receiving {
    /// Appends bytes.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// All bytes have come: makes them durable and checks them.
    pub(crate) fn finish(self) -> io::Result<Snapshot> {
        self.file.sync_all()?;
        let mut snapshot = Snapshot::check(self.file)?;
        snapshot.received = Some(self.path);
        Ok(snapshot)
    }
}

/// Removes what interrupted writes have left.
fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The snapshots in `folder`, the newest first.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            paths.push(path);
        }
    }
    paths.sort_by(|a, b| b.cmp(a));
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read as _, os::unix::fs::FileExt as _};

    fn write(snapshots: &Snapshots, index: u64, records: u64) -> Snapshot {
        let mut left = Some((0..records).map(|n| (n.to_be_bytes().to_vec(), vec![7; 100])).collect());
        snapshots.write(&Header::new(index, records, format!("at {index}")), || Ok(left.take())).unwrap()
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written_and_two_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(folder.path()).unwrap();
        assert!(snapshots.newest().is_none());
        for index in [9, 10, 11] {
            write(&snapshots, index, index);
        }
        fs::write(folder.path().join(".new-half"), b"half").unwrap();
        let snapshots = Snapshots::open(folder.path()).unwrap();
        let newest = snapshots.newest().unwrap();
        assert_eq!((newest.header().index, newest.header().stamp.as_str()), (11, "at 11"));
        let records: Vec<_> = newest.records().unwrap().map(Result::unwrap).collect();
        assert_eq!((records.len(), &records[10]), (11, &(10u64.to_be_bytes().to_vec(), vec![7; 100])));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_damaged_snapshot_gives_way_to_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::open(folder.path()).unwrap();
        write(&snapshots, 1, 50);
        let len = write(&snapshots, 2, 50).len();
        let path = folder.path().join(format!("{:020}.snapshot", 2));
        File::options().write(true).open(&path).unwrap().write_all_at(b"x", len / 2).unwrap();
        assert_eq!(Snapshots::open(folder.path()).unwrap().newest().unwrap().header().index, 1);
        let path = folder.path().join(format!("{:020}.snapshot", 1));
        File::options().write(true).open(&path).unwrap().set_len(len / 2).unwrap();
        assert!(Snapshots::open(folder.path()).unwrap().newest().is_none());
    }

    #[test]
    fn what_is_received_is_checked_and_stays_only_where_it_is_kept() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sent = write(&Snapshots::open(from.path()).unwrap(), 5, 1000);
        let mut bytes = Vec::new();
        sent.reader().read_to_end(&mut bytes).unwrap();
        let snapshots = Snapshots::open(to.path()).unwrap();
        let receive = |bytes: &[u8]| {
            let mut receiving = snapshots.receive().unwrap();
            bytes.chunks(1000).for_each(|chunk| receiving.put(chunk).unwrap());
            receiving.finish()
        };
        assert!(receive(&bytes[..bytes.len() - 1]).is_err());
        drop(receive(&bytes).unwrap());
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
        snapshots.keep(receive(&bytes).unwrap()).unwrap();
        assert_eq!(Snapshots::open(to.path()).unwrap().newest().unwrap().header().records, 1000);
    }
}
