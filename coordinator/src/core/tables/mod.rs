//! The tables of the replicated state.
//!
//! Facts: [`Meta`], [`Nodes`], [`Instances`], [`Materials`] (each with its replicas, so that one record tells where a
//! material stands), [`Runs`], [`Requests`]; [`Users`], [`Sessions`], [`Teams`], [`Cases`], [`Revoked`], [`Audit`];
//! [`Spaces`], [`Keys`]. All others are indexes and sums that `apply` keeps as a pure function of
//! the facts; reading them is how planning stays clear of walking everything.
//!
//! Lists that people read come newest first: [`MaterialsByAge`] and [`Runs`] are keyed by the inverted counter. Queues
//! come oldest first: [`WaitingRuns`].

macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $tag:literal, $key:ty => $record:ty, |$k:ident| $encode:expr, |$b:ident| $decode:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Table for $name {
            const TAG: u8 = $tag;
            type Key = $key;
            type Record = $record;

            fn encode($k: &Self::Key) -> Vec<u8> {
                $encode
            }

            fn decode($b: &[u8]) -> Option<Self::Key> {
                $decode
            }
        }
    };
}

mod accounts;
mod life;
mod spaces;

pub use accounts::*;
pub use life::*;
pub use spaces::*;

use super::{keys, view::Table};
use microtome_proto::{
    CaseId, ClusterId, Generation, MaterialId, NodeId, RunId, TeamId, Timestamp, UserId,
    internal::Belonging,
    limits::MATERIAL_SIZE_MAX,
    material::{Origin, Owner, ReplicaState, Terms},
    node::{Lifecycle, Scheduling},
    protocol,
    run::{Output, RunState},
    tus,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Not};

/// The cluster's identity, the counters behind all ids, and sums over everything. One record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MetaRecord {
    /// The cluster's id, once it is founded.
    pub cluster: Option<ClusterId>,
    /// Its name.
    pub name: String,
    /// The last node's counter. Counters only grow: what was used once is never given out again.
    pub node_last: u64,
    /// The last material's counter.
    pub material_last: u64,
    /// The last run's counter.
    pub run_last: u64,
    /// The last generation, of replicas and attempts alike.
    pub generation_last: u64,
    /// The last user's counter.
    #[serde(skip_serializing_if = "is_default")]
    pub user_last: u64,
    /// The last team's counter.
    #[serde(skip_serializing_if = "is_default")]
    pub team_last: u64,
    /// The last case's counter.
    #[serde(skip_serializing_if = "is_default")]
    pub case_last: u64,
    /// The last entry's counter in the trail of who did what.
    #[serde(skip_serializing_if = "is_default")]
    pub audit_last: u64,
    /// Grows with each change of the tokens that were taken back: whoever has heard of it knows all of them.
    #[serde(skip_serializing_if = "is_default")]
    pub revoked_version: u64,
    /// Materials that are not deleted, parts of others left out.
    pub materials: u64,
    /// Their bytes, each counted once.
    pub bytes: u64,
    /// The protocol that all coordinators speak; 0 before it was first raised, see [`MetaRecord::protocol`].
    #[serde(skip_serializing_if = "is_default")]
    pub raised_to: u32,
    /// Since when copies are moved so that nodes are equally full; none where nobody wants it, or it has come to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebalancing_since: Option<Timestamp>,
}

impl MetaRecord {
    /// The protocol by which the coordinators work: commands that need a higher one are not proposed.
    pub fn protocol(&self) -> u32 {
        self.raised_to.max(protocol::FIRST)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A node that was ever registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Drawn once by the node and kept in its data folder.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// Its base URL.
    pub url: String,
    /// Its failure domain.
    #[serde(default)]
    pub zone: Option<String>,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Its program's version.
    pub version: String,
    /// Whether it is given work.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// Whether it belongs to the cluster.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// When it joined.
    pub registered_at: Timestamp,
}

/// What is counted on a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TotalsRecord {
    /// Verified copies.
    pub replicas: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A copy of a material on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaRecord {
    /// The node: at most one copy on each.
    pub node: NodeId,
    /// Where the copy stands.
    pub state: ReplicaState,
    /// Its assignment.
    pub generation: Generation,
    /// The node whose copy it takes the place of, while that one is there: a move for the balance's sake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<NodeId>,
}

impl ReplicaRecord {
    /// A copy that takes no other one's place.
    pub fn new(node: &NodeId, state: ReplicaState, generation: Generation) -> Self {
        Self { node: node.clone(), state, generation, replaces: None }
    }
}

/// What a material has to do with files that are put together from parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Concat {
    /// A part. It is shown to nobody, has one copy, and goes with the file that takes it up.
    Partial {
        /// The file, while it is not put together yet: nothing else may take the part from it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_by: Option<MaterialId>,
    },
    /// A file that is put together, or was.
    Final {
        /// Its parts, in order; none any more once it is whole.
        parts: Vec<MaterialId>,
        /// The header `Upload-Concat` as its sender gave it.
        given: String,
    },
}

