//! Clones: copies pulled from the nodes that have one already.
//!
//! It owns the clones under way. Bytes come from all holders at once, in ranges, and none is written before it is
//! proven; what is durable is not fetched again, whatever happens in between. Where copies should be is decided
//! elsewhere: an order repeats until it is met. What has come of a clone can be read meanwhile.

mod leaves;
mod pull;
mod ranges;
mod sources;

use crate::{
    Node,
    blobs::{Arrived, Blob},
    disk::{NoSpace, Promise},
    incoming::{Expected, Incoming},
    reports::Failing,
    tasks::blocking,
    upload::Uploads,
};
use microtome_proto::{
    Generation, MaterialId,
    internal::{self, ReplicaReport},
};
use parking_lot::Mutex;
use ranges::Ranges;
use sources::Sources;
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Clones that pull at once; more wait.
const PULLING_MAX: usize = 2;
/// Pause after a clone found no source that could serve; doubles up to the second.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(15);

/// The clones under way on this node.
#[derive(Debug)]
pub(crate) struct Clones {
    clones: Mutex<HashMap<MaterialId, Arc<Cloning>>>,
    /// Held while one is admitted or ended, so that no two work in one folder.
    changing: tokio::sync::Mutex<()>,
    slots: Semaphore,
}

/// One clone. It stays in the books as long as its folder is there, whether it pulls or waits for its next order.
#[derive(Debug)]
struct Cloning {
    incoming: Incoming,
    promise: Promise,
    /// Bytes written.
    written: AtomicU64,
    /// Ranges written.
    arrived: Arc<Arrived>,
    /// What is there of it, for readers.
    readable: Option<Arc<Blob>>,
    sources: Sources,
    over: CancellationToken,
    /// Held while it pulls.
    busy: tokio::sync::Mutex<()>,
    pause: Mutex<Option<(Instant, Duration)>>,
}

/// Why a clone did not become a copy.
#[derive(Debug, thiserror::Error)]
enum CloneError {
    /// It was ended, or the node stops.
    #[error("it was ended")]
    Over,
    /// No source has served what is still missing.
    #[error("no source can serve what is missing; the last one: {0}")]
    Sources(String),
    /// There is no room for it.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
}

impl Default for Clones {
    fn default() -> Self {
        Self { clones: Mutex::default(), changing: tokio::sync::Mutex::default(), slots: Semaphore::new(PULLING_MAX) }
    }
}

impl Clones {
    /// How far each is, for the heartbeat.
    pub(crate) fn progress(&self) -> Vec<internal::Incoming> {
        let progress = |cloning: &Arc<Cloning>| internal::Incoming {
            material: cloning.expected().material.clone(),
            generation: cloning.expected().generation,
            offset: cloning.written.load(Ordering::Relaxed),
            check: None,
        };
        self.clones.lock().values().map(progress).collect()
    }

    /// Takes up what a former start left behind; it goes on with its next order. Blocks.
    pub(crate) fn take_up(node: &Node, left_behind: Vec<Incoming>) {
        for incoming in left_behind {
            let durable = Ranges::read(incoming.folder(), incoming.expected().size);
            let promise = node.space.promise_again(incoming.expected().size - durable.bytes());
            node.clones.insert(Cloning::new(node, incoming, promise, &durable));
        }
    }

