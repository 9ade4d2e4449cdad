//! From buffers to the disk: while one is written and hashed the next one fills, and checkpoints run beside both.

use super::{
    CHECKPOINT_BYTES, Upload, disk_problem,
    fill::{Buffers, Came},
    taken_over,
    turns::Turn,
    writer::Writer,
};
use crate::{disk::direct::Memory, tasks::blocking};
use microtome_proto::{Code, Problem};
use std::{io, sync::Arc};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

type Written = (Box<Writer>, Memory, io::Result<()>);

/// Receives a body until it ends, fails or is taken over. What came is durable when this returns, unless the disk
/// failed: then there is no writer any more, and the upload has to be opened anew.
pub(super) async fn receive(
    upload: &Arc<Upload>,
    turn: &Turn,
    stop: &CancellationToken,
    writer: Box<Writer>,
    buffers: Buffers,
) -> (Option<Box<Writer>>, Result<(), Problem>) {
    let mut sink = Sink::new(upload, writer, buffers);
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
    let (writer, finished) = sink.finish().await;
    (writer, received.and(finished.map_err(|error| disk_problem(&error))))
}

fn failed(upload: &Upload, error: &io::Error) -> Problem {
    if error.kind() == io::ErrorKind::StorageFull {
        upload.promise.space().met_full();
        return disk_full();
    }
    disk_problem(error)
}

fn disk_full() -> Problem {
    let detail =
        "the node's disk was filled by somebody else; what has arrived is kept, and goes on when there is room again";
    Problem::new(Code::NoSpace, detail)
}

struct Sink {
    upload: Arc<Upload>,
    buffers: Buffers,
    /// At rest, or…
    writer: Option<Box<Writer>>,
    /// …writing.
    writing: Option<JoinHandle<Written>>,
    /// A buffer was not written: what came after it is not wanted either.
    has_failed: bool,
    syncing: Option<JoinHandle<io::Result<u64>>>,
}

impl Sink {
    /// Two buffers are lent: one is filled while the other is written.
    fn new(upload: &Arc<Upload>, writer: Box<Writer>, buffers: Buffers) -> Self {
        buffers.lend(Memory::default());
        buffers.lend(Memory::default());
        let upload = Arc::clone(upload);
        Self { upload, buffers, writer: Some(writer), writing: None, has_failed: false, syncing: None }
    }

    /// Has the first `len` bytes of a buffer written, once the one before is.
    async fn write(&mut self, mut buffer: Memory, len: usize) -> io::Result<()> {
        let mut writer = self.rested().await?;
        if writer.fresh_bytes() >= CHECKPOINT_BYTES {
            self.synced().await?;
            let checkpoint = writer.checkpoint(false);
            self.syncing = Some(spawn_blocking(move || checkpoint.commit()));
        }
        self.writing = Some(spawn_blocking(move || {
            let written = writer.write(buffer.first(len));
            (writer, buffer, written)
        }));
        Ok(())
    }

    /// The writer, once it has written, and its buffer is lent again. Where it could not the error is told once: what was
    /// written before can still be made durable.
    async fn rested(&mut self) -> io::Result<Box<Writer>> {
        if let Some(writing) = self.writing.take() {
            let (writer, buffer, written) = writing.await?;
            self.writer = Some(writer);
            self.has_failed |= written.is_err();
            written?;
            self.buffers.lend(buffer);
        }
        self.writer.take().ok_or_else(|| io::Error::other("the writer failed before"))
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
        let mut writer = match (rested, self.writer.take()) {
            (Ok(writer), _) => writer,
            (Err(error), writer) => {
                written = written.and(Err(error));
                // The disk was full, say: what was written before stays.
                let Some(writer) = writer else { return (None, written) };
                writer
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
