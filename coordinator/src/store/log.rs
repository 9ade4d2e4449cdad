//! Vote and log: what must not be lost. Durable since the answer to each write, by redb's commit (fsync).
//!
//! One thread writes. It takes everything that waits in the queue into one transaction and tells all of them, in order,
//! when that is on disk: the more load, the larger the batches. The log knows indexes and bytes; what they mean is
//! known above.

use super::{
    StoreError,
    renew::renew,
    tail::{Bytes, Tail},
};
use parking_lot::Mutex;
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError};
use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");

/// The form of the tables.
const VERSION: u32 = 1;
/// Writes that may wait at once; more wait with their callers.
const QUEUE_LEN_MAX: usize = 1024;
/// redb's own page cache, in bytes.
const CACHE_LEN: usize = 32 << 20;
/// What has just ended may hold the file a little longer. Another process never does: the folder's lock is taken first.
const OPEN_WITHIN: Duration = Duration::from_secs(60);

/// Called once a write is durable, or has failed.
pub(crate) type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Small facts beside the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The vote.
    Vote,
    /// The last purged entry.
    Purged,
    /// The last entry known to be committed. Written with the next write: it only spares work after a start.
    Committed,
}

impl Fact {
    fn key(self) -> &'static str {
        match self {
            Self::Vote => "vote",
            Self::Purged => "purged",
            Self::Committed => "committed",
        }
    }
}

enum Write {
    Append { entries: Vec<(u64, Bytes)>, done: Done },
    Vote { value: Vec<u8>, done: Done },
    Truncate { from: u64, done: Done },
    Purge { upto: u64, mark: Vec<u8>, done: Done },
}

/// The log. Clones share it; it closes when the last one is dropped.
#[derive(Clone)]
pub(crate) struct Log {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Write>,
}

struct Shared {
    path: PathBuf,
    db: Database,
    tail: Mutex<Tail>,
    committed: Mutex<Option<Vec<u8>>>,
    fault: Mutex<Option<StoreError>>,
}

impl Log {
    /// Opens the log at `path`, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = open(path)?;
        let (start, end) = prepare(&db, path)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            db,
            tail: Mutex::new(Tail::new(start, end)),
            committed: Mutex::default(),
            fault: Mutex::default(),
        });
        let (queue, writes) = mpsc::channel(QUEUE_LEN_MAX);
        let writer = Arc::clone(&shared);
        let spawned = thread::Builder::new().name("log-writer".to_owned()).spawn(move || write_all(&writer, writes));
        spawned.map_err(|error| StoreError::io(path, error))?;
        Ok(Self { shared, queue })
    }

    /// A fact as it stood at the last durable write.
    pub(crate) fn fact(&self, fact: Fact) -> io::Result<Option<Vec<u8>>> {
        let read = self.shared.db.begin_read().map_err(failed)?;
        let facts = read.open_table(FACTS).map_err(failed)?;
        let value = facts.get(fact.key()).map_err(failed)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    /// The first index that may be in the log, and the index behind its last entry.
    pub(crate) fn bounds(&self) -> Range<u64> {
        let tail = self.shared.tail.lock();
        tail.start()..tail.end()
    }

    /// The entries of `range` that are in the log: all, or as many from the first one on as fit into `len_max` bytes,
    /// at least one.
    pub(crate) fn read(&self, range: Range<u64>, len_max: usize) -> io::Result<Vec<(u64, Bytes)>> {
        // Memory first: an entry leaves it only after it has come to disk.
        let (from_disk, here) = self.shared.tail.lock().split(range);
        let mut entries: Vec<(u64, Bytes)> = Vec::new();
        let mut len = 0;
        if !from_disk.is_empty() {
            let read = self.shared.db.begin_read().map_err(failed)?;
            let table = read.open_table(ENTRIES).map_err(failed)?;
            for entry in table.range(from_disk).map_err(failed)? {
                let (index, bytes) = entry.map_err(failed)?;
                len += bytes.value().len();
                if len > len_max && !entries.is_empty() {
                    return consecutive(entries);
                }
                entries.push((index.value(), bytes.value().into()));
            }
        }
        for (index, bytes) in here {
            len += bytes.len();
            if len > len_max && !entries.is_empty() {
                break;
            }
            entries.push((index, bytes));
        }
        consecutive(entries)
    }

    /// Appends entries: readable when this returns, durable when `done` is called.
    pub(crate) async fn append(&self, entries: Vec<(u64, Bytes)>, done: Done) -> io::Result<()> {
        {
            let mut tail = self.shared.tail.lock();
            for (index, bytes) in &entries {
                tail.push(*index, Arc::clone(bytes));
            }
        }
        self.write(Write::Append { entries, done }).await
    }

    /// Keeps the vote: durable when this returns.
    pub(crate) async fn save_vote(&self, value: Vec<u8>) -> io::Result<()> {
        self.durably(|done| Write::Vote { value, done }).await
    }

    /// Keeps what is committed, with the next write.
    pub(crate) fn note_committed(&self, value: Option<Vec<u8>>) {
        *self.shared.committed.lock() = value;
    }

    /// Removes the entries from `from` on.
    pub(crate) async fn truncate(&self, from: u64) -> io::Result<()> {
        self.shared.tail.lock().truncate(from);
        self.durably(|done| Write::Truncate { from, done }).await
    }

    /// Removes the entries up to `upto`, about which `mark` is kept.
    pub(crate) async fn purge(&self, upto: u64, mark: Vec<u8>) -> io::Result<()> {
        self.shared.tail.lock().purge(upto);
        self.durably(|done| Write::Purge { upto, mark, done }).await
    }

    /// The first write that failed, if one did: for the last words of the process.
    pub(crate) fn take_fault(&self) -> Option<StoreError> {
        self.shared.fault.lock().take()
    }

    async fn durably(&self, write: impl FnOnce(Done) -> Write) -> io::Result<()> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let done: Done = Box::new(move |result| drop(sender.send(result)));
        self.write(write(done)).await?;
        receiver.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn write(&self, write: Write) -> io::Result<()> {
        self.queue.send(write).await.map_err(|_| stopped())
    }
}

