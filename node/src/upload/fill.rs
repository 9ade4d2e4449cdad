//! From a request's body into buffers, where the connection is served: the upload, which runs elsewhere, is woken for
//! each full buffer and not for each packet.

use super::turns::Heard;
use crate::disk::memory::{Memory, PIECE_BYTES};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue},
};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use microtome_proto::{
    Code, Problem,
    tus::{self, Checksum},
};
use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, Sleep, sleep},
};

/// A body may be silent for so long.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The connection's end: fills the buffers that it is lent. They begin at multiples of a piece's length, so that whole groups
/// are hashed.
pub(crate) struct Filling {
    body: Body,
    /// Bytes of the whole upload.
    size: u64,
    /// Up to where bytes have been taken.
    taken: u64,
    /// Of which the first is being filled.
    buffers: VecDeque<Memory>,
    /// Bytes in it.
    filled: usize,
    lent: UnboundedReceiver<Memory>,
    came: UnboundedSender<Came>,
    heard: Arc<Heard>,
    silence_max: Duration,
    silence: Pin<Box<Sleep>>,
}

/// The upload's end: lends buffers and gets them back filled, in order.
#[derive(Debug)]
pub(crate) struct Buffers {
    lend: Option<UnboundedSender<Memory>>,
    came: UnboundedReceiver<Came>,
    heard: Arc<Heard>,
}

/// What the connection tells.
#[derive(Debug)]
pub(super) enum Came {
    /// So many bytes of a buffer.
    Bytes(Memory, usize),
    /// The body has ended, perhaps with a checksum behind it; or the sender did something wrong.
    End(Result<Option<Checksum>, Problem>),
}

/// Both ends for a body whose first byte belongs at `offset` of an upload of `size` bytes. Not a byte is read before a
/// buffer is lent.
pub(crate) fn buffers(body: Body, offset: u64, size: u64) -> (Filling, Buffers) {
    let (lend, lent) = unbounded_channel();
    let (tell, came) = unbounded_channel();
    let heard = Arc::<Heard>::default();
    let filling = Filling {
        body,
        size,
        taken: offset,
        buffers: VecDeque::new(),
        filled: 0,
        lent,
        came: tell,
        heard: Arc::clone(&heard),
        silence_max: SILENCE_MAX,
        silence: Box::pin(sleep(SILENCE_MAX)),
    };
    (filling, Buffers { lend: Some(lend), came, heard })
}

pub(crate) fn too_long(size: u64) -> Problem {
    Problem::new(Code::TooLarge, format!("the body goes beyond the upload's length of {size} bytes"))
}

impl Filling {
    /// Fills until the body ends or nothing is lent any more. What it has when it ends, or is dropped because the
    /// connection broke off, is handed over.
    pub(crate) async fn run(mut self) {
        let Some(ended) = self.fill().await else { return };
        self.hand_over();
        let _ = self.came.send(Came::End(ended));
    }

    /// How the body ended; `None` where no more of it is wanted.
    async fn fill(&mut self) -> Option<Result<Option<Checksum>, Problem>> {
        self.buffers.push_back(self.lent.recv().await?);
        let mut checksum = None;
        loop {
            self.silence.as_mut().reset(Instant::now() + self.silence_max);
            let frame = tokio::select! {
                biased;
                memory = self.lent.recv() => {
                    self.buffers.push_back(memory?);
                    continue;
                }
                frame = self.body.frame() => frame,
                () = &mut self.silence => {
                    let detail = format!("nothing came for {} s", self.silence_max.as_secs());
                    return Some(Err(Problem::new(Code::TooSlow, detail)));
                }
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                None => return Some(checksum.transpose()),
                Some(Err(error)) => {
                    return Some(Err(Problem::new(Code::BadRequest, format!("the body ended early: {error}"))));
                }
            };
            match frame.into_data() {
                Ok(piece) if piece.len() as u64 > self.size - self.taken.min(self.size) => {
                    return Some(Err(too_long(self.size)));
                }
                Ok(piece) => self.take(&piece).await?,
                Err(frame) => checksum = frame.trailers_ref().and_then(checksum_of),
            }
        }
    }

    /// Takes a piece of the body; `None` where no more is wanted.
    async fn take(&mut self, piece: &Bytes) -> Option<()> {
        self.heard.now();
        let mut piece = &piece[..];
        let room = PIECE_BYTES.min(self.size) as usize;
        while !piece.is_empty() {
            if self.buffers.is_empty() {
                self.buffers.push_back(self.lent.recv().await?);
            }
            let memory = self.buffers.front_mut()?;
            let full = (self.taken / PIECE_BYTES + 1) * PIECE_BYTES;
            let wanted = (full.min(self.size) - self.taken) as usize;
            let (part, rest) = piece.split_at(wanted.min(piece.len()));
            memory.first(room)[self.filled..self.filled + part.len()].copy_from_slice(part);
            self.filled += part.len();
            self.taken += part.len() as u64;
            piece = rest;
            if part.len() == wanted {
                self.hand_over();
            }
        }
        Some(())
    }

    fn hand_over(&mut self) {
        let filled = std::mem::take(&mut self.filled);
        if filled > 0
            && let Some(memory) = self.buffers.pop_front()
        {
            let _ = self.came.send(Came::Bytes(memory, filled));
        }
    }
}

fn checksum_of(trailers: &HeaderMap) -> Option<Result<Checksum, Problem>> {
    let text = trailers.get(tus::CHECKSUM).map(HeaderValue::to_str)?.unwrap_or_default();
    let bad = |error: tus::InvalidChecksum| Problem::new(Code::BadRequest, error.to_string());
    Some(text.parse().map_err(bad))
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.hand_over();
    }
}

