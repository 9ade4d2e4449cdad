//! A copy's bytes as a body: read in pieces on the blocking pool, two of them ahead of the network.

use crate::{
    blobs::{Blob, Passing, Reading},
    disk::memory::{Memory, PIECE_BYTES},
    tasks::blocking,
};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use std::{
    io,
    ops::Range,
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Pieces read ahead.
const AHEAD: usize = 2;

/// Memory for bodies under way, in pieces of so many bytes: each body takes as much as it reads ahead.
const ROOM_UNIT: u64 = 64 << 10;
/// Of such pieces there are as many for users, and as many for other nodes: half a GiB.
const ROOM: usize = (512 << 20) / ROOM_UNIT as usize;
/// How long a body may wait for room.
const ROOM_WITHIN: Duration = Duration::from_secs(20);

static ROOM_FOR_USERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(ROOM)));
static ROOM_FOR_NODES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(ROOM)));

/// Who reads a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Somebody who looks at it, perhaps not alone and not for the last time. Damage is mended first.
    User,
    /// Another node, which makes a copy or mends its own: never waits for a mend, which may wait for that very node.
    Node,
}

struct Source {
    by: By,
    /// What is sent to somebody does not end meanwhile.
    _reading: Option<Reading>,
    _room: OwnedSemaphorePermit,
}

enum By {
    Blob(Arc<Blob>),
    Passing(Passing),
}

/// The bytes of `range`. The first piece is read before this returns: what fails at once can still be answered
/// otherwise. What fails later breaks the connection, so that nobody takes a part for the whole.
pub(super) async fn body(blob: Arc<Blob>, range: Range<u64>, reader: Reader) -> io::Result<Body> {
    let room = reader.room(range.end - range.start).await?;
    let mut pieces = pieces(range);
    let Some(first) = pieces.next() else { return Ok(Body::empty()) };
    let (source, first) = blocking(move || {
        let source = Arc::new(Source::open(blob, reader, room));
        let first = source.read(&first)?;
        Ok((source, first))
    })
    .await?;
    let Some(second) = pieces.next() else { return Ok(Body::from(first)) };
    let rest = std::iter::once(second).chain(pieces).map(move |piece| {
        let source = Arc::clone(&source);
        blocking(move || source.read(&piece))
    });
    Ok(Body::from_stream(stream::iter([Ok(first)]).chain(stream::iter(rest).buffered(AHEAD))))
}

impl Reader {
    /// Room for what is in memory at once of a body of `len` bytes.
    async fn room(self, len: u64) -> io::Result<OwnedSemaphorePermit> {
        let room = match self {
            Self::User => &*ROOM_FOR_USERS,
            Self::Node => &*ROOM_FOR_NODES,
        };
        let units = len.min((AHEAD as u64 + 1) * PIECE_BYTES).div_ceil(ROOM_UNIT) as u32;
        let wait = tokio::time::timeout(ROOM_WITHIN, Arc::clone(room).acquire_many_owned(units));
        match wait.await {
            Ok(room) => room.map_err(io::Error::other),
            Err(_) => Err(io::Error::new(io::ErrorKind::ResourceBusy, "too many downloads are under way here")),
        }
    }
}

impl Source {
    fn open(blob: Arc<Blob>, reader: Reader, room: OwnedSemaphorePermit) -> Self {
        let (by, reading) = match reader {
            Reader::User => {
                let reading = blob.reading();
                (By::Blob(blob), Some(reading))
            }
            Reader::Node => (By::Passing(Passing::open(blob)), None),
        };
        Self { by, _reading: reading, _room: room }
    }

    fn read(self: &Arc<Self>, piece: &Range<u64>) -> io::Result<Bytes> {
        let mut memory = Memory::default();
        let len = (piece.end - piece.start) as usize;
        match &self.by {
            By::Blob(blob) => blob.read_exact_at(memory.first(len), piece.start),
            By::Passing(passing) => passing.read(&mut memory, len, piece.start),
        }?;
        Ok(Bytes::from_owner(Read { memory, len, _source: Arc::clone(self) }))
    }
}

/// Bytes whose memory is used again when they are sent.
struct Read {
    memory: Memory,
    len: usize,
    /// Keeps the room until they are sent.
    _source: Arc<Source>,
}

impl AsRef<[u8]> for Read {
    fn as_ref(&self) -> &[u8] {
        self.memory.filled(self.len)
    }
}

/// They begin at multiples of a piece's length, so that whole groups are checked where they land.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let end = (start / PIECE_BYTES + 1).saturating_mul(PIECE_BYTES).min(range.end);
        let piece = start..end;
        start = end;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::tests::{blobs, incoming};
    use http_body_util::BodyExt as _;

    #[test]
    fn pieces_join_and_begin_at_multiples() {
        let found: Vec<_> = pieces(5..(2 * PIECE_BYTES + 7)).collect();
        assert_eq!(found, [5..PIECE_BYTES, PIECE_BYTES..2 * PIECE_BYTES, 2 * PIECE_BYTES..2 * PIECE_BYTES + 7]);
        assert_eq!(pieces(PIECE_BYTES..2 * PIECE_BYTES).count(), 1);
        assert_eq!(pieces(3..3).count(), 0);
    }

    const LEN: usize = 4 * PIECE_BYTES as usize + 5;
    const UNITS: usize = (AHEAD + 1) * (PIECE_BYTES / ROOM_UNIT) as usize;

    /// There is room for three, as others hold all else, and twelve want it. Whoever has begun keeps his room until his last byte
    /// is sent.
    #[tokio::test]
    async fn slow_readers_hold_no_more_than_there_is_room_for_and_all_get_their_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let data: Vec<u8> = (0..LEN as u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
        let blobs = blobs(dir.path(), 8);
        let (folder, manifest) = incoming(&blobs, 1, &data);
        let blob = blobs.publish(&folder, &manifest).unwrap();
        let room = &*ROOM_FOR_USERS;
        let _others = room.acquire_many((ROOM - 3 * UNITS) as u32).await.unwrap();

        let (begun, mut bodies) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..12 {
            let (blob, begun) = (Arc::clone(&blob), begun.clone());
            tokio::spawn(async move {
                let _ = begun.send(body(blob, 0..LEN as u64, Reader::User).await.unwrap());
            });
        }
        let mut slow = Vec::new();
        for _ in 0..3 {
            slow.push(bodies.recv().await.unwrap());
        }
        assert!(room.available_permits() < UNITS, "no other has begun");
        for left in (0..12).rev() {
            let mut body = slow.remove(0);
            let (mut all, mut last) = (Vec::new(), Bytes::new());
            while let Some(frame) = body.frame().await {
                last = frame.unwrap().into_data().unwrap();
                all.extend_from_slice(&last);
            }
            assert!(all == data);
            drop(body);
            tokio::task::yield_now().await;
            let free = 2_usize.saturating_sub(left) * UNITS;
            assert!(bodies.try_recv().is_err(), "its last bytes are not sent yet");
            assert_eq!(room.available_permits(), free, "its last bytes are not sent yet");
            drop(last);
            if left >= 3 {
                slow.push(bodies.recv().await.unwrap());
            }
        }
        assert_eq!(room.available_permits(), 3 * UNITS, "all of it is given back");
    }
}
