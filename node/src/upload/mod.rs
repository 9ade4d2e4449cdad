//! Uploads: bytes from a client, in order, resumable after any interruption; or from the parts of a file that are copies
//! here.
//!
//! It owns the uploads under way and the rule that one writes at a time: the newest. An offset is told only for what is
//! durable. Of HTTP it knows a request's body
//! alone: requests and answers are `http`'s.

mod check;
mod checksum;
mod complete;
mod expire;
mod fill;
mod join;
mod receive;
mod resume;
mod state;
mod tail;
mod turns;
mod writer;

pub(crate) use checksum::Announced;
pub(crate) use fill::{buffers, too_long};
pub(crate) use state::{Said, Upload};

use crate::{
    Node,
    disk::{self, NoSpace},
    incoming::{Expected, Incoming},
    tasks::blocking,
};
use microtome_proto::{
    Code, Generation, MaterialId, Problem,
    internal::{self, Reserve, SIZE_DEFERRED},
    limits::{CHECKS_TOLD_MAX, UPLOADS_MAX},
};
use parking_lot::RwLock;
use state::State;
use std::{collections::HashMap, io, sync::Arc, time::Duration};

/// Bytes between two checkpoints: what a crash can cost, but for bodies that come with a checksum, which are kept whole or not
/// at all.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Writers are told once more to end after this long.
const END_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The uploads under way on this node.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    uploads: RwLock<HashMap<MaterialId, Arc<Upload>>>,
    /// One that gets nothing for so long ends; never, where this is missing.
    expire_after: Option<Duration>,
    /// Held while one is admitted: an order that comes twice makes one folder.
    admitting: tokio::sync::Mutex<()>,
    /// Held while one is put together from parts: the disk does one after the other faster than two at once.
    joining: tokio::sync::Mutex<()>,
}

impl Uploads {
    /// None yet. One that gets nothing for `expire_after` ends.
    pub(crate) fn new(expire_after: Option<Duration>) -> Self {
        Self { expire_after, ..Self::default() }
    }

    /// The upload of a material, while it is under way.
    pub(crate) fn get(&self, id: &MaterialId) -> Option<Arc<Upload>> {
        self.uploads.read().get(id).cloned()
    }

    /// Whether one of a material is under way under a newer generation than this.
    pub(crate) fn is_newer(&self, id: &MaterialId, generation: Generation) -> bool {
        self.get(id).is_some_and(|upload| upload.expected().generation > generation)
    }

    fn all(&self) -> Vec<Arc<Upload>> {
        self.uploads.read().values().cloned().collect()
    }

    /// How far each is, for the heartbeat.
    pub(crate) fn progress(&self) -> Vec<internal::Incoming> {
        let mut checks = 0;
        let progress = |upload: &Arc<Upload>| internal::Incoming {
            material: upload.expected().material.clone(),
            generation: upload.expected().generation,
            offset: upload.durable(),
            check: upload.check_told().filter(|_| {
                checks += 1;
                checks <= CHECKS_TOLD_MAX
            }),
        };
        self.uploads.read().values().map(progress).collect()
    }