    /// Carries out an order to copy: returns when the copy is here and reported, or cannot go on for now. An order
    /// that is being carried out already only brings its sources up to date.
    pub(crate) async fn copy(node: &Arc<Node>, wanted: Expected, sources: &[String]) {
        if let Some(blob) = node.blobs.get(&wanted.material) {
            return already_here(node, &blob, &wanted).await;
        }
        if node.is_failing(&wanted.material) {
            // The report that it could not be made may end what is made now.
            return;
        }
        let id = wanted.material.clone();
        let generation = wanted.generation;
        let cloning = match Self::admit(node, wanted).await {
            Ok(Some(cloning)) => cloning,
            Ok(None) => return,
            Err(error) => return refused(node.failing(&id), generation, &error),
        };
        cloning.sources.offer(sources.iter().filter(|url| **url != node.url));
        let Ok(_busy) = cloning.busy.try_lock() else { return };
        if cloning.is_pausing() {
            return;
        }
        match cloning.run(node).await {
            Ok(blob) => {
                node.clones.remove(&cloning);
                let held = blob.manifest().held();
                tracing::info!(material = %id, size = held.size, "a clone is whole and durable");
                let (size, blake3) = (held.size, held.blake3);
                drop(node.report(id, ReplicaReport::Verified { generation, size, blake3 }));
            }
            Err(CloneError::Over) => {}
            Err(error @ CloneError::Sources(_)) => {
                cloning.pause();
                tracing::warn!(material = %id, %error, "a clone waits");
            }
            Err(error @ (CloneError::NoSpace(_) | CloneError::Disk(_))) => {
                if matches!(&error, CloneError::Disk(cause) if cause.kind() == io::ErrorKind::StorageFull) {
                    node.space.met_full();
                }
                let failing = node.failing(&id);
                node.clones.remove(&cloning);
                let discarded = Arc::clone(&cloning);
                let _ = blocking(move || discarded.incoming.discard()).await;
                node.empty_trash();
                refused(failing, generation, &error);
            }
        }
    }

    /// Ends the clone of a material if its generation is at most `generation`: its bytes go to the trash.
    pub(crate) async fn end(node: &Arc<Node>, id: &MaterialId, generation: Generation) -> io::Result<()> {
        let _changing = node.clones.changing.lock().await;
        let Some(cloning) = node.clones.get(id).filter(|cloning| cloning.expected().generation <= generation) else {
            return Ok(());
        };
        cloning.end().await;
        node.clones.remove(&cloning);
        blocking(move || cloning.incoming.discard()).await
    }

    /// The clone for an order: the one under way, one that takes up the bytes of an older assignment, or a new one.
    /// `None` where the order is out of date.
    async fn admit(node: &Arc<Node>, wanted: Expected) -> Result<Option<Arc<Cloning>>, CloneError> {
        let _changing = node.clones.changing.lock().await;
        if let Some(present) = node.clones.get(&wanted.material) {
            let known = present.expected();
            if known.generation >= wanted.generation {
                return Ok((known.generation == wanted.generation).then_some(present));
            }
            present.end().await;
            node.clones.remove(&present);
            if (known.size, &known.blake3) == (wanted.size, &wanted.blake3) {
                let (incoming, durable) = blocking(move || {
                    let incoming = present.incoming.reassigned(wanted)?;
                    let durable = Ranges::read(incoming.folder(), incoming.expected().size);
                    Ok((incoming, durable))
                })
                .await?;
                let promise = node.space.promise_again(incoming.expected().size - durable.bytes());
                return Ok(Some(node.clones.insert(Cloning::new(node, incoming, promise, &durable))));
            }
            blocking(move || present.incoming.discard()).await?;
        }
        if node.uploads.is_newer(&wanted.material, wanted.generation) {
            return Ok(None);
        }
        if Uploads::end(node, &wanted.material, wanted.generation).await? {
            tracing::info!(material = %wanted.material, "an upload gives way to a clone");
        }
        let promise = node.space.promise(wanted.size)?;
        let layout = node.layout.clone();
        let incoming = blocking(move || Incoming::create(&layout, wanted)).await?;
        let none = Ranges::none(incoming.expected().size);
        Ok(Some(node.clones.insert(Cloning::new(node, incoming, promise, &none))))
    }

