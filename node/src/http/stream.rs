//! A copy's bytes as a body: read in pieces on the blocking pool, two of them ahead of the network.

use crate::{blobs::Blob, tasks::blocking};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use std::{io, ops::Range, sync::Arc};

/// Bytes read at once. Reads begin at multiples of it, so that whole groups are checked where they land.
const PIECE_BYTES: u64 = 1 << 20;
/// Pieces read ahead.
const AHEAD: usize = 2;

/// How a copy is read: [`Blob::read_exact_at`] or [`Blob::read_for_others`].
pub(super) type Read = fn(&Blob, &mut [u8], u64) -> io::Result<()>;

/// The bytes of `range`. The first piece is read before this returns: what fails at once can still be answered
/// otherwise. What fails later breaks the connection, so that nobody takes a part for the whole.
pub(super) async fn body(blob: Arc<Blob>, range: Range<u64>, by: Read) -> io::Result<Body> {
    let mut pieces = pieces(range);
    let Some(first) = pieces.next() else { return Ok(Body::empty()) };
    let first = read(Arc::clone(&blob), first, by).await?;
    let Some(second) = pieces.next() else { return Ok(Body::from(first)) };
    let rest = std::iter::once(second).chain(pieces);
    let rest = stream::iter(rest.map(move |piece| read(Arc::clone(&blob), piece, by))).buffered(AHEAD);
    Ok(Body::from_stream(stream::iter([Ok(first)]).chain(rest)))
}

/// Starts to read when it is polled first.
async fn read(blob: Arc<Blob>, piece: Range<u64>, by: Read) -> io::Result<Bytes> {
    blocking(move || {
        let mut bytes = vec![0; (piece.end - piece.start) as usize];
        by(&blob, &mut bytes, piece.start)?;
        Ok(bytes.into())
    })
    .await
}

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

    #[test]
    fn pieces_join_and_begin_at_multiples() {
        let found: Vec<_> = pieces(5..(2 * PIECE_BYTES + 7)).collect();
        assert_eq!(found, [5..PIECE_BYTES, PIECE_BYTES..2 * PIECE_BYTES, 2 * PIECE_BYTES..2 * PIECE_BYTES + 7]);
        assert_eq!(pieces(PIECE_BYTES..2 * PIECE_BYTES).count(), 1);
        assert_eq!(pieces(3..3).count(), 0);
    }
}