impl Buffers {
    /// When bytes came last.
    pub(super) fn heard(&self) -> Arc<Heard> {
        Arc::clone(&self.heard)
    }

    /// Lends memory, to be filled.
    pub(super) fn lend(&self, memory: Memory) {
        if let Some(lend) = &self.lend {
            // Where the connection is gone nothing is filled any more.
            let _ = lend.send(memory);
        }
    }

    /// No more is wanted: what the connection has is handed over as it is.
    pub(super) fn end(&mut self) {
        self.lend = None;
    }

    /// What comes next; `None` where the connection has nothing more to tell.
    pub(super) async fn next(&mut self) -> Option<Came> {
        self.came.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use microtome_proto::Code;

    const PIECE_LEN: usize = 300_000;

    fn pieces(count: usize) -> Vec<Bytes> {
        (0..count).map(|number| vec![number as u8 + 1; PIECE_LEN].into()).collect()
    }

    fn body(pieces: Vec<Bytes>) -> Body {
        Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
    }

    /// All that comes, and how it ended: lent two buffers, and each again.
    async fn all(buffers: &mut Buffers) -> (Vec<usize>, Vec<u8>, Option<Result<Option<Checksum>, Problem>>) {
        let (mut lens, mut bytes) = (Vec::new(), Vec::new());
        buffers.lend(Memory::default());
        buffers.lend(Memory::default());
        loop {
            match buffers.next().await {
                Some(Came::Bytes(mut memory, len)) => {
                    lens.push(len);
                    bytes.extend_from_slice(memory.first(len));
                    buffers.lend(memory);
                }
                Some(Came::End(ended)) => return (lens, bytes, Some(ended)),
                None => return (lens, bytes, None),
            }
        }
    }

    #[tokio::test]
    async fn buffers_end_at_multiples_whatever_pieces_come() {
        let (offset, sent) = (PIECE_BYTES - 5, pieces(8));
        let (filling, mut buffers) = buffers(body(sent.clone()), offset, 10 * PIECE_BYTES);
        let ((), (lens, bytes, ended)) = tokio::join!(filling.run(), all(&mut buffers));
        let whole = PIECE_BYTES as usize;
        assert_eq!(lens, [5, whole, whole, 8 * PIECE_LEN - 5 - 2 * whole]);
        assert_eq!(bytes, sent.concat());
        assert!(ended.unwrap().is_ok());
    }

    /// Two buffers stay two, also where pieces end just where buffers do.
    #[tokio::test]
    async fn no_buffer_is_forgotten() {
        let whole = PIECE_BYTES as usize;
        let sent = (0..6).map(|number| vec![number; whole].into()).collect();
        let (filling, mut buffers) = buffers(body(sent), 0, 10 * PIECE_BYTES);
        let lend = async {
            let mut places = std::collections::BTreeSet::new();
            buffers.lend(Memory::default());
            buffers.lend(Memory::default());
            while let Some(Came::Bytes(mut memory, len)) = buffers.next().await {
                places.insert(memory.first(len).as_ptr() as usize);
                // The body is asked for its next piece before this one is back.
                tokio::task::yield_now().await;
                buffers.lend(memory);
                tokio::task::yield_now().await;
            }
            places.len()
        };
        assert_eq!(tokio::join!(filling.run(), lend).1, 2);
    }

    #[tokio::test]
    async fn a_piece_beyond_the_end_is_not_taken_and_what_came_before_is() {
        let (filling, mut buffers) = buffers(body(pieces(3)), 0, 2 * PIECE_LEN as u64 + 1);
        let ((), (_, bytes, ended)) = tokio::join!(filling.run(), all(&mut buffers));
        assert_eq!(bytes, pieces(2).concat());
        assert_eq!(ended.unwrap().unwrap_err().code, Code::TooLarge);
    }

    #[tokio::test]
    async fn nothing_is_read_before_a_buffer_is_lent() {
        let (filling, mut refused) = buffers(body(pieces(1)), 0, 10);
        let mut filling = Box::pin(filling.run());
        assert!((&mut filling).now_or_never().is_none());
        refused.end();
        assert!(filling.now_or_never().is_some(), "nothing was lent, and nothing will be");
        assert!(refused.next().await.is_none());
    }

    #[tokio::test]
    async fn what_a_broken_or_unwanted_connection_has_is_handed_over() {
        for unwanted in [false, true] {
            let sent = stream::iter([Ok::<_, std::io::Error>(pieces(1).remove(0))]).chain(stream::pending());
            let (filling, mut buffers) = buffers(Body::from_stream(sent), 0, PIECE_BYTES);
            let mut filling = Box::pin(filling.run());
            buffers.lend(Memory::default());
            assert!((&mut filling).now_or_never().is_none());
            if unwanted {
                buffers.end();
                filling.await;
            } else {
                drop(filling);
            }
            assert!(matches!(buffers.next().await, Some(Came::Bytes(_, PIECE_LEN))), "{unwanted}");
            assert!(buffers.next().await.is_none(), "{unwanted}");
        }
    }

    #[tokio::test]
    async fn a_silent_body_is_ended() {
        let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let (mut filling, mut buffers) = buffers(body, 0, 10);
        filling.silence_max = Duration::from_millis(5);
        let ((), (_, bytes, ended)) = tokio::join!(filling.run(), all(&mut buffers));
        assert!(bytes.is_empty());
        assert_eq!(ended.unwrap().unwrap_err().code, Code::TooSlow);
    }
}
