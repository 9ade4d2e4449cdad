//! Orders are handed to who carries them out. Each repeats until it is met, so all are idempotent and none waits here.

use crate::{
    Node,
    clone::Clones,
    free::free,
    incoming::Expected,
    runs::{Job, Runs},
    upload::Uploads,
};
use microtome_proto::{
    Generation, MaterialId,
    internal::{Belonging, Order, ReplicaReport, Reserve},
};
use parking_lot::Mutex;
use std::{collections::HashSet, sync::Arc};

/// What is being carried out.
pub(super) struct Orders {
    node: Arc<Node>,
    freeing: Arc<Mutex<HashSet<MaterialId>>>,
}

impl Orders {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node, freeing: Arc::default() }
    }

    /// Starts to carry an order out.
    pub(super) fn carry_out(&self, order: Order) {
        match order {
            Order::Copy { material, generation, size, blake3, name, media_type, sources, concat, owner } => {
                let wanted = Reserve {
                    material,
                    generation,
                    size,
                    name,
                    media_type,
                    blake3: Some(blake3),
                    concat,
                    owner,
                    metadata: None,
                    belonging: Belonging::default(),
                };
                let node = Arc::clone(&self.node);
                let copying = async move { Clones::copy(&node, Expected::clone_of(wanted), &sources).await };
                self.node.tasks.spawn(Box::pin(copying));
            }
            Order::Join { wanted, parts } => {
                let node = Arc::clone(&self.node);
                self.node.tasks.spawn(Box::pin(async move { Uploads::join(&node, wanted, parts).await }));
            }
            Order::Drop { material, generation } => self.free(material, generation),
            Order::Run { run, attempt, pipeline, inputs, parameters } => {
                Runs::start(&self.node, Job { run, attempt, pipeline, inputs, parameters });
            }
            Order::Stop { run, attempt } => self.node.runs.stop(&run, attempt),
        }
    }

    /// What is being freed: it is not to be told as held any more.
    pub(super) fn freeing(&self) -> HashSet<MaterialId> {
        self.freeing.lock().clone()
    }

    /// Frees what is here of a material, whole or half, if its generation is at most `generation`.
    pub(super) fn free(&self, material: MaterialId, generation: Generation) {
        if !self.freeing.lock().insert(material.clone()) {
            return;
        }
        let (node, freeing) = (Arc::clone(&self.node), Arc::clone(&self.freeing));
        self.node.tasks.spawn(async move {
            match free(&node, &material, generation).await {
                Ok(()) => drop(node.report(material.clone(), ReplicaReport::Dropped { generation })),
                // The order comes again.
                Err(error) => tracing::warn!(%material, %error, "a copy cannot be freed"),
            }
            freeing.lock().remove(&material);
        });
    }
}
