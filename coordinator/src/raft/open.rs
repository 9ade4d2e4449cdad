//! Opening the data folder, and starting raft on it.
//!
//! The state is trusted only as far as its ledger proves it and the log or a snapshot reaches; where it is not, it begins
//! empty, and openraft brings the newest snapshot and the log behind it back into it.

use super::{
    Group, Tuning,
    log::RaftLog,
    machine::{Machine, with_meta},
    network::{Network, Peers},
    types::{Stamp, TypeConfig},
};
use crate::{
    CoordinatorError,
    store::{
        StoreError,
        folder::Folder,
        log::Log,
        snapshots::Snapshots,
        state::{Opened, State},
    },
};
use openraft::{Raft, SnapshotPolicy};
use std::{io, sync::Arc};
use tokio::sync::watch;

/// How long a snapshot may take to reach a follower.
const SNAPSHOT_WITHIN_MS: u64 = 600_000;
/// Entries in one message to a follower.
const MESSAGE_ENTRIES_MAX: u64 = 512;

/// The parts of the store, opened.
pub(crate) struct Parts {
    pub(crate) log: Log,
    pub(crate) raft_log: RaftLog,
    pub(crate) state: Arc<State>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) stamp: Stamp,
}

impl Parts {
    /// Opens log, snapshots and state, in this order. Blocks.
    pub(crate) fn open(folder: &Folder) -> Result<Self, StoreError> {
        if folder.cluster().is_some() && !folder.log().exists() {
            // Its votes and what it vouched for are gone: it must not take part as if it had never done so.
            return Err(StoreError::Damaged { path: folder.log(), reason: "it is missing".to_owned() });
        }
        let log = Log::open(&folder.log())?;
        let unreadable = |error: io::Error| StoreError::Damaged { path: folder.log(), reason: error.to_string() };
        let raft_log = RaftLog::new(log.clone()).map_err(unreadable)?;
        let snapshots = Snapshots::open(&folder.snapshots())?;
        if let Some(purged) = raft_log.purged() {
            snapshots.forget_before(purged.index);
        }
        let (state, opened) = State::open(&folder.state())?;
        let mut stamp = match &opened {
            Opened::At(stamp) => serde_json::from_slice(stamp).unwrap_or_else(|error| {
                tracing::warn!(%error, "the state does not tell where it stands");
                Stamp::default()
            }),
            Opened::Empty => Stamp::default(),
            Opened::Emptied(reason) => {
                tracing::warn!(reason, "the state was damaged: snapshot and log rebuild it");
                Stamp::default()
            }
        };
        // The state may have come to disk before the log: what the log does not hold was never this server's word.
        let snapshot = snapshots.newest().map(with_meta).transpose().map_err(unreadable)?;
        let known = raft_log.last().map_err(unreadable)?.max(snapshot.and_then(|snapshot| snapshot.meta.last_log_id));
        if stamp.applied > known || (stamp == Stamp::default() && opened != Opened::Empty) {
            stamp = Stamp::default();
            state.replace(Vec::new(), std::iter::empty()).map_err(|error| StoreError::io(&folder.state(), error))?;
        }
        Ok(Self { log, raft_log, state: Arc::new(state), snapshots: Arc::new(snapshots), stamp })
    }
}

/// Opens the folder's parts and starts raft on them.
pub(crate) async fn open(folder: Arc<Folder>, peers: Arc<Peers>, tuning: Tuning) -> Result<Group, CoordinatorError> {
    let opened = tokio::task::spawn_blocking(move || Parts::open(&folder)).await;
    let parts = opened.map_err(|error| CoordinatorError::Stopped(error.to_string()))??;
    let (applied, watched) = watch::channel(0);
    let machine = Machine::new(Arc::clone(&parts.state), Arc::clone(&parts.snapshots), parts.stamp, applied);
    let touched = machine.touched();
    let config = config(tuning).map_err(|error| CoordinatorError::Stopped(error.to_string()))?;
    let network = Network(Arc::clone(&peers));
    let raft = Raft::<TypeConfig, _>::new(peers.id, Arc::new(config), network, parts.raft_log, machine);
    let raft = raft.await.map_err(|error| match parts.log.take_fault() {
        Some(fault) => fault.into(),
        None => CoordinatorError::Unrecoverable(error.to_string()),
    })?;
    Ok(Group::new(raft, parts.log, parts.state, parts.snapshots, peers, (watched, touched)))
}

fn config(tuning: Tuning) -> Result<openraft::Config, openraft::ConfigError> {
    let config = openraft::Config {
        cluster_name: "microtome".to_owned(),
        heartbeat_interval: tuning.heartbeat_ms,
        election_timeout_min: tuning.election_ms_min,
        election_timeout_max: tuning.election_ms_max,
        install_snapshot_timeout: SNAPSHOT_WITHIN_MS,
        max_payload_entries: MESSAGE_ENTRIES_MAX,
        replication_lag_threshold: tuning.kept_entries,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(tuning.snapshot_every),
        max_in_snapshot_log_to_keep: tuning.kept_entries,
        purge_batch_size: tuning.snapshot_every / 8 + 1,
        // A coordinator that was cut off or is slow must not unseat a leader that works.
        enable_pre_vote: Some(true),
        // What is committed is kept lazily, so after a start it may be old: leading again takes an election.
        enable_leader_restore: Some(false),
        backoff: "100ms 200ms 400ms ...1s".to_owned(),
        ..openraft::Config::default()
    };
    config.validate()
}
