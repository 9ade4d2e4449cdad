//! Uploads: bytes from a client, in order, resumable after any interruption.
//!
//! It owns the uploads under way and the rule that one writes at a time: the newest. An offset is told only for what is
//! durable. It must never know HTTP: requests are `http`'s.

mod checksum;
mod complete;
mod expire;
mod fill;
mod receive;
mod resume;
mod tail;
mod turns;
mod writer;

pub(crate) use checksum::Announced;
pub(crate) use fill::{buffers, too_long};
pub(crate) use tail::TAIL;

use crate::{
    Node,
    disk::{NoSpace, Promise},
    incoming::{Expected, Incoming},
    tasks::blocking,
};
use expire::Idle;
use fill::Buffers;
use microtome_proto::{
    Code, Generation, MaterialId, Problem,
    internal::{self, Reserve, SIZE_DEFERRED},
    limits::{MATERIAL_SIZE_MAX, UPLOADS_MAX},
};
use parking_lot::RwLock;
use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::MutexGuard;
use turns::Turns;
use writer::Writer;

/// Bytes between two checkpoints: what a crash can cost, but for bodies that come with a checksum, which are kept whole or not
/// at all.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Writers are told once more to end after this long.
const END_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Time that an older writer gets to make durable what it has.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(20);

/// The uploads under way on this node.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    uploads: RwLock<HashMap<MaterialId, Arc<Upload>>>,
    /// One that gets nothing for so long ends; never, where this is missing.
    expire_after: Option<Duration>,
    /// Held while one is admitted: an order that comes twice makes one folder.
    admitting: tokio::sync::Mutex<()>,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Upload {
    incoming: Incoming,
    promise: Promise,
    durable: AtomicU64,
    idle: Idle,
    turns: Turns,
    state: tokio::sync::Mutex<State>,
}

/// What a sender says of the bytes that it sends.
#[derive(Debug)]
pub(crate) struct Said {
    /// Where they belong.
    pub(crate) offset: u64,
    /// How many the upload has in the end, where that is told now.
    pub(crate) size: Option<u64>,
    /// Their checksum.
    pub(crate) announced: Announced,
}

/// Held by whoever changes the upload.
#[derive(Debug)]
enum State {
    /// The folder's contents are not looked at yet, or not to be trusted since something failed.
    Unopened,
    /// Ready to be written to.
    Open(Box<Writer>),
    /// It became a copy, or was ended.
    Ended,
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
        let progress = |upload: &Arc<Upload>| internal::Incoming {
            material: upload.expected().material.clone(),
            generation: upload.expected().generation,
            offset: upload.durable(),
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
        if node.uploads.uploads.read().len() >= UPLOADS_MAX {
            let detail = format!("{UPLOADS_MAX} uploads are under way on this node: finish some, or end them");
            return Err(Problem::new(Code::NoSpace, detail));
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
        Self::end(node, &reserve.material, reserve.generation).await.map_err(|error| disk_problem(&error))?;
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
        let made = made.map_err(|error| disk_problem(&error))?;
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
                if let Err(problem) = upload.offset(&node).await {
                    tracing::warn!(material = %upload.expected().material, %problem, "an upload cannot be taken up");
                }
            }
            expire::run(&node).await;
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

impl Upload {
    /// One that nobody has touched for `idle`.
    fn new(incoming: Incoming, promise: Promise, idle: Duration) -> Self {
        Self {
            incoming,
            promise,
            durable: AtomicU64::new(0),
            idle: Idle::since(idle),
            turns: Turns::default(),
            state: tokio::sync::Mutex::new(State::Unopened),
        }
    }

    /// What it was announced as.
    pub(crate) fn expected(&self) -> &Expected {
        self.incoming.expected()
    }

    /// Bytes that it will have, or at most may have while it [lacks its size](Self::lacks_size).
    pub(crate) fn size(&self) -> u64 {
        self.incoming.size()
    }

    /// Whether its sender tells later how many bytes it has.
    pub(crate) fn lacks_size(&self) -> bool {
        self.incoming.lacks_size()
    }

    /// Bytes known to be durable.
    fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    fn set_durable(&self, offset: u64) {
        self.durable.store(offset, Ordering::Release);
        if !self.lacks_size() {
            self.promise.set_left(self.size().saturating_sub(offset));
        }
    }

    /// Where the sender goes on: the durable bytes. A writer that still receives is left alone, and so is one whose bytes
    /// become durable only with its last; one that has fallen silent is ended, so that what is told stays true. Completes the upload if all bytes are there.
    ///
    /// # Errors
    /// Where the disk fails, or the whole file does not have the announced hash.
    pub(crate) async fn offset(self: &Arc<Self>, node: &Arc<Node>) -> Result<u64, Problem> {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(_) if self.turns.may_go_on() => return Ok(self.durable()),
            Err(_) => {
                self.turns.end_present();
                self.lock().await?
            }
        };
        let writer = self.open(&mut state).await?;
        let offset = writer.offset();
        if writer.is_whole() {
            self.complete(node, &mut state).await?;
        }
        Ok(offset)
    }

    /// Appends a request's body, as it comes in `buffers`, at its place. Answers the new offset, of which all is durable; a
    /// body that ends early leaves durable what came of it, unless a checksum was announced. With the last byte the upload
    /// becomes a copy.
    ///
    /// # Errors
    /// `offset_mismatch` with nothing changed; `checksum_mismatch` likewise; `locked` where a newer request took over;
    /// `too_large`; `hash_mismatch` with the upload ended; `no_space` and others where the disk fails.
    pub(crate) async fn append(
        self: &Arc<Self>,
        node: &Arc<Node>,
        said: Said,
        buffers: Buffers,
    ) -> Result<u64, Problem> {
        let offset = said.offset;
        if offset < self.durable() {
            return Err(self.mismatch(offset, self.durable()));
        }
        self.idle.touch();
        let turn = self.turns.take(buffers.heard(), said.announced == Announced::Nothing);
        let mut state = self.lock().await?;
        if turn.is_over() {
            return Err(taken_over());
        }
        let present = self.open(&mut state).await?.offset();
        if offset != present {
            return Err(self.mismatch(offset, present));
        }
        if let Some(size) = said.size {
            self.tell_size(&mut state, size).await?;
        }
        self.open(&mut state).await?;
        let State::Open(writer) = std::mem::replace(&mut *state, State::Unopened) else {
            return Err(Problem::new(Code::Internal, "the upload is not open"));
        };
        let (writer, ended) = receive::receive(self, &turn, &node.stop, writer, &said.announced, buffers).await;
        self.idle.touch();
        if self.lacks_size() {
            self.promise.set_left(0);
        }
        if let Some(writer) = writer {
            *state = State::Open(writer);
        }
        ended?;
        let writer = self.open(&mut state).await?;
        let offset = writer.offset();
        if writer.is_whole() {
            self.complete(node, &mut state).await?;
        }
        Ok(offset)
    }

    /// Its sender tells how many bytes it has. All that has arrived is durable, and is looked at anew: what hashes it may
    /// hang on the size.
    async fn tell_size(self: &Arc<Self>, state: &mut State, size: u64) -> Result<(), Problem> {
        let offset = self.open(state).await?.offset();
        if !self.lacks_size() {
            if size == self.size() {
                return Ok(());
            }
            let stands = format!("the upload's length is {} bytes: it cannot become {size}", self.size());
            return Err(Problem::new(Code::BadRequest, stands));
        }
        if size > MATERIAL_SIZE_MAX {
            return Err(Problem::new(
                Code::TooLarge,
                format!("{size} bytes: a material has at most {MATERIAL_SIZE_MAX}"),
            ));
        }
        if size < offset {
            let detail = format!("Upload-Length is {size}, and {offset} bytes have arrived already");
            return Err(Problem::new(Code::BadRequest, detail));
        }
        self.promise.raise_to(size - offset).map_err(|error| no_space(&error))?;
        *state = State::Unopened;
        let upload = Arc::clone(self);
        let told = blocking(move || upload.incoming.tell_size(size)).await;
        if told.is_err() {
            self.promise.set_left(0);
        }
        told.map_err(|error| disk_problem(&error))
    }

    async fn lock(&self) -> Result<MutexGuard<'_, State>, Problem> {
        tokio::time::timeout(TAKE_OVER_WITHIN, self.state.lock())
            .await
            .map_err(|_| Problem::new(Code::Locked, "an older request still makes its bytes durable"))
    }

