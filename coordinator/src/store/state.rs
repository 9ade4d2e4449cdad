//! The applied state, in sled: what snapshot and log can rebuild.
//!
//! Every batch carries the log position that it brings the state to (the *stamp*) and a [`Ledger`] of all records. Where
//! an opening finds records that are not what the ledger says ([`examine`]), the state is emptied, and snapshot and log
//! rebuild it.

use super::{
    StoreError,
    examine::{ABOUT, about, distrust_marker, empty, examine, io_error},
    ledger::Ledger,
    walk::{Record, Walk},
};
use crate::core::view::{Change, Entry, View, ViewError};
use parking_lot::RwLock;
use std::{
    fs, io,
    ops::Bound::{Excluded, Included, Unbounded},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Records per batch.
const CHUNK_LEN: usize = 512;
/// Records per step of a walk: no write happens meanwhile.
const STEP_LEN: usize = 64;

/// The state at the opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Nothing is in it.
    Empty,
    /// It is whole, and stands at this stamp.
    At(Vec<u8>),
    /// It was not what its ledger said, and was emptied.
    Emptied(String),
}

/// The applied state. Readers see no half of a write.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    db: sled::Db,
    gate: RwLock<Gate>,
}

#[derive(Debug, Default)]
struct Gate {
    ledger: Ledger,
    stamp: Vec<u8>,
    /// A snapshot is being taken; each has a number of its own.
    walk: Option<(u64, Walk)>,
    walks: u64,
}

impl State {
    /// Opens the state at `path`, or makes it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Opened), StoreError> {
        let distrusted = distrust_marker(path).exists();
        let found = if distrusted { Err("it could not be read while it was used".to_owned()) } else { examine(path)? };
        let (db, ledger, opened) = match found {
            Ok(found) if found.stamp.is_empty() => (found.db, found.ledger, Opened::Empty),
            Ok(found) => (found.db, found.ledger, Opened::At(found.stamp)),
            Err(reason) => (empty(path)?, Ledger::default(), Opened::Emptied(reason)),
        };
        let stamp = if let Opened::At(stamp) = &opened { stamp.clone() } else { Vec::new() };
        let gate = RwLock::new(Gate { ledger, stamp, ..Gate::default() });
        Ok((Self { path: path.to_owned(), db, gate }, opened))
    }

    /// Reads, with no write between the reads.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&dyn View) -> T) -> T {
        let _gate = self.gate.read();
        read(&Records(&self.db))
    }

    /// The number of its records.
    pub(crate) fn records(&self) -> u64 {
        self.gate.read().ledger.records()
    }

    /// Whether nobody reads or writes at this moment.
    pub(crate) fn is_idle(&self) -> bool {
        !self.gate.is_locked()
    }

    /// Decides on changes by the state as it is, and makes them: all at once, together with `stamp`.
    pub(crate) fn apply<T>(
        &self,
        stamp: Vec<u8>,
        decide: impl FnOnce(&dyn View) -> Result<(Vec<Change>, T), ViewError>,
    ) -> Result<T, ViewError> {
        let mut gate = self.gate.write();
        let (changes, answer) = decide(&Records(&self.db))?;
        let mut ledger = gate.ledger;
        let mut batch = sled::Batch::default();
        let mut pending: std::collections::BTreeMap<&[u8], Option<&[u8]>> = std::collections::BTreeMap::new();
        for (key, record) in &changes {
            pending.insert(key, record.as_deref());
        }
        for (key, record) in pending {
            let old = self.db.get(key).map_err(failed)?;
            if let Some(old) = &old {
                ledger.remove(key, old);
            }
            if let Some((_, walk)) = &mut gate.walk {
                walk.before_change(key, old.as_deref());
            }
            match record {
                Some(record) => {
                    ledger.add(key, record);
                    batch.insert(key, record);
                }
                None => batch.remove(key),
            }
        }
        batch.insert(ABOUT, about(&ledger, &stamp));
        self.db.apply_batch(batch).map_err(failed)?;
        gate.ledger = ledger;
        gate.stamp = stamp;
        Ok(answer)
    }

    /// Puts a snapshot's records in the place of all that is there. Where it is interrupted, the next opening finds
    /// no ledger that fits.
    pub(crate) fn replace(
        &self,
        stamp: Vec<u8>,
        mut records: impl Iterator<Item = io::Result<Record>>,
    ) -> io::Result<()> {
        let mut gate = self.gate.write();
        *gate = Gate { walks: gate.walks, ..Gate::default() };
        self.db.clear().map_err(io_error)?;
        let mut ledger = Ledger::default();
        loop {
            let mut batch = sled::Batch::default();
            let mut len = 0;
            for record in records.by_ref().take(CHUNK_LEN) {
                let (key, record) = record?;
                ledger.add(&key, &record);
                batch.insert(key, record);
                len += 1;
            }
            self.db.apply_batch(batch).map_err(io_error)?;
            if len < CHUNK_LEN {
                break;
            }
        }
        self.db.insert(ABOUT, about(&ledger, &stamp)).map_err(io_error)?;
        gate.ledger = ledger;
        gate.stamp = stamp;
        Ok(())
    }

    /// Begins a walk over the state as it is now. One at a time: a new one ends the one before.
    pub(crate) fn freeze(self: &Arc<Self>) -> Frozen {
        let mut gate = self.gate.write();
        gate.walks += 1;
        gate.walk = Some((gate.walks, Walk::default()));
        Frozen {
            state: Arc::clone(self),
            number: gate.walks,
            stamp: gate.stamp.clone(),
            ledger: gate.ledger,
            passed: Ledger::default(),
            is_done: false,
        }
    }

    /// A record could not be read: the next opening empties the state and has it rebuilt.
    pub(crate) fn distrust(&self) {
        if let Err(error) = fs::write(distrust_marker(&self.path), b"") {
            tracing::warn!(%error, path = %self.path.display(), "cannot mark the state as damaged");
        }
    }

    /// Hands everything to the system's cache.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.db.flush().map(|_| ()).map_err(io_error)
    }
}