/// A material and its copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaterialRecord {
    /// Its counter: how materials are told apart by age.
    pub sequence: u64,
    /// Its name.
    pub name: String,
    /// Bytes; 0 while [`lacks_size`](Self::lacks_size).
    pub size: u64,
    /// Whether its sender told only later how many.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub size_deferred: bool,
    /// Its media type.
    pub media_type: String,
    /// The hash that its sender announced.
    #[serde(default)]
    pub announced: Option<String>,
    /// Its hash, since its first copy was verified.
    #[serde(default)]
    pub blake3: Option<String>,
    /// Copies wanted.
    pub population: u32,
    /// The run's attempt that made it.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// Whether it is a part, or put together from parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concat: Option<Concat>,
    /// Whose upload it is, where it is not an administrator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Where it belongs, and how long it lives.
    #[serde(default, skip_serializing_if = "is_default")]
    pub terms: Terms,
    /// When somebody read it last, as far as the books were told: of materials that end when they lie idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// The `Idempotency-Key` that it was created with.
    #[serde(default)]
    pub request: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was deleted; its record goes with the last copy.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
    /// Its copies, in the order of their assignment.
    #[serde(default)]
    pub replicas: Vec<ReplicaRecord>,
}

impl MaterialRecord {
    /// Whether it is not known yet how many bytes it has: what its first copy has then.
    pub fn lacks_size(&self) -> bool {
        self.size_deferred && self.blake3.is_none()
    }

    /// Whether a copy of so many bytes may be one of it.
    pub(crate) fn may_have(&self, size: u64) -> bool {
        size == self.size || (self.lacks_size() && size <= MATERIAL_SIZE_MAX)
    }

    /// Its copy on a node.
    pub fn replica(&self, node: &NodeId) -> Option<&ReplicaRecord> {
        self.replicas.iter().find(|replica| replica.node == *node)
    }

    /// Its copies that are whole and proven, on any node.
    pub fn verified(&self) -> impl Iterator<Item = &ReplicaRecord> {
        self.replicas.iter().filter(|replica| replica.state == ReplicaState::Verified)
    }

    /// Its copies that bytes can be read from: those that are verified, and then those that are whole but for some damage.
    pub fn readable(&self) -> impl Iterator<Item = &ReplicaRecord> {
        self.verified().chain(self.replicas.iter().filter(|replica| replica.state == ReplicaState::Damaged))
    }

    /// The copy that its upload goes to.
    pub fn receiving(&self) -> Option<&ReplicaRecord> {
        self.replicas.iter().find(|replica| replica.state == ReplicaState::Receiving)
    }

    /// Whether it was deleted.
    pub fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// Whether it is a part of a file, and shown to nobody.
    pub fn is_partial(&self) -> bool {
        matches!(self.concat, Some(Concat::Partial { .. }))
    }

    /// The file that has taken it up as a part, and is not whole yet.
    pub fn taken_by(&self) -> Option<&MaterialId> {
        match &self.concat {
            Some(Concat::Partial { taken_by }) => taken_by.as_ref(),
            _ => None,
        }
    }

    /// The parts that it is to be put together from: its sender was told that it will be. None where it is whole, was
    /// deleted, or is a file like others.
    pub fn joining(&self) -> Option<&[MaterialId]> {
        match &self.concat {
            Some(Concat::Final { parts, .. }) if self.blake3.is_none() && !self.is_deleted() => Some(parts),
            _ => None,
        }
    }

    /// What the node that receives it is told for its check.
    pub fn belonging(&self) -> Belonging {
        let Terms { space, case, .. } = self.terms.clone();
        Belonging { space, case, is_output: self.origin.is_some() }
    }

    /// The header `Upload-Concat` that its uploads tell.
    pub fn concat_header(&self) -> Option<String> {
        match &self.concat {
            Some(Concat::Partial { .. }) => Some(tus::PARTIAL.to_owned()),
            Some(Concat::Final { given, .. }) => Some(given.clone()),
            None => None,
        }
    }

    /// Whether the books hold exactly the copies wanted, all verified: nothing is left to do unless a node is lost.
    pub fn is_settled(&self) -> bool {
        !self.is_deleted()
            && self.replicas.len() == self.population as usize
            && self.verified().count() == self.replicas.len()
    }
}

/// A copy that is on its way to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivingRecord {
    /// Its assignment.
    pub generation: Generation,
    /// Bytes of the whole material.
    pub size: u64,
    /// Whether nodes pull it; otherwise a client sends it.
    pub copying: bool,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The pipeline.
    pub pipeline: String,
    /// The user's name for it.
    pub name: String,
    /// Its inputs.
    pub inputs: Vec<MaterialId>,
    /// Its parameters.
    pub parameters: serde_json::Value,
    /// Who submitted it, where it was no administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Where it stands.
    pub state: RunState,
    /// The node of the present or last attempt; none while it waits.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// The present or last attempt; [`NO_ATTEMPT`] while it waits.
    pub attempt: Generation,
    /// How many attempts there have been.
    #[serde(default)]
    pub attempts: u32,
    /// Materials that the present attempt has created: deleted with it unless it publishes them.
    #[serde(default)]
    pub made: Vec<MaterialId>,
    /// What it published.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// What it found.
    #[serde(default)]
    pub result: Option<serde_json::Value>,
    /// Why it failed, or why it waits again.
    #[serde(default)]
    pub reason: Option<String>,
    /// Bytes of inputs that travelled.
    #[serde(default)]
    pub bytes_moved: u64,
    /// The `Idempotency-Key` that it was created with.
    #[serde(default)]
    pub request: Option<String>,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When the present attempt was assigned.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}

