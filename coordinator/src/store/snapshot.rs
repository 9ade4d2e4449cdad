//! Snapshots: plain files, whole or not there.
//!
//! A file is: 8 bytes of magic, the header's length (u32, lowest byte first), the header in JSON, the records in key
//! order (length of the key, length of the record, both u32, then both), and BLAKE3 of everything before, 32 bytes. The
//! hash stands at the end so that a snapshot is written in one go, whatever its size. It is checked when the file is
//! opened or has been received: no record of a file that fails is ever used.

use super::{StoreError, walk::Record};
use microtome_server::durable;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

const MAGIC: &[u8; 8] = b"mtsnap\r\n";
/// The form of header and records.
const VERSION: u32 = 1;
const HASH_LEN: u64 = 32;
/// Largest header, key or record, in bytes.
const PART_LEN_MAX: u32 = 64 << 20;
/// How many are kept: should the newest be damaged, the one before and the log behind it still tell everything.
const KEPT: usize = 2;
const BUFFER_LEN: usize = 256 << 10;
/// How the names of files begin that are still written.
const UNFINISHED: &str = ".new-";

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    version: u32,
    /// The index of the last log entry in it.
    pub(crate) index: u64,
    /// How many records it has.
    pub(crate) records: u64,
    /// Where it stands, as the state keeps it.
    pub(crate) stamp: String,
}

impl Header {
    pub(crate) fn new(index: u64, records: u64, stamp: String) -> Self {
        Self { version: VERSION, index, records, stamp }
    }
}

/// A snapshot whose hash was checked.
#[derive(Debug)]
pub(crate) struct Snapshot {
    header: Arc<Header>,
    file: Arc<File>,
    len: u64,
    /// Its file, while it is received and not yet in its place; removed where it never gets there.
    received: Option<tempfile::TempPath>,
}

impl Snapshot {
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The file's length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The file's bytes, from the first one.
    pub(crate) fn reader(&self) -> impl Read + Send + use<> {
        Positioned { file: Arc::clone(&self.file), at: 0, end: self.len }
    }

    /// Its records, in key order.
    pub(crate) fn records(&self) -> io::Result<impl Iterator<Item = io::Result<Record>> + use<>> {
        let mut reader = BufReader::with_capacity(BUFFER_LEN, self.reader());
        read_header(&mut reader)?;
        Ok((0..self.header.records).map(move |_| read_record(&mut reader)))
    }

    fn share(&self) -> Self {
        Self { header: Arc::clone(&self.header), file: Arc::clone(&self.file), len: self.len, received: None }
    }
}

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
            match check(File::open(&path).map_err(wrap)?) {
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
        mut next: impl FnMut() -> io::Result<Option<Vec<Record>>>,
    ) -> io::Result<Snapshot> {
        let mut out =
            Hashing { to: BufWriter::with_capacity(BUFFER_LEN, self.temporary()?), hasher: blake3::Hasher::new() };
        let json = serde_json::to_vec(header)?;
        out.put(MAGIC)?;
        out.put(&length(&json)?)?;
        out.put(&json)?;
        while let Some(records) = next()? {
            for (key, record) in records {
                out.put(&length(&key)?)?;
                out.put(&length(&record)?)?;
                out.put(&key)?;
                out.put(&record)?;
            }
        }
        let hash = out.hasher.finalize();
        out.to.write_all(hash.as_bytes())?;
        let (file, path) = out.to.into_inner().map_err(io::IntoInnerError::into_error)?.into_parts();
        file.sync_all()?;
        self.keep(Snapshot {
            header: Arc::new(header.clone()),
            len: file.metadata()?.len(),
            file: Arc::new(file),
            received: Some(path),
        })
    }

    /// A file to receive a snapshot into.
    pub(crate) fn receive(&self) -> io::Result<Receiving> {
        let (file, path) = self.temporary()?.into_parts();
        Ok(Receiving { file, path })
    }

    /// Puts a snapshot in its place, where it stays the newest until there is a newer one. Durable when this returns.
    /// What is in its place already stays as it is.
    pub(crate) fn keep(&self, snapshot: Snapshot) -> io::Result<Snapshot> {
        let is_here = snapshot.received.is_some() || self.is_newest(&snapshot);
        let mut snapshot = if is_here { snapshot } else { self.copy(&snapshot)? };
        if let Some(received) = snapshot.received.take() {
            let path = received.keep().map_err(|error| error.error)?;
            durable::rename(&path, &self.folder.join(format!("{:020}.{EXTENSION}", snapshot.header.index)))?;
            let mut newest = self.newest.lock();
            if newest.as_ref().is_none_or(|newest| newest.header.index <= snapshot.header.index) {
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
        if newest.as_ref().is_some_and(|snapshot| snapshot.header.index < index) {
            tracing::warn!(index, "the newest snapshot that is whole is older than the log");
            *newest = None;
        }
    }

    fn is_newest(&self, snapshot: &Snapshot) -> bool {
        self.newest.lock().as_ref().is_some_and(|newest| Arc::ptr_eq(&newest.file, &snapshot.file))
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
        Ok(Snapshot { received: Some(self.path), ..check(self.file)? })
    }
}

const EXTENSION: &str = "snapshot";

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

/// Reads the whole file once and compares its hash.
fn check(file: File) -> io::Result<Snapshot> {
    let len = file.metadata()?.len();
    let file = Arc::new(file);
    let hashed = len.checked_sub(HASH_LEN).ok_or_else(|| damaged("it is too short"))?;
    let mut reader = BufReader::with_capacity(BUFFER_LEN, Positioned { file: Arc::clone(&file), at: 0, end: hashed });
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut reader, &mut hasher)?;
    let mut wanted = [0; 32];
    file.read_exact_at(&mut wanted, hashed)?;
    if hasher.finalize() != wanted {
        return Err(damaged("its hash is wrong"));
    }
    let header = read_header(&mut Positioned { file: Arc::clone(&file), at: 0, end: hashed })?;
    Ok(Snapshot { header: Arc::new(header), file, len, received: None })
}

fn read_header(reader: &mut impl Read) -> io::Result<Header> {
    let mut magic = [0; MAGIC.len()];
    reader.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(damaged("it is no snapshot"));
    }
    let len = read_length(reader)?;
    let header: Header = serde_json::from_slice(&read_part(reader, len)?)?;
    if header.version != VERSION {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "another version of the program wrote it"));
    }
    Ok(header)
}

fn read_record(reader: &mut impl Read) -> io::Result<Record> {
    let (key_len, record_len) = (read_length(reader)?, read_length(reader)?);
    Ok((read_part(reader, key_len)?, read_part(reader, record_len)?))
}

fn read_length(reader: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    let len = u32::from_le_bytes(bytes);
    if len > PART_LEN_MAX { Err(damaged("a part is too long")) } else { Ok(len) }
}

fn read_part(reader: &mut impl Read, len: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn length(part: &[u8]) -> io::Result<[u8; 4]> {
    let len = u32::try_from(part.len()).ok().filter(|len| *len <= PART_LEN_MAX);
    Ok(len.ok_or_else(|| damaged("a part is too long"))?.to_le_bytes())
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Writes and hashes.
struct Hashing {
    to: BufWriter<tempfile::NamedTempFile>,
    hasher: blake3::Hasher,
}

impl Hashing {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.to.write_all(bytes)
    }
}

/// Reads a shared file at a position of its own.
struct Positioned {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        let read = self.file.read_at(&mut buffer[..len], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