    /// Promises room for an upload and makes its folder, durably. Idempotent. An empty file is complete at once.
    ///
    /// # Errors
    /// `no_space`, only where nothing of it is here: the coordinators may give the upload to another node then;
    /// `stale_generation`, `not_ready` while the coordinators are told what is here, or that the disk fails.
    pub(crate) async fn reserve(node: &Arc<Node>, reserve: Reserve) -> Result<(), Problem> {
        let _admitting = node.uploads.admitting.lock().await;
        let _still = node.clones.still().await;
        if node.clones.is_under_way(&reserve.material) {
            let detail = format!("{} is being copied here under a newer assignment", reserve.material);
            return Err(Problem::new(Code::StaleGeneration, detail));
        }
        if let Some(upload) = node.uploads.get(&reserve.material) {
            let expected = upload.expected();
            // One that had to be told its size may know it by now.
            let same_size = expected.size == reserve.size || reserve.size == SIZE_DEFERRED;
            if expected.generation == reserve.generation && same_size {
                return Ok(());
            }
            if expected.generation >= reserve.generation {
                return Err(Problem::new(
                    Code::StaleGeneration,
                    format!("the upload of {} is assigned under generation {}", reserve.material, expected.generation),
                ));
            }
        }
        // Behind the uploads: one that becomes a copy just now is among the copies before it leaves them.
        if let Some(blob) = node.blobs.get(&reserve.material) {
            return match blob.manifest().generation == reserve.generation {
                true => Ok(()),
                false => Err(Problem::new(
                    Code::NotReady,
                    format!("a copy of {} is here under another assignment", reserve.material),
                )),
            };
        }
        let told = node.has_told.try_read().ok().filter(|told| **told);
        let _told = told.ok_or_else(|| {
            Problem::new(
                Code::NotReady,
                "this node still tells the coordinators what it holds: ask again, or another one",
            )
        })?;
        if node.is_failing(&reserve.material) {
            let detail =
                format!("an upload of {} has failed here, which the coordinators have not heard yet", reserve.material);
            return Err(Problem::new(Code::NotReady, detail));
        }
        Self::end(node, &reserve.material, reserve.generation).await.map_err(|error| disk::problem(&error))?;
        if node.uploads.uploads.read().len() >= UPLOADS_MAX {
            let detail = format!("{UPLOADS_MAX} uploads are under way on this node: finish some, or end them");
            return Err(Problem::new(Code::NoSpace, detail));
        }
        // Where the size is not known there has to be room for some of it.
        let is_deferred = reserve.size == SIZE_DEFERRED;
        let size = if is_deferred { CHECKPOINT_BYTES } else { reserve.size };
        let promise = node.space.promise(size).map_err(|error| no_space(&error))?;
        if is_deferred {
            promise.set_left(0);
        }
        let layout = node.layout.clone();
        let material = reserve.material.clone();
        let made = blocking(move || Incoming::create(&layout, Expected::upload(reserve))).await;
        let made = made.map_err(|error| disk::problem(&error))?;
        let upload = Arc::new(Upload::new(made, promise, Duration::ZERO));
        node.uploads.uploads.write().insert(material, Arc::clone(&upload));
        if upload.size() == 0 {
            upload.offset(node).await?;
        }
        Ok(())
    }

    /// Takes up what a former start left behind. In the background their offsets are proven, those that had all their
    /// bytes become copies, and from then on those end that nobody goes on with.
    pub(crate) fn take_up(node: &Arc<Node>, left_behind: Vec<Incoming>) {
        for incoming in left_behind {
            let left = if incoming.lacks_size() { 0 } else { incoming.size() - incoming.arrived_guess() };
            let promise = node.space.promise_again(left);
            let id = incoming.expected().material.clone();
            let idle = incoming.untouched_for();
            node.uploads.uploads.write().insert(id, Arc::new(Upload::new(incoming, promise, idle)));
        }
        let all = node.uploads.all();
        let node = Arc::clone(node);
        node.tasks.clone().spawn(async move {
            for upload in all {
                if node.stop.is_cancelled() {
                    return;
                }
                let (taken, owner) = (Arc::clone(&upload), Arc::clone(&node));
                let taking = node.tasks.spawn(async move {
                    if let Err(problem) = taken.offset(&owner).await {
                        tracing::warn!(material = %taken.expected().material, %problem, "an upload cannot be taken up");
                    }
                });
                // A check may take long: those that have none to wait for do not wait for it.
                tokio::select! {
                    _ = taking => {}
                    () = upload.checking.begun() => {}
                }
            }
            tokio::join!(expire::run(&node), check_again(&node));
        });
    }

    /// Ends the upload of a material if its generation is at most `generation`: its bytes go to the trash. Answers
    /// whether there was one.
    pub(crate) async fn end(node: &Arc<Node>, id: &MaterialId, generation: Generation) -> io::Result<bool> {
        let Some(upload) = node.uploads.get(id).filter(|upload| upload.expected().generation <= generation) else {
            return Ok(false);
        };
        let mut state = loop {
            // Whoever takes a turn meanwhile has to end, too.
            upload.turns.end_present();
            if let Ok(state) = tokio::time::timeout(END_AGAIN_AFTER, upload.state.lock()).await {
                break state;
            }
        };
        if matches!(*state, State::Ended) {
            return Ok(false);
        }
        upload.clear(node, &mut state).await?;
        Ok(true)
    }
}

async fn check_again(node: &Arc<Node>) {
    if node.checks.is_some() {
        check::again(node).await;
    }
}

fn no_space(error: &NoSpace) -> Problem {
    Problem::new(Code::NoSpace, error.to_string())
}
