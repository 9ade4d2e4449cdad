//! What goes through the log, and what comes back.
//!
//! A command carries the time and the random numbers that its proposer chose: applying it reads no clock and rolls no
//! dice, so that every coordinator comes to the same state.

mod accounts;
mod life;
mod spaces;

pub use accounts::AccountCommand;
pub use life::Life;
pub use spaces::SpaceCommand;

use microtome_proto::{
    CaseId, ClusterId, Code, Generation, MaterialId, NodeId, Problem, RunId, SessionId, TeamId, Timestamp, UserId,
    internal::Held,
    material::{Origin, Owner, Terms},
    node::Scheduling,
    protocol,
    run::Output,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Not};

/// A command, when it was proposed, and for whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The proposer's clock.
    pub at: Timestamp,
    /// Who asked for it; none where the cluster does it by itself, and before [`protocol::BELONGING`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Actor>,
    /// What is to be done.
    pub command: Command,
}

/// Who asks for a change, for the trail of who did what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The token's subject: a user's id, or the name that the token gives its bearer. Empty where tokens are not checked.
    pub name: String,
    /// The address that the request came from, as far as it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
}

/// Everything that changes the replicated state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Gives the cluster its identity; the first one wins.
    Found {
        /// Drawn by the proposer.
        cluster: ClusterId,
        /// From the configuration.
        name: String,
    },
    /// From now on all coordinators speak a higher protocol: what it brought may be proposed.
    RaiseProtocol {
        /// Proposed when all of them had said that they speak it.
        protocol: u32,
    },
    /// A node starts: it is made known, or its address is brought up to date.
    RegisterNode {
        /// See `proto::internal::Register`.
        instance: String,
        /// Its name.
        name: String,
        /// Its base URL.
        url: String,
        /// Its failure domain.
        zone: Option<String>,
        /// Its labels.
        labels: BTreeMap<String, String>,
        /// Its program's version.
        version: String,
    },
    /// Gives a node work, or none, or has it emptied, as the operator wants it.
    ScheduleNode {
        /// The node.
        node: NodeId,
        /// From now on.
        scheduling: Scheduling,
    },
    /// Takes a node out of the cluster for good: its copies are made anew elsewhere, its id is never used again. Refused
    /// where bytes are on no other node that belongs to the cluster.
    RemoveNode {
        /// The node.
        node: NodeId,
        /// Removes it also where bytes are lost with it.
        #[serde(default)]
        force: bool,
    },
    /// Copies are moved until nodes are equally full, or no longer.
    Rebalance {
        /// From now on.
        wanted: bool,
    },
    /// What a node's inventory changes in the books, see [`super::settle`]: copies told as lost are taken out, copies
    /// that are there count again.
    SettleNode {
        /// The node.
        node: NodeId,
        /// Copies that the books have there and that are not there any more, each with its assignment.
        lost: Vec<(MaterialId, Generation)>,
        /// Copies that are there and did not count.
        held: Vec<Held>,
    },
    /// Makes a material and reserves room for it: the first node receives the upload.
    CreateMaterial {
        /// The caller's `Idempotency-Key`: the same key gives the same material.
        request: Option<String>,
        /// Its name.
        name: String,
        /// Bytes.
        size: u64,
        /// Whether its sender tells later how many: the first copy does.
        #[serde(default, skip_serializing_if = "Not::not")]
        size_deferred: bool,
        /// Its media type.
        media_type: String,
        /// The announced hash.
        blake3: Option<String>,
        /// Copies wanted.
        population: u32,
        /// The run's attempt that makes it.
        origin: Option<Origin>,
        /// Whether it is a part of a file that is put together later.
        #[serde(default, skip_serializing_if = "Not::not")]
        partial: bool,
        /// Whose upload it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
        /// Where it belongs, and how long it lives.
        #[serde(default, skip_serializing_if = "is_default")]
        terms: Terms,
        /// Where the upload goes.
        node: NodeId,
    },
    /// Makes a material that is put together from parts, which are its own from now on: they end when it is whole, and
    /// with it. The same parts in the same order give the same material.
    JoinParts {
        /// The caller's `Idempotency-Key`.
        request: Option<String>,
        /// Its name.
        name: String,
        /// Its media type.
        media_type: String,
        /// The announced hash.
        blake3: Option<String>,
        /// Copies wanted.
        population: u32,
        /// The parts, in order: all whole, and nobody else's.
        parts: Vec<MaterialId>,
        /// The header that names them, as it came.
        given: String,
        /// Whose it is, and each of its parts must be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
        /// Where it belongs, and how long it lives.
        #[serde(default, skip_serializing_if = "is_default")]
        terms: Terms,
        /// Where they are put together.
        node: NodeId,
    },
    /// No node has room for a material that is put together, and its sender has not been told of it: it is no more, and
    /// its parts are as before.
    ReleaseParts {
        /// The material.
        material: MaterialId,
        /// The last assignment.
        generation: Generation,
    },
    /// The chosen node cannot take the upload: another one is chosen before any byte was sent; or it cannot put together
    /// what it was to. What the first one may have is dropped when its next heartbeat or inventory tells of it.
    MoveUpload {
        /// The material.
        material: MaterialId,
        /// The assignment that ends.
        generation: Generation,
        /// The new node.
        node: NodeId,
    },
    /// A new name or population.
    UpdateMaterial {
        /// The material.
        material: MaterialId,
        /// Its new name.
        name: Option<String>,
        /// Copies wanted from now on.
        population: Option<u32>,
    },
    /// Deletes a material: all its copies are to be dropped.
    DeleteMaterial {
        /// The material.
        material: MaterialId,
    },
    /// Assigns one more copy to a node; to what is to be put together and has no place, that. Repeating it answers with the
    /// assignment that is there.
    AddReplica {
        /// The material.
        material: MaterialId,
        /// The node.
        node: NodeId,
    },
    /// Assigns a copy to a node in place of the one on another, which stays until the new one is verified. Repeating it
    /// answers with the assignment that is there.
    MoveReplica {
        /// The material.
        material: MaterialId,
        /// The node whose copy goes in the end.
        from: NodeId,
        /// The node.
        node: NodeId,
    },
    /// A copy is whole, durable and verified. The first one of a material gives it its hash. One that is not what was
    /// announced or what the others are is refused with `hash_mismatch`, and taken out of the books unless it was whole
    /// before, or its material deleted where it is put together. So is the first one where its key's condition does not hold
    /// (`precondition_failed`) or its length is too much for its space (`quota_exceeded`), and its material deleted. No other
    /// refusal changes anything.
    ReplicaVerified {
        /// The material.
        material: MaterialId,
        /// The node.
        node: NodeId,
        /// The assignment.
        generation: Generation,
        /// Bytes.
        size: u64,
        /// BLAKE3 in hexadecimal.
        blake3: String,
    },
    /// Some bytes of a verified copy are damaged: it does not count until it is verified again.
    ReplicaDamaged {
        /// The material.
        material: MaterialId,
        /// The node.
        node: NodeId,
        /// The assignment.
        generation: Generation,
    },
    /// A copy is to be freed. Of the verified ones only those beyond the wanted population, and a damaged one only where one
    /// is verified: so never the last.
    DropReplica {
        /// The material.
        material: MaterialId,
        /// The node.
        node: NodeId,
        /// The assignment.
        generation: Generation,
    },
    /// A copy is gone: freed as ordered, or failed, or lost. An upload that loses its only place is deleted.
    ReplicaGone {
        /// The material.
        material: MaterialId,
        /// The node.
        node: NodeId,
        /// The assignment.
        generation: Generation,
    },
    /// Submits a run.
    CreateRun {
        /// The caller's `Idempotency-Key`.
        request: Option<String>,
        /// The pipeline.
        pipeline: String,
        /// The user's name for it.
        name: String,
        /// Its inputs.
        inputs: Vec<MaterialId>,
        /// Its parameters.
        parameters: serde_json::Value,
        /// Who submits it, where it is no administrator.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
    /// Users, teams and cases, and tokens that are taken back.
    Account(AccountCommand),
    /// Gives a waiting run to a node: a new attempt. One whose node died is taken back by [`Command::RequeueRun`] first.
    AssignRun {
        /// The run.
        run: RunId,
        /// The node.
        node: NodeId,
    },
    /// Takes a run back to waiting; its attempt ends and what it made is deleted. After too many attempts it fails.
    RequeueRun {
        /// The run.
        run: RunId,
        /// The attempt that ends.
        attempt: Generation,
        /// Why the attempt ended.
        reason: String,
    },
    /// A run's program has started.
    RunStarted {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: Generation,
    },
    /// A run is done: its outputs are published, once.
    RunDone {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: Generation,
        /// What it made.
        outputs: Vec<Output>,
        /// What it found.
        result: serde_json::Value,
        /// Bytes of inputs that travelled.
        bytes_moved: u64,
    },
    /// A run failed for good; what its attempt made is deleted.
    RunFailed {
        /// The run.
        run: RunId,
        /// The attempt; of a run that waits [`super::tables::NO_ATTEMPT`].
        attempt: Generation,
        /// Why.
        reason: String,
    },
    /// A user ends a run.
    CancelRun {
        /// The run.
        run: RunId,
    },
    /// Changes a space.
    Space(SpaceCommand),
    /// What materials live by.
    Life(Life),
}

