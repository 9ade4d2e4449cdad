//! The file behind the log: what stands where in redb's tables. Durable since the answer to each commit (fsync).

use super::{StoreError, renew::renew, tail::Bytes};
use redb::{Builder, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError};
use std::{
    io,
    ops::Range,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const ENTRIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
/// Where the form of the tables is kept, as eight bytes, the lowest first.
const FORM: &str = "version";
/// Where the index behind the last purged entry is kept, eight bytes, the lowest first.
const START: &str = "start";

/// The form of the tables.
const VERSION: u32 = 1;
/// redb's own page cache, in bytes.
const CACHE_LEN: usize = 32 << 20;
/// What has just ended may hold the file a little longer. Another process never does: the folder's lock is taken first.
const OPEN_WITHIN: Duration = Duration::from_secs(60);

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

/// What is done to entries and facts.
pub(super) enum Change {
    /// Entries come behind the last one.
    Append(Vec<(u64, Bytes)>),
    /// Another vote.
    Vote(Vec<u8>),
    /// The entries from this index on go.
    Truncate(u64),
    /// The entries up to `upto` go, about which `mark` is kept.
    Purge { upto: u64, mark: Vec<u8> },
}

/// The log's file.
pub(super) struct Database(redb::Database);

impl Database {
    /// Opens the file at `path`, or makes it, and tells which entries there are.
    pub(super) fn open(path: &Path) -> Result<(Self, Range<u64>), StoreError> {
        let db = open(path)?;
        let entries = prepare(&db, path)?;
        Ok((Self(db), entries))
    }

    /// A fact as it stood at the last commit.
    pub(super) fn fact(&self, fact: Fact) -> io::Result<Option<Vec<u8>>> {
        let read = self.0.begin_read().map_err(failed)?;
        let facts = read.open_table(FACTS).map_err(failed)?;
        let value = facts.get(fact.key()).map_err(failed)?;
        Ok(value.map(|value| value.value().to_vec()))
    }

    /// Hands the entries of `range` to `take`, in order, until it takes no more; whether it took all.
    pub(super) fn read(&self, range: Range<u64>, mut take: impl FnMut(u64, &[u8]) -> bool) -> io::Result<bool> {
        let read = self.0.begin_read().map_err(failed)?;
        let table = read.open_table(ENTRIES).map_err(failed)?;
        for entry in table.range(range).map_err(failed)? {
            let (index, bytes) = entry.map_err(failed)?;
            if !take(index.value(), bytes.value()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes changes, all or none, and notes what is `committed`. Durable when this returns. Where entries were appended it
    /// tells the index behind the last of them that is still there.
    pub(super) fn commit<'c>(
        &self,
        changes: impl IntoIterator<Item = &'c Change>,
        committed: Option<&[u8]>,
    ) -> io::Result<Option<u64>> {
        let mut end = None;
        let transaction = self.0.begin_write().map_err(failed)?;
        {
            let mut table = transaction.open_table(ENTRIES).map_err(failed)?;
            let mut facts = transaction.open_table(FACTS).map_err(failed)?;
            for change in changes {
                match change {
                    Change::Append(entries) => {
                        for (index, bytes) in entries {
                            table.insert(index, &**bytes).map_err(failed)?;
                            end = Some(index + 1);
                        }
                    }
                    Change::Vote(value) => {
                        facts.insert(Fact::Vote.key(), value.as_slice()).map_err(failed)?;
                    }
                    Change::Truncate(from) => {
                        table.retain_in(*from.., |_, _| false).map_err(failed)?;
                        end = end.map(|end: u64| end.min(*from));
                    }
                    Change::Purge { upto, mark } => {
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
        Ok(end)
    }
}

fn open(path: &Path) -> Result<redb::Database, StoreError> {
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
fn prepare(db: &redb::Database, path: &Path) -> Result<Range<u64>, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
    let eight = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes);
    let read = db.begin_read().map_err(|error| damaged(error.to_string()))?;
    let facts = match read.open_table(FACTS) {
        Ok(facts) => facts,
        Err(TableError::TableDoesNotExist(_)) => {
            create(db).map_err(|error| StoreError::io(path, error))?;
            return Ok(0..0);
        }
        Err(error) => return Err(damaged(error.to_string())),
    };
    let bounds = || -> Result<(u64, Option<u64>, Option<u64>), redb::Error> {
        let version = facts.get(FORM)?.and_then(|value| eight(value.value()).ok()).unwrap_or(0);
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
    Ok(start..last.map_or(start, |last| last + 1))
}

fn create(db: &redb::Database) -> io::Result<()> {
    let transaction = db.begin_write().map_err(failed)?;
    transaction.open_table(ENTRIES).map_err(failed)?;
    let version = u64::from(VERSION).to_le_bytes();
    transaction.open_table(FACTS).map_err(failed)?.insert(FORM, version.as_slice()).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn failed(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}
