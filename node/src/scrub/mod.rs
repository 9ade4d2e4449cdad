//! The scrub: a slow walk over every byte that lies here, to find and mend what the disk changed before anybody asks for it.
//!
//! It owns the rhythm and the progress. What is damaged is mended as a read would; what cannot be mended stays noted, and is
//! tried again by [`mending`](crate::mending).

mod progress;

use crate::{
    Node,
    blobs::{Blob, Walk},
    mending,
    tasks::blocking,
};
use microtome_proto::{Timestamp, node::ScrubReport};
use parking_lot::Mutex;
use progress::Progress;
use std::{
    io,
    ops::Range,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// Groups read at once: 1 MiB.
const GROUPS_AT_ONCE: u64 = 64;
/// How often progress is written down.
const SAVED_EVERY: Duration = Duration::from_secs(30);
/// How long the checksums of what was found right are kept while a copy stays open.
const RIGHT_FOR: Duration = Duration::from_secs(15 * 60);
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// How fast and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knobs {
    /// Bytes read a second; 0 for no scrub at all.
    pub(crate) bytes_per_s: u64,
    /// From the start of one round to the next.
    pub(crate) every: Duration,
}

/// The scrub of a node.
#[derive(Debug)]
pub(crate) struct Scrub {
    path: PathBuf,
    progress: Mutex<Progress>,
}

impl Scrub {
    /// Goes on from what is written down at `path`. Blocks.
    pub(crate) fn open(path: PathBuf) -> Self {
        Self { progress: Mutex::new(Progress::load(&path)), path }
    }

    /// How far it is, where the node has `total` bytes.
    pub(crate) fn report(&self, total: u64) -> Option<ScrubReport> {
        self.progress.lock().report(total)
    }

    async fn save(&self) {
        let (path, progress) = (self.path.clone(), self.progress.lock().clone());
        if let Err(error) = blocking(move || progress.save(&path)).await {
            tracing::warn!(%error, "the scrub's progress cannot be written down; after a restart it begins again");
        }
    }
}

/// Has groups that were found right long ago checked again when they are read next.
pub(crate) async fn forget(node: Arc<Node>) {
    let mut ticks = tokio::time::interval(FORGET_EVERY);
    loop {
        tokio::select! {
            () = node.stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let owner = Arc::clone(&node);
        let closed = blocking(move || {
            owner.blobs.close_opened_before(RIGHT_FOR);
            Ok(())
        });
        if let Err(error) = closed.await {
            tracing::error!(%error, "open copies cannot be closed");
        }
    }
}

/// Walks round after round until the node stops.
pub(crate) async fn run(node: Arc<Node>, knobs: Knobs) {
    if knobs.bytes_per_s == 0 {
        tracing::warn!("scrubbing is off: what the disk changes is noticed only when it is read");
        return;
    }
    let mut pace = Pace { bytes_per_s: knobs.bytes_per_s, saved: Instant::now() };
    loop {
        let due_in = {
            let progress = node.scrub.progress.lock();
            if progress.is_under_way() { Duration::ZERO } else { progress.due_in(Timestamp::now(), knobs.every) }
        };
        tokio::select! {
            () = node.stop.cancelled() => return,
            () = tokio::time::sleep(due_in) => {}
        }
        tokio::select! {
            () = node.stop.cancelled() => return node.scrub.save().await,
            () = round(&node, &mut pace) => {}
        }
        node.scrub.save().await;
    }
}

async fn round(node: &Arc<Node>, pace: &mut Pace) {
    let is_new = {
        let mut progress = node.scrub.progress.lock();
        let is_new = !progress.is_under_way();
        if is_new {
            progress.begin(Timestamp::now());
        }
        is_new
    };
    if is_new {
        tracing::info!("a scrub of all copies begins");
    }
    // Copies that come meanwhile are for the next round.
    let rest = node.scrub.progress.lock().rest(node.blobs.ids());
    for (id, from) in rest {
        let Some(blob) = node.blobs.get(&id) else { continue };
        if let Err(error) = walk(node, &blob, from, pace).await {
            mending::unmended(node, Arc::clone(&blob), &error).await;
        }
        let mut progress = node.scrub.progress.lock();
        (progress.material, progress.group) = (Some(id), None);
    }
    let mut progress = node.scrub.progress.lock();
    progress.finish(Timestamp::now());
    tracing::info!(bytes = progress.read, damaged_groups = progress.damaged, "the scrub of all copies is done");
}

async fn walk(node: &Arc<Node>, blob: &Arc<Blob>, from: u64, pace: &mut Pace) -> io::Result<()> {
    let opened = Arc::clone(blob);
    let mut walk = blocking(move || {
        // What proves the rest is mended first.
        Walk::open(Arc::clone(&opened)).or_else(|_| {
            opened.mend(0..1, false)?;
            Walk::open(opened)
        })
    })
    .await?;
    let count = blob.group_count();
    let mut start = from.min(count);
    while start < count && node.blobs.holds(blob) {
        let groups = start..(start + GROUPS_AT_ONCE).min(count);
        let (began, looked_at, of) = (Instant::now(), groups.clone(), Arc::clone(blob));
        let damaged;
        (walk, damaged) = blocking(move || look(walk, &of, looked_at)).await?;
        let bytes = blob.bytes_of(groups.clone());
        {
            let mut progress = node.scrub.progress.lock();
            progress.read += bytes;
            progress.damaged += damaged;
            (progress.material, progress.group) = (Some(blob.manifest().material.clone()), Some(groups.end));
        }
        pace.keep(&node.scrub, bytes, began).await;
        start = groups.end;
    }
    Ok(())
}

/// Looks at groups, mends the wrong ones, and says how many they were. What cannot be mended is noted; the walk goes on.
fn look(mut walk: Walk, blob: &Arc<Blob>, groups: Range<u64>) -> io::Result<(Walk, u64)> {
    let (wrong, is_tree_damaged) = match walk.wrong(groups.clone()) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => (groups.clone().collect(), true),
        wrong => (wrong?, false),
    };
    let damaged = wrong.len() as u64;
    // A tree is mended once for all of them.
    let parts = if is_tree_damaged { vec![groups] } else { wrong.iter().map(|&group| group..group + 1).collect() };
    for part in parts {
        match blob.mend(part, true) {
            Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
            _ => {}
        }
    }
    if is_tree_damaged {
        walk = Walk::open(Arc::clone(blob))?;
    }
    Ok((walk, damaged))
}

/// Keeps the walk slow, and its progress on disk.
struct Pace {
    bytes_per_s: u64,
    saved: Instant,
}

impl Pace {
    async fn keep(&mut self, scrub: &Scrub, bytes: u64, began: Instant) {
        if self.saved.elapsed() > SAVED_EVERY {
            self.saved = Instant::now();
            scrub.save().await;
        }
        let wanted = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        tokio::time::sleep(wanted.saturating_sub(began.elapsed())).await;
    }
}
