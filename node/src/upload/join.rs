//! Files that are put together from parts that are copies here: an upload whose bytes come from this disk.
//!
//! So it goes on where it stood after any interruption, and what of it is durable is never hashed again. Parts are proven as
//! they are read, and mended where another holder can: never is a wrong byte put in.

use super::{
    CHECKPOINT_BYTES, Uploads,
    state::{State, Upload},
    writer::Writer,
};
use crate::{
    Node,
    blobs::{Blob, Passing, tree::GROUP_LEN},
    disk::memory::{Memory, PIECE_BYTES},
    tasks::blocking,
};
use microtome_proto::{
    Code, Generation, MaterialId,
    internal::{ReplicaReport, Reserve},
};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::MutexGuard, task::spawn_blocking};

/// Pause after a join that could not go on: a part is damaged, or the disk full.
const PAUSE: Duration = Duration::from_secs(2);

/// Why a join does not go on for now.
enum Halt {
    /// It is ended, or the node stops.
    Over,
    /// A part cannot be read.
    Part(MaterialId, io::Error),
    /// It cannot be written.
    Disk(io::Error),
}

impl Uploads {
    /// Carries out an order to put a file together: returns when it is here and reported, or cannot go on for now. The
    /// order comes again.
    pub(crate) async fn join(node: &Arc<Node>, wanted: Reserve, parts: Vec<MaterialId>) {
        let (id, generation) = (wanted.material.clone(), wanted.generation);
        if node.blobs.get(&id).is_some() {
            return joined_before(node, id, generation).await;
        }
        let Ok(turn) = node.uploads.joining.try_lock() else { return };
        match Self::reserve(node, wanted).await {
            Ok(()) => {}
            Err(problem) if problem.code == Code::NoSpace => {
                tracing::warn!(material = %id, %problem, "a file cannot be put together here");
                return node.failing(&id).failed(generation, problem.detail);
            }
            Err(problem) => return tracing::debug!(material = %id, %problem, "a file is not put together yet"),
        }
        if let Some(upload) = node.uploads.get(&id).filter(|upload| upload.expected().generation == generation) {
            upload.join(node, parts, turn).await;
        }
    }
}

/// It is here, and its report was not heard; or it was made under an older assignment, of the same parts.
async fn joined_before(node: &Arc<Node>, id: MaterialId, generation: Generation) {
    let (owner, adopted) = (Arc::clone(node), id.clone());
    match blocking(move || owner.blobs.adopt(&adopted, generation)).await {
        Ok(blob) if blob.manifest().generation == generation => {
            let held = blob.manifest().held();
            drop(node.report(id, ReplicaReport::Verified { generation, size: held.size, blake3: held.blake3 }));
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(material = %id, %error, "a file that was put together cannot be told of"),
    }
}

impl Upload {
    /// Whether its bytes come from parts, and none from outside.
    pub(crate) fn is_final(&self) -> bool {
        self.expected().is_final()
    }

    async fn join(self: &Arc<Self>, node: &Arc<Node>, parts: Vec<MaterialId>, joining: MutexGuard<'_, ()>) {
        let Ok(mut state) = self.state.try_lock() else { return };
        if matches!(*state, State::Ended) || self.rest.lock().is_some_and(|since| since.elapsed() < PAUSE) {
            return;
        }
        let turn = self.turns.take(Arc::default(), true);
        let opened = self.open(&mut state).await.map(drop);
        let joined = match (opened, std::mem::replace(&mut *state, State::Unopened)) {
            (Ok(()), State::Open(writer)) => {
                let (upload, owner) = (Arc::clone(self), Arc::clone(node));
                let is_over = move || turn.is_over() || owner.stop.is_cancelled();
                let held: Vec<_> = parts.iter().map(|id| (id.clone(), node.blobs.get(id))).collect();
                let work = spawn_blocking(move || join(&upload, writer, held, is_over));
                match work.await {
                    Ok((writer, joined)) => {
                        *state = writer.map_or(State::Unopened, State::Open);
                        joined
                    }
                    Err(error) => Err(Halt::Disk(io::Error::other(error))),
                }
            }
            (Ok(()), other) => {
                *state = other;
                return;
            }
            (Err(problem), _) => Err(Halt::Disk(io::Error::other(problem.to_string()))),
        };
        let id = &self.expected().material;
        let joined = match joined {
            Ok(()) => {
                // Its check may take long.
                drop(joining);
                return self.complete_joined(node, &mut state).await;
            }
            Err(halt) => halt,
        };
        match joined {
            Halt::Over => {}
            Halt::Part(part, error) => {
                tracing::warn!(material = %id, %part, %error, "a file that is put together waits for a part");
                *self.rest.lock() = Some(Instant::now());
            }
            Halt::Disk(error) if error.kind() == io::ErrorKind::StorageFull => {
                node.space.met_full();
                tracing::warn!(material = %id, "a file that is put together waits for room on the disk");
                *self.rest.lock() = Some(Instant::now());
            }
            Halt::Disk(error) => {
                tracing::warn!(material = %id, %error, "a file cannot be put together here");
                let failing = node.failing(id);
                if let Err(error) = self.clear(node, &mut state).await {
                    tracing::warn!(material = %id, %error, "what there is of it cannot be cleared away");
                }
                failing.failed(self.expected().generation, error.to_string());
            }
        }
    }

    async fn complete_joined(self: &Arc<Self>, node: &Arc<Node>, state: &mut State) {
        if let Err(problem) = self.complete(node, state).await {
            tracing::warn!(material = %self.expected().material, %problem, "a file that was put together is not kept");
            *self.rest.lock() = Some(Instant::now());
        }
    }
}

/// Puts together what is missing. All that came is durable then, however it ended; without a writer nothing is known of
/// the file any more. Blocks.
fn join(
    upload: &Upload,
    writer: Box<Writer>,
    parts: Vec<(MaterialId, Option<Arc<Blob>>)>,
    is_over: impl Fn() -> bool,
) -> (Option<Box<Writer>>, Result<(), Halt>) {
    let mut whole = Whole { upload, writer, out: Memory::default(), filled: 0, is_known: true };
    let ended = whole.take_all(parts, is_over);
    if !whole.is_known {
        return (None, ended);
    }
    let ended = ended.and(whole.write().map_err(Halt::Disk));
    let Whole { mut writer, is_known: true, .. } = whole else { return (None, ended) };
    match writer.checkpoint(true).commit() {
        Ok(durable) => upload.set_durable(durable),
        Err(error) => return (None, ended.and(Err(Halt::Disk(error)))),
    }
    let ended = ended.and_then(|()| match writer.is_whole() {
        true => Ok(()),
        false => Err(Halt::Disk(io::Error::other("the parts have fewer bytes than was announced"))),
    });
    (Some(writer), ended)
}

/// What is put together.
struct Whole<'a> {
    upload: &'a Upload,
    writer: Box<Writer>,
    /// What is written next.
    out: Memory,
    filled: usize,
    /// Whether what was written is what is there: not after a checkpoint that failed.
    is_known: bool,
}

