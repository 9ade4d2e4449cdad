//! What nodes and coordinators say to each other, under `/internal/v1`. Only tokens with the role `server` may call it.
//!
//! A node pulls: it registers, sends its inventory once after each start, then heartbeats; each answer carries *orders*,
//! which state what should be true of this node and is not yet. Orders repeat until they are met, so a node may lose,
//! refuse or repeat any of them.
//!
//! | call | request | answer |
//! |---|---|---|
//! | coordinator `POST /internal/v1/nodes` | [`Register`] | [`Registered`] |
//! | coordinator `POST /internal/v1/nodes/{id}/inventory/begin` | – | [`Counting`] |
//! | coordinator `POST /internal/v1/nodes/{id}/inventory` | [`Inventory`] | [`Settled`] |
//! | coordinator `POST /internal/v1/nodes/{id}/heartbeat` | [`Heartbeat`] | [`HeartbeatAnswer`] |
//! | coordinator `POST /internal/v1/nodes/{id}/replicas/{material}` | [`ReplicaReport`] | 204 |
//! | coordinator `POST /internal/v1/nodes/{id}/runs/{run}` | [`RunReport`] | 204 |
//! | coordinator `GET /internal/v1/materials/{id}` | – | [`Located`] |
//! | coordinator `POST /internal/v1/materials/{id}/reader` | [`Reader`] | 204, or why not |
//! | node `POST /internal/v1/uploads` | [`Reserve`] | 204, or 507 `no_space` where nothing of it is there |
//! | node `GET /internal/v1/blobs/{id}/leaves` | – | the leaves of the hash tree, 32 bytes a group |
//! | node `GET /internal/v1/blobs/{id}/data` with `Range` | – | bytes of the file |

use crate::{
    CaseId, CoordinatorId, Generation, MaterialId, NodeId, RunId, SessionId,
    material::Owner,
    node::NodeReport,
    run::Progress,
    token::{Bearer, Role},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Not};

/// A node makes itself known, at each of its starts. Idempotent by `instance`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// Random, 32 hexadecimal digits, drawn once and kept in the data folder: who has it is the same node.
    pub instance: String,
    /// The cluster that the data folder belongs to; absent at the first start.
    #[serde(default)]
    pub cluster: Option<crate::ClusterId>,
    /// The node's name.
    pub name: String,
    /// Base URL under which clients and other nodes reach it.
    pub url: String,
    /// Failure domain.
    #[serde(default)]
    pub zone: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Version of its program.
    pub version: String,
    /// The protocol that it speaks.
    #[serde(default = "crate::protocol::untold")]
    pub protocol: u32,
    /// Its first report.
    pub report: NodeReport,
}

/// The answer to [`Register`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// The node's id, the same at every start.
    pub node: NodeId,
    /// The cluster that it now belongs to.
    pub cluster: crate::ClusterId,
    /// How often to heartbeat, in milliseconds.
    pub heartbeat_ms: u64,
    /// All coordinators' base URLs, the leader first.
    pub coordinators: Vec<String>,
    /// The protocol that the coordinator speaks.
    #[serde(default = "crate::protocol::untold")]
    pub protocol: u32,
}

/// A verified copy that a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The material.
    pub material: MaterialId,
    /// The generation under which the copy was made.
    pub generation: Generation,
    /// Its length in bytes.
    pub size: u64,
    /// Its BLAKE3 in hexadecimal.
    pub blake3: String,
}

/// The answer to a node that is about to count what it holds. A page of what it counted is settled only as long as this
/// leader leads and has heard of no change to the node's copies since: a page that was long on its way would take for lost
/// what came in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counting {
    /// To be told with each page.
    pub count: u64,
}

/// A part of what a node holds, in ascending order of materials: at most [`crate::limits::INVENTORY_PAGE_MAX`]
/// entries. A page speaks for all materials after `after` up to its last entry, and up to the end if it is `last`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The last material of the page before; absent on the first.
    #[serde(default)]
    pub after: Option<MaterialId>,
    /// Whole copies.
    pub held: Vec<Held>,
    /// Whether it is the last page.
    pub last: bool,
    /// Uploads and clones under way on the node, on the last page only: their assignments stand.
    #[serde(default)]
    pub incoming: Vec<(MaterialId, Generation)>,
    /// See [`Counting`]; nodes that speak the first protocol have none.
    #[serde(default)]
    pub count: Option<u64>,
}

