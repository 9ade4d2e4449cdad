//! This coordinator's part in the group: proposing, reading, and answering the others. Who leads is in `leader`.

use super::{
    machine::Machine,
    network::Peers,
    types::{TypeConfig, Vote},
};
use crate::{
    core::{
        audit::{Deed, describe},
        command::{Actor, Command, Outcome, Proposal},
        plan::Touched,
        view::View,
    },
    store::{StoreError, log::Log, snapshot::Snapshot, snapshots::Snapshots, state::State},
};
use futures_util::StreamExt as _;
use microtome_proto::{Code, CoordinatorId, Problem, Timestamp, protocol};
use openraft::{
    LinearizerOption, ReadPolicy,
    async_runtime::watch::WatchReceiver as _,
    errors::{ClientWriteError, Fatal, RaftError},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
        VoteRequest, VoteResponse,
    },
};
use parking_lot::Mutex;
use std::{
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::timeout};

type Raft = openraft::Raft<TypeConfig, Machine>;
/// What openraft answers to a message, when it has not stopped.
type Answered<T> = Result<T, Unavailable>;

/// How long a proposal may take to be applied.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// How long a leader may take to prove that it still leads.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// The group cannot serve just now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    /// This one does not lead, or not any more.
    #[error("this coordinator does not lead")]
    NotLeader,
    /// It leads, but a majority does not answer.
    #[error("fewer than half of the coordinators answer")]
    NoMajority,
    /// It may have been written, or may yet be.
    #[error("the write was not confirmed in time: whether it was made is not known")]
    Unconfirmed,
    /// Raft has stopped.
    #[error("this coordinator has stopped: {0}")]
    Stopped(String),
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        let code = match error {
            Unavailable::Stopped(_) => Code::NotReady,
            _ => Code::NoLeader,
        };
        Self::new(code, error.to_string())
    }
}

/// This coordinator's part in the group.
pub(crate) struct Group {
    raft: Raft,
    log: Log,
    state: Arc<State>,
    snapshots: Arc<Snapshots>,
    peers: Arc<Peers>,
    applied: watch::Receiver<u64>,
    touched: Arc<Mutex<Touched>>,
    /// Whether it takes part: an empty one that should not be empty must neither vote nor follow.
    takes_part: AtomicBool,
    /// Why the coordinators work by an older protocol than this one speaks.
    pub(super) held_back: Mutex<String>,
}

impl Group {
    pub(super) fn new(
        raft: Raft,
        log: Log,
        state: Arc<State>,
        snapshots: Arc<Snapshots>,
        peers: Arc<Peers>,
        (applied, touched): (watch::Receiver<u64>, Arc<Mutex<Touched>>),
    ) -> Self {
        Self {
            raft,
            log,
            state,
            snapshots,
            peers,
            applied,
            touched,
            takes_part: AtomicBool::new(false),
            held_back: Mutex::default(),
        }
    }

    /// This coordinator's number.
    pub(crate) fn id(&self) -> CoordinatorId {
        self.peers.id
    }