impl Whole<'_> {
    /// Where the next byte belongs.
    fn offset(&self) -> u64 {
        self.writer.offset() + self.filled as u64
    }

    fn take_all(
        &mut self,
        parts: Vec<(MaterialId, Option<Arc<Blob>>)>,
        is_over: impl Fn() -> bool,
    ) -> Result<(), Halt> {
        let mut begin = 0;
        for (id, blob) in parts {
            let gone = || Halt::Part(id.clone(), io::Error::new(io::ErrorKind::NotFound, "it is not here"));
            let blob = blob.ok_or_else(gone)?;
            let end = begin + blob.len();
            if self.offset() < end {
                self.take(&id, &blob, begin, &is_over)?;
            }
            begin = end;
        }
        Ok(())
    }

    /// Takes what is missing of a part that begins at `begin`. It is read in whole groups, to be proven.
    fn take(&mut self, id: &MaterialId, blob: &Arc<Blob>, begin: u64, is_over: impl Fn() -> bool) -> Result<(), Halt> {
        let (passing, mut piece) = (Passing::open(Arc::clone(blob)), Memory::default());
        while self.offset() < begin + blob.len() {
            if is_over() {
                return Err(Halt::Over);
            }
            if self.upload.promise.space().is_full() {
                return Err(Halt::Disk(io::ErrorKind::StorageFull.into()));
            }
            let at = self.offset() - begin;
            let from = at / GROUP_LEN * GROUP_LEN;
            let len = PIECE_BYTES.min(blob.len() - from) as usize;
            let read = passing.read(&mut piece, len, from);
            // There what is damaged is mended first.
            let read = read.or_else(|_| blob.read_exact_at(piece.first(len), from));
            read.map_err(|error| Halt::Part(id.clone(), error))?;
            self.append(&piece.filled(len)[(at - from) as usize..]).map_err(Halt::Disk)?;
        }
        Ok(())
    }

    /// What is written ends at multiples of a piece, where it can go past the page cache.
    fn append(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = (PIECE_BYTES - self.writer.offset() % PIECE_BYTES) as usize;
            let (now, rest) = bytes.split_at((room - self.filled).min(bytes.len()));
            self.out.first(PIECE_BYTES as usize)[self.filled..self.filled + now.len()].copy_from_slice(now);
            (self.filled, bytes) = (self.filled + now.len(), rest);
            if self.filled == room {
                self.write()?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        let filled = std::mem::take(&mut self.filled);
        self.writer.write(self.out.filled(filled))?;
        if self.writer.fresh_bytes() >= CHECKPOINT_BYTES {
            let durable = self.writer.checkpoint(false).commit().inspect_err(|_| self.is_known = false)?;
            self.upload.set_durable(durable);
        }
        Ok(())
    }
}
