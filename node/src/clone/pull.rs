//! The second step of a clone: its bytes, from all sources at once.

use super::{
    CloneError, Cloning, leaves,
    ranges::{self, Ranges},
};
use crate::{
    Node,
    blobs::{self, Blob, FILE, Proof, tree},
    disk::{
        direct::Writing,
        memory::{Memory, PIECE_BYTES},
    },
    tasks::blocking,
};
use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    io, mem,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::{JoinHandle, spawn_blocking};

/// Ranges fetched at once. Each has up to two pieces in memory: one that comes and one that is written.
const FETCHED_AT_ONCE: usize = 4;
/// A checkpoint follows so many bytes after the one before, or so much time.
const CHECKPOINT_BYTES: u64 = 256 << 20;
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
/// A source has to begin its answer within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// And has to bring a range within this: one whose disk is dying would hold up the others, and the clones that wait.
const RANGE_WITHIN: Duration = Duration::from_secs(120);

/// What the workers of one clone share.
struct Pull {
    node: Arc<Node>,
    cloning: Arc<Cloning>,
    proof: Arc<Proof>,
    file: Arc<Writing>,
    queue: Mutex<VecDeque<u64>>,
    fresh: Mutex<Fresh>,
    ranges: tokio::sync::Mutex<Ranges>,
}

/// Ranges that are written and not durable yet.
struct Fresh {
    indexes: Vec<u64>,
    bytes: u64,
    written: u64,
    since: Instant,
}

/// Why a source did not bring a range.
enum Failure {
    Network(String),
    Lied(u64),
    Disk(io::Error),
}

/// Pulls what is missing and makes it a copy.
pub(super) async fn pull(node: &Arc<Node>, cloning: &Arc<Cloning>) -> Result<Arc<Blob>, CloneError> {
    cloning.sources.begin();
    let hash = cloning.expected().blake3.as_deref().and_then(blobs::parse_hash);
    let root = hash.ok_or_else(|| io::Error::other("a clone without a hash"))?;
    let proof = tokio::select! {
        () = cloning.over.cancelled() => return Err(CloneError::Over),
        () = node.stop.cancelled() => return Err(CloneError::Over),
        proof = leaves::proof(node, cloning, root) => Arc::new(proof?),
    };
    let opened = Arc::clone(cloning);
    let size = cloning.expected().size;
    let (file, ranges) = blocking(move || {
        let file = opened.incoming.open_file(FILE)?;
        file.set_len(size)?;
        let file = Writing::past_cache(file, &opened.incoming.folder().join(FILE));
        Ok((file, Ranges::read(opened.incoming.folder(), size)))
    })
    .await?;
    let pull = Pull {
        node: Arc::clone(node),
        cloning: Arc::clone(cloning),
        proof,
        file: Arc::new(file),
        queue: Mutex::new(ranges.missing().into()),
        fresh: Mutex::new(Fresh { indexes: Vec::new(), bytes: 0, written: ranges.bytes(), since: Instant::now() }),
        ranges: tokio::sync::Mutex::new(ranges),
    };
    let worked = join_all((0..FETCHED_AT_ONCE).map(|_| pull.work())).await;
    // What has come stays, however it ended.
    let kept = pull.checkpoint().await;
    worked.into_iter().collect::<Result<(), _>>()?;
    kept?;
    let (cloning, node, proof) = (Arc::clone(cloning), Arc::clone(node), pull.proof);
    Ok(blocking(move || cloning.incoming.publish(&node.blobs, proof.spine())).await?)
}

impl Pull {
    /// Fetches range after range until none is left, or one cannot be had.
    async fn work(&self) -> Result<(), CloneError> {
        loop {
            if self.cloning.promise.space().is_full() {
                self.queue.lock().clear();
                return Err(CloneError::Disk(io::ErrorKind::StorageFull.into()));
            }
            let Some(index) = self.queue.lock().pop_front() else { return Ok(()) };
            // A checkpoint is never cut off, only the fetching is.
            tokio::select! {
                () = self.cloning.over.cancelled() => return Err(CloneError::Over),
                () = self.node.stop.cancelled() => return Err(CloneError::Over),
                brought = self.bring(index) => brought.inspect_err(|_| self.queue.lock().clear())?,
            }
            self.written(index);
            if self.is_checkpoint_due()
                && let Ok(mut ranges) = self.ranges.try_lock()
            {
                self.commit(&mut ranges).await?;
            }
        }
    }

