//! openraft's log over the log on disk: entries as JSON.

use super::types::{Entry, LogId, TypeConfig, Vote};
use crate::store::log::{Fact, Log};
use openraft::{
    LogState, OptionalSend, RaftLogReader,
    entry::RaftEntry as _,
    storage::{IOFlushed, RaftLogStorage},
};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fmt::Debug,
    io,
    ops::{Bound, Range, RangeBounds},
    sync::Arc,
};

/// Bytes of entries in one message to a follower; a larger entry travels alone.
const MESSAGE_LEN_MAX: usize = 4 << 20;

/// Vote and log as openraft wants them. Clones share them.
#[derive(Clone)]
pub(crate) struct RaftLog {
    log: Log,
    facts: Arc<Mutex<Facts>>,
}

#[derive(Default)]
struct Facts {
    vote: Option<Vote>,
    purged: Option<LogId>,
    committed: Option<LogId>,
}

impl RaftLog {
    pub(crate) fn new(log: Log) -> io::Result<Self> {
        let facts = Facts {
            vote: log.fact(Fact::Vote)?.as_deref().map(decode).transpose()?,
            purged: log.fact(Fact::Purged)?.as_deref().map(decode).transpose()?,
            committed: log.fact(Fact::Committed)?.as_deref().map(decode).transpose()?,
        };
        Ok(Self { log, facts: Arc::new(Mutex::new(facts)) })
    }

    /// The id of the last entry, purged ones included.
    pub(crate) fn last(&self) -> io::Result<Option<LogId>> {
        let end = self.log.bounds().end;
        let last = self.entries(end.saturating_sub(1)..end, usize::MAX)?.pop();
        Ok(last.map(|entry| entry.log_id()).or(self.facts.lock().purged))
    }

    /// The id of the last purged entry.
    pub(crate) fn purged(&self) -> Option<LogId> {
        self.facts.lock().purged
    }

    fn entries(&self, range: Range<u64>, len_max: usize) -> io::Result<Vec<Entry>> {
        self.log.read(range, len_max)?.iter().map(|(_, bytes)| decode(bytes)).collect()
    }
}

impl RaftLogReader<TypeConfig> for RaftLog {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.entries(half_open(&range), usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.entries(start..end, MESSAGE_LEN_MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.facts.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for RaftLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let last_log_id = self.last()?;
        Ok(LogState { last_purged_log_id: self.facts.lock().purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.log.save_vote(encode(vote)?).await?;
        self.facts.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.log.note_committed(committed.as_ref().map(encode).transpose()?);
        self.facts.lock().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.facts.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let encoded: io::Result<Vec<_>> =
            entries.into_iter().map(|entry| Ok((entry.index(), encode(&entry)?.into()))).collect();
        self.log.append(encoded?, Box::new(move |result| flushed.io_completed(result))).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.log.truncate(last.map_or(0, |last| last.index + 1)).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.facts.lock().purged = Some(upto);
        self.log.purge(upto.index, encode(&upto)?).await
    }
}

fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

fn encode(value: &impl Serialize) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(bytes)?)
}
