//! openraft's state machine: the core's `apply` over the state on disk, and snapshots of it.

use super::types::{Entry, LogId, SnapshotMeta, Stamp, StoredMembership, TypeConfig};
use crate::{
    core::{apply::apply, command::Outcome, plan::Touched, view::ViewError},
    store::{
        snapshot::{Header, Snapshot},
        snapshots::Snapshots,
        state::State,
    },
};
use futures_util::{Stream, StreamExt as _};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    alias::SnapshotOf,
    storage::{EntryResponder, RaftStateMachine},
};
use parking_lot::Mutex;
use std::{io, sync::Arc};
use tokio::{sync::watch, task::spawn_blocking};

/// Entries applied in one go.
const CHUNK_LEN: usize = 128;
/// So many are applied at once where nobody has the state: handing them to another thread and back would take longer.
const BRIEF_LEN: usize = 4;

/// Every entry since the newest snapshot stands for so many records of the next one.
const RECORDS_PER_ENTRY: u64 = 64;
/// After so many entries a snapshot is taken, however large it is: what the log keeps behind the newest one has to reach
/// back to the one before ([`Tuning::kept_entries`](super::Tuning::kept_entries)).
const UNSAVED_ENTRIES_MAX: u64 = 50_000;

/// Whether the log has grown enough for a snapshot. One writes all records, so the more there are the rarer it comes:
/// what it costs is shared by more entries.
fn is_worth_a_snapshot(entries: u64, records: u64) -> bool {
    entries >= (records / RECORDS_PER_ENTRY).min(UNSAVED_ENTRIES_MAX)
}

/// The applied state as openraft wants it.
pub(crate) struct Machine {
    state: Arc<State>,
    snapshots: Arc<Snapshots>,
    stamp: Stamp,
    /// What was written, for the planner.
    touched: Arc<Mutex<Touched>>,
    /// Tells the index of the last entry applied.
    applied: watch::Sender<u64>,
}

impl Machine {
    pub(crate) fn new(state: Arc<State>, snapshots: Arc<Snapshots>, stamp: Stamp, applied: watch::Sender<u64>) -> Self {
        Self { state, snapshots, stamp, touched: Arc::default(), applied }
    }

    /// What was written since it was last taken. Taken while the state is read it fits what is read.
    pub(crate) fn touched(&self) -> Arc<Mutex<Touched>> {
        Arc::clone(&self.touched)
    }

    fn tell(&self) {
        let index = self.stamp.applied.map_or(0, |applied| applied.index);
        self.applied.send_replace(index);
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = Snapshot;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.stamp.applied, self.stamp.membership.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut chunks = entries.ready_chunks(CHUNK_LEN);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.into_iter().collect::<io::Result<Vec<_>>>()?;
            let (state, mut stamp) = (Arc::clone(&self.state), self.stamp.clone());
            let touched = Arc::clone(&self.touched);
            let is_brief = chunk.len() <= BRIEF_LEN && state.is_idle();
            let apply = move || {
                for (entry, responder) in chunk {
                    let outcome = apply_one(&state, &touched, &mut stamp, &entry)?;
                    if let Some(responder) = responder {
                        responder.send(outcome);
                    }
                }
                Ok(stamp)
            };
            let applied = if is_brief { apply() } else { spawn_blocking(apply).await.map_err(io::Error::other)? };
            self.stamp = applied.inspect_err(|_: &io::Error| self.state.distrust())?;
            self.tell();
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, must: bool) -> Option<Builder> {
        let newest = self.snapshots.newest().map_or(0, |snapshot| snapshot.header().index);
        let entries = self.stamp.applied.map_or(0, |applied| applied.index).saturating_sub(newest);
        if !must && !is_worth_a_snapshot(entries, self.state.records()) {
            return None;
        }
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { state: Arc::clone(&self.state), snapshots: Arc::clone(&self.snapshots) }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Snapshot) -> io::Result<()> {
        let (state, snapshots) = (Arc::clone(&self.state), Arc::clone(&self.snapshots));
        let stamp = Stamp { applied: meta.last_log_id, membership: meta.last_membership.clone() };
        let bytes = serde_json::to_vec(&stamp)?;
        let installed = spawn_blocking(move || {
            // Durable first: from here on the state can be rebuilt from it.
            let snapshot = snapshots.keep(snapshot)?;
            state.replace(bytes, snapshot.records()?)
        });
        installed.await.map_err(io::Error::other)??;
        self.stamp = stamp;
        *self.touched.lock() = Touched::all();
        self.tell();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<TypeConfig, Snapshot>>> {
        self.snapshots.newest().map(with_meta).transpose()
    }
}

/// Takes one snapshot.
pub(crate) struct Builder {
    state: Arc<State>,
    snapshots: Arc<Snapshots>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Snapshot;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, Snapshot>> {
        let (state, snapshots) = (Arc::clone(&self.state), Arc::clone(&self.snapshots));
        let built = spawn_blocking(move || {
            let mut frozen = state.freeze();
            let stamp = match frozen.stamp() {
                b"" => serde_json::to_string(&Stamp::default())?,
                stamp => String::from_utf8(stamp.to_vec()).map_err(io::Error::other)?,
            };
            let applied = serde_json::from_str::<Stamp>(&stamp)?.applied;
            let header = Header::new(applied.map_or(0, |applied| applied.index), frozen.records(), stamp);
            match snapshots.write(&header, || frozen.next()) {
                // A snapshot from the leader replaced the state meanwhile, and is newer than this one.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => snapshots.newest().ok_or(error),
                written => written,
            }
        });
        with_meta(built.await.map_err(io::Error::other)??)
    }
}

/// A snapshot, and what its header says in openraft's terms.
pub(crate) fn with_meta(snapshot: Snapshot) -> io::Result<SnapshotOf<TypeConfig, Snapshot>> {
    let meta = serde_json::from_str::<Stamp>(&snapshot.header().stamp)?.meta();
    Ok(SnapshotOf::<TypeConfig, Snapshot> { meta, snapshot })
}

/// Applies an entry; the state stands at it afterwards, also where it changes nothing.
fn apply_one(state: &State, touched: &Mutex<Touched>, stamp: &mut Stamp, entry: &Entry) -> io::Result<Outcome> {
    stamp.applied = Some(entry.log_id);
    if let EntryPayload::Membership(membership) = &entry.payload {
        stamp.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
    }
    let bytes = serde_json::to_vec(stamp)?;
    let outcome = state.apply(bytes, |view| match &entry.payload {
        EntryPayload::Normal(proposal) => apply(view, proposal).inspect(|(changes, _)| touched.lock().note(changes)),
        EntryPayload::Blank | EntryPayload::Membership(_) => Ok((Vec::new(), Outcome::Done)),
    });
    outcome.map_err(|error: ViewError| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_books_are_saved_less_often_but_before_the_log_gets_too_long() {
        assert!(is_worth_a_snapshot(5_000, 100_000));
        assert!(!is_worth_a_snapshot(5_000, 1_000_000));
        assert!(is_worth_a_snapshot(20_000, 1_000_000));
        assert!(!is_worth_a_snapshot(45_000, 1_000_000_000));
        assert!(is_worth_a_snapshot(50_000, 1_000_000_000));
        let tuning = super::super::Tuning::default();
        assert!(tuning.kept_entries > 2 * (UNSAVED_ENTRIES_MAX + tuning.snapshot_every));
    }
}
