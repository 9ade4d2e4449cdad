//! What all parts of a node share.

use crate::{
    blobs::{Blob, Blobs},
    check::Checks,
    clone::Clones,
    disk::{self, Layout, Space},
    http::Locator,
    identity::Identity,
    pixels::Pixels,
    readers::Readers,
    runs::Runs,
    scrub::Scrub,
    upload::Uploads,
};
use microtome_client::Cluster;
use microtome_proto::{MaterialId, NodeId};
use microtome_server::{Auth, Metrics, Tls};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64},
    },
    time::Instant,
};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A running node.
pub(crate) struct Node {
    /// Who it is.
    pub(crate) identity: Identity,
    /// Base URL under which clients and other nodes reach it.
    pub(crate) url: String,
    /// What lies where.
    pub(crate) layout: Layout,
    /// The room that is left.
    pub(crate) space: Arc<Space>,
    /// Whole copies.
    pub(crate) blobs: Blobs,
    /// Whether something is here that the coordinators do not know what to do with: they are to be told all once more.
    pub(crate) differs: AtomicBool,
    /// Notified when a coordinator says that it has orders.
    pub(crate) orders_due: Notify,
    /// Uploads under way.
    pub(crate) uploads: Uploads,
    /// Whether the coordinators have heard all that is here. Written while they are told, and read while an upload is
    /// admitted: what came in between would be taken for lost.
    pub(crate) has_told: tokio::sync::RwLock<bool>,
    /// Materials whose copies have ended without being one, while the coordinators have not heard of it.
    pub(crate) failing: Mutex<HashSet<MaterialId>>,
    /// Who reads what.
    pub(crate) readers: Mutex<Readers>,
    /// Checks what was uploaded, where the operator wants that.
    pub(crate) checks: Option<Checks>,
    /// The protocol of the coordinator that it registered with.
    pub(crate) spoken: AtomicU32,
    /// Clones under way.
    pub(crate) clones: Clones,
    /// Opened slides and ready pictures.
    pub(crate) pixels: Pixels,
    /// Runs under way.
    pub(crate) runs: Runs,
    /// Walks over all copies.
    pub(crate) scrub: Scrub,
    /// Knows where other materials are.
    pub(crate) locator: Locator,
    /// The coordinators, asked with a server's token.
    pub(crate) cluster: Cluster,
    /// Checks and makes tokens.
    pub(crate) auth: Auth,
    /// What is encrypted, and by which certificate.
    pub(crate) tls: Tls,
    /// The node's metrics.
    pub(crate) metrics: Metrics,
    /// Requests being answered just now.
    pub(crate) requests_active: AtomicU32,
    /// Tiles answered since start.
    pub(crate) tiles_served: AtomicU64,
    /// When the node was started.
    pub(crate) started: Instant,
    /// Cancelled when the node stops.
    pub(crate) stop: CancellationToken,
    /// Work that outlives its request and must end before the program does.
    pub(crate) tasks: TaskTracker,
}

impl Node {
    /// The node's id; `None` before it was first registered.
    pub(crate) fn id(&self) -> Option<NodeId> {
        self.identity.node()
    }

    /// What users can read of a material here: a whole copy, or what has come of a clone. Who asks for it uses it.
    pub(crate) fn readable(&self, id: &MaterialId) -> Option<Arc<Blob>> {
        let blob = self.blobs.get(id).or_else(|| self.clones.readable(id));
        blob.filter(|blob| !blob.manifest().is_partial()).inspect(|blob| blob.note_read())
    }

    /// Whether what is here of a material is a part of a file that is put together: there is nothing to read then.
    pub(crate) fn hides(&self, id: &MaterialId) -> bool {
        self.blobs.get(id).is_some_and(|blob| blob.manifest().is_partial())
    }

    /// Deletes in the background what is in the trash.
    pub(crate) fn empty_trash(&self) {
        let layout = self.layout.clone();
        drop(self.tasks.spawn_blocking(move || disk::empty_trash(&layout)));
    }
}