fn is_default(terms: &Terms) -> bool {
    *terms == Terms::default()
}

impl Command {
    /// The protocol that all coordinators must speak before it is proposed: one that does not know a command, or gives it
    /// another meaning, would come to another state.
    pub fn protocol(&self) -> u32 {
        match self {
            Self::CreateMaterial { terms, .. } | Self::JoinParts { terms, .. } if *terms != Terms::default() => {
                protocol::BELONGING
            }
            Self::Space(_) | Self::Life(_) | Self::Account(_) | Self::CreateRun { owner: Some(_), .. } => {
                protocol::BELONGING
            }
            Self::CreateMaterial { partial: true, .. }
            | Self::CreateMaterial { owner: Some(_), .. }
            | Self::JoinParts { .. }
            | Self::ReleaseParts { .. } => protocol::CONCATENATION,
            Self::CreateMaterial { size_deferred: true, .. }
            | Self::RemoveNode { .. }
            | Self::Rebalance { .. }
            | Self::MoveReplica { .. }
            | Self::ReplicaDamaged { .. } => 2,
            // All of them have said before that they know it.
            Self::RaiseProtocol { .. }
            | Self::Found { .. }
            | Self::RegisterNode { .. }
            | Self::ScheduleNode { .. }
            | Self::SettleNode { .. }
            | Self::CreateMaterial { .. }
            | Self::MoveUpload { .. }
            | Self::UpdateMaterial { .. }
            | Self::DeleteMaterial { .. }
            | Self::AddReplica { .. }
            | Self::ReplicaVerified { .. }
            | Self::DropReplica { .. }
            | Self::ReplicaGone { .. }
            | Self::CreateRun { .. }
            | Self::AssignRun { .. }
            | Self::RequeueRun { .. }
            | Self::RunStarted { .. }
            | Self::RunDone { .. }
            | Self::RunFailed { .. }
            | Self::CancelRun { .. } => protocol::FIRST,
        }
    }