/// The answer to [`Inventory`]: what the node holds and should not. All else that it told stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Copies and incoming ones to be dropped now: their material is deleted, or counted elsewhere.
    pub drop: Vec<MaterialId>,
}

/// A node is alive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// See [`Register::instance`].
    pub instance: String,
    /// How it does.
    pub report: NodeReport,
    /// Uploads and clones under way: bytes that are durable of each.
    #[serde(default)]
    pub incoming: Vec<Incoming>,
    /// Copies that count as whole and of which something is damaged and not mended yet, in ascending order of materials;
    /// at most [`crate::limits::DAMAGED_MAX`].
    #[serde(default)]
    pub damaged: Vec<(MaterialId, Generation)>,
    /// Runs under way.
    #[serde(default)]
    pub runs: Vec<RunBeat>,
    /// Who reads what there; nodes before [`crate::protocol::BELONGING`] do not tell it.
    #[serde(default, skip_serializing_if = "Uses::is_none")]
    pub uses: Uses,
    /// The version of the tokens taken back that it knows; 0 of one that knows none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub revoked_version: u64,
}

fn is_none(version: &u64) -> bool {
    *version == 0
}

/// What is read on a node, so that nothing ends that somebody uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// Materials that were read since the coordinators last said that they need not hear it again; at most
    /// [`crate::limits::USES_MAX`].
    #[serde(default)]
    pub read: Vec<Read>,
    /// Materials of which a download is under way just now; at most [`crate::limits::USES_MAX`].
    #[serde(default)]
    pub open: Vec<MaterialId>,
    /// Whether more was read.
    #[serde(default)]
    pub more_read: bool,
    /// Whether more is being downloaded.
    #[serde(default)]
    pub more_open: bool,
    /// For how long the node has known of all reads, in milliseconds: over proper stops, and since it was killed last.
    #[serde(default)]
    pub known_for_ms: u64,
}

/// A material was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// The material.
    pub material: MaterialId,
    /// How long ago, at least: milliseconds of the node's own clock.
    pub ago_ms: u64,
}

impl Uses {
    /// Whether there is nothing to tell.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Somebody whose token a node has proven, and whose rights stand in the books.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reader {
    /// What kind of bearer.
    pub role: Role,
    /// The token's subject.
    pub name: String,
    /// The space that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The login that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl From<&Bearer> for Reader {
    fn from(bearer: &Bearer) -> Self {
        let Bearer { role, name, space, session, .. } = bearer.clone();
        Self { role, name, space, session }
    }
}

/// How far an upload or clone is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The material.
    pub material: MaterialId,
    /// The assignment's generation.
    pub generation: Generation,
    /// Bytes written.
    pub offset: u64,
    /// What the file waits for though all of it has come: its check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunBeat {
    /// The run.
    pub run: RunId,
    /// Its attempt.
    pub attempt: Generation,
    /// How far it is.
    pub progress: Progress,
    /// Bytes of inputs that had to travel to this node.
    pub bytes_moved: u64,
}

/// The answer to [`Heartbeat`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// All coordinators' base URLs, the leader first.
    pub coordinators: Vec<String>,
    /// Who leads.
    pub leader: CoordinatorId,
    /// Whether the leader wants the node's inventory (again).
    #[serde(default)]
    pub inventory_wanted: bool,
    /// Of the materials that it told as read those of which it is to tell again: it is not in the books yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads_due: Vec<MaterialId>,
    /// What should be true and is not yet; at most [`crate::limits::ORDERS_MAX`].
    pub orders: Vec<Order>,
    /// The tokens that were taken back, where the node knows another version of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<RevokedTokens>,
}

/// Tokens that were taken back and have not ended by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedTokens {
    /// Their version.
    pub version: u64,
    /// BLAKE3 of each, in hexadecimal; at most [`crate::limits::REVOKED_MAX`].
    pub tokens: Vec<String>,
}

