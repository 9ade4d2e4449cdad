//! From a request's body to the disk: while one buffer is written and hashed the next one fills, and checkpoints run
//! beside both.

use super::{CHECKPOINT_BYTES, Upload, disk_problem, taken_over, turns::Turn, writer::Writer};
use crate::{disk::direct::Memory, tasks::blocking};
use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt as _;
use microtome_proto::{Code, Problem};
use std::{io, sync::Arc, time::Duration};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

/// Bytes written at once. Writes begin at multiples of it, so that whole groups are hashed.
const BUFFER_BYTES: u64 = 1 << 20;
/// A body may be silent for so long.
const SILENCE_MAX: Duration = Duration::from_secs(60);

type Written = (Box<Writer>, Memory, io::Result<()>);

/// Receives a body until it ends, fails or is taken over. What came is durable when this returns, unless the disk
/// failed: then there is no writer any more, and the upload has to be opened anew.
pub(super) async fn receive(
    upload: &Arc<Upload>,
    turn: &Turn,
    stop: &CancellationToken,
    writer: Box<Writer>,
    body: Body,
) -> (Option<Box<Writer>>, Result<(), Problem>) {
    let mut sink = Sink::new(upload, writer);
    let mut body = body.into_data_stream();
    let received = loop {
        let piece = tokio::select! {
            biased;
            () = turn.over() => break Err(taken_over()),
            () = stop.cancelled() => break Err(Problem::new(Code::NotReady, "the node is stopping")),
            piece = next(&mut body) => piece,
        };
        if upload.promise.space().is_full() {
            break Err(disk_full());
        }
        let piece = match piece {
            Ok(Some(piece)) => piece,
            Ok(None) => break Ok(()),
            Err(problem) => break Err(problem),
        };
        turn.heard();
        if let Err(error) = sink.take(&piece).await {
            break Err(match error.kind() {
                io::ErrorKind::InvalidInput => too_long(upload),
                io::ErrorKind::StorageFull => {
                    upload.promise.space().met_full();
                    disk_full()
                }
                _ => disk_problem(&error),
            });
        }
    };
    turn.end();
    let (writer, finished) = sink.finish().await;
    (writer, received.and(finished.map_err(|error| disk_problem(&error))))
}

async fn next(body: &mut BodyDataStream) -> Result<Option<Bytes>, Problem> {
    let piece = tokio::time::timeout(SILENCE_MAX, body.next())
        .await
        .map_err(|_| Problem::new(Code::BadRequest, format!("nothing came for {} s", SILENCE_MAX.as_secs())))?;
    piece.transpose().map_err(|error| Problem::new(Code::BadRequest, format!("the body ended early: {error}")))
}

fn disk_full() -> Problem {
    let detail =
        "the node's disk was filled by somebody else; what has arrived is kept, and goes on when there is room again";
    Problem::new(Code::NoSpace, detail)
}

pub(crate) fn too_long(upload: &Upload) -> Problem {
    let size = upload.expected().size;
    Problem::new(Code::TooLarge, format!("the body goes beyond the upload's length of {size} bytes"))
}

struct Sink {
    upload: Arc<Upload>,
    size: u64,
    /// Up to where bytes have been taken.
    taken: u64,
    buffer: Memory,
    /// Bytes in the buffer.
    filled: usize,
    spare: Memory,
    /// At rest, or…
    writer: Option<Box<Writer>>,
    /// …writing.
    writing: Option<JoinHandle<Written>>,
    syncing: Option<JoinHandle<io::Result<u64>>>,
}

impl Sink {
    fn new(upload: &Arc<Upload>, writer: Box<Writer>) -> Self {
        Self {
            upload: Arc::clone(upload),
            size: upload.expected().size,
            taken: writer.offset(),
            buffer: Memory::default(),
            filled: 0,
            spare: Memory::default(),
            writer: Some(writer),
            writing: None,
            syncing: None,
        }
    }

    /// Takes a piece of the body. `InvalidInput` where it goes beyond the size: nothing of it is taken then.
    async fn take(&mut self, mut piece: &[u8]) -> io::Result<()> {
        if piece.len() as u64 > self.size - self.taken {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        while !piece.is_empty() {
            let full = (self.taken / BUFFER_BYTES + 1) * BUFFER_BYTES;
            let wanted = (full.min(self.size) - self.taken) as usize;
            let (part, rest) = piece.split_at(wanted.min(piece.len()));
            let room = BUFFER_BYTES.min(self.size) as usize;
            self.buffer.first(room)[self.filled..self.filled + part.len()].copy_from_slice(part);
            self.filled += part.len();
            self.taken += part.len() as u64;
            piece = rest;
            if part.len() == wanted {
                self.write().await?;
            }
        }
        Ok(())
    }

    /// Hands the buffer over to be written.
    async fn write(&mut self) -> io::Result<()> {
        let mut writer = self.rested().await?;
        if writer.fresh_bytes() >= CHECKPOINT_BYTES {
            self.synced().await?;
            let checkpoint = writer.checkpoint(false);
            self.syncing = Some(spawn_blocking(move || checkpoint.commit()));
        }
        let mut buffer = std::mem::replace(&mut self.buffer, std::mem::take(&mut self.spare));
        let filled = std::mem::take(&mut self.filled);
        self.writing = Some(spawn_blocking(move || {
            let written = writer.write(buffer.first(filled));
            (writer, buffer, written)
        }));
        Ok(())
    }

    /// The writer, once it has written.
    async fn rested(&mut self) -> io::Result<Box<Writer>> {
        let Some(writing) = self.writing.take() else {
            return self.writer.take().ok_or_else(|| io::Error::other("the writer failed before"));
        };
        let (writer, spare, written) = writing.await?;
        self.spare = spare;
        if let Err(error) = written {
            // What was written before can still be made durable.
            self.writer = Some(writer);
            self.filled = 0;
            return Err(error);
        }
        Ok(writer)
    }

    /// Waits for the checkpoint under way.
    async fn synced(&mut self) -> io::Result<()> {
        if let Some(syncing) = self.syncing.take() {
            self.upload.set_durable(syncing.await??);
        }
        Ok(())
    }

    /// Writes what is left and makes all durable. Without a writer nothing is known of the file any more.
    async fn finish(mut self) -> (Option<Box<Writer>>, io::Result<()>) {
        let mut written = if self.filled == 0 { Ok(()) } else { self.write().await };
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
