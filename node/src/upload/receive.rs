//! From buffers to the disk: while one is written and hashed the next one fills, and checkpoints run beside both. Bytes
//! that came with a checksum are made durable only when it has turned out to be true.

use super::{
    CHECKPOINT_BYTES,
    checksum::{Announced, Sums},
    fill::{Buffers, Came, too_long},
    state::{Upload, taken_over},
    turns::Turn,
    writer::Writer,
};
use crate::{
    disk::{self, memory::Memory},
    tasks::blocking,
};
use microtome_proto::{Code, Problem, tus::Checksum};
use std::{io, sync::Arc};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

type Written = (Pen, Memory, io::Result<()>);

/// Receives a body until it ends, fails or is taken over. What came is durable when this returns, unless the disk
/// failed, or the body has not the checksum that was announced: then there is no writer any more, and the upload has to
/// be opened anew.
pub(super) async fn receive(
    upload: &Arc<Upload>,
    turn: &Turn,
    stop: &CancellationToken,
    writer: Box<Writer>,
    announced: &Announced,
    buffers: Buffers,
) -> (Option<Box<Writer>>, Result<(), Problem>) {
    if upload.promise.space().is_full() {
        return (Some(writer), Err(disk_full()));
    }
    let mut sink = Sink::new(upload, writer, announced, buffers);
    let received = loop {
        let came = tokio::select! {
            biased;
            () = turn.over() => break Err(taken_over()),
            () = stop.cancelled() => break Err(Problem::new(Code::NotReady, "the node is stopping")),
            came = sink.buffers.next() => came,
        };
        match came {
            Some(Came::Bytes(buffer, len)) => {
                if let Err(error) = sink.write(buffer, len).await {
                    break Err(failed(upload, &error));
                }
                if upload.promise.space().is_full() {
                    break Err(disk_full());
                }
            }
            Some(Came::End(ended)) => break ended,
            None => break Err(Problem::new(Code::BadRequest, "the connection ended before the body did")),
        }
    };
    turn.end();
    if *announced != Announced::Nothing
        && let Err(problem) = sink.check(announced, received.clone()).await
    {
        return (None, Err(problem));
    }
    let (writer, finished) = sink.finish().await;
    (writer, received.map(drop).and(finished.map_err(|error| failed(upload, &error))))
}

fn failed(upload: &Upload, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            upload.promise.space().met_full();
            disk_full()
        }
        // The length was told by another request while this one was on its way.
        io::ErrorKind::InvalidInput => too_long(upload.size()),
        _ => disk::problem(error),
    }
}

fn disk_full() -> Problem {
    let detail =
        "the node's disk was filled by somebody else; what has arrived is kept, and goes on when there is room again";
    Problem::new(Code::NoSpace, detail)
}

/// What writes, and sums up what it has written of this request.
struct Pen {
    writer: Box<Writer>,
    sums: Sums,
}

impl Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write(bytes)?;
        self.sums.update(bytes);
        Ok(())
    }
}

struct Sink {
    upload: Arc<Upload>,
    buffers: Buffers,
    /// Whether what is written may be made durable before the body has ended.
    commits_early: bool,
    /// At rest, or…
    pen: Option<Pen>,
    /// …writing.
    writing: Option<JoinHandle<Written>>,
    /// A buffer was not written: what came after it is not wanted either.
    has_failed: bool,
    syncing: Option<JoinHandle<io::Result<u64>>>,
}

impl Sink {
    /// Two buffers are lent: one is filled while the other is written.
    fn new(upload: &Arc<Upload>, writer: Box<Writer>, announced: &Announced, buffers: Buffers) -> Self {
        buffers.lend(Memory::default());
        buffers.lend(Memory::default());
        Self {
            upload: Arc::clone(upload),
            buffers,
            commits_early: *announced == Announced::Nothing,
            pen: Some(Pen { writer, sums: Sums::new(announced) }),
            writing: None,
            has_failed: false,
            syncing: None,
        }
    }