/// What a node is to do. Every order is idempotent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Pull a copy from any of the sources, then report [`ReplicaReport::Verified`].
    Copy {
        /// The material.
        material: MaterialId,
        /// The assignment's generation.
        generation: Generation,
        /// Length in bytes.
        size: u64,
        /// BLAKE3 in hexadecimal.
        blake3: String,
        /// The material's name and media type, for the manifest.
        name: String,
        /// See [`Order::Copy::name`].
        media_type: String,
        /// Base URLs of the nodes that hold verified copies and answer.
        sources: Vec<String>,
        /// See [`Reserve::concat`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        concat: Option<String>,
        /// See [`Reserve::owner`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
    /// Put a file together from parts that are all here, then report [`ReplicaReport::Verified`]. Only nodes that speak
    /// [`crate::protocol::CONCATENATION`] get it.
    Join {
        /// What is to be: as it was reserved, or is to be reserved now where nothing of it is here.
        #[serde(flatten)]
        wanted: Reserve,
        /// The parts, in order.
        parts: Vec<MaterialId>,
    },
    /// Free the copy (or the half of one), then report [`ReplicaReport::Dropped`].
    Drop {
        /// The material.
        material: MaterialId,
        /// The generation of the assignment that ends. A copy of a newer generation stays.
        generation: Generation,
    },
    /// Carry out a run, then report [`RunReport`].
    Run {
        /// The run.
        run: RunId,
        /// The attempt's generation.
        attempt: Generation,
        /// The pipeline.
        pipeline: String,
        /// Its inputs.
        inputs: Vec<MaterialId>,
        /// Its parameters.
        parameters: serde_json::Value,
    },
    /// Stop a run's attempt without reporting it: it was cancelled or given to another node.
    Stop {
        /// The run.
        run: RunId,
        /// The attempt's generation.
        attempt: Generation,
    },
}

/// What became of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum ReplicaReport {
    /// The copy is whole, durable and verified.
    Verified {
        /// The assignment's generation.
        generation: Generation,
        /// Length in bytes.
        size: u64,
        /// BLAKE3 in hexadecimal.
        blake3: String,
    },
    /// The copy was freed.
    Dropped {
        /// The generation of the order.
        generation: Generation,
    },
    /// The copy cannot be made here (no room, a broken disk) or was lost.
    Failed {
        /// The assignment's generation.
        generation: Generation,
        /// Why, for the operator.
        reason: String,
    },
    /// All of an upload has come, and the operator's check refuses it: its material ends. Only coordinators that speak
    /// [`crate::protocol::BELONGING`] are told so.
    Refused {
        /// The assignment's generation.
        generation: Generation,
        /// Why, for its sender.
        reason: String,
    },
}

/// What became of a run's attempt. The first report of the present attempt counts; later ones are refused with
/// `stale_generation`, and the node then deletes what the attempt made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum RunReport {
    /// Its program has started.
    Started {
        /// The attempt.
        attempt: Generation,
    },
    /// Its outputs are durable materials.
    Done {
        /// The attempt.
        attempt: Generation,
        /// What it made.
        outputs: Vec<crate::run::Output>,
        /// What it found.
        result: serde_json::Value,
        /// Bytes of inputs that had to travel to the node.
        bytes_moved: u64,
    },
    /// It failed by its own fault; it is not tried again.
    Failed {
        /// The attempt.
        attempt: Generation,
        /// Why, for the user.
        reason: String,
    },
    /// The node cannot carry it out (no input here any more, stopping): another may.
    Refused {
        /// The attempt.
        attempt: Generation,
        /// Why, for the operator.
        reason: String,
    },
}

/// The length of an upload whose sender tells it later. A node that does not know of such uploads has no room for it.
pub const SIZE_DEFERRED: u64 = u64::MAX;

/// The coordinator reserves room for an upload on a node before it names the node to the client. Idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// The material.
    pub material: MaterialId,
    /// The assignment's generation.
    pub generation: Generation,
    /// Length in bytes, or [`SIZE_DEFERRED`].
    pub size: u64,
    /// The material's name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// The hash that the bytes must have, where the sender announced one.
    #[serde(default)]
    pub blake3: Option<String>,
    /// The header `Upload-Concat` that it was created with, for those who ask: [`crate::tus::PARTIAL`], or that of a file
    /// which is put together and takes no bytes from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concat: Option<String>,
    /// Whose upload it is, where it is not an administrator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The header `Upload-Metadata` that it was created with, for those who ask; none where it is longer than
    /// [`crate::limits::UPLOAD_METADATA_KEPT_LEN_MAX`], or where the node is told anew by the books, which do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// What the node's check is told of it, beside the above.
    #[serde(default, skip_serializing_if = "Belonging::is_none")]
    pub belonging: Belonging,
}