/// The writer's thread: ends when all handles of the log are dropped, or with the first failure: what a failed fsync
/// has left on disk nobody knows, so nothing more may be promised.
fn write_all(shared: &Shared, mut queue: mpsc::Receiver<Write>) {
    let mut batch = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        // Looked at before the queue is emptied: what is committed was queued earlier, so it is never on disk without
        // its entries.
        let committed = shared.committed.lock().clone();
        batch.push(first);
        while batch.len() <= QUEUE_LEN_MAX
            && let Ok(next) = queue.try_recv()
        {
            batch.push(next);
        }
        let result = commit(shared, &batch, committed.as_deref());
        if let Err(error) = &result {
            tracing::error!(%error, path = %shared.path.display(), "cannot write vote and log");
            let copy = io::Error::new(error.kind(), error.to_string());
            *shared.fault.lock() = Some(StoreError::io(&shared.path, copy));
        }
        for write in batch.drain(..) {
            let (Write::Append { done, .. }
            | Write::Vote { done, .. }
            | Write::Truncate { done, .. }
            | Write::Purge { done, .. }) = write;
            done(result.as_ref().copied().map_err(|error| io::Error::new(error.kind(), error.to_string())));
        }
        if result.is_err() {
            return;
        }
    }
}

fn commit(shared: &Shared, batch: &[Write], committed: Option<&[u8]>) -> io::Result<()> {
    let mut end = None;
    let transaction = shared.db.begin_write().map_err(failed)?;
    {
        let mut table = transaction.open_table(ENTRIES).map_err(failed)?;
        let mut facts = transaction.open_table(FACTS).map_err(failed)?;
        for write in batch {
            match write {
                Write::Append { entries, .. } => {
                    for (index, bytes) in entries {
                        table.insert(index, &**bytes).map_err(failed)?;
                        end = Some(index + 1);
                    }
                }
                Write::Vote { value, .. } => {
                    facts.insert(Fact::Vote.key(), value.as_slice()).map_err(failed)?;
                }
                Write::Truncate { from, .. } => {
                    table.retain_in(*from.., |_, _| false).map_err(failed)?;
                    end = end.map(|end: u64| end.min(*from));
                }
                Write::Purge { upto, mark, .. } => {
                    table.retain_in(..=*upto, |_, _| false).map_err(failed)?;
                    facts.insert(Fact::Purged.key(), mark.as_slice()).map_err(failed)?;
                    facts.insert(START, (upto + 1).to_le_bytes().as_slice()).map_err(failed)?;
                }
            }
        }
        if let Some(committed) = committed {
            facts.insert(Fact::Committed.key(), committed).map_err(failed)?;
        }
    }
    transaction.commit().map_err(failed)?;
    if let Some(end) = end {
        shared.tail.lock().durable(end);
    }
    Ok(())
}

/// Where the index behind the last purged entry is kept, eight bytes, the lowest first.
const START: &str = "start";

fn open(path: &Path) -> Result<Database, StoreError> {
    let begin = Instant::now();
    loop {
        match renew(path).and_then(|()| Builder::new().set_cache_size(CACHE_LEN).create(path)) {
            Ok(db) => return Ok(db),
            Err(DatabaseError::DatabaseAlreadyOpen) if begin.elapsed() < OPEN_WITHIN => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::Locked(path.to_owned())),
            Err(DatabaseError::Storage(redb::StorageError::Io(error)))
                if error.kind() != io::ErrorKind::InvalidData && error.kind() != io::ErrorKind::UnexpectedEof =>
            {
                return Err(StoreError::io(path, error));
            }
            Err(error) => return Err(StoreError::Damaged { path: path.to_owned(), reason: error.to_string() }),
        }
    }
}