    /// Has the first `len` bytes of a buffer written, once the one before is.
    async fn write(&mut self, mut buffer: Memory, len: usize) -> io::Result<()> {
        let mut pen = self.rested().await?;
        if self.upload.lacks_size() {
            if let Err(error) = self.have_room_for(len as u64) {
                self.has_failed = true;
                self.pen = Some(pen);
                return Err(error);
            }
            self.upload.promise.spend(len as u64);
        }
        if self.commits_early && pen.writer.fresh_bytes() >= CHECKPOINT_BYTES {
            self.synced().await?;
            let checkpoint = pen.writer.checkpoint(false);
            self.syncing = Some(spawn_blocking(move || checkpoint.commit()));
        }
        self.writing = Some(spawn_blocking(move || {
            let written = pen.write(buffer.first(len));
            (pen, buffer, written)
        }));
        Ok(())
    }

    /// Makes sure of room for the next bytes of an upload that lacks its size: for many, as long as there is room for many.
    fn have_room_for(&self, bytes: u64) -> io::Result<()> {
        let promise = &self.upload.promise;
        if promise.left() >= bytes {
            return Ok(());
        }
        let raised = promise.raise_to(CHECKPOINT_BYTES).or_else(|_| promise.raise_to(bytes));
        raised.map_err(|error| io::Error::new(io::ErrorKind::QuotaExceeded, error))
    }

    /// The writer, once it has written, and its buffer is lent again. Where it could not the error is told once: what was
    /// written before can still be made durable.
    async fn rested(&mut self) -> io::Result<Pen> {
        if let Some(writing) = self.writing.take() {
            let (pen, buffer, written) = writing.await?;
            self.pen = Some(pen);
            self.has_failed |= written.is_err();
            written?;
            self.buffers.lend(buffer);
        }
        self.pen.take().ok_or_else(|| io::Error::other("the writer failed before"))
    }

    /// Holds the bytes of a body against its checksum, be it announced or in the trailer that came. A body that did not end
    /// well has none that could be true.
    async fn check(
        &mut self,
        announced: &Announced,
        received: Result<Option<Checksum>, Problem>,
    ) -> Result<(), Problem> {
        let pen = self.rested().await;
        let trailer = received?;
        let Pen { writer, sums } = pen.map_err(|error| failed(&self.upload, &error))?;
        sums.check(announced, trailer)?;
        self.pen = Some(Pen { writer, sums: Sums::new(&Announced::Nothing) });
        Ok(())
    }

    /// Waits for the checkpoint under way.
    async fn synced(&mut self) -> io::Result<()> {
        if let Some(syncing) = self.syncing.take() {
            self.upload.set_durable(syncing.await??);
        }
        Ok(())
    }

    /// Writes what the connection still has and makes all durable. Without a writer nothing is known of the file any more.
    async fn finish(mut self) -> (Option<Box<Writer>>, io::Result<()>) {
        self.buffers.end();
        let mut written = Ok(());
        while let Some(came) = self.buffers.next().await {
            if let Came::Bytes(buffer, len) = came
                && !self.has_failed
            {
                written = written.and(self.write(buffer, len).await);
            }
        }
        let rested = self.rested().await;
        if let Err(error) = self.synced().await {
            return (None, Err(error));
        }
        let Pen { mut writer, .. } = match (rested, self.pen.take()) {
            (Ok(pen), _) => pen,
            (Err(error), pen) => {
                written = written.and(Err(error));
                // The disk was full, say: what was written before stays.
                let Some(pen) = pen else { return (None, written) };
                pen
            }
        };
        let checkpoint = writer.checkpoint(true);
        match blocking(move || checkpoint.commit()).await {
            Ok(durable) => self.upload.set_durable(durable),
            Err(error) => return (None, Err(error)),
        }
        (Some(writer), written)
    }
}