    /// The node that finds an order in the answer to its next heartbeat when this was planned and written: to copy, to
    /// run, or to drop what it has or what has come of it.
    pub fn doer(&self) -> Option<&NodeId> {
        match self {
            Self::AddReplica { node, .. }
            | Self::MoveReplica { node, .. }
            | Self::MoveUpload { node, .. }
            | Self::DropReplica { node, .. }
            | Self::ReplicaGone { node, .. }
            | Self::AssignRun { node, .. } => Some(node),
            _ => None,
        }
    }
}

/// What applying a command answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "applied", rename_all = "snake_case")]
pub enum Outcome {
    /// Done, or there was nothing to do any more.
    Done,
    /// The node.
    Node {
        /// The node.
        node: NodeId,
    },
    /// The material, and the generation of its upload's assignment.
    Material {
        /// The material.
        material: MaterialId,
        /// The upload's assignment.
        generation: Generation,
        /// Whether it was there already (the same `Idempotency-Key`).
        existed: bool,
    },
    /// The run.
    Run {
        /// The run.
        run: RunId,
    },
    /// The user.
    User {
        /// The user.
        user: UserId,
    },
    /// The team.
    Team {
        /// The team.
        team: TeamId,
    },
    /// The case.
    Case {
        /// The case.
        case: CaseId,
    },
    /// The session, which goes on.
    Session {
        /// The session.
        session: SessionId,
        /// Whose it is.
        user: UserId,
    },
    /// A refresh token came a second time: the session was ended.
    Stolen {
        /// Whose it was.
        user: UserId,
    },
    /// A copy was assigned, or a run's attempt.
    Assigned {
        /// Its generation.
        generation: Generation,
    },
    /// The state does not allow it; nothing was changed, but see [`Command::ReplicaVerified`].
    Refused {
        /// The code.
        code: Code,
        /// What, and why.
        detail: String,
    },
}

impl Outcome {
    /// The refusal as a problem.
    ///
    /// # Errors
    /// Where the command was refused.
    pub fn accepted(self) -> Result<Self, Problem> {
        match self {
            Self::Refused { code, detail } => Err(Problem::new(code, detail)),
            outcome => Ok(outcome),
        }
    }
}