    /// The writer, opened where it is not: the end of what is durable is looked for on disk then.
    async fn open<'a>(self: &Arc<Self>, state: &'a mut State) -> Result<&'a mut Writer, Problem> {
        if matches!(state, State::Unopened) {
            let upload = Arc::clone(self);
            let writer = blocking(move || Writer::resume(&upload.incoming)).await;
            let writer = writer.map_err(|error| disk_problem(&error))?;
            self.set_durable(writer.offset());
            *state = State::Open(Box::new(writer));
        }
        match state {
            State::Open(writer) => Ok(writer.as_mut()),
            _ => Err(Problem::new(Code::Gone, format!("the upload of {} has ended", self.expected().material))),
        }
    }

    /// Takes the upload out of the books and off the disk.
    async fn clear(self: &Arc<Self>, node: &Arc<Node>, state: &mut State) -> io::Result<()> {
        *state = State::Unopened;
        let upload = Arc::clone(self);
        blocking(move || upload.incoming.discard()).await?;
        *state = State::Ended;
        self.leave(node);
        node.empty_trash();
        Ok(())
    }

    /// Takes the upload out of the books.
    fn leave(self: &Arc<Self>, node: &Node) {
        self.promise.set_left(0);
        let mut uploads = node.uploads.uploads.write();
        if uploads.get(&self.expected().material).is_some_and(|other| Arc::ptr_eq(other, self)) {
            uploads.remove(&self.expected().material);
        }
    }

    fn mismatch(&self, told: u64, present: u64) -> Problem {
        let id = &self.expected().material;
        Problem::new(Code::OffsetMismatch, format!("the upload of {id} stands at {present}, not at {told}"))
    }
}

fn no_space(error: &NoSpace) -> Problem {
    Problem::new(Code::NoSpace, error.to_string())
}

fn taken_over() -> Problem {
    Problem::new(Code::Locked, "a newer request took the upload over")
}

/// A failure of the disk, as it travels.
pub(crate) fn disk_problem(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::new(Code::NoSpace, format!("the node's disk is full: {error}"))
        }
        io::ErrorKind::ResourceBusy => Problem::new(Code::TooManyRequests, error.to_string()),
        // Not yet, or not any more.
        io::ErrorKind::NotFound => Problem::new(Code::Unavailable, error.to_string()),
        // Told where it was found. It is mended as soon as another copy can be reached.
        io::ErrorKind::InvalidData => Problem::new(Code::Unavailable, format!("the node's copy is damaged: {error}")),
        _ => {
            tracing::error!(%error, "the disk failed");
            Problem::new(Code::Internal, format!("the node's disk failed: {error}"))
        }
    }
}
