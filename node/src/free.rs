//! Freeing what is here of a material. That it may be is decided elsewhere: by an order, or a deletion that was committed.

use crate::{Node, blobs::Removed, clone::Clones, tasks::blocking, upload::Uploads};
use microtome_proto::{Generation, MaterialId};
use std::{io, sync::Arc};

/// Frees what is here of a material, under way or whole, if its generation is at most `generation`.
///
/// # Errors
/// The disk's.
pub(crate) async fn free(node: &Arc<Node>, material: &MaterialId, generation: Generation) -> io::Result<()> {
    Uploads::end(node, material, generation).await?;
    Clones::end(node, material, generation).await?;
    let (owner, id) = (Arc::clone(node), material.clone());
    let removed = blocking(move || owner.blobs.remove(&id, generation)).await?;
    if removed == Removed::Gone {
        tracing::info!(%material, "a copy is freed");
    }
    node.empty_trash();
    Ok(())
}