/// Stands for the attempt of a run that waits: generations from the log begin at 1.
pub const NO_ATTEMPT: Generation = Generation(0);

/// What an `Idempotency-Key` was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum RequestRecord {
    /// A material.
    Material(MaterialId),
    /// A run.
    Run(RunId),
    /// A user.
    User(UserId),
    /// A team.
    Team(TeamId),
    /// A case.
    Case(CaseId),
}

table!(
    /// The one record about the cluster.
    Meta, b'0', () => MetaRecord, |_key| Vec::new(), |bytes| bytes.is_empty().then_some(())
);
table!(
    /// All nodes ever registered, in the order of their registration.
    Nodes, b'n', NodeId => NodeRecord, |id| keys::node(id), |bytes| keys::whole(keys::take_node(bytes))
);
table!(
    /// Which node an instance is.
    Instances, b'i', String => NodeId,
    |instance| instance.as_bytes().to_vec(), |bytes| String::from_utf8(bytes.to_vec()).ok()
);
table!(
    /// Sum: what is counted on a node.
    Totals, b't', NodeId => TotalsRecord, |id| keys::node(id), |bytes| keys::whole(keys::take_node(bytes))
);
table!(
    /// All materials with their copies, deleted ones until the last copy is freed.
    Materials, b'm', MaterialId => MaterialRecord,
    |id| keys::material(id), |bytes| keys::whole(keys::take_material(bytes))
);
table!(
    /// Index: materials by their counter, the newest first, without [parts](MaterialRecord::is_partial).
    MaterialsByAge, b'a', u64 => MaterialId,
    |sequence| keys::newest_first(*sequence), |bytes| keys::decode_newest_first(bytes)
);
table!(
    /// Index: materials that have a copy on a node, in any state.
    OnNode, b'o', (NodeId, MaterialId) => (), |key| pair(&key.0, &key.1), |bytes| take_pair(bytes)
);
table!(
    /// Index: copies that are on their way to a node.
    Arriving, b'+', (NodeId, MaterialId) => ArrivingRecord, |key| pair(&key.0, &key.1), |bytes| take_pair(bytes)
);
table!(
    /// Index: copies that a node is to free, each with its assignment.
    Leaving, b'-', (NodeId, MaterialId) => Generation, |key| pair(&key.0, &key.1), |bytes| take_pair(bytes)
);
table!(
    /// Index: damaged copies on a node, each with its assignment.
    Damaged, b'!', (NodeId, MaterialId) => Generation, |key| pair(&key.0, &key.1), |bytes| take_pair(bytes)
);
table!(
    /// Index: materials that are not [`MaterialRecord::is_settled`].
    Unsettled, b'u', MaterialId => (),
    |id| keys::material(id), |bytes| keys::whole(keys::take_material(bytes))
);
table!(
    /// Index: files that are to be put together, see [`MaterialRecord::joining`].
    Joining, b'j', MaterialId => (),
    |id| keys::material(id), |bytes| keys::whole(keys::take_material(bytes))
);
table!(
    /// All runs, the newest first.
    Runs, b'r', RunId => RunRecord, |id| keys::run_newest_first(id), |bytes| keys::decode_run_newest_first(bytes)
);
table!(
    /// Index: runs that wait for a node, the oldest first.
    WaitingRuns, b'w', RunId => (), |id| keys::run(id), |bytes| keys::whole(keys::take_run(bytes))
);
table!(
    /// Index: runs that a node is to carry out, each with its attempt.
    RunsOnNode, b'x', (NodeId, RunId) => Generation,
    |key| [keys::node(&key.0), keys::run(&key.1)].concat(),
    |bytes| {
        let (node, rest) = keys::take_node(bytes)?;
        Some((node, keys::whole(keys::take_run(rest))?))
    }
);
table!(
    /// What each `Idempotency-Key` was used for. Goes with the thing that it made.
    Requests, b'q', String => RequestRecord,
    |key| key.as_bytes().to_vec(), |bytes| String::from_utf8(bytes.to_vec()).ok()
);

fn pair(node: &NodeId, material: &MaterialId) -> Vec<u8> {
    [keys::node(node), keys::material(material)].concat()
}

fn take_pair(bytes: &[u8]) -> Option<(NodeId, MaterialId)> {
    let (node, rest) = keys::take_node(bytes)?;
    Some((node, keys::whole(keys::take_material(rest))?))
}