    /// How the others are reached.
    pub(crate) fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// Tells the index of the last entry applied, whenever there is a new one.
    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.clone()
    }

    /// What was written since the last call; called within [`Group::read`] it is all that is read there, and no more.
    pub(crate) fn take_touched(&self) -> Touched {
        mem::take(&mut *self.touched.lock())
    }

    /// Reads the applied state, with no write between the reads.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&dyn View) -> T) -> T {
        self.state.read(read)
    }

    /// Puts a command through the log: durable on a majority and applied here when this returns. One that some
    /// coordinator does not understand yet is refused.
    pub(crate) async fn propose(&self, command: Command) -> Result<Outcome, Unavailable> {
        self.propose_by(None, command).await
    }

    /// The same for somebody: it is written who asked for it, in the books and in the log.
    pub(crate) async fn propose_by(&self, by: Option<Actor>, command: Command) -> Result<Outcome, Unavailable> {
        if let Some(refused) = self.not_understood(&command) {
            return Ok(refused);
        }
        let told = by.clone().map(|by| (by, command.clone()));
        let by = by.filter(|_| self.protocol() >= protocol::BELONGING);
        let proposal = Proposal { at: Timestamp::now(), by, command };
        let outcome = self.write(proposal).await?;
        if let Some((by, command)) = told
            && let Some(deed) = describe(&command, &outcome)
        {
            let Actor { name, address } = by;
            let Deed { act, object, detail } = deed;
            tracing::info!(target: "audit", by = name, address, act = %act, object, detail, "done");
        }
        Ok(outcome)
    }

    async fn write(&self, proposal: Proposal) -> Result<Outcome, Unavailable> {
        let written = timeout(WRITE_WITHIN, self.raft.client_write(proposal)).await;
        match written.map_err(|_| Unavailable::Unconfirmed)? {
            Ok(response) => Ok(response.data),
            Err(RaftError::APIError(error)) => Err(refused(&error)),
            Err(RaftError::Fatal(fatal)) => Err(stopped(&fatal)),
        }
    }

    /// Puts commands through the log in one go; the answers come in the same order.
    pub(crate) async fn propose_all(&self, commands: Vec<Command>) -> Result<Vec<Outcome>, Unavailable> {
        let write = async {
            let proposals: Vec<Proposal> = commands.into_iter().map(proposal).collect();
            let mut answers = self.raft.client_write_many(proposals).await.map_err(|fatal| stopped(&fatal))?;
            let mut outcomes = Vec::new();
            while let Some(answer) = answers.next().await {
                let written = answer.map_err(|fatal| stopped(&fatal))?;
                outcomes.push(written.map_err(|error| refused(&error))?.response);
            }
            Ok::<_, Unavailable>(outcomes)
        };
        timeout(WRITE_WITHIN, write).await.unwrap_or(Err(Unavailable::Unconfirmed))
    }

    /// Makes sure that this coordinator leads and that what it reads from now on holds all that was acknowledged: a
    /// majority confirms it, whatever the clocks do.
    pub(crate) async fn linearize(&self) -> Result<(), Unavailable> {
        self.ensure(ReadPolicy::ReadIndex.into()).await
    }

    /// As [`Group::linearize`], but a confirmation of the last moments counts: for what is asked often and hurts nobody
    /// should two clocks run apart.
    pub(crate) async fn linearize_by_lease(&self) -> Result<(), Unavailable> {
        self.ensure(LinearizerOption::new(None, true)).await
    }

    async fn ensure(&self, option: LinearizerOption) -> Result<(), Unavailable> {
        let ensured = timeout(READ_WITHIN, self.raft.ensure_linearizable(option.with_wait_timeout(READ_WITHIN))).await;
        match ensured.map_err(|_| Unavailable::NoMajority)? {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(openraft::errors::LinearizableReadError::QuorumNotEnough(_))) => {
                Err(Unavailable::NoMajority)
            }
            Err(RaftError::APIError(_)) => Err(Unavailable::NotLeader),
            Err(RaftError::Fatal(fatal)) => Err(stopped(&fatal)),
        }
    }

    /// Returns when raft has stopped by itself, and says why.
    pub(crate) async fn failed(&self) -> Unavailable {
        let mut metrics = self.raft.metrics();
        loop {
            if let Err(fatal) = &metrics.borrow_watched().running_state {
                return stopped(fatal);
            }
            if metrics.changed().await.is_err() {
                return Unavailable::Stopped("raft has ended".to_owned());
            }
        }
    }

    /// What the disk said when a write failed.
    pub(crate) fn fault(&self) -> Option<StoreError> {
        self.log.take_fault()
    }

    /// Whether it takes part: see [`super::bootstrap`].
    pub(crate) fn takes_part(&self) -> bool {
        self.takes_part.load(Ordering::Acquire)
    }

    pub(super) fn take_part(&self) {
        self.takes_part.store(true, Ordering::Release);
    }

    pub(super) fn raft(&self) -> &Raft {
        &self.raft
    }

    /// A message of the leader's.
    pub(crate) async fn append(
        &self,
        message: AppendEntriesRequest<TypeConfig>,
    ) -> Answered<AppendEntriesResponse<TypeConfig>> {
        self.raft.append_entries(message).await.map_err(|error| Unavailable::Stopped(error.to_string()))
    }

    /// A candidate asks for the vote.
    pub(crate) async fn vote(&self, message: VoteRequest<TypeConfig>) -> Answered<VoteResponse<TypeConfig>> {
        self.raft.vote(message).await.map_err(|error| Unavailable::Stopped(error.to_string()))
    }

    /// A candidate asks whether it would get the vote.
    pub(crate) async fn pre_vote(&self, message: VoteRequest<TypeConfig>) -> Answered<VoteResponse<TypeConfig>> {
        self.raft.pre_vote(message).await.map_err(|error| Unavailable::Stopped(error.to_string()))
    }

    /// The leader gives its place to another one.
    pub(crate) async fn transfer(
        &self,
        message: TransferLeaderRequest<TypeConfig>,
    ) -> Answered<TransferLeaderResponse<TypeConfig>> {
        self.raft.handle_transfer_leader(message).await.map_err(|fatal| stopped(&fatal))
    }

    /// The leader's snapshot has arrived whole.
    pub(crate) async fn install(&self, vote: Vote, snapshot: Snapshot) -> io::Result<SnapshotResponse<TypeConfig>> {
        let snapshot = super::machine::with_meta(snapshot)?;
        self.raft.install_full_snapshot(vote, snapshot).await.map_err(|fatal| io::Error::other(fatal.to_string()))
    }

    /// Where snapshots are received.
    pub(crate) fn snapshots(&self) -> &Arc<Snapshots> {
        &self.snapshots
    }

    /// Leaves: a leader hands its place to the follower that is furthest, then raft stops and the state is flushed.
    pub(crate) async fn stop(&self) {
        self.give_way().await;
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop in order");
        }
        if let Err(error) = self.state.flush() {
            tracing::warn!(%error, "the state was not flushed: the log rebuilds what is missing");
        }
    }
}

fn proposal(command: Command) -> Proposal {
    Proposal { at: Timestamp::now(), by: None, command }
}

fn refused(error: &ClientWriteError<TypeConfig>) -> Unavailable {
    match error {
        ClientWriteError::LogEntryDiscarded(_) => Unavailable::Unconfirmed,
        _ => Unavailable::NotLeader,
    }
}

fn stopped(fatal: &Fatal<TypeConfig>) -> Unavailable {
    Unavailable::Stopped(fatal.to_string())
}
