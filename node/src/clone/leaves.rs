//! The first step of a clone: the leaves of the hash tree, proven before anything else is fetched.

use super::{CloneError, Cloning};
use crate::{
    Node,
    blobs::{
        LEAVES, Proof, SPINE,
        tree::{self, LEAF_LEN, Leaf, SpineBuilder},
    },
    disk,
    incoming::GATHERED,
    tasks::blocking,
};
use std::{io, os::unix::fs::FileExt as _, sync::Arc, time::Duration};

/// Bytes written at once.
const BUFFER_BYTES: usize = 1 << 20;
/// A source has to begin its answer within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Why one source brought no leaves.
#[derive(Debug)]
enum Failure {
    Network(String),
    Lied,
    Disk(io::Error),
}

/// The clone's proven leaves: those on disk, or those of the first source that has the right ones.
pub(super) async fn proof(node: &Arc<Node>, cloning: &Arc<Cloning>, root: Leaf) -> Result<Proof, CloneError> {
    if let Some(proof) = stored(cloning, root).await? {
        return Ok(proof);
    }
    let mut last = "none is known".to_owned();
    while let Some(source) = cloning.sources.take() {
        match fetch(node, cloning, &source, root).await {
            Ok(()) => {
                cloning.sources.served(&source);
                return stored(cloning, root).await?.ok_or_else(|| io::Error::other("the leaves are gone").into());
            }
            Err(Failure::Network(error)) => {
                cloning.sources.failed(&source);
                last = format!("{source}: {error}");
            }
            Err(Failure::Lied) => {
                cloning.sources.lied(&source);
                last = format!("{source}: its hash tree is not the material's");
                tracing::warn!(material = %cloning.expected().material, %source, "a source sent a wrong hash tree");
            }
            Err(Failure::Disk(error)) => return Err(error.into()),
        }
    }
    Err(CloneError::Sources(last))
}

/// Leaves lie under their name only when they were proven; a disk that changed them since brings them once more.
async fn stored(cloning: &Arc<Cloning>, root: Leaf) -> io::Result<Option<Proof>> {
    let cloning = Arc::clone(cloning);
    blocking(move || match Proof::open(cloning.incoming.folder(), cloning.expected().size, &root) {
        Ok(proof) => Ok(Some(proof)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
        Err(error) => Err(error),
    })
    .await
}

async fn fetch(node: &Node, cloning: &Arc<Cloning>, source: &str, root: Leaf) -> Result<(), Failure> {
    let (id, size) = (&cloning.expected().material, cloning.expected().size);
    let expected = tree::group_count(size) * LEAF_LEN;
    let network = |error: microtome_client::ClientError| Failure::Network(error.to_string());
    let mut stream = node.cluster.with_deadline(ANSWER_WITHIN).leaves(source, id).await.map_err(network)?;
    let file = Arc::new(cloning.incoming.open_file(GATHERED).map_err(Failure::Disk)?);
    let mut spine = SpineBuilder::new(size);
    let mut buffer: Vec<u8> = Vec::new();
    let mut written = 0;
    loop {
        let piece = stream.chunk().await.map_err(network)?;
        buffer.extend_from_slice(piece.as_deref().unwrap_or_default());
        if written + buffer.len() as u64 > expected {
            return Err(Failure::Lied);
        }
        if piece.is_some() && buffer.len() < BUFFER_BYTES {
            continue;
        }
        let rest = buffer.split_off(buffer.len() / LEAF_LEN as usize * LEAF_LEN as usize);
        let (bytes, to) = (std::mem::replace(&mut buffer, rest), Arc::clone(&file));
        let leaves = tree::from_bytes(&bytes);
        let offset = written;
        written += bytes.len() as u64;
        spine = blocking(move || {
            to.write_all_at(&bytes, offset)?;
            leaves.into_iter().for_each(|leaf| spine.push(leaf));
            Ok(spine)
        })
        .await
        .map_err(Failure::Disk)?;
        if piece.is_none() {
            break;
        }
    }
    if written != expected {
        return Err(Failure::Network(format!("{written} bytes of leaves came instead of {expected}")));
    }
    let spine = spine.finish().filter(|spine| tree::root(spine) == root).ok_or(Failure::Lied)?;
    let cloning = Arc::clone(cloning);
    blocking(move || {
        let folder = cloning.incoming.folder();
        file.set_len(expected)?;
        file.sync_all()?;
        if spine.len() > 1 {
            disk::write(&folder.join(SPINE), &tree::to_bytes(&spine))?;
        }
        disk::rename(&folder.join(GATHERED), &folder.join(LEAVES))
    })
    .await
    .map_err(Failure::Disk)
}