/// All records as they were at one moment. See [`State::freeze`].
#[derive(Debug)]
pub(crate) struct Frozen {
    state: Arc<State>,
    number: u64,
    stamp: Vec<u8>,
    ledger: Ledger,
    passed: Ledger,
    is_done: bool,
}

impl Frozen {
    /// Where the state stood.
    pub(crate) fn stamp(&self) -> &[u8] {
        &self.stamp
    }

    /// The number of its records.
    pub(crate) fn records(&self) -> u64 {
        self.ledger.records()
    }

    /// The next records, in key order; none at the end. What has come is proven by then.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<Record>>> {
        while !self.is_done {
            let records = self.step()?;
            records.iter().for_each(|(key, record)| self.passed.add(key, record));
            if self.is_done && self.passed != self.ledger {
                self.state.distrust();
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the state is not what its ledger says"));
            }
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
        Ok(None)
    }

    /// Reads on. Others read meanwhile; who wants to write waits for a few records, and comes next. What is written
    /// between reading and passing was set aside before.
    fn step(&mut self) -> io::Result<Vec<Record>> {
        let present: Vec<Record> = {
            let gate = self.state.gate.read();
            let walk = gate.walk.as_ref().filter(|(number, _)| *number == self.number);
            let (_, walk) = walk.ok_or_else(ended)?;
            let from = walk.passed().map_or(Excluded(ABOUT), Excluded);
            let present = self.state.db.range::<&[u8], _>((from, Unbounded)).take(STEP_LEN);
            let present = present.map(|entry| entry.map(|(key, record)| (key.to_vec(), record.to_vec())));
            present.collect::<Result<_, _>>().map_err(io_error)?
        };
        let mut gate = self.state.gate.write();
        let walk = gate.walk.as_mut().filter(|(number, _)| *number == self.number);
        let (_, walk) = walk.ok_or_else(ended)?;
        self.is_done = present.len() < STEP_LEN;
        Ok(walk.pass(present, self.is_done))
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "a snapshot has replaced the state")
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let mut gate = self.state.gate.write();
        if gate.walk.as_ref().is_some_and(|(number, _)| *number == self.number) {
            gate.walk = None;
        }
    }
}

/// sled as the core sees it.
struct Records<'a>(&'a sled::Db);

impl View for Records<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.0.get(key).map_err(failed)?.map(|record| record.to_vec()))
    }

    fn scan<'a>(&'a self, prefix: &[u8], after: Option<&[u8]>) -> Box<dyn Iterator<Item = Entry> + 'a> {
        let prefix = prefix.to_vec();
        let from = match after {
            Some(after) if after >= prefix.as_slice() => Excluded(after.to_vec()),
            _ => Included(prefix.clone()),
        };
        let entries = self.0.range::<Vec<u8>, _>((from, Unbounded));
        Box::new(
            entries
                .take_while(move |entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)))
                .map(|entry| entry.map(|(key, record)| (key.to_vec(), record.to_vec())).map_err(failed)),
        )
    }
}

// Taken whole, as `map_err` gives it.
#[allow(clippy::needless_pass_by_value)]
fn failed(error: sled::Error) -> ViewError {
    ViewError::Store(error.to_string())
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
