//! Damaged copies are mended with what other nodes have.
//!
//! A read mends what it meets on the spot. What could not be mended then is tried again from here until it can; a copy whose
//! disk takes no more bytes is set aside, and the cluster makes another one elsewhere.

use crate::{
    Node,
    blobs::{Blob, Piece, Supply, Walk},
    tasks::blocking,
};
use microtome_client::{ByteStream, ClientError};
use microtome_proto::MaterialId;
use rustix::io::Errno;
use std::{
    io,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Pause before damage that could not be mended is tried again; doubles up to the second.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(60);
/// Groups of a copy that could not be mended after which others have their turn.
const FAILURES_MAX: usize = 8;
/// Groups that are read at once: 1 MiB.
const GROUPS_AT_ONCE: u64 = 64;
/// How long a node has to begin its answer, and to give the whole piece. A reader waits for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const FETCH_WITHIN: Duration = Duration::from_secs(10);

/// The copies on other nodes.
pub(crate) struct Others {
    node: Weak<Node>,
    runtime: Handle,
}

impl Others {
    /// Fetches on the present runtime.
    pub(crate) fn of(node: &Arc<Node>, runtime: Handle) -> Self {
        Self { node: Arc::downgrade(node), runtime }
    }
}

impl Supply for Others {
    fn fetch(
        &self,
        material: &MaterialId,
        piece: Piece,
        is_right: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<Vec<u8>, String> {
        let node = self.node.upgrade().ok_or_else(|| "the node is stopping".to_owned())?;
        self.runtime.block_on(fetch(&node, material, &piece, is_right))
    }
}

async fn fetch(
    node: &Node,
    material: &MaterialId,
    piece: &Piece,
    is_right: &(dyn Fn(&[u8]) -> bool + Sync),
) -> Result<Vec<u8>, String> {
    let located = node.locator.locate(material).await;
    let located =
        located.as_ref().as_ref().map_err(|problem| format!("where another copy is, is not known: {problem}"))?;
    let mut last = "no other node that answers has a copy".to_owned();
    for holder in located.holders.iter().filter(|url| **url != node.url) {
        last = match tokio::time::timeout(FETCH_WITHIN, ask(node, holder, material, piece)).await {
            Ok(Ok(bytes)) if is_right(&bytes) => return Ok(bytes),
            Ok(Ok(_)) => format!("{holder} has it wrong, too"),
            Ok(Err(error)) => format!("{holder} does not give it: {error}"),
            Err(_) => format!("{holder} did not give it within {} s", FETCH_WITHIN.as_secs()),
        };
    }
    Err(last)
}

async fn ask(node: &Node, holder: &str, material: &MaterialId, piece: &Piece) -> Result<Vec<u8>, ClientError> {
    let cluster = node.cluster.with_deadline(ANSWER_WITHIN).with_refused_max(Duration::ZERO);
    let (stream, len) = match piece {
        Piece::Bytes(range) => (cluster.data(holder, material, range.clone()).await?, range.end - range.start),
        Piece::Leaves(len) => (cluster.leaves(holder, material).await?, *len),
    };
    gathered(stream, len).await
}

/// The first `len` bytes at most: more prove nothing.
async fn gathered(mut stream: ByteStream, len: u64) -> Result<Vec<u8>, ClientError> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < len {
        let Some(piece) = stream.chunk().await? else { break };
        bytes.extend_from_slice(&piece);
    }
    bytes.truncate(len as usize);
    Ok(bytes)
}

/// Mends what is known to be damaged until the node stops.
pub(crate) async fn run(node: Arc<Node>) {
    let mut pause = PAUSE_FIRST;
    for round in 0.. {
        let damaged = node.blobs.damaged();
        let is_any = !damaged.is_empty();
        for blob in damaged {
            mend(&node, blob, round).await;
        }
        tokio::select! {
            () = node.stop.cancelled() => return,
            () = node.blobs.damage().noticed() => pause = PAUSE_FIRST,
            () = tokio::time::sleep(pause), if is_any => pause = (pause * 2).min(PAUSE_LONGEST),
        }
    }
}

async fn mend(node: &Arc<Node>, blob: Arc<Blob>, round: usize) {
    let (mending, stop) = (Arc::clone(&blob), node.stop.clone());
    let mended = blocking(move || {
        mending.note_again();
        mend_noted(&mending, round)?;
        if mending.knows_a_part() { survey(&mending, &stop) } else { Ok(()) }
    });
    match mended.await {
        Ok(()) => tracing::info!(material = %blob.manifest().material, "a damaged copy is whole again"),
        Err(error) => unmended(node, blob, &error).await,
    }
}

/// Mends what is noted, beginning elsewhere each round: where holders do not answer other copies wait, too, and it is left
/// after some failures.
fn mend_noted(blob: &Blob, round: usize) -> io::Result<()> {
    let mut groups = blob.damaged_groups();
    let first = round * FAILURES_MAX % groups.len().max(1);
    groups.rotate_left(first);
    let (mut result, mut failures) = (Ok(()), 0);
    for group in groups {
        if let Err(error) = blob.mend(group..group + 1, false) {
            (result, failures) = (Err(error), failures + 1);
        }
        if failures == FAILURES_MAX {
            break;
        }
    }
    result
}

/// Walks over a copy of which more is damaged than could be noted, and mends what it finds.
fn survey(blob: &Arc<Blob>, stop: &CancellationToken) -> io::Result<()> {
    blob.survey_begins();
    let mut walk = Walk::open(Arc::clone(blob))?;
    let count = blob.group_count();
    for start in (0..count).step_by(GROUPS_AT_ONCE as usize) {
        if stop.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        for group in walk.wrong(start..(start + GROUPS_AT_ONCE).min(count))? {
            blob.mend(group..group + 1, true)?;
        }
    }
    blob.survey_ends();
    Ok(())
}

/// What becomes of a copy that could not be mended. It stays, damaged as it is, and is tried again, unless its disk says that
/// it does not keep it and another node has it: then it is set aside, and made anew elsewhere. A copy that may be the last
/// one is never given up.
pub(crate) async fn unmended(node: &Arc<Node>, blob: Arc<Blob>, error: &io::Error) {
    let (material, generation) = (blob.manifest().material.clone(), blob.manifest().generation);
    if !node.blobs.holds(&blob) {
        // Dropped meanwhile.
        return;
    }
    if !is_final(error) || !is_elsewhere(node, &material).await {
        tracing::warn!(%material, %error, "a copy stays damaged for now");
        return;
    }
    let reason = format!("the disk of its node does not keep it: {error}");
    let (owner, why, failing) = (Arc::clone(node), reason.clone(), node.failing(&material));
    match blocking(move || owner.blobs.give_up(&blob, &why)).await {
        Ok(true) => {
            tracing::error!(%material, %error, "a copy cannot be mended on this disk; it is set aside, and made elsewhere");
            failing.failed(generation, reason);
        }
        Ok(false) => {}
        Err(error) => tracing::error!(%material, %error, "a copy that cannot be mended cannot be set aside either"),
    }
}

/// Whether the disk itself says so; all else, too few open files say, may pass.
fn is_final(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ReadOnlyFilesystem)
        || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

/// Whether others have it whole, and the books do not count this one: as long as they do the others' may be dropped on its word,
/// and where no copy is whole those that are damaged are told.
async fn is_elsewhere(node: &Node, material: &MaterialId) -> bool {
    let located = node.locator.locate(material).await;
    located.as_ref().as_ref().is_ok_and(|located| !located.holders.is_empty() && !located.holders.contains(&node.url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_costs_no_copy() {
        for errno in [Errno::IO, Errno::ROFS, Errno::NOENT] {
            assert!(is_final(&errno.into()), "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOSPC, Errno::INTR, Errno::ACCESS] {
            assert!(!is_final(&errno.into()), "{errno}");
        }
        assert!(!is_final(&io::Error::other("a panic")));
    }
}