/// Makes the tables where they are not there, and tells which entries there are.
fn prepare(db: &Database, path: &Path) -> Result<(u64, u64), StoreError> {
    let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
    let eight = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes);
    let read = db.begin_read().map_err(|error| damaged(error.to_string()))?;
    let facts = match read.open_table(FACTS) {
        Ok(facts) => facts,
        Err(TableError::TableDoesNotExist(_)) => {
            create(db).map_err(|error| StoreError::io(path, error))?;
            return Ok((0, 0));
        }
        Err(error) => return Err(damaged(error.to_string())),
    };
    let bounds = || -> Result<(u64, Option<u64>, Option<u64>), redb::Error> {
        let version = facts.get("version")?.and_then(|value| eight(value.value()).ok()).unwrap_or(0);
        let start = facts.get(START)?.and_then(|value| eight(value.value()).ok());
        let last = read.open_table(ENTRIES)?.last()?.map(|(index, _)| index.value());
        Ok((version, start, last))
    };
    let (version, start, last) = bounds().map_err(|error| damaged(error.to_string()))?;
    match u32::try_from(version) {
        Ok(VERSION) => {}
        Ok(0) | Err(_) => return Err(damaged("it carries no version".to_owned())),
        Ok(found) => return Err(StoreError::Newer { path: path.to_owned(), found }),
    }
    let start = start.unwrap_or(0);
    Ok((start, last.map_or(start, |last| last + 1)))
}

fn create(db: &Database) -> io::Result<()> {
    let transaction = db.begin_write().map_err(failed)?;
    transaction.open_table(ENTRIES).map_err(failed)?;
    let version = u64::from(VERSION).to_le_bytes();
    transaction.open_table(FACTS).map_err(failed)?.insert("version", version.as_slice()).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn consecutive(entries: Vec<(u64, Bytes)>) -> io::Result<Vec<(u64, Bytes)>> {
    match entries.windows(2).find(|pair| pair[0].0 + 1 != pair[1].0) {
        None => Ok(entries),
        Some(hole) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("the log has a hole after {}", hole[0].0)))
        }
    }
}

fn failed(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}

fn stopped() -> io::Error {
    io::Error::other("the log is closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64) -> (u64, Bytes) {
        (index, format!("entry {index}").into_bytes().into())
    }

    async fn append(log: &Log, indexes: Range<u64>) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let done: Done = Box::new(move |result| drop(sender.send(result)));
        log.append(indexes.map(entry).collect(), done).await.unwrap();
        receiver.await.unwrap().unwrap();
    }

    fn indexes(log: &Log) -> Vec<u64> {
        log.read(0..u64::MAX, usize::MAX).unwrap().into_iter().map(|(index, _)| index).collect()
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_there_after_an_end_without_warning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        let copy = folder.path().join("copy.redb");
        let log = Log::open(&path).unwrap();
        log.save_vote(b"vote".to_vec()).await.unwrap();
        append(&log, 0..10).await;
        log.note_committed(Some(b"eight".to_vec()));
        log.truncate(8).await.unwrap();
        log.purge(2, b"two".to_vec()).await.unwrap();
        // The file as it is on disk now, as a process killed at this moment would leave it.
        std::fs::copy(&path, &copy).unwrap();
        let log = Log::open(&copy).unwrap();
        assert_eq!(indexes(&log), [3, 4, 5, 6, 7]);
        assert_eq!(log.bounds(), 3..8);
        assert_eq!(log.fact(Fact::Vote).unwrap().unwrap(), b"vote");
        assert_eq!(log.fact(Fact::Purged).unwrap().unwrap(), b"two");
        assert_eq!(log.fact(Fact::Committed).unwrap().unwrap(), b"eight");
    }

    #[tokio::test]
    async fn entries_are_readable_before_they_are_durable_and_writes_complete_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&folder.path().join("log.redb")).unwrap();
        let (sender, mut order) = mpsc::channel(200);
        for index in 0..100 {
            let sender = sender.clone();
            let done: Done = Box::new(move |result| {
                result.unwrap();
                sender.try_send(index).unwrap();
            });
            log.append(vec![entry(index)], done).await.unwrap();
            assert_eq!(log.read(index..index + 1, 1).unwrap(), [entry(index)]);
        }
        for index in 0..100 {
            assert_eq!(order.recv().await, Some(index));
        }
    }

    #[tokio::test]
    async fn a_read_stops_at_the_wanted_bytes_but_brings_something() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        let log = Log::open(&path).unwrap();
        append(&log, 0..10).await;
        assert_eq!(log.read(3..10, 1).unwrap(), [entry(3)]);
        assert_eq!(log.read(0..10, 15).unwrap().len(), 2);
        drop(log);
        let log = Log::open(&path).unwrap();
        assert_eq!(log.read(0..10, 15).unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_damaged_log_is_told_and_never_started_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        assert!(matches!(Log::open(&path), Err(StoreError::Damaged { .. })));
    }
}
