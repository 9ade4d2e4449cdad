//! One upload: who may change it, where it stands, and what a request adds to it.

use super::{
    check::Checking, checksum::Announced, expire::Idle, fill::Buffers, no_space, receive, turns::Turns, writer::Writer,
};
use crate::{
    Node,
    disk::{self, Promise},
    incoming::{Expected, Incoming},
    tasks::blocking,
};
use microtome_proto::{Code, Problem, limits::MATERIAL_SIZE_MAX};
use parking_lot::Mutex;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::MutexGuard;

/// Time that an older writer gets to make durable what it has.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(20);

/// One upload.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(super) incoming: Incoming,
    pub(super) promise: Promise,
    durable: AtomicU64,
    pub(super) idle: Idle,
    pub(super) turns: Turns,
    pub(super) checking: Checking,
    pub(super) state: tokio::sync::Mutex<State>,
    /// When it last could not be put together, where its bytes come from parts.
    pub(super) rest: Mutex<Option<Instant>>,
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
pub(super) enum State {
    /// The folder's contents are not looked at yet, or not to be trusted since something failed.
    Unopened,
    /// Ready to be written to.
    Open(Box<Writer>),
    /// It became a copy, or was ended.
    Ended,
}

impl Upload {
    /// One that nobody has touched for `idle`.
    pub(super) fn new(incoming: Incoming, promise: Promise, idle: Duration) -> Self {
        Self {
            incoming,
            promise,
            durable: AtomicU64::new(0),
            idle: Idle::since(idle),
            turns: Turns::default(),
            checking: Checking::default(),
            state: tokio::sync::Mutex::new(State::Unopened),
            rest: Mutex::default(),
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
    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn set_durable(&self, offset: u64) {
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
        self.checked().await?;
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
    /// `too_large`; `hash_mismatch` and `refused_by_check` with the upload ended; `not_checked`; `no_space` and others where the disk fails.
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
        self.checked().await?;
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
        told.map_err(|error| disk::problem(&error))
    }

    async fn lock(&self) -> Result<MutexGuard<'_, State>, Problem> {
        tokio::time::timeout(TAKE_OVER_WITHIN, self.state.lock())
            .await
            .map_err(|_| Problem::new(Code::Locked, "an older request still makes its bytes durable"))
    }

    /// The writer, opened where it is not: the end of what is durable is looked for on disk then.
    pub(super) async fn open<'a>(self: &Arc<Self>, state: &'a mut State) -> Result<&'a mut Writer, Problem> {
        if matches!(state, State::Unopened) {
            let upload = Arc::clone(self);
            let writer = blocking(move || Writer::resume(&upload.incoming)).await;
            let writer = writer.map_err(|error| disk::problem(&error))?;
            self.set_durable(writer.offset());
            *state = State::Open(Box::new(writer));
        }
        match state {
            State::Open(writer) => Ok(writer.as_mut()),
            _ => Err(Problem::new(Code::Gone, format!("the upload of {} has ended", self.expected().material))),
        }
    }

    /// Takes the upload out of the books and off the disk.
    pub(super) async fn clear(self: &Arc<Self>, node: &Arc<Node>, state: &mut State) -> io::Result<()> {
        *state = State::Unopened;
        let upload = Arc::clone(self);
        blocking(move || upload.incoming.discard()).await?;
        *state = State::Ended;
        self.leave(node);
        node.empty_trash();
        Ok(())
    }

    /// Takes the upload out of the books.
    pub(super) fn leave(self: &Arc<Self>, node: &Node) {
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

pub(super) fn taken_over() -> Problem {
    Problem::new(Code::Locked, "a newer request took the upload over")
}
