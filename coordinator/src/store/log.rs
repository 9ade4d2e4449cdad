//! Vote and log: what must not be lost. Durable since the answer to each write.
//!
//! One thread writes. It takes everything that waits in the queue into one commit and tells all of them, in order, when
//! that is on disk: the more load, the larger the batches. The log knows indexes and bytes; what they mean is known above.

use super::{
    StoreError,
    database::{Change, Database},
    tail::{Bytes, Tail},
};
use parking_lot::Mutex;
use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};
use tokio::sync::{mpsc, oneshot};

pub(crate) use super::database::Fact;

/// Writes that may wait at once; more wait with their callers.
const QUEUE_LEN_MAX: usize = 1024;

/// Called once a write is durable, or has failed.
pub(crate) type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

struct Write {
    change: Change,
    done: Done,
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
        let (db, entries) = Database::open(path)?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            db,
            tail: Mutex::new(Tail::new(entries.start, entries.end)),
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
        self.shared.db.fact(fact)
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
        let mut fitting = Fitting { entries: Vec::new(), len: 0, len_max };
        if from_disk.is_empty() || self.shared.db.read(from_disk, |index, bytes| fitting.take(index, bytes))? {
            for (index, bytes) in here {
                if !fitting.take(index, bytes) {
                    break;
                }
            }
        }
        consecutive(fitting.entries)
    }

    /// Appends entries: readable when this returns, durable when `done` is called.
    pub(crate) async fn append(&self, entries: Vec<(u64, Bytes)>, done: Done) -> io::Result<()> {
        {
            let mut tail = self.shared.tail.lock();
            for (index, bytes) in &entries {
                tail.push(*index, Arc::clone(bytes));
            }
        }
        self.write(Change::Append(entries), done).await
    }

    /// Keeps the vote: durable when this returns.
    pub(crate) async fn save_vote(&self, value: Vec<u8>) -> io::Result<()> {
        self.durably(Change::Vote(value)).await
    }

    /// Keeps what is committed, with the next write.
    pub(crate) fn note_committed(&self, value: Option<Vec<u8>>) {
        *self.shared.committed.lock() = value;
    }

    /// Removes the entries from `from` on.
    pub(crate) async fn truncate(&self, from: u64) -> io::Result<()> {
        self.shared.tail.lock().truncate(from);
        self.durably(Change::Truncate(from)).await
    }

    /// Removes the entries up to `upto`, about which `mark` is kept.
    pub(crate) async fn purge(&self, upto: u64, mark: Vec<u8>) -> io::Result<()> {
        self.shared.tail.lock().purge(upto);
        self.durably(Change::Purge { upto, mark }).await
    }

    /// The first write that failed, if one did: for the last words of the process.
    pub(crate) fn take_fault(&self) -> Option<StoreError> {
        self.shared.fault.lock().take()
    }

    async fn durably(&self, change: Change) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.write(change, Box::new(move |result| drop(sender.send(result)))).await?;
        receiver.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn write(&self, change: Change, done: Done) -> io::Result<()> {
        self.queue.send(Write { change, done }).await.map_err(|_| stopped())
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
        let result = shared.db.commit(batch.iter().map(|write| &write.change), committed.as_deref());
        if let Ok(Some(end)) = result {
            shared.tail.lock().durable(end);
        }
        if let Err(error) = &result {
            tracing::error!(%error, path = %shared.path.display(), "cannot write vote and log");
            let copy = io::Error::new(error.kind(), error.to_string());
            *shared.fault.lock() = Some(StoreError::io(&shared.path, copy));
        }
        for write in batch.drain(..) {
            (write.done)(result.as_ref().map(|_| ()).map_err(|error| io::Error::new(error.kind(), error.to_string())));
        }
        if result.is_err() {
            return;
        }
    }
}

/// Entries, as many as fit into `len_max` bytes, at least one.
struct Fitting {
    entries: Vec<(u64, Bytes)>,
    len: usize,
    len_max: usize,
}

impl Fitting {
    /// Takes an entry if it fits; whether it did.
    fn take(&mut self, index: u64, bytes: impl AsRef<[u8]> + Into<Bytes>) -> bool {
        self.len += bytes.as_ref().len();
        let fits = self.len <= self.len_max || self.entries.is_empty();
        if fits {
            self.entries.push((index, bytes.into()));
        }
        fits
    }
}

fn consecutive(entries: Vec<(u64, Bytes)>) -> io::Result<Vec<(u64, Bytes)>> {
    match entries.windows(2).find(|pair| pair[0].0 + 1 != pair[1].0) {
        None => Ok(entries),
        Some(hole) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("the log has a hole after {}", hole[0].0)))
        }
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
        let (sender, receiver) = oneshot::channel();
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