    /// Fetches one range from whoever can serve it.
    async fn bring(&self, index: u64) -> Result<(), CloneError> {
        let sources = &self.cloning.sources;
        let mut last = "none is left".to_owned();
        loop {
            let Some(source) = sources.take() else { return Err(CloneError::Sources(last)) };
            let id = &self.cloning.expected().material;
            let fetched = tokio::time::timeout(RANGE_WITHIN, self.fetch(&source, index)).await;
            let late = || Failure::Network(format!("no range within {} s", RANGE_WITHIN.as_secs()));
            match fetched.unwrap_or_else(|_| Err(late())) {
                Ok(()) => {
                    sources.served(&source);
                    return Ok(());
                }
                Err(Failure::Network(error)) => {
                    sources.failed(&source);
                    tracing::debug!(material = %id, %source, error, "a source failed");
                    last = format!("{source}: {error}");
                }
                Err(Failure::Lied(offset)) => {
                    sources.lied(&source);
                    let others = sources.able();
                    tracing::warn!(material = %id, %source, offset, others, "a source sent wrong bytes; it is left out");
                    last = format!("{source}: wrong bytes at {offset}");
                }
                Err(Failure::Disk(error)) => {
                    sources.served(&source);
                    return Err(error.into());
                }
            }
        }
    }

    /// While a piece is proven and written the next one comes.
    async fn fetch(&self, source: &str, index: u64) -> Result<(), Failure> {
        let network = |error: microtome_client::ClientError| Failure::Network(error.to_string());
        let wanted = ranges::range(self.cloning.expected().size, index);
        let cluster = self.node.cluster.with_deadline(ANSWER_WITHIN);
        let stream = cluster.data(source, &self.cloning.expected().material, wanted.clone()).await;
        let mut stream = stream.map_err(network)?;
        if stream.offset() != Some(wanted.start) {
            return Err(Failure::Network("it answered another range".to_owned()));
        }
        let mut at = wanted.start;
        let mut came = Bytes::new();
        let mut writing = None;
        while at < wanted.end {
            let len = PIECE_BYTES.min(wanted.end - at) as usize;
            let mut memory = Memory::default();
            let piece = memory.first(len);
            let mut filled = 0;
            while filled < len {
                if came.is_empty() {
                    let next = stream.chunk().await.map_err(network)?;
                    came = next.ok_or_else(|| Failure::Network("its answer ended early".to_owned()))?;
                }
                let part = came.split_to(came.len().min(len - filled));
                piece[filled..filled + part.len()].copy_from_slice(&part);
                filled += part.len();
            }
            written(writing.replace(self.write(memory, len, at))).await?;
            at += len as u64;
        }
        written(writing).await
    }

    /// Begins to prove the first `len` bytes, which begin with a group, and to write them.
    fn write(&self, memory: Memory, len: usize, at: u64) -> JoinHandle<Result<(), Failure>> {
        let (file, proof, size) = (Arc::clone(&self.file), Arc::clone(&self.proof), self.cloning.expected().size);
        spawn_blocking(move || {
            let (piece, first) = (memory.filled(len), at / tree::GROUP_LEN);
            let groups = piece.chunks(tree::GROUP_LEN as usize);
            let leaves = proof.leaves(first..first + groups.len() as u64).map_err(Failure::Disk)?;
            for ((index, leaf), group) in (first..).zip(&leaves).zip(groups) {
                if tree::leaf(size, index, group) != *leaf {
                    return Err(Failure::Lied(tree::group_range(size, index).start));
                }
            }
            file.write_at(piece, at).map_err(Failure::Disk)
        })
    }

    fn written(&self, index: u64) {
        let range = ranges::range(self.cloning.expected().size, index);
        let mut fresh = self.fresh.lock();
        fresh.indexes.push(index);
        fresh.bytes += range.end - range.start;
        fresh.written += range.end - range.start;
        self.cloning.arrived.insert(index);
        self.cloning.set_written(fresh.written);
    }

    fn is_checkpoint_due(&self) -> bool {
        let fresh = self.fresh.lock();
        fresh.bytes >= CHECKPOINT_BYTES || (fresh.bytes > 0 && fresh.since.elapsed() >= CHECKPOINT_EVERY)
    }

    async fn checkpoint(&self) -> io::Result<()> {
        self.commit(&mut *self.ranges.lock().await).await
    }

    /// Makes the fresh ranges durable, then writes them down.
    async fn commit(&self, ranges: &mut Ranges) -> io::Result<()> {
        let indexes = {
            let mut fresh = self.fresh.lock();
            fresh.bytes = 0;
            fresh.since = Instant::now();
            mem::take(&mut fresh.indexes)
        };
        if indexes.is_empty() {
            return Ok(());
        }
        let (file, cloning) = (Arc::clone(&self.file), Arc::clone(&self.cloning));
        let mut with_fresh = ranges.clone();
        with_fresh.insert(indexes);
        *ranges = blocking(move || {
            file.file().sync_data()?;
            with_fresh.write(cloning.incoming.folder())?;
            Ok(with_fresh)
        })
        .await?;
        Ok(())
    }
}

/// Waits for a piece, if one is being written.
async fn written(writing: Option<JoinHandle<Result<(), Failure>>>) -> Result<(), Failure> {
    match writing {
        Some(writing) => writing.await.map_err(|error| Failure::Disk(io::Error::other(error)))?,
        None => Ok(()),
    }
}