/// Where an upload comes from and belongs, as far as the node that receives it has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Belonging {
    /// The space that it is to lie in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// The case that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseId>,
    /// Whether a run makes it: what comes from the cluster itself is not checked.
    #[serde(skip_serializing_if = "Not::not")]
    pub is_output: bool,
}

impl Belonging {
    /// Whether there is nothing to tell.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Reserve {
    /// Whether it is put together from parts.
    pub fn is_final(&self) -> bool {
        self.concat.as_deref().is_some_and(crate::tus::is_final)
    }
}

/// Where a material's bytes can be read just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located {
    /// Base URLs of live nodes with a verified copy, the least loaded first.
    pub holders: Vec<String>,
    /// Base URL of the node that receives its upload, or puts it together, while it does.
    #[serde(default)]
    pub receiving: Option<String>,
    /// Whether it is to be put together from parts: it is there, also where no node has anything of it yet.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub joining: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{
        CHECK_TOLD_LEN_MAX, CHECKS_TOLD_MAX, CONTROL_BODY_LEN_MAX, DAMAGED_MAX, INVENTORY_PAGE_MAX, ORDERS_MAX,
        UPLOADS_MAX, USES_MAX,
    };

    #[test]
    fn an_order_to_join_goes_there_and_back() {
        let wanted = Reserve {
            material: "m-a".parse().unwrap(),
            generation: Generation(7),
            size: 1 << 40,
            name: "a.svs".to_owned(),
            media_type: "image/tiff".to_owned(),
            blake3: None,
            concat: Some("final;/v1/uploads/m-b".to_owned()),
            owner: None,
            metadata: None,
            belonging: Belonging::default(),
        };
        assert!(wanted.is_final());
        let order = Order::Join { wanted, parts: vec!["m-b".parse().unwrap()] };
        let json = serde_json::to_value(&order).unwrap();
        assert_eq!(
            (&json["order"], &json["material"], &json["size"]),
            (&"join".into(), &"m-a".into(), &(1_u64 << 40).into())
        );
        assert_eq!(serde_json::from_value::<Order>(json).unwrap(), order);
    }

    /// A body of which a coordinator takes too little would silence the node that sends it.
    #[test]
    fn the_most_that_a_node_tells_is_taken() {
        let (material, generation) = ("m-0123456789".parse::<MaterialId>().unwrap(), Generation(u64::MAX >> 16));
        let check = Some("\"".repeat(CHECK_TOLD_LEN_MAX));
        let incoming = Incoming { material: material.clone(), generation, offset: 1 << 40, check: None };
        let checked = Incoming { check, ..incoming.clone() };
        let read = Read { material: material.clone(), ago_ms: u64::MAX };
        let uses = Uses {
            read: vec![read; USES_MAX],
            open: vec![material.clone(); USES_MAX],
            more_read: true,
            more_open: true,
            known_for_ms: u64::MAX,
        };
        let progress = Progress { value: 0.123_456_789, label: "x".repeat(100) };
        let run = RunBeat { run: "r-0123456789".parse().unwrap(), attempt: generation, progress, bytes_moved: 1 << 40 };
        let beat = Heartbeat {
            instance: "f".repeat(32),
            report: NodeReport::default(),
            incoming: [vec![incoming; UPLOADS_MAX + ORDERS_MAX], vec![checked; CHECKS_TOLD_MAX]].concat(),
            damaged: vec![(material.clone(), generation); DAMAGED_MAX],
            runs: vec![run; ORDERS_MAX],
            uses,
            revoked_version: u64::MAX,
        };
        let held = Held { material: material.clone(), generation, size: 1 << 40, blake3: "f".repeat(64) };
        let page = Inventory {
            after: Some(material.clone()),
            held: vec![held; INVENTORY_PAGE_MAX],
            last: true,
            incoming: vec![(material, generation); UPLOADS_MAX + ORDERS_MAX],
            count: Some(u64::MAX),
        };
        for bytes in [serde_json::to_vec(&beat).unwrap(), serde_json::to_vec(&page).unwrap()] {
            assert!(bytes.len() < CONTROL_BODY_LEN_MAX, "{}", bytes.len());
        }
    }
}