    /// Nothing is admitted or ended while this is held.
    pub(crate) async fn still(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Whether a clone of a material is under way.
    pub(crate) fn is_under_way(&self, id: &MaterialId) -> bool {
        self.clones.lock().contains_key(id)
    }

    /// What has come of a clone that is under way.
    pub(crate) fn readable(&self, id: &MaterialId) -> Option<Arc<Blob>> {
        self.clones.lock().get(id)?.readable.clone()
    }

    fn get(&self, id: &MaterialId) -> Option<Arc<Cloning>> {
        self.clones.lock().get(id).cloned()
    }

    fn insert(&self, cloning: Cloning) -> Arc<Cloning> {
        let cloning = Arc::new(cloning);
        self.clones.lock().insert(cloning.expected().material.clone(), Arc::clone(&cloning));
        cloning
    }

    fn remove(&self, cloning: &Arc<Cloning>) {
        let mut clones = self.clones.lock();
        if clones.get(&cloning.expected().material).is_some_and(|other| Arc::ptr_eq(other, cloning)) {
            clones.remove(&cloning.expected().material);
        }
        cloning.promise.set_left(0);
        if let Some(blob) = &cloning.readable {
            blob.close();
        }
    }
}

impl Cloning {
    /// One of which the ranges `durable` are there.
    fn new(node: &Node, incoming: Incoming, promise: Promise, durable: &Ranges) -> Self {
        let arrived = durable.arrived();
        let manifest = incoming.expected().blake3.clone().map(|hash| incoming.manifest(hash));
        let arriving = |manifest| node.blobs.arriving(manifest, incoming.folder(), Arc::clone(&arrived));
        Self {
            written: AtomicU64::new(durable.bytes()),
            readable: manifest.and_then(arriving),
            arrived,
            incoming,
            promise,
            sources: Sources::default(),
            over: CancellationToken::new(),
            busy: tokio::sync::Mutex::default(),
            pause: Mutex::default(),
        }
    }

    fn expected(&self) -> &Expected {
        self.incoming.expected()
    }

    /// Waits for a slot, then pulls.
    async fn run(self: &Arc<Self>, node: &Arc<Node>) -> Result<Arc<Blob>, CloneError> {
        let _slot = tokio::select! {
            () = self.over.cancelled() => return Err(CloneError::Over),
            () = node.stop.cancelled() => return Err(CloneError::Over),
            slot = node.clones.slots.acquire() => slot.map_err(io::Error::other)?,
        };
        pull::pull(node, self).await
    }

    /// Ends it, and waits until it has.
    async fn end(&self) {
        self.over.cancel();
        drop(self.busy.lock().await);
    }

    fn set_written(&self, bytes: u64) {
        self.written.store(bytes, Ordering::Relaxed);
        self.promise.set_left(self.expected().size - bytes.min(self.expected().size));
    }

    fn is_pausing(&self) -> bool {
        self.pause.lock().is_some_and(|(since, pause)| since.elapsed() < pause)
    }

    fn pause(&self) {
        let mut pause = self.pause.lock();
        let next = pause.map_or(PAUSE_FIRST, |(_, last)| (last * 2).min(PAUSE_LONGEST));
        *pause = Some((Instant::now(), next));
    }
}

/// The copy was here before, or its report was not heard.
async fn already_here(node: &Arc<Node>, blob: &Arc<Blob>, wanted: &Expected) {
    let held = blob.manifest().held();
    if held.generation > wanted.generation {
        return;
    }
    if Some(&held.blake3) != wanted.blake3.as_ref() {
        tracing::error!(material = %held.material, "the copy here has another hash than the cluster's");
        return;
    }
    if held.generation < wanted.generation {
        let (owner, id, generation) = (Arc::clone(node), held.material.clone(), wanted.generation);
        if let Err(error) = blocking(move || owner.blobs.adopt(&id, generation)).await {
            return refused(node.failing(&held.material), wanted.generation, &error.into());
        }
    }
    let report = ReplicaReport::Verified { generation: wanted.generation, size: held.size, blake3: held.blake3 };
    drop(node.report(held.material, report));
}

fn refused(failing: Failing, generation: Generation, error: &CloneError) {
    tracing::warn!(material = %failing.material(), %error, "a clone cannot be made here");
    failing.failed(generation, error.to_string());
}
